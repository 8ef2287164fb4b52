"""Simulated ASTM analysers: each asks, runs what it is offered and reports in its own dialect."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from drivers.protocols.astm_link import FrameRefused
from simulators.analyser import Timing, build_analyser
from simulators.astm_analyser import captured_frames
from simulators.cable import Cable, in_memory
from simulators.models import MODELS, AstmModel, UnknownModel
from simulators.worklist import Patient, Result
from tests.simulators.conftest import Bench

# Questions of the models at 8:15 about tube 1001, which stands at the first place; checksums by od and awk.
XN_QUESTION = (
    b"\x05"
    b"\x021H|\\^&|||    XN-550^00-24^90001^^^^NU900001||||||||E1394-97\r\x03C7\r\n"
    b"\x022Q|1|000001^01^                  1001^B|||0|20261203081500\r\x037A\r\n"
    b"\x023L|1|N\r\x0306\r\n"
    b"\x04"
)
C311_QUESTION = (
    b"\x05"
    b"\x021H|\\^&|||H7600^1|||||host|TSREQ^REAL|P|1\r"
    b"Q|1|^^                  1001^1^00001^001^^S1^SC||ALL||||||||O\r"
    b"L|1|N\r\x0343\r\n"
    b"\x04"
)


def xn_answer(message: bytes) -> list[bytes] | None:
    """The host repeats rack, position, padded id and attribute byte for byte."""
    asked = re.search(rb"Q\|1\|([^|]*)", message)
    if asked is None:
        return None
    tests = rb"^^^^WBC\^^^^HGB\^^^^PLT"
    return [
        rb"H|\^&|||||||||||E1394-97",
        b"P|1|||55|^ALI^KURGU||19870626|M",
        b"O|1|" + asked[1] + b"||" + tests,
        b"L|1|N",
    ]


def roche_answer(codes: bytes, place: bytes | None = None):
    """A host's reply of the cobas type; `place` other than asked = a careless host."""

    def answer(message: bytes) -> list[bytes] | None:
        asked = re.search(rb"Q\|1\|\^\^([^^]*)\^([^|]*)", message)
        if asked is None or message.split(b"\r")[1].endswith(b"A"):
            return None
        order = b"O|1|" + asked[1] + b"|" + (place or asked[2]) + b"|" + codes + b"|R||||||A||||1||||||||||O"
        return [rb"H|\^&|||host^1|||||H7600|TSDWN^REPLY|P|1", b"P|1", order, b"L|1|N"]

    return answer


# ---- asking


async def test_a_blood_counter_asks_with_rack_position_and_padded_number(bench: Bench):
    async with bench("sysmex-xn", xn_answer) as (analyser, host):
        work = await analyser.asks("1001")

        assert bytes(host.wire[: len(XN_QUESTION)]) == XN_QUESTION
        assert work["1001"].codes == ["WBC", "HGB", "PLT"]
        assert work["1001"].patient == Patient(("55",), "", "ALI", "19870626", "M")
        assert not work.negative


async def test_a_cobas_asks_in_one_stream_with_its_place(bench: Bench):
    async with bench("roche-cobas-c311", roche_answer(rb"^^^717^\^^^990^inc")) as (analyser, host):
        work = await analyser.asks("1001")

        assert bytes(host.wire[: len(C311_QUESTION)]) == C311_QUESTION
        assert [(test.code, test.dilution) for test in work["1001"].tests] == [("717", ""), ("990", "inc")]


async def test_a_cobas_cancels_the_inquiry_when_the_place_comes_back_changed(bench: Bench):
    async with bench("roche-cobas-c311", roche_answer(b"^^^717^", b"1^1^1^^S1^SC")) as (analyser, _):
        report = await analyser.runs("1001")

        assert report is None
        assert "O-4 is '1^1^1^^S1^SC', asked was '1^00001^001^^S1^SC'" in analyser.surprises
        assert analyser.offers["1001"].refused


async def test_an_e411_takes_its_question_back_when_nobody_answers(bench: Bench):
    async with bench("roche-cobas-e411", timing=Timing.hurried(answer=0.1)) as (analyser, host):
        work = await analyser.asks("1001")
        await asyncio.sleep(0.03)

        assert not work.answered
        assert not work.negative
        question, cancelled = host.messages
        assert b"||ALL||||||||O\r" in question
        assert b"||ALL||||||||A\r" in cancelled


async def test_nothing_to_do_is_not_the_same_as_no_answer(bench: Bench):
    def nothing(message: bytes) -> list[bytes]:
        asked = message.split(b"Q|1|")[1].split(b"|")[0]
        return [b"H|\\^&", b"O|1|" + asked + b"||" + b"|" * 21 + b"Y", b"L|1|N"]

    async with bench("sysmex-xn", nothing) as (analyser, _):
        work = await analyser.asks("1001")

        assert work.answered
        assert work.negative
        assert await analyser.runs("1001") is None


