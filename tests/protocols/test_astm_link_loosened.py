"""ASTM lines that are loosened by definition: numbering, checksums, no ENQ, blocks, bare records."""

from __future__ import annotations

import pytest

from drivers.protocols.astm_link import (
    ACK,
    ENQ,
    EOT,
    LISTEN_LIMIT,
    NAK,
    AstmLink,
    BrokenWhy,
    FrameReceived,
    FrameRefused,
    FrameRepeated,
    Ignored,
    LinkOptions,
    Loosened,
    RefusedWhy,
    State,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    build_frame,
)
from tests.protocols.astm_kit import FRAMES, RECORDS, byte_by_byte, conversation, host, texts

# ---- loosened lines


def numbered(*numbers: int) -> bytes:
    def frame(at: int, number: int) -> bytes:
        body = b"%dC|%d|I|line\r\x03" % (number, at)
        return b"\x02" + body + b"%02X\r\n" % (sum(body) % 256)

    return ENQ + b"".join(frame(at, number) for at, number in enumerate(numbers)) + EOT


@pytest.mark.parametrize(
    ("modulus", "numbers", "loosened"),
    [
        ("0-7", [1, 2, 3, 4, 5, 6, 7, 0, 1], 0),
        ("0-9", [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1], 3),  # Premier Hb9210
        ("0-9", [1, 2, 3, 4, 5, 6, 7, 0, 1], 0),
        ("1-7", [1, 2, 3, 4, 5, 6, 7, 1, 2], 1),  # IMMULITE
        ("any", [1, 2, 3, 4, 5, 1, 2], 1),  # Yumizen H500
        ("any", [0, 1, 2], 1),
        ("any", [1, 1, 1], 2),
    ],
)
def test_frame_numbers_of_their_own_kind_are_taken_where_the_line_allows_it(
    modulus: str, numbers: list[int], loosened: int
) -> None:
    listener = host(number_modulus=modulus)
    listener.hears(numbered(*numbers))
    assert [frame.number for frame in listener.frames] == numbers
    assert len(listener.told(Loosened)) == loosened
    assert NAK not in listener.answers


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 1], [1, 2, 3, 5], [0]])
def test_a_strict_line_takes_none_of_them(numbers: list[int]) -> None:
    listener = host()
    listener.hears(numbered(*numbers))
    assert [frame.number for frame in listener.frames] == numbers[:-1]
    assert listener.answers.endswith(NAK)


def test_no_line_goes_on_behind_a_refused_frame() -> None:
    """The instrument does not repeat what we refused but sends on: a message with a hole must not become whole."""
    for modulus in ("0-7", "0-9", "1-7", "any"):
        listener = host(number_modulus=modulus)
        damaged = FRAMES[1].replace(b"4711", b"4712")
        assert listener.hears(ENQ + FRAMES[0] + damaged + FRAMES[2] + FRAMES[3]) == ACK + ACK + NAK * 3
        assert listener.hears(FRAMES[1] + FRAMES[2]) == ACK + ACK

    jumping = host(number_modulus="any")
    jumping.hears(ENQ + FRAMES[0])
    body = build_frame(5, b"P|1\r", last=True)
    assert jumping.hears(body[:-4] + b"00") == NAK
    assert jumping.hears(body) == ACK


def test_frames_without_enq_are_refused_on_a_strict_line_and_taken_on_a_loose_one() -> None:
    strict, loose = host(), host(require_enq=False)
    assert strict.hears(FRAMES[0]) == b""
    assert strict.events == [FrameRefused(RefusedWhy.OUTSIDE_TRANSFER, FRAMES[0][:-2])]

    assert loose.hears(b"".join(FRAMES)) == ACK * 5
    assert loose.events[:2] == [Loosened("frame without ENQ"), TransferStarted(implicit=True)]


def test_the_next_message_of_an_instrument_without_enq_is_no_repeat_of_the_last() -> None:
    """An Afinion sends each message as frame 1 and nothing else: the second patient must not vanish."""
    first = build_frame(1, b"H|\\^&\rR|1|^^^HbA1c|6.1|%\rL|1|N\r", last=True)
    second = build_frame(1, b"H|\\^&\rR|1|^^^HbA1c|9.4|%\rL|1|N\r", last=True)
    listener = host(require_enq=False)
    assert listener.hears(first) == ACK
    assert listener.hears(first) == ACK  # a true repeat
    assert listener.hears(second) == ACK
    assert len(listener.frames) == 2
    assert listener.told(FrameRepeated) == [FrameRepeated(1)]
    assert listener.told(TransferEnded) == [TransferEnded(implicit=True)]


def test_an_instrument_without_enq_may_start_over_after_a_refused_frame() -> None:
    listener = host(require_enq=False)
    damaged = FRAMES[1].replace(b"4711", b"4712")
    assert listener.hears(FRAMES[0] + damaged) == ACK + NAK
    assert listener.hears(b"".join(FRAMES)[: len(FRAMES[0])]) == ACK  # the same first frame: taken for a repeat
    assert listener.hears(FRAMES[1]) == ACK
    other = build_frame(1, b"H|\\^&|||later\r", last=True)
    assert listener.hears(damaged.replace(b"\x022", b"\x023")) == NAK
    assert listener.hears(other) == ACK
    assert listener.told(TransferEnded) == [TransferEnded(implicit=True)]


def test_silence_ends_the_transfer_of_an_instrument_that_never_sends_eot() -> None:
    listener = host(require_enq=False)
    listener.hears(FRAMES[0], now=10.0)
    listener.ticks(10.0 + LISTEN_LIMIT)
    assert listener.events[-1] == TransferEnded(implicit=True)


