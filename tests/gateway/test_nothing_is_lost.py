"""Acknowledged means durable, and what a peer repeats is applied once (invariant 1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.laboratory import place_orders
from drivers.definition import Catalog
from lis_core.storage.database import Database
from tests.gateway.conftest import ACK, ENQ, EOT, House, Wire, frames_of, message_records

RESULTS = [("WBC", "6.52", "10*3/uL"), ("HGB", "13.9", "g/dL")]
ONCE = (
    "select numune_numarasi, count(*) as sonuc, count(distinct s.istem_tetkik_kodu) as tetkik from tetkik_sonuc s "
    "join istem_tetkik using (istem_tetkik_kodu) join tetkik_istem using (tetkik_istem_kodu) group by 1"
)


async def cut_at(house: House, number: str, position: int, *, together: bool) -> Wire:
    """Send a session, wait for every answer, and cut the line after `position` bytes."""
    wire = await Wire.to(house.port)
    left = position
    for step in [ENQ, *frames_of(message_records(number, RESULTS), together=together), EOT]:
        if left < len(step):
            await wire.send(step[:left])
            await asyncio.sleep(0)
            wire.cut()
            return wire
        left -= len(step)
        if step == EOT:
            await wire.send(step)
        else:
            await wire.ask(step)
    wire.cut()
    return wire


@pytest.mark.parametrize("together", [False, True], ids=["a frame a record", "one frame"])
async def test_a_session_cut_at_every_byte_and_sent_again(house: House, together: bool) -> None:
    """Whatever the byte at which the line breaks: the analyser sends the message again, and it is there once."""
    steps = [ENQ, *frames_of(message_records("40000000", RESULTS), together=together), EOT]
    length = sum(map(len, steps))
    numbers = place_orders(house.database.url, length + 1)
    gate = asyncio.Semaphore(20)

    async def story(position: int) -> Wire:
        async with gate:
            cut = await cut_at(house, numbers[position], position, together=together)
            wire = await Wire.to(house.port)
            await wire.session(*frames_of(message_records(numbers[position], RESULTS), together=together))
            wire.close()
            return cut

    cuts = await asyncio.gather(*(story(position) for position in range(length + 1)))
    await house.settled()

    rows = {row.numune_numarasi: (row.sonuc, row.tetkik) for row in await house.rows(ONCE)}
    assert [number for number in numbers if rows.get(number) != (2, 2)] == []
    assert await house.value("select count(*) from eslesmeyen_sonuc") == 0
    kept = b"".join(
        bytes(row.icerik) for row in await house.rows("select icerik from ham_mesaj order by ham_mesaj_kodu")
    )
    for wire in cuts:
        for acknowledged in wire.acknowledged:
            assert acknowledged.rstrip(b"\r\n") in kept, "an acknowledged frame is nowhere"


async def test_a_cut_session_that_never_comes_again_is_shown_to_a_person(house: House) -> None:
    [number] = place_orders(house.database.url, 1)
    frames = frames_of(message_records(number, RESULTS))
    wire = await Wire.to(house.port)
    await wire.ask(ENQ)
    for one in frames[:4]:  # H, P, O and the first result are acknowledged
        await wire.ask(one)
    wire.cut()
    await asyncio.sleep(0.2)
    await house.settled()

    [row] = await house.rows("select durum, sorun, icerik from ham_mesaj")
    assert row.durum == "yarim"
    assert "yarıda" in row.sorun
    assert bytes(row.icerik) == b"".join(one.rstrip(b"\r\n") for one in frames[:4])
    assert await house.value("select count(*) from tetkik_sonuc") == 0


async def test_what_was_acknowledged_before_the_process_died_arrives_after_it(
    lab: Database, tmp_path: Path, catalog: Catalog
) -> None:
    """The core never got the message: the spool hands it over at the next start, under the same key."""
    [number] = place_orders(lab.url, 1)
    first = House(lab, tmp_path / "spool", catalog)
    await first.gateway.start_lines([first.line()])  # no ingest: nothing reaches the database
    wire = await Wire.to(first.port)
    await wire.session(*frames_of(message_records(number, RESULTS)))
    await asyncio.sleep(0.1)
    await first.gateway.stop()
    assert await first.value("select count(*) from ham_mesaj") == 0

    second = House(lab, tmp_path / "spool", catalog)
    await second.start()
    await second.settled()
    rows = await second.rows(ONCE)
    assert [(row.sonuc, row.tetkik) for row in rows] == [(2, 2)]
    await second.stop()

    third = House(lab, tmp_path / "spool", catalog)
    await third.start()
    await third.settled()
    assert await third.value("select count(*) from ham_mesaj") == 1
    await third.stop()


async def test_a_full_disk_is_no_acknowledgement(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame is refused, the line shows why, and the same frame is taken once there is room."""
    import errno
    import os

    [number] = place_orders(house.database.url, 1)
    frames = frames_of(message_records(number, RESULTS))
    wire = await Wire.to(house.port)
    await wire.ask(ENQ)
    real = os.pwritev

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("drivers.gateway.spool.os.pwritev", full)
    await wire.ask(frames[0], b"\x15")
    assert "Diske yazılamadı" in house.book.status.last_error
    monkeypatch.setattr("drivers.gateway.spool.os.pwritev", real)
    for one in frames:
        await wire.ask(one)
    await wire.send(EOT)
    await house.settled()
    assert [(row.sonuc, row.tetkik) for row in await house.rows(ONCE)] == [(2, 2)]


