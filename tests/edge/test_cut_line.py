"""A district hospital behind a bad line: its analysers go on asking and sending, and everything arrives once."""

from __future__ import annotations

import asyncio
import signal
import urllib.request
from pathlib import Path

import psycopg
import pytest

from api.edge.gateway import EdgeGateway
from benchmarks.laboratory import place_orders
from lis_core.domain.permissions import P
from lis_core.services.gateways import changed_sheets, save_gateway
from lis_core.storage.database import Database, program
from tests.edge.conftest import CentreHouse, Mosquitto, move_line, settings_of, until
from tests.gateway.conftest import ACK, ENQ, EOT, Wire, frames_of, message_records

RESULTS = [("WBC", "6.52", "10*3/uL"), ("HGB", "13.9", "g/dL")]


async def ask(wire: Wire, tube: str) -> str:
    """Ask what a tube needs; the records of the answer."""
    records = [b"H|\\^&|||DENEME|||||||P|LIS2-A2\r", f"Q|1|^{tube}||ALL||||||||O\r".encode(), b"L|1|N\r"]
    await wire.ask(ENQ)
    for one in frames_of(records):
        await wire.ask(one)
    await wire.send(EOT)
    assert await wire.answer() == ENQ
    text = b""
    while True:
        await wire.send(ACK)
        data = await asyncio.wait_for(wire.reader.read(4096), 5)
        if data == EOT:
            return text.decode("latin-1")
        text += data


async def send(wire: Wire, number: str, value: str = "13.9") -> None:
    await wire.ask(ENQ)
    results = [("WBC", "6.52", "10*3/uL"), ("HGB", value, "g/dL")]
    for one in frames_of(message_records(number, results, at=f"202611221015{int(number) % 60:02d}")):
        await wire.ask(one)
    await wire.send(EOT)


def order(lab: Database, count: int = 1, first: int = 40_000_000) -> list[str]:
    return place_orders(lab.url, count, first=first)


@pytest.mark.clause("9.2d")
async def test_work_is_replicated_asked_for_done_and_told(
    lab: Database, edge: EdgeGateway, centre: CentreHouse, line_port: int
) -> None:
    await until(lambda: "genel" in edge.gateway.lines and edge.gateway.lines["genel"].status.listening)
    [number] = order(lab)
    await until(lambda: number in edge.store.by_text)
    wire = await Wire.to(line_port)
    answer = await ask(wire, number)
    assert "WBC" in answer
    assert "HGB" in answer
    assert await centre.value("select length(ayar_ozeti) from gecit") == 64
    running = "select count(*) from istem_tetkik join tetkik_istem using (tetkik_istem_kodu) where numune_numarasi = :n and tetkik_durumu = :s"
    await until(lambda: _is(centre, running, 26, n=number, s="calisiyor"))
    await send(wire, number)
    await until(lambda: _is(centre, running, 2, n=number, s="sonuclandi"))
    await until(lambda: edge.gateway.backlog == 0 and not edge.store.untold)


async def _is(centre: CentreHouse, sql: str, wanted: object, **values: object) -> bool:
    return bool(await centre.value(sql, **values) == wanted)


@pytest.mark.clause("2.8.10b")
async def test_with_the_line_down_a_tube_is_answered_and_results_wait(
    lab: Database, edge: EdgeGateway, centre: CentreHouse, broker: Mosquitto, line_port: int
) -> None:
    numbers = order(lab, 6)
    await until(lambda: all(number in edge.store.by_text for number in numbers))
    await until(lambda: edge.gateway.lines["genel"].status.listening)
    broker.stop(signal.SIGKILL)
    await until(lambda: not edge.link.connected)
    wire = await Wire.to(line_port)
    for number in numbers:
        assert "WBC" in await ask(wire, number)
        await send(wire, number)
        again = await ask(wire, number)
        assert "WBC" not in again  # its result is here already
        assert "RBC" in again
    assert edge.gateway.backlog >= 6
    assert len(edge.store.untold) == 12
    page = await asyncio.to_thread(_page, edge)
    assert "Merkeze ulaşılamıyor" in page
    assert await centre.value("select count(*) from tetkik_sonuc") == 0
    await broker.start()
    await until(lambda: _is(centre, "select count(*) from tetkik_sonuc", 12), 30)
    await until(lambda: edge.gateway.backlog == 0 and not edge.store.untold, 30)
    order_of_arrival = await centre.rows(
        "select numune_numarasi from tetkik_sonuc join istem_tetkik using (istem_tetkik_kodu) "
        "join tetkik_istem using (tetkik_istem_kodu) order by ham_mesaj_kodu, tetkik_sonuc.tetkik_sonuc_kodu"
    )
    assert list(dict.fromkeys(row[0] for row in order_of_arrival)) == numbers
    assert await centre.value("select count(*) from denetim_dogrula()") == 0
    assert "Merkeze bağlı" in await asyncio.to_thread(_page, edge)


