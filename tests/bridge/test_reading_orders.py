"""The hospital's words read into the laboratory's, without a database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols import hl7
from hbys_bridge.hl7.orders import CANCEL, NEW, OrderMessage, read_order
from hbys_bridge.hl7.people import read_merge, read_patient
from hbys_bridge.hl7.refusals import Refused
from lis_core.domain.states import Priority
from lis_core.settings import ISTANBUL

HEADER = "MSH|^~\\&|HBYS|HASTANE|NUMUNE|LAB|20261122103000||OML^O21^OML_O21|1|P|2.5.1"
PID = "PID|1||H1^^^HASTANE^MR||ÖRNEK^AYŞE||19800517|F"
FULL = (HEADER, PID, "PV1|1|O|ACIL", "ORC|NW|S1||G1", "TQ1|1||||||||S", "OBR|1|S1||GLU^Glukoz^L", "SPM|1|2001||SER")


def read(*segments: str, **how: object) -> OrderMessage:
    message = "\r".join((HEADER, *segments)) + "\r"
    return read_order(hl7.parse(message.encode()), ISTANBUL, **how)  # type: ignore[arg-type]


def patient(pid: str):  # type: ignore[no-untyped-def]
    return read_patient(hl7.parse(f"{HEADER}\r{pid}\r".encode()), ISTANBUL).data


# -- people


@pytest.mark.parametrize(
    ("numbers", "tc", "hospital_id", "passport"),
    [
        ("10000000146^^^TC^NI~H1^^^HASTANE^MR", "10000000146", "H1", None),
        ("H1^^^HASTANE^MR~10000000146^^^^NNTUR", "10000000146", "H1", None),
        ("10000000146", "10000000146", None, None),
        ("10000000146^^^NVİ", "10000000146", None, None),
        ("10000000146^^^HASTANE^MR", None, "10000000146", None),  # eleven digits that are said to be something else
        ("U1234567^^^^PPN~H1", None, "H1", "U1234567"),
        ("V77^^^^VN~PT5^^^^PT~MR9^^^^MR", None, "MR9", None),  # a visit is no person; the record goes first
        ("5^^^A^PI~6^^^B^MR", None, "6", None),
        ('""~H1^^^^MR', None, "H1", None),
    ],
)
def test_which_number_is_which(numbers: str, tc: str | None, hospital_id: str | None, passport: str | None) -> None:
    data = patient(f"PID|1||{numbers}||ÖRNEK^AYŞE")
    assert (data.tc, data.hospital_id, data.passport) == (tc, hospital_id, passport)


def test_numbers_where_older_systems_put_them() -> None:
    data = patient("PID|1|H7|||ÖRNEK^AYŞE||||||||||||||10000000146")
    assert (data.hospital_id, data.tc) == ("H7", "10000000146")


def test_two_identity_numbers_are_an_error() -> None:
    with pytest.raises(Refused) as refusal:
        patient("PID|1||10000000146^^^TC^NI~12345678950^^^TC^NI||ÖRNEK^AYŞE")
    assert refusal.value.errors[0].repetition == 2


@pytest.mark.parametrize(
    ("text", "born"),
    [
        ("19800517", date(1980, 5, 17)),
        ("198005172359", date(1980, 5, 17)),
        ("19800517000000+0300", date(1980, 5, 17)),
        ("1980", None),
        ("19800000", None),
        ("198005", None),
        ("", None),
        ('""', None),
    ],
)
def test_a_birth_date_is_whole_or_not_said(text: str, born: date | None) -> None:
    assert patient(f"PID|1||1||ÖRNEK^AYŞE||{text}").birth_date == born


@pytest.mark.parametrize(
    ("word", "sex"), [("F", "F"), ("K", "F"), ("k", "F"), ("M", "M"), ("E", "M"), ("U", None), ("", None), ('""', None)]
)
def test_sexes(word: str, sex: str | None) -> None:
    assert patient(f"PID|1||1||ÖRNEK^AYŞE|||{word}").sex == sex


def test_the_legal_name_with_all_given_names() -> None:
    data = patient("PID|1||1||TAKMA^AD^^^^^N~ÖRNEK&ÖRNEK^AYŞE^NUR^^^^L||||||||^PRN^PH^^90^555^1234567")
    assert (data.family_name, data.given_name, data.phone) == ("ÖRNEK", "AYŞE NUR", "5551234567")


def test_the_pairs_of_a_merge() -> None:
    text = f"{HEADER}\rEVN|A40\r{PID}\rMRG|H2^^^HASTANE^MR\rPID|2||H3^^^HASTANE^MR||B^A\rMRG|10000000146^^^TC^NI\r"
    pairs = read_merge(hl7.parse(text.encode()), ISTANBUL, prefix="X/")
    assert [(kept.data.hospital_id, gone.data.hospital_id, gone.data.tc) for kept, gone in pairs] == [
        ("X/H1", "X/H2", None),
        ("X/H3", None, "10000000146"),
    ]


# -- orders


@pytest.mark.parametrize(
    ("segments", "priority"),
    [
        (["ORC|NW|S1", "TQ1|1||||||||S^Stat^HL70485", "OBR|1|S1||GLU"], Priority.URGENT),
        (["ORC|NW|S1", "OBR|1|S1||GLU", "TQ1|1||||||||A"], Priority.PRIORITY),
        (["ORC|NW|S1|||||^^^^^S", "OBR|1|S1||GLU"], Priority.URGENT),
        (["ORC|NW|S1", "OBR|1|S1||GLU" + "|" * 23 + "^^^^^A"], Priority.PRIORITY),
        (["ORC|NW|S1", "OBR|1|S1||GLU|R"], Priority.ROUTINE),
        (["ORC|NW|S1", "OBR|1|S1||GLU"], None),
        (["ORC|NW|S1|||||^^^^^R", "OBR|1|S1||GLU", "ORC|NW|S2|||||^^^^^S", "OBR|2|S2||K"], Priority.URGENT),
    ],
)
def test_how_urgent(segments: list[str], priority: Priority | None) -> None:
    assert read(PID, *segments).priority is priority


def test_lines_of_one_orc_with_several_tests() -> None:
    said = read(PID, "ORC|NW|S1", "OBR|1|S1-A||GLU", "NTE|1||aç", "OBR|2|S1-B||K^Potasyum^L^2823-3^K^LN")
    assert said.number == "S1"
    assert [(line.control, line.step, [code.code for code in line.codes]) for line in said.lines] == [
        (NEW, "S1-A", ["GLU"]),
        (NEW, "S1-B", ["K", "2823-3"]),
    ]
    assert said.clinical == {"not": "aç"}


def test_the_group_number_names_the_order_and_gets_the_hospitals_prefix() -> None:
    said = read(PID, "ORC|CA|S1||G1", prefix="PERTEK/")
    assert said.number == "PERTEK/G1"
    assert said.patient.data.hospital_id == "PERTEK/H1"
    assert said.lines[0].control == CANCEL


def test_a_preprinted_number_wherever_it_stands() -> None:
    for segments in (
        ["ORC|NW|S1|2001", "OBR|1|S1||GLU"],
        ["ORC|NW|S1", "OBR|1|S1|2001|GLU"],
        ["ORC|NW|S1|2001", "OBR|1|S1|2001|GLU", "SPM|1|2001", "ORC|NW|S2", "OBR|2|S2||K", "SPM|1|2001"],
    ):
        assert read(PID, *segments).preprinted == "2001"
    assert read(PID, "ORC|NW|S1", "OBR|1|S1||GLU", "SPM|1|A77", preprinted=False).preprinted is None


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Refused) as refusal:
        read(PID, "ORC|ZZ|S1|||||^^^^^X", "OBR|1|S1", "ORC|NW|S2||G2", "OBR|2|S2||K")
    places = [(error.segment, error.sequence, error.field) for error in refusal.value.errors]
    assert places == [("ORC", 1, 1), ("OBR", 1, 4), ("ORC", 1, 7)]


@settings(deadline=None)
@given(st.data())
def test_no_message_makes_the_reader_fail(data: st.DataObject) -> None:
    """Whatever stands in the fields: an order, or a refusal with a Turkish sentence, and nothing else."""
    segments = list(FULL[1:])
    for _ in range(data.draw(st.integers(1, 4))):
        n = data.draw(st.integers(0, len(segments) - 1))
        fields = segments[n].split("|")
        fields[data.draw(st.integers(1, len(fields) - 1))] = data.draw(st.text(max_size=30))
        segments[n] = "|".join(fields)
    data.draw(st.randoms()).shuffle(segments)
    try:
        message = hl7.parse("\r".join((HEADER, *segments)).encode("utf-8", "surrogatepass"))
    except hl7.Hl7Error:
        return
    try:
        said = read_order(message, ISTANBUL)
    except Refused as refusal:
        assert all(error.text and error.code for error in refusal.errors)
    else:
        assert said.lines
        assert said.number or all(line.filler for line in said.lines)


def test_orders_of_real_systems(samples: Path) -> None:
    """Counted by hand in the file: orders of several systems, their tests, their urgency."""
    raw = (samples / "hl7" / "lab-order-oml-o21" / "glucose-tolerance-dialogue.hl7").read_bytes()
    orders = [message for message in map(hl7.parse, hl7.split_messages(raw)) if message.type[:2] == ("OML", "O21")]
    read_as: list[tuple[str, list[str], Priority | None]] = []
    refused: list[str] = []
    for message in orders:
        try:
            said = read_order(message, ISTANBUL, preprinted=False)
        except Refused as refusal:
            refused.append(refusal.errors[0].text)
        else:
            read_as.append((said.number, [line.codes[0].code for line in said.lines], said.priority))
    assert read_as[:2] == [("666", ["82951"], Priority.PRIORITY)] * 2
    assert refused[:2] == ["ORC-1 SC: yalnız NW (yeni), CA (iptal) ve XO (değişiklik) alınır."] * 2
    assert ("GROUP1", ["73666", "73642", "73916"], None) in read_as
    assert ("1", ["1041", "1050", "10525", "10526"]) in [(number, codes) for number, codes, _ in read_as]
