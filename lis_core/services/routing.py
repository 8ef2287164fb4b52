"""Host query and routing: what an analyser that holds a tube is to run (INTRO.22-27, 9.2c, 9.2d; invariant 8).

An analyser is offered every pending test of the order that it can run on the material in its hands, whichever tube
the test was meant for, and nothing else. The number alone, without a tube code, stands for any tube of the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from lis_core.domain.states import PENDING, Priority, TestState, TubeState
from lis_core.services.catalog import CATALOG_VERSION, Catalog, CatalogInstrument, CodeMapping, catalog_of
from lis_core.services.sql import PLAN_ONCE
from lis_core.storage.database import Database, Work, program

ROUTER = program("yönlendirme", chain="yonlendirme")
MOST_AT_ONCE = 200
"""Specimens in the answer to a query for everything."""

_ORDERS = """
select b.barkod, i.tetkik_istem_kodu, i.numune_numarasi, i.aciliyet, b.tetkik_numune_kodu, n.numune_turu,
       n.numune_durumu, n.numune_alma_zamani, h.hasta_kodu, h.ad, h.soyadi, h.dogum_tarihi, h.cinsiyet,
       (select array_agg(t.numune_turu) from tetkik_numune t
        where t.tetkik_istem_kodu = i.tetkik_istem_kodu and t.numune_durumu <> 'ret')
from barkod_kayit b
join tetkik_istem i using (tetkik_istem_kodu)
join hasta h using (hasta_kodu)
left join tetkik_numune n on n.tetkik_numune_kodu = b.tetkik_numune_kodu
where b.barkod = any(%s)
"""

_PENDING = """
select tetkik_istem_kodu, istem_tetkik_kodu, tetkik_kodu, tetkik_durumu, surum, calisan_cihaz_kodu,
       calisma_baslama_zamani, istenen_cihaz_kodu, zaman_noktasi, tetkik_numune_kodu
from istem_tetkik
where tetkik_istem_kodu in (select tetkik_istem_kodu from barkod_kayit where barkod = any(%s))
  and tetkik_durumu = any(%s)
order by istem_tetkik_kodu for update
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


