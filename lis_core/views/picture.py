"""The whole picture of one order: what decides about a result stands on one screen (9.6.12, 9.7.4, 9.2.2b).

One read model serves technical approval, clinical approval and the physician's page. Who may read which value is asked
of `lis_core.domain.visibility` (through `Sight`) row by row; a value that may not be read never leaves here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from lis_core.domain.permissions import About
from lis_core.domain.states import TestState
from lis_core.services.audit import viewed
from lis_core.storage.tables import (
    Approval,
    ControlMeasurement,
    Instrument,
    InstrumentTest,
    Order,
    OrderedTest,
    Patient,
    Physician,
    Result,
    Test,
    Tube,
    TubeType,
    Unit,
    User,
    WorkGroup,
)
from lis_core.views.picture_shapes import Decision, PastValue, Picture, Reason, Related, Row, Run, TubeLine
from lis_core.views.privacy import HIDDEN_WORD, mask_tc, open_record, sees_numbers
from lis_core.views.seeing import Sight
from lis_core.views.signs import signs_of
from lis_core.views.timeline import timeline

RELATED_DAYS = 30
"""How far back results of other tests count as "may be related"."""


async def order_picture(session: AsyncSession, sight: Sight, number: str, *, timed: bool = False) -> Picture | None:
    """Everything about one order that this person may see, or None where there is no such order.

    Seven queries whatever the size of the order (two more with the timeline). Raises NOT_ALLOWED where this person has
    no business with the order.
    """
    picture = await _head(session, number)
    if picture is None:
        return None
    await _open(session, sight, picture)
    picture.rows = await _rows(session, sight, picture)
    results = [row.result_id for row in picture.rows if row.result_id is not None]
    ids = [row.ordered_test_id for row in picture.rows]
    await _add_runs(session, picture.rows, ids)
    await _add_decisions(session, picture.rows, ids)
    await _add_history(session, sight, picture)
    if results:
        await _add_controls(session, picture.rows)
    picture.tubes = await _tubes(session, picture.order_id)
    if timed:
        picture.events = await timeline(session, picture)
    viewed(
        sight.actor,
        patients=[picture.patient_id],
        orders=[picture.number],
        results=[*results, *(run.result_id for row in picture.rows for run in row.runs)],
        emergency=picture.emergency,
    )
    return picture


async def _open(session: AsyncSession, sight: Sight, picture: Picture) -> None:
    """Refuse whoever may not open it; the number instead of the name for whoever works on it without needing more."""
    access = await open_record(session, sight.actor, picture.patient_id, picture.hidden_number, _about(picture))
    picture.emergency = access.emergency
    if not access.identity:
        picture.given_name, picture.family_name = HIDDEN_WORD, picture.hidden_number or ""
        picture.tc = None
    elif not sees_numbers(sight.actor, _about(picture), access):
        picture.tc = mask_tc(picture.tc)


def _about(picture: Picture) -> About:
    return About(unit_id=picture.unit_id, physician_id=picture.physician_id, ordered_by_id=picture.ordered_by_id)


async def _head(session: AsyncSession, number: str) -> Picture | None:
    question = (
        select(Order, Patient, Physician, Unit, User)
        .join(Patient, Patient.id == Order.patient_id)
        .outerjoin(Physician, Physician.id == Order.physician_id)
        .outerjoin(Unit, Unit.id == Order.unit_id)
        .outerjoin(User, User.id == Order.ordered_by_id)
        .where(Order.number == number)
    )
    found = (await session.execute(question)).tuples().one_or_none()
    if found is None:
        return None
    order, patient, physician, unit, user = found
    return Picture(
        order_id=order.id,
        number=order.number,
        priority=order.priority,
        ordered_at=order.ordered_at,
        ordered_by=user.full_name if user else "",
        source=order.source,
        clinical=order.clinical,
        patient_id=patient.id,
        given_name=patient.given_name,
        family_name=patient.family_name,
        tc=patient.tc,
        sex=patient.sex,
        birth_date=patient.birth_date,
        unit=unit.name if unit else "",
        physician=physician.full_name if physician else "",
        physician_id=order.physician_id,
        unit_id=order.unit_id,
        ordered_by_id=order.ordered_by_id,
        hidden_number=patient.hidden_number,
        on_label=(patient.given_name, patient.family_name),
    )


async def _rows(session: AsyncSession, sight: Sight, picture: Picture) -> list[Row]:
    about = _about(picture)
    panel, wanted, running = aliased(Test), aliased(Instrument), aliased(Instrument)
    question = (
        select(
            OrderedTest,
            Test,
            Result,
            Instrument,
            panel.code,
            TubeType.caption,
            WorkGroup.name,
            wanted.name,
            running.name,
        )
        .join(Test, Test.id == OrderedTest.test_id)
        .join(WorkGroup, WorkGroup.code == OrderedTest.group)
        .outerjoin(panel, panel.id == OrderedTest.panel_id)
        .outerjoin(Result, Result.id == OrderedTest.result_id)
        .outerjoin(Instrument, Instrument.id == Result.instrument_id)
        .outerjoin(Tube, Tube.id == OrderedTest.tube_id)
        .outerjoin(TubeType, TubeType.code == Tube.tube_type_code)
        .outerjoin(wanted, wanted.id == OrderedTest.wanted_instrument_id)
        .outerjoin(running, running.id == OrderedTest.running_on_id)
        .where(OrderedTest.order_id == picture.order_id)
        .order_by(WorkGroup.position, Test.report_position, Test.code)
    )
    rows = []
    for ordered, test, result, instrument, in_panel, tube, group_name, wanted_name, running_name in (
        await session.execute(question)
    ).tuples():
        row = Row(
            ordered_test_id=ordered.id,
            code=test.code,
            name=test.name,
            group=ordered.group,
            group_name=group_name,
            panel=in_panel or "",
            tube=tube or "",
            test_id=ordered.test_id,
            state=ordered.state,
            state_at=ordered.state_at,
            version=ordered.version,
            readable=sight.sees(ordered.group, ordered.state, confidential=test.confidential, order=about),
            confidential=test.confidential,
            in_laboratory=sight.sees(ordered.group, TestState.RESULTED),
            unit=test.unit,
            wanted_instrument=wanted_name or "",
            running_on=running_name or "",
        )
        if result is not None and row.readable:
            _fill(row, result, instrument)
        rows.append(row)
    return rows


def _fill(row: Row, result: Result, instrument: Instrument | None) -> None:
    """Copy what the reader may see of the valid run."""
    row.result_id = result.id
    row.value = result.value
    row.figure = result.number
    row.unit = result.unit or row.unit
    row.flag = result.flag
    row.reference = result.reference
    row.range_id = result.range_id
    row.measured_at = result.measured_at or result.received_at
    row.instrument = instrument.name if instrument else ""
    if not row.in_laboratory:  # a clinician reads the released value, not how the laboratory came to it
        row.signs = signs_of(result.flag, (), ())
        return
    row.signs = signs_of(result.flag, result.instrument_flags, result.decisions)
    row.reasons = tuple(
        Reason(
            str(decision.get("o", "")),
            str(decision.get("r", "")),
            str(decision.get("why", "")),
            decision.get("saw") or {},
        )
        for decision in result.decisions
    )
    row.instrument_code = instrument.code if instrument else ""
    row.rack = result.rack or ""
    row.position = result.position or ""
    row.lot = result.lot or ""
    row.operator = result.operator or ""
    row.instrument_flags = tuple(flag for flag in result.instrument_flags if flag)
    row.comments = tuple(result.comments)
    row.entry_reason = result.reason or ""
    row.raw_message_id = result.raw_message_id


async def _add_runs(session: AsyncSession, rows: Sequence[Row], ids: Sequence[int]) -> None:
    """Every run of a test, for those who work on it only: a run that nobody approved never leaves the laboratory."""
    open_rows = {row.ordered_test_id: row for row in rows if row.result_id is not None and row.in_laboratory}
    if not open_rows:
        return
    question = (
        select(Result, Instrument.name, User)
        .outerjoin(Instrument, Instrument.id == Result.instrument_id)
        .outerjoin(User, User.id == Result.entered_by_id)
        .where(Result.ordered_test_id.in_(list(open_rows)))
        .order_by(Result.ordered_test_id, Result.run)
    )
    runs: dict[int, list[Run]] = {}
    for result, instrument, user in (await session.execute(question)).tuples():
        row = open_rows[result.ordered_test_id]
        current = result.id == row.result_id
        if current and user is not None:
            row.entered_by = user.full_name
        runs.setdefault(result.ordered_test_id, []).append(
            Run(
                result.id,
                result.run,
                result.value,
                result.unit,
                result.flag,
                instrument or "",
                f"{result.rack or ''}/{result.position or ''}".strip("/"),
                result.measured_at or result.received_at,
                current,
                user.full_name if user else "",
                result.reason or "",
            )
        )
    for ordered_test_id, found in runs.items():
        open_rows[ordered_test_id].runs = tuple(found)


async def _add_decisions(session: AsyncSession, rows: Sequence[Row], ids: Sequence[int]) -> None:
    question = (
        select(Approval, User)
        .join(User, User.id == Approval.user_id)
        .where(Approval.ordered_test_id.in_(ids))
        .order_by(Approval.ordered_test_id, Approval.version)
    )
    found: dict[int, list[Decision]] = {}
    for approval, user in (await session.execute(question)).tuples():
        found.setdefault(approval.ordered_test_id, []).append(
            Decision(approval.kind, user.full_name, approval.at, approval.reason)
        )
    for row in rows:
        decisions = found.get(row.ordered_test_id, [])
        if not row.in_laboratory:  # a reason may name a value that was never released
            decisions = [replace(decision, reason="") for decision in decisions]
        row.decisions = tuple(decisions)


async def _add_history(session: AsyncSession, sight: Sight, picture: Picture) -> None:
    """Earlier values of the same tests, and the newest values of the others. One query."""
    moment = func.coalesce(Result.measured_at, Result.received_at)
    question = (
        select(
            OrderedTest.test_id,
            OrderedTest.group,
            OrderedTest.state,
            OrderedTest.order_id,
            Order.number,
            Test.code,
            Result.value,
            Result.number.label("figure"),
            Result.unit,
            Result.flag,
            Result.reference,
            moment.label("at"),
        )
        .select_from(Order)
        .join(OrderedTest, OrderedTest.order_id == Order.id)
        .join(Result, Result.id == OrderedTest.result_id)
        .join(Test, Test.id == OrderedTest.test_id)
        .where(Order.patient_id == picture.patient_id, Order.id != picture.order_id, sight.value_condition())
        .order_by(moment.desc())
        .limit(2000)
    )
    past: dict[int, list[PastValue]] = {}
    others: dict[str, Related] = {}
    wanted = {row.test_id for row in picture.rows}
    for row in await session.execute(question):
        if row.test_id in wanted:
            past.setdefault(row.test_id, []).append(
                PastValue(row.number, row.value, row.figure, row.unit, row.flag, row.reference, row.at)
            )
        elif row.code not in others:
            others[row.code] = Related(row.code, row.value, row.unit, row.flag, row.at, False)
    for line in picture.rows:
        line.past = tuple(past.get(line.test_id, ()))
    newest = max((row.measured_at for row in picture.rows if row.measured_at), default=picture.ordered_at)
    picture.related = [
        related for related in others.values() if abs(newest - related.at) <= timedelta(days=RELATED_DAYS)
    ]


async def newest_values(session: AsyncSession, sight: Sight, patient_id: int) -> list[Related]:
    """The newest value of each test of a patient, as far as this person may read it (9.1.7b). One query."""
    moment = func.coalesce(Result.measured_at, Result.received_at)
    question = (
        select(Test.code, Result.value, Result.unit, Result.flag, moment.label("at"))
        .distinct(Test.code)
        .select_from(Order)
        .join(OrderedTest, OrderedTest.order_id == Order.id)
        .join(Result, Result.id == OrderedTest.result_id)
        .join(Test, Test.id == OrderedTest.test_id)
        .where(Order.patient_id == patient_id, sight.value_condition(), sight.order_condition())
        .order_by(Test.code, moment.desc())
    )
    found = [Related(row.code, row.value, row.unit, row.flag, row.at, False) for row in await session.execute(question)]
    viewed(sight.actor, patients=[patient_id] if found else [])
    return found


async def _add_controls(session: AsyncSession, rows: Sequence[Row]) -> None:
    """How many controls each instrument ran today for each test. Judging them is the quality-control package's work."""
    tests = [row.test_id for row in rows if row.instrument_code]
    question = (
        select(Instrument.code, ControlMeasurement.test_id, func.count())
        .join(Instrument, Instrument.id == ControlMeasurement.instrument_id)
        .where(
            ControlMeasurement.test_id.in_(tests),
            ControlMeasurement.received_at >= func.now() - timedelta(hours=24),
        )
        .group_by(Instrument.code, ControlMeasurement.test_id)
    )
    counts = {(code, test_id): count for code, test_id, count in (await session.execute(question)).tuples()}
    for row in rows:
        if row.instrument_code:
            row.controls_today = counts.get((row.instrument_code, row.test_id), 0)


