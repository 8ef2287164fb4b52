"""Titres: the highest dilution that still reacts, `1:160`, `1/160`, `<1:20`, `>=1:640`.

A titre is no number: 1:160 is one dilution step above 1:80, not twice as much of anything. Its text is stored as it is;
what compares titres (flags, delta checks) counts steps, or holds the reciprocal against limits that the laboratory
writes as reciprocals. Pure; nothing here is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import log2

from rules.units import canonical
from rules.values import Reading

RULE = "TITRE/1"
"""Code and version of the logic of this module; raise the version when a comparison could change."""

_TITRE = re.compile(r"(<=|>=|=<|=>|<|>|≤|≥)?\s*1\s*[:/]\s*([1-9][0-9]{0,8})")
_COMPARATOR = {"=<": "<=", "≤": "<=", "=>": ">=", "≥": ">="}
_ROUNDED = 0.1
"""Dilution series are rounded on paper (1:320, 1:640, 1:1250): so much of a step does not count."""


@dataclass(frozen=True, slots=True)
class Titre:
    """reciprocal: 160 of 1:160. comparator: "<", ">", "<=", ">=" where only a bound is known, else ""."""

    reciprocal: int
    comparator: str = ""

    def __str__(self) -> str:
        """As Turkish laboratories write it: `1/160`."""
        return f"{self.comparator}1/{self.reciprocal}"


def read_titre(text: str) -> Titre | None:
    """The titre, where the whole text is one; None for everything else (`160`, `2:80`, `1:0`, `1:160 zayıf`)."""
    found = _TITRE.fullmatch(text.strip())
    if found is None:
        return None
    sign = found[1] or ""
    return Titre(int(found[2]), _COMPARATOR.get(sign, sign))


def is_titre_unit(unit: str) -> bool:
    """Whether a test's unit says that its results are titres: `titre`, `titer`, UCUM's `{titer}`, `1/titre`."""
    return canonical(unit) == "titre"


def compared(reading: Reading) -> Reading:
    """The reading as reference limits see it: 1/160 as the number 160, `<1/20` as below 20. Limits of a titre are
    written as reciprocals (80 for "up to 1/80"). What is no titre stays as it is; the text always does."""
    titre = read_titre(reading.text)
    if titre is None:
        return reading
    reciprocal = Decimal(titre.reciprocal)
    if titre.comparator:
        return Reading(reading.text, None, titre.comparator, reciprocal)
    return Reading(reading.text, reciprocal)


def steps(before: Titre, after: Titre) -> float | None:
    """Dilution steps from one titre to the next, twofold each: 1:80 to 1:320 is 2, back is -2.

    None where a bound leaves it open: `<1:20` to 1:20 is at least one step, but nobody knows how many (see
    `surely_apart`).
    """
    if before.comparator or after.comparator:
        return None
    return log2(after.reciprocal / before.reciprocal)


def surely_apart(before: Titre, after: Titre, limit: float = 2.0) -> bool | None:
    """Whether two titres differ by at least so many dilution steps (2: fourfold, the usual sign of a fresh infection).

    True or False only where every titre that the two texts may stand for says so; None where they leave it open.
    """
    low, high = _span(before), _span(after)
    nearest = max(low[0] - high[1], high[0] - low[1], 0.0)
    farthest = max(abs(low[1] - high[0]), abs(high[1] - low[0]))
    if nearest >= limit - _ROUNDED:
        return True
    return False if farthest < limit - _ROUNDED else None


def _span(titre: Titre) -> tuple[float, float]:
    """The steps above 1:1 between which a titre lies. Below 1:1 there is nothing to measure, above there is no end."""
    at = log2(titre.reciprocal)
    if titre.comparator == "<":
        return 0.0, max(at - 1, 0.0)  # the next lower dilution of the series reacts at most
    if titre.comparator == "<=":
        return 0.0, at
    if titre.comparator == ">":
        return at + 1, float("inf")
    if titre.comparator == ">=":
        return at, float("inf")
    return at, at
