"""Results to the hospital: only released ones, in order, until taken, taken once, corrected when withdrawn."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text

from drivers.links.networks import Networks
from hbys_bridge.app import Bridge
from hbys_bridge.settings import HospitalSettings
from lis_core.domain.states import TestState
from lis_core.jobs import OutboxWorker
from lis_core.services.approvals import request_repeat
from lis_core.services.orders import OrderRequest, add_tests, place_order
from lis_core.storage.database import Database
from lis_core.storage.tables import Notice
from simulators.astm_session import Timing
from simulators.cable import TcpServer, tcp_client
from simulators.hospital import Hospital, PlacedOrder
from tests.bridge import kit
from tests.bridge.conftest import StartBridge
from tests.bridge.kit import MllpClient, order_message, person
from tests.services import steps


async def number_of(lab: Database, order: PlacedOrder) -> str:
    placed = await kit.order_of(lab, order.number)
    assert placed is not None
    return placed.number


def said(hospital: Hospital) -> list[tuple[str, str, str]]:
    """(test, value, status) of everything that the hospital has taken, in order."""
    return [(result.test, result.value, result.status) for result in hospital.results]


async def test_a_released_result_reaches_the_hospital(lab: Database, bridge: Bridge, hospital: Hospital) -> None:
    """Before clinical approval it is not readable there, right after it it is."""
    who = person()
    order = await hospital.places(who, "GLU", "K")
    number = await number_of(lab, order)
    results = await kit.measured(lab, number, {"GLU": "112", "K": "2.4"})
    assert await kit.post(lab, bridge) == 0
    await kit.technically_approved(lab, results)
    assert await kit.post(lab, bridge) == 0
    assert hospital.received == []

    await kit.clinically_approved(lab, results)
    assert await kit.post(lab, bridge) == 1

    glucose, potassium = sorted(await hospital.results_for(order, 2), key=lambda result: result.test)
    assert (glucose.test, glucose.value, glucose.unit, glucose.status) == ("GLU", "112", "mg/dL", "F")
    assert glucose.flags == ("H",)
    assert glucose.range
    assert (potassium.value, potassium.flags) == ("2.4", ("LL",))  # critical, on the low side
    assert {glucose.step, potassium.step} == set(order.steps.values())
    assert glucose.filler == number
    assert glucose.patient == (who.number, who.tc)


async def test_the_message_holds_what_a_hospital_needs(lab: Database, bridge: Bridge, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "HBSAG", physician="DR. BİRİ")
    number = await number_of(lab, order)
    await kit.released(lab, number, {"GLU": "<0.5", "HBSAG": "Negatif"})
    await kit.post(lab, bridge)

    [report] = hospital.received
    names = [segment.name for segment in report]
    assert names == ["MSH", "PID", "ORC", "OBR", "OBX", "SPM", "ORC", "OBR", "OBX", "SPM"]
    header = report.first("MSH")
    assert [header.field(n) for n in (3, 4, 5, 6, 9, 11, 12, 18)] == [
        "NUMUNE",
        "LAB",
        "HBYS",
        "HASTANE",
        "ORU^R01^ORU_R01",
        "P",
        "2.5.1",
        "UNICODE UTF-8",
    ]
    orc, obr, obx = report.first("ORC"), report.first("OBR"), report.first("OBX")
    assert (orc.field(1), orc.field(3), orc.field(4), orc.field(5)) == ("RE", f"{number}^NUMUNE", order.number, "CM")
    assert "DR. BİRİ" in orc.field(12)  # the hospital's own words come back
    assert (obr.get(4), obr.field(25)) == ("GLU", "F")
    assert obx.field(3) == "GLU^Glukoz^L^2345-7^Glukoz^LN"
    assert (obx.field(2), obx.get(5)) == ("ST", "<0.5")  # a text: 0.5 it is not
    assert obx.field(6) == "mg/dL^mg/dL^UCUM"
    assert obx.field(11) == "F"
    assert obx.field(14)
    assert obx.field(16) == "uzman^Çınar^Ufuk"
    assert report.first("SPM").get(2) == f"{number}01"


async def test_a_panel_comes_back_as_it_was_asked(lab: Database, bridge: Bridge, hospital: Hospital) -> None:
    """One OBR for the panel; until all of it is released it says so."""
    order = await hospital.places(person(), "CBC")
    number = await number_of(lab, order)
    await kit.released(lab, number, {"WBC": "6.5", "HGB": "13.1"})
    await kit.post(lab, bridge)

    [report] = hospital.received
    assert [segment.get(4) for segment in report if segment.name == "OBR"] == ["CBC"]
    assert report.first("OBR").field(25) == "A"
    assert report.first("ORC").field(5) == "IP"
    assert {test for test, _, _ in said(hospital)} == {"WBC", "HGB"}
    assert {result.step for result in hospital.results} == {order.steps["CBC"]}


@pytest.mark.clause("9.7.8c")
async def test_nothing_that_is_not_released_leaves(lab: Database, bridge: Bridge, hospital: Hospital) -> None:
    """Whoever puts an entry into the outbox, and whatever state the test is in: its value stays here."""
    for state in TestState:
        if state is TestState.CLINICALLY_APPROVED:
            continue
        order = await hospital.places(person(), "GLU")
        number = await number_of(lab, order)
        results = await kit.measured(lab, number, {"GLU": "987654"})
        ids = await kit.ordered_test_ids(lab, number)
        if state is TestState.TECHNICALLY_APPROVED:
            await kit.technically_approved(lab, results)
        async with lab.work(await steps.user(lab, "yonetici")) as work:
            if state is not TestState.TECHNICALLY_APPROVED:
                await work.session.execute(
                    text("update istem_tetkik set tetkik_durumu = :state where istem_tetkik_kodu = :id"),
                    {"state": state.value, "id": ids["GLU"]},
                )
            placed = await kit.order_of(lab, order.number)
            assert placed is not None
            work.later("hbys.sonuc", {"order_id": placed.id, "ordered_test_ids": list(ids.values())}, number)
        assert await kit.post(lab, bridge) == 1, state
    assert await kit.waiting(lab) == 0
    await asyncio.sleep(0.05)
    assert hospital.received == []
    assert all(b"987654" not in row.content for row in await kit.sent(lab))


async def test_only_the_orders_of_the_hospital_go_to_it(lab: Database, bridge: Bridge, hospital: Hospital) -> None:
    """An order given at a screen, though it bears a number of the hospital, is answered at the screen."""
    await hospital.places(person(), "GLU")
    async with lab.work(await steps.user(lab, "hekim")) as work:
        placed = await place_order(
            work, OrderRequest(patient=steps.person(), tests=["GLU"], hospital_number="EKRANDAN-1")
        )
    await kit.released(lab, placed.number, {"GLU": "98"})
    assert await kit.post(lab, bridge) == 1
    assert hospital.received == []
    assert await kit.waiting(lab) == 0


# -- corrections


async def test_a_withdrawn_approval_takes_the_value_back(lab: Database, bridge: Bridge, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "K")
    number = await number_of(lab, order)
    results = await kit.released(lab, number, {"GLU": "112", "K": "4.1"})
    await kit.post(lab, bridge)
    await kit.withdrawn(lab, results["GLU"])
    await kit.post(lab, bridge)

    report = hospital.received[-1]
    obx = report.first("OBX")
    assert (obx.get(3), obx.field(5), obx.field(11)) == ("GLU", "", "D")
    assert "geçersizdir" in report.first("NTE").get(3)
    assert report.first("OBR").field(25) == "I"
    assert "112" not in "".join(segment.line for segment in report if segment.name in ("OBX", "NTE"))
    assert [test for test, _, status in said(hospital) if status == "D"] == ["GLU"]

    await kit.clinically_approved(lab, {"GLU": results["GLU"]})
    await kit.post(lab, bridge)
    assert said(hospital)[-1] == ("GLU", "112", "C")
    assert hospital.received[-1].first("OBR").field(25) == "C"


@pytest.mark.parametrize("away_meanwhile", [False, True])
async def test_a_new_run_after_a_withdrawal_is_a_correction(
    lab: Database, bridge: Bridge, hospital: Hospital, away_meanwhile: bool
) -> None:
    order = await hospital.places(person(), "GLU")
    number = await number_of(lab, order)
    first = await kit.released(lab, number, {"GLU": "112"})
    await kit.post(lab, bridge)
    await kit.withdrawn(lab, first["GLU"])
    if not away_meanwhile:
        await kit.post(lab, bridge)
    async with lab.work(await steps.user(lab, "uzman")) as work:
        await request_repeat(work, first["GLU"], "yeniden çalışılsın")
    second = {"GLU": await steps.result(lab, number, "GLU", "94")}
    await kit.technically_approved(lab, second)
    await kit.clinically_approved(lab, second)
    await kit.post(lab, bridge)

    taken_back = [] if away_meanwhile else [("GLU", "", "D")]
    assert said(hospital) == [("GLU", "112", "F"), *taken_back, ("GLU", "94", "C")]


async def test_what_was_withdrawn_before_it_was_sent_is_never_shown(
    lab: Database, bridge: Bridge, hospital: Hospital
) -> None:
    """Approved and withdrawn while the hospital was away: it hears of neither."""
    order = await hospital.places(person(), "GLU")
    number = await number_of(lab, order)
    results = await kit.released(lab, number, {"GLU": "112"})
    await kit.withdrawn(lab, results["GLU"])
    assert await kit.waiting(lab) == 2
    await kit.post(lab, bridge)
    assert hospital.received == []
    assert await kit.waiting(lab) == 0

    await kit.clinically_approved(lab, results)
    await kit.post(lab, bridge)
    assert said(hospital) == [("GLU", "112", "F")]


# -- delivery


@pytest.fixture
async def away(lab: Database, start: StartBridge, listener: TcpServer) -> AsyncIterator[tuple[Bridge, Hospital]]:
    """A bridge that calls the hospital for results, and the hospital."""
    bridge = await start(results=f"127.0.0.1:{listener.port}", notice_after=2)
    hospital = Hospital(tcp_client("127.0.0.1", bridge.port), listen=listener, timing=Timing.hurried())
    async with hospital:
        yield bridge, hospital


async def test_results_go_to_the_hospitals_own_listener(lab: Database, away: tuple[Bridge, Hospital]) -> None:
    bridge, hospital = away
    order = await hospital.places(person(), "GLU")
    await kit.released(lab, await number_of(lab, order), {"GLU": "112"})
    await kit.post(lab, bridge)
    assert said(hospital) == [("GLU", "112", "F")]
    [row] = await kit.sent(lab)
    assert (row.outcome, bytes(row.content)) == ("AA", hospital.received[0].raw)
    assert row.answer is not None


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("trouble", ["stays_silent", "hangs_up"])
async def test_an_answer_that_never_came_costs_nothing(
    lab: Database, away: tuple[Bridge, Hospital], trouble: str, kept: bool
) -> None:
    """Whether the hospital had taken the message or not: it is said again in the same words, and counted once."""
    bridge, hospital = away
    order = await hospital.places(person(), "GLU")
    getattr(hospital, trouble)(2, kept=kept)
    await kit.released(lab, await number_of(lab, order), {"GLU": "112"})
    for _ in range(3):
        await kit.post(lab, bridge)
        await kit.pauses_pass(lab)
    await hospital.results_for(order)

    assert len(hospital.received) == 3
    assert len({message.raw for message in hospital.received}) == 1
    assert said(hospital) == [("GLU", "112", "F")]
    assert [row.outcome for row in await kit.sent(lab)] == ["AA"]
    assert await kit.waiting(lab) == 0


async def test_a_refused_result_stays_is_shown_and_goes_later(lab: Database, away: tuple[Bridge, Hospital]) -> None:
    bridge, hospital = away
    order = await hospital.places(person(), "GLU")
    number = await number_of(lab, order)
    hospital.answers_ae(3)
    await kit.released(lab, number, {"GLU": "112"})
    for _ in range(3):
        assert await kit.post(lab, bridge) == 1
        await kit.pauses_pass(lab)

    assert await kit.waiting(lab) == 1
    [notice] = await kit.notices(lab)
    assert number in notice
    assert "hastane sistemi mesajı kaydedemedi" in notice
    async with lab.reading() as session:
        tried = (
            await session.execute(text("select deneme_sayisi, son_hata from giden_kutusu order by 1 desc"))
        ).first()
    assert tried is not None
    assert tried[0] == 3
    assert "kabul etmedi" in tried[1]

    await kit.post(lab, bridge)
    assert said(hospital) == [("GLU", "112", "F")]
    assert await kit.waiting(lab) == 0


async def test_one_order_waits_and_the_others_do_not(lab: Database, away: tuple[Bridge, Hospital]) -> None:
    """The order whose result is refused holds back its own later results, and nobody else's."""
    bridge, hospital = away
    stuck, other = await hospital.places(person(), "GLU", "K"), await hospital.places(person(), "GLU")
    numbers = [await number_of(lab, order) for order in (stuck, other)]
    hospital.answers_ar(1)
    await kit.released(lab, numbers[0], {"GLU": "101"})
    await kit.released(lab, numbers[0], {"K": "4.2"})
    await kit.released(lab, numbers[1], {"GLU": "102"})

    await kit.post(lab, bridge)
    await kit.pauses_pass(lab)
    await kit.post(lab, bridge)
    assert [message.first("OBX").get(5) for message in hospital.received] == ["101", "102", "101", "4.2"]
    assert [value for _, value, _ in said(hospital)] == ["102", "101", "4.2"]


