"""Captured bytes as lines of JSON: what `numune decode` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from drivers.capture import CapturedMessage, read_capture
from drivers.capture_text import read_texts
from drivers.definition import Catalog, Definition
from drivers.messages import Observation, Query
from drivers.protocols.astm_records import parse as parse_astm
from drivers.protocols.hl7 import Hl7Error
from drivers.protocols.hl7 import parse as parse_hl7
from drivers.reading import Reading

KEYS = (
    "kind",
    "instrument",
    "specimen",
    "patient",
    "test",
    "test_name",
    "value",
    "number",
    "unit",
    "flags",
    "range",
    "status",
    "measured_at",
    "rack",
    "position",
    "replicate",
    "operator",
    "lot",
    "attachment",
    "comments",
    "raw",
)


@dataclass(slots=True)
class Decoded:
    """What one file gave."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Turkish sentences for people; the content was read all the same."""
    failures: list[str] = field(default_factory=list)
    """Turkish sentences: what could not be read."""


def decode_bytes(data: bytes, catalog: Catalog, model: str | None = None) -> Decoded:
    """Read a capture with a model's definition, or with the generic one of its protocol.

    Raises UnknownModel: there is no such definition.
    """
    chosen = catalog.get(model) if model is not None else None
    if chosen is not None and chosen.protocol in ("metin", "tablo", "poct1a"):
        capture = read_texts(data, chosen)
    else:
        capture = read_capture(data, chosen.protocol if chosen is not None else None)
    decoded = Decoded(notes=list(capture.notes))
    hints: dict[str, None] = {}
    for number, message in enumerate(capture.messages, 1):
        where = f"{number}. mesaj: " if len(capture.messages) > 1 else ""
        inner = _inside(chosen, message, catalog)
        if chosen is not None and inner is None and chosen.protocol != message.protocol:
            decoded.failures.append(
                f"{where}mesaj {message.protocol.upper()}, {chosen.key} ise {chosen.protocol.upper()} konuşur."
            )
            continue
        definition = inner or chosen or catalog.generic(message.protocol)
        reading = definition.read(message.text)
        decoded.lines += lines_of(reading)
        decoded.notes += [where + note for note in message.notes]
        if reading.problem is not None:
            unread = reading.kind == "other" and not reading.observations
            target = decoded.failures if unread else decoded.notes
            if message.whole or unread:
                target.append(where + reading.problem)
        if chosen is None:
            hints |= dict.fromkeys(_hint(message, catalog))
    decoded.notes += hints
    if capture.refused is not None and chosen is None and (readers := _readers(data, catalog)):
        decoded.notes.append(f"Bu baytları okuyabilen tanımlar: --instrument {', '.join(readers)}")
    if capture.refused is not None:
        decoded.failures.append(capture.refused)
    return decoded


def _inside(chosen: Definition | None, message: CapturedMessage, catalog: Catalog) -> Definition | None:
    """The definition for HL7 text in the frames of an ASTM model that is known to send that."""
    if chosen is None or chosen.file.hl7 is None or message.protocol != "hl7":
        return None
    return catalog.inside(chosen)


def lines_of(reading: Reading) -> list[dict[str, Any]]:
    """The lines of one message, in the order of its records."""
    queries = [line for query in reading.queries for line in _query_lines(query)]
    if not queries:
        return [line_of(observation) for observation in reading.observations]
    lines = [*queries, *(line_of(observation) for observation in reading.observations)]
    return sorted(lines, key=lambda line: line["raw"]["record"])  # stable: one record's lines keep their order


def line_of(observation: Observation) -> dict[str, Any]:
    """One observation under the keys of the contract, all of them, in its order."""
    return {key: getattr(observation, key) for key in KEYS}


def _query_lines(query: Query) -> Iterator[dict[str, Any]]:
    """One line for each specimen that is asked for; one with none for a query by place or for everything."""
    comments = ["Sorgu geri alındı."] if query.cancels else []
    asked: list[str | None] = [*query.specimens] or [None]
    for specimen in asked:
        observation = Observation(
            kind="query",
            instrument=query.instrument,
            specimen=specimen,
            test=" ".join(query.tests) or None,
            rack=query.rack,
            position=query.position,
            comments=comments,
            raw={"record": query.record},
        )
        yield line_of(observation)


def _hint(message: CapturedMessage, catalog: Catalog) -> Iterable[str]:
    """Which model the sender says it is: for people, who know better than a header."""
    sender = sender_of(message)
    found: list[Definition] = catalog.recognise(message.protocol, sender) if sender else []
    if found:
        keys = ", ".join(one.key for one in found)
        yield f"Gönderen kendini {sender.strip()!r} diye tanıtıyor; o modelin tanımıyla: --instrument {keys}"


def _readers(data: bytes, catalog: Catalog) -> list[str]:
    """The definitions of models with a protocol of their own that find whole messages with results in these bytes."""
    found: list[str] = []
    for one in catalog:
        if one.protocol != "metin":
            continue
        readings = [one.read(message.text) for message in read_texts(data, one).messages if message.whole]
        if any(reading.observations for reading in readings) and not any(reading.problem for reading in readings):
            found.append(one.key)
    return found


def sender_of(message: CapturedMessage) -> str:
    """What the sender calls itself: H-5, or MSH-3 and MSH-4 joined by `|`."""
    if message.protocol == "astm":
        header = parse_astm(message.text).header
        return header.field(5) if header is not None else ""
    if message.protocol != "hl7":
        return ""
    try:
        msh = parse_hl7(message.text).msh
    except Hl7Error:
        return ""
    return f"{msh.field(3)}|{msh.field(4)}".strip("|")


def json_line(line: dict[str, Any]) -> bytes:
    """A line as it is printed: UTF-8, without blanks, closed by LF."""
    return msgspec.json.encode(line) + b"\n"
