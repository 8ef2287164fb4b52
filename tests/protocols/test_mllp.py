"""MLLP on the line: what an analyser may do to its blocks, and how the network may cut them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols.mllp import (
    BLOCK_LIMIT,
    JUNK_PIECE,
    BlockReceived,
    BlockRefused,
    Event,
    Ignored,
    LocalError,
    MllpLink,
    MllpOptions,
    blocks,
    wrap,
)

FIRST = b"MSH|^~\\&|HEM1||||20261203093000||ORU^R01|1|P|2.3.1\rPID|1\r"
SECOND = b"MSH|^~\\&|HEM1||||20261203093100||ORU^R01|2|P|2.3.1\rPID|1\r"
THIRD = b"MSH|^~\\&|HEM1||||20261203093200||ORU^R01|3|P|2.3.1\rPID|1\r"
ANSWER = b"MSH|^~\\&|NUMUNE\rMSA|AA|1\r"

SAMPLES_IN_BLOCKS = [
    "hl7/erba-elite-580/oru-r01-cbc-diff-suspect-flags.hl7",
    "hl7/erba-elite-580/oru-r01-cbc-diff.hl7",
    "hl7/erba-elite-580/oru-r01-sample-id-invalid.hl7",
    "hl7/mindray-bc-5380/oru-r01-manual-example.hl7",
    "hl7/mindray-bc-6800/oru-r01-cbc-diff.hl7",
    "hl7/roche-cobas-4800/oul-r22-failed-and-no-id.hl7",
    "hl7/roche-cobas-4800/oul-r22-run-8-samples.hl7",
    "hl7/roche-cobas-4800/qbp-q11-wos.hl7",
    "hl7/roche-cobas-5800/oul-r22-8-messages.hl7",
    "hl7/roche-cobas-6800/oul-r22-6-messages.hl7",
    "hl7/roche-cobas-6800/qbp-q11-no-query-tag.hl7",
]


def payloads(events: list[Event]) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, BlockReceived)]


def split(data: bytes, at: list[int]) -> list[bytes]:
    """The data cut at these places, empty pieces included: a socket may report nothing."""
    edges = [0, *sorted(at), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def bytes_of(event: Event) -> bytes:
    return event.data if isinstance(event, Ignored) else event.raw


# ---- what a block is


def test_golden_block():
    assert wrap(b"MSH|^~\\&\r") == b"\x0bMSH|^~\\&\r\x1c\r"


def test_a_block_is_reported_as_soon_as_its_fs_is_there():
    """The analyser waits for our answer now; whether a CR will follow its FS cannot be known."""
    link = MllpLink()

    assert link.receive_data(b"\x0b" + FIRST) == []
    assert link.receive_data(b"\x1c") == [BlockReceived(FIRST, b"\x0b" + FIRST + b"\x1c")]
    assert link.receive_data(b"\r") == []


def test_three_messages_in_one_chunk_are_answered_in_order():
    link = MllpLink()

    events = link.receive_data(wrap(FIRST) + wrap(SECOND) + wrap(THIRD))

    assert payloads(events) == [FIRST, SECOND, THIRD]
    assert link.unanswered == 3
    assert link.data_to_send() == b""  # nothing is acknowledged before the caller says so
    link.answer(b"MSA|AA|1\r")
    link.no_answer()
    link.answer(b"MSA|AA|3\r")
    assert link.data_to_send() == b"\x0bMSA|AA|1\r\x1c\r\x0bMSA|AA|3\r\x1c\r"
    assert link.data_to_send() == b""


def test_one_block_is_not_answered_twice():
    link = MllpLink()
    link.receive_data(wrap(FIRST))
    link.answer(ANSWER)

    with pytest.raises(LocalError):
        link.answer(ANSWER)
    with pytest.raises(LocalError):
        link.no_answer()


# ---- what peers do to their blocks


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(FIRST + b"\x1c\r" + wrap(SECOND), id="no VT"),
        pytest.param(b"\x0b" + FIRST + b"\x1c" + b"\x0b" + SECOND + b"\x1c", id="no CR after FS"),
        pytest.param(b"\x0b" + FIRST + b"\x1c\n" + wrap(SECOND), id="LF after FS"),
        pytest.param(b"\x0b" + FIRST + b"\x1c\r\n" + wrap(SECOND), id="CR LF after FS"),
        pytest.param(b"\x0b" + FIRST + b"\x1c\x1c\r\x1c\r" + wrap(SECOND), id="several FS"),
        pytest.param(FIRST + b"\x1c" + SECOND + b"\x1c", id="neither VT nor CR"),
        pytest.param(b"\x0b" + wrap(FIRST) + wrap(SECOND), id="VT twice"),
        pytest.param(b"\r\n" + wrap(FIRST) + b"\r\n\r\n" + wrap(SECOND), id="line ends between blocks"),
    ],
)
def test_careless_framing_is_forgiven(line: bytes):
    assert payloads(blocks([line])) == [FIRST, SECOND]
    assert payloads(blocks(one_by_one(line))) == [FIRST, SECOND]
    assert all(isinstance(event, BlockReceived) for event in blocks([line]))


def test_a_message_without_vt_is_noise_where_the_line_is_set_strict():
    strict = MllpOptions(missing_vt=False)

    assert blocks([FIRST + b"\x1c\r" + wrap(SECOND)], strict) == [
        Ignored(FIRST + b"\x1c"),
        BlockReceived(SECOND, b"\x0b" + SECOND + b"\x1c"),
    ]


def test_a_message_given_up_in_the_middle_is_never_joined_with_the_next():
    """Half of one patient's results in front of another patient's message."""
    line = b"\x0b" + FIRST[:40] + wrap(SECOND)

    assert blocks([line]) == [
        BlockRefused("no end before the next block began", b"\x0b" + FIRST[:40]),
        BlockReceived(SECOND, b"\x0b" + SECOND + b"\x1c"),
    ]


def test_a_vertical_tab_pasted_into_a_comment_is_text():
    """Word processors end lines with VT; a physician's comment may hold one."""
    comment = b"MSH|^~\\&|X\rNTE|1||first line\x0bsecond line\r"

    assert payloads(blocks([b"\x0b" + comment + b"\x1c\r"])) == [comment]


