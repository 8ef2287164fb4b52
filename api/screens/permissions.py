"""Yetkiler: who may do what and why; giving and taking, with the differences before saving; "dene"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import needs
from api.context import Db
from api.screens import words as words_of
from api.screens.permission_forms import Known, Shown, Typed, days_words, shown, steps_of, typed
from api.screens.permission_trial import tried
from api.screens.shell import Screen, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import AREA_CAPTIONS, P, Rights
from lis_core.domain.turkish import like_contains
from lis_core.services import permission_admin
from lis_core.services.permission_admin import MANAGING, READING, Draft, administers_and_reads
from lis_core.services.permissions import Subject
from lis_core.services.rights import rights_book, rights_of, rights_of_many
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import User
from lis_core.views.permission_words import PlaceNames, place_names
from lis_core.views.permissions import (
    EntryLine,
    MemberLine,
    entries_of,
    memberships,
    permission_groups,
    who_may,
)

router = APIRouter(prefix="/yetkiler")
Here = Annotated[Screen, Depends(screen("permissions"))]
Manager = Annotated[Actor, Depends(needs(P.RIGHTS_MANAGE))]
Form = Annotated[Typed, Depends(typed)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
MOST_PEOPLE = 500

DONE = {
    "kayit": "Kaydedildi; bir sonraki istekte geçerli. Öncesi ve sonrası denetim izinde.",
    "grup": "Grup açıldı; henüz kimse üye değil.",
    "kopya": "Grup kopyalandı; üyeleri kopyalanmadı.",
}


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person in the list. attention: he administers and reads results."""

    id: int
    username: str
    full_name: str
    active: bool
    groups: tuple[str, ...]
    held: int
    forbidden: int
    attention: bool


@router.get("")
async def people(here: Here, db: Db, ara: Annotated[str, Query(max_length=60)] = "") -> Response:
    """Everybody with an account: his groups, how much he may, and who administers and reads results at once."""
    name = func.tr_ara(User.given_name + " " + User.family_name + " " + User.username)
    question = select(User).order_by(User.active.desc(), func.tr_sira(User.given_name + " " + User.family_name))
    if ara.strip():
        question = question.where(name.like(like_contains(ara.strip())))
    async with db.reading() as session:
        found = (await session.scalars(question.limit(MOST_PEOPLE))).all()
        rights = await rights_of_many(session, [user.id for user in found])
    lines = [_line(user, rights[user.id]) for user in found]
    return await here.page("permissions/people.html", people=lines, find=ara, tab="kisi")


def _line(user: User, rights: Rights) -> PersonLine:
    forbidden = {grant.permission for grant in rights.grants if grant.prohibits}
    attention = administers_and_reads(rights)
    return PersonLine(
        user.id, user.username, user.full_name, user.active, rights.groups, len(rights.held), len(forbidden), attention
    )


# --- one person ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Why:
    """One permission of one person. ways: what gave it; taken: what forbids it; both in words with their scope."""

    code: str
    caption: str
    area: str
    allowed: bool
    extent: str
    ways: tuple[str, ...]
    taken: tuple[str, ...]

    @property
    def mark(self) -> tuple[str, str, str]:
        """Sign, word and class of the state."""
        if self.allowed:
            return ("◐", "kısmen yasak", "warn") if self.taken else ("✓", "var", "good")
        return ("✕", "yasak", "bad") if self.taken else ("–", "yok", "soft")


def explained(rights: Rights, names: PlaceNames) -> list[Why]:
    """Every permission there is, for this person."""
    found = []
    for permission in P:
        why = rights.why(permission)
        ways, taken = (
            tuple(dict.fromkeys(f"{one.source} ({names.grant(one)})" for one in of_it))
            for of_it in (why.grants, why.prohibitions)
        )
        extent = names.extent(rights.extent(permission))
        area = AREA_CAPTIONS[permission.area]
        found.append(Why(permission.value, permission.caption, area, why.allowed, extent, ways, taken))
    return found


@router.get("/kisi/{user_id}")
async def person(here: Here, db: Db, user_id: Id, oldu: str = "", yetki: str = "") -> Response:
    """Everything that this person may do, and why. yetki: the permission to give, chosen already."""
    return await _person(here, db, user_id, done=DONE.get(oldu), wanted=yetki[:40])


@router.post("/kisi/{user_id}")
async def change_person(here: Here, db: Db, actor: Manager, user_id: Id, form: Form) -> Response:
    """Add to the draft, drop from it, or save it."""
    draft = Draft(Subject(user_id=user_id), ())
    try:
        draft = Draft(draft.subject, steps_of(form))
        if form.yap == "kaydet":
            await permission_admin.save(db, actor, draft, form.neden, form.muhur)
            return RedirectResponse(f"/yetkiler/kisi/{user_id}?oldu=kayit", status_code=303)
    except NumuneError as refusal:
        return await _person(here, db, user_id, draft=draft if draft.steps else kept(draft, form), refusal=refusal)
    return await _person(here, db, user_id, draft=draft, reason=form.neden)


def kept(draft: Draft, form: Typed) -> Draft:
    """What the page carried before the step that was refused."""
    try:
        return Draft(draft.subject, steps_of(Typed("bak", form.adim)))
    except NumuneError:
        return draft


async def looked_at(
    db: Database, actor: Actor, draft: Draft | None, known: Known, reason: str
) -> tuple[Shown | None, NumuneError | None]:
    """The draft for the page, and why it cannot be made if so."""
    if draft is None or not draft.steps:
        return None, None
    try:
        return shown(draft, known, await permission_admin.preview(db, actor, draft), reason), None
    except NumuneError as refusal:
        return shown(draft, known, None, reason), refusal


