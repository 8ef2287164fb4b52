"""Result rows that are no ordinary results: the [[row]] rules of a definition, and what stands above all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drivers.language import DefinitionFile, Row
from drivers.messages import Kind, Observation
from drivers.places import At, Syntax, compiled, condition, getter, parse_path
from drivers.values import picture

_REMEMBERED = 4096


class Above:
    """What stands above the results at this moment: the specimen, its place, what was said about the order."""

    __slots__ = (
        "carried",
        "comments",
        "flags",
        "kind",
        "lot",
        "measured",
        "name",
        "operator",
        "patient",
        "position",
        "rack",
        "range",
        "reference",
        "replicate",
        "seen",
        "sets",
        "specimen",
        "status",
        "test",
        "timed",
        "unit",
        "unread",
        "value",
    )

    def __init__(self) -> None:
        self.kind: Kind = "result"
        self.specimen: str | None = None
        self.patient = ""
        self.unread = ""
        """What stood in the specimen's place where no barcode was read."""
        self.comments: list[str] = []
        self.seen: dict[str, int] = {}
        """How often each test came in this order so far."""
        self.sets: list[tuple[str | None, str, str]] = []
        """What rows said about all results of a specimen: specimen, attribute, text."""
        self.timed = True
        """No result of this message so far was without its own time."""
        self.test = self.name = self.value = self.unit = self.flags = self.range = self.status = ""
        self.carried = ""
        """The time that a result of this order named, for those after it."""
        self.measured = self.rack = self.position = self.replicate = self.operator = self.lot = self.reference = ""


class RowRules:
    """The rules in their order; the first that fits decides.

    Most rules ask only for the kind and the code of a row, and a day brings few different ones: which rules can fit is
    worked out once for each of them. A rule that asks for more (the value, the specimen) is asked each time.
    """

    def __init__(self, file: DefinitionFile, syntax: Syntax, leaf: str) -> None:
        value = {parse_path(place if isinstance(place, str) else place.at).field for place in file.value.places}
        self._rules = [_Rule(row, syntax, leaf, value) for row in file.row]
        self._leaf = leaf
        steady = {field for rule in self._rules if rule.steady for field in rule.fields}
        self._fields = sorted(field - syntax.shift for field in steady)
        self._known: dict[tuple[str | None, ...], list[_Rule]] = {}

    def apply(self, observation: Observation, at: At, above: Above) -> bool:
        """Do what the rules say with this row; False where it is not to be reported at all."""
        record = at[self._leaf]
        key = (observation.test, *[record[field] for field in self._fields])
        candidates = self._known.get(key)
        if candidates is None:
            candidates = self._candidates(observation.test, at)
            if len(self._known) >= _REMEMBERED:  # a peer may invent codes without end
                self._known.clear()
            self._known[key] = candidates
        for rule in candidates:
            if rule.steady or rule.holds(at):
                return rule.apply(observation, at, above)
        return True

    def _candidates(self, test: str | None, at: At) -> list[_Rule]:
        return [rule for rule in self._rules if rule.names(test) and (not rule.steady or rule.holds(at))]


class _Rule:
    def __init__(self, row: Row, syntax: Syntax, leaf: str, value_fields: set[int]) -> None:
        self.row = row
        self._test = compiled(row.test).fullmatch if row.test is not None else None
        self._condition = condition(row.when, syntax) if row.when else None
        self._attachment = getter(row.attachment, syntax) if row.attachment else None
        paths = [parse_path(path) for path in row.when]
        self.fields = {path.field for path in paths}
        self.steady = all(path.record == leaf for path in paths) and not self.fields & value_fields
        """Asks for nothing but fields of the row itself that repeat all day."""

    def names(self, test: str | None) -> bool:
        return self._test is None or (test is not None and self._test(test) is not None)

    def holds(self, at: At) -> bool:
        return self._condition is None or self._condition(at)

    def apply(self, observation: Observation, at: At, above: Above) -> bool:
        """False: the row is left out."""
        if self.row.sets is not None and observation.value is not None:
            above.sets.append((observation.specimen, self.row.sets, observation.value))
        if self.row.kind == "ignore":
            return False
        if self._attachment is not None:
            text = self._attachment(at).strip()
            observation.attachment = picture(text) or text or None
            observation.value = observation.number = None
            observation.flags = []
        if self.row.text:
            observation.comments.append(self.row.text)
        if self.row.kind != "result":  # a rule may never make a patient's result of a control's
            observation.kind = self.row.kind
        return True


def share_lots(observations: Sequence[Observation], group: Callable[[str], str]) -> None:
    """Give the results of one specimen and group the lot that one of them named; none where they name two."""
    told: dict[tuple[str | None, str], set[str]] = {}
    for observation in observations:
        if observation.lot is not None and observation.test is not None:
            told.setdefault((observation.specimen, group(observation.test)), set()).add(observation.lot)
    for observation in observations:
        if observation.lot is None and observation.test is not None and observation.kind != "event":
            lots = told.get((observation.specimen, group(observation.test)), set())
            observation.lot = next(iter(lots)) if len(lots) == 1 else None


def spread(observations: Sequence[Observation], above: Above) -> None:
    """Give each result what a row of its own said about all of its specimen (the rack of a blood counter)."""
    for specimen, attribute, text in above.sets:
        for observation in observations:
            if observation.specimen == specimen and getattr(observation, attribute) is None:
                setattr(observation, attribute, text)
