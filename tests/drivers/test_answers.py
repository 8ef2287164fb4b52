"""A query in, the answer out: bytes worked out by hand from the documents named in each definition's `source`."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from drivers.definition import Catalog, Definition, DefinitionError
from drivers.messages import Query, WorkOrder, WorkPatient, WorkTest
from drivers.protocols import hl7

NOW = datetime(2026, 1, 1, 12, 0, 5, tzinfo=ZoneInfo("Europe/Istanbul"))
AYSE = WorkPatient("12345678950", "ÖRNEK", "AYŞE", "19800214", "F")


def work(specimen: str, *codes: str, known: bool = True, patient: WorkPatient | None = None) -> WorkOrder:
    """An order for one tube; a code with `!` in front is urgent."""
    tests = tuple(WorkTest(code.lstrip("!"), priority="S" if code[0] == "!" else "R") for code in codes)
    return WorkOrder(specimen=specimen, known=known, tests=tests, patient=patient)


def asked(definition: Definition, *records: str) -> Query:
    (query,) = definition.read("".join(record + "\r" for record in records).encode()).queries
    return query


def answered(definition: Definition, query: Query, *orders: WorkOrder) -> list[str]:
    """The answer as text, records apart by ¶."""
    messages = definition.answer(query, orders, now=NOW, sender="NUMUNE", control_id="n-1")
    return [message.decode("cp1254").replace("\r", "¶") for message in messages]


# ---- generic ASTM


def test_generic_answer_names_the_tests_in_o_5(catalog: Catalog) -> None:
    generic = catalog.generic("astm")
    query = asked(generic, r"H|\^&|||Demo|||||||P|1", "Q|1|^1001||ALL||||||||O", "L|1|N")

    assert answered(generic, query, work("1001", "GLU", "!K", patient=AYSE)) == [
        r"H|\^&|||NUMUNE|||||Demo||P|E1394-97|20260101120005¶"
        "P|1||12345678950||ÖRNEK^AYŞE||19800214|F¶"
        r"O|1|1001||^^^GLU\^^^K|S||||||N||||||||||||||Q¶"
        "L|1|F¶"
    ]


def test_generic_unknown_number_and_nothing_to_do_are_told_apart(catalog: Catalog) -> None:
    generic = catalog.generic("astm")
    query = asked(generic, r"H|\^&|||Demo", "Q|1|^9999||ALL||||||||O", "L|1|N")

    (unknown,) = answered(generic, query)
    (nothing,) = answered(generic, query, work("9999"))
    assert unknown.split("¶")[2] == "O|1|9999" + "|" * 23 + "Z"
    assert nothing.split("¶")[2] == "O|1|9999" + "|" * 23 + "Y"
    assert unknown.split("¶")[3] == nothing.split("¶")[3] == "L|1|I"


def test_generic_five_tubes_in_one_question_are_answered_in_their_order(catalog: Catalog) -> None:
    generic = catalog.generic("astm")
    query = asked(generic, r"H|\^&|||Demo", r"Q|1|^3\1\2||ALL||||||||O", "L|1|N")
    (answer,) = answered(generic, query, work("1", "GLU"), work("3", "K"))

    orders = [record for record in answer.split("¶") if record.startswith("O")]
    assert [order.split("|")[2] for order in orders] == ["3", "1", "2"]
    assert [order.split("|")[25] for order in orders] == ["Q", "Q", "Z"]


def test_generic_answers_with_the_delimiters_of_the_question(catalog: Catalog) -> None:
    """GeneXpert writes @^\\: the repeat character of our answer is @ too, and a code with @ in it is escaped."""
    generic = catalog.generic("astm")
    query = asked(generic, "H|@^\\|GXM-1||Xpert", "Q|1|^1001||ALL||||||||O", "L|1|N")
    (answer,) = answered(generic, query, work("1001", "A", "B@C"))

    assert answer.startswith("H|@^\\|")
    assert "|^^^A@^^^B\\R\\C|" in answer


def test_a_name_cannot_break_a_record(catalog: Catalog) -> None:
    generic = catalog.generic("astm")
    query = asked(generic, r"H|\^&|||Demo", "Q|1|^1001||ALL||||||||O", "L|1|N")
    (answer,) = answered(generic, query, work("1001", "K", patient=WorkPatient("1", "A|B^C\rL|1|N", "X&Y")))

    assert answer.split("¶")[1] == "P|1||1||A&F&B&S&C&X0D&L&F&1&F&N^X&E&Y|||U"


def test_a_query_taken_back_gets_no_answer(catalog: Catalog) -> None:
    generic = catalog.generic("astm")
    query = asked(generic, r"H|\^&|||Demo", "Q|1|^1001||ALL||||||||A", "L|1|T")

    assert answered(generic, query, work("1001", "K")) == []


# ---- Sysmex XN: rack, position, padded id and attribute come back byte for byte


def test_xn_repeats_the_place_of_the_tube(catalog: Catalog) -> None:
    xn = catalog.get("sysmex-xn")
    query = asked(
        xn, r"H|\^&|||    XN-550^00-24^22723^^^^BD634545||||||||E1394-97", "Q|1|2^1^            26000145^B", "L|1|N"
    )

    assert (query.specimens, query.rack, query.position) == (["26000145"], "2", "1")
    assert answered(xn, query, work("26000145", "WBC", "RBC", patient=AYSE)) == [
        r"H|\^&|||||||||||E1394-97¶"
        "P|1|||12345678950|^AYŞE^ÖRNEK||19800214|F¶"
        r"O|1|2^1^            26000145^B||^^^^WBC\^^^^RBC||20260101120005|||||N||||||||||||||Q¶"
        "L|1|N¶"
    ]


def test_xn_without_an_order(catalog: Catalog) -> None:
    xn = catalog.get("sysmex-xn")
    query = asked(xn, r"H|\^&|||    XN-550", "Q|1|2^1^            26000145^B", "L|1|N")

    assert answered(xn, query) == [
        r"H|\^&|||||||||||E1394-97¶"
        "P|1¶O|1|2^1^            26000145^B||||20260101120005|||||N||||||||||||||Y¶L|1|N¶"
    ]


# ---- Roche


def test_c311_copies_sequence_rack_and_position(catalog: Catalog) -> None:
    c311 = catalog.get("roche-cobas-c311")
    query = asked(
        c311,
        r"H|\^&|||H7600^1|||||host|TSREQ^REAL|P|1",
        "Q|1|^^              26000145^0^50042^042^^S1^SC||ALL||||||||O",
        "L|1|N",
    )

    assert (query.specimens, query.rack, query.position) == (["26000145"], "50042", "042")
    assert answered(c311, query, work("26000145", "717", "418")) == [
        r"H|\^&|||host^1|||||H7600|TSDWN^REPLY|P|1¶"
        "P|1¶"
        r"O|1|              26000145|0^50042^042^^S1^SC|^^^717^\^^^418^|R||||||A||||1||||||||||O¶"
        "L|1|N¶"
    ]


def test_c311_without_an_order_hears_that_there_is_nothing(catalog: Catalog) -> None:
    """L|1|I of LIS02-A2: the tube passes at once instead of after the analyser's time limit."""
    c311 = catalog.get("roche-cobas-c311")
    query = asked(
        c311, r"H|\^&|||H7600^1|||||host|TSREQ^REAL|P|1", "Q|1|^^9999^0^50042^042^^S1^SC||ALL||||||||O", "L|1|N"
    )

    assert answered(c311, query) == [r"H|\^&|||host^1|||||H7600|TSDWN^REPLY|P|1¶L|1|I¶"]


