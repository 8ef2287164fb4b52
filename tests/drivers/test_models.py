"""Each model's definition on the captures of that model: a few values read off the bytes by eye, its quirks by name."""

from __future__ import annotations

import pytest

from drivers.capture import messages_in
from drivers.definition import Catalog
from drivers.messages import Observation
from drivers.reading import Reading
from tests.drivers.conftest import capture


def readings(catalog: Catalog, model: str, name: str) -> list[Reading]:
    definition = catalog.get(model)
    return [definition.read(message.text) for message in messages_in(capture(name))]


def by_test(reading: Reading) -> dict[str | None, Observation]:
    return {observation.test: observation for observation in reading.observations}


# ---- Sysmex XN: rack, position, padded id and read mode in one field; pictures by file name


def test_xn_reads_the_padded_specimen_and_its_counts(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "sysmex-xn", "astm/sysmex-xn-330/cbc-session.astm")
    white = by_test(reading)["WBC"]

    assert (white.specimen, white.value, white.number, white.unit) == ("BEXX24-00009", "6.15", 6.15, "10*3/uL")
    assert (white.flags, white.status, white.measured_at) == ([], "F", "2023-11-01T13:09:06")
    assert white.raw == {"record": 6}
    assert by_test(reading)["MCV"].flags == ["L"]
    assert reading.timed


def test_xn_pictures_are_events_with_a_file_name_and_never_results(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "sysmex-xn", "astm/sysmex-xn-550/cbc-images-by-name.astm")
    pictures = [one for one in reading.observations if one.kind == "event"]

    assert [one.test for one in pictures] == ["SCAT_WDF", "SCAT_WDF-CBC", "DIST_RBC", "DIST_PLT"]
    assert pictures[0].attachment == "PNG&R&20240628&R&2024_06_27_13_54_27_WDF.PNG"
    assert all(one.value is None and one.number is None for one in pictures)
    assert sum(one.kind == "result" for one in reading.observations) == 37


def test_xn_reads_the_patient_and_the_remark_before_the_order(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "sysmex-xn", "astm/sysmex-xn-550/cbc-images-by-name.astm")
    white = by_test(reading)["WBC"]

    assert (white.specimen, white.patient, white.comments) == ("27", "37182", ["POST HD"])


def test_xn_from_a_logger_that_left_frame_digits_in(catalog: Catalog) -> None:
    """The digit 5 of a second frame stands in the middle of `EO%5`, inside the list of ordered tests."""
    (message,) = messages_in(capture("astm/sysmex-xn-350/cbc-frame-digits-kept.astm"))
    assert b"^^^^EO%\\^^^^BASO%" in message.text
    reading = catalog.get("sysmex-xn").read(message.text)

    assert by_test(reading)["WBC"].number == 12.54
    assert by_test(reading)["NEUT%"].flags == ["W"]
    assert by_test(reading)["Positive_Diff"].value is None


def test_xp_trims_values_padded_with_blanks(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "sysmex-xp-300", "astm/sysmex-xp-100/cbc.astm")
    found = by_test(reading)

    assert (found["WBC"].specimen, found["WBC"].value, found["WBC"].number) == ("113", "5.5", 5.5)
    assert found["MCV"].flags == ["L"] and found["MCV"].number == 84.3
    assert found["WBC"].operator is None  # fifteen blanks


# ---- Roche: a byte stream cut every 240 bytes; codes end in a slash; alarms in C records


def test_c311_reads_the_id_inside_o_3_and_turns_alarms_into_flags(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "roche-cobas-c311", "astm/roche-cobas-c311/chemistry-7-tests.astm")
    found = by_test(reading)

    assert list(found) == ["685", "687", "712", "158", "735", "717", "690"]
    assert (found["717"].specimen, found["717"].value, found["717"].unit) == ("CL-PL-24-0370", "5.85", "mmol/l")
    assert found["685"].flags == ["A", "43"]
    assert found["687"].flags == [] and found["687"].comments == []
    assert not reading.timed  # R has no time; the time of O-23 stands for the whole order


def test_modular_records_cut_inside_codes_read_whole(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "roche-cobas-c311", "astm/roche-modular/20-results-7-frames.astm")
    found = by_test(reading)

    assert len(found) == 20
    assert (found["690"].value, found["690"].flags) == ("4.61", ["H"])  # 4 in one frame, .61 in the next
    assert (found["419"].flags, found["419"].rack, found["419"].position) == (["HH", "26"], "5010", "2")
    assert found["989"].comments == []  # the name in the comment after O is not carried along
    assert {one.specimen for one in reading.observations} == {"61881"}


