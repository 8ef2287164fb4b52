"""The load list of an analyser that reads no barcode: which tube stands at which place (9.5.2).

Putting a tube there is the question that the analyser cannot ask: the tests that it is to run become `running`. A
result that names a place and no tube belongs to the tube that stood there when it came (`ingest_places`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from drivers.messages import Query
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.offering import offer
from lis_core.domain.permissions import P
from lis_core.services.catalog import Catalog, CatalogInstrument, catalog
from lis_core.services.routing import read_sheets, record_given
from lis_core.storage.database import Work

_STANDING = "select konum, barkod from cihaz_yukleme where cihaz_kodu = %s and kaldirma_zamani is null"
_PUT = "insert into cihaz_yukleme (cihaz_kodu, konum, barkod, kullanici_kodu) values (%s, %s, %s, %s)"
_TAKE = """
update cihaz_yukleme set kaldirma_zamani = clock_timestamp()
where cihaz_kodu = %s and kaldirma_zamani is null and (%s::text is null or konum = %s) returning konum, barkod
"""


@dataclass(frozen=True, slots=True)
class Put:
    """A tube that was put at its place, and what it will be run for."""

    place: str
    barcode: str
    tests: tuple[str, ...]


async def load_tube(work: Work, instrument: str, barcode: str, place: str = "") -> Put:
    """Put a tube at a place, or at the next free number.

    Raises NumuneError: NOT_ALLOWED, UNKNOWN_INSTRUMENT, PLACE_TAKEN, ALREADY_LOADED, NOTHING_TO_RUN (unknown number,
    rejected tube, no pending test of this analyser on this material).
    """
    work.actor.must(P.SPECIMEN_ACCEPT)
    raw = await work.driver()
    found = _instrument(await catalog(work.session), instrument)
    await raw.execute("select pg_advisory_xact_lock(hashtext('cihaz_yukleme'), %s)", [found.id])
    standing = dict(await _rows(raw, _STANDING, [found.id]))
    place = plain(place) or _next_free(standing)
    if place in standing:
        raise NumuneError(errors.PLACE_TAKEN, place=place, barcode=standing[place])
    for where, other in standing.items():
        if other == barcode:
            raise NumuneError(errors.ALREADY_LOADED, barcode=barcode, place=where)
    query = query_of(barcode, place)
    known, sheets = await read_sheets(work, raw, [barcode])
    runs = {mapping.test_id: mapping for mapping in known.mapping(found.id).values()}
    sheet = sheets.get(barcode)
    order, tests = offer(barcode, sheet, found.id, runs, query, work.now)
    if sheet is None or not tests:
        raise NumuneError(errors.NOTHING_TO_RUN, reason=order.reason)
    await raw.execute(_PUT, [found.id, place, barcode, work.actor.user_id])
    record_given(
        work, found, query, {barcode: sheet.tubes[barcode]}, {ordered.id: (sheet, test) for ordered, test in tests}
    )
    work.audit("yukleme.kondu", "cihaz", found.code, None, {"konum": place, "barkod": barcode})
    work.tell_screens("specimen", cihaz=found.code)
    return Put(place, barcode, tuple(sorted({test.name for _, test in tests})))


async def unload(work: Work, instrument: str, place: str | None = None) -> int:
    """Take the tube from a place, or all of them (a new list begins). Returns how many stood there.

    Raises NumuneError: NOT_ALLOWED, UNKNOWN_INSTRUMENT, NOT_LOADED.
    """
    work.actor.must(P.SPECIMEN_ACCEPT)
    raw = await work.driver()
    found = _instrument(await catalog(work.session), instrument)
    wanted = plain(place) if place is not None else None
    taken = await _rows(raw, _TAKE, [found.id, wanted, wanted])
    if wanted is not None and not taken:
        raise NumuneError(errors.NOT_LOADED, instrument=found.name, place=wanted)
    if taken:
        work.audit("yukleme.kaldirildi", "cihaz", found.code, {"konumlar": dict(taken)}, None)
        work.tell_screens("specimen", cihaz=found.code)
    return len(taken)


def plain(place: str) -> str:
    """A place as it is compared: without blanks, capitals, no zeros before a number (`03` and `3` are one place)."""
    parts = "".join(place.split()).upper().split("-")
    return "-".join(part.lstrip("0") or part[-1:] for part in parts)


def query_of(barcode: str, place: str) -> Query:
    """The question that the analyser does not ask: `R12-3` is position 3 of rack R12."""
    rack, _, position = place.rpartition("-")
    return Query(specimens=[barcode], rack=rack or None, position=position)


def _next_free(standing: dict[str, str]) -> str:
    taken = [int(place) for place in standing if place.isdecimal()]
    return str(max(taken, default=0) + 1)


def _instrument(known: Catalog, code: str) -> CatalogInstrument:
    for one in known.instrument_by_id.values():
        if one.code == code:
            return one
    raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)


async def _rows(raw: psycopg.AsyncConnection[Any], sql: str, values: list[Any]) -> list[tuple[str, str]]:
    return list(await (await raw.execute(sql, values)).fetchall())
