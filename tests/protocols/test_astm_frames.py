"""Frames of E1381 against bytes worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.astm_frames import RESTRICTED, build_block, byte_sum, checksum, frames_of, record_frames
from drivers.protocols.astm_link import build_frame

HAND_WORKED = [
    (1, rb"H|\^&|||Mini LIS||||||||LIS2-A|20210309142633" + b"\r", True, b"96"),
    (2, b"P|1|PID123456||NID123456|Brown^Bobby^B|White|196501020304|M\r", True, b"66"),
    (3, b"O|1|SID305||ABO|N|20210309142633|||||N||||CENTBLOOD\r", True, b"4B"),
    (4, b"L|1|N\r", True, b"07"),
    (4, b"R|1|^^^GLU|92|mg/dL|70^110|N||F||||20261122101500\r", True, b"59"),
    (1, rb"H|\^&|||LAB", False, b"2F"),
]


@pytest.mark.parametrize(("number", "text", "last", "expected"), HAND_WORKED)
def test_golden_frames(number: int, text: bytes, last: bool, expected: bytes) -> None:
    """Checksums published with their frames, or added up by hand; our encoder had no part in them."""
    end = b"\x03" if last else b"\x17"
    assert build_frame(number, text, last=last) == b"\x02%d%b%b%b\r\n" % (number, text, end, expected)


def test_the_frame_of_the_style_guide() -> None:
    assert build_frame(1, b"H|\\^&\r", last=True) == b"\x021H|\\^&\r\x03E5\r\n"


def test_the_checksum_counts_bytes_not_letters() -> None:
    """Ş is one letter, one byte in Windows-1254 and two in UTF-8; each encoding has its own sum."""
    assert checksum("P|1||Ş".encode("cp1254")) == b"%02X" % ((0x50 + 0x7C + 0x31 + 0x7C + 0x7C + 0xDE) % 256)
    assert checksum("P|1||Ş".encode()) == b"%02X" % ((0x50 + 0x7C + 0x31 + 0x7C + 0x7C + 0xC5 + 0x9E) % 256)


@given(st.binary(max_size=2000))
def test_the_fast_sum_is_the_sum(data: bytes) -> None:
    assert byte_sum(data) == sum(data) % 256


@pytest.mark.parametrize("size", [255, 256, 257, 512, 513, 65_521, 70_000])
def test_the_fast_sum_holds_for_the_largest_bytes(size: int) -> None:
    assert byte_sum(b"\xff" * size) == 255 * size % 256


def test_a_long_message_is_cut_at_240_bytes_and_numbers_roll_over() -> None:
    text = b"H|\\^&\r" + b"C|1|I|" + b"x" * 2400 + b"\rL|1|N\r"
    frames = frames_of(text)

    assert [frame[1:2] for frame in frames] == [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"0", b"1", b"2", b"3"]
    assert max(map(len, frames)) == 247  # 240 and the 7 of the standard
    assert b"".join(frame[2:-5] for frame in frames) == text
    assert [frame[-5] for frame in frames] == [0x17] * 10 + [0x03]


def test_one_record_a_frame_and_a_long_record_goes_on_in_the_next() -> None:
    frames = record_frames([b"H|\\^&", b"C|1|I|" + b"y" * 300 + b"\r", b"L|1|N"], limit=240)

    assert [frame[1:2] + frame[2:3] + frame[-5:-4] for frame in frames] == [
        b"1H\x03",
        b"2C\x17",
        b"3y\x03",
        b"4L\x03",
    ]
    assert all(frame[-6:-5] == b"\r" for frame in frames if frame[-5] == 0x03)


@pytest.mark.parametrize("character", [bytes([value]) for value in RESTRICTED])
def test_restricted_characters_never_leave_us(character: bytes) -> None:
    with pytest.raises(ValueError, match="restricted"):
        build_frame(1, b"R|1|" + character, last=True)
    with pytest.raises(ValueError, match="restricted"):
        build_block(b"R|1|" + character)


def test_frames_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="not 0-7"):
        build_frame(8, b"", last=True)
    with pytest.raises(ValueError, match="do not fit"):
        build_frame(1, b"x" * 63_994, last=True)
    with pytest.raises(ValueError, match="at least one"):
        frames_of(b"H|\\^&\r", limit=0)
    assert len(build_frame(1, b"x" * 63_993, last=True)) == 64_000
    assert frames_of(b"") == []
