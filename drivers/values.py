"""What the texts of a result mean: numbers, times, flags, typed HL7 values, pictures. Pure; nothing here raises.

The instrument's text is never changed: what is read from it stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from functools import lru_cache
from math import isfinite

from drivers.places import lone_component

# ---- numbers

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]*,[0-9]+")
_LONGEST_NUMBER = 40  # characters; no instrument prints more, and a peer may send millions of digits
_GROUPED = re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}")


def number(text: str) -> float | None:
    """The number, where the whole text is one: `6.52`, `173.`, `.5`, `-0.12`, `3.26E+05`. `<0.01` is none."""
    if len(text) > _LONGEST_NUMBER:
        return None
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    if _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value if isfinite(value) else None


def number_with_comma(text: str) -> float | None:
    """As `number`; a comma is the decimal sign."""
    if "," in text and _COMMA_NUMBER.fullmatch(text) is not None:
        text = text.replace(",", ".", 1)
    return number(text)


def number_either(text: str) -> float | None:
    """As `number`; a comma is the decimal sign where it can be nothing else: `7,41` is a number, `1,234` in doubt."""
    if "," not in text:
        return number(text)
    return None if _GROUPED.fullmatch(text) is not None else number_with_comma(text)


NUMBERS: Mapping[str, Callable[[str], float | None]] = {
    "point": number,
    "comma": number_with_comma,
    "either": number_either,
}

_COMPARED = re.compile(r"([<>]=?|=[<>]|[≤≥])")
_COMPARATORS = {"≤": "<=", "≥": ">=", "=<": "<=", "=>": ">="}


def comparator(text: str) -> str:
    """`<` of `<0.01`, `>=` of `>= 350`; nothing for a plain value."""
    found = _COMPARED.match(text)
    return _COMPARATORS.get(found[1], found[1]) if found is not None else ""


_TITRE = re.compile(r"([<>]=?|=[<>]|[≤≥])?\s*1\s*[:/]\s*([1-9][0-9]{0,8})")


def titre(text: str) -> str | None:
    """A titre in one spelling: `1:160` and `1 / 160` are `1/160`, `>= 1:640` is `>=1/640`; None for no titre."""
    found = _TITRE.fullmatch(text)
    return f"{comparator(text)}1/{found[2]}" if found is not None else None


# ---- times

_TIME = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})"
    r"(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.[0-9]{1,6}|[0-9]{3,4})?)?)?)?([+-][0-9]{4})?"
)


@lru_cache(maxsize=8192)
def iso_time(text: str) -> str | None:
    """YYYYMMDD[HH[MM[SS]]][+ZZZZ] as ISO 8601: `2026-01-01T12:00:00`, an offset only where one was sent, a date alone
    where no time was. None for what no calendar or clock shows.

    Fractions of a second are dropped; so are four digits after the seconds, an offset whose sign is missing.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, offset = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    if hour is None:
        return moment.date().isoformat()
    if offset is None:
        return moment.isoformat()
    if int(offset[1:3]) > 14 or int(offset[3:]) > 59:
        return None
    return f"{moment.isoformat()}{offset[:3]}:{offset[3:]}"


def time_reader(formats: Sequence[str]) -> Callable[[str], str | None]:
    """`iso_time`, and after it a model's own formats."""
    if not formats:
        return iso_time

    @lru_cache(maxsize=4096)
    def read(text: str) -> str | None:
        standard = iso_time(text)
        if standard is not None:
            return standard
        for pattern in formats:
            try:
                moment = datetime.strptime(text, pattern)
            except ValueError:
                continue
            return moment.isoformat() if "%H" in pattern or "%I" in pattern else moment.date().isoformat()
        return None

    return read


# ---- flags