async def test_while_the_hospital_is_away_everything_waits_in_order_and_then_comes_by_itself(
    lab: Database, start: StartBridge, listener: TcpServer
) -> None:
    """The real worker runs; nobody presses anything when the hospital is back."""
    bridge = await start(results=f"127.0.0.1:{listener.port}", notice_after=1)
    hospital = Hospital(tcp_client("127.0.0.1", bridge.port), timing=Timing.hurried())
    async with hospital:
        first = await hospital.places(person(), "GLU", "K", "NA")
    number = await number_of(lab, first)
    worker = asyncio.create_task(OutboxWorker(lab, bridge.handlers).run())
    try:
        for code, value in (("GLU", "101"), ("K", "4.2"), ("NA", "140")):
            await kit.released(lab, number, {code: value})
        async with asyncio.timeout(20):
            while not await kit.notices(lab):
                await asyncio.sleep(0.05)
        assert await kit.waiting(lab) == 3
        async with lab.work(await steps.user(lab, "yonetici")) as work:  # as after a long night
            await work.session.execute(text("update giden_kutusu set sonraki_deneme = now() + interval '1 hour'"))

        back = Hospital(
            tcp_client("127.0.0.1", bridge.port), listen=TcpServer(port=listener.port), timing=Timing.hurried()
        )
        async with back:
            async with asyncio.timeout(20):
                while len(back.results) < 3:
                    await asyncio.sleep(0.05)
            assert said(back) == [("GLU", "101", "F"), ("K", "4.2", "F"), ("NA", "140", "F")]
            async with asyncio.timeout(5):
                while await kit.waiting(lab):
                    await asyncio.sleep(0.05)
    finally:
        worker.cancel()
    assert len(await kit.notices(lab)) == 1  # one notice, however many results wait


