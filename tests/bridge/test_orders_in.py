"""Orders of a hospital over real sockets: placed, added to, changed, cancelled, refused."""

from __future__ import annotations

from sqlalchemy import select

from hbys_bridge.app import Bridge
from lis_core.domain.states import Priority, TestState
from lis_core.storage.database import Database
from lis_core.storage.tables import Order, Patient, Physician
from simulators.hospital import Hospital
from tests.bridge import kit
from tests.bridge.kit import MllpClient, message, order_message, person
from tests.services import steps


async def the_order(lab: Database, hospital_number: str) -> Order:
    order = await kit.order_of(lab, hospital_number)
    assert order is not None
    return order


async def test_the_answer_to_an_order_holds_our_number_and_every_label(lab: Database, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "CBC", "TSH", "TIT", priority="S", unit="ACIL")

    answer = order.answer
    placed = await the_order(lab, order.number)
    assert answer.code == "AA"
    assert answer.first("MSH").field(9) == "ORL^O22^ORL_O22"
    assert {segment.field(1) for segment in answer if segment.name == "ORC"} == {"OK"}
    assert {segment.field(3) for segment in answer if segment.name == "ORC"} == {f"{placed.number}^NUMUNE"}
    assert [segment.get(2) for segment in answer if segment.name == "ORC"] == list(order.steps.values())
    labels = [(segment.get(2), segment.get(14)) for segment in answer if segment.name == "SPM"]
    assert labels == [
        (f"{placed.number}01", "Biyokimya"),
        (f"{placed.number}02", "Hemogram"),
        (f"{placed.number}03", "Hormon-ELISA"),
        (f"{placed.number}04", "TİT"),
    ]
    assert [label for label, _ in labels] == await kit.barcodes(lab, placed.number)
    assert placed.source == "hbys"
    assert placed.priority is Priority.URGENT


async def test_an_order_in_the_older_form_gets_its_labels_as_notes(lab: Database, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "TSH", form="ORM^O01", priority="A")

    placed = await the_order(lab, order.number)
    assert order.answer.code == "AA"
    assert order.answer.kind == "ORR^O02"
    labels = [segment.get(3) for segment in order.answer if segment.name == "NTE" and segment.get(4) == "BARKOD"]
    assert labels == [f"{placed.number}01", f"{placed.number}03"]
    assert placed.priority is Priority.PRIORITY


async def test_a_preprinted_number_names_the_order(lab: Database, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "CBC", barcode="2101")

    assert (await the_order(lab, order.number)).number == "2101"
    assert [segment.get(2) for segment in order.answer if segment.name == "SPM"] == ["210101", "210102"]
    warnings = [segment.field(3) for segment in order.answer if segment.name == "NTE"]
    assert any("2001-2999" in words for words in warnings)  # somebody else's range: taken, with a warning


async def test_a_used_preprinted_number_is_refused(lab: Database, hospital: Hospital) -> None:
    await hospital.places(person(), "GLU", barcode="2102")
    second = await hospital.places(person(), "GLU", barcode="2102")

    assert second.answer.code == "AE"
    assert second.answer.first("ERR").field(2) == "SPM^1^2"
    assert "NUM-0104" in second.answer.first("ERR").get(8)
    assert await kit.order_of(lab, second.number) is None


async def test_clinical_words_physician_and_unit_reach_the_order(lab: Database, line: MllpClient) -> None:
    answer = await line.ask(
        message(
            kit.pid(person()),
            "NTE|1|P|Warfarin kullanıyor",
            "PV1|1|O|DAHILIYE^^^HASTANE",
            "ORC|NW|K1-1||K1|||||20261122090000|||H-100^ÖZIŞIK^ÇAĞLA",
            "TQ1|1||||||||R",
            "OBR|1|K1-1||GLU^Glukoz^L|||||||||halsizlik",
            "NTE|1|P|8 saat aç",
            "DG1|1||E11^Tip 2 diyabet^I10",
        )
    )

    assert answer.code == "AA"
    order = await the_order(lab, "K1")
    assert order.clinical == {"on_tani": "E11 Tip 2 diyabet", "not": "halsizlik; Warfarin kullanıyor; 8 saat aç"}
    async with lab.reading() as session:
        physician = await session.scalar(select(Physician).where(Physician.id == order.physician_id))
    assert physician is not None
    assert physician.code == "H-100"
    assert order.unit_id is not None
    assert order.ordered_at.isoformat() == "2026-11-22T06:00:00+00:00"


