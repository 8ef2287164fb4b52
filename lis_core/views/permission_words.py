"""Scopes in words: codes and ids of what rights reach, by the names that people use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.permissions import (
    REGISTRY,
    Extent,
    Grant,
    Reach,
    Scope,
    ScopeKind,
)
from lis_core.storage.tables import Institution, Unit, WorkGroup

NOWHERE = "hiçbir yerde"
OWN_PATIENTS = "kendi hastaları"
OWN_UNITS = "kendi birimleri"


@dataclass(frozen=True, slots=True)
class PlaceNames:
    """Names of benches, laboratories, units and institutions by code; `unit_ids`: names of units by id."""

    benches: Mapping[str, str]
    laboratories: Mapping[str, str]
    units: Mapping[str, str]
    institutions: Mapping[str, str]
    unit_ids: Mapping[int, str]

    def choices(self, kind: ScopeKind) -> Mapping[str, str]:
        """Codes that a scope of this kind may name, with their names."""
        return {
            ScopeKind.BENCH: self.benches,
            ScopeKind.LABORATORY: self.laboratories,
            ScopeKind.UNIT: self.units,
            ScopeKind.INSTITUTION: self.institutions,
        }.get(kind, {})

    def scope(self, scope: Scope) -> str:
        """ "tümü", "kendi hastaları", "klinik / birim: Dahiliye"."""
        if scope.kind is ScopeKind.UNIT and not scope.value:
            return OWN_UNITS
        if not scope.value:
            return scope.kind.caption
        return f"{scope.kind.caption}: {self.choices(scope.kind).get(scope.value, scope.value)}"

    def grant(self, grant: Grant) -> str:
        """The scope of a grant with the limit of the membership that it came by."""
        limited = grant.benches is not None and REGISTRY[grant.permission].by_bench and not grant.prohibits
        return self.scope(grant.scope) + (f", yalnız {self.benches_named(grant.benches or ())}" if limited else "")

    def benches_named(self, codes: Iterable[str]) -> str:
        return ", ".join(self.benches.get(code, code) for code in sorted(codes)) or NOWHERE

    def reach(self, reach: Reach) -> str:
        """All grants (or prohibitions) of one permission together."""
        if reach.everywhere:
            return "tümü"
        parts = [self.benches_named(reach.groups)] if reach.groups else []
        parts += sorted(self.unit_ids.get(unit, f"birim {unit}") for unit in reach.units)
        parts += [OWN_PATIENTS] if reach.own else []
        return ", ".join(parts) or NOWHERE

    def extent(self, extent: Extent) -> str:
        """What is left: what is given, and what is taken out of it."""
        given, forbidden = extent
        if not extent.somewhere:
            return NOWHERE
        if forbidden.nothing:
            return self.reach(given)
        if not given.everywhere:
            kept = Reach(
                False, given.groups - forbidden.groups, given.units - forbidden.units, given.own and not forbidden.own
            )
            return self.reach(kept) + (f" ({self.reach(forbidden)} hariç)" if _crosses(given, forbidden) else "")
        return f"{self.reach(given)} ({self.reach(forbidden)} hariç)"


def _crosses(given: Reach, forbidden: Reach) -> bool:
    """True where a prohibition of another kind may still cover a part of what is left (own patients of a unit)."""
    return bool((given.own and forbidden.units) or (given.units and forbidden.own))


async def place_names(session: AsyncSession) -> PlaceNames:
    """Every name there is, in the order of the alphabet."""
    units = (
        await session.execute(select(Unit.id, Unit.code, Unit.name, Unit.kind).order_by(func.tr_sira(Unit.name)))
    ).all()
    benches = await session.execute(select(WorkGroup.code, WorkGroup.name).order_by(WorkGroup.position, WorkGroup.code))
    institutions = await session.execute(
        select(Institution.code, Institution.name).order_by(func.tr_sira(Institution.name))
    )
    return PlaceNames(
        dict(benches.tuples().all()),
        {row.code: row.name for row in units if row.kind == "laboratuvar"},
        {row.code: row.name for row in units},
        dict(institutions.tuples().all()),
        {row.id: row.name for row in units},
    )