async def test_results_wait_for_the_hospitals_own_connection(lab: Database, bridge: Bridge) -> None:
    who, later = person(), person()
    async with MllpClient(bridge.port) as line:
        placed = await line.ask(order_message(who, ["GLU"], number="KENDI-1"))
    await kit.released(lab, placed.first("ORC").get(3), {"GLU": "112"})
    await kit.post(lab, bridge)
    assert await kit.waiting(lab) == 1

    async with MllpClient(bridge.port) as stranger, MllpClient(bridge.port) as line:
        await stranger.ask(order_message(later, ["GLU"], number="KENDI-1", sender="HBYS|OVACIK"))
        await line.ask(order_message(later, ["GLU"], number="KENDI-2"))
        await kit.pauses_pass(lab)
        posting = asyncio.create_task(kit.post(lab, bridge))
        report = await line.read()
        assert report.kind == "ORU^R01"
        ack = f"MSH|^~\\&|HBYS|HASTANE|NUMUNE|LAB|2026||ACK^R01|A1|P|2.5.1\rMSA|AA|{report.control_id}\r"
        await line.write(b"\x0b" + ack.encode() + b"\x1c\r")
        assert await posting == 1
        with pytest.raises(TimeoutError):
            await stranger.read(within=0.1)  # another hospital hears nothing of it
    assert await kit.waiting(lab) == 0


