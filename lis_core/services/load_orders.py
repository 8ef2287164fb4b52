"""Orders that are sent, unasked, for the tubes of a load list: what an analyser should hold against what it has taken.

Nothing is queued. Each look compares the two, so a dead process, a cut line or a refused transfer leaves nothing
undone and nothing twice: what was not acknowledged is found again by the next look. A test that is ordered later goes
as an addition, one that is cancelled or whose tube was taken away is taken back where the model can be told so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg

from drivers.messages import PushedOrder, Query, WorkOrder, WorkTest
from lis_core.domain.offering import Sheet, SheetTest, offer
from lis_core.services.catalog import CatalogInstrument, CodeMapping, catalog
from lis_core.services.loading import query_of
from lis_core.services.routing import NO_FLUSH, PENDING_STATES, ROUTER, read_sheets, record_given
from lis_core.storage.database import Database, Work

LOOK_AGAIN = 30.0
"""Seconds after which a test that was not to be offered is looked at again (another analyser had it reserved)."""

_MISSING = """
select y.cihaz_yukleme_kodu, y.konum, y.barkod,
       array_agg(t.istem_tetkik_kodu || '.' || t.surum order by t.istem_tetkik_kodu)
from cihaz_yukleme y
join barkod_kayit b using (barkod)
join istem_tetkik t using (tetkik_istem_kodu)
where y.cihaz_kodu = %s and y.kaldirma_zamani is null and t.tetkik_durumu = any(%s) and t.tetkik_kodu = any(%s)
  and not exists (select from cihaz_yukleme_is g where g.cihaz_yukleme_kodu = y.cihaz_yukleme_kodu
      and g.istem_tetkik_kodu = t.istem_tetkik_kodu and g.geri_alma_zamani is null and g.kosu_sayisi = t.kosu_sayisi)
group by y.cihaz_yukleme_kodu order by y.cihaz_yukleme_kodu
"""
_HELD = """
select cihaz_yukleme_kodu, istem_tetkik_kodu from cihaz_yukleme_is g join istem_tetkik t using (istem_tetkik_kodu)
where cihaz_yukleme_kodu = any(%s) and geri_alma_zamani is null and g.kosu_sayisi = t.kosu_sayisi
"""
_UNWANTED = """
select y.cihaz_yukleme_kodu, y.konum, y.barkod, g.cihaza_giden_test_kodu, array_agg(g.istem_tetkik_kodu)
from cihaz_yukleme y
join cihaz_yukleme_is g using (cihaz_yukleme_kodu)
join istem_tetkik t using (istem_tetkik_kodu)
where y.cihaz_kodu = %s and (y.kaldirma_zamani is null or y.kaldirma_zamani > now() - interval '1 day')
  and g.geri_alma_zamani is null
group by y.cihaz_yukleme_kodu, g.cihaza_giden_test_kodu
having bool_and(t.tetkik_durumu in ('iptal', 'ret') or (y.kaldirma_zamani is not null and t.tetkik_durumu = any(%s)
                and t.kosu_sayisi = g.kosu_sayisi)
                or (t.tetkik_durumu in ('sonuclandi', 'teknik_onayli', 'klinik_onayli') and not exists (
                    select from tetkik_sonuc s where s.istem_tetkik_kodu = t.istem_tetkik_kodu
                    and s.cihaz_kodu = y.cihaz_kodu and s.sonuc_zamani >= y.yukleme_zamani)))
