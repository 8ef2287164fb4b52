"""HL7 v2 as a peer of Numune reads and writes it: plain lists, written apart from `drivers.protocols.hl7` on purpose.

Field numbers are HL7's (MSH-1 is the field separator itself). Only the standard delimiters `|^~\\&` are spoken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

__all__ = ["Message", "Segment", "escape", "segment", "stamp", "unescape"]

_TO_ESCAPE = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": "\\X0D\\", "\n": "\\.br\\"}
_FROM_ESCAPE = {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~", ".br": "\n"}


def escape(text: str) -> str:
    """Text as it may stand in a field."""
    return "".join(_TO_ESCAPE.get(char, char) for char in text)


def unescape(text: str) -> str:
    """The text that was meant; unknown sequences stay."""

    def plain(found: re.Match[str]) -> str:
        name = found[1]
        if name in _FROM_ESCAPE:
            return _FROM_ESCAPE[name]
        if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", name):
            return bytes.fromhex(name[1:]).decode("utf-8", "replace")
        return found[0]

    return re.sub(r"\\([^\\]+)\\", plain, text)


def segment(name: str, **fields: str | Sequence[str]) -> str:
    """One segment; `f3="x"` is field 3 as it stands (not escaped), a list is joined by `^`. MSH: f3 upwards."""
    places = {int(key[1:]): value if isinstance(value, str) else "^".join(value) for key, value in fields.items()}
    if name == "MSH":
        return "MSH|^~\\&|" + "|".join(places.get(at, "") for at in range(3, max(places) + 1))
    return "|".join([name, *(places.get(at, "") for at in range(1, max(places, default=0) + 1))])


def stamp(moment: datetime, offset: str = "") -> str:
    """YYYYMMDDHHMMSS, with `offset` behind it."""
    return moment.strftime("%Y%m%d%H%M%S") + offset


class Segment:
    """One segment of a message that came in."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.name = line[:3]
        fields = line.split("|")
        self._fields = [self.name, "|", *fields[1:]] if self.name == "MSH" else fields

    def field(self, number: int) -> str:
        """As it stands; empty where there is none."""
        return self._fields[number] if number < len(self._fields) else ""

    def get(self, number: int, component: int = 1, repetition: int = 1) -> str:
        """One component, unescaped. The HL7 null `""` stays as it is."""
        repeats = self.field(number).split("~") if self.name != "MSH" or number != 2 else [self.field(2)]
        parts = repeats[repetition - 1].split("^") if repetition <= len(repeats) else []
        return unescape(parts[component - 1]) if component <= len(parts) else ""


class Message:
    """A message that came in: its segments in order."""

    def __init__(self, data: bytes) -> None:
        self.raw = data
        text = data.decode("utf-8", "replace")
        self.segments = [Segment(line) for line in text.replace("\n", "\r").split("\r") if line[:3].strip()]

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def first(self, name: str) -> Segment:
        """The first segment of this name; an empty one where there is none."""
        return next((one for one in self.segments if one.name == name), Segment(name))

    def has(self, name: str) -> bool:
        """Whether there is such a segment."""
        return any(one.name == name for one in self.segments)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.first("MSH").field(10)

    @property
    def kind(self) -> str:
        """MSH-9 without the structure: `ORU^R01`."""
        return "^".join(self.first("MSH").field(9).split("^")[:2])

    @property
    def answers(self) -> str:
        """MSA-2: the control id of the message that this one answers; empty for a request."""
        return self.first("MSA").field(2)

    @property
    def code(self) -> str:
        """MSA-1: AA, AE, AR."""
        return self.first("MSA").field(1)
