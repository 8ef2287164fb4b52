"""From observations to the rows that a batch writes: results with decisions, what waits for a person, controls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Protocol

import msgspec
import orjson

from drivers.messages import Delivery, Observation
from lis_core.domain.states import TestState
from lis_core.services.catalog import Catalog, CatalogInstrument
from lis_core.services.courtesy import queries
from lis_core.services.ingest_match import (
    Cause,
    Matched,
    OrderedTestRow,
    ScannedSpecimen,
    Unmatched,
    held_by_status,
    match,
)
from lis_core.services.result_rows import judge
from lis_core.services.sql import SLICE
from lis_core.settings import ISTANBUL
from rules.values import read_value

APPLIED = ("result", "qc")
"""Kinds of observations that become rows; orders and events are read and kept in the raw message."""


@dataclass(slots=True)
class Message:
    """A delivery on its way through the batch."""

    delivery: Delivery
    instrument: CatalogInstrument | None
    connection_id: int | None
    id: int = 0
    state: str = "islendi"
    problem: str | None = None
    repeats_id: int | None = None
    results: int = 0
    unmatched: int = 0
    controls: int = 0
    received: str = ""
    """Arrival as ISO text, made once for all results of the message."""
    known: int = 0
    """Measurements in it that had come before."""

    def __post_init__(self) -> None:
        self.received = self.delivery.received_at.isoformat()

    @property
    def applies(self) -> bool:
        """Its observations are to be applied."""
        return self.state not in ("tekrar", "yarim", "hata")


class StepFinder(Protocol):
    """What `lis_core.services.work_results` knows of work steps."""

    def container_of(self, observation: Observation) -> str | None: ...

    def ordered_test(self, observation: Observation, instrument_id: int) -> int | Unmatched | None: ...

    def noted(self, message: Message, observation: Observation) -> list[dict[str, Any]]: ...


class PlaceFinder(Protocol):
    """What `lis_core.services.ingest_places` knows of load lists."""

    def bound(
        self,
        message: Message,
        observation: Observation,
        match_there: Callable[[Observation], Matched | Unmatched],
    ) -> tuple[Observation, Matched | Unmatched] | None: ...


@dataclass(slots=True)
class BatchRows:
    """What is to be written."""

    results: list[tuple[Any, ...]] = field(default_factory=list)
    unmatched: list[tuple[Any, ...]] = field(default_factory=list)
    controls: list[tuple[Any, ...]] = field(default_factory=list)
    custody: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict)
    moved: dict[int, OrderedTestRow] = field(default_factory=dict)
    panic: list[dict[str, Any]] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    ids: list[int] = field(default_factory=list)
    """Numbers kept for the results of this batch, last one first; what is left over is a harmless gap."""
    known_keys: set[bytes] = field(default_factory=set)
    """Measurements that are stored already, or came earlier in this batch."""
    steps: StepFinder | None = None
    """Work steps that the messages name (HL7 LAW)."""
    places: PlaceFinder | None = None
    """Load lists of analysers that read no barcode."""
    read_again_by: str = ""
    """A replay: the definition and revision that read the message now; its raw message names the first one."""


async def decide(
    rows: BatchRows, messages: list[Message], specimens: dict[str, ScannedSpecimen], known: Catalog, now: datetime
) -> None:
    day = now.astimezone(ISTANBUL).date()
    since = 0
    for message in messages:
        if not message.applies:
            continue
        seen: dict[tuple[Any, ...], int] = {}
        for observation in message.delivery.observations:
            if observation.kind in APPLIED:
                _take(rows, message, observation, specimens, known, day, seen)
                since += 1
                if since >= SLICE:
                    since = 0
                    await queries.give_way()
        if message.unmatched:
            message.state = "kismen"
        elif message.known and not message.results and not message.controls:
            message.state = "tekrar"
        if message.known:
            message.problem = f"{message.known} ölçüm daha önce alınmıştı; ikinci kez uygulanmadı."


def _take(
    rows: BatchRows,
    message: Message,
    observation: Observation,
    specimens: dict[str, ScannedSpecimen],
    known: Catalog,
    day: date,
    seen: dict[tuple[Any, ...], int],
) -> None:
    key = measurement_key(message, observation, seen)
    if key in rows.known_keys:
        message.known += 1
        return
    rows.known_keys.add(key)
    instrument = message.instrument
    if observation.kind == "qc":
        rows.controls.append(_control_row(message, observation, key, known))
        message.controls += 1
        return
    found: Matched | Unmatched
    if instrument is None:
        found = Unmatched(Cause.UNKNOWN_INSTRUMENT, f"{message.delivery.line} hattına bağlı cihaz tanımlı değil.")
    elif rows.steps is not None and message.delivery.steps:
        observation, found = _match_step(rows, rows.steps, message, instrument, observation, specimens, known)
    else:
        observation, found = _match_tube(rows, message, instrument, observation, specimens, known)
    if isinstance(found, Unmatched):
        rows.unmatched.append(_unmatched_row(message, observation, key, found))
        message.unmatched += 1
        return
    assert instrument is not None
    _accept(rows, message, instrument, observation, found, known, key, day)
    message.results += 1


def _match_tube(
    rows: BatchRows,
    message: Message,
    instrument: CatalogInstrument,
    observation: Observation,
    specimens: dict[str, ScannedSpecimen],
    known: Catalog,
) -> tuple[Observation, Matched | Unmatched]:
    """A result by the tube that it names, else by the tube that stood at its place."""

    def there(named: Observation) -> Matched | Unmatched:
        return match(named, specimens, known.mapping(instrument.id), known.test_by_id)

    placed = rows.places.bound(message, observation, there) if rows.places is not None else None
    return placed if placed is not None else (observation, there(observation))


def _match_step(
    rows: BatchRows,
    steps: StepFinder,
    message: Message,
    instrument: CatalogInstrument,
    observation: Observation,
    specimens: dict[str, ScannedSpecimen],
    known: Catalog,
) -> tuple[Observation, Matched | Unmatched]:
    """A result of a LAW analyser: its work step, where it names one, decides which ordered test it is."""
    if (held := held_by_status(observation)) is not None:
        return observation, held
    wanted = steps.ordered_test(observation, instrument.id)
    if isinstance(wanted, Unmatched):
        return observation, wanted
    if wanted is None and not observation.specimen:
        return _match_tube(rows, message, instrument, observation, specimens, known)
    if not observation.specimen and (container := steps.container_of(observation)) is not None:
        observation = msgspec.structs.replace(observation, specimen=container)
    return observation, match(observation, specimens, known.mapping(instrument.id), known.test_by_id, wanted)


def measurement_key(message: Message, observation: Observation, seen: dict[tuple[Any, ...], int]) -> bytes:
    """16 bytes that name one measurement. With a measuring time they are the same however often it is sent; without
    one, they name the place in this message. `seen` counts equal measurements inside one message (replicates)."""
    instrument = message.instrument.id if message.instrument else 0
    if observation.measured_at:
        facts: tuple[Any, ...] = (
            instrument,
            # Without a tube number the patient's is all that tells two results of one second apart.
            # Or its place's, on an analyser that reads no barcode: many tubes are measured in the same second.
            observation.specimen or (observation.specimen, observation.patient, observation.rack, observation.position),
            observation.test,
            observation.measured_at,
            observation.value,
            observation.unit,
            observation.replicate,
        )
        if message.delivery.steps:  # LAW-F.70: the work step, and a status that changes what the value is worth
            facts += (observation.reference, observation.status)
    else:
        facts = (message.delivery.key, observation.raw.get("record"))
    nth = seen[facts] = seen.get(facts, 0) + 1
    return hashlib.blake2b(repr((facts, nth)).encode(), digest_size=16).digest()


@lru_cache(maxsize=4096)
def local_moment(written: str | None) -> str | None:
    """An instrument's time as ISO text in UTC; a clock without a zone is the laboratory's. None where it is no time."""
    if not written:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ISTANBUL)).astimezone(UTC).isoformat()


def _accept(
    rows: BatchRows,
    message: Message,
    instrument: CatalogInstrument,
    observation: Observation,
    found: Matched,
    known: Catalog,
    key: bytes,
    day: date,
) -> None:
    """Add one result run and move its ordered test on."""
    specimen, ordered, test = found.specimen, found.ordered, found.test
    scaled, steps = _scaled(observation, found)
    judged = judge(scaled, found.mapping, test, specimen.facts, day, known.range_book)
    decisions = [_bound(observation, found), *steps, *judged.decisions]
    if rows.steps is not None and message.delivery.steps:
        decisions += rows.steps.noted(message, observation)
    if rows.read_again_by:
        why = f"mesaj yeniden işlendi; {rows.read_again_by} tanımı okudu"
        decisions.append({"o": "P", "r": "OKUMA/1", "why": why, "saw": {"tanim": rows.read_again_by}})
    ordered.runs += 1
    if ordered.runs > 1:
        decisions.append(_another_run(ordered))
    result_id = rows.ids.pop()
    rows.results.append(
        (
            result_id,
            ordered.id,
            ordered.runs,
            specimen.tube_id,
            instrument.id,
            message.id,
            observation.raw.get("record"),
            key,
            observation.test or "",
            observation.value,
            observation.unit or "",
            judged.value,
            judged.number,
            judged.unit,
            judged.flag,
            judged.reference,
            judged.range_id,
            observation.flags,
            observation.comments,
            orjson.dumps(decisions).decode(),
            local_moment(observation.measured_at),
            message.received,
            observation.rack,
            observation.position,
            observation.replicate,
            observation.operator,
            observation.lot,
        )
    )
    ordered.result_id = result_id
    ordered.state = TestState.RESULTED
    rows.moved[ordered.id] = ordered
    rows.numbers.add(specimen.order_number)
    rows.groups.add(test.group)
    if judged.flag == "P!":
        rows.panic.append({"sonuc": result_id, "istem": specimen.order_number, "tetkik": test.code})
    if specimen.tube_id is not None:
        rows.custody.setdefault(
            (specimen.tube_id, message.id),
            (
                specimen.tube_id,
                "cihazda",
                message.delivery.received_at,
                instrument.id,
                observation.rack,
                observation.position,
            ),
        )


def _bound(observation: Observation, found: Matched) -> dict[str, Any]:
    """The evidence for the binding (invariant 7)."""
    tube = f", {found.specimen.tube_material} tüpü" if found.specimen.tube_material else ""
    return {
        "o": "P",
        "r": "ESLESME/1",
        "why": f"{found.place or f'{observation.specimen} okundu'}: istem {found.specimen.order_number}{tube}; "
        f"cihaz kodu {observation.test} = {found.test.code}",
        "saw": {"okunan": observation.specimen, "kod": observation.test, "tup": found.specimen.tube_material},
    }


def _scaled(observation: Observation, found: Matched) -> tuple[Observation, list[dict[str, Any]]]:
    """The observation in the unit without UCUM's power of ten; what the instrument sent stays in its own columns."""
    if not found.power:
        return observation, []
    reading = read_value(observation.value or "")
    number, sign = (reading.number, "") if reading.number is not None else (reading.bound, reading.comparator or "")
    if number is None:
        return observation, []
    value = f"{sign}{number.scaleb(found.power):f}"
    unit = found.mapping.unit or found.test.unit
    step = {
        "o": "P",
        "r": "BIRIM-US/1",
        "why": f"{observation.value} {observation.unit} = {value} {unit}",
        "saw": {"us": found.power},
    }
    return msgspec.structs.replace(observation, value=value, unit=unit, number=None), [step]


def _another_run(ordered: OrderedTestRow) -> dict[str, Any]:
    return {
        "o": "H",
        "r": "KOSU/1",
        "why": f"{ordered.runs}. koşu; önceki koşular duruyor",
        "saw": {"kosu": ordered.runs, "onceki_sonuc": ordered.result_id},
    }


def _unmatched_row(message: Message, observation: Observation, key: bytes, found: Unmatched) -> tuple[Any, ...]:
    return (
        message.id,
        message.instrument.id if message.instrument else None,
        key,
        found.cause.value,
        found.explanation,
        msgspec.json.encode(observation).decode(),
        message.delivery.received_at,
    )


def _control_row(message: Message, observation: Observation, key: bytes, known: Catalog) -> tuple[Any, ...]:
    mapping = known.mapping(message.instrument.id).get(observation.test or "") if message.instrument else None
    return (
        message.id,
        message.instrument.id if message.instrument else None,
        key,
        observation.specimen or "",
        mapping.test_id if mapping else None,
        observation.test or "",
        observation.value or "",
        read_value(observation.value or "").number,
        observation.unit or "",
        observation.lot,
        local_moment(observation.measured_at),
        message.delivery.received_at,
    )
