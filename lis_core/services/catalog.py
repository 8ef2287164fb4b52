"""The catalogue in memory: tests, panels, tubes, ranges, instruments and their codes, reloaded when it changed.

`catalog(session)` costs one primary-key lookup. The database itself raises the version (guards.sql: every statement
that changes a catalogue table takes a new number from a sequence, so a number never stands for two contents, not even
after a rollback).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.storage.tables import (
    Connection,
    Instrument,
    InstrumentTest,
    PanelMember,
    Range,
    Test,
    TubeType,
    WorkGroup,
)
from rules.interpretation import CutOff, cut_off, cut_offs_of
from rules.reference import RangeBook, ReferenceRange
from rules.values import fold


@dataclass(frozen=True, slots=True)
class CatalogTest:
    """A test or a panel. `materials`: what it may run from. `members`: test ids of a panel, in its order."""

    id: int
    code: str
    name: str
    panel: bool
    group: str
    tube: str
    materials: frozenset[str]
    unit: str
    loinc: str | None
    decimals: int | None
    report_position: int
    active: bool
    passive_reason: str | None
    members: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogTube:
    """A tube type. `code` is the two digits on its label."""

    code: str
    caption: str
    material: str
    colour: str
    position: int


@dataclass(frozen=True, slots=True)
class CatalogInstrument:
    """An analyser. `settings`: parameters of its definition."""

    id: int
    code: str
    name: str
    definition: str
    in_service: bool
    service_note: str | None
    reserve_minutes: int
    settings: Mapping[str, Any]
    active: bool


@dataclass(frozen=True, slots=True)
class CatalogLine:
    """A connection of an instrument."""

    id: int
    name: str
    instrument_id: int
    protocol: str
    settings: Mapping[str, Any]
    active: bool


@dataclass(frozen=True, slots=True)
class CodeMapping:
    """This instrument runs this test under these codes.

    materials: on which this instrument may run it (its own list, else the test's). translations: by the folded text
    (`rules.values.fold`). factor: the instrument's value times this is ours; None = taken as it is. unit: the
    instrument's; "" = the test's.
    """

    id: int
    instrument_id: int
    test_id: int
    incoming: str
    outgoing: str
    materials: frozenset[str]
    translations: Mapping[str, str]
    factor: Decimal | None
    unit: str
    cut_offs: tuple[CutOff, ...] = ()
    """Numbers that get a word: those of its translations that state a comparison (`< 1.0` = NEGATİF)."""


_NOTHING: Mapping[str, CodeMapping] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Catalog:
    """One version of the catalogue; never changes, may be kept for the length of one use case."""

    version: int
    test_by_id: Mapping[int, CatalogTest]
    test_by_code: Mapping[str, CatalogTest]
    tube_by_code: Mapping[str, CatalogTube]
    groups: Mapping[str, str]
    """Work groups, code -> name, in screen order."""
    range_book: RangeBook
    instrument_by_id: Mapping[int, CatalogInstrument]
    instrument_by_code: Mapping[str, CatalogInstrument]
    line_by_name: Mapping[str, CatalogLine]
    mappings_of_test: Mapping[int, tuple[CodeMapping, ...]]
    _by_instrument: Mapping[int, Mapping[str, CodeMapping]] = field(repr=False)

    def mapping(self, instrument_id: int) -> Mapping[str, CodeMapping]:
        """Active mappings of an instrument by the code in its results; empty for an unknown instrument."""
        return self._by_instrument.get(instrument_id, _NOTHING)

    def instrument_by_line(self, line: str) -> CatalogInstrument | None:
        """The instrument that talks on this line (`baglanti_adi`), or None."""
        found = self.line_by_name.get(line)
        return None if found is None else self.instrument_by_id.get(found.instrument_id)


_caches: WeakKeyDictionary[Any, Catalog] = WeakKeyDictionary()
"""One catalogue per database engine of the process."""


CATALOG_VERSION = "select (deger->>'surum')::bigint from parametre where ad = 'katalog_surumu'"


async def catalog(session: AsyncSession) -> Catalog:
    """The catalogue as this session sees it now."""
    return await catalog_of(session, await session.scalar(text(CATALOG_VERSION)) or 0)


async def catalog_of(session: AsyncSession, version: int) -> Catalog:
    """The catalogue of a version that was just read (`CATALOG_VERSION`)."""
    engine = session.get_bind()
    known = _caches.get(engine)
    if known is None or known.version != version:
        known = await _load(session, version)
        _caches[engine] = known
    return known


async def _load(session: AsyncSession, version: int) -> Catalog:
    """The version was read before the rows: a change in between is found at the next use."""
    tests = await _tests(session)
    test_by_id = {test.id: test for test in tests}
    instruments = [
        CatalogInstrument(
            row.id, row.code, row.name, row.definition, row.in_service, row.service_note, row.reserve_minutes,
            MappingProxyType(row.settings), row.active,
        )
        for row in await _all(session, Instrument)
    ]  # fmt: skip
    lines = await _all(session, Connection)
    by_instrument, of_test = _mappings(await _all(session, InstrumentTest), test_by_id)
    return Catalog(
        version=version,
        test_by_id=MappingProxyType(test_by_id),
        test_by_code=MappingProxyType({test.code: test for test in tests}),
        tube_by_code=MappingProxyType(
            {
                row.code: CatalogTube(row.code, row.caption, row.material, row.colour, row.position)
                for row in await _in_order(session, TubeType)
            }
        ),
        groups=MappingProxyType({row.code: row.name for row in await _in_order(session, WorkGroup)}),
        range_book=RangeBook([as_reference(row) for row in await _all(session, Range)]),
        instrument_by_id=MappingProxyType({row.id: row for row in instruments}),
        instrument_by_code=MappingProxyType({row.code: row for row in instruments}),
        line_by_name=MappingProxyType(
            {
                row.name: CatalogLine(
                    row.id, row.name, row.instrument_id, row.protocol, MappingProxyType(row.settings), row.active
                )
                for row in lines
            }
        ),
        mappings_of_test=MappingProxyType(of_test),
        _by_instrument=MappingProxyType(by_instrument),
    )


async def _all(session: AsyncSession, table: Any) -> Iterable[Any]:
    """Every row as it is now, also where this session already holds an older copy."""
    rows = await session.scalars(select(table).order_by(table.id).execution_options(populate_existing=True))
    return rows.unique().all()


async def _in_order(session: AsyncSession, table: Any) -> Iterable[Any]:
    rows = await session.scalars(
        select(table).order_by(table.position, table.code).execution_options(populate_existing=True)
    )
    return rows.all()


async def _tests(session: AsyncSession) -> list[CatalogTest]:
    members: dict[int, list[int]] = {}
    rows = await session.execute(
        select(PanelMember.panel_id, PanelMember.test_id).order_by(PanelMember.panel_id, PanelMember.position)
    )
    for panel_id, test_id in rows:
        members.setdefault(panel_id, []).append(test_id)
    return [
        CatalogTest(
            row.id, row.code, row.name, row.panel, row.group, row.tube, frozenset(row.materials), row.unit, row.loinc,
            row.decimals, row.report_position, row.active, row.passive_reason, tuple(members.get(row.id, ())),
        )
        for row in await _all(session, Test)
    ]  # fmt: skip


def _mappings(
    rows: Iterable[InstrumentTest], tests: Mapping[int, CatalogTest]
) -> tuple[dict[int, Mapping[str, CodeMapping]], dict[int, tuple[CodeMapping, ...]]]:
    by_instrument: dict[int, dict[str, CodeMapping]] = {}
    of_test: dict[int, list[CodeMapping]] = {}
    for row in rows:
        if not row.active:
            continue
        mapping = CodeMapping(
            id=row.id,
            instrument_id=row.instrument_id,
            test_id=row.test_id,
            incoming=row.incoming,
            outgoing=row.outgoing,
            materials=frozenset(row.materials) or tests[row.test_id].materials,
            translations=MappingProxyType(
                {fold(theirs): ours for theirs, ours in row.translations.items() if cut_off(theirs, ours) is None}
            ),
            factor=Decimal(row.factor) if row.factor else None,
            unit=row.unit or "",
            cut_offs=cut_offs_of(row.translations.items()),
        )
        by_instrument.setdefault(row.instrument_id, {})[row.incoming] = mapping
        of_test.setdefault(row.test_id, []).append(mapping)
    return (
        {instrument: MappingProxyType(codes) for instrument, codes in by_instrument.items()},
        {test: tuple(mappings) for test, mappings in of_test.items()},
    )


def as_reference(row: Range) -> ReferenceRange:
    """A stored range as the rules take it."""
    return ReferenceRange(
        id=row.id,
        test_id=row.test_id,
        sex=row.sex,  # type: ignore[arg-type]  # the column's check allows F, M and null
        age_from_days=row.age_from_days or 0,
        age_to_days=row.age_to_days,
        condition=row.condition,
        low=row.low,
        high=row.high,
        critical_low=row.critical_low,
        critical_high=row.critical_high,
        normal_text=row.normal_text,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        version=row.version,
    )
