"""What sessions of the line codecs have in common: how a connection begins and ends, who listens to its bytes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from drivers.gateway.line import LineBook
from drivers.links.endpoints import be_quick

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway


class PeerSession(asyncio.Protocol):
    """Feed from a transport. A subclass says what a connection, bytes and its loss mean.

    `AstmSession` is not one of them: it does the same by hand, because every frame passes there.
    """

    def __init__(self, gateway: Gateway, book: LineBook) -> None:
        self.peer = ""
        self._loop = asyncio.get_running_loop()
        self._gateway = gateway
        self._book = book
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._open = False

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        be_quick(transport)
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or self._book.spec.address)
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass
        self._open = self._book.opened(self)
        if not self._open:
            transport.close()
            return
        self._begun()

    def data_received(self, data: bytes) -> None:
        if not self._open:
            return
        self._book.heard()
        if self._book.taps:
            self._book.tapped("gelen", data)
        self._received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._open:
            return
        self._open = False
        self._stop_timer()
        self._book.closed(self)
        self._lost()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    # -- for the subclasses

    def _begun(self) -> None:
        """The line takes this peer."""
        raise NotImplementedError

    def _received(self, data: bytes) -> None:
        """Bytes came."""
        raise NotImplementedError

    def _lost(self) -> None:
        """The connection is gone; nothing can be written any more."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        if data and self._open and self._transport is not None:
            if self._book.taps:
                self._book.tapped("giden", data)
            self._transport.write(data)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
