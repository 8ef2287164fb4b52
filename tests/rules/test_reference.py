"""Reference ranges: the right row for the patient, the right flag, and a reason that can be read aloud."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rules.reference import (
    Choice,
    FlagDecision,
    PatientFacts,
    RangeBook,
    RangeError,
    ReferenceRange,
    flag_result,
    judge,
    range_problems,
    reference_text,
)
from rules.values import read_value
from rules.verdict import Outcome
from tests.counting import python_calls

TODAY = date(2026, 11, 22)
YEAR = 365
WOMAN = PatientFacts("F", date(1980, 3, 4))
MAN = PatientFacts("M", date(1980, 3, 4))
NEWBORN = PatientFacts("M", TODAY - timedelta(days=3))
D = Decimal


def row(id_: int | str, low: str | None = None, high: str | None = None, **more: Any) -> ReferenceRange:
    facts: dict[str, Any] = {"test_id": 1, "valid_from": date(2026, 1, 1), "version": "2026-01"} | more
    numbers = {
        "low": low,
        "high": high,
        "critical_low": facts.pop("clow", None),
        "critical_high": facts.pop("chigh", None),
    }
    facts |= {name: None if limit is None else D(limit) for name, limit in numbers.items()}
    return ReferenceRange(id=id_, **facts)


K = row(123, "3.5", "5.1", clow="2.5", chigh="6.5")
TSH = row(7, "0.27", "4.2")


def flagged(text: str, *rows: ReferenceRange, facts: PatientFacts = WOMAN, test: str = "K") -> FlagDecision:
    return judge(RangeBook(rows), 1, read_value(text), facts, TODAY, test=test)


# --- which row


@pytest.mark.clause("9.11.8")
def test_haemoglobin_of_a_woman_a_man_and_a_newborn() -> None:
    """13.0 is normal for her, low for him and low for the newborn, and the range printed is the one applied."""
    rows = (
        row(1, "12", "16", sex="F", age_from_days=28),
        row(2, "13.5", "17.5", sex="M", age_from_days=28),
        row(3, "14", "22", age_to_days=28),
    )
    seen = [flagged("13.0", *rows, facts=facts, test="HGB") for facts in (WOMAN, MAN, NEWBORN)]

    assert [decision.flag for decision in seen] == ["", "D", "D"]
    assert [reference_text(decision.range) for decision in seen if decision.range] == ["12-16", "13.5-17.5", "14-22"]


def test_condition_wins_over_sex_and_sex_over_the_narrower_age() -> None:
    anyone = row(1, "1", "2")
    teenager = row(2, "1", "2", age_from_days=12 * YEAR, age_to_days=18 * YEAR)
    woman = row(3, "1", "2", sex="F")
    pregnant = row(4, "1", "2", condition="gebe")
    book = RangeBook([anyone, teenager, woman, pregnant])
    girl = date(2011, 1, 1)

    assert book.choose(1, PatientFacts("F", girl, frozenset({"gebe"})), TODAY) is pregnant
    assert book.choose(1, PatientFacts("F", girl), TODAY) is woman
    assert book.choose(1, PatientFacts("M", girl), TODAY) is teenager
    assert book.choose(1, MAN, TODAY) is anyone


def test_age_bands_begin_with_their_day_and_end_before_the_next() -> None:
    first, second = row(1, "1", "2", age_to_days=28), row(2, "3", "4", age_from_days=28)
    book = RangeBook([first, second])

    def on_day(days: int) -> ReferenceRange | None:
        return book.choose(1, PatientFacts("F", TODAY - timedelta(days=days)), TODAY)

    assert [on_day(0), on_day(27), on_day(28)] == [first, first, second]


def test_a_range_holds_from_its_first_day_until_its_end() -> None:
    """A result of last year is judged by last year's range, also when it is judged again today."""
    old = row(1, "1", "2", valid_from=date(2025, 1, 1), valid_to=date(2026, 1, 1), version="2025-01")
    new = row(2, "3", "4")
    book = RangeBook([new, old])

    assert book.choose(1, WOMAN, date(2025, 12, 31)) is old
    assert book.choose(1, WOMAN, date(2026, 1, 1)) is new
    assert book.choose(1, WOMAN, date(2024, 12, 31)) is None


