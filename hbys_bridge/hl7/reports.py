"""Released results written as ORU^R01 (HL7 2.5.1, 7.3.1), UTF-8. Pure: what it writes was decided before.

One ORC/OBR for each request of the hospital, one OBX for each test. Field by field in docs/decisions/0030.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from decimal import Decimal

from drivers.protocols import hl7
from drivers.protocols.hl7 import Comp, Field, Rep, Segment
from hbys_bridge.hl7.coding import service
from hbys_bridge.hl7.told import DELETED, FINAL

_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_FLAGS = {"": "N", "D": "L", "Y": "H", "A": "A"}
"""HL7 table 0078 for our flags; critical values by their side."""
CRITICAL_LOW, CRITICAL_HIGH, CRITICAL_TEXT = "LL", "HH", "AA"
WITHDRAWN_NOTE = "Sonucun onayı geri alındı; önceki değer geçersizdir. Yeni sonuç onaylanınca gönderilecektir."


@dataclass(frozen=True, slots=True)
class Service:
    """A test or panel by catalogue code, name and LOINC."""

    code: str
    name: str
    loinc: str | None


@dataclass(frozen=True, slots=True)
class Value:
    """A released result. `number`: where the text is a plain number. `flag`: ours (D, Y, P!, A or "")."""

    text: str
    number: Decimal | None
    unit: str
    reference: str
    flag: str
    critical_low: Decimal | None
    critical_high: Decimal | None
    measured_at: datetime
    approver: tuple[str, str, str]
    """User name, family name, given name."""
    approved_at: datetime
    instrument: str
    method: str
    comments: Sequence[str]


@dataclass(frozen=True, slots=True)
class Observation:
    """One OBX. value None: nothing is released, what was sent is taken back. status: OBX-11."""

    test: Service
    value: Value | None
    status: str = FINAL


@dataclass(frozen=True, slots=True)
class Specimen:
    """One SPM."""

    barcode: str
    material_hl7: str
    material_name: str
    collected_at: datetime | None
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class Request:
    """One ORC/OBR: a request of the hospital (its segments), or a test that the laboratory added (none).

    released, wanted: how many of its tests have a released result, and how many it has.
    """

    service: Service
    orc: Segment | None
    obr: Segment | None
    observations: Sequence[Observation]
    specimens: Sequence[Specimen]
    released: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Person:
    """PID. identifiers: (number, authority, type), or the PID-3 that the hospital wrote itself."""

    identifiers: Sequence[tuple[str, str, str]]
    own_pid: Segment | None
    family_name: str
    given_name: str
    birth_date: date | None
    sex: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What one message says."""

    number: str
    patient: Person
    requests: Sequence[Request]
    group: Segment | None = None
    """An ORC of the hospital whose ORC-4 names the order."""
    zone: tzinfo = field(kw_only=True)


def body(report: Report, application: str) -> list[str]:
    """Everything after MSH. The same facts give the same text: the control id is made of it."""
    segments = [_pid(report.patient)]
    for number, request in enumerate(report.requests, 1):
        segments += _request(report, request, number, application)
    return segments


def control_id(entry: int, segments: Sequence[str]) -> str:
    """MSH-10: of the outbox entry and of what is said, at most 20 characters.

    Sent again it is the same, so the hospital takes it once; saying something else it is another, so that is taken too.
    """
    digest = hashlib.blake2b("\r".join(segments).encode(), digest_size=4).hexdigest()
    return f"N{entry}-{digest}"


def message(
    segments: Sequence[str], control: str, now: datetime, sending: tuple[str, str], receiving: tuple[str, str]
) -> bytes:
    """The whole message."""
    header = hl7.header(
        type=("ORU", "R01", "ORU_R01"), control_id=control, now=now, sending=sending, receiving=receiving
    )
    return hl7.message([header, *segments])


def obx(observation: Observation, set_id: int, zone: tzinfo) -> list[str]:
    """One OBX and its notes."""
    test, value = observation.test, observation.value
    name = service(test.code, test.name, test.loinc)
    if value is None:
        if observation.status != DELETED:
            raise ValueError(f"{test.code}: an OBX without a released value can only take one back")
        return [
            hl7.segment_at("OBX", {1: set_id, 3: name, 11: DELETED}),
            hl7.segment("NTE", 1, "L", WITHDRAWN_NOTE),
        ]
    kind, text = _typed(value)
    fields: dict[int, Field] = {
        1: set_id,
        2: kind,
        3: name,
        5: text,
        6: Comp(value.unit, value.unit, "UCUM") if value.unit else None,
        7: value.reference,
        8: _flag(value),
        11: observation.status,
        14: _time(value.measured_at, zone),
        16: Comp(*value.approver),
        17: value.method,
        18: value.instrument,
        19: _time(value.approved_at, zone),
    }
    notes = [hl7.segment("NTE", n, "L", words) for n, words in enumerate(value.comments, 1)]
    return [hl7.segment_at("OBX", fields), *notes]


