"""Host query and routing: what an analyser that holds a tube is to run (INTRO.22-27, 9.2c, 9.2d; invariant 8).

An analyser is offered every pending test of the order that it can run on the material in its hands, whichever tube
the test was meant for, and nothing else. The number alone, without a tube code, stands for any tube of the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import psycopg

from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from lis_core.domain.offering import MOST_AT_ONCE, Sheet, SheetTest, SheetTube, offer
from lis_core.domain.permissions import P
from lis_core.domain.states import PENDING, Priority, TubeState
from lis_core.services.catalog import CATALOG_VERSION, Catalog, CatalogInstrument, catalog_of
from lis_core.services.courtesy import queries
from lis_core.services.sql import PLAN_ONCE
from lis_core.storage.database import Database, Work, program

NO_FLUSH = "set local synchronous_commit = off"
"""An answer waits for no disk. What a power cut in the same instant takes back is the note that a test was offered and
its audit row; it is offered again then, and a result binds with or without the note (decision 0111)."""
ROUTER = program("yönlendirme", chain="yonlendirme", may=(P.ORDER_VIEW, P.SPECIMEN_VIEW, P.CATALOGUE_VIEW))
ORDERS = """
select b.barkod, i.tetkik_istem_kodu, i.numune_numarasi, i.aciliyet, b.tetkik_numune_kodu, n.numune_turu,
       n.numune_durumu, n.numune_alma_zamani, h.hasta_kodu,
       case when h.gizlilik_numarasi is null then h.ad else 'Hasta' end, coalesce(h.gizlilik_numarasi, h.soyadi),
       h.dogum_tarihi, h.cinsiyet,
       (select array_agg(t.numune_turu) from tetkik_numune t
        where t.tetkik_istem_kodu = i.tetkik_istem_kodu and t.numune_durumu <> 'ret'), n.numune_kabul_zamani
from barkod_kayit b
join tetkik_istem i using (tetkik_istem_kodu)
join hasta h using (hasta_kodu)
left join tetkik_numune n on n.tetkik_numune_kodu = b.tetkik_numune_kodu
where b.barkod = any(%s)
"""

PENDING_TESTS = """
select tetkik_istem_kodu, istem_tetkik_kodu, tetkik_kodu, surum, calisan_cihaz_kodu,
       calisma_baslama_zamani, istenen_cihaz_kodu, zaman_noktasi, tetkik_numune_kodu
from istem_tetkik
where tetkik_istem_kodu in (select tetkik_istem_kodu from barkod_kayit where barkod = any(%s))
  and tetkik_durumu = any(%s)
order by istem_tetkik_kodu
"""

_WAITING = """
select n.barkod, min(case i.aciliyet when 'acil' then 0 when 'oncelikli' then 1 else 2 end),
       min(n.numune_kabul_zamani)
from istem_tetkik t
join tetkik_istem i using (tetkik_istem_kodu)
join tetkik_numune n on n.tetkik_numune_kodu = t.tetkik_numune_kodu
where t.tetkik_durumu = any(%s) and t.tetkik_kodu = any(%s) and n.numune_durumu in ('kabul', 'sartli_kabul')
group by n.barkod order by 2, 3 limit %s
"""

_BETWEEN = """
select distinct b.barkod from barkod_kayit b
join istem_tetkik t using (tetkik_istem_kodu)
left join tetkik_numune n on n.tetkik_numune_kodu = b.tetkik_numune_kodu
where b.barkod between %s and %s and length(b.barkod) = %s and t.tetkik_durumu = any(%s) and t.tetkik_kodu = any(%s)
  and n.numune_durumu is distinct from 'ret'
order by b.barkod limit %s
"""

_GIVEN = """
update istem_tetkik as t
set tetkik_durumu = 'calisiyor', durum_zamani = now(), surum = surum + 1, calisan_cihaz_kodu = %s,
    calisma_baslama_zamani = now()
