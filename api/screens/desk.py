"""Beside every screen: its help and the open notices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from jinja2 import TemplateNotFound

from api.access import signed_in_only
from api.auth import SignedIn, signed_in
from api.context import Db
from api.screens.shell import Screen, environment
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.storage.tables import Notice
from lis_core.views.boards import menu_counts, notice_readable, open_notices

router = APIRouter()
Who = Annotated[SignedIn, Depends(signed_in)]
Reading = Depends(signed_in_only("yardım metinleri; kayıt içermez"))
Noticing = Depends(signed_in_only("bildirimler sorguda kişinin yetkisine göre süzülür"))


@router.get("/yardim", dependencies=[Reading])
async def help_page(request: Request, who: Who) -> Response:
    """Help of every screen that this person has."""
    here = Screen(request, "help", who)
    return await here.page("help/page.html")


@router.get("/yardim/{key}", dependencies=[Reading])
async def help_of(request: Request, who: Who, key: Annotated[str, Path(pattern="^[a-z]+$", max_length=20)]) -> Response:
    """Help of one screen, as a part. Raises NOT_FOUND."""
    try:
        environment().get_template(f"help/{key}.html")
    except TemplateNotFound as error:
        raise NumuneError(errors.NOT_FOUND, what="Yardım") from error
    return Screen(request, key, who).part(f"help/{key}.html")


@router.get("/bildirimler", dependencies=[Noticing])
async def notices(request: Request, who: Who, db: Db) -> Response:
    """Open notices for this person."""
    here = Screen(request, "notices", who)
    async with db.reading() as session:
        return here.part("notices/list.html", notices=await open_notices(session, here.sight))


@router.get("/bildirimler/sayi", dependencies=[Noticing])
async def notice_count(request: Request, who: Who, db: Db) -> Response:
    """How many are open, for the bell."""
    here = Screen(request, "notices", who)
    async with db.reading() as session:
        return here.part("parts/notice_count.html", counts=await menu_counts(session, here.sight))


@router.post("/bildirimler/{notice_id}/gordum", dependencies=[Noticing])
async def seen(request: Request, who: Who, db: Db, notice_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Mark a notice as seen: by whom and when stays with it."""
    here = Screen(request, "notices", who)
    async with db.work(who.actor) as work:
        notice = await work.session.get(Notice, notice_id, with_for_update=True)
        if notice is None or not notice_readable(here.sight, notice):
            raise NumuneError(errors.NOT_FOUND, what="Bildirim")
        if notice.seen_at is None:
            notice.seen_at, notice.seen_by_id = work.now, who.actor.user_id
            work.audit("goruldu", "bildirim", notice.id, None, {"tur": notice.kind})
            work.tell_screens("notice")
    async with db.reading() as session:
        return here.part("notices/list.html", notices=await open_notices(session, here.sight))