async def test_an_unknown_physician_does_not_stop_an_order(lab: Database, hospital: Hospital) -> None:
    """The order is taken with a warning; who ordered stays readable, and nobody is bound by resemblance."""
    order = await hospital.places(person(), "GLU", physician="DR. YENİ GELEN", unit="YENI-SERVIS")

    placed = await the_order(lab, order.number)
    assert order.answer.code == "AA"
    assert placed.physician_id is None
    assert placed.clinical == {"isteyen_hekim": "DR. YENİ GELEN", "isteyen_birim": "YENI-SERVIS"}


async def test_loinc_names_a_test_too(lab: Database, line: MllpClient) -> None:
    answer = await line.ask(
        message(kit.pid(person()), "ORC|NW|L1", "OBR|1|L1||2345-7^Glucose^LN", type="ORM^O01", version="2.3.1")
    )
    assert answer.code == "AA"
    assert answer.first("MSH").field(9) == "ORR^O02"
    assert list(await steps.states(lab, (await the_order(lab, "L1")).number)) == ["GLU"]


async def test_two_codes_for_two_tests_are_no_choice(lab: Database, line: MllpClient) -> None:
    answer = await line.ask(message(kit.pid(person()), "ORC|NW|L2", "OBR|1|L2||K^Potasyum^L^2345-7^Glucose^LN"))
    assert answer.code == "AE"
    assert "iki ayrı tetkiki" in answer.first("ERR").get(8)


async def test_one_orc_may_head_several_tests(lab: Database, line: MllpClient) -> None:
    answer = await line.ask(
        message(kit.pid(person()), "ORC|NW|T1", "OBR|1|T1||GLU^^L", "OBR|2|T1||K^^L", "OBR|3|T1||TSH^^L")
    )
    assert answer.code == "AA"
    assert set(await steps.states(lab, (await the_order(lab, "T1")).number)) == {"GLU", "K", "TSH"}


# -- what is refused, and how


async def test_an_unknown_test_is_named_with_its_segment_and_nothing_is_placed(lab: Database, line: MllpClient) -> None:
    before = await kit.count(lab, "hasta")
    answer = await line.ask(order_message(person(), ["GLU", "YOKBU", "K", "BUDAYOK"], number="U1"))

    assert answer.code == "AE"
    problems = [(segment.field(2), segment.get(3), segment.get(8)) for segment in answer if segment.name == "ERR"]
    assert problems == [
        ("OBR^2^4^1^1", "103", "NUM-0102: YOKBU tetkik listesinde yok."),
        ("OBR^4^4^1^1", "103", "NUM-0102: BUDAYOK tetkik listesinde yok."),
    ]
    assert await kit.order_of(lab, "U1") is None
    assert await kit.count(lab, "hasta") == before
    assert any("U1" not in words and "NUM-0102" in words for words in await kit.notices(lab))


async def test_a_wrong_identity_number_is_refused_at_its_place(lab: Database, hospital: Hospital) -> None:
    order = await hospital.places(person(tc="12345678901"), "GLU")

    error = order.answer.first("ERR")
    assert order.answer.code == "AE"
    assert error.field(2) == "PID^1^3^2^1"  # the second repetition of PID-3
    assert "NUM-0100" in error.get(8)
    assert await kit.order_of(lab, order.number) is None


