"""Rubbish on the wire: each kind has its outcome, nothing acknowledged is lost, the line goes on, a person is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from simulators.analyser import Analyser, NotAccepted, Timing
from tests.gateway.conftest import ACK, ENQ, NAK, Wire, frame, frames_of, message_records
from tests.stories.conftest import Laboratory

HURRIED = {"timing": Timing.hurried()}


async def then_it_goes_on(laboratory: Laboratory, line: str = "genel") -> None:
    """A good message right after: the line is alive."""
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser(line) as analyser:
        await analyser.reports(order.number, {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    assert await laboratory.state(order.number, "GLU") == "sonuclandi"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda analyser: analyser.wrong_checksum(3), "sağlama toplamı"),
        (lambda analyser: analyser.skips_number(3), "sırada değil"),
        (lambda analyser: analyser.garbage(), "Anlamsız"),
    ],
    ids=["wrong checksum", "wrong frame number", "garbage between frames"],
)
async def test_a_spoilt_frame_is_asked_for_again_and_the_message_arrives_once(
    laboratory: Laboratory, spoil: Callable[[Analyser], None], words: str
) -> None:
    order = await laboratory.order(["GLU", "UREA"])
    async with laboratory.analyser("genel", **HURRIED) as analyser:
        spoil(analyser)
        await analyser.reports(order.number, {"GLU": ("92", "mg/dL"), "UREA": ("30", "mg/dL")})
    await laboratory.settled()
    assert [len(await laboratory.runs(order.number, test)) for test in ("GLU", "UREA")] == [1, 1]
    assert words in " ".join(sentence for _, sentence in laboratory.house.gateway.lines["genel"].events)
    await then_it_goes_on(laboratory)


@pytest.mark.parametrize("how", ["merged", "one_byte_at_a_time", "repeats_frame"])
async def test_however_the_network_cuts_the_bytes(laboratory: Laboratory, how: str) -> None:
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser("genel", **HURRIED) as analyser:
        getattr(analyser, how)()
        await analyser.reports(order.number, {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    assert len(await laboratory.runs(order.number, "GLU")) == 1


async def test_a_message_without_terminator_is_taken_when_the_transfer_ends_well(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    wire = await Wire.to(laboratory.ports["genel"])
    await wire.session(*frames_of(message_records(order.number, [("GLU", "92", "mg/dL")])[:-1]))
    await asyncio.sleep(0.1)
    await laboratory.settled()
    assert await laboratory.state(order.number, "GLU") == "sonuclandi"
    assert "L" in await laboratory.value("select sorun from ham_mesaj where sonuc_sayisi = 1")


async def test_lf_for_cr_inside_a_frame_is_refused_by_a_strict_line(laboratory: Laboratory) -> None:
    """LF may not stand in a frame's text (E1381, 6.6): refused, said on screen, nothing half applied."""
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser("genel", **HURRIED) as analyser:
        analyser.lf_for_cr()
        with pytest.raises(NotAccepted):
            await analyser.reports(order.number, {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    assert await laboratory.state(order.number, "GLU") == "istendi"
    assert "denetim karakteri" in laboratory.line_error("genel")
    await then_it_goes_on(laboratory)


async def test_an_unknown_record_is_passed_over_and_kept(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser("genel", **HURRIED) as analyser:
        analyser.unknown_record()
        await analyser.reports(order.number, {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    assert await laboratory.state(order.number, "GLU") == "sonuclandi"


async def test_an_impossible_date_leaves_the_time_empty_and_the_text_in_the_raw_message(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser("genel", **HURRIED) as analyser:
        analyser.impossible_date()
        await analyser.reports(order.number, {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    [run] = await laboratory.runs(order.number, "GLU")
    assert run.calisma_bitis_zamani is None
    assert run.sonuc_zamani is not None


async def test_text_where_a_number_belongs_is_held_as_text(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser("genel", **HURRIED) as analyser:
        await analyser.reports(order.number, {"GLU": ("PIHTILI", "mg/dL")})
    await laboratory.settled()
    [run] = await laboratory.runs(order.number, "GLU")
    assert (run.cihaz_tetkik_sonucu, run.sayisal_sonuc) == ("PIHTILI", None)
    assert any(decision["o"] == "H" for decision in run.kararlar)


async def test_unknown_test_and_unknown_specimen_wait_for_a_person(laboratory: Laboratory) -> None:
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser("genel") as analyser:
        await analyser.reports(order.number, {"YOKBOYLE": ("1", "")})
        await analyser.reports("77777777", {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    assert [row.neden for row in await laboratory.unmatched()] == ["test_tanimsiz", "numune_yok"]
    await then_it_goes_on(laboratory)


async def test_ten_megabytes_without_an_end(laboratory: Laboratory) -> None:
    """Refused within bounds; the memory is given back, the person sees it, the line goes on."""
    wire = await Wire.to(laboratory.ports["genel"])
    await wire.ask(ENQ)
    await wire.send(b"\x021H|\\^&")
    for _ in range(160):
        await wire.send(b"A" * 65_536)
    await wire.send(b"\x0300\r\n")
    await asyncio.sleep(0.3)
    assert "uzun" in " ".join(sentence for _, sentence in laboratory.house.gateway.lines["genel"].events)
    wire.cut()
    await then_it_goes_on(laboratory)


async def test_a_nul_in_the_text_costs_nothing(laboratory: Laboratory) -> None:
    """PostgreSQL has no NUL in texts; the message must be kept all the same and the others must pass."""
    order = await laboratory.order(["GLU", "UREA"])
    wire = await Wire.to(laboratory.ports["genel"])
    records = message_records(order.number, [("GLU", "92", "mg/dL")])
    records[3] = b"R|1|^^^GLU|9\x002|mg/dL||N||F\r"
    await wire.ask(ENQ)
    answers = []
    for one in frames_of(records):
        await wire.send(one)
        answers.append(await wire.answer())
    assert answers[:3] == [ACK, ACK, ACK]
    wire.cut()
    await asyncio.sleep(0.1)
    await then_it_goes_on(laboratory)
    assert laboratory.house.ingest.counters.problem is None


@pytest.mark.parametrize(
    ("policy", "first_lives", "second_lives"),
    [("birlikte", True, True), ("yenisi", False, True), ("reddet", True, False)],
)
async def test_two_connections_that_claim_one_instrument(
    laboratory: Laboratory, policy: str, first_lives: bool, second_lives: bool
) -> None:
    from tests.gateway.conftest import House

    house = House(
        laboratory.database, laboratory.house.folder.parent / f"spool-{policy}", laboratory.house.gateway.catalog
    )
    await house.start(house.line(ikinci=policy))
    first = await Wire.to(house.port)
    await first.ask(ENQ)
    second = await Wire.to(house.port)
    await asyncio.sleep(0.1)

    assert (await alive(first, b"\x04" + ENQ)) is first_lives
    assert (await alive(second, ENQ)) is second_lives
    assert house.book.status.errors >= 1
    assert house.book.status.last_error
    await house.stop()


async def alive(wire: Wire, question: bytes) -> bool:
    try:
        await wire.send(question)
        return await wire.answer(2) == ACK
    except (OSError, TimeoutError):
        return False


async def test_a_strict_line_says_nak_to_a_wrong_checksum(laboratory: Laboratory) -> None:
    wire = await Wire.to(laboratory.ports["genel"])
    await wire.ask(ENQ)
    good = frame(1, b"H|\\^&|||DENEME\r")
    await wire.ask(good[:-4] + b"00\r\n", NAK)
    await wire.ask(good)
    wire.cut()
