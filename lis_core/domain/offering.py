"""Which tests an analyser that holds a tube is offered: the rule itself, without a database (invariant 8).

The core asks it with rows just read and locked; a gateway whose line to the centre is down asks it with the sheets that
were replicated to it. INTRO.22-27, 9.2c, 9.2d, 9.2.7.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest

MOST_AT_ONCE = 200
"""Tubes in one answer to a query for everything, or for a range."""


class Runs(Protocol):
    """That an instrument runs a test: its codes, and the materials it may run it on."""

    @property
    def incoming(self) -> str: ...

    @property
    def outgoing(self) -> str: ...

    @property
    def materials(self) -> Collection[str]: ...


class SheetTube(msgspec.Struct, frozen=True, gc=False):
    """What a text on a label stands for. All None: the order's number alone, any tube of it."""

    id: int | None = None
    material: str | None = None
    rejected: bool = False
    collected_at: datetime | None = None


class SheetTest(msgspec.Struct, frozen=True, gc=False):
    """An ordered test that is still wanted."""

    id: int
    test_id: int
    name: str
    version: int
    running_on: int | None = None
    """Instrument that was given it."""
    reserved_until: datetime | None = None
    """Until then no other instrument is offered it (`ayirma_dakika`)."""
    wanted_instrument: int | None = None
    time_point: str = ""
    tube_id: int | None = None


class Sheet(msgspec.Struct, frozen=True):
    """An order as the bench needs it: its tubes, and what is still to be run."""

    order_id: int
    number: str
    priority: str
    """`S`, `A`, `R`."""
    patient: WorkPatient
    tubes: dict[str, SheetTube]
    materials: frozenset[str]
    """Of every usable tube: what the number alone may stand for."""
    tests: list[SheetTest]
    received_at: datetime | None = None


def offer(
    text: str, sheet: Sheet | None, instrument_id: int, runs: Mapping[int, Runs], query: Query, now: datetime
) -> tuple[WorkOrder, list[tuple[SheetTest, WorkTest]]]:
    """The answer for one asked text, and each ordered test that is given with it.

    runs: by test id, the tests that this instrument may be sent. A code is offered once, however many ordered tests
    stand behind it; all of them are given.
    """
    tube = sheet.tubes.get(text) if sheet is not None else None
    if sheet is None or tube is None:
        return WorkOrder(specimen=text, known=False, reason=f"{text} numarası kayıtlı değil."), []
    given = []
    offered: dict[str, WorkTest] = {}
    for ordered in () if tube.rejected else sheet.tests:
        mapping = runs.get(ordered.test_id)
        if mapping is None or not _may_run(ordered, mapping, sheet, tube, instrument_id, query, now):
            continue
        reference = f"N{ordered.id}.{ordered.version + 1}"
        test = WorkTest(code=mapping.outgoing, name=ordered.name, priority=sheet.priority, reference=reference)
        offered.setdefault(mapping.outgoing, test)
        given.append((ordered, test))
    return _answer(text, sheet, tube, tuple(offered.values())), given


def _may_run(
    ordered: SheetTest, mapping: Runs, sheet: Sheet, tube: SheetTube, instrument_id: int, query: Query, now: datetime
) -> bool:
    if query.tests and mapping.outgoing not in query.tests and mapping.incoming not in query.tests:
        return False
    if ordered.wanted_instrument not in (None, instrument_id):
        return False
    if ordered.time_point and tube.id is not None and ordered.tube_id != tube.id:
        return False  # the fasting tube never answers for the post-prandial one (9.2.7)
    held = {tube.material} if tube.material is not None else sheet.materials
    if held.isdisjoint(mapping.materials):
        return False
    elsewhere = ordered.running_on not in (None, instrument_id)
    return not (elsewhere and ordered.reserved_until is not None and now < ordered.reserved_until)


def _answer(text: str, sheet: Sheet, tube: SheetTube, tests: tuple[WorkTest, ...]) -> WorkOrder:
    reason = ""
    if not tests:
        reason = (
            f"{text} tüpü reddedilmiş."
            if tube.rejected
            else f"{sheet.number} isteminde bu cihazda ve bu materyalde çalışılacak bekleyen tetkik yok."
        )
    return WorkOrder(
        specimen=text,
        known=True,
        tests=tests,
        patient=sheet.patient,
        material=tube.material or "",
        collected_at=tube.collected_at,
        reason=reason,
    )
