"""LAB-29: what an analyser reports, and what the laboratory makes of it."""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib

import pytest

from drivers.capture import messages_in
from drivers.definition import Catalog
from drivers.gateway.rereading import make
from drivers.law_reading import law_of, read_law
from drivers.protocols import hl7
from drivers.protocols.law import read_report
from lis_core.services.work_steps import place_tube
from simulators.law_station import LawResult, LawStation, obx
from simulators.segments import segment
from tests.drivers.conftest import capture
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
        await place_tube(work, tube, "R0412", "3")
    for position in ("3", "4"):
        lines = station.result_lines("", [gl(f"5.{position}")], rack="R0412", position=position)
        assert (await station.report(lines)).code == "AA"
    await lab.settled()
    assert [row.tetkik_sonucu for row in await lab.results(tube)] == ["5.3"]
    assert [row.neden for row in await lab.waiting()] == ["numunesiz"]  # nobody is known to stand at position 4


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
    [again] = make(lab.catalog)("generic-law", "hl7", b"\x0b" + oul + b"\x1c\r")  # as a replay reads it
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


def law_reading(catalog: Catalog, key: str, text: bytes):  # type: ignore[no-untyped-def]
    definition = catalog.get(key)
    reading = definition.read(text)
    law = law_of(definition.file)
    assert law is not None
    return reading, read_law(text, reading.observations, definition.file, law)


@proves("LAW-F.79", "LAW-F.61", "LAW-F.83")
def test_lots_and_calibrations_of_the_captures(catalog: Catalog) -> None:
    alinity = messages_in(capture("hl7/abbott-alinity-m/oul-r22-hiv-below-20.hl7"))[0].text
    _, read = law_reading(catalog, "abbott-alinity-m", alinity)
    lots = read.steps[0].results[0].lots
    assert [(lot.kind, lot.lot) for lot in lots] == [
        ("CA", "399444"), ("RC", "399079"), ("SR", "399444"), ("SR", "399444"), ("LI", "990020082"),
    ]  # fmt: skip
    assert lots[0].first_used == "20251202144858"  # when it was calibrated

    pure = messages_in(capture("hl7/roche-cobas-pure/oul-r22-qc-10-tests.hl7"))[0].text
    report = read_report(hl7.parse(pure))
    [specimen] = report.specimens
    assert [lot.kind for lot in specimen.lots] == ["CO"]  # the one after SAC belongs to the container
    first = specimen.orders[0]
    assert [[lot.lot for lot in one.lots] for one in first.results[:3]] == [[], ["861168", "861168"], []]
    calibration = [one for one in first.results if one.test == "CalibrationID"]
    assert calibration[0].supplemental and calibration[0].segment.get(5) == "54"
    reading, read = law_reading(catalog, "roche-cobas-pure", pure)
    main = [o for o in reading.observations if o.kind == "qc"]
    assert len(main) == 10 and {o.specimen for o in main} == {"20391"}
    assert sum(o.kind == "event" for o in reading.observations) == 40


@proves("LAW-F.62")
def test_other_orders_of_segments_say_the_same() -> None:
    head = "MSH|^~\\&|||||||OUL^R22^OUL_R22|1|P|2.5.1\rSPM|1|||SER|||||||P\rSAC|||26000145\r"
    result, tcd = "OBX|1|NM|GLU||5.4|mg/dL|||||F\r", "TCD|GLU|^1^:^5\r"
    inv = "INV|R^^99|OK|MR|B1||||||||20270101||||L77\r"
    regular = head + "OBR|1|AW-1||GLU\rORC|SC||||CM\r" + result + tcd + inv
    odd = [
        head + "OBR|1|AW-1||GLU\rORC|SC||||CM\r" + tcd + result + inv,
        head + "OBR|1|AW-1||GLU\rORC|SC||||CM\r" + result + inv + tcd,
        head + "OBR|1|AW-1||GLU\r" + result + tcd + inv,
    ]

    def said(raw: str) -> tuple[str, str, list[str]]:
        [(_specimen, order)] = read_report(hl7.parse(raw.encode())).orders()
        [one] = order.results
        return one.segment.get(5), one.dilution, [lot.lot for lot in one.lots]

    assert said(regular) == ("5.4", "5", ["L77"])
    assert [said(raw) for raw in odd] == [said(regular)] * 3


