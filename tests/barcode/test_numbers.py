"""Order numbers, tube barcodes, scanner noise and the ranges of pre-printed labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barcode.numbers import (
    NumberRange,
    TubeKind,
    clash,
    clean_scan,
    overlap,
    owner_of,
    possible_meanings,
    printed_set,
    scannable_texts,
    system_number,
    system_range,
    tube_barcode,
    valid_number,
)

TUBE_CODES = ("01", "02", "03", "04", "05")
NUMBERS = st.from_regex(r"[0-9]{1,18}", fullmatch=True).filter(lambda text: text.strip("0") != "")


def test_a_system_number_holds_the_year_and_six_digits() -> None:
    assert system_number(2026, 145) == "26000145"
    assert system_number(2026, 999_999) == "26999999"
    assert system_number(2101, 1) == "01000001"


@pytest.mark.parametrize("serial", [0, -1, 1_000_000])
def test_a_used_up_year_is_an_error_not_a_longer_number(serial: int) -> None:
    with pytest.raises(ValueError, match="serial"):
        system_number(2026, serial)


def test_a_tube_barcode_is_the_number_and_the_tube() -> None:
    assert tube_barcode("26000145", "01") == "2600014501"
    assert tube_barcode("1001", "04") == "100104"
    assert tube_barcode("0000100", "02") == "000010002"  # zeros in front are part of the number
    assert scannable_texts("1001", ["01", "02"]) == ("1001", "100101", "100102")


@pytest.mark.parametrize(
    ("number", "code"), [("", "01"), ("10A1", "01"), ("1001", "1"), ("1001", "0x"), ("1001", "٠١")]
)
def test_what_could_not_be_scanned_back_is_never_made(number: str, code: str) -> None:
    with pytest.raises(ValueError):
        tube_barcode(number, code)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1001", None),
        ("26000145", None),
        ("0001", None),
        ("9" * 18, None),
        ("", "numara boş"),
        ("10-01", "yalnız rakamlardan oluşmalı"),
        ("١٠٠١", "yalnız rakamlardan oluşmalı"),
        ("²", "yalnız rakamlardan oluşmalı"),
        ("000", "yalnız sıfırlardan oluşamaz"),
        ("1" * 19, "en çok 18 rakam olabilir, 19 rakam okundu"),
    ],
)
def test_a_wrong_number_is_refused_with_its_reason(text: str, problem: str | None) -> None:
    assert valid_number(text) == problem


def test_one_text_may_be_read_in_two_ways_and_only_the_database_decides() -> None:
    assert possible_meanings("100101", TUBE_CODES) == (("100101", None), ("1001", "01"))
    assert possible_meanings("100199", TUBE_CODES) == (("100199", None),)
    assert possible_meanings("9" * 18 + "01", TUBE_CODES) == (("9" * 18, "01"),)
    assert possible_meanings("01", TUBE_CODES) == (("01", None),)
    assert possible_meanings("ABC01", TUBE_CODES) == ()


@given(NUMBERS, st.sampled_from(TUBE_CODES))
def test_a_tube_barcode_can_always_be_read_back(number: str, code: str) -> None:
    assert (number, code) in possible_meanings(tube_barcode(number, code), TUBE_CODES)


# --- the scanner


@pytest.mark.parametrize(
    "scanned",
    ["100101", "100101\r", "100101\r\n", " 100101 ", "]C0100101", "\x02100101\x03", "\t]C0100101\r", "\ufeff100101"],
)
def test_what_the_scanner_adds_is_taken_off(scanned: str) -> None:
    assert clean_scan(scanned) == "100101"


def test_a_set_prefix_and_suffix_are_taken_off() -> None:
    assert clean_scan("*100101#\r", prefix="*", suffix="#") == "100101"
    assert clean_scan("100101", prefix="*", suffix="#") == "100101"


def test_a_prefix_with_digits_could_eat_the_number() -> None:
    with pytest.raises(ValueError, match="digits"):
        clean_scan("1001", prefix="10")


@given(st.text(), st.sampled_from(["", "*", "~~"]), st.sampled_from(["", "#"]))
def test_no_digit_is_ever_changed(scanned: str, prefix: str, suffix: str) -> None:
    cleaned = clean_scan(scanned, prefix=prefix, suffix=suffix)

    assert cleaned in scanned
    assert clean_scan(cleaned, prefix=prefix, suffix=suffix) == cleaned
    if valid_number(scanned) is None:
        assert cleaned == scanned


@given(NUMBERS)
def test_zeros_in_front_stay(number: str) -> None:
    assert clean_scan(f"]C0{number}\r") == number


# --- ranges of pre-printed numbers

DR_A = NumberRange(1001, 1100, "Dr A")
DR_B = NumberRange(1101, 1200, "Dr B")


def test_the_number_tells_to_whom_it_was_handed_out() -> None:
    assert owner_of("1001", [DR_A, DR_B]) == owner_of("1100", [DR_A, DR_B]) == "Dr A"
    assert owner_of("1150", [DR_A, DR_B]) == "Dr B"
    assert owner_of("1201", [DR_A, DR_B]) is None


def test_a_number_with_zeros_in_front_was_not_printed_for_the_range() -> None:
    assert owner_of("01001", [DR_A]) is None
    assert owner_of("10O1", [DR_A]) is None


def test_two_owners_of_one_number_are_an_error_never_a_choice() -> None:
    with pytest.raises(ValueError, match="Dr C"):
        owner_of("1050", [DR_A, NumberRange(1050, 1060, "Dr C")])


def test_a_range_knows_its_numbers() -> None:
    assert len(DR_A) == 100
    assert list(NumberRange(998, 1001, "x").numbers()) == ["998", "999", "1000", "1001"]
    with pytest.raises(ValueError, match="no range"):
        NumberRange(1100, 1001, "Dr A")


def test_an_overlapping_range_is_refused_with_its_owner() -> None:
    problem = clash(NumberRange(1090, 1150, "Dr C"), [DR_A], TUBE_CODES)

    assert problem == "1090-1100 numaraları daha önce verilmiş: Dr A (1001-1100)."
    assert clash(DR_B, [DR_A], TUBE_CODES) is None


def test_a_number_that_reads_like_a_tube_of_another_order_is_refused() -> None:
    """The Biyokimya tube of 1001 is labelled 100101; nobody may get an order of that number."""
    problem = clash(NumberRange(100_000, 100_200, "Dr C"), [DR_A], TUBE_CODES)

    assert problem == "100101 numarası, 1001 numarasının 01 kodlu tüp barkoduyla aynı (Dr A)."
    assert clash(NumberRange(100_106, 100_200, "Dr C"), [DR_A], TUBE_CODES) is None
    assert clash(NumberRange(1, 200, "Dr C"), [], TUBE_CODES) is not None  # 101 is a tube of 1


def test_the_numbers_of_the_system_are_a_range_like_any_other() -> None:
    """260001 with tube 01 would read like the system's order 26000101."""
    assert system_range(2026).first == 26_000_001
    assert clash(NumberRange(260_001, 260_100, "Dr C"), [system_range(2026)], TUBE_CODES) is not None
    assert clash(DR_A, [system_range(2026)], TUBE_CODES) is None


