"""Work steps of IHE LAW (AWOS): made when work is offered, moved by what the analyser says, never lost, never doubled.

A step is one test, on one container, for one analyser. Its number names it for ever (OBR-2). At most one step of an
ordered test is open on one analyser at a time; the database refuses a second.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
import psycopg

from drivers.messages import WorkOrder, WorkTest
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import About, P
from lis_core.domain.states import PENDING
from lis_core.services.catalog import Catalog, CatalogInstrument
from lis_core.storage.database import Work
from lis_core.storage.tables.law import OPEN_STATES

_ORDERED = re.compile(r"N(\d+)\.\d+")
"""`WorkTest.reference` as routing makes it: the ordered test behind an offered one."""
HELD = ("kabul", "calisiyor", "belirsiz", "iptal_bekliyor")
"""The analyser has the step, or may have it: it is not offered again (LAW-F.36)."""
OPEN = list(OPEN_STATES)
_PENDING = [state.value for state in PENDING]

_STEPS = """
select is_adimi_kodu, adim_numarasi, istem_tetkik_kodu, tekrar_sirasi, durum from is_adimi
where cihaz_kodu = %s and istem_tetkik_kodu = any(%s) and durum = any(%s) order by is_adimi_kodu for update
"""
_NUMBERS = """
select t.istem_tetkik_kodu, i.numune_numarasi, t.tetkik_kodu, t.tetkik_numune_kodu from istem_tetkik t
join tetkik_istem i using (tetkik_istem_kodu) where t.istem_tetkik_kodu = any(%s)
"""
_INSERT = """
insert into is_adimi (adim_numarasi, istem_tetkik_kodu, cihaz_kodu, kap, cihaz_test_kodu, tekrar_sirasi, oncelik,
    seyreltme, durum) values (%s, %s, %s, %s, %s, %s, %s, %s, 'planlandi') returning is_adimi_kodu
"""
_MOVE = """
with eski as (select is_adimi_kodu, durum from is_adimi where is_adimi_kodu = any(%s) and durum = any(%s) for update)
update is_adimi a set durum = %s, durum_zamani = now(), aciklama = case when %s = '' then a.aciklama else %s end,
    iptal_yaniti = case when %s = '' then a.iptal_yaniti else %s end
from eski where a.is_adimi_kodu = eski.is_adimi_kodu
returning a.is_adimi_kodu, a.adim_numarasi, a.istem_tetkik_kodu, a.cihaz_kodu, eski.durum, a.yerine
"""
_BACK = """
update istem_tetkik set tetkik_durumu = 'kabul', durum_zamani = now(), surum = surum + 1, calisan_cihaz_kodu = null,
    calisma_baslama_zamani = null
