"""The queue of results that nobody may bind by guessing: a person binds or closes each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, StringConstraints

from api.access import needs
from api.context import Db
from api.rest.inputs import Code, Cursor, Digits, Input, Limit, PathId, Reason
from api.rest.lists import answer_page
from lis_core.domain.permissions import P
from lis_core.services.unmatched import bind_unmatched, dismiss_unmatched
from lis_core.storage.database import Actor
from lis_core.views.results import result_place
from lis_core.views.seeing import Sight
from lis_core.views.traffic import UNMATCHED_STATES, UnmatchedRow, list_unmatched

router = APIRouter(tags=["Eşleşmeyen sonuç"])

Viewer = Annotated[Actor, Depends(needs(P.UNMATCHED_VIEW, P.RESULT_VIEW_UNAPPROVED))]
Resolver = Annotated[Actor, Depends(needs(P.UNMATCHED_RESOLVE))]


@router.get("/unmatched", summary="Eşleşmeyen sonuçlar kuyruğu")
async def read(
    request: Request,
    response: Response,
    actor: Viewer,
    db: Db,
    state: Annotated[Literal["waiting", "bound", "dismissed"], Query()] = "waiting",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Sequence[UnmatchedRow]:
    """Numunesi, tetkiki ya da hastası kesin bulunamayan sonuçlar, en eski önce."""
    async with db.reading() as session:
        page = await list_unmatched(session, Sight(actor), state=UNMATCHED_STATES[state], limit=limit, cursor=cursor)
    return answer_page(request, response, page)


NeededReason = Annotated[Reason, StringConstraints(min_length=1)]


class BindIn(Input):
    """Where the result belongs, by a person's word. `number`: an order's number or a tube's barcode."""

    number: Digits
    test: Code
    reason: NeededReason


class DismissIn(Input):
    """Why the result belongs nowhere."""

    reason: NeededReason


class Bound(BaseModel):
    """The result that came of it."""

    result: int
    order: str
    test: str
    state: str


class Dismissed(BaseModel):
    """The entry that was closed."""

    id: int
    state: Literal["dismissed"] = "dismissed"


@router.post("/unmatched/{unmatched_id}/bind", summary="Sonucu isteme bağla")
async def bind(unmatched_id: PathId, where: BindIn, actor: Resolver, db: Db) -> Bound:
    """Sonucu bir kişinin kararı ile isteme bağlar; ham mesaj bağı, kişi ve gerekçe kalır."""
    async with db.work(actor) as work:
        result_id = await bind_unmatched(
            work, unmatched_id, barcode_or_number=where.number, test_code=where.test, reason=where.reason
        )
        await work.session.flush()
        place = await result_place(work.session, result_id)
    return Bound(result=result_id, order=place.order, test=place.test, state=place.state)


@router.post("/unmatched/{unmatched_id}/dismiss", summary="Sonucu kapat")
async def dismiss(unmatched_id: PathId, why: DismissIn, actor: Resolver, db: Db) -> Dismissed:
    """Kimseye ait olmayan sonucu gerekçesi ile kuyruktan çıkarır; kaydı kalır."""
    async with db.work(actor) as work:
        await dismiss_unmatched(work, unmatched_id, why.reason)
    return Dismissed(id=unmatched_id)
