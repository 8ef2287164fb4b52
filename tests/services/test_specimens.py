"""Tubes: one scan says everything; who, when, where and why stays."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.states import TestState, TubeState
from lis_core.services.orders import add_tests
from lis_core.services.specimens import add_aliquot, find_scanned, move_tube
from lis_core.storage.database import Database
from lis_core.storage.tables import CustodyEvent, OrderedTest, Tube, User
from lis_core.views.missing import missing_tubes
from lis_core.views.seeing import Sight
from tests.services import steps


async def refused(lab: Database, barcode: str, to: TubeState, reason: str | None = None) -> NumuneError:
    with pytest.raises(NumuneError) as refusal:
        await steps.tube_moves(lab, barcode, to, reason=reason)
    return refusal.value


@pytest.mark.clause("9.2.6a")
@pytest.mark.clause("9.4.2")
async def test_one_scan_accepts_exactly_that_tube(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "CBC"], by="ailehekimi", number="1001")
    await steps.tube_moves(lab, "100102", TubeState.RECEIVED)
    async with lab.reading() as session:
        tubes = {tube.barcode: tube for tube in (await session.scalars(select(Tube))).unique()}
    assert tubes["100102"].state is TubeState.RECEIVED
    assert tubes["100102"].tube_type.caption == "Hemogram"
    assert tubes["100101"].state is TubeState.EXPECTED
    states = await steps.states(lab, placed.number)
    assert states["WBC"] is TestState.ACCEPTED
    assert states["GLU"] is TestState.ORDERED


@pytest.mark.clause("9.2.6b")
async def test_the_lost_haemogram_tube_is_on_record(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "CBC"], by="ailehekimi", number="1001")
    await steps.tube_moves(lab, "100101", TubeState.RECEIVED)
    async with lab.reading() as session:
        reception = Sight(await steps.user(lab, "kabul"))
        missing = await missing_tubes(session, reception, datetime.now(UTC) - timedelta(hours=1))
    assert [(tube.number, tube.barcode, tube.caption, tube.siblings) for tube in missing] == [
        ("1001", "100102", "Hemogram", 1)
    ]
    states = await steps.states(lab, placed.number)
    assert (states["GLU"], states["HGB"]) == (TestState.ACCEPTED, TestState.ORDERED)


@pytest.mark.clause("9.4.1b")
async def test_who_moved_a_tube_when_and_why_stays(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"])
    barcode = placed.specimens[0].barcode
    await steps.tube_moves(lab, barcode, TubeState.COLLECTED, by="hekim")
    await steps.tube_moves(lab, barcode, TubeState.DISPATCHED, by="hekim")
    await steps.tube_moves(lab, barcode, TubeState.RECEIVED, by="kabul", position="R1/05")
    await steps.tube_moves(lab, barcode, TubeState.REJECTED, by="teknisyen", reason="pıhtılı")
    async with lab.reading() as session:
        rows = (
            await session.execute(
                select(CustodyEvent.action, User.username, CustodyEvent.position, CustodyEvent.reason)
                .join(User, User.id == CustodyEvent.user_id)
                .order_by(CustodyEvent.id)
            )
        ).all()
        tube = (await session.scalars(select(Tube))).unique().one()
    assert [tuple(row) for row in rows] == [
        ("alindi", "hekim", None, None),
        ("yolda", "hekim", None, None),
        ("kabul", "kabul", "R1/05", None),
        ("ret", "teknisyen", None, "pıhtılı"),
    ]
    assert tube.collected_at is not None
    assert tube.received_at is not None
    assert tube.reject_reason == "pıhtılı"
    entries = await steps.audit_of(lab, "tetkik_numune", tube.id)
    assert [(entry.before, entry.actor) for entry in entries][-1] == ({"numune_durumu": "kabul"}, "teknisyen")
    assert await steps.chain_problems(lab) == []


async def test_a_second_scan_is_harmless_and_says_who_was_first(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"])
    barcode = placed.specimens[0].barcode
    await steps.tube_moves(lab, barcode, TubeState.RECEIVED)
    async with lab.work(await steps.user(lab, "teknisyen")) as work:
        tube = await move_tube(work, barcode, TubeState.RECEIVED)
    reception = await steps.user(lab, "kabul")
    assert tube.repeats is not None
    assert tube.repeats.user_id == reception.user_id
    assert tube.repeats.at == tube.received_at
    async with lab.reading() as session:
        assert len((await session.scalars(select(CustodyEvent))).all()) == 1


async def test_two_desks_scan_one_tube_at_once_and_one_event_is_stored(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "CBC"])
    barcode = placed.specimens[0].barcode
    await asyncio.gather(*(steps.tube_moves(lab, barcode, TubeState.RECEIVED) for _ in range(5)))
    async with lab.reading() as session:
        assert len((await session.scalars(select(CustodyEvent))).all()) == 1


async def test_a_second_scan_does_not_lift_a_reservation(lab: Database) -> None:
    placed = await steps.order(lab, ["K"])
    barcode = placed.specimens[0].barcode
    await steps.tube_moves(lab, barcode, TubeState.CONDITIONAL, reason="Dr. Özışık ile görüşüldü: hemolizli çalışılsın")
    async with lab.work(await steps.user(lab, "kabul")) as work:
        tube = await move_tube(work, barcode, TubeState.RECEIVED)
    assert tube.state is TubeState.CONDITIONAL
    assert tube.repeats is not None
    async with lab.work(await steps.user(lab, "kabul")) as work:
        tube = await move_tube(work, barcode, TubeState.RECEIVED, reason="yeni bakıda hemoliz yok")
    assert tube.state is TubeState.RECEIVED


async def test_reasons_are_asked_where_they_belong(lab: Database) -> None:
    barcode = (await steps.order(lab, ["K"])).specimens[0].barcode
    for to in (TubeState.REJECTED, TubeState.CONDITIONAL):
        assert (await refused(lab, barcode, to, reason="  ")).kind is errors.REASON_NEEDED


async def test_a_rejected_tube_never_comes_back(lab: Database) -> None:
    placed = await steps.order(lab, ["K", "CBC"])
    barcode = placed.specimens[0].barcode
    await steps.tube_moves(lab, barcode, TubeState.REJECTED, reason="hemolizli")
    refusal = await refused(lab, barcode, TubeState.RECEIVED)
    assert refusal.kind is errors.BAD_TUBE_MOVE
    assert refusal.message == f"Tüp {barcode} reddedildi durumunda; kabul yapılamaz."
    states = await steps.states(lab, placed.number)
    assert (states["K"], states["HGB"]) == (TestState.REJECTED, TestState.ORDERED)


async def test_a_running_test_is_not_taken_back_by_a_late_scan(lab: Database) -> None:
    """The analyser asked for the tube before anybody scanned it at the desk."""
    placed = await steps.order(lab, ["GLU", "UREA"])
    async with lab.work(await steps.user(lab, "teknisyen")) as work:
        row = await work.session.get_one(
            OrderedTest, (await steps.ordered_test(lab, placed.number, "GLU")).id, with_for_update={"of": OrderedTest}
        )
        row.state = TestState.RUNNING
        row.version += 1
    await steps.tube_moves(lab, placed.specimens[0].barcode, TubeState.RECEIVED)
    assert await steps.states(lab, placed.number) == {"GLU": TestState.RUNNING, "UREA": TestState.ACCEPTED}


async def test_the_order_number_stands_for_its_only_tube(lab: Database) -> None:
    one = await steps.order(lab, ["GLU"])
    await steps.tube_moves(lab, one.number, TubeState.RECEIVED)
    assert await steps.states(lab, one.number) == {"GLU": TestState.ACCEPTED}
    two = await steps.order(lab, ["GLU", "CBC"])
    refusal = await refused(lab, two.number, TubeState.RECEIVED)
    assert refusal.kind is errors.NUMBER_IS_NOT_A_TUBE
    assert f"{two.number}01 Biyokimya" in refusal.message


@pytest.mark.parametrize("scanned", [" {}\r\n", "]C0{}", "\x02{}\x03"])
async def test_what_the_scanner_adds_does_no_harm(lab: Database, scanned: str) -> None:
    placed = await steps.order(lab, ["GLU"])
    barcode = placed.specimens[0].barcode
    async with lab.reading() as session:
        found = await find_scanned(session, scanned.format(barcode))
    assert found is not None
    assert found.text == barcode


async def test_an_unknown_barcode_is_said_so(lab: Database) -> None:
    assert (await refused(lab, "424242", TubeState.RECEIVED)).kind is errors.UNKNOWN_BARCODE


async def test_an_aliquot_belongs_to_the_same_order(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "TSH"])
    barcode = placed.specimens[0].barcode
    await steps.tube_moves(lab, barcode, TubeState.RECEIVED)
    technician = await steps.user(lab, "teknisyen")
    async with lab.work(technician) as work:
        first = await add_aliquot(work, barcode, "03")
        second = await add_aliquot(work, barcode, "01")
    assert [first.barcode, second.barcode] == [f"{barcode}01", f"{barcode}02"]
    assert (first.material, first.state) == ("SER", TubeState.RECEIVED)
    async with lab.reading() as session:
        found = await find_scanned(session, second.barcode)
    assert found is not None
    assert found.order_id == placed.order_id
    with pytest.raises(NumuneError) as refusal:  # serum never becomes EDTA blood
        async with lab.work(technician) as work:
            await add_aliquot(work, barcode, "02")
    assert refusal.value.kind is errors.INVALID_INPUT


async def test_a_redrawn_tube_does_not_take_an_aliquots_number(lab: Database) -> None:
    placed = await steps.order(lab, ["K"])
    barcode = placed.specimens[0].barcode
    technician = await steps.user(lab, "teknisyen")
    async with lab.work(technician) as work:
        aliquot = await add_aliquot(work, barcode, "01")
    await steps.tube_moves(lab, barcode, TubeState.REJECTED, reason="hemolizli")
    async with lab.work(technician) as work:
        again = await add_tests(work, placed.number, ["K"])
    assert aliquot.barcode == f"{barcode}01"
    assert [s.barcode for s in again.specimens if s.new] == [f"{barcode}02"]


async def test_custody_cannot_be_rewritten(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU"])
    await steps.tube_moves(lab, placed.specimens[0].barcode, TubeState.RECEIVED)
    for statement in (
        "update numune_hareket set islem_zamani = now() - interval '1 day'",
        "delete from numune_hareket",
        "truncate numune_hareket cascade",
    ):
        with pytest.raises(DBAPIError):
            async with lab.reading() as session:
                await session.execute(text(statement))
