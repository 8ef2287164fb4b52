"""Signing in and out, the way home, and a scan that no screen took for itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.access import needs, public, signed_in_only
from api.auth import SignedIn, safe_target, sign_in, sign_out, signed_in
from api.context import Db
from api.screens.shell import home_of, plain_page
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.specimens import find_scanned
from lis_core.storage.tables import Order

router = APIRouter()
Who = Annotated[SignedIn, Depends(signed_in)]


@router.get("/", dependencies=[Depends(signed_in_only("kişinin kendi ekranına yönlendirir"))])
async def home(who: Who) -> RedirectResponse:
    """Each role lands on its own work."""
    return RedirectResponse(home_of(who.actor), status_code=303)


@router.get("/giris", dependencies=[Depends(public("giriş sayfası"))])
async def sign_in_page(request: Request, sonraki: str = "") -> Response:
    """The sign-in form."""
    return plain_page(request, "session/sign_in.html", refusal=None, username="", wanted=safe_target(sonraki))


@router.post("/giris", dependencies=[Depends(public("giriş"))])
async def sign_in_here(
    request: Request,
    kullanici: Annotated[str, Form(max_length=60)],
    parola: Annotated[str, Form(max_length=200)],
    sonraki: Annotated[str, Form()] = "",
) -> Response:
    """Open a session; a refusal is shown on the form, without telling which of the two was wrong."""
    response = RedirectResponse("/", status_code=303)
    try:
        actor = await sign_in(request, response, kullanici.strip(), parola)
    except NumuneError as refusal:
        return plain_page(
            request,
            "session/sign_in.html",
            refusal.status,
            refusal=refusal,
            username=kullanici.strip(),
            wanted=safe_target(sonraki),
        )
    target = safe_target(sonraki)
    response.headers["location"] = home_of(actor) if target == "/" else target
    return response


@router.post("/cikis", dependencies=[Depends(signed_in_only("kendi oturumunu kapatır"))])
async def sign_out_here(request: Request, who: Who) -> Response:
    """End the session of this browser."""
    response = RedirectResponse("/giris", status_code=303)
    await sign_out(request, response)
    return response


@router.get("/okut", dependencies=[Depends(needs(P.ORDER_VIEW))])
async def scanned(db: Db, who: Who, metin: Annotated[str, Query(max_length=60)]) -> RedirectResponse:
    """A scan on a screen that has no use for it opens the order it belongs to. Raises UNKNOWN_BARCODE."""
    async with db.reading() as session:
        found = await find_scanned(session, metin)
        order = await session.get(Order, found.order_id) if found else None
    if order is None:
        raise NumuneError(errors.UNKNOWN_BARCODE, barcode=metin)
    return RedirectResponse(f"/istem/{order.number}", status_code=303)
