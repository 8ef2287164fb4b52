"""Turns what an analyser means into its own ASTM records, and the host's records into an offer; driven by `models`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from simulators.faults import Faults
from simulators.models import AstmModel
from simulators.segments import stamp
from simulators.worklist import Offer, OfferedTest, Patient, Reported, Result, WorkList

__all__ = [
    "IMPOSSIBLE_TIME",
    "UNKNOWN_RECORD",
    "Download",
    "Outgoing",
    "Place",
    "Tube",
    "cancel_records",
    "query_records",
    "read_answer",
    "read_download",
    "report_records",
]

IMPOSSIBLE_TIME = "20261345257061"
UNKNOWN_RECORD = "Z|1|BILINMEYEN KAYIT"
ID_WIDTH = 22


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tube stands in the analyser."""

    sequence: int
    rack: str
    position: str

    def slots(self, barcode: str) -> dict[str, str]:
        """The names that templates may use for it."""
        return {
            "barcode": barcode,
            "padded": barcode.rjust(ID_WIDTH),
            "sequence": str(self.sequence),
            "rack": self.rack,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message before it is framed: records without their ends, and which results end with which record."""

    records: tuple[bytes, ...]
    results: Mapping[int, Reported]
    """Index into `records`: the result that this record is."""


def _header(model: AstmModel, purpose: str, now: datetime) -> str:
    return model.header.format(now=stamp(now), purpose=purpose)


def _encode(model: AstmModel, records: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(record.encode(model.encoding, "replace") for record in records)


def query_records(model: AstmModel, tubes: Mapping[str, Place], now: datetime) -> tuple[bytes, ...]:
    """One question about one tube, or about several where the model can ask so."""
    return _encode(model, _question(model, model.query, tubes, now))


def cancel_records(model: AstmModel, tubes: Mapping[str, Place], now: datetime) -> tuple[bytes, ...]:
    """The question taken back (Q-13 A) after the host stayed silent; empty where the model does not do that."""
    return _encode(model, _question(model, model.cancel, tubes, now)) if model.cancel else ()


def _question(model: AstmModel, template: str, tubes: Mapping[str, Place], now: datetime) -> list[str]:
    asked = "\\".join(f"^{barcode}" for barcode in tubes)
    barcode, place = next(iter(tubes.items()))
    slots = place.slots(barcode) | {"asked": asked, "now": stamp(now)}
    return [_header(model, model.purpose_query, now), template.format(**slots), model.query_end]


@dataclass(frozen=True, slots=True)
class Tube:
    """One specimen in a report."""

    barcode: str
    place: Place
    qc: bool = False
    priority: str = "R"


def report_records(
    model: AstmModel,
    tube: Tube,
    results: Mapping[str, Sequence[Result]],
    now: datetime,
    faults: Faults,
    operator: str,
) -> Outgoing:
    """A whole result message. Content faults that are armed strike here."""
    results = _spoilt(model, results, faults)
    bad_time = IMPOSSIBLE_TIME if faults.take("impossible_date") else ""
    tests = "\\".join(model.order_test.format(code=code) for code in results)
    slots = tube.place.slots(tube.barcode) | {
        "now": stamp(now),
        "time": bad_time or stamp(now),
        "tests": tests,
        "priority": tube.priority,
        "action": "N",
        "kind": "S1",
        "material": "",
        "none": "",
        "operator": operator,
    }
    if tube.qc:
        slots |= model.qc
    records = [_header(model, model.purpose_result, now), *(line.format(**slots) for line in model.patient)]
    records += [model.order.format(**slots), *(line.format(**slots) for line in model.after_order)]
    at: dict[int, Reported] = {}
    number = 0
    for code, runs in results.items():
        for result in runs:
            number += 1
            records.append(_result_record(model, number, code, result, slots, now, bad_time if number == 1 else ""))
            at[len(records) - 1] = Reported(tube.barcode, code, result, tube.qc)
            if model.alarm and (model.alarm_always or result.alarm != "0"):
                records.append(model.alarm.format(alarm=result.alarm))
    records += [line.format(**slots) for line in model.before_end]
    if faults.take("unknown_record"):
        records.append(UNKNOWN_RECORD)
    if not faults.take("no_terminator"):
        records.append(model.end)
    return Outgoing(_encode(model, records), at)


def _spoilt(
    model: AstmModel, results: Mapping[str, Sequence[Result]], faults: Faults
) -> Mapping[str, Sequence[Result]]:
    """text_for_number: the first result says something else than a number."""
    if not results or not faults.take("text_for_number"):
        return results
    first = next(iter(results))
    return dict(results) | {first: [replace(results[first][0], value=model.unavailable, flags=()), *results[first][1:]]}


def _result_record(
    model: AstmModel, number: int, code: str, result: Result, slots: Mapping[str, str], now: datetime, time: str
) -> str:
    rerun = model.rerun_status if result.run > 1 else "F"
    own = {
        "n": number,
        "test": model.result_test.format(code=code),
        "value": result.value,
        "unit": result.unit,
        "range": result.range,
        "flags": "\\".join(result.flags),
        "status": result.status or rerun,
        "module": result.module,
        "time": time or stamp(result.measured_at or now),
    }
    return model.result.format(**{**slots, **own})


# ---- the host's answer ----------------------------------------------------------------------------------------------


class _Record:
    """One record of the host, with the delimiters of its H record."""

    def __init__(self, line: str, delimiters: str) -> None:
        self._fields = line.split(delimiters[0])
        self._repeat, self._component = delimiters[1], delimiters[2]

    def field(self, number: int) -> str:
        return self._fields[number - 1] if number <= len(self._fields) else ""

    def component(self, number: int, place: int) -> str:
        parts = self.field(number).split(self._repeat)[0].split(self._component)
        return parts[place - 1] if place <= len(parts) else ""

    def repeats(self, number: int) -> list[list[str]]:
        return [part.split(self._component) for part in self.field(number).split(self._repeat) if part]


def read_answer(model: AstmModel, text: bytes, asked: Mapping[str, Place], surprises: list[str]) -> WorkList:
    """What the host offers for the tubes that were asked about. What does not fit becomes a surprise and is not run."""
    lines = [line for line in text.decode(model.encoding, "replace").replace("\n", "\r").split("\r") if line.strip()]
    if not lines or lines[0][:1] != "H" or len(lines[0]) < 5:
        surprises.append("the answer does not begin with an H record")
        return WorkList((), True, (text,))
    delimiters = lines[0][1:5]
    records = [_Record(line, delimiters) for line in lines]
    refused = ""
    if not records[0].field(11).startswith(model.answer_purpose):
        refused = f"H-11 is {records[0].field(11)!r}, not {model.answer_purpose}..."
        surprises.append(refused)
    offers: dict[str, Offer] = {}
    patient: Patient | None = None
    for record in records:
        if record.field(1) == "P":
            patient = _patient(record)
        elif record.field(1) == "O":
            offer = _offer(model, record, asked, patient, refused, surprises)
            before = offers.get(offer.specimen)
            offers[offer.specimen] = replace(offer, tests=before.tests + offer.tests) if before else offer
    return WorkList(tuple(offers.values()), True, (text,))


def _offer(
    model: AstmModel,
    record: _Record,
    asked: Mapping[str, Place],
    patient: Patient | None,
    refused: str,
    surprises: list[str],
) -> Offer:
    specimen = record.component(*model.answer_place).strip()
    if specimen not in asked:
        refused = f"the answer names tube {specimen!r}, asked was {', '.join(asked)}"
        surprises.append(refused)
    elif model.answer_echo:
        expected = model.echo.format(**asked[specimen].slots(specimen))
        if record.field(model.answer_echo) != expected:
            refused = f"O-{model.answer_echo} is {record.field(model.answer_echo)!r}, asked was {expected!r}"
            surprises.append(refused)
    if record.field(26) and record.field(26) in model.no_order:
        return Offer(specimen, (), patient, refused=refused)
    tests = _offered_tests(model, record, surprises)
    if model.most_tests and len(tests) > model.most_tests:
        refused = f"{len(tests)} tests in one order, this analyser takes {model.most_tests}"
        surprises.append(refused)
    return Offer(specimen, tuple(tests), patient, record.field(16), refused)


def _offered_tests(model: AstmModel, record: _Record, surprises: list[str]) -> list[OfferedTest]:
    tests = []
    for parts in record.repeats(5):
        code = parts[model.answer_code - 1] if model.answer_code <= len(parts) else ""
        if not code:
            if any(parts):
                surprises.append(f"no test code in component {model.answer_code} of {'^'.join(parts)!r}")
            continue
        dilution = parts[model.answer_code] if model.answer_code < len(parts) else ""
        tests.append(OfferedTest(code, priority=record.field(6) or "R", dilution=dilution))
    return tests


def _patient(record: _Record) -> Patient:
    family, given = record.component(6, 1), record.component(6, 2)
    identifiers = tuple(value for at in (3, 4, 5) if (value := record.component(at, 1)))
    return Patient(identifiers, family, given, record.field(8), record.field(9))


@dataclass(frozen=True, slots=True)
class Download:
    """An order that the host sent without being asked: for which tube, where it will stand, what to do."""

    specimen: str
    rack: str
    position: str
    action: str
    """O-12: N new, A add, C cancel."""
    codes: tuple[str, ...]


def read_download(model: AstmModel, text: bytes, surprises: list[str]) -> list[Download]:
    """The orders of a message that nobody asked for: rack and position in O-4.2 and O-4.3."""
    lines = [line for line in text.decode(model.encoding, "replace").split("\r") if line.strip()]
    if not lines or lines[0][:1] != "H" or len(lines[0]) < 5:
        surprises.append("the order does not begin with an H record")
        return []
    records = [_Record(line, lines[0][1:5]) for line in lines]
    return [
        Download(
            record.component(*model.answer_place).strip(),
            record.component(4, 2).lstrip("0"),
            record.component(4, 3).lstrip("0"),
            record.field(12),
            tuple(test.code for test in _offered_tests(model, record, surprises)),
        )
        for record in records
        if record.field(1) == "O"
    ]
