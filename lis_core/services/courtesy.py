"""Who is waited for goes first: while an analyser holds a tube and asks what to run, batches pause between slices.

An analyser stands still until it has its answer (15 s by the standard, then it runs nothing); a batch of results waits
for nobody. One process has one event loop and one core, hence one object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 0.03
"""Seconds that one slice lets others go before: questions without end must not stop the results."""


class Courtesy:
    """`asking()` around an answer that somebody waits for; `give_way()` where long work may pause."""

    def __init__(self) -> None:
        self._asked = 0
        self._waiting: set[asyncio.Future[None]] = set()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Somebody waits for what is done inside."""
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1
            if not self._asked:
                for waiting in self._waiting:
                    if not waiting.done():
                        waiting.set_result(None)

    async def give_way(self) -> None:
        """Let the other tasks of the process have their turn, and whoever is waited for finish (`LONGEST`)."""
        await asyncio.sleep(0)
        if not self._asked:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        await asyncio.wait([waiting], timeout=LONGEST)
        self._waiting.discard(waiting)


queries = Courtesy()
"""Host queries before batches of results."""
