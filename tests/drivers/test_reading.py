"""What the definitions read out of messages written by hand, with invented content."""

from __future__ import annotations

from drivers.definition import Catalog
from drivers.reading import Reading


def astm(*records: str) -> bytes:
    return "".join(record + "\r" for record in records).encode()


def hl7(*segments: str) -> bytes:
    return "".join(segment + "\r" for segment in segments).encode()


def generic(catalog: Catalog, *records: str) -> Reading:
    return catalog.generic("astm").read(astm(*records))


HEADER = r"H|\^&|||Demo|||||||P|1|20260101120000"
MSH = "MSH|^~\\&|LAB1|X|||20260101120000||{}|m-1|P|2.5.1"


# ---- the plain form of the demonstration laboratory


def test_plain_astm_results(catalog: Catalog) -> None:
    """Specimen in O.3, test in R.3.4, the catalogue's own codes."""
    reading = generic(
        catalog,
        HEADER,
        "P|1||12345678950",
        r"O|1|1001||^^^GLU\^^^K|R",
        "R|1|^^^GLU|92|mg/dL|70 - 105|N||F||op1||20260101115800",
        "R|2|^^^K|6.9|mmol/L|3.5-5.1|HH||F||op1||20260101115830",
        "C|1|I|Hemoliz 1+|G",
        "L|1|N",
    )
    glucose, potassium = reading.observations

    assert (glucose.kind, glucose.instrument, glucose.specimen, glucose.patient) == (
        "result", "generic-astm", "1001", "12345678950",
    )  # fmt: skip
    assert (glucose.test, glucose.value, glucose.number, glucose.unit) == ("GLU", "92", 92.0, "mg/dL")
    assert (glucose.range, glucose.status, glucose.operator) == ("70 - 105", "F", "op1")
    assert (glucose.measured_at, glucose.raw) == ("2026-01-01T11:58:00", {"record": 4})
    assert (potassium.flags, potassium.comments) == (["HH"], ["Hemoliz 1+"])
    assert reading.kind == "results" and reading.timed and reading.problem is None


def test_impossible_date_is_no_time_and_breaks_nothing(catalog: Catalog) -> None:
    reading = generic(catalog, HEADER, "P|1", "O|1|1001", "R|1|^^^K|4.1|mmol/L||||F||||20261399250000", "L|1|N")

    assert reading.observations[0].measured_at is None
    assert reading.observations[0].number == 4.1
    assert not reading.timed


def test_text_where_a_number_belongs_stays_text(catalog: Catalog) -> None:
    values = ["NA", "-----", "No Result", "POZİTİF", "1.2.3", "0x10", "nan", "1_000", "++"]
    records = [f"R|{n}|^^^T{n}|{value}|mg/dL" for n, value in enumerate(values, 1)]
    reading = generic(catalog, HEADER, "P|1", "O|1|1001", *records, "L|1|N")

    assert [one.value for one in reading.observations] == values
    assert {one.number for one in reading.observations} == {None}


def test_numbers_in_every_spelling(catalog: Catalog) -> None:
    values = {"173.": 173.0, ".5": 0.5, "-0.12": -0.12, "3.26E+05": 326000.0, "7,41": 7.41, "1,234": None, "007": 7.0}
    records = [f"R|{n}|^^^T{n}|{value}" for n, value in enumerate(values, 1)]
    reading = generic(catalog, HEADER, "P|1", "O|1|1001", *records, "L|1|N")

    assert {one.value: one.number for one in reading.observations} == values


def test_a_comparator_is_a_flag_and_no_number(catalog: Catalog) -> None:
    values = {"<0.01": "<", ">= 350": ">=", "> Titer max": ">", "\u22645": "<=", "<2": "<"}
    records = [f"R|{n}|^^^T{n}|{value}" for n, value in enumerate(values, 1)]
    reading = generic(catalog, HEADER, "P|1", "O|1|1001", *records, "L|1|N")

    assert [(one.value, one.number, one.flags) for one in reading.observations] == [
        (value, None, [flag]) for value, flag in values.items()
    ]


