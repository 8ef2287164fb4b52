"""What the host says to a query: templates of a definition filled with orders (ASTM), LAW and ORR messages (HL7).

A wrong template is our mistake and found when the definition is loaded (`DefinitionError`). What an instrument sent
is repeated byte for byte; what comes from us is escaped, so that no name and no code can break a record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from drivers.language import Answer, DefinitionError, Push
from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from drivers.places import parse_path
from drivers.protocols.astm_records import Delimiters, build_record
from drivers.protocols.hl7 import LocalError, decode, encode

_FIELD = re.compile(r"\{(?P<name>[A-Za-z_.0-9\[\]-]+)(?::(?P<format>[^{}]*))?\}")
_PAD = re.compile(r"[<>0][1-9][0-9]?")
_WORDS = frozenset(
    (
        "sender", "now", "control_id", "specimen", "tests", "priority", "material", "collected", "n",
        "patient.identifier", "patient.family_name", "patient.given_name", "patient.birth_date", "patient.sex",
        "code", "name", "dilution", "reference", "rack", "position", "action",
    )
)  # fmt: skip
_OF_A_LIST = frozenset(("rack", "position", "action"))
"""Gaps of orders that nobody asked for: an answer repeats the place of its query, byte for byte."""
RANK = {"S": 0, "A": 1, "R": 2}
_CONTROL = dict.fromkeys([*range(32), 127], " ")
"""What noise on a line may leave in a number: without an escape character there is no way to write it."""

Values = Mapping[str, str]


class Template:
    """One record as it goes out, with named gaps."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[tuple[str, str, str]] = []
        """Text before a gap, the gap's name, its format; the last entry has an empty name."""
        done = 0
        for found in _FIELD.finditer(text):
            self.parts.append((text[done : found.start()], found["name"], found["format"] or ""))
            self._check(found["name"], found["format"] or "")
            done = found.end()
        self.parts.append((text[done:], "", ""))
        if any("{" in before or "}" in before for before, _, _ in self.parts):
            raise DefinitionError(f"şablonda çözülemeyen süslü parantez: {text!r}")

    @staticmethod
    def _check(name: str, form: str) -> None:
        if name not in _WORDS:
            parse_path(name)
        if form and name not in ("now", "collected") and _PAD.fullmatch(form) is None:
            raise DefinitionError(f"{{{name}:{form}}} biçimi anlaşılmıyor (örnek: {{{name}:>22}})")

    @property
    def paths(self) -> list[str]:
        """The places of the query that this template repeats."""
        return [name for _, name, _ in self.parts if name and name not in _WORDS]

    def fill(self, values: Values, escape: Callable[[str], str], written: Callable[[str], str]) -> str:
        """The record. `written` puts our own text into the delimiters of the answer."""
        out: list[str] = []
        for before, name, form in self.parts:
            out.append(written(before))
            if not name:
                continue
            text = values.get(f"{name}:{form}", values.get(name, ""))
            if name not in _WORDS or name == "tests":
                out.append(text)  # as the instrument sent it, or built here
                continue
            if form[:1] == ">":
                text = text.rjust(int(form[1:]))
            elif form[:1] == "<":
                text = text.ljust(int(form[1:]))
            elif form[:1] == "0" and text:
                text = text.rjust(int(form[1:]), "0")
            out.append(escape(text))
        return "".join(out)


