"""LAB-29 in the batch: which step a result belongs to, what becomes of the step, what is kept beside the value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from drivers.messages import Observation, ResultDetail, StepReport
from lis_core.services.ingest_match import Cause, Unmatched
from lis_core.services.ingest_rows import BatchRows, Message
from lis_core.services.sql import copy_rows
from lis_core.services.work_steps import give_back, move, new_number
from lis_core.storage.database import Work

_LOOKUP = """
select adim_numarasi, is_adimi_kodu, istem_tetkik_kodu, cihaz_kodu, kap, durum from is_adimi
where adim_numarasi = any(%s)
"""
_ROUTED = re.compile(r"N\d+\.\d+")
"""References of work that was given without steps: by routing alone, or by a gateway whose line to the centre was down.
They name no step and prove nothing."""
_DETAIL_COLUMNS = (
    "ham_mesaj_kodu, kayit_sirasi, is_adimi_kodu, cihaz_durumu, cihaz_modeli, seri_numarasi, modul, kosu, kosu_turu, "
    "seyreltme"
)
_LOT_COLUMNS = "ham_mesaj_kodu, kayit_sirasi, madde, tur, kap, son_kullanma, ilk_kullanma, lot"
_NOTED = {
    "P": ("H", "ön sonuç (OBX-11 P); kesin sonuç bekleniyor"),
    "S": ("H", "kısmi sonuç (OBX-11 S); kalanı bekleniyor"),
    "C": ("W", "cihaz sonucu düzeltti (OBX-11 C); önceki koşu duruyor"),
}


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step that results name."""

    id: int
    ordered_id: int | None
    instrument_id: int
    container: str
    state: str


@dataclass(slots=True)
class Steps:
    """Steps and result details of a batch. Empty for everything that is not LAW."""

    by_number: dict[str, StepRow] = field(default_factory=dict)
    details: dict[str, dict[int, ResultDetail]] = field(default_factory=dict)

    def containers(self) -> Iterable[str]:
        return {row.container for row in self.by_number.values() if row.container}

    def container_of(self, observation: Observation) -> str | None:
        """The container of a result without a specimen: of the step that it names."""
        row = self.by_number.get(observation.reference or "")
        return row.container or None if row is not None else None

    def ordered_test(self, observation: Observation, instrument_id: int) -> int | Unmatched | None:
        """The ordered test that OBR-2 names; None where it names nothing; why not where it must not be believed."""
        reference = observation.reference
        if not reference or _ROUTED.fullmatch(reference):
            return None
        row = self.by_number.get(reference)
        if row is None:
            return Unmatched(Cause.UNKNOWN_STEP, f"Cihazın bildirdiği {reference} iş adımı bizde yok.")
        if row.instrument_id != instrument_id:
            return Unmatched(Cause.UNKNOWN_STEP, f"{reference} iş adımı başka bir cihaza verilmişti.")
        if row.state == "iptal":
            return Unmatched(Cause.CANCELLED_STEP, f"{reference} iş adımı iptal edilmişti; sonuç yine de geldi.")
        return row.ordered_id

    def noted(self, message: Message, observation: Observation) -> list[dict[str, Any]]:
        """Decisions that status and kind of run leave with the result."""
        return noted(self._detail(message, observation))

    def _detail(self, message: Message, observation: Observation) -> ResultDetail | None:
        found = self.details.get(message.delivery.key)
        if found is None:
            found = self.details[message.delivery.key] = details_of(message)
        return found.get(observation.raw.get("record", 0))


async def steps_of(raw: psycopg.AsyncConnection[Any], messages: Iterable[Message]) -> Steps:
    """The steps that these messages name."""
    numbers = {
        number
        for message in messages
        for step in message.delivery.steps
        for number in (step.reference, step.parent)
        if number
    }
    steps = Steps()
    if numbers:
        rows = await (await raw.execute(_LOOKUP, [list(numbers)])).fetchall()
        steps.by_number = {row[0]: StepRow(row[1], row[2], row[3], row[4], row[5]) for row in rows}
    return steps


def details_of(message: Message) -> dict[int, ResultDetail]:
    """What the message says beside its values, by the place of the result."""
    return {detail.record: detail for step in message.delivery.steps for detail in step.results}


