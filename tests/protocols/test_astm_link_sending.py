"""The sending side of an ASTM line: ENQ, frames, answers, contention, interrupts, and two links talking."""

from __future__ import annotations

import csv

import pytest

from drivers.protocols.astm_link import (
    ACK,
    CONTENTION_HOST,
    CONTENTION_INSTRUMENT,
    ENQ,
    EOT,
    INTERRUPT_WAIT,
    NAK,
    NAK_TO_ENQ_WAIT,
    REPLY_LIMIT,
    AstmLink,
    FrameReceived,
    Ignored,
    LinkOptions,
    SendDone,
    SendFailed,
    SendPostponed,
    SendStarted,
    SendWhy,
    State,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    TurnedAway,
    build_block,
    frames_of,
    record_frames,
)
from tests.protocols.astm_kit import SAMPLES, Host, byte_by_byte, host

ORDER = [rb"H|\^&|||numune", b"P|1", b"O|1|2600417-8||^^^K|R", b"L|1|N"]
FRAMES = record_frames(ORDER)
RESTART = LinkOptions().restart_wait


def sending(**options: object) -> Host:
    """A host that has just asked for the line, at time 0."""
    sender = host(**options)
    sender.link.send(FRAMES, token="order 1", now=0.0)
    assert sender.ticks(0.0) == ENQ
    assert sender.link.state is State.ASKING
    return sender


def test_an_order_goes_out_frame_by_frame() -> None:
    sender = sending()
    for frame in FRAMES:
        assert sender.hears(ACK) == frame
    assert sender.hears(ACK) == EOT
    assert sender.events == [SendStarted("order 1", 1), SendDone("order 1")]
    assert sender.link.state is State.IDLE
    assert sender.link.queued == 0


def test_several_orders_go_out_one_after_the_other() -> None:
    sender = sending()
    sender.link.send(FRAMES, token="order 2", now=0.0)
    assert sender.link.queued == 2
    for _ in range(5):
        sender.hears(ACK, now=1.0)
    assert sender.link.deadline() == 1.0  # at once
    assert sender.ticks(1.0) == ENQ
    for _ in range(5):
        sender.hears(ACK, now=2.0)
    assert sender.told(SendDone) == [SendDone("order 1"), SendDone("order 2")]


def test_an_order_waits_while_the_instrument_sends() -> None:
    sender = host()
    sender.hears(ENQ, now=0.0)
    sender.link.send(FRAMES, token="order 1", now=0.5)
    assert sender.link.data_to_send() == b""
    sender.ticks(1.0)
    assert sender.link.state is State.LISTENING
    sender.hears(EOT, now=2.0)
    assert sender.link.deadline() == 2.0
    assert sender.ticks(2.0) == ENQ


def test_a_pause_before_the_line_is_taken_can_be_asked_for() -> None:
    sender = host(turnaround=0.2)
    sender.hears(ENQ + EOT, now=1.0)
    sender.link.send(FRAMES, token="order 1", now=1.1)
    assert sender.link.data_to_send() == b""
    assert sender.link.deadline() == pytest.approx(1.2)
    assert sender.ticks(1.2) == ENQ


def test_an_order_can_be_taken_back_until_it_is_under_way() -> None:
    sender = sending()
    sender.link.send(FRAMES, token="order 2", now=0.0)
    assert not sender.link.cancel("order 1")
    assert sender.link.cancel("order 2")
    assert not sender.link.cancel("order 2")
    assert sender.link.queued == 1


# ---- answers


def test_a_refused_frame_is_sent_again_six_times_in_all_then_the_order_starts_over() -> None:
    sender = sending()
    sender.hears(ACK, now=0.0)
    for _ in range(5):
        assert sender.hears(NAK, now=1.0) == FRAMES[0]
    assert sender.hears(NAK, now=1.0) == EOT
    assert sender.events[-1] == SendPostponed("order 1", SendWhy.REFUSED, 1.0 + RESTART)
    assert sender.link.deadline() == 1.0 + RESTART
    assert sender.ticks(1.0 + RESTART) == ENQ
    assert sender.hears(ACK, now=12.0) == FRAMES[0]  # whole, from its first frame


