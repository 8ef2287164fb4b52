"""Quality control: what control samples measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import needs
from api.context import Db
from api.rest.inputs import Code, Cursor, Limit, Moment
from api.rest.lists import answer_page
from lis_core.domain.permissions import P
from lis_core.storage.database import Actor
from lis_core.views.traffic import ControlQuestion, ControlRow, list_controls

router = APIRouter(tags=["Kalite kontrol"])

Watcher = Annotated[Actor, Depends(needs(P.QC_VIEW))]


@router.get("/qc/results", summary="Kontrol ölçümleri")
async def read(
    request: Request,
    response: Response,
    actor: Watcher,
    db: Db,
    instrument: Annotated[Code | None, Query(description="Cihaz kodu")] = None,
    test: Annotated[Code | None, Query(description="Tetkik kodu")] = None,
    lot: Annotated[Code | None, Query(description="Lot")] = None,
    since: Annotated[Moment | None, Query(description="Bu zamandan beri gelenler")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Sequence[ControlRow]:
    """Cihazların bildirdiği kontrol ölçümleri, en yeni önce."""
    async with db.reading() as session:
        page = await list_controls(session, ControlQuestion(instrument, test, lot, since, limit, cursor))
    return answer_page(request, response, page)
