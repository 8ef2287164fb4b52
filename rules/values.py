"""Reads the text of a measured value without ever changing it.

`<0.5` is not 0.5, `5.40` is not 5.4 and `1:80` is no number: the text stays as the instrument printed it, and a number
stands beside it only where the text is a plain number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

LONGEST_NUMBER = 40
"""Characters. No analyser prints more; a longer run of digits is noise (and would not fit a database number)."""

_PLAIN = re.compile(
    r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?"
    # A bare "+1" is a grade of a urine strip, not the number one; a signed decimal (base excess "+2.3") is a number.
    r"|\+[0-9]*\.[0-9]+"
)
_PLAIN_COMMA = re.compile(r"-?(?:[0-9]+(?:,[0-9]*)?|,[0-9]+)(?:[eE][+-]?[0-9]{1,2})?|\+[0-9]*,[0-9]+")
_CENSORED = re.compile(r"(<=|>=|=<|=>|<|>|≤|≥)\s*(.+)", re.DOTALL)
_COMPARATOR = {"=<": "<=", "≤": "<=", "=>": ">=", "≥": ">="}
_NO_RESULT = frozenset(
    {"na", "n/a", "n.a.", "nan", "none", "null", "invalid", "failed", "error", "valuenotset"}
    | {"no result", "noresult", "not measured", "sonuç yok", "sonuc yok", "ölçülemedi", "yetersiz"}
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A measured value as text and, where the text says so, as a number.

    text: exactly what the instrument sent, blanks included.
    number: set only where the text is a plain number.
    comparator: "<", ">", "<=", ">=" where the instrument gave only a bound, else "".
    bound: the number behind the comparator; set exactly when `comparator` is.
    """

    text: str
    number: Decimal | None
    comparator: str = ""
    bound: Decimal | None = None

    @property
    def is_missing(self) -> bool:
        """True where the instrument says that there is no result ("-----", "NA", "No Result", nothing at all)."""
        if self.number is not None or self.comparator:
            return False
        bare = fold(self.text)
        return bare in _NO_RESULT or not any(letter.isalnum() or letter in "+±" for letter in bare)


def read_value(text: str, *, decimal_comma: bool = False) -> Reading:
    """Read one value; any text gives a reading, none raises.

    decimal_comma: the instrument writes "6,52"; a point then makes the text no plain number (it could part thousands),
    just as a comma does without this switch. Nothing is guessed.
    """
    # The common case first: "92", "6.52", "173.", ".5" without blanks or signs.
    if not decimal_comma and text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= LONGEST_NUMBER:
        return Reading(text, Decimal(text))
    bare = text.strip()
    number = _number(bare, decimal_comma)
    if number is not None:
        return Reading(text, number)
    censored = _CENSORED.fullmatch(bare)
    if censored is not None:
        bound = _number(censored[2], decimal_comma)
        if bound is not None:
            return Reading(text, None, _COMPARATOR.get(censored[1], censored[1]), bound)
    return Reading(text, None)


def fold(text: str) -> str:
    """The text as compared, never as shown: "NEGATİF", "NEGATIF" and " Negatif" are one word."""
    return " ".join(text.translate(_ONE_I).lower().split())


_ONE_I = str.maketrans("İıI", "iii")


def _number(bare: str, decimal_comma: bool) -> Decimal | None:
    if len(bare) > LONGEST_NUMBER:
        return None
    if not (_PLAIN_COMMA if decimal_comma else _PLAIN).fullmatch(bare):
        return None
    return Decimal(bare.replace(",", ".") if decimal_comma else bare)
