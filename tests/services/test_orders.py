"""Orders: one number, the tubes it needs, nothing twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.states import Priority, TestState, TubeState
from lis_core.services.orders import OrderRequest, PlacedOrder, add_tests, cancel_tests, place_order
from lis_core.services.specimens import find_scanned
from lis_core.storage.database import Database
from lis_core.storage.tables import Order, Patient, Scannable, Test, Tube, User
from tests.services import steps

WHOLE_STORY = ["GLU", "CBC", "TSH", "TIT"]


async def refused(lab: Database, request: OrderRequest, by: str = "hekim") -> NumuneError:
    with pytest.raises(NumuneError) as refusal:
        async with lab.work(await steps.user(lab, by)) as work:
            await place_order(work, request)
    return refusal.value


@pytest.mark.clause("9.2.2a")
async def test_one_number_holds_biochemistry_haemogram_hormone_and_urine(lab: Database) -> None:
    placed = await steps.order(lab, WHOLE_STORY, by="ailehekimi", number="1001")

    assert placed.number == "1001"
    assert [(s.barcode, s.caption) for s in placed.specimens] == [
        ("100101", "Biyokimya"),
        ("100102", "Hemogram"),
        ("100103", "Hormon-ELISA"),
        ("100104", "TİT"),
    ]
    assert placed.warnings == []  # her own range
    assert placed.specimens[0].tests == ["GLU"]
    assert "WBC" in placed.specimens[1].tests
    assert set((await steps.states(lab, "1001")).values()) == {TestState.ORDERED}


async def test_the_system_knows_how_many_tubes_are_needed(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "CHOL", "CBC", "TIT"])
    assert [s.caption for s in placed.specimens] == ["Biyokimya", "Hemogram", "TİT"]


@pytest.mark.clause("INTRO.26")
async def test_four_analysers_one_number(lab: Database) -> None:
    """No analyser has a number, prefix or label of its own: every text of the order begins with its number."""
    placed = await steps.order(lab, ["ESR", "CBC", "GLU", "TSH"])
    async with lab.reading() as session:
        texts = set(await session.scalars(select(Scannable.text).where(Scannable.order_id == placed.order_id)))
        orders = await session.scalar(
            select(func.count()).select_from(Order).where(Order.id == placed.order_id, Order.number == placed.number)
        )
    assert orders == 1
    assert {text[: len(placed.number)] for text in texts} == {placed.number}


@pytest.mark.clause("9.2.1f")
async def test_unused_labels_of_a_set_leave_nothing_open(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"], by="ailehekimi", number="1002")
    assert [s.barcode for s in placed.specimens] == ["100201"]
    async with lab.reading() as session:
        assert await find_scanned(session, "100202") is None


async def test_a_panel_and_its_member_are_ordered_once(lab: Database) -> None:
    placed = await steps.order(lab, ["HGB", "CBC", "HGB"])
    codes = [code for specimen in placed.specimens for code in specimen.tests]
    assert sorted(codes) == sorted(set(codes))
    assert len(codes) == 26


async def test_system_numbers_follow_each_other_and_hold_the_year(lab: Database) -> None:
    first = await steps.order(lab, ["GLU"])
    second = await steps.order(lab, ["GLU"])
    assert len(first.number) == 8
    assert int(second.number) > int(first.number)
    assert {s.barcode for s in second.specimens} == {f"{second.number}01"}


async def test_a_system_number_that_was_printed_before_is_passed_over(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"])
    printed = str(int(placed.number) + 1)
    await steps.order(lab, ["GLU"], number=printed)
    assert (await steps.order(lab, ["GLU"])).number == str(int(printed) + 1)


async def test_many_desks_order_at_once_and_no_number_comes_twice(lab: Database) -> None:
    placed = await asyncio.gather(*(steps.order(lab, ["GLU", "CBC"]) for _ in range(8)))
    assert len({p.number for p in placed}) == 8
    assert len({s.barcode for p in placed for s in p.specimens}) == 16


@pytest.mark.clause("9.2.4a")
async def test_a_number_needs_no_physician_and_no_institution_code(lab: Database) -> None:
    by_a = await steps.order(lab, ["GLU"], by="ailehekimi", number="1003")
    by_b = await steps.order(lab, ["GLU"], number="1004")
    assert [by_a.specimens[0].barcode, by_b.specimens[0].barcode] == ["100301", "100401"]


@pytest.mark.clause("9.2.4b")
@pytest.mark.clause("9.1.2a")
async def test_who_ordered_and_when_stays_with_the_order(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"], by="ailehekimi", number="1005")
    async with lab.reading() as session:
        order = await session.get_one(Order, placed.order_id)
        doctor = await session.scalar(select(User).where(User.username == "ailehekimi"))
    assert doctor is not None
    assert order.ordered_by_id == doctor.id
    assert order.physician_id == doctor.physician_id
    assert order.unit_id is not None
    (entry,) = await steps.audit_of(lab, "tetkik_istem", placed.order_id)
    assert (entry.actor, entry.address, entry.before) == ("ailehekimi", "127.0.0.1", None)
    assert entry.after is not None
    assert entry.after["numune_numarasi"] == "1005"
    assert entry.after["tetkikler"] == ["GLU"]


@pytest.mark.clause("9.2.5b")
async def test_somebody_elses_number_is_taken_with_a_warning(lab: Database) -> None:
    """2001-2999 went to another family physician."""
    placed = await steps.order(lab, ["GLU"], by="ailehekimi", number="2150")
    assert placed.warnings == ["2150 numarası Dr. Şükrü Ünal için ayrılmış (2001-2999)."]


async def test_a_number_that_nobody_was_given_is_taken_with_a_warning(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"], by="ailehekimi", number="7777")
    assert placed.warnings == ["7777 numarası dağıtılan barkod aralıklarında yok."]


async def test_a_tube_label_read_as_the_order_number_is_refused(lab: Database) -> None:
    """The physician scanned the Hemogram label of set 1006 where the number 1006 is wanted."""
    refusal = await refused(lab, OrderRequest(patient=steps.person(), tests=["CBC"], number="100602"), "ailehekimi")
    assert refusal.kind is errors.BAD_NUMBER
    assert "1006" in refusal.message


async def test_one_number_never_means_two_patients(lab: Database) -> None:
    await steps.order(lab, ["GLU"], number="1010")
    refusal = await refused(lab, OrderRequest(patient=steps.person(), tests=["GLU"], number="1010"))
    assert refusal.kind is errors.NUMBER_TAKEN


async def test_a_number_that_reads_like_a_known_tube_is_refused(lab: Database) -> None:
    """500101 is the Biyokimya tube of order 5001; it cannot be the number of another order as well."""
    await steps.order(lab, ["GLU"], number="5001")
    refusal = await refused(lab, OrderRequest(patient=steps.person(), tests=["GLU"], number="500101"))
    assert refusal.kind is errors.NUMBER_TAKEN


async def test_a_tube_that_reads_like_a_known_number_is_refused(lab: Database) -> None:
    await steps.order(lab, ["GLU"], number="600101")
    refusal = await refused(lab, OrderRequest(patient=steps.person(), tests=["GLU"], number="6001"))
    assert refusal.kind is errors.NUMBER_TAKEN
    async with lab.reading() as session:  # nothing of the refused order is left
        assert await session.scalar(select(Order.id).where(Order.number == "6001")) is None


async def test_two_desks_take_one_printed_number_at_once_and_one_gets_it(lab: Database) -> None:
    outcomes = await asyncio.gather(
        *(steps.order(lab, ["GLU"], number="1011") for _ in range(4)), return_exceptions=True
    )
    refusals = [outcome for outcome in outcomes if isinstance(outcome, NumuneError)]
    assert len(refusals) == 3
    assert {refusal.kind for refusal in refusals} == {errors.NUMBER_TAKEN}
    assert sum(isinstance(outcome, PlacedOrder) for outcome in outcomes) == 1


async def test_even_raw_sql_cannot_give_one_text_to_two_orders(lab: Database) -> None:
    one = await steps.order(lab, ["GLU"])
    other = await steps.order(lab, ["GLU"])
    with pytest.raises(IntegrityError):
        async with lab.reading() as session:
            await session.execute(
                text("insert into barkod_kayit (barkod, tetkik_istem_kodu) values (:text, :order)"),
                {"text": one.specimens[0].barcode, "order": other.order_id},
            )


async def test_what_is_wrong_with_an_order_is_said_before_anything_is_stored(lab: Database) -> None:
    person = steps.person()
    good = OrderRequest(patient=person, tests=["GLU"])
    cases = {
        errors.NO_TESTS: replace(good, tests=[" "]),
        errors.UNKNOWN_TEST: replace(good, tests=["GLU", "YOK1", "YOK2"]),
        errors.UNKNOWN_PHYSICIAN: replace(good, physician="H-999"),
        errors.UNKNOWN_UNIT: replace(good, unit="YOK"),
        errors.BAD_NUMBER: replace(good, number="10A1"),
        errors.BAD_TC: replace(good, patient=replace(person, tc="12345678901")),
    }
    for kind, request in cases.items():
        assert (await refused(lab, request)).kind is kind
    assert (await refused(lab, cases[errors.UNKNOWN_TEST])).details["codes"] == "YOK1, YOK2"
    async with lab.reading() as session:
        assert await session.scalar(select(Patient.id).where(Patient.tc == person.tc)) is None


async def test_a_test_that_cannot_run_now_is_refused_with_its_reason(lab: Database) -> None:
    async with lab.work(await steps.user(lab, "yonetici")) as work:
        await work.session.execute(update(Test).where(Test.code == "TSH").values(passive_reason="kit bitti"))
    refusal = await refused(lab, OrderRequest(patient=steps.person(), tests=["GLU", "TSH"]))
    assert refusal.kind is errors.TEST_PASSIVE
    assert refusal.message == "TSH şu anda çalışılamıyor: kit bitti."
    placed = await steps.order(lab, ["TIROID"])  # of a panel it is left out, and said so
    assert [code for s in placed.specimens for code in s.tests] == ["FT4", "FT3"]
    assert placed.warnings == ["TSH şu anda çalışılamıyor, TIROID panelinden çıkarıldı (kit bitti)."]


async def test_the_hospitals_order_comes_once(lab: Database) -> None:
    first = await steps.order(lab, ["GLU"], hospital_number="H-77", source="hbys")
    refusal = await refused(lab, OrderRequest(patient=steps.person(), tests=["GLU"], hospital_number="H-77"))
    assert refusal.kind is errors.HOSPITAL_NUMBER_TAKEN
    assert refusal.details["number"] == first.number


async def test_an_order_says_what_ranges_will_miss(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"], patient=steps.person(sex=None, birth_date=None))
    assert placed.warnings == [
        "Hastanın doğum tarihi ve cinsiyeti bilinmiyor; buna bağlı referans aralıkları kullanılamaz."
    ]


async def test_urgent_and_clinical_facts_are_kept(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"], priority=Priority.URGENT, clinical={"gebe": True, "not": "halsizlik"})
    async with lab.reading() as session:
        order = await session.get_one(Order, placed.order_id)
    assert order.priority is Priority.URGENT
    assert order.clinical == {"gebe": True, "not": "halsizlik"}


async def test_added_tests_use_the_tubes_that_are_there(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"])
    await steps.accepted(lab, placed)
    async with lab.work(await steps.user(lab, "hekim")) as work:
        more = await add_tests(work, placed.number, ["UREA", "TSH", "GLU"])
    assert [(s.barcode, s.new, s.tests) for s in more.specimens] == [
        (f"{placed.number}01", False, ["GLU", "UREA"]),
        (f"{placed.number}03", True, ["TSH"]),
    ]
    assert more.warnings == ["Zaten bu istemde: GLU."]
    assert await steps.states(lab, placed.number) == {
        "GLU": TestState.ACCEPTED,
        "UREA": TestState.ACCEPTED,
        "TSH": TestState.ORDERED,
    }


async def test_a_rejected_test_is_wanted_again_from_a_new_tube(lab: Database) -> None:
    placed = await steps.order(lab, ["K", "CBC"])
    await steps.tube_moves(lab, f"{placed.number}01", TubeState.REJECTED, reason="hemolizli")
    async with lab.work(await steps.user(lab, "hekim")) as work:
        again = await add_tests(work, placed.number, ["K"])
    new = next(s for s in again.specimens if s.new)
    assert (new.barcode, new.tests) == (f"{placed.number}0101", ["K"])
    assert (await steps.states(lab, placed.number))["K"] is TestState.ORDERED


async def test_cancelled_tests_stay_cancelled(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "CBC"])
    doctor = await steps.user(lab, "hekim")
    async with lab.work(doctor) as work:
        assert len(await cancel_tests(work, placed.number, ["CBC"], "yanlış istem")) == 26
    async with lab.work(doctor) as work:
        assert await cancel_tests(work, placed.number, ["CBC"], "yine") == []  # nothing left to cancel
    with pytest.raises(NumuneError) as refusal:
        async with lab.work(doctor) as work:
            await add_tests(work, placed.number, ["HGB"])
    assert refusal.value.kind is errors.TEST_CANCELLED
    async with lab.work(doctor) as work:
        assert await cancel_tests(work, placed.number, None, "hasta vazgeçti") == ["GLU"]
    with pytest.raises(NumuneError) as refusal:
        async with lab.work(doctor) as work:
            await add_tests(work, placed.number, ["UREA"])
    assert refusal.value.kind is errors.ORDER_CLOSED
    entries = await steps.audit_of(lab, "tetkik_istem", placed.order_id)
    assert [entry.action for entry in entries] == ["kaydet", "tetkik_iptal", "tetkik_iptal"]
    assert entries[-1].before == {"GLU": "istendi"}
    assert entries[-1].after == {"GLU": "iptal", "gerekce": "hasta vazgeçti"}


async def test_a_test_with_a_result_is_not_cancelled_by_the_ward(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "UREA"])
    await steps.result(lab, placed.number, "GLU", "92")
    doctor = await steps.user(lab, "hekim")
    for codes in (["GLU"], None):
        with pytest.raises(NumuneError) as refusal:
            async with lab.work(doctor) as work:
                await cancel_tests(work, placed.number, codes, "vazgeçildi")
        assert refusal.value.kind is errors.ORDER_HAS_RESULTS
    assert (await steps.states(lab, placed.number))["UREA"] is TestState.ORDERED
    with pytest.raises(NumuneError) as refusal:
        async with lab.work(doctor) as work:
            await cancel_tests(work, placed.number, ["UREA"], "  ")
    assert refusal.value.kind is errors.REASON_NEEDED


async def test_the_order_date_may_be_the_hospitals(lab: Database) -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    placed = await steps.order(lab, ["GLU"], ordered_at=at)
    async with lab.reading() as session:
        assert (await session.get_one(Order, placed.order_id)).ordered_at == at


async def test_every_order_is_in_an_unbroken_audit(lab: Database) -> None:
    placed = await steps.order(lab, WHOLE_STORY, patient=steps.person(birth_date=date(2020, 2, 29)))
    await steps.accepted(lab, placed)
    assert await steps.chain_problems(lab) == []
    async with lab.reading() as session:
        tubes = await session.scalar(select(func.count()).select_from(Tube).where(Tube.order_id == placed.order_id))
    assert tubes == 4
