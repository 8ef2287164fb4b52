"""Who may do what, where: permissions, their scopes, and the rights of one person (4.8.3-4.8.6, 2.8.11, 9.7.1).

A permission is an area and an act (`sonuc.klinik_onay`). A grant gives it, or forbids it, within a scope. `Rights` are
all grants of one person, compiled; `Rights.may` is the one function that decides. A prohibition wins over every grant
whose scope it covers, wherever either came from. No I/O here: what stands in the database comes in as `Grant`s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permission_names import AREA_CAPTIONS, REGISTRY, P, Permission, ScopeKind


@dataclass(frozen=True, slots=True)
class Scope:
    """A kind and, for the kinds that name something, its code. A unit without a code is the person's own units."""

    kind: ScopeKind = ScopeKind.ALL
    value: str = ""

    def __str__(self) -> str:
        if self.kind is ScopeKind.UNIT and not self.value:
            return "kendi birimleri"
        return f"{self.kind.caption} {self.value}".strip()


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission given (or, `prohibits`, taken) within a scope.

    path: captions of the groups from the person to the one that holds the entry; empty = his own entry.
    benches: work groups that a membership on the way is limited to; None = not limited.
    """

    permission: P
    scope: Scope = EVERYTHING
    prohibits: bool = False
    path: tuple[str, ...] = ()
    benches: frozenset[str] | None = None
    given_by: str = ""
    entry_id: int | None = None

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        return " → ".join(self.path) if self.path else "kişiye özel"


@dataclass(frozen=True, slots=True)
class Person:
    """Who the rights belong to, as far as "own" scopes need it."""

    user_id: int | None = None
    physician_id: int | None = None
    unit_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Places:
    """What the codes in scopes stand for."""

    units: Mapping[str, int] = field(default_factory=dict)
    units_of_institution: Mapping[str, frozenset[int]] = field(default_factory=dict)
    benches_of_laboratory: Mapping[str, frozenset[str]] = field(default_factory=dict)


class About(NamedTuple):
    """What a decision is about: a test's work group; an order's unit, physician and who entered it."""

    group: str | None = None
    unit_id: int | None = None
    physician_id: int | None = None
    ordered_by_id: int | None = None


class Reach(NamedTuple):
    """How far one permission of a person reaches: all grants of one kind (or all prohibitions) together."""

    everywhere: bool = False
    groups: frozenset[str] = frozenset()
    units: frozenset[int] = frozenset()
    own: bool = False

    @property
    def nothing(self) -> bool:
        return not (self.everywhere or self.groups or self.units or self.own)


_NO_REACH = Reach()
_EVERYWHERE = Reach(everywhere=True)


class Extent(NamedTuple):
    """What is given and what is forbidden of one permission."""

    given: Reach = _NO_REACH
    forbidden: Reach = _NO_REACH

    @property
    def somewhere(self) -> bool:
        """True where anything is left of what is given."""
        given, forbidden = self
        if forbidden.everywhere or given.nothing:
            return False
        return bool(
            given.everywhere
            or given.groups - forbidden.groups
            or given.units - forbidden.units
            or (given.own and not forbidden.own)
        )

    @property
    def unlimited(self) -> bool:
        return self.given.everywhere and self.forbidden.nothing


NO_EXTENT = Extent()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a person may, or may not."""

    permission: P
    allowed: bool
    grants: tuple[Grant, ...]
    prohibitions: tuple[Grant, ...]

    @property
    def words(self) -> str:
        """One Turkish sentence for a screen."""
        given = "; ".join(dict.fromkeys(f"{grant.source} ({reach_words(grant)})" for grant in self.grants))
        taken = "; ".join(dict.fromkeys(f"{grant.source} ({reach_words(grant)})" for grant in self.prohibitions))
        if not self.grants:
            return "Bu yetki verilmemiş." + (f" Ayrıca yasak: {taken}." if taken else "")
        return f"Veren: {given}." + (f" Yasaklayan: {taken}." if taken else "")


def reach_words(grant: Grant) -> str:
    """The scope of a grant as a screen shows it, with the limit of the membership it came by."""
    limited = grant.benches is not None and REGISTRY[grant.permission].by_bench and not grant.prohibits
    return f"{grant.scope}" + (f", yalnız {', '.join(sorted(grant.benches or ()))}" if limited else "")