async def test_several_tubes_in_one_question(bench: Bench):
    def answer(message: bytes) -> list[bytes] | None:
        if b"\rQ|1|^1001\\^1002|" not in message:
            return None
        one, two = b"O|1|1001||^^^GLU\\^^^K|S||||||A", b"O|2|1002||^^^NA|R||||||A"
        return [b"H|\\^&", b"P|1", one, b"P|2", two, b"L|1|N"]

    async with bench("generic-astm", answer) as (analyser, _):
        work = await analyser.asks("1001", "1002")

        assert (work["1001"].codes, work["1002"].codes) == (["GLU", "K"], ["NA"])
        assert [test.priority for test in work["1001"].tests] == ["S", "S"]


async def test_an_order_for_another_tube_is_never_run(bench: Bench):
    def other(message: bytes) -> list[bytes] | None:
        return [b"H|\\^&", b"O|1|1002||^^^GLU|R||||||A", b"L|1|N"] if b"\rQ|" in message else None

    async with bench("generic-astm", other) as (analyser, host):
        assert await analyser.runs("1001") is None
        assert analyser.surprises == ["the answer names tube '1002', asked was 1001"]
        assert len(host.messages) == 1


async def test_an_order_that_comes_unasked_waits_beside(bench: Bench):
    async with bench("generic-astm", lambda _: None, timing=Timing.hurried(answer=0.1)) as (analyser, host):
        host.orders(b"H|\\^&", b"O|1|1009||^^^GLU|R||||||A", b"L|1|N")
        await asyncio.sleep(0.1)
        await analyser.asks("1001")

        assert [(offer.specimen, offer.codes) for offer in analyser.unasked] == [("1009", ["GLU"])]


# ---- running


async def test_exactly_what_is_offered_is_run(bench: Bench):
    async with bench("sysmex-xn", xn_answer) as (analyser, host):
        report = await analyser.runs("1001")
        await asyncio.sleep(0.03)

        assert report is not None
        assert [one.code for one in report.results] == ["WBC", "HGB", "PLT"]
        records = host.messages[-1].split(b"\r")
        assert records[3].startswith(b"O|1||000001^01^                  1001^B|^^^^WBC\\^^^^HGB\\^^^^PLT|")
        assert [record.split(b"|")[2] for record in records if record[:1] == b"R"] == [
            b"^^^^WBC^1",
            b"^^^^HGB^1",
            b"^^^^PLT^1",
        ]


async def test_a_test_that_the_analyser_does_not_have_is_not_run(bench: Bench):
    async with bench("roche-cobas-c311", roche_answer(rb"^^^717^\^^^999^")) as (analyser, _):
        report = await analyser.runs("1001")

        assert report is not None
        assert [one.code for one in report.results] == ["717"]
        assert analyser.surprises == ["offered '999' for 1001, which this analyser cannot run"]


async def test_the_same_seed_and_tube_give_the_same_values(bench: Bench):
    values = []
    for seed in (1, 1, 2):
        async with bench("sysmex-xn", xn_answer, seed=seed) as (analyser, _):
            report = await analyser.runs("1001")
            assert report is not None
            values.append([one.result.value for one in report.results])

    assert values[0] == values[1] != values[2]


async def test_a_rerun_differs_a_little_and_says_so(bench: Bench):
    async with bench("roche-cobas-c311") as (analyser, host):
        first = await analyser.runs("1001", "GLU")
        again = await analyser.runs("1001", "GLU")
        await asyncio.sleep(0.03)

        assert first is not None
        assert again is not None
        one, two = float(first.results[0].result.value), float(again.results[0].result.value)
        assert abs(one - two) / one < 0.1
        status = [re.search(rb"R\|1\|\^\^\^717/\|[^\r]*", message)[0].split(b"|")[8] for message in host.messages]  # type: ignore[index]
        assert status == [b"F", b"C"]


# ---- reporting


async def test_results_may_be_told_as_a_story_tells_them(bench: Bench):
    async with bench("roche-cobas-c311") as (analyser, host):
        await analyser.reports("1001", {"717": ("92", "mg/dl", "N")}, K="6.8 mmol/l", NA=Result("140", "mmol/l"))
        await asyncio.sleep(0.03)

        results = [line.split(b"|")[2:7] for line in host.messages[0].split(b"\r") if line[:1] == b"R"]
        assert results == [
            [b"^^^717/", b"92", b"mg/dl", b"", b"N"],
            [b"^^^990/", b"6.8", b"mmol/l", b"", b""],
            [b"^^^989/", b"140", b"mmol/l", b"", b""],
        ]


