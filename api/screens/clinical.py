"""Clinical approval (9.7): patients ready, panic first; everything of 9.7.4 on one screen; works from anywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import PlainTextResponse, Response
from markupsafe import Markup

from api.context import Db
from api.screens import approving
from api.screens.approving import Chosen, Filters, Text, asked_ids, now_utc, of_order
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.states import TestState
from lis_core.services.approvals import approve_clinically, request_repeat, withdraw
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.views.picture import order_picture, repeat_instruments
from lis_core.views.picture_shapes import Picture, Row
from lis_core.views.worklists import clinical_worklist, released_lately, what_became

router = APIRouter(prefix="/klinik-onay")
Here = Annotated[Screen, Depends(screen("clinical"))]
Asked = Annotated[Filters, Depends(approving.filters)]
Released = Annotated[bool, Query(alias="onayli")]


async def _list_facts(here: Screen, db: Database, asked: Filters, released: bool, known: list[str]) -> dict[str, Any]:
    async with db.reading() as session:
        found = await clinical_worklist(session, here.actor, group=asked.group, sign=asked.sign, search=asked.search)
        today = datetime.now(ISTANBUL).replace(hour=0, minute=0, second=0, microsecond=0)
        lately = await released_lately(session, here.actor, today) if released else []
        gone = set(known) - {order.number for order in found.orders} if not released else set()
        became = await what_became(session, here.actor, gone, now_utc() - approving.LOOK_BACK)
    return {"list": found, "asked": asked, "released": released, "released_orders": lately, "became": became}


@router.get("")
async def page(here: Here, db: Db, asked: Asked, released: Released = False) -> Response:
    """Patients with results that wait for this specialist, panic first."""
    return await here.page("clinical/page.html", **await _list_facts(here, db, asked, released, []))


@router.get("/liste")
async def listed(
    here: Here,
    db: Db,
    asked: Asked,
    known: Annotated[list[str], Depends(approving.known_numbers)],
    released: Released = False,
) -> Response:
    """The list again, with what left it greyed."""
    return here.part("clinical/list.html", **await _list_facts(here, db, asked, released, known))


@router.get("/okut")
async def scanned(here: Here, db: Db, metin: Annotated[str, Query(max_length=60)]) -> Response:
    """The order's number of a scanned tube, as text."""
    async with db.reading() as session:
        return PlainTextResponse(await approving.order_of_scan(session, metin))


@router.get("/{number}")
async def picture(here: Here, db: Db, number: str) -> Response:
    """A patient's whole picture."""
    return await _shown(here, db, await _found(here, db, number))


@router.post("/{number}/onayla")
async def approve(
    here: Here,
    db: Db,
    number: str,
    sonuc: Annotated[Chosen, Form()] = [],  # noqa: B006
    simdiki: Text = "",
    gerekce: Text = "",
) -> Response:
    """Release the chosen results, with a reason where one was written (9.7.6c)."""
    ids = asked_ids(sonuc, simdiki)
    async with db.work(here.actor) as work:
        outcomes = await approve_clinically(work, await of_order(work.session, number, ids), gerekce.strip())
    found = await _found(here, db, number)
    left = len(_waiting(found))
    return await _shown(here, db, found, message=approving.tell(outcomes, "klinik onay aldı", left), acted=left)


@router.post("/{number}/hepsi")
async def approve_all(
    here: Here,
    db: Db,
    number: str,
    gosterilen: Annotated[Chosen, Form()] = [],  # noqa: B006
) -> Response:
    """Release every result of the patient that waits and was on the screen when the key was pressed."""
    waiting = {row.result_id for row in _waiting(await _found(here, db, number))}
    ids = [result_id for result_id in asked_ids(gosterilen, "") if result_id in waiting] if gosterilen else []
    async with db.work(here.actor) as work:
        outcomes = await approve_clinically(work, ids) if ids else []
    found = await _found(here, db, number)
    left = len(_waiting(found))
    if not ids:
        return await _shown(here, db, found, message=said("Klinik onay bekleyen sonuç yok.", "warn"), acted=left)
    return await _shown(here, db, found, message=approving.tell(outcomes, "klinik onay aldı", left), acted=left)


@router.post("/{number}/tekrar")
async def repeat(
    here: Here,
    db: Db,
    number: str,
    sonuc: Annotated[Chosen, Form()] = [],  # noqa: B006
    simdiki: Text = "",
    tekrar_nedeni: Text = "",
    cihaz: Text = "",
) -> Response:
    """Repeat, on the instrument that the specialist names, the reason may be left empty (9.7.6a)."""
    ids = sorted(asked_ids(sonuc, simdiki))
    async with db.work(here.actor) as work:
        for result_id in await of_order(work.session, number, ids):
            await request_repeat(work, result_id, tekrar_nedeni.strip(), cihaz or None)
    return await _after(here, db, number, said(f"{len(ids)} tetkik tekrara gönderildi."))


@router.post("/{number}/geri")
async def take_back(
    here: Here,
    db: Db,
    number: str,
    sonuc: Annotated[Chosen, Form()] = [],  # noqa: B006
    simdiki: Text = "",
    geri_nedeni: Text = "",
) -> Response:
    """Take the last approval back, with a reason."""
    ids = sorted(asked_ids(sonuc, simdiki))
    async with db.work(here.actor) as work:
        for result_id in await of_order(work.session, number, ids):
            await withdraw(work, result_id, geri_nedeni.strip())
    return await _after(here, db, number, said(f"{len(ids)} sonucun son onayı geri alındı.", "warn"))


@router.get("/{number}/grafik")
async def chart(here: Here, db: Db, number: str, tetkik: Annotated[str, Query(max_length=19)] = "") -> Response:
    """The day's results of the test under the hand, and the patient's trend (9.7.13b)."""
    row = approving.row_of(await _found(here, db, number), tetkik)
    if not row.shown_to_clinic:
        raise NumuneError(errors.NOT_TECHNICALLY_APPROVED, test=row.code)
    async with db.reading() as session:
        drawn = await approving.charts_of(session, here.sight, row)
    return here.part("approval/chart.html", row=row, points=drawn.points, chart=drawn.chart, trend=drawn.trend)


# -- the picture


def _waiting(found: Picture) -> list[Row]:
    return [row for row in found.rows if row.in_laboratory and row.state is TestState.TECHNICALLY_APPROVED]


async def _found(here: Screen, db: Database, number: str) -> Picture:
    async with db.reading() as session:
        found = await order_picture(session, here.sight, number)
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{number} numaralı istem")
    return found


async def _after(here: Screen, db: Database, number: str, message: Markup) -> Response:
    found = await _found(here, db, number)
    return await _shown(here, db, found, message=message, acted=len(_waiting(found)))


async def _shown(
    here: Screen, db: Database, found: Picture, *, message: Markup | None = None, acted: int | None = None
) -> Response:
    async with db.reading() as session:
        instruments = await repeat_instruments(session, [row.test_id for row in found.rows if row.in_laboratory])
    return here.part(
        "clinical/picture.html",
        picture=found,
        instruments=instruments,
        said=message,
        acted=acted,
        now=now_utc(),
        first=approving.first_row(_waiting(found)),
    )
