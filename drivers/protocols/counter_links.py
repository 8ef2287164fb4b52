"""Links of blood counters: Siemens ADVIA 120 / 2120 (rolling toggle), Coulter LH 700 series (blocks of 256 bytes), and
texts that are no ASTM records in ASTM frames (Iris iQ200, ADVIA chemistry).

Sources: LIS Interface Guide ADVIA 067D0068-01 (2004); the public drivers named in the catalogue.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Any

from drivers.protocols import astm_events as astm
from drivers.protocols.astm_frames import frames_of
from drivers.protocols.astm_link import AstmLink, LinkOptions
from drivers.protocols.block_link import check_value
from drivers.protocols.text_link import (
    ACK,
    ENQ,
    ETX,
    NAK,
    STX,
    SYN,
    BlockReceived,
    BlockRefused,
    Event,
    Ignored,
    MessageBroken,
    Note,
    SendFailed,
    Sent,
    TextLink,
    Why,
)

_FIRST, _LAST = 0x30, 0x5A
_TOKEN = b"S" + b" " * 10


class AdviaLink(TextLink):
    """ADVIA 120 / 2120: STX, toggle, type, data, CR LF, LRC, ETX. The answer to a block is its toggle byte.

    The toggle counts 30h to 5Ah over both directions. LRC is XOR from the toggle to LF; 03 is sent as 7F. Who has the
    token (S) may speak. In doubt both begin again with I.
    """

    def __init__(self, delay: float = 1.0, **limits: Any) -> None:
        super().__init__(**limits)
        self._toggle = _FIRST
        self._last_taken: int | None = None
        self._awaited: int | None = None
        self._ours: list[bytes] = []
        """What the link itself has to say, before any message of the caller's."""
        self._delay = delay
        self._token = False
        self._doubts = 0

    def connection_made(self, now: float) -> list[Event]:
        self._initialise(now)
        return super().connection_made(now)

    def _initialise(self, now: float) -> None:
        self._toggle, self._token, self._last_taken = _FIRST, False, None
        self._ours.clear()
        self._beginning = True
        self._write(b"I ", now, toggle=_FIRST)

    _beginning = False
    """Our I was not answered yet."""

    # ---- bytes in

    def _parse(self, now: float) -> bool:
        buffer = self._in
        if buffer[:1] == STX:
            return self._framed(now)
        if self._awaited is not None and buffer[0] == self._awaited:
            self._take(1)
            self._awaited = None
            self._doubts = 0
            if self._beginning:  # both are at the start: the analyser may speak
                self._beginning = False
                self._ours.append(_TOKEN)
            self._taken(now)
            self._timers["turn"] = now
            return True
        if buffer[:1] == NAK:
            self._take(1)
            self._doubt(now)
            return True
        place = buffer.find(STX)
        self._skip(place if place > 0 else len(buffer))
        return True

    def _framed(self, now: float) -> bool:
        buffer = self._in
        end = buffer.find(b"\r\n")
        while end >= 0 and len(buffer) > end + 3 and buffer[end + 3 : end + 4] != ETX:
            end = buffer.find(b"\r\n", end + 2)  # a line end inside (the tests stand on a line of their own)
        if end < 0:
            if len(buffer) > self._max_block:
                self._bad(len(buffer), Why.TOO_LONG)
                return True
            return False
        if len(buffer) < end + 4:
            return False
        raw = bytes(buffer[: end + 4])
        if lrc(raw[1 : end + 2]) != raw[end + 2] or not _FIRST <= raw[1] <= _LAST:
            self._bad(end + 4, Why.CHECK)
            return True
        self._take(end + 4)
        self._block(raw, now)
        return True

    def _block(self, raw: bytes, now: float) -> None:
        toggle, kind = raw[1], raw[2:3]
        if toggle == self._last_taken and kind != b"I":
            self._out.append(toggle)  # our answer was lost
            return
        self._ours = [text for text in self._ours if text != _TOKEN]  # it speaks already
        if kind in b"RQ":
            self._received(raw, 2, len(raw) - 6, last=True, now=now)
            return
        self._acknowledge(toggle)
        if kind == b"I":
            self._ours.append(_TOKEN)
            self._timers["turn"] = now
        elif kind == b"S":
            self._token = True
            self._timers["turn"] = now + (0 if self._queue or self._ours else self._delay)
        elif kind == b"E":
            self._timers["turn"] = now
            if raw[3:].strip()[:1] not in (b"0", b""):
                self._events.append(Note("order refused: " + raw[3:-4].decode("latin-1").strip()))

    def _acknowledge(self, toggle: int) -> None:
        self._out.append(toggle)
        self._toggle = self._last_taken = toggle

    def _confirm(self, block: BlockReceived, now: float) -> None:
        self._acknowledge(block.raw[1])
        if block.text[:1] == b"R":
            self._ours.append(b"Z" + b" " * 18 + b"0")
            self._timers["turn"] = now
        else:
            self._wait_for_answer(now)

    def _decline(self, block: BlockReceived, now: float) -> None:
        self._out += NAK

    def _complain(self) -> None:
        self._out += NAK

    # ---- bytes out

    def _expired(self, name: str, now: float) -> None:
        if name == "turn":
            self._token = self._token and not self._ours
            if self._ours and self._awaited is None:
                self._write(self._ours.pop(0), now)
            elif self._token and self._awaited is None and not self._queue:
                self._token = False
                self._write(_TOKEN, now)
        elif name == "reply":
            self._doubt(now)
        elif name == "answer":
            self._events.append(Note("no answer in time"))
            self._doubt(now)
        else:
            super()._expired(name, now)

    def _doubt(self, now: float) -> None:
        """No answer, or a wrong one: begin again from the start."""
        self._awaited = None
        self._timers.pop("reply", None)
        self._doubts += 1
        if self._sending is not None:
            self._events.append(SendFailed(self._sending[0], Why.NO_REPLY))
            self._sending = None
        if self._doubts <= 3:
            self._initialise(now)
        else:
            self._events.append(Note("silent"))
            self._doubts = 0

    def _write(self, text: bytes, now: float, *, toggle: int | None = None) -> None:
        self._toggle = toggle if toggle is not None else _FIRST if self._toggle >= _LAST else self._toggle + 1
        body = bytes([self._toggle]) + text + b"\r\n"
        self._out += STX + body + bytes([lrc(body)]) + ETX
        self._awaited = self._toggle
        self._timers["reply"] = now + self._reply_limit

    def _may_send(self) -> bool:
        return not self._in and self._awaited is None and not self._ours

    def _put(self, now: float) -> None:
        assert self._sending is not None
        self._tries += 1
        self._write(self._sending[1][self._at], now)


