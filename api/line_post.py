"""Where a gateway's line desk writes what it saw and learns what screens want: the database, or the centre far away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from lis_core.services import line_watch
from lis_core.services.line_watch import Chunk, Event, Wanted
from lis_core.storage.database import Database


class LinePost(Protocol):
    """The line desk's way out. Every call may raise where it cannot be gone now; nothing is kept there then."""

    @property
    def ready(self) -> bool:
        """False: do not even try."""
        ...

    async def wanted(self) -> Wanted: ...

    async def begin_trial(self, trial_id: int) -> bool: ...

    async def trial_step(self, trial_id: int, steps: Sequence[tuple[float, str]], verdict: str = "") -> None: ...

    async def write_events(self, events: Iterable[Event]) -> None: ...

    async def write_refusals(self, line: str, refusals: Sequence[tuple[float, str, int]]) -> None: ...

    async def write_traffic(self, chunks: Sequence[Chunk]) -> None: ...

    async def clean_up(self) -> None: ...


class DatabasePost:
    """For a gateway that has the database."""

    ready = True

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wanted(self) -> Wanted:
        return await line_watch.wanted(self._database)

    async def begin_trial(self, trial_id: int) -> bool:
        return await line_watch.begin_trial(self._database, trial_id)

    async def trial_step(self, trial_id: int, steps: Sequence[tuple[float, str]], verdict: str = "") -> None:
        await line_watch.trial_step(self._database, trial_id, steps, verdict)

    async def write_events(self, events: Iterable[Event]) -> None:
        await line_watch.write_events(self._database, events)

    async def write_refusals(self, line: str, refusals: Sequence[tuple[float, str, int]]) -> None:
        await line_watch.write_refusals(self._database, line, refusals)

    async def write_traffic(self, chunks: Sequence[Chunk]) -> None:
        await line_watch.write_traffic(self._database, chunks)

    async def clean_up(self) -> None:
        await line_watch.clean_up(self._database)
