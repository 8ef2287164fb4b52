"""The [answer.dsr] table: QRY^Q02 is answered by QCK^Q02, and with work by DSR^Q03 (numbered lines)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drivers.answering import RANK, Template
from drivers.language import Answer, DefinitionError, Dsr
from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from drivers.protocols.dsr_query import display_response, query_acknowledgement
from drivers.protocols.hl7 import Delimiters, Hl7Error, Message, escape, parse


class DsrAnswer:
    """One query, one tube."""

    def __init__(self, dsr: Dsr, answer: Answer) -> None:
        """Raises DefinitionError: a line beyond the fixed ones, a template that means nothing."""
        self._answer = answer
        self._fixed = dsr.lines
        self._lines = {int(number): Template(text) for number, text in dsr.say.items()}
        self._test = Template(dsr.test)
        if any(number > dsr.lines for number in self._lines):
            raise DefinitionError(f"[answer.dsr.say] en çok {dsr.lines} satır olabilir")

    def answer(
        self, query: Query, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: str
    ) -> list[bytes]:
        """QCK^Q02, and DSR^Q03 where the tube has work."""
        request = _request(query)
        if request is None or query.cancels:
            return []
        order = next((one for one in orders if one.specimen in query.specimens and one.tests), None)
        messages = [query_acknowledgement(request, order is not None, control_id=control_id, now=now)]
        if order is not None:
            messages.append(self._work(request, order, f"{control_id}-1", now))
        return messages

    def _work(self, request: Message, order: WorkOrder, control_id: str, now: datetime) -> bytes:
        delimiters = request.delimiters.completed()
        values = self._values(order)
        lines = {number: _filled(template, values, delimiters) for number, template in self._lines.items()}
        tests = [_filled(self._test, {**values, **_said(test)}, delimiters) for test in order.tests]
        return display_response(request, lines, tests, self._fixed, control_id=control_id, now=now)

    def _values(self, order: WorkOrder) -> dict[str, str]:
        answer, patient = self._answer, order.patient or WorkPatient()
        first = min((test.priority for test in order.tests), key=lambda code: RANK.get(code, 3), default="R")
        collected = order.collected_at
        return {
            "specimen": order.specimen,
            "priority": answer.priorities.get(first, first),
            "material": answer.materials.get(order.material, "" if answer.materials else order.material),
            "collected": collected.strftime("%Y%m%d%H%M%S") if collected is not None else "",
            "patient.identifier": patient.identifier,
            "patient.family_name": patient.family_name,
            "patient.given_name": patient.given_name,
            "patient.birth_date": patient.birth_date,
            "patient.sex": answer.sexes.get(patient.sex, patient.sex),
        }


def _said(test: WorkTest) -> dict[str, str]:
    return {"code": test.code, "name": test.name, "dilution": test.dilution, "reference": test.reference}


def _filled(template: Template, values: dict[str, str], delimiters: Delimiters) -> str:
    return template.fill(values, lambda text: escape(text, delimiters), lambda text: text)


def _request(query: Query) -> Message | None:
    """The query as it came, for what the answer must repeat."""
    try:
        return parse(str(query.echo.get("request", "")).encode("latin-1"))
    except Hl7Error:
        return None
