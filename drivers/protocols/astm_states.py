"""The states of one ASTM line and every legal move between them, to be read beside ASTM E1381-02, clause 6.

Two waits of the standard are not states but a hold-off before the next own ENQ (see HOLD_OFF): a line that waits after
contention, after a busy answer or after an interrupt is neutral, and answers an ENQ like any neutral line.
"""

from __future__ import annotations

from enum import StrEnum

from drivers.protocols.astm_frames import ACK, ENQ, EOT, NAK

__all__ = [
    "CONTENTION_HOST",
    "CONTENTION_INSTRUMENT",
    "ENQ_TRIES",
    "FRAME",
    "FRAME_TRIES",
    "GAVE_UP_AFTER",
    "INTERRUPT_WAIT",
    "LISTEN_LIMIT",
    "NAK_TO_ENQ_WAIT",
    "NOTHING",
    "QUIET",
    "RAW_TRANSITIONS",
    "REPLY_LIMIT",
    "TRANSITIONS",
    "UNANNOUNCED_TRANSITIONS",
    "On",
    "State",
]

# Seconds. Every limit can be changed per line (LinkOptions); these are the standard's.
REPLY_LIMIT = 15.0  # a sender waits this long for the answer to ENQ or to a frame; 6.5.2
LISTEN_LIMIT = 30.0  # a receiver waits this long for a frame or EOT; 6.5.2
NAK_TO_ENQ_WAIT = 10.0  # a sender told "busy" waits at least this long before the next ENQ; 6.2
CONTENTION_INSTRUMENT = 1.0  # both sent ENQ: the instrument waits at least this long and asks again; 6.2.1
CONTENTION_HOST = 20.0  # both sent ENQ: the host keeps still this long for the instrument's next ENQ; 6.2.1, 6.5.2
INTERRUPT_WAIT = 15.0  # a sender that honoured an interrupt leaves the line to the other side; 6.3.5
FRAME_TRIES = 6  # a frame not accepted in this many tries ends the transfer; 6.5.1
ENQ_TRIES = 6  # unanswered or busy requests for one attempt; the standard leaves it open, cobas e 411 uses six

# Not from the standard:
QUIET = 1.0  # seconds without a byte after which an unfinished trifle (see FrameReader) counts as finished
GAVE_UP_AFTER = 1.0  # a peer that sends on this long after its frame, unanswered, no longer waits for that answer


class State(StrEnum):
    """Where the line stands, seen from our side."""

    __hash__ = str.__hash__  # the table is asked several times for each frame; Enum's own hash is a Python call

    IDLE = "neutral"
    LISTENING = "receiving, waiting for a frame or EOT"
    DECIDING = "receiving, a frame waits for our answer"
    REFUSING = "receiving, the transfer is refused until its end"
    ASKING = "sending, ENQ waits for its answer"
    SENDING = "sending, a frame waits for its answer"


class On(StrEnum):
    """What can happen."""

    __hash__ = str.__hash__

    # read from the line
    ENQ = "ENQ"
    EOT = "EOT"
    ACK = "ACK"
    NAK = "NAK"
    FRAME = "a frame whose checksum holds"  # becomes GOOD, REPEAT, RESTART, BAD or OVERFLOW once judged
    GOOD = "the frame that is due"
    REPEAT = "the frame accepted last, once more"
    BAD = "a defective frame, up to its end"
    CUT = "a frame broken off by a new STX, ENQ, EOT or by silence"
    TOO_LONG = "a frame grew over the limit, its end is not there yet"
    RESTART = "frame 1 of a new transfer where no ENQ comes"
    OVERFLOW = "a good frame, but the transfer is over its limit"
    JUNK = "bytes outside every frame"
    # from the caller and from the clock
    BUSY = "ENQ while we cannot store"
    STORED = "the frame is durable"
    STORED_WANT_LINE = "the frame is durable and we ask for the line"
    NOT_STORED = "the frame could not be stored"
    GIVEN_UP = "the decision came after the sender stopped waiting"
    START = "an outgoing transfer may start"
    LAST_ACK = "ACK or interrupt request to the last frame"
    LAST_NAK = "the sixth NAK to one frame"
    SILENCE = "the time limit of the state ran out"
    LOST = "the connection is gone"


NOTHING = b""
FRAME = b"<frame>"  # stands for the bytes of the current outgoing frame

_I, _L, _D, _R, _A, _S = State.IDLE, State.LISTENING, State.DECIDING, State.REFUSING, State.ASKING, State.SENDING

