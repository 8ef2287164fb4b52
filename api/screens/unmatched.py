"""The unmatched queue: why in words, the raw message, and a person who says where the result belongs (invariant 2)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import Response
from markupsafe import Markup

from api.access import needs
from api.context import Db
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import PENDING, TestState
from lis_core.services.audit import viewed
from lis_core.services.catalog import catalog
from lis_core.services.unmatched import bind_unmatched, dismiss_unmatched
from lis_core.storage.database import Database
from lis_core.storage.tables import UnmatchedResult
from lis_core.views.boards import menu_counts, message_picture, unmatched_one, unmatched_queue
from lis_core.views.order_lists import OrderSearch, find_orders
from lis_core.views.order_view import order_view

router = APIRouter(prefix="/eslesmeyen")
Here = Annotated[Screen, Depends(screen("unmatched"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form(max_length=300)]
MOST_ORDERS = 5
_OPEN_STATES = frozenset(state.api for state in (*PENDING, TestState.RESULTED))
"""Tests that a result may be bound to; the service has the last word."""


@router.get("")
async def page(here: Here, db: Db, cozulen: bool = False) -> Response:
    """The queue, oldest first."""
    async with db.reading() as session:
        queue = await unmatched_queue(session, waiting=not cozulen)
    viewed(here.actor, eslesmeyen_sonuc=[item.id for item in queue])
    return await here.page("unmatched/page.html", queue=queue, waiting=not cozulen)


@router.get("/liste")
async def listed(here: Here, db: Db) -> Response:
    """The rows again, as a part that renews itself."""
    async with db.reading() as session:
        queue = await unmatched_queue(session)
    viewed(here.actor, eslesmeyen_sonuc=[item.id for item in queue])
    return here.part("unmatched/rows.html", queue=queue, waiting=True)


@router.get("/sayi")
async def count(here: Here, db: Db) -> Response:
    """How many wait, for the menu."""
    async with db.reading() as session:
        return here.part("parts/unmatched_count.html", counts=await menu_counts(session, here.sight))


@router.get("/ara", dependencies=[Depends(needs(P.ORDER_VIEW))])
async def candidates(
    here: Here,
    db: Db,
    numara: Annotated[str, Query(max_length=60)] = "",
    wanted: Annotated[int, Query(alias="id", ge=0, le=2**63 - 1)] = 0,
) -> Response:
    """Orders that a number or a name finds, each with the tests that still take a result. Nothing is chosen for the
    person but the test that the instrument's own code means, where the order has it."""
    text = numara.strip()
    if len(text) < 2:
        return here.part("unmatched/found.html", orders=[], asked="", suggested="", open_states=_OPEN_STATES)
    async with db.reading() as session:
        lines = await find_orders(session, here.sight, OrderSearch(text=text), MOST_ORDERS)
        orders = [await order_view(session, here.sight, line.number) for line in lines]
        waiting = await session.get(UnmatchedResult, wanted) if wanted else None
        suggested = ""
        if waiting is not None and waiting.instrument_id is not None:
            book = await catalog(session)
            mapping = book.mapping(waiting.instrument_id).get(str(waiting.observation.get("test") or ""))
            suggested = book.test_by_id[mapping.test_id].code if mapping else ""
    return here.part("unmatched/found.html", orders=orders, asked=text, suggested=suggested, open_states=_OPEN_STATES)


@router.get("/{unmatched_id}")
async def detail(here: Here, db: Db, unmatched_id: Id) -> Response:
    """One result of the queue with its raw message."""
    return await _detail(here, db, unmatched_id, None)


@router.post("/{unmatched_id}/bagla", dependencies=[Depends(needs(P.UNMATCHED_RESOLVE))])
async def bind(here: Here, db: Db, unmatched_id: Id, hedef: Text = "", neden: Text = "") -> Response:
    """Bind the result to the test of the order that the person chose."""
    number, _, test = hedef.partition(" ")
    if not number or not test:
        raise NumuneError(errors.INVALID_INPUT, problem="istem ve tetkik seçilmedi")
    async with db.work(here.actor) as work:
        await bind_unmatched(work, unmatched_id, barcode_or_number=number, test_code=test, reason=neden)
    return await _detail(here, db, unmatched_id, said(f"Sonuç {number} isteminin {test} tetkikine bağlandı."))


@router.post("/{unmatched_id}/kapat", dependencies=[Depends(needs(P.UNMATCHED_RESOLVE))])
async def dismiss(here: Here, db: Db, unmatched_id: Id, neden: Text = "") -> Response:
    """Close a result that belongs to nobody, with a reason."""
    async with db.work(here.actor) as work:
        await dismiss_unmatched(work, unmatched_id, neden)
    return await _detail(here, db, unmatched_id, said("Sonuç kapatıldı; kaydı ve ham mesajı duruyor.", "warn"))


async def _detail(here: Screen, db: Database, unmatched_id: int, message: Markup | None) -> Response:
    async with db.reading() as session:
        item = await unmatched_one(session, unmatched_id)
        if item is None:
            raise NumuneError(errors.NOT_FOUND, what="Eşleşmeyen sonuç")
        raw = await message_picture(session, here.sight, item.raw_message_id)
    viewed(here.actor, eslesmeyen_sonuc=[unmatched_id])
    return here.part("unmatched/detail.html", item=item, message=raw, said=message, candidates=bool(item.specimen))