SMALL = st.tuples(st.integers(1, 3000), st.integers(0, 300)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(SMALL, SMALL, st.sets(st.sampled_from([*TUBE_CODES, "99"])))
def test_a_range_is_refused_exactly_where_two_texts_would_be_the_same(
    one: tuple[int, int], other: tuple[int, int], codes: set[str]
) -> None:
    a, b = NumberRange(*one, "A"), NumberRange(*other, "B")
    of_a, of_b = set(a.numbers()), set(b.numbers())
    tubes_of_a, tubes_of_b = ({number + code for number in of for code in codes} for of in (of_a, of_b))

    assert overlap(a, b) == overlap(b, a) == bool(of_a & of_b)
    same = of_a & of_b or of_a & tubes_of_b or of_b & tubes_of_a or of_a & tubes_of_a
    assert (clash(a, [b], codes) is not None) == bool(same)


# --- sets

CAPTIONS = ("Biyokimya", "Hemogram", "Hormon-ELISA", "TİT", "Sedim")
TUBES = [TubeKind(f"{place:02d}", caption) for place, caption in enumerate(CAPTIONS, start=1)]


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_sets_of_one_three_four_and_five(size: int) -> None:
    labels = printed_set("1001", TUBES[:size])

    assert [label.barcode for label in labels] == [f"10010{place}" for place in range(1, size + 1)]
    assert {label.number for label in labels} == {"1001"}


@pytest.mark.parametrize("kinds", [[], TUBES[:2], TUBES[:1] * 3])
def test_there_are_no_other_sets(kinds: list[TubeKind]) -> None:
    with pytest.raises(ValueError):
        printed_set("1001", kinds)
