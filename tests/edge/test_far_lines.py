"""Lines of a gateway far away, seen and used from the centre: LAW work step by step, live bytes, trials, history."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from api.edge.gateway import EdgeGateway
from api.edge.remote_desk import WAIT
from benchmarks.laboratory import place_orders
from lis_core.domain.permissions import P
from lis_core.services.gateways import save_gateway
from lis_core.services.line_watch import ask_trial, watch
from lis_core.storage.database import Database, program
from simulators.law_station import LawResult, LawStation, obx
from tests.edge.conftest import GATEWAY, CentreHouse, Mosquitto, move_line, settings_of, until
from tests.gateway.conftest import ENQ, Wire, free_port
from tests.law.conftest import LawLab, fields

QUICK = '{"yanit_saniye": 2.0, "tekrar_saniyeler": [0.2, 0.3], "yoklama_saniye": 0.1, "is_hatti": "law-is"}'


@pytest.fixture
async def station(lab: Database) -> AsyncIterator[LawStation]:
    """A LAW analyser with two connections, whose lines stand at the gateway."""
    made = LawStation(free_port())
    listening = await made.listen()
    with psycopg.connect(lab.url, autocommit=True) as connection:
        connection.execute(
            "insert into cihaz (cihaz_kisa_kodu, cihaz_adi, tanim) values ('law', 'law', 'generic-law') "
            "on conflict (cihaz_kisa_kodu) do nothing"
        )
        for name, kind, port in (("law-is", "tcp-istemci", listening), ("law", "tcp-sunucu", made.manager)):
            connection.execute(
                "insert into baglanti (baglanti_adi, cihaz_kodu, baglanti_turu, protokol, adres, ayarlar, gecit_kodu) "
                "select %s, cihaz_kodu, %s, 'hl7', %s, %s, (select gecit_kodu from gecit where gecit_adi = %s) from cihaz "
                "where cihaz_kisa_kodu = 'law' on conflict (baglanti_adi) do update set adres = excluded.adres, "
                "ayarlar = excluded.ayarlar, gecit_kodu = excluded.gecit_kodu, baglanti_turu = excluded.baglanti_turu",
                (name, kind, f"127.0.0.1:{port}", QUICK, GATEWAY),
            )
    yield made
    await made.stop()


@pytest.fixture
async def far(
    lab: Database, broker: Mosquitto, centre: CentreHouse, line_port: int, tmp_path: Path
) -> AsyncIterator[EdgeGateway]:
    await move_line(lab)
    made = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await made.start()
    yield made
    await made.stop()


async def test_a_law_analyser_far_away_is_given_work_step_by_step_and_a_cut_line_loses_no_answer(
    lab: Database, far: EdgeGateway, station: LawStation, centre: CentreHouse, broker: Mosquitto, tmp_path: Path
) -> None:
    laboratory = LawLab(lab, tmp_path / "bos", far.gateway.catalog)
    tube, later, cut, *silent = [await laboratory.tube("GLU") for _ in range(5)]
    await until(lambda: "law" in far.gateway.lines and far.gateway.lines["law"].status.listening)
    await until(lambda: "law-is" in far.gateway.lines and far.gateway.lines["law-is"].status.peers == 1)
    await station.start()

    await station.ask(tube)
    await laboratory.until_step("GLU", "kabul")
    number = await laboratory.awos("GLU")
    assert fields(station.orders()[-1], "OBR", 2) == [number]
    report = [LawResult("GLU", [obx(1, "NM", "GLU", "5.40", "mg/dL^^UCUM")], awos=number)]
    await station.report(station.result_lines(tube, report))
    await laboratory.until_step("GLU", "tamam")
    assert [row.test for row in await laboratory.results(tube)] == ["GLU"]

    # the line is cut after the work was given and before it is answered
    station.arm("no_orl")
    before = len(station.orders())
    await station.ask(later)
    await station.until(lambda: len(station.orders()) > before)
    broker.stop(signal.SIGKILL)
    await until(lambda: not far.link.connected)
    await station.until(lambda: len(station.orders()) > before + 1)  # sent again, and now answered
    await until(lambda: len(far.store.news) >= 1)
    held = await laboratory.awos("GLU")
    assert station.steps[held] == "accepted"

    # asked for another tube while the line is down: work from the copy, under no step
    before = len(station.orders())
    await station.ask(cut)
    await station.until(lambda: len(station.orders()) > before)
    [reference] = fields(station.orders()[-1], "OBR", 2)
    assert reference.startswith("N")
    report = [LawResult("GLU", [obx(1, "NM", "GLU", "6.10", "mg/dL^^UCUM")], awos=reference)]
    await station.report(station.result_lines(cut, report))

    await broker.start()
    await laboratory.until_step("GLU", "kabul", seconds=30)
    assert await laboratory.awos("GLU") == held, "one step, answered once"
    await until(lambda: not far.store.news and not far.store.untold and far.gateway.backlog == 0, 30)
    assert [str(row.tetkik_sonucu) for row in await laboratory.results(cut)] == ["6.10"]
    assert await centre.value("select count(*) from is_adimi") == 2

    # the broker is there and no core behind it: asked once in vain, then not again for a while
    await _asked_while_no_core_is_there(station, far, centre, silent)


async def test_with_no_core_behind_the_broker_the_first_question_waits_and_the_next_ones_do_not(
    lab: Database, far: EdgeGateway, station: LawStation, centre: CentreHouse, tmp_path: Path
) -> None:
    """Asked once in vain, then not again for a while: work comes from the copy, under no step."""
    laboratory = LawLab(lab, tmp_path / "bos", far.gateway.catalog)
    silent = [await laboratory.tube("GLU") for _ in range(2)]
    await until(lambda: "law" in far.gateway.lines and far.gateway.lines["law"].status.listening)
    await until(lambda: "law-is" in far.gateway.lines and far.gateway.lines["law-is"].status.peers == 1)
    await station.start()
    await until(lambda: all(number in far.store.by_text for number in silent))
    await _asked_while_no_core_is_there(station, far, centre, silent)


async def _asked_while_no_core_is_there(
    station: LawStation, far: EdgeGateway, centre: CentreHouse, silent: list[str]
) -> None:
    await centre.stop()
    for number in silent:
        assert number in far.store.by_text
        before, began = len(station.orders()), asyncio.get_running_loop().time()
        await station.ask(number)
        await station.until(lambda: len(station.orders()) > before)  # noqa: B023 - waited for in the same turn
        assert fields(station.orders()[-1], "OBR", 2)[0].startswith("N")
    assert asyncio.get_running_loop().time() - began < WAIT, "the second one waited for nobody"
    await centre.start()
    await until(lambda: not far.store.untold, 30)
    assert await centre.value("select count(*) from eslesmeyen_sonuc") == 0


async def test_bytes_history_and_trials_of_a_line_far_away_are_seen_at_the_centre(
    lab: Database, far: EdgeGateway, centre: CentreHouse, line_port: int
) -> None:
    await until(lambda: "genel" in far.gateway.lines and far.gateway.lines["genel"].status.listening)
    line = int(await centre.value("select baglanti_kodu from baglanti where baglanti_adi = 'genel'"))
    assert far.gateway.lines["genel"].taps == ()
    async with lab.work(program("deneme")) as work:
        await watch(work, line)
    await until(lambda: far.gateway.lines["genel"].taps != ())
    wire = await Wire.to(line_port)
    await wire.ask(ENQ)
    await until(lambda: centre.value("select count(*) = 2 from baglanti_trafigi where icerik in ('\\x05', '\\x06')"))
    await until(lambda: centre.value("select count(*) > 0 from baglanti_olayi where cumle like '%bağlandı%'"))

    port = free_port()
    await until(lambda: centre.value("select son_gorulme is not null from gecit"))
    async with lab.work(program("deneme")) as work:
        number = await ask_trial(
            work, name="", kind="tcp-sunucu", protocol="astm", address=f"127.0.0.1:{port}", settings={}, seconds=10,
            gateway=GATEWAY,
        )  # fmt: skip
    steps = "select adimlar::text from baglanti_denemesi where baglanti_denemesi_kodu = :id"
    await until(lambda: _says(centre, steps, "Açıldı", number))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ENQ)
    await until(lambda: _says(centre, steps, "ENQ", number))
    await until(lambda: centre.value("select sonuc = 'iyi' from baglanti_denemesi"))
    writer.close()
    async with lab.work(program("deneme")) as work:
        await work.session.execute(text("delete from baglanti_izleme"))  # the screen is closed
    await until(lambda: far.gateway.lines["genel"].taps == ())

    [number] = place_orders(lab.url, 1, first=41_000_000)
    await until(lambda: number in far.store.by_text)
    chief = program("deneme", may=(P.INSTRUMENT_MANAGE,))
    await save_gateway(lab, chief, GATEWAY, active=False)
    await until(lambda: not far.gateway.lines["genel"].status.listening)
    await save_gateway(lab, chief, GATEWAY, active=True)
    await until(lambda: far.gateway.lines["genel"].status.listening)
    await until(lambda: number in far.store.by_text)


async def _says(centre: CentreHouse, sql: str, words: str, number: int) -> bool:
    return words in str(await centre.value(sql, id=number))
