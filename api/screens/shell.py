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

from api.access import Access, Who, declare
from api.auth import SignedIn, signed_in
from api.context import database_of
from api.errors import wants_fragment
from api.screens import drawing, words
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.storage.database import Actor
from lis_core.views.boards import Counts, menu_counts
from lis_core.views.seeing import Sight

STATIC = Path(__file__).parent.parent / "static"
THEME_COOKIE = "numune_tema"


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A screen, and what one needs for it. `key`: the screen's name in code, also of its help text.

    unless: who holds this has the screen too, but not in the menu: his work is elsewhere.
    """

    key: str
    path: str
    caption: str
    access: Access
    unless: P | None = None

    def listed(self, actor: Actor) -> bool:
        """True where it stands in this person's menu."""
        return self.access.admits(actor) and (self.unless is None or not actor.may(self.unless))


def _held(*permissions: P, any_of: bool = False) -> Access:
    return Access(Who.HOLDERS, permissions, any_of)


MENU = (
    MenuItem("technical", "/teknik-onay", "Teknik onay", _held(P.RESULT_TECHNICAL)),
    MenuItem("clinical", "/klinik-onay", "Klinik onay", _held(P.RESULT_CLINICAL)),
    MenuItem("orders", "/istem", "İstem", _held(P.ORDER_ENTER), unless=P.RESULT_VIEW_UNAPPROVED),
    MenuItem(
        "acceptance",
        "/kabul",
        "Kabul",
        _held(P.SPECIMEN_ACCEPT, P.SPECIMEN_COLLECT, P.SPECIMEN_DISPATCH, any_of=True),
        unless=P.RESULT_CLINICAL,
    ),
    MenuItem("search", "/istemler", "İstemler", _held(P.ORDER_VIEW)),
    MenuItem("unmatched", "/eslesmeyen", "Eşleşmeyen", _held(P.UNMATCHED_VIEW, P.RESULT_VIEW_UNAPPROVED)),
    MenuItem("instruments", "/cihazlar", "Cihazlar", _held(P.INSTRUMENT_VIEW)),
    MenuItem("people", "/kisiler", "Kişiler", _held(P.USER_VIEW)),
    MenuItem("permissions", "/yetkiler", "Yetkiler", _held(P.RIGHTS_VIEW)),
    MenuItem("clients", "/istemciler", "Web servis", _held(P.SYSTEM_MANAGE)),
    MenuItem("audit", "/denetim", "Denetim", _held(P.AUDIT_VIEW)),
    MenuItem(
        "privacy",
        "/gizlilik",
        "Gizlilik",
        _held(P.PRIVACY_MARK, P.PRIVACY_REVIEW, P.PRIVACY_DATA, P.ONLINE_MANAGE, any_of=True),
    ),
)

HOME = (
    (P.RESULT_CLINICAL, "/klinik-onay"),
    (P.RESULT_TECHNICAL, "/teknik-onay"),
    (P.SPECIMEN_ACCEPT, "/kabul"),
    (P.ORDER_ENTER, "/istem"),
    (P.SPECIMEN_DISPATCH, "/kabul"),
    (P.INSTRUMENT_VIEW, "/cihazlar"),
    (P.ORDER_VIEW, "/istemler"),
)
"""Where the work of whoever holds this is (screens: work first); the first that fits."""


def home_of(actor: Actor) -> str:
    """The screen that this person lands on."""
    return next((path for permission, path in HOME if actor.may(permission)), "/yardim")


def access_to(key: str) -> Access:
    """What one needs for this screen."""
    return next(item.access for item in MENU if item.key == key)


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
    access = access_to(key)

    async def made(request: Request, who: Annotated[SignedIn, Depends(signed_in)]) -> Screen:
        access.check(who.actor)
        return Screen(request, key, who)

    declare(made, access)
    return made


def frame_facts(request: Request, who: SignedIn, key: str, counts: Counts) -> dict[str, Any]:
    """What the frame of a page shows."""
    return {
        "actor": who.actor,
        "sight": Sight(who.actor),
        "form_token": who.form_token or "",
        "screen": key,
        "menu": [item for item in MENU if item.listed(who.actor)],
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
    facts = {"refusal": refusal, "reference": refusal.details.get("reference"), **_where_given(request, refusal)}
    if wants_fragment(request):
        return HTMLResponse(
            environment().get_template("errors/part.html").render(**facts),
            refusal.status,
            headers={"HX-Retarget": "#said", "HX-Reswap": "innerHTML"},
        )
    return plain_page(request, "errors/page.html", refusal.status, heading=heading_of(refusal), **facts)


_HEADINGS = {
    errors.NOT_ALLOWED.code: "Bunun için yetkiniz yok",
    errors.NOT_YOUR_LABORATORY.code: "Bunun için yetkiniz yok",
    errors.BAD_FORM_TOKEN.code: "Sayfa eskimiş; işlem yapılmadı",
    errors.CONFIRM_NEEDED.code: "Parolanızı yeniden girmeniz gerekiyor",
}
_HEADINGS_BY_STATUS = {
    404: "Aradığınız bulunamadı",
    500: "Beklenmeyen bir hata oldu",
    503: "Sistem şu anda yanıt veremiyor",
}


def heading_of(refusal: NumuneError) -> str:
    """What the page of a refusal is called: not every 403 is about permissions."""
    return _HEADINGS.get(refusal.code) or _HEADINGS_BY_STATUS.get(refusal.status, "İşlem yapılamadı")


def _where_given(request: Request, refusal: NumuneError) -> dict[str, Any]:
    """The codes that are missing and, for whoever may look there, the pages where such a permission is given."""
    codes = refusal.details.get("codes")
    missing = [code for code in codes if code in set(P)] if isinstance(codes, list) else []
    actor = getattr(request.state, "actor", None)
    if not missing or actor is None or not actor.may(P.RIGHTS_VIEW):
        return {"missing": missing, "place": None}
    person = f"/yetkiler/kisi/{actor.user_id}?yetki={missing[0]}"
    return {
        "missing": missing,
        "place": {"permissions": [(code, P(code).caption) for code in missing], "person": person},
    }


def said(sentence: str, kind: str = "good") -> Markup:
    """A sentence in a box: what came of an action. kind: good, bad, warn."""
    return Markup('<p class="said {}" role="status">{}</p>').format(kind, sentence)


__all__ = [
    "MENU",
    "Screen",
    "access_to",
    "environment",
    "error_page",
    "home_of",
    "plain_page",
    "said",
    "screen",
    "signed_in",
]
