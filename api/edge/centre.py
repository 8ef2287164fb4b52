"""The core's side of the broker: takes what gateways send, tells them what is committed and what is to be run.

Any number of cores share the subscriptions; the database decides who tells the gateways (`gateways.telling`).

What the broker retains is a copy that may be old: killed, it comes back as it was when it last wrote its memory down.
So all work that is told has a stamp behind it (`Standing`), and a core that finds another one than was told last tells
everything again (decision 0114).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import aiomqtt
import msgspec

from api.edge.broker import (
    HERE,
    STANDING,
    Broker,
    Standing,
    decode_deliveries,
    decode_given,
    decode_standing,
    decode_status,
    encode,
    payload_of,
    topic,
)
from api.edge.counter import Counter
from api.loops import together
from drivers.messages import Delivery
from lis_core.domain.edge import EdgeConfiguration
from lis_core.domain.offering import Sheet
from lis_core.services import gateways
from lis_core.services.ingest import Ingest
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

GROUP = "cekirdek"
IDLE_SECONDS = 0.5
LOOK_SECONDS = 3.0
RECONNECT_SECONDS = 1.0
LOOK_WAIT = 30.0
"""Seconds in which the broker must have said what it retains."""
TOGETHER = 8
"""Sheets on the way to the broker at once."""


class Centre:
    """Run it beside ingest; give it every confirmation."""

    def __init__(self, database: Database, ingest: Ingest, broker: Broker, definitions: Path) -> None:
        self._database = database
        self._ingest = ingest
        self._broker = broker
        self._definitions = definitions
        self._owners: dict[str, str] = {}
        """Which gateway waits for the confirmation of a key."""
        self._confirmations: asyncio.Queue[tuple[str, list[str]]] = asyncio.Queue()
        self._configurations: dict[str, EdgeConfiguration] = {}
        """What the work of each gateway is cut out by."""
        self._told: dict[str, EdgeConfiguration] = {}
        """What each gateway was told since the broker was reached."""
        self._looked = False
        """Whether the broker's memory was looked at since it was reached."""
        self._counter = Counter(database, broker)
        self.connected = False

    def confirmed(self, keys: Sequence[str]) -> None:
        """These are committed."""
        told: dict[str, list[str]] = {}
        for key in keys:
            gateway = self._owners.pop(key, None)
            if gateway is not None:
                told.setdefault(gateway, []).append(key)
        for gateway, own in told.items():
            self._confirmations.put_nowait((gateway, own))

    async def run(self) -> None:
        """Until cancelled; a broker that is away is waited for."""
        await together(self._counter.run(), self._stay())

    async def _stay(self) -> None:
        while True:
            try:
                async with self._broker.client(f"numune-cekirdek-{uuid.uuid4().hex[:12]}") as client:
                    await self._talk(client)
            except (aiomqtt.MqttError, OSError) as error:
                log.warning("broker lost", extra={"action": "broker_lost", "why": type(error).__name__})
            self.connected = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _talk(self, client: aiomqtt.Client) -> None:
        self._configurations = {}
        self._told.clear()
        self._looked = False
        for kind in ("teslim/+/+", "verildi/+", "durum/+"):
            await client.subscribe(f"$share/{GROUP}/numune/{kind}", qos=1)
        await client.publish(HERE, b"", qos=1)
        self.connected = True
        await together(
            self._listen(client),
            self._confirm(client),
            self._again(self._tell_work, client, IDLE_SECONDS),
            self._again(self._tell_configuration, client, LOOK_SECONDS),
        )

    # -- from the gateways

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            _, kind, gateway, *_rest = str(message.topic).split("/")
            try:
                await self._take(kind, gateway, payload_of(message))
            except msgspec.MsgspecError as error:
                log.error("unreadable from a gateway", exc_info=error, extra={"action": "gateway_unreadable"})
        raise aiomqtt.MqttError("bağlantı kapandı")

    async def _take(self, kind: str, gateway: str, payload: bytes) -> None:
        if kind == "teslim":
            for delivery in decode_deliveries(payload):
                await self._put(gateway, delivery)
        elif kind == "verildi":
            given = decode_given(payload)
            if await self._tried(gateways.record_given(self._database, gateway, given)):
                self._confirmations.put_nowait((gateway, [given.key]))
        elif kind == "durum":
            await self._tried(gateways.record_status(self._database, gateway, decode_status(payload)))

    async def _put(self, gateway: str, delivery: Delivery) -> None:
        self._owners[delivery.key] = gateway
        await self._ingest.put(delivery)

    async def _tried(self, work: object) -> bool:
        """False where the database is away: the gateway tells it again."""
        try:
            await work  # type: ignore[misc]
        except Exception:
            log.exception("news of a gateway not stored", extra={"action": "gateway_news_failed"})
            return False
        return True

    # -- to the gateways

    async def _confirm(self, client: aiomqtt.Client) -> None:
        while True:
            gateway, keys = await self._confirmations.get()
            try:
                await client.publish(topic("onay", gateway), encode(keys), qos=1)
            except aiomqtt.MqttError:
                self._confirmations.put_nowait((gateway, keys))  # told when the broker is back
                raise

    async def _again(self, work: Callable[[aiomqtt.Client], object], client: aiomqtt.Client, seconds: float) -> None:
        while True:
            try:
                await work(client)  # type: ignore[misc]
            except aiomqtt.MqttError:
                raise
            except Exception:
                log.exception("gateways not told", extra={"action": "gateways_not_told"})
            await asyncio.sleep(seconds)

    async def _tell_configuration(self, client: aiomqtt.Client) -> None:
        if not self._looked:
            await self._look()
            self._looked = True
        definitions = await asyncio.to_thread(self._site_definitions)
        rows = await gateways.gateways(self._database)
        wanted = {
            row.name: await gateways.configuration(self._database, row.name, definitions, active=row.active)
            for row in rows
        }
        before = set(self._told)
        self._configurations = wanted  # all at once: what is told of an order is told to every gateway
        again = False
        for row in rows:
            if self._told.get(row.name) == wanted[row.name]:
                continue
            stamp = await gateways.has_told(self._database, row, _digest(wanted[row.name]))
            told = msgspec.structs.replace(wanted[row.name], stamp=row.stamp if stamp is None else stamp)
            await client.publish(topic("ayar", row.name), encode(told), qos=1, retain=True)
            self._told[row.name] = wanted[row.name]
            # other instruments, other codes: what a gateway must know of an order may be another thing
            again = again or (row.name in before and stamp is None)
        if again:
            await gateways.note_pending(self._database)

    async def _look(self) -> None:
        """Whether the broker still has all that was told; where not, all is told again. On a connection of its own."""
        async with (
            asyncio.timeout(LOOK_WAIT),
            self._broker.client(f"numune-bakan-{uuid.uuid4().hex[:12]}") as client,
            gateways.telling(self._database, wait=True) as turn,
        ):
            assert turn is not None
            found = [decode_standing(payload) for _, payload in await _retained(client, STANDING)]
            if turn.stamp and found and found[0].stamp == turn.stamp:
                return
            if turn.stamp:
                log.warning("broker lost its memory", extra={"action": "broker_memory_lost"})
            named = [where for where, _ in await _retained(client, topic("is", "+", "+"))]
            unknown = set(await turn.all_again(sorted({where.split("/")[3] for where in named})))
            for where in named:
                if where.split("/")[3] in unknown:
                    await client.publish(where, b"", qos=1, retain=True)
            await client.publish(STANDING, encode(Standing(turn.stamp, turn.whole)), qos=1, retain=True)

    def _site_definitions(self) -> dict[str, str]:
        if not self._definitions.is_dir():
            return {}
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(self._definitions.glob("*.toml"))}

    async def _tell_work(self, client: aiomqtt.Client) -> None:
        while self._configurations:
            async with gateways.telling(self._database) as turn:
                told = await turn.changed() if turn is not None else []
                if turn is None or not told:
                    return
                sheets = [
                    (topic("is", name, number), _payload(sheet, configuration))
                    for name, configuration in self._configurations.items()
                    for number, sheet in told
                ]
                for start in range(0, len(sheets), TOGETHER):
                    await asyncio.gather(
                        *(
                            client.publish(where, what, qos=1, retain=True)
                            for where, what in sheets[start : start + TOGETHER]
                        )
                    )
                await client.publish(STANDING, encode(Standing(turn.stamp, turn.whole)), qos=1, retain=True)


