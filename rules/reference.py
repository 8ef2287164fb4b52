"""Reference ranges: which row applies to a patient on a day, and what it says about a result (9.6.13, 9.7.5, 9.11.8).

Rows are the laboratory's own, dated and versioned. The most specific row wins: special condition, then sex, then the
narrower age band. Nothing is guessed: where a patient's sex or birth date is unknown, a row that depends on it never
applies, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Literal

from rules.values import Reading, fold
from rules.verdict import Outcome, Verdict

RULE = "REF/1"
"""Code and version of the logic of this module; raise the version when a verdict could change."""

LONGEST_SHOWN = 60
"""Characters of a result that a sentence repeats."""

ANY_AGE_DAYS = 43_830
"""120 years: a band from birth to here or beyond holds for everyone alive, so it needs no birth date."""

Sex = Literal["F", "M"]


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """What the choice of a range may depend on. None is unknown, never "does not matter".

    conditions: the special conditions recorded for the patient ("gebe", "diyaliz"), words of the laboratory's own list.
    """

    sex: Sex | None
    birth_date: date | None
    conditions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRange:
    """One row of the laboratory's ranges. Limits are in the unit of the stored result; None is "no limit".

    age_from_days is inclusive, age_to_days exclusive (days since birth; None: no end).
    valid_from is the first day on which the row holds, valid_to the first day on which it no longer does.
    low and high belong to the range: a value on a limit is inside. A critical limit belongs to the critical values.
    normal_text: the expected text of a qualitative test; several are parted by "|" ("Sarı|Açık sarı").
    """

    id: int | str
    test_id: int | str
    sex: Sex | None = None
    age_from_days: int = 0
    age_to_days: int | None = None
    condition: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    critical_low: Decimal | None = None
    critical_high: Decimal | None = None
    normal_text: str | None = None
    valid_from: date
    valid_to: date | None = None
    version: str

    # Prepared once a row, because a row judges thousands of results.
    _source: str = field(init=False, repr=False, compare=False)
    _inside: str = field(init=False, repr=False, compare=False)
    _seen: Mapping[str, str | int | None] = field(init=False, repr=False, compare=False)
    _normal: frozenset[str] = field(init=False, repr=False, compare=False)
    _numeric: bool = field(init=False, repr=False, compare=False)
    printed: str = field(init=False, repr=False, compare=False)
    """The range as it stands beside a result; see `reference_text`."""

    def __post_init__(self) -> None:
        seen: dict[str, str | int | None] = {"ref": self.id, "ver": self.version}
        limits = {"low": self.low, "high": self.high, "crit_low": self.critical_low, "crit_high": self.critical_high}
        seen.update({name: f"{limit:f}" for name, limit in limits.items() if limit is not None})
        if self.normal_text is not None:
            seen["normal"] = self.normal_text
        source = f"(REF {self.id}, sürüm {self.version})"
        normal = frozenset(fold(word) for word in (self.normal_text or "").split("|")) - {""}
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "printed", _printed(self))
        object.__setattr__(self, "_inside", f"referans içinde: {self.printed or 'sınır yok'} {source}")
        object.__setattr__(self, "_seen", seen)
        object.__setattr__(self, "_normal", normal)
        object.__setattr__(self, "_numeric", any(limit is not None for limit in limits.values()))

    @property
    def numeric(self) -> bool:
        """Whether it has a limit to hold numbers against; else it only knows expected texts."""
        return self._numeric

    @property
    def depends_on_age(self) -> bool:
        """False for a band that holds for everyone alive."""
        return self.age_from_days > 0 or (self.age_to_days is not None and self.age_to_days < ANY_AGE_DAYS)


def reference_text(chosen: ReferenceRange) -> str:
    """The range as printed beside a result: "3.5-5.1", "≤ 5", "≥ 60", "-2 - 3", "Negatif", "0-10 (Negatif)" or ""."""
    return chosen.printed


def _printed(chosen: ReferenceRange) -> str:
    low, high = chosen.low, chosen.high
    numbers = ""
    if low is not None and high is not None:
        numbers = f"{low:f} - {high:f}" if low.is_signed() else f"{low:f}-{high:f}"
    elif high is not None:
        numbers = f"≤ {high:f}"
    elif low is not None:
        numbers = f"≥ {low:f}"
    words = " / ".join(word.strip() for word in (chosen.normal_text or "").split("|") if word.strip())
    return f"{numbers} ({words})" if numbers and words else numbers or words


class RangeError(ValueError):
    """Rows that cannot stand together or cannot be true. `problems`: one Turkish sentence each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("Referans aralıkları hatalı: " + " ".join(problems))


