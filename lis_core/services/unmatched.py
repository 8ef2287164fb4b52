"""Results that the program would not bind by guessing: a person binds or closes each (invariant 2).

What a person may decide is whose result it is. What material may carry a test, which test a mapped code means and
which unit a value has, nobody may wave through: that is corrected where it is defined, and the message replayed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import select, text

from barcode.numbers import clean_scan
from drivers.messages import Observation
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import About, P
from lis_core.domain.states import PENDING, TestState
from lis_core.services.catalog import Catalog, CatalogTest, CodeMapping, catalog
from lis_core.services.result_rows import add_run, decision, facts_of, judge, locked_ordered_test
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Work
from lis_core.storage.tables import Order, OrderedTest, RawMessage, Result, Scannable, Tube, UnmatchedResult
from rules.units import same_unit

BOUND_BY_HAND = "ELLE-BAGLAMA/1"

WAITS, BOUND, CLOSED = "bekliyor", "baglandi", "kapatildi"


async def bind_unmatched(work: Work, unmatched_id: int, *, barcode_or_number: str, test_code: str, reason: str) -> int:
    """Bind a waiting result to a test of an order, by a person's word. Returns the id of the result run.

    It keeps its raw message, instrument and measurement, and is judged like any other.
    Raises REASON_NEEDED, NOT_ALLOWED, NOT_YOUR_LABORATORY, NOT_FOUND, ALREADY_RESOLVED, UNKNOWN_BARCODE, UNKNOWN_TEST,
    WRONG_ORDER_FOR_RESULT, BAD_RESULT_MOVE (approved), WRONG_MATERIAL, CODE_IS_ANOTHER_TEST, WRONG_UNIT, INVALID_INPUT.
    """
    reason = _needed(reason)
    _must_be_laboratory(work)
    known = await catalog(work.session)
    waiting = await _locked(work, unmatched_id)
    test = known.test_by_code.get(test_code.strip())
    if test is None or test.panel:
        raise NumuneError(errors.UNKNOWN_TEST, codes=test_code)
    observation = msgspec.convert(waiting.observation, Observation)
    mapping = _mapping(known, waiting, observation, test)
    target, tube = await _target(work, barcode_or_number, test, mapping)
    ordered, order, patient = await locked_ordered_test(work, target)
    if not work.actor.may(P.RESULT_ENTER, About(ordered.group)):
        raise NumuneError(errors.NOT_YOUR_LABORATORY, test=test.code)
    _must_wait_for_a_result(ordered, order, test)
    today = work.now.astimezone(ISTANBUL).date()
    judged = judge(observation, mapping, test, facts_of(patient, order), today, known.range_book)
    before = {"tetkik_durumu": ordered.state.value, "tetkik_sonuc_kodu": ordered.result_id}
    result = await add_run(
        work,
        ordered,
        order.number,
        test,
        judged,
        measurement_key=waiting.measurement_key,
        instrument_value=observation.value or "",
        received_at=waiting.received_at,
        reason=reason,
        decisions=[_by_a_person(work, waiting, order, test, reason)],
        **_measurement(waiting, observation),
        tube_id=tube.id if tube else None,
    )
    work.audit(
        "sonuc_elle_bagla",
        "istem_tetkik",
        ordered.id,
        before,
        {"tetkik_durumu": ordered.state.value, "tetkik_sonuc_kodu": result.id, "gerekce": reason},
    )
    await _resolve(work, waiting, BOUND, reason, result)
    work.tell_screens("result", gruplar=[ordered.group], istemler=[order.number], adet=1)
    return result.id


async def dismiss_unmatched(work: Work, unmatched_id: int, reason: str) -> None:
    """Close a waiting result that belongs to nobody; the row and its raw message stay.

    Raises REASON_NEEDED, NOT_ALLOWED, NOT_FOUND, ALREADY_RESOLVED.
    """
    reason = _needed(reason)
    _must_be_laboratory(work)
    waiting = await _locked(work, unmatched_id)
    await _resolve(work, waiting, CLOSED, reason, None)


def _needed(reason: str) -> str:
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)
    return reason.strip()


def _must_be_laboratory(work: Work) -> None:
    if work.actor.user_id is None:
        raise work.actor.rights.refusal(P.UNMATCHED_RESOLVE)
    work.actor.must(P.UNMATCHED_RESOLVE)


async def _locked(work: Work, unmatched_id: int) -> UnmatchedResult:
    """The waiting row; its raw message is locked first, as a replay does."""
    message_id = await work.session.scalar(
        select(UnmatchedResult.raw_message_id).where(UnmatchedResult.id == unmatched_id)
    )
    if message_id is None:
        raise NumuneError(errors.NOT_FOUND, what="Eşleşmeyen sonuç")
    await work.session.execute(select(RawMessage.id).where(RawMessage.id == message_id).with_for_update())
    waiting = await work.session.get_one(UnmatchedResult, unmatched_id, with_for_update=True, populate_existing=True)
    if waiting.state != WAITS:
        raise NumuneError(errors.ALREADY_RESOLVED, state=waiting.state)
    return waiting


def _mapping(known: Catalog, waiting: UnmatchedResult, observation: Observation, test: CatalogTest) -> CodeMapping:
    """How this instrument's value is to be read as this test."""
    if observation.value is None or not observation.value.strip():
        raise NumuneError(errors.INVALID_INPUT, problem="cihaz değer göndermemiş; bağlanacak sonuç yok")
    mapping = known.mapping(waiting.instrument_id or 0).get(observation.test or "")
    if mapping is not None and mapping.test_id != test.id:
        mapped = known.test_by_id[mapping.test_id].code
        raise NumuneError(errors.CODE_IS_ANOTHER_TEST, code=observation.test, mapped=mapped, test=test.code)
    if mapping is None:
        mapping = CodeMapping(
            0, waiting.instrument_id or 0, test.id, observation.test or "", "", test.materials, {}, None, ""
        )
    expected = mapping.unit or test.unit
    if observation.unit and expected and not same_unit(observation.unit, expected):
        raise NumuneError(errors.WRONG_UNIT, test=test.code, unit=observation.unit, expected=expected)
    return mapping


