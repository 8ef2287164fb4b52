"""IHE LAW (Laboratory Analytical Workflow) messages of an analyzer manager, and the older query of blood counters.

Message layer only: what a message says, and bytes for what is to be said. Sources: IHE LAW supplement 2015, restated in
the project's LAW facts (sections 3 and 4; assertion ids LAB27-..., LAB28-..., LAW-F... below), and captures.

- LAB-27: `read_work_query` reads QBP^Q11, `query_response` writes RSP^K11 ("understood", nothing more).
- LAB-28: `work_order` and `no_work` write OML^O33, `read_work_response` reads ORL^O34.
- LAB-29 (OUL^R22) is read with `hl7` alone and answered with `hl7.acknowledge`; ours is answered so too.
- ORM^O01 as a query: `read_orm_query` and `orm_response` (ORR^O02), see there.

Mistakes of ours (a work step without an id) raise LocalError; peers raise nothing but Hl7Error for the wrong message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple

from drivers.protocols.hl7 import (
    NULL,
    Comp,
    ErrorLocation,
    Field,
    Hl7Error,
    LocalError,
    Message,
    Segment,
    Sub,
    answer_bytes,
    answer_header,
    echo,
    echo_segment,
    encoding_of,
    error_segments,
    header,
    is_null,
    message,
    read_acknowledgement,
    segment,
    segment_at,
    timestamp,
)

QueryKind = Literal["WOS", "WOS_ALL", "WOS_BY_RACK", "WOS_BY_TRAY", "WOS_BY_ISOLATE", "other"]

AWOS_ID_LENGTH = 50  # characters at most (LAW-F.42)


# ---- LAB-27: the analyser asks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkQuery:
    """What an analyser asks for. Texts are the analyser's own; empty where it does not say."""

    tag: str
    """QPD-2, repeated in the answer; empty on cobas 6800."""
    kind: QueryKind
    container: str
    """QPD-3, the tube's number."""
    rack: str
    position: str
    tray: str
    tray_position: str
    location: str
    isolate: str
    material: str
    """QPD-10 of Roche's INISEQ (SERPLAS and so on)."""
    problems: tuple[ErrorLocation, ...]
    """Why the query cannot be answered: answer it with ok=False; no OML follows (LAW-F.31, LAW-F.32)."""
    message: Message


# the query's name: its kind, and the fields that it must fill
_QUERY_KINDS: dict[str, tuple[QueryKind, tuple[int, ...]]] = {
    "WOS": ("WOS", (3,)),
    "WOS_ROCHE": ("WOS", (3,)),
    "WOS_ALL": ("WOS_ALL", ()),
    "WOS_BY_RACK": ("WOS_BY_RACK", (4, 5)),
    "WOS_BY_TRAY": ("WOS_BY_TRAY", (6, 7)),
    "WOS_BY_ISOLATE": ("WOS_BY_ISOLATE", (9,)),  # an open point of LAW: which field it is, traffic must show
}


def read_work_query(query: Message) -> WorkQuery:
    """Read a QBP^Q11 of LAB-27 or of its dialects: coding system IHE_LABTF, no tag and no RCP (cobas 6800), rack and
    position beside the container (x800), Roche's INISEQ, which goes by rack where the barcode could not be read.

    Raises Hl7Error: not a QBP.
    """
    if query.type[0] != "QBP":
        raise Hl7Error(f"not a query but {'^'.join(query.type)}")
    qpd = query.first("QPD")
    if qpd is None:
        missing = ErrorLocation("QPD", code="101", text="QPD is missing")
        return WorkQuery("", "other", "", "", "", "", "", "", "", "", (missing,), query)
    name = qpd.get(1)
    kind, needed = _QUERY_KINDS.get(name, ("other", ()))
    if name == "INISEQ":
        kind, needed = ("WOS", (3,)) if _given(qpd, 3) or not _given(qpd, 4) else ("WOS_BY_RACK", (4, 5))
    problems = [
        ErrorLocation("QPD", 1, n, code="101", text=f"QPD-{n} is missing in {name}")
        for n in needed
        if not _given(qpd, n)
    ]  # fmt: skip
    if kind == "other":
        problems.append(ErrorLocation("QPD", 1, 1, code="103", text=f"unknown query {name!r}"))
    return WorkQuery(
        tag=qpd.whole(2),
        kind=kind,
        container=_given(qpd, 3),
        rack=_given(qpd, 4),
        position=_given(qpd, 5),
        tray=_given(qpd, 6),
        tray_position=_given(qpd, 7),
        location=_given(qpd, 8),
        isolate=_given(qpd, 9),
        material=_given(qpd, 10) if name == "INISEQ" else "",
        problems=tuple(problems),
        message=query,
    )


