"""Signing in and out, the way home, and a scan that no screen took for itself."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.access import needs, public, signed_in_only
from api.account_context import sign_on_of
from api.auth import SignedIn, begin, safe_target, sign_out, signed_in
from api.context import Db
from api.screens.shell import home_of, plain_page
from api.screens.steps import onward
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


_PROBLEMS = {
    errors.SIGN_ON_REFUSED.code: "Tek giriş tamamlanamadı. Yeniden deneyin; sürerse yöneticinize bildirin.",
    errors.IDENTITY_NOT_LINKED.code: errors.IDENTITY_NOT_LINKED.message,
    errors.ABSENT.code: "İzin, rapor, görev ya da ayrılış kaydınız olduğu için giriş yapamazsınız.",
}
"""What may have gone wrong elsewhere before this page was shown; the address carries only the code."""


def _form(request: Request, status: int = 200, **facts: Any) -> Response:
    providers = [(key, known.provider.caption) for key, known in sign_on_of(request).items()]
    return plain_page(request, "session/sign_in.html", status, providers=providers, **facts)


@router.get("/giris", dependencies=[Depends(public("giriş sayfası"))])
async def sign_in_page(request: Request, sonraki: str = "", sorun: str = "") -> Response:
    """The sign-in form."""
    problem = _PROBLEMS.get(sorun)
    return _form(request, refusal=None, problem=problem, code=sorun, username="", wanted=safe_target(sonraki))


@router.post("/giris", dependencies=[Depends(public("giriş"))])
async def sign_in_here(
    request: Request,
    kullanici: Annotated[str, Form(max_length=60)],
    parola: Annotated[str, Form(max_length=200)],
    sonraki: Annotated[str, Form()] = "",
) -> Response:
    """The first step; a refusal is shown on the form, without telling which of the two was wrong."""
    response = RedirectResponse("/", status_code=303)
    try:
        entered = await begin(request, response, kullanici.strip(), parola)
    except NumuneError as refusal:
        return _form(
            request,
            refusal.status,
            refusal=refusal,
            problem=None,
            username=kullanici.strip(),
            wanted=safe_target(sonraki),
        )
    return onward(request, entered, sonraki)


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
