"""Where documents begin and end on the line, and what a document may be."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols import poct1a
from drivers.protocols.poct1a import Head, Poct1aError, build, group, item, parse
from drivers.protocols.poct1a_stream import Document, DocumentReader, Found, Junk, Refused, WhyNot
from tests.poct1a.kit import NOON, hello, result, status

DECLARED = b'<?xml version="1.0" encoding="utf-8"?>'
TRICKY = (
    DECLARED + b'<!-- a > b </OBS.R01> --><OBS.R01><HDR><HDR.control_id V="1"/></HDR>'
    b"<NTE.text V='a > b \" c'/><![CDATA[</OBS.R01> <x>]]><SVC  /><!-- <OBS.R01> --></OBS.R01>"
)
LINE = (
    hello() + DECLARED + status() + b"\r\n\x00 " + TRICKY + b"\x0b" + result(3) + b"\x1c\r" + DECLARED + b"<X.y V='1'/>"
)


def read(*pieces: bytes, most: int = 1_000_000) -> list[Found]:
    reader, found = DocumentReader(most), []
    for piece in pieces:
        reader.feed(piece)
        while (one := reader.next()) is not None:
            found.append(one)
    rest = reader.give_up()
    return found if rest is None else [*found, rest]


def test_documents_follow_one_another_with_anything_white_between() -> None:
    found = read(LINE)

    assert [type(one) for one in found] == [Document] * 5
    assert [one.raw for one in found] == [
        hello(), DECLARED + status(), TRICKY, result(3), DECLARED + b"<X.y V='1'/>",
    ]  # fmt: skip
    assert [one.wrapped for one in found if isinstance(one, Document)] == [False, False, False, True, False]


@given(cuts=st.lists(st.integers(0, len(LINE)), max_size=40))
@settings(max_examples=60)
def test_where_the_network_cuts_changes_nothing(cuts: list[int]) -> None:
    places = sorted({0, *cuts, len(LINE)})
    assert read(*(LINE[a:b] for a, b in pairwise(places))) == read(LINE)


def test_byte_by_byte() -> None:
    assert read(*(LINE[at : at + 1] for at in range(len(LINE)))) == read(LINE)


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"<", b"<!", b"<?xml ", b"</a>", b'<a b="', hello()])))
)
@settings(max_examples=150)
def test_whatever_comes_nothing_is_lost_and_nothing_raises(pieces: list[bytes]) -> None:
    found = read(*pieces)
    whole = b"".join(pieces)
    for one in found:
        assert one.raw in whole
        if isinstance(one, Document):
            with contextlib.suppress(Poct1aError):
                parse(one.raw)


@pytest.mark.parametrize("half", [result(7)[:60], result(7)[:-3], result(7)[: result(7).index(b'V="5.4') + 5]])
@pytest.mark.parametrize("start", [b"", DECLARED])
def test_a_document_that_breaks_off_gives_way_to_the_next(half: bytes, start: bytes) -> None:
    """Its beginning shows: an XML declaration, or a root that never stands inside another message."""
    found = read(half + start + hello())

    assert isinstance(found[0], Refused) and found[0].why is WhyNot.CUT_OFF
    assert found[1:] == [Document(start + hello(), False)]


def test_a_document_without_end_is_dropped_at_the_limit_and_the_line_goes_on() -> None:
    found = read(b"<OBS.R01><HDR/>", *[b'<OBS V="0123456789"/>'] * 100, b"x" * 3000, DECLARED + status(), most=1_000)

    assert isinstance(found[0], Refused) and found[0].why is WhyNot.TOO_LONG and len(found[0].raw) <= 1_100
    assert found[1:] == [Document(DECLARED + status(), False)]


def test_a_document_type_is_dropped_and_never_read() -> None:
    bomb = b'<!DOCTYPE OBS.R01 [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    found = read(DECLARED + bomb + result(9) + status())

    assert isinstance(found[0], Refused) and found[0].why is WhyNot.DECLARES
    assert found[1:] == [Document(result(9), False), Document(status(), False)]
    for text in (bomb + result(9), result(9).replace(b"5.4", b"&b;"), b"<a>&lol;</a>"):
        with pytest.raises(Poct1aError):
            parse(text)


@pytest.mark.parametrize(
    "text",
    [b"", b"<a>", b"<a></b>", b"<a/><b/>", b"<a " + b"b" * 9 + b"/>", b"<a>" * 40 + b"</a>" * 40, b"\xff\xfe<\x00"],
)
def test_what_is_no_document_is_refused(text: bytes) -> None:
    with pytest.raises(Poct1aError):
        parse(text)


def test_too_many_elements_are_refused() -> None:
    with pytest.raises(Poct1aError):
        parse(b"<a>" + b"<b/>" * 20_001 + b"</a>")


def test_junk_is_told() -> None:
    assert read(b"\xfe~\x00\x7f#" + hello()) == [Junk(b"\xfe~\x00\x7f#"), Document(hello(), False)]


# ---- what a document says


def test_turkish_letters_without_a_declaration_are_read() -> None:
    for encoding in ("utf-8", "cp1254"):
        message = parse('<OBS.R01><NTE.text V="Şüpheli ığ"/></OBS.R01>'.encode(encoding))
        assert message.value("NTE.text") == "Şüpheli ığ"
    message = parse('<?xml version="1.0" encoding="iso-8859-9"?><a V="ığ"/>'.encode("cp1254"))
    assert message.value() == "ığ"


def test_golden_document() -> None:
    """Written out by hand after CLSI POCT01-A2; `&`, quotes and line ends are quoted, control characters left out."""
    made = build(
        "ACK.R01", Head("7", NOON), group("ACK", item("ACK.type_cd", "AA"), item("ACK.note_txt", 'a&"<\n\x01b'))
    )

    assert made == (
        b'<?xml version="1.0" encoding="utf-8"?><ACK.R01><HDR><HDR.message_type V="ACK.R01"/><HDR.control_id V="7"/>'
        b'<HDR.version_id V="POCT1"/><HDR.creation_dttm V="2026-01-01T12:00:00+03:00"/></HDR>'
        b'<ACK><ACK.type_cd V="AA"/><ACK.note_txt V="a&amp;&quot;&lt;&#10;b"/></ACK></ACK.R01>'
    )


@given(st.text(max_size=50))
def test_any_text_survives_writing_and_reading(text: str) -> None:
    """Save what XML has no way to say."""
    message = parse(build("PTL.R01", Head("1", NOON), poct1a.patient(poct1a.Patient("1", family=text))))
    element = message.root.first("PT", "PT.name", "FAM")
    said = element.attributes["V"] if element is not None else ""
    assert said == "".join(
        letter
        for letter in text
        if letter in "\t\n\r" or " " <= letter <= "\ud7ff" or (letter >= "\ue000" and letter not in "\ufffe\uffff")
    )


def test_a_hello_says_who_and_what() -> None:
    said = poct1a.hello(parse(hello(topics="D_EV OP_LST")))

    assert (said.vendor, said.model, said.serial, said.timeout) == ("DENEME", "HB-1", "417", 60.0)
    assert said.directives == {"START_CONTINUOUS", "SET_TIME"} and said.takes_operators


def test_the_control_id_of_what_cannot_be_read() -> None:
    assert poct1a.control_id_in(result(12)[:-4]) == "12" and poct1a.control_id_in(b"<a>") == ""
    assert poct1a.same_id("0007", "7") and not poct1a.same_id("70", "7")
