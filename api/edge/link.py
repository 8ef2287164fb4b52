"""A gateway's way to the centre: deliveries out, confirmations back, whatever the line does."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from api.edge.broker import (
    HERE,
    STANDING,
    Broker,
    Standing,
    decode_configuration,
    decode_keys,
    decode_sheet,
    decode_standing,
    encode,
    payload_of,
    topic,
)
from api.edge.store import EdgeStore
from api.loops import together
from drivers.messages import Delivery
from lis_core.domain.edge import EdgeConfiguration, EdgeStatus

log = logging.getLogger(__name__)

BATCH = 200
"""Deliveries of one line in one message."""
MOST_HELD = 16 * 1024 * 1024
"""Bytes of deliveries in memory; beyond this they stay in the spool."""
BATCH_BYTES = 1024 * 1024
AGAIN_SECONDS = 20.0
"""A batch that is not confirmed by then is sent again: the core that took it may be gone."""
RECONNECT_SECONDS = (0.5, 1.0, 2.0, 5.0)
STATUS_SECONDS = 2.0
DOUBT_SECONDS = 120.0
"""So long may the centre need to say that all work was told."""


@dataclass(slots=True)
class _Line:
    """Deliveries of one line: those that wait, and the batch that is with the centre."""

    waiting: deque[Delivery] = field(default_factory=deque)
    on_the_way: dict[str, Delivery] = field(default_factory=dict)
    sent_at: float = 0.0


class CentreLink:
    """One batch of a line is with the centre at a time: so its messages are stored in the order in which they came,
    whichever core takes the batch."""

    def __init__(
        self,
        broker: Broker,
        gateway: str,
        store: EdgeStore,
        *,
        confirmed: Callable[[Sequence[str]], None],
        configured: Callable[[EdgeConfiguration], Awaitable[None]],
        status: Callable[[], EdgeStatus],
    ) -> None:
        self._broker = broker
        self._gateway = gateway
        self._store = store
        self._confirmed = confirmed
        self._configured = configured
        self._status = status
        self._lines: dict[str, _Line] = {}
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._moved = asyncio.Event()
        self._told_at: dict[str, float] = {}
        self._seen: set[str] | None = None
        """Orders that were named since the connection came up; None once the copy was compared with them."""
        self._whole = False
        """The broker has shown that all work of the centre was told, and not less than we know of."""
        self._older = False
        """What the broker retains is older than what we know, or we do not know yet that it is not."""
        self._mark_again = False
        self._client: aiomqtt.Client | None = None
        self._takers: dict[str, Callable[[bytes], Awaitable[None]]] = {}
        self.connected = False
        self._connected_at = 0.0
        self.problem = "Merkeze henüz bağlanılmadı."

    @property
    def settled(self) -> bool:
        """Connected, and the copy of the work list was compared with what is told."""
        return self.connected and self._seen is None

    @property
    def doubt(self) -> str:
        """Why orders that were finished elsewhere may still stand in the copy, in words; empty where they do not."""
        since = asyncio.get_running_loop().time() - self._connected_at
        if not self.connected or self._seen is None or since < DOUBT_SECONDS:
            return ""
        return (
            "Merkez iş listesinin bütününü bildirdiğini söylemedi: çekirdek çalışmıyor ya da aracının yetki dosyasında "
            "`topic read numune/sira` satırı eksik."
        )

    def takes(self, kind: str, taker: Callable[[bytes], Awaitable[None]]) -> None:
        """Give the payloads of another topic of this gateway to whoever wants them. Before `run`."""
        self._takers[kind] = taker

    async def say(self, kind: str, payload: bytes, *, qos: int, expires: int | None = None) -> None:
        """Publish for others of this gateway. expires: seconds after which the broker need not deliver it any more.
        Raises aiomqtt.MqttError where there is no line."""
        if self._client is None or not self.connected:
            raise aiomqtt.MqttError("merkeze bağlı değil")
        properties = None
        if expires is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expires
        await self._client.publish(topic(kind, self._gateway), payload, qos=qos, properties=properties)

    async def deliver(self, delivery: Delivery) -> None:
        """Take a delivery over; waits while too much is unconfirmed: the spool has it."""
        await self._room.wait()
        self._lines.setdefault(delivery.line, _Line()).waiting.append(delivery)
        self._bytes += len(delivery.raw)
        if self._bytes >= MOST_HELD:
            self._room.clear()
        self._moved.set()

    def given(self) -> None:
        """Something in the store waits to be told."""
        self._moved.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        tries = 0
        while True:
            try:
                async with self._broker.client(f"numune-gecit-{self._gateway}") as client:
                    tries = 0
                    await self._talk(client)
            except (aiomqtt.MqttError, OSError) as error:
                self.problem = f"Merkeze ulaşılamıyor: {str(error) or type(error).__name__}"
            self.connected = False
            await asyncio.sleep(RECONNECT_SECONDS[min(tries, len(RECONNECT_SECONDS) - 1)])
            tries += 1

    async def _talk(self, client: aiomqtt.Client) -> None:
        self._tell_again()
        self._seen, self._whole, self._older = set(), False, self._store.stamp > 0
        await client.subscribe(STANDING, qos=1)  # first: it says what the rest is worth
        await client.subscribe(HERE, qos=1)
        for kind in ("onay", "ayar", "isaret", *self._takers):
            await client.subscribe(topic(kind, self._gateway), qos=1)
        await client.subscribe(topic("is", self._gateway, "+"), qos=1)
        # Comes back behind everything retained: what was not named until then is no longer pending.
        await client.publish(topic("isaret", self._gateway), b"", qos=1)
        self._client = client
        self.connected, self.problem = True, ""
        self._connected_at = asyncio.get_running_loop().time()
        self._moved.set()
        await together(self._listen(client), self._send(client), self._tell_status(client))

    def _tell_again(self) -> None:
        """What is under way may have met nobody."""
        self._told_at.clear()
        for line in self._lines.values():
            line.sent_at = 0.0
        self._moved.set()

    # -- from the centre

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            parts = str(message.topic).split("/")
            try:
                await self._take(parts, payload_of(message), retained=message.retain)
            except (msgspec.MsgspecError, IndexError) as error:
                log.error("unreadable from the centre", exc_info=error, extra={"action": "centre_unreadable"})
        raise aiomqtt.MqttError("bağlantı kapandı")

    async def _take(self, parts: list[str], payload: bytes, *, retained: bool) -> None:
        kind = parts[1]
        if kind == "sira":
            await self._stands(decode_standing(payload))
        elif kind == "merkez":
            self._tell_again()
        elif kind == "onay":
            await self._acknowledged(decode_keys(payload))
        elif kind == "is":
            if self._seen is not None:
                self._seen.add(parts[3])
            if not (retained and self._older):
                await self._store.put(parts[3], decode_sheet(payload) if payload else None)
        elif kind == "ayar" and payload:
            await self._configured(decode_configuration(payload))
        elif (taker := self._takers.get(kind)) is not None:
            await taker(payload)
        elif kind == "isaret" and self._seen is not None:
            await self._swept(self._seen)

    async def _stands(self, standing: Standing) -> None:
        """How far the work was told. An older stamp than ours is of a broker that came back with an old memory: what it
        retains is not taken, until the centre has seen it as well and told all again."""
        if standing.stamp < self._store.stamp:
            return
        self._older, self._whole = False, standing.whole
        await self._store.reached(standing.stamp)

    async def _swept(self, named: set[str]) -> None:
        """Everything retained has come: orders that were not named are no longer pending. A broker that has forgotten
        everything, or its last minutes, proves nothing: wait until the centre has told it anew."""
        if not self._whole:
            self._mark_again = True
            return
        gone = await self._store.only(named)
        self._seen = None
        if gone:
            log.info("work list swept", extra={"action": "work_list_swept", "orders": gone})

    async def _acknowledged(self, keys: list[str]) -> None:
        told = [key for key in keys if key in self._store.untold]
        if told:
            await self._store.told(told)
            for key in told:
                self._told_at.pop(key, None)
        stored = set(keys)
        done = []
        for line in self._lines.values():
            for key in stored & line.on_the_way.keys():
                self._bytes -= len(line.on_the_way.pop(key).raw)
                done.append(key)
        if self._bytes < MOST_HELD:
            self._room.set()
        if done:
            self._confirmed(done)
        self._moved.set()

    # -- to the centre

    async def _send(self, client: aiomqtt.Client) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._moved.clear()
            now = loop.time()
            for key, given in list(self._store.untold.items()):
                if now - self._told_at.get(key, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                    self._told_at[key] = now
                    await client.publish(topic("verildi", self._gateway), encode(given), qos=1)
            for name, line in list(self._lines.items()):
                if not line.on_the_way:
                    self._next_batch(line)
                elif line.sent_at and now - line.sent_at < AGAIN_SECONDS:
                    continue
                if line.on_the_way:
                    line.sent_at = now
                    payload = encode(list(line.on_the_way.values()))
                    await client.publish(topic("teslim", self._gateway, name), payload, qos=1)
            try:
                async with asyncio.timeout(AGAIN_SECONDS / 4):
                    await self._moved.wait()
            except TimeoutError:
                continue

    @staticmethod
    def _next_batch(line: _Line) -> None:
        size = 0
        while line.waiting and len(line.on_the_way) < BATCH and size < BATCH_BYTES:
            delivery = line.waiting.popleft()
            line.on_the_way[delivery.key] = delivery
            size += len(delivery.raw)

    async def _tell_status(self, client: aiomqtt.Client) -> None:
        while True:
            await client.publish(topic("durum", self._gateway), encode(self._status()), qos=0)
            if self._mark_again:
                self._mark_again = False
                await client.publish(topic("isaret", self._gateway), b"", qos=1)
            await asyncio.sleep(STATUS_SECONDS)
