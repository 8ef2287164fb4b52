"""One MLLP connection: a block is stored, then read, then answered; blocks are answered in the order they came."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from drivers.definition import Reading
from drivers.gateway.collector import Collected, message_key
from drivers.gateway.line import LineBook
from drivers.gateway.spool import Place
from drivers.links.endpoints import be_quick
from drivers.messages import Query
from drivers.protocols import hl7
from drivers.protocols.mllp import BLOCK_LIMIT, BlockReceived, BlockRefused, Event, Ignored, MllpLink, MllpOptions

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway


class MllpSession(asyncio.Protocol):
    """Feed from a transport."""

    def __init__(self, gateway: Gateway, book: LineBook, options: MllpOptions) -> None:
        self.peer = ""
        self._gateway = gateway
        self._book = book
        self._link = MllpLink(options)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._kept: deque[Collected] = deque()
        self._serving = False
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        be_quick(transport)
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or self._book.spec.address)
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass
        self._open = self._book.opened(self)
        if not self._open:
            transport.close()
            return
        self._gateway.connected(self._book)

    def data_received(self, data: bytes) -> None:
        if not self._open:
            return
        self._book.heard()
        if self._book.taps:
            self._book.tapped("gelen", data)
        self._handle(self._link.receive_data(data))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(BLOCK_LIMIT, self._silence)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._open:
            return
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        self._book.closed(self)
        self._handle(self._link.connection_lost())
        self._gateway.disconnected(self._book)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    @property
    def is_open(self) -> bool:
        """Whether a message of ours can be sent."""
        return self._open

    def send_message(self, payload: bytes) -> None:
        """Send a message of ours; its answer comes as any block does."""
        if self._open:
            self._link.send(payload)
            self._send()

    def _silence(self) -> None:
        self._handle(self._link.silence())

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, BlockReceived):
                self._store(event)
            elif isinstance(event, BlockRefused):
                self._book.trouble(f"HL7 bloğu alınamadı: {event.why}.")
            elif isinstance(event, Ignored) and event.data.strip():
                self._book.trouble(f"Anlamsız {len(event.data)} bayt geldi; yok sayıldı.")

    def _store(self, block: BlockReceived) -> None:
        received = time.time_ns()
        spool = self._gateway.spool

        def kept(error: OSError | None) -> None:
            self._stored(block, place, received, error)

        start = block.raw.find(block.payload)
        place = spool.append(
            self._book.spec.name,
            spool.new_transfer(),
            received,
            True,
            block.raw,
            start,
            len(block.payload),
            kept,
        )

    def _stored(self, block: BlockReceived, place: Place, received: int, error: OSError | None) -> None:
        if error is not None:
            # No answer at all: the sender repeats. An AE would tell it that the content is wrong.
            self._book.trouble(f"Diske yazılamadı ({error.strerror or error}); cihaza yanıt verilmedi.")
            self._link.no_answer()
            return
        self._kept.append(
            Collected(
                line=self._book.spec.name,
                key=message_key(self._gateway.spool.identity, place),
                received_ns=received,
                text=block.payload,
                raw=block.raw,
                places=(place,),
            )
        )
        if not self._serving:
            self._serve()

    def _serve(self) -> None:
        """Answer what is stored, in order; a query takes a moment, and what came after it waits."""
        while self._kept:
            message = self._kept.popleft()
            queries, reading = self._gateway.received(self._book, message)
            if queries:
                self._serving = True
                self._gateway.start(self._answer_queries(message, queries))
                return
            self._acknowledge(message, reading)
        self._send()

    async def _answer_queries(self, message: Collected, queries: Sequence[Query]) -> None:
        try:
            first = True
            for query in queries:
                payloads, work = await self._gateway.answers(self._book, query, message)
                for payload in payloads:
                    if not self._open:
                        return
                    if first:
                        self._link.answer(payload)
                        first = False
                    else:
                        self._link.send(payload)
                self._send()  # the answer leaves before the work that it announces
                await self._gateway.ship(self._book, work, self, message)
            if first:
                self._link.no_answer()
            self._send()
        finally:
            self._serving = False
            if self._kept:
                self._serve()

    def _acknowledge(self, message: Collected, reading: Reading | None) -> None:
        answers = self._gateway.acknowledgements(self._book, message, reading)
        if not answers:
            self._link.no_answer()
            return
        self._link.answer(answers[0])
        for further in answers[1:]:
            self._link.send(further)

    def _send(self) -> None:
        data = self._link.data_to_send()
        if data and self._transport is not None and self._open:
            if self._book.taps:
                self._book.tapped("giden", data)
            self._transport.write(data)


def readable(payload: bytes) -> hl7.Message | None:
    """The message, or None where the bytes are no HL7."""
    try:
        return hl7.parse(payload)
    except hl7.Hl7Error:
        return None