def test_a_test_that_comes_again_is_a_further_replicate(catalog: Catalog) -> None:
    reading = generic(
        catalog, HEADER, "P|1", "O|1|1001", "R|1|^^^CR|0.5", "R|2|^^^K|4", "R|3|^^^CR|0.4", "P|2", "O|1|1002",
        "R|1|^^^CR|0.9", "L|1|N",
    )  # fmt: skip

    assert [(one.specimen, one.test, one.replicate) for one in reading.observations] == [
        ("1001", "CR", 1), ("1001", "K", 1), ("1001", "CR", 2), ("1002", "CR", 1),
    ]  # fmt: skip


def test_nothing_of_one_patient_reaches_the_next(catalog: Catalog) -> None:
    """The second order has no identifier at all: its result stays without one."""
    reading = generic(
        catalog,
        HEADER,
        "P|1||P1",
        "O|1|1001",
        "C|1|I|lipemik|G",
        "R|1|^^^K|4.1",
        "P|2",
        "O|1|",
        "R|1|^^^K|9.9",
        "L|1|N",
    )
    first, second = reading.observations

    assert (first.specimen, first.patient, first.comments) == ("1001", "P1", ["lipemik"])
    assert (second.specimen, second.patient, second.comments) == (None, None, [])


def test_other_delimiters_are_taken_from_the_header(catalog: Catalog) -> None:
    reading = generic(catalog, "H|@!~|||DxH", "P|1", "O|1|1001!2", "R|1|!!!WBC!33256-9|6.1|10^3/uL||H@L", "L|1|N")
    (white,) = reading.observations

    assert (white.specimen, white.test, white.unit, white.flags) == ("1001", "WBC", "10^3/uL", ["H", "L"])


def test_specimen_homes(catalog: Catalog) -> None:
    """Where instruments put the identifier, and where they put something else in its place."""
    homes = {
        "O|1|1001": "1001",
        "O|1||1002^^3": "1002",
        "O|1||2^5^          1003^B": "1003",
        "O|1|2^5^          1004^B": "1004",
        "O|1||2^5^               ^B": None,  # read by no barcode reader: the rack is no specimen
        "O|1|2^5^               ^B": None,
        "O|1|7^1^7|1005": "1005",
        "O|1|11625^CL-6          ^1^^004|R1": "CL-6",
        "O|1|1007^2^10": "1007",
        r"O|1|1008|1008^^\1008^^": "1008",
    }
    for order, specimen in homes.items():
        reading = generic(catalog, HEADER, "P|1", order, "R|1|^^^K|4.1", "L|1|N")
        assert reading.observations[0].specimen == specimen, order


def test_a_control_by_any_standard_sign_is_no_result(catalog: Catalog) -> None:
    signs = [
        (r"H|\^&|||X|||||||Q", "O|1|9001"),
        (HEADER, "O|1|PCCC2||^^^K|||||||Q"),
        (HEADER, "O|1|PCCC2|1^2^3^^QC^SC"),
        (HEADER, "O|1|C1|1^2^3^^CONTROL^NORMAL"),
        (HEADER, "O|1|PX1||^^^DIF|R||||||||||CTRL^^CTRL LOW"),
        (HEADER, "O|1|QC 1"),
    ]
    for header, order in signs:
        reading = generic(catalog, header, "P|1", order, "R|1|^^^K|4.1", "L|1|N")
        assert [one.kind for one in reading.observations] == ["qc"], order


def test_an_order_that_failed_without_a_result_is_an_event(catalog: Catalog) -> None:
    reading = generic(
        catalog, HEADER, "P|1", "O|1|1001||^^^HIV" + "|" * 21 + "X", "C|1|I|4442 : kontrol çevrimi yüksek|I", "L|1"
    )
    (event,) = reading.observations

    assert (event.kind, event.specimen, event.test, event.status) == ("event", "1001", "HIV", "X")
    assert event.comments == ["4442 : kontrol çevrimi yüksek"]


