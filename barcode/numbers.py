"""Order numbers, tube barcodes and the ranges handed out with pre-printed labels (9.2.1, 9.2.4, 9.2.5, 9.2.6).

One number names one order. A tube's barcode is that number and the two digits of the tube's kind: `1001` and `01`
(Biyokimya) make `100101`. Nobody's code stands in it. Every text that can be scanned, an order's number and each of
its tubes' barcodes, is one key in the database, so two readings of one text can never both exist.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

LONGEST_NUMBER = 18
"""Digits. With the tube code 20, the most that common analysers read (domain facts, 6)."""

LARGEST_SERIAL = 999_999
"""Orders numbered by the system in one year."""

SET_SIZES = (1, 3, 4, 5)
"""Labels of one number in a pre-printed set (9.2.1: tekli, üçlü, dörtlü, beşli)."""

_TUBE_CODE = re.compile(r"[0-9]{2}")
_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_DIGIT = re.compile(r"[0-9]")


def system_number(year: int, serial: int) -> str:
    """The number that the system gives: two digits of the year, six of the serial: (2026, 145) -> "26000145".

    Raises ValueError: serial below 1 or above 999999 (the year is used up; go on with another number range).
    """
    if not 1 <= serial <= LARGEST_SERIAL:
        raise ValueError(f"serial {serial} is outside 1 to {LARGEST_SERIAL}")
    return f"{year % 100:02d}{serial:06d}"


def tube_barcode(number: str, tube_code: str) -> str:
    """What the bars of one tube say: ("1001", "01") -> "100101". Raises ValueError: not a number, not a tube code."""
    if problem := valid_number(number):
        raise ValueError(f"order number {number!r}: {problem}")
    if not _TUBE_CODE.fullmatch(tube_code):
        raise ValueError(f"a tube code is two digits, not {tube_code!r}")
    return number + tube_code


def scannable_texts(number: str, tube_codes: Iterable[str]) -> tuple[str, ...]:
    """Every text that must be this order's alone: its number, then each tube's barcode."""
    return (number, *(tube_barcode(number, code) for code in tube_codes))


def possible_meanings(text: str, tube_codes: Collection[str]) -> tuple[tuple[str, str | None], ...]:
    """How a scanned text may be read, as (order number, tube code); None means the number itself.

    "100101" is tube 01 of order 1001 or the order 100101. Only the database knows which exists; never choose here.
    """
    meanings: list[tuple[str, str | None]] = []
    if valid_number(text) is None:
        meanings.append((text, None))
    number, code = text[:-2], text[-2:]
    if code in tube_codes and valid_number(number) is None:
        meanings.append((number, code))
    return tuple(meanings)


def valid_number(text: str) -> str | None:
    """What is wrong with an order number, as the end of a Turkish sentence; None where nothing is."""
    if not text:
        return "numara boş"
    if not (text.isascii() and text.isdigit()):
        return "yalnız rakamlardan oluşmalı"
    if len(text) > LONGEST_NUMBER:
        return f"en çok {LONGEST_NUMBER} rakam olabilir, {len(text)} rakam okundu"
    if not text.strip("0"):
        return "yalnız sıfırlardan oluşamaz"
    return None


def clean_scan(text: str, *, prefix: str = "", suffix: str = "") -> str:
    """What the scanner added is taken off: blanks, control characters, the AIM identifier ("]C0"), a set prefix.

    A digit is never changed, dropped or added, and zeros at the front stay: "0001001" is not "1001". What is inside
    the text stays too, so that `valid_number` can refuse it.
    prefix, suffix: what this scanner is set to send; without digits (ValueError), as those could not be told apart.
    """
    if _DIGIT.search(prefix + suffix):
        raise ValueError("a scanner's prefix and suffix must not hold digits")
    before = None
    while text != before:
        before = text
        text = _bare(text)
        if prefix:
            text = _bare(text.removeprefix(prefix))
        if suffix:
            text = _bare(text.removesuffix(suffix))
        if _AIM.match(text):
            text = text[3:]
    return text


def _bare(text: str) -> str:
    start, end = 0, len(text)
    while start < end and _is_noise(text[start]):
        start += 1
    while end > start and _is_noise(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_noise(letter: str) -> bool:
    return letter.isspace() or not letter.isprintable()


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Numbers handed to one physician or unit, both ends included (9.2.5). Printed without zeros in front.

    Raises ValueError for an empty range or one beyond 18 digits.
    """

    first: int
    last: int
    owner: str

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last < 10**LONGEST_NUMBER:
            raise ValueError(f"{self.first}-{self.last} is no range of order numbers")

    def __contains__(self, number: str) -> bool:
        """True for a number that was printed for this range; "01001" was not, though it looks like 1001."""
        return valid_number(number) is None and number[0] != "0" and self.first <= int(number) <= self.last

    def __len__(self) -> int:
        return self.last - self.first + 1

    def numbers(self) -> Iterator[str]:
        """Every number of the range, as printed."""
        return map(str, range(self.first, self.last + 1))


