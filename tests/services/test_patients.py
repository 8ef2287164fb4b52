"""Patients: a number that looks like two people is an error, never a choice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import func, select

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.patients import PatientData, find_or_register, merge_patients, update_patient
from lis_core.storage.database import Actor, Database, program
from lis_core.storage.tables import Order, Patient
from tests.services import steps

HOSPITAL = program("hbys", chain="hbys", may=(P.PATIENT_ENTER, P.PATIENT_CHANGE))


async def register(lab: Database, data: PatientData, actor: Actor = HOSPITAL) -> Patient:
    async with lab.work(actor) as work:
        return await find_or_register(work, data)


async def refused(lab: Database, data: PatientData) -> NumuneError:
    with pytest.raises(NumuneError) as refusal:
        await register(lab, data)
    return refusal.value


async def test_a_known_person_is_found_however_the_name_is_typed(lab: Database) -> None:
    person = steps.person(given_name="İpek", family_name="Şığırcı")
    first = await register(lab, person)
    again = await register(lab, replace(person, given_name="IPEK", family_name="SIGIRCI"))
    assert again.id == first.id
    assert again.given_name == "İpek"


async def test_another_name_birth_date_or_sex_under_a_known_number_is_refused(lab: Database) -> None:
    person = steps.person(given_name="Ayşe", family_name="Yılmaz")
    await register(lab, person)
    for other in (
        replace(person, given_name="Fatma"),
        replace(person, birth_date=date(1981, 5, 17)),
        replace(person, sex="M"),
    ):
        refusal = await refused(lab, other)
        assert refusal.kind is errors.PATIENT_MISMATCH
        assert "Ay** Yı****" in refusal.message  # recognisable, not readable


async def test_what_was_missing_is_filled_and_audited_but_nothing_is_overwritten(lab: Database) -> None:
    person = steps.person(birth_date=None, phone=None)
    first = await register(lab, person)
    second = await register(lab, replace(person, birth_date=date(1990, 1, 2), phone="0532", sex=None))
    assert (second.id, second.birth_date, second.phone, second.sex) == (first.id, date(1990, 1, 2), "0532", "F")
    entries = await steps.audit_of(lab, "hasta", first.id)
    assert [entry.action for entry in entries] == ["kaydet", "tamamla"]
    assert entries[1].before == {}
    assert entries[1].after == {"dogum_tarihi": "1990-01-02", "cep_telefonu": "0532"}


async def test_two_numbers_that_belong_to_two_people_are_refused(lab: Database) -> None:
    one = await register(lab, steps.person(given_name="Can", family_name="Er", hospital_id="P-1"))
    two = await register(lab, steps.person(given_name="Can", family_name="Er", hospital_id="P-2"))
    assert one.id != two.id
    mixed = PatientData("Can", "Er", tc=one.tc, hospital_id="P-2")
    assert (await refused(lab, mixed)).kind is errors.PATIENT_MISMATCH


async def test_a_hospital_number_with_another_tc_is_refused(lab: Database) -> None:
    known = steps.person(given_name="Can", family_name="Er", hospital_id="P-3")
    await register(lab, known)
    assert (await refused(lab, replace(known, tc=steps.person().tc))).kind is errors.PATIENT_MISMATCH


async def test_foreigners_and_patients_without_tc_are_found_by_their_own_numbers(lab: Database) -> None:
    passport = PatientData("Jane", "Doe", passport="P1234567")
    hospital = PatientData("Bebek", "Öz", hospital_id="YD-1")
    assert (await register(lab, passport)).id == (await register(lab, passport)).id
    assert (await register(lab, hospital)).id == (await register(lab, hospital)).id
    later = await register(lab, replace(hospital, tc=steps.person().tc))  # the newborn got its T.C. number
    assert later.tc is not None
    assert (await refused(lab, PatientData("Kim", "Bilir"))).kind is errors.NO_PATIENT_FIELD
    assert (await refused(lab, PatientData("", "Öz", hospital_id="X"))).kind is errors.NO_PATIENT_FIELD


async def test_wrong_facts_are_refused(lab: Database) -> None:
    person = steps.person()
    assert (await refused(lab, replace(person, tc="10000000145"))).kind is errors.BAD_TC
    assert (await refused(lab, replace(person, sex="K"))).kind is errors.INVALID_INPUT
    assert (await refused(lab, replace(person, birth_date=date(2999, 1, 1)))).kind is errors.INVALID_INPUT


async def test_ten_desks_register_one_newcomer_at_once(lab: Database) -> None:
    """No unique index protects a passport number: the lock on the number does."""
    person = PatientData("Jane", "Doe", passport="X-99", hospital_id="H-99")
    found = await asyncio.gather(*(register(lab, person) for _ in range(10)))
    assert len({patient.id for patient in found}) == 1
    async with lab.reading() as session:
        count = await session.scalar(select(func.count()).select_from(Patient).where(Patient.foreign_id == "X-99"))
    assert count == 1


async def test_the_hospital_corrects_a_persons_data(lab: Database) -> None:
    known = await register(lab, steps.person(hospital_id="P-10"))
    async with lab.work(HOSPITAL) as work:
        changed = await update_patient(
            work, PatientData("Işıl", "Yeni", hospital_id="P-10", birth_date=date(1981, 1, 1), phone="0505")
        )
    assert (changed.id, changed.family_name, changed.birth_date) == (known.id, "Yeni", date(1981, 1, 1))
    assert changed.tc == known.tc  # what was not said stays
    entry = (await steps.audit_of(lab, "hasta", known.id))[-1]
    assert entry.action == "guncelle"
    assert entry.before == {"soyadi": known.family_name, "dogum_tarihi": "1980-05-17"}
    assert entry.chain == "hbys"
    with pytest.raises(NumuneError) as refusal:
        async with lab.work(HOSPITAL) as work:
            await update_patient(work, PatientData("Kim", "Bilir", hospital_id="P-YOK"))
    assert refusal.value.kind is errors.NOT_FOUND


async def test_merged_records_lead_to_one_person_and_orders_follow(lab: Database) -> None:
    kept_data = steps.person(hospital_id="P-20")
    old_data = PatientData("Isil", "Eski", hospital_id="P-21", phone="0505")
    kept, old = await register(lab, kept_data), await register(lab, old_data)
    placed = await steps.order(lab, ["GLU"], patient=old_data)

    for _ in range(2):  # the message comes twice
        async with lab.work(HOSPITAL) as work:
            survivor = await merge_patients(work, kept_data, PatientData("", "", hospital_id="P-21"))
    assert survivor.id == kept.id
    assert survivor.phone == "0505"
    async with lab.reading() as session:
        assert (await session.get_one(Order, placed.order_id)).patient_id == kept.id
        assert (await session.get_one(Patient, old.id)).merged_into_id == kept.id
    later = await register(lab, old_data)  # the old number still works, and means the survivor
    assert later.id == kept.id
    merges = [entry for entry in await steps.audit_of(lab, "hasta", old.id) if entry.action == "birlestir"]
    assert len(merges) == 1
    assert merges[0].after is not None
    assert merges[0].after["istemler"] == [placed.order_id]


async def test_a_chain_of_merges_ends_at_the_last_survivor(lab: Database) -> None:
    data = [steps.person(tc=None, hospital_id=f"Z-{n}", family_name="Zincir") for n in range(3)]
    people = [await register(lab, one) for one in data]
    async with lab.work(HOSPITAL) as work:
        await merge_patients(work, data[1], data[0])
    async with lab.work(HOSPITAL) as work:
        await merge_patients(work, data[2], data[1])
    assert {(await register(lab, one)).id for one in data} == {people[2].id}


async def test_two_people_with_two_tc_numbers_are_not_merged(lab: Database) -> None:
    one, two = steps.person(), steps.person()
    await register(lab, one)
    await register(lab, two)
    with pytest.raises(NumuneError) as refusal:
        async with lab.work(HOSPITAL) as work:
            await merge_patients(work, one, two)
    assert refusal.value.kind is errors.PATIENT_MISMATCH


async def test_merging_is_refused_where_it_makes_no_sense(lab: Database) -> None:
    data = [steps.person(tc=None, hospital_id=f"Y-{n}") for n in range(3)]
    for one in data:
        await register(lab, one)
    async with lab.work(HOSPITAL) as work:
        await merge_patients(work, data[1], data[0])
    cases = [
        (data[2], data[0], errors.PATIENT_MERGED),  # it went into somebody else
        (data[1], data[1], errors.INVALID_INPUT),
        (data[1], PatientData("", "", hospital_id="Y-YOK"), errors.NOT_FOUND),
    ]
    for survivor, merged, kind in cases:
        with pytest.raises(NumuneError) as refusal:
            async with lab.work(HOSPITAL) as work:
                await merge_patients(work, survivor, merged)
        assert refusal.value.kind is kind
    assert await steps.chain_problems(lab) == []


async def test_the_tc_number_moves_to_the_survivor(lab: Database) -> None:
    kept_data = PatientData("Işıl", "Kalan", hospital_id="T-1")
    old_data = steps.person(hospital_id="T-2")
    kept = await register(lab, kept_data)
    await register(lab, old_data)
    async with lab.work(HOSPITAL) as work:
        survivor = await merge_patients(work, kept_data, old_data)
    assert (survivor.id, survivor.tc) == (kept.id, old_data.tc)
