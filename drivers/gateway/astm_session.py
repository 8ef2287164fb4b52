"""One ASTM connection: the only place where the link codec and the network meet.

A frame is acknowledged after the spool has it on disk, not before (invariant 1); the answer comes from the spool's
confirmation, so a slow disk makes a slow answer and never a false one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from drivers.gateway.collector import Collected, Collector
from drivers.gateway.line import BROKEN, NOT_SENT, REFUSED, LineBook, disk_words
from drivers.gateway.spool import Place
from drivers.links.endpoints import be_quick
from drivers.messages import Query
from drivers.protocols.astm_events import (
    Event,
    FrameReceived,
    FrameRefused,
    Ignored,
    Loosened,
    SendDone,
    SendFailed,
    SendPostponed,
    SendWhy,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    TurnedAway,
)
from drivers.protocols.astm_link import AstmLink, LinkOptions

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway


HEARTBEAT = b"\x04 \t\r\n"
"""An EOT on a line that is quiet: some analysers say so every few seconds that they are there."""
asks = re.compile(rb"(?:\A|[\r\n])[ 0-9]*[Qq]").search
"""Finds the beginning of a Q record."""


class AstmSession(asyncio.Protocol):
    """Feed from a transport; everything else is callbacks, so a frame costs no task switch."""

    def __init__(self, gateway: Gateway, book: LineBook, options: LinkOptions) -> None:
        self.peer = ""
        self._loop = asyncio.get_running_loop()
        self._gateway = gateway
        self._book = book
        self._link = AstmLink(options)
        self._collector = Collector(gateway.spool.identity, book.spec.name, announced=options.require_enq)
        self._transfer = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._open = False
        self._pushed: set[asyncio.Future[SendWhy | None]] = set()

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
        self._link.connection_made(self._now())

    def data_received(self, data: bytes) -> None:
        if self._open:
            self._book.heard()
            if self._book.taps:
                self._book.tapped("gelen", data)
            self._handle(self._link.receive_data(data, self._now()))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._open:
            return
        self._open = False
        self._stop_timer()
        self._book.closed(self)
        # A frame that is still being stored keeps the link busy: it ends the transfer when `_kept` has told it.
        self._handle(self._link.connection_lost(self._now()))
        for waiting in list(self._pushed):
            self._told(waiting, SendWhy.CONNECTION_LOST)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    # -- what the link reports

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is FrameReceived:
                self._store(event)  # type: ignore[arg-type]
            elif kind is TransferStarted:
                self._transfer = self._gateway.spool.new_transfer()
            elif kind is TransferEnded:
                # Without its EOT, what has no L may go on: the sender fell silent, or began anew.
                self._finish(broken=event.implicit)  # type: ignore[union-attr]
            elif kind is TransferBroken:
                self._book.trouble(BROKEN[event.why])  # type: ignore[union-attr, index]
                self._finish(broken=True)
            else:
                self._report(event)
        self._send()

    def _report(self, event: Event) -> None:
        if isinstance(event, (SendDone, SendFailed)) and isinstance(event.token, asyncio.Future):
            self._told(event.token, event.why if isinstance(event, SendFailed) else None)
        if isinstance(event, FrameRefused):
            self._book.trouble(REFUSED[event.why])
        elif isinstance(event, SendFailed):
            self._book.trouble(f"İş emri cihaza verilemedi: {NOT_SENT[event.why]}")
        elif isinstance(event, SendPostponed):
            self._book.note(f"İş emri bekliyor: {NOT_SENT[event.why]}")
        elif isinstance(event, Loosened):
            self._book.note(f"Standart dışı, bu hatta kabul edildi: {event.what}")
        elif isinstance(event, TurnedAway):
            self._book.trouble("Disk yazılamadığı için cihaz beklemeye alındı.")
        elif isinstance(event, Ignored) and event.data.strip(HEARTBEAT):
            self._book.trouble(f"Anlamsız {len(event.data)} bayt geldi; yok sayıldı.")

    def _store(self, frame: FrameReceived) -> None:
        received = time.time_ns()
        start = frame.raw.find(frame.text)

        def kept(error: OSError | None) -> None:
            self._kept(frame, place, received, error)

        place = self._gateway.spool.append(
            self._book.spec.name, self._transfer, received, frame.last, frame.raw, start, len(frame.text), kept
        )

    def _kept(self, frame: FrameReceived, place: Place, received: int, error: OSError | None) -> None:
        """The spool has the frame on disk, or cannot have it."""
        if error is not None:
            self._book.trouble(f"Diske yazılamadı ({disk_words(error)}); cihazdan yeniden istendi.")
            self._handle(self._link.not_stored(self._now()))
            return
        events = self._link.stored(self._now())
        self._write(self._link.data_to_send())
        # The instrument has its answer; now the message, then what the link read meanwhile.
        for message in self._collector.take(place, received, frame.raw, frame.text, frame.last):
            self._deliver(message)
        self._handle(events)

    def _finish(self, *, broken: bool) -> None:
        for message in self._collector.finish(broken=broken):
            self._deliver(message)

    # -- messages and answers

    def _deliver(self, message: Collected) -> None:
        if not (message.foreign or asks(message.text)):
            self._gateway.kept(self._book, message)
            return
        queries, _ = self._gateway.received(self._book, message)
        for query in queries:
            self._gateway.start(self._answer(query))

    async def _answer(self, query: Query) -> None:
        messages = await self._gateway.answer(self._book, query)
        if not self._open:
            return
        for message in messages:
            self._link.send(self._gateway.frames(self._book, message), query, self._now())
        self._send()

    # -- orders that nobody asked for

    @property
    def is_open(self) -> bool:
        """Whether its connection stands."""
        return self._open

    async def push(self, frames: Sequence[bytes]) -> SendWhy | None:
        """Send a message; None once the analyser has acknowledged every frame of it, else why it did not go through."""
        if not self._open:
            return SendWhy.CONNECTION_LOST
        waiting: asyncio.Future[SendWhy | None] = self._loop.create_future()
        self._pushed.add(waiting)
        self._link.send(frames, waiting, self._now())
        self._send()
        return await waiting

    def _told(self, waiting: asyncio.Future[SendWhy | None], why: SendWhy | None) -> None:
        self._pushed.discard(waiting)
        if not waiting.done():
            waiting.set_result(why)

    # -- bytes out, time in

    def _send(self) -> None:
        self._write(self._link.data_to_send())
        deadline = self._link.deadline()
        if deadline is None or not self._open or (self._timer is not None and self._timer_at <= deadline):
            return  # an early timer finds out by itself that it is early: cheaper than one new timer per frame
        self._stop_timer()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._tick)

    def _write(self, data: bytes) -> None:
        if data and self._open and self._transport is not None:
            if self._book.taps:
                self._book.tapped("giden", data)
            self._transport.write(data)

    def _tick(self) -> None:
        self._timer = None
        if not self._open:
            return
        now = self._now()
        deadline = self._link.deadline()
        if deadline is not None and deadline <= now:
            self._handle(self._link.tick(now))
        else:
            self._send()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> float:
        return self._loop.time()