def lrc(data: bytes) -> int:
    """XOR of all bytes; ETX is sent as 7F."""
    value = check_value("xor", data)
    return 0x7F if value == 3 else value


class CoulterLink(TextLink):
    """LH 700: SYN (answered SYN) or ENQ (answered ACK), number of blocks in two hexadecimal digits, each block: STX,
    its number (2 hex), 256 bytes, CRC-16 (4 hex), ETX.

    No public text says which CRC-16 it is. Those of the CCITT family are tried; the one that fitted first is the one of
    this connection.
    """

    _SIZE = 1 + 2 + 256 + 4 + 1

    def __init__(self, lenient: bool = False, **limits: Any) -> None:
        """lenient: captured bytes may lack the count."""
        super().__init__(**limits)
        self._lenient = lenient
        self._expected = 0
        self._next = 1
        self._crc: str | None = None

    def _parse(self, now: float) -> bool:
        buffer = self._in
        first = buffer[:1]
        if first == STX:
            return self._framed(now)
        if first in (SYN, ENQ):
            self._take(1)
            self._break(Why.CUT_OFF)
            self._expected, self._next = 0, 1
            self._waiting_count = True
            self._out += first if first == SYN else ACK
            return True
        if self._waiting_count and first in b"0123456789ABCDEFabcdef":
            if len(buffer) < 2:
                return False
            digits = bytes(buffer[:2])
            try:
                self._expected = int(digits, 16)
            except ValueError:
                self._bad(2, Why.OUT_OF_TURN)
                return True
            self._take(2)
            self._waiting_count = False
            self._out += ACK
            return True
        places = [place for mark in (STX, SYN, ENQ) if (place := buffer.find(mark)) > 0]
        self._skip(min(places, default=len(buffer)), quiet=b"\x00\r\n \x06\x15\x10AB")
        return True

    _waiting_count = False

    def _framed(self, now: float) -> bool:
        buffer = self._in
        if len(buffer) < self._SIZE:
            return False
        raw = bytes(buffer[: self._SIZE])
        try:
            number, sent = int(raw[1:3], 16), int(raw[259:263], 16)
        except ValueError:
            number, sent = -1, -1
        if raw[-1:] != ETX or sent < 0 or not self._fits(raw[3:259], sent):
            again = buffer.find(STX, 1)
            self._bad(again if 0 < again < self._SIZE else self._SIZE, Why.CHECK)
        elif number == self._next - 1 and self._next > 1:
            self._take(self._SIZE)
            self._out += ACK  # our answer was lost
        elif number != self._next or not (self._expected or self._lenient):
            self._bad(self._SIZE, Why.OUT_OF_TURN)
        else:
            self._received(self._take(self._SIZE), 3, 256, last=number == self._expected, now=now)
        return True

    def _fits(self, data: bytes, sent: int) -> bool:
        found = crcs(data)
        for name in [self._crc] if self._crc else found:
            if found[name] == sent:
                if self._crc is None:
                    self._crc = name
                    self._events.append(Note(f"CRC is {name}"))
                return True
        return False

    def _confirm(self, block: BlockReceived, now: float) -> None:
        self._next += 1
        if block.last:
            self._expected, self._next = 0, 1
        self._out += ACK

    def _decline(self, block: BlockReceived, now: float) -> None:
        self._out += NAK

    def _complain(self) -> None:
        self._out += NAK


