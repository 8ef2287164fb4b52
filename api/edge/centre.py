"""The core's side of the broker: takes what gateways send, tells them what is committed and what is to be run.

Any number of cores share the subscriptions; the database decides who tells the gateways (`changed_sheets`).
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
    Broker,
    decode_deliveries,
    decode_given,
    decode_status,
    encode,
    payload_of,
    topic,
)
from api.edge.counter import Counter
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
KEPT_SECONDS = 0.5
"""Until then the broker has said what it remembers; what comes later is told once more, for nothing."""
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
        self._kept: set[str] = set()
        """Gateways whose configuration the broker still had."""
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
        async with asyncio.TaskGroup() as group:
            group.create_task(self._counter.run())
            group.create_task(self._stay())

    async def _stay(self) -> None:
        while True:
            try:
                async with self._broker.client(f"numune-cekirdek-{uuid.uuid4().hex[:12]}") as client:
                    await self._talk(client)
            except (aiomqtt.MqttError, OSError, ExceptionGroup) as error:
                if isinstance(error, ExceptionGroup) and error.split((aiomqtt.MqttError, OSError))[1] is not None:
                    raise
                log.warning("broker lost", extra={"action": "broker_lost", "why": type(error).__name__})
            self.connected = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _talk(self, client: aiomqtt.Client) -> None:
        self._configurations = {}
        self._told.clear()
        self._kept.clear()
        for kind in ("teslim/+/+", "verildi/+", "durum/+"):
            await client.subscribe(f"$share/{GROUP}/numune/{kind}", qos=1)
        await client.subscribe("numune/ayar/+", qos=1)
        await client.publish(HERE, b"", qos=1)
        self.connected = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(client))
            group.create_task(self._confirm(client))
            group.create_task(self._again(self._tell_work, client, IDLE_SECONDS))
            group.create_task(self._again(self._tell_configuration, client, LOOK_SECONDS))

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
        elif kind == "ayar":
            self._kept.add(gateway)
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
        """Where the broker forgot, a configuration is told behind all the work: where it stands, everything stands."""
        definitions = await asyncio.to_thread(self._site_definitions)
        rows = await gateways.gateways(self._database)
        wanted = {
            row.name: await gateways.configuration(self._database, row.name, definitions, active=row.active)
            for row in rows
        }
        if not self._told:
            await asyncio.sleep(KEPT_SECONDS)  # what the broker remembers comes first
        before = set(self._told)
        self._configurations = wanted  # all at once: what is told of an order is told to every gateway
        news = [row for row in rows if self._told.get(row.name) != wanted[row.name]]
        forgotten = {row.name for row in news if row.told and row.name not in self._kept and row.name not in self._told}
        await self._publish(client, {row.name: wanted[row.name] for row in news if row.name not in forgotten})
        again = bool(forgotten)
        for row in news:  # other instruments, other codes: what a gateway must know of an order may be another thing
            noted = await gateways.has_told(self._database, row, _digest(wanted[row.name]))
            again = again or (row.name in before and not noted)
        if again:
            await gateways.note_pending(self._database)
        if forgotten:
            await self._tell_work(client, after_others=True)
            await self._publish(client, {name: wanted[name] for name in sorted(forgotten)})

    async def _publish(self, client: aiomqtt.Client, configurations: dict[str, EdgeConfiguration]) -> None:
        for name, told in configurations.items():
            await client.publish(topic("ayar", name), encode(told), qos=1, retain=True)
            self._told[name] = told

    def _site_definitions(self) -> dict[str, str]:
        if not self._definitions.is_dir():
            return {}
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(self._definitions.glob("*.toml"))}

    async def _tell_work(self, client: aiomqtt.Client, *, after_others: bool = False) -> None:
        """after_others: and return only when what another core, or our own other task, was telling is told as well."""
        while self._configurations:
            async with gateways.changed_sheets(self._database, after_others=after_others) as told:
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
            if not told:
                return


def _digest(told: EdgeConfiguration) -> str:
    """Names what a gateway was told, the same in every process (sets are in order); the catalogue's version alone makes
    no difference."""
    plain = msgspec.to_builtins(msgspec.structs.replace(told, version=""), str_keys=True, order="deterministic")
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


def _payload(sheet: Sheet | None, configuration: EdgeConfiguration) -> bytes:
    """The order's work that an instrument of this gateway can run; empty where there is none."""
    if sheet is None:
        return b""
    runs = {test for line in configuration.lines for test in line.runs}
    tests = [test for test in sheet.tests if test.test_id in runs]
    return encode(msgspec.structs.replace(sheet, tests=tests)) if tests else b""