async def _retained(client: aiomqtt.Client, pattern: str) -> list[tuple[str, bytes]]:
    """What the broker retains under a pattern: topics and payloads. A mark comes back behind them."""
    mark = topic("isaret", f"merkez-{uuid.uuid4().hex[:12]}")
    await client.subscribe(mark, qos=1)
    await client.subscribe(pattern, qos=1)
    await client.publish(mark, b"", qos=1)
    found = []
    async for message in client.messages:
        if str(message.topic) == mark:
            break
        if message.retain:
            found.append((str(message.topic), payload_of(message)))
    await client.unsubscribe(pattern)
    return found


def _digest(told: EdgeConfiguration) -> str:
    """Names what a gateway was told, the same in every process (sets are in order); the catalogue's version alone makes
    no difference, and the stamp comes later."""
    plain = msgspec.to_builtins(msgspec.structs.replace(told, version=""), str_keys=True, order="deterministic")
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


def _payload(sheet: Sheet | None, configuration: EdgeConfiguration) -> bytes:
    """The order's work that an instrument of this gateway can run; empty where there is none."""
    if sheet is None:
        return b""
    runs = {test for line in configuration.lines for test in line.runs}
    tests = [test for test in sheet.tests if test.test_id in runs]
    return encode(msgspec.structs.replace(sheet, tests=tests)) if tests else b""