def test_unknown_sex_never_gets_a_range_of_one_sex() -> None:
    rows = (row(1, "12", "16", sex="F"), row(2, "13.5", "17.5", sex="M"))
    decision = flagged("13.0", *rows, facts=PatientFacts(None, date(1980, 1, 1)), test="HGB")

    assert (decision.flag, decision.range) == ("", None)
    assert decision.verdict.outcome is Outcome.HOLDS
    assert decision.verdict.reason == "HGB 13.0: cinsiyet bilinmiyor; referans aralığı seçilmedi"


def test_unknown_birth_date_takes_only_the_row_for_every_age_and_says_so() -> None:
    rows = (row(1, "3.5", "5.1"), row(2, "4.1", "6.2", age_to_days=28))
    decision = flagged("4.2", *rows, facts=PatientFacts("F", None))

    assert decision.range is rows[0]
    assert decision.verdict.outcome is Outcome.HOLDS
    assert decision.verdict.reason == (
        "K 4.2 referans içinde: 3.5-5.1 (REF 1, sürüm 2026-01); "
        "doğum tarihi bilinmiyor, buna bağlı aralıklar kullanılmadı"
    )


def test_an_unknown_fact_that_no_row_asks_for_changes_nothing() -> None:
    decision = flagged("4.2", row(1, "3.5", "5.1", age_to_days=130 * YEAR), facts=PatientFacts(None, None))

    assert (decision.flag, decision.verdict.outcome) == ("", Outcome.PASSES)


def test_a_birth_date_after_the_sample_is_no_birth_date() -> None:
    rows = (row(1, "3.5", "5.1", age_from_days=28), row(2, "4.1", "6.2", age_to_days=28))
    decision = flagged("4.2", *rows, facts=PatientFacts("F", TODAY + timedelta(days=1)))

    assert decision.range is None
    assert "geçerli bir doğum tarihi bilinmiyor" in decision.verdict.reason


def test_a_panic_value_does_not_hide_behind_a_missing_birth_date() -> None:
    """Potassium 7.9 is critical in every age band; 6.2 only in some, so nobody claims that it is."""
    rows = (row(1, "3.5", "5.1", age_from_days=28, chigh="6.0"), row(2, "4.1", "6.2", age_to_days=28, chigh="7.5"))
    nameless = PatientFacts("M", None)

    sure = flagged("7.9", *rows, facts=nameless)
    unsure = flagged("6.2", *rows, facts=nameless)

    assert (sure.flag, sure.direction, sure.range) == ("P!", "Y", None)
    assert sure.verdict.reason == "K 7.9: doğum tarihi bilinmiyor; uyabilecek bütün aralıklara göre panik (2 aralık)"
    assert (unsure.flag, unsure.verdict.outcome) == ("", Outcome.HOLDS)


def test_two_conditions_with_a_range_each_are_a_question_for_a_person() -> None:
    rows = (row(1, "1", "2"), row(2, "3", "4", condition="gebe"), row(3, "5", "6", condition="diyaliz"))
    both = PatientFacts("F", date(1990, 1, 1), frozenset({"gebe", "diyaliz"}))
    decision = flagged("1.5", *rows, facts=both)

    assert decision.range is None
    assert decision.verdict.outcome is Outcome.HOLDS
    assert "birden çok özel durumu için aralık var (diyaliz, gebe)" in decision.verdict.reason
    smoker = PatientFacts("F", date(1990, 1, 1), frozenset({"gebe", "sigara"}))
    assert flagged("3.5", *rows, facts=smoker).range is rows[1]


def test_no_range_for_the_test_and_no_range_for_this_patient_are_different() -> None:
    book = RangeBook([row(1, "1", "2", sex="F")])

    unknown_test = judge(book, 99, read_value("5"), MAN, TODAY, test="X")
    unknown_patient = judge(book, 1, read_value("5"), MAN, TODAY, test="X")

    assert unknown_test.verdict.outcome is Outcome.NOT_APPLICABLE
    assert unknown_test.verdict.reason == "X 5: referans aralığı tanımlı değil"
    assert unknown_patient.verdict.outcome is Outcome.HOLDS
    assert unknown_patient.verdict.reason == "X 5: hastaya ve tarihe uyan referans aralığı yok"


