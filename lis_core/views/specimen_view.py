"""Where a tube is, where it was, and every event of it (9.2.4b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import TubeState
from lis_core.services.catalog import catalog
from lis_core.storage.tables import CustodyEvent, Instrument, OrderedTest, Scannable, Tube, User
from lis_core.views.order_view import find_order, here, local
from lis_core.views.seeing import Sight


@dataclass(frozen=True, slots=True)
class SpecimenEvent:
    """One thing that happened to the tube. `action`: the state it took, `on_instrument` or `aliquot`."""

    action: str
    at: datetime
    by: str | None
    instrument: str | None
    rack: str | None
    position: str | None
    reason: str | None
    source: str


@dataclass(frozen=True, slots=True)
class SpecimenView:
    """A tube with its whole life. `place`: where it was last seen, in words."""

    barcode: str
    order: str
    tube: str
    caption: str
    colour: str
    material: str
    state: str
    parent: str | None
    place: str
    collected_at: datetime | None
    received_at: datetime | None
    reason: str | None
    tests: list[str]
    events: list[SpecimenEvent]


_PLACES = {
    TubeState.EXPECTED: "Henüz alınmadı",
    TubeState.COLLECTED: "Numune alma yerinde",
    TubeState.DISPATCHED: "Yolda",
    TubeState.RECEIVED: "Laboratuvarda",
    TubeState.CONDITIONAL: "Laboratuvarda (şartlı kabul)",
    TubeState.REJECTED: "Reddedildi",
}

_ACTIONS = {
    **{state.value: state.api for state in TubeState},
    "cihazda": "on_instrument",
    "alikot": "aliquot",
}


async def specimen_view(session: AsyncSession, sight: Sight, text: str) -> SpecimenView:
    """The tube with this barcode; an order's number where the order has a single tube.

    Raises UNKNOWN_BARCODE, NUMBER_IS_NOT_A_TUBE, NOT_ALLOWED.
    """
    order = await find_order(session, sight, text, P.SPECIMEN_VIEW)
    tubes = (await session.scalars(select(Tube).where(Tube.order_id == order.id).order_by(Tube.barcode))).all()
    tube = await _scanned_tube(session, text, order.number, tubes)
    book = await catalog(session)
    meant = await session.scalars(select(OrderedTest.test_id).where(OrderedTest.tube_id == tube.id))
    rows = await session.execute(
        select(CustodyEvent, User, Instrument.code)
        .outerjoin(User, User.id == CustodyEvent.user_id)
        .outerjoin(Instrument, Instrument.id == CustodyEvent.instrument_id)
        .where(CustodyEvent.tube_id == tube.id)
        .order_by(CustodyEvent.at, CustodyEvent.id)
    )
    events = [_event(*row) for row in rows.tuples()]
    return SpecimenView(
        barcode=tube.barcode,
        order=order.number,
        tube=tube.tube_type_code,
        caption=tube.tube_type.caption,
        colour=tube.tube_type.colour,
        material=tube.material,
        state=tube.state.api,
        parent=next((other.barcode for other in tubes if other.id == tube.parent_id), None),
        place=_place(tube.state, events),
        collected_at=local(tube.collected_at),
        received_at=local(tube.received_at),
        reason=tube.reject_reason,
        tests=sorted(book.test_by_id[test_id].code for test_id in meant),
        events=events,
    )


async def _scanned_tube(session: AsyncSession, text: str, number: str, tubes: Sequence[Tube]) -> Tube:
    scanned = await session.get(Scannable, clean_scan(text))
    tube_id = scanned.tube_id if scanned else None
    found = [tube for tube in tubes if tube_id is None or tube.id == tube_id]
    if len(found) == 1:
        return found[0]
    raise NumuneError(errors.NUMBER_IS_NOT_A_TUBE, barcode=number, tubes=", ".join(tube.barcode for tube in tubes))


def _event(event: CustodyEvent, user: User | None, instrument: str | None) -> SpecimenEvent:
    return SpecimenEvent(
        action=_ACTIONS.get(event.action, event.action),
        at=here(event.at),
        by=user.full_name if user else None,
        instrument=instrument,
        rack=event.rack,
        position=event.position,
        reason=event.reason,
        source=event.source,
    )


def _place(state: TubeState, events: list[SpecimenEvent]) -> str:
    last = events[-1] if events else None
    if last is not None and last.instrument is not None:
        spot = " ".join(part for part in (last.rack, last.position) if part)
        return f"{last.instrument} cihazında" + (f", {spot}" if spot else "")
    return _PLACES[state]
