"""Who may do what, and why: for the permission screens (4.8.3-4.8.6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from lis_core.domain.permissions import Explanation, P, Rights, Scope, ScopeKind
from lis_core.services.rights import rights_book, rights_of, rights_of_many
from lis_core.storage.tables import GroupMember, PermissionEntry, PermissionGroup, User
from lis_core.storage.tables.permissions import PhysicianUnit


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who holds a permission (or would, were it not forbidden), and why."""

    user_id: int
    username: str
    full_name: str
    active: bool
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in a list. `inside`: captions of the groups it is a member of; `members`: users in it themselves."""

    id: int
    code: str
    name: str
    description: str
    active: bool
    inside: tuple[str, ...]
    members: int
    entries: int


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One entry of a user or group."""

    id: int
    permission: P | None
    """None: a permission that this version of the program does not know."""
    code: str
    scope: Scope
    prohibits: bool
    valid_from: date | None
    valid_until: date | None
    given_by: str
    given_at: datetime
    ended_by: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One membership. `group`, `member`: captions; `user_id` None where the member is a group."""

    id: int
    group_id: int
    group: str
    user_id: int | None
    member_group_id: int | None
    member: str
    benches: tuple[str, ...]
    valid_from: date | None
    valid_until: date | None
    given_by: str
    given_at: datetime
    ended_at: datetime | None


async def what_may(session: AsyncSession, user_id: int) -> list[Explanation]:
    """Every permission there is, whether this person holds it, and why (which group, which prohibition)."""
    return explain(await rights_of(session, user_id))


def explain(rights: Rights) -> list[Explanation]:
    """The same of rights in hand ("try as", before saving)."""
    return [rights.why(permission) for permission in P]


async def who_may(session: AsyncSession, permission: P) -> list[Holder]:
    """Everybody to whom this is given, by name; where a prohibition took it, `explanation.allowed` is False."""
    book = await rights_book(session)
    given = [
        key
        for key in book.own.keys() | book.memberships.keys()
        if any(grant.permission is permission and not grant.prohibits for grant in book.grants_of(key))
    ]
    rows = await session.scalars(
        select(User).where(User.id.in_(given)).order_by(func.tr_sira(User.given_name + " " + User.family_name))
    )
    rights = await rights_of_many(session, given)
    return [
        Holder(user.id, user.username, user.full_name, user.active, rights[user.id].why(permission))
        for user in rows.all()
    ]


async def permission_groups(session: AsyncSession) -> list[GroupLine]:
    """Every group, by name."""
    book = await rights_book(session)
    names = dict((await session.execute(select(PermissionGroup.id, PermissionGroup.name))).tuples().all())
    members: dict[int, int] = {}
    for memberships in book.memberships.values():
        for membership in memberships:
            members[membership.group_id] = members.get(membership.group_id, 0) + 1
    rows = await session.scalars(select(PermissionGroup).order_by(func.tr_sira(PermissionGroup.name)))
    return [
        GroupLine(
            row.id,
            row.code,
            row.name,
            row.description,
            row.active,
            tuple(names[inside.group_id] for inside in book.groups[row.id].inside) if row.id in book.groups else (),
            members.get(row.id, 0),
            len(book.groups[row.id].entries) if row.id in book.groups else 0,
        )
        for row in rows
    ]


async def entries_of(
    session: AsyncSession, *, user_id: int | None = None, group_id: int | None = None, ended: bool = False
) -> list[EntryLine]:
    """Entries of a user or a group itself (not inherited), oldest first; `ended`: also those that hold no more."""
    giver, ender = aliased(User), aliased(User)
    question = (
        select(PermissionEntry, giver, ender)
        .outerjoin(giver, giver.id == PermissionEntry.given_by_id)
        .outerjoin(ender, ender.id == PermissionEntry.ended_by_id)
        .where(PermissionEntry.user_id == user_id if user_id is not None else PermissionEntry.group_id == group_id)
        .order_by(PermissionEntry.id)
    )
    if not ended:
        question = question.where(PermissionEntry.ended_at.is_(None))
    known = {permission.value: permission for permission in P}
    return [
        EntryLine(
            row.id,
            known.get(row.permission),
            row.permission,
            Scope(ScopeKind(row.scope_kind), row.scope_value),
            row.prohibits,
            row.valid_from,
            row.valid_until,
            given.full_name if given else "program",
            row.created_at,
            taken.full_name if taken else "",
            row.ended_at,
        )
        for row, given, taken in (await session.execute(question)).tuples()
    ]


async def memberships(
    session: AsyncSession,
    *,
    user_id: int | None = None,
    group_id: int | None = None,
    members_of: int | None = None,
    ended: bool = False,
) -> list[MemberLine]:
    """Groups that a user (or a group) is in, or (`members_of`) who is in a group; oldest first."""
    inner, giver = aliased(PermissionGroup), aliased(User)
    question = (
        select(GroupMember, PermissionGroup.name, User, inner.name, giver)
        .join(PermissionGroup, PermissionGroup.id == GroupMember.group_id)
        .outerjoin(User, User.id == GroupMember.user_id)
        .outerjoin(inner, inner.id == GroupMember.member_group_id)
        .outerjoin(giver, giver.id == GroupMember.given_by_id)
        .order_by(GroupMember.id)
    )
    if members_of is not None:
        question = question.where(GroupMember.group_id == members_of)
    elif user_id is not None:
        question = question.where(GroupMember.user_id == user_id)
    else:
        question = question.where(GroupMember.member_group_id == group_id)
    if not ended:
        question = question.where(GroupMember.ended_at.is_(None))
    return [
        MemberLine(
            row.id,
            row.group_id,
            group,
            row.user_id,
            row.member_group_id,
            user.full_name if user is not None else (member or ""),
            tuple(row.benches),
            row.valid_from,
            row.valid_until,
            given.full_name if given else "program",
            row.created_at,
            row.ended_at,
        )
        for row, group, user, member, given in (await session.execute(question)).tuples()
    ]


async def units_of_physician(session: AsyncSession, physician_id: int) -> list[PhysicianUnit]:
    """Further units of a physician, with their days (2.8.16b)."""
    return list(
        await session.scalars(
            select(PhysicianUnit).where(PhysicianUnit.physician_id == physician_id).order_by(PhysicianUnit.id)
        )
    )