class Rights:
    """Everything that one person (or part of the program) may do. Never changes; a change makes new ones.

    givers: who can give a missing permission, in words, for refusals (4.8.4).
    """

    __slots__ = ("_extents", "_physician_id", "_places", "_user_id", "givers", "grants", "person")

    def __init__(
        self,
        grants: Iterable[Grant] = (),
        person: Person = Person(),
        places: Places = Places(),
        *,
        givers: str = "",
    ) -> None:
        self.grants = tuple(grants)
        self.person = person
        self.givers = givers
        self._places = places
        self._user_id = person.user_id
        self._physician_id = person.physician_id
        self._extents = _compiled(self.grants, person, places)

    def may(self, permission: P, about: About | None = None) -> bool:
        """True where this is allowed. Without `about`: allowed anywhere at all."""
        extent = self._extents.get(permission)
        if extent is None:
            return False
        if about is None:
            return extent.somewhere
        given, forbidden = extent
        return self._reaches(given, about) and (forbidden is _NO_REACH or not self._reaches(forbidden, about))

    def may_any(self, *permissions: P) -> bool:
        """True where at least one of these is allowed anywhere."""
        return any(self.may(permission) for permission in permissions)

    def extent(self, permission: P) -> Extent:
        """How far it reaches, for questions to the database."""
        return self._extents.get(permission, NO_EXTENT)

    def unlimited(self, permission: P) -> bool:
        """True where it holds for everything there is."""
        return self.extent(permission).unlimited

    def why(self, permission: P) -> Explanation:
        """Which groups gave it, which prohibition took it."""
        of_it = [grant for grant in self.grants if grant.permission == permission]
        return Explanation(
            permission,
            self.may(permission),
            tuple(grant for grant in of_it if not grant.prohibits),
            tuple(grant for grant in of_it if grant.prohibits),
        )

    def only(self, *permissions: P) -> Rights:
        """These rights with nothing but the given permissions."""
        kept = [grant for grant in self.grants if grant.permission in permissions]
        return Rights(kept, self.person, self._places, givers=self.givers)

    @property
    def held(self) -> frozenset[P]:
        """Permissions that hold anywhere."""
        return frozenset(code for code, extent in self._extents.items() if extent.somewhere)

    @property
    def groups(self) -> tuple[str, ...]:
        """Captions of the groups that this person is in himself."""
        return tuple(sorted({grant.path[0] for grant in self.grants if grant.path}))

    def must(self, permission: P, about: About | None = None) -> None:
        """Raises NOT_ALLOWED, in words: which permission is missing and who can give it (4.8.4)."""
        if not self.may(permission, about):
            raise self.refusal(permission)

    def refusal(self, *permissions: P) -> NumuneError:
        """The refusal for want of (any of) these; one that is held elsewhere is said to end before this record."""
        said = " ya da ".join(permission.caption for permission in permissions)
        elsewhere = self.may_any(*permissions)
        return NumuneError(
            errors.NOT_ALLOWED,
            permission=f"{said} (bu kayıt yetkinizin kapsamında değil)" if elsewhere else said,
            codes=[permission.value for permission in permissions],
            **({"givers": self.givers} if self.givers else {}),
        )

    def _reaches(self, reach: Reach, about: About) -> bool:
        if reach.everywhere or about.group in reach.groups or about.unit_id in reach.units:
            return True
        return reach.own and (
            (about.physician_id is not None and about.physician_id == self._physician_id)
            or (about.ordered_by_id is not None and about.ordered_by_id == self._user_id)
        )


def _compiled(grants: Iterable[Grant], person: Person, places: Places) -> dict[P, Extent]:
    reaches: dict[tuple[P, bool], Reach] = {}
    for grant in grants:
        key = (grant.permission, grant.prohibits)
        reaches[key] = _joined(reaches.get(key, _NO_REACH), _reach_of(grant, person, places))
    return {
        permission: Extent(reaches.get((permission, False), _NO_REACH), reaches.get((permission, True), _NO_REACH))
        for permission in {permission for permission, _ in reaches}
    }


def _joined(one: Reach, other: Reach) -> Reach:
    if other == _NO_REACH:
        return one
    return Reach(
        one.everywhere or other.everywhere, one.groups | other.groups, one.units | other.units, one.own or other.own
    )