# --- rows that cannot stand together


def test_two_equally_specific_rows_are_refused_when_the_book_is_built() -> None:
    rows = [row(12, "1", "2", age_to_days=10 * YEAR), row(15, "3", "4", age_from_days=5 * YEAR, age_to_days=15 * YEAR)]

    with pytest.raises(RangeError, match=r"REF 12 ve REF 15 \(test 1\) aynı hastaya"):
        RangeBook(rows)


def test_a_new_version_needs_the_old_one_closed() -> None:
    old, new = row(1, "1", "2", valid_from=date(2025, 1, 1)), row(2, "3", "4")

    assert len(range_problems([old, new])) == 1
    assert range_problems([row(1, "1", "2", valid_from=date(2025, 1, 1), valid_to=date(2026, 1, 1)), new]) == []


@pytest.mark.parametrize(
    "bad",
    [
        row(1, "5", "3"),
        row(1, "1", "2", clow="9", chigh="9"),
        row(1, "1", "2", clow="3"),
        row(1, "1", "2", chigh="0.5"),
        row(1, "NaN", "2"),
        row(1, "1", "2", age_from_days=10, age_to_days=10),
        row(1, "1", "2", age_from_days=-1),
        row(1, "1", "2", valid_to=date(2026, 1, 1)),
        row(1, "1", "2", sex="E"),
    ],
)
def test_a_row_that_cannot_be_true_is_refused_with_a_sentence(bad: ReferenceRange) -> None:
    with pytest.raises(RangeError) as refused:
        RangeBook([bad])
    assert refused.value.problems[0].startswith("REF 1: ")


# --- the flag


@pytest.mark.parametrize(
    ("text", "flag", "direction", "outcome"),
    [
        ("2.4", "P!", "D", Outcome.HOLDS),
        ("2.5", "P!", "D", Outcome.HOLDS),  # critical limits belong to the critical values
        ("2.6", "D", "D", Outcome.WARNS),
        ("3.49", "D", "D", Outcome.WARNS),
        ("3.5", "", "", Outcome.PASSES),  # reference limits belong to the range
        ("3.50", "", "", Outcome.PASSES),
        ("4.2", "", "", Outcome.PASSES),
        ("5.1", "", "", Outcome.PASSES),
        ("5.11", "Y", "Y", Outcome.WARNS),
        ("6.49", "Y", "Y", Outcome.WARNS),
        ("6.5", "P!", "Y", Outcome.HOLDS),
        ("9", "P!", "Y", Outcome.HOLDS),
    ],
)
def test_potassium_against_its_limits(text: str, flag: str, direction: str, outcome: Outcome) -> None:
    decision = flagged(text, K)

    assert (decision.flag, decision.direction, decision.verdict.outcome) == (flag, direction, outcome)
    assert decision.critical == (flag == "P!")


@pytest.mark.parametrize(
    ("text", "chosen", "flag"),
    [
        ("<0.01", TSH, "D"),
        ("<0.27", TSH, "D"),
        ("<=0.27", TSH, ""),  # may be 0.27 itself, which is inside
        ("<0.5", TSH, ""),
        (">100", TSH, "Y"),
        (">4.2", TSH, "Y"),
        (">=4.2", TSH, ""),
        (">350", row(1, None, "5"), "Y"),
        ("<0.5", row(1, "0", "5"), ""),
        ("<2.5", K, "P!"),
        ("<2.6", K, "D"),
        (">6.5", K, "P!"),
        (">6", K, "Y"),
        (">60", row(1, "60", None), ""),
    ],
)
def test_a_bound_is_judged_only_where_it_decides(text: str, chosen: ReferenceRange, flag: str) -> None:
    assert flagged(text, chosen).flag == flag