TRANSITIONS: dict[tuple[State, On], tuple[State, bytes]] = {  # (state, what happened): (next state, bytes owed)
    # establishment, as receiver (6.2)
    (_I, On.ENQ): (_L, ACK),
    (_I, On.BUSY): (_I, NAK),
    # transfer, as receiver (6.3.4, 6.5)
    (_L, On.GOOD): (_D, NOTHING),  # no answer yet: somebody must store the frame first
    (_D, On.STORED): (_L, ACK),
    (_D, On.STORED_WANT_LINE): (_L, EOT),  # 6.3.5: counts as ACK and asks the sender to stop soon
    (_D, On.NOT_STORED): (_L, NAK),  # the sender keeps it and tries again
    (_D, On.GIVEN_UP): (_L, NOTHING),  # a late answer would be taken for the answer to something else
    (_L, On.REPEAT): (_L, ACK),  # our ACK was lost: answer again, report nothing new
    (_L, On.BAD): (_L, NAK),
    (_L, On.CUT): (_L, NOTHING),  # its sender is not waiting for an answer to it
    (_L, On.ENQ): (_L, ACK),  # the EOT before it was lost: an implicit end and a new start
    (_L, On.BUSY): (_I, NAK),
    (_L, On.EOT): (_I, NOTHING),  # termination (6.4)
    (_L, On.SILENCE): (_I, NOTHING),  # 6.5.2: the incomplete message is discarded by its sender, too
    (_L, On.OVERFLOW): (_R, NAK),
    (_R, On.GOOD): (_R, NAK),
    (_R, On.REPEAT): (_R, NAK),
    (_R, On.BAD): (_R, NAK),
    (_R, On.CUT): (_R, NOTHING),
    (_R, On.ENQ): (_L, ACK),
    (_R, On.BUSY): (_I, NAK),
    (_R, On.EOT): (_I, NOTHING),
    (_R, On.SILENCE): (_I, NOTHING),
    # a frame that starts in the neutral state and never ends
    (_I, On.CUT): (_I, NOTHING),
    (_I, On.SILENCE): (_I, NOTHING),
    # establishment, as sender (6.2)
    (_I, On.START): (_A, ENQ),
    (_A, On.ACK): (_S, FRAME),
    (_A, On.NAK): (_I, NOTHING),  # busy: hold off 10 s
    (_A, On.ENQ): (_I, NOTHING),  # contention (6.2.1): nobody answers; host holds off 20 s, instrument 1 s
    (_A, On.SILENCE): (_I, EOT),
    # transfer, as sender (6.3.4, 6.3.5, 6.5)
    (_S, On.ACK): (_S, FRAME),  # the next one
    (_S, On.LAST_ACK): (_I, EOT),
    (_S, On.NAK): (_S, FRAME),  # the same one
    (_S, On.LAST_NAK): (_I, EOT),
    (_S, On.EOT): (_I, EOT),  # interrupt request honoured: end, leave the line 15 s, start over later
    (_S, On.ENQ): (_L, ACK),  # the peer forgot our transfer and starts its own: never lose what it has
    (_S, On.BUSY): (_I, NAK),
    (_S, On.SILENCE): (_I, EOT),
    # a lost connection ends everything; a frame that waits for our answer is decided first
    **{(state, On.LOST): (_I, NOTHING) for state in (_I, _L, _R, _A, _S)},
}

UNANNOUNCED_TRANSITIONS = TRANSITIONS | {  # LinkOptions.require_enq = False: frames come without ENQ
    (_I, On.GOOD): (_D, NOTHING),
    (_I, On.BAD): (_I, NAK),
    (_L, On.RESTART): (_D, NOTHING),
    (_R, On.RESTART): (_D, NOTHING),
    (_A, On.GOOD): (_D, NOTHING),  # it did not wait for our ENQ either
}

RAW_TRANSITIONS: dict[tuple[State, On], tuple[State, bytes]] = {  # bare records: nobody waits for an answer
    (_I, On.ENQ): (_L, NOTHING),  # ENQ and EOT are what the reader makes of an H and an L record here
    (_L, On.ENQ): (_L, NOTHING),
    (_L, On.GOOD): (_D, NOTHING),
    (_D, On.STORED): (_L, NOTHING),
    (_D, On.STORED_WANT_LINE): (_L, NOTHING),
    (_D, On.NOT_STORED): (_D, NOTHING),  # it will not be sent again: stay until it is stored
    (_D, On.GIVEN_UP): (_L, NOTHING),
    (_L, On.EOT): (_I, NOTHING),
    (_L, On.SILENCE): (_I, NOTHING),
    (_I, On.SILENCE): (_I, NOTHING),
    (_I, On.LOST): (_I, NOTHING),
    (_L, On.LOST): (_I, NOTHING),
}
