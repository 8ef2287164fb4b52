"""Texts of the makers' own kinds read through a definition: fixed columns, printed lines, separated fields, XML.

A message is cut into units; each unit is what the first rule that fits it says. Results are drafted while the units go
by and finished at the end, because an identifier or a flag may stand behind the values that it belongs to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.etree import ElementTree

from drivers.language import DefinitionError, DefinitionFile
from drivers.language_text import Cell, TextRule, TextTable
from drivers.messages import Observation, Query
from drivers.places import compiled
from drivers.reading import Reading
from drivers.safe_patterns import problem_of
from drivers.text_values import Draft, Finisher

_PARAMETER = re.compile(r"%([a-z_]+)%")
_MAX_UNITS = 100_000
_LONGEST_PATH = 2_000
_HEX = re.compile(r"[0-9A-Fa-f\s]{8,}")

Parameters = Mapping[str, int | str]


def parameters_of(table: TextTable, given: Parameters) -> dict[str, str]:
    """The parameters in use. Raises DefinitionError for one that this model does not have or that cannot be."""
    unknown = sorted(set(given) - set(table.parameters))
    if unknown:
        raise DefinitionError(f"bu modelin böyle bir parametresi yok: {', '.join(unknown)}")
    used: dict[str, str] = {}
    for name, parameter in table.parameters.items():
        value = given.get(name, parameter.default)
        if isinstance(parameter.default, int) and not (isinstance(value, int) and 0 <= value <= 999):
            raise DefinitionError(f"{name}: 0-999 arası bir sayı olmalı, {value!r} değil")
        if parameter.choices and value not in parameter.choices:
            raise DefinitionError(f"{name}: {value!r} olamaz; seçenekler: {', '.join(map(str, parameter.choices))}")
        used[name] = str(value)
    return used


def filled(pattern: str, parameters: Mapping[str, str]) -> str:
    """An expression with its parameters in place. Raises DefinitionError for one that nobody declared."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in parameters:
            raise DefinitionError(f"%{found[1]}% adlı parametre [text.parameters] içinde yok")
        return parameters[found[1]]

    return _PARAMETER.sub(value, pattern)


def columns_pattern(columns: Sequence[str]) -> str:
    """Columns as an expression: `specimen:13` is thirteen characters."""
    parts: list[str] = []
    for column in columns:
        name, _, width = column.partition(":")
        size = "*" if width == "*" else f"{{{width}}}"
        parts.append(f".{size}" if name == "-" else f"(?P<{name}>.{size})")
    return "".join(parts)


class _Rule:
    """A rule, compiled."""

    def __init__(self, rule: TextRule, parameters: Mapping[str, str]) -> None:
        self.rule = rule
        self.path = _expression(rule.path, parameters) if rule.path is not None else None
        pattern = rule.match if rule.match is not None else columns_pattern(rule.columns)
        if rule.path is None and not pattern:
            raise DefinitionError("[[text.rule]] için match, columns ya da path gereklidir")
        self.pattern = _expression(pattern, parameters) if pattern and rule.path is None else None
        cells = rule.cells if rule.cells is not None else columns_pattern(rule.cell_columns)
        self.cells = _expression(cells, parameters) if cells else None
        self.each = _expression(rule.each, parameters) if rule.each else None
        self.when = {name: compiled(text).fullmatch for name, text in rule.when.items()}
        self.tests = [Cell(test=cell) if isinstance(cell, str) and cell else cell for cell in rule.tests]
        groups = set(self.pattern.groupindex) if self.pattern is not None else set(rule.take)
        for name in rule.values:
            if name not in groups:
                raise DefinitionError(f"[text.rule.values] {name}: böyle bir grup yok")
        if self.cells is not None and "cells" not in groups:
            raise DefinitionError("cells olan kuralda cells adlı bir grup gereklidir")
        self.groups = groups | set(rule.sets)

    def fits(self, unit: _Unit, above: Mapping[str, str]) -> dict[str, str] | None:
        """What its groups say, where it fits the unit."""
        if any(not matches(above.get(name, "")) for name, matches in self.when.items()):
            return None
        if self.path is not None:
            if unit.element is None or self.path.fullmatch(unit.text) is None:
                return None
            return {name: _of_element(unit.element, place) for name, place in self.rule.take.items()}
        found = self.pattern.fullmatch(unit.text) if self.pattern is not None else None
        return {name: text or "" for name, text in found.groupdict().items()} if found is not None else None


