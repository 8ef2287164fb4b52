"""Messages of POCT1-A: XML documents of point-of-care devices, read and written.

CLSI POCT01-A2 (2006), the device messaging layer. A document's root names the message (`OBS.R01`), values stand in `V`
attributes, codes beside them (`U` unit, `SN` coding system, `DN` display name). Pure: no I/O, no clock.

    message = parse(document)                    # raises Poct1aError: the peer's mistake
    message.type, message.control_id, message.value("PT", "PT.patient_id")
    build("REQ.R01", head, group("REQ", item("REQ.request_cd", "ROBS")))

A document is refused for a DTD, for entities of its own, and beyond the bounds below, whatever a peer sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from xml.parsers import expat

__all__ = [
    "Acknowledgement",
    "Element",
    "Head",
    "Hello",
    "Message",
    "Operator",
    "Patient",
    "Poct1aError",
    "Status",
    "acknowledgement",
    "build",
    "control_id_in",
    "group",
    "hello",
    "item",
    "operator",
    "parse",
    "patient",
    "same_id",
    "status",
]

DEEPEST = 32  # elements inside one another; a POCT1-A message has six
MOST_ELEMENTS = 20_000
_DECLARED = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]*\sencoding\s*=")
_CONTROL_ID = re.compile(rb"<HDR\.control_id\b[^<>]*?\bV\s*=\s*(?:\"([^\"<]{1,64})\"|'([^'<]{1,64})')")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_TO_QUOTE = re.compile('[&<>"\t\n\r]')


class Poct1aError(ValueError):
    """No document that can be read: the peer's mistake. The text is for logs (English)."""


