"""Who a person is on paper: T.C. identity numbers, and dates and ages as they are written in Turkey."""

from __future__ import annotations

import re
from datetime import date

from stdnum.tr import tckimlik

SYNTHETIC_BLOCK = "900"
"""First digits of the numbers of invented people.

No block is officially reserved. Citizens' numbers were dealt from low first digits and foreigners' begin with 99, so
"900" is at least recognisable: `is_synthetic_tc` keeps demonstration people apart from real ones. The checksum is no
proof that a person exists.
"""

_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")


def tc_problem(text: str) -> str | None:
    """What is wrong with a T.C. identity number, as the end of a Turkish sentence; None where it may be right.

    Blanks around it are ignored, anything else must be 11 digits, the first not 0, with both check digits right.
    """
    number = text.strip()
    if not number:
        return "numara yazılmamış"
    if not (number.isascii() and number.isdigit()):
        return "yalnız rakamlardan oluşmalı"
    if len(number) != 11:
        return f"11 rakam olmalı, {len(number)} rakam yazılmış"
    if number[0] == "0":
        return "0 ile başlayamaz"
    if not tckimlik.is_valid(number):
        return "kontrol rakamları tutmuyor, rakamları yeniden kontrol edin"
    return None


def synthetic_tc(n: int) -> str:
    """The checksum-valid number of the n-th invented person (0-999999); the same n always gives the same number."""
    if not 0 <= n <= 999_999:
        raise ValueError(f"synthetic_tc takes 0 to 999999, not {n}")
    first_nine = f"{SYNTHETIC_BLOCK}{n:06d}"
    return first_nine + str(tckimlik.calc_check_digits(first_nine))


def is_synthetic_tc(text: str) -> bool:
    """True for the numbers that `synthetic_tc` gives."""
    number = text.strip()
    return number.startswith(SYNTHETIC_BLOCK) and tc_problem(number) is None


def format_date_tr(day: date) -> str:
    """GG.AA.YYYY: 22.11.2026."""
    return f"{day.day:02d}.{day.month:02d}.{day.year:04d}"


def parse_date_tr(text: str) -> date:
    """Read GG.AA.YYYY ("22.11.2026", "1.2.2026").

    Raises ValueError with a Turkish sentence: no such day, or a year of two digits, which could be either century.
    """
    parts = _DATE.fullmatch(text.strip())
    if parts is None:
        raise ValueError(f"Tarih GG.AA.YYYY biçiminde olmalı: {text.strip()[:20]!r}")
    try:
        return date(int(parts[3]), int(parts[2]), int(parts[1]))
    except ValueError:
        raise ValueError(f"Takvimde böyle bir gün yok: {text.strip()}") from None


def age_text(birth: date | None, on: date) -> str:
    """Age as written beside a name: "46 Y"; below two years "8 ay"; below one month "12 gün".

    "?" where the birth date is unknown or after that day: an age is never invented.
    """
    if birth is None or birth > on:
        return "?"
    months = (on.year - birth.year) * 12 + on.month - birth.month - (on.day < birth.day)
    if months < 1:
        return f"{(on - birth).days} gün"
    if months < 24:
        return f"{months} ay"
    return f"{months // 12} Y"