def test_the_reason_of_a_bound_says_what_is_known_and_what_is_not() -> None:
    assert flagged("<0.5", TSH, test="TSH").verdict.reason == (
        "TSH <0.5 sınırlarla karşılaştırılamaz: 0.27-4.2 (REF 7, sürüm 2026-01)"
    )
    assert flagged("<0.5", TSH).verdict.outcome is Outcome.HOLDS
    assert flagged(">6", K).verdict.reason == (
        "K >6 kesin olarak 5.1 üst sınırın ötesinde; panik sınırını da aşmış olabilir (REF 123, sürüm 2026-01)"
    )
    assert flagged(">6", K).verdict.outcome is Outcome.HOLDS
    assert flagged(">60", row(1, "60", None)).verdict.outcome is Outcome.PASSES
    assert flagged("<0.5", row(1, "0", "5")).verdict.outcome is Outcome.PASSES


def test_an_unexpected_word_is_abnormal() -> None:
    hbsag = row(1, normal_text="Negatif")

    assert flagged("NEGATİF", hbsag).flag == ""
    assert flagged("Pozitif", hbsag).flag == "A"
    assert flagged("Pozitif", hbsag, test="HBSAG").verdict.reason == (
        "HBSAG Pozitif beklenen sonuç değil: Negatif (REF 1, sürüm 2026-01)"
    )
    assert flagged("açık SARI", row(1, normal_text="Sarı|Açık sarı")).flag == ""


@pytest.mark.parametrize("text", ["-----", "NA", "", "No Result"])
def test_no_result_is_held_not_called_abnormal(text: str) -> None:
    for chosen in (K, row(1, normal_text="Negatif")):
        decision = flagged(text, chosen)
        assert (decision.flag, decision.verdict.outcome) == ("", Outcome.HOLDS)
        assert "sonuç değeri yok" in decision.verdict.reason


def test_text_against_numbers_and_numbers_against_text_are_held() -> None:
    assert "sayı değil" in flagged("1:80", K).verdict.reason
    assert "beklenen ise metin" in flagged("12.4", row(1, normal_text="Negatif")).verdict.reason
    assert flagged("12.4", row(1, normal_text="Negatif")).flag == ""


def test_a_test_with_numbers_and_words_is_judged_by_what_came() -> None:
    anti_hbs = row(1, None, "10", normal_text="Negatif")

    assert [flagged(text, anti_hbs).flag for text in ("8.1", "12", "Negatif", "Pozitif")] == ["", "Y", "", "A"]


def test_a_row_without_limits_judges_nothing() -> None:
    assert flagged("5", row(1)).verdict.outcome is Outcome.NOT_APPLICABLE


# --- the reason


def test_the_reasons_as_the_screen_shows_them() -> None:
    assert flagged("6.9", K).verdict.reason == "K 6.9 >= 6.5 panik sınırı (REF 123, sürüm 2026-01)"
    assert flagged("2.1", K).verdict.reason == "K 2.1 <= 2.5 panik sınırı (REF 123, sürüm 2026-01)"
    assert flagged("5.4", K).verdict.reason == "K 5.4 > 5.1 üst sınır (REF 123, sürüm 2026-01)"
    assert flagged("3.1", K).verdict.reason == "K 3.1 < 3.5 alt sınır (REF 123, sürüm 2026-01)"
    assert flagged("4.20", K).verdict.reason == "K 4.20 referans içinde: 3.5-5.1 (REF 123, sürüm 2026-01)"


def test_the_verdict_keeps_what_it_saw() -> None:
    stored = json.loads(json.dumps(flagged("6.9", K).verdict.as_dict()))

    assert stored == {
        "o": "H",
        "r": "REF/1",
        "why": "K 6.9 >= 6.5 panik sınırı (REF 123, sürüm 2026-01)",
        "saw": {
            "ref": 123,
            "ver": "2026-01",
            "low": "3.5",
            "high": "5.1",
            "crit_low": "2.5",
            "crit_high": "6.5",
            "value": "6.9",
            "sex": "F",
            "age_days": 17064,
        },
    }


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (K, "3.5-5.1"),
        (row(1, None, "5"), "≤ 5"),
        (row(1, "60", None), "≥ 60"),
        (row(1, "-2", "3"), "-2 - 3"),
        (row(1, normal_text="Negatif"), "Negatif"),
        (row(1, normal_text="Sarı|Açık sarı"), "Sarı / Açık sarı"),
        (row(1, "0", "10", normal_text="Negatif"), "0-10 (Negatif)"),
        (row(1, "1E+3", "2.50E+3"), "1000-2500"),
        (row(1), ""),
    ],
)
def test_the_range_as_printed(chosen: ReferenceRange, text: str) -> None:
    assert reference_text(chosen) == text


