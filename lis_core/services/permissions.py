"""Giving and taking permissions: groups, memberships, entries (4.8.3-4.8.6).

Nothing is deleted: what ends keeps when and by whom. Every change is audited, holds at the next request everywhere, and
is refused where nobody could give permissions after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date

import psycopg.errors
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import Change, P, Rights, Scope, ScopeKind, difference
from lis_core.services.employment import works_on
from lis_core.services.rights import RIGHTS_VERSION, RightsBook, load_book, person_of, today
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import (
    GroupMember,
    Institution,
    PermissionEntry,
    PermissionGroup,
    Physician,
    PhysicianUnit,
    Unit,
    User,
    WorkGroup,
)

LONGEST_CODE, LONGEST_NAME = 30, 100


@dataclass(frozen=True, slots=True)
class Subject:
    """To whom: a user or a group, exactly one."""

    user_id: int | None = None
    group_id: int | None = None

    def __post_init__(self) -> None:
        if (self.user_id is None) == (self.group_id is None):
            raise ValueError("a subject is a user or a group")


@dataclass(frozen=True, slots=True)
class Period:
    """First and last day, both included; None = open."""

    valid_from: date | None = None
    valid_until: date | None = None

    def check(self) -> None:
        """Raises BAD_PERMISSION_ENTRY where it ends before it begins."""
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise NumuneError(errors.BAD_PERMISSION_ENTRY, problem="bitiş tarihi başlangıçtan önce")


ALWAYS = Period()


async def save_group(work: Work, code: str, name: str, description: str = "", active: bool = True) -> int:
    """Add a group or change the one with this code. Returns its id. Raises NOT_ALLOWED, INVALID_INPUT, LAST_MANAGER."""
    work.actor.must(P.RIGHTS_MANAGE)
    code, name = code.strip().upper(), name.strip()
    if not code or not name or len(code) > LONGEST_CODE or len(name) > LONGEST_NAME:
        raise NumuneError(errors.INVALID_INPUT, problem="grubun kodu ve adı yazılmalı")
    row = await work.session.scalar(select(PermissionGroup).where(PermissionGroup.code == code).with_for_update())
    before = {"ad": row.name, "aciklama": row.description, "aktif": row.active} if row else None
    if row is None:
        row = PermissionGroup(code=code)
        work.session.add(row)
    row.name, row.description, row.active = name, description.strip(), active
    await work.session.flush()
    after = {"kod": code, "ad": name, "aciklama": row.description, "aktif": active}
    work.audit("kaydet" if before is None else "guncelle", "yetki_grubu", row.id, before, after)
    await somebody_gives(work)
    return row.id


async def add_member(
    work: Work, group_id: int, member: Subject, benches: Sequence[str] = (), period: Period = ALWAYS
) -> int:
    """Put a user or a group into a group; benches: only for these work groups (none = all). Returns the entry's id.

    Raises NOT_ALLOWED, NOT_FOUND, ALREADY_MEMBER, GROUP_CIRCLE, BAD_PERMISSION_ENTRY, LAST_MANAGER.
    """
    work.actor.must(P.RIGHTS_MANAGE)
    period.check()
    group = await _group(work, group_id)
    name = await _subject_name(work, member)
    await _benches_exist(work, benches)
    row = GroupMember(
        group_id=group_id,
        user_id=member.user_id,
        member_group_id=member.group_id,
        benches=sorted(set(benches)),
        valid_from=period.valid_from,
        valid_until=period.valid_until,
        given_by_id=work.actor.user_id,
    )
    try:
        async with work.session.begin_nested():
            work.session.add(row)
            await work.session.flush()
    except IntegrityError as error:
        if isinstance(error.orig, psycopg.errors.UniqueViolation):
            raise NumuneError(errors.ALREADY_MEMBER, member=name, group=group.name) from error
        raise NumuneError(errors.GROUP_CIRCLE, member=name, group=group.name) from error
    work.audit("uye_yap", "grup_uyeligi", row.id, None, _member_facts(row, group.code))
    await somebody_gives(work)
    return row.id


async def remove_member(work: Work, membership_id: int) -> None:
    """End a membership. Raises NOT_ALLOWED, NOT_FOUND, ENTRY_ENDED, LAST_MANAGER."""
    work.actor.must(P.RIGHTS_MANAGE)
    row = await work.session.get(GroupMember, membership_id, with_for_update=True)
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what="Üyelik")
    if row.ended_at is not None:
        raise NumuneError(errors.ENTRY_ENDED)
    row.ended_at, row.ended_by_id = work.now, work.actor.user_id
    await work.session.flush()
    group = await _group(work, row.group_id)
    work.audit("uyelik_kaldir", "grup_uyeligi", row.id, _member_facts(row, group.code), None)
    await somebody_gives(work)


async def give(
    work: Work, subject: Subject, permission: P, scope: Scope, *, prohibits: bool = False, period: Period = ALWAYS
) -> int:
    """Give a permission, or forbid it, within a scope. Returns the entry's id.

    Raises NOT_ALLOWED, NOT_FOUND, BAD_PERMISSION_ENTRY (scope that the permission does not know, unknown code),
    LAST_MANAGER.
    """
    work.actor.must(P.RIGHTS_MANAGE)
    period.check()
    await _subject_name(work, subject)
    await _scope_exists(work, permission, scope)
    row = PermissionEntry(
        user_id=subject.user_id,
        group_id=subject.group_id,
        permission=permission.value,
        scope_kind=scope.kind,
        scope_value=scope.value,
        prohibits=prohibits,
        valid_from=period.valid_from,
        valid_until=period.valid_until,
        given_by_id=work.actor.user_id,
    )
    work.session.add(row)
    await work.session.flush()
    work.audit("yetki_yasakla" if prohibits else "yetki_ver", "yetki_kaydi", row.id, None, _entry_facts(row))
    await somebody_gives(work)
    return row.id


async def take(work: Work, entry_id: int) -> None:
    """End an entry: a given permission is given no more, a prohibition is lifted.

    Raises NOT_ALLOWED, NOT_FOUND, ENTRY_ENDED, LAST_MANAGER.
    """
    work.actor.must(P.RIGHTS_MANAGE)
    row = await work.session.get(PermissionEntry, entry_id, with_for_update=True)
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what="Yetki kaydı")
    if row.ended_at is not None:
        raise NumuneError(errors.ENTRY_ENDED)
    row.ended_at, row.ended_by_id = work.now, work.actor.user_id
    await work.session.flush()
    work.audit("yasak_kaldir" if row.prohibits else "yetki_al", "yetki_kaydi", row.id, _entry_facts(row), None)
    await somebody_gives(work)


async def put_in_unit(work: Work, physician_id: int, unit_id: int, period: Period = ALWAYS) -> int:
    """A further unit of a physician, for a time or for good (2.8.16b). Raises NOT_ALLOWED, NOT_FOUND,
    BAD_PERMISSION_ENTRY."""
    work.actor.must(P.USER_MANAGE)
    period.check()
    if await work.session.get(Physician, physician_id) is None or await work.session.get(Unit, unit_id) is None:
        raise NumuneError(errors.NOT_FOUND, what="Hekim ya da birim")
    row = PhysicianUnit(
        physician_id=physician_id, unit_id=unit_id, valid_from=period.valid_from, valid_until=period.valid_until
    )
    work.session.add(row)
    await work.session.flush()
    facts = {"birim_kodu": unit_id, "baslangic": period.valid_from, "bitis": period.valid_until}
    work.audit("birime_ver", "personel", physician_id, None, facts)
    return row.id


# --- what a change changes -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What one person gains and loses by a change."""

    user_id: int
    username: str
    full_name: str
    changes: tuple[Change, ...]


