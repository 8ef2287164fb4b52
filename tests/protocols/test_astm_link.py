"""The receiving side of an ASTM line: what it accepts, what it answers, and what it must never do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.astm_link import (
    ACK,
    ENQ,
    EOT,
    LISTEN_LIMIT,
    NAK,
    AnswerWithheld,
    AstmLink,
    BrokenWhy,
    FrameReceived,
    FrameRefused,
    FrameRepeated,
    Ignored,
    LinkOptions,
    LocalError,
    Loosened,
    RefusedWhy,
    State,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    TurnedAway,
    build_frame,
)
from tests.protocols.astm_kit import FRAMES, RECORDS, TRANSFER, byte_by_byte, conversation, host, split, texts

# ---- the ordinary transfer


def test_an_ordinary_transfer() -> None:
    instrument_line = host()

    assert instrument_line.hears(ENQ) == ACK
    for frame in FRAMES:
        assert instrument_line.hears(frame) == ACK
    assert instrument_line.hears(EOT) == b""

    assert texts(instrument_line) == [record + b"\r" for record in RECORDS]
    assert instrument_line.events[0] == TransferStarted()
    assert instrument_line.events[-1] == TransferEnded()
    assert instrument_line.link.state is State.IDLE
    assert instrument_line.link.deadline() is None


def test_a_frame_is_reported_as_it_came() -> None:
    listener = host()
    listener.hears(ENQ)
    listener.hears(b"\x021H|\\^&\r\x03E5\r\n")

    assert listener.frames == [FrameReceived(1, b"H|\\^&\r", b"\x021H|\\^&\r\x03E5", True)]


def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    link = AstmLink()
    link.receive_data(ENQ)
    link.data_to_send()

    assert isinstance(link.receive_data(FRAMES[0])[0], FrameReceived)
    assert link.data_to_send() == b""
    assert link.state is State.DECIDING
    link.receive_data(FRAMES[1])  # a peer that does not wait
    assert link.data_to_send() == b""

    events = link.stored()
    assert link.data_to_send() == ACK
    assert [event.number for event in events if isinstance(event, FrameReceived)] == [2]


def test_a_frame_that_could_not_be_stored_is_asked_for_again_and_then_taken() -> None:
    link = AstmLink()
    link.receive_data(ENQ)
    link.data_to_send()

    for _ in range(3):  # the disk is full for a while
        link.receive_data(FRAMES[0])
        link.not_stored()
        assert link.data_to_send() == NAK

    again = link.receive_data(FRAMES[0])
    assert [type(event) for event in again] == [FrameReceived]  # not taken for a repeat: it never was acknowledged
    link.stored()
    assert link.data_to_send() == ACK


def test_while_nothing_can_be_stored_a_new_transfer_is_told_to_wait() -> None:
    listener = host()
    listener.link.accepting = False
    assert listener.hears(ENQ) == NAK
    assert listener.events == [TurnedAway()]
    listener.link.accepting = True
    assert listener.hears(ENQ) == ACK


# ---- what the network does


@pytest.mark.parametrize("tail", [b"\r\n", b"\r", b"\n", b""])
def test_after_the_checksum_anything_goes(tail: bytes) -> None:
    """Instruments send CR LF, CR, LF or nothing; the frame is answered at its second checksum digit."""
    listener = host()
    listener.hears(ENQ)
    for frame in FRAMES:
        assert listener.hears(frame[:-2]) == ACK
        assert listener.hears(tail) == b""
    assert len(listener.frames) == 5
    assert listener.told(Ignored) == []


@given(cuts=st.lists(st.integers(0, len(TRANSFER))))
def test_where_the_network_cuts_the_bytes_changes_nothing(cuts: list[int]) -> None:
    assert conversation(split(TRANSFER, at=cuts)) == conversation([TRANSFER])


def test_a_session_cut_at_every_byte_and_sent_again_loses_nothing_and_acknowledges_nothing_twice() -> None:
    """The cable goes at every possible place; the instrument sends the whole message again on a new connection."""
    for place in range(len(TRANSFER) + 1):
        listener = host()
        listener.hears(TRANSFER[:place])
        first = texts(listener)
        listener.loses_the_connection()
        assert listener.link.state is State.IDLE
        listener.link.connection_made()
        listener.events.clear()
        assert listener.hears(TRANSFER).count(ACK) == 6
        assert texts(listener) == [record + b"\r" for record in RECORDS]
        assert first == texts(listener)[: len(first)]


def test_a_session_cut_at_every_byte_tells_that_it_was_cut() -> None:
    for place in range(1, len(TRANSFER)):
        listener = host()
        listener.hears(TRANSFER[:place])
        listener.loses_the_connection()
        assert listener.events[-1] == TransferBroken(BrokenWhy.CONNECTION_LOST)


def test_garbage_between_frames_is_reported_and_harmless() -> None:
    noise = b"\xff\x00noise\x7f"
    data = ENQ + b"".join(noise + frame for frame in FRAMES) + noise + EOT
    listener = host()
    listener.hears(data)
    assert texts(listener) == [record + b"\r" for record in RECORDS]
    assert listener.told(Ignored) == [Ignored(noise)] * 6
    assert conversation(byte_by_byte(data)) == conversation([data])


def test_garbage_alone_is_reported_once_the_line_is_quiet() -> None:
    listener = host()
    listener.hears(b"modem: RING", now=5.0)
    assert listener.events == []
    due = listener.link.deadline()
    assert due is not None
    listener.ticks(due)
    assert listener.events == [Ignored(b"modem: RING")]
    assert listener.link.deadline() is None


# ---- repeats, numbers, checksums


def test_a_lost_acknowledgement_makes_no_second_result() -> None:
    listener = host()
    listener.hears(ENQ)
    listener.hears(FRAMES[0])
    listener.hears(FRAMES[1])
    assert listener.hears(FRAMES[1]) == ACK  # our answer was lost on the line
    assert listener.hears(FRAMES[1]) == ACK
    assert listener.hears(FRAMES[2]) == ACK
    assert listener.told(FrameRepeated) == [FrameRepeated(2), FrameRepeated(2)]
    assert [frame.number for frame in listener.frames] == [1, 2, 3]


def test_the_same_number_in_a_new_transfer_is_no_repeat() -> None:
    listener = host()
    listener.hears(ENQ + FRAMES[0] + EOT)
    listener.hears(ENQ + FRAMES[0] + EOT)
    assert [frame.number for frame in listener.frames] == [1, 1]


def test_the_same_number_with_other_text_is_never_acknowledged_and_dropped() -> None:
    """An instrument that numbers wrongly must not lose a result to our repeat rule."""
    listener = host()
    listener.hears(ENQ + FRAMES[0])
    other = build_frame(1, b"R|1|^^^NA|140|mmol/L\r", last=True)
    assert listener.hears(other) == NAK
    assert listener.events[-1] == FrameRefused(RefusedWhy.NUMBER, other[:-2])


def test_a_skipped_frame_is_not_accepted() -> None:
    listener = host()
    listener.hears(ENQ + FRAMES[0])
    assert listener.hears(FRAMES[2]) == NAK
    assert listener.hears(FRAMES[1]) == ACK
    assert listener.hears(FRAMES[2]) == ACK


@pytest.mark.parametrize("first", [0, 2, 7])
def test_a_transfer_that_does_not_start_at_1_is_refused(first: int) -> None:
    listener = host()
    listener.hears(ENQ)
    assert listener.hears(build_frame(first, b"H|\\^&\r", last=True)) == NAK
    assert listener.hears(build_frame(1, b"H|\\^&\r", last=True)) == ACK


def test_a_wrong_checksum_is_refused_and_the_frame_taken_when_it_comes_right() -> None:
    listener = host()
    listener.hears(ENQ)
    wrong = FRAMES[0].replace(b"analyser", b"analyses")
    assert listener.hears(wrong) == NAK
    assert listener.hears(FRAMES[0]) == ACK
    assert listener.events[1] == FrameRefused(RefusedWhy.CHECKSUM, wrong[:-2])


def test_a_storm_of_bad_frames_ends_where_the_sender_ends_it() -> None:
    listener = host()
    listener.hears(ENQ)
    for _ in range(6):
        assert listener.hears(b"\x021H|\\^&\r\x0300\r\n") == NAK
    assert listener.hears(EOT) == b""
    assert listener.frames == []
    assert listener.hears(TRANSFER).count(ACK) == 6  # the line goes on


def test_a_checksum_that_does_not_come_is_refused_once_the_line_is_quiet() -> None:
    listener = host()
    listener.hears(ENQ, now=0.0)
    assert listener.hears(b"\x021H|\\^&\r\x03", now=1.0) == b""
    due = listener.link.deadline()
    assert due is not None
    assert listener.ticks(due) == NAK
    assert listener.told(FrameRefused) == [FrameRefused(RefusedWhy.NO_CHECKSUM, b"\x021H|\\^&\r\x03")]


def test_a_control_character_inside_a_frame_is_refused_although_the_checksum_holds() -> None:
    body = b"1C|1|two\nlines\r\x03"
    frame = b"\x02" + body + b"%02X" % (sum(body) % 256)
    strict, loose = host(), host(control_characters="accept")
    assert strict.hears(ENQ + frame) == ACK + NAK
    assert strict.events[-1] == FrameRefused(RefusedWhy.CONTROL_CHARACTER, frame)
    assert loose.hears(ENQ + frame) == ACK + ACK
    assert loose.told(Loosened) == [Loosened("control character in text")]
    assert texts(loose) == [b"C|1|two\nlines\r"]


def test_a_lower_case_checksum_is_taken_and_reported() -> None:
    listener = host()
    assert listener.hears(ENQ + b"\x021H|\\^&\r\x03e5") == ACK + ACK
    assert listener.told(Loosened) == [Loosened("checksum in lower case")]


# ---- transfers that do not end as they should


def test_enq_in_the_middle_ends_one_transfer_and_begins_the_next() -> None:
    """A Mindray BS-240 now and then forgets the EOT."""
    listener = host()
    assert listener.hears(ENQ + FRAMES[0] + ENQ + FRAMES[0] + EOT) == ACK * 4
    assert listener.told(TransferStarted, TransferEnded) == [
        TransferStarted(),
        TransferEnded(implicit=True),
        TransferStarted(),
        TransferEnded(),
    ]


def test_a_session_without_a_frame() -> None:
    listener = host()
    assert listener.hears(ENQ + EOT) == ACK
    assert listener.events == [TransferStarted(), TransferEnded()]


def test_silence_breaks_a_transfer_after_30_seconds() -> None:
    listener = host()
    listener.hears(ENQ, now=100.0)
    listener.hears(FRAMES[0], now=110.0)
    assert listener.link.deadline() == 110.0 + LISTEN_LIMIT
    listener.ticks(139.9)
    assert listener.told(TransferBroken) == []
    listener.ticks(140.0)
    assert listener.events[-1] == TransferBroken(BrokenWhy.SILENCE)
    assert listener.link.state is State.IDLE
    assert listener.link.deadline() is None


def test_silence_in_the_middle_of_a_frame() -> None:
    listener = host()
    listener.hears(ENQ + FRAMES[0][:7], now=0.0)
    listener.ticks(LISTEN_LIMIT)
    assert listener.events[-2:] == [
        FrameRefused(RefusedWhy.CUT_OFF, FRAMES[0][:7]),
        TransferBroken(BrokenWhy.SILENCE),
    ]
    assert listener.hears(TRANSFER).count(ACK) == 6


def test_a_slow_frame_is_not_silence() -> None:
    """64,000 bytes at 9600 baud take over a minute."""
    listener = host()
    listener.hears(ENQ, now=0.0)
    now = 0.0
    for byte in byte_by_byte(build_frame(1, b"x" * 100, last=True)):
        now += 0.9
        listener.ticks(now)
        listener.hears(byte, now=now)
    assert now > 2 * LISTEN_LIMIT
    assert len(listener.frames) == 1


def test_silence_while_a_frame_waits_for_us_is_not_the_peers_silence() -> None:
    link = AstmLink()
    link.receive_data(ENQ + FRAMES[0], now=0.0)
    assert link.deadline() is None
    assert link.tick(1000.0) == []
    link.stored(1000.0)
    assert link.state is State.LISTENING
    assert link.deadline() == 1000.0 + LISTEN_LIMIT


@pytest.mark.parametrize("piece", [1, 1000, 4096, 10_000_000])
def test_ten_megabytes_without_an_end_are_refused_reported_and_the_line_goes_on(piece: int) -> None:
    listener = host()
    endless = b"\x021" + b"R|1|^^^K|4.1\r" * 800_000
    size = len(endless) if piece > 1 else 70_000
    listener.hears(ENQ)
    for at in range(0, size, piece):
        listener.hears(endless[at : at + piece])
    assert listener.events[1:] == [FrameRefused(RefusedWhy.TOO_LONG, endless[:1024])]
    assert listener.answers == ACK
    assert listener.hears(b"\x03AB\r\n") == NAK  # when its end comes after all
    assert listener.hears(EOT) == b""
    assert listener.hears(TRANSFER).count(ACK) == 6
    assert texts(listener) == [record + b"\r" for record in RECORDS]


def test_an_endless_frame_is_not_held_in_memory() -> None:
    link = AstmLink()
    link.receive_data(ENQ + b"\x021")
    for _ in range(200):
        link.receive_data(b"x" * 50_000)
        assert len(link._reader._buffer) <= 2 * 64_000


def test_ten_megabytes_of_good_frames_without_an_end_are_refused_too() -> None:
    listener = host(max_transfer=500_000)
    listener.hears(ENQ)
    text = b"C|1|I|" + b"x" * 60_000 + b"\r"
    answers = b"".join(listener.hears(build_frame(number % 8, text, last=True)) for number in range(1, 20))
    assert answers == ACK * 8 + NAK * 11
    assert listener.told(TransferBroken) == [TransferBroken(BrokenWhy.TOO_LONG)]
    assert listener.told(FrameRefused)[0].why is RefusedWhy.TRANSFER_TOO_LONG
    assert listener.link.state is State.REFUSING
    assert listener.hears(EOT + TRANSFER).count(ACK) == 6


def test_ten_megabytes_of_garbage() -> None:
    listener = host()
    for _ in range(200):
        listener.hears(b"\x00" * 50_000)
    listener.ticks(1.0)
    assert sum(len(event.data) for event in listener.told(Ignored)) == 10_000_000
    assert listener.hears(TRANSFER).count(ACK) == 6


# ---- noise inside a frame must not earn an acknowledgement


def test_noise_that_looks_like_enq_inside_a_frame_is_not_answered() -> None:
    """The sender would take our ACK for its frame and forget a result that we refused."""
    listener = host()
    listener.hears(ENQ)
    noisy = FRAMES[0].replace(b"y", ENQ, 1)
    for byte in byte_by_byte(noisy[:-3]):
        assert listener.hears(byte) == b""
    assert listener.hears(noisy[-3:-2]) == NAK
    assert listener.hears(FRAMES[0]) == ACK


def test_enq_after_noise_is_answered_once_it_proves_to_be_a_question() -> None:
    """Whoever asks, waits. A second ENQ in the noise of a frame that lost its STX gets no ACK."""
    listener = host()
    assert listener.hears(b"\x00\xff" + ENQ, now=1.0) == b""
    assert listener.ticks(2.0) == ACK
    assert listener.hears(FRAMES[0].replace(b"\x02", b"").replace(b"y", ENQ, 1), now=3.0) == b""
    listener.ticks(4.0)
    assert listener.answers == ACK
    assert listener.hears(FRAMES[0], now=18.0) == ACK


def test_a_sender_that_starts_over_in_the_middle_of_a_frame() -> None:
    listener = host()
    assert listener.hears(ENQ + FRAMES[0] + FRAMES[1][:9], now=0.0) == ACK + ACK
    assert listener.hears(ENQ, now=0.5) == b""  # noise, or a new start? A sender that asks waits for an answer
    assert listener.ticks(1.5) == ACK
    assert listener.told(FrameRefused) == [FrameRefused(RefusedWhy.CUT_OFF, FRAMES[1][:9])]
    assert listener.hears(b"".join(FRAMES) + EOT, now=2.0) == ACK * 5


def test_a_sender_that_starts_over_without_waiting() -> None:
    listener = host()
    assert listener.hears(ENQ + FRAMES[0] + FRAMES[1][:9] + ENQ + FRAMES[0]) == ACK * 4
    assert [frame.number for frame in listener.frames] == [1, 1]


def test_a_frame_begun_anew_is_answered_once() -> None:
    listener = host()
    listener.hears(ENQ)
    assert listener.hears(FRAMES[0][:5] + FRAMES[0]) == ACK
    assert listener.told(FrameRefused) == [FrameRefused(RefusedWhy.CUT_OFF, FRAMES[0][:5])]


def test_eot_in_the_middle_of_a_frame_ends_the_transfer() -> None:
    listener = host()
    listener.hears(ENQ)
    assert listener.hears(FRAMES[0][:5] + EOT) == b""
    assert listener.events[-1] == TransferEnded()


# ---- an answer that comes too late


@pytest.mark.parametrize("kept", [True, False])
def test_an_answer_that_comes_after_the_sender_gave_up_is_withheld(kept: bool) -> None:
    """Storing took 16 s; meanwhile the instrument ended and asked again. A late ACK would be taken for the answer to
    that ENQ, and the ACK to the ENQ for the answer to its next frame: acknowledged before we have it."""
    link = AstmLink()
    link.receive_data(ENQ + FRAMES[0], now=0.0)
    link.data_to_send()
    link.receive_data(EOT, now=15.0)
    link.receive_data(ENQ, now=15.1)
    events = link.stored(16.0) if kept else link.not_stored(16.0)
    assert link.data_to_send() == ACK  # one, to the ENQ
    assert events == [AnswerWithheld(1), TransferEnded(), TransferStarted()]


def test_a_frame_sent_again_while_we_still_store_it_is_answered_once() -> None:
    link = AstmLink()
    link.receive_data(ENQ + FRAMES[0], now=0.0)
    link.data_to_send()
    link.receive_data(FRAMES[0], now=5.0)
    events = link.stored(6.0)
    assert events == [AnswerWithheld(1), FrameRepeated(1)]
    assert link.data_to_send() == ACK


def test_a_slow_store_alone_withholds_nothing() -> None:
    link = AstmLink()
    link.receive_data(ENQ + FRAMES[0], now=0.0)
    link.data_to_send()
    link.receive_data(b"\r\n", now=14.0)
    link.stored(14.5)
    assert link.data_to_send() == ACK


# ---- use against the rules


def test_answers_that_nobody_asked_for() -> None:
    link = AstmLink()
    with pytest.raises(LocalError):
        link.stored()
    with pytest.raises(LocalError):
        link.not_stored()
    with pytest.raises(LocalError):
        link.send([], token=1)
    with pytest.raises(ValueError, match="at least 1"):
        LinkOptions(max_frame=0)


def test_a_connection_is_over_only_when_its_last_frame_is_decided() -> None:
    link = AstmLink()
    link.receive_data(TRANSFER)
    assert link.connection_lost() == []
    with pytest.raises(LocalError):
        link.connection_made()
    events = []
    while link.state is State.DECIDING:
        events += link.stored()
    assert [type(event) for event in events] == [FrameReceived] * 4 + [TransferEnded]
    assert link.data_to_send() == b""  # nobody is there to hear it
    link.connection_made()
    assert link.receive_data(ENQ) == [TransferStarted()]
