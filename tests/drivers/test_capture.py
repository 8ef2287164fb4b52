"""Captured bytes of every framing, written by hand: what a logger, a port dump or a careless script leaves behind."""

from __future__ import annotations

import pytest

from drivers.capture import CaptureRefused, messages_in, read_capture
from drivers.protocols.astm_frames import build_frame

RECORDS = [r"H|\^&|||Demo", "P|1", "O|1|1001", "R|1|^^^K|4.1|mmol/L", "L|1|N"]
BARE = "".join(record + "\r" for record in RECORDS).encode()
ENQ, EOT = b"\x05", b"\x04"


def session(*frames: bytes) -> bytes:
    return ENQ + b"".join(frames) + EOT


def record_frames() -> list[bytes]:
    return [build_frame(n % 8, record.encode() + b"\r", last=True) for n, record in enumerate(RECORDS, 1)]


FRAMINGS = {
    "one record a frame": session(*record_frames()),
    "one frame": session(build_frame(1, BARE, last=True)),
    "cut in mid-field": session(build_frame(1, BARE[:31], last=False), build_frame(2, BARE[31:], last=True)),
    "whole records closed by ETB": session(
        *(build_frame(n % 8, r.encode() + b"\r", last=n == 5) for n, r in enumerate(RECORDS, 1))
    ),
    "no CR before ETX": session(*(build_frame(n % 8, r.encode(), last=True) for n, r in enumerate(RECORDS, 1))),
    "no ENQ, no EOT": b"".join(record_frames()),
    "no checksum": session(
        *(b"\x02%d" % (n % 8) + r.encode() + b"\r\x03\r\n" for n, r in enumerate(RECORDS, 1))
    ),
    "only CR after the checksum": session(*(frame.rstrip(b"\n") for frame in record_frames())),
    "nothing after the checksum": session(*(frame.rstrip(b"\r\n") for frame in record_frames())),
    "both sides": ENQ + b"\x06" + b"\x06".join(record_frames()) + b"\x06" + EOT,
    "a frame that was sent twice": session(*record_frames()[:3], record_frames()[2], *record_frames()[3:]),
    "a damaged frame and its repetition": session(
        *record_frames()[:3], record_frames()[3].replace(b"4.1", b"9.9"), b"\x15", *record_frames()[3:]
    ),
    "STX records ETX": session(b"\x02" + BARE + b"\x03"),
    "several records under one frame digit": b"\x02" + b"".join(
        b"%d" % n + r.encode() + b"\r" for n, r in enumerate(RECORDS, 1)
    ) + b"\x03",
    "raw with CR": BARE,
    "raw with LF": BARE.replace(b"\r", b"\n"),
    "raw with CR LF": BARE.replace(b"\r", b"\r\n"),
    "raw with frame digits": b"".join(b"%d" % n + r.encode() + b"\n" for n, r in enumerate(RECORDS, 1)),
    "raw, last record open": BARE[:-1],
}  # fmt: skip


@pytest.mark.parametrize("data", FRAMINGS.values(), ids=FRAMINGS.keys())
def test_one_message_in_any_framing(data: bytes) -> None:
    (message,) = messages_in(data)

    assert message.protocol == "astm" and message.whole
    assert [record for record in message.text.replace(b"\n", b"\r").split(b"\r") if record] == [
        record.encode() for record in RECORDS
    ]


def test_a_wrong_checksum_is_read_and_told() -> None:
    frames = record_frames()
    frames[3] = frames[3].replace(b"4.1", b"9.9")
    (message,) = messages_in(session(*frames))

    assert b"9.9" in message.text
    assert message.notes == ["1 çerçevenin sağlama toplamı yanlış; içerik yine de okundu."]


def test_two_messages_in_one_session_and_a_missing_eot() -> None:
    again = [build_frame((n + 5) % 8, record.encode() + b"\r", last=True) for n, record in enumerate(RECORDS, 1)]

    assert len(messages_in(session(*record_frames(), *again))) == 2
    assert len(messages_in(ENQ + b"".join(record_frames()) + ENQ + b"".join(record_frames()) + EOT)) == 2