def test_modular_reported_code_13_1_not_is_test_13(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "roche-cobas-c311", "astm/roche-modular/immuno-diluted-code.astm")

    assert [one.test for one in reading.observations] == ["413", "13", "142", "146"]
    assert by_test(reading)["146"].unit == "nmol/l"  # cut over two frames


def test_elecsys_below_range_has_no_number(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "roche-elecsys-2010", "astm/roche-elecsys-2010/below-range.astm")
    (troponin,) = reading.observations

    assert (troponin.specimen, troponin.test, troponin.value, troponin.number) == ("120949", "201", "<0.010", None)
    assert troponin.flags == ["<"] and troponin.comments == ["50^Result below measuring range"]
    assert (troponin.range, troponin.position, troponin.measured_at) == ("0.000^0.030", "2", "2008-11-24T15:37:16")


# ---- immunoassay without frames, chemistry with ids elsewhere, a plate in one message


def test_maglumi_assay_names_keep_their_roman_numerals(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "snibe-maglumi", "astm/snibe-maglumi/b12-thyroid-4.astm")
    found = by_test(reading)

    assert list(found) == ["Vit B12 II", "TT3 II", "TT4 II", "TSH II"]
    assert (found["TSH II"].number, found["TSH II"].range) == (1.655, "0.3 to 4.5")


def test_bs_240_barcode_in_o_4_and_calculated_tests_by_name(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "mindray-bs-240", "astm/mindray-bs-240/21-results-byte-lost.astm")
    found = by_test(reading)

    assert (found["GGT"].specimen, found["GGT"].value, found["GGT"].rack) == ("25059239", "18.743859", "1")
    assert found["GGT"].position == "7" and found["GGT"].test_name == "Gamma-Glutamyltransferase"
    assert found["Glo"].number == 26.597371 and found["Glo"].measured_at is None


def test_bs_240_latin_1_micro_sign(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "mindray-bs-240", "astm/mindray-bs-240/iron-latin1-unit.astm")

    assert reading.observations[0].unit == "\u00b5g/dL"


def test_euroimmun_plate_with_decimal_commas_and_ids_in_p_4(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "euroimmun-analyzer-i", "astm/euroimmun-analyzer-i/sars-cov-2-run.astm")
    by_specimen = {one.specimen: one for one in reading.observations}

    assert len(by_specimen) == 20
    assert (by_specimen["TEST-27-077-5-1"].value, by_specimen["TEST-27-077-5-1"].number) == ("7,41", 7.41)
    above = by_specimen["TEST-27-079-5-1"]
    assert (above.value, above.number, above.flags) == (">8", None, [">"])
    assert "TEST-27-026-5-1  57" in by_specimen  # the blanks at the end are no part of it


# ---- HL7 blood counters


def test_bc_6800_counts_rack_and_nothing_of_the_graphs(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "mindray-bc-6800", "hl7/mindray-bc-6800/oru-r01-cbc-diff.hl7")
    found = by_test(reading)
    results = [one for one in reading.observations if one.kind == "result"]

    assert len(results) == 40
    assert (found["6690-2"].value, found["6690-2"].unit, found["6690-2"].range) == ("9.81", "10*9/L", "4.00-10.00")
    assert (found["751-8"].flags, found["751-8"].rack, found["751-8"].position) == (["H"], "2", "9")
    assert found["10033"].unit == "\u2030"  # UTF-8 behind "UNICODE"
    assert not [one for one in reading.observations if "Histogram" in (one.test_name or "")]
    assert found["08003"].kind == "event" and found["08003"].value == "CBC+DIFF"


def test_bc_5380_masked_parameters_have_no_value(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "mindray-bc-6800", "hl7/mindray-bc-5380/oru-r01-manual-example.hl7")
    found = by_test(reading)

    assert (found["704-7"].value, found["704-7"].number, found["704-7"].status) == (None, None, "F")
    assert found["789-8"].measured_at == "2008-05-08T15:06:16" and reading.timed
    assert found["789-8"].patient == "7393670"


def test_bc_cyrillic_flags_and_names(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "mindray-bc-6800", "hl7/mindray-bc-cyrillic/oru-r01-cbc-utf8.hl7")

    assert by_test(reading)["713-8"].flags == ["H", "A"]
    assert by_test(reading)["01001"].value == "комменнт"


def test_elite_580_unread_barcode_gives_results_without_a_specimen(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "erba-elite-580", "hl7/erba-elite-580/oru-r01-sample-id-invalid.hl7")

    assert {one.specimen for one in reading.observations} == {None}
    assert by_test(reading)["6690-2"].comments == ["Barkod okunamadı: invalid9"]


