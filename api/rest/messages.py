"""Raw messages: the list, one with its bytes, and reading one again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from api.access import needs
from api.context import Db, context_of
from api.rest.inputs import Code, Cursor, Limit, PathId
from api.rest.lists import answer_page
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.replay import replay
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import RawMessage
from lis_core.views.boards import message_picture
from lis_core.views.order_view import here
from lis_core.views.seeing import Sight
from lis_core.views.traffic import MESSAGE_STATES, MessageRow, list_messages, message_state, visible_text

router = APIRouter(tags=["Ham mesaj"])

Watcher = Annotated[Actor, Depends(needs(P.MESSAGE_VIEW))]
Replayer = Annotated[Actor, Depends(needs(P.MESSAGE_REPLAY))]
StateName = Literal["processed", "partly", "repeat", "incomplete", "failed", "query", "empty"]


@router.get("/raw-messages", summary="Cihazlardan gelen ham mesajlar")
async def read(
    request: Request,
    response: Response,
    actor: Watcher,
    db: Db,
    instrument: Annotated[Code | None, Query(description="Cihaz kodu")] = None,
    state: Annotated[StateName | None, Query(description="Mesajın durumu")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Sequence[MessageRow]:
    """En yeni önce; içerik tek mesaj çağrısındadır."""
    stored = MESSAGE_STATES[state] if state else None
    async with db.reading() as session:
        page = await list_messages(session, instrument=instrument, state=stored, limit=limit, cursor=cursor)
    return answer_page(request, response, page)


class ReadOut(BaseModel):
    """Something read from the message. `kind`: sonuc, eslesmeyen, kontrol; `value` null: not for this caller."""

    kind: str
    record: int | None
    specimen: str
    instrument_test: str
    test: str
    value: str | None
    unit: str
    flag: str
    note: str


class MessageOut(BaseModel):
    """A raw message. `text` has control characters by name; `content` is the bytes in base64.

    Both are null for whoever may not see every value in it.
    """

    id: int
    key: str
    instrument: str
    line: str
    received_at: datetime
    protocol: str
    definition: str
    revision: int
    state: str
    problem: str
    results: int
    unmatched: int
    size: int
    repeats: int | None
    text: str | None
    content: str | None
    read: list[ReadOut]


@router.get("/raw-messages/{message_id}", summary="Bir ham mesaj, içeriği ve ondan okunanlar")
async def read_one(message_id: PathId, actor: Watcher, db: Db) -> MessageOut:
    """Mesajın baytları, görünür denetim karakterleri ile metni ve ondan okunan sonuçlar."""
    async with db.reading() as session:
        picture = await message_picture(session, Sight(actor), message_id)
    if picture is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Ham mesaj {message_id}")
    line, content = picture.line, picture.content
    return MessageOut(
        id=line.id,
        key=picture.key,
        instrument=line.instrument,
        line=line.line,
        received_at=here(line.at),
        protocol=line.protocol,
        definition=picture.definition,
        revision=picture.revision,
        state=message_state(line.state),
        problem=line.problem,
        results=line.results,
        unmatched=line.unmatched,
        size=line.size,
        repeats=picture.repeats_id,
        text=None if content is None else visible_text(content),
        content=None if content is None else base64.b64encode(content).decode(),
        read=[
            ReadOut(
                kind=part.kind,
                record=part.record,
                specimen=part.specimen,
                instrument_test=part.code,
                test=part.test,
                value=part.value,
                unit=part.unit,
                flag=part.flag,
                note=part.note,
            )
            for part in picture.read
        ],
    )


async def _must_exist(db: Database, message_id: int) -> None:
    async with db.reading() as session:
        if await session.scalar(select(RawMessage.id).where(RawMessage.id == message_id)) is None:
            raise NumuneError(errors.NOT_FOUND, what=f"Ham mesaj {message_id}")


class Replayed(BaseModel):
    """What reading the message again gave: results bound now, results left for a person."""

    message_id: int
    results: int
    unmatched: int
    problem: str | None


@router.post("/raw-messages/{message_id}/replay", summary="Ham mesajı yeniden işle")
async def run_again(request: Request, message_id: PathId, actor: Replayer, db: Db) -> Replayed:
    """Saklanan mesajı yeniden okur; daha önce bağlanmış sonuç ikinci kez yazılmaz."""
    await _must_exist(db, message_id)
    one = (await replay(db, [message_id], actor, await context_of(request).reread()))[0]
    return Replayed(message_id=one.message_id, results=one.results, unmatched=one.unmatched, problem=one.problem)
