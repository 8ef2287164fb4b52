"""Single sign-on: to the provider and back; tying an identity to one's own account."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from api.access import public
from api.account_context import (
    SIGN_ON_COOKIE,
    address_of,
    cookie_name,
    forget_cookie,
    is_secure,
    read_cookie,
    rules_of,
    sign_on_of,
    visitor_of,
)
from api.auth import held_session, safe_target
from api.context import Db
from api.screens.steps import onward
from lis_core.domain.errors import NumuneError
from lis_core.services import signing_in
from lis_core.services.sessions import Stage, digest
from lis_core.services.sign_on import Identity, SignOn, Started
from lis_core.storage.database import Database
from lis_core.storage.tables import PendingProof

router = APIRouter(
    prefix="/giris/tek", dependencies=[Depends(public("başka bir sağlayıcı ile giriş; kimliği o kanıtlar"))]
)
SIGN_IN, LINK = "giris", "bagla"
COOKIE_SECONDS = 600


def refused(refusal: NumuneError, *, account: bool = False) -> Response:
    """Back to where it began, with what went wrong: only its code travels in the address."""
    return RedirectResponse(f"{'/hesabim' if account else '/giris'}?{urlencode({'sorun': refusal.code})}", 303)


def gone_to(request: Request, key: str, started: Started) -> Response:
    """The way to the provider. The cookie comes back to the answer's address only."""
    response = RedirectResponse(started.url, status_code=303)
    response.set_cookie(
        cookie_name(request, SIGN_ON_COOKIE, f"/giris/tek/{key}"),
        started.secret,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
        path=f"/giris/tek/{key}",
    )
    return response


def return_address(request: Request, key: str) -> str:
    """Where the provider sends the browser back to: what is registered there."""
    return f"{address_of(request)}/giris/tek/{key}/donus"


def provider(request: Request, key: str) -> SignOn | None:
    return sign_on_of(request).get(key)


@router.get("/{key}")
async def start(request: Request, db: Db, key: str, sonraki: str = "") -> Response:
    """To the provider."""
    known = provider(request, key)
    if known is None:
        return RedirectResponse("/giris", status_code=303)
    try:
        started = await known.begin(db, return_address(request, key), SIGN_IN, safe_target(sonraki))
    except NumuneError as refusal:
        return refused(refusal)
    return gone_to(request, key, started)


@router.get("/{key}/donus")
async def back(request: Request, db: Db, key: str) -> Response:
    """From the provider: a sign-in, or an identity to be tied to the account that is open here."""
    known = provider(request, key)
    if known is None:
        return RedirectResponse("/giris", status_code=303)
    linking = False
    try:
        identity = await known.finish(
            db, dict(request.query_params), read_cookie(request, SIGN_ON_COOKIE, f"/giris/tek/{key}")
        )
        linking = identity.purpose.startswith(LINK)
        if linking:
            response = await _offered(request, db, identity)
        else:
            entered = await signing_in.enter_as(db, identity, visitor_of(request), rules_of(request))
            response = onward(request, entered, identity.wanted)
    except NumuneError as refusal:
        response = refused(refusal, account=linking)
    forget_cookie(request, response, SIGN_ON_COOKIE, f"/giris/tek/{key}")
    return response


async def _offered(request: Request, db: Database, identity: Identity) -> Response:
    """The identity waits until the person whose account it is confirms it with his password (`/hesabim`)."""
    held = await held_session(request)
    if held is None or held.stage is not Stage.FULL or identity.purpose != f"{LINK}:{held.actor.user_id}":
        return RedirectResponse("/giris", status_code=303)
    async with db.work(held.actor) as work:
        key = f"{held.session_id}:{LINK}"
        known = await work.session.get(PendingProof, digest(key), with_for_update=True)
        if known is not None:
            await work.session.delete(known)
            await work.session.flush()
        work.session.add(
            PendingProof(
                secret_hash=digest(key),
                kind=LINK,
                facts={
                    "kullanici": held.actor.user_id,
                    "saglayici": identity.issuer,
                    "kimlik": identity.subject,
                    "ad": identity.name,
                },
                expires_at=work.now + signing_in.LINK_LENGTH,
            )
        )
    return RedirectResponse("/hesabim?bagla=1#tek-giris", status_code=303)
