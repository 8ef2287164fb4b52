"""Who asks: session cookie or bearer token, roles, and the form token that keeps other sites from posting for him."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from api.context import client_address, database_of
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.visibility import Role
from lis_core.services import users
from lis_core.storage.database import Actor
from lis_core.views.seeing import Sight

SESSION_COOKIE = "numune_oturum"
FORM_HEADER = "X-Form-Token"
FORM_FIELD = "_form"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who signed in. `form_token` belongs into every form of his pages; None for a bearer token."""

    actor: Actor
    form_token: str | None


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
    return SignedIn(replace(who.actor, address=client_address(request)), who.form_token)


async def _from_header(request: Request) -> SignedIn | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    actor = await users.actor_of_token(database_of(request), token.strip())
    return SignedIn(actor, None) if actor else None


async def _from_cookie(request: Request) -> SignedIn | None:
    if request.headers.get("authorization"):
        return None  # a wrong token is refused; it never falls back to whoever sits at this browser
    secret = request.cookies.get(SESSION_COOKIE)
    if not secret:
        return None
    found = await users.actor_of_session(database_of(request), secret)
    return SignedIn(*found) if found else None


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


def require(*roles: Role) -> Callable[[Actor], Awaitable[Actor]]:
    """A dependency that gives the actor, and refuses (NOT_ALLOWED) whoever holds none of these roles."""

    async def holder(actor: CurrentActor) -> Actor:
        if not actor.has(*roles):
            raise NumuneError(errors.NOT_ALLOWED, permission=" / ".join(role.value for role in roles))
        return actor

    return holder


LaboratoryActor = Annotated[Actor, Depends(require(Role.TECHNICIAN, Role.SPECIALIST))]
SpecialistActor = Annotated[Actor, Depends(require(Role.SPECIALIST))]
AdministratorActor = Annotated[Actor, Depends(require(Role.ADMINISTRATOR))]


# --- signing in and out, for the screens ---------------------------------------------------------------------------


async def sign_in(request: Request, response: Response, username: str, password: str) -> Actor:
    """Open a session and set its cookie on `response`. Raises BAD_CREDENTIALS, TOO_MANY_ATTEMPTS, BAD_FORM_TOKEN.

    There is no form token before a session, so the browser's own word for where the form came from is checked.
    """
    if not from_own_page(request):
        raise NumuneError(errors.BAD_FORM_TOKEN)
    actor, secret, _ = await users.sign_in(database_of(request), username, password, client_address(request))
    response.set_cookie(
        SESSION_COOKIE, secret, httponly=True, samesite="lax", secure=request.url.scheme == "https", path="/"
    )
    return actor


async def sign_out(request: Request, response: Response) -> None:
    """End the session of this browser, if it has one; the handler must depend on `signed_in` (form token)."""
    if secret := request.cookies.get(SESSION_COOKIE):
        await users.sign_out(database_of(request), secret)
    response.delete_cookie(SESSION_COOKIE, path="/")


def from_own_page(request: Request) -> bool:
    """False where the browser says that another site sent this form (Sec-Fetch-Site, else Origin)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def safe_target(wanted: str | None) -> str:
    """Where to go after signing in: a path of ours, never another site's address."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or "\n" in wanted or "\r" in wanted:
        return "/"
    return wanted
