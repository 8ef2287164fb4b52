"""Answers to the hospital: ORL^O22 to OML^O21, ORR^O02 to ORM^O01, ACK to the rest (HL7 2.5.1, 4.4.2, 4.4.7, 2.15).

An answer says what the hospital needs to print labels and to name the order later: our number beside its own, and each
tube's barcode. It is written in the sender's delimiters, version and character set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import uuid4

from drivers.protocols import hl7
from drivers.protocols.hl7 import Comp, Delimiters, ErrorLocation, Field, Message, Segment
from hbys_bridge.hl7.ordering import CANCELLED, Applied, LabelledTube, LineDone

Kind = tuple[str, ...]

ANSWER_TYPES: dict[str, Kind] = {
    "OML": ("ORL", "O22", "ORL_O22"),
    "ORM": ("ORR", "O02", "ORR_O02"),
}
TUBES = "99NUMUNE"
"""Coding system of our tube codes."""


def new_control_id() -> str:
    """MSH-10 of an answer: never twice."""
    return uuid4().hex[:20]


def answer_type(message: Message) -> Kind | None:
    """MSH-9 of the answer to a message; None = a plain ACK."""
    kind = ANSWER_TYPES.get(message.type[0])
    if kind is not None and message.version.startswith(("2.1", "2.2", "2.3")) and not message.type[2]:
        return kind[:2]  # these versions know no message structures
    return kind


def accept(message: Message, now: datetime, text: str = "") -> bytes:
    """AA to a message that is no order. `text`: MSA-3."""
    return hl7.acknowledge(message, "AA", control_id=new_control_id(), now=now, text=text)


def refuse(message: Message, code: str, errors: Sequence[ErrorLocation], now: datetime) -> bytes:
    """AE (wrong content: repeating it is no use) or AR (not taken: repeat it later)."""
    return hl7.acknowledge(
        message,
        "AR" if code == "AR" else "AE",
        control_id=new_control_id(),
        now=now,
        errors=errors,
        type=answer_type(message),
    )


def commit_answer(message: Message, code: str, errors: Sequence[ErrorLocation], now: datetime) -> bytes:
    """CA, CE or CR for a sender in enhanced mode that wants only the accept acknowledgement (MSH-15)."""
    commit: dict[str, hl7.AckCode] = {"AA": "CA", "AE": "CE", "AR": "CR"}
    return hl7.acknowledge(message, commit[code], control_id=new_control_id(), now=now, errors=errors)


def accept_order(message: Message, applied: Applied, application: str, now: datetime) -> bytes:
    """AA to an order: each line with both numbers, its tubes with their barcodes, warnings as NTE."""
    marks = message.delimiters.completed()
    kind = answer_type(message) or ANSWER_TYPES["OML"]
    segments = [
        hl7.answer_header(message, kind, new_control_id(), now),
        hl7.segment("MSA", "AA", hl7.echo(message.msh, 10), delimiters=marks),
        *(hl7.segment("NTE", n, "L", words, delimiters=marks) for n, words in enumerate(applied.warnings, 1)),
        *(hl7.echo_segment(pid) for pid in message.all("PID")),
    ]
    for number, done in enumerate(applied.lines, 1):
        tubes = [tube for tube in applied.tubes if done.test is not None and tube.serves(done.test)]
        segments.append(_orc(done, applied.number, application, marks))
        if done.line.obr is not None:
            segments.append(_obr(number, done.line.obr, applied.number, application, marks))
            shown = [] if done.outcome == CANCELLED else tubes
            segments += _specimens(shown, marks) if kind[0] == "ORL" else _notes(shown, marks)
    return hl7.answer_bytes(message, segments)


def _orc(done: LineDone, number: str, application: str, marks: Delimiters) -> str:
    orc = done.line.orc
    fields: dict[int, Field] = {
        1: done.outcome,
        2: _echo_or(orc, 2, done.line.obr, 2),
        3: Comp(number, application),
        4: hl7.echo(orc, 4),
        5: "CA" if done.outcome == CANCELLED else "SC",
    }
    return hl7.segment_at("ORC", fields, marks)


def _obr(set_id: int, obr: Segment, number: str, application: str, marks: Delimiters) -> str:
    fields: dict[int, Field] = {
        1: set_id,
        2: hl7.echo(obr, 2),
        3: Comp(number, application),
        4: hl7.echo(obr, 4),
    }
    return hl7.segment_at("OBR", fields, marks)


def _echo_or(first: Segment, n: int, second: Segment | None, m: int) -> Field:
    if first.field(n) or second is None:
        return hl7.echo(first, n)
    return hl7.echo(second, m)


def _specimens(tubes: Sequence[LabelledTube], marks: Delimiters) -> Iterator[str]:
    """SPM-2: the barcode to print, as the placer's and as our own number of the specimen."""
    for number, tube in enumerate(tubes, 1):
        fields: dict[int, Field] = {
            1: number,
            2: Comp(tube.barcode, tube.barcode),
            4: Comp(tube.material_hl7, tube.material_name, "HL70487"),
            11: Comp("P", "Patient", "HL70369"),
            14: tube.caption,
            27: Comp(tube.kind, f"{tube.caption} ({tube.colour})", TUBES),
        }
        yield hl7.segment_at("SPM", fields, marks)


def _notes(tubes: Sequence[LabelledTube], marks: Delimiters) -> Iterator[str]:
    """ORR^O02 knows no SPM: the barcode stands in NTE-3, its meaning in NTE-4."""
    for number, tube in enumerate(tubes, 1):
        meaning = Comp("BARKOD", f"{tube.kind} {tube.caption} ({tube.colour})", TUBES)
        yield hl7.segment("NTE", number, "L", tube.barcode, meaning, delimiters=marks)