def test_an_empty_block_is_a_sign_of_life():
    assert blocks([b"\x0b\x1c\r" + wrap(FIRST)]) == [
        Ignored(b"\x0b\x1c"),
        BlockReceived(FIRST, b"\x0b" + FIRST + b"\x1c"),
    ]


def test_an_astm_instrument_on_this_port_is_shown_when_it_falls_silent():
    link = MllpLink()

    assert link.receive_data(b"\x05") == []
    assert link.silence() == [Ignored(b"\x05")]
    assert link.receive_data(wrap(FIRST)) == [BlockReceived(FIRST, b"\x0b" + FIRST + b"\x1c")]


def test_noise_before_a_block_does_not_cost_the_block():
    assert blocks([b"AT+CGMM\r\nOK\r\n" + wrap(FIRST)]) == [
        Ignored(b"AT+CGMM\r\nOK\r\n"),
        BlockReceived(FIRST, b"\x0b" + FIRST + b"\x1c"),
    ]


def test_after_noise_an_fs_makes_room_for_a_message_without_vt():
    assert payloads(blocks([b"tail of something\x1c\r" + FIRST + b"\x1c\r"])) == [FIRST]


def test_silence_in_the_middle_of_a_block():
    assert BLOCK_LIMIT > 0
    link = MllpLink()
    link.receive_data(b"\x0b" + FIRST[:30])

    assert link.silence() == [BlockRefused("no end before the sender fell silent", b"\x0b" + FIRST[:30])]
    # the rest comes late: no block, and the next one is whole
    assert link.receive_data(FIRST[30:] + b"\x1c\r" + wrap(SECOND)) == [
        Ignored(FIRST[30:] + b"\x1c"),
        BlockReceived(SECOND, b"\x0b" + SECOND + b"\x1c"),
    ]
    assert link.silence() == []


def test_the_connection_breaks_in_the_middle_of_a_block():
    link = MllpLink()
    link.receive_data(wrap(FIRST) + b"\x0b" + SECOND)

    assert link.connection_lost() == [
        BlockRefused("no end before the connection was lost", b"\x0b" + SECOND),
    ]
    link.answer(ANSWER)  # it was stored meanwhile; the analyser will send it again
    assert link.data_to_send() == b""
    with pytest.raises(LocalError):
        link.send(SECOND)


def test_what_was_owed_to_a_lost_connection_goes_nowhere():
    link = MllpLink()
    link.receive_data(wrap(FIRST))
    link.answer(ANSWER)
    link.connection_lost()

    assert link.data_to_send() == b""


# ---- too long


def test_ten_megabytes_without_an_end_are_refused_and_the_line_goes_on():
    limit = MllpOptions().max_block
    link = MllpLink()
    events: list[Event] = []
    endless = b"\x0bMSH|^~\\&|" + b"9" * 65_527
    for chunk in [endless, *[b"9" * 65_536] * 160]:
        events += link.receive_data(chunk)

    refused = events[0]
    assert isinstance(refused, BlockRefused)
    assert refused.why == f"no end within {limit} bytes"
    assert len(refused.raw) == limit + 1
    assert {type(event) for event in events[1:]} == {Ignored}
    assert {len(bytes_of(event)) for event in events[1:]} == {JUNK_PIECE}  # told, but never gathered without limit
    assert payloads(link.receive_data(wrap(FIRST))) == [FIRST]
    assert link.unanswered == 1


@pytest.mark.parametrize("length, kept", [(100, True), (101, False)])
def test_the_limit_is_exact_however_the_bytes_come(length: int, kept: bool):
    options = MllpOptions(max_block=100)
    block = b"\x0b" + b"M" * length + b"\x1c\r"

    whole = blocks([block], options)

    assert isinstance(whole[0], BlockReceived if kept else BlockRefused)
    assert blocks(one_by_one(block), options) == whole


