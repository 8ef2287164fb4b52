"""The desk where LAW work is given out: queries by tube, rack, tray, isolate or all; messages kept until answered.

The gateway writes and sends the messages (it knows the protocol); what they are about, whether they were sent, and what
the analyser said stands here, in the database. So a cut line or a dead process neither loses nor doubles a step: what
was not answered is sent again under the same control id, what was answered is never sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import psycopg

from drivers.messages import Query, Shipment, StepAnswer, WorkOrder, WorkTest
from lis_core.domain.states import PENDING
from lis_core.services.catalog import Catalog, CatalogInstrument, catalog
from lis_core.services.loading import plain
from lis_core.services.routing import ROUTER, answer_query
from lis_core.services.work_steps import assign, give_back, move, plan_successor
from lis_core.storage.database import Database, Work

_CHILD = """
select n.tetkik_numune_kodu, u.barkod, array(select t.tetkik_kodu from istem_tetkik t
    where t.tetkik_numune_kodu = n.tetkik_numune_kodu)
from tetkik_numune n left join tetkik_numune u on u.tetkik_numune_kodu = n.ana_numune_kodu where n.barkod = %s
"""
_AT_PLACE = """
select y.barkod from cihaz_yukleme y join baglanti using (cihaz_kodu)
where baglanti_adi = %s and y.konum = %s and y.kaldirma_zamani is null
"""
"""The tube on the analyser's load list at a rack (or tray) and position."""
_UNWANTED = """
select a.is_adimi_kodu, a.durum from is_adimi a join istem_tetkik t using (istem_tetkik_kodu)
left join tetkik_sonuc s on s.tetkik_sonuc_kodu = t.tetkik_sonuc_kodu
where a.cihaz_kodu = %s and a.durum in ('planlandi', 'gonderildi', 'kabul', 'belirsiz') and (
    t.tetkik_durumu in ('iptal', 'ret')
    or (t.istenen_cihaz_kodu is not null and t.istenen_cihaz_kodu <> a.cihaz_kodu)
    or (t.tetkik_durumu in ('sonuclandi', 'teknik_onayli', 'klinik_onayli')
        and s.cihaz_kodu is distinct from a.cihaz_kodu)
    or (a.durum = 'planlandi' and t.tetkik_durumu in ('sonuclandi', 'teknik_onayli', 'klinik_onayli')
        and not exists (select from is_iletisi m where m.durum in ('bekliyor', 'gonderildi')
            and m.adimlar @> array[a.is_adimi_kodu])))
for update of a
"""
_TO_CANCEL = """
select a.kap, a.adim_numarasi, a.cihaz_test_kodu, t.tetkik_kodu, i.numune_numarasi
from is_adimi a left join istem_tetkik t using (istem_tetkik_kodu) left join tetkik_istem i using (tetkik_istem_kodu)
where a.cihaz_kodu = %s and a.durum = 'iptal_bekliyor' and not exists (select from is_iletisi m
    where m.tur = 'CA' and m.durum in ('bekliyor', 'gonderildi') and m.adimlar @> array[a.is_adimi_kodu])
order by a.kap, a.is_adimi_kodu
"""
_SUCCESSORS = """
select a.kap, a.adim_numarasi, a.cihaz_test_kodu, a.oncelik, a.seyreltme, t.tetkik_kodu, i.numune_numarasi,
       n.numune_turu
from is_adimi a join istem_tetkik t using (istem_tetkik_kodu) join tetkik_istem i using (tetkik_istem_kodu)
left join tetkik_numune n on n.barkod = a.kap
where a.cihaz_kodu = %s and a.durum = 'planlandi' and not exists (select from is_iletisi m
    where m.durum in ('bekliyor', 'gonderildi') and m.adimlar @> array[a.is_adimi_kodu])
    and (%s or exists (select from is_adimi o where o.istem_tetkik_kodu = a.istem_tetkik_kodu
        and o.cihaz_kodu = a.cihaz_kodu and o.yerine is not null))
order by a.kap, a.is_adimi_kodu
"""
_TO_BROADCAST = """
select distinct n.barkod from istem_tetkik t join tetkik_numune n on n.tetkik_numune_kodu = t.tetkik_numune_kodu
where t.tetkik_durumu = any(%s) and t.tetkik_kodu = any(%s) and n.numune_durumu <> 'ret'
  and (t.istenen_cihaz_kodu is null or t.istenen_cihaz_kodu = %s)
  and not exists (select from is_adimi a where a.istem_tetkik_kodu = t.istem_tetkik_kodu and a.cihaz_kodu = %s
      and (a.durum in ('planlandi', 'gonderildi', 'kabul', 'belirsiz', 'calisiyor', 'iptal_bekliyor', 'reddedildi')
           or (a.durum = 'iptal' and a.yerine is not null)))
limit 100
"""
_UNANSWERED = """
select m.kontrol_numarasi, m.icerik, m.tur, m.deneme, m.gecerlilik_zamani,
       coalesce((select array_agg(a.adim_numarasi order by array_position(m.adimlar, a.is_adimi_kodu)) from is_adimi a
        where a.is_adimi_kodu = any(m.adimlar)), '{}'),
       coalesce((select min(a.kap) from is_adimi a where a.is_adimi_kodu = any(m.adimlar)), '')
from is_iletisi m where m.hat = %s and m.durum in ('bekliyor', 'gonderildi') order by m.is_iletisi_kodu
"""
_TAKE_REOPENED = """
update is_iletisi set tekrar_istendi = false where hat = %s and tekrar_istendi and durum = 'bekliyor'
returning kontrol_numarasi
"""
_SENDING = """
update is_iletisi set durum = 'gonderildi', deneme = deneme + 1, son_gonderim_zamani = now()
where kontrol_numarasi = %s and durum in ('bekliyor', 'gonderildi')
  and (gecerlilik_zamani is null or deneme > 0 or gecerlilik_zamani > now())
returning adimlar, tur
"""
_CLOSE = """
update is_iletisi set durum = %s, yanit_kodu = %s, yanit_aciklama = %s, yanit_icerik = %s
where kontrol_numarasi = %s and durum in ('bekliyor', 'gonderildi') returning adimlar, tur, deneme
"""
_TIMES_SENT = """
select x.adim, sum(m.deneme) from unnest(%s::bigint[]) as x(adim)
join is_iletisi m on m.tur = 'NW' and m.adimlar @> array[x.adim] group by 1
"""