where istem_tetkik_kodu = any(%s) and tetkik_durumu = 'calisiyor' and calisan_cihaz_kodu = %s
"""
_SUPERSEDE = """
update is_iletisi set durum = 'vazgecildi', yanit_aciklama = 'yerine yeni ileti yazıldı'
where durum in ('bekliyor', 'gonderildi') and tur = 'NW' and adimlar && %s::bigint[]
"""


@dataclass(frozen=True, slots=True)
class Moved:
    """A step that changed its state."""

    id: int
    number: str
    ordered_id: int | None
    instrument_id: int
    before: str
    successor: dict[str, Any] | None


def new_number() -> str:
    """A number that no step ever had: not even after a database was restored from yesterday."""
    return f"AW-{secrets.token_hex(10)}"


async def assign(
    work: Work,
    raw: psycopg.AsyncConnection[Any],
    instrument: CatalogInstrument,
    known: Catalog,
    orders: Sequence[WorkOrder],
    only_tube: int | None = None,
) -> list[WorkOrder]:
    """The offer with steps: what this analyser has already is left out, what it was sent without an answer keeps its
    number, the rest gets new ones. only_tube: nothing but the tests of this tube (a query by isolate)."""
    ids = {
        test.reference: int(found[1]) for o in orders for test in o.tests if (found := _ORDERED.match(test.reference))
    }
    if not ids:
        return list(orders)
    facts = {row[0]: row[1:] for row in await (await raw.execute(_NUMBERS, [list(ids.values())])).fetchall()}
    open_steps: dict[int, dict[int, tuple[str, str, int]]] = {}
    rows = await (await raw.execute(_STEPS, [instrument.id, list(ids.values()), OPEN])).fetchall()
    for step_id, number, ordered_id, replicate, state in rows:
        open_steps.setdefault(ordered_id, {})[replicate] = (number, state, step_id)
    replicates = dict(instrument.settings.get("tekrar_sayisi", {}))
    answered: list[WorkOrder] = []
    reused: list[int] = []
    for order in orders:
        tests: list[WorkTest] = []
        for test in order.tests:
            ordered_id = ids.get(test.reference)
            if ordered_id is None:
                tests.append(test)
                continue
            number, test_id, tube_id = facts[ordered_id]
            if only_tube is not None and tube_id != only_tube:
                continue
            loinc = known.test_by_id[test_id].loinc or ""
            for replicate in range(1, int(replicates.get(test.code, 1)) + 1):
                step = open_steps.get(ordered_id, {}).get(replicate)
                if step is not None and step[1] in HELD:
                    continue
                if step is not None:
                    reused.append(step[2])
                awos = step[0] if step else await _made(work, raw, instrument, order, test, ordered_id, replicate)
                tests.append(msgspec.structs.replace(test, reference=awos, loinc=loinc, work_order=number))
        reason = order.reason or ("" if tests or not order.tests else "İşin hepsi cihaza daha önce verildi.")
        answered.append(msgspec.structs.replace(order, tests=tuple(tests), reason=reason))
    if reused:
        await raw.execute(_SUPERSEDE, [reused])
    return answered


async def _made(
    work: Work,
    raw: psycopg.AsyncConnection[Any],
    instrument: CatalogInstrument,
    order: WorkOrder,
    test: WorkTest,
    ordered_id: int,
    replicate: int,
) -> str:
    number = new_number()
    await raw.execute(
        _INSERT,
        [number, ordered_id, instrument.id, order.specimen, test.code, replicate, test.priority[:1], test.dilution],
    )
    work.audit(
        "is_adimi.planlandi",
        "is_adimi",
        number,
        None,
        {"cihaz": instrument.code, "kap": order.specimen, "kod": test.code},
    )
    return number


async def move(
    work: Work,
    raw: psycopg.AsyncConnection[Any],
    steps: Iterable[int],
    to: str,
    *,
    when: Sequence[str] = OPEN_STATES,
    note: str = "",
    reply: str = "",
) -> list[Moved]:
    """Move steps that are in one of the states `when`; the others stay. Audited."""
    rows = await (await raw.execute(_MOVE, [list(steps), list(when), to, note, note, reply, reply])).fetchall()
    moved = [Moved(*row) for row in rows]
    for one in moved:
        if one.before != to or note or reply:
            work.audit(
                "is_adimi.durum",
                "is_adimi",
                one.number,
                {"durum": one.before},
                {"durum": to, "not": note, "yanit": reply},
            )
    return moved


async def give_back(raw: psycopg.AsyncConnection[Any], moved: Iterable[Moved]) -> None:
    """The tests of these steps are free again for any analyser."""
    by_instrument: dict[int, list[int]] = {}
    for one in moved:
        if one.ordered_id is not None:
            by_instrument.setdefault(one.instrument_id, []).append(one.ordered_id)
    for instrument_id, ordered in by_instrument.items():
        await raw.execute(_BACK, [ordered, instrument_id])


async def plan_successor(work: Work, raw: psycopg.AsyncConnection[Any], step_id: int, wish: Mapping[str, Any]) -> str:
    """The step that takes a cancelled one's place, under a number of its own (LAW-F.51)."""
    number = new_number()
    await raw.execute(
        "insert into is_adimi (adim_numarasi, istem_tetkik_kodu, cihaz_kodu, kap, cihaz_test_kodu, tekrar_sirasi, "
        "oncelik, seyreltme, durum) select %s, istem_tetkik_kodu, cihaz_kodu, kap, cihaz_test_kodu, tekrar_sirasi, "
        "coalesce(%s, oncelik), coalesce(%s, seyreltme), 'planlandi' from is_adimi where is_adimi_kodu = %s",
        [number, wish.get("oncelik"), wish.get("seyreltme"), step_id],
    )
    work.audit("is_adimi.planlandi", "is_adimi", number, None, {"yerine": step_id, **dict(wish)})
    return number


# ---- what a person may do


_OWN = """
select a.is_adimi_kodu, a.durum, t.calisma_grubu, a.istem_tetkik_kodu, a.cihaz_kodu from is_adimi a
left join istem_tetkik t using (istem_tetkik_kodu) where a.adim_numarasi = %s for update of a
"""
_AGAIN = """
update is_iletisi set durum = 'bekliyor', tekrar_istendi = true, gecerlilik_zamani = null, yanit_aciklama = ''
where is_iletisi_kodu = (select max(is_iletisi_kodu) from is_iletisi
    where durum = 'vazgecildi' and deneme > 0 and tur in ('NW', 'CA') and length(icerik) > 0
        and adimlar @> array[%s::bigint])
returning adimlar, tur
"""
_RUNS_AGAIN = """
update istem_tetkik set tetkik_durumu = 'calisiyor', durum_zamani = now(), surum = surum + 1, calisan_cihaz_kodu = %s,
    calisma_baslama_zamani = now()
where istem_tetkik_kodu = %s and tetkik_durumu = any(%s)
  and (calisan_cihaz_kodu is null or calisan_cihaz_kodu = %s)
  and (istenen_cihaz_kodu is null or istenen_cihaz_kodu = %s)
returning istem_tetkik_kodu
"""
_OPEN_BESIDE = """
select 1 from is_adimi a join is_adimi b on b.istem_tetkik_kodu = a.istem_tetkik_kodu and b.cihaz_kodu = a.cihaz_kodu
    and b.tekrar_sirasi = a.tekrar_sirasi where a.is_adimi_kodu = %s and b.durum = any(%s)
"""
ENDED = ("reddedildi", "basarisiz", "iptal", "vazgecildi")
"""The analyser has nothing of it any more, and there is no result: it may be given again, under a number of its own."""
MAY_BE_CANCELLED = ("planlandi", "gonderildi", "kabul", "calisiyor", "belirsiz")