@proves("LAW-F.80", "LAW-F.81")
async def test_device_and_lots_are_found_again(pair: Pair) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    lines = [
        obx(1, "NM", "GLU", "5.4", UNIT, device="XY-500^Example~SN00123^Example~M1^Example"),
        segment("INV", f1="R1^^99XYZ", f3="MR^^HL70384", f4="B00912", f12="20270331", f16="L4471"),
        segment("INV", f1="R2^^99XYZ", f3="MR^^HL70384", f16="L4472"),
        segment("INV", f1="CAL^^99XYZ", f3="RC^^HL70384", f13="20261130070500+0300", f16="C2210"),
    ]
    await station.report(station.result_lines(tube, [LawResult("GLU", lines, awos=steps["GLU"])]))
    await lab.settled()

    [detail] = await lab.rows("select cihaz_modeli, seri_numarasi, modul from sonuc_ayrintisi")
    assert tuple(detail) == ("XY-500", "SN00123", "M1")
    touched = await lab.rows(
        "select l.lot, l.tur, l.kap, l.son_kullanma, s.tetkik_sonucu from sonuc_reaktifi l join tetkik_sonuc s "
        "using (ham_mesaj_kodu, kayit_sirasi) order by l.sonuc_reaktifi_kodu"
    )
    assert [tuple(one) for one in touched] == [
        ("L4471", "MR", "B00912", "20270331", "5.4"), ("L4472", "MR", "", "", "5.4"), ("C2210", "RC", "", "", "5.4"),
    ]  # fmt: skip
    assert any("SN00123" in sentence for _, sentence in lab.gateway.lines["law"].events)  # new serial: reported


@proves("LAW-F.82")
async def test_supporting_information_is_no_result(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(3)]
    for tube, category in zip(tubes, ("SCI", "QST", ""), strict=True):
        await station.report(station.result_lines(tube, [gl(category=category)]))
    await lab.settled()
    assert [len(await lab.results(tube)) for tube in tubes] == [0, 0, 1]


@proves("LAW-F.84")
async def test_numbers_keep_their_digits(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(3)]
    acks = [
        await station.report(station.result_lines(tube, [gl(value)]))
        for tube, value in zip(tubes, ("1.20", "3.26E+05", "1,2"), strict=True)
    ]
    await lab.settled()
    assert [ack.code for ack in acks] == ["AA", "AA", "AE"]
    assert fields(acks[2], "ERR", 3) == ["102"]
    [first], [second] = await lab.results(tubes[0]), await lab.results(tubes[1])
    assert first.cihaz_tetkik_sonucu == "1.20" and str(first.sayisal_sonuc).startswith("1.2")
    assert second.cihaz_tetkik_sonucu == "3.26E+05" and float(second.sayisal_sonuc) == 326000
    assert await lab.results(tubes[2]) == []


@proves("LAW-F.85")
def test_comparisons_titres_and_ranges(catalog: Catalog) -> None:
    read = {}
    for value in ("<^0.01", ">=^350", "^1^:^128", "^2^-^5", "^100"):
        raw = (
            "MSH|^~\\&|||||||OUL^R22^OUL_R22|1|P|2.5.1\rSPM|1|||SER|||||||P\rSAC|||1\rOBR|1|||X\r"
            f"OBX|1|SN|X||{value}|mg/dL|||||F\r"
        )
        [one] = catalog.get("generic-law").read(raw.encode()).observations
        read[value] = (one.value, one.number, one.flags)
    assert read == {
        "<^0.01": ("<0.01", None, ["<"]),
        ">=^350": (">=350", None, [">="]),
        "^1^:^128": ("1:128", None, []),
        "^2^-^5": ("2-5", None, []),
        "^100": ("100", 100.0, []),
    }


@proves("LAW-F.86")
def test_a_comparison_in_words_is_a_rule_of_the_definition(catalog: Catalog) -> None:
    import msgspec

    from drivers.definition import Definition

    raw = messages_in(capture("hl7/abbott-alinity-m/oul-r22-hiv-below-20.hl7"))[0].text
    with_rule = catalog.get("abbott-alinity-m")
    [one] = with_rule.read(raw).observations
    file = msgspec.structs.replace(
        with_rule.file, flags=msgspec.structs.replace(with_rule.file.flags, comparator=False)
    )
    [other] = Definition(file).read(raw).observations
    assert (one.value, one.flags) == ("< 20", ["<"])
    assert (other.value, other.flags) == ("< 20", [])


@proves("LAW-F.87")
async def test_a_unit_is_converted_by_a_rule_or_held(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(4)]

    async def glucose(tube: str, value: str, unit: str) -> None:
        line = obx(1, "NM", "GLU", value, unit)
        await station.report(station.result_lines(tube, [LawResult("GLU", [line])]))
        await lab.settled()

    await glucose(tubes[0], "5.4", "mmol/L^^UCUM")
    await lab._do(
        "update tetkik_cihaz_eslesme set birim = 'mmol/L', carpan = '18.016' where cihazdan_gelen_test_kodu = 'GLU' and "
        "cihaz_kodu = (select cihaz_kodu from cihaz where cihaz_kisa_kodu = 'law')"
    )
    await glucose(tubes[1], "5.4", "mmol/L^^UCUM")
    await lab._do(
        "update tetkik_cihaz_eslesme set birim = null, carpan = null where cihazdan_gelen_test_kodu = 'GLU' and "
        "cihaz_kodu = (select cihaz_kodu from cihaz where cihaz_kisa_kodu = 'law')"
    )
    await glucose(tubes[2], "973", "10*-1.mg/dL^^UCUM")
    await glucose(tubes[3], "97.3", "MG/DL^^UCUM")

    assert await lab.results(tubes[0]) == []
    [row] = [one for one in await lab.waiting() if one.neden == "birim"]
    assert row.icerik["unit"] == "mmol/L"
    [converted] = await lab.results(tubes[1])
    assert (converted.cihaz_tetkik_sonucu, converted.cihaz_birimi) == ("5.4", "mmol/L")
    assert converted.tetkik_sonucu_birimi == "mg/dL" and float(converted.sayisal_sonuc) == pytest.approx(97, abs=0.5)
    [power] = await lab.results(tubes[2])
    assert (power.tetkik_sonucu, power.cihaz_tetkik_sonucu, power.cihaz_birimi) == ("97.3", "973", "10*-1.mg/dL")


