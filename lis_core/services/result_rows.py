"""From a measured value to what is stored and shown: translated, converted, flagged, explained.

One place for instruments (ingest), for results that a person binds, and for results typed by hand. `judge` is pure.
Decisions are stored with the result (invariant 7), in the short form of `rules.verdict.Verdict.as_dict`: {"o": P
passes, W warns, H holds, N not applicable; "r": rule/version; "why": one Turkish sentence; "saw": what decided}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any

from sqlalchemy import select

from drivers.messages import Observation
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.states import TestState
from lis_core.services.catalog import CatalogTest, CodeMapping
from lis_core.storage.database import Work
from lis_core.storage.tables import Order, OrderedTest, Patient, Result
from rules.interpretation import RULE as INTERPRETATION
from rules.interpretation import CutOff, interpret
from rules.reference import PatientFacts, RangeBook, flag_result, reference_text
from rules.titre import RULE as TITRE
from rules.titre import compared, is_titre_unit
from rules.values import Reading, fold, read_value
from rules.verdict import Outcome, Verdict

TRANSLATION = "CEVIRI/1"
CONVERSION = "BIRIM/1"

_EXACT = Context(prec=300)
"""Room for the longest number that `read_value` takes (40 characters, exponents to 99) and any factor."""


@dataclass(slots=True)
class Judged:
    """What is stored and shown of one measurement.

    value: the reported text. number: its value where the text is a plain number, or a word that stands for one.
    flag: D, Y, P!, A or "".
    reference: the range as printed that day. range_id: the row that judged.
    """

    value: str
    number: Decimal | None
    unit: str
    flag: str
    reference: str
    range_id: int | None
    decisions: list[dict[str, Any]] = field(default_factory=list)


def judge(
    observation: Observation,
    mapping: CodeMapping,
    test: CatalogTest,
    facts: PatientFacts,
    on: date,
    book: RangeBook,
) -> Judged:
    """Judge what an instrument sent: its texts translated (9.6.4), its unit converted, then the reference range."""
    text = observation.value or ""
    reading = read_value(text)
    if reading.number is None and observation.number is not None and "," in text:
        reading = read_value(text, decimal_comma=True)  # the instrument's definition read it as a decimal comma
    decisions: list[dict[str, Any]] = []
    if reading.number is None and (mapping.translations or observation.translation):
        # The laboratory's own word goes before the definition's.
        translated = mapping.translations.get(fold(text)) or observation.translation
        if translated is not None and translated != text:
            decisions.append(decision(TRANSLATION, f"cihazın {text.strip()!r} metni {translated!r} olarak çevrildi"))
            reading = Reading(translated, None)
    unit = test.unit or observation.unit or ""
    if mapping.factor is not None and (converted := _converted(reading, mapping.factor, test.decimals)) is not None:
        decisions.append(
            decision(
                CONVERSION,
                f"{text.strip()} {observation.unit or mapping.unit} x {mapping.factor:f} = {converted.text} {unit}",
            )
        )
        reading = converted
    word = _interpreted(reading, mapping.cut_offs, decisions) if mapping.cut_offs else ""
    return _flagged(reading, test, unit, facts, on, book, decisions, word)


def _interpreted(reading: Reading, cut_offs: Sequence[CutOff], decisions: list[dict[str, Any]]) -> str:
    """The word that the laboratory's cut-offs give a number, a bound or a titre (9.6.4); "" for none, and then held."""
    measured = compared(reading)
    if measured.number is None and measured.bound is None:
        return ""
    told = interpret(measured, cut_offs)
    shown = reading.text.strip()
    if told.word:
        decisions.append(decision(INTERPRETATION, f"{shown}, {told.reason}: {told.word}"))
    elif told.doubtful:
        decisions.append(decision(INTERPRETATION, f"{shown} yorumlanmadı: {told.reason}", Outcome.HOLDS))
    return told.word


def judge_value(test: CatalogTest, text: str, facts: PatientFacts, on: date, book: RangeBook) -> Judged:
    """Judge a value typed by a person, in the test's own unit. A decimal comma is a comma here: "5,4" is 5.4."""
    typed = text.strip()
    reading = read_value(typed)
    decisions: list[dict[str, Any]] = []
    if "," in typed and reading.number is None and reading.bound is None:
        with_comma = read_value(typed, decimal_comma=True)
        if with_comma.number is not None or with_comma.bound is not None:
            reading = Reading(typed.replace(",", "."), with_comma.number, with_comma.comparator, with_comma.bound)
    return _flagged(reading, test, test.unit, facts, on, book, decisions)