async def _by_number(work: Work, raw: psycopg.AsyncConnection[Any], number: str) -> tuple[int, str, int | None, int]:
    """Id, state, ordered test and instrument of a step whose bench the actor works on. Raises UNKNOWN_STEP,
    NOT_ALLOWED."""
    row = await (await raw.execute(_OWN, [number])).fetchone()
    if row is None:
        raise NumuneError(errors.UNKNOWN_STEP, step=number)
    work.actor.must(P.RESULT_TECHNICAL, About(row[2]) if row[2] is not None else None)
    return row[0], row[1], row[3], row[4]


async def cancel_step(work: Work, number: str, reason: str) -> None:
    """Take a step back: the analyser is sent ORC-1 CA; one that was never sent is simply dropped.

    Raises NumuneError: not allowed, unknown step, a step that is finished.
    """
    work.actor.must(P.RESULT_TECHNICAL)
    raw = await work.driver()
    step_id, state, _, _ = await _by_number(work, raw, number)
    if state == "planlandi":
        await give_back(raw, await move(work, raw, [step_id], "vazgecildi", note=reason))
    elif not await move(work, raw, [step_id], "iptal_bekliyor", note=reason):
        raise NumuneError(errors.STEP_IS_CLOSED, step=number, state=state)


async def change_step(
    work: Work, number: str, *, dilution: str | None = None, priority: str | None = None, reason: str
) -> None:
    """Change what was asked: LAW knows no replacement, so the step is cancelled and, once the analyser has agreed, a
    new one with a new number is sent (LAW-F.51). Raises as `cancel_step`."""
    work.actor.must(P.RESULT_TECHNICAL)
    raw = await work.driver()
    step_id, state, _, _ = await _by_number(work, raw, number)
    wish = {key: value for key, value in (("seyreltme", dilution), ("oncelik", priority)) if value is not None}
    if state == "planlandi":
        await move(work, raw, [step_id], "vazgecildi", note=reason)
        await plan_successor(work, raw, step_id, wish)
        return
    if not await move(work, raw, [step_id], "iptal_bekliyor", note=reason):
        raise NumuneError(errors.STEP_IS_CLOSED, step=number, state=state)
    await raw.execute(
        "update is_adimi set yerine = %s where is_adimi_kodu = %s", [orjson.dumps(wish).decode(), step_id]
    )


async def resend_step(work: Work, number: str, reason: str) -> str:
    """Send a step again; the number of the step that goes out.

    In doubt: the same message with the same control id, so that an analyser that has it already gives the same answer.
    Ended without a result: a new step with a number of its own, where the test is still wanted. Raises NumuneError: not
    allowed, unknown step, nothing to send again, no reason.
    """
    work.actor.must(P.RESULT_TECHNICAL)
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)
    raw = await work.driver()
    step_id, state, ordered_id, instrument_id = await _by_number(work, raw, number)
    if state == "belirsiz":
        row = await (await raw.execute(_AGAIN, [step_id])).fetchone()
        if row is None:
            raise NumuneError(errors.STEP_IS_CLOSED, step=number, state="yeniden gönderilecek iletisi olmayan")
        await move(
            work, raw, row[0], "gonderildi" if row[1] == "NW" else "iptal_bekliyor", when=("belirsiz",), note=reason
        )
        return number
    if state not in ENDED or ordered_id is None:
        raise NumuneError(errors.STEP_IS_CLOSED, step=number, state=state)
    if await (await raw.execute(_OPEN_BESIDE, [step_id, OPEN])).fetchone() is not None:
        raise NumuneError(errors.STEP_IS_CLOSED, step=number, state="yerine yenisi verilmiş")
    taken = await raw.execute(
        _RUNS_AGAIN, [instrument_id, ordered_id, _PENDING, instrument_id, instrument_id]
    )  # fmt: skip
    if await taken.fetchone() is None:
        raise NumuneError(errors.STEP_IS_CLOSED, step=number, state="tetkiki artık beklenmeyen")
    await raw.execute(
        "update is_adimi set yerine = coalesce(yerine, '{}'), aciklama = %s where is_adimi_kodu = %s",
        [reason, step_id],
    )
    return await plan_successor(work, raw, step_id, {})


async def decide_doubt(work: Work, number: str, *, accepted: bool, reason: str) -> None:
    """A person knows what became of a step in doubt. Raises NumuneError: unknown, or not in doubt."""
    work.actor.must(P.RESULT_TECHNICAL)
    raw = await work.driver()
    step_id, state, _, _ = await _by_number(work, raw, number)
    moved = await move(work, raw, [step_id], "kabul" if accepted else "reddedildi", when=("belirsiz",), note=reason)
    if not moved:
        raise NumuneError(errors.STEP_IS_CLOSED, step=number, state=state)
    if not accepted:
        await give_back(raw, moved)