def test_an_order_of_a_host_is_one_line_for_each_test(catalog: Catalog) -> None:
    reading = generic(catalog, HEADER, "P|1||7", r"O|1|1001||^^^NA\^^^K|S" + "|" * 20 + "O", "L|1|N")

    assert [(one.kind, one.specimen, one.test, one.status) for one in reading.observations] == [
        ("order", "1001", "NA", "O"), ("order", "1001", "K", "O"),
    ]  # fmt: skip
    assert reading.kind == "order"


def test_an_order_without_result_beside_results_is_an_event(catalog: Catalog) -> None:
    reading = generic(catalog, HEADER, "P|1", "O|1|1001||^^^K", "R|1|^^^K|4", "O|2|1001||^^^NA", "L|1|N")

    assert [(one.kind, one.test) for one in reading.observations] == [("result", "K"), ("event", "NA")]


def test_a_picture_in_a_result_is_an_event(catalog: Catalog) -> None:
    picture = "iVBORw0KGgo" + "A" * 189
    reading = generic(catalog, HEADER, "P|1", "O|1|1001", f"R|1|^^^HIST|{picture}|", "R|2|^^^K|4.1", "L|1|N")
    event, result = reading.observations

    assert (event.kind, event.value, event.attachment) == ("event", None, f"data:image/png;base64,{picture}")
    assert result.kind == "result"


# ---- queries


def test_query_for_several_tubes_keeps_their_order(catalog: Catalog) -> None:
    reading = generic(catalog, HEADER, r"Q|1|^1003\1001\1002||ALL||||||||O", "L|1|N")
    (query,) = reading.queries

    assert (query.specimens, query.everything, query.cancels, query.tests) == (
        ["1003", "1001", "1002"],
        False,
        False,
        [],
    )
    assert reading.kind == "query" and query.record == 2


def test_query_dialects(catalog: Catalog) -> None:
    dialects = {
        "Q|1|^1001||ALL||||||||O": ["1001"],
        "Q|1|1001||ALL": ["1001"],
        "Q|1|P7^1001": ["1001"],
        "Q|1|^^                  1001^0^50042^042^^S0^||ALL||||||||O": ["1001"],
        "Q|1|000002^01^     1001^B": ["1001"],
        "Q|1|000002^01^               ^B": [],  # a tube without a readable barcode
        "Q|1|^1001^5^A||ALL": ["1001"],
        "Q|1|^1001^#ENTRADA 1^D8||||||||||O": ["1001"],
    }
    for record, specimens in dialects.items():
        (query,) = generic(catalog, HEADER, record, "L|1|N").queries
        assert (query.specimens, query.everything) == (specimens, False), record


def test_query_for_everything_and_a_query_taken_back(catalog: Catalog) -> None:
    (everything,) = generic(catalog, HEADER, "Q|1|^ALL||ALL||||||||O", "L|1|N").queries
    (cancelled,) = generic(catalog, HEADER, "Q|1|^1001||ALL||||||||A", "L|1|T").queries

    assert everything.everything and everything.specimens == []
    assert cancelled.cancels and cancelled.specimens == ["1001"]


def test_query_for_a_range_names_its_last_tube(catalog: Catalog) -> None:
    (query,) = generic(catalog, HEADER, "Q|1|^26000140|^26000149|ALL||||||||O", "L|1|N").queries
    assert (query.specimens, query.until) == (["26000140"], "26000149")
    for one in ("Q|1|^1001||ALL", "Q|1|^1001|^1001|ALL", r"Q|1|^1001\1002|^1009|ALL", "Q|1|^ALL|^1009|ALL"):
        (query,) = generic(catalog, HEADER, one, "L|1|N").queries
        assert query.until is None, one


def test_query_that_names_tests(catalog: Catalog) -> None:
    (query,) = generic(catalog, HEADER, r"Q|1|^1001||^^^040^PT\^^^050^APTT|0", "L|1|N").queries

    assert query.tests == ["040", "050"]


# ---- what a person has to look at


def test_a_message_without_its_end_says_so(catalog: Catalog) -> None:
    """The last value may be cut: 7.1 of 7.12."""
    reading = generic(catalog, HEADER, "P|1", "O|1|1001", "R|1|^^^K|7.1")

    assert reading.problem is not None and "yarım" in reading.problem
    assert len(reading.observations) == 1


