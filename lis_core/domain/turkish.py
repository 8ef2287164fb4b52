"""Turkish letters: case, order and search, the same in Python and in SQL.

Neither Python's `lower()` nor the database's locale knows that I belongs to ı and İ to i, and the embedded PostgreSQL
has no ICU. So both sides use the tables of this module: `sort_key` and `tr_sira` give the same text, as do
`search_key` and `tr_ara`.

The SQL functions stand in indexes. To change a table after a release, write a migration that replaces the functions
and rebuilds those indexes.
"""

from __future__ import annotations

import unicodedata

ALPHABET = "abcçdefgğhıijklmnoöpqrsştuüvwxyz"
"""The 29 letters in their order; q, w and x stand after their neighbours, where CLDR puts them."""

_LOWER = str.maketrans("İI", "iı")
_UPPER = str.maketrans("iı", "İI")
_DOT_ABOVE = "\u0307"  # what Python makes of "İ".lower(): an i and this mark


def lower(text: str) -> str:
    """Small letters the Turkish way: "DİYARBAKIR" -> "diyarbakır"."""
    return _composed(text).translate(_LOWER).lower()


def upper(text: str) -> str:
    """Capital letters the Turkish way: "ışık" -> "IŞIK", "izmir" -> "İZMİR"."""
    return _composed(text).translate(_UPPER).upper()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("i" + _DOT_ABOVE, "i")


# Letters outside the alphabet, under the letter that they are filed with: circumflex (kâr), and neighbours' names.
_RELATIVES = {
    "a": "âàáäãå",
    "c": "ć",
    "e": "êèéëə",
    "i": "îìíï",
    "n": "ñ",
    "o": "ôòóõø",
    "s": "š",
    "u": "ûùú",
    "y": "ýÿ",
    "z": "ž",
}
_TWINS = {"ı": "i", "ç": "c", "ğ": "g", "ö": "o", "ş": "s", "ü": "u"}
"""Turkish letters that a search does not tell from their ASCII neighbours; their order does."""

_TYPOGRAPHY = {"’": "'", "‘": "'", "–": "-", "—": "-", "\u00a0": " "}
_MARKS = "\u0300\u0301\u0302\u0303\u0306\u0307\u0308\u030a\u030c\u0327\u0328"
"""Combining marks that are left when text is composed; keys drop them."""


def _both_cases(letters: str) -> str:
    return letters + "".join(capital for letter in letters if len(capital := upper(letter)) == 1)


def _search_table() -> dict[str, str]:
    """One letter to one letter; ASCII capitals apart, which `lower()` under COLLATE "C" turns."""
    table = {letter: base for base, letters in _RELATIVES.items() for letter in _both_cases(letters)}
    for letter, base in _TWINS.items():
        table |= dict.fromkeys(_both_cases(letter), base)
    return table | {"İ": "i"} | _TYPOGRAPHY


_FIRST_CODE = 0x5D
"""Letters become 32 codes from "]" to "|": after every digit, and free of characters that SQL or its drivers read."""


def _sort_table() -> dict[str, str]:
    codes = {letter: chr(_FIRST_CODE + place) for place, letter in enumerate(ALPHABET)}
    # Signs whose own code lies among the letters' codes sort as one sign; the original text breaks the tie.
    table = dict.fromkeys("]^_`{|}~", "-") | _TYPOGRAPHY
    for letter, code in codes.items():
        table |= dict.fromkeys(_both_cases(letter + _RELATIVES.get(letter, "")), code)
    return table


_SEARCH = _search_table()
_SORT = _sort_table()
_SEARCH_IN_PYTHON = str.maketrans(
    _SEARCH | {chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)} | dict.fromkeys(_MARKS, "")
)
_SORT_IN_PYTHON = str.maketrans(_SORT | dict.fromkeys(_MARKS, ""))


def search_key(text: str) -> str:
    """The text as searched, never as shown: "ŞIĞIRCI" and "sigirci" give "sigirci". SQL: `tr_ara`."""
    return unicodedata.normalize("NFC", text).translate(_SEARCH_IN_PYTHON)


def sort_key(text: str) -> str:
    """A text whose byte order is the Turkish dictionary order. SQL: `tr_sira`, compared COLLATE "C".

    Capitals and circumflexes count only where everything else is equal; digits come before letters.
    """
    composed = unicodedata.normalize("NFC", text)
    return f"{composed.translate(_SORT_IN_PYTHON)}\x01{composed}"


def like_contains(text: str) -> str:
    """Pattern for `tr_ara(column) LIKE pattern`: finds the text anywhere; "%" and "_" of the user are plain letters."""
    key = search_key(text)
    for special in ("\\", "%", "_"):
        key = key.replace(special, "\\" + special)
    return f"%{key}%"


def _sql_lists(table: dict[str, str]) -> str:
    """The two lists of SQL's translate(); letters of the first without a partner in the second are dropped."""
    quoted = ("".join(letters).replace("'", "''") for letters in ([*table, *_MARKS], table.values()))
    return ", ".join(f"'{letters}'" for letters in quoted)


SQL_FUNCTIONS = f"""
create or replace function tr_ara(p text) returns text
language sql immutable strict parallel safe
as $$ select lower(translate(normalize(p, NFC), {_sql_lists(_SEARCH)}) collate "C") $$;

create or replace function tr_sira(p text) returns text
language sql immutable strict parallel safe
as $$ select translate(normalize(p, NFC), {_sql_lists(_SORT)}) || chr(1) || normalize(p, NFC) $$;
"""
"""Creates `tr_ara` (search) and `tr_sira` (order); the database must be UTF-8. Order by `tr_sira(x) COLLATE "C"`."""
