"""Every fault by name, and the bytes that it puts on the wire. Checksums were worked out with od and awk, not by us."""

from __future__ import annotations

import asyncio

import pytest

from drivers.protocols.astm_link import (
    FrameRefused,
    FrameRepeated,
    Ignored,
    RefusedWhy,
    SendDone,
    SendPostponed,
    SendWhy,
)
from simulators.analyser import NotAccepted, Timing
from simulators.faults import ASTM_FAULTS, FAULTS, HL7_FAULTS, Fault, Faults, UnknownFault
from tests.simulators.conftest import Bench

ENQ, EOT = b"\x05", b"\x04"
F1 = b"\x021H|\\^&|||NUMUNE-SIM^1.0^1|||||||P|LIS2-A2|20261203081500\r\x03E7\r\n"
F2 = b"\x022P|1\r\x033F\r\n"
F3 = b"\x023O|1|1001||^^^WBC|R||||||N||||||||||||||F\r\x037D\r\n"
F4 = b"\x024R|1|^^^WBC|6.52|10*3/uL||N||F||SIM||20261203081500|SIM-1\r\x0304\r\n"
F5 = b"\x025L|1|N\r\x0308\r\n"
WHOLE = ENQ + F1 + F2 + F3 + F4 + F5 + EOT
WBC = {"WBC": ("6.52", "10*3/uL", "N")}


async def settle() -> None:
    """Let the host read what is still on the cable."""
    await asyncio.sleep(0.03)


async def wire_with(bench: Bench, *faults: str) -> bytes:
    """What one report looks like on the wire."""
    async with bench("generic-astm", faults=faults) as (analyser, host):
        await analyser.reports("1001", WBC)
        await settle()
        assert analyser.surprises == []
        return bytes(host.wire)


async def test_a_faultless_report(bench: Bench):
    assert await wire_with(bench) == WHOLE


async def test_wrong_checksum_is_sent_once_and_then_right(bench: Bench):
    assert await wire_with(bench, "wrong_checksum:2") == ENQ + F1 + F2.replace(b"3F", b"40") + F2 + F3 + F4 + F5 + EOT