async def known_of(session: AsyncSession, subject: Subject) -> Known:
    """Names, groups, people and the subject's own rows."""
    rows = await session.execute(
        select(User.id, func.concat_ws(" ", User.given_name, User.family_name))
        .where(User.active)
        .order_by(func.tr_sira(User.given_name + " " + User.family_name))
    )
    lines = await memberships(session, user_id=subject.user_id, group_id=subject.group_id)
    members = await memberships(session, members_of=subject.group_id) if subject.group_id is not None else []
    return Known(
        await place_names(session),
        await permission_groups(session),
        dict(rows.tuples().all()),
        await entries_of(session, user_id=subject.user_id, group_id=subject.group_id),
        [*lines, *members],
    )


async def _person(
    here: Screen,
    db: Database,
    user_id: int,
    *,
    draft: Draft | None = None,
    refusal: NumuneError | None = None,
    reason: str = "",
    **more: Any,
) -> Response:
    async with db.reading() as session:
        user = await session.get(User, user_id)
        if user is None:
            raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
        known = await known_of(session, Subject(user_id=user_id))
        rights = await rights_of(session, user_id)
    manages = here.actor.may(P.RIGHTS_MANAGE)
    change, problem = await looked_at(db, here.actor, draft, known, reason) if manages else (None, None)
    refusal = refusal or problem
    return await here.page(
        "permissions/person.html",
        refusal.status if refusal else 200,
        user=user,
        why=explained(rights, known.names),
        held=len(rights.held),
        attention=attention_words(rights, known),
        known=known,
        days=days_words,
        change=change,
        refusal=refusal,
        manages=manages,
        permissions=list(P),
        areas=AREA_CAPTIONS,
        tab="kisi",
        **{"done": None, "wanted": "", **more},
    )


def attention_words(rights: Rights, known: Known) -> list[str]:
    """Where an administrator reads results: by what, since when and by whose hand; empty for everybody else."""
    if not administers_and_reads(rights):
        return []
    words = []
    for permission in (*sorted(MANAGING), *sorted(READING)):
        if not rights.may(permission):
            continue
        for grant in rights.why(permission).grants:
            row: MemberLine | EntryLine | None = next((one for one in known.entries if one.id == grant.entry_id), None)
            if grant.path:  # his own membership, not what was given to the group, is how it came to him
                row = next((one for one in known.memberships if one.group == grant.path[0]), None)
            hand = f"; veren {row.given_by}, {words_of.day(row.given_at)}" if row else ""
            words.append(f"{permission.caption}: {grant.source} ({known.names.grant(grant)}){hand}")
    return list(dict.fromkeys(words))


@router.get("/kisi/{user_id}/dene")
async def trial(request: Request, here: Here, db: Db, user_id: Id) -> Response:
    """His screens and buttons as they would be; looked at, never acted with, and kept in the audit."""
    async with db.reading() as session:
        user = await session.get(User, user_id)
        if user is None:
            raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
        rights, names = await rights_of(session, user_id), await place_names(session)
    await permission_admin.record_trial(db, here.actor, user_id, user.username)
    screens = tried(request.app, rights, names)
    return await here.page("permissions/trial.html", user=user, screens=screens, groups=rights.groups, tab="kisi")


# --- one permission ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HolderLine:
    """Somebody to whom a permission is given. allowed: False where a prohibition took all of it."""

    user_id: int
    username: str
    full_name: str
    active: bool
    why: Why


@router.get("/yetki")
async def permission_list(here: Here, db: Db) -> Response:
    """Every permission there is, and how many people hold it."""
    counts: dict[P, int] = dict.fromkeys(P, 0)
    async with db.reading() as session:
        book = await rights_book(session)
        active = await session.scalars(select(User.id).where(User.active))
        for user_id in active.all():
            for permission in (await rights_of(session, user_id)).held:
                counts[permission] += 1
        giving = {p: sum(any(e.permission is p for e in g.entries) for g in book.groups.values()) for p in P}
    return await here.page(
        "permissions/permission_list.html",
        permissions=list(P),
        holding=counts,
        giving=giving,
        areas=AREA_CAPTIONS,
        tab="yetki",
    )


@router.get("/yetki/{code}")
async def permission_page(here: Here, db: Db, code: Annotated[str, Path(max_length=40)]) -> Response:
    """Who has this permission, by which way, how far; and the groups that give it."""
    permission = next((one for one in P if one.value == code), None)
    if permission is None:
        raise NumuneError(errors.NOT_FOUND, what="Yetki")
    async with db.reading() as session:
        names, book = await place_names(session), await rights_book(session)
        lines = []
        for holder in await who_may(session, permission):
            rights = await rights_of(session, holder.user_id)
            [why] = [one for one in explained(rights, names) if one.code == code]
            lines.append(HolderLine(holder.user_id, holder.username, holder.full_name, holder.active, why))
    groups = [
        (group.id, group.caption, entry.prohibits, names.scope(entry.scope))
        for group in book.groups.values()
        for entry in group.entries
        if entry.permission is permission
    ]
    return await here.page(
        "permissions/permission.html",
        permission=permission,
        area=AREA_CAPTIONS[permission.area],
        holders=sorted(lines, key=lambda line: (not line.why.allowed, not line.active)),
        groups=groups,
        tab="yetki",
    )