def _typed(value: Value) -> tuple[str, str]:
    """NM where the text is a plain number, digits as reported; else ST: `<0.01` is a text, not 0.01."""
    if value.number is None:
        return "ST", value.text
    return "NM", value.text if _PLAIN_NUMBER.fullmatch(value.text) else f"{value.number:f}"


def _flag(value: Value) -> str:
    if value.flag != "P!":
        return _FLAGS.get(value.flag, "A") if value.flag or value.reference else ""
    if value.number is not None:
        if value.critical_low is not None and value.number <= value.critical_low:
            return CRITICAL_LOW
        if value.critical_high is not None and value.number >= value.critical_high:
            return CRITICAL_HIGH
    return {"<": CRITICAL_LOW, ">": CRITICAL_HIGH}.get(value.text.strip()[:1], CRITICAL_TEXT)


def _request(report: Report, request: Request, number: int, application: str) -> Iterator[str]:
    complete = request.released == request.wanted
    yield hl7.segment_at("ORC", _orc(report, request, application, complete))
    yield hl7.segment_at("OBR", _obr(report, request, number, application, complete))
    for set_id, observation in enumerate(request.observations, 1):
        yield from obx(observation, set_id, report.zone)
    for set_id, specimen in enumerate(request.specimens, 1):
        yield hl7.segment_at("SPM", _spm(specimen, set_id, report.zone))


def _orc(report: Report, request: Request, application: str, complete: bool) -> dict[int, Field]:
    group = request.orc or report.group
    return {
        1: "RE",
        2: _again(request.orc, 2) or _again(request.obr, 2),
        3: Comp(report.number, application),
        4: _again(group, 4),
        5: "CM" if complete else "IP",
        12: _again(request.orc, 12),
    }


def _obr(report: Report, request: Request, number: int, application: str, complete: bool) -> dict[int, Field]:
    values = [one.value for one in request.observations if one.value is not None]
    collected = [one.collected_at for one in request.specimens if one.collected_at is not None]
    received = [one.received_at for one in request.specimens if one.received_at is not None]
    named = request.service
    return {
        1: number,
        2: _again(request.obr, 2) or _again(request.orc, 2),
        3: Comp(report.number, application),
        4: _again(request.obr, 4) or service(named.code, named.name, named.loinc),
        7: _time(min(collected), report.zone) if collected else None,
        14: _time(min(received), report.zone) if received else None,
        16: _again(request.obr, 16),
        22: _time(max(value.approved_at for value in values), report.zone) if values else None,
        25: _request_status(request, complete),
    }


def _request_status(request: Request, complete: bool) -> str:
    """OBR-25 (table 0123): final, correction, some results available, or none any more (specimen in the laboratory)."""
    if not request.released:
        return "I"
    if not complete:
        return "A"
    return FINAL if all(one.status == FINAL for one in request.observations) else "C"


def _spm(specimen: Specimen, set_id: int, zone: tzinfo) -> dict[int, Field]:
    return {
        1: set_id,
        2: Comp(specimen.barcode, specimen.barcode),
        4: Comp(specimen.material_hl7, specimen.material_name, "HL70487"),
        11: Comp("P", "Patient", "HL70369"),
        17: _time(specimen.collected_at, zone) if specimen.collected_at else None,
        18: _time(specimen.received_at, zone) if specimen.received_at else None,
    }


def _pid(person: Person) -> str:
    numbers = [Comp(number, None, None, authority, kind) for number, authority, kind in person.identifiers]
    fields: dict[int, Field] = {
        1: 1,
        3: _again(person.own_pid, 3) or Rep(*numbers),
        5: Comp(person.family_name, person.given_name, None, None, None, None, "L"),
        7: person.birth_date.strftime("%Y%m%d") if person.birth_date else None,
        8: person.sex,
    }
    return hl7.segment_at("PID", fields)


def _again(segment: Segment | None, n: int) -> Field:
    """Field n as the hospital wrote it, in standard delimiters."""
    if segment is None or not segment.field(n):
        return None
    if segment.delimiters.encoding_characters == hl7.STANDARD.encoding_characters and segment.delimiters.field == "|":
        return hl7.echo(segment, n)
    return Rep(*(Comp(*segment.components(n, repetition + 1)) for repetition in range(len(segment.repeats(n)))))


def _time(moment: datetime, zone: tzinfo) -> str:
    return hl7.timestamp(moment.astimezone(zone))


def with_status(observation: Observation, status: str) -> Observation:
    """The same observation, said as final, correction or deletion."""
    return replace(observation, status=status)
