"""What the program would not guess, a person decides; what no analyser measures, a person types."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text

from lis_core.domain import errors
from lis_core.domain.errors import ErrorKind, NumuneError
from lis_core.domain.permission_templates import Job
from lis_core.domain.states import TestState, TubeState
from lis_core.services.approvals import approve_technically
from lis_core.services.instruments import MappingData, save_mapping
from lis_core.services.manual import enter_result
from lis_core.services.orders import cancel_tests
from lis_core.services.unmatched import bind_unmatched, dismiss_unmatched
from lis_core.storage.database import Database
from lis_core.storage.tables import OutboxEntry, RawMessage, Result, UnmatchedResult
from tests.services import steps


async def arrives(lab: Database, specimen: str | None, test: str, value: str, **more: Any) -> int:
    """A result that cannot be bound comes from the generic analyser; returns the waiting row."""
    await steps.analyser_sends(lab, "genel", specimen, test, value, rack="7", position="2", **more)
    async with lab.reading() as session:
        row = await session.scalar(select(UnmatchedResult).order_by(UnmatchedResult.id.desc()).limit(1))
    assert row is not None
    assert row.state == "bekliyor"
    return row.id


async def bind(
    lab: Database,
    waiting: int,
    number: str,
    test: str,
    reason: str = "etiketi okunmamış, rafta görüldü",
    by: str = "teknisyen",
) -> int:
    async with lab.work(await steps.user(lab, by)) as work:
        return await bind_unmatched(work, waiting, barcode_or_number=number, test_code=test, reason=reason)


async def dismiss(lab: Database, waiting: int, reason: str = "deneme numunesi", by: str = "teknisyen") -> None:
    async with lab.work(await steps.user(lab, by)) as work:
        await dismiss_unmatched(work, waiting, reason)


async def typed(lab: Database, number: str, code: str, value: str, reason: str = "", by: str = "teknisyen") -> int:
    row = await steps.ordered_test(lab, number, code)
    async with lab.work(await steps.user(lab, by)) as work:
        return await enter_result(work, row.id, value, reason)


async def expect(kind: ErrorKind, action: Any) -> NumuneError:
    with pytest.raises(NumuneError) as refusal:
        await action
    assert refusal.value.kind is kind
    return refusal.value


async def the_result(lab: Database, result_id: int) -> Result:
    async with lab.reading() as session:
        return await session.get_one(Result, result_id)


async def test_a_person_binds_a_result_with_an_unread_label(lab: Database) -> None:
    placed = await steps.order(lab, ["K", "NA"])
    waiting = await arrives(lab, None, "K", "6.9", unit="mmol/L", flags=["H"], lot="A7")
    result_id = await bind(lab, waiting, placed.specimens[0].barcode, "K")

    result = await the_result(lab, result_id)
    technician = await steps.user(lab, "teknisyen")
    assert (result.value, result.number, result.unit) == ("6.9", Decimal("6.9"), "mmol/L")
    assert (result.flag, result.reference) == ("P!", "3.5-5.1")  # flagged like any other
    assert (result.rack, result.position, result.lot, result.record) == ("7", "2", "A7", 3)
    assert (result.entered_by_id, result.reason) == (technician.user_id, "etiketi okunmamış, rafta görüldü")
    assert result.raw_message_id is not None
    assert result.tube_id is not None
    assert [decision["r"] for decision in result.decisions] == ["ELLE-BAGLAMA/1", "REF/1"]
    assert "Tuğba Işıklı" in result.decisions[0]["why"]
    assert (await steps.states(lab, placed.number)) == {"K": TestState.RESULTED, "NA": TestState.ORDERED}
    async with lab.reading() as session:
        row = await session.get_one(UnmatchedResult, waiting)
        message = await session.get_one(RawMessage, result.raw_message_id)
        panic = await session.scalar(select(OutboxEntry.payload).where(OutboxEntry.topic == "panik.bildirim"))
    assert (row.state, row.result_id, row.resolved_by_id) == ("baglandi", result_id, technician.user_id)
    assert (message.state, message.results, message.unmatched) == ("islendi", 1, 0)
    assert panic == {"sonuc": result_id, "istem": placed.number, "tetkik": "K"}
    (entry,) = await steps.audit_of(lab, "eslesmeyen_sonuc", waiting)
    assert (entry.before, entry.actor) == ({"durum": "bekliyor"}, "teknisyen")
    assert await steps.chain_problems(lab) == []


async def test_a_result_is_bound_once_even_by_two_people_at_once(lab: Database) -> None:
    placed = await steps.order(lab, ["K"])
    waiting = await arrives(lab, None, "K", "4.1")
    outcomes = await asyncio.gather(*(bind(lab, waiting, placed.number, "K") for _ in range(4)), return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, NumuneError)]
    assert [refusal.kind for refusal in refusals] == [errors.ALREADY_RESOLVED] * 3
    assert (await steps.ordered_test(lab, placed.number, "K")).runs == 1
    await expect(errors.ALREADY_RESOLVED, dismiss(lab, waiting))


async def test_nobody_can_wave_a_wrong_material_through(lab: Database) -> None:
    """Potassium read from an EDTA tube is no potassium, whoever says so."""
    placed = await steps.order(lab, ["K", "CBC"])
    waiting = await arrives(lab, f"{placed.number}02", "K", "14.1")
    refusal = await expect(errors.WRONG_MATERIAL, bind(lab, waiting, f"{placed.number}02", "K"))
    assert refusal.message == "K EDTA tüpünden çalışılmaz (uygun: SER)."
    assert (await steps.states(lab, placed.number))["K"] is TestState.ORDERED


async def test_a_mapped_code_is_not_bound_as_another_test(lab: Database) -> None:
    placed = await steps.order(lab, ["K", "NA"])
    waiting = await arrives(lab, None, "NA", "140")
    refusal = await expect(errors.CODE_IS_ANOTHER_TEST, bind(lab, waiting, placed.number, "K"))
    assert refusal.details["mapped"] == "NA"


async def test_a_unit_that_is_not_ours_waits_for_its_conversion(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"])
    waiting = await arrives(lab, placed.number, "GLU", "5.85", unit="mmol/L")
    await expect(errors.WRONG_UNIT, bind(lab, waiting, placed.number, "GLU"))
    async with lab.work(await steps.user(lab, "uzman")) as work:
        await save_mapping(
            work, MappingData(instrument="genel", test="GLU", incoming="GLU", unit="mmol/L", factor="18.016")
        )
    result = await the_result(lab, await bind(lab, waiting, placed.number, "GLU"))
    assert (result.instrument_value, result.instrument_unit) == ("5.85", "mmol/L")
    assert (result.value, result.unit, result.flag) == ("105", "mg/dL", "Y")  # 5.85 x 18.016 = 105.39
    assert any("5.85 mmol/L x 18.016 = 105 mg/dL" in decision["why"] for decision in result.decisions)


async def test_an_unmapped_code_is_bound_by_a_persons_word(lab: Database) -> None:
    placed = await steps.order(lab, ["HBSAG"])
    waiting = await arrives(lab, placed.number, "HBs-X", "0.43")
    result = await the_result(lab, await bind(lab, waiting, placed.number, "HBSAG"))
    assert (result.value, result.flag, result.instrument_test) == ("0.43", "", "HBs-X")


async def test_what_the_order_does_not_wait_for_is_not_bound(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "K", "UREA"])
    waiting = await arrives(lab, None, "CREA", "0.9")
    await expect(errors.WRONG_ORDER_FOR_RESULT, bind(lab, waiting, placed.number, "CREA"))
    async with lab.work(await steps.user(lab, "hekim")) as work:
        await cancel_tests(work, placed.number, ["UREA"], "vazgeçildi")
    await expect(
        errors.WRONG_ORDER_FOR_RESULT, bind(lab, await arrives(lab, None, "UREA", "30"), placed.number, "UREA")
    )
    glucose = await steps.result(lab, placed.number, "GLU", "92")
    async with lab.work(await steps.user(lab, "teknisyen")) as work:
        await approve_technically(work, [glucose])
    late = await arrives(lab, placed.number, "GLU", "300")
    await expect(errors.BAD_RESULT_MOVE, bind(lab, late, placed.number, "GLU"))
    assert (await steps.ordered_test(lab, placed.number, "GLU")).result_id == glucose


async def test_binding_is_for_the_laboratory_and_needs_a_reason(lab: Database) -> None:
    placed = await steps.order(lab, ["K"])
    waiting = await arrives(lab, None, "K", "4.1")
    await expect(errors.REASON_NEEDED, bind(lab, waiting, placed.number, "K", reason=" "))
    await expect(errors.NOT_ALLOWED, bind(lab, waiting, placed.number, "K", by="hekim"))
    await expect(errors.NOT_ALLOWED, dismiss(lab, waiting, by="kabul"))
    await expect(errors.REASON_NEEDED, dismiss(lab, waiting, ""))
    await expect(errors.UNKNOWN_BARCODE, bind(lab, waiting, "424242", "K"))
    await expect(errors.UNKNOWN_TEST, bind(lab, waiting, placed.number, "CBC"))
    await expect(errors.NOT_FOUND, bind(lab, 999_999, placed.number, "K"))
    await steps.new_user(lab, "hormoncu", Job.TECHNICIAN, "HORMON")
    await expect(errors.NOT_YOUR_LABORATORY, bind(lab, waiting, placed.number, "K", by="hormoncu"))


async def test_a_result_of_nobody_is_closed_and_kept(lab: Database) -> None:
    waiting = await arrives(lab, "424242", "K", "4.1")
    await dismiss(lab, waiting)
    async with lab.reading() as session:
        row = await session.get_one(UnmatchedResult, waiting)
        results = (await session.scalars(select(Result))).all()
        message = await session.get_one(RawMessage, row.raw_message_id)
    assert (row.state, row.resolution, list(results)) == ("kapatildi", "deneme numunesi", [])
    assert (message.state, message.unmatched, message.results) == ("islendi", 0, 0)


# -- typed results


async def test_a_typed_result_is_judged_like_a_measured_one(lab: Database) -> None:
    placed = await steps.order(lab, ["TIT", "GLU"])
    leucocytes = await the_result(lab, await typed(lab, placed.number, "U-LEU", "+++"))
    clear = await the_result(lab, await typed(lab, placed.number, "U-NIT", "NEGATİF"))
    glucose = await the_result(lab, await typed(lab, placed.number, "GLU", "105,4"))
    technician = await steps.user(lab, "teknisyen")
    assert (leucocytes.flag, leucocytes.reference) == ("A", "Negatif")
    assert (clear.flag, clear.instrument_id, clear.entered_by_id) == ("", None, technician.user_id)
    assert (glucose.instrument_value, glucose.value, glucose.number) == ("105,4", "105.4", Decimal("105.4"))
    assert glucose.flag == "Y"
    assert "Tuğba Işıklı" in glucose.decisions[0]["why"]


async def test_a_corrected_value_is_a_new_run_with_a_reason(lab: Database) -> None:
    placed = await steps.order(lab, ["ESR"])
    first = await typed(lab, placed.number, "ESR", "51")
    await expect(errors.REASON_NEEDED, typed(lab, placed.number, "ESR", "15"))
    second = await typed(lab, placed.number, "ESR", "15", "rakamlar yer değiştirmiş")
    row = await steps.ordered_test(lab, placed.number, "ESR")
    assert (row.result_id, row.runs) == (second, 2)
    assert ((await the_result(lab, first)).value, (await the_result(lab, second)).run) == ("51", 2)
    entries = await steps.audit_of(lab, "istem_tetkik", row.id)
    assert [((e.before or {})["tetkik_sonuc_kodu"], (e.after or {})["tetkik_sonucu"]) for e in entries] == [
        (None, "51"),
        (first, "15"),
    ]


async def test_typing_is_refused_where_it_does_not_belong(lab: Database) -> None:
    placed = await steps.order(lab, ["ESR", "GLU"])
    await expect(errors.INVALID_INPUT, typed(lab, placed.number, "ESR", "  "))
    await expect(errors.NOT_ALLOWED, typed(lab, placed.number, "ESR", "15", by="hekim"))
    await steps.new_user(lab, "hormoncu", Job.TECHNICIAN, "HORMON")
    await expect(errors.NOT_YOUR_LABORATORY, typed(lab, placed.number, "ESR", "15", by="hormoncu"))
    result = await typed(lab, placed.number, "ESR", "15")
    async with lab.work(await steps.user(lab, "teknisyen")) as work:
        await approve_technically(work, [result])
    await expect(errors.BAD_RESULT_MOVE, typed(lab, placed.number, "ESR", "16", "düzeltme"))
    await steps.tube_moves(lab, f"{placed.number}01", TubeState.REJECTED, reason="hemolizli")
    await expect(errors.BAD_RESULT_MOVE, typed(lab, placed.number, "GLU", "92"))


async def test_a_double_click_is_one_result(lab: Database) -> None:
    placed = await steps.order(lab, ["ESR"])
    outcomes = await asyncio.gather(*(typed(lab, placed.number, "ESR", "15") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    async with lab.reading() as session:
        assert (await session.execute(text("select count(*) from tetkik_sonuc"))).scalar_one() == 1
