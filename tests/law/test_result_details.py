"""LAB-29: lots, devices, units, values, pictures, pools: what is kept beside a number, and what a number is."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest

from drivers.capture import messages_in
from drivers.definition import Catalog
from drivers.law_reading import law_of, read_law
from drivers.protocols import hl7
from drivers.protocols.law import read_report
from simulators.law_station import LawResult, LawStation, obx
from simulators.segments import segment
from tests.drivers.conftest import capture
from tests.law.conftest import LawLab, fields, proves
from tests.law.test_results import UNIT, gl, with_step

Pair = tuple[LawLab, LawStation]


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
