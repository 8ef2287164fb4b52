"""HL7 v2 messages, read lazily (HL7 2.5.1 chapter 2). Public names are re-exported by `drivers.protocols.hl7`.

A message is split into segments once; a segment into fields when the first of them is asked for; a field into
repetitions, components and sub-components only for the question at hand. Nothing below the segment becomes an object
of its own, so a message costs what is read from it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from drivers.protocols.hl7_lines import BEGINNINGS, lines_of, mended
from drivers.protocols.hl7_text import (
    Delimiters,
    Hl7Error,
    check_encoding,
    decode,
    encode,
    read_delimiters,
    unescape,
)

NULL = '""'  # "delete what you have": not the same as empty, which says nothing (2.5.3)

_HEADERS = frozenset({"MSH", "FHS", "BHS"})  # their field 1 is the field separator itself


def is_null(value: str) -> bool:
    """Whether a field says the explicit null `""` (2.5.3)."""
    return value == NULL


class _Syntax:
    """What the segments of one message share. Not the message itself: a circle would keep its memory."""

    __slots__ = (
        "_data", "_default", "_encoding", "component", "delimiters", "escape", "field", "plain", "repetition",
        "subcomponent", "table",
    )  # fmt: skip

    def __init__(self, data: bytes, default_encoding: str, table: Mapping[str, str] | None) -> None:
        self._data = data
        self._default = default_encoding
        self._encoding = ""
        self.delimiters = delimiters = read_delimiters(data[:24].decode("latin-1"))
        self.table = table
        self.plain = False
        self.field = delimiters.field
        self.component = delimiters.component
        # CR stands for a delimiter that MSH-2 does not define: it occurs in no field
        self.repetition = delimiters.repetition or "\r"
        self.subcomponent = delimiters.subcomponent or "\r"
        self.escape = delimiters.escape or "\r"

    def decode(self) -> tuple[str, bool]:
        """The text, and whether it is written as MSH-18 declares."""
        if self._data.isascii():
            return self._data.decode("ascii"), True  # whatever is declared: the encoding matters only if somebody asks
        text, self._encoding, as_declared = decode(self._data, self._declared_charset(), self._default)
        return text, as_declared

    @property
    def encoding(self) -> str:
        if not self._encoding:
            self._encoding = decode(b"", self._declared_charset(), self._default)[1]
        return self._encoding

    def _declared_charset(self) -> str:
        """MSH-18, first repetition, read before the text is decoded; encodings that HL7 allows keep ASCII as it is."""
        header = re.split(rb"[\r\n]", self._data[:4096], maxsplit=1)[0]  # far longer than any MSH
        fields = header.split(self.field.encode("ascii"), 18)
        charset = fields[17][:64].decode("latin-1") if len(fields) > 17 else ""
        return charset.partition(self.repetition)[0]

    def is_plain(self, text: str, start: int = 0) -> bool:
        """Whether a text holds no repetitions, sub-components and escapes, so that only components need a look."""
        return not (
            text.find(self.repetition, start) >= 0
            or text.find(self.subcomponent, start) >= 0
            or text.find(self.escape, start) >= 0
        )

    def unescape(self, text: str) -> str:
        return unescape(text, self.delimiters, encoding=self.encoding, table=self.table)


class Segment(msgspec.Struct, gc=False, eq=False):
    """One segment. Fields, repetitions, components and sub-components count from 1, as in the standard.

    What is absent reads as an empty string; the explicit null reads as `""` (see `is_null`). To ask with a number
    below 1 is the caller's mistake and gives nothing useful.
    """

    name: str
    index: int
    """1-based place in the message."""
    text: str
    """As received, without its end."""
    _syntax: _Syntax
    _fields: list[str] | None = None
    _plain: bool = False

    def __repr__(self) -> str:
        return f"<Segment {self.index} {self.name}>"  # no content: it may end up in a log

    @property
    def delimiters(self) -> Delimiters:
        return self._syntax.delimiters

    @property
    def fields(self) -> list[str]:
        """Raw fields; `fields[n]` is field n, `fields[0]` the segment's name. Do not change the list."""
        return self._fields if self._fields is not None else self._split()

    def _split(self) -> list[str]:
        syntax = self._syntax
        # one look at the whole segment spares three at each of its fields
        self._plain = syntax.plain or syntax.is_plain(self.text)
        self._fields = fields = self.text.split(syntax.field)
        return fields

    def field(self, n: int) -> str:
        """Field n as received, with its repetitions, components and escape sequences."""
        fields = self.fields
        return fields[n] if n < len(fields) else ""

    def get(self, n: int, rep: int = 1, comp: int = 1, sub: int = 1) -> str:
        """Text of one sub-component, escape sequences decoded."""
        fields = self._fields
        if fields is None:
            fields = self._split()
        try:
            value = fields[n]
        except IndexError:
            return ""
        syntax = self._syntax
        if (rep == 1 and sub == 1) and (
            self._plain or not (syntax.repetition in value or syntax.subcomponent in value or syntax.escape in value)
        ):
            component = syntax.component
            if component not in value:
                return value if comp == 1 else ""
            parts = value.split(component)
            return parts[comp - 1] if comp <= len(parts) else ""
        return self._get_slowly(value, rep, comp, sub)

    def _get_slowly(self, value: str, rep: int, comp: int, sub: int) -> str:
        syntax = self._syntax
        for separator, wanted in ((syntax.repetition, rep), (syntax.component, comp), (syntax.subcomponent, sub)):
            if separator in value:
                parts = value.split(separator)
                value = parts[wanted - 1] if wanted <= len(parts) else ""
            elif wanted != 1:
                return ""
        return syntax.unescape(value) if syntax.escape in value else value

    def whole(self, n: int) -> str:
        """Field n as one text, escape sequences decoded, nothing split.

        For fields whose senders forget to escape: `10^9/L` in a unit, `R&D` in a comment.
        """
        value = self.field(n)
        return self._syntax.unescape(value) if self._syntax.escape in value else value

    def repeats(self, n: int) -> list[str]:
        """The repetitions of field n as received, still with components and escapes; [] for an empty field."""
        value = self.field(n)
        return value.split(self._syntax.repetition) if value else []

    def raw_components(self, n: int, rep: int = 1) -> list[str]:
        """The components of one repetition as received (ED data: its backslashes are no escapes); [] for none."""
        repetitions = self.repeats(n)
        if rep > len(repetitions) or not repetitions[rep - 1]:
            return []
        return repetitions[rep - 1].split(self._syntax.component)

    def components(self, n: int, rep: int = 1) -> list[str]:
        """The components of one repetition, escape sequences decoded, sub-components not split; [] for none."""
        syntax = self._syntax
        return [syntax.unescape(part) if syntax.escape in part else part for part in self.raw_components(n, rep)]


