"""One order, whole: patient, tubes, every test with its stage and, where this person may read it, its result.

Four queries whatever the size of the order. The report, the order screen and the JSON interface all read this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import TestState
from lis_core.services.audit import viewed
from lis_core.services.catalog import Catalog, catalog
from lis_core.settings import ISTANBUL
from lis_core.storage.tables import (
    Approval,
    Order,
    OrderedTest,
    Patient,
    Result,
    Scannable,
    Tube,
    User,
)
from lis_core.storage.tables.results import ApprovalKind
from lis_core.views.privacy import Access, numbers_in_part, open_record, sees_numbers, without_identity
from lis_core.views.seeing import Eyes, Sight, about_order


@dataclass(frozen=True, slots=True)
class PatientLine:
    """Who the order is for. `sex`: F or M. `age`: whole years on the day of the order."""

    id: int
    tc: str | None
    foreign_id: str | None
    hospital_id: str | None
    given_name: str
    family_name: str
    sex: str | None
    birth_date: date | None
    age: int | None


@dataclass(frozen=True, slots=True)
class Named:
    """A code with the name that people read."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class SpecimenLine:
    """One tube. `tube`: its two-digit type; `tests`: codes meant for it."""

    barcode: str
    tube: str
    caption: str
    colour: str
    material: str
    state: str
    parent: str | None
    collected_at: datetime | None
    received_at: datetime | None
    reason: str | None
    tests: list[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """Who approved, when, and why if he said so (9.7.9)."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SeenResult:
    """The valid run of a test, as far as this person may read it.

    `value` is the reported text exactly, `number` only where it is a plain number. `flag`: D, Y, P!, A or empty.
    `runs`: how many runs the test has; `state`: the test's state.
    """

    id: int
    value: str
    number: float | None
    unit: str
    flag: str
    reference: str
    state: str
    run: int
    runs: int
    measured_at: datetime | None
    received_at: datetime
    instrument: str | None
    instrument_name: str | None
    technical_approval: Decision | None
    clinical_approval: Decision | None


@dataclass(frozen=True, slots=True)
class TestLine:
    """One ordered test. `panel`: the panel it was ordered in. `specimen`: barcode of the tube meant for it."""

    __test__ = False

    id: int
    code: str
    name: str
    panel: str | None
    group: str
    group_name: str
    specimen: str | None
    time_point: str
    state: str
    state_at: datetime
    result: SeenResult | None
    withheld: str = ""
    """The sentence that stands where a value may not be shown to this reader, whatever it is; usually empty."""
    confidential: bool = False


@dataclass(frozen=True, slots=True)
class PanelLine:
    """An ordered panel. `state`: that of its member that is least far."""

    code: str
    name: str
    state: str
    tests: list[str]


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as one person sees it."""

    id: int
    number: str
    patient: PatientLine
    priority: str
    physician: Named | None
    unit: Named | None
    ordered_at: datetime
    source: str
    hospital_number: str | None
    clinical: dict[str, Any]
    specimens: list[SpecimenLine]
    tests: list[TestLine]
    panels: list[PanelLine]


def local(at: datetime | None) -> datetime | None:
    """The same instant on Turkey's clock, as every screen and interface shows it."""
    return None if at is None else at.astimezone(ISTANBUL)


def here(at: datetime) -> datetime:
    """`local` for a time that is always there."""
    return at.astimezone(ISTANBUL)


def age_in_years(born: date | None, on: date) -> int | None:
    """Completed years; None where the birth date is unknown or lies ahead."""
    if born is None or born > on:
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


ON_PAPER = frozenset({P.REPORT_TAKE, P.REPORT_EMERGENCY})
"""Paper is for the addressee: it bears his name also where he is followed by number (8.3.2.33)."""


async def _order_of(session: AsyncSession, text: str) -> Order:
    order = (
        await session.scalars(
            select(Order)
            .join(Scannable, Scannable.order_id == Order.id)
            .join(Order.patient)
            .outerjoin(Order.physician)
            .outerjoin(Order.unit)
            .options(contains_eager(Order.patient), contains_eager(Order.physician), contains_eager(Order.unit))
            .where(Scannable.text == clean_scan(text))
        )
    ).one_or_none()
    if order is None:
        raise NumuneError(errors.UNKNOWN_BARCODE, barcode=text)
    return order


async def find_order(session: AsyncSession, sight: Sight, text: str, permission: P = P.ORDER_VIEW) -> Order:
    """The order of a number or of any of its tubes' barcodes, with patient, physician and unit loaded.

    permission: what he wants to do with it. Raises UNKNOWN_BARCODE, NOT_ALLOWED where he may not with this order,
    HIDDEN_PATIENT.
    """
    order, _ = await open_order(session, sight, text, permission)
    return order


async def open_order(
    session: AsyncSession, sight: Sight, text: str, permission: P = P.ORDER_VIEW
) -> tuple[Order, Access]:
    """`find_order`, and whether the patient's name may be shown."""
    order = await _order_of(session, text)
    hidden = order.patient.hidden_number
    return order, await open_record(session, sight.actor, order.patient_id, hidden, about_order(order), permission)


async def order_view(
    session: AsyncSession, sight: Sight, text: str, *, values: Eyes | None = None, permission: P = P.ORDER_VIEW
) -> OrderView:
    """The order of this number or tube barcode. Raises UNKNOWN_BARCODE, NOT_ALLOWED.

    values: whose eyes decide which values are in it; None = the same person's. permission: what he wants it for.
    """
    eyes: Eyes = values or sight
    order, access = await open_order(session, sight, text, permission)
    book = await catalog(session)
    tubes = (await session.scalars(select(Tube).where(Tube.order_id == order.id).order_by(Tube.barcode))).all()
    rows = (
        (
            await session.execute(
                select(OrderedTest, Result)
                .outerjoin(Result, Result.id == OrderedTest.result_id)
                .where(OrderedTest.order_id == order.id)
            )
        )
        .tuples()
        .all()
    )
    rulings = {test.id: eyes.ruling(order, test, result) for test, result in rows}
    rows = [row for row in rows if rulings[row[0].id].listed]
    seen = [(test, result if rulings[test.id].shown else None) for test, result in rows]
    decisions = await decisions_of(session, [result.id for _, result in seen if result is not None])
    barcodes = {tube.id: tube.barcode for tube in tubes}
    lines = [
        _test_line(book, barcodes, decisions, test, result, rulings[test.id].sentence)
        for test, result in _in_report_order(book, seen)
    ]
    viewed(
        sight.actor,
        patients=[order.patient_id],
        orders=[order.number],
        results=[result.id for _, result in seen if result is not None],
        emergency=access.emergency,
    )
    patient = patient_line(order.patient, order.ordered_at)
    if permission not in ON_PAPER:
        if not access.identity:
            patient = without_identity(patient, order.patient.hidden_number)
        elif not sees_numbers(sight.actor, about_order(order), access):
            patient = numbers_in_part(patient)
    return OrderView(
        id=order.id,
        number=order.number,
        patient=patient,
        priority=order.priority.api,
        physician=Named(order.physician.code, order.physician.full_name) if order.physician else None,
        unit=Named(order.unit.code, order.unit.name) if order.unit else None,
        ordered_at=here(order.ordered_at),
        source=order.source,
        hospital_number=order.hospital_number,
        clinical=order.clinical,
        specimens=[_specimen_line(book, barcodes, tube, rows) for tube in tubes],
        tests=lines,
        panels=_panel_lines(book, [test for test, _ in rows]),
    )


def patient_line(patient: Patient, on: datetime) -> PatientLine:
    """The patient as orders show him, with his age on that day."""
    return PatientLine(
        id=patient.id,
        tc=patient.tc,
        foreign_id=patient.foreign_id,
        hospital_id=patient.hospital_id,
        given_name=patient.given_name,
        family_name=patient.family_name,
        sex=patient.sex,
        birth_date=patient.birth_date,
        age=age_in_years(patient.birth_date, here(on).date()),
    )


_APPROVALS = (ApprovalKind.TECHNICAL, ApprovalKind.CLINICAL)

Decisions = Mapping[tuple[int, ApprovalKind], Decision]


async def decisions_of(session: AsyncSession, result_ids: Sequence[int]) -> Decisions:
    """The newest technical and clinical approval of each run, by result id and kind."""
    if not result_ids:
        return {}
    rows = await session.execute(
        select(Approval.result_id, Approval.kind, Approval.at, Approval.reason, User.given_name, User.family_name)
        .join(User, User.id == Approval.user_id)
        .where(Approval.result_id.in_(result_ids), Approval.kind.in_(_APPROVALS))
        .order_by(Approval.version)
    )
    return {
        (result_id, kind): Decision(f"{given} {family}", here(at), reason)
        for result_id, kind, at, reason, given, family in rows
    }


def seen_result(book: Catalog, decisions: Decisions, test: OrderedTest, result: Result) -> SeenResult:
    """A run whose value this person may read (the caller asked `Sight`)."""
    instrument = book.instrument_by_id.get(result.instrument_id or 0)
    stands = result.id == test.result_id
    technical = stands and test.state in (TestState.TECHNICALLY_APPROVED, TestState.CLINICALLY_APPROVED)
    clinical = stands and test.state is TestState.CLINICALLY_APPROVED
    return SeenResult(
        id=result.id,
        value=result.value,
        number=None if result.number is None else float(result.number),
        unit=result.unit,
        flag=result.flag,
        reference=result.reference,
        state=test.state.api,
        run=result.run,
        runs=test.runs,
        measured_at=local(result.measured_at),
        received_at=here(result.received_at),
        instrument=instrument.code if instrument else None,
        instrument_name=instrument.name if instrument else None,
        technical_approval=decisions.get((result.id, ApprovalKind.TECHNICAL)) if technical else None,
        clinical_approval=decisions.get((result.id, ApprovalKind.CLINICAL)) if clinical else None,
    )


def _test_line(
    book: Catalog,
    barcodes: Mapping[int, str],
    decisions: Decisions,
    test: OrderedTest,
    result: Result | None,
    withheld: str,
) -> TestLine:
    entry = book.test_by_id[test.test_id]
    panel = book.test_by_id.get(test.panel_id or 0)
    return TestLine(
        id=test.id,
        code=entry.code,
        name=entry.name,
        panel=panel.code if panel else None,
        group=test.group,
        group_name=book.groups.get(test.group, test.group),
        specimen=barcodes.get(test.tube_id or 0),
        time_point=test.time_point,
        state=test.state.api,
        state_at=here(test.state_at),
        result=None if result is None else seen_result(book, decisions, test, result),
        withheld=withheld,
        confidential=test.test.confidential,
    )


def _specimen_line(
    book: Catalog,
    barcodes: Mapping[int, str],
    tube: Tube,
    rows: Iterable[tuple[OrderedTest, Result | None]],
) -> SpecimenLine:
    return SpecimenLine(
        barcode=tube.barcode,
        tube=tube.tube_type_code,
        caption=tube.tube_type.caption,
        colour=tube.tube_type.colour,
        material=tube.material,
        state=tube.state.api,
        parent=barcodes.get(tube.parent_id or 0),
        collected_at=local(tube.collected_at),
        received_at=local(tube.received_at),
        reason=tube.reject_reason,
        tests=[
            book.test_by_id[test.test_id].code for test, _ in _in_report_order(book, rows) if test.tube_id == tube.id
        ],
    )


def _in_report_order(
    book: Catalog, rows: Iterable[tuple[OrderedTest, Result | None]]
) -> list[tuple[OrderedTest, Result | None]]:
    """By work group, then as the laboratory sorts its report."""
    places = {group: place for place, group in enumerate(book.groups)}
    return sorted(
        rows,
        key=lambda row: (
            places.get(row[0].group, len(places)),
            book.test_by_id[row[0].test_id].report_position,
            book.test_by_id[row[0].test_id].code,
            row[0].time_point,
        ),
    )


_STAGES = (
    TestState.ORDERED,
    TestState.COLLECTED,
    TestState.ACCEPTED,
    TestState.RUNNING,
    TestState.RESULTED,
    TestState.TECHNICALLY_APPROVED,
    TestState.CLINICALLY_APPROVED,
    TestState.REJECTED,
    TestState.CANCELLED,
)
"""From the least far to the furthest; what will never come counts last."""


def _panel_lines(book: Catalog, tests: Iterable[OrderedTest]) -> list[PanelLine]:
    members: dict[int, list[OrderedTest]] = {}
    for test in tests:
        if test.panel_id is not None:
            members.setdefault(test.panel_id, []).append(test)
    lines = []
    for panel_id, ordered in members.items():
        panel = book.test_by_id[panel_id]
        places = {test_id: place for place, test_id in enumerate(panel.members)}
        ordered.sort(key=lambda test: places.get(test.test_id, len(places)))
        state = min((test.state for test in ordered), key=_STAGES.index)
        lines.append(
            PanelLine(panel.code, panel.name, state.api, [book.test_by_id[test.test_id].code for test in ordered])
        )
    return sorted(lines, key=lambda line: line.code)
