"""How one ASTM line speaks: the switches and limits of the data link, strict by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.protocols.astm_states import (
    CONTENTION_HOST,
    CONTENTION_INSTRUMENT,
    ENQ_TRIES,
    FRAME_TRIES,
    INTERRUPT_WAIT,
    LISTEN_LIMIT,
    NAK_TO_ENQ_WAIT,
    REPLY_LIMIT,
)

__all__ = ["Checksum", "LinkOptions", "LocalError"]

Checksum = Literal["required", "optional", "none"]


class LocalError(Exception):
    """Our own code used the link against its rules; never the peer's fault."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How one line speaks. The defaults are the standard's; what loosens it is said per instrument definition."""

    role: Literal["host", "instrument"] = "host"
    framing: Literal["e1381", "stx-etx", "raw"] = "e1381"
    """"stx-etx": STX records ETX, no number, no checksum (Snibe). "raw": bare records H to L, nobody answers."""
    checksum: Checksum = "required"
    """"optional": may be missing, a wrong one is still refused. "none": not looked at."""
    number_modulus: Literal["0-7", "0-9", "1-7", "any", "unchecked"] = "0-7"
    """Digits taken besides the standard's 0-7: 8 and 9 after 7; 1 after 7; any digit, also as the first. After a
    refused frame only that frame is taken. "unchecked" gives up even that: for reading captures, never for a line."""
    require_enq: bool = True
    """False: frames come without ENQ (Afinion, c 111); frame 1 starts a transfer, silence may end it."""
    control_characters: Literal["refuse", "accept"] = "refuse"
    """What to do with a frame whose checksum holds but whose text has a restricted character (6.6), such as LF."""
    interrupt: Literal["honour", "ignore"] = "honour"
    """What our sender does when the receiver answers EOT for ACK (6.3.5 allows both)."""
    max_frame: int = 64_000
    """Text bytes in one frame (raw: in one record)."""
    max_transfer: int = 8_000_000
    """Text bytes from ENQ to EOT (raw: in one message)."""
    max_attempts: int = 3
    """How often an outgoing transfer is begun before it counts as failed."""
    reply_limit: float = REPLY_LIMIT
    listen_limit: float = LISTEN_LIMIT
    busy_wait: float = NAK_TO_ENQ_WAIT
    contention_wait: float | None = None  # None: 20 s for the host, 1 s for the instrument
    interrupt_wait: float = INTERRUPT_WAIT
    restart_wait: float = 10.0  # before a failed transfer starts over; the standard says only "later"
    turnaround: float = 0.0  # pause between the end of any transfer and our ENQ
    frame_tries: int = FRAME_TRIES
    enq_tries: int = ENQ_TRIES

    def __post_init__(self) -> None:
        if min(self.max_frame, self.max_transfer, self.max_attempts, self.frame_tries, self.enq_tries) < 1:
            raise ValueError("limits and tries must be at least 1")

    @property
    def contention(self) -> float:
        """Seconds that this side holds off after both sent ENQ (6.2.1)."""
        if self.contention_wait is not None:
            return self.contention_wait
        return CONTENTION_HOST if self.role == "host" else CONTENTION_INSTRUMENT