def test_e411_in_its_cobas_setting(catalog: Catalog) -> None:
    e411 = catalog.get("roche-cobas-e411")
    query = asked(
        e411,
        r"H|\^&|||cobas-e411^1|||||host|TSREQ^REAL|P|1",
        "Q|1|^^26000145^3668^@8^1^^S1^SC||ALL||||||||O",
        "L|1|N",
    )

    assert answered(e411, query, work("26000145", "150", "!140")) == [
        r"H|\^&|||host^1|||||cobas-e411|TSDWN^REPLY|P|1¶P|1¶"
        r"O|1|26000145|3668^@8^1^^S1^SC|^^^150^\^^^140^|S||||||A||||1||||||||||O¶L|1|N¶"
    ]


def test_elecsys_answer_and_its_no_order(catalog: Catalog) -> None:
    elecsys = catalog.get("roche-elecsys-2010")
    query = asked(elecsys, r"H|\^&||||||||||P||", "Q|1|^26000145^3^@95^2^^SAMPLE^NORMAL||ALL||||||||O", "L|1|I")

    assert answered(elecsys, query, work("26000145", "141", "137")) == [
        r"H|\^&||||||||||P||¶P|1¶"
        r"O|1|26000145|3^@95^2^^SAMPLE^NORMAL|^^^141^\^^^137^|R|20260101120005|||||N||||||||||||||Q¶L|1|N¶"
    ]
    (nothing,) = answered(elecsys, query)
    assert nothing.split("¶")[2] == ("O|1|26000145|3^@95^2^^SAMPLE^NORMAL||R|20260101120005|||||N||||||||||||||Z")


