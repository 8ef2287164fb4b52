"""Patients: found by number, never by resemblance; registered, corrected, merged.

Invariant 2: a number that looks like two people is an error that a person resolves, never a choice of the program.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import or_, select, text, update

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.identity import tc_problem
from lis_core.domain.permissions import P
from lis_core.domain.turkish import search_key
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Work
from lis_core.storage.tables import Order, Patient

_IDENTITY_LOCK = 7_301_949
"""First key of the advisory locks under which an unknown number is registered: two desks, one patient."""


@dataclass(frozen=True, slots=True)
class PatientData:
    """What a screen or a message says about a person. None = not said, which never clears what is known."""

    given_name: str
    family_name: str
    tc: str | None = None
    sex: str | None = None
    birth_date: date | None = None
    phone: str | None = None
    hospital_id: str | None = None
    passport: str | None = None


_FIELDS = ("tc", "hospital_id", "foreign_id", "given_name", "family_name", "birth_date", "sex", "phone")
_COLUMN = {
    "tc": "tc_kimlik_numarasi",
    "hospital_id": "hbys_hasta_numarasi",
    "foreign_id": "pasaport_numarasi",
    "given_name": "ad",
    "family_name": "soyadi",
    "birth_date": "dogum_tarihi",
    "sex": "cinsiyet",
    "phone": "cep_telefonu",
}


async def find_or_register(work: Work, data: PatientData) -> Patient:
    """The patient with this T.C., hospital or passport number, registered where nobody has it yet.

    The row comes locked for the rest of the transaction, so that a merge waits for the order that is being given.
    Raises BAD_TC, NO_PATIENT_FIELD, INVALID_INPUT, NOT_ALLOWED; PATIENT_MISMATCH where the known person has
    another name, birth date or sex, or where the numbers belong to different people.
    """
    data = _cleaned(data, work.now.astimezone(ISTANBUL).date())
    if not data.given_name or not data.family_name:
        raise NumuneError(errors.NO_PATIENT_FIELD, field="ad" if not data.given_name else "soyadı")
    if not (data.tc or data.hospital_id or data.passport):
        raise NumuneError(errors.NO_PATIENT_FIELD, field="kimlik (T.C., pasaport ya da hastane numarası)")
    found = await _with_these_numbers(work, data)
    if not found:
        await _lock_numbers(work, data)
        found = await _with_these_numbers(work, data)
    if not found:
        return await _register(work, data)
    patients = {}
    for row in found:
        survivor = await _survivor(work, row)
        if not (_same_person(row, data) or _same_person(survivor, data)):
            raise _mismatch(data, row)
        patients[survivor.id] = survivor
    if len(patients) > 1:
        raise _mismatch(data, found[0])
    patient = next(iter(patients.values()))
    if patient not in found:
        data = replace(data, tc=None, hospital_id=None, passport=None)  # the numbers stay with the merged record
    missing = {field: value for field, value in _values(data).items() if value and getattr(patient, field) is None}
    await _change(work, patient, missing, "tamamla")
    return patient


async def update_patient(work: Work, data: PatientData) -> Patient:
    """Correct a known person's data (ADT^A08); what `data` does not say stays.

    Raises NOT_FOUND, NOT_ALLOWED, BAD_TC, PATIENT_MISMATCH (the numbers belong to different people).
    """
    work.actor.must(P.PATIENT_CHANGE)
    data = _cleaned(data, work.now.astimezone(ISTANBUL).date())
    await _lock_numbers(work, data)
    patient = await _only_one(work, data)
    if patient is None:
        raise NumuneError(errors.NOT_FOUND, what="Hasta")
    wanted = {field: value for field, value in _values(data).items() if value and getattr(patient, field) != value}
    if patient.hospital_id is not None:
        wanted.pop("hospital_id", None)  # a second hospital number is a second record: ADT^A40 says so, not A08
    await _change(work, patient, wanted, "guncelle")
    return patient


async def merge_patients(work: Work, survivor: PatientData, merged: PatientData) -> Patient:
    """Two records of one person become one (ADT^A40): orders move to the survivor, the other points to it.

    Repeating the same merge is harmless. Raises NOT_ALLOWED, NOT_FOUND (the merged record), PATIENT_MISMATCH
    (two different T.C. numbers are two people until a person says otherwise), PATIENT_MERGED (it went into somebody
    else).
    """
    work.actor.must(P.PATIENT_CHANGE)
    today = work.now.astimezone(ISTANBUL).date()
    old = await _only_one(work, _cleaned(merged, today), follow=False)
    if old is None:
        raise NumuneError(errors.NOT_FOUND, what="Birleştirilecek hasta kaydı")
    kept = await _only_one(work, _cleaned(survivor, today)) or await find_or_register(work, survivor)
    if old.merged_into_id == kept.id:
        return kept
    if old.merged_into_id is not None:
        raise NumuneError(errors.PATIENT_MERGED, into=old.merged_into_id)
    if old.id == kept.id:
        raise NumuneError(errors.INVALID_INPUT, problem="birleştirilecek iki kayıt aynı")
    if old.tc and kept.tc and old.tc != kept.tc:
        raise NumuneError(errors.PATIENT_MISMATCH, tc=old.tc, known=masked(kept))
    await _hand_over(work, kept, old)
    return kept


async def _hand_over(work: Work, kept: Patient, old: Patient) -> None:
    orders = (
        await work.session.scalars(
            update(Order).where(Order.patient_id == old.id).values(patient_id=kept.id).returning(Order.id)
        )
    ).all()
    await work.session.execute(update(Patient).where(Patient.merged_into_id == old.id).values(merged_into_id=kept.id))
    moved = {
        field: getattr(old, field)
        for field in ("tc", "foreign_id")
        if getattr(old, field) is not None and getattr(kept, field) is None
    }
    before = _shown(old, moved) | {"birlestigi_hasta_kodu": None}
    for field in moved:
        setattr(old, field, None)
    old.merged_into_id = kept.id
    old.updated_at = work.now
    await work.session.flush()  # the T.C. number is free before the survivor takes it
    work.audit(
        "birlestir",
        "hasta",
        old.id,
        before,
        _shown(old, moved) | {"birlestigi_hasta_kodu": kept.id, "istemler": sorted(orders)},
        [old.id, kept.id],
    )
    blanks = {
        field: getattr(old, field)
        for field in ("birth_date", "sex", "phone")
        if getattr(old, field) is not None and getattr(kept, field) is None
    }
    await _change(work, kept, moved | blanks, "tamamla")


def masked(patient: Patient) -> str:
    """A name that a person who knows it recognises, and nobody else learns: "Ay** Yı****"."""
    return " ".join(word[:2] + "*" * len(word[2:]) for word in patient.full_name.split())


def _cleaned(data: PatientData, today: date) -> PatientData:
    """Without blanks and empty texts. Raises BAD_TC, INVALID_INPUT."""

    def text_or_none(value: str | None) -> str | None:
        return " ".join(_visible(value).split()) or None if value else None

    cleaned = PatientData(
        given_name=text_or_none(data.given_name) or "",
        family_name=text_or_none(data.family_name) or "",
        tc=text_or_none(data.tc),
        sex=text_or_none(data.sex),
        birth_date=data.birth_date,
        phone=text_or_none(data.phone),
        hospital_id=text_or_none(data.hospital_id),
        passport=text_or_none(data.passport),
    )
    if cleaned.tc is not None and (problem := tc_problem(cleaned.tc)):
        raise NumuneError(errors.BAD_TC, problem=problem)
    if cleaned.sex not in (None, "F", "M"):
        raise NumuneError(errors.INVALID_INPUT, problem="cinsiyet F ya da M olmalı")
    if cleaned.birth_date is not None and cleaned.birth_date > today:
        raise NumuneError(errors.INVALID_INPUT, problem="doğum tarihi gelecekte olamaz")
    return cleaned


def _visible(text: str) -> str:
    """Without signs that nobody sees: they would turn the direction of what stands beside a name (U+202E), or make two
    names of one."""
    # A zero byte stays: a text with one is damaged, and is refused with its place where it would be stored.
    return "".join(
        sign for sign in text if sign.isspace() or sign == "\0" or unicodedata.category(sign) not in ("Cf", "Cc")
    )


def _values(data: PatientData) -> dict[str, Any]:
    return {
        "tc": data.tc,
        "hospital_id": data.hospital_id,
        "foreign_id": data.passport,
        "given_name": data.given_name,
        "family_name": data.family_name,
        "birth_date": data.birth_date,
        "sex": data.sex,
        "phone": data.phone,
    }


async def _with_these_numbers(work: Work, data: PatientData) -> Sequence[Patient]:
    """Rows with any of the numbers, locked in the order of their ids."""
    one_of = [
        column == value
        for column, value in (
            (Patient.tc, data.tc),
            (Patient.hospital_id, data.hospital_id),
            (Patient.foreign_id, data.passport),
        )
        if value
    ]
    if not one_of:
        return []
    rows = select(Patient).where(or_(*one_of)).order_by(Patient.id).with_for_update(key_share=True)
    return (await work.session.scalars(rows.execution_options(populate_existing=True))).all()


async def _lock_numbers(work: Work, data: PatientData) -> None:
    numbers = [
        f"{kind}:{number}"
        for kind, number in (("tc", data.tc), ("hbys", data.hospital_id), ("pasaport", data.passport))
        if number
    ]
    await work.session.execute(
        text(
            "select pg_advisory_xact_lock(:space, k) from "
            "(select distinct hashtext(n) as k from unnest(cast(:numbers as text[])) as n order by 1) as keys"
        ),
        {"space": _IDENTITY_LOCK, "numbers": numbers},
    )


async def _survivor(work: Work, patient: Patient) -> Patient:
    """Where a merged record leads. Merging flattens chains, so one step is the rule."""
    while patient.merged_into_id is not None:
        patient = await work.session.get_one(Patient, patient.merged_into_id, with_for_update={"key_share": True})
    return patient


async def _only_one(work: Work, data: PatientData, *, follow: bool = True) -> Patient | None:
    """The one person whom these numbers name; None for nobody; PATIENT_MISMATCH for two."""
    rows = await _with_these_numbers(work, data)
    people = {row.id: row for row in ([await _survivor(work, row) for row in rows] if follow else rows)}
    if len(people) > 1:
        raise _mismatch(data, rows[0])
    return next(iter(people.values()), None)


def _same_person(known: Patient, data: PatientData) -> bool:
    """Names compared as searched (İ, ı, ş ... folded); what one side does not say contradicts nothing."""
    return (
        search_key(known.full_name) == search_key(f"{data.given_name} {data.family_name}")
        and _agree(known.birth_date, data.birth_date)
        and _agree(known.sex, data.sex)
        and _agree(known.tc, data.tc)
    )


def _agree(known: object, said: object) -> bool:
    return known is None or said is None or known == said


def _mismatch(data: PatientData, known: Patient) -> NumuneError:
    number = data.tc or data.hospital_id or data.passport or ""
    return NumuneError(errors.PATIENT_MISMATCH, tc=number, known=masked(known))


async def _register(work: Work, data: PatientData) -> Patient:
    work.actor.must(P.PATIENT_ENTER)
    patient = Patient(**_values(data))
    work.session.add(patient)
    await work.session.flush()
    work.audit("kaydet", "hasta", patient.id, None, _shown(patient, _FIELDS), [patient.id])
    return patient


async def _change(work: Work, patient: Patient, wanted: dict[str, Any], action: str) -> None:
    """Write the changed fields, with one audit row. A T.C. number that somebody else has is a mismatch."""
    if not wanted:
        return
    before = _shown(patient, wanted)
    for field, value in wanted.items():
        setattr(patient, field, value)
    patient.updated_at = work.now
    await work.session.flush()
    work.audit(action, "hasta", patient.id, before, _shown(patient, wanted), [patient.id])


def _shown(patient: Patient, fields: Any) -> dict[str, Any]:
    return {_COLUMN[field]: value for field in fields if (value := getattr(patient, field)) is not None}


__all__ = ["PatientData", "find_or_register", "masked", "merge_patients", "update_patient"]
