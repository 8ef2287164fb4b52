"""One MLLP connection: a block is stored, then read, then answered; blocks are answered in the order they came."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from drivers.answering_hl7 import refused_query
from drivers.definition import Reading
from drivers.gateway.collector import Collected, message_key
from drivers.gateway.line import LineBook, disk_words
from drivers.gateway.peer_session import PeerSession
from drivers.gateway.spool import Place
from drivers.messages import Query
from drivers.protocols import hl7
from drivers.protocols.mllp import BLOCK_LIMIT, BlockReceived, BlockRefused, Event, Ignored, MllpLink, MllpOptions

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway


class MllpSession(PeerSession):
    """Feed from a transport."""

    def __init__(self, gateway: Gateway, book: LineBook, options: MllpOptions) -> None:
        super().__init__(gateway, book)
        self._link = MllpLink(options)
        self._kept: deque[Collected] = deque()
        self._serving = False

    def _begun(self) -> None:
        self._gateway.connected(self._book)

    def _received(self, data: bytes) -> None:
        self._handle(self._link.receive_data(data))
        self._stop_timer()
        self._timer = self._loop.call_later(BLOCK_LIMIT, self._silence)

    def _lost(self) -> None:
        self._handle(self._link.connection_lost())
        self._gateway.disconnected(self._book)

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
            self._book.trouble(f"Diske yazılamadı ({disk_words(error)}); cihaza yanıt verilmedi.")
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
                self._refuse(message)
            self._send()
        finally:
            self._serving = False
            if self._kept:
                self._serve()

    def _refuse(self, message: Collected) -> None:
        """A query that nothing was said to. Where the model is only listened to, it is told so; where the core could
        not be asked there is no answer, and it asks again: a refusal would let the tube pass."""
        refusal = None
        if not self._gateway.definition_of(self._book.spec).answers:
            now = datetime.now(self._gateway.zone)
            refusal = refused_query(message.text, control_id=self._gateway.next_control_id(), now=now)
        if refusal is None:
            self._link.no_answer()
        else:
            self._link.answer(refusal)

    def _acknowledge(self, message: Collected, reading: Reading | None) -> None:
        answers = self._gateway.acknowledgements(self._book, message, reading)
        if not answers:
            self._link.no_answer()
            return
        self._link.answer(answers[0])
        for further in answers[1:]:
            self._link.send(further)

    def _send(self) -> None:
        self._write(self._link.data_to_send())


def readable(payload: bytes) -> hl7.Message | None:
    """The message, or None where the bytes are no HL7."""
    try:
        return hl7.parse(payload)
    except hl7.Hl7Error:
        return None
