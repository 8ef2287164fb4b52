"""LAB-28: work is given, accepted step by step, taken back, sent again, never lost and never doubled."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from drivers.definition import Catalog
from drivers.messages import WorkOrder, WorkPatient, WorkTest
from drivers.protocols import hl7
from drivers.protocols.law import (
    CONTROL,
    Code,
    Container,
    Envelope,
    Patient,
    PriorResult,
    WorkStep,
    no_work,
    read_work_response,
    work_order,
)
from lis_core.services.work_steps import cancel_step, change_step, decide_doubt, new_number
from simulators.law_station import LawResult, LawStation, obx
from simulators.segments import Message
from tests.law.conftest import LawLab, fields, keeps_the_grammar, names, proves

Pair = tuple[LawLab, LawStation]
ENVELOPE = Envelope(control_id="n-1", now=datetime(2026, 12, 3, 8, 15, 1, tzinfo=UTC))
GLU = Code("GLU", "Glukoz", "99XYZ", "2345-7", "Glucose", "LN")
TUBE = Container(id="26000145")


def glucose(awos: str, value: str = "5.40", state: str = "CM", **more: str) -> LawResult:
    return LawResult("GLU", [obx(1, "NM", "GLU", value, "mg/dL^^UCUM", **more)], awos=awos, state=state)


# ---- messages of the manager


@proves("LAB28-002", "LAW-F.39", "LAW-F.45", "LAW-F.50")
async def test_work_is_an_oml_in_the_order_of_the_profile(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU", "UREA", "CREA")
    order = await lab.taken(station, tube)
    await lab.until_step("GLU", "kabul")
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await cancel_step(work, await lab.awos("GLU"), "istem iptal")
    await station.until(lambda: station.orders("CA"))
    await station.ask("26999999")
    await station.until(lambda: station.orders("DC"))

    assert [fields(order, "MSH", 9, n)[0] for n in (1, 2, 3)] == ["OML", "O33", "OML_O33"]
    assert all(keeps_the_grammar(one.raw) for one in station.orders())
    assert len(set(fields(order, "ORC", 4))) == 1 and fields(order, "ORC", 4)[0] != ""
    assert len(set(fields(order, "OBR", 2))) == 3
    [cancel] = station.orders("CA")
    at = fields(order, "OBR", 4).index("GLU")
    assert fields(cancel, "SAC", 3) == [tube]
    assert fields(cancel, "OBR", 2) == [fields(order, "OBR", 2)[at]]
    assert cancel.first("OBR").field(4) == [s for s in order if s.name == "OBR"][at].field(4)
    for one in station.orders():
        assert all(fields(one, "ORC", 9))


@proves("LAW-F.06")
async def test_type_version_and_profile_fit_together(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    await lab.taken(station, tube)
    await station.report(station.result_lines(tube, [glucose(await lab.awos("GLU"))]))

    said = [one.message.raw for one in station.received] + station.sent
    found = {(fields(raw, "MSH", 9)[0], fields(raw, "MSH", 12)[0], fields(raw, "MSH", 21)[0]) for raw in said}
    assert found == {
        ("QBP", "2.5.1", "LAB-27"), ("RSP", "2.5.1", "LAB-27"), ("OML", "2.5.1", "LAB-28"), ("ORL", "2.5.1", "LAB-28"),
        ("OUL", "2.5.1", "LAB-29"), ("ACK", "2.5.1", "LAB-29"),
    }  # fmt: skip


@proves("LAW-F.40", "LAW-F.49")
def test_roles_of_specimens_and_no_patient_with_a_control() -> None:
    step = WorkStep("AW-1", GLU)
    person = Patient(id="1", family="ÖRNEK", given="AYŞE")
    patient = work_order(TUBE, [step], person, ENVELOPE)
    control = work_order(Container(id="QC2", role=CONTROL), [step], None, ENVELOPE)

    assert fields(patient, "SPM", 11) == ["P"] and "PID" in names(patient)
    assert fields(control, "SPM", 11) == ["Q"] and not {"PID", "PV1"} & set(names(control))
    assert fields(no_work(TUBE, ENVELOPE), "SPM", 11) == ["U"]
    with pytest.raises(hl7.LocalError):
        work_order(Container(id="QC2", role=CONTROL), [step], person, ENVELOPE)


@proves("LAW-F.41")
def test_a_container_is_named_or_placed() -> None:
    step = WorkStep("AW-1", GLU)
    assert fields(work_order(TUBE, [step], None, ENVELOPE), "SAC", 3) == ["26000145"]
    placed = work_order(Container(rack="R1", position="2"), [step], None, ENVELOPE)
    assert [fields(placed, "SAC", n)[0] for n in (3, 10, 11)] == ["", "R1", "2"]
    with pytest.raises(hl7.LocalError):
        work_order(Container(rack="R1"), [step], None, ENVELOPE)


@proves("LAW-F.42")
def test_ten_thousand_numbers_are_all_different_and_no_restart_begins_again() -> None:
    numbers = {new_number() for _ in range(10_000)}
    assert len(numbers) == 10_000
    assert all(0 < len(number) <= 50 for number in numbers)


@proves("LAW-F.44")
def test_every_orc_says_when() -> None:
    for action in ("NW", "CA"):
        raw = work_order(TUBE, [WorkStep("AW-1", GLU, action), WorkStep("AW-2", GLU, action)], None, ENVELOPE)  # type: ignore[arg-type]
        assert fields(raw, "ORC", 9) == ["20261203081501+0000"] * 2
    assert fields(no_work(TUBE, ENVELOPE), "ORC", 9) == ["20261203081501+0000"]


def written(catalog: Catalog, key: str, *tests: WorkTest, **more: object) -> bytes:
    order = WorkOrder(specimen="26000145", known=True, tests=tests, **more)  # type: ignore[arg-type]
    [raw] = catalog.get(key).work([order], now=ENVELOPE.now, sender="NUMUNE", control_id=lambda: "n-9")
    return raw


@proves("LAW-F.46")
async def test_the_test_is_named_in_the_analysers_own_code(pair: Pair, catalog: Catalog) -> None:
    lab, station = pair
    raw = written(catalog, "roche-cobas-pro", WorkTest("20490", "CRP", reference="AW-1", loinc="1988-5"))
    assert [fields(raw, "OBR", 4, n)[0] for n in (1, 3)] == ["20490", "99ROC"]
    both = written(catalog, "generic-law", WorkTest("GLU", "GLU", reference="AW-1", loinc="2345-7"))
    assert [fields(both, "OBR", 4, n)[0] for n in (1, 3, 4, 6)] == ["GLU", "99NUM", "2345-7", "LN"]
    await lab._do(
        "update tetkik_cihaz_eslesme set aktiflik_bilgisi = false where cihaza_giden_test_kodu = 'UREA' and cihaz_kodu = "
        "(select cihaz_kodu from cihaz where cihaz_kisa_kodu = 'law')"
    )
    placed = await lab.order(["GLU", "UREA"])
    order = await lab.taken(station, placed.specimens[0].barcode)
    assert fields(order, "OBR", 4) == ["GLU"]  # the other is not sent ...
    assert await lab.state(placed.number, "UREA") == "istendi"  # ... and stays on the list of what is missing


@proves("LAW-F.47", "LAW-F.20")
def test_priority_goes_only_to_analysers_that_have_the_option(catalog: Catalog) -> None:
    stat = WorkTest("20490", priority="S", reference="AW-1")
    assert fields(written(catalog, "roche-cobas-pro", stat), "TQ1", 9) == ["S"]
    assert "TQ1" not in names(written(catalog, "roche-cobas-5800", stat))
    assert "TCD" not in names(written(catalog, "roche-cobas-5800", WorkTest("HIV", dilution="5", reference="AW-1")))


@proves("LAW-F.48")
def test_a_dilution_repeats_the_test(catalog: Catalog) -> None:
    raw = written(catalog, "roche-cobas-pro", WorkTest("20490", dilution="5", reference="AW-1"))
    message = Message(raw)
    assert message.first("TCD").field(1) == message.first("OBR").field(4)
    assert message.first("TCD").field(2) == "^1^:^5"
    assert message.first("TCD").line.count("|") == 2  # nothing beyond what is known


@proves("LAW-F.60")
def test_prior_results_do_not_hide_the_next_step() -> None:
    earlier = (PriorResult(GLU, "5.1", "mmol/L"), PriorResult(GLU, "5.3", "mmol/L"))
    raw = work_order(TUBE, [WorkStep("AW-1", GLU, prior=earlier), WorkStep("AW-2", GLU)], None, ENVELOPE)

    assert fields(raw, "ORC", 1) == ["NW", "PR", "PR", "NW"]
    assert keeps_the_grammar(raw)
    station = LawStation(0)
    lines = station._orl(Message(raw))
    assert [line.split("|")[2] for line in lines if line.startswith("ORC")] == ["AW-1", "AW-2"]


@proves("LAW-F.10")
async def test_turkish_letters_survive(pair: Pair, catalog: Catalog) -> None:
    raw = written(
        catalog, "generic-law", WorkTest("GLU", reference="AW-1"),
        patient=WorkPatient("1", "ÇİĞDEM ŞÖĞÜT", "ışık", "19800214", "K"),
    )  # fmt: skip
    assert fields(raw, "MSH", 18) == ["UNICODE UTF-8"]
    assert fields(raw, "PID", 5, 1) == ["ÇİĞDEM ŞÖĞÜT"] and fields(raw, "PID", 5, 2) == ["ışık"]
    assert "ÇİĞDEM ŞÖĞÜT".encode() in raw


# ---- answers of the analyser


@proves("LAB28-003", "LAB28-004", "LAW-002", "LAW-F.52", "LAW-F.53")
async def test_each_step_is_accepted_or_refused_by_itself(pair: Pair) -> None:
    lab, station = pair
    placed = await lab.order(["GLU", "UREA", "CREA"])
    station.unable = {"UREA"}
    order = await lab.taken(station, placed.specimens[0].barcode)
    await lab.until_step("UREA", "reddedildi")

    answer = next(raw for raw in station.sent if b"ORL^O34" in raw)
    assert [fields(answer, "MSH", 9, n)[0] for n in (1, 2, 3)] == ["ORL", "O34", "ORL_O42"]
    assert fields(answer, "MSA", 2) == fields(order, "MSH", 10) and fields(answer, "MSA", 1) == ["AA"]
    assert "OBR" not in names(answer)
    outcome = dict(zip(fields(order, "OBR", 4), fields(answer, "ORC", 1), strict=True))
    assert outcome == {"GLU": "OK", "UREA": "UA", "CREA": "OK"}
    assert fields(answer, "ORC", 2) == fields(order, "OBR", 2)
    assert await lab.steps() == {"GLU": "kabul", "UREA": "reddedildi", "CREA": "kabul"}
    assert await lab.state(placed.number, "UREA") == "kabul"  # free for another analyser
    assert await lab.state(placed.number, "GLU") == "calisiyor"


@proves("LAB28-005", "LAW-004", "LAW-F.59")
async def test_a_cancelled_and_a_running_step(pair: Pair) -> None:
    lab, station = pair
    placed = await lab.order(["GLU", "UREA"])
    tube = placed.specimens[0].barcode
    await lab.taken(station, tube)
    await lab.until_step("UREA", "kabul")
    glu, urea = await lab.awos("GLU"), await lab.awos("UREA")
    station.running = {urea}
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await cancel_step(work, glu, "gerek yok")
        await cancel_step(work, urea, "gerek yok")
    await lab.until_step("GLU", "iptal")
    await lab.until_step("UREA", "calisiyor")

    cancel = station.orders("CA")[-1]
    answer = next(
        raw for raw in station.sent if b"ORL^O34" in raw and fields(raw, "MSA", 2) == fields(cancel, "MSH", 10)
    )
    assert dict(zip(fields(answer, "ORC", 2), fields(answer, "ORC", 1), strict=True)) == {glu: "CR", urea: "UC"}
    late = LawResult("UREA", [obx(1, "NM", "UREA", "30", "mg/dL^^UCUM")], awos=urea)
    acks = [await station.report(station.result_lines(tube, [one])) for one in (late, glucose(glu))]
    await lab.settled()
    assert [ack.code for ack in acks] == ["AA", "AA"]
    assert [row.test for row in await lab.results(tube)] == ["UREA"]  # accepted all the same
    [waits] = await lab.waiting()
    assert waits.neden == "adim_iptal"  # cancelled, and yet measured: a person decides


@proves("LAB28-006", "LAW-F.57")
async def test_a_refusal_after_a_lost_answer_is_no_proof(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    station.arm("wrong_control_id")  # the analyser has the work, its answer is lost
    order = await lab.taken(station, tube)
    awos = fields(order, "OBR", 2)[0]
    station._replayed.clear()  # an analyser that does not remember control ids refuses what it has already
    await lab.until_step("GLU", "belirsiz")

    sent = station.orders("NW")
    assert len(sent) >= 2 and len({one.raw for one in sent}) == 1
    answers = [fields(raw, "ORC", 1)[0] for raw in station.sent if b"ORL^O34" in raw]
    assert answers[:2] == ["OK", "UA"]
    await station.report(station.result_lines(tube, [glucose(awos)]))
    await lab.settled()
    assert [row.test for row in await lab.results(tube)] == ["GLU"]
    assert (await lab.steps())["GLU"] == "tamam"


@proves("LAB28-006")
async def test_an_accepted_step_is_never_sent_again_and_a_person_may_decide_a_doubt(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    await lab.taken(station, tube)
    await lab.until_step("GLU", "kabul")
    awos = await lab.awos("GLU")
    await asyncio.sleep(0.5)
    assert len(station.orders("NW")) == 1
    repeated = station._orl(station.orders()[0])  # the same work once more: refused
    assert [line.split("|")[1] for line in repeated if line.startswith("ORC")] == ["UA"]
    assert (await lab.steps())["GLU"] == "kabul"

    await lab._do("update is_adimi set durum = 'belirsiz'")
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await decide_doubt(work, awos, accepted=True, reason="cihazda gördüm")
    assert (await lab.steps())["GLU"] == "kabul"


@proves("LAB28-007")
async def test_the_work_of_one_tube_comes_without_that_of_another(pair: Pair) -> None:
    lab, station = pair
    one, other = await lab.tube("GLU"), await lab.tube("GLU")
    order = await lab.taken(station, one)
    assert names(order).count("SPM") == 1 and fields(order, "SAC", 3) == [one] != [other]


@proves("LAB28-008")
async def test_a_nothing_that_nobody_expected_is_noted_and_not_repeated(pair: Pair) -> None:
    lab, station = pair
    rsp = await station.ask("26000998")
    assert rsp.code == "AA"
    station.asked.clear()
    await station.until(lambda: station.orders("DC"))
    station.asked.clear()
    station.received.clear()
    ask = asyncio.create_task(station.ask("26000997"))
    await asyncio.sleep(0)
    station.asked.clear()
    await ask
    await station.until(lambda: station.orders("DC"))
    await asyncio.sleep(0.6)

    assert len(station.orders("DC")) == 1
    refusal = next(raw for raw in station.sent if b"\rMSA|AR" in raw)
    assert fields(refusal, "ERR", 2)[0] == "SAC" and fields(refusal, "ERR", 3) == ["204"]
    book = lab.gateway.lines["law-is"]
    assert any("beklemiyordu" in sentence for _, sentence in book.events)


@proves("LAW-001")
async def test_what_one_analyser_has_done_is_taken_back_from_the_other(lawlab: LawLab) -> None:
    one = await lawlab.analyser()
    two = await lawlab.analyser("law2", name="CHEM2")
    await lawlab.open()
    tube = await lawlab.tube("GLU")
    await lawlab.taken(one, tube)
    await lawlab.taken(two, tube)
    await lawlab.until_step("GLU", "kabul")
    await lawlab.until_step("GLU", "kabul", "law2")
    first, second = await lawlab.awos("GLU"), await lawlab.awos("GLU", "law2")

    await one.report(one.result_lines(tube, [glucose(first)]))
    await lawlab.until_step("GLU", "iptal", "law2")

    assert first != second
    [cancel] = two.orders("CA")
    assert fields(cancel, "OBR", 2) == [second] and fields(cancel, "SAC", 3) == [tube]
    assert one.orders("CA") == []


@proves("LAW-F.22")
async def test_a_step_is_one_test_on_one_container_for_one_analyser(lawlab: LawLab) -> None:
    one = await lawlab.analyser()
    two = await lawlab.analyser("law2", name="CHEM2")
    await lawlab.open()
    placed = await lawlab.order(["GLU", "TSH", "WBC"])
    tubes = {specimen.barcode for specimen in placed.specimens}
    for tube in tubes:
        await lawlab.taken(one, tube)
        await lawlab.taken(two, tube)
    rows = await lawlab.rows("select adim_numarasi, istem_tetkik_kodu, cihaz_kodu, kap, cihaz_test_kodu from is_adimi")
    assert len({row.adim_numarasi for row in rows}) == len(rows)
    assert len({(row.istem_tetkik_kodu, row.cihaz_kodu) for row in rows}) == len(rows)
    assert {row.kap for row in rows} <= tubes and len({row.cihaz_kodu for row in rows}) == 2


@proves("LAW-F.54")
async def test_ae_goes_to_a_person_ar_and_silence_are_repeated(pair: Pair) -> None:
    lab, station = pair
    station.arm("application_ae")
    await lab.taken(station, await lab.tube("GLU"))
    await lab.until_step("GLU", "reddedildi")
    await asyncio.sleep(0.4)
    assert len(station.orders()) == 1
    assert "AE" in (lab.gateway.lines["law-is"].status.last_error or "")

    station.arm("application_ar", "application_ar")
    await lab.taken(station, await lab.tube("UREA"))
    await lab.until_step("UREA", "kabul")
    tries = [one.at for one in station.received if one.message.first("OBR").get(4) == "UREA"]
    assert len(tries) == 3 and tries[2] - tries[1] > tries[1] - tries[0] - 0.05

    station.arm("no_orl")
    await lab.taken(station, await lab.tube("CREA"))
    await lab.until_step("CREA", "kabul")
    assert len([one for one in station.orders() if one.first("OBR").get(4) == "CREA"]) == 2


@proves("LAW-F.54")
async def test_an_analyser_that_never_answers_leaves_the_steps_in_doubt(lawlab: LawLab) -> None:
    lab, station = lawlab, await lawlab.analyser(yanit_saniye=0.5)
    await lab.open()
    station.arm("no_orl", "no_orl", "no_orl", "no_orl", "no_orl")
    await lab.taken(station, await lab.tube("GLU"))
    await lab.until_step("GLU", "belirsiz")
    assert len(station.orders()) == 4
    assert lab.gateway.lines["law-is"].status.errors


@proves("LAW-F.55", "LAW-F.56")
async def test_answers_of_older_devices_are_matched_by_order(pair: Pair) -> None:
    lab, station = pair
    station.arm("old_structure", "no_step_ids")
    await lab.taken(station, await lab.tube("GLU", "UREA", "CREA", "NA", "K"))
    await lab.until_step("K", "kabul")
    assert set((await lab.steps()).values()) == {"kabul"}

    station.arm("no_step_ids", "one_orc_less")
    await lab.taken(station, await lab.tube("ALT", "AST"))
    await lab.until_step("AST", "belirsiz")
    assert (await lab.steps())["ALT"] == "belirsiz"


@proves("LAW-F.56")
def test_four_answers_to_five_steps_match_none() -> None:
    head = "MSH|^~\\&|C|||NUMUNE|20261203||ORL^O34^ORL_O34|1|P|2.5.1\rMSA|AA|n-1\rSPM|1\rSAC|||2600\r"
    five = hl7.parse((head + "ORC|OK\r" * 5).encode())
    four = hl7.parse((head + "ORC|OK\r" * 4).encode())
    ids = ["a", "b", "c", "d", "e"]
    assert [one.awos_id for one in read_work_response(five, ids)] == ids
    assert {one.awos_id for one in read_work_response(four, ids)} == {""}


# ---- changes, broadcast, both modes


@proves("LAW-F.51")
async def test_a_change_is_a_cancellation_and_then_a_new_step(pair: Pair) -> None:
    lab, station = pair
    await lab.taken(station, await lab.tube("GLU"))
    await lab.until_step("GLU", "kabul")
    old = await lab.awos("GLU")
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await change_step(work, old, dilution="5", reason="yüksek bekleniyor")
    await station.until(lambda: len(station.orders("NW")) == 2)
    await lab.until_step("GLU", "kabul")

    kinds = [fields(one, "ORC", 1)[0] for one in station.orders()]
    assert kinds == ["NW", "CA", "NW"]
    assert fields(station.orders()[1], "OBR", 2) == [old]
    new = station.orders()[2]
    assert fields(new, "OBR", 2) != [old] and new.first("TCD").field(2) == "^1^:^5"


@proves("LAW-F.19", "LAW-F.58", "LAW-F.18")
async def test_one_analyser_asks_and_another_is_told(lawlab: LawLab, catalog: Catalog) -> None:
    asks = await lawlab.analyser()
    told = await lawlab.analyser("law2", name="CHEM2", is_dagitimi="yayin")
    await lawlab.open()
    assert catalog.get("roche-cobas-pro").file.answer.law.mode == "query"  # type: ignore[union-attr]

    placed = await lawlab.order(["GLU"])
    tube = placed.specimens[0].barcode
    await told.until(lambda: tube in [c for one in told.orders() for c in fields(one, "SAC", 3)], 10)
    assert asks.orders() == []
    assert await lawlab.state(placed.number, "GLU") == "istendi"  # told early; nothing runs yet
    await lawlab.taken(asks, tube)

    await lawlab._do(
        "update istem_tetkik set istenen_cihaz_kodu = (select cihaz_kodu from cihaz where cihaz_kisa_kodu = 'law') where "
        "tetkik_istem_kodu = (select tetkik_istem_kodu from tetkik_istem where numune_numarasi = :number)",
        number=placed.number,
    )
    await told.until(lambda: tube in [c for one in told.orders("CA") for c in fields(one, "SAC", 3)], 10)


@proves("LAW-F.72")
async def test_three_replicates_are_three_steps_with_a_result_each(pair: Pair) -> None:
    lab, station = pair
    await lab.setting("law", tekrar_sayisi={"GLU": 3})
    tube = await lab.tube("GLU")
    order = await lab.taken(station, tube)
    ids = fields(order, "OBR", 2)
    await station.report(
        station.result_lines(
            tube, [glucose(awos, value) for awos, value in zip(ids, ("5.1", "5.2", "5.3"), strict=True)]
        )
    )
    await lab.settled()

    assert fields(order, "OBR", 4) == ["GLU"] * 3 and len(set(ids)) == 3
    assert [row.tetkik_sonucu for row in await lab.results(tube)] == ["5.1", "5.2", "5.3"]
    assert await lab.value("select count(*) from is_adimi where durum = 'tamam'") == 3


@proves("LAW-F.73")
async def test_a_repeat_wanted_by_a_person_is_a_new_step(pair: Pair) -> None:
    from lis_core.services.approvals import request_repeat

    lab, station = pair
    tube = await lab.tube("GLU")
    first = fields(await lab.taken(station, tube), "OBR", 2)
    await station.report(station.result_lines(tube, [glucose(first[0])]))
    await lab.settled()
    [row] = await lab.results(tube)
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await request_repeat(work, row.tetkik_sonuc_kodu, "emin olmak için")

    second = fields(await lab.taken(station, tube), "OBR", 2)
    assert second != first and len(second) == 1
    assert len(await lab.results(tube)) == 1  # the first run stays


# ---- nothing lost, nothing double


@proves("LAW-F.04")
async def test_the_line_breaks_between_work_and_answer(pair: Pair) -> None:
    lab, station = pair
    station.arm("hang_up")
    await lab.taken(station, await lab.tube("GLU"))
    await lab.until_step("GLU", "kabul")

    first, again = station.orders("NW")
    assert first.raw == again.raw  # the same message, the same MSH-10
    assert list(station.steps.values()) == ["accepted"]


async def test_the_process_dies_between_work_and_answer(pair: Pair) -> None:
    """What was not answered is sent again after the start; what was answered never is."""
    lab, station = pair
    await lab.taken(station, await lab.tube("UREA"))
    await lab.until_step("UREA", "kabul")
    station.arm("no_orl")
    await lab.taken(station, await lab.tube("GLU"))
    await asyncio.sleep(0.1)
    await lab.restart()
    await lab.until_step("GLU", "kabul")

    sent = [one for one in station.orders("NW") if one.first("OBR").get(4) == "GLU"]
    assert len({one.raw for one in sent}) == 1
    assert len([one for one in station.orders("NW") if one.first("OBR").get(4) == "UREA"]) == 1


@pytest.mark.parametrize("fault", ["split_mllp", "late_fs"])
async def test_an_answer_in_pieces_or_late_is_still_one_answer(pair: Pair, fault: str) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    station.asked.add(tube)
    await station.ask(tube)
    station.arm(fault)
    await lab.until_step("GLU", "kabul")
    assert len(station.orders()) == 1


async def test_a_cancel_that_is_refused_keeps_the_step_open(pair: Pair) -> None:
    lab, station = pair
    await lab.taken(station, await lab.tube("GLU"))
    await lab.until_step("GLU", "kabul")
    station.arm("cancel_refused")
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await cancel_step(work, await lab.awos("GLU"), "gerek yok")
    await lab.until_step("GLU", "calisiyor")
    assert await lab.value("select iptal_yaniti from is_adimi") == "UC"
