"""Every captured ASTM transfer passes through the link, however it is cut; counts are independent of the codec."""

from __future__ import annotations

import re

import pytest

from drivers.protocols.astm_link import (
    ACK,
    ENQ,
    NAK,
    FrameReceived,
    FrameRefused,
    Loosened,
    MessageAssembler,
    Partial,
    RefusedWhy,
    TransferEnded,
    TransferStarted,
    WholeMessage,
)
from drivers.protocols.astm_messages import split_messages
from drivers.protocols.astm_records import build_message, parse
from tests.protocols.astm_kit import SAMPLES, byte_by_byte, conversation, counted, rows

# How a line must be loosened for what its analyser sends (everything else passes a strict line).
LOOSENED: dict[str, dict[str, object]] = {
    "astm/roche-cobas-taqman/batch-5-messages-no-checksum.astm": {"checksum": "optional"},
    "astm/horiba-yumizen-h500/qc-low-failed-histograms.astm": {"number_modulus": "any"},
    # Each message starts at frame 1 again, without EOT and ENQ between them. A strict line refuses the second one: by
    # the standard's number rule alone it would be a repeat, acknowledged and dropped.
    "astm/mindray-bs-240/two-messages-one-session.astm": {"number_modulus": "any"},
    "astm/trinity-premier-hb9210/hba1c-chromatogram.astm": {"number_modulus": "0-9"},
    "astm/sysmex-xn-330/cbc-session.astm": {"number_modulus": "unchecked"},  # go on behind the damaged frame
}
ROWS = [row for row in rows() if row["protocol"] != "HL7 v2" or "E1381" in row["framing"]]
FRAMED = [row["file"] for row in ROWS if "framed E1381" in row["framing"] or "in E1381 frames" in row["framing"]]
BLOCKS = [row["file"] for row in ROWS if row["framing"].startswith("STX records ETX")]
RAW = [row["file"] for row in ROWS if row["protocol"] == "ASTM" and row["framing"] == "raw records"]
QUIRKS = {row["file"]: row["quirk"] for row in ROWS}
CONTENTS = {row["file"]: row["contents"] for row in ROWS}


def options(file: str, data: bytes) -> dict[str, object]:
    """Strict, but for what the file is known for; a capture that lost its ENQ needs a line that does without."""
    return {"require_enq": ENQ in data, **LOOSENED.get(file, {})}


def read(file: str) -> bytes:
    return (SAMPLES / file).read_bytes()


def test_there_are_samples() -> None:
    if not rows():
        pytest.skip("captured samples are not beside this checkout (NUMUNE_SAMPLES)")
    assert (len(FRAMED), len(BLOCKS), len(RAW)) == (55, 2, 15)


@pytest.mark.parametrize("file", FRAMED)
def test_frames_are_accepted_and_refused_as_their_checksums_say(file: str) -> None:
    """A regular expression and sum() count; INDEX.tsv counted them once more when the samples were collected."""
    data = read(file)
    events, answers = conversation([data], **options(file, data))

    accepted = sum(isinstance(event, FrameReceived) for event in events)
    refused = [event for event in events if isinstance(event, FrameRefused)]
    valid, frames = counted(data)
    if stated := re.search(r"checksums (\d+)/(\d+) valid", QUIRKS[file]):
        assert (valid, frames) == (int(stated[1]), int(stated[2]))
        assert {event.why for event in refused} <= {RefusedWhy.CHECKSUM}
    else:  # AmpliLink without checksums
        valid = frames
    assert (accepted, len(refused)) == (valid, frames - valid)
    assert answers.count(ACK) == accepted + data.count(ENQ)
    assert answers.count(NAK) == frames - valid


@pytest.mark.parametrize("file", FRAMED)
def test_where_a_capture_is_cut_changes_nothing(file: str) -> None:
    data = read(file)
    whole = conversation([data], **options(file, data))
    assert conversation(byte_by_byte(data), **options(file, data)) == whole
    for size in (2, 7, 240, 1460):
        assert conversation((data[at : at + size] for at in range(0, len(data), size)), **options(file, data)) == whole


@pytest.mark.parametrize("file", BLOCKS)
def test_blocks_without_number_and_checksum(file: str) -> None:
    data = read(file)
    events, answers = conversation([data], framing="stx-etx")
    assert answers == ACK * 2
    assert [event.text for event in events if isinstance(event, FrameReceived)] == [data[2:-2]]
    assert conversation(byte_by_byte(data), framing="stx-etx") == (events, answers)


