"""The inner works of `astm_link.AstmLink`: what is read is judged, the table is followed, what happened is told."""

from __future__ import annotations

from collections.abc import Callable

from drivers.protocols.astm_events import (
    BrokenWhy,
    Event,
    FrameReceived,
    FrameRefused,
    FrameRepeated,
    Ignored,
    Loosened,
    RefusedWhy,
    SendWhy,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    TurnedAway,
)
from drivers.protocols.astm_frames import ACK, ENQ, EOT, NAK, STX
from drivers.protocols.astm_options import LinkOptions, LocalError
from drivers.protocols.astm_outbox import Outbox
from drivers.protocols.astm_raw_reader import RawReader
from drivers.protocols.astm_readers import FrameReader
from drivers.protocols.astm_states import (
    FRAME,
    GAVE_UP_AFTER,
    RAW_TRANSITIONS,
    TRANSITIONS,
    UNANNOUNCED_TRANSITIONS,
    On,
    State,
)

__all__ = ["SENDING", "Line"]

SENDING = frozenset((State.ASKING, State.SENDING))
_BYTE_OF = {On.ENQ: ENQ, On.EOT: EOT, On.ACK: ACK, On.NAK: NAK}


class Line:
    """State and moves of one line; what callers use is in AstmLink."""

    def __init__(self, options: LinkOptions | None = None) -> None:
        self.options = options = options or LinkOptions()
        self.accepting = True
        """False while nothing can be stored: ENQ is then answered busy (NAK) instead of making promises."""
        self._raw = options.framing == "raw"
        self._numbered = options.framing == "e1381"
        self._unannounced = not options.require_enq and not self._raw
        self._table = RAW_TRANSITIONS if self._raw else TRANSITIONS if options.require_enq else UNANNOUNCED_TRANSITIONS
        self._limits = {
            State.LISTENING: options.listen_limit,
            State.REFUSING: options.listen_limit,
            State.ASKING: options.reply_limit,
            State.SENDING: options.reply_limit,
        }
        self._reader = self._new_reader()
        self._outbox = Outbox(
            max_attempts=options.max_attempts, enq_tries=options.enq_tries, frame_tries=options.frame_tries
        )
        self._state = State.IDLE
        self._now = 0.0
        self._timer: float | None = None  # when the state's limit runs out
        self._heard_at = 0.0  # when the last bytes came
        self._owed: list[bytes] = []
        self._reported: list[Event] = []  # by calls that return no events
        self._connected = True
        self._closing: list[Callable[[], None]] = []  # what is left to do with a lost connection
        self._expected = 1  # number of the frame that is due
        self._accepted: int | None = None  # None, not 0: a transfer that wrongly starts at 0 is no repeat
        self._accepted_raw = b""
        self._deciding: FrameReceived | None = None
        self._deciding_since = 0.0
        self._given_up = False  # the peer sent on without waiting for our answer
        self._pending: list[bytes] = []  # arrived while a frame waits for its answer
        self._size = 0  # text bytes of the transfer so far
        self._count = 0  # frames of the transfer so far
        self._clean = True  # nothing was refused or cut off since the last good frame
        self._refused: int | None = None  # number of the frame refused since then; -1 if it cannot be told
        self._want_line = False

    # ---- receiving

    def _new_reader(self) -> FrameReader | RawReader:
        options = self.options
        if self._raw:
            return RawReader(max_line=options.max_frame, max_message=options.max_transfer)
        return FrameReader(
            numbered=self._numbered,
            checksum=options.checksum,
            max_frame=options.max_frame,
            refuse_restricted=options.control_characters == "refuse",
        )

    def _take_reported(self) -> list[Event]:
        if not self._reported:
            return []
        events, self._reported = self._reported, []
        return events

    def _hold_back(self, data: bytes) -> None:
        """Bytes that came while a frame waits for its answer are read after it."""
        if self._now - self._deciding_since >= GAVE_UP_AFTER and (STX in data or ENQ in data or EOT in data):
            self._given_up = True
        self._pending.append(data)

    def _decided(self, now: float | None) -> FrameReceived:
        if now is not None and now > self._now:
            self._now = now
        if self._deciding is None:
            raise LocalError("no frame waits for an answer")
        return self._deciding

    def _read_on(self, events: list[Event]) -> None:
        self._deciding = None
        if self._pending:
            self._reader.feed(b"".join(self._pending))
            self._pending.clear()
        elif self._reader.exhausted and not self._closing:
            return
        self._run(events)

    def _run(self, events: list[Event]) -> None:
        """Read what is there until a frame needs a decision or nothing more can be told."""
        reader = self._reader
        while self._state is not State.DECIDING:
            frames = self._state not in SENDING or (self._unannounced and self._state is State.ASKING)
            what = reader.next(frames)
            if what is None:
                if self._closing:
                    self._closing.pop()()
                    continue
                if reader.mid_frame and self._state not in SENDING:
                    self._timer = self._heard_at + self.options.listen_limit
                return
            if what is On.FRAME:
                what = self._judge(events)
            elif self._state is State.SENDING:
                what = self._judge_answer(what)
            if what is On.ENQ and not self.accepting and self._state is not State.ASKING and not self._raw:
                what = On.BUSY
            self._apply(what, events)

    def _judge(self, events: list[Event]) -> On:
        """Is the frame just read the one that is due (6.3.2, 6.5.1)?"""
        reader = self._reader
        if not self._numbered:
            reader.number = self._count + 1
        elif self._state is State.IDLE or self._state is State.ASKING:
            if self._unannounced and reader.number != 1 and self.options.number_modulus not in ("any", "unchecked"):
                reader.why = RefusedWhy.NUMBER
                return On.BAD
        elif reader.number != self._expected:
            what = self._judge_number(reader.number, events)
            if what is not On.GOOD:
                return what
        if self._state is State.LISTENING and self._size + len(reader.text) > self.options.max_transfer:
            return On.OVERFLOW
        return On.GOOD

    def _judge_number(self, number: int, events: list[Event]) -> On:
        """The number is not the one after the last. Only the same frame, byte for byte, is a repeat: an instrument
        that numbers wrongly must not have its next frame acknowledged and dropped."""
        accepted = self._accepted
        if number == accepted and self._reader.raw == self._accepted_raw:
            return On.REPEAT
        modulus = self.options.number_modulus
        # Behind a refused frame only that frame will do: a message must not become whole without it.
        behind_a_hole = self._refused is not None and number != self._refused and modulus != "unchecked"
        if not behind_a_hole and (
            modulus in ("any", "unchecked")
            or (modulus == "0-9" and accepted is not None and number == (accepted + 1) % 10)
            or (modulus == "1-7" and (accepted, number) == (7, 1))
        ):
            events.append(Loosened(f"frame number {number} after {'none' if accepted is None else accepted}"))
            return On.GOOD
        if self._unannounced and number == 1:
            return On.RESTART
        self._reader.why = RefusedWhy.NUMBER
        return On.BAD

    def _judge_answer(self, what: On) -> On:
        """What an answer to a frame of ours means for the transfer (6.3.4, 6.3.5, 6.5.1)."""
        if what is On.ACK or (what is On.EOT and self.options.interrupt == "ignore"):
            return On.ACK if self._outbox.accepted() else On.LAST_ACK
        if what is On.EOT and not self._outbox.accepted():
            self._outbox.hold(self._now + self.options.interrupt_wait, yielding=True)
            return On.LAST_ACK
        if what is On.NAK and not self._outbox.refused():
            return On.LAST_NAK
        return what

    # ---- moving

    def _move(self, what: On) -> State | None:
        """Follow the table; returns the state that was left, None where the table has no such row."""
        before = self._state
        row = self._table.get((before, what))
        if row is None:
            return None
        state, owed = row
        self._state = state
        limit = self._limits.get(state)
        self._timer = None if limit is None else self._now + limit
        if owed and self._connected:
            self._owed.append(self._outbox.frame if owed is FRAME else owed)
        return before

    def _apply(self, what: On, events: list[Event]) -> None:
        """Move, and say what happened."""
        reader = self._reader
        if what is On.JUNK:
            events.append(Ignored(reader.raw))
            return
        if what is On.TOO_LONG:
            self._clean = False
            events.append(FrameRefused(RefusedWhy.TOO_LONG, reader.raw))
            return
        before = self._move(what)
        if before is None:
            self._out_of_place(what, events)
        elif what is On.GOOD and before is not State.REFUSING:
            self._received(before, events)
        elif before in SENDING or what is On.START:
            self._sent(before, what, events)
        else:
            self._heard(before, what, events)

    def _received(self, before: State, events: list[Event]) -> None:
        """A frame to be stored."""
        reader = self._reader
        if before is not State.LISTENING:
            if before is State.ASKING:  # it had not waited for our ENQ
                events.append(self._turned_down(SendWhy.CONTENTION))
            self._begin(events, implicit=True)
        if reader.loosened:
            events += [Loosened(what) for what in reader.loosened]
        self._clean, self._refused = True, None
        self._deciding_since = self._now
        self._deciding = frame = FrameReceived(reader.number, reader.text, reader.raw, reader.last)
        events.append(frame)

    def _heard(self, before: State, what: On, events: list[Event]) -> None:
        """Everything else that a receiver meets."""
        reader = self._reader
        if what is On.ENQ:
            self._end(before, events, implicit=True)
            self._begin(events)
        elif what is On.RESTART:
            self._end(before, events, implicit=True)
            self._received(State.IDLE, events)
        elif what is On.BUSY:
            self._end(before, events, implicit=True)
            events.append(TurnedAway())
        elif what is On.EOT:
            self._end(before, events)
        elif what is On.REPEAT and before is State.LISTENING:
            self._clean, self._refused = True, None
            events.append(FrameRepeated(reader.number))
        elif what is On.SILENCE:
            self._stop(before, BrokenWhy.SILENCE, events)
        elif what is On.LOST:
            self._stop(before, BrokenWhy.CONNECTION_LOST, events)
        elif what is On.OVERFLOW:
            events.append(FrameRefused(RefusedWhy.TRANSFER_TOO_LONG, reader.raw))
            events.append(TransferBroken(BrokenWhy.TOO_LONG))
        elif what is On.BAD or what is On.CUT or before is State.REFUSING:
            self._clean = False
            if what is On.BAD and self._refused is None:
                self._refused = reader.raw[1] - 48 if reader.raw[1:2].isdigit() else -1
            why = reader.why if what is On.BAD or what is On.CUT else RefusedWhy.TRANSFER_REFUSED
            if reader.raw or why is not RefusedWhy.TOO_LONG:  # too long: reported when it grew over the limit
                events.append(FrameRefused(why, reader.raw))

    def _begin(self, events: list[Event], *, implicit: bool = False) -> None:
        self._expected, self._accepted, self._accepted_raw = 1, None, b""
        self._size = self._count = 0
        self._clean, self._refused = True, None
        if implicit:
            events.append(Loosened("frame without ENQ"))
        events.append(TransferStarted(implicit))

    def _end(self, before: State, events: list[Event], *, implicit: bool = False) -> None:
        """The transfer that was under way, if any, is over."""
        if before is State.LISTENING:
            events.append(TransferEnded(implicit))
        if before in (State.LISTENING, State.REFUSING):
            self._outbox.peer_has_sent(self._now)
            self._outbox.hold(self._now + self.options.turnaround, yielding=False)

    def _stop(self, before: State, why: BrokenWhy, events: list[Event]) -> None:
        """Nothing more comes. Where no EOT is ever sent, that is an end if nothing was left open."""
        if before is State.LISTENING and not (self._unannounced and self._clean):
            events.append(TransferBroken(why))
            self._outbox.peer_has_sent(self._now)
        else:
            self._end(before, events, implicit=True)

    def _out_of_place(self, what: On, events: list[Event]) -> None:
        """No row in the table: visible in the line's history, harmless to its state."""
        reader = self._reader
        if what in _BYTE_OF:
            events.append(Ignored(_BYTE_OF[what]))
        elif what is On.BAD and (reader.raw or reader.why is not RefusedWhy.TOO_LONG):
            events.append(FrameRefused(reader.why, reader.raw))
        elif what is On.GOOD:
            events.append(FrameRefused(RefusedWhy.OUTSIDE_TRANSFER, reader.raw))

    # ---- sending

    def _may_start(self) -> bool:
        """Something is queued and the line is ours to take, but for the time."""
        return (
            self._state is State.IDLE
            and self._connected
            and len(self._outbox) > 0
            and not (self._unannounced and self._reader.mid_frame)
        )

    def _start_if_possible(self, events: list[Event]) -> None:
        while self._may_start() and self._now >= self._outbox.not_before:
            if not self._raw:
                self._reader.abandon()
                self._apply(On.START, events)
                return
            events.append(self._outbox.begin())
            self._owed.append(self._outbox.whole)
            events.append(self._outbox.done())

    def _turned_down(self, why: SendWhy) -> Event:
        if why is SendWhy.BUSY:
            return self._outbox.turned_down(why, self._now, self.options.busy_wait, yielding=False)
        return self._outbox.turned_down(why, self._now, self.options.contention, yielding=True)

    def _sent(self, before: State, what: On, events: list[Event]) -> None:
        """What happened to our own transfer."""
        outbox, now, options = self._outbox, self._now, self.options
        if what is On.START:
            events.append(outbox.begin())
        elif what is On.LAST_ACK:
            events.append(outbox.done())
            outbox.hold(now + options.turnaround, yielding=False)
        elif before is State.ASKING and what is On.NAK:
            events.append(self._turned_down(SendWhy.BUSY))
        elif before is State.ASKING and what is On.ENQ:
            events.append(self._turned_down(SendWhy.CONTENTION))
        elif what is On.EOT:
            events.append(outbox.failed(SendWhy.INTERRUPTED, now, options.interrupt_wait, yielding=True))
        elif what is On.LAST_NAK:
            events.append(outbox.failed(SendWhy.REFUSED, now, options.restart_wait))
        elif what is On.SILENCE:
            events.append(outbox.failed(SendWhy.NO_REPLY, now, options.restart_wait))
        elif what is On.LOST:
            events.append(outbox.failed(SendWhy.CONNECTION_LOST, now, options.restart_wait))
        elif what is On.ENQ or what is On.BUSY:
            events.append(outbox.failed(SendWhy.DISPLACED, now, options.restart_wait))
            if what is On.ENQ:
                self._begin(events)
            else:
                events.append(TurnedAway())
