"""A message laid open for people: its records, fields and components, each with the path that names it.

Works on bytes, so that what is shown, pointed at and changed is what the instrument sent. It reads nothing: meaning is
the definition's (`drivers.definition`); where a meaning came from is asked of `drivers.origins`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["astm", "hl7"]

MOST_PARTS = 20_000
"""Components of one message that are laid open; far above any real one."""
_LINES = re.compile(rb"[^\r\n]+")
_NAME = {"astm": re.compile(rb"[ \t]*([A-Za-z])"), "hl7": re.compile(rb"([A-Z][A-Z0-9]{1,2})")}


@dataclass(frozen=True, slots=True)
class Part:
    """One component (or one whole field without components). `start`, `end`: its place in the message's bytes."""

    path: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FieldParts:
    """One field with its components; several repeats stand one after the other."""

    path: str
    parts: tuple[Part, ...]

    @property
    def empty(self) -> bool:
        return not any(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class RecordParts:
    """One record or segment. `index`: its 1-based place, as `Observation.raw` names it."""

    index: int
    kind: str
    fields: tuple[FieldParts, ...]


@dataclass(frozen=True, slots=True)
class _Marks:
    field: bytes
    repeat: bytes
    component: bytes
    shift: int
    """What to add to a field's place after a split at the separator to get its number."""


def lay_open(text: bytes, protocol: Protocol) -> list[RecordParts]:
    """The records of one whole message without framing; [] where no header tells the separators, or there are none."""
    lines = list(_LINES.finditer(text))
    if not lines or protocol not in _NAME:
        return []
    records: list[RecordParts] = []
    marks: _Marks | None = None
    budget = MOST_PARTS
    for index, line in enumerate(lines, 1):
        name = _NAME[protocol].match(line[0])
        if name is None:
            continue
        kind = name[1].decode().upper()
        header = kind == ("H" if protocol == "astm" else "MSH")
        if header:
            marks = _marks(line[0], name.end(), protocol) or marks
        if marks is None:
            continue
        fields = tuple(_fields(line[0], line.start(), kind, marks, header))
        records.append(RecordParts(index, kind, fields))
        budget -= sum(len(field.parts) for field in fields)
        if budget < 0:
            break
    return records


def parts_of(records: list[RecordParts]) -> Iterator[tuple[RecordParts, Part]]:
    """Every component that holds something."""
    for record in records:
        for field in record.fields:
            for part in field.parts:
                if part.text.strip():
                    yield record, part


def _marks(line: bytes, at: int, protocol: Protocol) -> _Marks | None:
    separator = line[at : at + 1]
    if not separator:
        return None
    delimiters = line[at + 1 :].split(separator, 1)[0]
    if protocol == "astm":
        return _Marks(separator, delimiters[0:1] or b"\\", delimiters[1:2] or b"^", 1)
    return _Marks(separator, delimiters[1:2] or b"~", delimiters[0:1] or b"^", 0)


def _fields(line: bytes, offset: int, kind: str, marks: _Marks, header: bool) -> Iterator[FieldParts]:
    place = offset
    for number, field in enumerate(line.split(marks.field)):
        named = number + marks.shift + (1 if header and marks.shift == 0 else 0)
        if number and not (header and number == 1):  # the record's name, and the header's separators, are no content
            path = f"{kind}-{named}"
            yield FieldParts(path, tuple(_components(field, place, path, marks)))
        place += len(field) + 1


def _components(field: bytes, offset: int, path: str, marks: _Marks) -> Iterator[Part]:
    place = offset
    for repeat, text in enumerate(field.split(marks.repeat), 1):
        of = path if repeat == 1 else f"{path}[{repeat}]"
        components = text.split(marks.component)
        inner = place
        for number, component in enumerate(components, 1):
            name = f"{of}.{number}" if len(components) > 1 else of
            yield Part(name, _shown(component), inner, inner + len(component))
            inner += len(component) + 1
        place += len(text) + 1


def _shown(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1254", errors="replace")
