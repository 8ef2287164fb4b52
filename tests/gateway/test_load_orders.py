"""A load list is told to the analyser: positions and tubes go to it, nobody types anything there (9.5.2b)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from drivers.definition import Catalog
from lis_core.services.loading import load_tube, unload
from lis_core.services.orders import PlacedOrder, add_tests, cancel_tests
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from simulators.astm_analyser import AstmAnalyser
from simulators.astm_session import Timing
from simulators.cable import tcp_client
from simulators.models import GENERIC_ASTM
from tests.gateway.conftest import ENQ, House, Wire, frames_of, message_records
from tests.ingest.conftest import Story, message, result


class Bench(Story):
    """A laboratory with an analyser that reads no barcode and takes a work list."""

    def __init__(self, database: Database, house: House, instrument: str) -> None:
        super().__init__(database)
        self.house = house
        self.instrument = instrument
        self.analyser = AstmAnalyser(GENERIC_ASTM, tcp_client("127.0.0.1", house.port), timing=Timing.hurried())

    async def load(self, order: PlacedOrder, place: str = "") -> str:
        """Scan the order's serum tube; returns its barcode."""
        async with self.database.work(await self.actor("teknisyen")) as work:
            return (await load_tube(work, self.instrument, order.specimens[0].barcode, place)).barcode

    async def take(self, place: str | None = None) -> None:
        async with self.database.work(await self.actor("teknisyen")) as work:
            await unload(work, self.instrument, place)

    async def value_of(self, order: PlacedOrder, test: str) -> str:
        [run] = await self.runs(order.number, test)
        return str(run.cihaz_tetkik_sonucu)

    async def orders_told(self, count: int) -> list[str]:
        """What was noted of the orders that the analyser took: a moment after its last acknowledgement."""
        for _ in range(200):
            rows = await self.rows(
                "select islem from denetim where islem in ('yukleme.gonderildi', 'yukleme.eklendi', "
                "'yukleme.geri_alindi') order by sira"
            )
            if len(rows) >= count:
                break
            await asyncio.sleep(0.02)
        return [row.islem.removeprefix("yukleme.") for row in rows]


@pytest.fixture
async def bench(lab: Database, tmp_path: Path, catalog: Catalog) -> AsyncIterator[Bench]:
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(house.line(yukleme_gonder=True))
    code = await house.value(
        "select cihaz_kisa_kodu from cihaz join baglanti using (cihaz_kodu) where baglanti_adi = 'genel'"
    )
    made = Bench(lab, house, code)
    yield made
    await made.analyser.disconnect()
    await house.stop()


@pytest.mark.clause("9.5.2b")
async def test_tubes_of_a_load_list_are_run_and_nobody_types_at_the_analyser(bench: Bench) -> None:
    first, second, third = [await bench.order(tests) for tests in (["GLU"], ["GLU", "K"], ["NA"])]
    async with bench.analyser as analyser:
        tubes = [await bench.load(order) for order in (first, second, third)]
        told = await analyser.takes_orders(3)

        assert [(one.position, one.specimen, one.action, set(one.codes)) for one in told] == [
            ("1", tubes[0], "N", {"GLU"}),
            ("2", tubes[1], "N", {"GLU", "K"}),
            ("3", tubes[2], "N", {"NA"}),
        ]
        reports = [await analyser.runs_place(place) for place in ("3", "1", "2")]
        await bench.house.settled()
        assert analyser.surprises == []

    measured = {(one.specimen, one.code): one.result.value for report in reports if report for one in report.results}
    assert len(set(measured.values())) == 4, "the values must tell the tubes apart"
    for order, tube, tests in zip((first, second, third), tubes, (["GLU"], ["GLU", "K"], ["NA"]), strict=True):
        for test in tests:
            assert await bench.value_of(order, test) == measured[tube, test]
    assert await bench.value("select count(*) from eslesmeyen_sonuc") == 0
    assert await bench.orders_told(3) == ["gonderildi"] * 3


