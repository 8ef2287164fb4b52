"""Two spellings of one unit are one; what is not known to be equal is different."""

from __future__ import annotations

import pytest

from rules.units import same_unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10*3/uL", "10^3/uL"),
        ("10*3/uL", "10^9/L"),
        ("10*3/uL", "x10E3/µL"),
        ("10*3/uL", "K/uL"),
        ("10*3/uL", "G/L"),
        ("10*6/uL", "10^12/L"),
        ("mg/dL", "mg/dl"),
        ("u[IU]/mL", "mIU/L"),
        ("u[IU]/mL", "µIU/mL"),
        ("fL", "um3"),
        ("mm/h", "mm/saat"),
        ("COI", "{COI}"),
        ("mL/min/{1.73_m2}", "mL/min/1.73m2"),
    ],
)
def test_these_are_one_unit(one: str, other: str) -> None:
    assert same_unit(one, other)
    assert same_unit(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mg/dL", "mmol/L"),
        ("g/L", "G/L"),
        ("g/dL", "g/L"),
        ("mIU/mL", "U/L"),
        ("10*3/uL", "10*6/uL"),
        ("{copies}/mL", "10*-1.{copies}/mL"),
        ("mg/L", "ug/L"),
        ("%", ""),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert not same_unit(one, other)
