"""Frames of the ASTM data link: control characters, checksum, and message text cut into frames.

Clause numbers are those of ASTM E1381-02 (CLSI LIS01-A2 keeps the order of the clauses under other numbers).
No I/O, no state. A wrong argument here is our own mistake and raises `ValueError`; what an instrument sends never
comes through this module (see `astm_readers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from zlib import adler32

__all__ = [
    "ACK",
    "CR",
    "ENQ",
    "EOT",
    "ETB",
    "ETX",
    "FRAME_TEXT_1995",
    "FRAME_TEXT_2002",
    "HEX_BYTES",
    "LF",
    "NAK",
    "RESTRICTED",
    "STX",
    "build_block",
    "build_frame",
    "checksum",
    "frames_of",
    "record_frames",
]

STX, ETX, EOT, ENQ, ACK, NAK, ETB = b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x15", b"\x17"
CR, LF = b"\r", b"\n"

RESTRICTED = bytes((0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17))
"""6.6: SOH STX ETX EOT ENQ ACK LF DLE DC1-DC4 NAK SYN ETB never stand in message text."""

FRAME_TEXT_1995 = 240
"""Most text bytes in one frame: 247 bytes in all, 7 of them overhead (E1381-95, 6.3.1.2)."""
FRAME_TEXT_2002 = 63_993
"""The same for E1381-02 and LIS01-A2: 64,000 bytes in all."""

HEX_BYTES = tuple(b"%02X" % value for value in range(256))

_ADLER_EXACT = 256  # the low half of Adler-32 is (1 + sum of bytes) mod 65521: exact for up to 256 bytes


def byte_sum(data: bytes) -> int:
    """Sum of the bytes modulo 256. Adler-32's first half is that sum, computed in C: ten times faster than sum()."""
    size = len(data)
    if size <= _ADLER_EXACT:
        return (adler32(data) - 1) & 0xFF
    view = memoryview(data)
    return sum(adler32(view[at : at + _ADLER_EXACT]) - 1 for at in range(0, size, _ADLER_EXACT)) & 0xFF


def checksum(data: bytes) -> bytes:
    """Two upper-case hexadecimal digits over everything from the frame number to ETB or ETX (6.3.3)."""
    return HEX_BYTES[byte_sum(data)]


def build_frame(number: int, text: bytes, *, last: bool) -> bytes:
    """Wrap message text in one frame (6.3.1 Frames, 6.3.2 Frame Number, 6.3.3 Checksum).

    number: 0-7. A transfer starts at 1 and counts 1, 2, ... 7, 0, 1.
    text: already encoded, at most 63,993 bytes, free of the restricted characters of 6.6.
    last: True closes with ETX; False closes with ETB and promises more of the same message.
    Raises ValueError: number, length or characters out of bounds.
    """
    if not 0 <= number <= 7:
        raise ValueError(f"frame number {number} is not 0-7")
    if len(text) > FRAME_TEXT_2002:
        raise ValueError(f"{len(text)} text bytes do not fit in one frame (at most {FRAME_TEXT_2002})")
    if len(text.translate(None, RESTRICTED)) != len(text):
        raise ValueError("message text holds a restricted control character (E1381-02, 6.6)")
    body = b"%d%b%b" % (number, text, ETX if last else ETB)
    return b"\x02%b%b\r\n" % (body, checksum(body))


def build_block(records: bytes) -> bytes:
    """STX records ETX: the frame without number and checksum that Snibe MAGLUMI and its kin use."""
    if len(records.translate(None, RESTRICTED)) != len(records):
        raise ValueError("message text holds a restricted control character (E1381-02, 6.6)")
    return b"\x02%b\x03" % records


def frames_of(text: bytes, *, limit: int = FRAME_TEXT_1995, first: int = 1) -> list[bytes]:
    """Cut a whole message (records each ending in CR) into frames of at most `limit` text bytes, wherever they fall.

    Every frame but the last closes with ETB. An empty text gives no frame. Raises ValueError for a limit below 1.
    """
    return [
        build_frame(number, part, last=at_end)
        for number, (part, at_end) in zip(_numbers(first), _parts(text, limit), strict=False)
    ]


def record_frames(records: Sequence[bytes], *, limit: int = FRAME_TEXT_1995, first: int = 1) -> list[bytes]:
    """One record a frame, each closing with CR ETX; a record over `limit` goes on in further frames (ETB).

    records: without or with their closing CR. `limit` counts text bytes, the CR among them.
    """
    parts = (part for record in records for part in _parts(record.rstrip(CR) + CR, limit))
    return [
        build_frame(number, part, last=at_end) for number, (part, at_end) in zip(_numbers(first), parts, strict=False)
    ]


def _numbers(first: int) -> Iterator[int]:
    """first, first + 1, ... modulo 8 (6.3.2)."""
    return islice(cycle(range(8)), first % 8, None)


def _parts(text: bytes, limit: int) -> Iterator[tuple[bytes, bool]]:
    if limit < 1:
        raise ValueError("a frame must hold at least one text byte")
    for at in range(0, len(text), limit):
        yield text[at : at + limit], at + limit >= len(text)
