"""The load list of an analyser that reads no barcode (9.5.2): scan the tubes in the order in which they are loaded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import select

from api.access import needs
from api.context import Db
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.loading import load_tube, unload
from lis_core.storage.database import Database
from lis_core.storage.tables import Instrument
from lis_core.views.loading import loaded_tubes

router = APIRouter(prefix="/cihazlar", dependencies=[Depends(needs(P.SPECIMEN_ACCEPT))])
Here = Annotated[Screen, Depends(screen("instruments"))]
Text = Annotated[str, Form(max_length=40)]


@router.get("/{code}/yukleme")
async def page(here: Here, db: Db, code: str) -> Response:
    """The list of one analyser, with the field that takes the next tube."""
    return await here.page("loading/page.html", **await _facts(db, code))


@router.get("/{code}/yukleme/liste")
async def rows(here: Here, db: Db, code: str) -> Response:
    """The list, as a part that renews itself."""
    return here.part("loading/rows.html", **await _facts(db, code))


@router.post("/{code}/yukleme")
async def put(here: Here, db: Db, code: str, barkod: Text = "", konum: Text = "") -> Response:
    """Put a tube at a place, or at the next free one."""
    if not barkod.strip():
        raise NumuneError(errors.INVALID_INPUT, problem="barkod boş")
    async with db.work(here.actor) as work:
        done = await load_tube(work, code, barkod.strip(), konum)
    return await _list(here, db, code, said(f"{done.place}. konum: {done.barcode} ({', '.join(done.tests)})"))


@router.post("/{code}/yukleme/cikar")
async def take(here: Here, db: Db, code: str, konum: Text = "") -> Response:
    """Take the tube from a place."""
    async with db.work(here.actor) as work:
        await unload(work, code, konum)
    return await _list(here, db, code, said(f"{konum}. konum boşaltıldı.", "warn"))


@router.post("/{code}/yukleme/yeni")
async def begin(here: Here, db: Db, code: str) -> Response:
    """A new load: the places are free again; results that still come from the old one wait for a person."""
    async with db.work(here.actor) as work:
        count = await unload(work, code)
    return await _list(here, db, code, said(f"Yeni liste: {count} konum boşaltıldı. İlk tüpü okutun."))


async def _list(here: Screen, db: Database, code: str, message: Markup) -> Response:
    return here.part("loading/changed.html", said=message, **await _facts(db, code))


async def _facts(db: Database, code: str) -> dict[str, Any]:
    async with db.reading() as session:
        instrument = await session.scalar(select(Instrument).where(Instrument.code == code))
        if instrument is None:
            raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
        return {"instrument": instrument, "tubes": await loaded_tubes(session, code)}
