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
from lis_core.services.gateways import save_gateway, telling
from lis_core.storage.database import Database, program
from tests.edge.conftest import CentreHouse, Mosquitto, move_line, settings_of, until
from tests.gateway.conftest import ACK, ENQ, EOT, Wire, frames_of, free_port, message_records, reachable

RESULTS = [("WBC", "6.52", "10*3/uL"), ("HGB", "13.9", "g/dL")]


async def ask(wire: Wire, tube: str, last: str = "") -> str:
    """Ask what a tube needs, or every tube from this one to the last; the records of the answer."""
    until = f"^{last}" if last else ""
    records = [b"H|\\^&|||DENEME|||||||P|LIS2-A2\r", f"Q|1|^{tube}|{until}|ALL||||||||O\r".encode(), b"L|1|N\r"]
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
    ranged = order(lab, 3, first=40_000_100)
    await until(lambda: all(number in edge.store.by_text for number in numbers + ranged))
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
    answer = await ask(wire, ranged[0], ranged[1])
    assert [line.split("|")[2] for line in answer.split("\r") if "O|" in line] == ranged[:2], "a range, not its first"
    assert edge.gateway.backlog >= 6
    assert len(edge.store.untold) == 13
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


async def test_one_core_tells_at_a_time_and_what_it_could_not_tell_comes_again(lab: Database) -> None:
    """Two cores, one turn; and the stamp of what was told grows, whatever the clock says."""
    await save_gateway(lab, program("deneme", may=(P.INSTRUMENT_MANAGE,)), "ilce")
    [number] = order(lab)

    async def stamp_of_the_next() -> int:
        async with telling(lab, wait=True) as turn:
            assert turn is not None
            return turn.stamp

    with pytest.raises(ConnectionError):
        async with telling(lab) as turn:
            assert turn is not None
            assert number in {number for number, _ in await turn.changed()}
            raise ConnectionError("the broker is gone")
    async with telling(lab) as turn:
        assert turn is not None
        before = turn.stamp
        assert number in {number for number, _ in await turn.changed()}, "told again"
        assert turn.whole
        assert turn.stamp > before
        async with telling(lab) as other:
            assert other is None, "another one is telling"
        waiting = asyncio.create_task(stamp_of_the_next())
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert await waiting == turn.stamp
    with psycopg.connect(lab.url) as connection:
        connection.execute("update parametre set deger = jsonb_build_object('sira', 2000000000000000000) "
                           "where ad = 'is_listesi_sirasi'")  # fmt: skip
    order(lab, first=40_000_100)
    async with telling(lab) as turn:
        assert turn is not None
        assert await turn.changed()
        assert turn.stamp == 2_000_000_000_000_000_001


async def test_a_broker_that_forgot_everything_takes_no_work_from_a_gateway(
    lab: Database,
    edge: EdgeGateway,
    centre: CentreHouse,
    broker: Mosquitto,
    line_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before it wrote down what it was to keep: it proves nothing about what is pending."""
    kept, finished = order(lab, 2)
    await until(lambda: {kept, finished} <= edge.store.by_text.keys())
    await until(lambda: edge.gateway.lines["genel"].status.listening)
    await centre.stop()
    broker.stop(signal.SIGKILL)
    for written in (tmp_path / "broker").glob("mosquitto.db*"):  # none, if it was killed before it wrote the first
        written.unlink()
    await until(lambda: not edge.link.connected)
    await broker.start()
    await until(lambda: edge.link.connected)
    wire = await Wire.to(line_port)
    assert "WBC" in await ask(wire, kept)
    assert edge.status().problem == ""
    monkeypatch.setattr("api.edge.link.DOUBT_SECONDS", 0.0)
    assert "bütününü bildirdiğini söylemedi" in edge.status().problem
    assert "bütününü bildirdiğini söylemedi" in await asyncio.to_thread(_page, edge)
    with psycopg.connect(lab.url) as connection:
        connection.execute(
            "update istem_tetkik set tetkik_durumu = 'iptal' where tetkik_istem_kodu = "
            "(select tetkik_istem_kodu from tetkik_istem where numune_numarasi = %s)",
            (finished,),
        )
    await centre.start()
    await until(lambda: finished not in edge.store.by_text)
    assert kept in edge.store.by_text
    await until(lambda: edge.status().problem == "")


async def test_a_broker_that_came_back_with_an_old_memory_takes_and_brings_back_nothing(
    lab: Database, centre: CentreHouse, broker: Mosquitto, line_port: int, tmp_path: Path
) -> None:
    """A broker writes its memory down now and then (Mosquitto: every half hour) and comes back with that one after a
    kill: work that was told since is not in it, cancelled work is, and lines stand there as they were."""
    memory = tmp_path / "broker" / "mosquitto.db"
    await move_line(lab)
    edge = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await edge.start()
    [cancelled] = order(lab)
    await until(lambda: cancelled in edge.store.by_text)
    await until(lambda: edge.gateway.lines["genel"].status.listening)
    broker.stop(signal.SIGTERM)
    old = memory.read_bytes()
    await broker.start()
    await until(lambda: edge.link.connected)

    [told] = order(lab, first=40_000_100)
    cancel = (
        "update istem_tetkik set tetkik_durumu = 'iptal' where tetkik_istem_kodu = "
        "(select tetkik_istem_kodu from tetkik_istem where numune_numarasi = %s)"
    )
    port = free_port()
    with psycopg.connect(lab.url) as connection:
        connection.execute(cancel, (cancelled,))
        connection.execute("update baglanti set adres = %s where baglanti_adi = 'genel'", (f"127.0.0.1:{port}",))
    await until(lambda: told in edge.store.by_text and cancelled not in edge.store.by_text)
    await until(lambda: reachable(port))

    await centre.stop()
    broker.stop(signal.SIGKILL)
    memory.write_bytes(old)
    await until(lambda: not edge.link.connected)
    await broker.start()
    await until(lambda: edge.link.connected)
    wire = await Wire.to(port)
    await asyncio.sleep(1)  # all that the broker remembers has come
    assert "WBC" in await ask(wire, told)
    assert "WBC" not in await ask(wire, cancelled)

    await centre.start()
    await until(lambda: _is(centre, "select count(*) from is_listesi_degisen", 0))
    await until(lambda: edge.link.settled)
    assert told in edge.store.by_text
    assert cancelled not in edge.store.by_text
    assert "HGB" in await ask(wire, told), "the line was never closed"

    # a gateway that remembers nothing finds what is true now
    await edge.stop()
    fresh = EdgeGateway(settings_of(broker.url, tmp_path / "yeni"))
    await fresh.start()
    try:
        await until(lambda: fresh.link.settled)
        assert told in fresh.store.by_text
        assert cancelled not in fresh.store.by_text
        assert fresh.gateway.lines["genel"].spec.address == f"127.0.0.1:{port}"
    finally:
        await fresh.stop()
