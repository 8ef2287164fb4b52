"""Everybody with an account, for the screen that manages them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.turkish import like_contains
from lis_core.services.employment import WORDS, absent_on
from lis_core.storage.tables import AccountSecurity, EmploymentStatus, SecurityKey, User, WebSession
from lis_core.storage.tables.accounts import AccountKind

MOST = 500


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One account in the list. absence: words, empty = works today."""

    id: int
    username: str
    full_name: str
    kind: str
    active: bool
    absence: str
    second_factor: bool
    must_change: bool
    last_seen: datetime | None


async def people_list(session: AsyncSession, find: str, *, closed: bool, day: date) -> Sequence[PersonLine]:
    """Accounts by name, at most 500. find: part of a name or user name; closed: the passive ones too."""
    keys = select(SecurityKey.user_id).where(SecurityKey.user_id == User.id).exists()
    seen = select(func.max(WebSession.used_at)).where(WebSession.user_id == User.id).scalar_subquery()
    away = (
        select(EmploymentStatus.kind)
        .where(EmploymentStatus.user_id == User.id, absent_on(day))
        .order_by(EmploymentStatus.last_day.desc().nulls_first())
        .limit(1)
        .scalar_subquery()
    )
    name = func.tr_ara(User.given_name + " " + User.family_name + " " + User.username)
    query = (
        select(User, AccountSecurity, keys, seen, away)
        .outerjoin(AccountSecurity, AccountSecurity.user_id == User.id)
        .order_by(func.tr_sira(User.given_name + " " + User.family_name).collate("C"), User.id)
        .limit(MOST)
    )
    if find.strip():
        query = query.where(name.like(like_contains(find.strip())))
    if not closed:
        query = query.where(User.active)
    return [_line(*row) for row in (await session.execute(query)).tuples()]


def _line(user: User, security: AccountSecurity | None, keys: bool, seen: datetime | None, away: object) -> PersonLine:
    return PersonLine(
        id=user.id,
        username=user.username,
        full_name=user.full_name,
        kind=(security.kind if security else AccountKind.PERSON).value,
        active=user.active,
        absence=next((words for kind, words in WORDS.items() if kind == away), ""),
        second_factor=keys or (security is not None and security.totp_confirmed_at is not None),
        must_change=security is not None and security.must_change,
        last_seen=seen,
    )
