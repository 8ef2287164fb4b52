"""Signs beside a result: what makes it "not plainly normal", once, for lists, pictures and bulk approval.

A sign is a letter as well as a colour. A row without any sign is what `H` (approve all normal) may take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any


class Sign(StrEnum):
    """Worst first: the order in which lists sort and show them."""

    PANIC = "P!"
    DELTA = "Δ"
    QC = "KK"
    INSTRUMENT = "C"
    HELD = "?"
    ABNORMAL = "A"
    HIGH = "Y"
    LOW = "D"

    @property
    def rank(self) -> int:
        return _RANK[self]

    @property
    def words(self) -> str:
        """What the letter means, in Turkish."""
        return _WORDS[self]


_RANK = {sign: place for place, sign in enumerate(Sign)}
_WORDS = {
    Sign.PANIC: "panik değer",
    Sign.DELTA: "önceki sonuçtan çok farklı (delta)",
    Sign.QC: "kalite kontrol uygun değil",
    Sign.INSTRUMENT: "cihaz bayrağı var",
    Sign.HELD: "kural tuttu, bir kişi bakmalı",
    Sign.ABNORMAL: "beklenmeyen sonuç",
    Sign.HIGH: "yüksek",
    Sign.LOW: "düşük",
}

PLAIN_INSTRUMENT_FLAGS = frozenset({"", "N"})
"""What an analyser prints for "nothing to say". Any other flag of it is a sign: when unsure, a person looks."""

_OF_RULE = (("DELTA", Sign.DELTA), ("DK", Sign.DELTA), ("KK", Sign.QC), ("QC", Sign.QC))
_FLAG_RULES = ("REF", "PK", "PANIC")
"""Rules whose finding stands in the result's flag already."""


def signs_of(flag: str, instrument_flags: Iterable[str], decisions: Iterable[Mapping[str, Any]]) -> tuple[Sign, ...]:
    """Every sign of one result, worst first; () for a plainly normal one.

    decisions: as stored with the result ({"o": outcome letter, "r": rule, ...}); only held and warned ones count.
    """
    found = {Sign(flag)} if flag else set()
    if any(text.strip() not in PLAIN_INSTRUMENT_FLAGS for text in instrument_flags):
        found.add(Sign.INSTRUMENT)
    for decision in decisions:
        outcome, rule = decision.get("o"), str(decision.get("r", ""))
        if outcome not in ("H", "W"):
            continue
        sign = next((sign for prefix, sign in _OF_RULE if rule.startswith(prefix)), Sign.HELD)
        if sign is Sign.HELD and flag and rule.startswith(_FLAG_RULES):
            continue  # the flag says it: "Y" beside the value is the finding of the range rule
        found.add(sign)
    return tuple(sorted(found, key=lambda sign: sign.rank))


__all__ = ["PLAIN_INSTRUMENT_FLAGS", "Sign", "signs_of"]
