"""The slip that is handed to a patient: number, code, address; and his wish not to be on the internet at all.

The code is random and kept only as a keyed digest: a slip cannot be printed again, a new one ends the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.online_access import new_code
from lis_core.domain.permissions import About, P
from lis_core.services.patient_access import code_digest, identity_of
from lis_core.services.patient_access_rules import page_rules
from lis_core.services.patients import masked
from lis_core.services.secret_box import SecretBox
from lis_core.storage.database import Work
from lis_core.storage.tables import AccessSlip, OnlineRefusal, Order, Patient, User

RENEWED, UNWANTED = "yenilendi", "istemiyor"


@dataclass(frozen=True, slots=True)
class IssuedSlip:
    """What is printed, once. patient: his name in part, so that reception hands it to the right person."""

    number: str
    code: str
    patient: str
    identity_words: str
    """Which number he has to type."""
    given_at: datetime
    expires_at: datetime


async def issue_slip(work: Work, box: SecretBox, number: str, reason: str = "") -> IssuedSlip:
    """A new slip for this order; one that was open ends.

    Raises NOT_FOUND, NOT_ALLOWED, SLIP_NOT_GIVEN (why), SLIP_GIVEN_BEFORE (a second one needs a reason).
    """
    order, patient = await _locked(work, number)
    work.actor.must(P.ONLINE_SLIP, _about(order))
    assert work.actor.user_id is not None
    rules = await page_rules(work.session)
    if problem := await why_not(work.session, patient):
        raise NumuneError(errors.SLIP_NOT_GIVEN, problem=problem)
    if not rules.acik:
        raise NumuneError(errors.SLIP_NOT_GIVEN, problem="hasta sayfası kapalı; laboratuvar sorumlusu açar")
    why = " ".join(reason.split())
    before = await work.session.scalar(select(AccessSlip).where(AccessSlip.order_id == order.id).limit(1))
    if before is not None and not why:
        raise NumuneError(errors.SLIP_GIVEN_BEFORE)
    await _end_open(work, [order.id], RENEWED)
    code = new_code()
    slip = AccessSlip(
        order_id=order.id,
        code_digest=code_digest(box, order.id, code),
        given_by_id=work.actor.user_id,
        given_at=work.now,
        reason=why,
        expires_at=work.now + rules.slip_length,
    )
    work.session.add(slip)
    await work.session.flush()
    facts = {"istem": order.number, "bitis": slip.expires_at.isoformat(), "neden": why}
    work.audit("hasta_belgesi", "hasta_erisim_belgesi", slip.id, None, facts, [patient.id])
    words = identity_of(patient).words
    return IssuedSlip(order.number, code, masked(patient), words, work.now, slip.expires_at)


async def why_not(session: AsyncSession, patient: Patient) -> str | None:
    """Why this patient can be given no slip, as the end of a Turkish sentence; None: he can."""
    if patient.anonymised_at is not None:
        return "hastanın kimliği silinmiş"
    if patient.hidden_number is not None:
        return "hasta numara ile izleniyor"
    if await refusal_of(session, patient.id) is not None:
        return "hasta sonuçlarının internetten gösterilmesini istemiyor"
    if not identity_of(patient).accepted:
        return "hastanın kimlik, pasaport ya da hastane numarası ve doğum tarihi yok"
    return None


async def _locked(work: Work, number: str) -> tuple[Order, Patient]:
    row = (
        await work.session.execute(
            select(Order, Patient)
            .join(Patient, Patient.id == Order.patient_id)
            .where(Order.number == number)
            .with_for_update(of=Order, key_share=True)
        )
    ).one_or_none()
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{number} numaralı istem")
    return row[0], row[1]


def _about(order: Order) -> About:
    return About(unit_id=order.unit_id, physician_id=order.physician_id, ordered_by_id=order.ordered_by_id)


async def _end_open(work: Work, order_ids: list[int], why: str) -> None:
    await work.session.execute(
        update(AccessSlip)
        .where(AccessSlip.order_id.in_(order_ids), AccessSlip.ended_at.is_(None))
        .values(ended_at=work.now, end_reason=why)
    )


# --- the patient's wish --------------------------------------------------------------------------------------------


async def refusal_of(session: AsyncSession, patient_id: int) -> OnlineRefusal | None:
    """The wish of this patient, or of a record that was merged into his, that holds now."""
    same = select(Patient.id).where(or_(Patient.id == patient_id, Patient.merged_into_id == patient_id))
    found: OnlineRefusal | None = await session.scalar(
        select(OnlineRefusal)
        .where(OnlineRefusal.patient_id.in_(same), OnlineRefusal.ended_at.is_(None))
        .order_by(OnlineRefusal.id)
        .limit(1)
    )
    return found


async def refuse_internet(work: Work, number: str, note: str) -> None:
    """The patient of this order does not want his results there: every slip of his ends, and none is given.

    Raises NOT_FOUND, NOT_ALLOWED, REASON_NEEDED (how he said so), ONLINE_REFUSED_ALREADY.
    """
    order, patient = await _locked(work, number)
    work.actor.must(P.ONLINE_SLIP, _about(order))
    assert work.actor.user_id is not None
    words = " ".join(note.split())
    if not words:
        raise NumuneError(errors.REASON_NEEDED)
    if await refusal_of(work.session, patient.id) is not None:
        raise NumuneError(errors.ONLINE_REFUSED_ALREADY)
    row = OnlineRefusal(patient_id=patient.id, note=words, user_id=work.actor.user_id)
    work.session.add(row)
    await work.session.flush()
    orders = list(await work.session.scalars(select(Order.id).where(Order.patient_id == patient.id)))
    await _end_open(work, orders, UNWANTED)
    work.audit("internet_istemiyor", "cevrimici_ret", row.id, None, {"aciklama": words}, [patient.id])


async def allow_internet(work: Work, number: str, note: str) -> None:
    """He wants it again; a new slip is needed. Raises NOT_FOUND, NOT_ALLOWED, REASON_NEEDED, ONLINE_REFUSED_ALREADY."""
    order, patient = await _locked(work, number)
    work.actor.must(P.ONLINE_SLIP, _about(order))
    words = " ".join(note.split())
    if not words:
        raise NumuneError(errors.REASON_NEEDED)
    row = await refusal_of(work.session, patient.id)
    if row is None:
        raise NumuneError(errors.ONLINE_REFUSED_ALREADY)
    row.ended_at, row.ended_by_id = work.now, work.actor.user_id
    work.audit("internet_istiyor", "cevrimici_ret", row.id, {"aciklama": row.note}, {"neden": words}, [patient.id])


# --- the desk's page -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SlipState:
    """How it stands with an order's slip. problem: why none can be given; "" = one can."""

    problem: str
    unwanted: bool
    given_at: datetime | None
    by: str
    expires_at: datetime | None
    opened: int
    opened_at: datetime | None
    open: bool


async def slip_state(session: AsyncSession, order_id: int, patient: Patient, now: datetime) -> SlipState:
    """The newest slip of the order, and whether another can be given."""
    row = (
        await session.execute(
            select(AccessSlip, func.concat_ws(" ", User.given_name, User.family_name))
            .join(User, User.id == AccessSlip.given_by_id)
            .where(AccessSlip.order_id == order_id)
            .order_by(AccessSlip.id.desc())
            .limit(1)
        )
    ).one_or_none()
    slip, by = (row[0], row[1]) if row else (None, "")
    rules = await page_rules(session)
    problem = await why_not(session, patient) or ("" if rules.acik else "hasta sayfası kapalı")
    return SlipState(
        problem=problem,
        unwanted=await refusal_of(session, patient.id) is not None,
        given_at=slip.given_at if slip else None,
        by=by,
        expires_at=slip.expires_at if slip else None,
        opened=slip.opened if slip else 0,
        opened_at=slip.opened_at if slip else None,
        open=slip is not None and slip.ended_at is None and slip.expires_at > now,
    )
