"""IHE LAW messages: the manager's side of query, order and answer. E1-E10: the worked examples of the LAW facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import hl7 as python_hl7
import pytest
from hl7apy.parser import parse_message as hl7apy_parse
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.hl7 import (
    ErrorLocation,
    Hl7Error,
    LocalError,
    Message,
    acknowledge,
    is_null,
    parse,
    read_acknowledgement,
    split_messages,
)
from drivers.protocols.law import (
    CONTROL,
    Code,
    Container,
    Envelope,
    OrmSetting,
    OrmWork,
    Patient,
    WorkAnswer,
    WorkStep,
    no_work,
    orm_response,
    query_response,
    read_orm_query,
    read_work_query,
    read_work_response,
    work_order,
)

ISTANBUL = ZoneInfo("Europe/Istanbul")


def at(clock: str, second: int = 0) -> datetime:
    hour, minute = clock.split(":")
    return datetime(2026, 12, 3, int(hour), int(minute), second, tzinfo=ISTANBUL)


def er7(*segments: str) -> bytes:
    return "".join(segment + "\r" for segment in segments).encode()


TSH = Code("3016-3", "TSH", "LN", "TSH", "TSH", "99XYZ")
PSA = Code("2857-1", "PSA", "LN", "PSA", "PSA", "99XYZ")
SERUM = Code("SER", "Serum", "HL70487")
TUBE = Container(
    "26000145",
    specimen="26000145",
    specimen_authority="MERKEZ",
    material=SERUM,
    collected=at("7:40"),
    received=at("8:05"),
)
AYSE = Patient("H100245", "MERKEZ", family="ÖRNEK", given="AYŞE", birth_date=date(1980, 2, 14), sex="F")


def envelope(control_id: str, now: datetime) -> Envelope:
    return Envelope(control_id, now, sending=("NUMUNE", "MERKEZ"), receiving=("CHEM1", "MERKEZ"))


# ---- E1: the query and its answer

E1_QUERY = er7(
    r"MSH|^~\&|CHEM1|MERKEZ|NUMUNE|MERKEZ|20261203081500+0300||QBP^Q11^QBP_Q11|c1-000101|P|2.5.1|||NE|AL||UNICODE UTF-8"
    r"|||LAB-27^IHE",
    "QPD|WOS^Work Order Step^IHELAW|q-7f31|26000145",
    "RCP|I||R^Real Time^HL70394",
)
E1_RESPONSE = er7(
    r"MSH|^~\&|NUMUNE|MERKEZ|CHEM1|MERKEZ|20261203081500+0300||RSP^K11^RSP_K11|n-000881|P|2.5.1||||||UNICODE UTF-8"
    r"|||LAB-27^IHE",
    "MSA|AA|c1-000101",
    "QAK|q-7f31|OK|WOS^Work Order Step^IHELAW",
    "QPD|WOS^Work Order Step^IHELAW|q-7f31|26000145",
)


def test_e1_an_analyser_asks_for_one_tube():
    query = read_work_query(parse(E1_QUERY))

    assert (query.kind, query.tag, query.container, query.problems) == ("WOS", "q-7f31", "26000145", ())
    assert query_response(query, True, control_id="n-000881", now=at("8:15")) == E1_RESPONSE


# ---- E2: two steps, one accepted, one refused

E2_ORDER = er7(
    r"MSH|^~\&|NUMUNE|MERKEZ|CHEM1|MERKEZ|20261203081501+0300||OML^O33^OML_O33|n-000882|P|2.5.1|||NE|AL||UNICODE UTF-8"
    r"|||LAB-28^IHE",
    "PID|||H100245^^^MERKEZ^PI||ÖRNEK^AYŞE^^^^^L||19800214|F",
    "SPM|1|26000145&MERKEZ||SER^Serum^HL70487|||||||P^Patient^HL70369||||||20261203074000+0300|20261203080500+0300",
    "SAC|||26000145",
    "ORC|NW|||WO-26-00145|||||20261203081501+0300",
    "TQ1|||||||||S^^HL70485",
    "OBR|1|AW-26-0000501||3016-3^TSH^LN^TSH^TSH^99XYZ",
    "ORC|NW|||WO-26-00145|||||20261203081501+0300",
    "OBR|2|AW-26-0000502||2857-1^PSA^LN^PSA^PSA^99XYZ",
    "TCD|2857-1^PSA^LN^PSA^PSA^99XYZ|^1^:^5",
)
E2_ANSWER = er7(
    r"MSH|^~\&|CHEM1|MERKEZ|NUMUNE|MERKEZ|20261203081502+0300||ORL^O34^ORL_O42|c1-000102|P|2.5.1||||||UNICODE UTF-8"
    r"|||LAB-28^IHE",
    "MSA|AA|n-000882",
    "SPM|1|26000145&MERKEZ||SER^Serum^HL70487|||||||P^Patient^HL70369",
    "SAC|||26000145",
    "ORC|OK|AW-26-0000501|||SC",
    "ORC|UA|AW-26-0000502|||CA",
)
STEPS = [
    WorkStep("AW-26-0000501", TSH, work_order="WO-26-00145", priority="S"),
    WorkStep("AW-26-0000502", PSA, work_order="WO-26-00145", dilution="5"),
]


def test_e2_two_steps_for_one_tube():
    assert work_order(TUBE, STEPS, AYSE, envelope("n-000882", at("8:15", 1))) == E2_ORDER


def test_e2_one_step_is_refused_although_the_message_is_understood():
    assert read_work_response(parse(E2_ANSWER)) == [
        WorkAnswer("AW-26-0000501", "OK", "SC", "26000145"),
        WorkAnswer("AW-26-0000502", "UA", "CA", "26000145"),
    ]


# ---- E3: nothing to do

E3_NO_WORK = er7(
    r"MSH|^~\&|NUMUNE|MERKEZ|CHEM1|MERKEZ|20261203081630+0300||OML^O33^OML_O33|n-000885|P|2.5.1|||NE|AL||UNICODE UTF-8"
    r"|||LAB-28^IHE",
    'SPM|1|||""|||||||U^Unknown^HL70369',
    "SAC|||26000999",
    "ORC|DC||||||||20261203081630+0300",
)
E3_ANSWER = er7(
    r"MSH|^~\&|CHEM1|MERKEZ|NUMUNE|MERKEZ|20261203081631+0300||ORL^O34^ORL_O42|c1-000106|P|2.5.1||||||UNICODE UTF-8"
    r"|||LAB-28^IHE",
    "MSA|AR|n-000885",
    "ERR||SAC^1^3|204^Unknown key identifier^HL70357|E||||26000999 not on board",
)


def test_e3_nothing_to_do_for_this_tube():
    written = no_work(Container("26000999"), envelope("n-000885", at("8:16", 30)))

    assert written == E3_NO_WORK
    assert [each.name for each in parse(written).segments] == ["MSH", "SPM", "SAC", "ORC"]


def test_e3_the_analyser_does_not_know_the_tube_either():
    answer = parse(E3_ANSWER)

    assert read_work_response(answer) == []
    refused = read_acknowledgement(answer)
    assert refused is not None
    assert (refused.code, refused.control_id) == ("AR", "n-000885")
    assert refused.errors == (ErrorLocation("SAC", 1, 3, code="204", text="26000999 not on board"),)


def test_e3_the_expected_answer_is_msh_and_msa():
    answer = parse(b"\r".join(E3_ANSWER.split(b"\r")[:2]).replace(b"|AR|", b"|AA|"))

    assert read_work_response(answer) == []
    assert read_acknowledgement(answer).accepted  # type: ignore[union-attr]


# ---- E4: by rack, and the other kinds

E4_QUERY = er7(
    r"MSH|^~\&|CHEM1|MERKEZ|NUMUNE|MERKEZ|20261203081701+0300||QBP^Q11^QBP_Q11|c1-000111|P|2.5.1|||NE|AL||UNICODE UTF-8"
    r"|||LAB-27^IHE",
    "QPD|WOS_BY_RACK^Work Order Step by Rack^IHELAW|q-7f33||R0412|3|||LINE1^^99XYZ",
    "RCP|I||R^Real Time^HL70394",
)


def asking(qpd: str) -> Message:
    head = E4_QUERY.split(b"\r")[0].decode()
    return parse(er7(head, qpd, "RCP|I||R^Real Time^HL70394"))


def test_e4_by_rack():
    query = read_work_query(parse(E4_QUERY))

    assert (query.kind, query.container, query.rack, query.position) == ("WOS_BY_RACK", "", "R0412", "3")
    assert (query.location, query.problems) == ("LINE1", ())


def test_e4_the_other_kinds():
    everything = read_work_query(asking("QPD|WOS_ALL^Work Order Step All^IHELAW|q-7f32"))
    tray = read_work_query(asking("QPD|WOS_BY_TRAY^Work Order Step by Tray^IHELAW|q-7f34||||T07|12|LINE1^^99XYZ"))
    isolate = read_work_query(asking("QPD|WOS_BY_ISOLATE^Work Order Step by Isolate^IHELAW|q-7f35|||||||26000777-I1"))

    assert (everything.kind, everything.tag, everything.problems) == ("WOS_ALL", "q-7f32", ())
    assert (tray.kind, tray.tray, tray.tray_position, tray.location) == ("WOS_BY_TRAY", "T07", "12", "LINE1")
    assert (isolate.kind, isolate.isolate, isolate.problems) == ("WOS_BY_ISOLATE", "26000777-I1", ())


def test_a_negative_answer_to_a_rack_query_names_the_place_again():
    """Without a barcode the place is all that tells the analyser which question this answers."""
    written = parse(no_work(Container(rack="R0412", position="3"), envelope("n-1", at("8:17"))))

    assert (written.get("SAC", 3), written.get("SAC", 10), written.get("SAC", 11)) == ("", "R0412", "3")
    by_tray = parse(no_work(Container(tray="T07", tray_position="12"), envelope("n-1", at("8:17"))))
    assert (by_tray.get("SAC", 13), by_tray.get("SAC", 14)) == ("T07", "12")


@pytest.mark.parametrize(
    "qpd, code, field",
    [
        ("QPD|WOS^Work Order Step^IHELAW|q-1", "101", 3),
        ('QPD|WOS^Work Order Step^IHELAW|q-1|""', "101", 3),
        ("QPD|WOS_BY_RACK^^IHELAW|q-1||R1", "101", 5),
        ("QPD|WOS_BY_TRAY^^IHELAW|q-1|||||12", "101", 6),
        ("QPD|WOS_BY_ISOLATE^^IHELAW|q-1", "101", 9),
        ("QPD|Z99^Something^X|q-1|26000145", "103", 1),
        ("QPD||q-1|26000145", "103", 1),
    ],
)
def test_a_query_that_cannot_be_answered(qpd: str, code: str, field: int):
    query = read_work_query(asking(qpd))

    assert [(problem.code, problem.field) for problem in query.problems] == [(code, field)]
    answer = parse(query_response(query, False, control_id="n-2", now=at("8:15")))
    assert [each.name for each in answer.segments] == ["MSH", "MSA", "ERR", "QAK", "QPD"]
    assert (answer.get("MSA", 1), answer.get("QAK", 2)) == ("AE", "AE")
    err = answer.all("ERR")[0]
    assert (err.field(2), err.get(3), err.get(4)) == (f"QPD^1^{field}", code, "E")


def test_a_query_without_its_qpd():
    query = read_work_query(asking("ZZZ|1"))

    assert query.problems[0].code == "101"
    answer = parse(query_response(query, False, control_id="n-2", now=at("8:15")))
    assert [each.name for each in answer.segments] == ["MSH", "MSA", "ERR", "QAK"]


def test_a_query_that_we_understood_but_cannot_serve_now():
    query = read_work_query(parse(E1_QUERY))

    answer = parse(query_response(query, False, control_id="n-2", now=at("8:15")))

    assert answer.get("ERR", 3) == "207"


def test_only_a_query_is_a_query():
    with pytest.raises(Hl7Error, match="OML"):
        read_work_query(parse(E2_ORDER))
    with pytest.raises(Hl7Error, match="QBP"):
        read_work_response(parse(E1_QUERY))


# ---- E5: cancelling

E5_CANCEL = er7(
    r"MSH|^~\&|NUMUNE|MERKEZ|CHEM1|MERKEZ|20261203082000+0300||OML^O33^OML_O33|n-000890|P|2.5.1|||NE|AL||UNICODE UTF-8"
    r"|||LAB-28^IHE",
    "SPM|1|26000145&MERKEZ||SER^Serum^HL70487|||||||P^Patient^HL70369",
    "SAC|||26000145",
    "ORC|CA|||WO-26-00145|||||20261203082000+0300",
    "OBR|1|AW-26-0000503||2160-0^Creatinine^LN^CREA^CREA^99XYZ",
    "ORC|CA|||WO-26-00145|||||20261203082000+0300",
    "OBR|2|AW-26-0000501||3016-3^TSH^LN^TSH^TSH^99XYZ",
)
E5_ANSWER = er7(
    r"MSH|^~\&|CHEM1|MERKEZ|NUMUNE|MERKEZ|20261203082000+0300||ORL^O34^ORL_O42|c1-000120|P|2.5.1||||||UNICODE UTF-8"
    r"|||LAB-28^IHE",
    "MSA|AA|n-000890",
    "SPM|1|26000145&MERKEZ||SER^Serum^HL70487|||||||P^Patient^HL70369",
    "SAC|||26000145",
    "ORC|CR|AW-26-0000503|||CA",
    "ORC|UC|AW-26-0000501|||IP",
)


def test_e5_two_steps_are_cancelled_and_one_is_running_already():
    creatinine = Code("2160-0", "Creatinine", "LN", "CREA", "CREA", "99XYZ")
    steps = [
        WorkStep("AW-26-0000503", creatinine, "CA", "WO-26-00145", priority="S", dilution="5", notes=("x",)),
        WorkStep("AW-26-0000501", TSH, "CA", "WO-26-00145"),
    ]
    tube = replace(TUBE, collected=None, received=None)

    assert work_order(tube, steps, None, envelope("n-000890", at("8:20"))) == E5_CANCEL
    assert [(each.awos_id, each.outcome, each.status) for each in read_work_response(parse(E5_ANSWER))] == [
        ("AW-26-0000503", "CR", "CA"),
        ("AW-26-0000501", "UC", "IP"),
    ]


# ---- answers of other devices


def test_an_answer_with_the_older_structure():
    assert len(read_work_response(parse(E2_ANSWER.replace(b"ORL_O42", b"ORL_O34")))) == 2


def test_an_answer_without_step_ids_is_matched_by_order():
    nameless = parse(E2_ANSWER.replace(b"AW-26-0000501", b"").replace(b"AW-26-0000502", b""))

    both = read_work_response(nameless, sent=["AW-26-0000501", "AW-26-0000502"])
    assert [(each.awos_id, each.outcome) for each in both] == [("AW-26-0000501", "OK"), ("AW-26-0000502", "UA")]
    # another number of answers than of steps: nobody can say which is meant
    assert [each.awos_id for each in read_work_response(nameless, sent=["AW-26-0000501"])] == ["", ""]


@pytest.mark.parametrize("code", ["AE", "AR", "CE"])
def test_after_a_refused_message_no_step_counts_as_accepted(code: str):
    assert read_work_response(parse(E2_ANSWER.replace(b"MSA|AA", b"MSA|" + code.encode()))) == []


def test_nothing_of_the_specimen_before_is_inherited():
    two = er7(
        *E2_ANSWER.decode().split("\r")[:2],
        "SPM|1",
        "SAC|||26000145",
        "ORC|OK|AW-1",
        "SPM|2",
        "ORC|OK|AW-2",
    )

    assert [each.container for each in read_work_response(parse(two))] == ["26000145", ""]


# ---- E6-E9: results are read with the message reader alone

E7_RESULT = er7(
    r"MSH|^~\&|CHEM1|MERKEZ|NUMUNE|MERKEZ|20261203091000+0300||OUL^R22^OUL_R22|c1-000150|P|2.5.1|||NE|AL||UNICODE UTF-8"
    r"|||LAB-29^IHE",
    "SPM|1|||SER^Serum^HL70487|||||||P^Patient^HL70369",
    "SAC|||26000150",
    "OBR|1|AW-26-0000610||1988-5^CRP^LN^CRP^CRP^99XYZ",
    "ORC|SC||||CM",
    "OBX|1|SN|1988-5^CRP^LN^CRP^CRP^99XYZ|1|>^350|mg/L^^UCUM||>^^HL70078|||F|||||AUTO||XY-500^Example~SN00123^Example"
    "|20261203085800+0300||||||||||RSLT",
    "TCD|1988-5^CRP^LN^CRP^CRP^99XYZ|^1^:^1||||||O^Original, first run^HL70389",
    "OBX|2|NM|1988-5^CRP^LN^CRP^CRP^99XYZ|2|412.6|mg/L^^UCUM||HH^^HL70078|||F|||||AUTO||XY-500^Example~SN00123^Example"
    "|20261203090930+0300||||||||||RSLT",
    "TCD|1988-5^CRP^LN^CRP^CRP^99XYZ|^1^:^5||||||D^Repeated with dilution^HL70389",
    'OBR|2|""||PCT^Procalcitonin^99XYZ|||||||G||||||||||||||||||AW-26-0000610',
    "ORC|SC||||CM|||AW-26-0000610",
    "OBX|1|NM|PCT^Procalcitonin^99XYZ|1|3.2|ng/mL^^UCUM|||||F|||||AUTO||XY-500^Example~SN00123^Example"
    "|20261203090950+0300||||||||||RSLT",
    "TCD|PCT^Procalcitonin^99XYZ|||||||F^Reflex test^HL70389",
)


def test_e7_a_rerun_and_a_reflex_result():
    oul = parse(E7_RESULT)

    ordered, reflex = oul.groups("OBR")
    runs = [each for each in ordered if each.name == "OBX"]
    assert [(each.get(4), each.get(5), each.get(5, comp=2), each.get(8)) for each in runs] == [
        ("1", ">", "350", ">"),
        ("2", "412.6", "", "HH"),
    ]
    assert [each.get(18, 2) for each in runs] == ["SN00123", "SN00123"]
    assert runs[0].get(29) == "RSLT"
    assert is_null(reflex[0].get(2)) and reflex[0].get(11) == "G" and reflex[0].get(29) == "AW-26-0000610"


def test_e6_the_result_message_is_acknowledged():
    e6 = parse(E7_RESULT.replace(b"c1-000150", b"c1-000140"))

    assert acknowledge(e6, "AA", control_id="n-000901", now=at("8:37", 15)) == er7(
        r"MSH|^~\&|NUMUNE|MERKEZ|CHEM1|MERKEZ|20261203083715+0300||ACK^R22^ACK|n-000901|P|2.5.1||||||UNICODE UTF-8"
        r"|||LAB-29^IHE",
        "MSA|AA|c1-000140",
    )


def test_e8_a_control_specimen():
    spm = parse(
        er7(
            E7_RESULT.split(b"\r")[0].decode(), 'SPM|1|QC2&XYZ||""|||||||Q^Control specimen^HL70369', "SAC|||QC2-L88123"
        )
    )

    assert (spm.get("SPM", 2), spm.get("SPM", 2, sub=2), spm.get("SPM", 11)) == ("QC2", "XYZ", "Q")
    assert is_null(spm.get("SPM", 4))


def test_e9_a_failed_parameter_has_no_value():
    head = E7_RESULT.split(b"\r")[0].decode()
    failed = parse(
        er7(
            head,
            "OBX|2||777-3^Platelets^LN^PLT^PLT^99XYZ|1||||AGG^Clumps suspected^99XYZ|||X|||||AUTO"
            "||HX-9^Example~SN777^Example|20261203093040+0300||||||||||RSLT",
            "NTE|1||Check the smear",
        )
    ).all("OBX")[0]

    assert (failed.get(2), failed.get(5), failed.get(8, comp=2), failed.get(11)) == ("", "", "Clumps suspected", "X")


def test_e10_broken_content_is_refused():
    request = parse(E7_RESULT.replace(b"|CHEM1|", b"|HEM1|").replace(b"c1-000150", b"h1-000033"))
    wrong = ErrorLocation("OBX", 1, 5, code="102", text="NM value is not a number")

    assert acknowledge(request, "AE", control_id="n-000950", now=at("9:32"), errors=[wrong]) == er7(
        r"MSH|^~\&|NUMUNE|MERKEZ|HEM1|MERKEZ|20261203093200+0300||ACK^R22^ACK|n-000950|P|2.5.1||||||UNICODE UTF-8"
        r"|||LAB-29^IHE",
        "MSA|AE|h1-000033",
        "ERR||OBX^1^5|102^Data type error^HL70357|E||||NM value is not a number",
    )


# ---- what we must not send


@pytest.mark.parametrize(
    "container, steps, patient",
    [
        (TUBE, [], AYSE),
        (TUBE, [WorkStep("", TSH)], AYSE),
        (TUBE, [WorkStep('""', TSH)], AYSE),
        (TUBE, [WorkStep("A" * 51, TSH)], AYSE),
        (TUBE, [WorkStep("A", TSH), WorkStep("A", PSA)], AYSE),
        (TUBE, [WorkStep("A", Code(""))], AYSE),
        (Container(), STEPS, AYSE),
        (Container(rack="R1"), STEPS, AYSE),
        (replace(TUBE, role=CONTROL), STEPS, AYSE),
    ],
)
def test_an_order_that_must_not_leave(container: Container, steps: list[WorkStep], patient: Patient | None):
    with pytest.raises(LocalError):
        work_order(container, steps, patient, envelope("n-1", at("8:15")))


def test_no_work_for_nobody():
    with pytest.raises(LocalError):
        no_work(Container(), envelope("n-1", at("8:15")))


def test_a_control_has_no_patient_and_an_unknown_patient_no_name():
    control = parse(work_order(replace(TUBE, role=CONTROL), STEPS, None, envelope("n-1", at("8:15"))))
    unknown = parse(work_order(TUBE, STEPS, Patient(), envelope("n-1", at("8:15"))))

    assert control.first("PID") is None
    assert control.get("SPM", 11) == "Q"
    assert unknown.segments[1].text == "PID|||||^^^^^^U"


def test_an_order_for_a_device_that_knows_no_turkish_letters():
    old = replace(envelope("n-1", at("8:15")), charset="8859/1", version="2.5", profile=("LAB-28R", "ROCHE"))

    with pytest.raises(LocalError):
        work_order(TUBE, STEPS, AYSE, old)
    written = work_order(TUBE, STEPS, AYSE, replace(old, fold=True))
    assert b"|\xd6RNEK^AYSE^" in written
    assert b"|LAB-28R^ROCHE\r" in written


def test_orderer_notes_and_place():
    step = WorkStep("AW-1", TSH, orderer=("77", "Yılmaz", "Ali"), notes=("ilk satır\nikinci", "R&D"))
    tube = replace(TUBE, rack="R1", position="4", location=Code("LINE1", system="99XYZ"))

    order = parse(work_order(tube, [step], AYSE, envelope("n-1", at("8:15"))))

    assert order.all("OBR")[0].components(16) == ["77", "Yılmaz", "Ali"]
    assert [each.get(3) for each in order.all("NTE")] == ["ilk satır\nikinci", "R&D"]
    assert order.first("SAC").text == "SAC|||26000145|||||||R1|4||||LINE1^^99XYZ"  # type: ignore[union-attr]


identifiers = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)


@given(tube=identifiers, awos=st.lists(identifiers, min_size=1, max_size=5, unique=True), name=identifiers)
def test_whatever_the_laboratory_calls_its_things(tube: str, awos: list[str], name: str):
    steps = [WorkStep(each, Code("T", name)) for each in awos if each != '""']
    if not steps:
        return

    order = parse(work_order(Container(tube), steps, Patient("1", family=name), envelope("n-1", at("8:15"))))

    assert order.get("SAC", 3) == tube
    assert [each.get(2) for each in order.all("OBR")] == [each.awos_id for each in steps]
    assert order.get("PID", 5) == name


# ---- peers


@pytest.mark.parametrize("data", [E2_ORDER, E3_NO_WORK, E5_CANCEL, E1_RESPONSE])
def test_others_read_our_messages_as_we_do(data: bytes):
    ours = parse(data)
    theirs = python_hl7.parse(data.decode())
    third = hl7apy_parse(data.decode(), find_groups=False)

    assert [[str(field) for field in segment] for segment in theirs] == [each.fields for each in ours.segments]
    assert third.to_er7() == data.decode().rstrip("\r")
    assert [child.name for child in third.children] == [each.name for each in ours.segments]


# ---- captures


@pytest.mark.parametrize(
    "name, kind, tag, container, rack, position",
    [
        ("roche-cobas-4800/qbp-q11-wos.hl7", "WOS", "MSG-4800-03-WOS", "VL260001", "", ""),
        ("roche-cobas-6800/qbp-q11-no-query-tag.hl7", "WOS", "", "WB26-02146", "", ""),
        ("roche-cobas-pro/qbp-q11-iniseq.hl7", "WOS", "query1233", "123", "50001", "1"),
        ("biosystems-ba400/qbp-q11-wos.hl7", "WOS", "dd980fa06a3d45848fee5392f42eca1d", "20250107000003", "", ""),
    ],
)
def test_captured_queries(samples: Path, name: str, kind: str, tag: str, container: str, rack: str, position: str):
    (data,) = split_messages((samples / "hl7" / name).read_bytes())

    query = read_work_query(parse(data))

    assert (query.kind, query.tag, query.container, query.rack, query.position) == (
        kind,
        tag,
        container,
        rack,
        position,
    )
    assert query.problems == ()
    answer = parse(query_response(query, True, control_id="n-1", now=at("8:15")))
    asked = query.message
    assert answer.get("MSA", 2) == asked.control_id
    assert [answer.msh.field(n) for n in (5, 11, 12, 18, 21)] == [asked.msh.field(n) for n in (3, 11, 12, 18, 21)]
    assert answer.first("QPD").text == asked.first("QPD").text  # type: ignore[union-attr]
    assert answer.get("QAK", 1) == tag


def test_iniseq_names_the_material_and_goes_by_rack_without_a_barcode(samples: Path):
    (data,) = split_messages((samples / "hl7/roche-cobas-pro/qbp-q11-iniseq.hl7").read_bytes())

    assert read_work_query(parse(data)).material == "SERPLAS"
    unread = read_work_query(parse(data.replace(b"|query1233|123|", b"|query1233||")))
    assert (unread.kind, unread.rack, unread.position, unread.problems) == ("WOS_BY_RACK", "50001", "1", ())
    nothing = read_work_query(parse(data.replace(b"|query1233|123|50001|1|", b"|query1233||||")))
    assert [problem.field for problem in nothing.problems] == [3]


def test_a_barcode_with_its_type_is_the_barcode_alone():
    assert read_work_query(asking("QPD|WOS^^IHELAW|q|022^BARCODE")).container == "022"


# ---- blood counters: ORM^O01 as a query


def test_a_blood_counter_asks_with_an_order_message(samples: Path):
    (data,) = split_messages((samples / "hl7/haematology-unnamed-cn/orm-o01-query.hl7").read_bytes())
    query = read_orm_query(parse(data))
    assert query is not None
    assert (query.specimen, query.problems) == ("wbl2506100001", ())
    work = OrmWork(
        replace(AYSE, sex="Female"),
        (
            OrmSetting("IS", Code("08003", "Test Mode", "99MRC"), "CBC+DIFF"),
            OrmSetting("NM", Code("30525-0", "Age", "LN"), "46", "yr"),
        ),
        collected=at("7:40"),
        received=at("8:05"),
    )

    assert orm_response(query, work, control_id="n-7", now=at("8:15")) == er7(
        r"MSH|^~\&|||||20261203081500||ORR^O02|n-7|P|2.3.1||||||UTF-8",
        "MSA|AA|2",
        "PID|1||H100245^^^MERKEZ^MR||ÖRNEK^AYŞE||19800214|Female",
        "PV1|1",
        "ORC|AF|wbl2506100001",
        "OBR|1|wbl2506100001||00001^Automated Count^99MRC||20261203074000||||||||20261203080500||||||||||HM",
        "OBX|1|IS|08003^Test Mode^99MRC||CBC+DIFF||||||F",
        "OBX|2|NM|30525-0^Age^LN||46|yr|||||F",
    )
    assert orm_response(query, None, control_id="n-8", now=at("8:15")) == er7(
        r"MSH|^~\&|||||20261203081500||ORR^O02|n-8|P|2.3.1||||||UTF-8",
        "MSA|AR|2",
    )


def test_an_order_of_the_hospital_is_no_query():
    order = b"MSH|^~\\&|HBYS||||20261203||ORM^O01|1|P|2.3.1\rORC|%b||26000145\r"

    assert read_orm_query(parse(order.replace(b"%b", b"NW"))) is None
    assert read_orm_query(parse(E2_ORDER)) is None
    unread = read_orm_query(parse(b"MSH|^~\\&|HEM||||20261203||ORM^O01|1|P|2.3.1\rORC|RF\r"))
    assert unread is not None
    assert [problem.code for problem in unread.problems] == ["101"]
