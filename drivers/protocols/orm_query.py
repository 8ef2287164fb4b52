"""Blood counters that ask with ORM^O01 (ORC-1 RF) and are answered by ORR^O02 (Mindray BC series, HL7 2.3.1).

Public names are re-exported by `drivers.protocols.law`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from drivers.protocols.hl7 import (
    Comp,
    ErrorLocation,
    Field,
    Message,
    answer_bytes,
    answer_header,
    echo,
    segment,
    segment_at,
    timestamp,
)
from drivers.protocols.law_query import given
from drivers.protocols.law_work import Code, Patient


@dataclass(frozen=True, slots=True)
class OrmQuery:
    """A blood counter asks for the work of one tube: ORM^O01 with ORC-1 RF (refill), the number in ORC-3."""

    specimen: str
    problems: tuple[ErrorLocation, ...]
    message: Message


class OrmSetting(NamedTuple):
    """One OBX of the answer: how to run the tube (`08003^Test Mode^99MRC`, value `CBC+DIFF`), age, remark."""

    type: str
    name: Code
    value: str
    unit: str = ""


AUTOMATED_COUNT = Code("00001", "Automated Count", "99MRC")


@dataclass(frozen=True, slots=True)
class OrmWork:
    """What the counter is to do with the tube."""

    patient: Patient
    settings: tuple[OrmSetting, ...]
    service: Code = AUTOMATED_COUNT
    collected: datetime | None = None
    received: datetime | None = None


def read_orm_query(query: Message) -> OrmQuery | None:
    """Read an ORM^O01 of a Mindray-like blood counter (BC series, HL7 2.3.1); None where it is an order, no query."""
    orc = query.first("ORC")
    if query.type[:2] != ("ORM", "O01") or orc is None or orc.get(1) != "RF":
        return None
    specimen = given(orc, 3)
    missing = ErrorLocation("ORC", 1, 3, code="101", text="ORC-3 (specimen) is missing")
    return OrmQuery(specimen, () if specimen else (missing,), query)


def orm_response(query: OrmQuery, work: OrmWork | None, *, control_id: str, now: datetime) -> bytes:
    """ORR^O02 as the BC series expects it: MSH MSA PID PV1 ORC OBR OBX..., ORC-1 AF, the number in ORC-2 and OBR-2.

    work: None answers "nothing to do": MSH and MSA AR, which tells the counter to run its own default or skip the
    tube. By several independent implementations of the makers' manuals; no capture of this answer is at hand, so
    prove it on a line before it is relied on.
    """
    request = query.message
    delimiters = request.delimiters.completed()
    texts = [
        answer_header(request, ("ORR", "O02"), control_id, now),
        segment("MSA", "AR" if work is None else "AA", echo(request.msh, 10), delimiters=delimiters),
    ]
    if work is not None:
        texts += _orm_work(query, work)
    return answer_bytes(request, texts)


def _orm_work(query: OrmQuery, work: OrmWork) -> list[str]:
    delimiters = query.message.delimiters.completed()
    patient = work.patient
    number = echo(query.message.all("ORC")[0], 3)
    pid: dict[int, Field] = {
        1: 1,
        3: Comp(patient.id, None, None, patient.authority, "MR") if patient.id else None,
        5: Comp(patient.family, patient.given),
        7: patient.birth_date.isoformat().replace("-", "") if patient.birth_date else None,
        8: patient.sex,
    }
    obr: dict[int, Field] = {
        1: 1,
        2: number,
        4: work.service.field(),
        6: timestamp(work.collected, with_offset=False) if work.collected else None,
        14: timestamp(work.received, with_offset=False) if work.received else None,
        24: "HM",
    }
    texts = [
        segment_at("PID", pid, delimiters),
        segment("PV1", 1, delimiters=delimiters),
        segment("ORC", "AF", number, delimiters=delimiters),
        segment_at("OBR", obr, delimiters),
    ]
    for place, setting in enumerate(work.settings, start=1):
        obx: dict[int, Field] = {
            1: place,
            2: setting.type,
            3: setting.name.field(),
            5: setting.value,
            6: setting.unit,
            11: "F",
        }
        texts.append(segment_at("OBX", obx, delimiters))
    return texts