def noted(detail: ResultDetail | None) -> list[dict[str, Any]]:
    """Decisions that a status or a kind of run leaves with the result."""
    if detail is None:
        return []
    found: list[dict[str, Any]] = []
    if detail.status in _NOTED:
        outcome, why = _NOTED[detail.status]
        found.append({"o": outcome, "r": "LAW-DURUM/1", "why": why, "saw": {"durum": detail.status}})
    if detail.dilution or detail.run_kind in ("R", "D", "F"):
        why = f"koşu {detail.run_kind or '-'}, seyreltme {detail.dilution or 'yok'}; değer olduğu gibi alındı"
        saw = {"tur": detail.run_kind, "seyreltme": detail.dilution, "kosu": detail.run}
        found.append({"o": "P", "r": "LAW-KOSU/1", "why": why, "saw": saw})
    return found


async def record_steps(
    work: Work, raw: psycopg.AsyncConnection[Any], messages: Iterable[Message], steps: Steps, rows: BatchRows
) -> None:
    """Move the steps on, remember what was said beside the values. With the results, in their transaction."""
    details: list[tuple[Any, ...]] = []
    lots: list[tuple[Any, ...]] = []
    for message in messages:
        if not message.applies or not message.delivery.steps:
            continue
        for report in message.delivery.steps:
            step_id = await _reported(work, raw, message, report, steps, rows)
            for detail in report.results:
                details.append(
                    (message.id, detail.record, step_id, detail.status, detail.model, detail.serial, detail.module,
                     detail.run, detail.run_kind, detail.dilution)
                )  # fmt: skip
                lots += [
                    (message.id, detail.record, lot.substance, lot.kind, lot.container, lot.expires, lot.first_used,
                     lot.lot)
                    for lot in detail.lots
                ]  # fmt: skip
    if details:
        await copy_rows(raw, "sonuc_ayrintisi", _DETAIL_COLUMNS, details)
    if lots:
        await copy_rows(raw, "sonuc_reaktifi", _LOT_COLUMNS, lots)


async def _reported(
    work: Work, raw: psycopg.AsyncConnection[Any], message: Message, report: StepReport, steps: Steps, rows: BatchRows
) -> int | None:
    """One OBR: the step it names, moved; a reflex of the analyser's own gets a step below its parent."""
    instrument = message.instrument
    if instrument is None:
        return None
    step = steps.by_number.get(report.reference)
    if step is None:
        parent = steps.by_number.get(report.parent)
        if report.reference or parent is None:
            return None
        return await _reflex(work, raw, message, report, parent, rows)
    if step.instrument_id != instrument.id:
        return step.id
    if report.state == "CA":
        note = f"Cihaz işi bıraktı. {report.note}".strip()
        open_states = ("gonderildi", "kabul", "belirsiz", "calisiyor", "iptal_bekliyor")
        moved = await move(work, raw, [step.id], "basarisiz", when=open_states, note=note)
        await give_back(raw, moved)
    elif report.state == "CM":
        await move(
            work, raw, [step.id], "tamam",
            when=("planlandi", "gonderildi", "kabul", "belirsiz", "calisiyor", "iptal_bekliyor", "reddedildi"),
        )  # fmt: skip
    else:
        await move(work, raw, [step.id], "calisiyor", when=("planlandi", "gonderildi", "kabul", "belirsiz"))
    return step.id


async def _reflex(
    work: Work,
    raw: psycopg.AsyncConnection[Any],
    message: Message,
    report: StepReport,
    parent: StepRow,
    rows: BatchRows,
) -> int:
    assert message.instrument is not None
    number = new_number()
    places = {detail.record for detail in report.results}
    ordered = next((row[1] for row in rows.results if row[5] == message.id and row[6] in places), None)
    row = await (
        await raw.execute(
            "insert into is_adimi (adim_numarasi, istem_tetkik_kodu, cihaz_kodu, ana_adim_kodu, kap, cihaz_test_kodu, "
            "durum, aciklama) values (%s, %s, %s, %s, %s, %s, 'tamam', 'cihazın kendi refleksi') "
            "returning is_adimi_kodu",
            [number, ordered, message.instrument.id, parent.id, report.specimen or parent.container, report.test],
        )
    ).fetchone()
    assert row is not None
    work.audit("is_adimi.refleks", "is_adimi", number, None, {"ana": parent.id, "kod": report.test})
    return int(row[0])