def crcs(data: bytes) -> dict[str, int]:
    """CRC-16 of the CCITT family: started with zeros, with ones, and bit-reversed (Kermit)."""
    kermit = 0
    for byte in data:
        kermit ^= byte
        for _ in range(8):
            kermit = (kermit >> 1) ^ 0x8408 if kermit & 1 else kermit >> 1
    return {
        "ccitt-ffff": binascii.crc_hqx(data, 0xFFFF),
        "ccitt-0": binascii.crc_hqx(data, 0),
        "kermit": kermit,
    }


class AstmFramesLink(TextLink):
    """Text of its own in E1381 frames: the ASTM link below, no records above."""

    def __init__(
        self, options: LinkOptions | None = None, *, frame_text: int = 240, echo: Sequence[bytes] = (), **limits: Any
    ) -> None:
        """echo: texts that go straight back."""
        super().__init__(**limits)
        self._echo = frozenset(echo)
        self._link = AstmLink(options or LinkOptions())
        self._frame_text = frame_text

    def connection_made(self, now: float) -> list[Event]:
        self._link.connection_made(now)
        return self._told()

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        return self._translated(self._link.receive_data(data, now), now)

    def stored(self, now: float) -> list[Event]:
        return self._translated(self._link.stored(now), now)

    def not_stored(self, now: float) -> list[Event]:
        return self._translated(self._link.not_stored(now), now)

    def send(self, messages: Sequence[bytes], token: object, now: float) -> list[Event]:
        for message in messages:
            self._link.send(frames_of(message, limit=self._frame_text), token, now)
        return []

    def no_answer(self, now: float) -> list[Event]:
        return []

    def tick(self, now: float) -> list[Event]:
        return self._translated(self._link.tick(now), now)

    def deadline(self) -> float | None:
        return self._link.deadline()

    def connection_lost(self, now: float) -> list[Event]:
        return self._translated(self._link.connection_lost(now), now)

    def data_to_send(self) -> bytes:
        return self._link.data_to_send()

    def _translated(self, events: Sequence[astm.Event], now: float) -> list[Event]:
        found: list[Event] = []
        todo = list(events)
        while todo:
            event = todo.pop(0)
            if isinstance(event, astm.FrameReceived) and event.last and event.text.strip() in self._echo:
                todo += self._link.stored(now)  # says nothing that must be kept
                self._link.send(frames_of(event.text, limit=self._frame_text), None, now)
            elif isinstance(event, astm.FrameReceived):
                found.append(BlockReceived(event.raw, event.text, event.raw.find(event.text), event.last))
            elif isinstance(event, astm.TransferBroken):
                found.append(MessageBroken(_BROKEN.get(event.why, Why.SILENCE)))
            elif isinstance(event, astm.TransferEnded):
                found.append(MessageBroken(Why.CUT_OFF))
            elif isinstance(event, astm.FrameRefused):
                found.append(BlockRefused(b"", Why.CHECK))
            elif isinstance(event, astm.SendFailed):
                found.append(SendFailed(event.token, Why.NO_REPLY))
            elif isinstance(event, astm.SendDone):
                found.append(Sent(event.token))
            elif isinstance(event, astm.Ignored):
                found.append(Ignored(event.data))
        return found


_BROKEN = {
    astm.BrokenWhy.SILENCE: Why.SILENCE,
    astm.BrokenWhy.CONNECTION_LOST: Why.CONNECTION_LOST,
    astm.BrokenWhy.TOO_LONG: Why.TOO_LONG,
}
