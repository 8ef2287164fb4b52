"""Instruments: what is wrong with this line, in words; their latest messages; service switch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import Response
from markupsafe import Markup

from api.access import needs
from api.context import Db
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.instruments import set_service
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.views.boards import instruments_board, raw_messages
from lis_core.views.lines import undeclared_codes
from lis_core.views.work_steps import step_counts

router = APIRouter(prefix="/cihazlar")
Here = Annotated[Screen, Depends(screen("instruments"))]
Trouble = Annotated[bool, Query(alias="sorunlu")]
Text = Annotated[str, Form(max_length=300)]


async def _board(db: Database) -> list[Any]:
    now = datetime.now(UTC)
    today = now.astimezone(ISTANBUL).replace(hour=0, minute=0, second=0, microsecond=0)
    async with db.reading() as session:
        return list(await instruments_board(session, now, today))


@router.get("")
async def page(
    here: Here, db: Db, trouble: Trouble = False, opened: Annotated[str, Query(alias="ac", max_length=30)] = ""
) -> Response:
    """Every instrument with its lines and their live state; `ac`: the one to begin with (where somebody came from)."""
    async with db.reading() as session:
        waiting = len(await undeclared_codes(session)) if here.actor.may(P.UNMATCHED_VIEW) else 0
    facts: dict[str, Any] = {"cards": await _board(db), "trouble": trouble, "undeclared": waiting, "opened": opened}
    return await here.page("instruments/page.html", **facts)


@router.get("/tahta")
async def board(here: Here, db: Db) -> Response:
    """The board, as a part that renews itself."""
    return here.part("instruments/board.html", cards=await _board(db), trouble=False, opened="")


@router.get("/{code}")
async def detail(here: Here, db: Db, code: str, trouble: Trouble = False) -> Response:
    """One instrument: its lines in full and its latest messages."""
    return await _detail(here, db, code, trouble, None)


@router.post("/{code}/hizmet", dependencies=[Depends(needs(P.INSTRUMENT_SERVICE))])
async def service(
    here: Here,
    db: Db,
    code: str,
    trouble: Trouble = False,
    hizmette: Text = "",
    note: Annotated[str, Form(alias="not", max_length=300)] = "",
) -> Response:
    """Take an instrument out of service, or back (INTRO.24)."""
    async with db.work(here.actor) as work:
        await set_service(work, code, bool(hizmette), note)
    word = "hizmete alındı" if hizmette else "hizmetten çıkarıldı; bekleyen işleri başka cihaz alabilir"
    return await _detail(here, db, code, trouble, said(f"Cihaz {word}."))


async def _detail(here: Screen, db: Database, code: str, trouble: bool, message: Markup | None) -> Response:
    card = next((card for card in await _board(db) if card.code == code), None)
    if card is None:
        raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
    async with db.reading() as session:
        messages = await raw_messages(session, instrument=code, trouble_only=trouble)
        steps = await step_counts(session, code)
    return here.part(
        "instruments/detail.html", card=card, messages=messages, trouble=trouble, said=message, steps=steps
    )