async def test_a_number_of_somebody_else_is_an_error_never_a_choice(lab: Database, hospital: Hospital) -> None:
    known = person()
    await hospital.places(known, "GLU")
    other = await hospital.places(person(tc=known.tc, number="H-BASKA", given_name="MEHMET", sex="M"), "GLU")

    assert other.answer.code == "AE"
    assert other.answer.first("ERR").field(2).startswith("PID^1^3")
    assert "NUM-0101" in other.answer.first("ERR").get(8)
    assert "ÖĞÜTÇÜ" not in other.answer.raw.decode()  # whose number it is, is not told to a stranger
    assert await kit.order_of(lab, other.number) is None


async def test_an_order_number_is_not_lent_to_another_patient(lab: Database, line: MllpClient) -> None:
    await line.ask(order_message(person(), ["GLU"], number="P1"))
    answer = await line.ask(order_message(person(given_name="ALİ", sex="M"), ["K"], number="P1"))

    assert answer.code == "AE"
    assert "NUM-0101" in answer.first("ERR").get(8)
    assert list(await steps.states(lab, (await the_order(lab, "P1")).number)) == ["GLU"]


WRONG = [
    (["ORC|NW|X1", "OBR|1|X1||GLU"], "PID^1", "101"),
    (["PID|1||5^^^H^MR||A^B", "PID|2||6^^^H^MR||C^D", "ORC|NW|X1", "OBR|1|X1||GLU"], "PID^2", "205"),
    (["PID|1||5^^^H^MR||A^B"], "ORC^1", "101"),
    (["PID|1||5^^^H^MR||A^B", "OBR|1|X1||GLU", "ORC|NW|X1"], "OBR^1", "100"),
    (["PID|1||5^^^H^MR||A^B", "ORC|NW|X1"], "ORC^1", "101"),
    (["PID|1||5^^^H^MR||A^B", "ORC|NW", "OBR|1|||GLU"], "ORC^1^2", "101"),
    (["PID|1||5^^^H^MR||A^B", "ORC|RP|X1", "OBR|1|X1||GLU"], "ORC^1^1", "103"),
    (["PID|1||5^^^H^MR||A^B", "ORC|NW|X1", "TQ1|1||||||||ACELE", "OBR|1|X1||GLU"], "TQ1^1^9^1^1", "103"),
    (["PID|1||5^^^H^MR||A^B||19801345", "ORC|NW|X1", "OBR|1|X1||GLU"], "PID^1^7", "102"),
    (["PID|1||5^^^H^MR||A^B||19800101|X", "ORC|NW|X1", "OBR|1|X1||GLU"], "PID^1^8", "103"),
    (["PID|1||5^^^H^MR||A", "ORC|NW|X1", "OBR|1|X1||GLU"], "PID^1^5", "101"),
    (["PID|1||||A^B", "ORC|NW|X1", "OBR|1|X1||GLU"], "PID^1^3", "101"),
    (["PID|1||5^^^H^MR||A^B", "ORC|NW|X1||G1", "OBR|1|X1||GLU", "ORC|NW|X2||G2", "OBR|2|X2||K"], "ORC^2^4", "205"),
    (["PID|1||5^^^H^MR||A^B", "ORC|NW|X1", "OBR|1|X1|2103|GLU", "SPM|1|2104"], "OBR^1^3", "205"),
    (["PID|1||5^^^H^MR||A^B", "ORC|NW|X1", "OBR|1|X1||GLU", "SPM|1|LAB-7"], "SPM^1^2", "102"),
    (["PID|1||5^^^H^MR||A^B", "ORC|CA|X1", "OBR|1|X1||GLU"], "ORC^1^2", "204"),
    ([f"PID|1||{'9' * 51}^^^H^MR||A^B", "ORC|NW|X1", "OBR|1|X1||GLU"], "PID^1^3^1^1", "102"),
    (["PID|1||5^^^H^MR||A^B", f"ORC|NW|{'X' * 51}", "OBR|1|X1||GLU"], "ORC^1^2", "102"),
    (["PID|1||5^^^H^MR||A\\X00\\^B", "ORC|NW|X1", "OBR|1|X1||GLU"], "", "102"),
]


