"""What the ASTM data link reports: plain facts in the past tense, in the order in which they happened.

Bytes in events are verbatim. Times are not in events: whoever called with `now` knows the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "AnswerWithheld",
    "BrokenWhy",
    "Event",
    "FrameReceived",
    "FrameRefused",
    "FrameRepeated",
    "Ignored",
    "Loosened",
    "RefusedWhy",
    "SendDone",
    "SendFailed",
    "SendPostponed",
    "SendStarted",
    "SendWhy",
    "TransferBroken",
    "TransferEnded",
    "TransferStarted",
    "TurnedAway",
]


class RefusedWhy(StrEnum):
    """Why a frame was not taken."""

    CHECKSUM = "checksum"
    NO_CHECKSUM = "no checksum"
    NUMBER = "frame number"
    TOO_LONG = "too long"
    CONTROL_CHARACTER = "control character in text"
    CUT_OFF = "cut off"
    OUTSIDE_TRANSFER = "outside a transfer"
    TRANSFER_TOO_LONG = "transfer too long"
    TRANSFER_REFUSED = "transfer already refused"


class BrokenWhy(StrEnum):
    """Why a transfer ended without its end."""

    SILENCE = "silence"
    CONNECTION_LOST = "connection lost"
    TOO_LONG = "too long"


class SendWhy(StrEnum):
    """Why an outgoing transfer did not go through (yet)."""

    BUSY = "receiver busy"
    CONTENTION = "contention"
    NO_REPLY = "no reply"
    REFUSED = "frame refused"
    INTERRUPTED = "receiver interrupt"
    DISPLACED = "peer began its own transfer"
    CONNECTION_LOST = "connection lost"


@dataclass(frozen=True, slots=True)
class TransferStarted:
    """The peer opened a transfer. implicit: by its first frame, no ENQ came (a loosened line)."""

    implicit: bool = False


class FrameReceived(NamedTuple):
    """A frame stood every check; it is owed an answer: `stored()` or `not_stored()`.

    number: frame number as sent; where frames carry none, their running count in the transfer from 1.
    text: the message text alone.
    raw: STX to the last checksum digit as sent. On a line of raw records both are the records with their line ends.
    last: closed by ETX; on a line of raw records: the message came with its terminator.
    """

    number: int
    text: bytes
    raw: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """The transfer is over. implicit: no EOT came, but a new ENQ or what counts as an end on this line."""

    implicit: bool = False


@dataclass(frozen=True, slots=True)
class TransferBroken:
    """The transfer stopped without an end; what was acknowledged stays with us, the rest the peer sends again."""

    why: BrokenWhy


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """A frame was not taken. raw: its bytes, of an over-long one the first kilobyte."""

    why: RefusedWhy
    raw: bytes


@dataclass(frozen=True, slots=True)
class FrameRepeated:
    """The frame last accepted came again (our answer was lost): answered again, nothing new in it."""

    number: int


@dataclass(frozen=True, slots=True)
class AnswerWithheld:
    """The answer came after the peer had given up waiting; sent now, it would answer the wrong question."""

    number: int


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The peer asked to send while we could not store: answered busy, it asks again after 10 s."""


@dataclass(frozen=True, slots=True)
class Loosened:
    """A deviation from the standard was accepted because this line's options allow it."""

    what: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Bytes that belong to no frame and mean nothing in this state; long runs come in pieces of 4096."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SendStarted:
    """ENQ is on its way. attempt counts from 1."""

    token: object
    attempt: int


@dataclass(frozen=True, slots=True)
class SendPostponed:
    """The transfer goes back to the head of the queue and starts over, whole, not before `not_before`."""

    token: object
    why: SendWhy
    not_before: float


@dataclass(frozen=True, slots=True)
class SendDone:
    """Every frame was acknowledged."""

    token: object


@dataclass(frozen=True, slots=True)
class SendFailed:
    """All attempts are used up; the transfer left the queue."""

    token: object
    why: SendWhy


Event = (
    TransferStarted
    | FrameReceived
    | TransferEnded
    | TransferBroken
    | FrameRefused
    | FrameRepeated
    | AnswerWithheld
    | TurnedAway
    | Loosened
    | Ignored
    | SendStarted
    | SendPostponed
    | SendDone
    | SendFailed
)
