"""HL7 v2 acknowledgements, written and read (HL7 2.5.1, 2.9 and 2.14). Re-exported by `drivers.protocols.hl7`.

AA and CA tell the sender that it may forget its message: they are written after the message is on disk, never before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from drivers.protocols.hl7_read import Message, is_null
from drivers.protocols.hl7_text import Delimiters, LocalError, encoding_of
from drivers.protocols.hl7_write import Comp, Field, Raw, Rep, Sub, echo, header, message, segment, segment_at

AckCode = Literal["AA", "AE", "AR", "CA", "CE", "CR"]

ERROR_TEXTS = {  # HL7 table 0357
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}


@dataclass(frozen=True, slots=True)
class ErrorLocation:
    """One ERR: what is wrong, and where. Numbers count from 1; None where the error is not in one place."""

    segment: str = ""
    sequence: int = 1
    """Which segment of that name in the message."""
    field: int | None = None
    component: int | None = None
    repetition: int | None = None
    code: str = "207"
    """HL7 table 0357: 100-103 for AE, 200-207 for AR."""
    text: str = ""
    """For people."""
    severity: str = "E"
    """E error, W warning, I information."""


@dataclass(frozen=True, slots=True)
class AckMode:
    """Which answers the sender of a message wants (MSH-15, MSH-16; 2.9.2, 2.9.3): AL always, NE never, ER only after
    an error, SU only after success.
    """

    accept: str
    application: str
    enhanced: bool

    def wants_accept(self, ok: bool) -> bool:
        """Whether CA (ok) or CE, CR (not ok) is due. AA, AE or AR sent at once does instead."""
        return _due(self.accept, ok)

    def wants_application(self, ok: bool) -> bool:
        """Whether AA (ok) or AE, AR (not ok) is due."""
        return _due(self.application, ok)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What an answer says about our message."""

    code: str
    """MSA-1."""
    control_id: str
    """MSA-2: MSH-10 of our message."""
    text: str
    errors: tuple[ErrorLocation, ...]

    @property
    def accepted(self) -> bool:
        return self.code in ("AA", "CA")


def ack_mode(request: Message) -> AckMode:
    """The mode that the sender asks for. Original (both fields empty): one application answer.

    A code that we do not know counts as AL: one answer too many does no harm, a missing one stops an analyser.
    """
    accept, application = (_code(request.msh.get(n)) for n in (15, 16))
    if not accept and not application:
        return AckMode("NE", "AL", enhanced=False)
    return AckMode(accept or "NE", application or "NE", enhanced=True)


def _code(text: str) -> str:
    if not text or is_null(text):
        return ""
    return text if text in ("AL", "NE", "ER", "SU") else "AL"


def _due(condition: str, ok: bool) -> bool:
    return condition == "AL" or condition == ("SU" if ok else "ER")


def acknowledge(
    request: Message,
    code: AckCode,
    *,
    control_id: str,
    now: datetime,
    text: str = "",
    errors: Sequence[ErrorLocation] = (),
    type: tuple[str, ...] | None = None,
) -> bytes:
    """The answer MSH MSA [ERR] to a message, in its own delimiters, version and character set.

    control_id: MSH-10 of the answer. text: MSA-3. type: MSH-9, by default ACK, the request's event, ACK.
    errors: where AE, AR, CE or CR names none, one ERR 207 is written, since some peers insist on one.
    Letters that the peer's character set lacks become plain ones: an answer is never withheld for a letter.
    """
    if code not in get_args(AckCode):
        raise LocalError(f"no acknowledgement code: {code!r}")
    delimiters = request.delimiters.completed()
    if code[1] != "A" and not errors:
        errors = [ErrorLocation(text=text)]
    written = error_segments(errors, request.version, delimiters)
    if errors and not text and _is_older(request.version, (2, 5)):
        text = errors[0].text[:80]  # the old ERR has no place for words
    return answer_bytes(
        request,
        [
            answer_header(request, type or _acknowledgement_type(request), control_id, now),
            segment("MSA", code, echo(request.msh, 10), text, delimiters=delimiters),
            *written,
        ],
    )


