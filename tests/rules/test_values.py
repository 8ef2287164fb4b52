"""The text that an instrument printed, and the number that may stand beside it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.values import Reading, fold, read_value

PLAIN = {
    "92": "92",
    "6.52": "6.52",
    "5.40": "5.40",
    "173.": "173",
    ".5": "0.5",
    " 6.52 ": "6.52",
    "-0.12": "-0.12",
    "2.52E+3": "2520",
    "1e-2": "0.01",
    "+2.3": "2.3",
    "007": "7",
}

NOT_NUMBERS = [
    "",
    ".",
    "-",
    "NA",
    "-----",
    "No Result",
    "2.52E+3 (3.40)",
    "6.73E+01 cp/mL",
    "1:80",
    "+1",
    "3+",
    "5-10",
    "62~67",
    "1_000",
    "Infinity",
    "NaN",
    "1E999",
    "١٢٣",
    "1.2.3",
    "8,11",
    "1,234.5",
    "9" * 60,
]


@pytest.mark.parametrize(("text", "number"), PLAIN.items())
def test_a_plain_number_is_read_and_its_text_kept(text: str, number: str) -> None:
    reading = read_value(text)

    assert reading.text == text
    assert reading.number == Decimal(number)
    assert reading.comparator == ""
    assert reading.bound is None


def test_the_digits_that_were_printed_stay() -> None:
    """5.40 and 5.4 are equal but not the same statement of precision."""
    assert str(read_value("5.40").number) == "5.40"


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_what_is_no_plain_number_gets_none(text: str) -> None:
    assert read_value(text) == Reading(text, None, "", None)


@pytest.mark.parametrize(
    ("text", "comparator", "bound"),
    [
        ("<0.010", "<", "0.010"),
        ("< 20", "<", "20"),
        (">8", ">", "8"),
        (" >= 350 ", ">=", "350"),
        ("<=5", "<=", "5"),
        ("≤5", "<=", "5"),
        ("=>60", ">=", "60"),
    ],
)
def test_a_bound_is_not_the_value(text: str, comparator: str, bound: str) -> None:
    reading = read_value(text)

    assert reading == Reading(text, None, comparator, Decimal(bound))


@pytest.mark.parametrize("text", ["< Titer min", ">1:80", "<", "<>5", "<LOQ"])
def test_a_sign_before_something_else_is_text(text: str) -> None:
    assert read_value(text) == Reading(text, None)


def test_decimal_comma_is_a_setting_of_the_instrument_never_a_guess() -> None:
    assert read_value("8,11", decimal_comma=True).number == Decimal("8.11")
    assert read_value("8,11").number is None
    assert read_value("1.234", decimal_comma=True).number is None  # may be one thousand two hundred and thirty-four
    assert read_value("<0,5", decimal_comma=True).bound == Decimal("0.5")
    assert read_value("173", decimal_comma=True).number == Decimal(173)


@pytest.mark.parametrize(
    "text", ["", "  ", "-----", "NA", "n/a", "No Result", "ValueNotSet", "Invalid", "****", "YETERSİZ"]
)
def test_no_result_is_recognised(text: str) -> None:
    assert read_value(text).is_missing


@pytest.mark.parametrize("text", ["0", "<5", "Negatif", "+", "++", "±", "1:80", "Not Detected"])
def test_a_result_is_not_missing(text: str) -> None:
    assert not read_value(text).is_missing


def test_words_are_compared_whatever_their_case_and_dots() -> None:
    assert fold("NEGATİF") == fold("NEGATIF") == fold("  Negatif ") == "negatif"


@given(st.text(), st.booleans())
def test_any_text_is_read_and_kept(text: str, decimal_comma: bool) -> None:
    reading = read_value(text, decimal_comma=decimal_comma)

    assert reading.text == text
    assert (reading.comparator == "") == (reading.bound is None)
    assert reading.number is None or reading.bound is None
    assert isinstance(reading.is_missing, bool)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4))
def test_every_printed_decimal_comes_back(number: Decimal) -> None:
    assert read_value(str(number)).number == number
    assert read_value(f"{number:f}").number == number
    assert read_value(f"<{number:f}").bound == number
