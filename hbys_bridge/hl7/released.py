"""What may leave for the hospital: the tests of one order, with the values that are released and no others (9.7.8).

`lis_core.domain.visibility` decides; a value that it does not release is never put into a `Value`, so nothing after
this file can send it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from hbys_bridge.hl7.history import OrderHistory, Step
from hbys_bridge.hl7.reports import Observation, Person, Report, Request, Service, Specimen, Value, obx, with_status
from hbys_bridge.hl7.rights import BRIDGE
from hbys_bridge.hl7.told import Telling, fingerprint, status_of_released, status_of_unreleased
from lis_core.domain.states import TestState
from lis_core.domain.visibility import may_see_value
from lis_core.services.catalog import Catalog
from lis_core.storage.tables import (
    Approval,
    Instrument,
    Material,
    Order,
    OrderedTest,
    Patient,
    Range,
    Result,
    Test,
    Tube,
    User,
)
from lis_core.storage.tables.results import ApprovalKind

SOURCE = "hbys"
HOSPITAL = BRIDGE.rights
"""What the hospital's interface is, to the one function that decides who sees a value."""


@dataclass(frozen=True, slots=True)
class TestRow:
    """One ordered test. value: only where it is released. version: of the ordered test, to see that it still holds."""

    __test__ = False

    id: int
    version: int
    test: Service
    test_id: int
    panel_id: int | None
    position: int
    value: Value | None
    tube_id: int | None


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order of the hospital as it stands."""

    order_id: int
    number: str
    person: Person
    rows: Sequence[TestRow]
    specimens: dict[int, Specimen]

    def versions(self, ids: Sequence[int]) -> dict[int, int]:
        """Version of each of these ordered tests."""
        return {row.id: row.version for row in self.rows if row.id in ids}


async def hospital_order(session: AsyncSession, order_id: int) -> Order | None:
    """The order, if the hospital placed it: only such results go to a hospital."""
    return await session.scalar(select(Order).where(Order.id == order_id, Order.source == SOURCE))


async def order_facts(session: AsyncSession, order: Order, history: OrderHistory) -> OrderFacts:
    """The order's tests, share-locked in the order of their ids: no approval is withdrawn while they are read.

    Raises LookupError: a released test without the approval that released it. Nothing is sent then.
    """
    # The lock in a statement of its own: what is read after it sees everything that was committed before it.
    await session.execute(
        select(OrderedTest.id)
        .where(OrderedTest.order_id == order.id)
        .order_by(OrderedTest.id)
        .with_for_update(read=True, of=OrderedTest)
    )
    rows = [_row(found) for found in await session.execute(_tests_of(order.id))]
    return OrderFacts(
        order_id=order.id,
        number=order.number,
        person=await _person(session, order.patient_id, history),
        rows=[row for row in rows if row is not None],
        specimens=await _specimens(session, order.id),
    )


def _tests_of(order_id: int) -> Any:
    approved = and_(
        Approval.ordered_test_id == OrderedTest.id,
        Approval.version == OrderedTest.version,
        Approval.result_id == OrderedTest.result_id,
        Approval.kind == ApprovalKind.CLINICAL,
    )
    return (
        select(OrderedTest, Result, Range, Instrument.code, Approval, User)
        .join(Result, Result.id == OrderedTest.result_id, isouter=True)
        .join(Range, Range.id == Result.range_id, isouter=True)
        .join(Instrument, Instrument.id == Result.instrument_id, isouter=True)
        .join(Approval, approved, isouter=True)
        .join(User, User.id == Approval.user_id, isouter=True)
        .where(OrderedTest.order_id == order_id)
        .order_by(OrderedTest.id)
        .execution_options(populate_existing=True)
    )


def _row(found: Any) -> TestRow | None:
    ordered, result, limits, instrument, approval, user = found
    if ordered.state is TestState.CANCELLED:
        return None
    test = ordered.test
    return TestRow(
        id=ordered.id,
        version=ordered.version,
        test=Service(test.code, test.name, test.loinc),
        test_id=test.id,
        panel_id=ordered.panel_id,
        position=test.report_position,
        value=_released_value(ordered.state, result, limits, instrument, approval, user, test),
        tube_id=(result.tube_id if result is not None else None) or ordered.tube_id,
    )


def _released_value(
    state: TestState,
    result: Result | None,
    limits: Range | None,
    instrument: str | None,
    approval: Approval | None,
    user: User | None,
    test: Test,
) -> Value | None:
    """The value, if the hospital may see it; the approval that released it must be on record."""
    if not may_see_value(HOSPITAL, state, confidential=test.confidential):
        return None
    if result is None or approval is None or user is None:
        raise LookupError("onaylı görünen tetkikin sonucu ya da klinik onay kaydı yok")
    return Value(
        text=result.value,
        number=result.number,
        unit=result.unit,
        reference=result.reference,
        flag=result.flag,
        critical_low=limits.critical_low if limits else None,
        critical_high=limits.critical_high if limits else None,
        measured_at=result.measured_at or result.received_at,
        approver=(user.username, user.family_name, user.given_name),
        approved_at=approval.at,
        instrument=instrument or "",
        method=test.method,
        comments=tuple(result.comments),
    )


async def _person(session: AsyncSession, patient_id: int, history: OrderHistory) -> Person:
    """The patient with the numbers that the hospital wrote; with ours where records have been merged since."""
    patient = await session.get_one(Patient, patient_id, populate_existing=True)
    merged = await session.scalar(select(exists().where(Patient.merged_into_id == patient.id)))
    ours = ((patient.hospital_id, "", "MR"), (patient.tc, "TC", "NNTUR"), (patient.foreign_id, "", "PPN"))
    return Person(
        identifiers=[(number, authority, kind) for number, authority, kind in ours if number],
        own_pid=None if merged else history.pid,
        family_name=patient.family_name,
        given_name=patient.given_name,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )


async def _specimens(session: AsyncSession, order_id: int) -> dict[int, Specimen]:
    rows = await session.execute(
        select(Tube, Material).join(Material, Material.code == Tube.material).where(Tube.order_id == order_id)
    )
    return {
        tube.id: Specimen(tube.barcode, material.hl7, material.name, tube.collected_at, tube.received_at)
        for tube, material in rows
    }


# -- what of it is news


def report_of(
    facts: OrderFacts,
    ids: Sequence[int],
    history: OrderHistory,
    told: dict[str, list[Telling]],
    known: Catalog,
    zone: tzinfo,
) -> Report | None:
    """What the hospital must be told about these ordered tests; None where it knows all of it."""
    members: dict[str, list[TestRow]] = {}
    for row in facts.rows:
        members.setdefault(_asked_as(row, history, known), []).append(row)
    requests: list[Request] = []
    for asked, rows in members.items():
        news = [
            (row, observation)
            for row in sorted(rows, key=lambda row: (row.position, row.id))
            if row.id in ids and (observation := _news(row, told.get(row.test.code, []), zone)) is not None
        ]
        if news:
            step = history.steps.get(asked)
            tubes = dict.fromkeys(row.tube_id for row, _ in news if row.tube_id in facts.specimens)
            requests.append(
                Request(
                    service=_service(known, asked),
                    orc=step.orc if step else None,
                    obr=step.obr if step else None,
                    observations=[observation for _, observation in news],
                    specimens=[facts.specimens[tube] for tube in tubes if tube is not None],
                    released=sum(row.value is not None for row in rows),
                    wanted=len(rows),
                )
            )
    if not requests:
        return None
    any_step: Step | None = next(iter(history.steps.values()), None)
    return Report(facts.number, facts.person, requests, any_step.orc if any_step else None, zone=zone)


def _news(row: TestRow, told: Sequence[Telling], zone: tzinfo) -> Observation | None:
    observation = Observation(row.test, row.value)
    if row.value is None:
        status = status_of_unreleased(told)
    else:
        status = status_of_released(fingerprint(obx(observation, 1, zone)), told)
    return None if status is None else with_status(observation, status)


def _asked_as(row: TestRow, history: OrderHistory, known: Catalog) -> str:
    """The code under which the hospital asked for this test: its panel, itself, or another panel that holds it."""
    panel = known.test_by_id.get(row.panel_id) if row.panel_id is not None else None
    if panel is not None and panel.code in history.steps:
        return panel.code
    if row.test.code in history.steps:
        return row.test.code
    for code in history.steps:
        asked = known.test_by_code.get(code)
        if asked is not None and row.test_id in asked.members:
            return code
    return panel.code if panel is not None else row.test.code


def _service(known: Catalog, code: str) -> Service:
    test = known.test_by_code[code]
    return Service(test.code, test.name, test.loinc)
