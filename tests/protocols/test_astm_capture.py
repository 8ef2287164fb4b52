"""Captures, read as they lie in files: every sample, counted independently; damage is remarked, never hidden."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.astm_capture import read_capture
from drivers.protocols.astm_link import Partial, WholeMessage, record_frames
from drivers.protocols.astm_records import parse
from tests.protocols.astm_kit import SAMPLES, rows

ROWS = {row["file"]: row for row in rows() if row["protocol"] == "ASTM" and row["file"].endswith((".astm", ".bin"))}
RECORDS = [b"H|\\^&", b"R|1|^^^K|4.1", b"L|1|N"]
FRAMES = record_frames(RECORDS)
TEXT = b"\r".join(RECORDS) + b"\r"


@pytest.mark.parametrize("file", list(ROWS))
def test_every_capture_gives_the_records_that_the_index_counts(file: str) -> None:
    """[Hx1 Px1 ...] of INDEX.tsv, counted when the samples were collected."""
    capture = read_capture((SAMPLES / file).read_bytes())
    counts = re.search(r"\[(.*)\]", ROWS[file]["contents"])
    assert counts is not None
    expected = {letter: int(count) for letter, count in re.findall(r"([A-Z])x(\d+)", counts[1])}
    seen: dict[str, int] = {}
    for message in capture.messages:
        for record in parse(message.text):
            seen[record.type] = seen.get(record.type, 0) + 1
    assert seen == expected
    whole = [isinstance(message, WholeMessage) for message in capture.messages]
    assert all(whole) or file == "astm/beckman-dxi-800/query-no-terminator.astm"
    assert len(whole) == expected.get("H", 0)


@pytest.mark.parametrize(
    ("file", "remark"),
    [
        ("astm/erba-xl-1000/host-order-wrong-checksum.astm", "frame 1 has a wrong checksum"),
        ("astm/mindray-bs-240/21-results-byte-lost.astm", "frame 1 has a wrong checksum"),
        ("astm/sysmex-xn-330/cbc-session.astm", "frame 4 has a wrong checksum"),
        ("astm/sysmex-xn-350/cbc-frame-digits-kept.astm", "frame numbers left in front"),
        ("astm/siemens-immulite/query.astm", "checksums left behind 2 records"),
        ("astm/siemens-immulite/query.astm", "1 of them are wrong"),
    ],
)
def test_damage_is_remarked(file: str, remark: str) -> None:
    if file not in ROWS:
        pytest.skip("captured samples are not beside this checkout (NUMUNE_SAMPLES)")
    assert any(remark in said for said in read_capture((SAMPLES / file).read_bytes()).remarks)


def test_both_sides_mixed_and_a_frame_repeated() -> None:
    data = b"\x05\x06" + FRAMES[0] + b"\x06" + FRAMES[1] + b"\x15" + FRAMES[1] + b"\x06" + FRAMES[2] + b"\x06\x04"
    capture = read_capture(data)
    assert capture.messages == [WholeMessage(TEXT)]
    assert capture.remarks == ["frame 3 repeats the one before it; read once"]
    assert capture.frames == 4


def test_a_frame_that_is_cut_off_is_not_read() -> None:
    capture = read_capture(b"\x05" + FRAMES[0] + FRAMES[1][:8] + b"\x05" + b"".join(FRAMES) + b"\x04")
    assert capture.messages == [Partial(b"H|\\^&\r", "transfer broken"), WholeMessage(TEXT)]


@given(st.binary(max_size=300) | st.lists(st.sampled_from([*FRAMES, b"\x05", b"\x04", b"\x02", TEXT])).map(b"".join))
def test_no_capture_raises(data: bytes) -> None:
    read_capture(data)
