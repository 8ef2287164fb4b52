"""LAB-29: what an analyser reports, and what the laboratory makes of it."""

from __future__ import annotations

import asyncio

import pytest

from drivers.gateway.rereading import make
from drivers.protocols import hl7
from drivers.protocols.law import read_report
from lis_core.domain.permissions import P
from lis_core.services.loading import load_tube
from lis_core.services.replay import replay
from lis_core.storage.database import program
from simulators.law_station import LawResult, LawStation, obx
from simulators.segments import segment
from tests.law.conftest import LawLab, fields, names, proves

Pair = tuple[LawLab, LawStation]
UNIT = "mg/dL^^UCUM"


def gl(value: str = "5.40", awos: str = '""', *, n: int = 1, state: str = "CM", **more: str) -> LawResult:
    return LawResult("GLU", [obx(n, "NM", "GLU", value, UNIT, **more)], awos=awos, state=state)


async def with_step(lab: LawLab, station: LawStation, *tests: str) -> tuple[str, dict[str, str]]:
    """A tube whose work the analyser has taken: its barcode, and the step of each test."""
    tube = await lab.tube(*(tests or ("GLU",)))
    order = await lab.taken(station, tube)
    for test in tests or ("GLU",):
        await lab.until_step(test, "kabul")
    return tube, dict(zip(fields(order, "OBR", 4), fields(order, "OBR", 2), strict=True))


@proves("LAB29-001", "LAB29-002", "LAW-F.66", "LAW-F.08")
async def test_a_result_is_stored_and_then_acknowledged(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)

    ack = await station.report(station.result_lines(tube, [gl(awos=steps["GLU"])]))
    await lab.settled()

    oul = next(raw for raw in station.sent if b"OUL^R22^OUL_R22" in raw)
    assert fields(oul, "MSH", 21) == ["LAB-29"] and fields(oul, "MSH", 21, 2) == ["IHE"]
    assert fields(oul, "ORC", 1) == ["SC"]
    assert [fields(ack, "MSH", 9, n)[0] for n in (1, 2, 3)] == ["ACK", "R22", "ACK"]
    assert names(ack) == ["MSH", "MSA"] and fields(ack, "MSA", 1) == ["AA"]
    [row] = await lab.results(tube)
    assert (row.tetkik_sonucu, row.cihaz_tetkik_sonucu) == ("5.40", "5.40")
    assert (await lab.steps())["GLU"] == "tamam"


@proves("LAB29-003", "LAW-F.64", "LAW-F.65", "LAW-005", "LAW-F.17")
async def test_what_nobody_ordered_through_us_is_matched_by_tube_and_test(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(3)]

    acks = [
        await station.report(station.result_lines(tubes[0], [gl(awos='""')])),
        await station.report(station.result_lines(tubes[1], [gl(awos="")])),
        await station.report(
            [segment("SPM", f1="1", f2=tubes[2], f11="P^^HL70369"), *station.result_lines("", [gl()], sac=False)[1:]]
        ),
    ]
    await lab.settled()

    assert [ack.code for ack in acks] == ["AA"] * 3
    assert [len(await lab.results(tube)) for tube in tubes] == [1, 1, 1]
    assert await lab.value("select count(*) from is_adimi") == 0  # no step was invented