def _page(edge: EdgeGateway) -> str:
    with urllib.request.urlopen(f"http://{edge.settings.page}/") as answer:
        return str(answer.read().decode())


async def test_a_gateway_that_starts_with_the_line_down_knows_its_lines_and_its_work(
    lab: Database, broker: Mosquitto, centre: CentreHouse, line_port: int, tmp_path: Path
) -> None:
    await move_line(lab)
    [number] = order(lab)
    first = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await first.start()
    await until(lambda: number in first.store.by_text and "genel" in first.gateway.lines)
    await first.stop()
    broker.stop(signal.SIGKILL)
    second = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await second.start()
    try:
        await until(lambda: second.gateway.lines["genel"].status.listening)
        wire = await Wire.to(line_port)
        assert "WBC" in await ask(wire, number)
        await send(wire, number)
    finally:
        await second.stop()
    await broker.start()
    third = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await third.start()
    try:
        await until(lambda: _is(centre, "select count(*) from tetkik_sonuc", 2), 30)
        await until(lambda: not third.store.untold)
    finally:
        await third.stop()


async def test_what_is_done_or_cancelled_elsewhere_is_not_offered_when_the_gateway_comes_back(
    lab: Database, broker: Mosquitto, centre: CentreHouse, line_port: int, tmp_path: Path
) -> None:
    """The order was finished while the gateway was off: nobody can tell it what is not there any more."""
    await move_line(lab)
    kept, finished = order(lab, 2)
    first = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await first.start()
    await until(lambda: {kept, finished} <= first.store.by_text.keys())
    await first.stop()
    with psycopg.connect(lab.url) as connection:
        connection.execute(
            "update istem_tetkik set tetkik_durumu = 'iptal' where tetkik_istem_kodu = "
            "(select tetkik_istem_kodu from tetkik_istem where numune_numarasi = %s)",
            (finished,),
        )
    await until(lambda: _is(centre, "select count(*) from is_listesi_degisen", 0))
    second = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await second.start()
    try:
        await until(lambda: finished not in second.store.by_text)
        assert kept in second.store.by_text
    finally:
        await second.stop()


async def test_all_is_told_only_when_the_other_core_has_told_what_it_took(lab: Database) -> None:
    """Two cores, one turn: behind the work a gateway is told that everything stands, and it forgets what was not named."""
    await save_gateway(lab, program("deneme", may=(P.INSTRUMENT_MANAGE,)), "ilce")
    [number] = order(lab)

    async def told(*, after_others: bool) -> set[str]:
        async with changed_sheets(lab, after_others=after_others) as sheets:
            return {number for number, _ in sheets}

    async with changed_sheets(lab) as taken:
        assert number in {number for number, _ in taken}
        assert await told(after_others=False) == set(), "nothing left, but not yet told"
        waiting = asyncio.create_task(told(after_others=True))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert await waiting == set()


async def test_a_broker_that_forgot_everything_takes_no_work_from_a_gateway(
    lab: Database, edge: EdgeGateway, centre: CentreHouse, broker: Mosquitto, line_port: int, tmp_path: Path
) -> None:
    """Killed before it wrote down what it was to keep: it proves nothing about what is pending."""
    kept, finished = order(lab, 2)
    await until(lambda: {kept, finished} <= edge.store.by_text.keys())
    await until(lambda: edge.gateway.lines["genel"].status.listening)
    await centre.stop()
    broker.stop(signal.SIGKILL)
    (tmp_path / "broker" / "mosquitto.db").unlink()
    await until(lambda: not edge.link.connected)
    await broker.start()
    await until(lambda: edge.link.connected)
    wire = await Wire.to(line_port)
    assert "WBC" in await ask(wire, kept)
    with psycopg.connect(lab.url) as connection:
        connection.execute(
            "update istem_tetkik set tetkik_durumu = 'iptal' where tetkik_istem_kodu = "
            "(select tetkik_istem_kodu from tetkik_istem where numune_numarasi = %s)",
            (finished,),
        )
    await centre.start()
    await until(lambda: finished not in edge.store.by_text)
    assert kept in edge.store.by_text
