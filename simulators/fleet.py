"""The demonstration's four analysers: they are told which tubes have been received, and run them.

One line on stdin = the number on a tube that was received. Each analyser in turn loads it after a short while: opens
its connection, asks, runs exactly what it is offered, reports, hangs up. What it has nothing to do for it puts back.
All tubes of an order carry one number: rounds of one number follow each other, and tubes that come while one is waiting
share its round.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import TextIO

from simulators.analyser import Analyser, NotAccepted, Timing, build_analyser
from simulators.cable import LineDown, tcp_client

__all__ = ["FLEET", "Fleet", "lines_of"]

FLEET = (("sysmex-xn", 1), ("roche-cobas-c311", 2), ("roche-cobas-e411", 3), ("generic-esr", 4))
"""Model, and what is added to the base of the demonstration ports."""

TRIES = 5
ANSWER_WAIT = 6.0  # seconds; the real ones wait up to 25, and in a demonstration every other tube with them
LOADING = (0.3, 1.5)  # seconds until an analyser has taken the tube
RUNNING = (1.0, 3.0)  # seconds of measuring


class Fleet:
    """Four analysers and the tubes between them. speed: 2 = twice as fast, 0 = without any waiting."""

    def __init__(
        self,
        host: str,
        port_base: int,
        *,
        seed: int = 1,
        speed: float = 1.0,
        timing: Timing | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._say, self._speed = say, speed
        self._dice = Random(seed)
        self._timing = timing or Timing(answer=ANSWER_WAIT)
        self._waiting: set[str] = set()
        self._rounds: dict[str, asyncio.Lock] = {}
        self.analysers: list[Analyser] = []
        self._locks: list[asyncio.Lock] = []
        for model, offset in FLEET:
            port = port_base + offset
            analyser = build_analyser(model, tcp_client(host, port), seed=seed, timing=self._timing)
            analyser.tell = self._teller(f"{analyser.model.name} · {port}")
            self.analysers.append(analyser)
            self._locks.append(asyncio.Lock())

    def _teller(self, name: str) -> Callable[[str], None]:
        return lambda text: self._say(f"{name}: {text}")

    async def run(self, tubes: AsyncIterator[str]) -> None:
        """Work through all tubes; returns when there are no more and the last one is done."""
        async with asyncio.TaskGroup() as group:
            async for line in tubes:
                barcode = line.strip()
                if barcode and barcode not in self._waiting:
                    self._waiting.add(barcode)
                    group.create_task(self._in_its_turn(barcode))

    async def _in_its_turn(self, barcode: str) -> None:
        async with self._rounds.setdefault(barcode[:-2], asyncio.Lock()):
            self._waiting.discard(barcode)
            await self._round(barcode)

    async def _round(self, barcode: str) -> None:
        """One tube from analyser to analyser."""
        for analyser, lock in zip(self.analysers, self._locks, strict=True):
            await self._pause(LOADING)
            async with lock:
                await self._load(analyser, barcode)

    async def _load(self, analyser: Analyser, barcode: str) -> None:
        """One session, tried again when the line breaks, Numune is not there or does not answer."""
        for attempt in range(1, TRIES + 1):
            try:
                if await self._session(analyser, barcode):
                    return
                why = "sorguya yanıt gelmedi"
            except (LineDown, NotAccepted) as error:
                why = f"oturum yarım kaldı ({error})"
            finally:
                await analyser.disconnect()
            analyser.tell(f"{barcode}: {why}, {attempt}. deneme")
            await asyncio.sleep(self._timing.reconnect * attempt)
        analyser.tell(f"{barcode}: bırakıldı")

    async def _session(self, analyser: Analyser, barcode: str) -> bool:
        """False: the host did not answer the question."""
        await analyser.connect(patience=None)
        work = await analyser.asks(barcode)
        if not work.answered and analyser.model.silence_means_nothing:
            analyser.tell(f"{barcode}: yanıt gelmedi; bu cihazda bu, iş yok demektir")
            return True
        if not work.answered:
            return False
        offer = work[barcode]
        if offer.refused:
            analyser.tell(f"{barcode}: yanıt bu cihaza uymuyor: {offer.refused}")
        elif offer.negative:
            analyser.tell(f"{barcode}: bu tüpte iş yok")
        else:
            analyser.tell(f"{barcode}: {len(offer.tests)} test çalışılıyor ({', '.join(offer.codes)})")
            await self._pause(RUNNING)
            report = await analyser.runs_codes(barcode, offer.codes)
            if report is not None:
                analyser.tell(f"{barcode}: {len(report.results)} sonuç gönderildi")
        return True

    async def _pause(self, span: tuple[float, float]) -> None:
        if self._speed > 0:
            await asyncio.sleep(self._dice.uniform(*span) / self._speed)


async def lines_of(stream: TextIO = sys.stdin) -> AsyncIterator[str]:
    """Lines as they come, until the end of the stream; a thread waits for them, and dies with the program."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError, ValueError):  # the loop or the stream is closed: nobody waits any more
            for line in stream:
                loop.call_soon_threadsafe(queue.put_nowait, line)
            loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True, name="barcodes").start()
    while (line := await queue.get()) is not None:
        yield line