@proves("LAW-F.65")
async def test_a_result_without_a_number_is_matched_by_the_place_of_its_tube(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    async with lab.database.work(await lab.actor("teknisyen")) as work:
        await load_tube(work, "law", tube, "R0412-3")
    for value, position in (("5.3", "3"), ("5.4", "4"), ("9.9", "3")):
        lines = station.result_lines("", [gl(value)], rack="R0412", position=position)
        assert (await station.report(lines)).code == "AA"
        await lab.settled()
    assert [row.tetkik_sonucu for row in await lab.results(tube)] == ["5.3"]
    # nobody is known to stand at position 4; and a second value from position 3 may be the next load's
    assert [row.neden for row in await lab.waiting()] == ["numunesiz", "belirsiz"]


@proves("LAW-F.65")
async def test_a_result_that_fits_two_open_orders_is_held(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    await lab._do(
        "insert into istem_tetkik (tetkik_istem_kodu, tetkik_kodu, tetkik_durumu, tetkik_numune_kodu, zaman_noktasi, calisma_grubu, durum_zamani) "
        "select tetkik_istem_kodu, tetkik_kodu, tetkik_durumu, null, 'tokluk', calisma_grubu, now() from istem_tetkik where tetkik_istem_kodu = "
        "(select tetkik_istem_kodu from barkod_kayit where barkod = :tube)",
        tube=tube,
    )
    number = await lab.value(
        "select numune_numarasi from tetkik_istem join barkod_kayit using (tetkik_istem_kodu) where barkod = :tube",
        tube=tube,
    )
    ack = await station.report(station.result_lines(number, [gl()]))
    await lab.settled()
    assert ack.code == "AA" and await lab.results(tube) == []
    assert [row.neden for row in await lab.waiting()] == ["belirsiz"]


@proves("LAW-F.63")
async def test_an_unknown_step_loses_nothing(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    ack = await station.report(station.result_lines(tube, [gl(awos="AW-UNKNOWN")]))
    await lab.settled()
    assert ack.code == "AA" and await lab.results(tube) == []
    [row] = await lab.waiting()
    assert row.neden == "adim_yok" and "AW-UNKNOWN" in row.aciklama and row.icerik["value"] == "5.40"
    messages = await lab.rows("select ham_mesaj_kodu from eslesmeyen_sonuc")
    actor = program("deneme", may=[P.MESSAGE_REPLAY])
    [again] = await replay(lab.database, [messages[0].ham_mesaj_kodu], actor, make(lab.catalog))
    assert (again.results, again.unmatched) == (0, 1), "read again it still names a step that is not ours"
    assert [row.neden for row in await lab.waiting()] == ["adim_yok"]


@proves("LAW-006", "LAW-F.67")
async def test_a_panel_in_three_parts_closes_once(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    states = []
    for at, (state, value) in enumerate((("IP", "5.1"), ("IP", "5.2"), ("CM", "5.3"))):
        line = obx(1, "NM", "GLU", value, UNIT, run=str(at + 1), measured=f"2026120309{at:02}00+0300")
        ack = await station.report(
            station.result_lines(tube, [LawResult("GLU", [line], awos=steps["GLU"], state=state)])
        )
        assert ack.code == "AA"
        await lab.settled()
        states.append((await lab.steps())["GLU"])
    assert states == ["calisiyor", "calisiyor", "tamam"]
    assert [row.tetkik_sonucu for row in await lab.results(tube)] == ["5.1", "5.2", "5.3"]


@proves("LAW-F.67", "LAW-F.66")
async def test_the_analyser_gives_up_and_the_test_is_free_again(pair: Pair) -> None:
    lab, station = pair
    placed = await lab.order(["GLU"])
    tube = placed.specimens[0].barcode
    order = await lab.taken(station, tube)
    await lab.until_step("GLU", "kabul")
    given_up = LawResult("GLU", [], awos=fields(order, "OBR", 2)[0], state="CA", notes=["Reagent empty"])

    ack = await station.report(station.result_lines(tube, [given_up]))
    await lab.settled()

    assert ack.code == "AA"
    assert (await lab.steps())["GLU"] == "basarisiz"
    assert await lab.state(placed.number, "GLU") == "kabul"
    assert "Reagent empty" in await lab.value("select aciklama from is_adimi")
    again = await lab.taken(station, tube)
    assert fields(again, "OBR", 2) != fields(order, "OBR", 2)


@proves("LAW-007", "LAW-F.95")
@pytest.mark.parametrize("where", ["obr", "orc"])
async def test_a_reflex_of_the_analyser_hangs_on_its_parent(pair: Pair, where: str) -> None:
    lab, station = pair
    placed = await lab.order(["GLU", "UREA"])
    tube = placed.specimens[0].barcode
    order = await lab.taken(station, tube)
    parent = fields(order, "OBR", 2)[fields(order, "OBR", 4).index("GLU")]
    reflex = LawResult(
        "UREA", [obx(1, "NM", "UREA", "30", UNIT)], reflex=True, parent=parent if where == "obr" else "", state="CM"
    )
    lines = station.result_lines(tube, [gl(awos=parent), reflex])
    if where == "orc":
        at = max(n for n, line in enumerate(lines) if line.startswith("ORC"))
        lines[at] = segment("ORC", f1="SC", f5="CM", f8=parent)
    oul = station.result_lines(tube, [reflex])
    assert oul[2].split("|")[2] == '""'

    ack = await station.report(lines)
    await lab.settled()

    assert ack.code == "AA"
    [child] = await lab.rows(
        "select c.durum, p.adim_numarasi as ana, c.istem_tetkik_kodu from is_adimi c join is_adimi p "
        "on p.is_adimi_kodu = c.ana_adim_kodu"
    )
    assert (child.ana, child.durum) == (parent, "tamam") and child.istem_tetkik_kodu is not None
    assert {row.test for row in await lab.results(tube)} == {"GLU", "UREA"}


@proves("LAW-008", "LAW-F.74")
async def test_a_message_that_comes_again_changes_nothing(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    header = station.header("OUL^R22^OUL_R22", "LAB-29^IHE", control="c-again-1")
    lines = [header, *station.result_lines(tube, [gl(awos=steps["GLU"])])]

    first = (await station.exchange(lines))[0]
    again = (await station.exchange(lines))[0]
    other = await station.report(lines[1:])
    await lab.settled()

    assert first.raw == again.raw
    assert other.code == "AA"
    assert len(await lab.results(tube)) == 1
    assert await lab.value("select count(*) from ham_mesaj where durum = 'tekrar'") == 2
    station.arm("duplicate_oul")
    await station.report(station.result_lines(tube, [gl("5.60", measured="20261203100000+0300")]))
    await lab.settled()
    assert len(await lab.results(tube)) == 2


@proves("LAW-F.68")
async def test_a_test_that_could_not_be_done_is_no_value(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    line = obx(1, "", "GLU", "", flags="AGG^Clumps suspected^99XYZ", status="X")
    ack = await station.report(
        station.result_lines(
            tube, [LawResult("GLU", [line, segment("NTE", f1="1", f3="Check the smear")], awos=steps["GLU"])]
        )
    )
    await lab.settled()
    assert ack.code == "AA" and await lab.results(tube) == []
    [row] = await lab.waiting()
    assert row.neden == "deger" and "AGG" in row.aciklama and "Check the smear" in row.aciklama
    assert row.icerik["number"] is None and row.icerik["flags"] == ["AGG"]


@proves("LAW-F.69")
async def test_preliminary_final_corrected_are_three_versions(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    for status, value in (("P", "5.1"), ("F", "5.1"), ("C", "5.4")):
        await station.report(station.result_lines(tube, [gl(value, steps["GLU"], status=status)]))
        await lab.settled()

    rows = await lab.results(tube)
    assert [row.tetkik_sonucu for row in rows] == ["5.1", "5.1", "5.4"]
    current = await lab.value("select tetkik_sonuc_kodu from istem_tetkik where tetkik_sonuc_kodu is not null")
    assert current == rows[2].tetkik_sonuc_kodu
    rules = [[d["r"] for d in row.kararlar] for row in rows]
    assert "LAW-DURUM/1" in rules[0] and "LAW-DURUM/1" not in rules[1] and "LAW-DURUM/1" in rules[2]
    assert all(row.sonuc_zamani for row in rows)


@pytest.mark.parametrize(("status", "cause"), [("D", "geri_cekildi"), ("W", "geri_cekildi"), ("R", "kesin_degil")])
async def test_a_withdrawn_or_unverified_result_waits_for_a_person(pair: Pair, status: str, cause: str) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    await station.report(station.result_lines(tube, [gl("5.1", steps["GLU"])]))
    await station.report(station.result_lines(tube, [gl("5.1", steps["GLU"], status=status)]))
    await lab.settled()
    assert [row.tetkik_sonucu for row in await lab.results(tube)] == ["5.1"]
    assert [row.neden for row in await lab.waiting()] == [cause]
    oul = [raw for raw in station.sent if b"OUL^R22" in raw][-1]
    [again] = make(lab.catalog)("generic-law", "hl7", b"\x0b" + oul + b"\x1c\r").observations  # as a replay reads it
    assert again.hold == status


@proves("LAW-F.70", "LAW-F.71", "LAW-F.93", "LAW-F.94")
async def test_a_rerun_with_dilution_is_a_second_run_of_one_step(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    lines = [
        obx(1, "SN", "GLU", ">^350", UNIT, run="1", flags=">^^HL70078"),
        segment("TCD", f1="GLU", f2="^1^:^1", f8="O^Original, first run^HL70389"),
        obx(2, "NM", "GLU", "412.6", UNIT, run="2", measured="20261203090930+0300"),
        segment("TCD", f1="GLU", f2="^1^:^5", f8="D^Repeated with dilution^HL70389"),
    ]
    await station.report(station.result_lines(tube, [LawResult("GLU", lines, awos=steps["GLU"])]))
    await lab.settled()

    rows = await lab.results(tube)
    assert [row.tetkik_sonucu for row in rows] == [">350", "412.6"]  # never multiplied
    details = await lab.rows("select kosu, kosu_turu, seyreltme from sonuc_ayrintisi order by kayit_sirasi")
    assert [tuple(one) for one in details] == [("1", "O", ""), ("2", "D", "5")]
    why = [d["why"] for d in rows[1].kararlar if d["r"] == "LAW-KOSU/1"]
    assert why == ["koşu D, seyreltme 5; değer olduğu gibi alındı"]


@proves("LAW-F.93", "LAW-F.94")
def test_kinds_of_runs_and_dilutions_are_read() -> None:
    from drivers.protocols.law_results import dilution

    for text, factor in (("^1^:^5", "5"), ("^1^:^1", ""), ("^1^:^0", ""), ("^2^:^5", "2.5"), ("", "")):
        tcd = hl7.parse(f"MSH|^~\\&|||||||OUL^R22|1|P|2.5.1\rTCD|X|{text}\r".encode()).first("TCD")
        assert tcd is not None and dilution(tcd) == factor
    for kind in "ORDF":
        raw = (
            f"MSH|^~\\&|||||||OUL^R22|1|P|2.5.1\rSPM|1\rOBR|1|||X\rOBX|1|NM|X||1||||||F\rTCD|X|||||||{kind}^x^HL70389\r"
        )
        [(_, order)] = read_report(hl7.parse(raw.encode())).orders()
        assert order.results[0].run_kind == kind


@proves("LAW-F.75", "LAW-F.97")
async def test_many_specimens_in_one_message(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(8)]
    lines: list[str] = []
    for n, tube in enumerate(tubes, 1):
        lines += station.result_lines(tube, [gl(f"5.{n}")], number=n, sac=n != 3)
    ack = await station.report(lines)
    await lab.settled()
    assert ack.code == "AA"
    assert [len(await lab.results(tube)) for tube in tubes] == [1, 1, 0, 1, 1, 1, 1, 1]
    [row] = await lab.waiting()  # the third has no container and does not take that of the second
    assert row.neden == "numunesiz" and row.icerik["value"] == "5.3"

    broken = list(lines)
    bad = next(n for n, line in enumerate(broken) if line.startswith("OBX") and n > 20)
    broken[bad] = obx(1, "NM", "GLU", "abc", UNIT)
    before = await lab.value("select count(*) from tetkik_sonuc")
    refused = await station.report(broken)
    await lab.settled()
    assert refused.code == "AE"
    assert await lab.value("select count(*) from tetkik_sonuc") == before  # all or none


QC = [
    segment("INV", f1="QC2^Level 2^99XYZ", f2="OK^^HL70383", f3="CO^Control^HL70384", f12="20270630", f16="L88123"),
]


@proves("LAW-F.76", "LAW-F.77")
async def test_a_control_is_a_control_also_when_it_brings_a_patient(pair: Pair) -> None:
    lab, station = pair
    for patient, value in ((False, "121.4"), (True, "121.9")):
        lines = station.result_lines(
            "QC2-L88123", [gl(value, measured="20261203072930+0300")], role="Q", container_lots=QC, patient=patient
        )
        assert (await station.report(lines)).code == "AA"
    await lab.settled()

    points = await lab.rows("select kontrol_numarasi, lot, deger, cihaz_kodu, tetkik_kodu from kk_olcum order by 3")
    assert [(p.kontrol_numarasi, p.lot, p.deger) for p in points] == [
        ("QC2-L88123", "L88123", "121.4"), ("QC2-L88123", "L88123", "121.9"),
    ]  # fmt: skip
    assert all(p.cihaz_kodu and p.tetkik_kodu for p in points)
    assert await lab.value("select count(*) from tetkik_sonuc where cihaz_kodu is not null and ham_mesaj_kodu in "
                           "(select ham_mesaj_kodu from ham_mesaj where protokol = 'hl7')") == 0  # fmt: skip
    assert await lab.value("select count(*) from ham_mesaj where sorun like '%%hasta bilgisiyle%%'") == 1


@proves("LAW-F.77")
async def test_a_control_that_calls_itself_a_patient_makes_no_patient_result(pair: Pair) -> None:
    lab, station = pair
    ack = await station.report(station.result_lines("QC2-L88123", [gl()], role="P"))
    await lab.settled()
    assert ack.code == "AA"
    assert [row.neden for row in await lab.waiting()] == ["numune_yok"]  # held: nobody's number


@proves("LAW-F.78")
@pytest.mark.parametrize("role", ["C", "O", "F", "R", "B", "E"])
async def test_other_roles_never_become_patient_results(pair: Pair, role: str) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    ack = await station.report(station.result_lines(tube, [gl()], role=role))
    await lab.settled()
    assert ack.code == "AA" and await lab.results(tube) == [] and await lab.waiting() == []


async def test_a_result_for_another_orders_step_is_held(pair: Pair) -> None:
    """The tube says one order, the step another: nothing is guessed."""
    lab, station = pair
    _, steps = await with_step(lab, station)
    other = await lab.tube("GLU")
    await station.report(station.result_lines(other, [gl(awos=steps["GLU"])]))
    await lab.settled()
    assert await lab.results(other) == []
    assert [row.neden for row in await lab.waiting()] == ["belirsiz"]


async def test_a_step_names_the_tube_where_the_message_does_not(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    await station.report(station.result_lines("", [gl(awos=steps["GLU"])], sac=False))
    await lab.settled()
    assert [row.test for row in await lab.results(tube)] == ["GLU"]
    await asyncio.sleep(0)