async def test_replicates_are_several_records_of_one_code(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        report = await analyser.reports("1001", {"GLU": [("92", "mg/dL"), ("94", "mg/dL")]})
        await asyncio.sleep(0.03)

        assert [one.result.value for one in report.results] == ["92", "94"]
        assert host.messages[0].count(b"|^^^GLU|") == 3  # the order and two results


async def test_a_control_is_marked_as_the_model_marks_it(bench: Bench):
    async with bench("roche-cobas-c311") as (analyser, host):
        await analyser.reports_qc("PCCC1", {"GLU": ("101", "mg/dl")})
        await asyncio.sleep(0.03)

        order = next(line.split(b"|") for line in host.messages[0].split(b"\r") if line[:1] == b"O")
        assert (order[2].strip(), order[3].split(b"^")[4], order[11]) == (b"PCCC1", b"QC", b"Q")


async def test_receipts_name_the_results_that_each_frame_closed(bench: Bench):
    """A cobas cuts its message every 240 bytes: a result counts with the frame in which its record ends."""
    async with bench("roche-cobas-c311") as (analyser, host):
        codes = list(MODELS["roche-cobas-c311"].channels)
        report = await analyser.runs_codes("1001", codes)
        await asyncio.sleep(0.03)

        assert report is not None
        assert len(analyser.acknowledged) == len(captured_frames(bytes(host.wire)))
        assert [one.code for one in analyser.acknowledged_results] == codes
        assert analyser.acknowledged_messages == [report.raw] == host.messages
        text, codes_so_far = b"", []
        for receipt in analyser.acknowledged:
            text += receipt.text
            codes_so_far += [one.code.encode() for one in receipt.results]
            whole = text[: text.rfind(b"\r") + 1]
            assert codes_so_far == re.findall(rb"\rR\|\d+\|\^\^\^(\d+)/[^\r]*(?=\r)", whole)


async def test_every_model_can_report_all_that_it_has(bench: Bench):
    for key, model in MODELS.items():
        if not isinstance(model, AstmModel):
            continue
        async with bench(key) as (analyser, host):
            report = await analyser.runs_codes("1001", model.channels)
            await asyncio.sleep(0.05)

            assert report is not None
            assert len(report.results) == len(model.channels)
            assert host.seen(FrameRefused) == []
            assert host.messages == [report.raw]
            assert analyser.surprises == []


async def test_captures_go_out_byte_for_byte(bench: Bench, samples: Path):
    """A session of a real XN-330; one of its frames carries a wrong checksum, which every host has to refuse."""
    data = (samples / "astm/sysmex-xn-330/cbc-session.astm").read_bytes()
    frames = captured_frames(data)

    assert b"".join(frame.verbatim or b"" for frame in frames) == data.strip(b"\x05\x04")
    async with bench("sysmex-xn", timing=Timing.hurried(attempts=2)) as (analyser, host):
        with pytest.raises(Exception, match="attempts"):
            await analyser.reports_raw(data)
        assert len(host.seen(FrameRefused)) >= 2
        assert len(analyser.acknowledged) >= 4


async def test_a_capture_with_right_checksums_arrives(bench: Bench, samples: Path):
    data = (samples / "astm/roche-elecsys-2010/probnp.astm").read_bytes()

    async with bench("roche-cobas-e411") as (analyser, host):
        await analyser.reports_raw(data)
        await asyncio.sleep(0.03)

        assert len(host.messages) == 1
        assert host.messages[0].startswith(b"H|\\^&||||||||||P||\rP|1|")


async def test_bare_records_are_framed(bench: Bench):
    async with bench("generic-astm") as (analyser, host):
        await analyser.reports_raw(b"H|\\^&\nP|1\nL|1|N\n")
        await asyncio.sleep(0.03)

        assert host.messages == [b"H|\\^&\rP|1\rL|1|N\r"]


# ---- trouble


async def test_a_host_that_is_not_there_yet_is_called_again():
    """Refused connections are tried again with growing pauses."""
    cable, calls = Cable(), []

    async def plug():
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionRefusedError("nobody listens")
        return await cable.plug()

    analyser = build_analyser("generic-astm", plug, timing=Timing.hurried())
    await analyser.connect()

    assert len(calls) == 3
    assert analyser.connected
    await analyser.disconnect()


async def test_a_host_that_never_comes_is_an_error():
    async def plug():
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(ConnectionRefusedError):
        await build_analyser("generic-astm", plug, timing=Timing.hurried()).connect(patience=0.05)


async def test_a_host_that_hangs_up_for_good_is_an_error_not_a_hang():
    cable = Cable()
    analyser = build_analyser("generic-astm", in_memory(cable.instrument), timing=Timing.hurried(attempts=2))
    await analyser.connect()
    await cable.cut()

    with pytest.raises(ConnectionError):
        await analyser.reports("1001", GLU="92 mg/dL")
    await analyser.disconnect()


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(UnknownModel, match="sysmex-xn"):
        build_analyser("xn-9000", in_memory(Cable().instrument))


async def test_what_is_no_result_is_refused(bench: Bench):
    async with bench("generic-astm") as (analyser, _):
        with pytest.raises(TypeError):
            await analyser.reports("1001", {"GLU": 92})  # type: ignore[dict-item]