async def test_what_cannot_be_right_is_refused_with_its_place(lab: Database, line: MllpClient) -> None:
    tables = ("hasta", "tetkik_istem", "denetim")
    before = [await kit.count(lab, table) for table in tables]
    for n, (segments, place, code) in enumerate(WRONG):
        answer = await line.ask(message(*segments, control=f"RED-{n}"))
        error = answer.first("ERR")
        assert (answer.code, error.field(2), error.get(3)) == ("AE", place, code), segments
        assert error.get(8)
        [row] = await kit.kept(lab, f"RED-{n}")
        assert row.outcome == "AE"
    assert [await kit.count(lab, table) for table in tables] == before


STRANGE = [
    ({"type": "ADT^A01^ADT_A01"}, "MSH^1^9^1^2", "201"),
    ({"type": "SIU^S12"}, "MSH^1^9^1^1", "200"),
    ({"version": "3.0"}, "MSH^1^12", "203"),
    ({"processing": "T"}, "MSH^1^11", "202"),
]


async def test_what_we_do_not_take_is_rejected(lab: Database, line: MllpClient) -> None:
    for n, (wanted, place, code) in enumerate(STRANGE):
        order = message(kit.pid(person()), "ORC|NW|R1", "OBR|1|R1||GLU", control=f"AR-{n}", **wanted)
        answer = await line.ask(order)
        error = answer.first("ERR")
        assert (answer.code, error.field(2), error.get(3)) == ("AR", place, code)
        assert (await line.ask(order)).code == "AR"
        assert [row.outcome for row in await kit.kept(lab, f"AR-{n}")] == ["AR"]
    assert await kit.order_of(lab, "R1") is None


# -- changes


async def test_more_tests_under_the_same_number(lab: Database, hospital: Hospital) -> None:
    """Only the missing tube is new; the answer holds the labels of what was asked now."""
    order = await hospital.places(person(), "GLU")
    answer = await hospital.adds(order, "K", "CBC")

    placed = await the_order(lab, order.number)
    assert answer.code == "AA"
    assert [segment.get(2) for segment in answer if segment.name == "SPM"] == [
        f"{placed.number}01",
        f"{placed.number}02",
    ]
    assert await kit.barcodes(lab, placed.number) == [f"{placed.number}01", f"{placed.number}02"]
    assert await kit.count(lab, "tetkik_istem where kaynak = 'hbys'") == 1


async def test_an_order_said_again_under_a_new_control_id_changes_nothing(lab: Database, line: MllpClient) -> None:
    who = person()
    await line.ask(order_message(who, ["GLU", "K"], number="W1"))
    answer = await line.ask(order_message(who, ["GLU", "K"], number="W1"))

    assert answer.code == "AA"
    assert [segment.field(3) for segment in answer if segment.name == "NTE"] == ["Zaten bu istemde: GLU, K."]
    placed = await the_order(lab, "W1")
    assert len(await kit.barcodes(lab, placed.number)) == 1
    assert await kit.count(lab, "tetkik_istem where kaynak = 'hbys'") == 1


async def test_a_test_is_cancelled(lab: Database, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "CBC")
    answer = await hospital.cancels(order, "CBC")

    placed = await the_order(lab, order.number)
    assert answer.code == "AA"
    assert answer.first("ORC").field(1) == "CR"
    states = await steps.states(lab, placed.number)
    assert states.pop("GLU") is TestState.ORDERED
    assert set(states.values()) == {TestState.CANCELLED}


