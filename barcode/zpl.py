"""Labels as ZPL II, for Zebra printers and those that speak its language (203 and 300 dpi).

What people typed never becomes a command: "^", "~" and the escape sign itself are sent as hexadecimal, control
characters not at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Literal

from barcode import code128
from barcode.label import Bars, LabelError, LabelLayout, Text

Dpi = Literal[203, 300]
_FONT = re.compile(r"[A-Z0-9]|[EBRAZ]:[A-Z0-9_]{1,16}\.(?:TTF|TTE|FNT)")
_INVOKE = {"A": (">9", ">7"), "B": (">:", ">6"), "C": (">;", ">5")}
"""How `^BC` in mode N is told the subset: at the start, and later."""

NARROWEST = 0.127
"""Millimetres; analysers do not read a thinner bar (domain facts, 6)."""


def zpl(labels: Iterable[LabelLayout], *, dpi: Dpi = 203, font: str = "0", turkish_letters: bool = True) -> bytes:
    """Printer commands for these labels, in this order.

    font: a printer font ("0") or one stored on it ("E:TT0003M_.TTF").
    turkish_letters: False for a printer whose font has none: they are then printed without their marks.
    Raises LabelError (Turkish) where the bars would be too thin at this resolution, ValueError for a font name that
    is none.
    """
    if not _FONT.fullmatch(font):
        raise ValueError(f"{font!r} is no font name")
    return "".join(_label(label, dpi, font, turkish_letters) for label in labels).encode()


def _label(label: LabelLayout, dpi: Dpi, font: str, turkish_letters: bool) -> str:
    def dots(millimetres: float) -> int:
        return round(millimetres * dpi / 25.4)

    lines = [
        "^XA",
        "^CI28",  # UTF-8
        "^MNY",  # labels with gaps: the printer aligns each one at its own edge
        f"^PW{dots(label.size.width)}",
        f"^LL{dots(label.size.height)}",
        "^LH0,0",
        _bars(label, dpi),
        *(_text(item, dots, font, turkish_letters) for item in label.texts),
        "^PQ1",
        "^XZ",
    ]
    return "\n".join(lines) + "\n"


def _bars(label: LabelLayout, dpi: Dpi) -> str:
    bars: Bars = label.bars
    per_millimetre = dpi / 25.4
    module = round(bars.module * per_millimetre)
    if module / per_millimetre < NARROWEST:
        raise LabelError(f"{bars.text} numarası {dpi} dpi yazıcıda okunabilir basılamaz; 300 dpi yazıcı gerekir.")
    # The printer's dots are a little wider or narrower than the layout's module: centre what will really be printed.
    width = sum(code128.modules(bars.text)) * module
    x = (round(label.size.width * per_millimetre) - width) // 2
    y, height = round(bars.y * per_millimetre), round(bars.height * per_millimetre)
    return f"^FO{x},{y}^BY{module},3,{height}^BCN,{height},N,N,N,N^FD{code128_field(bars.text)}^FS"


def code128_field(text: str) -> str:
    """Field data of `^BC` in mode N, with the subsets of our own shortest path: "1001" -> ">;1001".

    Raises ValueError for anything but digits, so no command can hide in it.
    """
    return "".join(
        _INVOKE[subset][0 if place == 0 else 1] + digits
        for place, (subset, digits) in enumerate(code128.subset_path(text))
    )


def _text(item: Text, dots: Callable[[float], int], font: str, turkish_letters: bool) -> str:
    height = dots(item.size)
    chosen = f"^A{font}N,{height},{height}" if len(font) == 1 else f"^A@N,{height},{height},{font}"
    block = f"^FB{dots(item.width)},1,0,R" if item.right else ""
    return f"^FO{dots(item.x)},{dots(item.y)}{chosen}{block}^FH_^FD{escape(item.text, turkish_letters)}^FS"


def escape(text: str, turkish_letters: bool = True) -> str:
    r"""Field data after `^FH_`: no command, no control character, one line.

    "^", "~" and "_" become _5E, _7E and _5F; a backslash, which starts a command inside a text block, _5C.
    """
    text = unicodedata.normalize("NFC", text)
    if not turkish_letters:
        text = _without_marks(text)
    return "".join(_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if letter in "^~_\\":
        return f"_{ord(letter):02X}"
    return letter if letter.isprintable() else " "


_PLAIN = str.maketrans("ıİ", "iI")


def _without_marks(text: str) -> str:
    apart = unicodedata.normalize("NFD", text.translate(_PLAIN))
    return "".join(letter if letter.isascii() else "?" for letter in apart if not unicodedata.combining(letter))