# ---- Snibe: no frames, the header comes back


def test_maglumi_answer(catalog: Catalog) -> None:
    maglumi = catalog.get("snibe-maglumi")
    query = asked(
        maglumi, r"H|\^&||PSWD|Maglumi User|||||Lis||P|E1394-97|20260101", "Q|1|^26000145||ALL||||||||O", "L|1|N"
    )

    (answer,) = maglumi.answer(query, [work("26000145", "TSH II", "FT4")], now=NOW, sender="NUMUNE", control_id="1")
    assert answer == (
        b"H|\\^&||PSWD|Maglumi User|||||Lis||P|E1394-97|20260101\rP|1\rO|1|26000145||^^^TSH II\\^^^FT4\rL|1|N\r"
    )
    assert maglumi.frames(answer) == [b"\x02" + answer + b"\x03"]


# ---- HL7


def _hl7(message: bytes) -> list[str]:
    return message.decode().rstrip("\r").split("\r")


LAW_QUERY = (
    "MSH|^~\\&|CHEM1|MERKEZ|NUMUNE|MERKEZ|20261203081500+0300||QBP^Q11^QBP_Q11|c1-000101|P|2.5.1|||NE|AL|"
    "|UNICODE UTF-8|||LAB-27^IHE",
    "QPD|WOS^Work Order Step^IHELAW|q-7f31|26000145",
    "RCP|I||R^Real Time^HL70394",
)


def test_law_answers_the_query_and_then_sends_the_work(catalog: Catalog) -> None:
    law = catalog.get("generic-law")
    query = asked(law, *LAW_QUERY)
    order = WorkOrder(
        specimen="26000145",
        known=True,
        material="SER",
        patient=AYSE,
        tests=(WorkTest("3016-3", "TSH", "S", reference="AW-1"), WorkTest("2857-1", "PSA", reference="AW-2")),
    )

    response, work_message = law.answer(query, [order], now=NOW, sender="NUMUNE", control_id="n-881")
    assert _hl7(response)[1:] == [
        "MSA|AA|c1-000101",
        "QAK|q-7f31|OK|WOS^Work Order Step^IHELAW",
        "QPD|WOS^Work Order Step^IHELAW|q-7f31|26000145",
    ]
    read = hl7.parse(work_message)
    assert (read.type, read.control_id) == (("OML", "O33", "OML_O33"), "n-881-1")
    assert [segment.get(2) for segment in read.all("OBR")] == ["AW-1", "AW-2"]
    assert [segment.get(4) for segment in read.all("OBR")] == ["3016-3", "2857-1"]
    assert [segment.get(1) for segment in read.all("ORC")] == ["NW", "NW"]
    assert read.get("SAC", 3) == "26000145" and read.get("PID", 3) == "12345678950"
    assert read.all("TQ1")[0].get(9) == "S"