def test_a_record_of_an_unknown_kind_is_named(catalog: Catalog) -> None:
    reading = generic(catalog, HEADER, "P|1", "O|1|1001", "Z|1|?", "R|1|^^^K|7.1", "L|1|N")

    assert reading.problem is not None and "(Z)" in reading.problem
    assert len(reading.observations) == 1


def test_no_message_at_all(catalog: Catalog) -> None:
    assert generic(catalog, "hello").problem is not None
    assert catalog.generic("astm").read(b"").problem is not None
    assert catalog.generic("hl7").read(b"H|x").problem is not None


# ---- the fingerprint


def test_a_repeated_message_has_one_fingerprint_whatever_its_header_says(catalog: Catalog) -> None:
    body = ["P|1", "O|1|1001", "R|1|^^^K|7.1||||||||||20260101115800", "L|1|N"]
    first = generic(catalog, HEADER, *body)
    again = generic(catalog, HEADER.replace("120000", "120500"), *body)
    other = generic(catalog, HEADER, *[record.replace("7.1", "7.2") for record in body])

    assert len(first.fingerprint) == 32
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.fingerprint == catalog.generic("astm").read(astm(HEADER, *body).replace(b"\r", b"\r\n")).fingerprint


def test_an_hl7_fingerprint_forgets_time_and_control_id_only(catalog: Catalog) -> None:
    def read(time: str, control: str, sender: str, value: str) -> bytes:
        message = hl7(
            f"MSH|^~\\&|{sender}||||{time}||ORU^R01|{control}|P|2.3.1", "OBR|1||1001", f"OBX|1|NM|K||{value}|||||F"
        )
        return catalog.generic("hl7").read(message).fingerprint

    assert read("20260101", "1", "A", "4.1") == read("20260102", "2", "A", "4.1")
    assert read("20260101", "1", "A", "4.1") != read("20260101", "1", "B", "4.1")
    assert read("20260101", "1", "A", "4.1") != read("20260101", "1", "A", "4.2")


# ---- HL7


def test_hl7_results_with_several_specimens_in_one_message(catalog: Catalog) -> None:
    reading = catalog.generic("hl7").read(
        hl7(
            MSH.format("OUL^R22^OUL_R22"),
            "SPM|1|1001&LAB||SER|||||||P", "SAC|||1001|||||||R1|4",
            'OBR||""||GLU', "ORC|SC",
            "OBX|1|NM|GLU^Glukoz^L|1|92|mg/dL^^UCUM|70-105|N^^HL70078|||F|||||op1||X|20260101115800",
            "NTE|1||tekrar edildi",
            "SPM|2|||SER|||||||Q", "SAC|||K-1",
            'OBR||""||GLU', "ORC|SC", "OBX|1|SN|GLU^Glukoz^L|1|<^0.5|mg/dL^^UCUM||<|||F",
        )
    )  # fmt: skip
    patient, control = reading.observations

    assert (patient.kind, patient.specimen, patient.rack, patient.position) == ("result", "1001", "R1", "4")
    assert (patient.test, patient.test_name, patient.unit, patient.flags) == ("GLU", "Glukoz", "mg/dL", ["N"])
    assert (patient.measured_at, patient.comments, patient.raw) == (
        "2026-01-01T11:58:00", ["tekrar edildi"], {"record": 6},
    )  # fmt: skip
    assert (control.kind, control.specimen, control.rack) == ("qc", "K-1", None)
    assert (control.value, control.number, control.flags, control.comments) == ("<0.5", None, ["<"], [])


def test_hl7_specimen_that_follows_its_order(catalog: Catalog) -> None:
    reading = catalog.generic("hl7").read(
        hl7(MSH.format("ORU^R01"), "ORC|RE|A1", "OBR|1|A1||GLU", "OBX|1|NM|GLU||92|mg/dL|||||F", "SPM|1|1001",
            "ORC|RE|A2", "OBR|2|A2||K", "OBX|1|NM|K||4.1|mmol/L|||||F", "SPM|1|1002")
    )  # fmt: skip

    assert [(one.specimen, one.test) for one in reading.observations] == [("1001", "GLU"), ("1002", "K")]