def test_an_empty_session_is_no_failure() -> None:
    assert messages_in(ENQ + EOT) == []


def test_a_session_that_breaks_off_is_not_whole() -> None:
    (message,) = messages_in(ENQ + b"".join(record_frames()[:4]))

    assert not message.whole
    assert message.notes == ["Mesajın bitiş kaydı (L) yok; yarım kalmış olabilir."]


def test_a_frame_digit_inside_a_record_is_taken_out() -> None:
    """The logger dropped the ETB of frame 2: the digit 3 stands where the third frame began, 240 bytes in."""
    order = "O|1|1001||" + "\\".join(f"^^^T{n:03}" for n in range(40))
    first, rest = order[:239], order[239:]
    lines = [r"1H|\^&|||Demo", f"2{first}3{rest}", "4R|1|^^^T001|4.1", "5L|1|N"]
    (message,) = messages_in("".join(line + "\r\n" for line in lines).encode())

    assert order.encode() in message.text
    assert any("çerçeve numarası (3)" in note for note in message.notes)


def test_checksums_behind_the_text_are_taken_out_when_one_is_right() -> None:
    query = build_frame(2, b"Q|1|^1001||ALL||||||||O\r", last=True)
    check = query[-4:-2].decode()
    (message,) = messages_in(f"1H|\\^&|||Demo 00\n2Q|1|^1001||ALL||||||||O {check}\n3L|1|N\n".encode())

    assert message.text == b"H|\\^&|||Demo\rQ|1|^1001||ALL||||||||O\rL|1|N\r"


def test_a_transcript_of_both_sides() -> None:
    rows = ["time\tfrom\tbytes_hex"]
    for frame in [ENQ, *record_frames(), EOT]:
        rows += [f"09:00:00\tinstrument\t{frame.hex()}", "09:00:00\thost\t06"]
    (message,) = messages_in("\n".join(rows).encode())

    assert message.text == BARE


MSH = b"MSH|^~\\&|A||||20260101||ORU^R01|1|P|2.3.1\rOBR|1||1001\rOBX|1|NM|K||4.1\r"


@pytest.mark.parametrize(
    ("data", "framing", "count"),
    [
        (b"\x0b" + MSH + b"\x1c\r", "mllp", 1),
        (b"\x0b" + MSH + b"\x1c\r\x0b" + MSH + b"\x1c\r", "mllp", 2),
        (MSH, "bare", 1),
        (MSH.replace(b"\r", b"\n") + b"\n\n" + MSH.replace(b"\r", b"\n"), "bare", 2),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + MSH + b"BTS|1\rFTS|1\r", "bare", 1),
        (session(build_frame(1, MSH[:50], last=False), build_frame(2, MSH[50:], last=True)), "hl7 in e1381", 1),
        (b"\xef\xbb\xbf" + MSH, "bare", 1),
    ],
)
def test_hl7_in_any_wrapping(data: bytes, framing: str, count: int) -> None:
    messages = messages_in(data)

    assert [message.framing for message in messages] == [framing] * count
    assert all(message.protocol == "hl7" and message.text.startswith(b"MSH|") for message in messages)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "boş"),
        (b"<?xml version='1.0'?><SIQ>1001</SIQ>", "XML"),
        (session(build_frame(1, b"<SIQ>1001</SIQ>\r", last=True)), "XML"),
        (session(build_frame(1, b"mtrsl|pi1001|\r", last=True)), "BCI"),
        (b"%PDF-1.4 ...", "belge"),
        (b"SAMPLE 12\r\nNA 140 mmol/L\r\n", "özgü"),
    ],
)
def test_what_is_neither_is_refused_in_words(data: bytes, says: str) -> None:
    with pytest.raises(CaptureRefused, match=says):
        messages_in(data)


def test_what_can_be_read_is_read_although_something_else_cannot() -> None:
    capture = read_capture(session(*record_frames()) + session(build_frame(1, b"<SIQ>1</SIQ>\r", last=True)))

    assert len(capture.messages) == 1
    assert capture.refused is not None
