"""What was done to the database without the program, for the audit's screen (5.3.5, 5.3.6): no values are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.services.database_watch import log_tables
from lis_core.views.order_view import here


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `refused`: what the server answered; empty = it was done."""

    at: datetime
    user: str
    application: str
    address: str
    deed: str
    thing: str
    words: str
    refused: str = ""


_CHANGES = """
select zaman, veritabani_kullanicisi, uygulama, adres, islem, nesne, deyim_degersiz(deyim) from {table}
where zaman >= :since and zaman < :until and (:who = '' or veritabani_kullanicisi = :who)
"""
_ACCESSES = text(
    "select zaman, kullanici, uygulama, adres, '', '', deyim_degersiz(deyim), coalesce(hata, '') "
    "from izleme.erisimler(:since, :until) "
    "where uygulama not like 'numune-%' and deyim not like 'connection authorized:%application_name=numune%' "
    "and not (uygulama = 'numune' and kullanici = current_user and basarili) "
    "and deyim !~* '^(begin|commit|rollback|start transaction|deallocate)' "
    "and (:who = '' or kullanici = :who) and (not :refused or not basarili) "
    "order by zaman desc, satir desc limit :limit"
)


async def changes(
    session: AsyncSession, since: datetime, until: datetime, who: str = "", limit: int = 200
) -> Sequence[Statement]:
    """Changes of rows and of the schema that did not come from the program, newest first."""
    union = " union all ".join(_CHANGES.format(table=table) for table in await log_tables(session))
    rows = await session.execute(
        text(f"{union} order by 1 desc limit :limit"), {"since": since, "until": until, "who": who, "limit": limit}
    )
    return [Statement(here(at), *rest) for at, *rest in rows]


async def accesses(
    session: AsyncSession,
    since: datetime,
    until: datetime,
    who: str = "",
    limit: int = 200,
    *,
    refused: bool = False,
) -> Sequence[Statement] | None:
    """What others than the program asked of the server, from the server's own log; None where it cannot be read.

    refused: only what the server did not do.
    """
    may = await session.scalar(
        text(
            "select has_schema_privilege(n.oid, 'usage') and has_function_privilege(p.oid, 'execute') "
            "and current_setting('logging_collector') = 'on' "
            "from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
            "where n.nspname = 'izleme' and p.proname = 'erisimler'"
        )
    )
    if not may:
        return None
    rows = await session.execute(
        _ACCESSES, {"since": since, "until": until, "who": who, "limit": limit, "refused": refused}
    )
    return [Statement(here(at), *rest) for at, *rest in rows]
