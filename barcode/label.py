"""What stands where on a tube label of 40 x 25 mm (9.2.1d, 9.2.1e, 9.2.3, 9.2.9).

A layout knows millimetres only; `barcode.zpl` makes printer commands of it, `label_svg` a picture. Nothing is placed in
the margin of 1.5 mm; the bars lie along the 40 mm, which is the tube's axis, so that its curve does not bend them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from barcode import code128
from barcode.numbers import TubeKind, printed_set


@dataclass(frozen=True, slots=True)
class LabelSize:
    """Millimetres; the smallest label that the tender allows (9.2.9)."""

    width: float = 40.0
    height: float = 25.0
    margin: float = 1.5
    gap: float = 3.0
    """Between two labels on the roll; the printer finds it by itself."""

    @property
    def inner_width(self) -> float:
        return self.width - 2 * self.margin


@dataclass(frozen=True, slots=True)
class Text:
    """One line. x, y: left upper corner of its box; size: height of the box; width: what it may take at most."""

    x: float
    y: float
    size: float
    width: float
    text: str
    bold: bool = False
    right: bool = False
    """Ends at x + width instead of beginning at x."""


@dataclass(frozen=True, slots=True)
class Bars:
    """A Code 128 symbol of digits. x: its first bar; module: width of the narrowest bar."""

    x: float
    y: float
    height: float
    module: float
    text: str

    @property
    def width(self) -> float:
        """Without quiet zones."""
        return sum(code128.modules(self.text)) * self.module


@dataclass(frozen=True, slots=True)
class LabelLayout:
    """One label, ready to be drawn."""

    size: LabelSize
    bars: Bars
    texts: tuple[Text, ...]


class LabelError(ValueError):
    """A label that could not be read afterwards. The message is Turkish."""


TENDER_SIZE = LabelSize()
MODULES = (0.25, 0.17)
"""Millimetres of the narrowest bar: 2 dots at 203 dpi, 3 at 300; for very long numbers 2 dots at 300."""

BAR_HEIGHT = 10.0
"""Millimetres; the highest minimum that an analyser's manual asks for (domain facts, 6)."""

SMALLEST = 2.0
"""Millimetres of the smallest line: print of about 6 points."""


def tube_label(
    *,
    number: str,
    barcode: str,
    group: str,
    given_name: str,
    family_name: str,
    sender: str,
    size: LabelSize = TENDER_SIZE,
) -> LabelLayout:
    """The label printed at registration: test group, patient, bars and number, sender (9.2.1d).

    number: the order's number; barcode: the tube's (`barcode.numbers.tube_barcode`); sender: physician or unit.
    A name that is too long loses letters of the given names before any of the family name.
    Raises LabelError: the number is too long for a readable symbol on this label.
    """
    left, top, inner = size.margin, size.margin, size.inner_width
    person, person_size = _fit_name(given_name, family_name, inner, 3.2)
    group_text, group_size = _fit(group, inner, 3.0)
    sender_text, sender_size = _fit(sender, inner, 2.3, bold=False)
    return LabelLayout(
        size,
        _bars(barcode, top + 6.5, BAR_HEIGHT, size),
        (
            Text(left, top, group_size, inner, group_text, bold=True),
            Text(left, top + 3.1, person_size, inner, person, bold=True),
            *_number_line(number, barcode, top + 16.8, 2.8, size),
            Text(left, top + 19.7, sender_size, inner, sender_text),
        ),
    )


def set_label(*, number: str, barcode: str, caption: str, size: LabelSize = TENDER_SIZE) -> LabelLayout:
    """One label of a pre-printed set: number, bars, and under the bars the tube group (9.2.1e)."""
    left, top, inner = size.margin, size.margin, size.inner_width
    caption_text, caption_size = _fit(caption, inner, 4.0)
    return LabelLayout(
        size,
        _bars(barcode, top + 4.8, BAR_HEIGHT + 1.5, size),
        (
            *_number_line(number, barcode, top, 4.0, size),
            Text(left, top + 17.2, caption_size, inner, caption_text, bold=True),
        ),
    )


def set_sheet(numbers: Iterable[str], tubes: Sequence[TubeKind], size: LabelSize = TENDER_SIZE) -> list[LabelLayout]:
    """The labels of many sets in printing order: one number after the other, each in the order of its tubes (9.2.3)."""
    return [
        set_label(number=label.number, barcode=label.barcode, caption=label.caption, size=size)
        for number in numbers
        for label in printed_set(number, tubes)
    ]


