"""The ingest worker: takes deliveries as they come, applies them in batches, tells the spool what is safe.

Cost per result falls as load rises: whatever arrived while one batch was written is the next batch.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from drivers.messages import Delivery
from lis_core.services.ingest_batch import BatchOutcome, apply_batch
from lis_core.services.ingest_write import StaleBatch
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

BATCH_RESULTS = 800
"""Observations in one transaction at the most."""
WRITERS = 2
"""Batches under way at once."""
PACE_SECONDS = 0.08
"""Small batches do not begin more often than this: under load each of them would cost as much as a large one. What
comes after a pause is applied at once."""
QUEUE_RESULTS = 3200
"""Observations that may wait in memory; beyond this the spool holds them."""
MOST_TRIES = 5
_PASSING = (
    StaleBatch,
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
"""What another try may settle: somebody else wrote at the same moment."""
RETRY_SECONDS = (0.2, 0.5, 1, 2, 5, 10)


def _weight(delivery: Delivery) -> int:
    return 1 + len(delivery.observations)


def _names(delivery: Delivery) -> set[str | bytes | tuple[str]]:
    """What another message may have in common with this one: its line, a specimen, the content."""
    names: set[str | bytes | tuple[str]] = {o.specimen for o in delivery.observations if o.specimen}
    names.add(delivery.fingerprint or delivery.key)
    names.add((delivery.line,))
    return names


def _database_is_away(cause: BaseException) -> bool:
    if isinstance(cause, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return False
    return isinstance(cause, psycopg.OperationalError | OSError | TimeoutError | NoConnectionFree)


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


@dataclass(slots=True, eq=False)
class _Writer:
    """Writes the batches of its lines, one after the other."""

    waiting: deque[Delivery] = field(default_factory=deque)
    size: int = 0
    names: set[str | bytes | tuple[str]] = field(default_factory=set)
    """Of the batch that is being written."""
    task: asyncio.Task[None] | None = None
    begun: float = -PACE_SECONDS


@dataclass
class Ingest:
    """Feed it with `put`; `confirm` is called with the keys of every committed batch.

    Up to `WRITERS` batches are under way at once: while the database writes one, the next is decided. Each line belongs
    to one writer, so an instrument's messages are stored in the order in which they came; messages that have a specimen
    or the same content in common never are in two batches at once, whichever lines they came on.
    """

    database: Database
    confirm: Callable[[Sequence[str]], None]
    counters: IngestCounters = field(default_factory=IngestCounters)

    def __post_init__(self) -> None:
        self._writers = [_Writer() for _ in range(WRITERS)]
        self._of_line: dict[str, _Writer] = {}
        self._size = 0
        self._moved = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(self, delivery: Delivery) -> None:
        """Take a delivery over; waits while too much is waiting already."""
        await self._room.wait()
        writer = self._of_line.get(delivery.line)
        if writer is None:
            writer = self._of_line[delivery.line] = self._writers[len(self._of_line) % WRITERS]
        writer.waiting.append(delivery)
        writer.size += _weight(delivery)
        self._size += _weight(delivery)
        self._idle.clear()
        self._moved.set()
        if self._size >= QUEUE_RESULTS:
            self._room.clear()

    async def drained(self) -> None:
        """Returns when everything that was put is committed."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled. A batch that is being written commits or leaves nothing."""
        try:
            while True:
                await self._moved.wait()
                self._moved.clear()
                for writer in self._writers:
                    if self._may_begin(writer) and (batch := self._take(writer)):
                        writer.begun = asyncio.get_running_loop().time()
                        writer.names = {name for delivery in batch for name in _names(delivery)}
                        writer.task = asyncio.create_task(self._apply(batch))
                        writer.task.add_done_callback(partial(self._finished, writer))
                if all(not writer.waiting and writer.task is None for writer in self._writers):
                    self._idle.set()
        finally:
            for writer in self._writers:
                if writer.task is not None:
                    writer.task.cancel()

    def _may_begin(self, writer: _Writer) -> bool:
        if not writer.waiting or writer.task is not None:
            return False
        loop = asyncio.get_running_loop()
        pause = 0.0 if writer.size >= BATCH_RESULTS else writer.begun + PACE_SECONDS - loop.time()
        if pause > 0 and self._alarm is None:
            self._alarm = loop.call_later(pause, self._ring)
        return pause <= 0

    def _ring(self) -> None:
        self._alarm = None
        self._moved.set()

    def _finished(self, writer: _Writer, task: asyncio.Task[None]) -> None:
        writer.task, writer.names = None, set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("ingest batch failed", exc_info=error, extra={"action": "ingest_failed"})
        self._moved.set()

    def _take(self, writer: _Writer) -> list[Delivery]:
        """The next batch: in order, without anything that has something in common with what another writer writes."""
        taken: set[str | bytes | tuple[str]] = set().union(*(other.names for other in self._writers))
        batch: list[Delivery] = []
        back: list[Delivery] = []
        size = 0
        while writer.waiting and size < BATCH_RESULTS and len(back) < BATCH_RESULTS:
            delivery = writer.waiting.popleft()
            names = _names(delivery)
            if taken and not taken.isdisjoint(names):
                taken.update(names)  # what comes later and shares a name with it has to wait behind it
                back.append(delivery)
                continue
            batch.append(delivery)
            size += _weight(delivery)
        writer.waiting.extendleft(reversed(back))
        writer.size -= size
        self._size -= size
        if self._size < QUEUE_RESULTS:
            self._room.set()
        return batch

    async def _apply(self, batch: list[Delivery], *, careful: bool = False) -> None:
        for tries in itertools.count():
            try:
                outcome = await apply_batch(self.database, batch, careful=careful)
            except Exception as error:  # noqa: BLE001 - sorted below; nothing is swallowed
                # Whatever it is, nothing was written; a message that cannot be applied must not stop the others.
                self.counters.failures += 1
                cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
                if _database_is_away(cause):
                    await self._wait_for_database(cause, tries)
                elif not isinstance(cause, _PASSING) or tries > MOST_TRIES:
                    await self._apart(batch, cause)
                    return
                careful = careful or isinstance(cause, psycopg.errors.UniqueViolation)
            else:
                self._count(outcome)
                self.confirm(outcome.keys)
                return

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
