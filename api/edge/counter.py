"""The centre's counter for gateways: the work desk that their LAW analysers ask, and the wishes of screens for their
lines. On a connection of its own, so that a day's backlog of results does not stand before a question."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable

import aiomqtt
import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from api.edge.broker import Broker, encode, payload_of, topic
from api.edge.counter_words import (
    Bytes,
    DeskCall,
    DeskReply,
    LineNews,
    Wishes,
    decode_bytes,
    decode_call,
    decode_news,
)
from api.loops import together
from lis_core.domain.errors import NumuneError
from lis_core.services import gateways, line_watch
from lis_core.services.work_desk import WorkDesk
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

GROUP = "cekirdek"
LOOK_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
MOST_WAITING = 2_000
"""News of lines that wait for the database; they are history, not results."""


class Counter:
    """Run it beside `Centre`."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker
        self._desk = WorkDesk(database)
        self._core = uuid.uuid4().hex[:12]
        self._news: deque[tuple[str, LineNews]] = deque(maxlen=MOST_WAITING)
        self._asked: dict[str, bool] = {}
        """Gateways that were told a wish the last time: they are told once more that there is none."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; a broker that is away is waited for."""
        while True:
            try:
                async with self._broker.client(f"numune-masa-{self._core}") as client:
                    await self._talk(client)
            except (aiomqtt.MqttError, OSError) as error:
                log.warning("broker lost", extra={"action": "broker_lost", "why": type(error).__name__})
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _talk(self, client: aiomqtt.Client) -> None:
        for kind in ("masa", "hat"):
            await client.subscribe(f"$share/{GROUP}/numune/{kind}/+", qos=1)
        await client.subscribe("numune/bayt/+", qos=0)
        await together(self._listen(client), self._wish(client), self._write_news())

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            _, kind, gateway = str(message.topic).split("/")
            try:
                await self._take(client, kind, gateway, payload_of(message))
            except msgspec.MsgspecError as error:
                log.error("unreadable from a gateway", exc_info=error, extra={"action": "gateway_unreadable"})
        raise aiomqtt.MqttError("bağlantı kapandı")

    async def _take(self, client: aiomqtt.Client, kind: str, gateway: str, payload: bytes) -> None:
        if kind == "masa":
            task = asyncio.create_task(self._serve(client, gateway, decode_call(payload)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif kind == "hat":
            self._news.append((gateway, decode_news(payload)))
        elif kind == "bayt":
            await self._bytes(gateway, decode_bytes(payload))

    # -- the work desk

    async def _serve(self, client: aiomqtt.Client, gateway: str, call: DeskCall) -> None:
        try:
            reply = await self._done(gateway, call)
        except Exception as error:
            log.exception("desk call failed", extra={"action": "desk_call_failed", "method": call.method})
            reply = DeskReply(id=call.id, problem=type(error).__name__, final=isinstance(error, _FINAL))
        try:
            await client.publish(topic("masa-yanit", gateway), encode(reply), qos=1)
        except aiomqtt.MqttError:
            log.warning("desk reply not sent", extra={"action": "desk_reply_not_sent"})  # the gateway asks again

    async def _done(self, gateway: str, call: DeskCall) -> DeskReply:
        """What a call of a gateway comes to. A line, or a message, of another house is none of its business: told, it
        changes nothing there, and is not asked for again."""
        if not await self._is_theirs(gateway, call):
            log.error("a line of another house", extra={"action": "desk_call_refused", "gateway": gateway})
            return DeskReply(id=call.id, problem="" if call.method not in _QUESTIONS else "not its line")
        serve: Callable[[DeskCall], Awaitable[DeskReply]] = getattr(self, f"_{call.method}")
        return await serve(call)

    async def _is_theirs(self, gateway: str, call: DeskCall) -> bool:
        line = call.line if call.line and not call.control_id else None
        async with self._database.reading() as session:
            found = await session.scalar(_THEIRS, {"gateway": gateway, "line": line, "control": call.control_id})
        return bool(found)

    async def _answer(self, call: DeskCall) -> DeskReply:
        assert call.query is not None
        return DeskReply(id=call.id, orders=await self._desk.answer(call.line, call.query))

    async def _planned(self, call: DeskCall) -> DeskReply:
        return DeskReply(id=call.id, orders=await self._desk.planned(call.line, call.broadcast))

    async def _unanswered(self, call: DeskCall) -> DeskReply:
        return DeskReply(id=call.id, shipments=await self._desk.unanswered(call.line))

    async def _reopened(self, call: DeskCall) -> DeskReply:
        return DeskReply(id=call.id, shipments=await self._desk.reopened(call.line))

    async def _store(self, call: DeskCall) -> DeskReply:
        """Told again it is stored already."""
        assert call.shipment is not None
        async with self._database.reading() as session:
            known = await session.scalar(_KNOWN, {"control": call.shipment.control_id})
        if not known:
            await self._desk.store(call.line, call.shipment, call.seconds)
        return DeskReply(id=call.id)

    async def _sending(self, call: DeskCall) -> DeskReply:
        await self._desk.sending(call.control_id)
        return DeskReply(id=call.id)

    async def _answered(self, call: DeskCall) -> DeskReply:
        told = await self._desk.answered(call.control_id, call.code, call.text, call.raw, call.answers)
        return DeskReply(id=call.id, sentences=told)

    async def _given_up(self, call: DeskCall) -> DeskReply:
        await self._desk.given_up(call.control_id, call.text)
        return DeskReply(id=call.id)

    # -- lines

    async def _wish(self, client: aiomqtt.Client) -> None:
        """Tell each gateway what screens want of its lines; nobody wants anything nearly always."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                for row in await gateways.gateways(self._database, active=True):
                    await self._wish_of(client, row.name)
            except aiomqtt.MqttError:
                raise
            except Exception:
                log.exception("wishes not told", extra={"action": "wishes_not_told"})

    async def _wish_of(self, client: aiomqtt.Client, gateway: str) -> None:
        now = await line_watch.wanted(self._database, gateway)
        trials = [one for one in now.trials if await line_watch.begin_trial(self._database, one.id)]
        wants = bool(now.watched or trials)
        if wants or self._asked.get(gateway):
            wishes = Wishes(self._core, sorted(now.watched), trials)
            await client.publish(topic("iste", gateway), encode(wishes), qos=1 if trials else 0)
        self._asked[gateway] = wants

    async def _write_news(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS / 4)
            while self._news:
                gateway, news = self._news[0]
                try:
                    await self._write(gateway, news)
                except Exception:
                    log.exception("line news not written", extra={"action": "line_news_not_written"})
                    await asyncio.sleep(LOOK_SECONDS)
                    break
                self._news.popleft()

    async def _write(self, gateway: str, news: LineNews) -> None:
        theirs = await self._lines_of(gateway)
        await line_watch.write_events(self._database, [one for one in news.events if one.line in theirs])
        if news.turned_away and news.line in theirs:
            await line_watch.write_refusals(self._database, news.line, news.turned_away)
        if news.trial and await self._tries(gateway, news.trial):
            await line_watch.trial_step(self._database, news.trial, news.steps, news.verdict)

    async def _bytes(self, gateway: str, traffic: Bytes) -> None:
        if traffic.core != self._core:
            return
        theirs = await self._lines_of(gateway)
        chunks = [one for one in traffic.chunks if one.line in theirs]
        try:
            await line_watch.write_traffic(self._database, chunks)
        except Exception:
            log.exception("traffic not written", extra={"action": "traffic_not_written"})

    async def _lines_of(self, gateway: str) -> frozenset[str]:
        async with self._database.reading() as session:
            return frozenset(await session.scalars(_LINES, {"gateway": gateway}))

    async def _tries(self, gateway: str, trial: int) -> bool:
        async with self._database.reading() as session:
            return bool(await session.scalar(_TRIES, {"gateway": gateway, "trial": trial}))


_FINAL = (LookupError, ValueError, TypeError, IntegrityError, DataError, NumuneError)
"""What comes out the same however often it is told; everything else may be the database that is away."""
_QUESTIONS = frozenset(("answer", "planned", "unanswered", "reopened"))
_THEIRS = text(
    "select 1 from baglanti b join gecit g using (gecit_kodu) where g.gecit_adi = :gateway and b.baglanti_adi = "
    "coalesce(cast(:line as text), (select m.hat from is_iletisi m where m.kontrol_numarasi = :control))"
)
_KNOWN = text("select 1 from is_iletisi where kontrol_numarasi = :control")
_LINES = text("select b.baglanti_adi from baglanti b join gecit g using (gecit_kodu) where g.gecit_adi = :gateway")
_TRIES = text(
    "select 1 from baglanti_denemesi d join gecit g using (gecit_kodu) "
    "where g.gecit_adi = :gateway and d.baglanti_denemesi_kodu = :trial"
)
