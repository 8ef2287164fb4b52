"""Privacy: opening a record in an emergency, judging it afterwards, patients who are followed by number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from fastapi.responses import RedirectResponse, Response

from api.access import needs
from api.auth import SignedIn, signed_in
from api.context import Db
from api.screens.audit_pages import patient_by_number
from api.screens.shell import Screen, said, screen
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services import personal_data, privacy, retention
from lis_core.storage.database import Actor, Database

router = APIRouter(prefix="/gizlilik")
Here = Annotated[Screen, Depends(screen("privacy"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Words = Annotated[str, Form(max_length=500)]
Number = Annotated[str, Path(max_length=40)]


async def emergency_screen(
    request: Request,
    who: Annotated[SignedIn, Depends(signed_in)],
    actor: Annotated[Actor, Depends(needs(P.PRIVACY_EMERGENCY))],
) -> Screen:
    """The form for whoever may open a record in an emergency, wherever his own work is."""
    return Screen(request, "search", who)


Emergency = Annotated[Screen, Depends(emergency_screen)]


@router.get("")
async def page(here: Here, db: Db) -> Response:
    """What waits for a verdict, and who is followed by number."""
    return await _page(here, db)


async def _page(here: Screen, db: Database, problem: NumuneError | None = None) -> Response:
    reviewer, marker = here.actor.may(P.PRIVACY_REVIEW), here.actor.may(P.PRIVACY_MARK)
    keeper = here.actor.may(P.PRIVACY_DATA)
    async with db.reading() as session:
        waiting = await privacy.to_review(session) if reviewer else []
        judged = await privacy.to_review(session, waiting=False, limit=50) if reviewer else []
        hidden = await privacy.hidden_patients(session) if marker else []
        due = await retention.due(session, datetime.now(UTC)) if keeper else []
    return await here.page(
        "privacy/page.html",
        status=problem.status if problem else 200,
        waiting=waiting,
        judged=judged,
        hidden=hidden,
        reviewer=reviewer,
        marker=marker,
        keeper=keeper,
        due=due,
        verdicts=privacy.VERDICTS,
        kinds=privacy.KINDS,
        said=said(problem.message, "bad") if problem else None,
    )


@router.post("/degerlendir/{access_id}", dependencies=[Depends(needs(P.PRIVACY_REVIEW))])
async def judge(
    here: Here, db: Db, access_id: Id, karar: Annotated[str, Form(max_length=20)], aciklama: Words = ""
) -> Response:
    """Close one emergency access with a verdict."""
    try:
        async with db.work(here.actor) as work:
            await privacy.review(work, access_id, karar, aciklama)
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    return RedirectResponse("/gizlilik", status_code=303)


@router.post("/gizle", dependencies=[Depends(needs(P.PRIVACY_MARK))])
async def hide(
    here: Here,
    db: Db,
    hasta: Annotated[str, Form(max_length=80)],
    tur: Annotated[str, Form(max_length=20)],
    neden: Words = "",
) -> Response:
    """Follow a patient by number from now on (8.3.2.33)."""
    try:
        async with db.work(here.actor) as work:
            patient = await patient_by_number(work.session, hasta.strip())
            await privacy.hide_patient(work, patient.id, tur, neden)
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    return RedirectResponse("/gizlilik", status_code=303)


@router.post("/goster/{patient_id}", dependencies=[Depends(needs(P.PRIVACY_MARK))])
async def show(here: Here, db: Db, patient_id: Id, neden: Words = "") -> Response:
    """Follow him by name again."""
    try:
        async with db.work(here.actor) as work:
            await privacy.show_patient(work, patient_id, neden)
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    return RedirectResponse("/gizlilik", status_code=303)


@router.post("/dokum", dependencies=[Depends(needs(P.PRIVACY_DATA))])
async def take_away(here: Here, db: Db, hasta: Annotated[str, Form(max_length=80)], neden: Words = "") -> Response:
    """Everything that is kept about one person, as a ZIP (law 6698, article 11)."""
    try:
        async with db.work(here.actor) as work:
            patient = await patient_by_number(work.session, hasta.strip())
            archive = await personal_data.take_away(work, patient.id, neden)
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    headers = {"Content-Disposition": f'attachment; filename="kisisel-veri-{patient.id}.zip"'}
    return Response(archive, media_type="application/zip", headers=headers)


@router.post("/sil", dependencies=[Depends(needs(P.PRIVACY_DATA))])
async def erase(here: Here, db: Db, hasta: Annotated[str, Form(max_length=80)], neden: Words = "") -> Response:
    """Take the person away from his results, in place; cannot be undone."""
    try:
        async with db.work(here.actor) as work:
            patient = await patient_by_number(work.session, hasta.strip())
            await retention.erase_identity(work, patient.id, neden)
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    return RedirectResponse("/gizlilik", status_code=303)


@router.get("/acil/{number}")
async def ask(here: Emergency, number: Number) -> Response:
    """The form: why, and for how long. Says nothing about the patient."""
    return await _form(here, number)


async def _form(here: Screen, number: str, problem: NumuneError | None = None, reason: str = "") -> Response:
    return await here.page(
        "privacy/emergency.html",
        status=problem.status if problem else 200,
        number=number,
        reason=reason,
        usual=privacy.USUAL_MINUTES,
        least=privacy.LEAST_MINUTES,
        most=privacy.MOST_MINUTES,
        letters=privacy.SHORTEST_REASON,
        said=said(problem.message, "bad") if problem else None,
    )


@router.post("/acil/{number}")
async def open_it(
    here: Emergency,
    db: Db,
    number: Number,
    gerekce: Words = "",
    dakika: Annotated[int, Form(ge=1, le=100_000)] = privacy.USUAL_MINUTES,
) -> Response:
    """Open the records of this order's patient; from here the order opens as any other, under a notice."""
    try:
        async with db.work(here.actor) as work:
            patient_id = await privacy.patient_of(work.session, number)
            await privacy.open_in_emergency(work, patient_id, gerekce, dakika)
    except NumuneError as refusal:
        return await _form(here, number, refusal, gerekce)
    return RedirectResponse(f"/istem/{number}", status_code=303)
