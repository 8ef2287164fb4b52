"""What must hold for every byte an instrument may send, however it is cut, in every state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols.astm_link import (
    ACK,
    ENQ,
    EOT,
    NAK,
    TRANSITIONS,
    AstmLink,
    Event,
    FrameReceived,
    LinkOptions,
    LocalError,
    On,
    SendDone,
    State,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    build_frame,
    record_frames,
)
from drivers.protocols.astm_states import RAW_TRANSITIONS, UNANNOUNCED_TRANSITIONS
from tests.protocols.astm_kit import conversation, host, split

GOOD = record_frames([b"H|\\^&", b"P|1", b"R|1|^^^K|4.1|mmol/L", b"L|1|N"])
PIECES = [
    *GOOD,
    GOOD[0][:-2],
    GOOD[1][:4],
    GOOD[2].replace(b"4.1", b"9.9"),
    build_frame(2, b"P|1|half", last=False),
    b"\x022C|1|a\x05b\r\x0300",
    b"\x021H|\\^&\r\x03e5",
    b"\x021H|\\^&\r\x03\r\n",
    b"\x02H|\\^&\rL|1|N\r\x03",
    b"H|\\^&\r",
    b"R|1|^^^K|4.1\r\n",
    b"L|1|N\n",
    b"L|1",
    ENQ,
    EOT,
    ACK,
    NAK,
    b"\x02",
    b"\x03",
    b"\x17",
    b"\r\n",
    b"\x00junk\xff",
    b"F3",
]
LINES: list[dict[str, object]] = [
    {},
    {"role": "instrument"},
    {"require_enq": False},
    {"require_enq": False, "number_modulus": "any", "checksum": "optional", "control_characters": "accept"},
    {"number_modulus": "0-9", "checksum": "none"},
    {"number_modulus": "1-7", "checksum": "optional"},
    {"max_frame": 12, "max_transfer": 20},
    {"framing": "stx-etx"},
    {"framing": "stx-etx", "require_enq": False, "max_frame": 9},
    {"framing": "raw"},
    {"framing": "raw", "max_frame": 8, "max_transfer": 24},
]
sessions = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=12)), max_size=16).map(b"".join)


@settings(max_examples=400)
@given(data=sessions, cuts=st.lists(st.integers(0, 2000), max_size=12), line=st.sampled_from(LINES))
def test_where_the_network_cuts_the_bytes_changes_nothing(
    data: bytes, cuts: list[int], line: dict[str, object]
) -> None:
    assert conversation(split(data, at=cuts), **line) == conversation([data], **line)


@settings(max_examples=200)
@given(data=sessions, line=st.sampled_from(LINES))
def test_no_byte_that_an_instrument_sends_is_acknowledged_unstored(data: bytes, line: dict[str, object]) -> None:
    """One ACK for an ENQ, one for each stored frame, one for each repeat of it: never one more."""
    link = AstmLink(LinkOptions(**line))  # type: ignore[arg-type]
    acks = allowed = 0
    for at in range(len(data)):
        events = link.receive_data(data[at : at + 1])
        while True:
            allowed += sum(isinstance(event, TransferStarted) and not event.implicit for event in events)
            allowed += sum(type(event).__name__ == "FrameRepeated" for event in events)
            acks += link.data_to_send().count(ACK)
            assert acks <= allowed
            if link.state is not State.DECIDING:
                break
            events = link.stored()
            allowed += 1


@settings(max_examples=200)
@given(data=sessions, line=st.sampled_from(LINES))
def test_transfers_begin_before_they_end(data: bytes, line: dict[str, object]) -> None:
    events, _ = conversation([data], **line)
    under_way = False
    for event in events:
        if isinstance(event, TransferStarted):
            assert not under_way
            under_way = True
        elif isinstance(event, TransferEnded | TransferBroken):
            assert under_way
            under_way = False
        elif isinstance(event, FrameReceived):
            assert under_way
    assert not under_way


# ---- everything at once: bytes, decisions, time, connections, own transfers

steps = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.one_of(st.sampled_from(PIECES), st.binary(max_size=8))),
        st.tuples(st.sampled_from(["stored", "not_stored", "send", "lost", "made", "due", "ask", "cancel"]), st.none()),
        st.tuples(st.just("wait"), st.floats(0, 40)),
        st.tuples(st.just("accept"), st.booleans()),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(script=steps, line=st.sampled_from(LINES))
def test_no_course_of_events_breaks_the_line(script: list[tuple[str, object]], line: dict[str, object]) -> None:
    """Whatever happened before, the line ends neutral, and an ordinary transfer then passes."""
    link = AstmLink(LinkOptions(**line))  # type: ignore[arg-type]
    now = 0.0
    for step, what in script:
        now = _step(link, step, what, now)
        if link.state is State.DECIDING:
            assert link.deadline() is None or link._reported
    _store_all(link, now)
    link.connection_lost(now)
    _store_all(link, now)
    assert link.state is State.IDLE
    link.connection_made(now)
    for token in ("order", "order", "order", "order"):
        link.cancel(token)
    while link.queued:
        link.cancel("order")
    link.accepting = True
    link._want_line = False
    if link._raw or not link._numbered or "max_frame" in line:
        return
    link.data_to_send()
    heard = link.receive_data(ENQ, now)
    for frame in GOOD:
        heard += link.receive_data(frame, now)
        heard += link.stored(now)
    heard += link.receive_data(EOT, now)
    assert [event.number for event in heard if isinstance(event, FrameReceived)] == [1, 2, 3, 4]
    assert link.data_to_send() == ACK * 5


def _store_all(link: AstmLink, now: float) -> None:
    while link.state is State.DECIDING:
        link.stored(now)


def _step(link: AstmLink, step: str, what: object, now: float) -> float:
    if step == "hear":
        assert isinstance(what, bytes)
        if link.connected:
            link.receive_data(what, now)
        else:
            with pytest.raises(LocalError):
                link.receive_data(what, now)
    elif step in ("stored", "not_stored"):
        decide: Callable[[float], list[Event]] = getattr(link, step)
        if link.state is State.DECIDING:
            decide(now)
        else:
            with pytest.raises(LocalError):
                decide(now)
    elif step == "send":
        link.send(GOOD, token="order", now=now)
    elif step == "lost":
        link.connection_lost(now)
    elif step == "made":
        if link.state is State.IDLE:
            link.connection_made(now)
    elif step == "due":
        due = link.deadline()
        if due is not None:
            now = max(now, due)
            link.tick(now)
    elif step == "wait":
        assert isinstance(what, float)
        now += what
        link.tick(now)
    elif step == "ask":
        link.ask_for_line()
    elif step == "cancel":
        link.cancel("order")
    else:
        link.accepting = bool(what)
    return now


@settings(max_examples=200, deadline=None)
@given(
    damage=st.dictionaries(st.integers(0, 12), st.sampled_from([b"", b"\x00", b"\x02", b"\x15", b"\x04"]), max_size=4)
)
def test_a_message_gets_through_any_four_damages(damage: dict[int, bytes]) -> None:
    """Whatever a receiver's answers become on the way, the order is delivered whole, or reported as failed."""
    sender, receiver = host(max_attempts=10), host(role="instrument")
    sender.link.send(GOOD, token="order", now=0.0)
    now, said = 0.0, 0
    out = sender.ticks(now)
    for _ in range(2000):
        if out:
            heard = damage.get(said, out)
            said += 1
            back = receiver.hears(heard, now)
            out = sender.hears(back, now) if back else b""
            continue
        due = [at for at in (sender.link.deadline(), receiver.link.deadline()) if at is not None]
        if not due:
            break
        now = max(now, min(due))
        back = receiver.ticks(now)
        out = (sender.hears(back, now) if back else b"") + sender.ticks(now)
    assert sender.told(SendDone) == [SendDone("order")]
    texts = [frame.text for frame in receiver.frames]
    assert texts[-4:] == [frame[2:-5] for frame in GOOD]


