"""The rights of people in memory, compiled once for each version of what the database says about them.

`rights_of` costs one primary-key lookup. The database raises the version (guards.sql) with every change of a group, a
membership, an entry, a unit; so a change holds at the next request, in every process, without a restart (4.8.4).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, and_, func, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.permissions import (
    REGISTRY,
    Grant,
    Group,
    Membership,
    P,
    Person,
    Places,
    Rights,
    Scope,
    inherited,
)
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor, Database
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

RIGHTS_VERSION = "select (deger->>'surum')::bigint from parametre where ad = 'yetki_surumu'"

_NOBODY_GIVES = "sistem yöneticisi"


@dataclass(frozen=True, slots=True)
class RightsBook:
    """What the database says about permissions, on one day. `compiled` fills as people come."""

    version: int
    day: date
    groups: Mapping[int, Group]
    memberships: Mapping[int, tuple[Membership, ...]]
    own: Mapping[int, tuple[Grant, ...]]
    places: Places
    givers: str = _NOBODY_GIVES
    compiled: dict[int, Rights] = field(default_factory=dict, repr=False)

    def grants_of(self, user_id: int) -> list[Grant]:
        """Everything given to, or forbidden for, this user, with where it came from."""
        return inherited(self.own.get(user_id, ()), self.memberships.get(user_id, ()), self.groups)

    def rights_of(self, person: Person) -> Rights:
        assert person.user_id is not None
        return Rights(self.grants_of(person.user_id), person, self.places, givers=self.givers)


_books: WeakKeyDictionary[Any, RightsBook] = WeakKeyDictionary()
"""One book per database engine of the process."""


def today() -> date:
    """The day that from and until dates are compared with."""
    return datetime.now(ISTANBUL).date()


async def rights_book(session: AsyncSession) -> RightsBook:
    """The book as this session sees it now."""
    version = await session.scalar(text(RIGHTS_VERSION)) or 0
    engine, day = session.get_bind(), today()
    known = _books.get(engine)
    if known is None or known.version != version or known.day != day:
        known = _books[engine] = await load_book(session, version, day)
    return known


async def rights_of(session: AsyncSession, user_id: int) -> Rights:
    """What this user may do today."""
    book = await rights_book(session)
    known = book.compiled.get(user_id)
    if known is None:
        known = book.compiled[user_id] = book.rights_of(await person_of(session, user_id, book.day))
    return known


async def rights_of_many(session: AsyncSession, user_ids: Sequence[int]) -> dict[int, Rights]:
    """The rights of these people by id, for a list of them: a few questions, however many they are."""
    book = await rights_book(session)
    if unknown := [key for key in user_ids if key not in book.compiled]:
        for person in await _people(session, unknown, book.day):
            book.compiled[person.user_id or 0] = book.rights_of(person)
    return {key: book.compiled[key] for key in user_ids if key in book.compiled}


async def _people(session: AsyncSession, user_ids: Sequence[int], day: date) -> list[Person]:
    """As `person_of`, of many."""
    found = (await session.execute(select(User.id, User.physician_id).where(User.id.in_(user_ids)))).tuples().all()
    physicians = [physician for _, physician in found if physician is not None]
    units: defaultdict[int, set[int]] = defaultdict(set)
    if physicians:
        first = select(Physician.id, Physician.unit_id).where(Physician.id.in_(physicians))
        more = select(PhysicianUnit.physician_id, PhysicianUnit.unit_id).where(
            PhysicianUnit.physician_id.in_(physicians), valid_on(PhysicianUnit, day)
        )
        for physician, unit in (await session.execute(first.union(more))).tuples():
            if unit is not None:
                units[physician].add(unit)
    return [Person(key, who, frozenset(units[who])) if who is not None else Person(key) for key, who in found]


async def with_rights(db: Database, actor: Actor) -> Actor:
    """The same person with the rights of this moment."""
    if actor.user_id is None:
        return actor
    async with db.reading() as session:
        rights = await rights_of(session, actor.user_id)
    return actor if rights is actor.rights else replace(actor, rights=rights)


# --- loading -------------------------------------------------------------------------------------------------------


async def load_book(session: AsyncSession, version: int, day: date) -> RightsBook:
    """The version was read before the rows: a change in between is found at the next use."""
    own, of_group = await _entries(session, day)
    memberships, inside = await _memberships(session, day)
    rows = await session.execute(select(PermissionGroup.id, PermissionGroup.name).where(PermissionGroup.active))
    groups = {key: Group(key, name, tuple(of_group[key]), tuple(inside[key])) for key, name in rows.tuples()}
    book = RightsBook(
        version,
        day,
        MappingProxyType(groups),
        MappingProxyType({user: tuple(found) for user, found in memberships.items()}),
        MappingProxyType({user: tuple(found) for user, found in own.items()}),
        await _places(session),
    )
    return replace(book, givers=await _givers(session, book))


def valid_on(table: type[GroupMember] | type[PermissionEntry] | type[PhysicianUnit], day: date) -> ColumnElement[bool]:
    """Rows that hold on this day: begun, not over, not ended."""
    ended = true() if table is PhysicianUnit else table.ended_at.is_(None)  # type: ignore[union-attr]
    return and_(
        ended,
        or_(table.valid_from.is_(None), table.valid_from <= day),
        or_(table.valid_until.is_(None), table.valid_until >= day),
    )


async def _entries(
    session: AsyncSession, day: date
) -> tuple[defaultdict[int, list[Grant]], defaultdict[int, list[Grant]]]:
    """By user and by group. An entry of a permission that this program does not know says nothing."""
    rows = await session.execute(
        select(PermissionEntry, func.concat_ws(" ", User.given_name, User.family_name))
        .outerjoin(User, User.id == PermissionEntry.given_by_id)
        .where(valid_on(PermissionEntry, day))
        .order_by(PermissionEntry.id)
        .execution_options(populate_existing=True)
    )
    own: defaultdict[int, list[Grant]] = defaultdict(list)
    of_group: defaultdict[int, list[Grant]] = defaultdict(list)
    for entry, giver in rows.tuples():
        if entry.permission not in REGISTRY:
            continue
        grant = Grant(
            P(entry.permission),
            Scope(entry.scope_kind, entry.scope_value),
            entry.prohibits,
            given_by=giver,
            entry_id=entry.id,
        )
        if entry.user_id is not None:
            own[entry.user_id].append(grant)
        elif entry.group_id is not None:
            of_group[entry.group_id].append(grant)
    return own, of_group


async def _memberships(
    session: AsyncSession, day: date
) -> tuple[defaultdict[int, list[Membership]], defaultdict[int, list[Membership]]]:
    """Of users, and of groups in groups."""
    rows = await session.execute(
        select(GroupMember.user_id, GroupMember.member_group_id, GroupMember.group_id, GroupMember.benches)
        .where(valid_on(GroupMember, day))
        .order_by(GroupMember.id)
    )
    users: defaultdict[int, list[Membership]] = defaultdict(list)
    groups: defaultdict[int, list[Membership]] = defaultdict(list)
    for user_id, member_group_id, group_id, benches in rows.tuples():
        membership = Membership(group_id, frozenset(benches) if benches else None)
        if user_id is not None:
            users[user_id].append(membership)
        elif member_group_id is not None:
            groups[member_group_id].append(membership)
    return users, groups


async def _places(session: AsyncSession) -> Places:
    units: dict[str, int] = {}
    of_institution: defaultdict[str, set[int]] = defaultdict(set)
    rows = await session.execute(
        select(Unit.id, Unit.code, Institution.code).outerjoin(Institution, Institution.id == Unit.institution_id)
    )
    for key, code, institution in rows.tuples():
        units[code] = key
        if institution is not None:
            of_institution[institution].add(key)
    benches: defaultdict[str, set[str]] = defaultdict(set)
    belonging = await session.execute(
        select(Unit.code, WorkGroup.code).join(WorkGroup, WorkGroup.laboratory_id == Unit.id)
    )
    for laboratory, bench in belonging.tuples():
        benches[laboratory].add(bench)
    return Places(
        units,
        {code: frozenset(ids) for code, ids in of_institution.items()},
        {code: frozenset(codes) for code, codes in benches.items()},
    )


async def person_of(session: AsyncSession, user_id: int, day: date) -> Person:
    """The user's physician record and every unit that he works in on this day (2.8.16b)."""
    physician_id = await session.scalar(select(User.physician_id).where(User.id == user_id))
    if physician_id is None:
        return Person(user_id)
    first = select(Physician.unit_id).where(Physician.id == physician_id, Physician.unit_id.is_not(None))
    more = select(PhysicianUnit.unit_id).where(PhysicianUnit.physician_id == physician_id, valid_on(PhysicianUnit, day))
    units = (await session.scalars(first.union(more))).all()
    return Person(user_id, physician_id, frozenset(unit for unit in units if unit is not None))


