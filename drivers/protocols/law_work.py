"""LAB-28 of IHE LAW: the manager gives work (OML^O33), the analyser says what becomes of it (ORL^O34).

Message layer only. LAW facts, section 4. Public names are re-exported by `drivers.protocols.law`.
Mistakes of ours (a work step without an id) raise LocalError; peers raise nothing but Hl7Error for the wrong message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple

from drivers.protocols.hl7 import (
    NULL,
    Comp,
    Field,
    Hl7Error,
    LocalError,
    Message,
    Sub,
    encoding_of,
    header,
    is_null,
    message,
    read_acknowledgement,
    segment,
    segment_at,
    timestamp,
)
from drivers.protocols.law_query import given

AWOS_ID_LENGTH = 50  # characters at most (LAW-F.42)


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value (CWE): code, text, coding system, and the same in a second system."""

    code: str
    text: str = ""
    system: str = ""
    other_code: str = ""
    other_text: str = ""
    other_system: str = ""

    def field(self) -> Comp:
        return Comp(self.code, self.text, self.system, self.other_code, self.other_text, self.other_system)


PATIENT = Code("P", "Patient", "HL70369")
CONTROL = Code("Q", "Control specimen", "HL70369")
POOL = Code("L", "Pooled patient specimens", "HL70369")
_UNKNOWN = Code("U", "Unknown", "HL70369")


@dataclass(frozen=True, slots=True)
class Patient:
    id: str = ""
    authority: str = ""
    id_type: str = "PI"
    family: str = ""
    given: str = ""
    birth_date: date | None = None
    sex: str = ""
    """HL70001: F, M, U, O."""


@dataclass(frozen=True, slots=True)
class Container:
    """A tube and the specimen in it. At least the number, or rack and position, or tray and position."""

    id: str = ""
    """SAC-3, the number on the label."""
    specimen: str = ""
    """SPM-2.1; empty where the laboratory has no number beside the tube's."""
    specimen_authority: str = ""
    material: Code | None = None
    """SPM-4, HL70487 or the laboratory's; None is written as the null."""
    role: Code = PATIENT
    parent: str = ""
    """SPM-3, placer part: the primary specimen of an isolate or aliquot."""
    pooled: int = 0
    """SPM-13: how many specimens a pool holds (role L)."""
    collected: datetime | None = None
    received: datetime | None = None
    rack: str = ""
    position: str = ""
    tray: str = ""
    tray_position: str = ""
    location: Code | None = None


