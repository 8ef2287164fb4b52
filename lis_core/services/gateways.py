"""Gateways that stand apart, seen from the centre: what they are told, what they tell.

The work list goes out order by order, as the sheet that the offering rule needs (`offering.Sheet`); triggers note in
the same transaction which orders changed (guards.sql), whoever has the turn (`telling`) hands them on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import select, text

from lis_core.domain import errors
from lis_core.domain.edge import GATEWAY_NAME, EdgeConfiguration, EdgeLine, EdgeRuns, EdgeStatus, Given
from lis_core.domain.errors import NumuneError
from lis_core.domain.offering import Sheet
from lis_core.domain.permissions import P
from lis_core.services.catalog import Catalog, catalog
from lis_core.services.lines import LineReport, active_lines, report_lines
from lis_core.services.routing import ORDERS, PENDING_STATES, PENDING_TESTS, sheets_of
from lis_core.storage.database import Actor, Database, Work, program
from lis_core.storage.tables import EdgeGateway

CENTRE = program("geçit bağlantısı", chain="yonlendirme")
AT_ONCE = 200
"""Orders told in one turn."""
WAITING_DAYS = 60
"""Orders older than this are not replicated; a query for them is answered when the line is up."""


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway as the centre's side of the broker needs it. `told`: digest of what it was last told of itself,
    `stamp`: when that was."""

    id: int
    name: str
    caption: str
    active: bool
    told: str
    stamp: int


async def save_gateway(database: Database, actor: Actor, name: str, caption: str = "", *, active: bool = True) -> int:
    """Register a gateway or change it. Raises INVALID_INPUT for a name that cannot stand in a topic, NOT_ALLOWED.

    From the first one on, changes of pending work are noted; all pending orders are noted once for the new one. One
    that is not active is told that it has no lines: they close there, what is in its spool still comes.
    """
    actor.must(P.INSTRUMENT_MANAGE)
    if not GATEWAY_NAME.fullmatch(name):
        problem = "geçit adı küçük harf, rakam ve tireden oluşur (3-40 karakter)"
        raise NumuneError(errors.INVALID_INPUT, problem=problem)
    async with database.work(actor) as work:
        row = (await work.session.scalars(select(EdgeGateway).where(EdgeGateway.name == name))).first()
        before = None if row is None else {"aciklama": row.caption, "aktif": row.active}
        if row is None:
            row = EdgeGateway(name=name)
            work.session.add(row)
        row.caption, row.active = caption, active
        await work.session.flush()
        any_active = await work.session.scalar(text("select exists (select from gecit where aktiflik_bilgisi)"))
        await work.session.execute(text("select gecitler_dinlensin(:on)"), {"on": any_active})
        await note_all(work)
        work.audit("gecit.kaydedildi", "gecit", row.id, before, {"ad": name, "aciklama": caption, "aktif": active})
        return row.id


async def note_all(work: Work) -> None:
    """Every order with pending work is to be told (a new gateway, changed mappings)."""
    await work.session.execute(
        text(
            "insert into is_listesi_degisen (tetkik_istem_kodu) select distinct t.tetkik_istem_kodu "
            "from istem_tetkik t join tetkik_istem i using (tetkik_istem_kodu) "
            "where t.tetkik_durumu = any(:states) and i.istem_zamani > now() - cast(:days as interval)"
        ),
        {"states": PENDING_STATES, "days": f"{WAITING_DAYS} days"},
    )


async def note_pending(database: Database) -> None:
    """`note_all` in a unit of work of its own."""
    async with database.work(CENTRE) as work:
        await note_all(work)


async def gateways(database: Database, *, active: bool = False) -> list[GatewayRow]:
    """All gateways by name; active: only those in use."""
    async with database.reading() as session:
        rows = await session.scalars(select(EdgeGateway).order_by(EdgeGateway.name))
        return [
            GatewayRow(row.id, row.name, row.caption, row.active, row.told, row.stamp)
            for row in rows
            if row.active or not active
        ]


async def has_told(database: Database, gateway: GatewayRow, digest: str) -> int | None:
    """Remember what a gateway is told of itself; the stamp of it. None where that is the same as the last time, also by
    another process; else every pending order is noted, because what it must know of each may be another thing."""
    if gateway.told == digest:
        return None
    async with database.work(CENTRE) as work:
        stamp = await work.session.scalar(_NEW_CONFIGURATION, {"digest": digest, "id": gateway.id})
        await note_all(work)
    return int(stamp or 0)


_NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
"""Stamps are of the clock, and greater than the one before: so they never come again, not even from a database that was
restored from a backup."""
_NEW_CONFIGURATION = text(
    f"update gecit set ayar_ozeti = :digest, ayar_sirasi = greatest(ayar_sirasi + 1, {_NOW}) where gecit_kodu = :id "
    "returning ayar_sirasi"
)


async def configuration(
    database: Database, gateway: str, definitions: dict[str, str], *, active: bool = True
) -> EdgeConfiguration:
    """What this gateway is told: its lines, and which tests each instrument there may be sent. active: False = it was
    stopped, and has no lines."""
    async with database.reading() as session:
        known = await catalog(session)
    if not active:
        return EdgeConfiguration(gateway, str(known.version), [], definitions)
    lines = [
        EdgeLine(
            name=row.name,
            kind=row.kind,
            protocol=row.protocol,
            address=row.address,
            definition=row.definition,
            settings=row.settings,
            instrument_id=instrument.id,
            instrument=instrument.name,
            serves=instrument.active and instrument.in_service,
            runs=_runs(known, instrument.id),
        )
        for row in await active_lines(database, gateway)
        if (instrument := known.instrument_by_line(row.name)) is not None
    ]
    return EdgeConfiguration(gateway, str(known.version), lines, definitions)


def _runs(known: Catalog, instrument_id: int) -> dict[int, EdgeRuns]:
    return {
        mapping.test_id: EdgeRuns(mapping.incoming, mapping.outgoing, frozenset(mapping.materials))
        for mapping in known.mapping(instrument_id).values()
        if mapping.outgoing
    }


class Telling:
    """The turn to tell gateways of work. What is read counts as told when the turn ends well, else it comes again."""

    def __init__(self, work: Work, raw: psycopg.AsyncConnection[Any], stamp: int) -> None:
        self._work = work
        self._raw = raw
        self.stamp = stamp
        """Of what was told last; 0: nothing ever was."""
        self.whole = False
        """Nothing more waited to be told when the stamp was made."""

    async def changed(self) -> list[tuple[str, Sheet | None]]:
        """Orders that changed, each with its sheet (None: nothing is pending any more), the oldest note first; they get
        a stamp of their own. Empty: nothing is to be told, the stamp stays."""
        noted = await self._raw.execute(
            "delete from is_listesi_degisen where is_listesi_degisen_kodu in (select is_listesi_degisen_kodu "
            "from is_listesi_degisen order by 1 limit %s) returning tetkik_istem_kodu",
            [AT_ONCE * 5],
        )
        orders = list(dict.fromkeys(number for (number,) in await noted.fetchall()))
        if not orders:
            return []
        await self._stamped()
        return await _sheets(self._raw, orders, await catalog(self._work.session))

    async def all_again(self, named: Sequence[str]) -> list[str]:
        """Whoever keeps what was told has lost some of it, and still names orders that may be long done: note all that
        is pending and all that it names, and every configuration as not told. Returns the numbers that no order has."""
        await note_all(self._work)
        rows = await (await self._raw.execute(_NOTE_NAMED, [list(named)])).fetchall()
        await self._raw.execute("update gecit set ayar_ozeti = ''")
        await self._stamped()
        return sorted(set(named) - {number for (number,) in rows})

    async def _stamped(self) -> None:
        row = await (await self._raw.execute(_NEW_STAMP)).fetchone()
        assert row is not None
        self.stamp, self.whole = int(row[0]), bool(row[1])


_STAMP = "select (deger->>'sira')::bigint from parametre where ad = 'is_listesi_sirasi'"
_NEW_STAMP = (
    f"insert into parametre (ad, deger) values ('is_listesi_sirasi', jsonb_build_object('sira', {_NOW})) "
    "on conflict (ad) do update set deger = jsonb_build_object('sira', "
    f"greatest((parametre.deger->>'sira')::bigint + 1, {_NOW})) "
    "returning (deger->>'sira')::bigint, not exists (select from is_listesi_degisen)"
)
_NOTE_NAMED = (
    "with named as (select tetkik_istem_kodu, numune_numarasi from tetkik_istem where numune_numarasi = any(%s)), "
    "noted as (insert into is_listesi_degisen (tetkik_istem_kodu) select tetkik_istem_kodu from named) "
    "select numune_numarasi from named"
)


