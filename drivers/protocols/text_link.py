"""What the link codecs of proprietary instruments have in common: bytes in, events out, bytes out, time as told.

    link = make_link("block", {"check": "xor", "answer": True})
    for event in link.receive_data(data, now):
        if isinstance(event, BlockReceived):
            ...                                 # store event.raw, then link.stored(now) or link.not_stored(now)
    transport.write(link.data_to_send())

A block is acknowledged by `stored`, never before. Until then nothing behind it is read, so the order holds. The stream
may be cut anywhere: the same bytes give the same events. Nothing a peer sends raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

NUL, SOH, STX, ETX, EOT, ENQ, ACK, NAK, SYN, ETB, DLE = (
    bytes([code]) for code in (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x15, 0x16, 0x17, 0x10)
)
FS, GS, RS = b"\x1c", b"\x1d", b"\x1e"


class Why(Enum):
    """Why something went wrong."""

    CHECK = "check"
    TOO_LONG = "too long"
    CUT_OFF = "cut off"
    OUT_OF_TURN = "out of turn"
    SILENCE = "silence"
    CONNECTION_LOST = "connection lost"
    REFUSED = "refused"
    NO_REPLY = "no reply"


@dataclass(frozen=True, slots=True)
class BlockReceived:
    """One whole, checked block. Store it, then call `stored` or `not_stored`."""

    raw: bytes
    """As it came."""
    text: bytes
    """Its content: `raw[start:start + len(text)]`."""
    start: int
    last: bool = True
    """The message ends with it."""


@dataclass(frozen=True, slots=True)
class MessageBroken:
    """The blocks so far are all that comes of this message."""

    why: Why


@dataclass(frozen=True, slots=True)
class BlockRefused:
    """Bytes that are no good block; the sender was told where the protocol can tell it."""

    raw: bytes
    why: Why


@dataclass(frozen=True, slots=True)
class Ignored:
    """Bytes between blocks that mean nothing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth remembering about the line, as a short English word of the codec."""

    what: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The instrument has taken our message."""

    token: object


@dataclass(frozen=True, slots=True)
class SendFailed:
    """The instrument has not taken our message."""

    token: object
    why: Why


Event = BlockReceived | MessageBroken | BlockRefused | Ignored | Note | Sent | SendFailed

TRIES = 3
"""How often a block of ours goes out before the message is given up."""