async def test_a_whole_order_is_cancelled_without_naming_tests(lab: Database, line: MllpClient) -> None:
    who = person()
    await line.ask(order_message(who, ["GLU", "K"], number="C1"))
    answer = await line.ask(message(kit.pid(who), "ORC|CA|||C1||||||||||||R^Hasta vazgeçti", type="ORM^O01"))

    placed = await the_order(lab, "C1")
    assert answer.code == "AA"
    assert set((await steps.states(lab, placed.number)).values()) == {TestState.CANCELLED}
    trail = await steps.audit_of(lab, "tetkik_istem", placed.id)
    assert trail[-1].after is not None
    assert trail[-1].after["gerekce"] == "Hasta vazgeçti"
    assert trail[-1].actor == "hbys"


async def test_a_request_is_cancelled_by_its_own_number(lab: Database, line: MllpClient) -> None:
    """Requests of one order without ORC-4: the order is found by the number of any of them."""
    who = person()
    await line.ask(message(kit.pid(who), "ORC|NW|S1", "OBR|1|S1||GLU^^L", "ORC|NW|S2", "OBR|2|S2||K^^L"))
    answer = await line.ask(message(kit.pid(who), "ORC|CA|S2"))

    assert answer.code == "AA"
    states = await steps.states(lab, (await the_order(lab, "S1")).number)
    assert states == {"GLU": TestState.ORDERED, "K": TestState.CANCELLED}


async def test_a_cancellation_that_contradicts_itself_cancels_nothing(lab: Database, line: MllpClient) -> None:
    who = person()
    await line.ask(order_message(who, ["GLU", "K"], number="Z1"))
    answer = await line.ask(message(kit.pid(who), "ORC|CA|Z1-1||Z1", "OBR|1|Z1-1||K^^L"))

    assert answer.code == "AE"
    assert answer.first("ERR").field(2) == "ORC^1^2"
    assert set((await steps.states(lab, (await the_order(lab, "Z1")).number)).values()) == {TestState.ORDERED}


async def test_what_has_a_result_cannot_be_cancelled_and_nothing_else_of_the_message_is_done(
    lab: Database, line: MllpClient
) -> None:
    who = person()
    await line.ask(order_message(who, ["GLU", "K"], number="V1"))
    placed = await the_order(lab, "V1")
    await kit.measured(lab, placed.number, {"K": "4.1"})

    answer = await line.ask(order_message(who, ["GLU", "K"], number="V1", control_code="CA"))

    assert answer.code == "AE"
    assert answer.first("ERR").field(2) == "OBR^2^4^1^1"
    assert answer.first("ERR").get(3) == "206"
    assert (await steps.states(lab, placed.number))["GLU"] is not TestState.CANCELLED


async def test_a_change_makes_an_order_urgent(lab: Database, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "K")
    answer = await hospital.changes(order, priority="S", physician="")

    assert answer.code == "AA"
    assert {segment.field(1) for segment in answer if segment.name == "ORC"} == {"XR"}
    placed = await the_order(lab, order.number)
    assert placed.priority is Priority.URGENT
    trail = await steps.audit_of(lab, "tetkik_istem", placed.id)
    assert (trail[-1].before, trail[-1].after) == ({"aciliyet": "rutin"}, {"aciliyet": "acil"})


async def test_one_of_many_does_not_make_the_rest_less_urgent(lab: Database, hospital: Hospital) -> None:
    order = await hospital.places(person(), "GLU", "K", priority="S")
    await hospital.changes(order, "GLU", priority="R")
    assert (await the_order(lab, order.number)).priority is Priority.URGENT
    await hospital.changes(order, priority="R")
    assert (await the_order(lab, order.number)).priority is Priority.ROUTINE


async def test_a_request_becomes_another_test(lab: Database, line: MllpClient) -> None:
    who = person()
    await line.ask(order_message(who, ["GLU", "K"], number="D1"))
    answer = await line.ask(message(kit.pid(who), "ORC|XO|D1-2||D1", "OBR|1|D1-2||NA^Sodyum^L"))

    assert answer.code == "AA"
    states = await steps.states(lab, (await the_order(lab, "D1")).number)
    assert states == {"GLU": TestState.ORDERED, "K": TestState.CANCELLED, "NA": TestState.ORDERED}
    again = await line.ask(message(kit.pid(who), "ORC|XO|D1-2||D1", "OBR|1|D1-2||NA^Sodyum^L"))
    assert again.code == "AA"
    assert await steps.states(lab, (await the_order(lab, "D1")).number) == states


