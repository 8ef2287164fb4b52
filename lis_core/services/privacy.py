"""Hidden patients, and records opened in an emergency (8.3.2.33; law 6698).

Hiding is a row with its reason, and a number on the patient that lists show instead of the name. An emergency access
is a row too: who, whose records, why, until when; it stays in the list of the responsible person until he judged it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.storage.database import Work
from lis_core.storage.tables import EmergencyAccess, HiddenPatient, Order, Patient, Scannable, User

KINDS = {
    "calisan": "Çalışan",
    "taninmis": "Tanınmış kişi",
    "izole": "İzole hasta",
    "adli": "Adli vaka",
    "diger": "Diğer",
}
"""Why somebody is hidden, as the form offers it."""

LEAST_MINUTES, MOST_MINUTES, USUAL_MINUTES = 5, 240, 60
VERDICTS = {"uygun": "Uygun", "uygun_degil": "Uygun değil"}
SHORTEST_REASON = 10
"""Letters of a reason that says something."""


# --- hidden patients --------------------------------------------------------------------------------------------------


async def hide_patient(work: Work, patient_id: int, kind: str, reason: str) -> str:
    """Follow this patient by number from now on; the number.

    Raises NOT_ALLOWED, NOT_FOUND, REASON_NEEDED, INVALID_INPUT (kind), ALREADY_HIDDEN.
    """
    work.actor.must(P.PRIVACY_MARK)
    if kind not in KINDS:
        raise NumuneError(errors.INVALID_INPUT, problem="gizlilik türü tanımlı değil")
    why = _reason(reason, least=1)
    patient = await _locked(work.session, patient_id)
    if patient.hidden_number is not None:
        raise NumuneError(errors.ALREADY_HIDDEN, number=patient.hidden_number)
    number = await _new_number(work.session)
    patient.hidden_number = number
    assert work.actor.user_id is not None
    work.session.add(HiddenPatient(patient_id=patient_id, kind=kind, reason=why, user_id=work.actor.user_id))
    after = {"gizlilik_numarasi": number, "tur": kind, "neden": why}
    work.audit("gizlendi", "hasta", patient_id, {"gizlilik_numarasi": None}, after, [patient_id])
    return number


async def show_patient(work: Work, patient_id: int, reason: str) -> None:
    """End the hiding. Raises NOT_ALLOWED, NOT_FOUND, REASON_NEEDED, NOT_HIDDEN."""
    work.actor.must(P.PRIVACY_MARK)
    why = _reason(reason, least=1)
    patient = await _locked(work.session, patient_id)
    row = await work.session.scalar(
        select(HiddenPatient).where(HiddenPatient.patient_id == patient_id, HiddenPatient.ended_at.is_(None))
    )
    if patient.hidden_number is None or row is None:
        raise NumuneError(errors.NOT_HIDDEN)
    before = {"gizlilik_numarasi": patient.hidden_number}
    patient.hidden_number = None
    row.ended_at, row.ended_by_id, row.end_reason = work.now, work.actor.user_id, why
    work.audit("gizlilik_kaldirildi", "hasta", patient_id, before, {"neden": why}, [patient_id])


async def _locked(session: AsyncSession, patient_id: int) -> Patient:
    patient = await session.scalar(select(Patient).where(Patient.id == patient_id).with_for_update())
    if patient is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Hasta {patient_id}")
    return patient


async def _new_number(session: AsyncSession) -> str:
    """A number that says nothing: not when he was hidden, not how many are."""
    while True:
        number = f"G-{secrets.randbelow(900_000) + 100_000}"
        if await session.scalar(select(Patient.id).where(Patient.hidden_number == number)) is None:
            return number


def _reason(reason: str, *, least: int) -> str:
    words = " ".join(reason.split())
    if len(words) < least:
        raise NumuneError(errors.REASON_NEEDED)
    return words


# --- emergency access -------------------------------------------------------------------------------------------------


async def patient_of(session: AsyncSession, scanned: str) -> int:
    """The patient of an order number or barcode; only whose it is, nothing about him. Raises UNKNOWN_BARCODE."""
    order = select(Order.patient_id).join(Scannable, Scannable.order_id == Order.id)
    found = await session.scalar(order.where(Scannable.text == scanned.strip()))
    if found is None:
        raise NumuneError(errors.UNKNOWN_BARCODE, barcode=scanned)
    return found


async def open_in_emergency(work: Work, patient_id: int, reason: str, minutes: int = USUAL_MINUTES) -> EmergencyAccess:
    """Open the records of this patient to the acting person for some minutes.

    Raises NOT_ALLOWED, REASON_NEEDED (too short), BAD_DURATION, NOT_FOUND.
    """
    work.actor.must(P.PRIVACY_EMERGENCY)
    why = _reason(reason, least=SHORTEST_REASON)
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise NumuneError(errors.BAD_DURATION, least=LEAST_MINUTES, most=MOST_MINUTES)
    if await work.session.get(Patient, patient_id) is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Hasta {patient_id}")
    assert work.actor.user_id is not None
    access = EmergencyAccess(
        patient_id=patient_id,
        user_id=work.actor.user_id,
        reason=why,
        address=work.actor.address,
        begins_at=work.now,
        ends_at=work.now + timedelta(minutes=minutes),
    )
    work.session.add(access)
    await work.session.flush()
    after = {"gerekce": why, "dakika": minutes, "bitis": access.ends_at.isoformat()}
    work.audit("acil_erisim", "acil_erisim", access.id, None, after, [patient_id])
    work.tell_screens("emergency", acil_erisim=access.id)
    return access


async def review(work: Work, access_id: int, verdict: str, note: str) -> None:
    """The responsible person judges an access. A verdict of `uygun_degil` needs a note.

    Raises NOT_ALLOWED, NOT_FOUND, INVALID_INPUT, REASON_NEEDED, OWN_REVIEW, ALREADY_REVIEWED.
    """
    work.actor.must(P.PRIVACY_REVIEW)
    if verdict not in VERDICTS:
        raise NumuneError(errors.INVALID_INPUT, problem="değerlendirme tanımlı değil")
    words = " ".join(note.split())
    if verdict != "uygun" and not words:
        raise NumuneError(errors.REASON_NEEDED)
    access = await work.session.scalar(select(EmergencyAccess).where(EmergencyAccess.id == access_id).with_for_update())
    if access is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Acil erişim {access_id}")
    if access.user_id == work.actor.user_id:
        raise NumuneError(errors.OWN_REVIEW)
    if access.reviewed_at is not None:
        raise NumuneError(errors.ALREADY_REVIEWED)
    access.reviewed_at, access.reviewed_by_id = work.now, work.actor.user_id
    access.verdict, access.note = verdict, words
    before = {"degerlendirme": None}
    after = {"degerlendirme": verdict, "not": words}
    work.audit("acil_erisim_degerlendirme", "acil_erisim", access_id, before, after, [access.patient_id])


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """An access as the responsible person sees it. `patient`: his number in the records, not his name."""

    id: int
    who: str
    username: str
    patient_id: int
    reason: str
    address: str
    begins_at: datetime
    ends_at: datetime
    views: int
    """Pages that were shown through it."""
    verdict: str | None
    note: str | None
    reviewed_by: str
    reviewed_at: datetime | None


_VIEWS = text(
    "select count(*) from denetim where zincir = 'erisim' and hastalar @> array[cast(:patient as bigint)] "
    "and zaman >= :begins and zaman < cast(:ends as timestamptz) + interval '1 minute' "
    "and sonraki->'acil_erisim' @> to_jsonb(cast(:access as bigint))"
)


async def to_review(session: AsyncSession, *, waiting: bool = True, limit: int = 200) -> Sequence[ReviewLine]:
    """What waits for a verdict, oldest first; or (waiting False) what was judged, newest first."""
    reviewer = User.__table__.alias("degerlendiren")
    question = (
        select(
            EmergencyAccess,
            User.username,
            func.concat(User.given_name, " ", User.family_name),
            func.concat(reviewer.c.ad, " ", reviewer.c.soyadi),
        )
        .join(User, User.id == EmergencyAccess.user_id)
        .outerjoin(reviewer, reviewer.c.kullanici_kodu == EmergencyAccess.reviewed_by_id)
        .where(EmergencyAccess.reviewed_at.is_(None) if waiting else EmergencyAccess.reviewed_at.is_not(None))
        .order_by(EmergencyAccess.id if waiting else EmergencyAccess.id.desc())
        .limit(limit)
    )
    lines = []
    for row, username, who, by in (await session.execute(question)).tuples():
        facts = {"patient": row.patient_id, "begins": row.begins_at, "ends": row.ends_at, "access": row.id}
        lines.append(
            ReviewLine(
                id=row.id,
                who=who,
                username=username,
                patient_id=row.patient_id,
                reason=row.reason,
                address=row.address,
                begins_at=row.begins_at,
                ends_at=row.ends_at,
                views=await session.scalar(_VIEWS, facts) or 0,
                verdict=row.verdict,
                note=row.note,
                reviewed_by=by.strip(),
                reviewed_at=row.reviewed_at,
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class HiddenLine:
    """A hidden patient in the list of those who manage them; without the name."""

    patient_id: int
    number: str
    kind: str
    reason: str
    by: str
    since: datetime


async def hidden_patients(session: AsyncSession, limit: int = 500) -> list[HiddenLine]:
    """Who is followed by number now, newest first."""
    rows = await session.execute(
        select(
            Patient.id,
            Patient.hidden_number,
            HiddenPatient.kind,
            HiddenPatient.reason,
            func.concat(User.given_name, " ", User.family_name),
            HiddenPatient.created_at,
        )
        .join(HiddenPatient, HiddenPatient.patient_id == Patient.id)
        .join(User, User.id == HiddenPatient.user_id)
        .where(HiddenPatient.ended_at.is_(None))
        .order_by(HiddenPatient.id.desc())
        .limit(limit)
    )
    return [HiddenLine(key, number or "", kind, why, by, at) for key, number, kind, why, by, at in rows.tuples()]