def _reach_of(grant: Grant, person: Person, places: Places) -> Reach:
    """A grant in ids. A code that stands for nothing reaches nothing."""
    kind, value = grant.scope.kind, grant.scope.value
    limit = grant.benches if REGISTRY[grant.permission].by_bench and not grant.prohibits else None
    if kind is ScopeKind.ALL:
        return Reach(everywhere=True) if limit is None else Reach(groups=limit)
    if kind is ScopeKind.BENCH:
        return Reach(groups=_within(frozenset({value}), limit))
    if kind is ScopeKind.LABORATORY:
        return Reach(groups=_within(places.benches_of_laboratory.get(value, frozenset()), limit))
    if kind is ScopeKind.INSTITUTION:
        return Reach(units=places.units_of_institution.get(value, frozenset()))
    if kind is ScopeKind.UNIT:
        if not value:
            return Reach(units=person.unit_ids)
        return Reach(units=frozenset({places.units[value]}) if value in places.units else frozenset())
    return Reach(own=True)


def _within(groups: frozenset[str], limit: frozenset[str] | None) -> frozenset[str]:
    return groups if limit is None else groups & limit


NO_RIGHTS = Rights()


def program_rights(*permissions: P) -> Rights:
    """What a part of the program declares that it does, everywhere, and nothing else."""
    return Rights(Grant(permission, path=("program",)) for permission in permissions)


# --- groups in groups ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Membership:
    """Somebody or a group in a group. `benches`: the work groups that it is limited to; None = not limited."""

    group_id: int
    benches: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group, its entries (paths and limits empty), and the groups that it is in itself: it inherits from them."""

    id: int
    caption: str
    entries: tuple[Grant, ...] = ()
    inside: tuple[Membership, ...] = ()


def inherited(own: Iterable[Grant], memberships: Iterable[Membership], groups: Mapping[int, Group]) -> list[Grant]:
    """A person's own entries and those of every group he is in, through groups in groups (4.8.6).

    A circle of groups, which the database refuses, ends here where it closes; an unknown group gives nothing.
    """
    found = list(own)
    waiting: list[_Step] = [(membership, (), None) for membership in memberships]
    seen: set[tuple[int, frozenset[str] | None]] = set()
    while waiting:
        membership, path, limit = waiting.pop(0)
        benches = _both(limit, membership.benches)
        group = groups.get(membership.group_id)
        if group is None or (group.id, benches) in seen:
            continue
        seen.add((group.id, benches))
        way = (*path, group.caption)
        found += [
            Grant(entry.permission, entry.scope, entry.prohibits, way, benches, entry.given_by, entry.entry_id)
            for entry in group.entries
        ]
        waiting += [(further, way, benches) for further in group.inside]
    return found


_Step = tuple[Membership, tuple[str, ...], frozenset[str] | None]


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


# --- what a change changes -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One permission before and after. `words`: gains, loses, or another reach."""

    permission: P
    before: Extent
    after: Extent

    @property
    def words(self) -> str:
        if not self.before.somewhere:
            return "kazanır"
        return "kapsamı değişir" if self.after.somewhere else "kaybeder"


def difference(before: Rights, after: Rights) -> tuple[Change, ...]:
    """What somebody gains and loses, in the order of the permissions."""
    changes = (Change(code, before.extent(code), after.extent(code)) for code in P)
    return tuple(
        change
        for change in changes
        if _in_effect(change.before) != _in_effect(change.after) and (change.before.somewhere or change.after.somewhere)
    )


def _in_effect(extent: Extent) -> Extent:
    """The same extent without what adds nothing: beside "everywhere" no unit, bench or own patient counts."""
    given, forbidden = (_EVERYWHERE if reach.everywhere else reach for reach in extent)
    return Extent(given, forbidden)


__all__ = [
    "AREA_CAPTIONS",
    "EVERYTHING",
    "NO_EXTENT",
    "NO_RIGHTS",
    "REGISTRY",
    "About",
    "Change",
    "Explanation",
    "Extent",
    "Grant",
    "Group",
    "Membership",
    "P",
    "Permission",
    "Person",
    "Places",
    "Reach",
    "Rights",
    "Scope",
    "ScopeKind",
    "difference",
    "inherited",
    "program_rights",
    "reach_words",
]
