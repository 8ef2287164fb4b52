"""The ASTM data link, E1381-02 / CLSI LIS01-A2: one pure state machine for both directions of one line.

Bytes in, events out, bytes out. No socket, no clock, no log. The caller

- hands over what arrived (`receive_data`), cut however the network cut it,
- stores each `FrameReceived` durably and only then says so (`stored`, `not_stored`): that is what the ACK means,
- writes `data_to_send()` to the line after every call,
- calls `tick(now)` when `deadline()` has come (at once where it lies in the past).

Time is told, never asked for: every call takes an optional `now`, monotonic seconds, not negative; without it the time
told last still counts. A byte that is handed over before the tick of its deadline is in time. An own transfer starts in
`send` or `tick` only, never in the middle of received bytes.

Nothing that a peer sends raises; wrong use by our own code raises `LocalError`.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.protocols.astm_events import (
    AnswerWithheld,
    BrokenWhy,
    Event,
    FrameReceived,
    FrameRefused,
    FrameRepeated,
    Ignored,
    Loosened,
    RefusedWhy,
    SendDone,
    SendFailed,
    SendPostponed,
    SendStarted,
    SendWhy,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    TurnedAway,
)
from drivers.protocols.astm_frames import (
    ACK,
    CR,
    ENQ,
    EOT,
    ETB,
    ETX,
    LF,
    NAK,
    STX,
    build_block,
    build_frame,
    checksum,
    frames_of,
    record_frames,
)
from drivers.protocols.astm_line import SENDING, Line
from drivers.protocols.astm_messages import MessageAssembler, Partial, WholeMessage
from drivers.protocols.astm_options import LinkOptions, LocalError
from drivers.protocols.astm_states import (
    CONTENTION_HOST,
    CONTENTION_INSTRUMENT,
    ENQ_TRIES,
    FRAME_TRIES,
    INTERRUPT_WAIT,
    LISTEN_LIMIT,
    NAK_TO_ENQ_WAIT,
    QUIET,
    REPLY_LIMIT,
    TRANSITIONS,
    On,
    State,
)

__all__ = [
    "ACK",
    "CONTENTION_HOST",
    "CONTENTION_INSTRUMENT",
    "CR",
    "ENQ",
    "ENQ_TRIES",
    "EOT",
    "ETB",
    "ETX",
    "FRAME_TRIES",
    "INTERRUPT_WAIT",
    "LF",
    "LISTEN_LIMIT",
    "NAK",
    "NAK_TO_ENQ_WAIT",
    "REPLY_LIMIT",
    "STX",
    "TRANSITIONS",
    "AnswerWithheld",
    "AstmLink",
    "BrokenWhy",
    "Event",
    "FrameReceived",
    "FrameRefused",
    "FrameRepeated",
    "Ignored",
    "LinkOptions",
    "LocalError",
    "Loosened",
    "MessageAssembler",
    "On",
    "Partial",
    "RefusedWhy",
    "SendDone",
    "SendFailed",
    "SendPostponed",
    "SendStarted",
    "SendWhy",
    "State",
    "TransferBroken",
    "TransferEnded",
    "TransferStarted",
    "TurnedAway",
    "WholeMessage",
    "build_block",
    "build_frame",
    "checksum",
    "frames_of",
    "record_frames",
]


class AstmLink(Line):
    """One line: receives and sends transfers, one at a time, half duplex. Outlives connections."""

    @property
    def state(self) -> State:
        """Where the line stands."""
        return self._state

    @property
    def connected(self) -> bool:
        """False from `connection_lost` to `connection_made`."""
        return self._connected

    @property
    def queued(self) -> int:
        """Outgoing transfers not yet through, the current one among them."""
        return len(self._outbox)

    def receive_data(self, data: bytes, now: float | None = None) -> list[Event]:
        """Take bytes however the network cut them; return what they mean. Never raises on what a peer sends.

        Raises LocalError after `connection_lost`: bytes need a connection.
        """
        if not self._connected:
            raise LocalError("bytes without a connection")
        if now is not None and now > self._now:
            self._now = now
        self._heard_at = self._now
        events = self._take_reported()
        if self._state is State.DECIDING:
            self._hold_back(data)
            return events
        self._reader.feed(data)
        self._run(events)
        return events

    def stored(self, now: float | None = None) -> list[Event]:
        """The frame reported last is durable: owe its ACK, read on. Raises LocalError when no frame waits."""
        frame = self._decided(now)
        self._accepted = number = frame.number
        self._accepted_raw = frame.raw
        self._expected = (number + 1) % 8 if number <= 7 else -1
        self._size += len(frame.text)
        self._count += 1
        events = self._take_reported()
        if self._given_up:
            self._given_up = False
            events.append(AnswerWithheld(number))
            self._move(On.GIVEN_UP)
        elif self._want_line:
            self._want_line = False
            self._move(On.STORED_WANT_LINE)
        else:
            self._move(On.STORED)
        self._read_on(events)
        return events

    def not_stored(self, now: float | None = None) -> list[Event]:
        """The frame reported last could not be stored: owe a NAK; its repetition will be accepted.

        On a line of raw records nothing is ever repeated: the link then stays where it is, reads nothing further, and
        waits for `stored()`.
        """
        frame = self._decided(now)
        events = self._take_reported()
        if self._raw:
            return events
        self._clean, self._refused = False, frame.number
        if self._given_up:
            self._given_up = False
            events.append(AnswerWithheld(frame.number))
            self._move(On.GIVEN_UP)
        else:
            self._move(On.NOT_STORED)
        self._read_on(events)
        return events

    def data_to_send(self) -> bytes:
        """What is owed to the line; empties it."""
        owed = self._owed
        if not owed:
            return b""
        data = owed[0] if len(owed) == 1 else b"".join(owed)
        owed.clear()
        return data

    def send(self, frames: Sequence[bytes], token: object, now: float | None = None) -> None:
        """Queue one transfer (built by `frames_of`, `record_frames`, `build_block`; raw lines: bytes as they are).

        It starts at once on a neutral line, else from `tick`. Its events carry `token` and come with the next call.
        """
        if not frames:
            raise LocalError("a transfer needs at least one frame")
        if now is not None and now > self._now:
            self._now = now
        self._outbox.add(frames, token)
        self._start_if_possible(self._reported)

    def cancel(self, token: object) -> bool:
        """Take a transfer out of the queue; False when it is under way or not there."""
        return self._outbox.remove(token, but_the_first=self._state in SENDING)

    def ask_for_line(self) -> None:
        """Answer the next good frame with EOT instead of ACK: accepted, and please stop soon (6.3.5)."""
        self._want_line = True

    def deadline(self) -> float | None:
        """When `tick` is needed next, in the caller's seconds; may lie in the past. None: not before more happens."""
        if self._reported:
            return self._now
        if self._state is State.DECIDING or not self._connected:
            return None
        due = self._timer
        if self._reader.unsettled:
            quiet = self._heard_at + QUIET
            due = quiet if due is None or quiet < due else due
        if self._may_start():
            start = self._outbox.not_before
            due = start if due is None or start < due else due
        return due

    def tick(self, now: float) -> list[Event]:
        """Tell the time: run out limits, settle what only silence can settle, start what is queued."""
        if now > self._now:
            self._now = now
        events = self._take_reported()
        if self._state is State.DECIDING or not self._connected:
            return events
        if self._reader.unsettled and self._now >= self._heard_at + QUIET:
            self._reader.settle()
            self._run(events)
        if self._timer is not None and self._now >= self._timer:
            self._timer = None
            if self._state in SENDING:
                self._apply(On.SILENCE, events)
            else:
                self._reader.give_up(On.SILENCE)
                self._run(events)
        self._start_if_possible(events)
        return events

    def connection_lost(self, now: float | None = None) -> list[Event]:
        """The connection is gone. Complete frames already received may still come out, each owed its decision.

        A transfer in the middle is broken. An outgoing transfer stays queued and starts over, whole, after
        `connection_made`; being cut off counts as one of its attempts. Nothing is owed to the line any more.
        """
        if now is not None and now > self._now:
            self._now = now
        events = self._take_reported()
        self._owed.clear()
        if self._connected:
            self._connected = False
            # in this order, after all that is complete: what a quiet line settles, then what stays incomplete
            self._closing = [lambda: self._reader.give_up(On.LOST), lambda: self._reader.settle()]
            if self._state is not State.DECIDING:
                self._run(events)
        return events

    def connection_made(self, now: float | None = None) -> None:
        """A new connection stands on this line: neutral, nothing held off; what is queued starts by `tick`.

        Raises LocalError while a frame of the connection before still waits for its decision.
        """
        if now is not None and now > self._now:
            self._now = now
        if self._state is not State.IDLE:
            raise LocalError("the connection before is not yet over")
        self._connected = True
        self._reader = self._new_reader()
        self._outbox.release(self._now)