def _given(source: Segment, n: int) -> str:
    """The first component; empty for the null, which gives no tube either."""
    value = source.get(n).strip()
    return "" if is_null(value) else value


def query_response(
    query: WorkQuery, ok: bool, *, control_id: str, now: datetime, errors: Sequence[ErrorLocation] = ()
) -> bytes:
    """RSP^K11: the query was understood (QAK-2 OK, also where there is no work), or not (AE with ERR).

    errors: beside the query's own problems; used with ok=False. The work follows as OML^O33, after this (LAW-F.30).
    """
    request = query.message
    delimiters = request.delimiters.completed()
    qpd = request.first("QPD")
    problems = [] if ok else [*query.problems, *errors] or [ErrorLocation()]
    name = echo(qpd, 1) if qpd else None
    return answer_bytes(
        request,
        [
            answer_header(request, ("RSP", "K11", "RSP_K11"), control_id, now),
            segment("MSA", "AA" if ok else "AE", echo(request.msh, 10), delimiters=delimiters),
            *error_segments(problems, request.version, delimiters),
            segment("QAK", echo(qpd, 2) if qpd else None, "OK" if ok else "AE", name, delimiters=delimiters),
            *([echo_segment(qpd)] if qpd else []),
        ],
    )


# ---- LAB-28: the manager gives work ---------------------------------------------------------------------------------


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
    collected: datetime | None = None
    received: datetime | None = None
    rack: str = ""
    position: str = ""
    tray: str = ""
    tray_position: str = ""
    location: Code | None = None


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
        4: container.material.field() if container.material else NULL,
        11: container.role.field(),
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
    """ORC [TQ1] OBR [TCD] [NTE]; of a cancellation only ORC and OBR, which name what is cancelled (LAW-F.50)."""
    test = step.test.field()
    texts = [segment_at("ORC", {1: step.action, 4: step.work_order, 9: timestamp(now)})]
    if step.priority and step.action == "NW":
        texts.append(segment_at("TQ1", {9: Comp(step.priority, None, "HL70485")}))
    texts.append(segment_at("OBR", {1: number, 2: step.awos_id, 4: test, 16: Comp(*step.orderer)}))
    if step.action == "CA":
        return texts
    if step.dilution:
        texts.append(segment("TCD", test, Comp(None, "1", ":", step.dilution)))
    return texts + [segment("NTE", place, None, note) for place, note in enumerate(step.notes, start=1)]


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
            container = _given(part, 3)
        elif part.name == "ORC":
            answers.append(WorkAnswer(_given(part, 2), part.get(1), part.get(5), container))
    if any(answer.awos_id for answer in answers) or len(answers) != len(sent):
        return answers
    return [answer._replace(awos_id=awos_id) for answer, awos_id in zip(answers, sent, strict=True)]


# ---- blood counters: ORM^O01 used as a query ------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class OrmWork:
    """What the counter is to do with the tube."""

    patient: Patient
    settings: tuple[OrmSetting, ...]
    service: Code = Code("00001", "Automated Count", "99MRC")
    collected: datetime | None = None
    received: datetime | None = None


def read_orm_query(query: Message) -> OrmQuery | None:
    """Read an ORM^O01 of a Mindray-like blood counter (BC series, HL7 2.3.1); None where it is an order, no query."""
    orc = query.first("ORC")
    if query.type[:2] != ("ORM", "O01") or orc is None or orc.get(1) != "RF":
        return None
    specimen = _given(orc, 3)
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