class WorkDesk:
    """One per process; every call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- LAB-27

    async def answer(self, line: str, query: Query) -> list[WorkOrder]:
        """The work for a query, each test with the number of its step. The steps are stored before this returns."""
        asked, parent, only_tube = await self._resolved(line, query)
        if asked is None:
            named = query.isolate or ""
            return [WorkOrder(specimen=named, known=bool(named), parent=parent, reason=_nothing_there(query))]
        orders = await answer_query(self._database, line, asked)
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            known = await catalog(work.session)
            instrument = known.instrument_by_line(line)
            if instrument is None:
                return orders
            orders = await assign(work, raw, instrument, known, orders, only_tube)
        return [msgspec.structs.replace(order, parent=parent) for order in orders] if parent else orders

    async def _resolved(self, line: str, query: Query) -> tuple[Query | None, str, int | None]:
        """The query with the tubes that it means: those at a place, or an isolate. None: nobody stands there."""
        if query.specimens or query.everything:
            return query, "", None
        async with self._database.reading() as session:
            known = await catalog(session)
            raw = await _driver(session)
            if query.isolate:
                row = await (await raw.execute(_CHILD, [query.isolate])).fetchone()
                instrument = known.instrument_by_line(line)
                if row is None or instrument is None:
                    return None, row[1] or "" if row else "", None
                codes = [
                    m.outgoing for m in known.mapping(instrument.id).values() if m.test_id in row[2] and m.outgoing
                ]
                if not codes:
                    return None, row[1] or "", row[0]
                asked = msgspec.structs.replace(query, specimens=[query.isolate], tests=codes)
                return asked, row[1] or "", row[0]
            place = plain(f"{query.rack or ''}-{query.position or ''}")
            row = await (await raw.execute(_AT_PLACE, [line, place])).fetchone()
        if row is None:
            return None, "", None
        return msgspec.structs.replace(query, specimens=[row[0]]), "", None

    # ---- LAB-28

    async def planned(self, line: str, broadcast: bool) -> list[WorkOrder]:
        """What is to be sent on this line without being asked: cancellations, steps that take a cancelled one's place,
        and in broadcast mode everything that this analyser can run. Cheap where there is nothing."""
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            known = await catalog(work.session)
            instrument = known.instrument_by_line(line)
            if instrument is None:
                return []
            await self._withdraw(work, raw, instrument)
            orders = await _cancellations(raw, instrument, known)
            fresh = await self._to_broadcast(raw, instrument, known) if broadcast and instrument.in_service else []
            if not fresh:
                orders += await _planned_before(raw, instrument, known, broadcast)
        if fresh:
            offered = await answer_query(self._database, line, Query(specimens=fresh, unasked=True))
            async with self._database.work(ROUTER) as work:
                raw = await work.driver()
                steps = await assign(work, raw, instrument, known, offered)
            orders += [order for order in steps if order.tests]
        return orders

    async def _withdraw(self, work: Work, raw: psycopg.AsyncConnection[Any], instrument: CatalogInstrument) -> None:
        """Steps that nobody wants from this analyser any more: done elsewhere (LAW-001), cancelled, sent elsewhere."""
        rows = await (await raw.execute(_UNWANTED, [instrument.id])).fetchall()
        never_sent = [step for step, state in rows if state == "planlandi"]
        if never_sent:
            await move(work, raw, never_sent, "vazgecildi", note="Başka yerde yapıldı ya da istenmiyor.")
        if sent := [step for step, state in rows if state != "planlandi"]:
            await move(work, raw, sent, "iptal_bekliyor", note="Başka yerde yapıldı ya da istenmiyor.")

    async def _to_broadcast(
        self, raw: psycopg.AsyncConnection[Any], instrument: CatalogInstrument, known: Catalog
    ) -> list[str]:
        tests = [mapping.test_id for mapping in known.mapping(instrument.id).values() if mapping.outgoing]
        states = [state.value for state in PENDING]
        rows = await raw.execute(_TO_BROADCAST, [states, tests, instrument.id, instrument.id])
        return [row[0] for row in await rows.fetchall()]

    async def store(self, line: str, shipment: Shipment, seconds: float | None = None) -> None:
        """Keep a message before it is sent. seconds: not sent for the first time after that."""
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            known = await catalog(work.session)
            instrument = known.instrument_by_line(line)
            if instrument is None:
                raise LookupError(f"no instrument on line {line}")
            until = work.now + timedelta(seconds=seconds) if seconds is not None else None
            await raw.execute(
                "insert into is_iletisi (kontrol_numarasi, cihaz_kodu, hat, tur, icerik, adimlar, durum, "
                "gecerlilik_zamani) values (%s, %s, %s, %s, %s, array(select a.is_adimi_kodu from is_adimi a "
                "where a.adim_numarasi = any(%s) order by array_position(%s::text[], a.adim_numarasi::text)), "
                "'bekliyor', %s)",
                [shipment.control_id, instrument.id, line, shipment.kind, shipment.payload, shipment.references,
                 shipment.references, until],
            )  # fmt: skip

    async def unanswered(self, line: str) -> list[Shipment]:
        """What waits for its answer on this line, oldest first: after a start, or a lost connection."""
        async with self._database.reading() as session:
            raw = await _driver(session)
            rows = await (await raw.execute(_UNANSWERED, [line])).fetchall()
        return [_kept(row) for row in rows]

    async def reopened(self, line: str) -> list[Shipment]:
        """Messages that had been given up and that a person wants sent again, as they were."""
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            marked = await raw.execute(_TAKE_REOPENED, [line])
            wanted = {row[0] for row in await marked.fetchall()}
            rows = await (await raw.execute(_UNANSWERED, [line])).fetchall() if wanted else []
        return [_kept(row) for row in rows if row[0] in wanted]

    async def sending(self, control_id: str) -> bool:
        """About to be written to the wire. False: it is no longer to be sent (answered, replaced, too old)."""
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            row = await (await raw.execute(_SENDING, [control_id])).fetchone()
            if row is not None and row[1] == "NW":
                await move(work, raw, row[0], "gonderildi", when=("planlandi",))
        return row is not None

    async def answered(
        self, control_id: str, code: str, text: str, raw_answer: bytes, answers: Sequence[StepAnswer]
    ) -> list[str]:
        """The analyser's answer: acceptance is taken step by step (LAW-F.53). Sentences for the line's history."""
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            state = "yanitlandi" if code in ("AA", "CA") else "reddedildi"
            row = await (await raw.execute(_CLOSE, [state, code, text, raw_answer, control_id])).fetchone()
            if row is None:
                return []
            steps, kind = list(row[0]), row[1]
            if state == "reddedildi":
                return await _refused(work, raw, steps, kind, f"{code} {text}".strip())
            return await _taken(work, raw, steps, answers)

    async def given_up(self, control_id: str, why: str) -> None:
        """No answer will be waited for any more. A step that may have arrived is in doubt, one that was never sent is
        free again."""
        async with self._database.work(ROUTER) as work:
            raw = await work.driver()
            row = await (await raw.execute(_CLOSE, ["vazgecildi", "", why, None, control_id])).fetchone()
            if row is None or row[1] == "DC":
                return
            steps, attempts = list(row[0]), row[2]
            if attempts or row[1] == "CA":
                await move(work, raw, steps, "belirsiz", when=("planlandi", "gonderildi", "iptal_bekliyor"), note=why)
            else:
                await give_back(raw, await move(work, raw, steps, "vazgecildi", when=("planlandi",), note=why))


def _kept(row: Sequence[Any]) -> Shipment:
    """A message as `_UNANSWERED` finds it."""
    return Shipment(
        control_id=row[0],
        payload=bytes(row[1]),
        kind=row[2],
        attempts=row[3],
        expires_at=row[4],
        references=list(row[5]),
        container=row[6],
    )


async def _driver(session: Any) -> psycopg.AsyncConnection[Any]:
    connection = await (await session.connection()).get_raw_connection()
    driver = connection.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    return driver


def _nothing_there(query: Query) -> str:
    if query.isolate:
        return f"{query.isolate} izolatı için bekleyen tetkik yok."
    place = "tepsi" if query.tray else "raf"
    return f"{query.rack} {place}, {query.position}. konumda kayıtlı tüp yok."


async def _cancellations(
    raw: psycopg.AsyncConnection[Any], instrument: CatalogInstrument, known: Catalog
) -> list[WorkOrder]:
    tests: dict[str, list[WorkTest]] = {}
    for container, number, code, test_id, order in await (await raw.execute(_TO_CANCEL, [instrument.id])).fetchall():
        test = known.test_by_id.get(test_id)
        name, loinc = (test.code, test.loinc or "") if test else ("", "")
        tests.setdefault(container, []).append(
            WorkTest(code=code, name=name, reference=number, action="CA", loinc=loinc, work_order=order or "")
        )
    return [WorkOrder(specimen=container, known=True, tests=tuple(steps)) for container, steps in tests.items()]


async def _planned_before(
    raw: psycopg.AsyncConnection[Any], instrument: CatalogInstrument, known: Catalog, broadcast: bool
) -> list[WorkOrder]:
    """Planned steps that no message carries: what takes a cancelled one's place; in broadcast mode whatever a dying
    process left behind."""
    tests: dict[tuple[str, str], list[WorkTest]] = {}
    rows = await (await raw.execute(_SUCCESSORS, [instrument.id, broadcast])).fetchall()
    for container, number, code, priority, dilution, test_id, order, material in rows:
        test = known.test_by_id[test_id]
        tests.setdefault((container, material or ""), []).append(
            WorkTest(code, test.code, priority, dilution, number, "NW", test.loinc or "", order)
        )
    return [
        WorkOrder(specimen=container, known=True, tests=tuple(steps), material=material)
        for (container, material), steps in tests.items()
    ]


async def _refused(work: Work, raw: psycopg.AsyncConnection[Any], steps: list[int], kind: str, why: str) -> list[str]:
    """AE, or AR to the end: no step of the message counts as accepted (LAW-F.54)."""
    if kind == "CA":
        moved = await move(work, raw, steps, "belirsiz", when=("iptal_bekliyor",), note=why)
        return [f"Cihaz iptal iletisini almadı ({why}); {len(moved)} iş adımı belirsiz."] if moved else []
    moved = await move(work, raw, steps, "reddedildi", when=("planlandi", "gonderildi"), note=why)
    await give_back(raw, moved)
    return [f"Cihaz iş iletisini almadı ({why}); {len(moved)} iş adımı reddedildi."] if moved else []


async def _taken(
    work: Work, raw: psycopg.AsyncConnection[Any], steps: list[int], answers: Sequence[StepAnswer]
) -> list[str]:
    rows = await raw.execute("select is_adimi_kodu, adim_numarasi from is_adimi where is_adimi_kodu = any(%s)", [steps])
    ids = {number: step for step, number in await rows.fetchall()}
    sent = dict(await (await raw.execute(_TIMES_SENT, [steps])).fetchall())
    told: list[str] = []
    heard: set[int] = set()
    for answer in answers:
        step = ids.get(answer.reference)
        if step is None:
            told.append(f"Cihaz bilinmeyen bir iş adımına yanıt verdi: {answer.reference or '(numarasız)'}.")
            continue
        heard.add(step)
        told += await _one(work, raw, step, answer, int(sent.get(step, 1)))
    silent = [step for step in steps if step not in heard]
    if silent and await move(
        work, raw, silent, "belirsiz", note="Yanıtta bu adım yok.", when=("gonderildi", "iptal_bekliyor")
    ):
        told.append(f"Cihazın yanıtında {len(silent)} iş adımı yok; durumları belirsiz.")
    return told


async def _one(
    work: Work, raw: psycopg.AsyncConnection[Any], step: int, answer: StepAnswer, times_sent: int
) -> list[str]:
    """One step's answer. A refusal of something that was sent before and not answered proves nothing: the analyser may
    refuse it because it has it already (LAB28-006, LAW-F.57)."""
    open_nw = ("planlandi", "gonderildi", "belirsiz")
    match answer.outcome:
        case "OK":
            await move(work, raw, [step], "kabul", when=open_nw)
            return []
        case "UA" if times_sent > 1:
            await move(work, raw, [step], "belirsiz", when=open_nw, note="UA, ama önceki gönderim yanıtsızdı.")
            return [f"{answer.reference} ikinci gönderimde reddedildi; cihazda olabilir, durumu belirsiz."]
        case "UA":
            await give_back(raw, await move(work, raw, [step], "reddedildi", when=open_nw, note="UA"))
            return [f"Cihaz {answer.reference} iş adımını kabul etmedi (UA)."]
        case "CR":
            moved = await move(work, raw, [step], "iptal", when=("iptal_bekliyor",), reply="CR")
            for one in moved:
                if one.successor is not None:
                    await plan_successor(work, raw, one.id, one.successor)
            await give_back(raw, [one for one in moved if one.successor is None])
            return []
        case "UC":
            await move(work, raw, [step], "calisiyor", when=("iptal_bekliyor",), reply="UC", note="İptal edilemedi.")
            return [f"Cihaz {answer.reference} iş adımını iptal edemiyor (UC); sonucu beklenir."]
    await move(work, raw, [step], "belirsiz", when=(*open_nw, "iptal_bekliyor"), note=f"yanıt {answer.outcome!r}")
    return [f"Cihaz {answer.reference} için anlaşılmayan bir yanıt verdi: {answer.outcome!r}."]