async def test_what_is_ordered_later_is_added_and_what_nobody_wants_any_more_is_taken_back(bench: Bench) -> None:
    order, other = await bench.order(["GLU", "K"]), await bench.order(["NA"])
    async with bench.analyser as analyser:
        tube, gone = await bench.load(order, "R7-1"), await bench.load(other, "R7-2")
        await analyser.takes_orders(2)

        async with bench.database.work(await bench.actor("hekim")) as work:
            await add_tests(work, order.number, ["UREA"])
        [added] = await analyser.takes_orders(1)
        assert (added.specimen, added.rack, added.action, added.codes) == (tube, "R7", "A", ("UREA",))
        assert await bench.state(order.number, "UREA") == "calisiyor"

        async with bench.database.work(await bench.actor("teknisyen")) as work:
            await cancel_tests(work, order.number, ["K"], "yanlış istem")
        [back] = await analyser.takes_orders(1)
        assert (back.specimen, back.rack, back.position, back.action, back.codes) == (tube, "R7", "1", "C", ("K",))

        await bench.arrive(message(result(order.number, "418", "31", "mg/dL"), line="biyokimya"))
        [back] = await analyser.takes_orders(1)  # measured elsewhere meanwhile
        assert (back.specimen, back.action, back.codes) == (tube, "C", ("UREA",))

        report = await analyser.runs_place("1", "R7")
        await bench.house.settled()
        assert report is not None and {one.code for one in report.results} == {"GLU"}

        await bench.take()  # the measured tube and the one that was not
        [back] = await analyser.takes_orders(1)
        assert (back.specimen, back.action) == (gone, "C")
        assert await analyser.runs_place("2", "R7") is None
    told = ["gonderildi", "gonderildi", "eklendi", "geri_alindi", "geri_alindi", "geri_alindi"]
    assert await bench.orders_told(6) == told


async def test_what_was_not_acknowledged_is_sent_whole_on_the_next_connection(bench: Bench) -> None:
    tube = await bench.load(await bench.order(["GLU"]))
    wire = await Wire.to(bench.house.port)
    assert await wire.answer() == ENQ
    wire.cut()
    async with bench.analyser as analyser:
        [one] = await analyser.takes_orders(1)
    assert (one.specimen, one.codes) == (tube, ("GLU",))
    assert await bench.orders_told(1) == ["gonderildi"]


@pytest.mark.clause("2.8.9")
@pytest.mark.clause("2.8.9b")
async def test_one_way_and_two_way_with_and_without_barcode_into_one_order(bench: Bench) -> None:
    """Four analysers of the four kinds, one number; a running number is all that the last of them knows."""
    order = await bench.order(["GLU", "K", "NA", "UREA"])
    tube = order.specimens[0].barcode
    async with bench.analyser as analyser:
        await one_way(bench.house, tube, "GLU", "91")
        await bench.house.settled()
        assert set((await analyser.asks(tube))[tube].codes) == {"K", "NA", "UREA"}
        await analyser.reports(tube, K="4.1 mmol/L")
        await bench.house.settled()

        await bench.load(order)
        [told] = await analyser.takes_orders(1)
        assert (told.specimen, told.position, set(told.codes)) == (tube, "1", {"NA", "UREA"})
        await analyser.reports(told.specimen, NA="139 mmol/L")
        await one_way(bench.house, "001", "UREA", "30")
        await bench.house.settled()
    values = {test: await bench.value_of(order, test) for test in ("GLU", "K", "NA", "UREA")}
    assert values == {"GLU": "91", "K": "4.1", "NA": "139", "UREA": "30"}


async def one_way(house: House, specimen: str, test: str, value: str) -> None:
    """An analyser that only sends: it connects, reports and hangs up."""
    wire = await Wire.to(house.port)
    now = datetime.now(ISTANBUL).strftime("%Y%m%d%H%M%S")
    await wire.session(*frames_of(message_records(specimen, [(test, value, "")], now)))
    wire.close()
    while len(house.book.sessions) > 1:
        await asyncio.sleep(0.01)