class _Undone(Exception):
    """The trial is over; its transaction is rolled back."""


async def preview(db: Database, actor: Actor, change: Callable[[Work], Awaitable[object]]) -> list[PersonChange]:
    """Who gains and loses what if `change` were saved: it is made, compared and undone (differences before saving).

    Raises what `change` raises; the preview and the saving cannot disagree, because they are the same call.
    """
    found: list[PersonChange] = []
    try:
        async with db.work(actor) as work:
            [found] = await compared(work, change, [today()])
            raise _Undone
    except _Undone:
        return found


async def compared(
    work: Work, change: Callable[[Work], Awaitable[object]], days: Sequence[date]
) -> list[list[PersonChange]]:
    """Make `change` in this transaction; for each of these days, who gains and loses what by it.

    Raises what `change` raises. Another comparison waits until this transaction ends.
    """
    await work.session.execute(text("select pg_advisory_xact_lock(hashtext('yetki_degisikligi'))"))
    before = [await _fresh_book(work.session, day) for day in days]
    await change(work)
    await work.session.flush()
    after = [await _fresh_book(work.session, day) for day in days]
    return [await _differences(work.session, *books) for books in zip(before, after, strict=True)]


async def _fresh_book(session: AsyncSession, day: date | None = None) -> RightsBook:
    """The book of this very transaction; it goes into no cache."""
    return await load_book(session, await session.scalar(text(RIGHTS_VERSION)) or 0, day or today())


