"""The ingest worker: takes deliveries as they come, applies them in batches, tells the spool what is safe.

Cost per result falls as load rises: whatever arrived while one batch was written is the next batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import psycopg
from sqlalchemy.exc import DBAPIError

from drivers.messages import Delivery
from lis_core.services.ingest_batch import BatchOutcome, apply_batch
from lis_core.services.ingest_write import StaleBatch
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

BATCH_RESULTS = 1200
"""Observations in one transaction at the most."""
QUEUE_RESULTS = 6000
"""Observations that may wait in memory; beyond this the spool holds them."""
RETRY_SECONDS = (0.2, 0.5, 1, 2, 5, 10)


@dataclass(slots=True)
class IngestCounters:
    """Since the start; read by /metrics and by tests."""

    messages: int = 0
    repeats: int = 0
    results: int = 0
    unmatched: int = 0
    controls: int = 0
    batches: int = 0
    failures: int = 0
    problem: str | None = None
    """Why nothing moves at present, in words; None when all is well."""


@dataclass
class Ingest:
    """Feed it with `put`; `confirm` is called with the keys of every committed batch."""

    database: Database
    confirm: Callable[[Sequence[str]], None]
    counters: IngestCounters = field(default_factory=IngestCounters)

    def __post_init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(self, delivery: Delivery) -> None:
        """Take a delivery over; waits while too much is waiting already."""
        await self._room.wait()
        self._waiting.append(delivery)
        self._size += 1 + len(delivery.observations)
        self._idle.clear()
        self._arrived.set()
        if self._size >= QUEUE_RESULTS:
            self._room.clear()

    async def drained(self) -> None:
        """Returns when everything that was put is committed."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled. A batch that is being written is never cut: it commits or leaves nothing."""
        while True:
            await self._arrived.wait()
            batch = self._take()
            if not batch:
                self._arrived.clear()
                self._idle.set()
                continue
            await self._apply(batch)

    def _take(self) -> list[Delivery]:
        batch: list[Delivery] = []
        size = 0
        while self._waiting and size < BATCH_RESULTS:
            delivery = self._waiting.popleft()
            batch.append(delivery)
            size += 1 + len(delivery.observations)
        self._size -= size
        if self._size < QUEUE_RESULTS:
            self._room.set()
        return batch

    async def _apply(self, batch: list[Delivery], *, careful: bool = False) -> None:
        tries = 0
        while True:
            try:
                outcome = await apply_batch(self.database, batch, careful=careful)
            except (StaleBatch, DBAPIError, psycopg.Error) as error:
                self.counters.failures += 1
                cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
                if isinstance(cause, psycopg.OperationalError) and not isinstance(
                    cause, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure
                ):
                    await self._wait_for_database(cause, tries)
                elif isinstance(cause, psycopg.errors.UniqueViolation):
                    careful = True
                    if tries > 3:
                        return await self._apart(batch, cause)
                elif tries > 5 or not isinstance(cause, StaleBatch | psycopg.OperationalError):
                    return await self._apart(batch, cause)
                tries += 1
            else:
                self._count(outcome)
                self.confirm(outcome.keys)
                return None

    async def _wait_for_database(self, cause: BaseException, tries: int) -> None:
        self.counters.problem = "Veritabanına ulaşılamıyor; gelenler diskte bekliyor."
        log.warning("database unreachable", extra={"action": "ingest_waits", "why": type(cause).__name__})
        await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])

    async def _apart(self, batch: list[Delivery], cause: BaseException) -> None:
        """One message of the batch cannot be stored as it is: find it, keep it for a person, let the others pass."""
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._apply(batch[:middle], careful=True)
            await self._apply(batch[middle:], careful=True)
            return
        delivery = batch[0]
        log.error(
            "message cannot be applied", extra={"action": "message_kept", "key": delivery.key, "why": str(cause)[:300]}
        )
        if delivery.problem is None:
            problem = f"Mesaj veritabanına işlenemedi ({type(cause).__name__}); ham hali saklandı."
            await self._apply([msgspec.structs.replace(delivery, observations=[], problem=problem)], careful=True)
        else:  # not even the raw message can be stored: it stays in the spool and on the screen
            self.counters.problem = f"{delivery.line} hattından bir mesaj saklanamıyor: {type(cause).__name__}"

    def _count(self, outcome: BatchOutcome) -> None:
        counters = self.counters
        counters.batches += 1
        counters.messages += outcome.messages
        counters.repeats += outcome.repeats
        counters.results += outcome.results
        counters.unmatched += outcome.unmatched
        counters.controls += outcome.controls
        counters.problem = None
