"""The two approvals, repeats, withdrawals (9.6.11, 9.7.1, 9.7.6, 9.7.8).

Every decision is a row of `onay` that stays; the ordered test only points to where it stands. The state is looked at
under a row lock, so of two people who decide at once one decides and the other is told. Ordered tests are locked in
the order of their ids, always.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, cast, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import About, P
from lis_core.domain.states import TestState
from lis_core.services.catalog import catalog
from lis_core.storage.database import Actor, Work
from lis_core.storage.tables import Approval, Order, OrderedTest, Result, Test
from lis_core.storage.tables.results import ApprovalKind

HOSPITAL_TOPIC = "hbys.sonuc"


@dataclass(frozen=True, slots=True)
class ApprovalOutcome:
    """What became of one result of the call. `error`: `NumuneError.as_dict()` of the refusal."""

    result_id: int
    ordered_test_id: int
    test: str
    ok: bool
    error: dict[str, Any] | None


@dataclass(slots=True)
class _Row:
    """A result with its locked ordered test."""

    result_id: int
    flag: str
    ordered_test_id: int
    state: TestState
    version: int
    current: int | None
    group: str
    test_id: int
    test: str
    order_id: int
    number: str
    for_hospital: bool


async def approve_technically(work: Work, result_ids: Sequence[int], reason: str = "") -> list[ApprovalOutcome]:
    """Technical approval of results, each judged for itself; outcomes in the order asked.

    A panic value needs a reason (call record). Raises NOT_ALLOWED where the actor may approve nowhere; per result:
    NOT_FOUND, NOT_YOUR_LABORATORY, NOT_CURRENT_RUN, CHANGED_MEANWHILE, BAD_RESULT_MOVE, PANIC_NEEDS_REASON.
    """
    reason = reason.strip()
    _must_hold(work.actor, P.RESULT_TECHNICAL)

    def judge(row: _Row) -> NumuneError | None:
        if not work.actor.may(P.RESULT_TECHNICAL, About(row.group)):
            return NumuneError(errors.NOT_YOUR_LABORATORY, test=row.test)
        if row.state in (TestState.TECHNICALLY_APPROVED, TestState.CLINICALLY_APPROVED):
            return NumuneError(errors.CHANGED_MEANWHILE, test=row.test, state=row.state.word)
        if row.state is not TestState.RESULTED:
            return _bad_move(row, "teknik onay")
        if row.current != row.result_id:
            return NumuneError(errors.NOT_CURRENT_RUN)
        if row.flag == "P!" and not reason:
            return NumuneError(errors.PANIC_NEEDS_REASON, test=row.test)
        return None

    return await _approve(work, result_ids, reason, judge, ApprovalKind.TECHNICAL, TestState.TECHNICALLY_APPROVED)


async def approve_clinically(work: Work, result_ids: Sequence[int], reason: str = "") -> list[ApprovalOutcome]:
    """Clinical approval: from here on the result is seen outside the laboratory, and goes to the hospital.

    Only after technical approval (also the database refuses otherwise). Raises NOT_ALLOWED where the actor may
    release nowhere; per result as above, and NOT_TECHNICALLY_APPROVED.
    """
    _must_hold(work.actor, P.RESULT_CLINICAL)

    def judge(row: _Row) -> NumuneError | None:
        if not work.actor.may(P.RESULT_CLINICAL, About(row.group)):
            return NumuneError(errors.NOT_YOUR_LABORATORY, test=row.test)
        if row.state is TestState.CLINICALLY_APPROVED:
            return NumuneError(errors.CHANGED_MEANWHILE, test=row.test, state=row.state.word)
        if row.state is TestState.RESULTED:
            return NumuneError(errors.NOT_TECHNICALLY_APPROVED, test=row.test)
        if row.state is not TestState.TECHNICALLY_APPROVED:
            return _bad_move(row, "klinik onay")
        if row.current != row.result_id:
            return NumuneError(errors.NOT_CURRENT_RUN)
        return None

    return await _approve(work, result_ids, reason.strip(), judge, ApprovalKind.CLINICAL, TestState.CLINICALLY_APPROVED)


async def request_repeat(work: Work, result_id: int, reason: str = "", instrument: str | None = None) -> None:
    """Run the test again; the run stays on record, the test is pending again (9.6.6, 9.7.6a).

    instrument: code of the analyser that must run it; None = any. A technician may before technical approval, a
    specialist before clinical approval; a released result is withdrawn first.
    Raises NOT_FOUND, NOT_ALLOWED, NOT_YOUR_LABORATORY, NOT_CURRENT_RUN, BAD_RESULT_MOVE, UNKNOWN_INSTRUMENT,
    INSTRUMENT_NOT_FOR_TEST.
    """
    row = await _locked_row(work, result_id)
    approved = row.state is TestState.TECHNICALLY_APPROVED
    _must_cover(work.actor, row, P.RESULT_CLINICAL if approved else P.RESULT_TECHNICAL)
    if row.state not in (TestState.RESULTED, TestState.TECHNICALLY_APPROVED):
        raise _bad_move(row, "tekrar isteği")
    if row.current != row.result_id:
        raise NumuneError(errors.NOT_CURRENT_RUN)
    wanted = await _instrument(work, row, instrument)
    await _decide(
        work,
        [row],
        ApprovalKind.REPEAT,
        reason.strip(),
        TestState.ACCEPTED,
        result_id=None,
        wanted_instrument_id=wanted,
        running_on_id=None,
        running_since=None,
    )


async def withdraw(work: Work, result_id: int, reason: str) -> None:
    """Take the last approval back: clinical to technically approved, technical to resulted. The hospital is told.

    Raises REASON_NEEDED, NOT_FOUND, NOT_ALLOWED, NOT_YOUR_LABORATORY, NOT_CURRENT_RUN, BAD_RESULT_MOVE.
    """
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)
    row = await _locked_row(work, result_id)
    released = row.state is TestState.CLINICALLY_APPROVED
    _must_cover(work.actor, row, P.RESULT_CLINICAL if released else P.RESULT_TECHNICAL)
    if not released and row.state is not TestState.TECHNICALLY_APPROVED:
        raise _bad_move(row, "onayı geri alma")
    if row.current != row.result_id:
        raise NumuneError(errors.NOT_CURRENT_RUN)
    if released:
        await _decide(work, [row], ApprovalKind.WITHDRAW_CLINICAL, reason.strip(), TestState.TECHNICALLY_APPROVED)
        _tell_hospital(work, [row])
    else:
        await _decide(work, [row], ApprovalKind.WITHDRAW_TECHNICAL, reason.strip(), TestState.RESULTED)


async def choose_run(work: Work, ordered_test_id: int, result_id: int, reason: str) -> None:
    """Make another run the valid one, before any approval; also while a repeat that nobody can run is awaited.

    Raises REASON_NEEDED, NOT_FOUND, NOT_ALLOWED, NOT_YOUR_LABORATORY, BAD_RESULT_MOVE.
    """
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)
    row = await _locked_row(work, result_id)
    if row.ordered_test_id != ordered_test_id:
        raise NumuneError(errors.NOT_FOUND, what="Bu tetkikin koşusu")
    _must_cover(work.actor, row, P.RESULT_CHANGE)
    if row.state not in (TestState.RESULTED, TestState.ACCEPTED, TestState.RUNNING):
        raise _bad_move(row, "koşu seçimi")
    if row.current == row.result_id:
        return
    await _decide(
        work,
        [row],
        ApprovalKind.CHOOSE_RUN,
        reason.strip(),
        TestState.RESULTED,
        result_id=row.result_id,
        wanted_instrument_id=None,
        running_on_id=None,
        running_since=None,
    )


# -- rows under lock


async def _locked_rows(work: Work, result_ids: Sequence[int]) -> dict[int, _Row]:
    """Results by id with their ordered tests, locked in the order of the ordered tests' ids. One query."""
    rows: Any = await work.session.execute(
        select(
            Result.id,
            Result.flag,
            OrderedTest.id,
            OrderedTest.state,
            OrderedTest.version,
            OrderedTest.result_id,
            OrderedTest.group,
            OrderedTest.test_id,
            Test.code,
            Order.id,
            Order.number,
            (Order.hospital_number.is_not(None)) | (Order.source == "hbys"),
        )
        .select_from(Result)
        .join(OrderedTest, OrderedTest.id == Result.ordered_test_id)
        .join(Test, Test.id == OrderedTest.test_id)
        .join(Order, Order.id == OrderedTest.order_id)
        .where(Result.id == _any(result_ids))
        .order_by(OrderedTest.id, Result.id)
        .with_for_update(of=OrderedTest, key_share=True)
    )
    return {row[0]: _Row(*row) for row in rows}