async def test_a_hospital_is_spoken_for_from_its_own_address_alone(lab: Database, start: StartBridge) -> None:
    """Attack: a machine of the permitted network calls itself the hospital, to cancel its order and to hear its results."""
    own = HospitalSettings("HBYS|HASTANE", networks=Networks.of(["127.0.0.3"]))
    bridge, who = await start(hospitals={own.sender: own}), person()
    message = order_message(who, ["GLU"], number="SAHTE-1", control="AYNI-1")
    async with MllpClient(bridge.port) as thief, MllpClient(bridge.port, "127.0.0.3") as line:
        refused = await thief.ask(message)
        assert refused.code == "AR"
        assert "adına konuşamaz" in refused.first("ERR").get(8)
        placed = await line.ask(message)
        assert placed.code == "AA"  # the control id was still its own
        number = placed.first("ORC").get(3)
        assert (await thief.ask(order_message(who, ["GLU"], number="SAHTE-1", control_code="CA"))).code == "AR"
        assert await steps.states(lab, number) == {"GLU": TestState.ORDERED}
        await kit.released(lab, number, {"GLU": "112"})
        posting = asyncio.create_task(kit.post(lab, bridge))
        report = await line.read()
        ack = f"MSH|^~\\&|HBYS|HASTANE|NUMUNE|LAB|2026||ACK^R01|A1|P|2.5.1\rMSA|AA|{report.control_id}\r"
        await line.write(b"\x0b" + ack.encode() + b"\x1c\r")
        assert await posting == 1
        with pytest.raises(TimeoutError):
            await thief.read(within=0.1)
    async with lab.reading() as session:
        told = (await session.scalars(select(Notice.text))).all()
    assert any("127.0.0.1 adresi HBYS|HASTANE adına konuşamaz" in words for words in told)


