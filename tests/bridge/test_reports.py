"""Result messages and answers, byte by byte and read by independent readers; what a hospital has been told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import hl7 as hl7_peer
import pytest
from hl7apy import consts
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols import hl7
from hbys_bridge.app import Bridge
from hbys_bridge.hl7.reports import (
    Observation,
    Person,
    Report,
    Request,
    Service,
    Specimen,
    Value,
    body,
    control_id,
    message,
    obx,
)
from hbys_bridge.hl7.told import Telling, status_of_released, status_of_unreleased, tellings
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from simulators.hospital import Hospital
from tests.bridge import kit
from tests.bridge.kit import MllpClient, order_message, person

GLU = Service("GLU", "Glukoz", "2345-7")
MEASURED = datetime(2026, 11, 22, 7, 15, tzinfo=UTC)
VALUE = Value(
    text="112",
    number=Decimal(112),
    unit="mg/dL",
    reference="70 - 100",
    flag="Y",
    critical_low=Decimal(50),
    critical_high=Decimal(500),
    measured_at=MEASURED,
    approver=("uzman", "Çınar", "Ufuk"),
    approved_at=datetime(2026, 11, 22, 8, 0, tzinfo=UTC),
    instrument="biyokimya",
    method="Hekzokinaz",
    comments=("Hafif | lipemik",),
)


def report(*observations: Observation, **wanted: object) -> Report:
    orc, obr = hl7.parse(
        b"MSH|^~\\&|H|K|N|L|2026||OML^O21|1|P|2.5.1\rORC|NW|S1||G1||||||||H-100^DR\rOBR|1|S1||GLU^Glukoz^L\r"
    ).segments[1:]
    request = Request(
        service=GLU,
        orc=orc,
        obr=obr,
        observations=observations,
        specimens=[Specimen("2600000101", "SER", "Serum", None, MEASURED)],
        released=sum(one.value is not None for one in observations),
        wanted=len(observations),
    )
    patient = Person([("H1", "", "MR"), ("10000000146", "TC", "NNTUR")], None, "ÖRNEK", "AYŞE", date(1980, 5, 17), "F")
    return replace(Report("26000001", patient, [request], orc, zone=ISTANBUL), **wanted)  # type: ignore[arg-type]


def written(*observations: Observation) -> bytes:
    segments = body(report(*observations), "NUMUNE")
    now = datetime(2026, 11, 22, 11, 1, 2, tzinfo=ISTANBUL)
    return message(segments, control_id(17, segments), now, ("NUMUNE", "LAB"), ("HBYS", "HASTANE"))


def test_a_result_byte_by_byte() -> None:
    """Worked out by hand from HL7 2.5.1 chapters 2, 3, 4 and 7."""
    lines = written(Observation(GLU, VALUE)).decode().split("\r")
    assert lines[0].startswith("MSH|^~\\&|NUMUNE|LAB|HBYS|HASTANE|20261122110102+0300||ORU^R01^ORU_R01|N17-")
    assert lines[0].endswith("|P|2.5.1||||||UNICODE UTF-8")
    assert lines[1:] == [
        "PID|1||H1^^^^MR~10000000146^^^TC^NNTUR||ÖRNEK^AYŞE^^^^^L||19800517|F",
        "ORC|RE|S1|26000001^NUMUNE|G1|CM|||||||H-100^DR",
        "OBR|1|S1|26000001^NUMUNE|GLU^Glukoz^L||||||||||20261122101500+0300||||||||20261122110000+0300|||F",
        "OBX|1|NM|GLU^Glukoz^L^2345-7^Glukoz^LN||112|mg/dL^mg/dL^UCUM|70 - 100|H|||F|||20261122101500+0300"
        "||uzman^Çınar^Ufuk|Hekzokinaz|biyokimya|20261122110000+0300",
        "NTE|1|L|Hafif \\F\\ lipemik",
        "SPM|1|2600000101^2600000101||SER^Serum^HL70487|||||||P^Patient^HL70369|||||||20261122101500+0300",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "number", "kind", "value"),
    [
        ("5.40", Decimal("5.40"), "NM", "5.40"),
        ("-2.3", Decimal("-2.3"), "NM", "-2.3"),
        ("6,52", Decimal("6.52"), "NM", "6.52"),
        ("1.5E3", Decimal("1.5E3"), "NM", "1500"),
        ("<0.01", None, "ST", "<0.01"),
        ("1:80", None, "ST", "1:80"),
        ("Negatif", None, "ST", "Negatif"),
        ("5^4|3", None, "ST", "5\\S\\4\\F\\3"),
    ],
)
def test_numbers_and_texts(text: str, number: Decimal | None, kind: str, value: str) -> None:
    fields = obx(Observation(GLU, replace(VALUE, text=text, number=number)), 1, ISTANBUL)[0].split("|")
    assert (fields[2], fields[5]) == (kind, value)


@pytest.mark.parametrize(
    ("flag", "text", "reference", "letter"),
    [
        ("", "90", "70 - 100", "N"),
        ("", "90", "", ""),
        ("D", "60", "70 - 100", "L"),
        ("Y", "112", "70 - 100", "H"),
        ("A", "Pozitif", "Negatif", "A"),
        ("P!", "50", "70 - 100", "LL"),
        ("P!", "500", "70 - 100", "HH"),
        ("P!", "<20", "70 - 100", "LL"),
        ("P!", ">600", "70 - 100", "HH"),
        ("P!", "Üreme var", "Üreme yok", "AA"),
    ],
)
def test_flags_keep_their_side(flag: str, text: str, reference: str, letter: str) -> None:
    number = Decimal(text) if text.isdigit() else None
    value = replace(VALUE, text=text, number=number, flag=flag, reference=reference)
    assert obx(Observation(GLU, value), 1, ISTANBUL)[0].split("|")[8] == letter


def test_without_a_released_value_only_a_deletion_can_be_written() -> None:
    with pytest.raises(ValueError, match="GLU"):
        obx(Observation(GLU, None), 1, ISTANBUL)
    assert "OBX|1||GLU^Glukoz^L^2345-7^Glukoz^LN||||||||D" in written(Observation(GLU, None, "D")).decode()


def test_the_control_id_is_of_what_is_said() -> None:
    one, same = written(Observation(GLU, VALUE)), written(Observation(GLU, VALUE))
    other = written(Observation(GLU, replace(VALUE, text="113", number=Decimal(113))))
    ids = [hl7.parse(raw).control_id for raw in (one, same, other)]
    assert ids[0] == ids[1] != ids[2]
    assert all(len(id) <= 20 for id in ids)
    assert len(control_id(9_999_999_999, ["PID|1"])) <= 20


# -- independent readers


def peers_read(raw: bytes, structure: str) -> None:
    """`hl7` and `hl7apy` (which knows the grammar of 2.5.1) read it without complaint."""
    text = raw.decode("utf-8")
    assert str(hl7_peer.parse(text).segment("MSH")[9][0][0]) == structure.partition("_")[0]
    parsed = parse_message(text, validation_level=consts.VALIDATION_LEVEL.STRICT)
    assert parsed.name == structure
    if structure != "ORR_O02":  # hl7apy takes its choice of OBR, RQD, RQ1 ... for a list of which all are required
        parsed.validate()


async def test_independent_readers_take_what_we_send(lab: Database, bridge: Bridge, hospital: Hospital) -> None:
    logging.getLogger("hl7apy").setLevel(logging.ERROR)
    who = person()
    order = await hospital.places(who, "GLU", "CBC", "HBSAG", unit="ACIL")
    older = await hospital.places(who, "GLU", form="ORM^O01")
    wrong = await hospital.places(who, "YOK")
    placed = await kit.order_of(lab, order.number)
    assert placed is not None
    results = await kit.released(lab, placed.number, {"GLU": "112", "WBC": "6.5", "HBSAG": "Negatif"})
    await kit.post(lab, bridge)
    await kit.withdrawn(lab, results["GLU"])
    await kit.post(lab, bridge)

    peers_read(order.answer.raw, "ORL_O22")
    peers_read(older.answer.raw, "ORR_O02")
    peers_read(wrong.answer.raw, "ORL_O22")
    peers_read((await hospital.updates(who)).raw, "ACK")
    assert len(hospital.received) == 2
    for report_message in hospital.received:
        peers_read(report_message.raw, "ORU_R01")


async def test_the_answers_speak_the_hospitals_delimiters(lab: Database, line: MllpClient) -> None:
    """Another set of delimiters, and the results all the same in standard ones."""
    plain = order_message(person(), ["GLU"], number="AYRAC-1")
    theirs = plain.replace("MSH|^~\\&", "MSH|@#!$").replace("^", "@").replace("~", "#")
    answer = await line.ask(theirs)
    assert answer.raw.startswith(b"MSH|@#!$|")
    assert b"ORC|OK|AYRAC-1-1|" in answer.raw
    assert b"@NUMUNE|AYRAC-1|SC" in answer.raw


# -- what has been told


def sent(*observations: tuple[str, str, str], outcome: str = "AA") -> tuple[bytes, str]:
    """A kept message with these (code, value, status)."""
    lines = ["MSH|^~\\&|N", "PID|1", "OBR|1"]
    lines += [f"OBX|{n}|NM|{code}^ad^L||{value}||||||{status}" for n, (code, value, status) in enumerate(observations)]
    return ("\r".join(lines) + "\r").encode(), outcome


def mark(value: str) -> str:
    return f"OBX||NM|GLU^ad^L||{value}||||||"


@pytest.mark.parametrize(
    ("history", "released", "unreleased"),
    [
        ([], "F", None),
        ([sent(("K", "4", "F"))], "F", None),
        ([sent(("GLU", "112", "F"))], None, "D"),
        ([sent(("GLU", "112", "F"), outcome="belirsiz")], "F", "D"),
        ([sent(("GLU", "112", "F"), outcome="yolda")], "F", "D"),
        ([sent(("GLU", "112", "F"), outcome="AE")], "F", None),
        ([sent(("GLU", "112", "F"), outcome="gitmedi")], "F", None),
        ([sent(("GLU", "99", "F"))], "C", "D"),
        ([sent(("GLU", "99", "F"), outcome="belirsiz")], "C", "D"),
        ([sent(("GLU", "112", "F")), sent(("GLU", "", "D"))], "C", None),
        ([sent(("GLU", "112", "F")), sent(("GLU", "", "D"), outcome="belirsiz")], "C", "D"),
        ([sent(("GLU", "112", "F")), sent(("GLU", "", "D")), sent(("GLU", "112", "C"))], None, "D"),
        ([sent(("GLU", "112", "F")), sent(("GLU", "", "D")), sent(("GLU", "112", "C"), outcome="yolda")], "C", "D"),
    ],
)
def test_first_again_or_taken_back(
    history: Sequence[tuple[bytes, str]], released: str | None, unreleased: str | None
) -> None:
    """Present value 112: said as final, as a correction, or not at all; without a value: taken back, or nothing."""
    told = tellings(history).get("GLU", [])
    assert status_of_released(mark("112"), told) == released
    assert status_of_unreleased(told) == unreleased


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["release 1", "release 2", "withdraw"]), st.sampled_from(["AA", "lost", "refused"])),
        max_size=12,
    )
)
def test_whatever_happens_the_hospital_ends_with_what_is_released(steps: list[tuple[str, str]]) -> None:
    """A hospital that takes each message number once, and answers that get lost; at the end a calm line.

    Each step is one entry, tried until it is taken; the last entry is always delivered.
    """
    told: list[Telling] = []
    shown: str | None = None
    seen: set[tuple[int, str, str]] = set()
    for entry, (what, luck) in enumerate([*steps, ("release 2", "AA")]):
        value = None if what == "withdraw" else what[-1]
        for attempt in [luck, "AA"] if luck != "AA" else ["AA"]:
            status = status_of_unreleased(told) if value is None else status_of_released(mark(value), told)
            if status is None:
                break
            if attempt == "refused":
                continue  # on record as refused: not told
            if (entry, status, value or "") not in seen:  # the control id is of the entry and of what is said
                seen.add((entry, status, value or ""))
                shown = value
            fact = mark(value) if value is not None else mark("")
            repeated = told and (told[-1].status, told[-1].fingerprint) == (status, fact) and not told[-1].confirmed
            telling = Telling("GLU", status, fact, confirmed=attempt == "AA")
            told = [*told[:-1], telling] if repeated else [*told, telling]
        assert shown == value