def range_problems(ranges: Iterable[ReferenceRange]) -> list[str]:
    """What is wrong with these rows, one Turkish sentence each; [] where a RangeBook can be built from them.

    Two rows that fit some patient on some day equally well are a problem; rows of two different conditions are not
    (only a patient who has both meets them, and then no range is chosen).
    """
    problems: list[str] = []
    groups: dict[tuple[object, ...], list[ReferenceRange]] = {}
    for row in ranges:
        problems += _row_problems(row)
        groups.setdefault((row.test_id, row.condition, row.sex, _age_width(row)), []).append(row)
    for rows in groups.values():
        problems += [
            f"REF {one.id} ve REF {other.id} (test {one.test_id}) aynı hastaya aynı günde eşit ölçüde uyuyor."
            for one, other in combinations(sorted(rows, key=_rank), 2)
            if _overlap(one, other)
        ]
    return sorted(problems)


def _row_problems(row: ReferenceRange) -> list[str]:
    found = []
    limits = (row.low, row.high, row.critical_low, row.critical_high)
    if any(limit is not None and not limit.is_finite() for limit in limits):
        return [f"REF {row.id}: sınırlardan biri sayı değil."]
    if row.low is not None and row.high is not None and row.low > row.high:
        found.append(f"REF {row.id}: alt sınır {row.low:f}, üst sınır {row.high:f} değerinden büyük.")
    if row.critical_low is not None and row.critical_high is not None and row.critical_low >= row.critical_high:
        found.append(
            f"REF {row.id}: alt panik sınırı {row.critical_low:f}, üst panik sınırı {row.critical_high:f}: çakışıyor."
        )
    if row.critical_low is not None and row.high is not None and row.critical_low > row.high:
        found.append(f"REF {row.id}: alt panik sınırı {row.critical_low:f}, üst sınır {row.high:f} değerinden büyük.")
    if row.critical_high is not None and row.low is not None and row.critical_high < row.low:
        found.append(f"REF {row.id}: üst panik sınırı {row.critical_high:f}, alt sınır {row.low:f} değerinden küçük.")
    if row.age_from_days < 0 or (row.age_to_days is not None and row.age_to_days <= row.age_from_days):
        found.append(f"REF {row.id}: yaş aralığı boş ya da eksi.")
    if row.valid_to is not None and row.valid_to <= row.valid_from:
        found.append(f"REF {row.id}: geçerlilik bitişi başlangıcından sonra değil.")
    if row.sex not in (None, "F", "M"):
        found.append(f"REF {row.id}: cinsiyet F, M ya da boş olmalı.")
    return found


def _age_width(row: ReferenceRange) -> float:
    return float("inf") if row.age_to_days is None else row.age_to_days - row.age_from_days


def _overlap(one: ReferenceRange, other: ReferenceRange) -> bool:
    def apart(a: ReferenceRange, b: ReferenceRange) -> bool:
        by_age = a.age_to_days is not None and a.age_to_days <= b.age_from_days
        return by_age or (a.valid_to is not None and a.valid_to <= b.valid_from)

    return not (apart(one, other) or apart(other, one))