class _Header(Segment, gc=False, eq=False):
    """MSH, FHS or BHS: field 1 is the separator, field 2 the delimiters; both are not split and hold no escapes."""

    def _split(self) -> list[str]:
        fields = super()._split()
        fields.insert(1, self._syntax.field)
        self._plain = False  # MSH-2 holds every delimiter, so this says nothing about the other fields
        return fields

    def get(self, n: int, rep: int = 1, comp: int = 1, sub: int = 1) -> str:
        if n <= 2:
            return self.field(n) if rep == comp == sub == 1 else ""
        return super().get(n, rep, comp, sub)

    def whole(self, n: int) -> str:
        return self.field(n) if n <= 2 else super().whole(n)

    def repeats(self, n: int) -> list[str]:
        return [self.field(n)] if n <= 2 else super().repeats(n)

    def raw_components(self, n: int, rep: int = 1) -> list[str]:
        return [self.field(n)] if n <= 2 else super().raw_components(n, rep)

    def components(self, n: int, rep: int = 1) -> list[str]:
        return [self.field(n)] if n <= 2 else super().components(n, rep)


class Columns:
    """The same few places of many segments, read together: several times faster than one `get` for each.

        RESULT = Columns(3, (3, 2), 5, 6, (8, 0))
        for code, name, value, unit, flags in message.rows("OBX", RESULT): ...

    A place is a field number, or (field, component), or (field, component, sub-component): what `get` gives for its
    first repetition. Component 0 is the field as received, with all repetitions (`Segment.field`).
    """

    __slots__ = ("_read", "places")

    def __init__(self, *places: int | tuple[int, int] | tuple[int, int, int]) -> None:
        full = [((place,) if isinstance(place, int) else place) + (1, 1) for place in places]
        self.places = tuple((place[0], place[1], place[2]) for place in full)
        if not self.places or any(n < 1 or comp < 0 or sub < 1 for n, comp, sub in self.places):
            raise ValueError(f"not places in a segment: {places}")
        self._read = _compiled_reader(self.places)

    def __call__(self, segment: Segment) -> tuple[str, ...]:
        """The texts at the places of one segment, in their order."""
        # in a header segment the first field is not where it seems
        row = self._read(segment.text, segment._syntax) if segment.name not in _HEADERS else None
        return row if row is not None else self._row_with_escapes(segment)

    def rows(self, lines: list[str], name: str, syntax: _Syntax) -> list[tuple[str, ...]] | None:
        """The rows of the lines that begin with this name; None if a line begins no segment that we know.

        lines: of a whole message with the usual field separator; the first one, MSH, is left out.
        """
        rows: list[tuple[str, ...]] = []
        read, known, beginning = self._read, BEGINNINGS, name + syntax.field
        for line in lines[1:]:
            start = line[:4]
            if start == beginning:
                row = read(line, syntax)
                rows.append(row if row is not None else self._row_with_escapes(Segment(name, 0, line, syntax)))
            elif start not in known:
                return None
        return rows

    def _row_with_escapes(self, segment: Segment) -> tuple[str, ...]:
        return tuple(segment.get(n, 1, comp, sub) if comp else segment.field(n) for n, comp, sub in self.places)


