"""Our Code 128 symbols: check values worked out elsewhere, and pictures read by an independent reader."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode import code128
from tests.barcode.pictures import draw_svg, read_bars, svg_texts


@pytest.mark.parametrize(
    ("text", "prefer", "path", "check"),
    [
        ("PJJ123C", "A", [103, 48, 42, 42, 17, 18, 19, 35], 54),
        ("HI345678", "A", [103, 40, 41, 99, 34, 56, 78], 67),
        ("345678", "B", [105, 34, 56, 78], 73),
        ("abcdef", "B", [104, 65, 66, 67, 68, 69, 70], 97),
        ("1001", "B", [105, 10, 1], 14),
        ("2600010014", "B", [105, 26, 0, 1, 0, 14], 101),
        ("0000100102", "B", [105, 0, 0, 10, 1, 2], 46),
    ],
)
def test_golden_check_values(text: str, prefer: Literal["A", "B"], path: list[int], check: int) -> None:
    """From the published examples of the symbology, and by hand (domain facts, 6)."""
    assert code128.symbols(text, prefer=prefer) == [*path, check]


def test_the_check_value_depends_on_the_path() -> None:
    """HI345678 written in B from end to end has 26, not 67: only decoded texts can be compared between encoders."""
    assert code128.check_value([104, *(ord(letter) - 32 for letter in "HI345678")]) == 26


@pytest.mark.parametrize(("digits", "millimetres"), [(4, 19.3), (6, 22.0), (8, 24.8), (10, 27.5), (12, 30.3)])
def test_width_of_a_number_with_its_quiet_zones(digits: int, millimetres: float) -> None:
    """Domain facts, 6: at 0.25 mm a module."""
    width = (sum(code128.modules("1" * digits)) + 2 * code128.QUIET_ZONE) * 0.25

    assert width == pytest.approx(millimetres, abs=0.06)


def test_every_symbol_begins_and_ends_with_a_bar_and_fills_its_modules() -> None:
    widths = code128.modules("2600014501")

    assert len(widths) % 2 == 1
    assert sum(widths) == 11 * 5 + 35
    assert code128.bars("2600014501")[-1] == (88, 2)


@pytest.mark.parametrize("text", ["", "Şeker", "１００１"])
def test_what_the_symbology_has_no_sign_for_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        code128.symbols(text)


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"[0-9]{1,20}", fullmatch=True))
def test_any_number_is_read_back_from_the_picture(number: str) -> None:
    assert read_bars(draw_svg(code128.svg(number))) == [number]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=15))
def test_any_ascii_text_is_read_back_from_the_picture(text: str) -> None:
    assert read_bars(draw_svg(code128.svg(text, caption=""))) == [text]


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_each_pattern_of_the_table_is_read_back(first: int) -> None:
    pairs = "".join(f"{pair:02d}" for pair in range(first, first + 10))

    assert read_bars(draw_svg(code128.svg(pairs))) == [pairs]


@given(st.text(st.sampled_from("0123456789Aa\r"), min_size=1, max_size=7))
def test_no_other_path_is_shorter(text: str) -> None:
    """Against every path there is, tried one after the other."""

    def shortest(place: int, subset: str) -> int:
        if place == len(text):
            return 0
        ways = []
        for target in "ABC":
            turn = target != subset
            if target == "C":
                if text[place : place + 2].isdigit() and len(text) > place + 1:
                    ways.append(turn + 1 + shortest(place + 2, "C"))
            elif (text[place] < "`") if target == "A" else (text[place] >= " "):
                ways.append(turn + 1 + shortest(place + 1, target))
                if turn and subset != "C":
                    ways.append(2 + shortest(place + 1, subset))  # shift
        return min(ways)

    expected = min(shortest(0, start) for start in "ABC")
    assert len(code128.symbols(text)) == expected + 2  # start and check


@given(st.from_regex(r"[0-9]{1,20}", fullmatch=True))
def test_the_path_of_a_number_says_the_number(number: str) -> None:
    assert "".join(digits for _, digits in code128.subset_path(number)) == number


def test_the_picture_repeats_the_number_and_escapes_what_is_written_under_it() -> None:
    assert svg_texts(code128.svg("1001")) == ["1001"]
    assert svg_texts(code128.svg("1001", caption="<script>&")) == ["<script>&"]
    assert "<script>" not in code128.svg("1001", caption="<script>&")
