"""From a gateway in one process to the core in another, on the same machine: deliveries over, confirmations back.

A Unix socket; each part is a length (4 bytes, little endian) and MessagePack. The gateway sends deliveries, the core
answers with the keys of what it has committed. Whatever breaks, a delivery that was not confirmed is sent again under
the same key, and the core stores a key once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from drivers.messages import Delivery

log = logging.getLogger(__name__)

_LENGTH = struct.Struct("<I")
MOST_ON_THE_WAY = 16 * 1024 * 1024
"""Bytes that may be with the core, unconfirmed; beyond this the spool holds them."""
RECONNECT_SECONDS = 0.2

_encode = msgspec.msgpack.Encoder().encode
_decode_delivery = msgspec.msgpack.Decoder(Delivery).decode
_decode_keys = msgspec.msgpack.Decoder(list[str]).decode


def _part(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


async def _read_part(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(_LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0])


class ToCore:
    """The gateway's side: stays connected, sends, sends again, hears what is committed."""

    def __init__(self, path: Path, confirmed: Callable[[Sequence[str]], None]) -> None:
        self._path = path
        self._confirmed = confirmed
        self._on_the_way: dict[str, bytes] = {}
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._writer: asyncio.StreamWriter | None = None

    @property
    def connected(self) -> bool:
        return self._writer is not None

    async def deliver(self, delivery: Delivery) -> None:
        """Take a delivery over; waits while too much is unconfirmed."""
        await self._room.wait()
        part = _part(_encode(delivery))
        self._on_the_way[delivery.key] = part
        self._bytes += len(part)
        if self._bytes >= MOST_ON_THE_WAY:
            self._room.clear()
        if self._writer is not None:
            self._writer.write(part)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path))
            except OSError:  # the core is not there (yet): the spool keeps what comes
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            try:
                await self._talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                log.warning("core lost", extra={"action": "core_lost"})
            finally:
                self._writer = None
                writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(list(self._on_the_way.values()))  # in the order in which they were handed over
        self._writer = writer
        while True:
            keys = _decode_keys(await _read_part(reader))
            for key in keys:
                self._bytes -= len(self._on_the_way.pop(key, b""))
            if self._bytes < MOST_ON_THE_WAY:
                self._room.set()
            self._confirmed(keys)


class FromGateways:
    """The core's side: listens, hands deliveries to ingest, tells each gateway what is committed."""

    def __init__(self, path: Path, put: Callable[[Delivery], Awaitable[None]]) -> None:
        self._path = path
        self._put = put
        self._owners: dict[str, asyncio.StreamWriter] = {}
        """Who waits for the confirmation of a key."""
        self._gateways: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError where the socket cannot be made."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()  # left by a core that was killed
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._gateways):
            writer.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._gateways.add(writer)
        try:
            while True:
                delivery = _decode_delivery(await _read_part(reader))
                self._owners[delivery.key] = writer
                await self._put(delivery)
        except asyncio.IncompleteReadError as error:
            if error.partial:  # in the middle of a message; between two of them it is a goodbye
                log.warning("gateway lost", extra={"action": "gateway_lost"})
        except OSError:
            log.warning("gateway lost", extra={"action": "gateway_lost"})
        finally:
            self._gateways.discard(writer)
            writer.close()

    def confirmed(self, keys: Sequence[str]) -> None:
        """These are committed: whose spool they came from may forget them."""
        told: dict[asyncio.StreamWriter, list[str]] = {}
        for key in keys:
            writer = self._owners.pop(key, None)
            if writer is not None and writer in self._gateways:
                told.setdefault(writer, []).append(key)  # a gateway that is away sends it again, and hears of it then
        for writer, own in told.items():
            writer.write(_part(_encode(own)))