def test_hl7_result_of_several_tubes_is_bound_to_none(catalog: Catalog) -> None:
    reading = catalog.generic("hl7").read(
        hl7(MSH.format("ORU^R01"), "OBR|1|A1||GTT", "OBX|1|NM|GLU||92|mg/dL|||||F", "SPM|1|1001", "SPM|2|1002")
    )
    (result,) = reading.observations

    assert result.specimen is None
    assert result.comments == ["Birden çok numuneyle ilgili: 1001, 1002"]


def test_hl7_values_by_type(catalog: Catalog) -> None:
    rows = {
        "OBX|1|SN|A||>=^350": (">=350", None, [">="]),
        "OBX|1|SN|A||^1^:^128": ("1:128", None, []),
        "OBX|1|SN|A||^100": ("100", 100.0, []),
        "OBX|1|CWE|A||NEG^Non-reactive^99XYZ": ("NEG", None, []),
        "OBX|1|CE|A||^Trace^99XYZ": ("Trace", None, []),
        "OBX|1|NM|A||2.40": ("2.40", 2.4, []),
        'OBX|1|NM|A||""||||||F': (None, None, []),
        "OBX|1|ST|A||a\\T\\b \\F\\ c": ("a&b | c", None, []),
        "OBX|1|NM|A||abc": ("abc", None, []),
    }
    for row, (value, number, flags) in rows.items():
        (one,) = catalog.generic("hl7").read(hl7(MSH.format("ORU^R01"), "OBR|1||1001", row)).observations
        assert (one.value, one.number, one.flags) == (value, number, flags), row


def test_hl7_units_with_and_without_escapes(catalog: Catalog) -> None:
    units = {
        "mg/dL^^UCUM": "mg/dL", "^Copies/mL": "Copies/mL", "10^9/L": "10^9/L", "10\\S\\3/mm3": "10^3/mm3",
        "^^UCUM": None, "10^3/mm3^^L": "10^3/mm3", "": None,
    }  # fmt: skip
    for sent, unit in units.items():
        message = hl7(MSH.format("ORU^R01"), "OBR|1||1001", f"OBX|1|NM|A||5|{sent}")
        assert catalog.generic("hl7").read(message).observations[0].unit == unit, sent


def test_hl7_queries(catalog: Catalog) -> None:
    read = catalog.generic("hl7").read
    by_tube = read(hl7(MSH.format("QBP^Q11^QBP_Q11"), "QPD|WOS^Work Order Step^IHELAW|q1|1001", "RCP|I"))
    by_rack = read(hl7(MSH.format("QBP^Q11^QBP_Q11"), "QPD|WOS_BY_RACK^x^IHELAW|q2||R4|3"))
    counter = read(hl7(MSH.format("ORM^O01"), "ORC|RF||1002||IP"))
    everything = read(hl7(MSH.format("QBP^Q11"), "QPD|WOS_ALL^x^IHELAW|q3"))

    assert by_tube.queries[0].specimens == ["1001"]
    assert (by_rack.queries[0].specimens, by_rack.queries[0].rack, by_rack.queries[0].position) == ([], "R4", "3")
    assert counter.queries[0].specimens == ["1002"]
    assert everything.queries[0].everything


def test_hl7_orders_and_acknowledgements(catalog: Catalog) -> None:
    read = catalog.generic("hl7").read
    order = read(
        hl7(MSH.format("OML^O21"), "PID|1||77", "ORC|NW|A1", "OBR|1|A1||GLU^Glukoz", "NTE|1||aç", "SPM|1|1001")
    )
    (one,) = order.observations

    assert (one.kind, one.specimen, one.patient, one.test, one.test_name, one.status, one.comments) == (
        "order", "1001", "77", "GLU", "Glukoz", "NW", ["aç"],
    )  # fmt: skip
    assert read(hl7(MSH.format("ACK^R01"), "MSA|AA|m-1")).kind == "ack"
    assert read(hl7(MSH.format("ADT^A08"), "PID|1||77", "OBX|1|NM|boy||180")).kind == "other"


