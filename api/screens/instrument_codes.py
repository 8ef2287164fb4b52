"""The codes of an instrument and the laboratory's tests: mapped on one page; codes that nobody declared, offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import select

from api.access import needs
from api.context import Db, context_of
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.audit import viewed
from lis_core.services.catalog import Catalog, catalog
from lis_core.services.instruments import MappingData, save_mapping
from lis_core.services.rederive import waiting_under
from lis_core.storage.database import Database
from lis_core.storage.tables import InstrumentTest, Material, Test
from lis_core.views.lines import (
    SeenCode,
    code_mappings,
    instrument_setup,
    seen_codes,
    sees_traffic,
    undeclared_codes,
)

router = APIRouter(prefix="/cihazlar")
Here = Annotated[Screen, Depends(screen("instruments"))]


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code of an instrument: what the definition, the traffic and the mapping know of it."""

    code: str
    known_as: str
    """What the definition says it is."""
    seen: SeenCode | None
    mapping: InstrumentTest | None
    test: Test | None

    @property
    def translations(self) -> str:
        """Text translations, one a line, as the form shows them."""
        pairs = self.mapping.translations.items() if self.mapping else ()
        return "\n".join(f"{theirs} = {ours}" for theirs, ours in pairs)


@router.get("/kodlar", dependencies=[Depends(needs(P.UNMATCHED_VIEW, P.RESULT_VIEW_UNAPPROVED))])
async def undeclared(here: Here, db: Db) -> Response:
    """Codes for which results wait, with a form for each."""
    return await here.page("instruments/undeclared.html", **await _undeclared(here, db, None))


@router.get("/kodlar/liste", dependencies=[Depends(needs(P.UNMATCHED_VIEW, P.RESULT_VIEW_UNAPPROVED))])
async def undeclared_part(here: Here, db: Db) -> Response:
    """The same, as a part that renews itself."""
    return here.part("instruments/undeclared_body.html", **await _undeclared(here, db, None))


@router.post("/kodlar", dependencies=[Depends(needs(P.INSTRUMENT_MANAGE, P.RESULT_VIEW_UNAPPROVED))])
async def declare(here: Here, db: Db) -> Response:
    """Say which test an undeclared code is; what waits under it is derived again by itself."""
    data = await _mapping_of(here)
    waiting = await _saved(here, db, data)
    return here.part("instruments/undeclared_body.html", **await _undeclared(here, db, _mapped(data, waiting)))


@router.get("/{code}/esleme", dependencies=[Depends(needs(P.INSTRUMENT_MANAGE))])
async def mapping_page(here: Here, db: Db, code: str) -> Response:
    """Every code of an instrument on one page."""
    return await here.page("instruments/codes.html", **await _codes(here, db, code, None))


@router.post("/{code}/esleme", dependencies=[Depends(needs(P.INSTRUMENT_MANAGE))])
async def map_code(here: Here, db: Db, code: str) -> Response:
    """Map one code, or change its mapping."""
    data = await _mapping_of(here, code)
    waiting = await _saved(here, db, data)
    return here.part("instruments/codes_body.html", **await _codes(here, db, code, _mapped(data, waiting)))


async def _saved(here: Screen, db: Database, data: MappingData) -> int:
    """How many results are derived again because of it."""
    async with db.work(here.actor) as work:
        row = await save_mapping(work, data)
        return await waiting_under(work.session, row.instrument_id, row.incoming)


def _mapped(data: MappingData, waiting: int) -> Markup:
    if not data.active:
        return said(f"{data.incoming} eşlemesi kapatıldı; bu kodla gelen sonuç eşleşmeyenlere düşer.", "warn")
    more = f" Bekleyen {waiting} sonuç kendiliğinden yeniden işleniyor." if waiting else ""
    return said(f"{data.incoming} → {data.test} kaydedildi.{more}")


