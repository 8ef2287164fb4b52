"""HL7 v2 messages, written (HL7 2.5.1 chapter 2). Public names are re-exported by `drivers.protocols.hl7`.

    message([
        header(type=("ORU", "R01", "ORU_R01"), control_id="n-1", now=now, sending=("NUMUNE", "MERKEZ")),
        segment("PID", None, None, Comp("H100245", None, None, "MERKEZ", "PI"), None, Comp("\u00d6RNEK", "AY\u015eE")),
        segment_at("SPM", {1: 1, 4: Comp("SER", "Serum", "HL70487"), 11: Comp("P", "Patient", "HL70369")}),
    ])

A text is escaped when it is written; whoever calls thinks of no delimiter. Empty components and fields at the end are
left out. `""` as a text is the explicit null.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from drivers.protocols.hl7_read import Segment
from drivers.protocols.hl7_text import STANDARD, Delimiters, LocalError, encode, escape, undouble
from drivers.protocols.hl7_time import timestamp

Text: TypeAlias = str | int | None  # a plain value; an int only for set numbers and counts


class Raw(str):
    """Text that is in HL7 form already (escaped, with its delimiters), to be written as it is."""

    __slots__ = ()


class Sub(tuple[Text, ...]):
    """Sub-components of one component."""

    __slots__ = ()

    def __new__(cls, *parts: Text) -> "Sub":
        return super().__new__(cls, parts)


class Comp(tuple[Text | Sub, ...]):
    """Components of one repetition."""

    __slots__ = ()

    def __new__(cls, *parts: Text | Sub) -> "Comp":
        return super().__new__(cls, parts)


class Rep(tuple[Text | Comp, ...]):
    """Repetitions of one field."""

    __slots__ = ()

    def __new__(cls, *parts: Text | Comp) -> "Rep":
        return super().__new__(cls, parts)


Field: TypeAlias = Text | Sub | Comp | Rep


def segment(name: str, *fields: Field, delimiters: Delimiters = STANDARD) -> str:
    """One segment without its end; `fields` from field 1 on.

    Raises LocalError: not a segment name, a header segment (see `header`), or Raw text that would break the segment.
    """
    if len(name) != 3 or not (name.isascii() and name.isalnum() and name == name.upper()) or name[0].isdigit():
        raise LocalError(f"no segment name: {name!r}")
    if name in ("MSH", "FHS", "BHS"):
        raise LocalError(f"{name} is written by header()")
    return name + _fields_text(fields, delimiters)


def segment_at(name: str, fields: Mapping[int, Field], delimiters: Delimiters = STANDARD) -> str:
    """One segment of which only some fields are filled: {field number: value}."""
    if any(n < 1 for n in fields):
        raise LocalError("fields count from 1")
    return segment(name, *(fields.get(n) for n in range(1, max(fields, default=0) + 1)), delimiters=delimiters)


def header(
    *,
    type: Sub | Comp | tuple[str, ...],
    control_id: str,
    now: datetime,
    sending: tuple[Field, Field] = ("", ""),
    receiving: tuple[Field, Field] = ("", ""),
    version: Field = "2.5.1",
    processing: Field = "P",
    accept: str = "",
    application: str = "",
    charset: Field = "UNICODE UTF-8",
    profile: Field = None,
    with_offset: bool = True,
    delimiters: Delimiters = STANDARD,
) -> str:
    """The MSH segment.

    type: MSH-9, ("OML", "O33", "OML_O33"). sending, receiving: (application, facility), MSH-3 to 6.
    accept, application: MSH-15 and 16, who wants which acknowledgement (NE, AL, ER, SU); both empty in answers.
    charset: MSH-18; encode with `encoding_of` of it. profile: MSH-21, for example Comp("LAB-28", "IHE").
    now: aware; written in its own zone.
    """
    if not control_id:
        raise LocalError("a message without a control id cannot be acknowledged")
    fields: dict[int, Field] = {
        3: sending[0],
        4: sending[1],
        5: receiving[0],
        6: receiving[1],
        7: timestamp(now, with_offset=with_offset),
        9: Comp(*type),
        10: control_id,
        11: processing,
        12: version,
        15: accept,
        16: application,
        18: charset,
        21: profile,
    }
    return "MSH" + delimiters.field + delimiters.encoding_characters + _fields_text(
        [fields.get(n) for n in range(3, 22)], delimiters
    )  # fmt: skip


def message(segments: Iterable[str], encoding: str = "utf-8", *, fold: bool = False) -> bytes:
    """The bytes of one message, every segment ended by CR.

    encoding: Python's name. fold: letters that it lacks become plain ones instead of an error (see `encode`).
    Raises LocalError: it does not begin with a header, a segment holds a line end, a letter has no place.
    """
    texts = list(segments)
    if not texts or texts[0][:3] != "MSH":
        raise LocalError("a message begins with MSH")
    if any(end in text for text in texts for end in "\r\n\x0b\x1c"):
        raise LocalError("a segment holds a line end or an MLLP character")
    return encode("".join(text + "\r" for text in texts), encoding, fold=fold)


def echo(source: Segment, n: int) -> Raw:
    """Field n of a received segment, to be written back unchanged to the same peer, with its own delimiters."""
    return Raw(_safe(source.field(n), source.delimiters))


def echo_segment(source: Segment) -> str:
    """A received segment, to be written back unchanged to the same peer."""
    return _safe(source.text, source.delimiters)


def _safe(text: str, delimiters: Delimiters) -> str:
    """Received text without what would break the segment (line ends and the like that it should not have held)."""
    unsafe = {code: escaped for code, escaped in delimiters.completed().text_to_escapes.items() if code < 0x20}
    return undouble(text, delimiters).translate(unsafe)


def _fields_text(fields: Iterable[Field], delimiters: Delimiters) -> str:
    texts = [_field_text(field, delimiters) for field in fields]
    while texts and not texts[-1]:
        texts.pop()
    return "".join(delimiters.field + text for text in texts)


def _field_text(field: Field, delimiters: Delimiters) -> str:
    if isinstance(field, Rep):  # empty repetitions keep their place
        return delimiters.repetition.join(_field_text(part, delimiters) for part in field)
    if isinstance(field, Comp):
        return _joined(field, delimiters.component, delimiters)
    if isinstance(field, Sub):
        return _joined(field, delimiters.subcomponent, delimiters)
    if isinstance(field, Raw):
        if delimiters.field in field or any(ord(char) < 0x20 and char != "\t" for char in field):
            raise LocalError("raw text that would break its segment")
        return field
    return "" if field is None else escape(str(field), delimiters)


def _joined(parts: Iterable[Text | Sub], separator: str, delimiters: Delimiters) -> str:
    texts = [_field_text(part, delimiters) for part in parts]
    while texts and not texts[-1]:
        texts.pop()
    return separator.join(texts)
