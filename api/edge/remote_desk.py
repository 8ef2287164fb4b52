"""The work desk of LAW analysers at a gateway that stands apart (`drivers.gateway.work_line.Desk`).

Steps and messages stand in the centre's database and nowhere else. With the line up every question goes there. What
happened to a message (stored, sent, answered, given up) is kept on disk first and told in order, so that a cut line
neither stops the conversation with the analyser nor loses an answer. With the line down a query is answered from the
replicated work list, without steps, as it was before there were any: under references that name no step.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import aiomqtt
import msgspec

from api.edge.broker import encode
from api.edge.counter_words import DeskCall, DeskReply, decode_call, decode_reply
from drivers.messages import Query, Shipment, StepAnswer, WorkOrder

if TYPE_CHECKING:
    from api.edge.link import CentreLink
    from api.edge.store import EdgeStore

log = logging.getLogger(__name__)

WAIT = 4.0
"""Seconds that the centre has to answer; the broker throws away what it could not deliver by then."""
AGAIN = 5.0
"""Seconds after which news without an answer are told again."""
QUIET = 10.0
"""Seconds in which a centre that did not answer is asked nothing: analysers must not wait for it again and again."""
PLAN_EVERY = 3.0
"""Seconds between two questions for work that nobody asked for; a line looks more often."""
_ROUTED = re.compile(r"N\d+\.\d+")
"""A reference that names no step: given from the replicated work list."""

AnswerHere = Callable[[str, Query], Awaitable[list[WorkOrder]]]
Trouble = Callable[[str, str], None]


class DeskAway(ConnectionError):
    """The centre cannot be asked now. The text is for the log."""


class RemoteDesk:
    """One per gateway; use from its event loop. `run` must be running."""

    def __init__(self, link: CentreLink, store: EdgeStore, answer_here: AnswerHere, trouble: Trouble) -> None:
        """answer_here: from the replicated work list. trouble: (line, sentence) for the line's history."""
        self._link = link
        self._store = store
        self._answer_here = answer_here
        self._trouble = trouble
        self._replies: dict[str, asyncio.Future[DeskReply]] = {}
        self._asking = asyncio.Lock()
        self._moved = asyncio.Event()
        self._own: dict[str, str] = {}
        """Control ids of messages without steps, that only this process knows, with their lines."""
        self._line_of: dict[str, str] = {}
        self._open: dict[str, frozenset[str]] = {}
        """Unanswered new work and its steps."""
        self._replaced: set[str] = set()
        """New work whose steps went into newer work: it is not to be sent any more."""
        self._looked_at: dict[tuple[str, str], float] = {}
        self._quiet_until = 0.0
        link.takes("masa-yanit", self._replied)

    # ---- LAB-27

    async def answer(self, line: str, query: Query) -> list[WorkOrder]:
        """The work for a query. Raises DeskAway: asked by rack, tray or isolate, which only the centre knows."""
        asked = msgspec.structs.replace(query, echo={})
        try:
            return (await self._ask(DeskCall(id=_new(), method="answer", line=line, query=asked))).orders
        except DeskAway:
            if not query.specimens and not query.everything:
                raise
        return await self._answer_here(line, query)

    # ---- LAB-28

    async def planned(self, line: str, broadcast: bool) -> list[WorkOrder]:
        """What is to be sent unasked; nothing while the centre cannot be asked."""
        if not self._is_time("planned", line):
            return []
        call = DeskCall(id=_new(), method="planned", line=line, broadcast=broadcast)
        return (await self._or_nothing(call)).orders

    async def reopened(self, line: str) -> list[Shipment]:
        """What a person wants sent again."""
        if not self._is_time("reopened", line):
            return []
        reply = await self._or_nothing(DeskCall(id=_new(), method="reopened", line=line))
        return [self._known(line, one) for one in reply.shipments]

    def _is_time(self, what: str, line: str) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._looked_at.get((what, line), -PLAN_EVERY) < PLAN_EVERY:
            return False
        self._looked_at[what, line] = now
        return True

    async def unanswered(self, line: str) -> list[Shipment] | None:
        """What waits for its answer; None while the centre cannot be asked."""
        try:
            reply = await self._ask(DeskCall(id=_new(), method="unanswered", line=line))
        except DeskAway:
            return None
        return [self._known(line, one) for one in reply.shipments]

    def _known(self, line: str, shipment: Shipment) -> Shipment:
        self._line_of[shipment.control_id] = line
        if shipment.kind == "NW":
            self._open[shipment.control_id] = frozenset(shipment.references)
        return shipment

    async def store(self, line: str, shipment: Shipment, seconds: float | None = None) -> None:
        """Keep a message before it is sent; one without steps only here."""
        if all(_ROUTED.fullmatch(one) for one in shipment.references):
            self._own[shipment.control_id] = line
            return
        steps = frozenset(shipment.references)
        if shipment.kind == "NW":
            for other in [name for name, held in self._open.items() if held & steps]:
                del self._open[other]
                self._replaced.add(other)
        self._known(line, shipment)
        await self._tell(
            DeskCall(id=_new(), method="store", line=line, shipment=shipment, seconds=seconds)
        )  # fmt: skip

    async def sending(self, control_id: str) -> bool:
        """About to be written to the wire. False: newer work took its place."""
        if control_id in self._own:
            return True
        if control_id in self._replaced:
            self._replaced.discard(control_id)
            return False
        await self._tell(DeskCall(id=_new(), method="sending", control_id=control_id))
        return True

    async def answered(
        self, control_id: str, code: str, text: str, raw_answer: bytes, answers: Sequence[StepAnswer]
    ) -> list[str]:
        """The analyser's answer. What the centre makes of it comes into the line's history when it was told."""
        self._open.pop(control_id, None)
        self._replaced.discard(control_id)
        if self._own.pop(control_id, None) is not None:
            return [f"Cihaz işi kabul etmedi ({one.outcome}); hat kesikken verilmişti." for one in answers
                    if one.outcome not in ("OK", "CR")]  # fmt: skip
        await self._tell(
            DeskCall(id=_new(), method="answered", control_id=control_id, code=code, text=text, raw=raw_answer,
                     answers=list(answers), line=self._line_of.pop(control_id, ""))
        )  # fmt: skip
        return []

    async def given_up(self, control_id: str, why: str) -> None:
        """No answer will be waited for any more."""
        self._open.pop(control_id, None)
        self._replaced.discard(control_id)
        if self._own.pop(control_id, None) is None:
            self._line_of.pop(control_id, None)
            await self._tell(DeskCall(id=_new(), method="given_up", control_id=control_id, text=why))

    # ---- the way to the centre

    async def run(self) -> None:
        """Tell the news in order, until cancelled. A centre that takes them may be asked again at once."""
        while True:
            self._moved.clear()
            if self._link.connected and self._store.news:
                async with self._asking:
                    if await self._flush():
                        self._quiet_until = 0.0
            try:
                async with asyncio.timeout(AGAIN):
                    await self._moved.wait()
            except TimeoutError:
                continue

    async def _tell(self, news: DeskCall) -> None:
        await self._store.keep_news(news.id, encode(news))
        self._moved.set()

    async def _flush(self) -> bool:
        """Tell what is to be told; True where nothing is left."""
        for key, payload in list(self._store.news.items()):
            try:
                reply = await self._exchange(key, payload, None)
            except DeskAway:
                return False
            if reply.problem and not reply.final:
                log.warning("news not taken", extra={"action": "desk_news_refused", "why": reply.problem})
                return False
            await self._store.told_news(key)
            self._told(decode_call(payload), reply)
        return True

    def _told(self, news: DeskCall, reply: DeskReply) -> None:
        """What the centre made of it. News that it can never take must not stand before all others."""
        line = news.line or self._line_of.get(news.control_id, "")
        if reply.problem:
            log.error("news dropped", extra={"action": "desk_news_dropped", "why": reply.problem, "what": news.method})
            self._trouble(line, "Merkez bir iş iletisinin haberini alamadı; iş adımının durumu belirsiz kalabilir.")
        for sentence in reply.sentences:
            self._trouble(line, sentence)

    async def _ask(self, call: DeskCall) -> DeskReply:
        """Raises DeskAway: no line, news that are older and not told, no answer in time, or the centre's database."""
        loop = asyncio.get_running_loop()
        if not self._link.connected or loop.time() < self._quiet_until:
            raise DeskAway("no line to the centre")
        try:
            async with asyncio.timeout(WAIT):
                async with self._asking:
                    if not await self._flush():
                        raise DeskAway("older news are not told")
                    reply = await self._exchange(call.id, encode(call), int(WAIT) + 1)
        except (TimeoutError, DeskAway) as error:
            self._quiet_until = loop.time() + QUIET
            raise DeskAway("no answer from the centre") from error
        if reply.problem:
            raise DeskAway(reply.problem)
        return reply

    async def _or_nothing(self, call: DeskCall) -> DeskReply:
        try:
            return await self._ask(call)
        except DeskAway:
            return DeskReply(id=call.id)

    async def _exchange(self, key: str, payload: bytes, expires: int | None) -> DeskReply:
        waiting: asyncio.Future[DeskReply] = asyncio.get_running_loop().create_future()
        self._replies[key] = waiting
        try:
            async with asyncio.timeout(WAIT):
                await self._link.say("masa", payload, qos=1, expires=expires)
                return await waiting
        except (TimeoutError, aiomqtt.MqttError) as error:
            raise DeskAway("no answer from the centre") from error
        finally:
            self._replies.pop(key, None)

    async def _replied(self, payload: bytes) -> None:
        reply = decode_reply(payload)
        waiting = self._replies.get(reply.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)


def _new() -> str:
    return uuid.uuid4().hex
