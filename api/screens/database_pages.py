"""What was done to the database without the program: the part of the audit that the database itself keeps (5.3.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from api.context import Db
from api.screens.shell import Screen, screen
from lis_core.domain.identity import parse_date_tr
from lis_core.services.audit import record_looked
from lis_core.settings import ISTANBUL
from lis_core.views import database_watch

router = APIRouter(prefix="/denetim/veritabani")
Here = Annotated[Screen, Depends(screen("audit"))]
DAYS = 7
"""Days shown where none is asked for."""
MOST = 200


@router.get("")
async def page(
    here: Here,
    db: Db,
    kim: Annotated[str, Query(max_length=80)] = "",
    ilk: Annotated[str, Query(max_length=10)] = "",
    son: Annotated[str, Query(max_length=10)] = "",
    ne: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """Changes that bypassed the program; statements and refusals from the server's own log. Newest first."""
    problem: str | None = None
    now = datetime.now(UTC)
    since, until = now - timedelta(days=DAYS), now + timedelta(days=1)
    try:
        since = _day(ilk) or since
        until = (_day(son) or until) + timedelta(days=1)
    except ValueError as error:
        problem = str(error)
    async with db.reading() as session:
        changed = await database_watch.changes(session, since, until, kim.strip(), MOST)
        asked = await database_watch.accesses(session, since, until, kim.strip(), MOST, refused=ne == "redler")
    facts = {"kim": kim, "ilk": ilk, "son": son, "ne": ne, "satir": len(changed) + len(asked or ())}
    await record_looked(db, here.actor, "veritabani_gunlugu_goruntuledi", facts)
    return await here.page(
        "audit/database.html",
        problem=problem,
        changed=changed,
        asked=asked,
        kim=kim,
        ilk=ilk,
        son=son,
        ne=ne,
        days=DAYS,
        most=MOST,
    )


def _day(words: str) -> datetime | None:
    """Raises ValueError in Turkish for a day that is none."""
    if not words.strip():
        return None
    day = parse_date_tr(words.strip())
    return datetime(day.year, day.month, day.day, tzinfo=ISTANBUL)
