"""Web servis istemcileri: programs with their own scopes and tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from fastapi.responses import RedirectResponse, Response

from api.account_context import rules_of
from api.context import Db
from api.screens.shell import Screen, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import REGISTRY, P
from lis_core.services import tokens
from lis_core.storage.database import Database

router = APIRouter(prefix="/istemciler")
Here = Annotated[Screen, Depends(screen("clients"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form(max_length=300)]
Days = Annotated[int, Form(alias="gun", ge=1, le=3660)]

_DONE = {
    "iptal": "Belirteç iptal edildi; artık hiçbir kapıyı açmaz.",
    "kapali": "İstemci kapatıldı; bütün belirteçleri iptal edildi.",
}


async def _page(here: Screen, db: Database, **more: Any) -> Response:
    async with db.reading() as session:
        found = await tokens.clients(session, datetime.now(UTC))
    refusal: NumuneError | None = more.get("refusal")
    return await here.page(
        "clients/page.html",
        refusal.status if refusal else 200,
        clients=found,
        scopes=[(code.value, about.caption) for code, about in REGISTRY.items()],
        captions={code.value: about.caption for code, about in REGISTRY.items()},
        rules=rules_of(here.request),
        **{"refusal": None, "done": None, "token": None, "of": "", **more},
    )


@router.get("")
async def page(here: Here, db: Db, oldu: str = "") -> Response:
    """Every client with its tokens: when they end, when and from where they were used."""
    return await _page(here, db, done=_DONE.get(oldu))


@router.post("")
async def add(
    here: Here,
    db: Db,
    ad: Text = "",
    amac: Text = "",
    kapsam: Annotated[list[str] | None, Form(max_length=100)] = None,
    days: Days = 90,
) -> Response:
    """A client and its first token, which is shown once."""
    known = {code.value for code in P}
    try:
        if unknown := set(kapsam or ()) - known:
            raise NumuneError(errors.BAD_CLIENT, problem=f"bilinmeyen kapsam {', '.join(sorted(unknown))[:80]}")
        async with db.work(here.actor) as work:
            client = await tokens.create_client(work, ad, amac, kapsam or ())
            token = await tokens.issue_token(work, client.id, days, rules_of(here.request))
    except NumuneError as refusal:
        return await _page(here, db, refusal=refusal)
    return await _page(here, db, token=token, of=client.name)


@router.post("/{client_id}/yenile")
async def rotate(
    here: Here, db: Db, client_id: Id, days: Days = 90, gecis: Annotated[int, Form(ge=0, le=720)] = 24
) -> Response:
    """A new token; the old ones work for some more hours, so that the program can be changed over."""
    try:
        async with db.work(here.actor) as work:
            token = await tokens.rotate_token(work, client_id, days, timedelta(hours=gecis), rules_of(here.request))
    except NumuneError as refusal:
        return await _page(here, db, refusal=refusal)
    return await _page(here, db, token=token, of="")


@router.post("/{client_id}/belirtec/{token_id}/iptal")
async def revoke(here: Here, db: Db, client_id: Id, token_id: Id) -> Response:
    """A token opens nothing from now on."""
    async with db.work(here.actor) as work:
        await tokens.revoke_token(work, client_id, token_id)
    return RedirectResponse("/istemciler?oldu=iptal", status_code=303)


@router.post("/{client_id}/kapat")
async def close(here: Here, db: Db, client_id: Id) -> Response:
    """The client and all its tokens end."""
    async with db.work(here.actor) as work:
        await tokens.close_client(work, client_id)
    return RedirectResponse("/istemciler?oldu=kapali", status_code=303)
