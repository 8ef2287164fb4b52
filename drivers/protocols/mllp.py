"""MLLP, the minimal lower layer protocol of HL7 v2: VT message FS CR (HL7 transport specification, MLLP release 1).

Sans-IO: bytes in, events out, bytes out; no socket, no clock. One `MllpLink` serves one connection, both directions.

An answer that says AA tells the sender to forget its message. So the caller stores the block of a `BlockReceived`
first and calls `answer` afterwards; nothing here answers by itself. Several blocks may arrive in one chunk; they are
reported and to be answered in that order.

What peers do and the link forgives: no VT before MSH, no CR after FS, CR only in the next chunk, LF after the FS,
several FS. How the network cuts the bytes changes nothing: FS always ends a block, since whether a CR will follow
cannot be known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

VT, FS, CR = b"\x0b", b"\x1c", b"\r"

ANSWER_LIMIT = 10.0  # seconds a sender waits for the answer to its message; law-facts 7 (Mindray BC waits the same)
BLOCK_LIMIT = 30.0  # seconds without a byte in the middle of a block after which the caller says `silence`
JUNK_PIECE = 65_536  # bytes between blocks that are reported in one event

_STARTS = (b"MSH", b"FHS", b"BHS")  # what a block may begin with when its VT is missing
_TERMINATORS = b"\r\n\x1c"  # what may follow the FS of a block


class LocalError(RuntimeError):
    """Our mistake, never the peer's: a payload that MLLP cannot carry, an answer to nothing, a dead connection."""


@dataclass(frozen=True, slots=True)
class MllpOptions:
    max_block: int = 8 * 1024 * 1024
    """Bytes a block may have; a longer one is refused and skipped."""
    missing_vt: bool = True
    """Take MSH, FHS or BHS right after the connection's start or a block's end for the start of a block."""


@dataclass(frozen=True, slots=True)
class BlockReceived:
    """A whole block. Store it, then answer it."""

    payload: bytes
    """What stood between VT and FS."""
    raw: bytes
    """With its VT (if it came) and FS; the CR after it is not waited for."""


@dataclass(frozen=True, slots=True)
class BlockRefused:
    """A block that cannot be had: too long, cut off, or overtaken by the next one. It is not answered, so its sender
    keeps it."""

    why: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """Bytes that belong to no block: noise, another protocol, an empty block (a sign of life of some devices)."""

    data: bytes


Event: TypeAlias = BlockReceived | BlockRefused | Ignored


class _State(Enum):
    READY = auto()  # nothing but terminators since the start or the last block: a block without VT may begin
    JUNK = auto()  # bytes that nobody can explain: only VT begins a block; FS ends them
    BLOCK = auto()  # between VT and FS


def wrap(payload: bytes) -> bytes:
    """One block, VT payload FS CR.

    Raises LocalError: the payload holds VT or FS (write them as `\\X0B\\`, `\\X1C\\`: the HL7 writer does) or nothing.
    """
    if not payload:
        raise LocalError("an empty block")
    if VT in payload or FS in payload:
        raise LocalError("the payload holds VT or FS, which would end its block")
    return VT + payload + FS + CR


