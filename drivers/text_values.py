"""From what a text says about a result to an Observation: no-result words, implied decimals, flags, controls, dates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from drivers.language import DefinitionFile
from drivers.language_text import Cell, TableFile, TextTable
from drivers.messages import Kind, Observation
from drivers.places import compiled
from drivers.reading_columns import columns_of
from drivers.values import NUMBERS, comparator, iso_time, titre

_DIGITS = re.compile(r"([+-]?) *([0-9]+)")
_GROUP = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(slots=True)
class Draft:
    """A result before it is finished: what was said, by item."""

    said: dict[str, str]
    cell: Cell
    unit: str
    comments: list[str]
    index: int
    group: int
    event: bool = False


class Finisher:
    """Makes Observations of drafts, as one definition says."""

    def __init__(self, file: DefinitionFile, table: TextTable | TableFile) -> None:
        self._file = file
        self._number = NUMBERS[file.value.decimal]
        self._no_number = [compiled(pattern).fullmatch for pattern in file.value.no_number]
        self._titres = [compiled(pattern).fullmatch for pattern in file.value.titre]
        self._alarm = compiled(file.comments.flags).fullmatch if file.comments.flags else None
        self._no_result = [compiled(pattern).fullmatch for pattern in table.no_result]
        self._control = _conditions(table.control)
        self._control_ids = [compiled(pattern).fullmatch for pattern in file.qc.specimens]
        self._event_ids = [compiled(pattern).fullmatch for pattern in file.event.specimens]
        self._unread = [compiled(pattern).fullmatch for pattern in file.specimen.not_read]
        self._time = _times(file.measured_at.formats)
        if isinstance(table, TableFile):  # the cells of a worksheet come in the standard's form
            own = self._time
            self._time = lambda text: own(text) or iso_time(text)
        self._none = frozenset(file.flags.none)
        self._words = {word.strip().casefold(): text for word, text in file.texts.items()}
        text = table if isinstance(table, TextTable) else TextTable()
        self._event = _conditions(text.event)
        self._suppress = {name: compiled(pattern).fullmatch for name, pattern in text.suppress.items()}
        self._decimals = [(compiled(pattern).fullmatch, digits) for pattern, digits in text.decimals.items()]
        self._flags_are = text.flags_are
        self._units = [(compiled(pattern).fullmatch, unit) for pattern, unit in text.units.items()]
        self._value = compiled(text.value_pattern).fullmatch if text.value_pattern else None
        self._without = text.specimen_without
        self._control_name = text.control_name
        self._expand = {code: columns_of(columns) for code, columns in text.expand.items()}

    def not_read(self, specimen: str) -> bool:
        """Whether this stands where no barcode could be read."""
        return any(matches(specimen) for matches in self._unread)

    def finished(self, draft: Draft) -> list[Observation]:
        """The result, or the several results that one value holds."""
        test = self._test(draft)
        parts = self._expand.get(test)
        value = self._value_of(draft.said)
        if not parts or not value:
            return [self._one(draft, test, value)]
        return [
            self._one(draft, f"{test}.{name}", value[start:end].strip())
            for name, start, end in parts
            if value[start:end].strip()
        ]

    def _value_of(self, said: dict[str, str]) -> str:
        """The value; what stands beside it goes where it belongs."""
        value = said.get("value", "")
        second = said.get("second", "")
        if second and value:
            said["comment"] = " ".join(filter(None, (said.get("comment"), second)))
        value = value or second
        found = self._value(value) if self._value is not None and value else None
        if found is None:
            return value
        groups = {name: (text or "").strip() for name, text in found.groupdict().items()}
        said.update({name: text for name, text in groups.items() if text and name != "value"})
        return groups.get("value", value)

    def _test(self, draft: Draft) -> str:
        code = _GROUP.sub(lambda found: draft.said.get(found[1], ""), draft.cell.test).strip()
        cut = self._file.test.cut
        return code.partition(cut)[0].strip() if cut else code

    def _one(self, draft: Draft, test: str, value: str) -> Observation:
        said, comments = draft.said, [*draft.comments]
        specimen: str | None = said.get("specimen", "") or None
        if specimen and self._without:
            specimen = specimen.translate({ord(char): None for char in self._without}).strip() or None
        kind = self._kind(said, specimen or "", draft)
        if kind == "qc" and self._control_name:
            specimen = _GROUP.sub(lambda found: said.get(found[1], ""), self._control_name).strip() or specimen
        if specimen and self.not_read(specimen):
            comments.insert(0, f"Barkod okunamadı: {specimen}")
            specimen = None
        if said.get("comment") and said["comment"] not in comments:
            comments.append(said["comment"])
        value = self._present(value, said, comments)
        value = self._pointed(value, test, draft.cell)
        number = self._number(value) if value else None
        if number is not None and any(matches(value) for matches in self._no_number):
            number = None
        flags = self._flags(said.get("flags", ""))
        if self._alarm is not None:
            flags += [text for text in comments if self._alarm(text) and text not in flags]
            comments = [text for text in comments if not self._alarm(text)]
        if number is None and value and (sign := comparator(value)) and sign not in flags:
            flags.append(sign)
        attachment = said.get("attachment") or None
        return Observation(
            kind="event" if attachment else kind,
            instrument=self._file.key,
            specimen=specimen,
            patient=said.get("patient") or None,
            test=test or None,
            test_name=draft.cell.name or said.get("name") or None,
            value=value or None,
            number=number,
            unit=said.get("unit") or draft.cell.unit or draft.unit or self._unit(test) or None,
            flags=flags,
            range=said.get("range") or None,
            status=said.get("status") or None,
            measured_at=self._measured(said),
            rack=said.get("rack") or None,
            position=said.get("position") or None,
            operator=said.get("operator") or None,
            lot=said.get("lot") or None,
            attachment=attachment,
            comments=comments,
            raw={"record": draft.index},
            translation=self._told(value, number, test) if value else None,
        )

    def _told(self, value: str, number: float | None, test: str) -> str | None:
        """The value in the laboratory's words: a word of the file, or a titre in one spelling."""
        word = self._words.get(value.casefold())
        if word is None and number is None and any(matches(test) for matches in self._titres):
            return titre(value)
        return word

    def _kind(self, said: Mapping[str, str], specimen: str, draft: Draft) -> Kind:
        if draft.event:
            return "event"
        if any(holds(said) for holds in self._control) or (
            specimen and any(matches(specimen) for matches in self._control_ids)
        ):
            return "qc"
        if any(holds(said) for holds in self._event) or (
            specimen and any(matches(specimen) for matches in self._event_ids)
        ):
            return "event"
        return "result"

    def _present(self, value: str, said: Mapping[str, str], comments: list[str]) -> str:
        """The value, or nothing where the instrument says that there is none."""
        if value and any(matches(value) for matches in self._no_result):
            comments.append(f"Cihaz sonuç vermedi: {value}")
            return ""
        for name, matches in self._suppress.items():
            if said.get(name) and matches(said[name]):
                comments.append(f"Cihaz sonucu geçersiz saydı: {said[name]}" + (f" (değer {value})" if value else ""))
                return ""
        return value

    def _pointed(self, value: str, test: str, cell: Cell) -> str:
        digits = cell.decimals
        if digits is None:
            digits = next((count for matches, count in self._decimals if matches(test)), None)
        return implied(value, digits) if digits is not None else value

    def _unit(self, test: str) -> str:
        return next((unit for matches, unit in self._units if matches(test)), "")

    def _flags(self, text: str) -> list[str]:
        text = text.strip()
        if self._flags_are == "whole":
            parts = [text]
        else:
            parts = text.split() if self._flags_are == "words" else list(text.replace(" ", ""))
        return [flag for flag in dict.fromkeys(parts) if flag and flag not in self._none]

    def _measured(self, said: Mapping[str, str]) -> str | None:
        text = said.get("measured") or f"{said.get('date', '')} {said.get('time', '')}".strip()
        return self._time(text) if text else None


