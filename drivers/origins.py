"""Where in a message each thing that was read stands: which component made the specimen, the value, the unit ...

Found out by asking the definition itself: a component is changed to another text of the same shape and the message
read again; what changes was read there. So fallbacks, conditions and expressions count exactly as they do for the
instrument, and there is no second reading of a definition that could say something else.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.anatomy import Part, RecordParts, lay_open, parts_of
from drivers.definition import Definition
from drivers.messages import Observation
from drivers.reading import Reading

MOST_READINGS = 3000
"""Components that are tried in one message: about a second. What comes after them has no known origin."""

ITEMS = (
    "specimen", "patient", "test", "test_name", "value", "unit", "flags", "range", "status", "measured_at", "rack",
    "position", "operator", "lot", "comments",
)  # fmt: skip
_TURNED = bytes.maketrans(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"1234567891bcdefghijklmnopqrstuvwxyzaBCDEFGHIJKLMNOPQRSTUVWXYZA",
)


@dataclass(slots=True)
class Traced:
    """A message laid open and read. `origins`: for each observation, item -> path of the component that says it."""

    records: list[RecordParts]
    reading: Reading
    origins: list[dict[str, str]]
    roles: dict[tuple[int, str], list[str]]
    """(record, path) -> items that were read there, for marking the component itself."""


def trace(definition: Definition, text: bytes) -> Traced:
    """Read one whole message and find where everything came from. Never raises on what a peer sends."""
    reading = definition.read(text)
    if definition.protocol not in ("astm", "hl7"):  # texts without records have no places to point at
        return Traced([], reading, [{} for _ in reading.observations], {})
    records = lay_open(text, definition.protocol)
    traced = Traced(records, reading, [{} for _ in reading.observations], {})
    if not reading.observations:
        return traced
    for count, (record, part) in enumerate(parts_of(records)):
        if count >= MOST_READINGS:
            break
        turned = text[part.start : part.end].translate(_TURNED)
        if turned == text[part.start : part.end]:
            turned = b"Zq"  # a sign without letters or digits: `%`
        again = definition.read(text[: part.start] + turned + text[part.end :]).observations
        if len(again) == len(reading.observations):
            _note(traced, record, part, again)
    return traced


def _note(traced: Traced, record: RecordParts, part: Part, again: list[Observation]) -> None:
    """What changed with this component, and holds its text, was read in it."""
    for place, (before, after) in enumerate(zip(traced.reading.observations, again, strict=True)):
        for item in ITEMS:
            old = getattr(before, item)
            if old == getattr(after, item) or not _says(item, old, part.text):
                continue
            traced.origins[place].setdefault(item, part.path)
            roles = traced.roles.setdefault((record.index, part.path), [])
            if item not in roles:
                roles.append(item)


def _says(item: str, read: object, text: str) -> bool:
    """Whether what was read can be this component's text: a change elsewhere may have changed it, too."""
    if item == "measured_at":
        return bool(read) and sum(letter.isdigit() for letter in text) >= 6
    if isinstance(read, list):
        return any(str(one) in text or text.strip() in str(one) for one in read)
    word = str(read or "")
    return bool(word) and (word in text or text.strip() in word)
