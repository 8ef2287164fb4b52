"""The catalogue as somebody orders from it: tests under the tube they go into (9.2.8)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.turkish import sort_key
from lis_core.services.catalog import Catalog, CatalogTest, catalog


@dataclass(frozen=True, slots=True)
class Orderable:
    """A test or a panel. `members`: codes of a panel's tests. `passive_reason`: why it cannot be ordered now."""

    code: str
    name: str
    panel: bool
    members: list[str]
    unit: str
    group: str
    group_name: str
    materials: list[str]
    loinc: str | None
    passive_reason: str | None


@dataclass(frozen=True, slots=True)
class TubeGroup:
    """A tube type with what is ordered into it: panels first, then tests in report order."""

    tube: str
    caption: str
    colour: str
    material: str
    tests: list[Orderable]


async def order_catalogue(session: AsyncSession) -> list[TubeGroup]:
    """Everything that can be ordered, tube by tube in label order. A tube without tests is left out."""
    book = await catalog(session)
    groups = []
    for tube in sorted(book.tube_by_code.values(), key=lambda tube: (tube.position, tube.code)):
        tests = [test for test in book.test_by_code.values() if test.tube == tube.code and test.active]
        tests.sort(key=lambda test: (not test.panel, test.report_position, sort_key(test.name)))
        if tests:
            groups.append(
                TubeGroup(
                    tube.code, tube.caption, tube.colour, tube.material, [_orderable(book, test) for test in tests]
                )
            )
    return groups


def _orderable(book: Catalog, test: CatalogTest) -> Orderable:
    return Orderable(
        code=test.code,
        name=test.name,
        panel=test.panel,
        members=[book.test_by_id[member].code for member in test.members],
        unit=test.unit,
        group=test.group,
        group_name=book.groups.get(test.group, test.group),
        materials=sorted(test.materials),
        loinc=test.loinc,
        passive_reason=test.passive_reason,
    )