@dataclass(frozen=True, slots=True)
class PriorResult:
    """An earlier value of the patient, for analysers with that option (LAW-F.60)."""

    test: Code
    value: str
    unit: str = ""
    measured: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorkStep:
    """One AWOS: one test or panel, on one container, for one analyser."""

    awos_id: str
    """OBR-2: at most 50 characters, never used for anything else, ever."""
    test: Code
    action: Literal["NW", "CA"] = "NW"
    work_order: str = ""
    """ORC-4, the same for all steps of one order."""
    priority: str = ""
    """TQ1-9 (HL70485): S stat, A as soon as possible, R routine; only for analysers with the priority option."""
    dilution: str = ""
    """The factor of TCD-2: "5" for 1:5."""
    orderer: tuple[str, ...] = ()
    """OBR-16: id, family name, given name."""
    notes: tuple[str, ...] = ()
    prior: tuple[PriorResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the MSH of our message says."""

    control_id: str
    now: datetime
    """Aware; written in its own zone."""
    sending: tuple[str, str] = ("NUMUNE", "")
    receiving: tuple[str, str] = ("", "")
    profile: tuple[str, ...] = ("LAB-28", "IHE")
    """Roche: ("LAB-28R", "ROCHE")."""
    version: str = "2.5.1"
    accept: str = "NE"
    application: str = "AL"
    charset: str = "UNICODE UTF-8"
    fold: bool = False
    """Write letters that the character set lacks as plain ones, instead of raising LocalError."""


def work_order(container: Container, steps: Sequence[WorkStep], patient: Patient | None, envelope: Envelope) -> bytes:
    """OML^O33 with new (NW) or cancelled (CA) steps of one container (LAB28-002, LAW-F.39 to 50).

    Raises LocalError: no step; an AWOS id empty, too long or twice; a container that nobody can find; a patient with
    a control (LAW-F.49).
    """
    _check_container(container)
    _check_steps(steps)
    if patient is not None and container.role.code == "Q":
        raise LocalError("a control specimen has no patient")
    texts = [_order_header(envelope)]
    if patient is not None:
        texts.append(_pid(patient))
    texts += [_spm(container), _sac(container)]
    for number, step in enumerate(steps, start=1):
        texts += _step(number, step, envelope.now)
    return message(texts, encoding_of(envelope.charset) or "utf-8", fold=envelope.fold)


def no_work(container: Container, envelope: Envelope) -> bytes:
    """The negative query response: exactly MSH SPM SAC ORC, ORC-1 DC (LAB28-001).

    Rack or tray of the query are repeated, so that the analyser knows which question this answers (LAW-F.33, 34).
    """
    _check_container(container)
    texts = [
        _order_header(envelope),
        segment_at("SPM", {1: 1, 4: NULL, 11: _UNKNOWN.field()}),
        _sac(container),
        segment_at("ORC", {1: "DC", 9: timestamp(envelope.now)}),
    ]
    return message(texts, encoding_of(envelope.charset) or "utf-8", fold=envelope.fold)


def _check_container(container: Container) -> None:
    by_rack = container.rack and container.position
    by_tray = container.tray and container.tray_position
    if not (container.id or by_rack or by_tray):
        raise LocalError("neither the number nor the place of the container is known")


def _check_steps(steps: Sequence[WorkStep]) -> None:
    ids = [step.awos_id for step in steps]
    if not ids:
        raise LocalError("an order without a step; `no_work` says that there is nothing to do")
    if any(not awos_id or is_null(awos_id) or len(awos_id) > AWOS_ID_LENGTH for awos_id in ids):
        raise LocalError(f"an AWOS id has 1 to {AWOS_ID_LENGTH} characters")
    if len(set(ids)) != len(ids):
        raise LocalError("two steps with one AWOS id")
    if any(not step.test.code for step in steps):
        raise LocalError("a step without a test")


def _order_header(envelope: Envelope) -> str:
    return header(
        type=("OML", "O33", "OML_O33"),
        control_id=envelope.control_id,
        now=envelope.now,
        sending=envelope.sending,
        receiving=envelope.receiving,
        version=envelope.version,
        accept=envelope.accept,
        application=envelope.application,
        charset=envelope.charset,
        profile=Comp(*envelope.profile),
    )


def _pid(patient: Patient) -> str:
    named = patient.family or patient.given
    name = Comp(patient.family, patient.given, None, None, None, None, "L" if named else "U")
    fields: dict[int, Field] = {
        3: Comp(patient.id, None, None, patient.authority, patient.id_type) if patient.id else None,
        5: name,
        7: patient.birth_date.isoformat().replace("-", "") if patient.birth_date else None,
        8: patient.sex,
    }
    return segment_at("PID", fields)


def _spm(container: Container) -> str:
    fields: dict[int, Field] = {
        1: 1,
        2: Sub(container.specimen, container.specimen_authority) if container.specimen else None,
        3: container.parent,
        4: container.material.field() if container.material else NULL,
        11: container.role.field(),
        13: container.pooled or None,
        17: timestamp(container.collected) if container.collected else None,
        18: timestamp(container.received) if container.received else None,
    }
    return segment_at("SPM", fields)


def _sac(container: Container) -> str:
    fields: dict[int, Field] = {
        3: container.id,
        10: container.rack,
        11: container.position,
        13: container.tray,
        14: container.tray_position,
        15: container.location.field() if container.location else None,
    }
    return segment_at("SAC", fields)


def _step(number: int, step: WorkStep, now: datetime) -> list[str]:
    """ORC [TQ1] OBR [TCD] [NTE] [prior results]; of a cancellation only ORC and OBR, which name what is cancelled
    (LAW-F.50)."""
    test = step.test.field()
    texts = [segment_at("ORC", {1: step.action, 4: step.work_order, 9: timestamp(now)})]
    if step.priority and step.action == "NW":
        texts.append(segment_at("TQ1", {9: Comp(step.priority, None, "HL70485")}))
    texts.append(segment_at("OBR", {1: number, 2: step.awos_id, 4: test, 16: Comp(*step.orderer)}))
    if step.action == "CA":
        return texts
    if step.dilution:
        texts.append(segment("TCD", test, Comp(None, "1", ":", step.dilution)))
    texts += [segment("NTE", place, None, note) for place, note in enumerate(step.notes, start=1)]
    for earlier in step.prior:
        texts += _prior(earlier, now)
    return texts


def _prior(earlier: PriorResult, now: datetime) -> list[str]:
    """ORC PR, OBR, OBX: the ORC is what tells it from the next step, where the base grammar is ambiguous."""
    test = earlier.test.field()
    obx: dict[int, Field] = {
        1: 1,
        2: "ST",
        3: test,
        5: earlier.value,
        6: Comp(earlier.unit, None, "UCUM") if earlier.unit else None,
        11: "F",
        19: timestamp(earlier.measured) if earlier.measured else None,
    }
    return [
        segment_at("ORC", {1: "PR", 9: timestamp(now)}),
        segment_at("OBR", {1: 1, 4: test}),
        segment_at("OBX", obx),
    ]


class WorkAnswer(NamedTuple):
    """What the analyser says to one step."""

    awos_id: str
    """Empty where the analyser does not say which step it means and it cannot be told: in doubt."""
    outcome: str
    """OK accepted, UA unable to accept, CR cancelled, UC unable to cancel; another text as it came."""
    status: str
    """ORC-5: SC, IP, CA, CM."""
    container: str


def read_work_response(response: Message, sent: Sequence[str] = ()) -> list[WorkAnswer]:
    """The answers in an ORL^O34 (structure ORL_O42, or ORL_O34 of older devices), one for each ORC.

    sent: the AWOS ids of our OML in order. Some analysers leave ORC-2 out; then answers are matched by order, and if
    their number differs none is (LAW-F.56).
    Empty when MSA-1 is not AA: then no step counts as accepted (LAW-F.54; see `hl7.read_acknowledgement` for why).
    Raises Hl7Error: not an ORL, or one without MSA.
    """
    acknowledgement = read_acknowledgement(response)
    if response.type[0] != "ORL" or acknowledgement is None:
        raise Hl7Error(f"not the answer to an order but {'^'.join(response.type)}")
    if not acknowledgement.accepted:
        return []
    answers: list[WorkAnswer] = []
    container = ""
    for part in response.segments:
        if part.name == "SPM":
            container = ""  # nothing of the specimen before is inherited
        elif part.name == "SAC":
            container = given(part, 3)
        elif part.name == "ORC":
            answers.append(WorkAnswer(given(part, 2), part.get(1), part.get(5), container))
    if any(answer.awos_id for answer in answers) or len(answers) != len(sent):
        return answers
    return [answer._replace(awos_id=awos_id) for answer, awos_id in zip(answers, sent, strict=True)]
