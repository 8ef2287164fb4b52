"""Code 128: the symbol of every tube label.

The encoder finds the shortest symbol by trying every subset at every place (A: capitals and control characters, B:
capitals and small letters, C: pairs of digits), which for the digits of a tube is subset C.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Literal

Subset = Literal["A", "B", "C"]

# Widths of bar, space, bar, space, bar, space for the values 0 to 105; each adds up to 11 modules.
_TABLE = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232"
)
_PATTERNS = _TABLE.split()
_STOP = "2331112"
_START = {"A": 103, "B": 104, "C": 105}
_SWITCH = {"A": 101, "B": 100, "C": 99}
_SHIFT = 98
QUIET_ZONE = 10
"""Modules that stay white on either side."""


def symbols(text: str, *, prefer: Literal["A", "B"] = "B") -> list[int]:
    """The values of the shortest symbol, start first, check last, without stop.

    prefer: the subset taken where A and B are equally short.
    Raises ValueError: empty, or a letter outside ASCII (Code 128 has none).
    """
    if not text:
        raise ValueError("an empty text has no barcode")
    if not text.isascii():
        raise ValueError(f"Code 128 has no letter for {next(c for c in text if not c.isascii())!r}")
    path = list(_shortest(text, prefer))
    return [*path, check_value(path)]


def check_value(path: Sequence[int]) -> int:
    """(start + 1 v1 + 2 v2 + ...) mod 103."""
    return (path[0] + sum(place * value for place, value in enumerate(path))) % 103


@lru_cache(maxsize=4096)
def _shortest(text: str, prefer: str) -> tuple[int, ...]:
    """Walks the text once and keeps, for each subset, the shortest way to stand there."""
    order: tuple[Subset, ...] = ("C", "A", "B") if prefer == "A" else ("C", "B", "A")
    ways: list[dict[Subset, tuple[int, ...]]] = [{} for _ in range(len(text) + 1)]
    ways[0] = {subset: (_START[subset],) for subset in order}
    for place in range(len(text)):
        for subset in order:
            way = ways[place].get(subset)
            if way is None:
                continue
            for length, values in _steps(text, place, subset):
                _keep(ways[place + length], subset, way + values)
        _add_switches(ways[place + 1], order)
    ends = ways[len(text)]
    return min((ends[subset] for subset in order if subset in ends), key=len)


def _steps(text: str, place: int, subset: Subset) -> list[tuple[int, tuple[int, ...]]]:
    """What can be written from here in this subset: (letters used, values written)."""
    if subset == "C":
        pair = text[place : place + 2]
        return [(2, (int(pair),))] if len(pair) == 2 and pair.isdigit() else []
    value = _value(text[place], subset)
    if value is not None:
        return [(1, (value,))]
    other = _value(text[place], "B" if subset == "A" else "A")
    assert other is not None  # every ASCII letter is in A or B
    return [(1, (_SHIFT, other))]


def _value(letter: str, subset: Subset) -> int | None:
    code = ord(letter)
    if 32 <= code < 96:
        return code - 32
    if subset == "A":
        return code + 64 if code < 32 else None
    return code - 32 if code >= 96 else None


def _keep(ways: dict[Subset, tuple[int, ...]], subset: Subset, way: tuple[int, ...]) -> None:
    if subset not in ways or len(way) < len(ways[subset]):
        ways[subset] = way


def _add_switches(ways: dict[Subset, tuple[int, ...]], order: tuple[Subset, ...]) -> None:
    for start in order:
        if start in ways:
            for target in order:
                if target != start:
                    _keep(ways, target, (*ways[start], _SWITCH[target]))


def subset_path(text: str) -> list[tuple[Subset, str]]:
    """The same way as texts: "10001" -> [("C", "1000"), ("B", "1")]. Only for texts of digits (ValueError)."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not made of digits")
    starts: dict[int, Subset] = {103: "A", 104: "B", 105: "C"}
    switches: dict[int, Subset] = {101: "A", 100: "B", 99: "C"}
    first, *values = _shortest(text, "B")
    subset = starts[first]
    parts: list[tuple[Subset, str]] = [(subset, "")]
    for value in values:
        if value in switches and not (subset == "C" and value == 99):
            subset = switches[value]
            parts.append((subset, ""))
        else:
            digits = f"{value:02d}" if subset == "C" else chr(value + 32)
            parts[-1] = (subset, parts[-1][1] + digits)
    return parts


def modules(text: str, *, prefer: Literal["A", "B"] = "B") -> list[int]:
    """Widths of bar, space, bar ... bar in modules, start to stop, without quiet zones: 11 a value, 13 for the stop."""
    drawn = "".join(_PATTERNS[value] for value in symbols(text, prefer=prefer)) + _STOP
    return [int(width) for width in drawn]


def bars(text: str) -> list[tuple[int, int]]:
    """The black bars as (start, width) in modules from the left edge of the symbol."""
    found, position = [], 0
    for place, width in enumerate(modules(text)):
        if place % 2 == 0:
            found.append((position, width))
        position += width
    return found


def svg(text: str, *, module: int = 2, height: int = 60, caption: str | None = None) -> str:
    """The barcode for a screen: one module is `module` pixels, so that every edge falls on a pixel.

    caption: the line under the bars; None repeats the text, "" leaves it out. Quiet zones are part of the picture.
    Raises ValueError as `symbols` does.
    """
    line = text if caption is None else caption
    width = (sum(modules(text)) + 2 * QUIET_ZONE) * module
    below = 18 if line else 0
    drawn = "".join(
        f'<rect x="{(start + QUIET_ZONE) * module}" y="0" width="{size * module}" height="{height}"/>'
        for start, size in bars(text)
    )
    words = (
        f'<text x="{width // 2}" y="{height + 14}" font-family="monospace" font-size="14" text-anchor="middle">'
        f"{escape(_printable(line))}</text>"
        if line
        else ""
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + below}" '
        f'viewBox="0 0 {width} {height + below}" role="img" aria-label="{escape(_printable(text))}">'
        f'<rect width="{width}" height="{height + below}" fill="#fff"/>'
        f'<g fill="#000" shape-rendering="crispEdges">{drawn}</g>{words}</svg>'
    )


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