# ---- what only a model's definition knows


def test_ised_error_codes_are_no_sedimentation(catalog: Catalog) -> None:
    """-7 means that the tube was too clear; it must never be read as a number."""
    reading = catalog.get("alcor-ised").read(
        astm(
            r"H|\^&|||Alcor^iSED^01.00A^01|||||||P|E 1394-97|20260101120000",
            "P|1", "O|1|1001^5||^^^ESR", "R|1|^^^ESR^4537-7|-7|mm/h||||X||||20260101115800|01",
            "P|2", "O|1|1002^6||^^^ESR", "R|1|^^^ESR^4537-7|12|mm/h||||F||||20260101115900|01", "L|1|N",
        )
    )  # fmt: skip
    failed, good = reading.observations

    assert (failed.value, failed.number, failed.translation) == ("-7", None, "Ölçülemedi: numune çok açık")
    assert (good.specimen, good.position, good.value, good.number) == ("1002", "6", "12", 12.0)


def test_cobas_qualitative_sign_and_index(catalog: Catalog) -> None:
    reading = catalog.get("roche-cobas-e411").read(
        astm(
            r"H|\^&|||cobas-e411^1|||||host|RSUPL^REAL|P|1", "P|1",
            r"O|1|                  1001|7^0003^2^^S1^SC|^^^900^1\^^^117^1|R||||||N||||1",
            "R|1|^^^900/1/not|-1^0.567|COI||N||F||ADMIN|||E1", "R|2|^^^117/1/not|<2.00|IU/l||LL||F||ADMIN|||E1",
            "C|1|I|27|I", "L|1|N",
        )
    )  # fmt: skip
    sign, low = reading.observations

    assert (sign.specimen, sign.test, sign.value, sign.number) == ("1001", "900", "-1^0.567", None)
    assert sign.translation == "Negatif"
    assert (low.value, low.number, low.flags, low.translation) == ("<2.00", None, ["LL", "<", "27"], None)
    assert (sign.rack, sign.position) == ("0003", "2")


def test_e411_unread_barcode(catalog: Catalog) -> None:
    reading = catalog.get("roche-cobas-e411").read(
        astm(r"H|\^&|||cobas-e411^1", "P|1", "O|1|@12|12^0003^2^^S1^SC", "R|1|^^^117/1/not|5.2|IU/l||N||F", "L|1|N")
    )

    assert reading.observations[0].specimen is None
    assert reading.observations[0].comments == ["Barkod okunamadı: @12"]


def test_law_reflex_run_and_our_work_step(catalog: Catalog) -> None:
    reading = catalog.get("generic-law").read(
        hl7(
            MSH.format("OUL^R22^OUL_R22"), "SPM|1|||SER|||||||P", "SAC|||26000150",
            "OBR|1|AW-26-0000610||1988-5^CRP^LN", "ORC|SC||||CM",
            "OBX|1|SN|1988-5^CRP^LN|1|>^350|mg/L^^UCUM||>^^HL70078|||F|||||AUTO||XY|20260101085800||||||||||RSLT",
            "OBX|2|NM|1988-5^CRP^LN|2|412.6|mg/L^^UCUM||HH^^HL70078|||F|||||AUTO||XY|20260101090930||||||||||RSLT",
            "INV|CRPR|OK|MR|B1||||||||20270331||||L4471",
        )
    )  # fmt: skip
    first, second = reading.observations

    assert (first.reference, first.replicate, first.value, first.flags) == ("AW-26-0000610", 1, ">350", [">"])
    assert (second.replicate, second.number, second.flags, second.lot) == (2, 412.6, ["HH"], "L4471")


def test_a_message_for_nobody(catalog: Catalog) -> None:
    """An analyser without a [query] table asks: a person is told, nothing is invented."""
    reading = catalog.get("erba-elite-580").read(hl7(MSH.format("QBP^Q11"), "QPD|WOS|q|1001"))

    assert reading.queries == [] and reading.problem is not None
