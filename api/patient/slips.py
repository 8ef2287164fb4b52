"""At the desk: the patient's slip of an order, and his wish not to be on the internet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select

from api.access import needs
from api.account_context import address_of, box_of
from api.auth import SignedIn, signed_in
from api.context import Db
from api.patient.pages import PATH as PATIENT_PATH
from api.patient.slip import make_slip, slip_data
from api.screens.shell import Screen, said
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services import patient_access_slips as slips
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import Institution
from lis_core.views.order_view import open_order

router = APIRouter(prefix="/istem/{number}/belge")
Number = Annotated[str, Path(max_length=22)]
Words = Annotated[str, Form(max_length=300)]


async def slip_screen(
    request: Request,
    who: Annotated[SignedIn, Depends(signed_in)],
    actor: Annotated[Actor, Depends(needs(P.ONLINE_SLIP))],
) -> Screen:
    """The page for whoever hands out slips, wherever his own work is."""
    return Screen(request, "search", who)


Desk = Annotated[Screen, Depends(slip_screen)]


@router.get("")
async def page(here: Desk, db: Db, number: Number) -> Response:
    """Whether a slip was given and used, and the form for one."""
    return await _page(here, db, number)


async def _page(here: Screen, db: Database, number: str, problem: NumuneError | None = None) -> Response:
    async with db.reading() as session:
        order, access = await open_order(session, here.sight, number, P.ONLINE_SLIP)
        state = await slips.slip_state(session, order.id, order.patient, datetime.now(UTC))
    return await here.page(
        "patient/slip.html",
        status=problem.status if problem else 200,
        number=order.number,
        patient=order.patient.full_name if access.identity else f"Hasta {order.patient.hidden_number}",
        state=state,
        address=address_of(here.request) + PATIENT_PATH,
        said=said(problem.message, "bad") if problem else None,
    )


@router.post("")
async def give(here: Desk, db: Db, number: Number, neden: Words = "") -> Response:
    """A new slip as PDF, to be printed at once: its code is shown nowhere else and never again."""
    try:
        async with db.work(here.actor) as work:
            order, _ = await open_order(work.session, here.sight, number, P.ONLINE_SLIP)
            given = await slips.issue_slip(work, box_of(here.request), order.number, neden)
            laboratory = await work.session.scalar(
                select(Institution.name).where(Institution.active).order_by(Institution.id).limit(1)
            )
            data = slip_data(given, laboratory or "Laboratuvar", address_of(here.request) + PATIENT_PATH)
            paper = await make_slip(data)  # before the commit: no code for a slip that could not be made
    except NumuneError as refusal:
        return await _page(here, db, number, refusal)
    headers = {"Content-Disposition": f'inline; filename="belge-{given.number}.pdf"'}
    return Response(paper, media_type="application/pdf", headers=headers)


@router.post("/istemiyor")
async def unwanted(here: Desk, db: Db, number: Number, aciklama: Words = "") -> Response:
    """He does not want his results on the internet."""
    return await _wish(here, db, number, aciklama, wanted=False)


@router.post("/istiyor")
async def wanted(here: Desk, db: Db, number: Number, aciklama: Words = "") -> Response:
    """He wants them there again."""
    return await _wish(here, db, number, aciklama, wanted=True)


async def _wish(here: Screen, db: Database, number: str, words: str, *, wanted: bool) -> Response:
    try:
        async with db.work(here.actor) as work:
            order, _ = await open_order(work.session, here.sight, number, P.ONLINE_SLIP)
            change = slips.allow_internet if wanted else slips.refuse_internet
            await change(work, order.number, words)
    except NumuneError as refusal:
        return await _page(here, db, number, refusal)
    return RedirectResponse(f"/istem/{order.number}/belge", status_code=303)
