"""The broker between gateways and the centre: how it is reached, which topic carries what.

| topic                       | from    | to      | what |
|-----------------------------|---------|---------|------|
| `numune/teslim/<g>/<line>`  | gateway | a core  | deliveries of one line, in order (QoS 1, shared subscription) |
| `numune/verildi/<g>`        | gateway | a core  | work that was given to an analyser (QoS 1, shared subscription) |
| `numune/onay/<g>`           | core    | gateway | keys that are committed: the spool may forget them (QoS 1) |
| `numune/ayar/<g>`           | core    | gateway | lines, instruments, site definitions (retained) |
| `numune/is/<g>/<order>`     | core    | gateway | an order's pending work (retained; empty = nothing pending) |
| `numune/durum/<g>`          | gateway | a core  | how the gateway is (QoS 0) |
| `numune/merkez`             | core    | gateways | a core listens from now on: tell it again |
| `numune/isaret/<g>`         | gateway | itself  | a mark behind what is retained: nothing else is pending |
| `numune/sira`               | core    | all     | how far the work list was told (`Standing`, retained) |

What gateways ask and screens want beside this: `counter_words`. Which of it a gateway may use: `papers.BROKER_RIGHTS`.

Whatever is lost or told twice between the two, a key is stored once: the broker need not be trusted with more than
"at least once".
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec

from drivers.messages import Delivery
from lis_core.domain.edge import EdgeConfiguration, EdgeStatus, Given
from lis_core.domain.offering import Sheet

T = TypeVar("T")

ROOT = "numune"
KEEPALIVE = 15
IN_FLIGHT = 100
TIMEOUT = 5.0

encode = msgspec.msgpack.Encoder().encode
decode_deliveries = msgspec.msgpack.Decoder(list[Delivery]).decode
decode_keys = msgspec.msgpack.Decoder(list[str]).decode
decode_given = msgspec.msgpack.Decoder(Given).decode
decode_status = msgspec.msgpack.Decoder(EdgeStatus).decode
decode_configuration = msgspec.msgpack.Decoder(EdgeConfiguration).decode
decode_sheet = msgspec.msgpack.Decoder(Sheet).decode


HERE = f"{ROOT}/merkez"
STANDING = f"{ROOT}/sira"


class Standing(msgspec.Struct, frozen=True):
    """How far the work list was told when this was published; it stands behind the work that it speaks of.

    A broker that lost its last minutes retains an older one, and shows by it that it proves nothing.
    """

    stamp: int
    """Grows with everything that is told and never comes again (microseconds of the database's clock, or more)."""
    whole: bool
    """Nothing else was waiting to be told."""


decode_standing = msgspec.msgpack.Decoder(Standing).decode


def topic(kind: str, gateway: str, *rest: str) -> str:
    return "/".join((ROOT, kind, gateway, *rest))


class BrokerClient(aiomqtt.Client):
    """One connection, whose waits can always be cancelled.

    The library waits by `asyncio.wait_for`, which Python 3.11 lets end well where a cancellation comes in the same
    moment as the broker's answer: the cancelled task went on, its group waited for it for ever, and a gateway never
    looked for the broker again (decision 0114).
    """

    async def publish(self, *args: Any, **options: Any) -> None:
        await _cancellable(super().publish(*args, **options))

    async def subscribe(self, *args: Any, **options: Any) -> Any:
        return await _cancellable(super().subscribe(*args, **options))

    async def unsubscribe(self, *args: Any, **options: Any) -> None:
        await _cancellable(super().unsubscribe(*args, **options))

    async def __aenter__(self) -> Self:
        before = _cancellations()
        connected = await super().__aenter__()
        if _cancellations() > before:
            await super().__aexit__(None, None, None)
            raise asyncio.CancelledError
        return connected

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await _cancellable(super().__aexit__(kind, error, trace))
        except (aiomqtt.MqttError, OSError):
            if not isinstance(error, asyncio.CancelledError):
                raise
            # a line that cannot even be closed does not take the place of the cancellation


async def _cancellable(work: Awaitable[T]) -> T:
    """What `work` comes to. Raises CancelledError where the task was cancelled on the way, even if it ended well."""
    before = _cancellations()
    done = await work
    if _cancellations() > before:
        raise asyncio.CancelledError
    return done


def _cancellations() -> int:
    """How often this task was cancelled; only to compare: a group that failed leaves its own behind (Python 3.11)."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


@dataclass(frozen=True, slots=True)
class Broker:
    """How to reach it: `mqtt://[user:password@]host[:port]` or `mqtts://` with certificates."""

    url: str
    ca: Path | None = None
    """Who signed the broker's certificate; None with mqtts: the system's authorities."""
    certificate: Path | None = None
    key: Path | None = None

    def address(self) -> tuple[str, int, bool]:
        """Host, port, whether TLS is spoken. Raises ValueError for an address that is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError(f"aracı adresi mqtt:// ya da mqtts:// ile başlamalı: {self.url!r}")
        secure = parts.scheme == "mqtts"
        return parts.hostname, parts.port or (8883 if secure else 1883), secure

    def client(self, identifier: str, **options: Any) -> BrokerClient:
        """A connection to open with `async with`. Raises ValueError for an address that is none."""
        host, port, secure = self.address()
        parts = urlsplit(self.url)
        context = None
        if secure:
            context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        return BrokerClient(
            host,
            port,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE,
            tls_context=context,
            max_inflight_messages=IN_FLIGHT,
            timeout=TIMEOUT,
            **options,
        )


def payload_of(message: aiomqtt.Message) -> bytes:
    """The bytes of a message; empty where it has none."""
    return bytes(message.payload) if isinstance(message.payload, bytes | bytearray) else b""


def broker_files(config: dict[str, Any]) -> dict[str, Path | None]:
    """The certificates of a settings file: table `araci` with `yetkili`, `sertifika`, `anahtar`."""
    table = config.get("araci", {})
    names = (("ca", "yetkili"), ("certificate", "sertifika"), ("key", "anahtar"))
    return {field: Path(table[word]) if table.get(word) else None for field, word in names}
