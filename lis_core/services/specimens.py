"""Tubes on their way: drawn, handed over, received, accepted with a reservation, rejected, parted.

A scan of the barcode is all that a move needs (9.2.6, 9.4.1): the bars say which tube of which order it is.
"""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import (
    PENDING,
    TEST_STATE_OF_TUBE,
    TUBE_MOVES,
    TestState,
    TubeState,
    may_move,
)
from lis_core.services import numbering
from lis_core.services.catalog import catalog
from lis_core.storage.database import Work
from lis_core.storage.tables import CustodyEvent, Order, OrderedTest, Scannable, Tube

_MOVE_WORD = {
    TubeState.EXPECTED: "bekletme",
    TubeState.COLLECTED: "numune alma",
    TubeState.DISPATCHED: "sevk",
    TubeState.RECEIVED: "kabul",
    TubeState.CONDITIONAL: "şartlı kabul",
    TubeState.REJECTED: "ret",
}
PERMISSION_OF_MOVE = {
    TubeState.COLLECTED: P.SPECIMEN_COLLECT,
    TubeState.DISPATCHED: P.SPECIMEN_DISPATCH,
    TubeState.RECEIVED: P.SPECIMEN_ACCEPT,
    TubeState.CONDITIONAL: P.SPECIMEN_ACCEPT,
    TubeState.REJECTED: P.SPECIMEN_ACCEPT,
    TubeState.EXPECTED: P.SPECIMEN_ACCEPT,
}
"""What somebody must be allowed to, to move a tube there."""
_NEED_REASON = frozenset({TubeState.CONDITIONAL, TubeState.REJECTED})


async def find_scanned(session: AsyncSession, text: str) -> Scannable | None:
    """What a scanned text stands for: an order's number (`tube_id` None) or a tube; None where it is unknown."""
    return await session.get(Scannable, clean_scan(text))


async def move_tube(
    work: Work, barcode: str, to: TubeState, reason: str | None = None, position: str | None = None
) -> Tube:
    """Move a tube on: collected, dispatched, received, accepted with a reservation (reason), rejected (reason).

    Its tests that have no result yet follow. Scanning again for the same move changes nothing; `tube.repeats` then
    holds the event of the first time (when, by whom). `position`: rack and place, where it was put.
    Raises UNKNOWN_BARCODE, NUMBER_IS_NOT_A_TUBE (an order's number, and not exactly one tube it can mean),
    BAD_TUBE_MOVE, REASON_NEEDED, NOT_ALLOWED.
    """
    reason = (reason or "").strip() or None
    if to in _NEED_REASON and reason is None:
        raise NumuneError(errors.REASON_NEEDED)
    work.actor.must(PERMISSION_OF_MOVE[to])
    tube, order_number = await _locked_tube(work, barcode)
    if tube.state is to or (tube.state is TubeState.CONDITIONAL and to is TubeState.RECEIVED and reason is None):
        # A second scan never turns a reservation into a plain acceptance; that takes a reason.
        tube.repeats = await _event_of(work.session, tube)
        return tube
    if to not in TUBE_MOVES[tube.state]:
        raise NumuneError(errors.BAD_TUBE_MOVE, barcode=tube.barcode, state=tube.state.word, wanted=_MOVE_WORD[to])
    before = tube.state
    _stamp(work, tube, to, reason)
    work.session.add(
        CustodyEvent(
            tube_id=tube.id,
            action=to.value,
            at=work.now,
            user_id=work.actor.user_id,
            position=position,
            reason=reason,
            source=work.actor.name[:20],
        )
    )
    await _tests_follow(work, tube, to)
    await work.session.flush()
    work.audit(
        "numune_" + to.value,
        "tetkik_numune",
        tube.id,
        {"numune_durumu": before.value},
        {"numune_durumu": to.value, "barkod": tube.barcode, "gerekce": reason},
    )
    work.tell_screens("specimen", istem=order_number, barkod=tube.barcode, durum=to.value)
    return tube