async def _locked_row(work: Work, result_id: int) -> _Row:
    row = (await _locked_rows(work, [result_id])).get(result_id)
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what="Sonuç")
    return row


def _any(ids: Sequence[int]) -> Any:
    return func.any(cast(list(ids), ARRAY(BigInteger)))


# -- deciding


async def _approve(
    work: Work,
    result_ids: Sequence[int],
    reason: str,
    judge: Callable[[_Row], NumuneError | None],
    kind: ApprovalKind,
    state: TestState,
) -> list[ApprovalOutcome]:
    asked = list(dict.fromkeys(result_ids))
    found = await _locked_rows(work, asked) if asked else {}
    outcomes: list[ApprovalOutcome] = []
    taken: list[_Row] = []
    for result_id in asked:
        row = found.get(result_id)
        refusal = NumuneError(errors.NOT_FOUND, what="Sonuç") if row is None else judge(row)
        if row is not None and refusal is None:
            taken.append(row)
        if row is not None and refusal is not None and refusal.kind is errors.NOT_YOUR_LABORATORY:
            tried = {"karar": kind.value, "istem_tetkik_kodu": row.ordered_test_id}
            work.audit("yetki_ret", "yetki", refusal.code, None, tried)  # a row of a bulk answer is an attempt too
        outcomes.append(
            ApprovalOutcome(
                result_id,
                row.ordered_test_id if row else 0,
                row.test if row else "",
                refusal is None,
                None if refusal is None else refusal.as_dict(),
            )
        )
    if taken:
        await _decide(work, taken, kind, reason, state)
        if state is TestState.CLINICALLY_APPROVED:
            _tell_hospital(work, taken)
    return outcomes


