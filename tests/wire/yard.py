"""A gateway with real sockets and a real spool, one line a catalogue entry, and a clock that can be turned forward.

No database: `deliver` keeps the deliveries for the test. Everything lives in one event loop, so "nothing more happens"
can be known instead of waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from drivers.definition import Catalog, Definition
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineBook, LineSpec
from drivers.messages import Delivery, Query, WorkOrder, WorkTest
from lis_core.settings import ISTANBUL

T = TypeVar("T")
PATIENCE = 3.0
"""Seconds of real time after which a story that does not go on has failed."""


class TurnableLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps: every timer of the lines fires as if that much time had passed in silence."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = 0.0

    def time(self) -> float:
        return super().time() + self._ahead

    def turn(self, seconds: float) -> None:
        self._ahead += seconds


class Yard:
    """The gateway, what it delivered, and its answers to queries."""

    def __init__(self, loop: TurnableLoop, folder: Path, catalog: Catalog) -> None:
        self.loop = loop
        self.catalog = catalog
        self.delivered: list[Delivery] = []
        self.gateway = Gateway(folder, catalog, answer=self._answer, deliver=self._take, zone=ISTANBUL)
        self._specs: dict[str, LineSpec] = {}

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(story, None))

    async def start(self) -> None:
        await self.gateway.start_lines([])

    async def line(self, definition: Definition, name: str | None = None, **link: Any) -> Line:
        """Open a line of this model on a free port. link: options other than the definition's own."""
        name = name or definition.key
        spec = LineSpec(
            name,
            "tcp-sunucu",
            definition.protocol,
            "127.0.0.1:0",
            definition.key,
            {"ikinci": "birlikte", **({"hat": link} if link else {})},
        )
        self._specs[name] = spec
        await self.gateway.apply(self._specs.values())
        return Line(self, definition, self.gateway.lines[name])

    async def stop(self) -> None:
        await self.gateway.stop()

    async def _take(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)

    async def _answer(self, line: str, query: Query) -> Sequence[WorkOrder]:
        tests = (WorkTest("12"), WorkTest("34"))
        return [WorkOrder(specimen=specimen, known=True, tests=tests) for specimen in query.specimens]

    async def rest(self) -> None:
        """Until nothing is on its way: what was sent is read, stored, read again by the definition and delivered."""
        spool = self.gateway.spool
        for _ in range(100):
            await turns(4)
            before = spool.new_transfer()
            await self._flushed()
            await turns(4)
            if (
                spool.new_transfer() == before + 2  # one number for the marker itself
                and self.gateway.backlog == len(self.delivered)
                and not self.gateway._tasks
            ):
                return
        raise AssertionError(f"{self.gateway.backlog} messages in the gateway, {len(self.delivered)} delivered")

    async def _flushed(self) -> None:
        """The spool has told everybody who waited up to here."""
        told = asyncio.Event()
        spool = self.gateway.spool

        def done(error: OSError | None) -> None:
            assert error is None
            told.set()

        place = spool.append("işaret", 0, 0, True, b"", 0, 0, done)
        await told.wait()
        spool.delivered([place])

    def forget(self) -> None:
        """The database has all that was delivered."""
        self.gateway.confirmed([one.key for one in self.delivered])
        self.delivered.clear()


class Line:
    """One line of the yard, with what happened on it since the last `fresh`."""

    def __init__(self, yard: Yard, definition: Definition, book: LineBook) -> None:
        self.yard = yard
        self.definition = definition
        self.book = book
        self.port: int = yard.gateway._endpoints[book.spec.name].port  # type: ignore[union-attr]

    def fresh(self) -> None:
        """A new story begins: nothing delivered, an empty book."""
        self.yard.forget()
        self.book.fresh.clear()

    @property
    def deliveries(self) -> list[Delivery]:
        return [one for one in self.yard.delivered if one.line == self.book.spec.name]

    @property
    def troubles(self) -> list[str]:
        return [sentence for _, kind, sentence in self.book.fresh if kind == "sorun"]

    @property
    def written(self) -> list[str]:
        """Everything that the line book says, troubles and notes."""
        return [sentence for _, _, sentence in self.book.fresh]

    async def hung_up(self) -> None:
        """Until no peer is connected and all that came is delivered."""
        await until(lambda: not self.book.sessions)
        await self.yard.rest()

    async def emptied(self) -> None:
        """Hang up on everybody that a failed story left on the line."""
        for session in list(self.book.sessions):
            session.close()
        await self.hung_up()

    async def silence(self, seconds: float = 61.0) -> None:
        """Nobody says anything for so long. In steps, as timers that set timers need them."""
        for _ in range(4):
            await self.yard.rest()
            self.yard.loop.turn(seconds / 4)
            await turns(6)
        await self.yard.rest()


async def turns(count: int) -> None:
    """Let everything that is ready happen, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], what: str = "it never happened") -> None:
    """Until it holds; fails after PATIENCE seconds of real time.

    Where a line waits a second by its standard (whose turn it is after both spoke), the clock is turned instead.
    """
    loop = asyncio.get_running_loop()
    begun = time.monotonic()
    spins = turned = 0
    while not condition():
        spins += 1
        await asyncio.sleep(0 if spins < 50 else 0.0005)
        waited = time.monotonic() - begun
        if isinstance(loop, TurnableLoop) and turned < 3 and waited > 0.1 * (turned + 1):
            loop.turn(0.5)
            turned += 1
        if waited > PATIENCE:
            raise AssertionError(what)


async def gather(stories: Sequence[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*stories))
