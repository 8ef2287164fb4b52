"""The door of a listening port: who is not admitted is hung up before a byte of his is read; TLS; then the session."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from drivers.links.networks import Networks
from drivers.links.tls import HANDSHAKE_SECONDS, TlsFiles

Factory = Callable[[], asyncio.BaseProtocol]
FULL_SECONDS = 1.0
"""Pause where this process has no file left for a connection; asyncio's own servers wait as long."""
AGAIN_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Gate:
    """What a port demands. refused: (address, why in Turkish), called for everybody who does not come in."""

    networks: Networks
    refused: Callable[[str, str], None]
    tls: ssl.SSLContext | None = None

    @property
    def open_to_all(self) -> bool:
        return not self.networks.networks and self.tls is None


class Server(Protocol):
    """What listens: asyncio's own server, or one with a door."""

    @property
    def sockets(self) -> Any: ...

    def close(self) -> None: ...


async def listen(factory: Factory, host: str, port: int, *, backlog: int, gate: Gate | None = None) -> Server:
    """Listen; each admitted connection gets a protocol of `factory`. Raises OSError."""
    loop = asyncio.get_running_loop()
    if gate is None or gate.open_to_all:
        return await loop.create_server(factory, host, port, backlog=backlog)
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            sockets.append(_bound(family, address, backlog))
    except OSError:
        for one in sockets:
            one.close()
        raise
    return _DoorServer(factory, sockets, gate)


def _bound(family: int, address: Any, backlog: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(backlog)
    except OSError:
        made.close()
        raise
    return made


class _DoorServer:
    """Takes connections itself, so that it sees the address before anything reads from the socket."""

    def __init__(self, factory: Factory, sockets: list[socket.socket], gate: Gate) -> None:
        self.sockets = sockets
        self._factory = factory
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._tasks = {self._loop.create_task(self._take(one)) for one in sockets}

    def close(self) -> None:
        """Take nobody any more; who is inside stays."""
        for task in self._tasks:
            task.cancel()
        for one in self.sockets:
            one.close()
        self.sockets = []

    async def _take(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, address = await self._loop.sock_accept(listening)
            except OSError as error:
                if listening.fileno() < 0:
                    return
                full = error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
                await asyncio.sleep(FULL_SECONDS if full else AGAIN_SECONDS)  # else: it went away before it was taken
                continue
            host = str(address[0])
            if not self._gate.networks.admits(host):
                _hang_up(connection)
                self._gate.refused(host, "izinli ağlardan değil")
                continue
            task = self._loop.create_task(self._enter(connection, host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _enter(self, connection: socket.socket, host: str) -> None:
        try:
            connection.setblocking(False)
            await self._loop.connect_accepted_socket(
                self._factory,
                connection,
                ssl=self._gate.tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if self._gate.tls is not None else None,
            )
        except OSError as error:
            connection.close()
            self._gate.refused(host, f"TLS kurulamadı ({_reason(error)})" if self._gate.tls else _reason(error))
        except asyncio.CancelledError:
            connection.close()
            raise


def _hang_up(connection: socket.socket) -> None:
    """At once, without waiting for what the peer still sends (a reset)."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__).replace("_", " ").lower()


@dataclass(frozen=True, slots=True)
class LineSecurity:
    """What the operator set for all lines: `[ag] cihazlar` (who may connect) and the `[tls.*]` tables."""

    networks: Networks = field(default_factory=Networks)
    tls: Mapping[str, TlsFiles] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> LineSecurity:
        """Raises ValueError with a Turkish sentence."""
        table = config.get("ag", {})
        if unknown := sorted(set(table) - {"cihazlar"}):
            raise ValueError(f"[ag] tablosunda bilinmeyen ayar: {', '.join(unknown)}")
        files = {label: TlsFiles.of(label, given) for label, given in config.get("tls", {}).items()}
        return cls(Networks.of(table.get("cihazlar", ())), files)

    def networks_of(self, settings: Mapping[str, Any]) -> Networks:
        """Who may connect to a line: its own `izinli`, else what stands for all. Raises ValueError."""
        own = settings.get("izinli")
        return Networks.of(own) if own else self.networks

    def files_of(self, settings: Mapping[str, Any]) -> TlsFiles | None:
        """The files that a line's `tls` names; None where it names none. Raises ValueError: it is not there."""
        label = settings.get("tls")
        if not label:
            return None
        if label not in self.tls:
            raise ValueError(f"TLS ayarı yok: ayar dosyasında [tls.{label}] tablosu olmalı")
        return self.tls[label]

    def gate(self, settings: Mapping[str, Any], refused: Callable[[str, str], None]) -> Gate:
        """The door of a line with these settings. Raises ValueError."""
        files = self.files_of(settings)
        return Gate(self.networks_of(settings), refused, files.server() if files is not None else None)