MOST_NAMED = 3
"""People that a refusal names; with more, the group's name must do."""


async def _givers(session: AsyncSession, book: RightsBook) -> str:
    """Who can give a permission, in words: the groups that hold `yetki.yonet`, and people of them (4.8.4)."""
    found: dict[int, set[str]] = {}
    giving = {
        key for key in book.groups if any(_manages(grant) for grant in inherited((), (Membership(key),), book.groups))
    }
    for user_id in book.own.keys() | book.memberships.keys():
        if any(_manages(grant) for grant in book.own.get(user_id, ())) or any(
            membership.group_id in giving for membership in book.memberships.get(user_id, ())
        ):
            rights = book.rights_of(Person(user_id))
            if rights.may(P.RIGHTS_MANAGE):
                found[user_id] = {grant.path[0] for grant in rights.why(P.RIGHTS_MANAGE).grants if grant.path}
    names = await _names(session, found)
    groups = sorted({group for key in names for group in found[key]})
    listed = ", ".join(sorted(names.values())[:MOST_NAMED])
    if not names:
        return _NOBODY_GIVES
    return f"{' / '.join(groups)} ({listed})" if groups else listed


def _manages(grant: Grant) -> bool:
    return grant.permission is P.RIGHTS_MANAGE and not grant.prohibits


async def _names(session: AsyncSession, user_ids: Iterable[int]) -> dict[int, str]:
    wanted = sorted(user_ids)
    if not wanted:
        return {}
    rows = await session.execute(
        select(User.id, func.concat_ws(" ", User.given_name, User.family_name)).where(User.id.in_(wanted), User.active)
    )
    return dict(rows.tuples().all())