async def add_aliquot(work: Work, barcode: str, tube_type: str) -> Tube:
    """A part of a tube's content in a tube of its own: same order number, same material, `parent_id` set.

    Its barcode is the parent's and two more digits, so it is found like any other. Raises UNKNOWN_BARCODE,
    NUMBER_IS_NOT_A_TUBE, BAD_TUBE_MOVE (rejected parent), INVALID_INPUT (tube type unknown or of other material).
    """
    known = await catalog(work.session)
    parent, order_number = await _locked_tube(work, barcode)
    if parent.state is TubeState.REJECTED:
        raise NumuneError(errors.BAD_TUBE_MOVE, barcode=parent.barcode, state=parent.state.word, wanted="alikot alma")
    kind = known.tube_by_code.get(tube_type)
    if kind is None or kind.material != parent.material:
        raise NumuneError(
            errors.INVALID_INPUT, problem=f"{tube_type} kodlu tüp {parent.material} alikotu için tanımlı değil"
        )
    tube = Tube(
        order_id=parent.order_id,
        barcode=await numbering.free_suffix(work.session, parent.barcode),
        tube_type_code=kind.code,
        material=parent.material,
        parent_id=parent.id,
        state=parent.state,
        collected_at=parent.collected_at,
        collected_by_id=parent.collected_by_id,
        received_at=parent.received_at,
        received_by_id=parent.received_by_id,
        reject_reason=parent.reject_reason,
    )
    work.session.add(tube)
    await work.session.flush()
    await numbering.register(work, parent.order_id, {tube.barcode: tube.id})
    work.session.add(
        CustodyEvent(
            tube_id=tube.id, action="alikot", at=work.now, user_id=work.actor.user_id, source=work.actor.name[:20]
        )
    )
    work.audit("alikot", "tetkik_numune", tube.id, None, {"barkod": tube.barcode, "ana_barkod": parent.barcode})
    work.tell_screens("specimen", istem=order_number, barkod=tube.barcode, durum=tube.state.value)
    return tube


async def _locked_tube(work: Work, scanned: str) -> tuple[Tube, str]:
    """The tube that was read, its order locked first, and the order's number."""
    text = clean_scan(scanned)
    found = await find_scanned(work.session, text)
    if found is None:
        raise NumuneError(errors.UNKNOWN_BARCODE, barcode=text)
    number = await work.session.scalar(
        select(Order.number).where(Order.id == found.order_id).with_for_update(key_share=True)
    )
    tubes = list(
        (
            await work.session.scalars(
                select(Tube)
                .where(Tube.order_id == found.order_id)
                .order_by(Tube.id)
                .with_for_update(of=Tube, key_share=True)
                .execution_options(populate_existing=True)
            )
        ).unique()
    )
    if found.tube_id is not None:
        return next(tube for tube in tubes if tube.id == found.tube_id), number or ""
    open_tubes = [tube for tube in tubes if tube.state is not TubeState.REJECTED and tube.parent_id is None]
    if len(open_tubes) == 1:
        return open_tubes[0], number or ""
    labels = ", ".join(f"{tube.barcode} {tube.tube_type.caption}" for tube in open_tubes)
    raise NumuneError(errors.NUMBER_IS_NOT_A_TUBE, barcode=text, tubes=labels or "tüp yok")


async def _event_of(session: AsyncSession, tube: Tube) -> CustodyEvent | None:
    """When the tube came into its present state, and by whom."""
    return await session.scalar(
        select(CustodyEvent)
        .where(CustodyEvent.tube_id == tube.id, CustodyEvent.action == tube.state.value)
        .order_by(CustodyEvent.id.desc())
        .limit(1)
    )


def _stamp(work: Work, tube: Tube, to: TubeState, reason: str | None) -> None:
    tube.state = to
    if to is TubeState.COLLECTED:
        tube.collected_at, tube.collected_by_id = work.now, work.actor.user_id
    if to in (TubeState.RECEIVED, TubeState.CONDITIONAL):
        tube.received_at, tube.received_by_id = work.now, work.actor.user_id
    if to in _NEED_REASON:
        tube.reject_reason = reason


async def _tests_follow(work: Work, tube: Tube, to: TubeState) -> None:
    """The tube's tests without a valid result move with it. What already runs is only stopped by a rejection."""
    state = TEST_STATE_OF_TUBE[to]
    movable = [
        old for old in PENDING if may_move(old, state) and (old is not TestState.RUNNING or state is TestState.REJECTED)
    ]
    tests = list(
        await work.session.scalars(
            select(OrderedTest.id)
            .where(OrderedTest.tube_id == tube.id, OrderedTest.state.in_(movable), OrderedTest.result_id.is_(None))
            .order_by(OrderedTest.id)
            .with_for_update(of=OrderedTest, key_share=True)
        )
    )
    if tests:
        await work.session.execute(
            update(OrderedTest)
            .where(OrderedTest.id.in_(tests))
            .values(
                state=state,
                state_at=work.now,
                version=OrderedTest.version + 1,
                running_on_id=None,
                running_since=None,
            )
            .execution_options(synchronize_session=False)
        )