async def test_an_entry_that_was_done_but_not_closed_sends_nothing_again(
    lab: Database, bridge: Bridge, hospital: Hospital
) -> None:
    """The hospital's AA is on record, the worker died before it closed the entry: nothing is left to say."""
    order = await hospital.places(person(), "GLU")
    await kit.released(lab, await number_of(lab, order), {"GLU": "112"})
    await kit.post(lab, bridge)
    async with lab.work(await steps.user(lab, "yonetici")) as work:
        await work.session.execute(text("update giden_kutusu set bitti_zamani = null where konu = 'hbys.sonuc'"))
    assert await kit.post(lab, bridge) == 1
    assert len(hospital.received) == 1


async def test_a_result_that_changes_while_its_answer_is_lost_is_said_under_a_new_number(
    lab: Database, away: tuple[Bridge, Hospital]
) -> None:
    """Taken, unanswered, then withdrawn and released anew before the repetition: a hospital that takes each message
    number once must not pass over the new value."""
    bridge, hospital = away
    order = await hospital.places(person(), "GLU", "K")
    number = await number_of(lab, order)
    hospital.stays_silent(1, kept=True)
    results = await kit.released(lab, number, {"GLU": "112", "K": "4.1"})
    await kit.post(lab, bridge)
    await kit.withdrawn(lab, results["GLU"])
    await kit.pauses_pass(lab)
    await kit.post(lab, bridge)

    assert len({message.control_id for message in hospital.received}) == len(hospital.received) == 2
    final = {test: (value, status) for test, value, status in said(hospital)}
    assert final == {"GLU": ("", "D"), "K": ("4.1", "F")}