async def test_a_repeated_frame_is_byte_for_byte_the_same(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.repeats_frame(4)
        await analyser.reports("1001", WBC)
        await settle()

        assert bytes(host.wire) == ENQ + F1 + F2 + F3 + F4 + F4 + F5 + EOT
        assert len(host.seen(FrameRepeated)) == 1
        assert host.messages == [b"".join(frame[2:-5] for frame in (F1, F2, F3, F4, F5))]


async def test_a_skipped_number_has_a_right_checksum(bench: Bench):
    skipped = b"\x023P|1\r\x0340\r\n"  # P says 3 where 2 was due

    assert await wire_with(bench, "skips_number:2") == ENQ + F1 + skipped + F2 + F3 + F4 + F5 + EOT


async def test_a_lost_ack_brings_the_whole_message_again(bench: Bench):
    async with bench("generic-astm", timing=Timing.hurried(reply=0.1)) as (analyser, host):
        analyser.lost_ack()
        await analyser.reports("1001", WBC)
        await settle()

        assert bytes(host.wire) == WHOLE + WHOLE
        assert len(host.messages) == 2
        assert len(analyser.acknowledged_messages) == 1  # the analyser knows of one
        assert [one.code for one in analyser.acknowledged_results] == ["WBC"]


async def test_a_lost_ack_in_the_middle_ends_the_session_there(bench: Bench):
    wire = await wire_with(bench, "lost_ack:3")

    assert wire == ENQ + F1 + F2 + F3 + EOT + WHOLE


async def test_silence_after_enq(bench: Bench):
    assert await wire_with(bench, "silent_after_enq") == ENQ + WHOLE


async def test_a_missing_terminator(bench: Bench):
    assert await wire_with(bench, "no_terminator") == ENQ + F1 + F2 + F3 + F4 + EOT


async def test_a_missing_eot_shows_when_the_next_session_begins(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.no_eot()
        await analyser.reports("1001", WBC)
        await analyser.reports("1001", WBC)
        await settle()

        assert bytes(host.wire) == WHOLE[:-1] + WHOLE
        assert len(host.messages) == 2


async def test_lf_for_cr_goes_on_until_somebody_changes_the_setting(bench: Bench):
    """LF is forbidden in message text (E1381-02, 6.6): a strict host refuses it, whatever the checksum says."""
    async with bench("generic-astm", timing=Timing.hurried(attempts=2)) as (analyser, host):
        analyser.lf_for_cr()
        with pytest.raises(NotAccepted):
            await analyser.reports("1001", WBC)
        await settle()

    frame = F1.replace(b"\r\x03E7", b"\n\x03E4")
    assert bytes(host.wire) == (ENQ + frame + frame + EOT) * 2


async def test_garbage_stands_between_the_frames(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.garbage()
        await analyser.reports("1001", WBC)
        await settle()

        junk = b"\x00\xff~#"
        assert bytes(host.wire) == ENQ + b"".join(junk + frame for frame in (F1, F2, F3, F4, F5)) + EOT
        assert b"".join(event.data for event in host.seen(Ignored)).count(junk) == 5  # type: ignore[attr-defined]
        assert len(host.messages) == 1


async def test_an_unknown_record_comes_before_the_terminator(bench: Bench):
    unknown = b"\x025Z|1|BILINMEYEN KAYIT\r\x0356\r\n"

    wire = await wire_with(bench, "unknown_record")

    assert wire == ENQ + F1 + F2 + F3 + F4 + unknown + b"\x026L|1|N\r\x0309\r\n" + EOT


async def test_an_impossible_date(bench: Bench):
    impossible = b"\x024R|1|^^^WBC|6.52|10*3/uL||N||F||SIM||20261345257061|SIM-1\r\x0312\r\n"

    assert await wire_with(bench, "impossible_date") == ENQ + F1 + F2 + F3 + impossible + F5 + EOT


async def test_text_where_a_number_belongs(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.text_for_number()
        report = await analyser.reports("1001", WBC)
        await settle()

        text = b"\x024R|1|^^^WBC|-----|10*3/uL||||F||SIM||20261203081500|SIM-1\r\x03CC\r\n"
        assert bytes(host.wire) == ENQ + F1 + F2 + F3 + text + F5 + EOT
        assert report.results[0].result.value == "-----"  # what was sent is what the analyser remembers


async def test_a_frame_without_an_end(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.endless(300_000)
        await analyser.reports("1001", WBC)
        await settle()

        wire = bytes(host.wire)
        begun = wire.index(b"A")
        assert wire[:begun] == ENQ + b"\x021"
        assert wire[begun:].lstrip(b"A") == EOT + WHOLE
        assert wire.count(b"A") >= 64_000
        assert host.seen(FrameRefused)[0].why is RefusedWhy.TOO_LONG  # type: ignore[attr-defined]
        assert len(host.messages) == 1


async def test_ten_megabytes_is_what_endless_means(bench: Bench):
    assert Fault.read("endless").number == 10_000_000


async def test_contention_is_two_enqs_at_once_and_the_analyser_goes_first(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.contention()
        report = asyncio.create_task(analyser.reports("1001", WBC))
        await settle()
        assert bytes(host.wire) == b""  # it waits for the host's ENQ

        host.orders(b"H|\\^&|||NUMUNE", b"L|1|N")
        await report
        await asyncio.sleep(0.5)  # the host asks again when its turn has come

        assert bytes(host.wire[: len(WHOLE) + 1]) == ENQ + WHOLE
        assert [event.why for event in host.seen(SendPostponed)] == [SendWhy.CONTENTION]  # type: ignore[attr-defined]
        assert len(host.seen(SendDone)) == 1


async def test_a_question_may_collide_with_its_answer(bench: Bench):
    def answer(message: bytes) -> list[bytes] | None:
        return [b"H|\\^&", b"O|1|1001||^^^GLU|R||||||A||||||||||||||O", b"L|1|N"] if b"\rQ|" in message else None

    async with bench("generic-astm", answer) as (analyser, host):
        analyser.contention()
        work = await analyser.asks("1001")

        assert work["1001"].codes == ["GLU"]
        assert len(host.seen(SendPostponed)) == 1


async def test_the_line_breaks_at_a_byte_and_everything_comes_again(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.cut_at(70)
        await analyser.reports("1001", WBC)
        await settle()

        assert bytes(host.wire) == WHOLE[:70] + WHOLE
        assert len(host.messages) == 1


async def test_merged_waits_for_nobody(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        analyser.merged()
        await analyser.reports("1001", WBC)
        await settle()

        assert bytes(host.wire) == WHOLE
        assert [receipt.frame for receipt in analyser.acknowledged] == [1, 2, 3, 4, 5]


async def test_one_byte_at_a_time_changes_nothing_but_the_pace(bench: Bench):
    assert await wire_with(bench, "one_byte_at_a_time") == WHOLE


# ---- the names themselves


def test_every_fault_has_a_method_and_a_name():
    from simulators.analyser import Analyser

    assert all(callable(getattr(Analyser, name)) for name in FAULTS)
    assert {"wrong_checksum", "skips_number", "contention", "no_eot"} == ASTM_FAULTS - HL7_FAULTS


def test_spellings_of_a_fault():
    assert Fault.read("cut_at:12") == Fault.read("cut_at(12)") == Fault("cut_at", 12)
    assert Fault.read("wrong_checksum") == Fault("wrong_checksum", 1)


def test_an_unknown_fault_is_refused_with_the_known_ones():
    with pytest.raises(UnknownFault, match="diye bir arıza yok"):
        Faults().arm("yanlis")
    with pytest.raises(UnknownFault, match="bu protokolde olamaz"):
        Faults(HL7_FAULTS).arm("wrong_checksum")


def test_a_fault_is_used_up():
    faults = Faults()
    faults.arm("wrong_checksum:2", "garbage")

    assert faults.take("wrong_checksum", 1) is None
    assert faults.take("wrong_checksum", 2) == Fault("wrong_checksum", 2)
    assert faults.take("wrong_checksum", 2) is None
    assert faults.armed("garbage")
