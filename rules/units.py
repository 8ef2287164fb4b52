"""When two unit texts mean the same amount. Pure comparison: nothing is converted, nothing is guessed.

Instruments write one unit in many ways: `10^3/uL`, `10*3/µL`, `x10E3/uL`, `K/uL`, `10^9/L`. Equal here means equal
number: a value may change its unit's text between them without changing itself. Whatever is not known to be equal is
different, and the result then waits for a person. Spellings: UCUM (https://ucum.org) and the captured messages.
"""

from __future__ import annotations

import re
from functools import lru_cache

_POWER = re.compile(r"^(?:x)?10(?:\*|\^|e|\*\*)?(\d+)/")
_SYNONYMS: dict[str, str] = {
    "k/ul": "10*3/ul",
    "m/ul": "10*6/ul",
    "10*3/mm3": "10*3/ul",
    "10*6/mm3": "10*6/ul",
    "/nl": "10*3/ul",
    "/pl": "10*6/ul",
    "10*9/l": "10*3/ul",
    "10*12/l": "10*6/ul",
    "um3": "fl",
    "percnt": "%",
    "mm/hr": "mm/h",
    "mm/saat": "mm/h",
    "mm/sa": "mm/h",
    "mm": "mm/h",
    "iu/l": "u/l",
    "miu/l": "miu/l",
    "uiu/ml": "miu/l",
    "uu/ml": "miu/l",
    "mu/l": "miu/l",
    "iu/ml": "iu/ml",
    "ku/l": "iu/ml",
    "miu/ml": "iu/l.",  # not the enzyme unit: kept apart from U/L
    "ng/ml": "ug/l",
    "pg/ml": "ng/l",
    "mg/l": "mg/l",
    "ug/ml": "mg/l",
    "sn": "s",
    "sec": "s",
    "ratio": "",
    "titer": "titre",
    "1/titer": "titre",
    "1/titre": "titre",
}


_CASE_MATTERS = {"G/L": "10*3/ul", "Giga/L": "10*3/ul", "T/L": "10*6/ul", "Tera/L": "10*6/ul"}
"""French and Horiba spellings of cell counts; in lower case G/L would be gram per litre."""


@lru_cache(maxsize=4096)
def canonical(unit: str) -> str:
    """The text that equal units share; unknown spellings stay themselves, lower-cased without blanks."""
    if known := _CASE_MATTERS.get(unit.strip()):
        return known
    text = unit.strip().translate(_LETTERS).lower().replace(" ", "")
    text = _POWER.sub(lambda found: f"10*{found.group(1)}/", text)
    return _SYNONYMS.get(text, text)


_LETTERS = str.maketrans({"µ": "u", "μ": "u", "²": "2", "³": "3"} | dict.fromkeys("[]{}_"))
"""UCUM's brackets and braces only mark a word: {COI} is COI, u[IU]/mL is uIU/mL."""


_UCUM_POWER = re.compile(r"10\*([-+]?\d{1,2})\.(.+)")


def power_of_ten(sent: str, expected: str) -> int | None:
    """The power of ten that UCUM writes into a unit: `10*-1.{copies}/mL` is -1 of `{copies}/mL`; None where the two
    differ in anything else. Exact by definition of the notation, so no rule of the laboratory is needed."""
    found = _UCUM_POWER.fullmatch(sent.strip())
    if found is None or not same_unit(found[2], expected):
        return None
    return int(found[1])


def same_unit(one: str, other: str) -> bool:
    """True where a number keeps its meaning between the two texts."""
    return one == other or canonical(one) == canonical(other)