class TextLink:
    """Base of the codecs. A subclass says in `_parse` what comes next, and in `_confirm` how a block is answered."""

    join = b""
    """Between the texts of a message's blocks."""

    def __init__(self, *, max_block: int = 65_536, max_message: int = 8_000_000, reply_limit: float = 5.0,
                 listen_limit: float = 30.0, answer_limit: float = 10.0) -> None:  # fmt: skip
        self._in = bytearray()
        self._out = bytearray()
        self._events: list[Event] = []
        self._pending: BlockReceived | None = None
        self._max_block = max_block
        self._max_message = max_message
        self._reply_limit = reply_limit
        self._listen_limit = listen_limit
        self._answer_limit = answer_limit
        self._message_bytes = 0
        """Stored bytes of a message that has not ended."""
        self._queue: deque[tuple[object, list[bytes]]] = deque()
        self._sending: tuple[object, list[bytes]] | None = None
        self._at = 0
        self._tries = 0
        self._timers: dict[str, float] = {}

    # ---- what the caller does

    def connection_made(self, now: float) -> list[Event]:
        """The line is open."""
        return self._told()

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes however they were cut; return what they mean."""
        self._in += data
        self._timers["listen"] = now + self._listen_limit
        return self._run(now)

    def stored(self, now: float) -> list[Event]:
        """The block of the last BlockReceived is safe: acknowledge it, read on."""
        block, self._pending = self._pending, None
        if block is not None:
            self._message_bytes = 0 if block.last else self._message_bytes + len(block.raw)
            self._confirm(block, now)
        return self._run(now)

    def not_stored(self, now: float) -> list[Event]:
        """It could not be stored: the sender keeps it and tries again."""
        block, self._pending = self._pending, None
        if block is not None:
            self._decline(block, now)
        return self._run(now)

    def send(self, messages: Sequence[bytes], token: object, now: float) -> list[Event]:
        """Messages (texts without framing) for the instrument, when the line is free."""
        self._timers.pop("answer", None)
        if messages:
            self._queue.append((token, [self._wrapped(message) for message in messages]))
        return self._run(now)

    def no_answer(self, now: float) -> list[Event]:
        """There is nothing to say to the last query."""
        self._timers.pop("answer", None)
        return self._run(now)

    def tick(self, now: float) -> list[Event]:
        """Time has passed: whatever is due by now happens."""
        for name in [name for name, at in self._timers.items() if at <= now]:
            if self._timers.pop(name, None) is not None:
                self._expired(name, now)
        return self._run(now)

    def deadline(self) -> float | None:
        """When `tick` is wanted."""
        return min(self._timers.values(), default=None)

    def connection_lost(self, now: float) -> list[Event]:
        """The line is gone: what was begun is over."""
        if self._in.strip(b"\x00\r\n \x04\x05\x06"):
            self._events.append(BlockRefused(bytes(self._in), Why.CUT_OFF))
        self._in.clear()
        self._break(Why.CONNECTION_LOST)
        for token, _ in [*([self._sending] if self._sending else []), *self._queue]:
            self._events.append(SendFailed(token, Why.CONNECTION_LOST))
        self._sending, self._pending = None, None
        self._queue.clear()
        self._timers.clear()
        self._out.clear()
        return self._told()

    def data_to_send(self) -> bytes:
        """Whatever is owed; empties the queue."""
        data = bytes(self._out)
        self._out.clear()
        return data

    # ---- for the subclasses

    def _parse(self, now: float) -> bool:
        """Take the next thing off `self._in`; False where more bytes are needed."""
        raise NotImplementedError

    def _confirm(self, block: BlockReceived, now: float) -> None:
        """The block is stored: tell the sender."""

    def _decline(self, block: BlockReceived, now: float) -> None:
        """The block could not be stored: tell the sender."""

    def _wrapped(self, text: bytes) -> bytes:
        """A message of ours as it goes out."""
        return text

    def _may_send(self) -> bool:
        """Whether it is our turn."""
        return not self._in

    def _expired(self, name: str, now: float) -> None:
        """A timer ran out."""
        if name == "listen" and self._pending is not None:
            self._timers["listen"] = now + self._listen_limit  # what is behind it waits for our disk, not we for it
        elif name == "listen":
            if self._in:
                self._events.append(BlockRefused(bytes(self._in), Why.SILENCE))
                self._in.clear()
                self._complain()
            self._break(Why.SILENCE)
        elif name == "reply":
            self._again(Why.NO_REPLY, now)

    def _complain(self) -> None:
        """Ask for a bad block again, where the protocol can."""

    def _run(self, now: float) -> list[Event]:
        while self._pending is None and self._in:
            before = len(self._in)
            if not self._parse(now):
                break
            if len(self._in) == before and self._pending is None:
                break  # a codec that takes nothing must not spin
        if not (self._in or self._message_bytes):
            self._timers.pop("listen", None)
        else:
            self._timers.setdefault("listen", now + self._listen_limit)
        self._advance(now)
        return self._told()

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _take(self, length: int) -> bytes:
        data = bytes(self._in[:length])
        del self._in[:length]
        return data

    def _received(self, raw: bytes, start: int, length: int, *, last: bool, now: float) -> None:
        """A good block came."""
        if self._message_bytes + len(raw) > self._max_message:
            self._events.append(BlockRefused(raw, Why.TOO_LONG))
            self._break(Why.TOO_LONG)
            self._complain()
            return
        self._pending = BlockReceived(raw, raw[start : start + length], start, last)
        self._events.append(self._pending)

    def _bad(self, length: int, why: Why) -> None:
        """Bytes that are no good block."""
        self._events.append(BlockRefused(self._take(length), why))
        self._complain()

    def _skip(self, length: int, quiet: bytes = b"\x00\r\n ") -> None:
        """Bytes that mean nothing."""
        data = self._take(length)
        if data.strip(quiet):
            self._events.append(Ignored(data))

    def _break(self, why: Why) -> None:
        if self._message_bytes:
            self._message_bytes = 0
            self._events.append(MessageBroken(why))

    def _wait_for_answer(self, now: float) -> None:
        self._timers["answer"] = now + self._answer_limit

    # ---- sending

    def _advance(self, now: float) -> None:
        """Begin the next message of ours when it is our turn."""
        if self._sending is None and self._queue and self._pending is None and self._may_send():
            self._sending = self._queue.popleft()
            self._at = self._tries = 0
            self._put(now)

    def _put(self, now: float) -> None:
        assert self._sending is not None
        self._out += self._sending[1][self._at]
        self._tries += 1
        self._timers["reply"] = now + self._reply_limit

    def _taken(self, now: float) -> None:
        """The instrument acknowledged what we sent last."""
        self._timers.pop("reply", None)
        if self._sending is None:
            return
        self._at += 1
        self._tries = 0
        if self._at < len(self._sending[1]):
            self._put(now)
            return
        self._events.append(Sent(self._sending[0]))
        self._sending = None

    def _again(self, why: Why, now: float) -> None:
        """It did not: once more, or never."""
        self._timers.pop("reply", None)
        if self._sending is None:
            return
        if self._tries < TRIES:
            self._put(now)
            return
        self._events.append(SendFailed(self._sending[0], why))
        self._sending = None


def control(words: str) -> bytes:
    """Control characters by name or as hexadecimal digits: `CR LF`, `STX`, `0D`. Raises ValueError."""
    found = bytearray()
    for word in words.split():
        if word in _NAMES:
            found.append(_NAMES[word])
        elif len(word) == 2:
            found += bytes.fromhex(word)
        else:
            raise ValueError(f"{word!r} bir denetim karakteri değil")
    return bytes(found)


_WORDS = "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC"
_NAMES = {name: code for code, name in enumerate(f"{_WORDS} FS GS RS US SP".split())}

Options = dict[str, Any]
