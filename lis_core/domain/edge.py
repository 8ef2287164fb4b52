"""What travels between the centre and a gateway that stands apart, as neutral structures (MessagePack or JSON)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from drivers.messages import Query, WorkOrder
from lis_core.domain.offering import MOST_AT_ONCE, Sheet, SheetTest, offer

GATEWAY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")
"""What a gateway may be called: its name stands in broker topics and in certificates."""


class EdgeRuns(msgspec.Struct, frozen=True, gc=False):
    """That an instrument runs a test (see `offering.Runs`)."""

    incoming: str
    outgoing: str
    materials: frozenset[str]


class EdgeLine(msgspec.Struct, frozen=True):
    """A line of the gateway and the instrument behind it."""

    name: str
    kind: str
    protocol: str
    address: str
    definition: str
    settings: dict[str, Any]
    instrument_id: int
    instrument: str
    serves: bool
    """False: out of service, nothing is offered."""
    runs: dict[int, EdgeRuns]


class EdgeConfiguration(msgspec.Struct, frozen=True):
    """All that a gateway is told by the centre, but for the work itself."""

    gateway: str
    version: str
    lines: list[EdgeLine]
    definitions: dict[str, str] = {}
    """Site definitions by file name."""
    stamp: int = 0
    """A later one is greater: a broker that was put back to an older state may tell an older configuration again."""


class Given(msgspec.Struct, frozen=True):
    """An analyser at a gateway was given work while the centre could not be asked, or before it heard of it."""

    key: str
    """Unique for ever: told twice, recorded once."""
    line: str
    instrument_id: int
    at: datetime
    tests: list[tuple[int, int]]
    """Ordered test and the version it was given at."""
    tubes: list[int]
    rack: str | None = None
    position: str | None = None


class EdgeStatus(msgspec.Struct, frozen=True):
    """How a gateway is. `reports`: the fields of `lines.LineReport`."""

    version: str
    backlog: int
    sheets: int
    reports: list[dict[str, Any]]
    untold: int = 0
    """Work given to analysers that the centre has not confirmed."""
    at: datetime | None = None
    """Its own clock; None from a program that did not tell it yet."""
    problem: str = ""
    """What it cannot do, in words: its disk cannot be written."""


def edge_answer(
    line: EdgeLine, sheets: Mapping[str, Sheet], query: Query, now: datetime, key: str
) -> tuple[list[WorkOrder], Given | None]:
    """What an analyser is answered from replicated sheets, by the same rule as in the centre.

    sheets: by every text that may be read. `everything` is answered in the order of urgency, then of acceptance.
    """
    if not line.serves:
        return [WorkOrder(specimen=text, known=False, reason=f"{line.instrument} hizmet dışı.") for text in
                query.specimens], None  # fmt: skip
    texts = query.specimens or (_waiting(line, sheets) if query.everything else [])
    if query.until and len(texts) == 1:
        texts = _between(line, sheets, texts[0], query.until) or texts
    orders: list[WorkOrder] = []
    given: dict[int, SheetTest] = {}
    tubes: set[int] = set()
    for text in texts:
        sheet = sheets.get(text)
        order, tests = offer(text, sheet, line.instrument_id, line.runs, query, now)
        orders.append(order)
        given |= {ordered.id: ordered for ordered, _ in tests}
        if sheet is not None and (tube := sheet.tubes[text].id) is not None:
            tubes.add(tube)
    if query.until:
        orders = [order for order in orders if order.tests] or orders[:1]
    if not given and not tubes:
        return orders, None
    told = [(ordered.id, ordered.version) for ordered in given.values()]
    return orders, Given(
        key, line.name, line.instrument_id, now, told, sorted(tubes), query.rack or None, query.position or None
    )


_URGENCY = {"S": 0, "A": 1, "R": 2}


def _waiting(line: EdgeLine, sheets: Mapping[str, Sheet]) -> list[str]:
    found = []
    for text, sheet in sheets.items():
        tube = sheet.tubes[text]
        wanted = any(test.test_id in line.runs and test.tube_id in (None, tube.id) for test in sheet.tests)
        if tube.id is not None and not tube.rejected and sheet.received_at is not None and wanted:
            found.append((_URGENCY.get(sheet.priority, 2), sheet.received_at, text))
    return [text for _, _, text in sorted(found)][:MOST_AT_ONCE]


def _between(line: EdgeLine, sheets: Mapping[str, Sheet], first: str, last: str) -> list[str]:
    """Numbers of a range that have work for this line, in their order. Only numbers of one length are a range."""
    if not (first.isdecimal() and last.isdecimal() and len(first) == len(last)):
        return []
    return sorted(
        text
        for text, sheet in sheets.items()
        if first <= text <= last
        and len(text) == len(first)
        and not sheet.tubes[text].rejected
        and any(test.test_id in line.runs for test in sheet.tests)
    )[:MOST_AT_ONCE]


def after_given(sheet: Sheet, given: Given) -> Sheet:
    """The sheet as the centre will have it once it has heard: what was given at its present version runs there now."""
    taken = set(given.tests)
    tests = [
        msgspec.structs.replace(test, running_on=given.instrument_id, version=test.version + 1)
        if (test.id, test.version) in taken
        else test
        for test in sheet.tests
    ]
    return msgspec.structs.replace(sheet, tests=tests)


def without(sheet: Sheet, tests: set[int]) -> Sheet:
    """The sheet without tests (catalogue ids) whose results were seen here and are on their way to the centre."""
    return msgspec.structs.replace(sheet, tests=[test for test in sheet.tests if test.test_id not in tests])
