"""Refused attempts: kept in a chain of their own, and told to the person in words that help (4.8.4d, 2.8.11b)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from lis_core.domain.errors import NumuneError
from lis_core.services.rights import rights_book
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import GroupMember, PermissionEntry, PermissionGroup, User

CHAIN = "ret"
REMEMBERED = timedelta(days=90)
"""How long a refusal says that a permission was taken."""


async def keep_refusal(db: Database, actor: Actor, refusal: NumuneError, where: str) -> None:
    """Write the attempt into the audit: who, what was missing, at which door; never whose record it was about.

    Also completes the refusal: when the permission was taken and by whom, if it was. Raises what the database raises.
    """
    codes = refusal.details.get("codes")
    async with db.work(replace(actor, chain=CHAIN)) as work:
        if actor.user_id is not None and isinstance(codes, list):
            refusal.details["changed"] = await _what_changed(work.session, actor.user_id, codes, work.now)
        work.audit("yetki_ret", "yetki", refusal.code, None, {"kapi": where, "yetki": codes or []})


async def _what_changed(session: AsyncSession, user_id: int, codes: Collection[str], now: datetime) -> str:
    """A sentence about the last time that something of this was taken from this person; "" where nothing was."""
    since = now - REMEMBERED
    groups = await _groups_of(session, user_id)
    giver = aliased(User)
    name = func.concat_ws(" ", giver.given_name, giver.family_name)
    ended = (
        select(PermissionEntry.ended_at, name)
        .outerjoin(giver, giver.id == PermissionEntry.ended_by_id)
        .where(
            PermissionEntry.permission.in_(codes),
            PermissionEntry.ended_at >= since,
            ~PermissionEntry.prohibits,
            or_(PermissionEntry.user_id == user_id, PermissionEntry.group_id.in_(groups)),
        )
        .order_by(PermissionEntry.ended_at.desc())
        .limit(1)
    )
    forbidden = (
        select(PermissionEntry.created_at, name)
        .outerjoin(giver, giver.id == PermissionEntry.given_by_id)
        .where(
            PermissionEntry.permission.in_(codes),
            PermissionEntry.created_at >= since,
            PermissionEntry.ended_at.is_(None),
            PermissionEntry.prohibits,
            or_(PermissionEntry.user_id == user_id, PermissionEntry.group_id.in_(groups)),
        )
        .order_by(PermissionEntry.created_at.desc())
        .limit(1)
    )
    left = (
        select(GroupMember.ended_at, name, PermissionGroup.name)
        .join(PermissionGroup, PermissionGroup.id == GroupMember.group_id)
        .outerjoin(giver, giver.id == GroupMember.ended_by_id)
        .where(GroupMember.user_id == user_id, GroupMember.ended_at >= since)
        .order_by(GroupMember.ended_at.desc())
        .limit(1)
    )
    found: list[tuple[datetime, str]] = []
    if (row := (await session.execute(ended)).tuples().first()) is not None and row[0] is not None:
        found.append((row[0], f"Bu yetki {_at(row[0])} {row[1] or 'program'} tarafından kaldırıldı. "))
    if (taken := (await session.execute(forbidden)).tuples().first()) is not None:
        found.append((taken[0], f"Bu yetki {_at(taken[0])} {taken[1] or 'program'} tarafından yasaklandı. "))
    if (gone := (await session.execute(left)).tuples().first()) is not None and gone[0] is not None:
        words = f"{gone[2]} grubundan {_at(gone[0])} {gone[1] or 'program'} tarafından çıkarıldınız. "
        found.append((gone[0], words))
    return max(found)[1] if found else ""


async def _groups_of(session: AsyncSession, user_id: int) -> set[int]:
    """Every group that this user is in, through groups in groups."""
    book = await rights_book(session)
    found: set[int] = set()
    waiting = [membership.group_id for membership in book.memberships.get(user_id, ())]
    while waiting:
        key = waiting.pop()
        if key not in found and key in book.groups:
            found.add(key)
            waiting += [membership.group_id for membership in book.groups[key].inside]
    return found


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(ISTANBUL):%d.%m.%Y %H:%M} itibarıyla"