where istem_tetkik_kodu = any(%s)
"""


_SEEN = """
insert into numune_hareket (tetkik_numune_kodu, islem, islem_zamani, cihaz_kodu, raf, pozisyon)
select tup, 'cihazda', now(), %s, %s, %s from unnest(%s::bigint[]) as tup
"""


PENDING_STATES = [state.value for state in PENDING]


async def answer_query(database: Database, line: str, query: Query) -> list[WorkOrder]:
    """What to answer: one `WorkOrder` for each asked specimen, in the order asked (urgent first for "everything").

    The tests offered become `running` on this instrument in the same transaction.
    """
    with queries.asking():
        return await _answer(database, line, query)


async def _answer(database: Database, line: str, query: Query) -> list[WorkOrder]:
    async with database.work(ROUTER) as work:
        raw = await work.driver()
        known, sheets = await read_sheets(work, raw, query.specimens)
        instrument = known.instrument_by_line(line)
        if instrument is None or not instrument.active or not instrument.in_service:
            why = f"{line} hattının cihazı tanımlı değil." if instrument is None else f"{instrument.name} hizmet dışı."
            return [WorkOrder(specimen=text, known=False, reason=why) for text in query.specimens]
        texts = query.specimens
        if query.everything and not texts:
            texts = await _waiting(raw, known, instrument)
            known, sheets = await read_sheets(work, raw, texts)
        runs = {mapping.test_id: mapping for mapping in known.mapping(instrument.id).values() if mapping.outgoing}
        if query.until and len(texts) == 1:
            texts = await _between(raw, texts[0], query.until, list(runs)) or texts
            known, sheets = await read_sheets(work, raw, texts)
        orders: list[WorkOrder] = []
        given: dict[int, tuple[Sheet, WorkTest]] = {}
        for text in texts:
            sheet = sheets.get(text)
            order, tests = offer(text, sheet, instrument.id, runs, query, work.now)
            orders.append(order)
            given |= {ordered.id: (sheet, test) for ordered, test in tests if sheet is not None}
        if query.until:
            orders = [order for order in orders if order.tests] or orders[:1]
        record_given(
            work, instrument, query, {text: sheets[text].tubes[text] for text in texts if text in sheets}, given
        )
    return orders


async def read_sheets(
    work: Work, raw: psycopg.AsyncConnection[Any], texts: list[str]
) -> tuple[Catalog, dict[str, Sheet]]:
    """All that an answer needs, in one journey: the sheet of each known text. The pending tests are locked."""
    async with raw.pipeline():
        await raw.execute(PLAN_ONCE)
        await raw.execute(NO_FLUSH)
        version = await raw.execute(CATALOG_VERSION)
        found = await raw.execute(ORDERS, [texts])
        pending = await raw.execute(PENDING_TESTS + " for update", [texts, PENDING_STATES])
    row = await version.fetchone()
    known = await catalog_of(work.session, row[0] if row else 0)
    return known, sheets_of(await found.fetchall(), await pending.fetchall(), known)


def sheets_of(
    orders: Iterable[tuple[Any, ...]], pending: Iterable[tuple[Any, ...]], known: Catalog
) -> dict[str, Sheet]:
    """By each text that was read, the sheet of its order; the texts of one order share one sheet."""
    tests: dict[int, list[SheetTest]] = {}
    for row in pending:
        tests.setdefault(row[0], []).append(_sheet_test(row, known))
    sheets: dict[int, Sheet] = {}
    by_text: dict[str, Sheet] = {}
    for row in orders:
        sheet = sheets.get(row[1])
        if sheet is None:
            sheet = sheets[row[1]] = Sheet(
                order_id=row[1],
                number=row[2],
                priority=Priority(row[3]).astm,
                patient=_patient(row[8], row[9], row[10], row[11], row[12]),
                tubes={},
                materials=frozenset(row[13] or ()),
                tests=tests.get(row[1], []),
                received_at=row[14],
            )
        sheet.tubes[row[0]] = SheetTube(row[4], row[5], row[6] == TubeState.REJECTED.value, row[7])
        by_text[row[0]] = sheet
    return by_text


def _sheet_test(row: tuple[Any, ...], known: Catalog) -> SheetTest:
    _, number, test_id, version, running_on, since, wanted, time_point, tube_id = row
    other = known.instrument_by_id.get(running_on or 0)
    reserved = None
    if other is not None and other.in_service and other.reserve_minutes and since is not None:
        reserved = since + timedelta(minutes=other.reserve_minutes)
    name = known.test_by_id[test_id].code
    return SheetTest(number, test_id, name, version, running_on, reserved, wanted, time_point, tube_id)


async def _waiting(raw: psycopg.AsyncConnection[Any], known: Catalog, instrument: CatalogInstrument) -> list[str]:
    """Barcodes of received tubes with work for this instrument, urgent first, then oldest."""
    tests = [mapping.test_id for mapping in known.mapping(instrument.id).values() if mapping.outgoing]
    rows = await raw.execute(_WAITING, [PENDING_STATES, tests, MOST_AT_ONCE])
    return [row[0] for row in await rows.fetchall()]


async def _between(raw: psycopg.AsyncConnection[Any], first: str, last: str, tests: list[int]) -> list[str]:
    """Barcodes of a range that have work for an instrument, in their order. Only numbers of one length are a range."""
    if not (first.isdecimal() and last.isdecimal() and len(first) == len(last)):
        return []
    rows = await raw.execute(_BETWEEN, [first, last, len(first), PENDING_STATES, tests, MOST_AT_ONCE])
    return [row[0] for row in await rows.fetchall()]


def _patient(patient_id: int, given: str, family: str, birth: date | None, sex: str | None) -> WorkPatient:
    """The least that an instrument needs to know; never the identity number."""
    return WorkPatient(
        identifier=str(patient_id),
        family_name=family,
        given_name=given,
        birth_date=birth.strftime("%Y%m%d") if birth else "",
        sex=sex or "U",
    )


def record_given(
    work: Work,
    instrument: CatalogInstrument,
    query: Query,
    tubes_read: dict[str, SheetTube],
    given: dict[int, tuple[Sheet, WorkTest]],
) -> None:
    """Running tests, the tubes seen on this instrument, and the audit of what was given: all with the commit."""
    tubes = sorted({tube.id for tube in tubes_read.values() if tube.id is not None})
    if query.unasked:
        return  # sent before the tube is there: nothing is running yet, and nobody has seen it
    if tubes:
        work.last(_SEEN, [instrument.id, query.rack, query.position, tubes])
    if given:
        work.last(_GIVEN, [instrument.id, sorted(given)])
    by_order: dict[str, list[str]] = {}
    for sheet, test in given.values():
        by_order.setdefault(sheet.number, []).append(test.name)
    for number, tests in by_order.items():
        work.audit("is_emri.verildi", "tetkik_istem", number, None, {"cihaz": instrument.code, "tetkikler": tests})
        work.tell_screens("order", istem=number)
