"""Orders as lines: today's of a physician, and the search over all. Never a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.states import Priority, TestState
from lis_core.domain.turkish import like_contains
from lis_core.storage.tables import Order, OrderedTest, Patient, Physician, Scannable, Unit
from lis_core.views.privacy import FOUND_BY_NAME, in_list
from lis_core.views.seeing import Sight


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order as one line: who, when, how far. No values."""

    number: str
    patient: str
    tc: str | None
    sex: str | None
    birth_date: date | None
    physician: str
    unit: str
    priority: Priority
    ordered_at: datetime
    tests: int
    released: int
    rejected: int
    cancelled: int
    started: int
    """Tests whose tube has arrived or which went further."""
    released_at: datetime | None

    @property
    def done(self) -> bool:
        return self.tests > 0 and self.released + self.rejected + self.cancelled == self.tests


@dataclass(frozen=True, slots=True)
class OrderSearch:
    """What the order list is asked for; empty fields ask nothing."""

    text: str = ""
    physician: str = ""
    first_day: datetime | None = None
    end: datetime | None = None
    released_since: datetime | None = None
    """With it, orders older than `first_day` are found too where something was released since then."""


def _words_match(column: Any, text: str) -> list[ColumnElement[bool]]:
    """Every word of the text is somewhere in the (already folded) column."""
    return [column.like(like_contains(word)) for word in text.split()]


def _search_conditions(asked: OrderSearch) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    text = " ".join(asked.text.split())
    if text.isascii() and text.isdigit():
        conditions.append(or_(Order.id == _order_of_scan(text), Patient.tc == text))
    elif text:
        full = func.tr_ara(func.concat(Patient.given_name, " ", Patient.family_name))
        conditions += [FOUND_BY_NAME, *_words_match(full, text)]
    if asked.physician.strip():
        full = func.tr_ara(literal_column("personel.ad || ' ' || personel.soyadi"))
        conditions += _words_match(full, asked.physician)
    if asked.end is not None:
        conditions.append(Order.ordered_at < asked.end)
    if asked.first_day is not None:
        recent = Order.ordered_at >= asked.first_day
        if asked.released_since is not None:
            fresh = (
                select(literal_column("1"))
                .select_from(OrderedTest)
                .where(
                    OrderedTest.order_id == Order.id,
                    OrderedTest.state == TestState.CLINICALLY_APPROVED,
                    OrderedTest.state_at >= asked.released_since,
                )
                .correlate(Order)
                .exists()
            )
            recent = or_(recent, and_(Order.ordered_at >= func.now() - literal_column("interval '60 days'"), fresh))
        conditions.append(recent)
    return conditions


def _order_of_scan(text: str) -> Any:
    """The order that a scanned text belongs to (a tube's barcode finds its order)."""
    return select(Scannable.order_id).where(Scannable.text == text).scalar_subquery()


async def find_orders(session: AsyncSession, sight: Sight, asked: OrderSearch, limit: int = 100) -> list[OrderLine]:
    """Orders by name, TC, number or scanned barcode, physician and date, newest first. Two queries.

    Only orders that this person may open. Names are compared folded: "sigirci" finds "ŞIĞIRCI".
    """
    question = (
        select(Order, Patient, Physician, Unit.name)
        .join(Patient, Patient.id == Order.patient_id)
        .outerjoin(Physician, Physician.id == Order.physician_id)
        .outerjoin(Unit, Unit.id == Order.unit_id)
        .where(sight.order_condition(), *_search_conditions(asked))
        .order_by(Order.ordered_at.desc())
        .limit(limit)
    )
    found = (await session.execute(question)).tuples().all()
    counts = await _progress(session, [order.id for order, *_ in found])
    empty = (0, 0, 0, 0, 0, None)
    return [
        OrderLine(
            order.number,
            in_list(patient).full_name,
            in_list(patient).tc,
            patient.sex,
            in_list(patient).birth_date,
            physician.full_name if physician else "",
            unit or "",
            order.priority,
            order.ordered_at,
            *counts.get(order.id, empty),
        )
        for order, patient, physician, unit in found
    ]


async def _progress(session: AsyncSession, order_ids: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """Per order: tests, released, rejected, cancelled, started, time of the last release."""
    if not order_ids:
        return {}
    state = OrderedTest.state
    released = state == TestState.CLINICALLY_APPROVED
    waiting = (TestState.ORDERED, TestState.COLLECTED, TestState.REJECTED, TestState.CANCELLED)
    question = (
        select(
            OrderedTest.order_id,
            func.count(),
            func.count().filter(released),
            func.count().filter(state == TestState.REJECTED),
            func.count().filter(state == TestState.CANCELLED),
            func.count().filter(state.not_in(waiting)),
            func.max(OrderedTest.state_at).filter(released),
        )
        .where(OrderedTest.order_id.in_(order_ids))
        .group_by(OrderedTest.order_id)
    )
    return {row[0]: tuple(row[1:]) for row in (await session.execute(question)).all()}