async def test_the_answer_waits_for_the_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ACK while the flush is under way; the ACK comes when it is done."""
    import os
    import threading

    gate = threading.Event()
    real = os.pwritev

    def slow(file: int, data: list[bytes], offset: int, flags: int) -> int:
        assert flags == os.RWF_DSYNC  # written and flushed before it returns
        gate.wait(5)
        return real(file, data, offset, flags)

    wire = await Wire.to(house.port)
    await wire.ask(ENQ)
    monkeypatch.setattr("drivers.gateway.spool.os.pwritev", slow)
    await wire.send(frames_of(message_records("1", RESULTS))[0])
    with pytest.raises(TimeoutError):
        await wire.answer(0.3)
    gate.set()
    assert await wire.answer() == ACK


async def test_a_lost_acknowledgement_does_not_double(house: House) -> None:
    """The analyser did not hear our ACK and repeats the frame, in the middle and at the end."""
    [number] = place_orders(house.database.url, 1)
    wire = await Wire.to(house.port)
    await wire.ask(ENQ)
    for one in frames_of(message_records(number, RESULTS)):
        await wire.ask(one)
        await wire.ask(one)
    await wire.send(EOT)
    await house.settled()
    assert [(row.sonuc, row.tetkik) for row in await house.rows(ONCE)] == [(2, 2)]
    assert await house.value("select count(*) from ham_mesaj") == 1


async def test_two_peers_that_call_at_the_same_moment_are_never_mixed(
    lab: Database, tmp_path: Path, catalog: Catalog
) -> None:
    """Their frames lie interleaved in the spool; after a restart each message is its own again."""
    numbers = place_orders(lab.url, 2)
    first = House(lab, tmp_path / "spool", catalog)
    await first.gateway.start_lines([first.line()])
    wires = [await Wire.to(first.port) for _ in numbers]
    for wire in wires:
        await wire.ask(ENQ)
    for pair in zip(*(frames_of(message_records(number, RESULTS)) for number in numbers), strict=True):
        for wire, one in zip(wires, pair, strict=True):
            await wire.ask(one)
    await first.gateway.stop()

    second = House(lab, tmp_path / "spool", catalog)
    await second.start()
    await second.settled()
    assert sorted((row.numune_numarasi, row.sonuc, row.tetkik) for row in await second.rows(ONCE)) == [
        (number, 2, 2) for number in numbers
    ]
    await second.stop()


async def test_an_analyser_that_says_eot_every_few_seconds_is_no_trouble(house: House) -> None:
    """The heartbeat of some analysers: it is answered by nothing, and nobody is told of a fault."""
    [number] = place_orders(house.database.url, 1)
    wire = await Wire.to(house.port)
    await wire.send(EOT + EOT)
    await wire.session(*frames_of(message_records(number, RESULTS)))
    await wire.send(EOT + b"?")
    await house.settled()
    assert [(row.sonuc, row.tetkik) for row in await house.rows(ONCE)] == [(2, 2)]
    while not house.book.status.errors:
        await asyncio.sleep(0.01)
    assert house.book.status.errors == 1 and "Anlamsız" in house.book.status.last_error  # the question mark
