"""Blocks between STX and ETX (or bare lines), with every kind of check and answer that printers and analysers use.

No standard: the makers' interface texts, see the catalogue. The check byte may have any value, ETX and EOT included, so
it is counted, never searched for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from drivers.protocols.text_link import ACK, EOT, ETX, NAK, STX, BlockReceived, Note, TextLink, Why

Check = Literal["none", "xor", "or", "sum"]


_LINE_ENDS = (b"\r", b"\n", b"\x0c", b"")


@dataclass(frozen=True, slots=True)
class BlockOptions:
    """How a model frames its texts."""

    start: bytes = STX
    """Empty: bare lines."""
    ends: tuple[bytes, ...] = (ETX,)
    check: Check = "none"
    check_form: Literal["byte", "hex"] = "byte"
    check_covers: Literal["text", "end", "all"] = "end"
    """The text alone, with its end, or from the start on."""
    check_required: bool = True
    """False: a wrong check is noted, the block taken."""
    answer: bool = True
    """Blocks are acknowledged (ACK, NAK). False: a printer stream."""
    acknowledge: bytes = ACK
    refuse: bytes = NAK
    hello: tuple[bytes, ...] = ()
    """What a sender says first, answered by ACK: ENQ, SOH."""
    closes: bytes = b""
    """What ends a message of several blocks (EOT); empty: every block is a message."""
    drop: bytes = b"\x00\r\n \x11\x13"
    """Bytes between blocks that say nothing."""
    keep_alive: tuple[bytes, ...] = ()
    bare_end: str = ""
    """Bare lines: the expression that ends a record. It must have one possible length at its end."""
    pause: float = 0.0
    """Bare lines: so many seconds of silence end a record too, where its last line has its end."""
    join: bytes = b""


def check_value(kind: Check, data: bytes) -> int:
    """One byte over all of the data."""
    if kind == "xor":
        return reduce(lambda a, b: a ^ b, data, 0)
    if kind == "or":
        return reduce(lambda a, b: a | b, data, 0)
    return sum(data) & 0xFF


class BlockLink(TextLink):
    """Both directions of a line of blocks."""

    def __init__(self, options: BlockOptions | None = None, **limits: float) -> None:
        super().__init__(**limits)  # type: ignore[arg-type]
        self._o = options or BlockOptions()
        self.join = self._o.join
        self._bare_end = re.compile(self._o.bare_end.encode("latin-1"), re.S) if self._o.bare_end else None
        self._before = b""
        """The block that was stored last."""
        self._check_length = 0 if self._o.check == "none" else 1 if self._o.check_form == "byte" else 2

    # ---- bytes in

    def _parse(self, now: float) -> bool:
        o, buffer = self._o, self._in
        if o.start and buffer.startswith(o.start):
            return self._block(now)
        if len(o.start) > 1 and o.start.startswith(bytes(buffer)):
            return False
        if self._sending is not None and buffer[:1] in (ACK, NAK):
            if self._take(1) == ACK:
                self._taken(now)
            else:
                self._again(Why.REFUSED, now)
            return True
        for word in o.hello:
            if buffer.startswith(word):
                self._take(len(word))
                self._break(Why.CUT_OFF)
                self._greeted(now)
                return True
        if o.closes and buffer.startswith(o.closes):
            self._closed(now)
            return True
        if buffer[:1] in (EOT, ACK, NAK) and o.start:
            self._take(1)
            return True
        return self._between(now) if o.start else self._bare(now)

    def _greeted(self, now: float) -> None:
        self._out += ACK

    def _closed(self, now: float) -> None:
        end = self._take(len(self._o.closes))
        if self._message_bytes:
            self._received(end, 0, 0, last=True, now=now)

    def _between(self, now: float) -> bool:
        o, buffer = self._o, self._in
        known = [o.start, *o.hello, *([o.closes] if o.closes else [])]
        places = [place for mark in known if (place := buffer.find(mark)) > 0]
        if self._sending is not None:
            places += [place for mark in (ACK, NAK) if (place := buffer.find(mark)) > 0]
        data = bytes(buffer[: min(places, default=len(buffer))])
        left = data.translate(None, o.drop)
        for word in o.keep_alive:
            left = left.replace(word, b"")
        if left:
            self._skip(len(data))
        else:
            self._take(len(data))
        return True

    def _block(self, now: float) -> bool:
        """A block begins here: wait for its end and its check, then say whether it is good."""
        o, buffer = self._o, self._in
        places = [(place, end) for end in o.ends if (place := buffer.find(end, len(o.start))) >= 0]
        again = buffer.find(o.start, len(o.start))
        if not places:
            if again > 0 and o.start not in o.ends:
                self._bad(again, Why.CUT_OFF)
                return True
            if len(buffer) > self._max_block:
                self._bad(len(buffer), Why.TOO_LONG)
                return True
            return False
        place, end = min(places)
        if 0 < again < place:
            self._bad(again, Why.CUT_OFF)
            return True
        length = place + len(end) + self._check_length
        if len(buffer) < length:
            return False
        if length > self._max_block:
            self._bad(length, Why.TOO_LONG)
            return True
        if not self._good(bytes(buffer[:length]), place, len(end)):
            if self._o.check_required:
                self._bad(length, Why.CHECK)
                return True
            self._forgiven()
        start = len(o.start)
        raw = self._take(length)
        if raw[start:place] in (ACK, NAK):  # some answer with a block
            if raw[start:place] == ACK:
                self._taken(now)
            else:
                self._again(Why.REFUSED, now)
            return True
        if o.closes and o.answer and self._message_bytes and raw == self._before:
            self._out += o.acknowledge  # our answer was lost: each block of a message has a number, so no two are equal
            self._events.append(Note("block repeated"))
            return True
        ends_message = not o.closes or end == o.closes
        self._received(raw, start, place - start, last=ends_message, now=now)
        return True

    def _forgiven(self) -> None:
        self._events.append(Note("wrong check byte"))

    def _good(self, raw: bytes, place: int, end_length: int) -> bool:
        o = self._o
        if o.check == "none":
            return True
        first = 0 if o.check_covers == "all" else len(o.start)
        last = place if o.check_covers == "text" else place + end_length
        value = check_value(o.check, raw[first:last])
        sent = raw[place + end_length :]
        return sent.upper() == b"%02X" % value if o.check_form == "hex" else sent[0] == value

    def _bare(self, now: float) -> bool:
        """Lines without a frame: a record ends where its end stands, or by silence."""
        buffer = self._in
        blank = len(buffer) - len(buffer.lstrip(self._o.drop))
        if blank:
            self._take(blank)
            if not buffer:
                self._timers.pop("pause", None)
                return True
        found = self._bare_end.search(buffer) if self._bare_end is not None else None
        if found is not None:
            self._timers.pop("pause", None)
            raw = self._take(found.end())
            self._received(raw, 0, len(raw), last=True, now=now)
            return True
        if len(buffer) > self._max_block:
            self._bad(len(buffer), Why.TOO_LONG)
            return True
        if self._o.pause:
            self._timers["pause"] = now + self._o.pause
        return False

    def _expired(self, name: str, now: float) -> None:
        if name == "pause":
            if self._in and self._pending is None:
                raw = self._take(len(self._in))
                # a line without its end may have stopped inside a value: K 4 of K 4.8
                self._received(raw, 0, len(raw), last=raw.rstrip(b"\x00 ")[-1:] in _LINE_ENDS, now=now)
        else:
            super()._expired(name, now)

    # ---- answers

    def _confirm(self, block: BlockReceived, now: float) -> None:
        self._before = block.raw
        if self._o.answer:
            self._out += self._o.acknowledge
        if not block.last and not self._o.start:
            self._break(Why.SILENCE)

    def _decline(self, block: BlockReceived, now: float) -> None:
        if self._o.answer:
            self._out += self._o.refuse

    def _complain(self) -> None:
        if self._o.answer:
            self._out += self._o.refuse

    # ---- bytes out

    def _wrapped(self, text: bytes) -> bytes:
        o = self._o
        end = o.ends[0]
        raw = o.start + text + end
        if o.check == "none":
            return raw
        first = 0 if o.check_covers == "all" else len(o.start)
        value = check_value(o.check, raw[first : len(raw) - (len(end) if o.check_covers == "text" else 0)])
        return raw + (b"%02X" % value if o.check_form == "hex" else bytes([value]))

    def _put(self, now: float) -> None:
        super()._put(now)
        if not self._o.answer:  # nobody will say that it arrived
            self._taken(now)
