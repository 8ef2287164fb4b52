"""Titres from serology: 1:160 is one step above 1:80, and neither is a number."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.titre import Titre, compared, is_titre_unit, read_titre, steps, surely_apart
from rules.values import read_value

RECIPROCALS = st.integers(1, 999_999_999)
SERIES = st.integers(0, 14).map(lambda step: Titre(10 * 2**step))
SIGNS = st.sampled_from(["", "<", "<=", ">", ">="])


@pytest.mark.parametrize(
    ("text", "titre"),
    [
        ("1:160", Titre(160)), ("1/320", Titre(320)), ("<1:20", Titre(20, "<")), (">=1:640", Titre(640, ">=")),
        ("≥ 1 : 1280", Titre(1280, ">=")), ("=<1/40", Titre(40, "<=")), (" 1:1 ", Titre(1)),
    ],
)  # fmt: skip
def test_titres_as_they_are_written(text: str, titre: Titre) -> None:
    assert read_titre(text) == titre and read_value(text).number is None


@pytest.mark.parametrize(
    "text", ["160", "2:80", "1:0", "1:-5", "1:160 zayıf", "1:1,5", "1:2:3", "", "0.5", "1e3", "1:"]
)
def test_what_is_no_titre(text: str) -> None:
    assert read_titre(text) is None
    assert compared(read_value(text)) == read_value(text)


@given(RECIPROCALS, SIGNS, st.sampled_from([":", "/", " : "]))
def test_every_spelling_reads_as_one_and_is_written_in_one_way(number: int, sign: str, between: str) -> None:
    titre = read_titre(f"{sign}1{between}{number}")
    assert titre == Titre(number, sign) and read_titre(str(titre)) == titre


@given(st.text(max_size=20))
def test_no_text_raises(text: str) -> None:
    titre = read_titre(text)
    assert titre is None or read_titre(str(titre)) == titre
    assert compared(read_value(text)).text == text


def test_limits_are_reciprocals() -> None:
    assert compared(read_value("1/160")).number == Decimal(160)
    below = compared(read_value("<1:20"))
    assert (below.number, below.comparator, below.bound) == (None, "<", Decimal(20))


@pytest.mark.parametrize(
    ("unit", "yes"), [("titre", True), ("{titer}", True), ("1/titre", True), ("U/mL", False), ("", False)]
)
def test_a_test_says_by_its_unit_that_it_gives_titres(unit: str, yes: bool) -> None:
    assert is_titre_unit(unit) is yes


@given(SERIES, SERIES, SERIES)
def test_steps_add_up_and_turn_round(one: Titre, other: Titre, third: Titre) -> None:
    there, back = steps(one, other), steps(other, one)
    assert there is not None and back is not None and there == -back and float(there).is_integer()
    assert steps(one, third) == there + (steps(other, third) or 0.0)


@pytest.mark.parametrize(
    ("before", "after", "fourfold"),
    [
        ("1:80", "1:320", True), ("1:320", "1:80", True), ("1:80", "1:160", False), ("1:640", "1:2500", True),
        ("<1:20", "1:40", True), ("<1:20", "1:20", None), ("<1:20", "<1:20", None), ("1:640", ">=1:640", None),
        ("1:160", ">=1:640", True), (">1:640", "<1:20", True), ("<=1:2", "1:2", False),
    ],
)  # fmt: skip
def test_a_fourfold_change(before: str, after: str, fourfold: bool | None) -> None:
    """A bound decides only where every titre that it may stand for says the same."""
    one, other = read_titre(before), read_titre(after)
    assert one is not None and other is not None
    assert surely_apart(one, other) is fourfold and surely_apart(other, one) is fourfold


@given(SERIES, SERIES, SIGNS, SIGNS, st.floats(0.5, 5))
def test_a_bound_never_claims_what_the_real_titres_deny(
    one: Titre, other: Titre, sign: str, other_sign: str, limit: float
) -> None:
    """Whatever the bounds stand for (a titre of the same series on their side), the verdict holds for it."""
    claim = surely_apart(Titre(one.reciprocal, sign), Titre(other.reciprocal, other_sign), limit)
    for first in _meant(one, sign):
        for second in _meant(other, other_sign):
            if claim is not None:
                assert surely_apart(first, second, limit) is claim


def _meant(titre: Titre, sign: str) -> list[Titre]:
    series = [Titre(10 * 2**step) for step in range(18)]
    found = {
        "": lambda one: one.reciprocal == titre.reciprocal,
        "<": lambda one: one.reciprocal < titre.reciprocal,
        "<=": lambda one: one.reciprocal <= titre.reciprocal,
        ">": lambda one: one.reciprocal > titre.reciprocal,
        ">=": lambda one: one.reciprocal >= titre.reciprocal,
    }[sign]
    return [one for one in series if found(one)]
