"""What the host says to an HL7 query: RSP^K11 and OML^O33 (IHE LAW), or ORR^O02 (blood counters).

The messages are written by `drivers.protocols.law`; here a definition's settings and an order become its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime

from drivers.answering_dsr import DsrAnswer
from drivers.language import Answer, DefinitionError, Law, Orm
from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from drivers.protocols.hl7 import AckCode, ErrorLocation, Hl7Error, Message, ack_mode, acknowledge, parse
from drivers.protocols.law import (
    CONTROL,
    PATIENT,
    POOL,
    Code,
    Container,
    Envelope,
    OrmSetting,
    OrmWork,
    Patient,
    WorkQuery,
    WorkStep,
    no_work,
    orm_response,
    query_response,
    read_orm_query,
    read_work_query,
    work_order,
)

_ROLES = {"P": PATIENT, "Q": CONTROL, "L": POOL}
_SEXES = {"K": "F", "E": "M", "F": "F", "M": "M", "O": "O"}


class LawAnswer:
    """The [answer.law] table: the query is acknowledged, then each specimen gets its OML^O33."""

    def __init__(self, law: Law) -> None:
        self._law = law
        self._profile = tuple(law.profile.split("^"))

    def answer(
        self, query: Query, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: str
    ) -> list[bytes]:
        """RSP^K11 first, then one OML^O33 for each specimen: work, or "nothing to do" (ORC-1 DC)."""
        request = _request(query)
        if request is None or query.cancels:
            return []
        try:
            asked = read_work_query(request)
        except Hl7Error:  # the definition calls another message type a query
            return []
        understood = not asked.problems
        messages = [query_response(asked, understood, control_id=_numbered(control_id, 0), now=now)]
        if not understood:
            return messages
        for place, (container, order) in enumerate(self._containers(asked, query, orders), 1):
            envelope = self._envelope(asked.message, now, sender, _numbered(control_id, place))
            steps = [self._step(test, f"{control_id[-36:]}-{place}-{n}") for n, test in enumerate(order.tests, 1)]
            if steps:
                messages.append(self._work(container, steps, order, envelope))
            else:
                messages.append(no_work(container, envelope))
        return messages

    def work(
        self, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: Callable[[], str]
    ) -> list[bytes]:
        """One OML^O33 for each order with steps, sent without being asked; cancellations apart from new work."""
        messages: list[bytes] = []
        for order in orders:
            for action in ("CA", "NW"):
                steps = [self._step(test, test.reference) for test in order.tests if test.action == action]
                if steps:
                    envelope = self._plain_envelope(now, sender, control_id())
                    messages.append(self._work(self._placed(order), steps, order, envelope))
        return messages

    def _work(self, container: Container, steps: list[WorkStep], order: WorkOrder, envelope: Envelope) -> bytes:
        patient = None if order.role == "Q" or steps[0].action == "CA" else self._patient(order.patient)
        return work_order(container, steps, patient, envelope)

    def _placed(self, order: WorkOrder) -> Container:
        return replace(self._bare(order), id=order.specimen, rack=order.rack, position=order.position)

    def _bare(self, order: WorkOrder) -> Container:
        return Container(
            material=Code(order.material, "", self._law.material_system) if order.material else None,
            role=_ROLES[order.role],
            parent=order.parent,
            collected=order.collected_at,
        )

    def _containers(
        self, asked: WorkQuery, query: Query, orders: Sequence[WorkOrder]
    ) -> list[tuple[Container, WorkOrder]]:
        told = {order.specimen: order for order in orders}
        if query.specimens:
            wanted = [told.get(name) or WorkOrder(specimen=name, known=False) for name in query.specimens]
        elif query.everything:
            wanted = [order for order in orders if order.tests]  # a query for all names no tube to say DC for
        else:
            wanted = list(orders[:1]) or [WorkOrder(specimen="", known=False)]
        return [(self._container(asked, order), order) for order in wanted]

    def _container(self, asked: WorkQuery, order: WorkOrder) -> Container:
        return replace(
            self._bare(order),
            id=order.specimen or asked.container,
            rack=asked.rack,
            position=asked.position,
            tray=asked.tray,
            tray_position=asked.tray_position,
        )

    def _envelope(self, request: Message, now: datetime, sender: str, control_id: str) -> Envelope:
        return replace(
            self._plain_envelope(now, sender, control_id),
            sending=(sender, request.msh.whole(6)),
            receiving=(request.msh.whole(3), request.msh.whole(4)),
            charset=request.charset or "UNICODE UTF-8",
        )

    def _plain_envelope(self, now: datetime, sender: str, control_id: str) -> Envelope:
        return Envelope(
            control_id=control_id,
            now=now,
            sending=(sender, ""),
            profile=self._profile,
            version=self._law.version,
            accept=self._law.accept if self._law.application else "",
            application=self._law.application,
            fold=True,
        )

    def _step(self, test: WorkTest, spare_id: str) -> WorkStep:
        """One work step. Its id may never be used twice: without one of ours, this answer's control id makes one."""
        return WorkStep(
            awos_id=test.reference or spare_id,
            test=self._test(test),
            action=test.action,
            work_order=test.work_order,
            priority=test.priority if self._law.priority and self._has("priority") else "",
            dilution=test.dilution if self._has("assay-parameters") else "",
        )

    def _has(self, option: str) -> bool:
        """Whether the analyser has an option. A definition that names none but the first keeps the older switches."""
        return option in self._law.options or self._law.options == ["bi-directional"]

    def _test(self, test: WorkTest) -> Code:
        """OBR-4: the analyser's own code, and LOINC beside it where the definition wants it (LAW-F.46)."""
        own, other = (test.code, test.name, self._law.system), (test.loinc, test.name, "LN")
        if not test.loinc or not self._law.loinc:
            return Code(*own)
        first, second = (other, own) if self._law.loinc == "first" else (own, other)
        return Code(*first, *second)

    def _patient(self, patient: WorkPatient | None) -> Patient | None:
        return _patient(patient) if patient is not None and self._law.patient else None