def _expression(pattern: str, parameters: Mapping[str, str]) -> re.Pattern[str]:
    try:
        if (problem := problem_of(filled(pattern, parameters))) is not None:
            raise DefinitionError(f"düzenli ifade {pattern!r} kullanılmaz: {problem}")
        return re.compile(filled(pattern, parameters), re.S)
    except re.error as error:
        raise DefinitionError(f"geçersiz düzenli ifade {pattern!r}: {error}") from error


def _of_element(element: ElementTree.Element, place: str) -> str:
    """`@attribute`, `text`, `Child`, `Child/@attribute`."""
    path, _, attribute = place.rpartition("@")
    path = path.rstrip("/") if attribute and "@" in place else place
    found: ElementTree.Element | None = element if path in ("", "text") else element.find(path)
    if found is None:
        return ""
    return found.get(attribute, "") if "@" in place else "".join(found.itertext())


class _Unit:
    __slots__ = ("element", "text")

    def __init__(self, text: str, element: ElementTree.Element | None = None) -> None:
        self.text = text
        self.element = element


class TextReader:
    """Reads the messages of one model with the parameters of one site."""

    def __init__(self, file: DefinitionFile, parameters: Parameters) -> None:
        table = file.text
        assert table is not None
        self._file = file
        self._table = table
        self.parameters = used = parameters_of(table, parameters)
        self._split = compiled(filled(table.split, used)) if table.split else None
        self._remove = [compiled(filled(pattern, used)) for pattern in table.remove]
        self._rules = [_Rule(rule, used) for rule in table.rule]
        if not self._rules and not table.read_nothing:
            raise DefinitionError("[text] için en az bir [[text.rule]] gereklidir")
        self._without = re.compile(table.same_without, re.S) if table.same_without else None
        self._finisher = Finisher(file, table)
        if file.wire is not None and file.wire.bare_end:
            compiled(file.wire.bare_end)  # the link searches with it: checked like every other expression

    @property
    def query_groups(self) -> set[str]:
        """What a query may say, for the templates of its answer."""
        groups: set[str] = set()
        for rule in self._rules:
            if rule.rule.kind == "query":
                groups |= rule.groups
        return groups

    def read(self, text: bytes) -> Reading:
        """Never raises on what a peer sends."""
        fingerprint = self._fingerprint(text)
        if self._table.read_nothing:
            problem = "Bu modelin mesajları yalnız saklanır: biçimi sahadan örnek alınmadan okunmaz."
            return Reading(problem=problem, fingerprint=fingerprint)
        try:
            units = self._units(text)
        except _Unreadable as error:
            return Reading(problem=str(error), fingerprint=fingerprint)
        reading = _Walk(self, units).over()
        reading.fingerprint = fingerprint
        return reading

    def _fingerprint(self, text: bytes) -> bytes:
        if self._without is None:
            return hashlib.sha256(text).digest()
        return hashlib.sha256(self._without.sub("", decoded(text, self._file.encoding)).encode()).digest()

    def _units(self, raw: bytes) -> list[_Unit]:
        text = decoded(raw, self._file.encoding)
        for pattern in self._remove:
            text = pattern.sub("", text)
        if self._table.xml:
            return list(_elements(text))
        parts = self._split.split(text) if self._split is not None else [text]
        if len(parts) > _MAX_UNITS:
            raise _Unreadable("Mesajda olağan dışı sayıda satır var; okunmadı.")
        return [_Unit(part) for part in parts]


class _Unreadable(Exception):
    """A sentence for people."""