def test_tries_are_counted_for_each_frame_alone() -> None:
    sender = sending()
    sender.hears(ACK)
    for frame in FRAMES:
        for _ in range(5):
            assert sender.hears(NAK) == frame
        sender.hears(ACK)
    assert sender.events[-1] == SendDone("order 1")


def test_an_order_that_never_gets_through_is_given_up_and_said_so() -> None:
    sender = sending()
    for attempt in (1, 2, 3):
        now = sender.link.deadline()
        assert now is not None
        assert sender.ticks(now) == EOT  # 15 s without an answer
        if attempt < 3:
            again = sender.link.deadline()
            assert again == now + RESTART
            assert sender.ticks(again) == ENQ
    assert sender.told(SendFailed) == [SendFailed("order 1", SendWhy.NO_REPLY)]
    assert [event.attempt for event in sender.told(SendStarted)] == [1, 2, 3]
    assert sender.link.queued == 0
    assert sender.link.deadline() is None


def test_the_answer_to_enq_is_awaited_for_15_seconds() -> None:
    sender = sending()
    assert sender.link.deadline() == REPLY_LIMIT
    assert sender.ticks(14.9) == b""
    assert sender.ticks(15.0) == EOT


def test_the_answer_to_a_frame_is_awaited_for_15_seconds() -> None:
    sender = sending()
    sender.hears(ACK, now=3.0)
    assert sender.link.deadline() == 3.0 + REPLY_LIMIT
    assert sender.ticks(18.0) == EOT
    assert sender.events[-1] == SendPostponed("order 1", SendWhy.NO_REPLY, 18.0 + RESTART)


def test_a_busy_receiver_is_asked_again_after_ten_seconds() -> None:
    sender = sending()
    assert sender.hears(NAK, now=2.0) == b""
    assert sender.link.deadline() == 2.0 + NAK_TO_ENQ_WAIT
    assert sender.ticks(11.9) == b""
    assert sender.ticks(12.0) == ENQ
    assert sender.hears(ACK, now=12.1) == FRAMES[0]


def test_a_receiver_that_is_busy_for_ever_is_given_up() -> None:
    sender = sending(max_attempts=2)
    asked = 0
    while sender.link.queued:
        asked += 1
        sender.hears(NAK)
        due = sender.link.deadline()
        if due is not None:
            sender.ticks(due)
    assert asked == 12
    assert sender.events[-1] == SendFailed("order 1", SendWhy.BUSY)


def test_a_busy_receiver_may_send_in_the_meantime() -> None:
    sender = sending()
    sender.hears(NAK, now=0.0)
    assert sender.hears(ENQ + FRAMES[0] + EOT, now=3.0) == ACK + ACK
    assert sender.link.deadline() == NAK_TO_ENQ_WAIT  # "at least 10 s" still counts


def test_stray_bytes_are_no_answer() -> None:
    sender = sending()
    assert sender.hears(b"\r\n\x00?\x02", now=1.0) == b""
    assert sender.hears(ACK, now=2.0) == FRAMES[0]
    assert sender.told(Ignored) == [Ignored(b"\x00?\x02")]


def test_an_answer_to_eot_is_ignored() -> None:
    sender = sending()
    for _ in range(6):
        sender.hears(ACK)
    assert sender.events[-1] == Ignored(ACK)
    assert sender.link.state is State.IDLE


def test_an_unfinished_frame_in_the_neutral_state_does_not_swallow_the_answer() -> None:
    sender = host()
    sender.hears(b"\x02noise", now=0.0)
    sender.link.send(FRAMES, token="order 1", now=1.0)
    assert sender.link.data_to_send() == ENQ
    assert sender.hears(ACK, now=1.1) == FRAMES[0]


# ---- interrupts and displacement


def test_an_interrupt_request_is_honoured() -> None:
    """EOT instead of ACK: accepted, and the instrument wants the line (6.3.5)."""
    sender = sending()
    sender.hears(ACK, now=0.0)
    assert sender.hears(EOT, now=1.0) == EOT
    assert sender.events[-1] == SendPostponed("order 1", SendWhy.INTERRUPTED, 1.0 + INTERRUPT_WAIT)
    assert sender.hears(ENQ, now=2.0) == ACK
    sender.hears(EOT, now=3.0)
    assert sender.link.deadline() == 3.0  # it has had its turn
    assert sender.ticks(3.0) == ENQ
    assert sender.hears(ACK, now=3.1) == FRAMES[0]


