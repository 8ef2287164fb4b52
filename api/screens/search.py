"""All orders: by name, TC number, order number, scanned barcode, physician and date (9.1.1b)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import RedirectResponse, Response

from api.context import Db
from api.screens.shell import Screen, screen
from lis_core.domain.identity import parse_date_tr
from lis_core.settings import ISTANBUL
from lis_core.views.order_lists import OrderSearch, find_orders

router = APIRouter(prefix="/istemler")
Here = Annotated[Screen, Depends(screen("search"))]
LIMIT = 200


def _day(text: str) -> datetime | None:
    """Midnight of a day typed as GG.AA.YYYY. Raises ValueError with the sentence for the person who typed."""
    if not text.strip():
        return None
    day = parse_date_tr(text)
    return datetime(day.year, day.month, day.day, tzinfo=ISTANBUL)


@router.get("")
async def page(
    here: Here,
    db: Db,
    ara: Annotated[str, Query(max_length=80)] = "",
    hekim: Annotated[str, Query(max_length=60)] = "",
    ilk: Annotated[str, Query(max_length=10)] = "",
    son: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """Orders that fit; one exact number opens its order at once."""
    problem, first, end = None, None, None
    try:
        first, end = _day(ilk), _day(son)
    except ValueError as error:
        problem = str(error)
    asked = OrderSearch(text=ara, physician=hekim, first_day=first, end=end + timedelta(days=1) if end else None)
    async with db.reading() as session:
        orders = await find_orders(session, here.sight, asked, LIMIT)
    text = ara.strip()
    if len(orders) == 1 and text.isdigit() and len(text) != 11 and not (hekim or ilk or son):
        return RedirectResponse(f"/istem/{orders[0].number}", status_code=303)
    return await here.page(
        "search/page.html", orders=orders, asked=asked, first=ilk, last=son, problem=problem, limit=LIMIT
    )