def implied(value: str, digits: int) -> str:
    """`00652` with two digits behind the point is `6.52`. A text that is no plain row of digits stays as it is."""
    found = _DIGITS.fullmatch(value.strip())
    if found is None:
        return value
    sign, number = found.groups()
    if digits <= 0:
        return sign + (number.lstrip("0") or "0")
    number = number.rjust(digits + 1, "0")
    return f"{sign}{number[:-digits].lstrip('0') or '0'}.{number[-digits:]}"


def _times(formats: Sequence[str]) -> Callable[[str], str | None]:
    """A reader of times. A maker's own order of digits is never mistaken for the standard's (`400509010126` is 9:05:40
    on the first of January 2026, not the year 4005)."""
    if not formats:
        return iso_time
    return lambda text: _strictly(text, formats)


def _strictly(text: str, formats: Sequence[str]) -> str | None:
    for pattern in formats:
        try:
            moment = datetime.strptime(text, pattern)
        except ValueError:
            continue
        return moment.isoformat() if "%H" in pattern or "%I" in pattern else moment.date().isoformat()
    return None


def _conditions(whens: list[dict[str, str]]) -> list[Callable[[Mapping[str, str]], bool]]:
    return [_condition(when) for when in whens]


def _condition(when: Mapping[str, str]) -> Callable[[Mapping[str, str]], bool]:
    checks = [(name, compiled(pattern).fullmatch) for name, pattern in when.items()]
    return lambda said: all(matches(said.get(name, "")) for name, matches in checks)