order by y.cihaz_yukleme_kodu
"""
_TAKEN = """
insert into cihaz_yukleme_is (cihaz_yukleme_kodu, istem_tetkik_kodu, cihaza_giden_test_kodu, kosu_sayisi)
select %s, t.istem_tetkik_kodu, v.kod, t.kosu_sayisi - (t.tetkik_durumu <> all(%s))::int
from unnest(%s::bigint[], %s::text[]) as v(tetkik, kod) join istem_tetkik t on t.istem_tetkik_kodu = v.tetkik
on conflict (cihaz_yukleme_kodu, istem_tetkik_kodu) do update
set verilme_zamani = now(), geri_alma_zamani = null, kosu_sayisi = excluded.kosu_sayisi
"""
"""The runs that it had when it was offered: a result may have come before this is written."""
_TAKEN_BACK = """
update cihaz_yukleme_is set geri_alma_zamani = now()
where cihaz_yukleme_kodu = %s and istem_tetkik_kodu = any(%s) and geri_alma_zamani is null
"""


class LoadOrders:
    """One per process; every call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._passed: dict[int, tuple[list[str], float]] = {}
        """By entry of a list: the tests that are not for this tube, and until when nobody need look again."""

    async def to_push(self, line: str, cancels: bool) -> list[PushedOrder]:
        """What the analyser of this line is to be told now, what is to be taken back first. Cheap where there is
        nothing. The tests offered become `running` on it, as by a query."""
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            await raw.execute(NO_FLUSH)
            known = await catalog(work.session)
            instrument = known.instrument_by_line(line)
            if instrument is None or not instrument.active or not instrument.in_service:
                return []
            back = await _unwanted(raw, instrument) if cancels else []
            runs = {one.test_id: one for one in known.mapping(instrument.id).values() if one.outgoing}
            rows = await (await raw.execute(_MISSING, [instrument.id, PENDING_STATES, list(runs)])).fetchall()
            fresh = {row[0]: (row[1], row[2], row[3]) for row in rows if not self._seen(row[0], row[3])}
            if not fresh:
                return back
            return back + await self._offered(work, raw, instrument, runs, fresh)

    async def _offered(
        self,
        work: Work,
        raw: psycopg.AsyncConnection[Any],
        instrument: CatalogInstrument,
        runs: Mapping[int, CodeMapping],
        loads: Mapping[int, tuple[str, str, list[str]]],
    ) -> list[PushedOrder]:
        held: dict[int, set[int]] = {}
        for load, ordered in await (await raw.execute(_HELD, [list(loads)])).fetchall():
            held.setdefault(load, set()).add(ordered)
        _, sheets = await read_sheets(work, raw, [barcode for _, barcode, _ in loads.values()])
        pushed: list[PushedOrder] = []
        for load, (place, barcode, missing) in loads.items():
            query, sheet = query_of(barcode, place), sheets.get(barcode)
            order, given = offer(barcode, sheet, instrument.id, runs, query, work.now)
            wanted = [(ordered, test) for ordered, test in given if ordered.id not in held.get(load, ())]
            if sheet is None or not wanted:
                self._passed[load] = (missing, time.monotonic() + LOOK_AGAIN)
                continue
            new: dict[int, tuple[Sheet, WorkTest]] = {
                ordered.id: (sheet, test) for ordered, test in wanted if ordered.running_on != instrument.id
            }
            if new:
                record_given(work, instrument, query, {barcode: sheet.tubes[barcode]}, new)
            pushed.append(_pushed(load, order, query, wanted, "add" if held.get(load) else "new"))
        return pushed

    def _seen(self, load: int, missing: list[str]) -> bool:
        """Whether just these tests were looked at a moment ago, and are not for this tube."""
        known = self._passed.get(load)
        if known is None:
            return False
        if known[0] == missing and time.monotonic() < known[1]:
            return True
        del self._passed[load]
        return False

    async def pushed(self, line: str, given: PushedOrder) -> None:
        """The analyser has acknowledged the whole message."""
        order = given.order
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            if order.action == "cancel":
                await raw.execute(_TAKEN_BACK, [given.load, list(given.ordered)])
            else:
                await raw.execute(_TAKEN, [given.load, PENDING_STATES, list(given.ordered), list(given.codes)])
            instrument = (await catalog(work.session)).instrument_by_line(line)
            code = instrument.code if instrument is not None else line
            told = {"barkod": order.specimen, "raf": order.rack, "konum": order.position, "kodlar": sorted(given.codes)}
            work.audit(f"yukleme.{_DONE[order.action]}", "cihaz", code, None, told)
            work.tell_screens("specimen", cihaz=code)


_DONE = {"new": "gonderildi", "add": "eklendi", "cancel": "geri_alindi"}


def _pushed(
    load: int, order: WorkOrder, query: Query, wanted: list[tuple[SheetTest, WorkTest]], action: str
) -> PushedOrder:
    tests = {test.code: test for _, test in wanted}
    placed = msgspec.structs.replace(
        order, tests=tuple(tests.values()), rack=query.rack or "", position=query.position or "", action=action
    )
    return PushedOrder(
        order=placed,
        load=load,
        ordered=tuple(ordered.id for ordered, _ in wanted),
        codes=tuple(test.code for _, test in wanted),
    )


async def _unwanted(raw: psycopg.AsyncConnection[Any], instrument: CatalogInstrument) -> list[PushedOrder]:
    """What the analyser was given and shall forget: cancelled, done elsewhere, or its tube was taken away first."""
    found: list[PushedOrder] = []
    for load, place, barcode, code, ordered in await (
        await raw.execute(_UNWANTED, [instrument.id, PENDING_STATES])
    ).fetchall():
        query = query_of(barcode, place)
        order = WorkOrder(
            specimen=barcode,
            known=True,
            tests=(WorkTest(code=code, action="CA"),),
            rack=query.rack or "",
            position=query.position or "",
            action="cancel",
        )
        found.append(PushedOrder(order=order, load=load, ordered=tuple(ordered), codes=(code,) * len(ordered)))
    return found