# --- what examples cannot cover

NUMBERS = st.decimals(min_value=-1000, max_value=1000, places=2, allow_nan=False, allow_infinity=False)
ORDERS = ((0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2))  # critical limits outside the range, or one of them inside
CONDITIONS = ("gebe", "diyaliz")


@st.composite
def any_row(draw: st.DrawFn) -> ReferenceRange:
    start = draw(st.integers(0, 60))
    ladder = sorted(draw(st.lists(NUMBERS, min_size=4, max_size=4, unique=True)))
    chosen = [ladder[place] if draw(st.booleans()) else None for place in draw(st.sampled_from(ORDERS))]
    return ReferenceRange(
        id=draw(st.integers(1, 10_000)),
        test_id=draw(st.integers(1, 2)),
        sex=draw(st.sampled_from(["F", "M", None])),
        age_from_days=start,
        age_to_days=draw(st.none() | st.integers(start + 1, 100)),
        condition=draw(st.sampled_from([None, *CONDITIONS])),
        critical_low=chosen[0],
        low=chosen[1],
        high=chosen[2],
        critical_high=chosen[3],
        normal_text=draw(st.none() | st.just("Negatif")),
        valid_from=TODAY - timedelta(days=draw(st.integers(0, 3))),
        valid_to=draw(st.none() | st.just(TODAY + timedelta(days=1))),
        version="1",
    )


ANYONE = st.builds(
    PatientFacts,
    st.sampled_from(["F", "M", None]),
    st.none() | st.integers(-2, 120).map(lambda days: TODAY - timedelta(days=days)),
    st.frozensets(st.sampled_from([*CONDITIONS, "sigara"])),
)
SOME_TEXT = st.text(max_size=20) | st.sampled_from(["4.2", "<3", ">=7", "-----", "Negatif"]) | NUMBERS.map(str)


@st.composite
def rows_that_stand_together(draw: st.DrawFn) -> list[ReferenceRange]:
    rows: list[ReferenceRange] = []
    for candidate in draw(st.lists(any_row(), max_size=8)):
        if not range_problems([*rows, candidate]):
            rows.append(candidate)
    return rows


@given(rows_that_stand_together(), st.randoms(use_true_random=False), ANYONE, SOME_TEXT)
def test_the_order_of_the_rows_changes_nothing(
    rows: list[ReferenceRange], dice: Any, facts: PatientFacts, text: str
) -> None:
    shuffled = list(rows)
    dice.shuffle(shuffled)
    reading = read_value(text)

    assert judge(RangeBook(rows), 1, reading, facts, TODAY) == judge(RangeBook(shuffled), 1, reading, facts, TODAY)


@given(rows_that_stand_together(), ANYONE, SOME_TEXT)
def test_any_rows_patient_and_text_give_a_verdict_that_can_be_stored(
    rows: list[ReferenceRange], facts: PatientFacts, text: str
) -> None:
    decision = judge(RangeBook(rows), 1, read_value(text), facts, TODAY, test="K")

    assert decision.flag in ("", "D", "Y", "P!", "A")
    assert (decision.flag in ("D", "Y", "P!")) == (decision.direction != "")
    stored = json.dumps(decision.verdict.as_dict(), ensure_ascii=False)
    stored.encode()  # no lone surrogates
    assert "\\u0000" not in stored  # PostgreSQL's jsonb refuses it
    assert len(decision.verdict.reason) < 400


