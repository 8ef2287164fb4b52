"""Link codecs of proprietary instruments: conversations byte by byte, check bytes worked out by hand.

N FS 6A is the Dimension's own "nothing to do" (4E + 1C = 6A); STX ACK ETX 0B EOT is LIS3's acknowledgement
(02 + 06 + 03 = 0B); ADVIA's I with toggle 30h has the LRC 30 ^ 49 ^ 20 ^ 0D ^ 0A = 5E.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.definition import load_catalog
from drivers.protocols.counter_links import lrc
from drivers.protocols.polled_links import DimensionLink, Lis3Link
from drivers.protocols.text_link import (
    BlockReceived,
    BlockRefused,
    Event,
    Ignored,
    MessageBroken,
    Note,
    SendFailed,
    Sent,
    TextLink,
    Why,
    control,
)
from drivers.protocols.text_links import make_link

ACK, NAK = b"\x06", b"\x15"
MESSAGES = Path(__file__).parents[1] / "drivers" / "messages"


def talk(link: TextLink, *chunks: bytes, keep: bool = True, now: float = 0.0) -> tuple[list[Event], bytes]:
    """Feed chunks, storing each block as it comes; the events and everything that was answered."""
    events: list[Event] = []
    out = b""
    for chunk in chunks:
        todo = link.receive_data(chunk, now)
        while todo:
            event = todo.pop(0)
            events.append(event)
            out += link.data_to_send()
            if isinstance(event, BlockReceived):
                todo += link.stored(now) if keep else link.not_stored(now)
        out += link.data_to_send()
    return events, out


def texts(events: Sequence[Event]) -> list[bytes]:
    return [event.text for event in events if isinstance(event, BlockReceived)]


# ---- blocks


def test_a_block_is_acknowledged_only_after_it_is_stored() -> None:
    link = make_link("block", {})
    (event,) = link.receive_data(b"\x02D1U\x03", 0.0)

    assert isinstance(event, BlockReceived) and event.text == b"D1U"
    assert link.data_to_send() == b""
    link.stored(0.0)
    assert link.data_to_send() == ACK


def test_a_block_that_could_not_be_stored_is_asked_for_again() -> None:
    assert talk(make_link("block", {}), b"\x02D1U\x03", keep=False)[1] == NAK


def test_what_is_behind_a_block_waits_until_it_is_stored() -> None:
    link = make_link("block", {})
    assert len(link.receive_data(b"\x02A\x03\x02B\x03", 0.0)) == 1
    (second,) = link.stored(0.0)
    assert isinstance(second, BlockReceived) and second.text == b"B"


@pytest.mark.parametrize("text", [b"A@", b"AB\x40\x01", b"A\x41\x07", b"AO"])
def test_the_check_byte_may_be_etx_stx_eot_or_cr(text: bytes) -> None:
    """Tosoh: it is counted, never looked for. XOR over the text and ETX."""
    check = 3
    for byte in text:
        check ^= byte
    events, out = talk(make_link("block", {"check": "xor", "closes": "EOT"}), b"\x02" + text + b"\x03" + bytes([check]))

    assert texts(events) == [text] and out == ACK


def test_or_is_not_a_sum() -> None:
    """BD Sedi-15: 41 | 42 | 30 = 73."""
    assert texts(talk(make_link("block", {"check": "or", "check_covers": "text"}), b"\x02AB0\x03\x73")[0]) == [b"AB0"]
    events, out = talk(make_link("block", {"check": "or", "check_covers": "text"}), b"\x02AB0\x03\xb3")
    assert [type(event) for event in events] == [BlockRefused] and out == NAK


def test_several_blocks_are_one_message_until_eot() -> None:
    link = make_link("block", {"hello": ["SOH"], "closes": "EOT"})
    events, out = talk(link, b"\x01\x02A\x03\x02B\x03\x04")

    assert [event.last for event in events if isinstance(event, BlockReceived)] == [False, False, True]
    assert out == ACK + ACK + ACK + ACK  # SOH, two blocks, the end


def test_a_message_that_stops_is_told() -> None:
    link = make_link("block", {"closes": "EOT"})
    talk(link, b"\x02A\x03")
    assert link.deadline() == 30.0
    assert link.tick(30.0) == [MessageBroken(Why.SILENCE)]


def test_a_block_that_stops_is_refused_after_a_while() -> None:
    link = make_link("block", {})
    assert link.receive_data(b"\x02half", 5.0) == []
    assert link.tick(35.0) == [BlockRefused(b"\x02half", Why.SILENCE)]
    assert link.data_to_send() == NAK
    assert link.deadline() is None


def test_a_block_without_end_does_not_fill_the_memory() -> None:
    link = make_link("block", {"max_block": 1000})
    events, _ = talk(link, *[b"\x02" + b"x" * 300, *[b"x" * 300] * 5])
    assert BlockRefused in [type(event) for event in events]


def test_bare_lines_end_with_several_cr_or_with_silence() -> None:
    link = make_link("block", {"start": "", "answer": False, "bare_end": "\r\r\r", "pause": 2.0})
    events, out = talk(link, b"\r\nNa 140\rK 4.1\r\r\r\r\rNa 1")
    assert texts(events) == [b"Na 140\rK 4.1\r\r\r"] and out == b""
    link.receive_data(b"38\r", 1.0)
    assert texts(link.tick(3.0)) == [b"Na 138\r"]
    link.stored(3.0)


def test_a_printer_that_falls_silent_inside_a_line_has_not_said_its_value() -> None:
    """The plug came out after `K 4` of `K 4.8`: what came is kept, and is no whole message."""
    link = make_link("block", {"start": "", "answer": False, "bare_end": "\r\r\r", "pause": 2.0})
    link.receive_data(b"Na 138\rK 4", 1.0)
    [block] = link.tick(3.0)
    assert isinstance(block, BlockReceived) and (block.text, block.last) == (b"Na 138\rK 4", False)
    assert link.stored(3.0) == [MessageBroken(Why.SILENCE)]
    link.receive_data(b"Na 139\r", 4.0)
    assert texts(link.tick(6.0)) == [b"Na 139\r"]


def test_the_analyser_takes_our_block_and_says_so() -> None:
    link = make_link("block", {"check": "xor"})
    link.send([b"S 01"], "order", 0.0)
    assert link.data_to_send() == b"\x02S 01\x03" + bytes([0x53 ^ 0x20 ^ 0x30 ^ 0x31 ^ 0x03])
    assert link.receive_data(ACK, 0.0) == [Sent("order")]


def test_an_order_is_repeated_and_then_given_up() -> None:
    link = make_link("block", {})
    link.send([b"S"], "order", 0.0)
    assert [link.tick(at) for at in (5.0, 10.0)] == [[], []]
    assert link.tick(15.0) == [SendFailed("order", Why.NO_REPLY)]
    assert link.data_to_send() == b"\x02S\x03" * 3


def test_an_order_waits_while_a_block_arrives() -> None:
    link = make_link("block", {})
    link.receive_data(b"\x02R 1", 0.0)
    link.send([b"S"], "order", 0.0)
    assert link.data_to_send() == b""
    talk(link, b"\x03")
    assert link.data_to_send() == b""  # it went out with the acknowledgement, see talk


def test_sebia_answers_with_a_block() -> None:
    options = {"ends": ["ETX", "EOT"], "acknowledge": "STX ACK ETX", "refuse": "STX NAK ETX"}
    events, out = talk(make_link("block", options), b"\x02J0001\x03\x02@0002\x04")
    assert texts(events) == [b"J0001", b"@0002"] and out == b"\x02\x06\x03" * 2


# ---- Dimension


def dimension(text: bytes) -> bytes:
    body = text + b"\x1c"
    return b"\x02" + body + b"%02X" % (sum(body) % 256) + b"\x03"


def test_dimension_a_poll_is_answered_without_asking_anybody() -> None:
    events, out = talk(make_link("dimension", {}), dimension(b"P\x1c12345\x1c1\x1c1"))

    assert events == [] and out == ACK + b"\x02N\x1c6A\x03"


def test_dimension_a_result_is_accepted_after_it_is_stored() -> None:
    link = make_link("dimension", {})
    result = dimension(b"R\x1c12345\x1c\x1c26000145\x1c1")
    assert len(link.receive_data(result, 0.0)) == 1 and link.data_to_send() == b""
    link.stored(0.0)
    assert link.data_to_send() == ACK + b"\x02M\x1cA\x1c\x1cE2\x03"


def test_dimension_a_query_hears_the_order_or_that_there_is_none() -> None:
    link = make_link("dimension", {})
    events, out = talk(link, dimension(b"I\x1c26000145"))
    assert texts(events) == [b"I\x1c26000145\x1c"] and out == ACK
    link.send([b"D\x1c0"], "order", 1.0)
    assert link.data_to_send() == b"\x02D\x1c0\x1cAC\x03"
    assert talk(link, ACK)[0] == [Sent("order")]

    talk(link, dimension(b"I\x1c26000152"), now=2.0)
    link.no_answer(2.5)
    assert link.data_to_send() == b"\x02N\x1c6A\x03"


def test_dimension_is_never_left_waiting_by_a_slow_core() -> None:
    link = make_link("dimension", {"answer_limit": 4.0})
    talk(link, dimension(b"I\x1c26000145"))
    assert link.deadline() == 4.0
    assert Note("no answer in time") in link.tick(4.0)
    assert link.data_to_send() == b"\x02N\x1c6A\x03"


def test_dimension_says_why_it_refused_an_order() -> None:
    link = make_link("dimension", {})
    link.send([b"D\x1c0"], "order", 0.0)
    talk(link, ACK)
    events, out = talk(link, dimension(b"M\x1cR\x1c5\x1c"))
    assert events == [Note("order refused: 5"), SendFailed("order", Why.REFUSED)] and out[:1] == ACK


# ---- LIS3, BCI, Ves-Matic


def test_lis3_an_announced_result_is_asked_for() -> None:
    """A host that only listens gets nothing but announcements."""
    data = (MESSAGES / "siemens-rapidpoint-500.bin").read_bytes()
    link = make_link("lis3", {})
    events, out = talk(link, data[: data.index(b"\x04") + 1])

    assert texts(events) == []
    assert out.startswith(b"\x02\x06\x030B\x04\x02SMP_REQ\x1c\x1eaMOD\x1d500\x1d\x1d\x1d\x1ciIID\x1d1234")
    assert b"rSEQ\x1d17" in out
    events, out = talk(link, b"\x02\x06\x030B\x04", data[data.index(b"\x04") + 1 :])
    assert [text[:12] for text in texts(events)] == [b"SMP_NEW_DATA", b"QC_NEW_DATA\x1c"]
    assert out == b"\x02\x06\x030B\x04" * 2


def test_bci_knocks_before_it_speaks() -> None:
    link = make_link("bci", {})
    link.send([b"\x1emtmpr|"], "order", 0.0)
    assert link.data_to_send() == b"\x05"
    link.receive_data(ACK, 0.0)
    body = b"\x1emtmpr|\x1d"
    assert link.data_to_send() == b"\x02" + body + b"%02x" % (sum(body) % 256) + b"\x03"
    assert link.receive_data(ACK, 0.0) == [Sent("order")]
    assert link.data_to_send() == b"\x04"


def test_ves_matic_mini_cube_wants_its_answer_a_second_later() -> None:
    link = make_link("ves-matic", {"delay": 1.0})
    body = b">00040150\r"
    check = 0
    for byte in body:
        check ^= byte
    events, out = talk(link, body + b"%02X" % check)
    assert texts(events) == [b"00040150"] and out == b"" and link.deadline() == 1.0
    link.tick(1.0)
    assert link.data_to_send() == b"\x0601\r"


# ---- Integra


def integra(code: bytes, lines: bytes, toggle: int) -> bytes:
    raw = b"\x01\n14 COBAS INTEGRA400 " + code + b"\n\x02\n" + lines + b"\x03\n%d\n" % toggle
    return raw + b"%03d\n" % (sum(raw) % 1000) + b"\x04\n"


def test_integra_is_polled_and_asking_on_is_the_acknowledgement() -> None:
    link = make_link("integra", {})
    link.connection_made(0.0)
    assert link.data_to_send() == b"\x01\n14 COBAS INTEGRA400 00\n\x02\n\x03\n\x04\n"  # synchronise
    link.tick(1.0)
    assert link.data_to_send() == integra(b"09", b"10 04\n", 0)

    result = integra(b"04", b"53 26000145        01/01/2026\n55 012\n00 5.2 mmol/L\n", 0)
    events, _ = talk(link, result, keep=False, now=2.0)  # the disk is full
    link.tick(40.0)
    assert link.data_to_send() == integra(b"09", b"10 04\n", 0)  # the same toggle: once more, please
    events, _ = talk(link, result, now=41.0)
    assert len(texts(events)) == 1
    link.tick(42.0)
    assert link.data_to_send() == integra(b"09", b"10 04\n", 1)


def test_integra_its_error_is_told() -> None:
    link = make_link("integra", {})
    events, _ = talk(link, integra(b"04", b"96 22\n", 0))
    assert events == [Note("instrument says 96 22")]


# ---- ADVIA


def advia(toggle: int, text: bytes) -> bytes:
    body = bytes([toggle]) + text + b"\r\n"
    return b"\x02" + body + bytes([lrc(body)]) + b"\x03"


def test_advia_begins_with_an_initialisation() -> None:
    link = make_link("advia", {})
    link.connection_made(0.0)
    assert link.data_to_send() == b"\x020I \r\n\x5e\x03"


def test_advia_after_the_initialisation_the_analyser_may_speak() -> None:
    link = make_link("advia", {})
    link.connection_made(0.0)
    talk(link, b"0")
    link.data_to_send()
    link.tick(0.0)
    assert link.data_to_send() == advia(0x31, b"S" + b" " * 10)


def test_advia_the_lrc_is_never_etx() -> None:
    assert lrc(b"\x01\x02") == 0x7F


def test_advia_a_result_is_validated_after_it_is_stored() -> None:
    link = make_link("advia", {})
    link.connection_made(0.0)
    talk(link, b"0")
    assert link.receive_data(advia(0x35, b"R 00000026000145"), 1.0) and link.data_to_send() == b""
    link.stored(1.0)
    assert link.data_to_send() == b"5"  # its toggle is the answer
    link.tick(1.0)
    assert link.data_to_send() == advia(0x36, b"Z" + b" " * 18 + b"0")


def test_advia_a_repeated_block_is_answered_and_not_taken_twice() -> None:
    link = make_link("advia", {})
    block = advia(0x35, b"R 1")
    assert len(texts(talk(link, block)[0])) == 1
    events, out = talk(link, block)
    assert events == [] and out == b"5"


def test_advia_in_doubt_begins_again() -> None:
    link = make_link("advia", {})
    link.connection_made(0.0)
    link.data_to_send()
    link.tick(5.0)
    assert link.data_to_send() == b"\x020I \r\n\x5e\x03"


# ---- Coulter


def coulter(number: int, text: bytes) -> bytes:
    data = text.ljust(256, b"\x00")
    return b"\x02%02X" % number + data + b"%04X" % binascii.crc_hqx(data, 0xFFFF) + b"\x03"


def test_coulter_collects_the_announced_blocks() -> None:
    link = make_link("coulter", {})
    events, out = talk(link, b"\x16", b"02", coulter(1, b"ID1 26000145\r\nWB"), coulter(2, b"C 7.2\r\n"))

    blocks = [event for event in events if isinstance(event, BlockReceived)]
    assert [block.last for block in blocks] == [False, True] and events[0] == Note("CRC is ccitt-ffff")
    assert out == b"\x16" + ACK * 3


def test_coulter_a_repeated_block_is_answered_and_not_taken_twice() -> None:
    link = make_link("coulter", {})
    talk(link, b"\x1602", coulter(1, b"A"))
    events, out = talk(link, coulter(1, b"A"))
    assert events == [] and out == ACK


def test_coulter_a_wrong_crc_is_refused() -> None:
    link = make_link("coulter", {})
    talk(link, b"\x1601")
    bad = coulter(1, b"A").replace(b"A", b"B", 1)
    events, out = talk(link, bad)
    assert [event.why for event in events if isinstance(event, BlockRefused)] == [Why.CHECK] and out == NAK


# ---- other text in ASTM frames


def test_iris_its_ping_comes_back_and_is_kept_nowhere() -> None:
    link = make_link("astm", {"echo": ["<IRISPing/>"]})
    link.connection_made(0.0)
    body = b"1<IRISPing/>\x03"
    frame = b"\x02" + body + b"%02X" % (sum(body) % 256) + b"\r\n"
    events, out = talk(link, b"\x05", frame, b"\x04")
    assert texts(events) == [] and out.startswith(ACK + ACK)
    for at in range(1, 60):
        link.tick(float(at))
        out += link.data_to_send()
        if out.endswith(b"\x05"):
            out += talk(link, ACK, now=float(at))[1]
    assert b"<IRISPing/>" in out


# ---- what holds for all of them


KINDS = {
    "tosoh-g8": ("block", {"check": "xor", "closes": "EOT", "hello": ["ENQ"], "join": "LF"}),
    **{key: ("dimension", {}) for key in ("siemens-dimension-exl",)},
    "siemens-rapidpoint-500": ("lis3", {}),
    "biomerieux-vidas": ("bci", {}),
    "diesse-ves-matic-cube": ("ves-matic", {}),
    "roche-integra-400": ("integra", {}),
    "siemens-advia-2120": ("advia", {}),
    "beckman-lh-780": ("coulter", {}),
    "helena-junior-24": ("block", {"start": "", "answer": False, "bare_end": "\x04"}),
    "medica-easylyte": ("block", {"start": "", "answer": False, "bare_end": "\r\n?\r\n?\r"}),
    "bd-sedi-15": ("block", {"check": "or", "check_covers": "text", "hello": ["SOH"], "closes": "EOT"}),
}


@pytest.mark.parametrize("key", sorted(KINDS))
@given(cuts=st.lists(st.integers(0, 3000), max_size=12))
@settings(max_examples=25, deadline=None)
def test_where_the_bytes_are_cut_changes_nothing(key: str, cuts: list[int]) -> None:
    kind, options = KINDS[key]
    data = (MESSAGES / f"{key}.bin").read_bytes()
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    chunks = [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]

    assert _told(make_link(kind, options), chunks) == _told(make_link(kind, options), [data])


def _told(link: TextLink, chunks: Sequence[bytes]) -> tuple[list[Event], bytes]:
    events, out = talk(link, *chunks)
    if isinstance(link, (DimensionLink, Lis3Link)):  # when it is our turn depends on what they have said already
        out = b""
    return [event for event in events if not isinstance(event, Ignored)], out


@pytest.mark.parametrize("key", sorted(KINDS))
def test_byte_by_byte_is_the_same_as_at_once(key: str) -> None:
    kind, options = KINDS[key]
    data = (MESSAGES / f"{key}.bin").read_bytes()
    whole = _told(make_link(kind, options), [data])

    assert _told(make_link(kind, options), [data[at : at + 1] for at in range(len(data))]) == whole
    assert whole[0], "the message of a model holds a block"


@pytest.mark.parametrize("key", sorted(KINDS))
@given(chunks=st.lists(st.binary(max_size=60), max_size=8), at=st.floats(0, 100))
@settings(max_examples=40, deadline=None)
def test_nothing_a_peer_sends_raises(key: str, chunks: list[bytes], at: float) -> None:
    kind, options = KINDS[key]
    link = make_link(kind, options)
    link.connection_made(0.0)
    link.send([b"order"], "token", 0.0)
    for chunk in chunks:
        talk(link, chunk, now=at)
        link.tick(at)
    talk(link, *[chunk + b"\x02\x03\x04\x05\x06\x15\r\n" for chunk in chunks], keep=False, now=at)
    link.tick(at + 100)
    link.connection_lost(at + 100)
    assert link.deadline() is None


@pytest.mark.parametrize("key", sorted(KINDS))
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_after_a_disturbance_the_next_message_is_read(key: str, data: st.DataObject) -> None:
    """Garbage without control characters, then the message once more: after at most one silence it is there."""
    kind, options = KINDS[key]
    message = (MESSAGES / f"{key}.bin").read_bytes()
    expected = texts(talk(make_link(kind, options), message)[0])
    link = make_link(kind, options)
    talk(link, data.draw(st.binary(max_size=40)))
    link.tick(1000.0)
    link.tick(2000.0)
    talk(link, b"", now=2000.0)
    link.connection_lost(2000.0)
    assert texts(talk(link, message, now=2001.0)[0]) == expected or kind in ("advia", "coulter", "integra")


def test_wrong_words_are_refused_when_a_line_is_set_up() -> None:
    with pytest.raises(ValueError, match="böyle bir hat türü yok"):
        make_link("pigeon", {})
    with pytest.raises(ValueError, match="bilinmeyen ayar: colour"):
        make_link("block", {"colour": 1})
    with pytest.raises(ValueError, match="denetim karakteri değil"):
        make_link("block", {"start": "XYZ"})
    with pytest.raises(ValueError, match="bare_end ya da pause"):
        make_link("block", {"start": ""})
    assert control("STX 0D LF") == b"\x02\r\n"


def test_every_text_definition_sets_up_a_line() -> None:
    for definition in load_catalog():
        if definition.file.wire is not None:
            make_link(definition.file.wire.kind, definition.link_options())