def test_an_interrupt_that_nobody_uses_ends_after_15_seconds() -> None:
    sender = sending()
    sender.hears(ACK, now=0.0)
    sender.hears(EOT, now=1.0)
    assert sender.ticks(15.9) == b""
    assert sender.ticks(16.0) == ENQ


def test_an_interrupt_request_on_the_last_frame_still_means_accepted() -> None:
    sender = sending()
    for _ in FRAMES:
        sender.hears(ACK, now=0.0)
    sender.link.send(FRAMES, token="order 2", now=0.5)
    assert sender.hears(EOT, now=1.0) == EOT
    assert sender.told(SendDone) == [SendDone("order 1")]
    assert sender.link.deadline() == 1.0 + INTERRUPT_WAIT


def test_an_interrupt_request_can_be_ignored() -> None:
    sender = sending(interrupt="ignore")
    sender.hears(ACK)
    assert sender.hears(EOT) == FRAMES[1]
    assert sender.hears(EOT) == FRAMES[2]
    assert sender.hears(ACK) == FRAMES[3]
    assert sender.hears(EOT) == EOT
    assert sender.events[-1] == SendDone("order 1")


def test_we_may_ask_for_the_line_ourselves() -> None:
    listener = host()
    listener.link.ask_for_line()
    assert listener.hears(ENQ + FRAMES[0]) == ACK + EOT
    assert listener.hears(FRAMES[1]) == ACK


def test_a_peer_that_forgot_our_transfer_and_starts_its_own_is_heard() -> None:
    sender = sending()
    sender.hears(ACK, now=0.0)
    assert sender.hears(ENQ, now=1.0) == ACK
    assert sender.events[-2:] == [SendPostponed("order 1", SendWhy.DISPLACED, 1.0 + RESTART), TransferStarted()]

    full = sending()
    full.hears(ACK)
    full.link.accepting = False
    assert full.hears(ENQ) == NAK
    assert full.events[-1] == TurnedAway()


# ---- contention


def test_the_host_gives_way() -> None:
    line = sending()
    assert line.hears(ENQ, now=0.1) == b""
    assert line.events[-1] == SendPostponed("order 1", SendWhy.CONTENTION, 0.1 + CONTENTION_HOST)
    assert line.hears(ENQ, now=1.2) == ACK
    assert line.hears(FRAMES[0] + EOT, now=2.0) == ACK
    assert line.ticks(2.0) == ENQ  # the instrument had its turn, now ours


def test_a_host_that_gave_way_for_nothing_asks_again_after_20_seconds() -> None:
    line = sending()
    line.hears(ENQ, now=0.0)
    assert line.ticks(19.9) == b""
    assert line.ticks(20.0) == ENQ


def test_the_instrument_insists_after_a_second() -> None:
    line = sending(role="instrument")
    assert line.hears(ENQ, now=0.1) == b""
    assert line.link.deadline() == 0.1 + CONTENTION_INSTRUMENT
    assert line.ticks(1.1) == ENQ
    assert line.hears(ACK, now=1.2) == FRAMES[0]


def test_a_line_that_echoes_is_given_up_in_the_end() -> None:
    """A loop-back plug sends our own ENQ back: contention for ever."""
    line = sending(max_attempts=2)
    for _ in range(100):
        due = line.link.deadline()
        if due is None:
            break
        sent = line.ticks(due)
        if sent:
            line.hears(sent)
    assert line.told(SendFailed) == [SendFailed("order 1", SendWhy.CONTENTION)]


def turns() -> list[tuple[float, str, bytes]]:
    path = SAMPLES / "astm/horiba-pentra-ml/enq-contention.turns.tsv"
    if not path.is_file():
        pytest.skip("captured samples are not beside this checkout (NUMUNE_SAMPLES)")
    with path.open(newline="") as lines:
        return [
            (_seconds(row["time"]), row["from"], bytes.fromhex(row["bytes_hex"]))
            for row in csv.DictReader(lines, delimiter="\t")
        ]