def _flagged(
    reading: Reading,
    test: CatalogTest,
    unit: str,
    facts: PatientFacts,
    on: date,
    book: RangeBook,
    decisions: list[dict[str, Any]],
    word: str = "",
) -> Judged:
    """word: what is reported instead of the number. A range of numbers judges the number, one of texts the word."""
    titre = compared(reading) if is_titre_unit(test.unit) else reading
    if titre is not reading:  # the limits of a titre are reciprocals; what is stored and shown stays the titre
        decisions.append(decision(TITRE, f"{reading.text.strip()} titresi, sınırlarla tersine göre karşılaştırıldı"))
    choice = book.find(test.id, facts, on)
    by_word = word and choice.range is not None and not choice.range.numeric
    flagged = flag_result(Reading(word, None) if by_word else titre, choice, test=test.code)
    chosen = flagged.range
    decisions.append(flagged.verdict.as_dict())
    return Judged(
        value=word or reading.text.strip(),
        number=reading.number,
        unit=unit,
        flag=flagged.flag,
        reference="" if chosen is None else reference_text(chosen),
        range_id=None if chosen is None else int(chosen.id),
        decisions=decisions,
    )


def decision(rule: str, reason: str, outcome: Outcome = Outcome.PASSES) -> dict[str, Any]:
    """A step that is no verdict on the value (translation, binding by a person), in the same form."""
    return Verdict(outcome, rule, reason, {}).as_dict()


def _converted(reading: Reading, factor: Decimal, decimals: int | None) -> Reading | None:
    """The reading in our unit; None for a text. Rounded to the test's decimals, else to the digits that were sent."""
    if reading.number is not None:
        number = _rounded(reading.number, factor, decimals)
        return Reading(f"{number:f}", number)
    if reading.bound is not None:
        bound = _rounded(reading.bound, factor, decimals)
        return Reading(f"{reading.comparator}{bound:f}", None, reading.comparator, bound)
    return None


def _rounded(number: Decimal, factor: Decimal, decimals: int | None) -> Decimal:
    product = _EXACT.multiply(number, factor)
    if decimals is None:
        digits = max(3, len(number.as_tuple().digits))
        decimals = max(0, digits - 1 - product.adjusted()) if product else 0
    return product.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)


def conditions_of(clinical: Mapping[str, Any]) -> frozenset[str]:
    """Special conditions that reference ranges may depend on: the entries of the clinical information that are true."""
    return frozenset(name for name, value in clinical.items() if value is True)


def facts_of(patient: Patient, order: Order) -> PatientFacts:
    """What the choice of a range may depend on, for this order."""
    sex = patient.sex
    return PatientFacts(
        sex if sex in ("F", "M") else None,  # type: ignore[arg-type]
        patient.birth_date,
        conditions_of(order.clinical),
    )


async def locked_ordered_test(work: Work, ordered_test_id: int) -> tuple[OrderedTest, Order, Patient]:
    """An ordered test with its order and patient; order, then test, locked. Raises NOT_FOUND."""
    order_id = await work.session.scalar(select(OrderedTest.order_id).where(OrderedTest.id == ordered_test_id))
    if order_id is None:
        raise NumuneError(errors.NOT_FOUND, what="İstenen tetkik")
    row = (
        await work.session.execute(
            select(Order, Patient)
            .join(Patient, Patient.id == Order.patient_id)
            .where(Order.id == order_id)
            .with_for_update(of=Order, key_share=True)
        )
    ).one()
    ordered = await work.session.scalar(
        select(OrderedTest)
        .where(OrderedTest.id == ordered_test_id)
        .with_for_update(of=OrderedTest, key_share=True)
        .execution_options(populate_existing=True)
    )
    assert ordered is not None  # ordered tests are never deleted
    return ordered, row[0], row[1]


async def add_run(
    work: Work,
    ordered: OrderedTest,
    order_number: str,
    test: CatalogTest,
    judged: Judged,
    *,
    measurement_key: bytes,
    instrument_value: str,
    received_at: datetime,
    reason: str | None,
    decisions: list[dict[str, Any]],
    **facts: Any,
) -> Result:
    """Store one run that a person made or bound, and make it the valid one. `ordered` is locked by the caller.

    facts: further columns of `Result` (tube_id, instrument_id, raw_message_id, measured_at ...).
    decisions: what was decided before the value was judged.
    """
    result = Result(
        ordered_test_id=ordered.id,
        run=ordered.runs + 1,
        measurement_key=measurement_key,
        instrument_value=instrument_value,
        value=judged.value,
        number=judged.number,
        unit=judged.unit,
        flag=judged.flag,
        reference=judged.reference,
        range_id=judged.range_id,
        decisions=[*decisions, *judged.decisions],
        received_at=received_at,
        entered_by_id=work.actor.user_id,
        reason=reason,
        **facts,
    )
    work.session.add(result)
    await work.session.flush()
    ordered.runs += 1
    ordered.version += 1
    ordered.result_id = result.id
    ordered.state = TestState.RESULTED
    ordered.state_at = work.now
    ordered.wanted_instrument_id = None
    if judged.flag == "P!":
        work.later(
            "panik.bildirim", {"sonuc": result.id, "istem": order_number, "tetkik": test.code}, order_key=order_number
        )
    return result
