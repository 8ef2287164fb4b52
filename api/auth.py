"""Who asks: session cookie or bearer token, and the form token that keeps other sites from posting for him."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from api.account_context import (
    SESSION_COOKIE,
    forget_cookie,
    read_cookie,
    rules_of,
    set_device_cookie,
    set_session_cookie,
    visitor_of,
)
from api.context import client_address, database_of
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services import signing_in, users
from lis_core.services.sessions import Held, Stage
from lis_core.services.signing_in import Entered
from lis_core.storage.database import Actor
from lis_core.views.seeing import Sight

FORM_HEADER = "X-Form-Token"
FORM_FIELD = "_form"
IDLE_HEADER = "X-Idle"
"""A page that renews itself sends it: nobody works there, so the session does not live longer for it."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who signed in. `form_token` belongs into every form of his pages; None for a bearer token."""

    actor: Actor
    form_token: str | None
    held: Held | None = None
    """His session; None for a bearer token."""


async def signed_in(request: Request) -> SignedIn:
    """The person behind this request. Raises NOT_SIGNED_IN.

    A request that changes something and proves itself with the cookie must also carry the form token (header
    `X-Form-Token` or field `_form`), whichever handler it goes to: BAD_FORM_TOKEN otherwise.
    """
    who = await _from_header(request) or await _from_cookie(request)
    if who is None:
        raise NumuneError(errors.NOT_SIGNED_IN)
    if who.form_token is not None and request.method not in SAFE_METHODS:
        await _check_form_token(request, who.form_token)
    signed = replace(who, actor=replace(who.actor, address=client_address(request)))
    request.state.actor = signed.actor  # a refusal is kept under his name
    return signed


async def _from_header(request: Request) -> SignedIn | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    actor = await users.actor_of_token(database_of(request), token.strip()[:200], client_address(request))
    return SignedIn(actor, None) if actor else None


async def _from_cookie(request: Request) -> SignedIn | None:
    held = await held_session(request)
    if held is None or held.stage is not Stage.FULL:
        return None
    return SignedIn(held.actor, held.form_token, held)


async def held_session(request: Request) -> Held | None:
    """The session of this browser, finished or not."""
    if request.headers.get("authorization"):
        return None  # a wrong token is refused; it never falls back to whoever sits at this browser
    secret = read_cookie(request, SESSION_COOKIE)
    if not secret:
        return None
    idle = IDLE_HEADER in request.headers or request.url.path == "/olay"
    return await users.session_behind(
        database_of(request), secret[:100], visitor_of(request), rules_of(request), idle=idle
    )


async def half_signed_in(request: Request) -> Held:
    """Somebody on his way in (or in), for the pages of the next step. Raises NOT_SIGNED_IN, BAD_FORM_TOKEN."""
    held = await held_session(request)
    if held is None:
        raise NumuneError(errors.NOT_SIGNED_IN)
    if request.method not in SAFE_METHODS:
        await _check_form_token(request, held.form_token)
    return replace(held, actor=replace(held.actor, address=client_address(request)))


async def _check_form_token(request: Request, expected: str) -> None:
    given = request.headers.get(FORM_HEADER)
    if given is None and "form" in request.headers.get("content-type", ""):
        field = (await request.form()).get(FORM_FIELD)
        given = field if isinstance(field, str) else None
    if given is None or not hmac.compare_digest(given.encode(), expected.encode()):
        raise NumuneError(errors.BAD_FORM_TOKEN)


CurrentSignedIn = Annotated[SignedIn, Depends(signed_in)]


async def current_actor(who: CurrentSignedIn) -> Actor:
    """The acting person; his address is the one of this request."""
    return who.actor


CurrentActor = Annotated[Actor, Depends(current_actor)]


async def sight_of(actor: CurrentActor) -> Sight:
    """What the asking person may open and read."""
    return Sight(actor)


CurrentSight = Annotated[Sight, Depends(sight_of)]


# --- signing in and out, for the screens ---------------------------------------------------------------------------


async def sign_in(request: Request, response: Response, username: str, password: str) -> Actor:
    """As `begin`, for whom no further step waits: the actor."""
    return (await begin(request, response, username, password)).actor


async def begin(request: Request, response: Response, username: str, password: str) -> Entered:
    """The first step; sets cookies on `response`. Raises BAD_CREDENTIALS, TOO_MANY_ATTEMPTS, ABSENT, BAD_FORM_TOKEN.

    There is no form token before a session, so the browser's own word for where the form came from is checked.
    """
    if not from_own_page(request):
        raise NumuneError(errors.BAD_FORM_TOKEN)
    entered = await signing_in.enter(database_of(request), username, password, visitor_of(request), rules_of(request))
    let_in(request, response, entered)
    return entered


def let_in(request: Request, response: Response, entered: Entered) -> None:
    """Give the browser the secrets of a step that succeeded."""
    set_session_cookie(request, response, entered.opened.secret)
    set_device_cookie(request, response, entered.device)


async def sign_out(request: Request, response: Response) -> None:
    """End the session of this browser, if it has one; the handler must depend on `signed_in` (form token)."""
    if secret := read_cookie(request, SESSION_COOKIE):
        await users.sign_out(database_of(request), secret)
    forget_cookie(request, response, SESSION_COOKIE)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'  # the next person at this PC finds nothing of his pages


def from_own_page(request: Request) -> bool:
    """False where the browser says that another site sent this form (Sec-Fetch-Site, else Origin)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def safe_target(wanted: str | None) -> str:
    """Where to go after signing in: a path of ours, never another site's address."""
    if not wanted or not wanted.startswith("/") or len(wanted) > 500 or any(sign <= " " for sign in wanted):
        return "/"  # a browser drops tabs and line ends: "/\t/other.site" would be another site
    return "/" if wanted.replace("\\", "/").startswith("//") else wanted