async def test_our_own_number_finds_the_order(lab: Database, line: MllpClient) -> None:
    who = person()
    first = await line.ask(order_message(who, ["GLU", "K"], number="F1"))
    number = first.first("ORC").get(3)
    answer = await line.ask(message(kit.pid(who), f"ORC|CA||{number}", "OBR|1|||K^^L"))
    assert answer.code == "AA"
    assert (await steps.states(lab, number))["K"] is TestState.CANCELLED


# -- two hospitals


async def test_two_hospitals_talk_at_once_and_nothing_is_mixed(lab: Database, bridge: Bridge) -> None:
    async with MllpClient(bridge.port) as pertek, MllpClient(bridge.port) as ovacik:
        for n in range(5):
            await pertek.write(b"\x0b" + order_message(person(), ["GLU"], number=f"PE{n}", control=f"c{n}").encode())
            other = order_message(person(), ["TSH", "K"], number=f"OV{n}", control=f"c{n}", sender="HBYS|OVACIK")
            await ovacik.write(b"\x0b" + other.encode() + b"\x1c\r")
            await pertek.write(b"\x1c\r")
        for n in range(5):
            for client, prefix, tests in ((pertek, "PE", {"GLU"}), (ovacik, "OV", {"TSH", "K"})):
                answer = await client.read()
                assert (answer.code, answer.answers) == ("AA", f"c{n}")
                placed = await the_order(lab, f"{prefix}{n}")
                assert answer.first("ORC").get(3) == placed.number
                assert set(await steps.states(lab, placed.number)) == tests
    assert await kit.count(lab, "hbys_mesaj where kontrol_numarasi = 'c3'") == 2


async def test_one_hospital_cannot_touch_the_order_of_another(lab: Database, line: MllpClient) -> None:
    who = person()
    await line.ask(order_message(who, ["GLU"], number="N1"))
    strange = await line.ask(order_message(who, ["GLU"], number="N1", control_code="CA", sender="HBYS|OVACIK"))
    assert strange.code == "AE"
    assert strange.first("ERR").get(3) == "204"
    same_number = await line.ask(order_message(who, ["K"], number="N1", sender="HBYS|OVACIK"))
    assert same_number.code == "AE"
    assert "NUM-0113" in same_number.first("ERR").get(8)
    assert await steps.states(lab, (await the_order(lab, "N1")).number) == {"GLU": TestState.ORDERED}


async def test_hospitals_with_equal_numbers_are_kept_apart_by_prefixes(lab: Database, start) -> None:  # type: ignore[no-untyped-def]
    from hbys_bridge.settings import HospitalSettings

    bridge = await start(hospitals={"HBYS|OVACIK": HospitalSettings("HBYS|OVACIK", prefix="OVACIK/")})
    async with MllpClient(bridge.port) as client:
        first = await client.ask(order_message(person(number="1"), ["GLU"], number="100"))
        second = await client.ask(order_message(person(number="1"), ["K"], number="100", sender="HBYS|OVACIK"))
    assert (first.code, second.code) == ("AA", "AA")
    assert second.first("ORC").field(4) == "100"  # the prefix never goes out
    assert set(await steps.states(lab, (await the_order(lab, "100")).number)) == {"GLU"}
    assert set(await steps.states(lab, (await the_order(lab, "OVACIK/100")).number)) == {"K"}
    async with lab.reading() as session:
        numbers = set(await session.scalars(select(Patient.hospital_id).where(Patient.hospital_id.like("%1"))))
    assert {"1", "OVACIK/1"} <= numbers
