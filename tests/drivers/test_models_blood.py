"""Captures of blood counters, coagulation and HbA1c analysers, read by their own definitions; values checked by eye.

Sysmex XN and XP, Mindray BC and ELite 580 are in test_models.py.
"""

from __future__ import annotations

from collections import Counter

from drivers.capture import messages_in
from drivers.definition import Catalog
from drivers.reading import Reading
from tests.drivers.conftest import capture
from tests.drivers.test_models import by_test, readings


def kinds(reading: Reading) -> Counter[str]:
    return Counter(one.kind for one in reading.observations)


# ---- Horiba Pentra ML: Latin-1, alarms before the results, the analyser's own words for "no barcode"


def test_pentra_ml_warnings_alarms_and_calculated_values(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-pentra-ml", "astm/horiba-pentra-ml/result-alarms-reflex.astm")
    found = by_test(reading)

    assert kinds(reading) == {"result": 33}
    assert (found["WBC"].specimen, found["WBC"].rack, found["WBC"].position) == ("1383382", "106", "9")
    assert found["LIC#"].flags == ["HH", "W"]  # R-7, and the warning of R-9
    assert found["PLT"].flags == ["LL", "N"] and found["PLT"].value == "31"
    assert found["PLT"].comments[-2:] == ["Sch", "PLT - No possible interpretation"]
    assert found["WBC"].comments[:2] == ["Large Immature Cells", "Monocytosis"]
    assert "Reflex DIF Reject PLT" in found["RBC"].comments and found["RBC"].comments[-1] == "Anisocytosis"
    assert found["MCV"].unit == "\u00b5m3"  # the byte B5 of Latin-1
    assert (found["MCV"].operator, found["MCV"].measured_at) == ("PentraDX", None)
    assert found["HGB"].measured_at == "2013-08-02T09:03:03" and not reading.timed


def test_pentra_ml_without_a_patient_identifier(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-pentra-ml", "astm/horiba-pentra-ml/result-no-patient-id.astm")

    assert {(one.specimen, one.patient) for one in reading.observations} == {("1383774", None)}
    assert by_test(reading)["RDW"].flags == ["HH"]


def test_pentra_ml_an_unread_tube_has_no_specimen_and_says_why(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-pentra-ml", "astm/horiba-pentra-ml/result-without-sample-id.astm")

    assert {one.specimen for one in reading.observations} == {None}
    assert all("Incorrect SampleID" in one.comments for one in reading.observations)


def test_pentra_ml_orders_of_a_host(catalog: Catalog) -> None:
    orders = readings(catalog, "horiba-pentra-ml", "astm/horiba-pentra-ml/host-orders-4-sessions.astm")

    assert [[(one.specimen, one.test) for one in reading.observations] for reading in orders] == [
        [("1383787", "CBC"), ("1383787", "DIF")],
        [("1383789", "CBC"), ("1383789", "DIF")],
        [("1383802", "CBC"), ("1383802", "DIF")],
        [("1383804", "DIF"), ("1383804", "CBC")],
    ]
    assert orders[3].observations[0].comments == ["ML DISABLED"]


def test_pentra_ml_contention_leaves_an_order_and_a_result(catalog: Catalog) -> None:
    """Both sides said ENQ; the host gave way, so its order and the result of another tube stand one after the other."""
    order, result = readings(catalog, "horiba-pentra-ml", "astm/horiba-pentra-ml/enq-contention.both.bin")

    assert (order.kind, order.observations[0].specimen) == ("order", "1383665")
    assert (result.kind, by_test(result)["WBC"].specimen, by_test(result)["WBC"].number) == ("results", "1383443", 17.3)
    turns = readings(catalog, "horiba-pentra-ml", "astm/horiba-pentra-ml/enq-contention.turns.tsv")
    assert [turn.fingerprint for turn in turns] == [order.fingerprint, result.fingerprint]


# ---- Horiba Pentra XLR: no units, LOINC that cannot be trusted, "-----"


def test_pentra_xlr_maps_by_name_and_has_no_unit(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-pentra-xlr", "astm/horiba-pentra-xlr/cbc-alarms.astm")
    found = by_test(reading)

    assert list(found)[:3] == ["WBC", "LYM#", "LYM%"] and kinds(reading) == {"result": 21}
    assert (found["RBC"].value, found["RBC"].unit, found["RBC"].flags) == ("4.65", None, [])  # R-5 is 1 in every row
    assert found["WBC"].comments == ["Alarm_WBC^LMNE-^BASO+^LL^NL^LN^NO^SL1", "LARGE IMMATURE CELL^NRBCs"]
    assert found["MON#"].flags == ["L", "W"] and found["PLT"].comments == ["PLATELET AGGREGATS"]
    assert reading.timed


def test_pentra_xlr_dashes_are_no_result(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-pentra-xlr", "astm/horiba-pentra-xlr/cbc-alarms.astm")
    basophils = by_test(reading)["BAS#"]

    assert (basophils.value, basophils.number, basophils.status) == (None, None, "X")
    assert basophils.flags == ["HH", "X"] and basophils.comments == ["Sonuç yok: -----"]


# ---- Horiba Yumizen: curves in M records, ten alarms in one comment, controls by two signs


def test_yumizen_h500_curves_are_events_and_never_results(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-yumizen-h500", "astm/horiba-yumizen-h500/patient-full-graphs.astm")
    events = [one for one in reading.observations if one.kind == "event"]
    found = by_test(reading)

    assert kinds(reading) == {"event": 4, "result": 27}
    assert [one.test for one in events] == ["RbcAlongRes", "PltAlongRes", "LMNEResAbs", "REAGENT"]
    assert (events[0].attachment or "").startswith("FLOATLE-stream/deflate:base64^rdQPa")
    assert (events[3].value or "").startswith("200203I13^20200407000000^20200707\\")  # lot, opened, expires
    assert (found["HGB"].specimen, found["HGB"].value, found["HGB"].flags) == ("2021679", "4.6", ["LL"])
    assert (found["PCT"].flags, found["PCT"].range, found["PCT"].operator) == (["L", "W"], "0.15 - 0.40", "PATHO")
    assert "SUSPECTED_PATHOLOGY^^ANEMIA" in found["HGB"].comments


def test_yumizen_h500_control(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-yumizen-h500", "astm/horiba-yumizen-h500/qc-low-failed-histograms.astm")
    found = by_test(reading)

    assert kinds(reading) == {"event": 4, "qc": 21}
    assert (found["PLT"].specimen, found["PLT"].value, found["PLT"].range) == ("PX440N", "308", "231 - 291")
    assert found["PLT"].comments == ["CONTROL_FAILED^^PLT_ABOVE_TOLERANCE", "ABXdifftrol N"]


def test_yumizen_h550_rack_and_position_and_ten_alarms_in_one_record(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-yumizen-h500", "astm/horiba-yumizen-h550/patient-flags.astm")
    volume = by_test(reading)["MCV"]

    assert (volume.specimen, volume.rack, volume.position) == ("70424906396", "013148", "6")
    assert (volume.number, volume.flags, len(volume.comments)) == (56.1, ["L", "W"], 10)
    assert kinds(reading) == {"event": 1, "result": 4}  # the event: lots, with a bracket that never closes


def test_yumizen_h550_control_with_doubled_delimiters(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-yumizen-h500", "astm/horiba-yumizen-h550/qc-matrix.astm")

    assert kinds(reading) == {"event": 3, "qc": 20}
    assert (by_test(reading)["WBC"].specimen, by_test(reading)["WBC"].number) == ("PX449L", 3.22)


def test_p8000_joins_thirty_five_orders_by_the_specimen(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-yumizen-h2500", "hl7/horiba-yumizen-p8000/oul-r22-cbc.hl7")
    found = by_test(reading)

    assert kinds(reading) == {"result": 35}
    assert {one.specimen for one in reading.observations} == {"201604163002"}  # SPM-2, not the L number of OBR-3
    assert (found["WBC"].value, found["WBC"].unit, found["WBC"].range) == ("6.98", "10^3/mm3", "4.0 - 10.0")
    assert found["LYM%"].comments == ["Lymphoproliferative disorder or viral infection suspicion"]
    assert found["LIC#"].measured_at == "2016-07-05T10:06:30"


def test_halia_picture_and_panic_notes(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "horiba-yumizen-h2500", "hl7/horiba-halia/oul-r22-base64-png.hl7")
    found = {one.test: one for one in reading.observations if one.kind == "result"}
    (picture,) = [one for one in reading.observations if one.kind == "event"]

    assert len(found) == 38 and {one.specimen for one in found.values()} == {"777788889999"}
    assert (found["BAS#"].flags, found["BAS#"].comments) == (["H", "HH"], ["Panic value", "Basophilia"])
    assert found["NEU#"].unit == "10^3/mm3"  # escaped: 10\S\3
    assert (picture.test, picture.value) == ("NEU%", None)
    assert (picture.attachment or "").startswith("data:image/png;base64,iVBOR")


# ---- Mindray BC: a query sent as an order message


def test_bc_query_by_order_message(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "mindray-bc-6800", "hl7/haematology-unnamed-cn/orm-o01-query.hl7")

    assert reading.kind == "query" and reading.queries[0].specimens == ["wbl2506100001"]


def test_bc_kind_of_another_maker_sends_names_and_an_unescaped_power_of_ten(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "mindray-bc-6800", "hl7/haematology-unnamed-cn/oru-r01-cbc-nlr.hl7")
    found = by_test(reading)

    assert kinds(reading) == {"result": 28, "event": 14}  # the events: modes, age, remarks, alarms
    assert (found["WBC"].specimen, found["WBC"].value, found["WBC"].unit) == ("testbarcode", "7.56", "10^9/L")
    assert (found["PLT"].number, found["PLT"].flags, found["NLR"].range) == (427.0, ["H"], "-")
    assert (found["HGB"].unit, found["MCHC"].unit) == ("g/dL", "g/L")


def test_elite_580_a_complete_count(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "erba-elite-580", "hl7/erba-elite-580/oru-r01-cbc-diff.hl7")
    found = by_test(reading)

    assert found["6690-2"].specimen == "25059143" and found["02003"].kind == "event"
    assert found["6690-2"].measured_at == "2025-06-28T17:33:10"  # OBR-7: OBX-14 is empty


def test_elite_580_a_logged_answer_of_a_host_holds_nothing(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "erba-elite-580", "hl7/erba-elite-580/ack-from-host.hl7")

    assert (reading.kind, reading.observations) == ("ack", [])


# ---- Sysmex CS: the unit inside the name, a lot for a whole group, codes that differ between machines


def test_cs_2500_padded_place_and_values_without_a_cr_before_etx(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "sysmex-cs-2500", "astm/sysmex-cs-2500/pt-session.astm")

    assert [(one.test, one.test_name, one.value, one.unit) for one in reading.observations] == [
        ("041", "PT THS", "12.6", "sec"),
        ("042", "PT THS", "102.0", "%"),
        ("043", "PT THS", "1.04", None),
    ]
    first = reading.observations[0]
    assert (first.specimen, first.rack, first.position) == ("4709035", "000001", "01")
    assert (first.flags, first.measured_at) == ([], "2022-09-07T09:38:33")


def test_cs_2500_lot_holds_for_its_group_and_a_limit_is_a_flag(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "sysmex-cs-2500", "astm/sysmex-cs-2500/pt-aptt-lots.astm")
    found = by_test(reading)

    assert {one.specimen for one in reading.observations} == {"6550049260"}
    assert [found[code].lot for code in ("041", "042", "043", "044", "051")] == ["564636"] * 4 + ["562461"]
    assert (found["044"].value, found["044"].flags, found["044"].comments) == ("5.0", [">"], [])


def test_cs_1600_has_inr_under_another_code(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "sysmex-cs-2500", "astm/sysmex-cs-1600/pt.astm")

    assert [(one.test, one.test_name, one.number) for one in reading.observations] == [
        ("041", "PT", 40.6),
        ("042", "PT", 12.8),
        ("044", "PT cal", 4.22),
        ("045", "DFbg", 5.0),
    ]


def test_cs_2500_query_names_the_groups_that_it_could_run(catalog: Catalog) -> None:
    (message,) = messages_in(capture("astm/sysmex-cs-2500/query-with-tests.astm"))
    (query,) = catalog.get("sysmex-cs-2500").read(message.text).queries

    assert (query.specimens, query.tests, query.rack) == (["1680023804"], ["040", "050"], "000002")


# ---- Premier Hb9210: the tube in O-4, a chromatogram among the results


def test_premier_chromatogram_and_code_are_no_results(catalog: Catalog) -> None:
    (reading,) = readings(catalog, "trinity-premier-hb9210", "astm/trinity-premier-hb9210/hba1c-chromatogram.astm")
    found = by_test(reading)

    assert [(one.test, one.value) for one in reading.observations if one.kind == "result"] == [
        ("GHb", None),
        ("HbA1c", "8.5"),
        ("AG", None),
        ("mMA1c", "70"),
    ]
    assert found["HbA1c"].specimen == "3588820543" and found["GHb"].comments == ["Sonuç yok: ---"]
    assert (found["Data Points"].kind, found["Data Points"].value) == ("event", None)
    assert (found["Data Points"].attachment or "").startswith("1,1,-1,-3,")