# ---- the table


def test_the_table_answers_only_what_the_standard_lets_it_answer() -> None:
    for (state, what), (after, owed) in TRANSITIONS.items():
        assert owed in (b"", ACK, NAK, EOT, ENQ, b"<frame>")
        if owed == ACK:
            assert what in (On.ENQ, On.STORED, On.REPEAT)  # the only three reasons to say yes
            assert after is State.LISTENING
        if owed == ENQ:
            assert (state, what) == (State.IDLE, On.START)
        if after is State.DECIDING:
            assert what is On.GOOD and owed == b""
        if state is State.DECIDING:
            assert what in (On.STORED, On.STORED_WANT_LINE, On.NOT_STORED, On.GIVEN_UP)
    assert all(owed == b"" for _, owed in RAW_TRANSITIONS.values())
    assert TRANSITIONS.items() <= UNANNOUNCED_TRANSITIONS.items()


def test_every_state_knows_silence_and_a_lost_connection() -> None:
    for state in State:
        if state is not State.DECIDING:  # our own answer is awaited there
            assert (state, On.SILENCE) in TRANSITIONS
            assert TRANSITIONS[state, On.LOST] == (State.IDLE, b"")


REACH: dict[State, list[tuple[str, bytes]]] = {
    State.IDLE: [],
    State.LISTENING: [("hear", ENQ)],
    State.DECIDING: [("hear", ENQ), ("hear", GOOD[0])],
    State.REFUSING: [("hear", ENQ), ("hear", build_frame(1, b"C|1|I|" + b"x" * 100, last=True)), ("store", b"")],
    State.ASKING: [("send", b"")],
    State.SENDING: [("send", b""), ("hear", ACK)],
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("data", PIECES)
def test_every_state_meets_every_input(state: State, data: bytes) -> None:
    """Nothing raises, the state afterwards is one that the table allows, and the line can always be ended."""
    link = AstmLink(LinkOptions(max_transfer=110))
    for step, what in REACH[state]:
        if step == "hear":
            link.receive_data(what, 1.0)
        elif step == "send":
            link.send(GOOD, token="order", now=1.0)
        else:
            link.stored(1.0)
    if state is State.REFUSING:
        link.receive_data(build_frame(2, b"C|1|I|xx", last=True), 1.0)
    assert link.state is state

    link.receive_data(data, 2.0)

    reachable = {after for (before, _), (after, _) in TRANSITIONS.items() if before is state} | {state}
    assert link.state in reachable | {State.DECIDING} or len(data) > 1
    for _ in range(4):
        due = link.deadline()
        if due is None:
            break
        link.tick(due)
    if link.state is State.DECIDING:
        link.stored(100.0)
    link.connection_lost(101.0)
    while link.state is State.DECIDING:
        link.stored(102.0)
    assert link.state is State.IDLE
