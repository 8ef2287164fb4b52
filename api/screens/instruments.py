"""Instruments: what is wrong with this line, in words; traffic with visible control characters; service switch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import Response
from markupsafe import Markup

from api.context import Db, context_of
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.instruments import set_service
from lis_core.services.replay import replay
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.views.boards import instruments_board, message_picture, raw_messages

router = APIRouter(prefix="/cihazlar")
Here = Annotated[Screen, Depends(screen("instruments"))]
Trouble = Annotated[bool, Query(alias="sorunlu")]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form(max_length=300)]


async def _board(db: Database) -> list[Any]:
    now = datetime.now(UTC)
    today = now.astimezone(ISTANBUL).replace(hour=0, minute=0, second=0, microsecond=0)
    async with db.reading() as session:
        return list(await instruments_board(session, now, today))


@router.get("")
async def page(here: Here, db: Db, trouble: Trouble = False) -> Response:
    """Every instrument with its lines and their live state."""
    return await here.page("instruments/page.html", cards=await _board(db), trouble=trouble)


@router.get("/tahta")
async def board(here: Here, db: Db) -> Response:
    """The board, as a part that renews itself."""
    return here.part("instruments/board.html", cards=await _board(db), trouble=False)


@router.get("/mesaj/{message_id}")
async def message(here: Here, db: Db, message_id: Id) -> Response:
    """A raw message beside what was read from it."""
    return await _message(here, db, message_id, None)


@router.post("/mesaj/{message_id}/yeniden")
async def again(here: Here, db: Db, message_id: Id) -> Response:
    """Read the kept message again with today's definitions."""
    if not here.sight.in_laboratory:
        raise NumuneError(errors.NOT_ALLOWED, permission="mesajı yeniden işleme")
    outcome = (await replay(db, [message_id], here.actor, await context_of(here.request).reread()))[0]
    if outcome.problem:
        return await _message(here, db, message_id, said(outcome.problem, "warn"))
    sentence = f"Yeniden işlendi: {outcome.results} sonuç bağlandı, {outcome.unmatched} eşleşmeyen kaldı."
    return await _message(here, db, message_id, said(sentence))


@router.get("/{code}")
async def detail(here: Here, db: Db, code: str, trouble: Trouble = False) -> Response:
    """One instrument: its lines in full and its latest messages."""
    return await _detail(here, db, code, trouble, None)


@router.post("/{code}/hizmet")
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
    return here.part("instruments/detail.html", card=card, messages=messages, trouble=trouble, said=message)


async def _message(here: Screen, db: Database, message_id: int, message: Markup | None) -> Response:
    async with db.reading() as session:
        found = await message_picture(session, here.sight, message_id)
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Ham mesaj {message_id}")
    return here.part("instruments/message.html", message=found, said=message)