def _number_line(number: str, barcode: str, y: float, line: float, size: LabelSize) -> tuple[Text, ...]:
    """The order's number, large, and what the bars say, small: either can be typed when a scanner fails."""
    bars_size = min(line, 2.4)
    rest = size.inner_width - text_width(barcode, bars_size, bold=False) - 1.0
    shown = barcode
    if text_width(number, SMALLEST) > rest:  # a very long number: only the tube code beside it
        shown = barcode.removeprefix(number)
        rest = size.inner_width - text_width(shown, bars_size, bold=False) - 1.0
    number_text, number_size = _fit(number, rest, line)
    beside = text_width(shown, bars_size, bold=False)
    return (
        Text(size.margin, y, number_size, rest, number_text, bold=True),
        Text(size.width - size.margin - beside, y, bars_size, beside, shown, right=True),
    )


def _bars(text: str, y: float, height: float, size: LabelSize) -> Bars:
    """Centred, on the module's own grid; the white margin of the label counts as quiet zone."""
    for module in MODULES:
        width = sum(code128.modules(text)) * module
        white = (size.width - width) / 2
        if width <= size.inner_width and white >= code128.QUIET_ZONE * module:
            return Bars(int(white / module) * module, y, height, module, text)
    raise LabelError(f"{text} numarası {size.width:g} mm etikete okunabilir barkod olarak sığmıyor.")


# --- how wide a text is, without any font at hand

_NARROW = frozenset("iıjlIİ.,:;'|! ")
_MEDIUM = frozenset('frt()-/[]"*°')
_WIDE = frozenset("mwMW@%&—…")


def text_width(text: str, size: float, *, bold: bool = True) -> float:
    """The most that the text can take, in the unit of size: the widths of a common sans-serif, rounded up.

    The printers' own font is narrower.
    """
    return size * sum(map(_letter_width, text)) * (1.0 if bold else 0.95)


def _letter_width(letter: str) -> float:
    if letter in _NARROW:
        return 0.3
    if letter in _MEDIUM:
        return 0.42
    if letter in _WIDE or ord(letter) > 0x250:
        return 1.0
    if letter.isdigit():
        return 0.57
    return 0.62 if letter.islower() else 0.79


def _fit(text: str, width: float, size: float, *, bold: bool = True) -> tuple[str, float]:
    """The text on one line and its size: first smaller, then shortened with dots that show that it was."""
    text = _one_line(text)
    natural = text_width(text, 1.0, bold=bold)
    if natural * size <= width:
        return text, size
    if natural * SMALLEST <= width:
        return text, int(width / natural * 100) / 100
    while text and text_width(text + "..", SMALLEST, bold=bold) > width:
        text = text[:-1]
    return text.rstrip() + "..", SMALLEST


def _fit_name(given: str, family: str, width: float, size: float) -> tuple[str, float]:
    names = _one_line(given).split()
    family = _one_line(family)
    shorter = [names, [*names[:1], *(f"{name[0]}." for name in names[1:])], [f"{name[0]}." for name in names]]
    for attempt in shorter:
        text = " ".join([*attempt, family]).strip()
        if text_width(text, SMALLEST) <= width:
            return _fit(text, width, size)
    return _fit(text, width, size)


def _one_line(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in unicodedata.normalize("NFC", text))
    return " ".join(plain.split())


def label_svg(layout: LabelLayout, *, module_pixels: int | None = 2) -> str:
    """The label as a picture. module_pixels: pixels of the narrowest bar, for a screen (each bar then starts on a
    pixel); None: in millimetres, for printing from a browser."""
    size, bars = layout.size, layout.bars
    if module_pixels is None:
        dimensions = f'width="{size.width:g}mm" height="{size.height:g}mm"'
    else:
        scale = module_pixels / bars.module
        dimensions = f'width="{size.width * scale:g}" height="{size.height * scale:g}"'
    drawn = "".join(
        f'<rect x="{bars.x + start * bars.module:.4g}" y="{bars.y:g}" '
        f'width="{width * bars.module:.4g}" height="{bars.height:g}"/>'
        for start, width in code128.bars(bars.text)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {dimensions} viewBox="0 0 {size.width:g} {size.height:g}" role="img">'
        f'<rect width="{size.width:g}" height="{size.height:g}" fill="#fff"/>'
        f'<g fill="#000" shape-rendering="crispEdges">{drawn}</g>'
        f'<g fill="#000" font-family="Arial, Helvetica, sans-serif">{"".join(map(_svg_text, layout.texts))}</g></svg>'
    )


def _svg_text(item: Text) -> str:
    x = item.x + item.width if item.right else item.x
    anchor = ' text-anchor="end"' if item.right else ""
    weight = ' font-weight="bold"' if item.bold else ""
    return (
        f'<text x="{x:.4g}" y="{item.y + 0.8 * item.size:.4g}" font-size="{item.size:.4g}"{anchor}{weight}>'
        f"{escape(item.text)}</text>"
    )
