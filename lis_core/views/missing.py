"""Tubes that acceptance still waits for; those whose sisters have arrived are late or lost (9.2.6b)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.states import TestState, TubeState
from lis_core.storage.tables import Order, OrderedTest, Patient, Tube, TubeType
from lis_core.views.privacy import NAME
from lis_core.views.seeing import Sight


@dataclass(frozen=True, slots=True)
class MissingTube:
    """A tube that acceptance still waits for."""

    barcode: str
    number: str
    patient: str
    caption: str
    colour: str
    state: TubeState
    ordered_at: datetime
    siblings: int
    """Other tubes of the order that did arrive: then this one is late or lost (9.2.6b)."""


async def missing_tubes(session: AsyncSession, sight: Sight, since: datetime, limit: int = 300) -> list[MissingTube]:
    """Tubes not yet accepted of orders since then; those whose sisters have arrived come first. One query."""
    sister = Tube.__table__.alias("kardes")
    arrived = (
        select(func.count())
        .select_from(sister)
        .where(
            sister.c.tetkik_istem_kodu == Tube.order_id,
            sister.c.numune_durumu.in_([TubeState.RECEIVED.value, TubeState.CONDITIONAL.value]),
        )
        .correlate(Tube)
        .scalar_subquery()
        .label("siblings")
    )
    open_tests = (
        select(literal_column("1"))
        .select_from(OrderedTest)
        .where(
            OrderedTest.order_id == Tube.order_id,
            OrderedTest.tube_id == Tube.id,
            OrderedTest.state.in_([TestState.ORDERED, TestState.COLLECTED]),
        )
        .correlate(Tube)
        .exists()
    )
    question = (
        select(
            Tube.barcode,
            Order.number,
            NAME.label("patient"),
            TubeType.caption,
            TubeType.colour,
            Tube.state,
            Order.ordered_at,
            arrived,
        )
        .join(Order, Order.id == Tube.order_id)
        .join(Patient, Patient.id == Order.patient_id)
        .join(TubeType, TubeType.code == Tube.tube_type_code)
        .where(
            Tube.state.in_([TubeState.EXPECTED, TubeState.COLLECTED, TubeState.DISPATCHED]),
            Tube.parent_id.is_(None),
            Order.ordered_at >= since,
            sight.order_condition(),
            open_tests,
        )
        .order_by((arrived == 0), Order.ordered_at.desc(), Tube.barcode)
        .limit(limit)
    )
    return [MissingTube(*row) for row in (await session.execute(question)).tuples()]
