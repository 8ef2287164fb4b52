"""What a hospital system writes to a laboratory: orders and patient data, HL7 2.5.1 (ORM^O01: 2.4 kind)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from simulators.segments import Message, Segment, escape, segment, stamp

__all__ = ["HospitalResult", "Person", "PlacedOrder", "order_segments", "patient_segments", "read_results"]


@dataclass(frozen=True, slots=True)
class Person:
    """A synthetic patient. number: the hospital's own record number; tc: TC identity number; birth_date YYYYMMDD."""

    number: str
    tc: str
    family_name: str
    given_name: str
    birth_date: str
    sex: str

    def segment(self) -> str:
        """PID."""
        identifiers = [f"{escape(self.number)}^^^HASTANE^MR"]
        if self.tc:
            identifiers.append(f"{escape(self.tc)}^^^TC^NI")
        name = f"{escape(self.family_name)}^{escape(self.given_name)}^^^^^L"
        return segment("PID", f1="1", f3="~".join(identifiers), f5=name, f7=self.birth_date, f8=self.sex)


@dataclass
class PlacedOrder:
    """An order as the hospital keeps it. steps: test code: the hospital's number of that single order (ORC-2)."""

    number: str
    person: Person
    form: str
    steps: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    priority: str = "R"
    unit: str = ""
    physician: str = ""
    """Its code (ORC-12.1)."""
    barcode: str = ""
    """A number printed beforehand (SPM-2, in an ORM OBR-3); empty = the laboratory gives one."""
    answers: list[Message] = field(default_factory=list)
    """What Numune said to every message about it, in order."""

    @property
    def answer(self) -> Message:
        """The last answer."""
        return self.answers[-1]


def patient_segments(person: Person, event: str, moment: datetime, replaced: Person | None = None) -> list[str]:
    """EVN PID [MRG] PV1 of an ADT message; replaced: the record that is merged into `person` (A40)."""
    segments = [segment("EVN", f1=event, f2=stamp(moment)), person.segment()]
    if replaced is not None:
        segments.append(segment("MRG", f1=f"{escape(replaced.number)}^^^HASTANE^MR"))
        return segments
    return [*segments, segment("PV1", f1="1", f2="N")]


def order_segments(order: PlacedOrder, tests: Mapping[str, str], control: str, moment: datetime) -> list[str]:
    """PID PV1 and one ORC group a test. tests: code: ORC-2. control: ORC-1 (NW, XO, CA)."""
    visit = segment("PV1", f1="1", f2="O", f3=escape(order.unit))
    segments = [order.person.segment(), visit]
    requester = {"f12": escape(order.physician)} if order.physician else {}
    for number, (code, step) in enumerate(tests.items(), 1):
        service = f"{escape(code)}^{escape(order.names.get(code, code))}^L"
        common = {"f1": control, "f2": step, "f4": order.number, "f9": stamp(moment), **requester}
        request = {"f1": str(number), "f2": step, "f4": service}
        if order.form.startswith("OML"):
            segments.append(segment("ORC", **common))
            segments.append(segment("TQ1", f1="1", f9=f"{order.priority}^^HL70485"))
            segments.append(segment("OBR", **request))
            if order.barcode:
                segments.append(segment("SPM", f1="1", f2=escape(order.barcode), f4='""', f11="P^Patient^HL70369"))
        else:
            timing = f"^^^^^{order.priority}"
            segments.append(segment("ORC", **common, f7=timing))
            filler = {"f3": escape(order.barcode)} if order.barcode else {}
            segments.append(segment("OBR", **request, **filler, f27=timing))
    return segments


@dataclass(frozen=True, slots=True)
class HospitalResult:
    """One OBX of an ORU^R01 that the hospital has taken."""

    step: str
    """OBR-2 or ORC-2: the hospital's number of the single order."""
    filler: str
    """OBR-3: the laboratory's number."""
    test: str
    value: str
    unit: str
    range: str
    flags: tuple[str, ...]
    status: str
    patient: tuple[str, ...]
    """All identifiers of PID-3."""
    message_id: str
    comments: tuple[str, ...] = ()


def read_results(message: Message) -> list[HospitalResult]:
    """Every OBX of an ORU^R01, in order."""
    results: list[HospitalResult] = []
    patient: tuple[str, ...] = ()
    common, request = Segment("ORC"), Segment("OBR")
    for part in message:
        if part.name == "PID":
            patient = tuple(one.split("^")[0] for one in part.field(3).split("~") if one)
        elif part.name == "ORC":
            common = part
        elif part.name == "OBR":
            request = part
        elif part.name == "NTE" and results:
            results[-1] = replace(results[-1], comments=(*results[-1].comments, part.get(3)))
        elif part.name == "OBX":
            flags = tuple(flag.split("^")[0] for flag in part.field(8).split("~") if flag)
            results.append(
                HospitalResult(
                    step=request.get(2) or common.get(2),
                    filler=request.get(3) or common.get(3),
                    test=part.get(3),
                    value=part.get(5) if "^" not in part.field(5) else part.field(5),
                    unit=part.get(6),
                    range=part.get(7),
                    flags=flags,
                    status=part.get(11),
                    patient=patient,
                    message_id=message.control_id,
                )
            )
    return results
