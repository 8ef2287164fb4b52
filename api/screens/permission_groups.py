"""Groups of permissions: who is in them, what they give, copying one to make another (4.8.6)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Form as FormField
from fastapi.responses import RedirectResponse, Response

from api.context import Db
from api.screens.permission_forms import Known, Text, days_words, steps_of
from api.screens.permissions import DONE, Form, Here, Id, Manager, kept, known_of, looked_at
from api.screens.shell import Screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import AREA_CAPTIONS, P, inherited
from lis_core.services import permission_admin
from lis_core.services.permission_admin import Draft
from lis_core.services.permissions import Subject
from lis_core.services.rights import RightsBook, rights_book
from lis_core.storage.database import Database
from lis_core.views.permissions import permission_groups

router = APIRouter(prefix="/yetkiler/grup")
Code = Annotated[str, FormField(max_length=30)]


@router.get("")
async def groups(here: Here, db: Db) -> Response:
    """Every group: what it is for, whom it inherits from, how many people and entries it has."""
    return await _groups(here, db)


async def _groups(here: Screen, db: Database, refusal: NumuneError | None = None, **typed: str) -> Response:
    async with db.reading() as session:
        lines = await permission_groups(session)
    return await here.page(
        "permissions/groups.html",
        refusal.status if refusal else 200,
        groups=lines,
        manages=here.actor.may(P.RIGHTS_MANAGE),
        refusal=refusal,
        typed={"kod": "", "ad": "", "aciklama": "", **typed},
        tab="grup",
    )


@router.post("")
async def add(here: Here, db: Db, actor: Manager, kod: Code = "", ad: Text = "", aciklama: Text = "") -> Response:
    """A new group that gives nothing yet."""
    try:
        async with db.work(actor) as work:
            group_id = await permission_admin.new_group(work, kod, ad, aciklama)
    except NumuneError as refusal:
        return await _groups(here, db, refusal, kod=kod, ad=ad, aciklama=aciklama)
    return RedirectResponse(f"/yetkiler/grup/{group_id}?oldu=grup", status_code=303)


@router.get("/{group_id}")
async def group(here: Here, db: Db, group_id: Id, oldu: str = "") -> Response:
    """One group: members, entries, inheritance."""
    return await _group(here, db, group_id, done=DONE.get(oldu))


@router.post("/{group_id}")
async def change_group(here: Here, db: Db, actor: Manager, group_id: Id, form: Form) -> Response:
    """Add to the draft, drop from it, or save it."""
    draft = Draft(Subject(group_id=group_id), ())
    try:
        draft = Draft(draft.subject, steps_of(form))
        if form.yap == "kaydet":
            await permission_admin.save(db, actor, draft, form.neden, form.muhur)
            return RedirectResponse(f"/yetkiler/grup/{group_id}?oldu=kayit", status_code=303)
    except NumuneError as refusal:
        return await _group(here, db, group_id, draft=draft if draft.steps else kept(draft, form), refusal=refusal)
    return await _group(here, db, group_id, draft=draft, reason=form.neden)


@router.post("/{group_id}/kopya")
async def copy(here: Here, db: Db, actor: Manager, group_id: Id, kod: Code = "", ad: Text = "") -> Response:
    """A new group with the same entries, without the members."""
    try:
        async with db.work(actor) as work:
            made = await permission_admin.copy_group(work, group_id, kod, ad)
    except NumuneError as refusal:
        return await _group(here, db, group_id, refusal=refusal)
    return RedirectResponse(f"/yetkiler/grup/{made}?oldu=kopya", status_code=303)


async def _group(
    here: Screen,
    db: Database,
    group_id: int,
    *,
    draft: Draft | None = None,
    refusal: NumuneError | None = None,
    reason: str = "",
    **more: Any,
) -> Response:
    async with db.reading() as session:
        known = await known_of(session, Subject(group_id=group_id))
        book = await rights_book(session)
    line = next((one for one in known.groups if one.id == group_id), None)
    if line is None:
        raise NumuneError(errors.NOT_FOUND, what="Yetki grubu")
    manages = here.actor.may(P.RIGHTS_MANAGE)
    change, problem = await looked_at(db, here.actor, draft, known, reason) if manages else (None, None)
    refusal = refusal or problem
    return await here.page(
        "permissions/group.html",
        refusal.status if refusal else 200,
        group=line,
        known=known,
        inherited=inherited_lines(book, group_id, known),
        days=days_words,
        change=change,
        refusal=refusal,
        manages=manages,
        permissions=list(P),
        areas=AREA_CAPTIONS,
        tab="grup",
        **{"done": None, "wanted": "", **more},
    )


def inherited_lines(book: RightsBook, group_id: int, known: Known) -> list[tuple[str, str, bool, str]]:
    """What the group has from the groups that it is inside: from where, what, forbidden or not, how far."""
    held = book.groups[group_id].inside if group_id in book.groups else ()
    return [
        (grant.source, grant.permission.caption, grant.prohibits, known.names.grant(grant))
        for grant in inherited((), held, book.groups)
    ]
