"""Beside a gateway: writes the history of its lines, their bytes while somebody watches, and does trials of lines.

Runs wherever the gateway runs. When the database is away the lines go on; their newest events wait in memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby

from api.line_post import DatabasePost, LinePost
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import Direction, EventKind, LineBook, LineSpec
from drivers.gateway.probe import try_line
from drivers.site import SiteCatalog
from lis_core.services.line_watch import Chunk, Event, TrialRequest
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How soon the gateway sees what a screen wants."""
FLUSH_SECONDS = 0.25
"""How often the bytes of a watched line are written."""
CLEAN_TURNS = 900
MOST_WAITING = 2_000
"""Chunks of one watched line that wait to be written; older ones are dropped: a screen shows what is now."""
MOST_TRIALS = 8


class LineDesk:
    """One for each gateway process; with the database, or with another way to where the screens are."""

    def __init__(self, post: LinePost | Database, gateway: Gateway) -> None:
        self._post: LinePost = DatabasePost(post) if isinstance(post, Database) else post
        self._gateway = gateway
        self._waiting: dict[str, deque[Chunk]] = {}
        self._taps: dict[str, tuple[LineBook, Callable[[Direction, bytes], None]]] = {}
        self._trials: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        flushing = asyncio.create_task(self._flush_traffic())
        turn = 0
        try:
            while True:
                try:
                    await self._turn(turn)
                except Exception:
                    # The database is away: history and traffic wait, the lines know nothing of it (invariant 10).
                    log.exception("line desk turn failed", extra={"action": "line_desk_failed"})
                turn += 1
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            flushing.cancel()
            for task in self._trials.values():
                task.cancel()
            await asyncio.gather(flushing, *self._trials.values(), return_exceptions=True)

    async def _turn(self, turn: int) -> None:
        if not self._post.ready:
            self._listen_to(frozenset())
            return
        now = await self._post.wanted()
        self._listen_to(now.watched)
        for trial in now.trials:
            if trial.id not in self._trials and len(self._trials) < MOST_TRIALS:
                task = self._trials[trial.id] = asyncio.create_task(self._try(trial))
                task.add_done_callback(partial(self._tried, trial.id))
        await self.write_history()
        if turn % CLEAN_TURNS == 0:
            await self._post.clean_up()

    def _tried(self, trial_id: int, task: asyncio.Task[None]) -> None:
        self._trials.pop(trial_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("trial not written", exc_info=error, extra={"action": "trial_not_written"})

    # -- history

    async def write_history(self) -> None:
        """Every line's new events, in one statement; whom it turned away, into the audit."""
        await self._write_refusals()
        taken = {name: _taken(book) for name, book in self._gateway.lines.items() if book.fresh}
        try:
            await self._post.write_events(_events(taken))
        except Exception:
            for name, events in taken.items():
                self._gateway.lines[name].fresh.extendleft(reversed(events))
            raise

    async def _write_refusals(self) -> None:
        for name, book in self._gateway.lines.items():
            book.refusals.settle()
            if book.turned_away:
                told = list(book.turned_away)
                await self._post.write_refusals(name, [(at, host, count) for at, host, count in told])
                for _ in told:
                    book.turned_away.popleft()

    # -- traffic

    def _listen_to(self, watched: frozenset[str]) -> None:
        """Taps on the watched lines, and on no other."""
        for name, (book, tap) in list(self._taps.items()):
            if name not in watched or self._gateway.lines.get(name) is not book:
                book.taps = tuple(other for other in book.taps if other is not tap)
                del self._taps[name]
        for name in watched:
            found = self._gateway.lines.get(name)
            if found is not None and name not in self._taps:
                tap = self._tap(name)
                found.taps = (*found.taps, tap)
                self._taps[name] = (found, tap)

    def _tap(self, name: str) -> Callable[[Direction, bytes], None]:
        waiting = self._waiting.setdefault(name, deque(maxlen=MOST_WAITING))

        def tap(direction: Direction, data: bytes) -> None:
            waiting.append(Chunk(name, time.time(), direction, bytes(data)))

        return tap

    async def _flush_traffic(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            chunks = [chunk for waiting in self._waiting.values() for chunk in _joined(waiting)]
            if not chunks:
                continue
            for waiting in self._waiting.values():
                waiting.clear()
            try:
                await self._post.write_traffic(chunks)
            except Exception:
                log.exception("traffic not written", extra={"action": "traffic_not_written"})

    # -- trials

    async def _try(self, trial: TrialRequest) -> None:
        if not await self._post.begin_trial(trial.id):
            return
        steps: list[tuple[float, str]] = []
        spec = LineSpec(trial.name, trial.kind, trial.protocol, trial.address, "", trial.settings)  # type: ignore[arg-type]
        writing = asyncio.create_task(self._tell(trial.id, steps))
        try:
            verdict, sentence = await try_line(
                spec,
                trial.seconds,
                lambda said: steps.append((time.time(), said)),
                self._open_at(spec),
                self._gateway.security,
            )
        except Exception as error:
            log.exception("trial failed", extra={"action": "trial_failed"})
            verdict, sentence = "kotu", f"Deneme yapılamadı: {error}"
        finally:
            writing.cancel()
        await self._post.trial_step(trial.id, [*steps, (time.time(), sentence)], verdict)

    def _open_at(self, spec: LineSpec) -> LineBook | None:
        """The line that has this address open, whatever its name: a port can be had once."""
        for book in self._gateway.lines.values():
            if book.status.listening and (book.spec.kind, book.spec.address) == (spec.kind, spec.address):
                return book
        return None

    async def _tell(self, trial_id: int, steps: list[tuple[float, str]]) -> None:
        told = 0
        while True:
            await asyncio.sleep(0.4)
            if len(steps) > told:
                told = len(steps)
                try:
                    await self._post.trial_step(trial_id, list(steps))
                except Exception:
                    log.exception("trial step not written", extra={"action": "trial_step_not_written"})


def _taken(book: LineBook) -> list[tuple[float, EventKind, str]]:
    taken = list(book.fresh)
    book.fresh.clear()
    return taken


def _events(taken: dict[str, list[tuple[float, EventKind, str]]]) -> Iterable[Event]:
    """Events of all lines; the same sentence again and again is one event with a count."""
    for name, events in taken.items():
        for (kind, sentence), same in groupby(events, key=lambda event: (event[1], event[2])):
            times = [at for at, _, _ in same]
            yield Event(name, kind, sentence, len(times), times[0], times[-1])


def _joined(waiting: deque[Chunk]) -> Iterable[Chunk]:
    """Neighbouring bytes of one direction as one chunk."""
    for direction, same in groupby(waiting, key=lambda chunk: chunk.direction):
        chunks = list(same)
        yield Chunk(chunks[0].line, chunks[0].at, direction, b"".join(chunk.content for chunk in chunks))


async def follow_definitions(site: SiteCatalog, gateway: Gateway) -> None:
    """Take up changed site definitions, without a restart."""
    if site.changed() and await asyncio.to_thread(site.refresh):
        await gateway.use(site.catalog)
        for fault in site.faults:
            log.error("site definition left out: %s", fault, extra={"action": "definition_left_out"})