def test_elite_580_flags_behind_an_empty_repetition_and_suspect_messages(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "erba-elite-580", "hl7/erba-elite-580/oru-r01-cbc-diff-suspect-flags.hl7")
    found = by_test(reading)

    assert (found["718-7"].flags, found["6690-2"].flags) == (["L", "A"], [])
    assert (found["13203"].kind, found["13203"].test_name, found["13203"].value) == ("event", "Iron Deficiency?", "T")


# ---- IHE LAW


def test_law_specimen_only_in_sac_and_a_value_below_range(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "generic-law", "hl7/abbott-alinity-m/oul-r22-hiv-below-20.hl7")
    (load,) = reading.observations

    assert (load.specimen, load.value, load.number, load.flags) == ("VL00000101", "< 20", None, ["<"])
    assert (load.unit, load.rack, load.position, load.operator) == ("Copies/mL", "A000001", "7", "Pat")
    assert load.reference is None  # OBR-2 is the null: not ordered by us


def test_law_supplemental_rows_are_events_and_the_reagent_lot_is_found(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "generic-law", "hl7/roche-cobas-pro/oul-r22-c503.hl7")
    results = [one for one in reading.observations if one.kind == "result"]

    assert [(one.specimen, one.test, one.value, one.lot) for one in results] == [("022", "20490", "32.2", "256616")]
    assert [one.test for one in reading.observations if one.kind == "event"][:3] == ["PT", "CalibrationID", "QCTID"]


def test_law_controls_never_become_patients(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "generic-law", "hl7/roche-cobas-pure/oul-r22-qc-10-tests.hl7")

    assert {one.kind for one in reading.observations} == {"qc", "event"}
    first = reading.observations[0]
    assert (first.kind, first.specimen, first.test, first.value) == ("qc", "20391", "20340", "9.02")


def test_law_failed_sample_keeps_its_reason(catalog: Catalog) -> None:
    reading = readings(catalog, "generic-law", "hl7/roche-cobas-5800/oul-r22-8-messages.hl7")[0]
    (failed,) = reading.observations

    assert (failed.value, failed.status, failed.flags) == (None, "X", ["U06T"])
    assert failed.comments == ["Pipetting anomaly detected during sample aspiration."]


def test_law_a_local_escape_becomes_a_letter(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "generic-law", "hl7/biosystems-ba400/oul-r22-24-tests.hl7")

    assert len(reading.observations) == 24
    assert not any("Z03BC" in (one.unit or "") for one in reading.observations)


# ---- the generic definitions on dialects that have no definition yet


@pytest.mark.parametrize(
    ("name", "test", "value", "unit", "flags"),
    [
        ("astm/cepheid-genexpert/hiv-vl-1234.astm", "HIV-1_VL 2 2", "1234.56", "copies/mL", ["A"]),
        ("astm/ortho-vitros-3600/tsh-below-limits.astm", "1.0000+950+1.0", "<15", None, ["5", "<"]),
        ("astm/orgentec-alegria/two-messages-one-session.astm", "Mpneu-G", "2.7^U/ml^Neg", None, []),
        ("astm/sysmex-cs-2500/pt-aptt-lots.astm", "041", "10.6", "sec", ["N"]),
        ("hl7/haematology-unnamed-cn/oru-r01-cbc-nlr.hl7", "WBC", "7.56", "10^9/L", []),
        ("hl7/horiba-halia/oul-r22-base64-png.hl7", "NEU#", "4.17", "10^3/mm3", []),
        ("hl7/roche-cobas-4800/oul-r22-run-8-samples.hl7", "0BHIV1", "3.26E+05 cp/mL", "1/mL", ["Full"]),
    ],
)
def test_generic_values(catalog: Catalog, name: str, test: str, value: str, unit: str | None, flags: list[str]) -> None:
    message = messages_in(capture(name))[0]
    reading = catalog.generic(message.protocol).read(message.text)
    found = next(one for one in reading.observations if one.test == test)

    assert (found.value, found.unit, found.flags) == (value, unit, flags)


def test_a_picture_inside_hl7_is_an_attachment(catalog: Catalog) -> None:
    (message,) = messages_in(capture("hl7/horiba-halia/oul-r22-base64-png.hl7"))
    (picture,) = [one for one in catalog.generic("hl7").read(message.text).observations if one.kind == "event"]

    assert picture.attachment is not None and picture.attachment.startswith("data:image/png;base64,iVBOR")
    assert picture.value is None
