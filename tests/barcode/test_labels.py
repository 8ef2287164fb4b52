"""Labels: what stands on them, where, and that a printer's and a screen's bars can be read."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode import code128
from barcode.label import (
    BAR_HEIGHT,
    LabelError,
    LabelLayout,
    Text,
    label_svg,
    set_label,
    set_sheet,
    text_width,
    tube_label,
)
from barcode.numbers import TubeKind, tube_barcode
from barcode.zpl import Dpi, code128_field, escape, zpl
from tests.barcode.pictures import draw_svg, draw_zpl, read_bars, svg_texts, unescape, zpl_labels

WIDTHS = dict(enumerate([*code128._PATTERNS, code128._STOP]))
TUBES = [TubeKind("01", "Biyokimya"), TubeKind("02", "Hemogram"), TubeKind("03", "Hormon-ELISA"), TubeKind("04", "TİT")]


def a_tube(
    number: str = "1001",
    *,
    group: str = "Biyokimya",
    given_name: str = "Ayşe",
    family_name: str = "Yılmaz",
    sender: str = "Dr A",
) -> LabelLayout:
    return tube_label(
        number=number,
        barcode=tube_barcode(number, "01"),
        group=group,
        given_name=given_name,
        family_name=family_name,
        sender=sender,
    )


def words(label: LabelLayout) -> list[str]:
    return [item.text for item in label.texts]


# --- what stands on a label


@pytest.mark.clause("9.2.1d")
def test_the_label_of_a_tube_says_group_patient_number_and_sender() -> None:
    """Ayşe Yılmaz, 1001, Dr A, Biyokimya: all four in the printer's commands, and the bars scan as that tube."""
    job = zpl([a_tube()])

    (label,) = zpl_labels(job)
    assert label["texts"] == ["Biyokimya", "Ayşe Yılmaz", "1001", "100101", "Dr A"]
    assert read_bars(draw_zpl(job, WIDTHS)) == ["100101"]
    assert svg_texts(label_svg(a_tube())) == label["texts"]
    assert read_bars(draw_svg(label_svg(a_tube()))) == ["100101"]


@pytest.mark.clause("9.2.1e")
@pytest.mark.clause("9.2.3")
def test_the_sets_1001_and_1002_come_out_together_in_the_order_of_their_tubes() -> None:
    sheet = set_sheet(["1001", "1002"], TUBES)
    printed = zpl_labels(zpl(sheet))

    assert [label["texts"][0] for label in printed] == ["1001"] * 4 + ["1002"] * 4
    captions = ["1 - Biyokimya", "2 - Hemogram", "3 - Hormon-ELISA", "4 - TİT"]
    assert [label["texts"][-1] for label in printed] == captions * 2
    assert [read_bars(draw_svg(label_svg(label))) for label in sheet] == [
        [number + code] for number in ("1001", "1002") for code in ("01", "02", "03", "04")
    ]
    for label in sheet:  # the tube group stands under the bars
        assert label.texts[-1].y > label.bars.y + label.bars.height


def test_a_scan_of_the_bars_and_the_typed_number_name_the_same_tube() -> None:
    label = a_tube("26000145")

    assert "26000145" in words(label) and "2600014501" in words(label)
    assert label.bars.text == "2600014501"


# --- where it stands

LETTERS = "ABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZabcçdefgğhıijklmnoöprsştuüvyzWM^~_\\ -'.<>&\n\t\x00"
NAMES = st.text(st.sampled_from(LETTERS) | st.characters(), max_size=60)
SHORT_NUMBERS = st.from_regex(r"[1-9][0-9]{0,15}", fullmatch=True)


def box(item: Text) -> tuple[float, float, float, float]:
    width = text_width(item.text, item.size, bold=item.bold)
    left = item.x + item.width - width if item.right else item.x
    return left, item.y, left + width, item.y + item.size


