"""From a measured number to a word by cut-offs: `< 1.0` NEGATİF, `>= 1.0` POZİTİF (9.6.4).

Cut-offs are rows that a laboratory owns, for one test on one instrument. The number stays beside the word. Where two
cut-offs of one direction hold, the nearer one counts: `< 0.9` NEGATİF, `< 1.1` ARA DEĞER, `>= 1.1` POZİTİF has a grey
zone. What no cut-off decides, or two decide differently, gets no word: a person looks at it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from rules.titre import read_titre
from rules.values import Reading, read_value

RULE = "YORUM/1"
"""Code and version of the logic of this module; raise the version when a word could change."""

_CONDITION = re.compile(r"(<=|>=|=<|=>|<|>|≤|≥)\s*(\S.*)")
_COMPARATOR = {"=<": "<=", "≤": "<=", "=>": ">=", "≥": ">="}


@dataclass(frozen=True, slots=True)
class CutOff:
    """Numbers on this side of the limit are called by this word. comparator: "<", "<=", ">" or ">="."""

    comparator: str
    limit: Decimal
    word: str

    @property
    def below(self) -> bool:
        return self.comparator[0] == "<"

    def holds(self, number: Decimal) -> bool:
        """Whether the number lies on its side."""
        if number == self.limit:
            return self.comparator[1:] == "="
        return (number < self.limit) is self.below

    def __str__(self) -> str:
        return f"{self.comparator} {self.limit:f}"


def cut_off(condition: str, word: str) -> CutOff | None:
    """The cut-off that a text states: `< 1.0`, `≥ 0,9`, `>= 1/80` (a titre counts by its reciprocal). None for a text
    that states none."""
    found = _CONDITION.fullmatch(condition.strip())
    if found is None:
        return None
    sign, text = _COMPARATOR.get(found[1], found[1]), found[2].strip()
    titre = read_titre(text)
    if titre is not None:
        return None if titre.comparator else CutOff(sign, Decimal(titre.reciprocal), word)
    number = read_value(text).number
    if number is None:
        number = read_value(text, decimal_comma=True).number
    return CutOff(sign, number, word) if number is not None else None


def cut_offs_of(conditions: Iterable[tuple[str, str]]) -> tuple[CutOff, ...]:
    """The cut-offs among texts and their words, in order of their limits."""
    found = [one for text, word in conditions if (one := cut_off(text, word)) is not None]
    return tuple(sorted(found, key=lambda one: (one.limit, one.comparator, one.word)))


@dataclass(frozen=True, slots=True)
class Interpretation:
    """word: "" where no cut-off decides. reason: Turkish, why. doubtful: no word although one was to be expected, so a
    person must look; a number outside of cut-offs of one side only (`< 0.05` Negatif) is simply a number."""

    word: str
    reason: str
    doubtful: bool = False


def interpret(reading: Reading, cut_offs: Sequence[CutOff]) -> Interpretation:
    """The word for a reading. A bound (`<0.05`) gets one only where every number that it may stand for has the same."""
    if reading.number is not None:
        chosen = _chosen(reading.number, cut_offs)
        words = {one.word for one in chosen}
        if len(words) > 1:
            return Interpretation("", _conflict(chosen), doubtful=True)
        return Interpretation(words.pop(), " ve ".join(map(str, chosen))) if words else _outside(cut_offs)
    if reading.bound is None:
        return Interpretation("", "sayı değil")
    found = {frozenset(one.word for one in _chosen(number, cut_offs)) for number in _meant(reading, cut_offs)}
    words = set(found.pop()) if len(found) == 1 else {"", "?"}
    if len(words) > 1:
        return Interpretation("", "sınırın iki yanı da olabilir", doubtful=True)
    if not words:
        return _outside(cut_offs)
    return Interpretation(words.pop(), f"{reading.comparator}{reading.bound:f} kesin olarak bu sınırda")


def _outside(cut_offs: Sequence[CutOff]) -> Interpretation:
    return Interpretation("", "hiçbir sınıra girmiyor", doubtful=len({one.below for one in cut_offs}) > 1)


def cut_off_problems(cut_offs: Sequence[CutOff]) -> list[str]:
    """What is wrong with cut-offs that are to stand together: the first contradiction as a Turkish sentence, or []."""
    for number in _landmarks(cut_offs):
        chosen = _chosen(number, cut_offs)
        if len({one.word for one in chosen}) > 1:
            return [f"{number:f} değeri için {_conflict(chosen)}."]
    return []


def _chosen(number: Decimal, cut_offs: Sequence[CutOff]) -> list[CutOff]:
    """Of each direction the nearest cut-off that holds (several, where they say different things of one limit)."""
    below = [one for one in cut_offs if one.below and one.holds(number)]
    above = [one for one in cut_offs if not one.below and one.holds(number)]
    nearest = min((_strictness(one) for one in below), default=None)
    farthest = min((_strictness(one) for one in above), default=None)
    found = [one for one in below if _strictness(one) == nearest]
    return found + [one for one in above if _strictness(one) == farthest]


def _strictness(one: CutOff) -> tuple[Decimal, bool]:
    """Smaller: it holds for fewer numbers than another of its direction."""
    return (one.limit if one.below else -one.limit, one.comparator[1:] == "=")


def _conflict(chosen: Sequence[CutOff]) -> str:
    return " ve ".join(f"{one} ({one.word})" for one in chosen) + " sınırları çelişiyor"


def _landmarks(cut_offs: Sequence[CutOff]) -> list[Decimal]:
    """Numbers that stand for all: each limit, one between each two, one beyond each end."""
    limits = sorted({one.limit for one in cut_offs})
    between = [(low + high) / 2 for low, high in pairwise(limits)]
    ends = [limits[0] - 1, limits[-1] + 1] if limits else []
    return sorted([*limits, *between, *ends])


def _meant(reading: Reading, cut_offs: Sequence[CutOff]) -> list[Decimal]:
    """Numbers that stand for all that a bound may mean."""
    assert reading.bound is not None
    bound = CutOff(reading.comparator, reading.bound, "")
    marks = _landmarks([*cut_offs, bound])
    return [number for number in marks if bound.holds(number)]