def test_law_nothing_to_do_is_dc(catalog: Catalog) -> None:
    law = catalog.get("generic-law")
    query = asked(law, *LAW_QUERY)

    _, nothing = law.answer(query, [], now=NOW, sender="NUMUNE", control_id="n-1")
    assert [segment[:3] for segment in _hl7(nothing)] == ["MSH", "SPM", "SAC", "ORC"]
    assert hl7.parse(nothing).get("ORC", 1) == "DC" and hl7.parse(nothing).get("SAC", 3) == "26000145"


def test_law_without_our_references_no_work_step_id_comes_twice(catalog: Catalog) -> None:
    law = catalog.get("generic-law")
    query = asked(law, *LAW_QUERY)
    ids: list[str] = []
    for control in ("n-1", "n-2"):
        message = law.answer(query, [work("26000145", "A", "B")], now=NOW, sender="N", control_id=control)[1]
        ids += [segment.get(2) for segment in hl7.parse(message).all("OBR")]

    assert len(set(ids)) == 4


def test_blood_counter_gets_its_mode(catalog: Catalog) -> None:
    bc = catalog.get("mindray-bc-6800")
    query = asked(
        bc, "MSH|^~\\&|BC-5800|Mindray|||20260101115900||ORM^O01|2|P|2.3.1||||||UNICODE", "ORC|RF||26000145||IP"
    )
    (answer,) = bc.answer(query, [work("26000145", "CBC", "DIFF")], now=NOW, sender="NUMUNE", control_id="n-1")

    segments = _hl7(answer)
    assert segments[0].split("|")[8] == "ORR^O02" and segments[1] == "MSA|AA|2"
    assert "ORC|AF|26000145" in segments
    assert "OBX|3|IS|08003^Test Mode^99MRC||CBC+DIFF||||||F" in segments
    (nothing,) = bc.answer(query, [], now=NOW, sender="NUMUNE", control_id="n-2")
    assert _hl7(nothing)[1:] == ["MSA|AR|2"]


# ---- the line


def test_one_record_a_frame_and_one_message_in_pieces(catalog: Catalog) -> None:
    message = b"H|\\^&\r" + b"P|1\r" + b"O|1|" + b"7" * 300 + b"\rL|1|N\r"

    by_record = catalog.get("sysmex-xn").frames(message)
    assert by_record[0] == b"\x021H|\\^&\r\x03E5\r\n"
    assert [frame[1:2] for frame in by_record] == [b"1", b"2", b"3", b"4", b"5"]  # the long record takes two
    by_size = catalog.get("roche-cobas-c311").frames(message)
    assert len(by_size) == 2 and by_size[0].count(b"\r") == 3 and b"\x17" in by_size[0]


def test_every_answer_of_the_catalogue_keeps_the_report_type_in_field_26(catalog: Catalog) -> None:
    for definition in catalog:
        answer = definition.file.answer
        if answer is None or definition.protocol != "astm":
            continue
        for template in [*answer.order, *answer.nothing, *answer.unknown]:
            fields = template.split("|")
            if fields[0] == "O" and len(fields) > 20:  # shorter ones say nothing there: the makers' own examples
                assert len(fields) == 26 and set(fields[25]) <= set("QOXYZ\\@"), (definition.key, template)


def test_a_model_that_takes_no_orders_says_so(catalog: Catalog) -> None:
    erba = catalog.get("erba-elite-580")

    assert not erba.answers
    with pytest.raises(DefinitionError, match="iş listesi almaz"):
        erba.answer(Query(), [], now=NOW, sender="N", control_id="1")
