"""Results typed by hand: bench tests, and corrections of a value (a new run; the old one stays)."""

from __future__ import annotations

import uuid

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import About, P
from lis_core.domain.states import PENDING, TestState
from lis_core.services.catalog import catalog
from lis_core.services.result_rows import add_run, decision, facts_of, judge_value, locked_ordered_test
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Work

TYPED = "ELLE/1"
LONGEST_VALUE = 2000
"""Characters of a typed result; a longer text is a report, not a result."""


async def enter_result(work: Work, ordered_test_id: int, value: str, reason: str = "") -> int:
    """Store a typed result as a run and judge it like any other. Returns its id.

    A second value for a test that has one is a correction and needs a reason (invariant 6).
    Raises INVALID_INPUT (no value), NOT_ALLOWED, NOT_YOUR_LABORATORY, NOT_FOUND, REASON_NEEDED, BAD_RESULT_MOVE.
    """
    typed = value.strip()
    if not typed or len(typed) > LONGEST_VALUE:
        raise NumuneError(errors.INVALID_INPUT, problem="sonuç boş ya da çok uzun")
    if work.actor.user_id is None:
        raise work.actor.rights.refusal(P.RESULT_ENTER)
    work.actor.must(P.RESULT_ENTER)
    known = await catalog(work.session)
    ordered, order, patient = await locked_ordered_test(work, ordered_test_id)
    test = known.test_by_id[ordered.test_id]
    if not work.actor.may(P.RESULT_ENTER, About(ordered.group)):
        raise NumuneError(errors.NOT_YOUR_LABORATORY, test=test.code)
    if ordered.state not in (*PENDING, TestState.RESULTED):
        raise NumuneError(errors.BAD_RESULT_MOVE, test=test.code, state=ordered.state.word, wanted="sonuç girme")
    reason = reason.strip()
    if ordered.runs:
        work.actor.must(P.RESULT_CHANGE, About(ordered.group))
    if ordered.runs and not reason:
        raise NumuneError(errors.REASON_NEEDED)
    before = {"tetkik_durumu": ordered.state.value, "tetkik_sonuc_kodu": ordered.result_id}
    judged = judge_value(test, typed, facts_of(patient, order), work.now.astimezone(ISTANBUL).date(), known.range_book)
    result = await add_run(
        work,
        ordered,
        order.number,
        test,
        judged,
        measurement_key=uuid.uuid4().bytes,
        instrument_value=typed,
        received_at=work.now,
        reason=reason or None,
        decisions=[decision(TYPED, f"{work.actor.full_name or work.actor.name} elle girdi")],
        measured_at=work.now,
        tube_id=ordered.tube_id,
    )
    work.audit(
        "sonuc_elle",
        "istem_tetkik",
        ordered.id,
        before,
        {
            "tetkik_durumu": ordered.state.value,
            "tetkik_sonuc_kodu": result.id,
            "tetkik_sonucu": result.value,
            "gerekce": reason,
        },
    )
    work.tell_screens("result", gruplar=[ordered.group], istemler=[order.number], adet=1)
    return result.id
