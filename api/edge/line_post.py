"""The line desk's way to the centre from a gateway that stands apart: wishes of screens in, history and bytes out.

Bytes leave only while somebody watches, to the core that asked, and are lost where the line is cut: they are no record.
History waits in memory until the line is up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import aiomqtt

from api.edge.broker import encode
from api.edge.counter_words import Bytes, LineNews, decode_wishes
from lis_core.services.line_watch import Chunk, Event, TrialRequest, Wanted

if TYPE_CHECKING:
    from api.edge.link import CentreLink

HOLDS = 5.0
"""Seconds that a wish holds; a core renews it every second while somebody watches."""
AGAIN = 2.0
"""Seconds until the end of a trial is told again."""
MOST_BYTES = 256 * 1024
"""Of one message of traffic: a line that pours is shown in part."""


class EdgePost:
    """One per gateway."""

    def __init__(self, link: CentreLink) -> None:
        self._link = link
        self._core = ""
        self._until = 0.0
        self._watched: frozenset[str] = frozenset()
        self._trials: dict[int, TrialRequest] = {}
        link.takes("iste", self._wished)

    @property
    def ready(self) -> bool:
        return self._link.connected

    async def _wished(self, payload: bytes) -> None:
        wishes = decode_wishes(payload)
        for trial in wishes.trials:
            self._trials[trial.id] = trial
        now = time.monotonic()
        if self._core not in ("", wishes.core) and now < self._until:
            return  # another core asks for the same; one is enough
        self._core, self._until = wishes.core, now + HOLDS
        self._watched = frozenset(wishes.watched)

    async def wanted(self) -> Wanted:
        """What the screens want now."""
        if time.monotonic() > self._until:
            self._core, self._watched = "", frozenset()
        return Wanted(self._watched, tuple(self._trials.values()))

    async def begin_trial(self, trial_id: int) -> bool:
        """The core has marked it as begun before it sent it."""
        return self._trials.pop(trial_id, None) is not None

    async def trial_step(self, trial_id: int, steps: Sequence[tuple[float, str]], verdict: str = "") -> None:
        """What a trial ends with is told also where the line is cut just then: a screen waits for it."""
        news = LineNews(trial=trial_id, steps=list(steps), verdict=verdict)
        while True:
            try:
                await self._tell(news)
            except aiomqtt.MqttError:
                if not verdict:
                    raise
                await asyncio.sleep(AGAIN)
            else:
                return

    async def write_events(self, events: Iterable[Event]) -> None:
        told = list(events)
        if told:
            await self._tell(LineNews(events=told))

    async def write_refusals(self, line: str, refusals: Sequence[tuple[float, str, int]]) -> None:
        await self._tell(LineNews(line=line, turned_away=list(refusals)))

    async def write_traffic(self, chunks: Sequence[Chunk]) -> None:
        if not self._core:
            return
        size = 0
        sent = []
        for chunk in chunks:
            size += len(chunk.content)
            if size > MOST_BYTES:
                break
            sent.append(chunk)
        await self._link.say("bayt", encode(Bytes(self._core, sent)), qos=0)

    async def clean_up(self) -> None:
        """Nothing is kept here."""

    async def _tell(self, news: LineNews) -> None:
        await self._link.say("hat", encode(news), qos=1)
