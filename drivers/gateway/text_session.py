"""One connection to an instrument with a protocol of its own: link codec, spool and gateway meet here.

A block is acknowledged after the spool has it on disk, not before (invariant 1), as in `astm_session`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from drivers.gateway.collector import Collected, message_key
from drivers.gateway.line import LineBook, disk_words
from drivers.gateway.peer_session import PeerSession
from drivers.gateway.spool import Place
from drivers.messages import Query
from drivers.protocols.text_link import (
    BlockReceived,
    BlockRefused,
    Event,
    Ignored,
    MessageBroken,
    Note,
    SendFailed,
    TextLink,
    Why,
)

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway

BROKEN_OFF = "Mesajın sonu gelmedi; gelen kısım saklandı, sonuçları uygulanmadı."

_REFUSED = {
    Why.CHECK: "Bloğun denetim karakteri yanlış; alınmadı.",
    Why.TOO_LONG: "Blok sınırdan uzun; alınmadı.",
    Why.CUT_OFF: "Blok yarıda kesildi; alınmadı.",
    Why.OUT_OF_TURN: "Blok sırada değil; alınmadı.",
    Why.SILENCE: "Cihaz bloğun ortasında sustu; blok alınmadı.",
}
_NOT_SENT = {
    Why.NO_REPLY: "Cihaz yanıt vermedi.",
    Why.REFUSED: "Cihaz kabul etmedi.",
    Why.CONNECTION_LOST: "Bağlantı koptu.",
}
_NOTES = {
    "no answer in time": "Sorgu süresinde yanıtlanamadı; cihaza iş yok dendi, yeniden sorması beklenir.",
    "wrong check byte": "Denetim karakteri yanlış blok, bu hatta kabul edildi.",
    "block repeated": "Cihaz bir bloğu yineledi (yanıtımız ulaşmamış olmalı); bir kez alındı.",
    "silent": "Cihaz konuşmayı başlatma denemelerine yanıt vermiyor.",
}


class TextCollector:
    """From stored blocks to messages. The same blocks always give the same messages and keys."""

    def __init__(self, spool: str, line: str, join: bytes) -> None:
        self._spool = spool
        self._line = line
        self._join = join
        self._blocks: list[tuple[Place, bytes, bytes]] = []
        self._received = 0

    @property
    def open(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._blocks)

    def take(self, place: Place, received_ns: int, raw: bytes, text: bytes, last: bool) -> list[Collected]:
        """One more block; the message that it ends."""
        self._blocks.append((place, raw, text))
        self._received = received_ns
        return [self._collected(None)] if last else []

    def finish(self) -> list[Collected]:
        """No more will come: what is left was acknowledged and must be kept."""
        return [self._collected(BROKEN_OFF)] if self._blocks else []

    def _collected(self, problem: str | None) -> Collected:
        blocks, self._blocks = self._blocks, []
        return Collected(
            line=self._line,
            key=message_key(self._spool, blocks[0][0]),
            received_ns=self._received,
            text=self._join.join(text for _, _, text in blocks),
            raw=b"".join(raw for _, raw, _ in blocks),
            places=tuple(place for place, _, _ in blocks),
            whole=problem is None,
            problem=problem,
        )


class TextSession(PeerSession):
    """Feed from a transport; everything else is callbacks."""

    def __init__(self, gateway: Gateway, book: LineBook, link: TextLink, *, answers: bool) -> None:
        """answers: the model can be told what to run, so each message is read at once."""
        super().__init__(gateway, book)
        self._link = link
        self._answers = answers
        self._collector = TextCollector(gateway.spool.identity, book.spec.name, link.join)
        self._transfer = 0
        self._storing = 0
        self._broken = False
        """The message ended without its end while a block of it was still on its way to the disk."""

    # -- the transport's side

    def _begun(self) -> None:
        self._handle(self._link.connection_made(self._loop.time()))

    def _received(self, data: bytes) -> None:
        self._handle(self._link.receive_data(data, self._loop.time()))

    def _lost(self) -> None:
        self._handle(self._link.connection_lost(self._loop.time()))
        self._ended(Why.CONNECTION_LOST)

    # -- what the link reports

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, BlockReceived):
                self._store(event)
            elif isinstance(event, MessageBroken):
                self._ended(event.why)
            else:
                self._report(event)
        self._send()

    def _report(self, event: Event) -> None:
        if isinstance(event, BlockRefused):
            self._book.trouble(_REFUSED.get(event.why, _REFUSED[Why.CUT_OFF]))
        elif isinstance(event, SendFailed):
            self._book.trouble(f"İş emri cihaza verilemedi: {_NOT_SENT.get(event.why, _NOT_SENT[Why.NO_REPLY])}")
        elif isinstance(event, Note):
            self._note(event.what)
        elif isinstance(event, Ignored):
            self._book.trouble(f"Anlamsız {len(event.data)} bayt geldi; yok sayıldı.")

    def _note(self, what: str) -> None:
        head, _, rest = what.partition(": ")
        if head == "order refused":
            self._book.trouble(f"Cihaz iş emrini reddetti ({rest}).")
        elif what.startswith("instrument says "):
            self._book.trouble(f"Cihaz hata bildirdi: {what[16:]}")
        elif what == "silent":
            self._book.trouble(_NOTES[what])
        else:
            self._book.note(_NOTES.get(what, f"Hat bilgisi: {what}"))

    def _store(self, block: BlockReceived) -> None:
        if not self._collector.open and not self._storing:
            self._transfer = self._gateway.spool.new_transfer()
        received = time.time_ns()
        self._storing += 1

        def kept(error: OSError | None) -> None:
            self._kept(block, place, received, error)

        place = self._gateway.spool.append(
            self._book.spec.name, self._transfer, received, block.last, block.raw, block.start, len(block.text), kept
        )

    def _kept(self, block: BlockReceived, place: Place, received: int, error: OSError | None) -> None:
        """The spool has the block on disk, or cannot have it."""
        self._storing -= 1
        if error is not None:
            self._book.trouble(f"Diske yazılamadı ({disk_words(error)}); cihazdan yeniden istendi.")
            self._handle(self._link.not_stored(self._loop.time()))
            return
        events = self._link.stored(self._loop.time()) if self._open else []
        self._write(self._link.data_to_send())
        for message in self._collector.take(place, received, block.raw, block.text, block.last):
            self._deliver(message)
        if self._broken:
            self._broken = False
            self._ended(Why.CONNECTION_LOST)
        self._handle(events)

    def _ended(self, why: Why) -> None:
        """A message stopped without its end."""
        if self._storing:
            self._broken = True
            return
        for message in self._collector.finish():
            self._book.trouble(BROKEN_OFF)
            self._gateway.kept(self._book, message)

    # -- messages and answers

    def _deliver(self, message: Collected) -> None:
        if not self._answers:
            self._gateway.kept(self._book, message)
            return
        queries, _ = self._gateway.received(self._book, message)
        for query in queries:
            self._gateway.start(self._answer(query))

    async def _answer(self, query: Query) -> None:
        messages = await self._gateway.answer(self._book, query)
        if not self._open:
            return
        now = self._loop.time()
        self._handle(self._link.send(messages, query, now) if messages else self._link.no_answer(now))

    # -- bytes out, time in

    def _send(self) -> None:
        self._write(self._link.data_to_send())
        self._stop_timer()
        deadline = self._link.deadline()
        if deadline is not None and self._open:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._open:
            self._handle(self._link.tick(self._loop.time()))