def flag_reader(
    repeat: str, component: str, none: Sequence[str], *, coded: bool, parts: bool = False
) -> Callable[[str], tuple[list[str], list[str]]]:
    """A function that reads a flag field: the flags, each once, in order; and the words that stand beside them.

    coded: a repetition is a coded value, `10^text^system` (HL7); else its components are flags of their own
    (`LOW^CNTL`). What begins with an empty component and cannot be told apart (`^0^NQ`) stays whole, unless parts is
    true: then its components are flags too.
    The lists are shared between calls: copy them.
    """
    nothing = frozenset(none)

    @lru_cache(maxsize=4096)
    def read(text: str) -> tuple[list[str], list[str]]:
        flags: dict[str, None] = {}
        words: dict[str, None] = {}
        for part in text.split(repeat) if repeat else (text,):
            pieces = [piece.strip() for piece in part.split(component)]
            if not pieces[0] and not parts:
                flags[lone_component(part, component).strip()] = None
            elif coded:
                flags[pieces[0]] = None
                words |= dict.fromkeys(pieces[1:2])
            else:
                flags |= dict.fromkeys(pieces)
        kept = [flag for flag in flags if flag and flag not in nothing]
        return kept, [word for word in words if word and word not in flags]

    return read


# ---- HL7 values by type


def typed_value(kind: str, text: str, component: str, repeat: str, unescape: Callable[[str], str]) -> str:
    """OBX-5 as one text, by OBX-2 (HL7 2.5.1 chapter 2.A): SN joined, the code of CE and CWE, everything else whole.

    Text types with a single component that holds something give that component.
    """
    if kind == "SN":
        return unescape("".join(part.strip() for part in text.split(component)))
    if kind in ("CE", "CWE", "CNE", "CF"):
        parts = [part.strip() for part in text.split(repeat)[0].split(component)]
        code = parts[0] or (parts[1] if len(parts) > 1 else "")
        return unescape(code)
    return unescape(lone_component(text, component).strip())


_POWER = re.compile(r"10\^[-+]?[0-9]{1,2}(?:[/.*][^^]*)?")


def coded_unit(text: str, component: str) -> str:
    r"""OBX-6: the code, else its text; an unescaped power of ten is one unit."""
    if _POWER.fullmatch(text) is not None:
        return text
    parts = text.split(component)
    if component == "^" and len(parts) > 2 and _POWER.fullmatch("^".join(parts[:2])) is not None:
        return "^".join(parts[:2])
    first = parts[0].strip()
    return first or (parts[1].strip() if len(parts) > 1 else "")


_SCALED = re.compile(r"10\*([-+]?[0-9]{1,2})\.(.+)")
_AMOUNT = re.compile(r"([<>]=?)? *([0-9]{1,20}(?:\.[0-9]{1,20})?)")


def scaled(value: str, unit: str) -> tuple[str, str, str]:
    """The value in a unit without its power of ten, that unit, and a remark with what was sent: 367 and
    `10*-1.{copies}/mL` are 36.7 and `copies/mL`. Exact. Whatever is not of this kind stays as it is, without remark.
    """
    power, amount = _SCALED.fullmatch(unit), _AMOUNT.fullmatch(value)
    if power is None or amount is None:
        return value, unit, ""
    exact = Context(prec=60).scaleb(Decimal(amount[2]), int(power[1]))
    return f"{amount[1] or ''}{exact:f}", power[2].replace("{", "").replace("}", ""), f"Cihazın yazdığı: {value} {unit}"


# ---- pictures and other data

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}\s*)*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_MAGIC = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "Qk": "image/bmp",
    "JVBERi": "application/pdf",
}
LONG = 120
"""No measured value is longer than this; a longer text may be a picture."""


def picture(text: str) -> str | None:
    """A value that is base64 data, as a data URL; None for anything that people could read."""
    if len(text) <= LONG or _BASE64.fullmatch(text) is None:
        return None
    return f"data:{media_type(text)};base64,{text}"


def media_type(data: str) -> str:
    """What base64 data holds, by its first bytes."""
    return next((media for start, media in _MAGIC.items() if data.startswith(start)), "application/octet-stream")


def encapsulated(parts: Sequence[str]) -> str:
    """An ED value (source^type^subtype^encoding^data) as a data URL; other encodings than base64 stay as they are."""
    kind, subtype, encoding, data = (*(part.strip() for part in parts[1:5]), "", "", "", "")[:4]
    if encoding.lower() != "base64" or not data:
        return data
    named = {"IM": "image", "AP": "application", "TEXT": "text", "AU": "audio"}.get(kind.upper(), kind.lower())
    media = f"{named}/{subtype.lower()}" if named and subtype else media_type(data)
    return f"data:{media};base64,{data}"
