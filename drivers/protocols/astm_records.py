"""Records of ASTM E1394-97 / CLSI LIS02-A2, read lazily and written.

Reading splits a message into records and nothing else; fields are split when somebody asks for one. Nothing that an
instrument sends raises: what is missing is an empty string, what cannot be understood stays as it is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, repeat

from drivers.protocols.astm_columns import Columns
from drivers.protocols.astm_tree import groups, walk

__all__ = [
    "DEFAULT_DELIMITERS",
    "AstmMessage",
    "Columns",
    "Delimiters",
    "Record",
    "Repeats",
    "Value",
    "build_message",
    "build_record",
    "decode_text",
    "groups",
    "parse",
    "walk",
]


# ---- character sets


def decode_text(raw: bytes, declared: str | None = None) -> str:
    """Decode what an instrument sent; never raises.

    Tried in order: the `declared` character set (of the definition), UTF-8, Windows-1254, each strictly; then ISO
    8859-9, which has a character for every byte. The two Turkish sets agree wherever an instrument is likely to send
    text, and differ from Western European Latin-1 in six letters (Ğ ğ İ ı Ş ş).
    """
    if raw.isascii() and (declared is None or _ascii_compatible(declared)):
        return raw.decode("ascii")
    for encoding in (declared, "utf-8", "cp1254"):
        if encoding is None:
            continue
        try:
            return raw.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return raw.decode("iso8859-9")


@lru_cache(maxsize=64)
def _ascii_compatible(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name not in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037")
    except LookupError:
        return True


# ---- delimiters


@dataclass(frozen=True, slots=True)
class Delimiters:
    r"""The four characters that a header declares: field, repeat, component, escape ("" = none declared)."""

    field: str = "|"
    repeat: str = "\\"
    component: str = "^"
    escape: str = "&"

    @property
    def header(self) -> str:
        r"""What stands in H-2: `\^&` in the usual case."""
        return self.repeat + self.component + self.escape


DEFAULT_DELIMITERS = Delimiters()


@lru_cache(maxsize=256)
def delimiters_of(start: str) -> Delimiters:
    r"""Read the delimiters from the first two fields of a header, `H|\^&`.

    A character that is declared twice counts once (`\\^&`: a logger escaped the backslash). What is missing is as in
    the standard, except the escape character: none declared means none used.
    """
    if len(start) < 2:
        return DEFAULT_DELIMITERS
    declared = "".join(dict.fromkeys(start[2:]))
    repeat = declared[0] if declared else DEFAULT_DELIMITERS.repeat
    component = declared[1] if len(declared) > 1 else DEFAULT_DELIMITERS.component
    return Delimiters(start[1], repeat, component, declared[2] if len(declared) > 2 else "")


# ---- escapes


@lru_cache(maxsize=64)
def _escape_pattern(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(f"{mark}([FSRE]|X(?:[0-9A-Fa-f]{{2}})+){mark}")


def _unescape(text: str, delimiters: Delimiters, encoding: str | None) -> str:
    """Resolve &F& &S& &R& &E& and &Xhh..& ; other sequences stay as they are."""

    def character(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "X":
            return decode_text(bytes.fromhex(code[1:]), encoding)
        return {"F": delimiters.field, "S": delimiters.component, "R": delimiters.repeat, "E": delimiters.escape}[code]

    return _escape_pattern(delimiters.escape).sub(character, text)


@lru_cache(maxsize=64)
def _escape_table(delimiters: Delimiters) -> dict[int, str]:
    mark = delimiters.escape
    table = {code: f"{mark}X{code:02X}{mark}" for code in (*range(0x20), 0x7F)}
    table[ord(delimiters.field)] = f"{mark}F{mark}"
    table[ord(delimiters.component)] = f"{mark}S{mark}"
    table[ord(delimiters.repeat)] = f"{mark}R{mark}"
    if mark:
        table[ord(mark)] = f"{mark}E{mark}"
    return table


def _escape(text: str, delimiters: Delimiters) -> str:
    escaped = text.translate(_escape_table(delimiters))
    if not delimiters.escape and escaped != text:
        raise ValueError(f"{text!r} holds a delimiter or control character, and the message has no escape character")
    return escaped


# ---- values: str, list of components, Repeats of either


class Repeats(list["str | list[str]"]):
    """The repeats of a field, each a text or a list of components. A field with one repeat needs no Repeats."""


Value = str | Sequence[str] | Repeats | None
"""A field for `build_record`: text; components; Repeats of texts or components; None for an empty field."""


# ---- reading


class Record:
    """One record. Field numbers are the standard's: field 1 is the type letter; what is missing is an empty string."""

    __slots__ = ("_fields", "index", "message", "text")

    def __init__(self, message: AstmMessage, text: str, index: int) -> None:
        self.message = message
        self.text = text
        """The record as sent, without its line end."""
        self.index = index
        """Position in the message, from 1."""
        self._fields: list[str] | None = None

    def __repr__(self) -> str:
        return f"<Record {self.index}: {self.type}, {len(self.text)} characters>"  # no values: they are a patient's

    @property
    def type(self) -> str:
        """The record type as a capital letter."""
        return self.text[:1].upper()

    @property
    def fields(self) -> list[str]:
        """All fields as sent, escapes and delimiters in them untouched; fields[0] is the type letter."""
        if self._fields is None:
            self._fields = self.text.split(self.message.delimiters.field)
        return self._fields

    def raw(self, n: int) -> str:
        """Field n as sent."""
        fields = self._fields or self.fields
        return fields[n - 1] if 0 < n <= len(fields) else ""

    def field(self, n: int) -> str:
        """Field n, escapes resolved. Where it has repeats or components their delimiters stand in it as sent."""
        fields = self._fields or self.fields
        if not 0 < n <= len(fields):
            return ""
        text = fields[n - 1]
        escape = self.message.delimiters.escape
        if escape and escape in text and not (n == 2 and self.type == "H"):
            return _unescape(text, self.message.delimiters, self.message.encoding)
        return text

    def repeats(self, n: int) -> list[str]:
        """The repeats of field n, escapes resolved; one entry for a field without repeats."""
        return [self._resolve(part) for part in self.raw(n).split(self.message.delimiters.repeat)]

    def components(self, n: int, repeat: int = 1) -> list[str]:
        """The components of field n (of its first repeat, or the one asked for), escapes resolved."""
        text = self._repeat(n, repeat)
        return [self._resolve(part) for part in text.split(self.message.delimiters.component)]

    def component(self, n: int, c: int, repeat: int = 1) -> str:
        """Component c of field n (of its first repeat, or the one asked for), escapes resolved."""
        fields = self._fields or self.fields
        if not 0 < n <= len(fields):
            return ""
        text = fields[n - 1]
        delimiters = self.message.delimiters
        if repeat != 1 or delimiters.repeat in text:
            text = self._repeat(n, repeat)
        if delimiters.component in text:
            parts = text.split(delimiters.component)
            text = parts[c - 1] if 0 < c <= len(parts) else ""
        elif c != 1:
            return ""
        escape = delimiters.escape
        if escape and escape in text:
            return _unescape(text, delimiters, self.message.encoding)
        return text

    def value(self, n: int) -> str | list[str] | Repeats:
        """Field n in the shape that `build_record` takes: text, components, or Repeats of those; escapes resolved."""
        raw = self.raw(n)
        delimiters = self.message.delimiters
        if delimiters.repeat in raw:
            return Repeats(self._parts(part) for part in raw.split(delimiters.repeat))
        return self._parts(raw)

    def _parts(self, text: str) -> str | list[str]:
        component = self.message.delimiters.component
        if component in text:
            return [self._resolve(part) for part in text.split(component)]
        return self._resolve(text)

    def _repeat(self, n: int, repeat: int) -> str:
        text = self.raw(n)
        delimiter = self.message.delimiters.repeat
        if delimiter not in text:
            return text if repeat == 1 else ""
        parts = text.split(delimiter)
        return parts[repeat - 1] if 0 < repeat <= len(parts) else ""

    def _resolve(self, text: str) -> str:
        escape = self.message.delimiters.escape
        if escape and escape in text:
            return _unescape(text, self.message.delimiters, self.message.encoding)
        return text


