"""The timeline of an order: every step with who and when, never a value (9.7.2a, 9.7.9, 9.2.4b)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.storage.tables import CustodyEvent, Instrument, OrderedTest, Result, Test, User
from lis_core.storage.tables.results import ApprovalKind
from lis_core.views.picture_shapes import Event, Picture, Row


async def timeline(session: AsyncSession, picture: Picture) -> list[Event]:
    """Every step with who and when, oldest first (9.7.2a, 9.7.9, 9.2.4b)."""
    who = picture.ordered_by or {"hbys": "Hastane sistemi", "api": "Web servisi"}.get(picture.source, "")
    events = [Event(picture.ordered_at, "istem", "", who, "")]
    captions = {tube.id: tube.caption for tube in picture.tubes}
    question = (
        select(CustodyEvent, User, Instrument.name)
        .outerjoin(User, User.id == CustodyEvent.user_id)
        .outerjoin(Instrument, Instrument.id == CustodyEvent.instrument_id)
        .where(CustodyEvent.tube_id.in_(list(captions)))
        .order_by(CustodyEvent.at)
    )
    for event, user, instrument in (await session.execute(question)).tuples():
        name = user.full_name if user else instrument or event.source
        events.append(Event(event.at, event.action, captions[event.tube_id], name, event.reason or ""))
    events += await _arrivals(session, picture)
    events += _grouped_decisions(picture.rows)
    return sorted(events, key=lambda event: event.at)


async def _arrivals(session: AsyncSession, picture: Picture) -> list[Event]:
    """When results came, by instrument: the fact, never the value."""
    question = (
        select(
            func.date_trunc("minute", Result.received_at).label("minute"),
            Instrument.name,
            func.array_agg(Test.code.distinct()),
            func.max(Result.received_at),
        )
        .select_from(OrderedTest)
        .join(Result, Result.ordered_test_id == OrderedTest.id)
        .join(Test, Test.id == OrderedTest.test_id)
        .outerjoin(Instrument, Instrument.id == Result.instrument_id)
        .where(OrderedTest.order_id == picture.order_id)
        .group_by("minute", Instrument.name)
    )
    return [
        Event(at, "sonuc", _codes(codes), instrument or "Elle giriş", "")
        for _, instrument, codes, at in (await session.execute(question)).tuples()
    ]


def _grouped_decisions(rows: Iterable[Row]) -> list[Event]:
    """Decisions made together (one person, one kind, one moment, one reason) as one event."""
    groups: dict[tuple[datetime, ApprovalKind, str, str], list[str]] = {}
    for row in rows:
        for decision in row.decisions:
            groups.setdefault((decision.at, decision.kind, decision.who, decision.reason), []).append(row.code)
    return [Event(at, kind.value, _codes(codes), who, reason) for (at, kind, who, reason), codes in groups.items()]


def _codes(codes: Collection[str]) -> str:
    named = sorted(codes)
    return ", ".join(named) if len(named) <= 8 else f"{', '.join(named[:7])} ve {len(named) - 7} tetkik daha"