def _seconds(time: str) -> float:
    """09:07:31:176 as seconds of the day."""
    hours, minutes, seconds, thousandths = map(int, time.split(":"))
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000


@pytest.mark.parametrize("role", ["host", "instrument"])
def test_a_captured_contention_played_from_either_side(role: str) -> None:
    """Horiba Pentra ML: both ask at once, the host gives way, the instrument insists (here after 5 s) and sends.

    Our link plays one side of the log, the log plays the other; every byte of ours must be the log's byte.
    """
    script = turns()
    if role == "instrument":  # the log was taken at the host: the instrument had asked before the host's ENQ arrived
        crossing = next(at for at, turn in enumerate(script) if turn[1:] == ("instrument", ENQ))
        script[crossing - 1 : crossing + 1] = [script[crossing], (script[crossing][0], "host", ENQ)]
    line = Host(AstmLink(LinkOptions(role=role, contention_wait=None if role == "host" else 5.0)))  # type: ignore[arg-type]
    outgoing: list[list[bytes]] = []
    for _, side, data in script:
        if side == role and data == ENQ:
            outgoing.append([])
        elif side == role and data[:1] == b"\x02":
            outgoing[-1].append(data)
    asked = [at for at, side, data in script if side == role and data == ENQ]
    transfers = [(at, frames) for at, frames in zip(asked, outgoing, strict=True) if frames or role == "host"]
    if role == "host":  # the log ends before the host's second order goes out: any order will do
        transfers[-1] = (transfers[-1][0], FRAMES)
    else:  # asked first in the contention, sent only after insisting
        transfers = [(asked[0], outgoing[-1])]

    said, expected = b"", b"".join(data for _, side, data in script if side == role)
    for at, side, data in script:
        if transfers and at >= transfers[0][0] and side == role and data == ENQ:
            line.link.send(transfers.pop(0)[1], token="from the log", now=at)
            said += line.link.data_to_send()
        elif side == role:
            said += line.ticks(at)
        else:
            said += line.hears(data, now=at)
    assert said == expected

    if role == "host":
        assert [type(event) for event in line.told(SendStarted, SendDone, SendPostponed)] == [
            SendStarted,
            SendDone,
            SendStarted,
            SendPostponed,
        ]
        assert len(line.frames) == 39  # header, patient, order, 3 comments, 32 results, terminator
        assert line.events[-1] == TransferEnded()
        assert line.ticks(script[-1][0]) == ENQ  # and now the order that had to wait
    else:
        assert len(line.frames) == 4
        assert line.events[-1] == SendDone("from the log")


# ---- connections


def test_an_order_cut_off_by_the_connection_starts_over_on_the_next() -> None:
    sender = sending()
    sender.hears(ACK, now=1.0)
    sender.hears(ACK, now=1.0)
    sender.loses_the_connection(now=2.0)
    assert sender.events[-1] == SendPostponed("order 1", SendWhy.CONNECTION_LOST, 2.0 + RESTART)
    assert sender.link.deadline() is None  # nobody to talk to
    assert sender.ticks(50.0) == b""
    sender.link.connection_made(now=60.0)
    assert sender.link.deadline() == 60.0
    assert sender.ticks(60.0) == ENQ
    assert sender.hears(ACK, now=60.0) == FRAMES[0]
    assert sender.told(SendStarted)[-1] == SendStarted("order 1", 2)


def test_an_order_queued_without_a_connection_waits_for_one() -> None:
    sender = host()
    sender.loses_the_connection(now=0.0)
    sender.link.send(FRAMES, token="order 1", now=1.0)
    assert sender.link.data_to_send() == b""
    sender.link.connection_made(now=2.0)
    assert sender.ticks(2.0) == ENQ


# ---- lines of other kinds


def test_an_order_to_an_analyser_without_frame_numbers() -> None:
    sender = host(framing="stx-etx")
    block = build_block(b"\r".join(ORDER) + b"\r")
    sender.link.send([block], token="order 1", now=0.0)
    assert sender.link.data_to_send() == ENQ
    assert sender.hears(ACK) == block
    assert sender.hears(ACK) == EOT
    assert sender.events[-1] == SendDone("order 1")


