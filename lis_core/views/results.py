"""Results that a person may see, as a feed: oldest change first, so that who asks again with the cursor misses none.

A result enters (or enters again) the feed when its test changes state: received, approved, withdrawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.states import TestState
from lis_core.services.audit import viewed
from lis_core.services.catalog import catalog
from lis_core.storage.tables import Order, OrderedTest, Result, Scannable, Tube
from lis_core.views.order_view import SeenResult, decisions_of, here, seen_result
from lis_core.views.pages import Page, cut, read_cursor, write_cursor
from lis_core.views.seeing import Sight


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A result with what it belongs to. The last four are for the laboratory only; empty for everyone else."""

    id: int
    order: str
    specimen: str | None
    test: str
    test_name: str
    state: str
    state_at: datetime
    current: bool
    result: SeenResult
    instrument_test: str | None
    instrument_flags: list[str]
    comments: list[str]
    raw_message: int | None


@dataclass(frozen=True, slots=True)
class ResultQuestion:
    """What is asked for. Empty fields do not limit. `every_run`: also runs that are not the valid one (laboratory)."""

    specimen: str | None = None
    order: str | None = None
    states: frozenset[TestState] | None = None
    instrument: str | None = None
    since: datetime | None = None
    every_run: bool = False
    limit: int = 100
    cursor: str | None = None


async def list_results(session: AsyncSession, sight: Sight, question: ResultQuestion) -> Page[ResultRow]:
    """One page of results. Raises UNKNOWN_BARCODE, UNKNOWN_INSTRUMENT, INVALID_INPUT (cursor)."""
    book = await catalog(session)
    which = [_seen(sight, question), sight.order_condition(), *await _conditions(session, question)]
    statement = (
        select(Result, OrderedTest, Order.number, Tube.barcode, Order.patient_id)
        .join(OrderedTest, OrderedTest.id == Result.ordered_test_id)
        .join(Order, Order.id == OrderedTest.order_id)
        .outerjoin(Tube, Tube.id == Result.tube_id)
        .where(*which)
        .order_by(OrderedTest.state_at, Result.id)
        .limit(question.limit + 1)
    )
    rows, more = cut((await session.execute(statement)).tuples().all(), question.limit)
    decisions = await decisions_of(session, [result.id for result, *_ in rows])
    lines = []
    for result, test, number, barcode, _ in rows:
        lab = sight.in_laboratory
        entry = book.test_by_id[test.test_id]
        lines.append(
            ResultRow(
                id=result.id,
                order=number,
                specimen=barcode,
                test=entry.code,
                test_name=entry.name,
                state=test.state.api,
                state_at=here(test.state_at),
                current=result.id == test.result_id,
                result=seen_result(book, decisions, test, result),
                instrument_test=result.instrument_test if lab else None,
                instrument_flags=result.instrument_flags if lab else [],
                comments=result.comments if lab else [],
                raw_message=result.raw_message_id if lab else None,
            )
        )
    viewed(
        sight.actor,
        patients={row[4] for row in rows},
        orders={row[2] for row in rows},
        results=[row[0].id for row in rows],
    )
    last = rows[-1] if rows and more else None
    return Page(lines, write_cursor(last[1].state_at, last[0].id) if last else None)


def _seen(sight: Sight, question: ResultQuestion) -> ColumnElement[bool]:
    valid = and_(Result.id == OrderedTest.result_id, sight.value_condition())
    return or_(valid, sight.every_run_condition()) if question.every_run else valid


async def _conditions(session: AsyncSession, question: ResultQuestion) -> list[ColumnElement[bool]]:
    book = await catalog(session)
    which: list[ColumnElement[bool]] = []
    if question.order is not None:
        which.append(OrderedTest.order_id == (await _scanned(session, question.order)).order_id)
    if question.specimen is not None:
        scanned = await _scanned(session, question.specimen)
        which.append(OrderedTest.order_id == scanned.order_id)
        if scanned.tube_id is not None:  # read from this tube, or meant for it and read by the order's number
            meant = (Result.tube_id.is_(None)) & (OrderedTest.tube_id == scanned.tube_id)
            which.append(or_(Result.tube_id == scanned.tube_id, meant))
    if question.states is not None:
        which.append(OrderedTest.state.in_(question.states))
    if question.instrument is not None:
        instrument = book.instrument_by_code.get(question.instrument)
        if instrument is None:
            raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=question.instrument)
        which.append(Result.instrument_id == instrument.id)
    if question.since is not None:
        which.append(OrderedTest.state_at >= question.since)
    if question.cursor is not None:
        which.append(tuple_(OrderedTest.state_at, Result.id) > read_cursor(question.cursor))
    return which


async def _scanned(session: AsyncSession, text: str) -> Scannable:
    found = await session.get(Scannable, clean_scan(text))
    if found is None:
        raise NumuneError(errors.UNKNOWN_BARCODE, barcode=text)
    return found


@dataclass(frozen=True, slots=True)
class ResultPlace:
    """Where a result belongs and how its test stands; no value in it."""

    id: int
    order: str
    ordered_test: int
    test: str
    group: str
    state: str
    current_result: int | None


async def result_place(session: AsyncSession, result_id: int) -> ResultPlace:
    """Raises NOT_FOUND."""
    row = (
        await session.execute(
            select(OrderedTest, Order.number)
            .join(Result, Result.ordered_test_id == OrderedTest.id)
            .join(Order, Order.id == OrderedTest.order_id)
            .where(Result.id == result_id)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Sonuç {result_id}")
    test, number = row
    entry = (await catalog(session)).test_by_id[test.test_id]
    return ResultPlace(result_id, number, test.id, entry.code, test.group, test.state.api, test.result_id)