def decoded(raw: bytes, encoding: str) -> str:
    """The text; without a known character set UTF-8, else Windows-1254. Never raises."""
    if encoding:
        return raw.decode(encoding, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1254", "replace")


def _elements(text: str) -> Iterator[_Unit]:
    if _HEX.fullmatch(text) is not None:
        try:
            text = bytes.fromhex(text).decode("utf-16-le")
        except ValueError as error:
            raise _Unreadable("Mesaj XML değil; içeriği okunmadı.") from error
    text = text.strip("\ufeff\x00\r\n\t ")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _Unreadable("XML içinde belge türü bildirimi var; güvenlik için okunmadı.")
    text = re.sub(r"^<\?xml[^>]*\?>", "", text)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise _Unreadable("Mesaj geçerli bir XML değil; yarım kalmış olabilir.") from error
    todo = [(root, _bare(root.tag))]
    count = 0
    while todo:
        element, path = todo.pop()
        count += 1
        if len(path) > _LONGEST_PATH:  # nested without end: each level keeps the names of all above it
            raise _Unreadable("Mesajda olağan dışı derinlikte XML var; okunmadı.")
        if count > _MAX_UNITS:
            raise _Unreadable("Mesajda olağan dışı sayıda XML öğesi var; okunmadı.")
        yield _Unit(path, element)
        todo += [(child, f"{path}/{_bare(child.tag)}") for child in reversed(element) if isinstance(child.tag, str)]


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


class _Walk:
    """One message on its way through a reader."""

    def __init__(self, reader: TextReader, units: Sequence[_Unit]) -> None:
        self._r = reader
        self._table = reader._table
        self._units = units
        self._above: dict[str, str] = {}
        self._said: set[str] = set()
        self._comments: list[str] = []
        self._group = 0
        self._finals: dict[int, dict[str, str]] = {0: self._above}
        self._drafts: list[Draft] = []
        self._queries: list[Query] = []
        self._recognised = False
        self._strange: list[tuple[int, int]] = []

    def over(self) -> Reading:
        """Every unit in order, then the results."""
        for index, unit in enumerate(self._units, 1):
            if unit.text.strip() or unit.element is not None:
                self._unit(unit, index)
        problem = self._problem()
        whole = not (self._drafts and any(name not in self._said for name in self._table.needs))
        if self._strange and self._table.refuse:
            self._drafts, self._queries = [], []
        found: list[Observation] = []
        for draft in self._drafts:
            self._spread(draft)
            found += self._r._finisher.finished(draft)
        self._count(found)
        timed = bool(found) and all(one.measured_at is not None for one in found)
        kind = "results" if found else "query" if self._queries else "other"
        return Reading(observations=found, queries=self._queries, timed=timed, problem=problem, kind=kind, whole=whole)  # type: ignore[arg-type]

    def _unit(self, unit: _Unit, index: int) -> None:
        fitted = False
        for rule in self._r._rules:
            groups = rule.fits(unit, self._above)
            if groups is None:
                continue
            if not self._apply(rule, {**groups, **rule.rule.sets}, index):
                continue
            fitted = self._recognised = True
            if not rule.rule.go_on:
                return
        if not fitted and unit.element is None and self._table.unknown == "problem":
            self._strange.append((index, len(unit.text)))

    def _apply(self, rule: _Rule, groups: dict[str, str], index: int) -> bool:
        """False: its cells do not come out even, so it is no such unit after all."""
        kind = rule.rule.kind
        cells = None
        if rule.cells is not None:
            cells = list(_cut(rule.cells, groups["cells"]))
            if not cells or cells[-1] is None:
                return False
        if rule.rule.begins:
            self._above, self._comments = {}, []
            self._group += 1
            self._finals[self._group] = self._above
        if kind == "ignore":
            return True
        self._said |= {name for name, text in groups.items() if text.strip()}
        if kind == "remark":
            self._remark(groups.get("comment", "").strip(), whole=rule.rule.whole)
        elif kind == "above":
            self._take_above(groups)
        elif kind == "query":
            self._ask(rule, groups, index)
        else:
            self._results(rule, groups, cells, index)
        return True

    def _remark(self, text: str, *, whole: bool) -> None:
        """Something said after a result, of it alone or of all that its specimen has."""
        if not text:
            return
        if whole:
            self._comments.append(text)
        for draft in self._drafts if whole else self._drafts[-1:]:
            if draft.group == self._group and text not in draft.comments:
                draft.comments.append(text)

    def _take_above(self, groups: Mapping[str, str]) -> None:
        for name, text in groups.items():
            if name == "comment":
                if text.strip():
                    self._comments.append(text.strip())
            elif text.strip() or name not in self._above:
                self._above[name] = text.strip()

    def _results(
        self, rule: _Rule, groups: Mapping[str, str], cells: Sequence[Mapping[str, str] | None] | None, index: int
    ) -> None:
        r = rule.rule
        here = {**self._above, **{name: text.strip() for name, text in groups.items() if text.strip()}}
        if r.begins or r.values or cells is not None:  # the specimen of a whole record holds for what follows it
            kept = {"specimen", "patient", "rack", "position", "date", "time", "measured", "operator", "status"}
            self._above.update({n: t.strip() for n, t in groups.items() if n in kept and t.strip()})
        made = [(name, cell, {"value": groups.get(name, "")}) for name, cell in r.values.items()]
        if cells is not None:
            names = _names(groups.get("names", ""), r.names) if r.names else []
            for place, cell_groups in enumerate(cells):
                cell = self._cell(rule, names, place)
                if cell is not None and cell_groups is not None:
                    made.append(("", cell, dict(cell_groups)))
        elif not r.values:
            made.append(("", Cell(test=r.test) if r.test else Cell(test="{test}"), dict(groups)))
        for _, cell, own in made:
            value = own.get("value", "")
            if not value.strip() and r.blank == "omit":
                continue
            said = {**here, **{name: text.strip() for name, text in own.items()}}
            self._drafts.append(
                Draft(said, cell, r.unit, [*self._comments], index, self._group, event=r.kind == "event")
            )

    def _cell(self, rule: _Rule, names: Sequence[str], place: int) -> Cell | None:
        """The test of a cell, by its place or its own group; None where it is to be left out."""
        if rule.rule.names:
            name = names[place] if place < len(names) else ""
            return Cell(test=(rule.rule.test or "{cell}").replace("{cell}", name)) if name else None
        if rule.tests:
            found = rule.tests[place] if place < len(rule.tests) else None
            return found if isinstance(found, Cell) else None
        return Cell(test=rule.rule.test or "{test}")

    def _ask(self, rule: _Rule, groups: Mapping[str, str], index: int) -> None:
        asked = groups.get("specimen", "")
        names = [asked]
        if rule.each is not None:
            names = [found[0] for found in rule.each.finditer(asked)]
        rack, position = groups.get("rack", "").strip(), groups.get("position", "").strip()
        not_read = self._r._finisher.not_read
        wanted = [name.strip() for name in names if name.strip() and not not_read(name.strip())]
        self._queries.append(
            Query(
                instrument=self._r._file.key,
                specimens=wanted,
                rack=rack or None,
                position=position or None,
                record=index,
                echo={"text": {**self._above, **groups}},
            )
        )

    def _spread(self, draft: Draft) -> None:
        final = self._finals.get(draft.group, {})
        for name in self._table.spread:
            if not draft.said.get(name) and final.get(name):
                draft.said[name] = final[name]

    def _problem(self) -> str | None:
        missing = [name for name in self._table.needs if name not in self._said]
        if self._drafts and missing:
            return f"Mesaj yarım: beklenen alan yok ({', '.join(missing)}); sonuçları uygulanmaz."
        if self._strange:
            index, length = self._strange[0]
            more = f" (ve {len(self._strange) - 1} parça daha)" if len(self._strange) > 1 else ""
            what = "hiçbiri okunmadı" if self._table.refuse else "okunmadı"
            return f"Mesajın {index}. parçası ({length} karakter) tanıma uymuyor{more}; {what}. Ayarlara bakın."
        if not self._recognised:
            return "Mesajda bu modelin tanıdığı bir şey bulunamadı."
        return None

    @staticmethod
    def _count(found: Sequence[Observation]) -> None:
        seen: dict[tuple[str | None, str | None], int] = {}
        for one in found:
            key = (one.specimen, one.test)
            seen[key] = seen.get(key, 0) + 1
            one.replicate = seen[key]


def _cut(pattern: re.Pattern[str], text: str) -> Iterator[dict[str, str] | None]:
    """The cells of a row; None at the end where something is left over."""
    at = 0
    text = text if text.strip() else ""
    while at < len(text):
        found = pattern.match(text, at)
        if found is None or found.end() == at:
            if text[at:].strip():
                yield None
            return
        yield {name: part or "" for name, part in found.groupdict().items()}
        at = found.end()


def _names(text: str, width: int) -> list[str]:
    return [text[at : at + width].strip() for at in range(0, len(text), width)]


Reader = Callable[[bytes], Reading]