_PENDING_STATES = [state.value for state in PENDING]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One asked text that is known."""

    order_id: int
    number: str
    priority: Priority
    tube_id: int | None
    material: str | None
    tube_state: TubeState | None
    collected_at: datetime | None
    patient: WorkPatient
    materials: frozenset[str]
    """Of every usable tube of the order: what the number alone may stand for."""


@dataclass(frozen=True, slots=True)
class _Pending:
    id: int
    test_id: int
    state: TestState
    version: int
    running_on: int | None
    running_since: datetime | None
    wanted_instrument: int | None
    time_point: str
    tube_id: int | None


async def answer_query(database: Database, line: str, query: Query) -> list[WorkOrder]:
    """What to answer: one `WorkOrder` for each asked specimen, in the order asked (urgent first for "everything").

    The tests offered become `running` on this instrument in the same transaction.
    """
    async with database.work(ROUTER) as work:
        raw = await work.driver()
        read = await _read(raw, query.specimens)
        known = await catalog_of(work.session, read.version)
        instrument = known.instrument_by_line(line)
        if instrument is None or not instrument.active or not instrument.in_service:
            why = f"{line} hattının cihazı tanımlı değil." if instrument is None else f"{instrument.name} hizmet dışı."
            return [WorkOrder(specimen=text, known=False, reason=why) for text in query.specimens]
        texts = query.specimens
        if query.everything and not texts:
            texts = await _waiting(raw, known, instrument)
            read = await _read(raw, texts)
        orders, given = _offer(texts, read.asked, read.pending, known, instrument, query, work.now)
        _record(work, instrument, query, read.asked, given)
    return orders


@dataclass(frozen=True, slots=True)
class _Read:
    version: int
    asked: dict[str, _Asked]
    pending: dict[int, list[_Pending]]


async def _read(raw: psycopg.AsyncConnection[Any], texts: list[str]) -> _Read:
    """All that an answer needs, in one journey; the pending tests of these orders are locked."""
    async with raw.pipeline():
        await raw.execute(PLAN_ONCE)
        version = await raw.execute(CATALOG_VERSION)
        found = await raw.execute(_ORDERS, [texts])
        pending = await raw.execute(_PENDING, [texts, _PENDING_STATES])
    row = await version.fetchone()
    return _Read(row[0] if row else 0, _asked(await found.fetchall()), _by_order(await pending.fetchall()))


async def _waiting(raw: psycopg.AsyncConnection[Any], known: Catalog, instrument: CatalogInstrument) -> list[str]:
    """Barcodes of received tubes with work for this instrument, urgent first, then oldest."""
    tests = [mapping.test_id for mapping in known.mapping(instrument.id).values() if mapping.outgoing]
    rows = await raw.execute(_WAITING, [_PENDING_STATES, tests, MOST_AT_ONCE])
    return [row[0] for row in await rows.fetchall()]


def _asked(rows: Iterable[tuple[Any, ...]]) -> dict[str, _Asked]:
    return {
        row[0]: _Asked(
            order_id=row[1],
            number=row[2],
            priority=Priority(row[3]),
            tube_id=row[4],
            material=row[5],
            tube_state=TubeState(row[6]) if row[6] else None,
            collected_at=row[7],
            patient=_patient(row[8], row[9], row[10], row[11], row[12]),
            materials=frozenset(row[13] or ()),
        )
        for row in rows
    }


def _patient(patient_id: int, given: str, family: str, birth: date | None, sex: str | None) -> WorkPatient:
    """The least that an instrument needs to know; never the identity number."""
    return WorkPatient(
        identifier=str(patient_id),
        family_name=family,
        given_name=given,
        birth_date=birth.strftime("%Y%m%d") if birth else "",
        sex=sex or "U",
    )


def _by_order(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[_Pending]]:
    found: dict[int, list[_Pending]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(
            _Pending(row[1], row[2], TestState(row[3]), row[4], row[5], row[6], row[7], row[8], row[9])
        )
    return found


def _offer(
    texts: Iterable[str],
    asked: dict[str, _Asked],
    pending: dict[int, list[_Pending]],
    known: Catalog,
    instrument: CatalogInstrument,
    query: Query,
    now: datetime,
) -> tuple[list[WorkOrder], dict[int, tuple[_Asked, _Pending, WorkTest]]]:
    """The answers, and each ordered test that is given to the instrument (by its id)."""
    mapping_of = {mapping.test_id: mapping for mapping in known.mapping(instrument.id).values() if mapping.outgoing}
    orders: list[WorkOrder] = []
    given: dict[int, tuple[_Asked, _Pending, WorkTest]] = {}
    for text in texts:
        found = asked.get(text)
        if found is None:
            orders.append(WorkOrder(specimen=text, known=False, reason=f"{text} numarası kayıtlı değil."))
            continue
        tests: dict[str, WorkTest] = {}
        if found.tube_state is not TubeState.REJECTED:
            for ordered in pending.get(found.order_id, []):
                mapping = mapping_of.get(ordered.test_id)
                if mapping is None or not _may_run(ordered, mapping, found, known, instrument, query, now):
                    continue
                test = WorkTest(
                    code=mapping.outgoing,
                    name=known.test_by_id[ordered.test_id].code,
                    priority=found.priority.astm,
                    reference=f"N{ordered.id}.{ordered.version + 1}",
                )
                tests.setdefault(mapping.outgoing, test)
                given[ordered.id] = (found, ordered, test)
        orders.append(_answer(text, found, tuple(tests.values())))
    return orders, given


def _may_run(
    ordered: _Pending,
    mapping: CodeMapping,
    asked: _Asked,
    known: Catalog,
    instrument: CatalogInstrument,
    query: Query,
    now: datetime,
) -> bool:
    if query.tests and mapping.outgoing not in query.tests and mapping.incoming not in query.tests:
        return False
    if ordered.wanted_instrument not in (None, instrument.id):
        return False
    if ordered.time_point and asked.tube_id is not None and ordered.tube_id != asked.tube_id:
        return False  # the fasting tube never answers for the post-prandial one (9.2.7)
    held = {asked.material} if asked.material is not None else asked.materials
    if not held & mapping.materials:
        return False
    return not _reserved(ordered, known, instrument, now)


def _reserved(ordered: _Pending, known: Catalog, instrument: CatalogInstrument, now: datetime) -> bool:
    """True while another working instrument holds the test and asked not to be doubled (`ayirma_dakika`)."""
    if ordered.state is not TestState.RUNNING or ordered.running_on in (None, instrument.id):
        return False
    other = known.instrument_by_id.get(ordered.running_on or 0)
    if other is None or not other.in_service or not other.reserve_minutes or ordered.running_since is None:
        return False
    return now - ordered.running_since < timedelta(minutes=other.reserve_minutes)


def _answer(text: str, found: _Asked, tests: tuple[WorkTest, ...]) -> WorkOrder:
    reason = ""
    if not tests:
        reason = (
            f"{text} tüpü reddedilmiş."
            if found.tube_state is TubeState.REJECTED
            else f"{found.number} isteminde bu cihazda ve bu materyalde çalışılacak bekleyen tetkik yok."
        )
    return WorkOrder(
        specimen=text,
        known=True,
        tests=tests,
        patient=found.patient,
        material=found.material or "",
        collected_at=found.collected_at,
        reason=reason,
    )


def _record(
    work: Work,
    instrument: CatalogInstrument,
    query: Query,
    asked: dict[str, _Asked],
    given: dict[int, tuple[_Asked, _Pending, WorkTest]],
) -> None:
    """Running tests, the tubes seen on this instrument, and the audit of what was given: all with the commit."""
    tubes = sorted({found.tube_id for found in asked.values() if found.tube_id is not None})
    if tubes:
        work.last(_SEEN, [instrument.id, query.rack, query.position, tubes])
    if given:
        work.last(_GIVEN, [instrument.id, sorted(given)])
    by_order: dict[str, list[str]] = {}
    for found, _ordered, test in given.values():
        by_order.setdefault(found.number, []).append(test.name)
    for number, tests in by_order.items():
        work.audit("is_emri.verildi", "tetkik_istem", number, None, {"cihaz": instrument.code, "tetkikler": tests})
        work.tell_screens("order", istem=number)