async def test_a_merged_patients_result_bears_the_surviving_numbers(
    lab: Database, bridge: Bridge, hospital: Hospital
) -> None:
    kept = person()
    gone = person(tc="")
    await hospital.places(kept, "K")
    order = await hospital.places(gone, "GLU")
    await hospital.merges(kept, gone)
    await kit.released(lab, await number_of(lab, order), {"GLU": "112"})
    await kit.post(lab, bridge)
    [result] = await hospital.results_for(order)
    assert result.patient == (kept.number, kept.tc)


async def test_a_test_that_the_laboratory_added_goes_with_the_order(
    lab: Database, bridge: Bridge, hospital: Hospital
) -> None:
    order = await hospital.places(person(), "GLU")
    number = await number_of(lab, order)
    async with lab.work(await steps.user(lab, "uzman")) as work:
        await add_tests(work, number, ["K"])
    await kit.released(lab, number, {"K": "4.1"})
    await kit.post(lab, bridge)
    [result] = hospital.results
    assert (result.step, result.filler, result.test) == ("", number, "K")
    assert hospital.received[0].first("ORC").field(4) == order.number


async def test_a_storm_of_approvals_withdrawals_and_lost_answers(lab: Database, away: tuple[Bridge, Hospital]) -> None:
    """Two people approve and withdraw while the worker sends and the hospital misbehaves: at the end the hospital
    shows what is released, and nothing that it was ever shown was not released."""
    bridge, hospital = away
    order = await hospital.places(person(), "GLU", "K")
    number = await number_of(lab, order)
    results = await kit.measured(lab, number, {"GLU": "112", "K": "4.1"})
    await kit.technically_approved(lab, results)
    chance = random.Random(20261122)
    worker = asyncio.create_task(OutboxWorker(lab, bridge.handlers).run())

    async def somebody(code: str) -> None:
        for _ in range(4):
            await kit.clinically_approved(lab, {code: results[code]})
            await asyncio.sleep(chance.random() / 20)
            await kit.withdrawn(lab, results[code])
            await kit.pauses_pass(lab)
        await kit.clinically_approved(lab, {code: results[code]})

    try:
        for _ in range(4):
            chance.choice([hospital.stays_silent, hospital.hangs_up])(1, kept=chance.random() < 0.5)
            chance.choice([hospital.answers_ae, hospital.answers_ar])(1)
        await asyncio.gather(somebody("GLU"), somebody("K"))
        async with asyncio.timeout(30):
            while await kit.waiting(lab):
                await kit.pauses_pass(lab)
                await asyncio.sleep(0.05)
    finally:
        worker.cancel()
    last = {test: (value, status) for test, value, status in said(hospital)}
    assert {test: value for test, (value, _) in last.items()} == {"GLU": "112", "K": "4.1"}
    assert {status for _, status in last.values()} <= {"F", "C"}
    assert not [words for words in await kit.errors(lab) if "klinik onay kaydı yok" in words]