def fits(candidate: ReferenceRange, facts: PatientFacts) -> bool:
    """The rule in plain words, worked out apart from the code under test: does this row hold for what is known?"""
    if facts.birth_date is None or facts.birth_date > TODAY:
        of_age = candidate.age_from_days == 0 and candidate.age_to_days is None
    else:
        age = (TODAY - facts.birth_date).days
        of_age = candidate.age_from_days <= age and (candidate.age_to_days is None or age < candidate.age_to_days)
    in_force = candidate.valid_from <= TODAY and (candidate.valid_to is None or candidate.valid_to > TODAY)
    of_sex = candidate.sex is None or candidate.sex == facts.sex
    return of_age and of_sex and in_force and (candidate.condition is None or candidate.condition in facts.conditions)


@given(rows_that_stand_together(), ANYONE)
def test_the_most_specific_row_that_fits_is_chosen(rows: list[ReferenceRange], facts: PatientFacts) -> None:
    chosen = RangeBook(rows).choose(1, facts, TODAY)
    fitting = [candidate for candidate in rows if candidate.test_id == 1 and fits(candidate, facts)]
    if chosen is None:  # nothing fits, or more than one special condition of the patient has a row
        assert not fitting or len(facts.conditions) > 1
        return

    def specific(candidate: ReferenceRange) -> tuple[bool, bool, float]:
        width = 10**6 if candidate.age_to_days is None else candidate.age_to_days - candidate.age_from_days
        return candidate.condition is not None, candidate.sex is not None, -width

    assert chosen is max(fitting, key=specific)


LADDER = {("P!", "D"): 0, ("D", "D"): 1, ("", ""): 2, ("Y", "Y"): 3, ("P!", "Y"): 4}


@given(any_row(), NUMBERS, NUMBERS)
def test_a_higher_value_never_has_a_lower_flag(limits: ReferenceRange, one: Decimal, other: Decimal) -> None:
    choice = Choice(limits, WOMAN, TODAY, 0)

    def height(value: Decimal) -> int:
        decision = flag_result(read_value(f"{value:f}"), choice)
        return LADDER[decision.flag, decision.direction]

    low, high = sorted((one, other))
    assert height(low) <= height(high)


@given(any_row(), NUMBERS, st.sampled_from(["<", "<=", ">", ">="]), st.integers(0, 3000))
def test_a_flagged_bound_is_true_of_every_value_behind_it(
    limits: ReferenceRange, bound: Decimal, comparator: str, step: int
) -> None:
    choice = Choice(limits, WOMAN, TODAY, 0)
    claim = flag_result(read_value(f"{comparator}{bound:f}"), choice)
    distance = Decimal(step if comparator.endswith("=") else step + 1) / 100
    value = bound - distance if comparator[0] == "<" else bound + distance
    assume(value >= 0)  # amounts; see _nothing_below

    real = flag_result(read_value(f"{value:f}"), choice)
    if claim.flag:
        assert real.direction == claim.direction
        assert claim.flag != "P!" or real.flag == "P!"
    elif claim.verdict.outcome is Outcome.PASSES:
        assert real.flag == ""


@given(any_row())
def test_a_value_on_a_reference_limit_is_inside_and_on_a_critical_limit_is_critical(limits: ReferenceRange) -> None:
    choice = Choice(limits, WOMAN, TODAY, 0)
    for limit in (limits.low, limits.high):
        if limit is not None:
            decision = flag_result(read_value(f"{limit:f}"), choice)
            assert decision.flag in ("", "P!")
    for limit in (limits.critical_low, limits.critical_high):
        if limit is not None:
            assert flag_result(read_value(f"{limit:f}"), choice).flag == "P!"


def test_a_judgement_costs_the_same_whatever_else_the_book_holds() -> None:
    """Ranges of other tests are never looked at. How many results a second that is: `benchmarks/decode.py`."""
    reading, costs = read_value("6.9"), []
    for tests in (1, 200):
        rows = [
            row(f"{test}-{sex}", "3.5", "5.1", test_id=test, sex=sex, clow="2.5", chigh="6.5")
            for test in range(1, tests + 1)
            for sex in ("F", "M")
        ]
        book = RangeBook(rows)
        costs.append(python_calls(lambda book=book: judge(book, 1, reading, WOMAN, TODAY, test="K")))

    assert costs[0] == costs[1] <= 20