@asynccontextmanager
async def telling(database: Database, *, wait: bool = False) -> AsyncIterator[Telling | None]:
    """One caller at a time: None where another has the turn, or (wait) once that one has ended it."""
    async with database.work(CENTRE) as work:
        raw = await work.driver()
        if wait:
            await raw.execute("select pg_advisory_xact_lock(hashtext('is_listesi'))")
        else:
            turn = await (await raw.execute("select pg_try_advisory_xact_lock(hashtext('is_listesi'))")).fetchone()
            if not turn or not turn[0]:
                yield None
                return
        told = await (await raw.execute(_STAMP)).fetchone()
        yield Telling(work, raw, int(told[0]) if told else 0)


async def _sheets(
    raw: psycopg.AsyncConnection[Any], orders: Sequence[int], known: Catalog
) -> list[tuple[str, Sheet | None]]:
    numbers = await (
        await raw.execute(
            "select i.tetkik_istem_kodu, i.numune_numarasi, array_agg(b.barkod) from tetkik_istem i "
            "join barkod_kayit b using (tetkik_istem_kodu) where i.tetkik_istem_kodu = any(%s) group by 1, 2",
            [list(orders)],
        )
    ).fetchall()
    texts = [barcode for _, _, barcodes in numbers for barcode in barcodes]
    found = await (await raw.execute(ORDERS, [texts])).fetchall()
    pending = await (await raw.execute(PENDING_TESTS, [texts, PENDING_STATES])).fetchall()
    by_text = sheets_of(found, pending, known)
    told: list[tuple[str, Sheet | None]] = []
    for _, number, barcodes in numbers:
        sheet = next((by_text[barcode] for barcode in barcodes if barcode in by_text), None)
        told.append((number, sheet if sheet is not None and sheet.tests else None))
    return told


_TAKE = """
update istem_tetkik as t
set tetkik_durumu = 'calisiyor', durum_zamani = now(), surum = t.surum + 1, calisan_cihaz_kodu = %s,
    calisma_baslama_zamani = %s
from unnest(%s::bigint[], %s::int[]) as v(kodu, surum)
where t.istem_tetkik_kodu = v.kodu and t.surum = v.surum and t.tetkik_durumu = any(%s)
returning t.istem_tetkik_kodu, t.tetkik_istem_kodu
"""


async def record_given(database: Database, gateway: str, given: Given) -> None:
    """An analyser was given work at a gateway: the tests run there, unless something overtook the news.

    Told twice it changes nothing: the versions have moved on, and the tube was seen there at that moment already.
    """
    async with database.work(CENTRE) as work:
        raw = await work.driver()
        ids, versions = [test for test, _ in given.tests], [version for _, version in given.tests]
        rows = await (
            await raw.execute(_TAKE, [given.instrument_id, given.at, ids, versions, PENDING_STATES])
        ).fetchall()
        seen = await raw.execute(_SEEN_THERE, [given.at, given.instrument_id, given.rack, given.position, given.tubes,
                                               given.at, given.instrument_id])  # fmt: skip
        if rows or seen.rowcount:
            numbers = sorted(row[0] for row in rows)
            facts = {"gecit": gateway, "hat": given.line, "tetkikler": numbers, "verilen": len(ids)}
            work.audit("is_emri.verildi", "gecit", given.key, None, facts)


_SEEN_THERE = """
insert into numune_hareket (tetkik_numune_kodu, islem, islem_zamani, cihaz_kodu, raf, pozisyon)
select tup, 'cihazda', %s, %s, %s, %s from unnest(%s::bigint[]) as tup
where not exists (select from numune_hareket h where h.tetkik_numune_kodu = tup and h.islem = 'cihazda'
                  and h.islem_zamani = %s and h.cihaz_kodu = %s)
"""


async def record_status(database: Database, gateway: str, status: EdgeStatus) -> None:
    """A gateway says how it is; its lines show on the instruments screen like any other."""
    async with database.work(CENTRE) as work:
        await work.session.execute(
            text(
                "update gecit set son_gorulme = now(), bekleyen_mesaj = :backlog, kopya_istem = :sheets, "
                "surum = :version, bildirilecek_is = :untold, saat_farki_ms = :clock, sorun = :problem "
                "where gecit_adi = :name"
            ),
            {
                "backlog": status.backlog,
                "sheets": status.sheets,
                "version": status.version[:40],
                "untold": status.untold,
                "clock": None if status.at is None else round((status.at - work.now).total_seconds() * 1000),
                "problem": status.problem[:300],
                "name": gateway,
            },
        )
    await report_lines(database, _reports(status.reports))


def _reports(rows: Iterable[dict[str, Any]]) -> list[LineReport]:
    wanted = LineReport.__dataclass_fields__
    return [LineReport(**{name: row[name] for name in wanted}) for row in rows if wanted.keys() <= row.keys()]
