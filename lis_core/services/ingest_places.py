"""Results of analysers that read no barcode: the tube that stood at their place (9.5.2), or why nobody can know.

A place proves a tube only while the load list that says so stands, and once: the second result of a test from the same
place may belong to the next load, which nobody has scanned yet. It waits for a person.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from drivers.messages import Observation
from lis_core.domain.states import PENDING
from lis_core.services.ingest_match import Cause, Matched, Unmatched
from lis_core.services.ingest_rows import Message, local_moment
from lis_core.services.loading import plain

LONGEST = 6
"""Letters of a place or running number in the field of the tube number; tubes have eight digits and more."""
CLOCK = timedelta(minutes=10)
"""How far an analyser's clock may be behind ours."""

_STOOD = """
select y.cihaz_kodu, y.konum, y.barkod, y.yukleme_zamani, y.kaldirma_zamani, array(
    select t.istem_tetkik_kodu from istem_tetkik t join tetkik_sonuc s using (istem_tetkik_kodu)
    where t.tetkik_istem_kodu = b.tetkik_istem_kodu and s.cihaz_kodu = y.cihaz_kodu
      and s.sonuc_zamani >= y.yukleme_zamani)
from cihaz_yukleme y join barkod_kayit b using (barkod)
where y.cihaz_kodu = any(%s) and (y.kaldirma_zamani is null or y.kaldirma_zamani > %s)
"""


@dataclass(frozen=True, slots=True)
class Stood:
    """A tube at a place, from when to when."""

    place: str
    barcode: str
    since: datetime
    until: datetime | None
    measured: frozenset[int] = frozenset()
    """Ordered tests that have had a result from this analyser since it stood there."""


@dataclass(slots=True)
class Places:
    """The load lists of the instruments of a batch. Empty where every result names its tube."""

    of: dict[int, list[Stood]] = field(default_factory=dict)

    def barcodes(self) -> set[str]:
        return {stood.barcode for rows in self.of.values() for stood in rows}

    def bound(
        self, message: Message, observation: Observation, match_there: Callable[[Observation], Matched | Unmatched]
    ) -> tuple[Observation, Matched | Unmatched] | None:
        """The result under the number of the tube that stood at its place, matched; None where a list says nothing."""
        stood = self.tube(message, observation)
        if stood is None:
            return None
        if isinstance(stood, Unmatched):
            return observation, stood
        named = msgspec.structs.replace(observation, specimen=stood.barcode)
        found = only_once(stood, match_there(named))
        if isinstance(found, Matched):
            words = f"{stood.place}. konumda {stood.barcode} duruyordu (yükleme listesi)"
            found = dataclasses.replace(found, place=words)
        return named, found

    def tube(self, message: Message, observation: Observation) -> Stood | Unmatched | None:
        """Where the tube of this result stood; None where it names a tube, or no place of a list."""
        rows = self.of.get(message.instrument.id) if message.instrument is not None else None
        if not rows or not _names_no_tube(observation):
            return None
        at = message.delivery.received_at
        there = [row for row in rows if row.since <= at and (row.until is None or at < row.until)]
        place = _place(observation, racks=any("-" in row.place for row in there))
        stood = next((row for row in there if row.place == place), None)
        if stood is None:
            return None
        measured = local_moment(observation.measured_at)
        if measured is not None and datetime.fromisoformat(measured) < stood.since - CLOCK:
            return Unmatched(
                Cause.AMBIGUOUS,
                f"{place}. konumun sonucu {stood.barcode} tüpü oraya konmadan önce ölçülmüş görünüyor; bağlanmadı.",
            )
        return stood


def only_once(stood: Stood, found: Matched | Unmatched) -> Matched | Unmatched:
    """A place proves a tube for one result of each test."""
    if isinstance(found, Unmatched) or (found.ordered.state in PENDING and found.ordered.id not in stood.measured):
        return found
    return Unmatched(
        Cause.AMBIGUOUS,
        f"{stood.place}. konumdan {found.test.code} sonucu zaten gelmişti ({stood.barcode}); yeni yüklemeyse yeni "
        "liste başlatın, tekrar ölçümse sonucu elle bağlayın.",
    )


async def places_of(raw: psycopg.AsyncConnection[Any], messages: Iterable[Message]) -> Places:
    """The load lists that these messages may need: one statement, and none where every result names its tube."""
    asking = [
        message
        for message in messages
        if message.applies
        and message.instrument is not None
        and any(_names_no_tube(observation) for observation in message.delivery.observations)
    ]
    places = Places()
    if not asking:
        return places
    instruments = {message.instrument.id for message in asking if message.instrument is not None}
    since = min(message.delivery.received_at for message in asking)
    found = await raw.execute(_STOOD, [list(instruments), since])
    for instrument, place, barcode, put, taken, measured in await found.fetchall():
        places.of.setdefault(instrument, []).append(Stood(place, barcode, put, taken, frozenset(measured)))
    return places


def _names_no_tube(observation: Observation) -> bool:
    return observation.kind == "result" and len(observation.specimen or "") <= LONGEST


def _place(observation: Observation, *, racks: bool) -> str:
    """The place that a result names: its position, with its rack where the list has racks; else its running number."""
    if observation.position:
        rack = f"{observation.rack}-" if racks and observation.rack else ""
        return plain(rack + observation.position)
    return plain(observation.specimen or "")