class TemplateAnswer:
    """The [answer] table of an ASTM definition."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._head = _templates(answer.head)
        self._order = _templates(answer.order)
        self._each_test = _templates(answer.each_test)
        self._test = Template(answer.test) if answer.test else None
        self._nothing = _templates(answer.nothing)
        self._unknown = _templates(answer.unknown) or self._nothing
        self._tail = _templates(answer.tail)
        self._nothing_head = _templates(answer.nothing_head) or self._head
        self._nothing_tail = _templates(answer.nothing_tail) or self._tail
        if not self._head or not self._order:
            raise DefinitionError("[answer] içinde head ve order gereklidir")
        header = self._head[0].text
        if header[:1] != "H" or len(header) < 5:
            raise DefinitionError("[answer] head başlık kaydıyla (H) başlamalıdır")
        self._written_with = _delimiters(header[1:5])
        self._check_gaps()

    def _check_gaps(self) -> None:
        if any(name in _OF_A_LIST for template in self._every() for _, name, _ in template.parts):
            raise DefinitionError("{rack} {position} {action} yalnız [push] içinde kullanılır")

    def _every(self) -> list[Template]:
        every = [*self._head, *self._order, *self._each_test, *self._nothing, *self._unknown, *self._tail]
        return [*every, *self._nothing_head, *self._nothing_tail, *([self._test] if self._test else [])]

    @property
    def paths(self) -> tuple[str, ...]:
        """The places of a query that an answer repeats."""
        return tuple(dict.fromkeys(path for template in self._every() for path in template.paths))

    def answer(
        self, query: Query, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: str
    ) -> list[bytes]:
        """The messages to send, each one transfer."""
        if query.cancels:
            return []
        asked = _per_specimen(query, orders)
        if not asked or (self._answer.when_nothing == "silence" and not any(order.tests for _, order in asked)):
            return []
        common = {
            "sender": sender,
            "control_id": control_id,
            "now": now.strftime("%Y%m%d%H%M%S"),
            **self._times("now", now),
        }
        if self._answer.message_per == "specimen":
            return [self._message(query, [one], common) for one in asked]
        return [self._message(query, asked, common)]

    def _message(self, query: Query, asked: Sequence[tuple[int, WorkOrder]], common: Values) -> bytes:
        pen = _Pen(query, self._written_with, self._answer)
        idle = not any(order.tests for _, order in asked)
        records = pen.write(self._nothing_head if idle else self._head, {**common, **pen.repeated(asked[0][0])})
        number = 0
        for place, order in asked:
            values = {**common, **pen.repeated(place), **self._order_values(order)}
            tests = self._named(order.tests)
            if not tests:
                template = self._nothing if order.known else self._unknown
                number += bool(template)
                records += pen.write(template, {**values, "n": str(number)})
                continue
            number += 1
            values["n"] = str(number)
            values["tests"] = self._tests(tests, values, pen)
            records += pen.write(self._order, values)
            for count, test in enumerate(tests, 1):
                one = {**values, **self._test_values(test)}
                one["tests"] = self._tests([test], values, pen)
                one["n"] = str(count)
                records += pen.write(self._each_test, one)
        records += pen.write(self._nothing_tail if idle else self._tail, {**common, **pen.repeated(asked[-1][0])})
        return pen.encoded(records)

    def _named(self, tests: Sequence[WorkTest]) -> Sequence[WorkTest]:
        """The tests as the instrument is told of them: codes that it orders as one only once."""
        cut = self._answer.cut
        if not cut:
            return tests
        named: dict[str, WorkTest] = {}
        for test in tests:
            code = test.code.partition(cut)[0]
            named.setdefault(code, msgspec.structs.replace(test, code=code))
        return list(named.values())

    def _tests(self, tests: Sequence[WorkTest], values: Values, pen: _Pen) -> str:
        if self._test is None:
            return ""
        entries = [pen.fill(self._test, {**values, **self._test_values(test)}) for test in tests]
        return pen.written(self._answer.join).join(entries)

    def _order_values(self, order: WorkOrder) -> dict[str, str]:
        answer = self._answer
        patient = order.patient or WorkPatient()
        first = min((test.priority for test in order.tests), key=lambda code: RANK.get(code, 3), default="R")
        values = {
            "specimen": order.specimen,
            "material": answer.materials.get(order.material, order.material if not answer.materials else ""),
            "priority": answer.priorities.get(first, first),
            "patient.identifier": patient.identifier,
            "patient.family_name": _plain(patient.family_name, answer.encoding),
            "patient.given_name": _plain(patient.given_name, answer.encoding),
            "patient.birth_date": patient.birth_date,
            "patient.sex": answer.sexes.get(patient.sex, patient.sex),
        }
        if order.collected_at is not None:
            values["collected"] = order.collected_at.strftime("%Y%m%d%H%M%S")
            values |= self._times("collected", order.collected_at)
        return values

    def _test_values(self, test: WorkTest) -> dict[str, str]:
        return {
            "code": test.code,
            "name": _plain(test.name, self._answer.encoding),
            "dilution": test.dilution,
            "reference": test.reference,
            "priority": self._answer.priorities.get(test.priority, test.priority),
        }

    def _times(self, name: str, moment: datetime) -> dict[str, str]:
        """The forms of a time that the templates ask for."""
        every = [*self._head, *self._order, *self._each_test, *self._nothing, *self._unknown, *self._tail]
        forms = {form for template in every for _, gap, form in template.parts if gap == name and form}
        return {f"{name}:{form}": moment.strftime(form) for form in forms}


class PushWriter(TemplateAnswer):
    """The [push] table: an order that nobody asked for, in the words of [answer] and its own."""

    def __init__(self, push: Push, answer: Answer) -> None:
        self._actions = push.actions
        if "new" not in push.actions:
            raise DefinitionError("[push] actions içinde new gereklidir")
        said = {name: given for name in ("head", "order", "tail") if (given := getattr(push, name))}
        super().__init__(msgspec.structs.replace(answer, **said, echo_delimiters=False, message_per="specimen"))

    def _check_gaps(self) -> None:
        used = [*self._head, *self._order, *self._each_test, *self._tail]
        if paths := [path for template in used for path in template.paths]:
            raise DefinitionError(f"[push] sorgunun yerini yineleyemez: {', '.join(paths)}")

    @property
    def cancels(self) -> bool:
        """Whether the model can be told to forget an order."""
        return "cancel" in self._actions

    def write(self, order: WorkOrder, *, now: datetime, sender: str, control_id: str) -> bytes:
        """The message. Raises LocalError: a number or code that the model's character set lacks."""
        asked = Query(specimens=[order.specimen])
        return self.answer(asked, [order], now=now, sender=sender, control_id=control_id)[0]

    def _order_values(self, order: WorkOrder) -> dict[str, str]:
        action = self._actions.get(order.action, self._actions["new"])
        return {**super()._order_values(order), "rack": order.rack, "position": order.position, "action": action}


