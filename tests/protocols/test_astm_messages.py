"""Frames become messages: whole at their L record, never before, never without it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.astm_link import MessageAssembler, Partial, WholeMessage
from drivers.protocols.astm_messages import split_messages
from tests.protocols.astm_kit import split

TEXT = b"H|\\^&|||analyser\rP|1||4711\rO|1|2600417-8||^^^K\rR|1|^^^K|4.1|mmol/L\rC|1|I|Low sample|G\rL|1|N\r"


def test_a_message_is_whole_at_its_terminator_not_only_at_the_end_of_the_transfer() -> None:
    assembler = MessageAssembler()
    records = TEXT.splitlines(keepends=True)
    for record in records[:-1]:
        assert assembler.feed(record, True) == []
    assert assembler.feed(records[-1], True) == [WholeMessage(TEXT)]
    assert assembler.finish() is None


@given(cuts=st.lists(st.integers(0, len(TEXT) - 1)))
def test_frames_may_cut_a_message_anywhere(cuts: list[int]) -> None:
    """240-byte frames cut inside numbers and codes; a cut `L|1|` is not yet an end."""
    assembler = MessageAssembler()
    *parts, last = [part for part in split(TEXT, at=cuts) if part]
    for part in parts:
        assert assembler.feed(part, False) == []
    assert assembler.feed(last, True) == [WholeMessage(TEXT)]


def test_frames_closed_by_etx_close_their_record_without_cr() -> None:
    """Sysmex CS leaves the CR out: ETX alone separates the records."""
    assembler = MessageAssembler()
    found = [message for record in TEXT.split(b"\r")[:-1] for message in assembler.feed(record, True)]
    assert found == [WholeMessage(TEXT)]


def test_whole_records_closed_by_etb() -> None:
    """cobas c 111: every record its own frame, all but the last closed by ETB; Alegria closes even L so."""
    assembler = MessageAssembler()
    found = [message for record in TEXT.splitlines(keepends=True) for message in assembler.feed(record, False)]
    assert found == [WholeMessage(TEXT)]


def test_several_messages_in_one_transfer() -> None:
    assembler = MessageAssembler()
    assert assembler.feed(TEXT + TEXT[:20], False) == [WholeMessage(TEXT)]
    assert assembler.feed(TEXT[20:], True) == [WholeMessage(TEXT)]
    assert assembler.finish() is None


def test_a_message_without_terminator_is_cut_by_the_next_header() -> None:
    assembler = MessageAssembler()
    torn = TEXT[:-6]
    assert assembler.feed(torn + TEXT, True) == [Partial(torn, "no terminator"), WholeMessage(TEXT)]


def test_a_transfer_without_terminator_leaves_a_partial_message() -> None:
    assembler = MessageAssembler()
    assembler.feed(TEXT[:-6], True)
    assert assembler.finish() == Partial(TEXT[:-6], "no terminator")
    assert assembler.finish() is None
    assert assembler.feed(TEXT, True) == [WholeMessage(TEXT)]  # ready for the next transfer


def test_a_broken_transfer_leaves_what_was_acknowledged() -> None:
    assembler = MessageAssembler()
    assembler.feed(TEXT[:50], False)
    assert assembler.finish(broken=True) == Partial(TEXT[:50], "transfer broken")


def test_a_terminator_whose_end_is_the_end_of_the_transfer() -> None:
    assembler = MessageAssembler()
    assert assembler.feed(TEXT[:-1], False) == []  # ETB and no CR: the terminator might go on
    assert assembler.finish() == WholeMessage(TEXT)
    assembler.feed(TEXT[:-1], False)
    assert assembler.finish(broken=True) == Partial(TEXT[:-1], "transfer broken")


def test_records_without_a_header_are_no_message() -> None:
    assembler = MessageAssembler()
    assert assembler.feed(b"R|1|^^^K|4.1\rL|1|N\r", True) == [Partial(b"R|1|^^^K|4.1\rL|1|N\r", "no header")]


@pytest.mark.parametrize("terminator", [b"L", b"L|1", b"L|1|N ", b"L|", b"l|1|N"])
def test_terminators_as_they_come(terminator: bytes) -> None:
    text = b"H|\\^&\r" + terminator + b"\r"
    assert MessageAssembler().feed(text, True) == [WholeMessage(text)]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_line_ends_as_they_come(line_end: bytes) -> None:
    text = TEXT.replace(b"\r", line_end)
    assembler = MessageAssembler()
    found = [message for at in range(len(text)) for message in assembler.feed(text[at : at + 1], False)]
    assert len(found) == 1
    assert found[0].text.splitlines() == TEXT.splitlines()


def test_several_records_under_one_frame_number_keep_their_own_digits() -> None:
    """A host of VITROS orders wrote 1H..., 2P..., 3O..., 4L... into one frame; the first digit is the frame's."""
    text = b"H|\\^&|||3600796\r2P|1\r3O|1|1068687\r4L|1|N\r"
    assert MessageAssembler().feed(text, True) == [WholeMessage(text)]


def test_text_that_is_no_astm_is_whole_when_its_transfer_ends() -> None:
    """GeneXpert can put HL7 into E1381 frames, VITEK 2 its own fields."""
    hl7 = b"MSH|^~\\&|LAB||LIS\rPID|1\rOBX|1|NM|L\rLX|2\r"
    assembler = MessageAssembler()
    assert assembler.feed(hl7[:22], False) == []
    assert assembler.feed(hl7[22:], True) == []
    assert assembler.finish() == WholeMessage(hl7, "other")
    assembler.feed(b"mtrsl|iiV2|is0001", False)
    assert assembler.finish() == WholeMessage(b"mtrsl|iiV2|is0001", "other")
    assembler.feed(b"mtrsl|iiV2|", False)
    assert assembler.finish(broken=True) == Partial(b"mtrsl|iiV2|", "transfer broken")
    assert assembler.feed(TEXT, True) == [WholeMessage(TEXT)]


@given(
    parts=st.lists(st.tuples(st.binary(max_size=30) | st.sampled_from([TEXT, b"L|1\r", b"H|\\^&\r"]), st.booleans()))
)
def test_no_text_is_lost_or_doubled(parts: list[tuple[bytes, bool]]) -> None:
    """Every byte fed comes out once, in order; only line ends are added and blank lines between messages dropped."""
    assembler = MessageAssembler()
    found = [message for text, last in parts for message in assembler.feed(text, last)]
    rest = assembler.finish(broken=True)
    out = b"".join(message.text for message in [*found, *([rest] if rest else [])])
    assert out.translate(None, b"\r\n \t\x0b\x0c") == b"".join(text for text, _ in parts).translate(
        None, b"\r\n \t\x0b\x0c"
    )


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_can_be_split(data: bytes) -> None:
    for message in split_messages(data):
        assert message.text.strip()


def test_an_assembler_knows_whether_something_is_pending() -> None:
    assembler = MessageAssembler()
    assert not assembler.pending
    assembler.feed(TEXT[:5], False)
    assert assembler.pending
    assembler.feed(TEXT[5:], True)
    assert not assembler.pending
