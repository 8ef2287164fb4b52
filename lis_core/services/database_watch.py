"""What was done to the database without the program goes into the audit chain; whether the watching itself still works.

Triggers keep each statement that changes rows and does not come from the program (`veritabani_gunlugu`); what changes
the schema is taken out of the server's own log (`izleme`, see `storage/server_watch.py`). Decision 0094.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.storage.database import Database

CHAIN = "veritabani"
STEP = 1000
_TAKE = text("select dis_degisiklikleri_zincire_al(:step)")


async def take_up(database: Database) -> int:
    """Watch tables that are new, and put what is new into the chain; how many statements."""
    taken = 0
    async with database.engine.begin() as connection:
        await connection.execute(text("select tablolari_izle()"))
    while True:
        async with database.engine.begin() as connection:
            some = int(
                await connection.scalar(text("select dis_degisiklikleri_zincire_al(:step)"), {"step": STEP}) or 0
            )
        taken += some
        if some < STEP:
            return taken


@dataclass(frozen=True, slots=True)
class Watching:
    """Whether everything is watched, and what was seen lately."""

    unwatched: list[str]
    """Tables whose trigger is missing or off."""
    disabled: list[str]
    """Triggers of ours that somebody switched off."""
    log_readable: bool
    """The server's log is written and can be asked by SQL."""
    changes: int
    """Statements since the asked moment; the program's own upkeep (migrations, rights) is not counted."""
    by: list[str]
    """By whom, with their program and address."""


_UNWATCHED = text(
    "select c.oid::regclass::text from pg_class c where c.relnamespace::regnamespace::text in ('public', 'bolum') "
    "and c.relkind in ('r', 'p') and c.relname <> 'veritabani_gunlugu' and not exists (select from pg_trigger t "
    "where t.tgrelid = c.oid and t.tgname = 'zz_disaridan' and t.tgenabled = 'A') order by 1"
)
_DISABLED = text(
    "select t.tgrelid::regclass::text || '.' || t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid "
    "join pg_proc p on p.oid = t.tgfoid where c.relnamespace::regnamespace::text in ('public', 'bolum') "
    "and t.tgenabled = 'D' and p.proname <> 'is_listesi_degisti' and not t.tgisinternal order by 1"
)
_LOG = text(
    "select current_setting('logging_collector') = 'on' and current_setting('log_destination') like '%jsonlog%' "
    "and to_regprocedure('izleme.erisimler(timestamptz, timestamptz, bigint)') is not null"
)
_BY = """
select veritabani_kullanicisi || ' (' || coalesce(nullif(uygulama, ''), 'adsiz') || ', ' || adres || ')', count(*)
from {table} where zaman >= :since and uygulama not like 'numune%' group by 1
"""


async def state(session: AsyncSession, since: datetime) -> Watching:
    """Ask the catalogue of the database and both logs."""
    unwatched = list(await session.scalars(_UNWATCHED))
    disabled = list(await session.scalars(_DISABLED))
    log_readable = bool(await session.scalar(_LOG))
    seen: dict[str, int] = {}
    for table in await log_tables(session):
        for who, count in await session.execute(text(_BY.format(table=table)), {"since": since}):
            seen[who] = seen.get(who, 0) + count
    by = [f"{who}: {count}" for who, count in sorted(seen.items(), key=lambda one: -one[1])]
    return Watching(unwatched, disabled, log_readable, sum(seen.values()), by)


async def log_tables(session: AsyncSession) -> list[str]:
    """The logs that are here: the rows' own, and the schema's where the server's part is installed and readable."""
    there = await session.scalar(
        text(
            "select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'izleme' and c.relname = 'sema_gunlugu'"
        )
    )
    return ["veritabani_gunlugu", *(["izleme.sema_gunlugu"] if there else [])]