def apart(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    beside = one[2] <= other[0] + 1e-6 or other[2] <= one[0] + 1e-6
    return beside or one[3] <= other[1] + 1e-6 or other[3] <= one[1] + 1e-6


def check_places(label: LabelLayout) -> None:
    bars = label.bars
    boxes = [box(item) for item in label.texts] + [(bars.x, bars.y, bars.x + bars.width, bars.y + bars.height)]
    for left, top, right, bottom in boxes:
        assert left >= 1.5 - 1e-6 and top >= 1.5 - 1e-6
        assert right <= 40 - 1.5 + 1e-6 and bottom <= 25 - 1.5 + 1e-6
    for place, one in enumerate(boxes):
        assert all(apart(one, other) for other in boxes[place + 1 :])
    assert bars.height >= BAR_HEIGHT
    assert min(bars.x, 40 - bars.x - bars.width) >= code128.QUIET_ZONE * bars.module - 1e-6


@pytest.mark.clause("9.2.9b")
@given(SHORT_NUMBERS, NAMES, NAMES, NAMES, NAMES)
def test_nothing_is_printed_in_the_margin_nor_over_another_line(
    number: str, group: str, given_name: str, family_name: str, sender: str
) -> None:
    """1.5 mm on every side stay white, whatever the names are."""
    check_places(a_tube(number, group=group, given_name=given_name, family_name=family_name, sender=sender))
    check_places(set_label(number=number, barcode=tube_barcode(number, "04"), caption=group))


@pytest.mark.clause("9.2.9a")
def test_the_label_measures_40_by_25_millimetres() -> None:
    svg = label_svg(a_tube(), module_pixels=None)

    assert 'width="40mm" height="25mm" viewBox="0 0 40 25"' in svg
    (at_203,), (at_300,) = zpl_labels(zpl([a_tube()], dpi=203)), zpl_labels(zpl([a_tube()], dpi=300))
    assert (at_203["PW"], at_203["LL"]) == (["320"], ["200"])
    assert (at_300["PW"], at_300["LL"]) == (["472"], ["295"])
    assert at_203["BY"] == ["2,3,80"]


def test_a_long_name_keeps_its_family_name() -> None:
    def printed(given_name: str, family_name: str) -> str:
        return words(a_tube(given_name=given_name, family_name=family_name))[1]

    assert printed("Fatma Nur", "Büyükkılıçoğlu") == "Fatma Nur Büyükkılıçoğlu"
    assert printed("Muhammed Abdurrahman", "Kasapoğulları") == "Muhammed A. Kasapoğulları"
    assert printed("Muhammed Abdurrahman", "Kasapoğullarındanoğlu") == "M. A. Kasapoğullarındanoğlu"
    shortened = printed("Muhammed Abdurrahman", "Kasapoğullarındanoğullarıgillerzade")
    assert shortened.startswith("M. A. Kasapoğullarındanoğul")
    assert shortened.endswith("..")  # a shortened family name shows that it was shortened


def test_a_number_too_long_for_a_readable_symbol_is_refused_with_a_sentence() -> None:
    """20 digits fit only where the printer is fine enough; they are never printed unreadably."""
    label = a_tube("9" * 18)

    assert read_bars(draw_zpl(zpl([label], dpi=300), WIDTHS)) == ["9" * 18 + "01"]
    with pytest.raises(LabelError, match="300 dpi yazıcı gerekir"):
        zpl([label], dpi=203)
    with pytest.raises(LabelError, match="sığmıyor"):
        tube_label(number="1", barcode="1" * 60, group="", given_name="", family_name="", sender="")


# --- the printer's language


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"[1-9][0-9]{0,13}", fullmatch=True), st.sampled_from([203, 300]))
def test_the_printers_bars_are_read_back(number: str, dpi: Dpi) -> None:
    job = zpl([a_tube(number)], dpi=dpi)

    assert read_bars(draw_zpl(job, WIDTHS)) == [number + "01"]


@settings(max_examples=200, deadline=None)
@given(SHORT_NUMBERS)
def test_the_screens_bars_are_read_back(number: str) -> None:
    assert read_bars(draw_svg(label_svg(a_tube(number)))) == [number + "01"]


def test_one_label_as_the_printer_gets_it() -> None:
    """Written by hand from the printer's guide."""
    assert zpl([a_tube()]).decode() == (
        "^XA\n^CI28\n^MNY\n^PW320\n^LL200\n^LH0,0\n"
        "^FO92,64^BY2,3,80^BCN,80,N,N,N,N^FD>;100101^FS\n"
        "^FO12,12^A0N,24,24^FH_^FDBiyokimya^FS\n"
        "^FO12,37^A0N,26,26^FH_^FDAyşe Yılmaz^FS\n"
        "^FO12,146^A0N,22,22^FH_^FD1001^FS\n"
        "^FO245,146^A0N,19,19^FB62,1,0,R^FH_^FD100101^FS\n"
        "^FO12,169^A0N,18,18^FH_^FDDr A^FS\n"
        "^PQ1\n^XZ\n"
    )


def test_subsets_are_invoked_as_the_guide_says() -> None:
    assert code128_field("1001") == ">;1001"
    assert code128_field("11001") in (">:1>51001", ">;1100>61")
    with pytest.raises(ValueError):
        code128_field("10^FS")


def test_a_name_is_never_a_command() -> None:
    label = a_tube(given_name="^FS^XZ~JA", family_name="_5E\\&\r\n", sender="~DG^XA")
    job = zpl([label])

    assert job.count(b"^XA") == job.count(b"^XZ") == 1
    assert b"~" not in job
    (read,) = zpl_labels(job)
    assert read["texts"][1] == "^FS^XZ~JA _5E\\&"
    assert read["texts"][-1] == "~DG^XA"


@given(NAMES, NAMES, NAMES)
def test_whatever_is_typed_the_printer_gets_the_same_commands(given_name: str, family_name: str, sender: str) -> None:
    plain = zpl([a_tube()])
    job = zpl([a_tube(given_name=given_name, family_name=family_name, sender=sender)])

    assert job.count(b"^") == plain.count(b"^")
    assert b"~" not in job
    assert all(sign >= 0x20 or sign == 0x0A for sign in job)
    assert job.count(b"\n") == plain.count(b"\n")


@given(NAMES)
def test_what_was_escaped_is_printed_as_it_was_typed(name: str) -> None:
    composed = unicodedata.normalize("NFC", name)

    assert unescape(escape(name)) == "".join(letter if letter.isprintable() else " " for letter in composed)


def test_turkish_letters_go_out_as_utf_8_or_without_their_marks() -> None:
    label = a_tube(given_name="Çağrı İbrahim", family_name="ÖZGÜŞ", sender="Îlhan Đ")

    assert "Çağrı İbrahim ÖZGÜŞ".encode() in zpl([label])
    plain = zpl([label], turkish_letters=False)
    assert plain.isascii()
    assert b"Cagri Ibrahim OZGUS" in plain
    assert b"Ilhan ?" in plain


def test_a_stored_font_is_named_and_nothing_else_can_be() -> None:
    assert b"^A@N,24,24,E:TT0003M_.TTF^FH_^FDBiyokimya^FS" in zpl([a_tube()], font="E:TT0003M_.TTF")
    with pytest.raises(ValueError, match="font"):
        zpl([a_tube()], font="0^XZ")


def test_names_are_escaped_on_the_screen_too() -> None:
    svg = label_svg(a_tube(given_name="<script>alert(1)</script>", family_name="&"))

    assert "<script>" not in svg
    assert svg_texts(svg)[1].startswith("<script>")