class MllpLink:
    """One connection. Bytes of the peer go into `receive_data`, `data_to_send` gives what is owed to it."""

    def __init__(self, options: MllpOptions | None = None) -> None:
        self._options = options or MllpOptions()
        self._state = _State.READY
        self._incoming = bytearray()  # READY: perhaps the beginning of MSH; JUNK: the junk; BLOCK: from VT or MSH on
        self._outgoing = bytearray()
        self._lost = False
        self.unanswered = 0
        """Blocks received that were neither answered nor said to need no answer."""

    # ---- receiving

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes however the network cut them; return what they mean. Never raises, whatever they are."""
        events: list[Event] = []
        position = 0
        while position < len(data):
            if self._state is _State.BLOCK:
                position = self._take_block(data, position, events)
            elif self._state is _State.JUNK:
                position = self._take_junk(data, position, events)
            else:
                position = self._take_start(data, position)
        self.unanswered += sum(isinstance(event, BlockReceived) for event in events)
        return events

    def _take_start(self, data: bytes, position: int) -> int:
        """READY: decide on one byte what begins here."""
        byte = data[position : position + 1]
        if not self._incoming and byte in (b"\r", b"\n", FS):
            return position + 1
        if byte == VT and not self._incoming:
            self._incoming += VT
            self._state = _State.BLOCK
            return position + 1
        begun = bytes(self._incoming) + byte
        if not self._options.missing_vt or not any(start.startswith(begun) for start in _STARTS):
            self._state = _State.JUNK  # this byte is looked at again there
            return position
        self._incoming += byte
        if begun in _STARTS:
            self._state = _State.BLOCK
        return position + 1

    def _take_junk(self, data: bytes, position: int, events: list[Event]) -> int:
        """JUNK: up to the next VT, which begins a block, or the next FS, after which all is open again."""
        ends = [at for mark in (VT, FS) if (at := data.find(mark, position)) >= 0]
        end = min(ends, default=len(data))
        if ends and data[end : end + 1] == FS:
            end += 1
        self._incoming += data[position:end]
        while len(self._incoming) >= JUNK_PIECE:
            events.append(Ignored(bytes(self._incoming[:JUNK_PIECE])))
            del self._incoming[:JUNK_PIECE]
        if ends:
            self._report_junk(events)
            self._state = _State.READY
        return end

    def _take_block(self, data: bytes, position: int, events: list[Event]) -> int:
        """BLOCK: up to its FS, or to the limit."""
        room = max(0, self._options.max_block + 1 - len(self._incoming))  # the limit does not count the VT
        end = data.find(FS, position, position + room + 1)
        if end >= 0:
            self._incoming += data[position : end + 1]
            self._finish_block(events)
            return end + 1
        self._incoming += data[position : position + room]
        if len(data) - position > room:
            self._refuse_endless_block(events)
        return min(position + room, len(data))

    def _finish_block(self, events: list[Event]) -> None:
        raw = self._without_overtaken_block(bytes(self._incoming), events)
        self._incoming.clear()
        self._state = _State.READY
        payload = raw[:-1].lstrip(VT)
        if len(payload.strip()) > 1:
            events.append(BlockReceived(payload, raw))
        else:  # empty, or the one-byte commit acknowledgement of MLLP release 2, which nobody here waits for
            events.append(Ignored(raw))

    def _without_overtaken_block(self, raw: bytes, events: list[Event]) -> bytes:
        """What a sender began and gave up stands before the block that did end: never read the two as one message.

        Only VT before a header segment counts: a lone VT may be a line break that somebody pasted into a comment.
        """
        begin = max(raw.rfind(VT + start) for start in _STARTS)
        if begin <= 0 or not raw[:begin].strip(VT):
            return raw
        events.append(BlockRefused("no end before the next block began", raw[:begin]))
        return raw[begin:]

    def _refuse_endless_block(self, events: list[Event]) -> None:
        raw = bytes(self._incoming)
        kept = self._without_overtaken_block(raw, events)
        self._incoming.clear()
        if kept is not raw:
            self._incoming += kept  # the one that overtook goes on
            return
        events.append(BlockRefused(f"no end within {self._options.max_block} bytes", raw))
        self._state = _State.JUNK

    def silence(self) -> list[Event]:
        """The caller's timer: no byte came for BLOCK_LIMIT seconds. Reports what is unfinished and starts afresh."""
        return self._give_up("no end before the sender fell silent")

    def connection_lost(self) -> list[Event]:
        """The connection is gone. Reports what is unfinished; what was owed is dropped: the peer will ask again."""
        self._lost = True
        self._outgoing.clear()
        return self._give_up("no end before the connection was lost")

    def _give_up(self, why: str) -> list[Event]:
        events: list[Event] = []
        if self._state is _State.BLOCK:
            raw = self._without_overtaken_block(bytes(self._incoming), events)
            events.append(BlockRefused(why, raw))
            self._incoming.clear()
        self._report_junk(events)
        self._state = _State.READY
        return events

    def _report_junk(self, events: list[Event]) -> None:
        if self._incoming:
            events.append(Ignored(bytes(self._incoming)))
            self._incoming.clear()

    # ---- sending

    def answer(self, payload: bytes) -> None:
        """Queue the answer to the oldest unanswered block. Only after that block is stored.

        After `connection_lost` this does nothing: the block is stored, and its sender will send it again.
        Raises LocalError: every block has its answer already.
        """
        self._settle_one()
        if not self._lost:
            self._outgoing += wrap(payload)

    def no_answer(self) -> None:
        """The oldest unanswered block needs none: it is itself an answer, or its MSH-15 and MSH-16 ask for none."""
        self._settle_one()

    def _settle_one(self) -> None:
        if not self.unanswered:
            raise LocalError("no block waits for an answer")
        self.unanswered -= 1

    def send(self, payload: bytes) -> None:
        """Queue a message of our own. Raises LocalError after `connection_lost`: it would go nowhere."""
        if self._lost:
            raise LocalError("the connection is lost")
        self._outgoing += wrap(payload)

    def data_to_send(self) -> bytes:
        """Whatever is owed to the peer; empties the queue."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data


def blocks(chunks: Iterable[bytes], options: MllpOptions | None = None) -> list[Event]:
    """The events of a finished conversation in one direction, for captures."""
    link = MllpLink(options)
    events = [event for chunk in chunks for event in link.receive_data(chunk)]
    return events + link.connection_lost()