async def _target(work: Work, scanned: str, test: CatalogTest, mapping: CodeMapping) -> tuple[int, Tube | None]:
    """The ordered test that this number and code name, and the tube where a tube's barcode was read."""
    words = clean_scan(scanned)
    found = await work.session.get(Scannable, words)
    if found is None:
        raise NumuneError(errors.UNKNOWN_BARCODE, barcode=words)
    tube = await work.session.get(Tube, found.tube_id) if found.tube_id is not None else None
    if tube is not None and tube.material not in mapping.materials:
        raise NumuneError(
            errors.WRONG_MATERIAL,
            test=test.code,
            material=tube.material,
            allowed=", ".join(sorted(mapping.materials)) or "-",
        )
    rows = (
        await work.session.execute(
            select(OrderedTest.id, OrderedTest.tube_id).where(
                OrderedTest.order_id == found.order_id, OrderedTest.test_id == test.id
            )
        )
    ).all()
    if len(rows) > 1:  # time points: only the tube can tell them apart
        rows = [row for row in rows if tube is not None and row.tube_id == tube.id]
    if len(rows) != 1:
        number = await work.session.scalar(select(Order.number).where(Order.id == found.order_id))
        raise NumuneError(errors.WRONG_ORDER_FOR_RESULT, order=number, test=test.code)
    return rows[0].id, tube


def _must_wait_for_a_result(ordered: OrderedTest, order: Order, test: CatalogTest) -> None:
    if ordered.state in (TestState.TECHNICALLY_APPROVED, TestState.CLINICALLY_APPROVED):
        raise NumuneError(
            errors.BAD_RESULT_MOVE, test=test.code, state="onaylı", wanted="sonuç bağlama (önce onayı geri alın)"
        )
    if ordered.state not in (*PENDING, TestState.RESULTED):
        raise NumuneError(errors.WRONG_ORDER_FOR_RESULT, order=order.number, test=test.code)


def _measurement(waiting: UnmatchedResult, observation: Observation) -> dict[str, Any]:
    """What the instrument said of the measurement, as columns of `Result`."""
    return {
        "instrument_id": waiting.instrument_id,
        "raw_message_id": waiting.raw_message_id,
        "record": observation.raw.get("record"),
        "instrument_test": observation.test or "",
        "instrument_unit": observation.unit or "",
        "instrument_flags": observation.flags,
        "comments": observation.comments,
        "measured_at": _moment(observation.measured_at),
        "rack": observation.rack,
        "position": observation.position,
        "replicate": observation.replicate,
        "operator": observation.operator,
        "lot": observation.lot,
    }


def _moment(written: str | None) -> datetime | None:
    """An instrument's time in UTC; a clock without a zone is the laboratory's. None where it is no time."""
    try:
        moment = datetime.fromisoformat(written) if written else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ISTANBUL)).astimezone(UTC)


def _by_a_person(work: Work, waiting: UnmatchedResult, order: Order, test: CatalogTest, reason: str) -> dict[str, Any]:
    who = work.actor.full_name or work.actor.name
    return decision(
        BOUND_BY_HAND, f"{who} {order.number} isteminin {test.code} tetkikine bağladı: {reason} ({waiting.explanation})"
    )


async def _resolve(work: Work, waiting: UnmatchedResult, state: str, reason: str, result: Result | None) -> None:
    waiting.state = state
    waiting.resolved_by_id = work.actor.user_id
    waiting.resolved_at = work.now
    waiting.resolution = reason
    waiting.result_id = result.id if result else None
    await work.session.flush()
    await work.session.execute(
        text(
            "update ham_mesaj m set sonuc_sayisi = sonuc_sayisi + :bound, "
            "eslesmeyen_sayisi = greatest(eslesmeyen_sayisi - 1, 0), "
            "durum = case when durum = 'kismen' and not exists (select 1 from eslesmeyen_sonuc e "
            "where e.ham_mesaj_kodu = m.ham_mesaj_kodu and e.durum = 'bekliyor') then 'islendi' else durum end "
            "where ham_mesaj_kodu = :message"
        ),
        {"bound": 1 if result else 0, "message": waiting.raw_message_id},
    )
    work.audit(
        state,
        "eslesmeyen_sonuc",
        waiting.id,
        {"durum": WAITS},
        {"durum": state, "tetkik_sonuc_kodu": waiting.result_id, "gerekce": reason},
    )
    work.tell_screens("unmatched", kod=waiting.id, durum=state)