def test_checksums_that_are_missing_or_wrong_are_taken_only_where_the_line_allows_it() -> None:
    bare = b"\x021H|\\^&\r\x03\r\n"
    wrong = b"\x021H|\\^&\r\x03FF\r\n"
    assert host().hears(ENQ + bare) == ACK + NAK
    assert host(checksum="optional").hears(ENQ + bare) == ACK + ACK
    assert host(checksum="optional").hears(ENQ + wrong) == ACK + NAK
    unchecked = host(checksum="none")
    assert unchecked.hears(ENQ + wrong + b"\x022L|1|N\r\x03" + EOT) == ACK * 3
    assert unchecked.told(Ignored) == []  # the digits that nobody looked at are not garbage
    assert len(unchecked.told(Loosened)) == 2


def test_a_missing_checksum_on_a_quiet_line() -> None:
    listener = host(checksum="optional")
    listener.hears(ENQ + b"\x021H|\\^&\r\x03", now=1.0)
    due = listener.link.deadline()
    assert due is not None
    assert listener.ticks(due) == ACK


def test_records_between_stx_and_etx_alone() -> None:
    listener = host(framing="stx-etx")
    block = b"\x02H|\\^&||PSWD|Maglumi User\rP|1\rO|1|25059232||^^^TSH II\rR|1|^^^TSH II|3.0|uIU/mL\rL|1|N\r\x03"
    assert listener.hears(ENQ + block + block + EOT) == ACK * 3
    assert [(frame.number, frame.last, frame.raw) for frame in listener.frames] == [(1, True, block), (2, True, block)]
    assert listener.frames[0].text == block[1:-1]


# ---- bare records


RAW = [record + b"\r" for record in RECORDS]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_bare_records_come_as_one_message(end: bytes) -> None:
    listener = host(framing="raw")
    data = end.join(RECORDS) + end
    assert listener.hears(data + data) == b""
    assert [text.replace(end, b"\r").strip() for text in texts(listener)] == [b"".join(RAW).strip()] * 2
    assert all(frame.text == frame.raw for frame in listener.frames)
    assert [type(event) for event in listener.events] == [TransferStarted, FrameReceived, TransferEnded] * 2
    assert listener.frames[0].last
    assert conversation(byte_by_byte(data), framing="raw")[0] == conversation([data], framing="raw")[0]


def test_a_bare_terminator_without_line_end_counts_once_the_line_is_quiet() -> None:
    listener = host(framing="raw")
    listener.hears(b"\n".join(RECORDS), now=1.0)
    assert listener.frames == []
    due = listener.link.deadline()
    assert due == 2.0
    listener.ticks(due)
    assert texts(listener) == [b"\n".join(RECORDS)]
    assert listener.events[-1] == TransferEnded()


def test_bare_records_without_terminator_are_handed_out_as_incomplete() -> None:
    torn = b"\r".join(RECORDS[:4]) + b"\r"

    silent = host(framing="raw")
    silent.hears(torn, now=1.0)
    silent.ticks(1.0 + LISTEN_LIMIT)
    assert silent.events[-1] == TransferBroken(BrokenWhy.SILENCE)
    assert texts(silent) == [torn] and not silent.frames[0].last

    cut = host(framing="raw")
    cut.hears(torn + b"L|")
    cut.loses_the_connection()
    assert cut.frames[-1].text.startswith(torn)

    overtaken = host(framing="raw")
    overtaken.hears(torn + b"".join(RAW))
    assert [frame.last for frame in overtaken.frames] == [False, True]
    assert overtaken.told(TransferEnded) == [TransferEnded(implicit=True), TransferEnded()]


def test_bare_records_that_cannot_be_stored_stop_the_line_until_they_are() -> None:
    """Nobody repeats them, so nothing further may be read before they are safe."""
    link = AstmLink(LinkOptions(framing="raw"))
    link.receive_data(b"".join(RAW) + b"".join(RAW))
    assert link.not_stored() == []
    assert link.state is State.DECIDING
    events = link.stored()
    assert [type(event) for event in events] == [TransferEnded, TransferStarted, FrameReceived]


def test_lines_outside_a_bare_message_are_reported() -> None:
    listener = host(framing="raw")
    listener.hears(b"login: \r" + b"".join(RAW) + b"bye\n")
    assert listener.told(Ignored) == [Ignored(b"login: \r"), Ignored(b"bye\n")]
    assert len(listener.frames) == 1


@pytest.mark.parametrize("piece", [1, 997, 4096])
def test_ten_megabytes_of_bare_records_without_an_end(piece: int) -> None:
    options = {"framing": "raw", "max_transfer": 100_000, "max_frame": 2000}
    endless = b"H|\\^&\r" + b"R|1|^^^K|4.1\r" * 20_000
    whole = b"".join(RAW)
    listener = host(**options)
    for at in range(0, len(endless), piece):
        listener.hears(endless[at : at + piece])
    listener.hears(whole)
    assert listener.told(FrameRefused) == [FrameRefused(RefusedWhy.TOO_LONG, endless[:1024])]
    assert texts(listener) == [whole]
    assert conversation([endless + whole], **options)[0] == listener.events


@pytest.mark.parametrize("piece", [1, 997, 1_000_000])
def test_a_bare_record_that_never_ends(piece: int) -> None:
    options = {"framing": "raw", "max_frame": 500}
    data = b"H|\\^&\rR|1|" + b"H|" * 5000 + b"\r" + b"".join(RAW)
    listener = host(**options)
    for at in range(0, len(data), piece):
        listener.hears(data[at : at + piece])
    assert [type(event) for event in listener.events] == [
        FrameRefused,
        TransferStarted,
        FrameReceived,
        TransferEnded,
    ]
    assert texts(listener) == [b"".join(RAW)]