@dataclass(slots=True, eq=False, repr=False)
class AstmMessage:
    """One message: its records, and the delimiters that its header declares."""

    lines: list[str]
    """The records as text, without line ends."""
    delimiters: Delimiters
    encoding: str | None = None
    """The character set that was declared for it, not the one found."""
    loosened: tuple[str, ...] = ()
    """What had to be overlooked to read it."""
    _records: list[Record] | None = field(default=None, init=False)

    @property
    def records(self) -> list[Record]:
        """The records in order."""
        if self._records is None:
            self._records = list(map(Record, repeat(self), self.lines, count(1)))
        return self._records

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def header(self) -> Record | None:
        """The first H record, if any."""
        return next((record for record in self.records if record.type == "H"), None)

    def of_type(self, letter: str) -> list[Record]:
        """The records of one type, in order."""
        return [record for record in self.records if record.type == letter]

    def rows(self, columns: Columns) -> list[tuple[str, ...]]:
        """The texts at the same places of all records of a kind, one tuple for each: the fast way to read many."""
        return columns.read(self)


_FRAME_DIGIT = re.compile(r"[0-9][A-Za-z](?![0-9A-Za-z])")


def parse(text: bytes | str, *, encoding: str | None = None) -> AstmMessage:
    r"""Split one message into records. Never raises.

    text: the records H to L, line ends CR, LF or CR LF; several messages: cut them first (`astm_messages`).
    encoding: the character set of the definition; `decode_text` says what happens without or against it.
    A header that declares its repeat delimiter twice (`\\^&`) proves a logger that doubled it everywhere: it is halved.
    """
    if not isinstance(text, str):
        text = decode_text(text, encoding)
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    lines = text.split("\r")
    if not lines[-1]:
        lines.pop()
    if not lines:
        return AstmMessage(lines, DEFAULT_DELIMITERS, encoding)
    loosened: tuple[str, ...] = ()
    if min(lines) < "A":  # empty lines, blanks or frame digits before a type letter
        lines, loosened = _tidied(lines)
        if not lines:
            return AstmMessage(lines, DEFAULT_DELIMITERS, encoding)
    header = lines[0]
    if header[:1] not in ("H", "h"):
        header = next((line for line in lines if line[0] in "Hh"), "")
    end = header.find(header[1], 2) if len(header) > 1 else -1
    start = header if end < 0 else header[:end]
    delimiters = delimiters_of(start)
    if start[2:4] == delimiters.repeat * 2:
        lines = [line.replace(delimiters.repeat * 2, delimiters.repeat) for line in lines]
        loosened += ("repeat delimiter doubled",)
    return AstmMessage(lines, delimiters, encoding, loosened)