class OrmAnswer:
    """The [answer.orm] table: one ORR^O02."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm
        self._service = _code(orm.service)
        self._settings = [(_code(setting.name), setting) for setting in orm.settings]

    def answer(
        self, query: Query, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: str
    ) -> list[bytes]:
        """How to run the tube, or AR where there is nothing to run."""
        request = _request(query)
        asked = read_orm_query(request) if request is not None else None
        if asked is None or query.cancels:
            return []
        order = next((order for order in orders if order.specimen in query.specimens), None)
        work = self._work(order) if order is not None and order.tests else None
        return [orm_response(asked, work, control_id=control_id, now=now)]

    def _work(self, order: WorkOrder) -> OrmWork:
        tests = self._orm.join.join(test.code for test in order.tests)
        settings = tuple(
            OrmSetting(setting.type, name, setting.value.replace("{tests}", tests)) for name, setting in self._settings
        )
        return OrmWork(
            patient=_patient(order.patient or WorkPatient()),
            settings=settings,
            service=self._service,
            collected=order.collected_at,
        )


def hl7_answer(answer: Answer) -> LawAnswer | OrmAnswer | DsrAnswer:
    """The answer that a definition describes. Raises DefinitionError."""
    if sum(one is not None for one in (answer.law, answer.orm, answer.dsr)) != 1:
        raise DefinitionError("HL7 için [answer.law], [answer.orm], [answer.dsr] tablolarından biri gereklidir")
    if answer.law is not None:
        return LawAnswer(answer.law)
    if answer.orm is not None:
        return OrmAnswer(answer.orm)
    assert answer.dsr is not None
    return DsrAnswer(answer.dsr, answer)


NOT_ANSWERED = "Bu hatta iş listesi verilmez; cihazda testleri elle seçin."


def refused_query(payload: bytes, *, control_id: str, now: datetime) -> bytes | None:
    """AR to a query of a model whose answer nobody has documented: it hears at once that none will come, instead of
    waiting for its time-out. None where the sender wants no answer, or the bytes are no HL7."""
    try:
        request = parse(payload)
    except Hl7Error:
        return None
    mode = ack_mode(request)
    if not (mode.wants_application(False) or mode.wants_accept(False)):
        return None
    code: AckCode = "AR" if mode.wants_application(False) else "CR"
    errors = (ErrorLocation("MSH", field=9, code="200", text=NOT_ANSWERED),)
    return acknowledge(request, code, control_id=control_id, now=now, text=NOT_ANSWERED, errors=errors)


def _request(query: Query) -> Message | None:
    """The query as it came, for what the answer must repeat."""
    try:
        return parse(str(query.echo.get("request", "")).encode("latin-1"))
    except Hl7Error:
        return None


def _numbered(control_id: str, place: int) -> str:
    """A control id for each message of one answer."""
    return f"{control_id}-{place}" if place else control_id


def _code(text: str) -> Code:
    parts = [*text.split("^"), "", "", ""]
    return Code(parts[0], parts[1], parts[2])


def _patient(patient: WorkPatient) -> Patient:
    born = patient.birth_date
    try:
        birth = date(int(born[:4]), int(born[4:6]), int(born[6:8])) if len(born) == 8 else None
    except ValueError:
        birth = None
    return Patient(
        id=patient.identifier,
        family=patient.family_name,
        given=patient.given_name,
        birth_date=birth,
        sex=_SEXES.get(patient.sex, "U"),
    )
