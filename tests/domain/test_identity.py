"""Identity numbers, dates and ages as people write them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis_core.domain.identity import (
    age_text,
    format_date_tr,
    is_synthetic_tc,
    parse_date_tr,
    synthetic_tc,
    tc_problem,
)


@pytest.mark.parametrize("number", ["10000000146", "12345678950", "98765432150", "17291716060", " 10000000146 "])
def test_numbers_that_may_be_right(number: str) -> None:
    assert tc_problem(number) is None


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("", "numara yazılmamış"),
        ("1000000014", "11 rakam olmalı, 10 rakam yazılmış"),
        ("00000000000", "0 ile başlayamaz"),
        ("1000000014A", "yalnız rakamlardan oluşmalı"),
        ("100 000 001 46", "yalnız rakamlardan oluşmalı"),
        ("١٠٠٠٠٠٠٠١٤٦", "yalnız rakamlardan oluşmalı"),
        ("10000000145", "kontrol rakamları tutmuyor, rakamları yeniden kontrol edin"),
        ("10000000416", "kontrol rakamları tutmuyor, rakamları yeniden kontrol edin"),
    ],
)
def test_a_wrong_number_is_refused_with_its_reason(number: str, problem: str) -> None:
    assert tc_problem(number) == problem


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    assert tc_problem(text) is None or tc_problem(text)


@given(st.integers(0, 999_999), st.integers(0, 10), st.integers(1, 9))
def test_one_mistyped_digit_is_noticed(n: int, place: int, by: int) -> None:
    right = synthetic_tc(n)
    wrong = right[:place] + str((int(right[place]) + by) % 10) + right[place + 1 :]

    assert tc_problem(right) is None
    assert tc_problem(wrong) is not None


def test_invented_people_have_numbers_of_their_own() -> None:
    numbers = [synthetic_tc(n) for n in range(5_000)]

    assert len(set(numbers)) == 5_000
    assert all(number.startswith("900") and is_synthetic_tc(number) for number in numbers)
    assert synthetic_tc(7) == synthetic_tc(7)
    assert not is_synthetic_tc("10000000146")
    assert not is_synthetic_tc("90000000000")


def test_there_is_no_invented_person_beyond_the_block() -> None:
    for n in (-1, 1_000_000):
        with pytest.raises(ValueError, match="0 to 999999"):
            synthetic_tc(n)


def test_check_digits_worked_out_by_hand() -> None:
    """900000001: odd places 9+0+0+0+1 = 10, even places 0; 7 * 10 mod 10 = 0; then (10 + 0 + 0) mod 10 = 0."""
    assert synthetic_tc(1) == "90000000100"


@pytest.mark.parametrize(
    ("text", "day"),
    [("22.11.2026", date(2026, 11, 22)), ("1.2.2026", date(2026, 2, 1)), (" 29.02.2024 ", date(2024, 2, 29))],
)
def test_dates_are_read_day_first(text: str, day: date) -> None:
    assert parse_date_tr(text) == day


@pytest.mark.parametrize("text", ["", "22.11.26", "2026-11-22", "11/22/2026", "22.11.2026.", "bugün", "٢٢.١١.٢٠٢٦"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"GG\.AA\.YYYY"):
        parse_date_tr(text)


@pytest.mark.parametrize("text", ["31.02.2026", "29.02.2025", "01.13.2026", "00.01.2026", "01.01.0000"])
def test_a_day_that_never_was_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="böyle bir gün yok"):
        parse_date_tr(text)


@given(st.dates())
def test_every_date_is_written_and_read_back(day: date) -> None:
    assert parse_date_tr(format_date_tr(day)) == day


@pytest.mark.parametrize(
    ("birth", "text"),
    [
        (date(1980, 3, 4), "46 Y"),
        (date(1980, 11, 22), "46 Y"),
        (date(1980, 11, 23), "45 Y"),
        (date(2026, 3, 10), "8 ay"),
        (date(2024, 11, 22), "2 Y"),
        (date(2024, 11, 23), "23 ay"),
        (date(2026, 10, 22), "1 ay"),
        (date(2026, 10, 23), "30 gün"),
        (date(2026, 11, 10), "12 gün"),
        (date(2026, 11, 22), "0 gün"),
        (date(2026, 11, 23), "?"),
        (None, "?"),
    ],
)
def test_age_beside_the_name(birth: date | None, text: str) -> None:
    assert age_text(birth, date(2026, 11, 22)) == text