def test_bare_records_go_out_at_once_and_nobody_answers() -> None:
    sender = host(framing="raw")
    text = b"\r".join(ORDER) + b"\r"
    sender.link.send([text], token="order 1", now=0.0)
    assert sender.link.data_to_send() == text
    assert sender.ticks(0.0) == b""
    assert sender.events == [SendStarted("order 1", 1), SendDone("order 1")]


def test_an_instrument_that_does_not_wait_for_our_enq() -> None:
    line = sending(require_enq=False)
    assert line.hears(FRAMES[0], now=0.5) == ACK
    assert line.told(SendPostponed) == [SendPostponed("order 1", SendWhy.CONTENTION, 0.5 + CONTENTION_HOST)]
    assert len(line.frames) == 1


# ---- our sending side against our receiving side


def talk(a: Host, b: Host, *, until: float = 600.0, mangle: dict[int, bytes] | None = None) -> None:
    """Let two links talk until both fall silent. mangle: what the n-th thing said becomes on the way."""
    now, said = 0.0, 0
    to_b, to_a = a.link.data_to_send(), b.link.data_to_send()
    while now < until:
        while to_a or to_b:
            for data in (to_b, to_a):
                said += bool(data)
            if mangle and said in mangle:
                to_b = mangle.pop(said)
            heard_b, heard_a = to_b, to_a
            to_a = b.hears(heard_b, now) if heard_b else b""
            to_b = a.hears(heard_a, now) if heard_a else b""
        due = [at for at in (a.link.deadline(), b.link.deadline()) if at is not None]
        if not due:
            return
        now = max(now, min(due))
        to_b, to_a = a.ticks(now), b.ticks(now)


@pytest.mark.parametrize("frames", [FRAMES, frames_of(b"\r".join(ORDER) + b"\r", limit=7)])
def test_our_two_sides_understand_each_other(frames: list[bytes]) -> None:
    sender, receiver = host(), host(role="instrument")
    sender.link.send(frames, token="order", now=0.0)
    talk(sender, receiver)
    assert b"".join(frame.text for frame in receiver.frames) == b"\r".join(ORDER) + b"\r"
    assert [frame.last for frame in receiver.frames] == [frame[-5] == 3 for frame in frames]
    assert sender.events[-1] == SendDone("order")


@pytest.mark.parametrize("frames", [record_frames(ORDER), frames_of(b"\r".join(ORDER) + b"\r", limit=15)])
@pytest.mark.parametrize("bad", range(1, 14))
@pytest.mark.parametrize("what", [b"", b"?", b"\x02", b"\x04", b"\x15", b"\x021H|\\^&"])
def test_whatever_is_damaged_once_everything_arrives_once(frames: list[bytes], bad: int, what: bytes) -> None:
    """One thing said is lost or replaced; retries and time limits bring the whole message over all the same."""
    sender, receiver = host(), host(role="instrument")
    sender.link.send(frames, token="order", now=0.0)
    talk(sender, receiver, mangle={bad: what})
    assert sender.told(SendDone) == [SendDone("order")]
    transfers: list[bytes] = []
    for event in receiver.events:
        if isinstance(event, TransferStarted):
            transfers.append(b"")
        elif isinstance(event, FrameReceived):
            transfers[-1] += event.text
    whole = b"\r".join(ORDER) + b"\r"
    assert transfers.count(whole) == 1
    assert all(whole.startswith(part) for part in transfers)


def test_both_begin_at_the_same_moment() -> None:
    lab, analyser = host(), host(role="instrument")
    lab.link.send(FRAMES, token="order", now=0.0)
    analyser.link.send(FRAMES, token="result", now=0.0)
    talk(lab, analyser)
    assert lab.told(SendDone) == [SendDone("order")]
    assert analyser.told(SendDone) == [SendDone("result")]
    assert len(lab.frames) == len(analyser.frames) == 4
    assert lab.told(TransferBroken) == analyser.told(TransferBroken) == []


def test_a_chain_of_bytes_is_as_good_as_a_block_for_the_sender() -> None:
    whole, single = sending(), sending()
    whole.hears(ACK * 5)
    for byte in byte_by_byte(ACK * 5):
        single.hears(byte)
    assert whole.answers == single.answers == ENQ + b"".join(FRAMES) + EOT
    assert whole.events == single.events