def system_range(year: int) -> NumberRange:
    """The numbers that `system_number` may give in that year. Pass it to `clash` with the ranges handed out."""
    return NumberRange(int(system_number(year, 1)), int(system_number(year, LARGEST_SERIAL)), "sistem")


def overlap(one: NumberRange, other: NumberRange) -> bool:
    """True where a number belongs to both."""
    return one.first <= other.last and other.first <= one.last


def clash(new: NumberRange, known: Iterable[NumberRange], tube_codes: Collection[str]) -> str | None:
    """Why a range must not be handed out, as a Turkish sentence; None where it may.

    Refused: numbers that another range has, and numbers that read like a tube of another range (or of this one):
    the number 100101 beside the number 1001, whose Biyokimya tube is labelled 100101.
    """
    for other in (*known, new):
        if other is not new and overlap(new, other):
            low, high = max(new.first, other.first), min(new.last, other.last)
            return f"{low}-{high} numaraları daha önce verilmiş: {other.owner} ({other.first}-{other.last})."
        for numbers, tubes_of in ((new, other), (other, new)):
            text = _number_like_a_tube(numbers, tubes_of, tube_codes)
            if text is not None:
                return (
                    f"{text} numarası, {text[:-2]} numarasının {text[-2:]} kodlu tüp barkoduyla aynı ({other.owner})."
                )
    return None


def _number_like_a_tube(numbers: NumberRange, tubes_of: NumberRange, tube_codes: Collection[str]) -> str | None:
    """The first number of the one range that is the barcode of a tube of the other."""
    found = []
    for code in map(int, tube_codes):
        # Which n of tubes_of make 100 n + code fall into the other range?
        low = max(tubes_of.first, -(-(numbers.first - code) // 100))
        if low <= tubes_of.last and 100 * low + code <= numbers.last:
            found.append(100 * low + code)
    return str(min(found)) if found else None


def owner_of(number: str, ranges: Iterable[NumberRange]) -> str | None:
    """To whom the number was handed out; None where to nobody. Raises ValueError where to two (see `overlap`)."""
    owners = {known.owner for known in ranges if number in known}
    if len(owners) > 1:
        raise ValueError(f"number {number} is in the ranges of {sorted(owners)}")
    return owners.pop() if owners else None


@dataclass(frozen=True, slots=True)
class TubeKind:
    """A kind of tube as the label knows it: two digits in the bars, a caption under them ("Biyokimya")."""

    code: str
    caption: str


@dataclass(frozen=True, slots=True)
class SetLabel:
    """One label of a pre-printed set: caption "2 - Hemogram", number "1001", barcode "100102"."""

    number: str
    barcode: str
    caption: str


def printed_set(number: str, tubes: Sequence[TubeKind]) -> tuple[SetLabel, ...]:
    """The labels of one number, in the given order of tubes (9.2.1e, 9.2.3). Raises ValueError: no such set size."""
    if len(tubes) not in SET_SIZES:
        raise ValueError(f"a set has {SET_SIZES} labels, not {len(tubes)}")
    if len({tube.code for tube in tubes}) != len(tubes):
        raise ValueError("two labels of a set have the same tube code")
    return tuple(
        SetLabel(number, tube_barcode(number, tube.code), f"{place} - {tube.caption}")
        for place, tube in enumerate(tubes, start=1)
    )