@lru_cache(maxsize=256)
def _compiled_reader(places: tuple[tuple[int, int, int], ...]) -> Callable[[str, _Syntax], tuple[str, ...] | None]:
    """A function that reads the places out of a segment's text, or gives None where escapes or sub-components occur.

    Compiled for these places, as `dataclasses` does it: constant indexes and no loop, which is half of the time.
    The source holds nothing from outside but the numbers.
    """
    width = max(n for n, _, _ in places) + 1
    cut_repetitions, cut_components = [], []
    for n in sorted({n for n, comp, _ in places if comp}):
        cut_repetitions.append(f"    if r in f[{n}]: f[{n}] = f[{n}][:f[{n}].index(r)]")
        if any(place[0] == n and place[1] > 1 for place in places):
            cut_components.append(f"  p{n} = f[{n}].split(c); w{n} = len(p{n}); a{n} = p{n}[0]")
        else:
            cut_components.append(f"  a{n} = f[{n}]")
            cut_components.append(f"  if c in a{n}: a{n} = a{n}[:a{n}.index(c)]")
    values = []
    for n, comp, sub in places:
        if comp == 0:
            values.append(f"whole[{n}]")
        elif sub > 1:
            values.append("''")
        else:
            values.append(f"a{n}" if comp == 1 else f"p{n}[{comp - 1}] if w{n} >= {comp} else ''")
    source = [
        "def read(text, syntax):",
        "  c = syntax.component",
        f"  f = text.split(syntax.field, {width})",  # the rest of a long segment stays unsplit
        f"  if len(f) < {width}: f += [''] * ({width} - len(f))",
        "  whole = f",
        "  if not syntax.plain:",
        "    if syntax.escape in text or syntax.subcomponent in text: return None",
        "    r = syntax.repetition",
        "    if r in text:",
        "      whole = f.copy()",
        *("  " + line for line in cut_repetitions),
        *cut_components,
        f"  return ({', '.join(values)},)",
    ]
    scope: dict[str, Any] = {}
    exec("\n".join(source), scope)
    return scope["read"]  # type: ignore[no-any-return]


class Message:
    """One message. Made by `parse`."""

    __slots__ = ("_lines", "_oddities", "_segments", "_syntax", "raw", "text")

    def __init__(self, raw: bytes, text: str, lines: list[str], syntax: _Syntax, oddities: list[str]) -> None:
        self.raw = raw  # the bytes as they came
        self.text = text
        self._lines = lines
        self._segments: list[Segment] | None = None
        self._syntax = syntax
        self._oddities = oddities

    def __repr__(self) -> str:
        return f"<Message {'^'.join(self.type)} of {len(self.segments)} segments>"

    @property
    def segments(self) -> list[Segment]:
        """All segments, in order."""
        if self._segments is None:
            self._segments = _segments(self._lines, self._syntax, self._oddities)
        return self._segments

    @property
    def msh(self) -> Segment:
        return self.segments[0]

    @property
    def delimiters(self) -> Delimiters:
        return self._syntax.delimiters

    @property
    def oddities(self) -> list[str]:
        """What had to be forgiven, in words for people; [] for a clean message."""
        return self._oddities if self.segments else []

    def all(self, name: str) -> list[Segment]:
        """The segments of this name, in order."""
        return [segment for segment in self.segments if segment.name == name]

    def rows(self, name: str, columns: Columns) -> list[tuple[str, ...]]:
        """The columns of all segments of this name, in order: the fast way to read results."""
        in_a_hurry = self._segments is None and name not in _HEADERS and self._syntax.field == "|"
        rows = columns.rows(self._lines, name, self._syntax) if in_a_hurry else None
        return rows if rows is not None else [columns(segment) for segment in self.all(name)]

    def first(self, name: str) -> Segment | None:
        """The first segment of this name."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        return None

    def get(self, name: str, n: int, rep: int = 1, comp: int = 1, sub: int = 1) -> str:
        """As `Segment.get` of the first segment of this name; empty where there is none."""
        segment = self.first(name)
        return segment.get(n, rep, comp, sub) if segment else ""

    def groups(self, *starts: str) -> Iterator[list[Segment]]:
        """Runs of segments that each begin with one of these names; what stands before the first is left out.

        `groups("SPM")` gives the specimens of an OUL^R22, `groups("OBR")` the orders of an ORU^R01.
        """
        group: list[Segment] = []
        for segment in self.segments:
            if segment.name in starts:
                if group:
                    yield group
                group = [segment]
            elif group:
                group.append(segment)
        if group:
            yield group

    @property
    def type(self) -> tuple[str, str, str]:
        """MSH-9 as (message, event, structure): ("ORU", "R01", "ORU_R01"); empty where not said."""
        get = self.msh.get
        return get(9), get(9, comp=2), get(9, comp=3)

    @property
    def control_id(self) -> str:
        """MSH-10, of any length."""
        return self.msh.whole(10)

    @property
    def version(self) -> str:
        """MSH-12.1, for example "2.5.1"."""
        return self.msh.get(12)

    @property
    def charset(self) -> str:
        """MSH-18 as declared, its first repetition."""
        return self.msh.get(18)

    @property
    def encoding(self) -> str:
        """Python's name of the encoding that gave the text; of pure ASCII the declared one, else the default."""
        return self._syntax.encoding

    def encode(self) -> bytes:
        """The message in standard form: its segments as they are, each ended by CR, in the encoding it was read in.

        A message that came in standard form gives the same bytes.
        """
        return encode("".join(segment.text + "\r" for segment in self.segments), self.encoding)