def _tidied(lines: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Drop blank lines, blanks before the type letter, and a frame digit that somebody left in front of a record."""
    tidy = [line for line in (line.lstrip() for line in lines) if line]
    if any(_FRAME_DIGIT.match(line) for line in tidy):
        tidy = [line[1:] if _FRAME_DIGIT.match(line) else line for line in tidy]
        return tidy, ("frame number left in front of a record",)
    return tidy, ()


# ---- writing


def build_record(fields: Sequence[Value], delimiters: Delimiters = DEFAULT_DELIMITERS) -> str:
    r"""One record as text, without its CR.

    fields: type letter first. `build_record(["R", "1", ["", "", "", "GLU"], "5.4", "mmol/L"])` is
    `R|1|^^^GLU|5.4|mmol/L`; `Repeats([["", "", "", "GLU"], ["", "", "", "K"]])` is `^^^GLU\^^^K`. Trailing empty fields
    are kept. In a header, field 2 is written from `delimiters` whatever is given.
    Raises ValueError: a value needs escaping and the delimiters have no escape character; no fields.
    """
    if not fields:
        raise ValueError("a record needs at least its type")
    written = [_written(value, delimiters) for value in fields]
    if written[0] in ("H", "h"):
        written[1:2] = [delimiters.header]
    return delimiters.field.join(written)


def _written(value: Value, delimiters: Delimiters) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return _escape(value, delimiters)
    if isinstance(value, Repeats):
        return delimiters.repeat.join(_written(part, delimiters) for part in value)
    return delimiters.component.join(_escape(part, delimiters) for part in value)


def build_message(
    records: Iterable[str | Record | Sequence[Value]],
    encoding: str = "utf-8",
    delimiters: Delimiters = DEFAULT_DELIMITERS,
) -> bytes:
    """A whole message, each record closed by CR.

    records: built text, a Record that was read (written back as it was), or fields for `build_record`.
    Raises ValueError (UnicodeEncodeError is one): a value does not exist in `encoding`.
    """
    parts: list[str] = []
    for record in records:
        if isinstance(record, Record):
            parts.append(record.text)
        else:
            parts.append(record if isinstance(record, str) else build_record(record, delimiters))
        parts.append("\r")
    return "".join(parts).encode(encoding)