class _Pen:
    """Writes the records of one answer, in its delimiters and character set."""

    def __init__(self, query: Query, written_with: Delimiters, answer: Answer) -> None:
        self._echo = query.echo
        self._encoding = answer.encoding
        wanted = written_with
        if answer.echo_delimiters and query.echo.get("delimiters"):
            wanted = _delimiters("|" + str(query.echo["delimiters"]))
        self._escape_with = wanted
        pairs = zip(written_with.field + written_with.header, wanted.field + wanted.header, strict=False)
        self._change = {ord(old): new for old, new in pairs if old != new}

    def written(self, text: str) -> str:
        """Text of a template in the delimiters of this answer."""
        return text.translate(self._change) if self._change else text

    def escape(self, text: str) -> str:
        """A value as it may stand in a field. Without an escape character, what would need one becomes a blank."""
        if not self._escape_with.escape:
            separators = self._escape_with.field + self._escape_with.header
            text = text.translate({ord(char): " " for char in separators} | _CONTROL)
        return build_record(["X", text], self._escape_with)[2:]

    def fill(self, template: Template, values: Values) -> str:
        return template.fill(values, self.escape, self.written)

    def write(self, templates: Sequence[Template], values: Values) -> list[str]:
        return [self.fill(template, values) for template in templates]

    def repeated(self, place: int) -> dict[str, str]:
        """What the query said, for the specimen at this place in it."""
        said: dict[str, str] = {}
        for path, texts in self._echo.items():
            if isinstance(texts, list) and texts:
                said[path] = str(texts[place] if place < len(texts) else texts[-1])
        return said

    def encoded(self, records: Sequence[str]) -> bytes:
        """The message. What an instrument sent in UTF-8 and this character set lacks goes back in UTF-8, as it came."""
        text = "".join(record + "\r" for record in records)
        try:
            return encode(text, self._encoding)
        except LocalError:
            return text.encode()


def _per_specimen(query: Query, orders: Sequence[WorkOrder]) -> list[tuple[int, WorkOrder]]:
    """An order for each specimen asked, in the order asked; what we were not told about is unknown."""
    if not query.specimens or query.until:
        if orders:
            return list(enumerate(orders))
        return [] if query.everything else [(0, WorkOrder(specimen="", known=False))]
    told = {order.specimen: order for order in orders}
    return [
        (place, told.get(specimen) or WorkOrder(specimen=specimen, known=False))
        for place, specimen in enumerate(query.specimens)
    ]


def _templates(texts: Sequence[str]) -> list[Template]:
    return [Template(text) for text in texts]


@lru_cache(maxsize=64)
def _delimiters(start: str) -> Delimiters:
    r"""The delimiters of `|\^&`: field, repeat, component, escape."""
    declared = "".join(dict.fromkeys(start[1:4]))
    defaults = Delimiters()
    return Delimiters(
        start[0],
        declared[0:1] or defaults.repeat,
        declared[1:2] or defaults.component,
        declared[2:3],
    )


def _plain(text: str, encoding: str) -> str:
    """A name in letters that the instrument's character set has."""
    return decode(encode(text, encoding, fold=True), "", encoding)[0] if text and not text.isascii() else text