@dataclass(slots=True)
class Element:
    """One element: its name without a prefix, its attributes, what stands inside it."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator[Element]:
        """The children of this name, in order."""
        return (child for child in self.children if child.name == name)

    def first(self, *path: str) -> Element | None:
        """The first element along the path of names, or None."""
        here: Element | None = self
        for name in path:
            here = next(here.all(name), None) if here is not None else None
        return here

    def value(self, *path: str, attribute: str = "V") -> str:
        """An attribute of the first element along the path; "" where there is none."""
        found = self.first(*path)
        return found.attributes.get(attribute, "").strip() if found is not None else ""

    def values(self, *path: str) -> list[str]:
        """The V of every element of the last name, under the first element along the rest of the path."""
        above = self.first(*path[:-1])
        return [one.attributes.get("V", "").strip() for one in above.all(path[-1])] if above is not None else []


@dataclass(frozen=True, slots=True)
class Message:
    """One document, read."""

    root: Element
    raw: bytes
    """As it came."""

    @property
    def type(self) -> str:
        """`OBS.R01`: the name of the root."""
        return self.root.name

    @property
    def control_id(self) -> str:
        """HDR.control_id: what an acknowledgement names."""
        return self.root.value("HDR", "HDR.control_id")

    def value(self, *path: str, attribute: str = "V") -> str:
        """As `Element.value`, from the root."""
        return self.root.value(*path, attribute=attribute)


# ---- reading


def parse(document: bytes) -> Message:
    """Read one document. Raises Poct1aError; nothing else, whatever the peer sent.

    Without a declared encoding it is UTF-8, else Windows-1254.
    """
    building = _Building()
    parser = expat.ParserCreate(_encoding(document))
    parser.StartElementHandler = building.begin
    parser.EndElementHandler = building.end
    parser.CharacterDataHandler = building.said
    parser.StartDoctypeDeclHandler = building.refuse
    parser.EntityDeclHandler = building.refuse
    try:
        parser.Parse(document.strip(b"\x00\x0b\x1c\r\n\t "), True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise Poct1aError(str(error)) from error
    if building.root is None:
        raise Poct1aError("no element")
    return Message(building.root, document)


def _encoding(document: bytes) -> str | None:
    """What expat is told: nothing where the document says it or is UTF-8."""
    if _DECLARED.match(document) is not None:
        return None
    try:
        document.decode("utf-8")
    except UnicodeDecodeError:
        return "windows-1254"
    return None


class _Building:
    """The tree while the parser goes."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or len(self._open) >= DEEPEST:
            raise Poct1aError("too many elements, or too deep")
        made = Element(name.rpartition(":")[2], attributes)
        if self._open:
            self._open[-1].children.append(made)
        else:
            self.root = made
        self._open.append(made)

    def end(self, name: str) -> None:
        self._open.pop()

    def said(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    def refuse(self, *_: object) -> None:
        raise Poct1aError("a document type or entity declaration")


def control_id_in(document: bytes) -> str:
    """The control id of a document that cannot be read, for the answer; "" where none is to be found."""
    found = _CONTROL_ID.search(document)
    return (found[1] or found[2]).decode("utf-8", "replace").strip() if found is not None else ""


def same_id(one: str, other: str) -> bool:
    """Whether two control ids are one: some devices pad them with zeros."""
    return one.strip().lstrip("0") == other.strip().lstrip("0")


@dataclass(frozen=True, slots=True)
class Hello:
    """Who the device says it is and what it can (HEL.R01)."""

    device_id: str = ""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    software: str = ""
    timeout: float | None = None
    """Seconds that it waits for an answer, and wants to be waited for."""
    topics: frozenset[str] = frozenset()
    directives: frozenset[str] = frozenset()
    max_message: int | None = None
    """Bytes of the longest document that it takes."""

    @property
    def takes_operators(self) -> bool:
        """Whether it has asked for operator lists. Makers write the topic differently."""
        return bool(self.topics & {"OP_LST", "OP_LST_I", "OPL", "OPL.R01"})


def hello(message: Message) -> Hello:
    """HEL.R01. Device capabilities stand inside DEV; some makers write them beside it."""
    device = message.root.first("DEV") or message.root.first("DCP") or message.root
    named = device.value("DEV.model_id") or device.value("DCP.model_id") or device.value("DEV.device_name")
    static = device.first("DSC") or message.root.first("DSC") or Element("DSC")
    seconds = device.value("DCP", "DCP.application_timeout") or message.value("DCP", "DCP.application_timeout")
    return Hello(
        device_id=device.value("DEV.device_id"),
        vendor=device.value("DEV.vendor_id") or device.value("DEV.manufacturer_name"),
        model=named,
        serial=device.value("DEV.serial_id"),
        software=device.value("DEV.sw_version"),
        timeout=_number(seconds),
        topics=frozenset(static.values("DSC.topics_supported_cd")) - {""},
        directives=frozenset(static.values("DSC.directives_supported_cd")) - {""},
        max_message=_whole(static.value("DSC.max_message_sz")),
    )


@dataclass(frozen=True, slots=True)
class Status:
    """What the device has for us (DST.R01). None: it does not say."""

    observations: int | None = None
    events: int | None = None
    condition: str = ""
    operators_updated: str = ""


def status(message: Message) -> Status:
    """DST.R01."""
    said = message.root.first("DST") or Element("DST")
    return Status(
        observations=_whole(said.value("DST.new_observations_qty")),
        events=_whole(said.value("DST.new_events_qty")),
        condition=said.value("DST.condition_cd"),
        operators_updated=said.value("DST.operators_update_dttm"),
    )


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """ACK.R01: `of` is the control id of what it answers."""

    of: str
    accepted: bool
    note: str = ""


def acknowledgement(message: Message) -> Acknowledgement:
    """ACK.R01. The type stands in ACK.type_cd (once seen as type_id), the id in ack_control_id or control_id."""
    said = message.root.first("ACK") or Element("ACK")
    note = " ".join(filter(None, (said.value("ACK.error_detail_cd"), said.value("ACK.note_txt"))))
    kind = said.value("ACK.type_cd") or said.value("ACK.type_id")
    return Acknowledgement(said.value("ACK.ack_control_id") or said.value("ACK.control_id"), kind == "AA", note)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _number(text: str) -> float | None:
    plain = text.replace(".", "", 1)
    return float(text) if plain.isascii() and plain.isdecimal() and len(text) < 10 else None


# ---- writing


@dataclass(frozen=True, slots=True)
class Head:
    """What every message of ours begins with. now: aware."""

    control_id: str
    now: datetime


def item(name: str, value: str, **attributes: str) -> Element:
    """An element with its value in V."""
    return Element(name, {"V": value, **attributes})


def group(name: str, *children: Element) -> Element:
    """An element that holds others."""
    return Element(name, {}, list(children))


def build(kind: str, head: Head, *body: Element) -> bytes:
    """A document as it goes out, UTF-8. What XML cannot carry (control characters) is left out of texts."""
    header = group(
        "HDR",
        item("HDR.message_type", kind),
        item("HDR.control_id", head.control_id),
        item("HDR.version_id", "POCT1"),
        item("HDR.creation_dttm", moment(head.now)),
    )
    written = "".join(_written(group(kind, header, *body)))
    return b'<?xml version="1.0" encoding="utf-8"?>' + written.encode("utf-8")


def moment(when: datetime) -> str:
    """A time as POCT1-A writes it: `2026-01-01T12:00:00+03:00`."""
    return when.isoformat(timespec="seconds")


def _written(element: Element) -> Iterator[str]:
    attributes = "".join(f' {name}="{_quoted(value)}"' for name, value in element.attributes.items())
    if not element.children:
        yield f"<{element.name}{attributes}/>"
        return
    yield f"<{element.name}{attributes}>"
    for child in element.children:
        yield from _written(child)
    yield f"</{element.name}>"


def _quoted(text: str) -> str:
    return _TO_QUOTE.sub(lambda found: _QUOTED[found[0]], _NOT_IN_XML.sub("", text))


@dataclass(frozen=True, slots=True)
class Operator:
    """One entry of an operator list. level: 1 user, 2 or 4 more, as the device's maker counts."""

    identifier: str
    name: str = ""
    level: str = "1"
    method: str = "ALL"


def operator(one: Operator) -> Element:
    """OPR with its access rights (OPL.R01)."""
    access = group("ACC", item("ACC.method_cd", one.method), item("ACC.permission_level_cd", one.level))
    named: Sequence[Element] = [item("OPR.name", one.name)] if one.name else []
    return group("OPR", item("OPR.operator_id", one.identifier), *named, access)


@dataclass(frozen=True, slots=True)
class Patient:
    """Who a number belongs to, as a device may be told (PTL.R01). birth_date: YYYYMMDD or empty."""

    identifier: str
    family: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""


def patient(one: Patient) -> Element:
    """PT of a patient list."""
    found = group("PT", item("PT.patient_id", one.identifier))
    if one.family or one.given:
        name = item("PT.name", f"{one.given} {one.family}".strip())
        name.children = [item(part, text) for part, text in (("GIV", one.given), ("FAM", one.family)) if text]
        found.children.append(name)
    born = one.birth_date
    if len(born) == 8:
        found.children.append(item("PT.birth_date", f"{born[:4]}-{born[4:6]}-{born[6:]}"))
    if one.sex in ("F", "M"):
        found.children.append(item("PT.gender_cd", one.sex))
    return found
