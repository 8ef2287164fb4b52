"""Cut-offs of the laboratory: 0.43 is NEGATİF, 5.20 is POZİTİF, and what is in doubt is nobody's word."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.interpretation import CutOff, cut_off, cut_off_problems, cut_offs_of, interpret
from rules.titre import compared
from rules.values import Reading, read_value

D = Decimal
HBSAG = cut_offs_of([("< 1.0", "NEGATİF"), (">= 1.0", "POZİTİF")])
GREY = cut_offs_of([(">= 1,1", "POZİTİF"), ("< 0,9", "NEGATİF"), ("<1.1", "ARA DEĞER")])
GREY_FROM_BELOW = cut_offs_of([("<0.9", "NEGATİF"), (">=0.9", "ARA DEĞER"), (">=1.1", "POZİTİF")])


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("< 1.0", CutOff("<", D("1.0"), "N")), ("≥0,9", CutOff(">=", D("0.9"), "N")), ("=<5", CutOff("<=", D(5), "N")),
        (">= 1/80", CutOff(">=", D(80), "N")), ("< 1:20", CutOff("<", D(20), "N")),
        ("negative", None), ("1.0", None), ("< bir", None), ("<", None), ("> <1/80", None),
    ],
)  # fmt: skip
def test_what_states_a_cut_off(text: str, made: CutOff | None) -> None:
    assert cut_off(text, "N") == made


@pytest.mark.parametrize(
    ("value", "word"),
    [("0.43", "NEGATİF"), ("0.999", "NEGATİF"), ("1.0", "POZİTİF"), ("5.20", "POZİTİF"), ("-1", "NEGATİF"),
     ("<0.05", "NEGATİF"), (">50", "POZİTİF"), ("<1.0", "NEGATİF"), ("<=1.0", ""), (">0.5", ""), ("reaktif", "")],
)  # fmt: skip
def test_a_number_gets_its_word(value: str, word: str) -> None:
    assert interpret(read_value(value), HBSAG).word == word


@pytest.mark.parametrize("rules", [GREY, GREY_FROM_BELOW])
@pytest.mark.parametrize(
    ("value", "word"),
    [("0.5", "NEGATİF"), ("0.9", "ARA DEĞER"), ("1.09", "ARA DEĞER"), ("1.1", "POZİTİF"), ("<0.9", "NEGATİF")],
)
def test_a_grey_zone_may_be_written_from_either_side(rules: tuple[CutOff, ...], value: str, word: str) -> None:
    assert interpret(read_value(value), rules).word == word and cut_off_problems(rules) == []


def test_titres_count_by_their_reciprocals() -> None:
    rules = cut_offs_of([("< 1/80", "NEGATİF"), (">= 1/80", "POZİTİF")])
    told = {
        text: interpret(compared(read_value(text)), rules).word
        for text in ("1:40", "1/80", ">=1:640", "<1:20", "<1/160")
    }
    assert told == {"1:40": "NEGATİF", "1/80": "POZİTİF", ">=1:640": "POZİTİF", "<1:20": "NEGATİF", "<1/160": ""}


def test_outside_of_one_sided_cut_offs_a_number_is_a_number_and_in_a_gap_it_is_in_doubt() -> None:
    one_sided, gap = cut_offs_of([("<0.05", "Negatif")]), cut_offs_of([("<0.9", "NEGATİF"), (">1.1", "POZİTİF")])

    told = [interpret(read_value(text), rules) for rules in (one_sided, gap) for text in ("1.0", ">0.95", ">2")]
    assert [(one.word, one.doubtful) for one in told] == [
        ("", False), ("", False), ("", False), ("", True), ("", True), ("POZİTİF", False),
    ]  # fmt: skip


def test_cut_offs_that_contradict_each_other_are_told_and_decide_nothing() -> None:
    rules = cut_offs_of([("< 1.1", "NEGATİF"), (">= 0.9", "POZİTİF")])

    assert cut_off_problems(rules) == ["0.9 değeri için < 1.1 (NEGATİF) ve >= 0.9 (POZİTİF) sınırları çelişiyor."]
    assert interpret(read_value("1.0"), rules).word == "" and interpret(read_value("0.5"), rules).word == "NEGATİF"


RULES = st.lists(
    st.builds(
        CutOff,
        st.sampled_from(["<", "<=", ">", ">="]),
        st.integers(-5, 5).map(Decimal),
        st.sampled_from(["NEGATİF", "ARA DEĞER", "POZİTİF"]),
    ),
    max_size=5,
)
NUMBERS = st.integers(-24, 24).map(lambda n: Decimal(n) / 4)


@given(RULES, NUMBERS, st.sampled_from(["<", "<=", ">", ">="]), NUMBERS)
def test_a_bound_never_gets_a_word_that_a_number_it_may_stand_for_has_not(
    rules: list[CutOff], bound: Decimal, sign: str, number: Decimal
) -> None:
    told = interpret(Reading(f"{sign}{bound}", None, sign, bound), rules)
    if told.word and CutOff(sign, bound, "").holds(number):
        assert interpret(Reading(str(number), number), rules).word == told.word


@given(RULES, NUMBERS)
def test_rules_without_problems_never_contradict_themselves(rules: list[CutOff], number: Decimal) -> None:
    if not cut_off_problems(rules):
        assert "çelişiyor" not in interpret(Reading(str(number), number), rules).reason


@given(RULES, NUMBERS, st.randoms(use_true_random=False))
def test_the_order_of_the_rules_changes_nothing(rules: list[CutOff], number: Decimal, dice: object) -> None:
    shuffled = list(rules)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    reading = Reading(str(number), number)
    assert interpret(reading, shuffled).word == interpret(reading, rules).word
