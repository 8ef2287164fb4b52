"""The shell around every screen: templates, who asks, the menu, answers in part and whole, pages of refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api.auth import SignedIn, signed_in
from api.context import database_of
from api.errors import wants_fragment
from api.screens import drawing, words
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.visibility import Role
from lis_core.storage.database import Actor
from lis_core.views.boards import Counts, menu_counts
from lis_core.views.seeing import Sight

STATIC = Path(__file__).parent.parent / "static"
THEME_COOKIE = "numune_tema"


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A screen of the menu and who has it there. `key`: the screen's name in code, also of its help text."""

    key: str
    path: str
    caption: str
    roles: tuple[Role, ...]
    also: tuple[Role, ...] = ()
    """Who may open it too, without having it in the menu."""


_LAB = (Role.TECHNICIAN, Role.SPECIALIST)
_CLINIC = (Role.PHYSICIAN, Role.FAMILY_PHYSICIAN)

MENU = (
    MenuItem("technical", "/teknik-onay", "Teknik onay", _LAB),
    MenuItem("clinical", "/klinik-onay", "Klinik onay", (Role.SPECIALIST,)),
    MenuItem("orders", "/istem", "İstem", (*_CLINIC, Role.RECEPTION), _LAB),
    MenuItem("acceptance", "/kabul", "Kabul", (Role.RECEPTION, Role.TECHNICIAN), (Role.SPECIALIST, *_CLINIC)),
    MenuItem("search", "/istemler", "İstemler", tuple(role for role in Role if role is not Role.SYSTEM)),
    MenuItem("unmatched", "/eslesmeyen", "Eşleşmeyen", _LAB),
    MenuItem("instruments", "/cihazlar", "Cihazlar", (*_LAB, Role.ADMINISTRATOR)),
)

HOME = (
    (Role.TECHNICIAN, "/teknik-onay"),
    (Role.SPECIALIST, "/klinik-onay"),
    (Role.PHYSICIAN, "/istem"),
    (Role.FAMILY_PHYSICIAN, "/istem"),
    (Role.RECEPTION, "/kabul"),
    (Role.ADMINISTRATOR, "/cihazlar"),
)
"""Where each role's work is (screens: work first)."""


def home_of(actor: Actor) -> str:
    """The screen that this person lands on."""
    return next((path for role, path in HOME if actor.has(role)), "/istemler")


def roles_of(key: str) -> tuple[Role, ...]:
    """Who may open this screen."""
    return next((*item.roles, *item.also) for item in MENU if item.key == key)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja with autoescape for everything and no silent blanks: a name that does not exist is an error."""
    made = Environment(
        loader=PackageLoader("api", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(words.FILTERS)
    made.globals.update(words.GLOBALS)
    made.globals.update(sparkline=drawing.sparkline)
    made.filters["query"] = query_text
    return made


def query_text(parameters: Mapping[str, str]) -> str:
    """Query text of the parameters that say something."""
    return urlencode({name: value for name, value in parameters.items() if value})


def asset(name: str) -> str:
    """Address of a built file, with its age in it so that a new build is fetched at once."""
    file = STATIC / "build" / name
    version = f"?{int(file.stat().st_mtime)}" if file.is_file() else ""
    return f"/static/build/{name}{version}"


@dataclass(slots=True)
class Screen:
    """One request of a signed-in person to one screen. `key`: the screen, as in MENU and the help."""

    request: Request
    key: str
    who: SignedIn

    @property
    def actor(self) -> Actor:
        return self.who.actor

    @property
    def sight(self) -> Sight:
        return Sight(self.who.actor)

    async def page(self, template: str, status: int = 200, **facts: Any) -> Response:
        """A whole page with its frame."""
        async with database_of(self.request).reading() as session:
            counts = await menu_counts(session, self.sight)
        frame = frame_facts(self.request, self.who, self.key, counts)
        return HTMLResponse(environment().get_template(template).render(**frame, **facts), status)

    def part(self, template: str, status: int = 200, **facts: Any) -> Response:
        """A part of a page."""
        text = environment().get_template(template).render(actor=self.actor, sight=self.sight, **facts)
        return HTMLResponse(text, status)


def screen(key: str) -> Callable[[Request, SignedIn], Awaitable[Screen]]:
    """A dependency: this screen for whoever may open it; NOT_ALLOWED for the others."""
    roles = roles_of(key)

    async def made(request: Request, who: Annotated[SignedIn, Depends(signed_in)]) -> Screen:
        if not who.actor.has(*roles):
            raise NumuneError(errors.NOT_ALLOWED, permission=" / ".join(role.value for role in roles))
        return Screen(request, key, who)

    return made


def frame_facts(request: Request, who: SignedIn, key: str, counts: Counts) -> dict[str, Any]:
    """What the frame of a page shows."""
    return {
        "actor": who.actor,
        "sight": Sight(who.actor),
        "form_token": who.form_token or "",
        "screen": key,
        "menu": [item for item in MENU if who.actor.has(*item.roles)],
        "home": home_of(who.actor),
        "counts": counts,
        **_look(request),
    }


def _look(request: Request) -> dict[str, Any]:
    theme = request.cookies.get(THEME_COOKIE)
    return {"theme": theme if theme in ("dark", "light") else "", "asset": asset}


def plain_page(request: Request, template: str, status: int = 200, **facts: Any) -> Response:
    """A page without frame (sign-in, refusals)."""
    return HTMLResponse(environment().get_template(template).render(**_look(request), **facts), status)


def error_page(request: Request, refusal: NumuneError) -> Response:
    """The page (or the part of a page) of a refusal; `api.errors.install` takes it."""
    facts = {"refusal": refusal, "reference": refusal.details.get("reference")}
    if wants_fragment(request):
        return HTMLResponse(
            environment().get_template("errors/part.html").render(**facts),
            refusal.status,
            headers={"HX-Retarget": "#said", "HX-Reswap": "innerHTML"},
        )
    return plain_page(request, "errors/page.html", refusal.status, **facts)


def said(sentence: str, kind: str = "good") -> Markup:
    """A sentence in a box: what came of an action. kind: good, bad, warn."""
    return Markup('<p class="said {}" role="status">{}</p>').format(kind, sentence)


__all__ = [
    "MENU",
    "Screen",
    "environment",
    "error_page",
    "home_of",
    "plain_page",
    "roles_of",
    "said",
    "screen",
    "signed_in",
]