@pytest.mark.parametrize("file", RAW)
def test_bare_records(file: str) -> None:
    data = read(file)
    events, answers = conversation([data], framing="raw")
    assert answers == b""
    assert [type(event) for event in events] == [TransferStarted, FrameReceived, TransferEnded]
    assert [event.text for event in events if isinstance(event, FrameReceived)] == [data]
    assert conversation(byte_by_byte(data), framing="raw") == (events, answers)


@pytest.mark.parametrize("file", sorted(LOOSENED))
def test_every_loosening_is_reported(file: str) -> None:
    if file not in FRAMED:
        pytest.skip("captured samples are not beside this checkout (NUMUNE_SAMPLES)")
    data = read(file)
    assert any(isinstance(event, Loosened) for event in conversation([data], **options(file, data))[0])


# ---- messages out of frames


def messages(file: str) -> list[WholeMessage | Partial]:
    """What the frames of a capture make up."""
    data = read(file)
    framing = {"framing": "stx-etx"} if file in BLOCKS else {"framing": "raw"} if file in RAW else options(file, data)
    assembler, found = MessageAssembler(), []
    for event in conversation([data], **framing)[0]:
        if isinstance(event, FrameReceived):
            found += assembler.feed(event.text, event.last)
        elif isinstance(event, TransferEnded):
            rest = assembler.finish()
            found += [rest] if rest else []
    rest = assembler.finish(broken=True)
    return [*found, rest] if rest else found


DAMAGED = {
    "astm/beckman-dxi-800/query-no-terminator.astm",  # stops before its L record
    "astm/erba-xl-1000/host-order-wrong-checksum.astm",  # nothing accepted
    "astm/mindray-bs-240/21-results-byte-lost.astm",  # nothing accepted
    "astm/mindray-bs-240/empty-session.astm",
    "astm/sysmex-xn-330/cbc-session.astm",  # the first half of its order record is refused
    "other/biomerieux-vitek-2/ast-klebsiella-frames-cut-off.bin",
}


@pytest.mark.parametrize("file", [file for file in [*FRAMED, *BLOCKS, *RAW] if file not in DAMAGED])
def test_messages_hold_the_records_that_the_index_counts(file: str) -> None:
    """[Hx1 Px1 ...] of INDEX.tsv, counted when the samples were collected, not by us."""
    found = messages(file)
    assert all(isinstance(message, WholeMessage) for message in found)
    counts = re.search(r"\[(.*)\]", CONTENTS[file])
    assert counts is not None
    if file.startswith("hl7/"):
        assert [message.protocol for message in found if isinstance(message, WholeMessage)] == ["other"]
        return
    expected = {letter: int(count) for letter, count in re.findall(r"([A-Z])x(\d+)", counts[1])}
    assert len(found) == expected["H"]
    seen: dict[str, int] = {}
    for message in found:
        for record in parse(message.text):
            seen[record.type] = seen.get(record.type, 0) + 1
    assert seen == expected


@pytest.mark.parametrize("file", sorted(DAMAGED))
def test_damaged_transfers_make_no_whole_message_of_what_they_lost(file: str) -> None:
    if file not in FRAMED:
        if (SAMPLES / file).is_file():
            assert read(file) in (b"\x05\x04",)
            return
        pytest.skip("captured samples are not beside this checkout (NUMUNE_SAMPLES)")
    found = messages(file)
    if file.startswith("astm/sysmex-xn-330"):
        # A line stops at the refused frame; only the reading of captures goes on behind it.
        assert [type(message) for message in found] == [WholeMessage]
    else:
        assert not any(isinstance(message, WholeMessage) for message in found)


@pytest.mark.parametrize("file", [*FRAMED, *BLOCKS, *RAW])
def test_messages_are_read_and_written_back_byte_for_byte(file: str) -> None:
    for message in messages(file):
        text = message.text
        if isinstance(message, WholeMessage) and message.protocol == "astm" and b"\n" not in text:
            parsed = parse(text)
            if not parsed.loosened:
                encoding = "utf-8" if _is_utf8(text) else "cp1254" if _is(text, "cp1254") else "iso8859-9"
                assert build_message(parsed, encoding) == text
                rebuilt = ["|".join(record.fields) for record in parsed]
                assert build_message(rebuilt, encoding) == text


def _is_utf8(text: bytes) -> bool:
    return _is(text, "utf-8")


def _is(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def test_several_messages_in_one_file() -> None:
    data = b"H|\\^&\rQ|1|^7\rL|1|N\rH|\\^&\rP|1\rL|1\r\nH|\\^&\nP|1\n"
    assert split_messages(data) == [
        WholeMessage(b"H|\\^&\rQ|1|^7\rL|1|N\r"),
        WholeMessage(b"H|\\^&\rP|1\rL|1\r\n"),
        Partial(b"H|\\^&\nP|1\n", "no terminator"),
    ]