@proves("LAW-F.88")
def test_flags_with_their_repetitions(catalog: Catalog) -> None:
    found = []
    for flags in ("H^^HL70078", "10^^99ROC~112^^99ROC", "NONE", '""'):
        raw = (
            "MSH|^~\\&|||||||OUL^R22^OUL_R22|1|P|2.5.1\rSPM|1|||SER|||||||P\rSAC|||1\rOBR|1|||X\r"
            f"OBX|1|NM|X||1|mg/dL||{flags}|||F\r"
        )
        [one] = catalog.get("generic-law").read(raw.encode()).observations
        found.append(one.flags)
    assert found == [["H"], ["10", "112"], [], []]


@proves("LAW-F.89", "LAW-F.11")
async def test_the_time_of_the_analysis_counts_and_its_zone(pair: Pair) -> None:
    lab, station = pair
    tubes = [await lab.tube("GLU") for _ in range(2)]
    for tube, moment in zip(tubes, ("20261203083712+0300", "20261203083712"), strict=True):
        await station.report(station.result_lines(tube, [gl(measured=moment)]))
    await lab.settled()
    [one], [other] = await lab.results(tubes[0]), await lab.results(tubes[1])
    assert one.calisma_bitis_zamani == other.calisma_bitis_zamani
    assert one.calisma_bitis_zamani.isoformat().startswith("2026-12-03T05:37:12")
    assert one.operator == "op17"
    raw = await lab.rows("select icerik from ham_mesaj where durum = 'islendi' order by ham_mesaj_kodu")
    assert b"20261203083712+0300" in bytes(raw[0].icerik)  # the text as it was sent stays


def png() -> bytes:
    """A picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\x00\x7f")) + chunk(b"IEND", b"")
    )


@proves("LAW-F.90")
async def test_a_picture_is_kept_and_is_no_result(pair: Pair, catalog: Catalog) -> None:
    lab, station = pair
    tube, steps = await with_step(lab, station)
    data = base64.b64encode(png()).decode()
    lines = [
        obx(1, "NM", "GLU", "5.4", UNIT),
        obx(2, "ED", "HIST^Histogram^99XYZ^S_OTHER^Other Supplemental^IHELAW", f"^IM^PNG^Base64^{data}"),
    ]
    await station.report(station.result_lines(tube, [LawResult("GLU", lines, awos=steps["GLU"])]))
    await lab.settled()
    assert [row.test for row in await lab.results(tube)] == ["GLU"]

    oul = next(raw for raw in station.sent if b"OUL^R22" in raw)
    reading, _read = law_reading(catalog, "generic-law", oul)
    [picture] = [one for one in reading.observations if one.attachment]
    assert picture.kind == "event" and picture.value is None and picture.reference == steps["GLU"]
    assert base64.b64decode(picture.attachment.partition(",")[2]) == png()
    kept = await lab.value("select icerik from ham_mesaj where durum = 'islendi'")
    assert data.encode() in bytes(kept)


@proves("LAW-F.91")
async def test_a_pool_stays_a_pool(pair: Pair) -> None:
    lab, station = pair
    members = [await lab.tube("GLU") for _ in range(4)]
    ack = await station.report(station.result_lines("HAVUZ-1", [gl()], role="L", parents="~".join(members), pooled="4"))
    await lab.settled()
    assert ack.code == "AA"
    assert [len(await lab.results(tube)) for tube in members] == [0, 0, 0, 0]
    [row] = await lab.waiting()
    assert all(tube in " ".join(row.icerik["comments"]) for tube in members)


@proves("LAW-F.96")
def test_escapes_are_read_in_text_and_left_in_data(catalog: Catalog) -> None:
    raw = (
        "MSH|^~\\&|||||||OUL^R22^OUL_R22|1|P|2.5.1\rSPM|1|||SER|||||||P\rSAC|||1\rOBR|1|||X\r"
        "OBX|1|NM|X||7.3|10\\S\\3/mm3|||||F\rOBX|2|ED|Y||^IM^PNG^Base64^QUJD\\T\\RA==||||||F\r"
    )
    first, second = catalog.get("generic-law").read(raw.encode()).observations
    assert first.unit == "10^3/mm3"
    assert second.attachment is not None and "QUJD" in second.attachment and second.kind == "event"


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