async def _differences(session: AsyncSession, before: RightsBook, after: RightsBook) -> list[PersonChange]:
    everybody = before.own.keys() | before.memberships.keys() | after.own.keys() | after.memberships.keys()
    touched = [key for key in sorted(everybody) if before.grants_of(key) != after.grants_of(key)]
    name = func.concat_ws(" ", User.given_name, User.family_name)
    people = await session.execute(select(User.id, User.username, name).where(User.id.in_(touched)).order_by(User.id))
    found = []
    for key, username, full_name in people.tuples():
        person = await person_of(session, key, after.day)
        if changes := difference(before.rights_of(person), after.rights_of(person)):
            found.append(PersonChange(key, username, full_name, changes))
    return found


async def try_as(session: AsyncSession, user_id: int) -> Rights:
    """The rights of somebody else, to look with (never to act with): "try as". Raises NOT_FOUND."""
    if await session.get(User, user_id) is None:
        raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
    book = await _fresh_book(session)
    return book.rights_of(await person_of(session, user_id, book.day))


# --- checks --------------------------------------------------------------------------------------------------------


async def _group(work: Work, group_id: int) -> PermissionGroup:
    row = await work.session.get(PermissionGroup, group_id)
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what="Yetki grubu")
    return row


async def _subject_name(work: Work, subject: Subject) -> str:
    if subject.group_id is not None:
        return (await _group(work, subject.group_id)).name
    user = await work.session.get(User, subject.user_id)
    if user is None:
        raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
    return user.full_name


async def _benches_exist(work: Work, benches: Sequence[str]) -> None:
    known = set(await work.session.scalars(select(WorkGroup.code)))
    if strange := sorted(set(benches) - known):
        raise NumuneError(errors.BAD_PERMISSION_ENTRY, problem=f"{', '.join(strange)} çalışma grubu tanımlı değil")


_CODES = {
    ScopeKind.BENCH: select(WorkGroup.code),
    ScopeKind.LABORATORY: select(Unit.code).where(Unit.kind == "laboratuvar"),
    ScopeKind.UNIT: select(Unit.code),
    ScopeKind.INSTITUTION: select(Institution.code),
}


async def _scope_exists(work: Work, permission: P, scope: Scope) -> None:
    if scope.kind not in permission.about.scopes:
        problem = f"{permission.caption} yetkisi {scope.kind.caption} ile sınırlanamaz"
        raise NumuneError(errors.BAD_PERMISSION_ENTRY, problem=problem)
    if scope.kind not in _CODES:
        if scope.value:
            raise NumuneError(errors.BAD_PERMISSION_ENTRY, problem=f"{scope.kind.caption} kapsamı kod almaz")
        return
    if scope.kind is ScopeKind.UNIT and not scope.value:
        return  # his own units
    if scope.value not in set(await work.session.scalars(_CODES[scope.kind])):
        raise NumuneError(errors.BAD_PERMISSION_ENTRY, problem=f"{scope} tanımlı değil")


async def somebody_gives(work: Work, day: date | None = None) -> None:
    """Raises LAST_MANAGER where on this day (today, unless said otherwise) nobody who is active and at work could give
    permissions any more. The program, which sets up a new installation where nobody can so far, is not asked."""
    if work.actor.user_id is None:
        return
    day = day or today()
    book = await _fresh_book(work.session, day)
    able = [key for key in book.own.keys() | book.memberships.keys() if _gives(book, key)]
    there = (User.id.in_(able), User.active, works_on(User.id, day))
    if not await work.session.scalar(select(func.count()).where(*there)):
        raise NumuneError(errors.LAST_MANAGER)


def _gives(book: RightsBook, user_id: int) -> bool:
    grants = [grant for grant in book.grants_of(user_id) if grant.permission is P.RIGHTS_MANAGE]
    return bool(grants) and Rights(grants).may(P.RIGHTS_MANAGE)


def _member_facts(row: GroupMember, group: str) -> dict[str, object]:
    return {
        "grup": group,
        "uye_kullanici_kodu": row.user_id,
        "uye_grup_kodu": row.member_group_id,
        "calisma_gruplari": list(row.benches),
        "baslangic": row.valid_from,
        "bitis": row.valid_until,
    }


def _entry_facts(row: PermissionEntry) -> dict[str, object]:
    return {
        "kullanici_kodu": row.user_id,
        "yetki_grubu_kodu": row.group_id,
        "yetki": row.permission,
        "kapsam": f"{row.scope_kind.value} {row.scope_value}".strip(),
        "yasak": row.prohibits,
        "baslangic": row.valid_from,
        "bitis": row.valid_until,
    }