def parse(payload: bytes, *, default_encoding: str = "utf-8", escapes: Mapping[str, str] | None = None) -> Message:
    """Read one message.

    default_encoding: the device's setting, for messages whose MSH-18 says nothing and which are not UTF-8.
    escapes: a maker's own escape sequences, {"Z03BC": "\u03bc"}.
    Raises Hl7Error: this is no HL7 v2 message, or more than one. Nothing else, whatever the peer sent.
    Raises LookupError: default_encoding is no encoding (our setting).
    """
    check_encoding(default_encoding)
    oddities: list[str] = []
    data = payload if payload[:3] == b"MSH" and payload[-1:] == b"\r" else _message_bytes(payload, oddities)
    syntax = _Syntax(data, default_encoding, escapes)
    text, as_declared = syntax.decode()
    if not as_declared:
        oddities.append(f"the character set is not the declared one; read as {syntax.encoding}")
    if syntax.delimiters.escape_width > 1:
        oddities.append("MSH-2 has its escape character doubled")
    syntax.plain = syntax.is_plain(text, text.find(syntax.field, 4))
    lines = lines_of(text, syntax.field, oddities)
    if text.rfind("MSH" + syntax.field) > 0 and "MSH" in {line[:3] for line in mended(lines[1:], syntax.field, [])}:
        raise Hl7Error("several messages in one: split them first")
    return Message(payload, text, lines, syntax, oddities)


def _message_bytes(payload: bytes, oddities: list[str]) -> bytes:
    """The message without what may stand around it: MLLP bytes, a byte order mark, blanks; UTF-16 as UTF-8."""
    if payload[:2] in (b"\xff\xfe", b"\xfe\xff"):
        oddities.append("written in UTF-16")
        payload = payload.decode("utf-16", "replace").encode()
    data = payload.removeprefix(b"\xef\xbb\xbf").strip(b"\x0b\x1c\r\n\x00").lstrip(b" \t")
    if data[:3] == b"MSH":
        return data
    if data[:3] in (b"FHS", b"BHS"):
        raise Hl7Error(f"a batch (it starts with {data[:3].decode()}): split it into messages first")
    raise Hl7Error("no MSH segment at the start" if data else "empty")


def _segments(lines: list[str], syntax: _Syntax, oddities: list[str]) -> list[Segment]:
    segments: list[Segment] = [_Header("MSH", 1, lines[0], syntax)]
    known = BEGINNINGS if syntax.field == "|" else {}
    try:  # the usual case in one pass: every line begins a segment that we know
        segments += [Segment(known[line[:4]], number, line, syntax) for number, line in enumerate(lines[1:], 2)]
    except KeyError:
        whole = mended(lines, syntax.field, oddities)
        return [
            (_Header if line[:3] in _HEADERS else Segment)(line[:3], number, line, syntax)
            for number, line in enumerate(whole, start=1)
        ]
    return segments