async def _decide(
    work: Work, rows: Sequence[_Row], kind: ApprovalKind, reason: str, state: TestState, **changes: Any
) -> None:
    """Write the decision rows, then move the tests (the database checks one against the other), then the audit."""
    ordered = sorted(rows, key=lambda row: row.ordered_test_id)
    await work.session.execute(
        insert(Approval),
        [
            {
                "ordered_test_id": row.ordered_test_id,
                "result_id": row.result_id,
                "kind": kind,
                "version": row.version + 1,
                "user_id": work.actor.user_id,
                "at": work.now,
                "reason": reason,
            }
            for row in ordered
        ],
    )
    await work.session.execute(
        update(OrderedTest)
        .where(OrderedTest.id == _any([row.ordered_test_id for row in ordered]))
        .values(state=state, state_at=work.now, version=OrderedTest.version + 1, **changes)
        .execution_options(synchronize_session=False)
    )
    for row in ordered:
        before = {"tetkik_durumu": row.state.value, "tetkik_sonuc_kodu": row.current}
        after: dict[str, Any] = {
            "tetkik_durumu": state.value,
            "tetkik_sonuc_kodu": changes.get("result_id", row.current),
            "surum": row.version + 1,
            "gerekce": reason,
        }
        if (wanted := changes.get("wanted_instrument_id")) is not None:
            after["istenen_cihaz_kodu"] = wanted
        work.audit(kind.value, "istem_tetkik", row.ordered_test_id, before, after)
    work.tell_screens(
        "approval",
        karar=kind.value,
        gruplar=sorted({row.group for row in ordered}),
        istemler=sorted({row.number for row in ordered})[:50],
        adet=len(ordered),
    )


def _tell_hospital(work: Work, rows: Sequence[_Row]) -> None:
    """One job an order; jobs of one order are done in their order, so a correction never overtakes."""
    orders: dict[int, list[_Row]] = {}
    for row in rows:
        if row.for_hospital:
            orders.setdefault(row.order_id, []).append(row)
    for order_id, of_order in orders.items():
        tests = sorted(row.ordered_test_id for row in of_order)
        work.later(HOSPITAL_TOPIC, {"order_id": order_id, "ordered_test_ids": tests}, order_key=of_order[0].number)


async def _instrument(work: Work, row: _Row, code: str | None) -> int | None:
    """The instrument that a repeat must run on. It must be one that runs this test."""
    if not code:
        return None
    known = await catalog(work.session)
    instrument = known.instrument_by_code.get(code)
    if instrument is None or not instrument.active:
        raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
    if all(mapping.instrument_id != instrument.id for mapping in known.mappings_of_test.get(row.test_id, ())):
        raise NumuneError(errors.INSTRUMENT_NOT_FOR_TEST, instrument=instrument.name, test=row.test)
    return instrument.id


# -- who may


def _must_hold(actor: Actor, permission: P) -> None:
    """A decision about a result is a person's, never the program's."""
    if actor.user_id is None:
        raise actor.rights.refusal(permission)
    actor.must(permission)


def _must_cover(actor: Actor, row: _Row, permission: P) -> None:
    _must_hold(actor, permission)
    if not actor.may(permission, About(row.group)):
        raise NumuneError(errors.NOT_YOUR_LABORATORY, test=row.test)


def _bad_move(row: _Row, wanted: str) -> NumuneError:
    return NumuneError(errors.BAD_RESULT_MOVE, test=row.test, state=row.state.word, wanted=wanted)
