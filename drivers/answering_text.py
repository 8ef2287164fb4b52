"""What the host says in the maker's own texts: templates with gaps for the groups of the query.

    order = ['S{rack}{position}{specimen:>13}{tests}']

Gaps: every group of the query rule, byte for byte as sent; {specimen} {tests} {count} {priority} {material} {sender}
{now:%d%m%y} {collected:%H%M} {age} {patient.identifier} {patient.family_name} {patient.given_name} {patient.birth_date}
{patient.sex}; in `test` also {code} {name} {dilution} {reference};
{blank:<20} is twenty blanks. `{x:<20}` pads right, `{x:>20}` left, `{x:020}` with
zeros. Each template is one message; `FS`, `CR` and other control characters stand as themselves (TOML: "\\u001c").
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from drivers.language import Answer, DefinitionError
from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from drivers.protocols.hl7 import LocalError, encode

_GAP = re.compile(r"\{(?P<name>[a-z][a-z0-9_.]*)(?::(?P<format>[^{}]*))?\}")
_PAD = re.compile(r"([<>0])([1-9][0-9]{0,2})")
_CUT = ("patient.family_name", "patient.given_name", "patient.identifier", "sender", "name")
"""What may be cut to the width of its column. Identifiers of specimens and codes never are."""
_WORDS = frozenset((
    "blank", "specimen", "tests", "count", "priority", "material", "sender", "now", "collected", "age", "code", "name",
    "dilution", "reference", "patient.identifier", "patient.family_name", "patient.given_name", "patient.birth_date",
    "patient.sex",
))  # fmt: skip
_RANK = {"S": 0, "A": 1, "R": 2}


class TextAnswer:
    """The [answer] table of a `metin` definition."""

    def __init__(self, answer: Answer, groups: set[str], parameters: Mapping[str, str]) -> None:
        """parameters: values for `%name%` in the templates."""
        answer = copy.copy(answer)
        answer.order = [_with(text, parameters) for text in answer.order]
        answer.nothing = [_with(text, parameters) for text in answer.nothing]
        answer.unknown = [_with(text, parameters) for text in answer.unknown]
        answer.test = _with(answer.test, parameters)
        self._answer = answer
        self._groups = groups
        if not answer.order:
            raise DefinitionError("[answer] içinde order gereklidir")
        for text in (*answer.order, *answer.nothing, *answer.unknown, answer.test):
            self._check(text)

    def _check(self, text: str) -> None:
        for found in _GAP.finditer(text):
            name, form = found["name"], found["format"] or ""
            if name not in _WORDS and name not in self._groups:
                raise DefinitionError(f"{{{name}}}: sorguda böyle bir grup yok")
            if form and name not in ("now", "collected") and _PAD.fullmatch(form) is None:
                raise DefinitionError(f"{{{name}:{form}}} biçimi anlaşılmıyor (örnek: {{{name}:>13}})")
        if "{" in _GAP.sub("", text) or "}" in _GAP.sub("", text):
            raise DefinitionError(f"şablonda çözülemeyen süslü parantez: {text!r}")

    def answer(
        self, query: Query, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: str
    ) -> list[bytes]:
        """One message or more for each specimen asked. Raises LocalError: something does not fit its column."""
        told = {order.specimen: order for order in orders}
        asked = [told.get(name) or WorkOrder(specimen=name, known=False) for name in query.specimens]
        if not query.specimens:
            asked = list(orders) or [WorkOrder(specimen="", known=False)]
        if self._answer.when_nothing == "silence" and not any(order.tests for order in asked):
            return []
        messages: list[bytes] = []
        for order in asked:
            values = self._values(query, order, sender)
            templates = self._answer.order if order.tests else self._answer.nothing
            if not order.tests and not order.known and self._answer.unknown:
                templates = self._answer.unknown
            values["tests"] = self._answer.join.join(
                self._fill(self._answer.test, {**values, **self._test(test)}, order, now) for test in order.tests
            )
            messages += [
                encode(self._fill(text, values, order, now), self._answer.encoding, fold=True) for text in templates
            ]
        return messages

    def _values(self, query: Query, order: WorkOrder, sender: str) -> dict[str, str]:
        answer, patient = self._answer, order.patient or WorkPatient()
        echoed = query.echo.get("text")
        said = {name: str(text) for name, text in echoed.items()} if isinstance(echoed, dict) else {}
        if len(query.specimens) != 1 or "specimen" not in said:
            said["specimen"] = order.specimen
        first = min((test.priority for test in order.tests), key=lambda code: _RANK.get(code, 3), default="R")
        return {
            "count": str(len(order.tests)),
            "priority": answer.priorities.get(first, first),
            "material": answer.materials.get(order.material, order.material if not answer.materials else ""),
            "sender": sender,
            "patient.identifier": patient.identifier,
            "patient.family_name": patient.family_name,
            "patient.given_name": patient.given_name,
            "patient.birth_date": patient.birth_date,
            "patient.sex": answer.sexes.get(patient.sex, patient.sex),
            **said,  # what the analyser said is repeated, whatever we know
        }

    def _test(self, test: WorkTest) -> dict[str, str]:
        return {"code": test.code, "name": test.name, "dilution": test.dilution, "reference": test.reference}

    def _fill(self, text: str, values: Mapping[str, str], order: WorkOrder, now: datetime) -> str:
        def gap(found: re.Match[str]) -> str:
            name, form = found["name"], found["format"] or ""
            if name == "now":
                return now.strftime(form or "%Y%m%d%H%M%S")
            if name == "collected":
                return order.collected_at.strftime(form or "%Y%m%d%H%M%S") if order.collected_at else ""
            value = _age(order, now) if name == "age" else values.get(name, "")
            if not form:
                return value
            side, width = form[0], int(form[1:])
            if len(value) > width and name in _CUT:
                value = value[:width]
            if len(value) > width and value.strip() != value:
                value = value.strip()
            if len(value) > width:
                raise LocalError(f"{value!r} cihazın {width} karakterlik alanına sığmıyor")
            return value.ljust(width) if side == "<" else value.rjust(width, "0" if side == "0" else " ")

        return _GAP.sub(gap, text)


def _with(text: str, parameters: Mapping[str, str]) -> str:
    """A template with its parameters; `%d%m%y` of a time stays."""
    for name, value in parameters.items():
        text = text.replace(f"%{name}%", value)
    return text


def _age(order: WorkOrder, now: datetime) -> str:
    born = order.patient.birth_date if order.patient is not None else ""
    if len(born) != 8 or not born.isdecimal():
        return ""
    had_birthday = (now.month, now.day) >= (int(born[4:6]), int(born[6:]))
    return str(max(0, now.year - int(born[:4]) - (not had_birthday)))


__all__ = ["TextAnswer"]
