"""A code of an instrument got its meaning: the results that waited for it are derived again, by themselves.

The promise is made in the transaction of the mapping (outbox) and kept by the core: each raw message is replayed in a
transaction of its own, what is stored already stays as it is, and the audit names whoever mapped the code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.permissions import P, program_rights
from lis_core.services.replay import Reread, replay
from lis_core.storage.database import Actor, Database, Work

TOPIC = "cihaz.yeniden_turet"

_WAITING = "from eslesmeyen_sonuc where cihaz_kodu = :instrument and durum = 'bekliyor' and icerik->>'test' = :code"


async def waiting_under(session: AsyncSession, instrument_id: int, code: str) -> int:
    """How many results wait for a person under a code of an instrument, whatever else they wait for."""
    facts = {"instrument": instrument_id, "code": code}
    return await session.scalar(text(f"select count(*) {_WAITING}"), facts) or 0


async def rederive_later(work: Work, instrument_id: int, code: str) -> int:
    """Promise to derive again what waits under this code; how many results that are. Nothing is promised for none."""
    waiting = await waiting_under(work.session, instrument_id, code)
    if waiting:
        work.later(
            TOPIC,
            {"cihaz": instrument_id, "kod": code, "kullanici": work.actor.user_id, "yapan": work.actor.name},
            order_key=f"cihaz-{instrument_id}",
        )
    return waiting


def rederiving(
    database: Database, reread: Callable[[], Awaitable[Reread]]
) -> Callable[[Work, dict[str, Any]], Awaitable[None]]:
    """The outbox handler of TOPIC. Done twice it changes nothing the second time."""

    async def handle(work: Work, promised: dict[str, Any]) -> None:
        rows = await work.session.scalars(
            text(f"select distinct ham_mesaj_kodu {_WAITING} order by ham_mesaj_kodu"),
            {"instrument": promised["cihaz"], "code": promised["kod"]},
        )
        actor = Actor(name=promised["yapan"], user_id=promised["kullanici"], rights=program_rights(P.MESSAGE_REPLAY))
        await replay(database, list(rows), actor, await reread())

    return handle
