"""The outbox worker: does what was promised with a fact, after the fact is committed.

Entries of one order key are done in order, one at a time; a failing one is tried again with growing pauses and holds
back its own key only. A handler that returns has done the thing; the entry is then closed in the same transaction as
whatever the handler wrote with the session that it was given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from lis_core.storage.database import Database, Work, program

log = logging.getLogger(__name__)

WORKER = program("giden kutusu")
Handler = Callable[[Work, dict[str, Any]], Awaitable[None]]

PAUSES = (1, 2, 5, 10, 30, 60, 300, 600)
"""Seconds before the next try; the last one is repeated for as long as it takes."""
IDLE_SECONDS = 0.5

_NEXT = text(
    """
    select g.giden_kutusu_kodu, g.icerik, g.deneme_sayisi from giden_kutusu g
    where g.konu = :topic and g.bitti_zamani is null and g.sonraki_deneme <= now()
      and (g.sira_anahtari = '' or not exists (
          select 1 from giden_kutusu once
          where once.konu = g.konu and once.sira_anahtari = g.sira_anahtari and once.bitti_zamani is null
            and once.giden_kutusu_kodu < g.giden_kutusu_kodu))
    order by g.giden_kutusu_kodu limit 1 for update of g skip locked
    """
)
_DONE = text("update giden_kutusu set bitti_zamani = now(), son_hata = null where giden_kutusu_kodu = :id")
_LATER = text(
    "update giden_kutusu set deneme_sayisi = deneme_sayisi + 1, son_hata = :error, "
    "sonraki_deneme = now() + cast(:pause as interval) where giden_kutusu_kodu = :id"
)


class OutboxWorker:
    """One loop per topic; several processes may run the same topic, an entry is done by one of them."""

    def __init__(self, database: Database, handlers: Mapping[str, Handler]) -> None:
        self._database = database
        self._handlers = handlers

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for topic, handler in self._handlers.items():
                group.create_task(self._run_topic(topic, handler))

    async def _run_topic(self, topic: str, handler: Handler) -> None:
        while True:
            try:
                busy = await self.do_one(topic, handler)
            except Exception:
                # The database is away or restarts: the entry stays, the worker stays.
                log.exception("outbox waits", extra={"action": "outbox_waits", "topic": topic})
                busy = False
                await asyncio.sleep(PAUSES[1])
            if not busy:
                await asyncio.sleep(IDLE_SECONDS)

    async def do_one(self, topic: str, handler: Handler) -> bool:
        """Do the next entry that is due. False = there was none."""
        entry_id = 0
        attempts = 0
        try:
            async with self._database.work(WORKER) as work:
                row = (await work.session.execute(_NEXT, {"topic": topic})).first()
                if row is None:
                    return False
                entry_id, payload, attempts = row
                await handler(work, payload)
                await work.session.execute(_DONE, {"id": entry_id})
        except Exception as error:
            if not entry_id:
                raise
            log.warning(
                "outbox entry failed", extra={"action": "outbox_failed", "topic": topic, "why": str(error)[:200]}
            )
            pause = PAUSES[min(attempts, len(PAUSES) - 1)]
            async with self._database.work(WORKER) as work:
                await work.session.execute(
                    _LATER, {"id": entry_id, "error": str(error)[:500], "pause": timedelta(seconds=pause)}
                )
        return True


async def notify_panic(work: Work, payload: dict[str, Any]) -> None:
    """A panic result arrived: a notice that stays open until somebody in the laboratory has seen it."""
    await work.session.execute(
        text(
            "insert into bildirim (tur, metin, nesne_turu, nesne_kodu) values ('panik', :text, 'tetkik_sonuc', :result)"
        ),
        {
            "text": f"Panik değer: {payload['istem']} numaralı istem, {payload['tetkik']}",
            "result": str(payload["sonuc"]),
        },
    )
    work.tell_screens("notice", tur="panik", istem=payload["istem"])