def answer_header(request: Message, type: tuple[str, ...], control_id: str, now: datetime) -> str:
    """MSH of an answer: MSH-3 to 6 swapped; processing id, version, character set and profile kept; 15, 16 empty.

    now: aware, in the laboratory's zone; a peer that writes its own times without offset gets this one so too.
    """
    msh = request.msh
    peer_clock = msh.get(7)
    return header(
        type=type,
        control_id=control_id,
        now=now,
        sending=(echo(msh, 5), echo(msh, 6)),
        receiving=(echo(msh, 3), echo(msh, 4)),
        processing=echo(msh, 11),
        version=echo(msh, 12),
        charset=echo(msh, 18),
        profile=echo(msh, 21),
        with_offset=not peer_clock or "+" in peer_clock or "-" in peer_clock,
        delimiters=request.delimiters.completed(),
    )


def answer_bytes(request: Message, segments: Sequence[str]) -> bytes:
    """An answer in the character set that the request declares, or else was read in."""
    return message(segments, encoding_of(request.charset) or request.encoding, fold=True)


def _acknowledgement_type(request: Message) -> tuple[str, ...]:
    _, event, structure = request.type
    if not structure and _is_older(request.version, (2, 4)):
        return ("ACK", event)
    return ("ACK", event, "ACK")


def error_segments(errors: Sequence[ErrorLocation], version: str, delimiters: Delimiters) -> list[str]:
    """ERR segments: one for each error as of 2.5, before that all of them as repetitions of ERR-1."""
    if not errors:
        return []
    if _is_older(version, (2, 5)):
        return [segment("ERR", Rep(*(_old_error(error) for error in errors)), delimiters=delimiters)]
    return [segment_at("ERR", _error_fields(error), delimiters) for error in errors]


def _error_fields(error: ErrorLocation) -> dict[int, Field]:
    repetition = error.repetition or (1 if error.component else None)
    place = Comp(error.segment, error.sequence, error.field, repetition, error.component) if error.segment else None
    meaning = Comp(error.code, ERROR_TEXTS.get(error.code), "HL70357")
    return {2: place, 3: meaning, 4: error.severity, 8: error.text}


def _old_error(error: ErrorLocation) -> Comp:
    sequence = error.sequence if error.segment else None
    return Comp(error.segment, sequence, error.field, Sub(error.code, ERROR_TEXTS.get(error.code), "HL70357"))


def _is_older(version: str, than: tuple[int, int]) -> bool:
    """Whether MSH-12 names an older version. What cannot be read counts as new."""
    parts = version.split(".")[:2]
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
        return False
    return (int(parts[0]), int(parts[1])) < than


def read_acknowledgement(answer: Message) -> Acknowledgement | None:
    """What the peer says about our message; None where it is no answer (no MSA)."""
    msa = answer.first("MSA")
    if msa is None:
        return None
    return Acknowledgement(msa.get(1), msa.whole(2), msa.whole(3), tuple(read_errors(answer)))


def read_errors(answer: Message) -> list[ErrorLocation]:
    """The ERR segments of an answer, in the form of 2.5 and in the older one."""
    errors: list[ErrorLocation] = []
    for err in answer.all("ERR"):
        for rep in range(1, len(err.repeats(1)) + 1):
            place = (err.get(1, rep, 1), err.get(1, rep, 2), err.get(1, rep, 3), "", "")
            errors.append(_error(place, err.get(1, rep, 4, 1), err.get(1, rep, 4, 2), "E"))
        if err.field(3) or err.field(2):
            place = (err.get(2), err.get(2, comp=2), err.get(2, comp=3), err.get(2, comp=5), err.get(2, comp=4))
            errors.append(_error(place, err.get(3), err.whole(8) or err.get(3, comp=2), err.get(4) or "E"))
    return errors


def _error(place: tuple[str, str, str, str, str], code: str, text: str, severity: str) -> ErrorLocation:
    name, sequence, field, component, repetition = place
    return ErrorLocation(
        name, _number(sequence) or 1, _number(field), _number(component), _number(repetition), code, text, severity
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


__all__ = [
    "ERROR_TEXTS",
    "AckCode",
    "AckMode",
    "Acknowledgement",
    "ErrorLocation",
    "Raw",
    "ack_mode",
    "acknowledge",
    "answer_bytes",
    "answer_header",
    "error_segments",
    "read_acknowledgement",
    "read_errors",
]
