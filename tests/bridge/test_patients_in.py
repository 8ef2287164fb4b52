"""Patient data of the hospital: ADT^A08 and A31 correct, A40 merges."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select

from lis_core.storage.database import Database
from lis_core.storage.tables import Order, Patient
from simulators.hospital import Hospital
from tests.bridge import kit
from tests.bridge.kit import MllpClient, message, person
from tests.services import steps


async def patient(lab: Database, hospital_id: str) -> Patient:
    async with lab.reading() as session:
        found = await session.scalar(select(Patient).where(Patient.hospital_id == hospital_id))
        assert found is not None
        return found


async def test_a_corrected_name_reaches_the_laboratory(lab: Database, hospital: Hospital) -> None:
    who = person()
    await hospital.places(who, "GLU")
    answer = await hospital.updates(replace(who, family_name="YENİSOYAD", birth_date="19800518"))

    assert answer.code == "AA"
    assert answer.first("MSH").field(9) == "ACK^A08^ACK"
    known = await patient(lab, who.number)
    assert (known.family_name, known.birth_date and known.birth_date.isoformat()) == ("YENİSOYAD", "1980-05-18")
    trail = await steps.audit_of(lab, "hasta", known.id)
    assert trail[-1].before == {"soyadi": who.family_name, "dogum_tarihi": "1980-05-17"}
    assert trail[-1].actor == "hbys"


async def test_what_an_update_does_not_say_stays(lab: Database, hospital: Hospital, line: MllpClient) -> None:
    who = person()
    await hospital.places(who, "GLU")
    answer = await line.ask(message("EVN|A31|20261122", f'PID|1||{who.number}^^^H^MR||""^""||""|""', type="ADT^A31"))
    assert answer.code == "AA"
    known = await patient(lab, who.number)
    assert (known.family_name, known.sex, known.tc) == (who.family_name, "F", who.tc)


async def test_news_of_somebody_whom_the_laboratory_does_not_know_is_no_error(
    lab: Database, hospital: Hospital
) -> None:
    before = await kit.count(lab, "hasta")
    answer = await hospital.updates(person())
    assert answer.code == "AA"
    assert "kayıtlı değil" in answer.first("MSA").field(3)
    assert await kit.count(lab, "hasta") == before


async def test_two_records_of_one_person_become_one(lab: Database, hospital: Hospital) -> None:
    kept, gone = person(), person(tc="")
    first, second = await hospital.places(kept, "GLU"), await hospital.places(gone, "K")

    answer = await hospital.merges(kept, gone)

    assert answer.code == "AA"
    assert answer.first("MSH").field(9) == "ACK^A40^ACK"
    survivor = await patient(lab, kept.number)
    assert (await patient(lab, gone.number)).merged_into_id == survivor.id
    async with lab.reading() as session:
        owners = await session.scalars(
            select(Order.patient_id).where(Order.hospital_number.in_([first.number, second.number]))
        )
        assert set(owners) == {survivor.id}
    assert (await hospital.merges(kept, gone)).code == "AA"  # said again by the hospital: harmless


async def test_orders_go_on_after_a_merge(lab: Database, hospital: Hospital) -> None:
    """The order of the merged record is changed under either number."""
    kept = person()
    gone = person(tc="", family_name=kept.family_name, given_name=kept.given_name)
    order = await hospital.places(gone, "GLU", "K")
    await hospital.merges(kept, gone)

    order.person = kept
    assert (await hospital.adds(order, "NA")).code == "AA"
    order.person = gone
    assert (await hospital.cancels(order, "K")).code == "AA"


async def test_two_people_with_different_identity_numbers_are_not_merged(lab: Database, hospital: Hospital) -> None:
    kept, gone = person(), person()
    await hospital.places(kept, "GLU")
    await hospital.places(gone, "GLU")
    answer = await hospital.merges(kept, gone)
    assert answer.code == "AE"
    assert answer.first("ERR").field(2).startswith("PID^1^3")
    assert (await patient(lab, gone.number)).merged_into_id is None


async def test_a_merge_of_unknown_records_is_done_already(lab: Database, hospital: Hospital) -> None:
    answer = await hospital.merges(person(), person())
    assert answer.code == "AA"
    assert "yapılacak işlem yok" in answer.first("MSA").field(3)


async def test_a_merge_without_a_number_is_refused(line: MllpClient) -> None:
    answer = await line.ask(message("EVN|A40", kit.pid(person()), "MRG|", type="ADT^A40^ADT_A39"))
    assert answer.code == "AE"
    assert answer.first("ERR").field(2) == "MRG^1^1"
    answer = await line.ask(message("EVN|A40", kit.pid(person()), type="ADT^A40^ADT_A39"))
    assert answer.first("ERR").field(2) == "MRG^1"


async def test_a_national_number_of_somebody_else_is_no_correction(lab: Database, hospital: Hospital) -> None:
    one, other = person(), person()
    await hospital.places(one, "GLU")
    await hospital.places(other, "GLU")
    answer = await hospital.updates(replace(one, tc=other.tc))
    assert answer.code == "AE"
    assert "NUM-0101" in answer.first("ERR").get(8)