async def _mapping_of(here: Screen, instrument: str = "") -> MappingData:
    form = await here.request.form()

    def word(name: str) -> str:
        value = form.get(name)
        return value.strip()[:2000] if isinstance(value, str) else ""

    outgoing = word("giden")
    return MappingData(
        instrument=instrument or word("cihaz"),
        test=word("tetkik").split(" ")[0],
        incoming=word("kod"),
        outgoing="" if word("siparis") == "yok" else outgoing or None,
        materials=[value for value in form.getlist("materyal") if isinstance(value, str) and value],
        translations=_translations(word("ceviri")),
        factor=word("carpan") or None,
        unit=word("birim") or None,
        active=word("kapat") != "1",
    )


def _translations(written: str) -> dict[str, str]:
    """`negative = Negatif`, one a line; `>= 1.0 = POZİTİF` interprets numbers. Raises INVALID_INPUT."""
    found: dict[str, str] = {}
    for line in written.splitlines():
        if not line.strip():
            continue
        theirs, mark, ours = line.rpartition("=") if line.lstrip()[:1] in "<>≤≥=" else line.partition("=")
        if not mark or not theirs.strip(" <>≤≥=") or not ours.strip():
            raise NumuneError(errors.INVALID_INPUT, problem=f"çeviri “cihazdaki = bizdeki” biçiminde olmalı: {line}")
        found[theirs.strip()] = ours.strip()
    return found


async def _undeclared(here: Screen, db: Database, message: Markup | None) -> dict[str, Any]:
    definitions = await context_of(here.request).definitions.catalog()
    async with db.reading() as session:
        rows = await undeclared_codes(session)
        shown = {
            instrument: await sees_traffic(session, here.sight, instrument)
            for instrument in {row.instrument_id for row in rows}
        }
        viewed(here.actor, cihaz=[instrument for instrument, seen in shown.items() if seen])
        known = await catalog(session)
    return {
        "rows": rows,
        "shown": shown,
        "names": {
            (row.instrument, row.code): definitions.get(row.definition).codes.get(row.code, "")
            for row in rows
            if row.definition in definitions
        },
        "tests": _tests(known),
        "may": here.actor.may(P.INSTRUMENT_MANAGE),
        "said": message,
    }


async def _codes(here: Screen, db: Database, code: str, message: Markup | None) -> dict[str, Any]:
    definitions = await context_of(here.request).definitions.catalog()
    async with db.reading() as session:
        found = await instrument_setup(session, code)
        if found is None:
            raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
        shown = await sees_traffic(session, here.sight, found.instrument.id)
        seen = {one.code: one for one in await seen_codes(session, found.instrument.id, values=shown)}
        viewed(here.actor, cihaz=[found.instrument.id] if shown else [])  # samples of values, nobody's in particular
        mappings = {row.incoming: (row, test) for row, test in await code_mappings(session, found.instrument.id)}
        known = await catalog(session)
        materials = (await session.execute(select(Material.code, Material.name).order_by(Material.name))).tuples().all()
    definition = definitions.get(found.instrument.definition) if found.instrument.definition in definitions else None
    told = dict(definition.codes) if definition is not None else {}
    rows = [
        CodeRow(one, told.get(one, ""), seen.get(one), *mappings.get(one, (None, None)))
        for one in {**mappings, **seen, **told}
    ]
    rows.sort(key=_most_wanted)
    return {
        "found": found,
        "definition": definition,
        "rows": rows,
        "tests": _tests(known),
        "materials": materials,
        "said": message,
    }


def _most_wanted(row: CodeRow) -> tuple[bool, bool, str]:
    """What waits first, then what was seen without a mapping, then the rest by code."""
    waiting = bool(row.seen and row.seen.waiting)
    return (not waiting, row.mapping is not None or row.seen is None, row.code)


def _tests(known: Catalog) -> Sequence[tuple[str, str, str]]:
    """Tests that a code may be: code, name, unit."""
    return [(test.code, test.name, test.unit) for test in known.test_by_code.values() if not test.panel]