async def _tubes(session: AsyncSession, order_id: int) -> list[TubeLine]:
    question = select(Tube).where(Tube.order_id == order_id).order_by(Tube.barcode)
    return [
        TubeLine(
            tube.id,
            tube.barcode,
            tube.tube_type_code,
            tube.tube_type.caption,
            tube.tube_type.colour,
            tube.material,
            tube.state,
            tube.collected_at,
            tube.received_at,
            tube.reject_reason or "",
            tube.parent_id,
        )
        for tube in await session.scalars(question)
    ]


ORDERED_BEFORE = timedelta(days=45)
"""How old an order may be whose result of today is in the day's chart."""


@dataclass(frozen=True, slots=True)
class DayPoint:
    """One result of a day for the chart in place (9.6.14b)."""

    result_id: int
    figure: Decimal
    at: datetime
    flag: str


async def day_of_test(
    session: AsyncSession, sight: Sight, test_id: int, day_start: datetime, day_end: datetime, limit: int = 2000
) -> list[DayPoint]:
    """Numeric results of a test that came on one day, in time order, as far as the reader may see them. One query."""
    moment = func.coalesce(Result.measured_at, Result.received_at)
    question = (
        select(Result.id, Result.number, moment.label("at"), Result.flag)
        .join(OrderedTest, OrderedTest.result_id == Result.id)
        .join(Order, Order.id == OrderedTest.order_id)
        .where(
            Order.ordered_at >= day_start - ORDERED_BEFORE,  # by its index; few orders are run later than this
            OrderedTest.test_id == test_id,
            OrderedTest.state_at >= day_start - timedelta(days=2),
            Result.number.is_not(None),
            moment >= day_start,
            moment < day_end,
            sight.value_condition(),
        )
        .order_by(moment)
        .limit(limit)
    )
    return [DayPoint(row.id, row.number, row.at, row.flag) for row in await session.execute(question)]


async def repeat_instruments(session: AsyncSession, test_ids: Collection[int]) -> list[tuple[str, str]]:
    """Instruments (code, name) in service that run at least one of these tests: the choice for a repeat (9.7.6a)."""
    question = (
        select(Instrument.code, Instrument.name)
        .join(InstrumentTest, InstrumentTest.instrument_id == Instrument.id)
        .where(
            InstrumentTest.test_id.in_(list(test_ids)), InstrumentTest.active, Instrument.active, Instrument.in_service
        )
        .distinct()
        .order_by(Instrument.name)
    )
    return [(code, name) for code, name in (await session.execute(question)).tuples()]