def _rank(row: ReferenceRange) -> tuple[object, ...]:
    """Most specific first; the rest only makes the order independent of how the rows came."""
    return (
        (row.condition is None, row.sex is None, _age_width(row)),
        (row.age_from_days, row.sex or "", row.condition or "", row.valid_from, str(row.id)),
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which row was chosen for a patient, and what stood in the way.

    range: None where no row applies.
    gap: Turkish, "" where nothing was missing; else why a row that might fit better could not be considered.
    candidates: the rows that may fit but for the gap.
    known_test: False where the laboratory has no range at all for the test.
    """

    range: ReferenceRange | None
    facts: PatientFacts
    on: date
    age_days: int | None
    gap: str = ""
    candidates: tuple[ReferenceRange, ...] = ()
    known_test: bool = True


class RangeBook:
    """All rows in force, indexed by test. Immutable: after a change of rows, build a new book."""

    __slots__ = ("_by_sex",)

    def __init__(self, ranges: Iterable[ReferenceRange]) -> None:
        """Raises RangeError where `range_problems` finds any."""
        rows = list(ranges)
        problems = range_problems(rows)
        if problems:
            raise RangeError(problems)
        # Every test stands under every sex, so that "no range for this patient" differs from "no range for this test".
        self._by_sex: dict[Sex | None, dict[int | str, tuple[ReferenceRange, ...]]] = {"F": {}, "M": {}, None: {}}
        by_test: dict[int | str, list[ReferenceRange]] = {}
        for row in sorted(rows, key=_rank):
            by_test.setdefault(row.test_id, []).append(row)
        for sex, of_sex in self._by_sex.items():
            for test, of_test in by_test.items():
                of_sex[test] = tuple(row for row in of_test if sex is None or row.sex in (None, sex))

    def choose(self, test_id: int | str, facts: PatientFacts, on: date) -> ReferenceRange | None:
        """The row that applies on that day, or None; `find` also tells why."""
        return self.find(test_id, facts, on).range

    def find(self, test_id: int | str, facts: PatientFacts, on: date) -> Choice:
        """The row that applies on that day (a date in the laboratory's time zone, usually of collection)."""
        conditions = facts.conditions
        sex = facts.sex if facts.sex in ("F", "M") else None  # any other word of a peer is "unknown" as well
        age = None if facts.birth_date is None else (on - facts.birth_date).days
        if age is not None and age < 0:  # born after the sample was taken: a wrong date is no date
            age = None
        rows = self._by_sex[sex].get(test_id)
        if rows is None:
            return Choice(None, facts, on, age, known_test=False)
        unsure: list[ReferenceRange] = []
        for row in rows:
            if age is not None and not (
                row.age_from_days <= age and (row.age_to_days is None or age < row.age_to_days)
            ):
                continue
            if on < row.valid_from or (row.valid_to is not None and on >= row.valid_to):
                continue
            if row.condition is not None and row.condition not in conditions:
                continue
            if (sex is None and row.sex is not None) or (age is None and row.depends_on_age):
                unsure.append(row)
                continue
            if row.condition is not None and len(conditions) > 1:
                rivals = _rows_of_conditions(rows, facts, on, age)
                if len({rival.condition for rival in rivals}) > 1:
                    return Choice(None, facts, on, age, _rivalry(rivals), rivals)
            return Choice(row, facts, on, age, _gap(facts, age, unsure), (*unsure, row) if unsure else ())
        return Choice(None, facts, on, age, _gap(facts, age, unsure), tuple(unsure))


def _rows_of_conditions(
    rows: tuple[ReferenceRange, ...], facts: PatientFacts, on: date, age: int | None
) -> tuple[ReferenceRange, ...]:
    """The rows for special conditions of this patient that apply, or may apply, on that day."""
    return tuple(
        row
        for row in rows
        if row.condition is not None
        and row.condition in facts.conditions
        and row.valid_from <= on
        and (row.valid_to is None or on < row.valid_to)
        and (age is None or (row.age_from_days <= age and (row.age_to_days is None or age < row.age_to_days)))
    )


def _rivalry(rivals: tuple[ReferenceRange, ...]) -> str:
    names = ", ".join(sorted({str(rival.condition) for rival in rivals}))
    return f"hastanın birden çok özel durumu için aralık var ({names})"


def _gap(facts: PatientFacts, age: int | None, unsure: list[ReferenceRange]) -> str:
    if not unsure:
        return ""
    missing = []
    if facts.sex not in ("F", "M") and any(row.sex is not None for row in unsure):
        missing.append("cinsiyet")
    if age is None and any(row.depends_on_age for row in unsure):
        missing.append("doğum tarihi" if facts.birth_date is None else "geçerli bir doğum tarihi")
    return f"{' ve '.join(missing)} bilinmiyor"


@dataclass(frozen=True, slots=True)
class FlagDecision:
    """What to show beside a result, and why.

    flag: "" none, "D" düşük, "Y" yüksek, "P!" critical (panik), "A" abnormal text.
    direction: "D" or "Y" where the result lies below or above a limit ("P!" keeps its side here), else "".
    range: the row that judged, to be printed beside the result; None where none applied.
    """

    flag: str
    direction: str
    range: ReferenceRange | None
    verdict: Verdict

    @property
    def critical(self) -> bool:
        """True for a critical (panic) value."""
        return self.flag == "P!"


def judge(
    book: RangeBook, test_id: int | str, reading: Reading, facts: PatientFacts, on: date, *, test: str = ""
) -> FlagDecision:
    """Choose the range and flag the result in one step. test: the code shown in the reason ("K")."""
    return flag_result(reading, book.find(test_id, facts, on), test=test)


def flag_result(reading: Reading, choice: Choice, *, test: str = "") -> FlagDecision:
    """Judge one result against the chosen range. Pure: same reading and choice, same decision.

    A number is compared with the limits; "<" and ">" only where the bound alone decides; a text with the expected text.
    What cannot be decided gets no flag and is held. test: the code shown in the reason ("K").
    """
    shown = _shown(reading.text)
    what = f"{test} {shown}" if test else shown
    chosen = choice.range
    if chosen is None:
        return _without_range(reading, choice, what)
    if not chosen._numeric or (reading.number is None and reading.bound is None):
        outcome, flag, direction, words = _of_text(reading, chosen)
    elif reading.number is not None:
        outcome, flag, direction, words = _of_number(reading.number, chosen)
    else:
        outcome, flag, direction, words = _of_bound(reading, chosen)
    reason = f"{what} {words}" if words is chosen._inside else f"{what} {words} {chosen._source}"
    if choice.gap:
        outcome = Outcome.HOLDS
        reason += f"; {choice.gap}, buna bağlı aralıklar kullanılmadı"
    return FlagDecision(flag, direction, chosen, Verdict(outcome, RULE, reason, _saw(reading, choice, chosen._seen)))


_Finding = tuple[Outcome, str, str, str]
"""Outcome, flag, direction, and the middle of the sentence."""


def _of_number(number: Decimal, row: ReferenceRange) -> _Finding:
    if row.critical_low is not None and number <= row.critical_low:
        return Outcome.HOLDS, "P!", "D", f"<= {row.critical_low:f} panik sınırı"
    if row.critical_high is not None and number >= row.critical_high:
        return Outcome.HOLDS, "P!", "Y", f">= {row.critical_high:f} panik sınırı"
    if row.low is not None and number < row.low:
        return Outcome.WARNS, "D", "D", f"< {row.low:f} alt sınır"
    if row.high is not None and number > row.high:
        return Outcome.WARNS, "Y", "Y", f"> {row.high:f} üst sınır"
    return Outcome.PASSES, "", "", row._inside


def _of_bound(reading: Reading, row: ReferenceRange) -> _Finding:
    """`<0.01` is low where 0.01 is not above the lower limit; `<0.5` against 0.27-4.2 may be either, so no flag."""
    bound = reading.bound
    assert bound is not None
    exclusive = reading.comparator in ("<", ">")
    if reading.comparator in ("<", "<="):
        side, limit, critical, name = "D", row.low, row.critical_low, "alt"
        beyond_critical = critical is not None and bound <= critical
        beyond = limit is not None and (bound < limit or (exclusive and bound == limit))
        inside = _nothing_below(row) and _all_below(bound, exclusive, row)
    else:
        side, limit, critical, name = "Y", row.high, row.critical_high, "üst"
        beyond_critical = critical is not None and bound >= critical
        beyond = limit is not None and (bound > limit or (exclusive and bound == limit))
        inside = row.high is row.critical_high is None and _all_above(bound, exclusive, row)
    if beyond_critical:
        return Outcome.HOLDS, "P!", side, f"kesin olarak {critical:f} panik sınırında ya da ötesinde"
    if beyond and critical is not None:
        return (
            Outcome.HOLDS,
            side,
            side,
            f"kesin olarak {limit:f} {name} sınırın ötesinde; panik sınırını da aşmış olabilir",
        )
    if beyond:
        return Outcome.WARNS, side, side, f"kesin olarak {limit:f} {name} sınırın ötesinde"
    if inside:
        return Outcome.PASSES, "", "", row._inside
    return Outcome.HOLDS, "", "", f"sınırlarla karşılaştırılamaz: {reference_text(row)}"


def _nothing_below(row: ReferenceRange) -> bool:
    """No lower limit. A limit of exactly 0 is none either: what is measured as an amount is never below 0."""
    return row.low in (None, Decimal(0)) and row.critical_low is None


def _all_below(bound: Decimal, exclusive: bool, row: ReferenceRange) -> bool:
    if row.critical_high is not None and (bound > row.critical_high or (bound == row.critical_high and not exclusive)):
        return False
    return row.high is None or bound <= row.high


def _all_above(bound: Decimal, exclusive: bool, row: ReferenceRange) -> bool:
    if row.critical_low is not None and (bound < row.critical_low or (bound == row.critical_low and not exclusive)):
        return False
    return row.low is None or bound >= row.low


def _of_text(reading: Reading, row: ReferenceRange) -> _Finding:
    if reading.is_missing:
        return Outcome.HOLDS, "", "", "sonuç değeri yok"
    if fold(reading.text) in row._normal:
        return Outcome.PASSES, "", "", row._inside
    if row._normal and (reading.number is not None or reading.bound is not None):
        return Outcome.HOLDS, "", "", f"sayı, beklenen ise metin: {reference_text(row)}"
    if row._normal:
        return Outcome.WARNS, "A", "", f"beklenen sonuç değil: {reference_text(row)}"
    if row._numeric:
        return Outcome.HOLDS, "", "", f"sayı değil, sınırlarla karşılaştırılamaz: {reference_text(row)}"
    return Outcome.NOT_APPLICABLE, "", "", "için sınır tanımlı değil"


def _without_range(reading: Reading, choice: Choice, what: str) -> FlagDecision:
    saw = _saw(reading, choice, {"on": choice.on.isoformat()})
    if not choice.known_test:
        verdict = Verdict(Outcome.NOT_APPLICABLE, RULE, f"{what}: referans aralığı tanımlı değil", saw)
        return FlagDecision("", "", None, verdict)
    if not choice.gap:
        reason = f"{what}: hastaya ve tarihe uyan referans aralığı yok"
        return FlagDecision("", "", None, Verdict(Outcome.HOLDS, RULE, reason, saw))
    # A critical value must not hide behind a missing birth date: where every row that may fit calls it critical,
    # it is critical whatever the missing fact turns out to be.
    findings = {_critical_side(reading, row) for row in choice.candidates}
    side = findings.pop() if len(findings) == 1 else ""
    if side:
        saw["refs"] = ", ".join(str(row.id) for row in choice.candidates)
        reason = f"{what}: {choice.gap}; uyabilecek bütün aralıklara göre panik ({len(choice.candidates)} aralık)"
        return FlagDecision("P!", side, None, Verdict(Outcome.HOLDS, RULE, reason, saw))
    reason = f"{what}: {choice.gap}; referans aralığı seçilmedi"
    return FlagDecision("", "", None, Verdict(Outcome.HOLDS, RULE, reason, saw))


def _critical_side(reading: Reading, row: ReferenceRange) -> str:
    if reading.number is not None:
        _, flag, side, _ = _of_number(reading.number, row)
    elif reading.bound is not None:
        _, flag, side, _ = _of_bound(reading, row)
    else:
        return ""
    return side if flag == "P!" else ""


def _shown(text: str) -> str:
    """The text inside a sentence: one line, never long. The result itself keeps every character."""
    if len(text) > LONGEST_SHOWN:
        text = text[: LONGEST_SHOWN - 1] + "…"
    if not text.isprintable():  # control characters; a NUL could not even be stored with the verdict
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text.strip()


def _saw(reading: Reading, choice: Choice, limits: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    facts = choice.facts
    saw = {**limits, "value": _shown(reading.text), "sex": facts.sex, "age_days": choice.age_days}
    if facts.conditions:
        saw["conditions"] = ", ".join(sorted(facts.conditions))
    return saw