def test_a_message_survives_an_endless_one_before_it():
    options = MllpOptions(max_block=200)
    line = b"\x0bMSH|" + b"x" * 160 + wrap(FIRST + b"NTE|1||" + b"y" * 60 + b"\r")

    received = blocks([line], options)

    assert [type(event) for event in received] == [BlockRefused, BlockReceived]
    assert blocks(one_by_one(line), options) == received


# ---- sending


@pytest.mark.parametrize("payload", [b"", b"MSH|\x1cPID", b"MSH|\x0bPID"])
def test_what_would_break_its_own_block_is_not_sent(payload: bytes):
    with pytest.raises(LocalError):
        wrap(payload)
    with pytest.raises(LocalError):
        MllpLink().send(payload)


def test_both_directions_on_one_connection():
    host, analyser = MllpLink(), MllpLink()
    host.send(FIRST)

    assert payloads(analyser.receive_data(host.data_to_send())) == [FIRST]
    analyser.answer(ANSWER)
    analyser.send(SECOND)
    assert payloads(host.receive_data(analyser.data_to_send())) == [ANSWER, SECOND]
    host.no_answer()  # an answer is never answered
    host.answer(ANSWER)
    assert payloads(analyser.receive_data(host.data_to_send())) == [ANSWER]


# ---- properties

CONVERSATION = (
    b"\x05noise\r"
    + wrap(FIRST)
    + SECOND
    + b"\x1c\n"
    + b"\x0b"
    + FIRST[:20]
    + wrap(THIRD)
    + b"\x0b\x1c\r"
    + b"\x0bNTE|1||a\x0bb\r\x1c\x1c\r"
    + b"MS?"
    + wrap(FIRST)
    + b"\x0bMSH|cut"
)


@given(cuts=st.lists(st.integers(0, len(CONVERSATION)), max_size=30))
def test_where_the_network_cuts_the_bytes_changes_nothing(cuts: list[int]):
    assert blocks(split(CONVERSATION, cuts)) == blocks([CONVERSATION])


def test_every_single_cut_gives_the_same_events():
    whole = blocks([CONVERSATION])

    assert payloads(whole) == [FIRST, SECOND, THIRD, b"NTE|1||a\x0bb\r", FIRST]
    assert all(blocks([CONVERSATION[:at], CONVERSATION[at:]]) == whole for at in range(len(CONVERSATION)))
    assert blocks(one_by_one(CONVERSATION)) == whole


peer_bytes = st.lists(
    st.one_of(
        st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"MSH", b"M", b"MS", b"FHS|", b"BHS", b"MSH|^~\\&|A\r"]),
        st.binary(max_size=12),
    ),
    max_size=40,
).map(b"".join)


@given(data=peer_bytes, cuts=st.lists(st.integers(0, 400), max_size=12), limit=st.integers(1, 40))
@settings(max_examples=300)
def test_whatever_comes_nothing_is_raised_lost_or_seen_twice(data: bytes, cuts: list[int], limit: int):
    options = MllpOptions(max_block=limit)

    events = blocks([data], options)

    assert blocks(split(data, [cut for cut in cuts if cut <= len(data)]), options) == events
    rest = data
    for event in events:
        between, found, rest = rest.partition(bytes_of(event))
        assert found
        assert not between.strip(b"\r\n\x1c")  # only what may stand between two blocks goes unreported
    assert not rest.strip(b"\r\n\x1c")
    for event in events:
        if isinstance(event, BlockReceived):
            assert len(event.payload) <= max(limit + 1, len(b"MSH"))
            assert b"\x1c" not in event.payload


@given(messages=st.lists(st.binary(min_size=2, max_size=30), max_size=8))
def test_what_one_side_wraps_the_other_side_reads(messages: list[bytes]):
    messages = [b"MSH|" + re.sub(rb"[\x0b\x1c]", b"", message) for message in messages]
    link = MllpLink()
    for message in messages:
        link.send(message)

    assert blocks([link.data_to_send()]) == [BlockReceived(m, b"\x0b" + m + b"\x1c") for m in messages]


# ---- captures


@pytest.mark.parametrize("name", SAMPLES_IN_BLOCKS)
def test_captured_blocks_are_read_at_any_chunking(samples: Path, name: str):
    data = (samples / name).read_bytes()
    row = next(line for line in (samples / "INDEX.tsv").read_text().splitlines() if line.startswith(name))
    in_index = re.search(r"\[MSHx(\d+)", row)
    assert in_index

    events = blocks([data])

    assert len(payloads(events)) == len(events) == int(in_index[1])
    assert blocks(one_by_one(data)) == events
    for at in range(0, len(data), 7):
        assert blocks([data[:at], data[at:]]) == events


def test_a_log_of_an_answer_that_lost_its_vt(samples: Path):
    """VT missing, CR shown as LF, an empty line before FS."""
    data = (samples / "hl7/erba-elite-580/ack-from-host.hl7").read_bytes()

    (event,) = blocks([data])

    assert isinstance(event, BlockReceived)
    assert event.payload == data[: data.index(b"\x1c")]
