"""How a POCT1-A device is talked to, and what the conversation reports: the words of `poct1a_host`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from drivers.protocols.poct1a import Hello, Status
from drivers.protocols.text_link import BlockReceived, BlockRefused, Ignored, Note, SendFailed

MANNERS = frozenset(("HEL", "DST", "ACK", "EOT", "END", "KPA", "ESC", "REQ"))
"""Messages of the conversation itself: nothing in them is a result, so nothing of them is stored."""
DATA = frozenset(("OBS", "EVS"))


class State(Enum):
    """Where the conversation stands."""

    SILENT = "silent"
    """Nobody has said hello."""
    GREETED = "greeted"
    """The device said hello; its status is to come."""
    TALKING = "talking"
    """Asking for what it has, giving it what it needs."""
    CONTINUOUS = "continuous"
    """It sends as it measures."""
    ENDING = "ending"
    """We have said END."""
    ENDED = "ended"


EXPECTED: dict[State, frozenset[str]] = {
    State.SILENT: frozenset(("HEL",)),
    State.GREETED: frozenset(("DST", "KPA", "END", "ESC", "HEL")),
    State.TALKING: frozenset(("OBS", "EVS", "EOT", "ACK", "KPA", "END", "ESC", "REQ", "HEL", "DST")),
    State.CONTINUOUS: frozenset(("OBS", "EVS", "EOT", "ACK", "KPA", "END", "ESC", "REQ", "HEL", "DST")),
    State.ENDING: frozenset(("ACK", "OBS", "EVS", "END", "HEL")),
    State.ENDED: frozenset(("HEL",)),
}
"""What comes in turn. What does not is noted and dealt with all the same: a result out of turn is still a result."""


@dataclass(frozen=True, slots=True)
class Poct1aOptions:
    """How one device is talked to. What is not said is as in the standard."""

    framing: Literal["auto", "bare", "mllp"] = "auto"
    """auto: as the device does."""
    continuous: bool = True
    """Ask for continuous mode, where its HEL offers it."""
    set_time: bool = True
    """Set its clock, where its HEL offers it."""
    events: bool = True
    """Ask for its events, where its status counts any."""
    end: bool = True
    """Without continuous mode, end the conversation when all is said."""
    ack_id: Literal["ack_control_id", "control_id"] = "ack_control_id"
    """Where an acknowledgement names what it answers."""
    ack_end_of_topic: bool = True
    """Whether the device's EOT is acknowledged."""
    operator_topic: str = "OPL"
    """What our EOT after an operator list says."""
    patients: bool = False
    """Whether the device is told to whom a number belongs when it asks (REQ RPAT)."""
    overdue: float = 10.0
    """Continuous mode: seconds after which announced results that do not come are asked for."""
    keep_alive: float = 0.0
    """Continuous mode: seconds of silence after which the device is asked whether it is there; 0: never."""
    turnaround: float = 0.05
    """Seconds between two messages of ours: simple devices take what one read brings for one document."""
    answer_limit: float = 60.0
    """Where its HEL names no time limit."""
    listen_limit: float = 30.0
    max_message: int = 1_000_000

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.framing not in ("auto", "bare", "mllp") or self.ack_id not in ("ack_control_id", "control_id"):
            raise ValueError("framing: auto, bare, mllp; ack_id: ack_control_id, control_id")
        if not (1_000 <= self.max_message <= 64_000_000) or self.answer_limit <= 0 or self.listen_limit <= 0:
            raise ValueError("max_message 1000-64000000; süreler sıfırdan büyük olmalı")
        if min(self.turnaround, self.overdue, self.keep_alive) < 0:
            raise ValueError("süreler eksi olamaz")


@dataclass(frozen=True, slots=True)
class Greeted:
    """The device has said who it is."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Told:
    """The device has told its status."""

    status: Status


@dataclass(frozen=True, slots=True)
class Asked:
    """The device asks to whom a number belongs: answer by `patients` or `refuse`."""

    control_id: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over: the caller hangs up once all is written."""

    why: str


Event = BlockReceived | BlockRefused | Ignored | Note | SendFailed | Greeted | Told | Asked | Ended
