"""A patient on the internet page: who he says he is, what he may open, for how long (9.8.8, 9.11.12).

Order number, identity number and the code of his slip, all three at once. Whatever is wrong, the same steps are taken
up to the same answer: one count, one question, three comparisons in constant time, one row in the audit. What exactly
was wrong stands in the audit alone. Guesses are counted by address, by address and order number, and by address and
identity number, never by a number alone: nobody can lock somebody else out. A visit opens one order, in one browser.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.online_access import (
    Identity,
    PatientPageRules,
    network_of,
    plain_code,
    plain_identity,
)
from lis_core.domain.permissions import P, program_rights
from lis_core.services import throttle
from lis_core.services.patient_access_rules import page_rules
from lis_core.services.secret_box import SecretBox
from lis_core.services.sessions import Visitor, agent_digest, browser_words, digest
from lis_core.services.throttle import Counter
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import AccessSlip, OnlineRefusal, Order, Patient, PatientVisit

PATIENT = "hasta"
"""What somebody on the patients' page is called in the audit, where nobody knows who he is."""
CHAIN = "hasta"
"""A chain of its own: whoever hammers at the public page holds up nobody who works."""

FREE_FROM_ADDRESS = 30
"""Wrong attempts of one address over all orders that cost nothing: a ward, a village may stand behind one."""

MAY = (P.ORDER_VIEW, P.REPORT_TAKE)
"""What the page does for its patient; which values he reads, the rules decide (`views.seeing.PatientSight`)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody typed."""

    number: str
    identity: str
    code: str


@dataclass(frozen=True, slots=True)
class Visit:
    """An open visit. order_number: the only order that it shows. ends_at: when it closes if nothing more is asked."""

    order_number: str
    patient_id: int
    slip_id: int
    form_token: str
    ends_at: datetime
    opened: int
    """How often the slip has been used, this visit included."""


def patient_actor(address: str) -> Actor:
    """The page, acting for a patient from this address."""
    return Actor(
        name=PATIENT, address=address, rights=program_rights(*MAY), full_name="hasta, internet sayfası", chain=CHAIN
    )


def plain_number(text: str) -> str:
    """An order number as typed or scanned; letters that no number has are left out, the database never sees them."""
    return "".join(sign for sign in clean_scan(text) if sign.isalnum())[:18]


def code_digest(box: SecretBox, order_id: int, code: str) -> bytes:
    """What is stored of a code. The order is in it: a row copied to another order opens nothing."""
    return box.digest(plain_code(code), f"hasta belgesi {order_id}")


# --- coming in -----------------------------------------------------------------------------------------------------


async def enter(db: Database, claim: Claim, visitor: Visitor, box: SecretBox) -> str:
    """The secret of a new visit. Raises PATIENT_NOT_MATCHED, TOO_MANY_ATTEMPTS, PATIENT_PAGE_CLOSED."""
    rules = await _open_page(db)
    actor = patient_actor(visitor.address)
    counters = _counters(claim, visitor.address, rules, box)
    try:
        await throttle.count_guess(db, actor, counters)
    except NumuneError:
        await _note_blocked(db, actor)
        raise
    async with db.reading() as session:
        found = await _found(session, plain_number(claim.number))
    async with db.work(actor) as work:
        verdict = _judge(found, claim, box, work.now)
        secret = None
        if verdict.slip is not None:
            await throttle.forgive_guess(work, counters)
            secret = await _open_visit(work, verdict, visitor, rules)
        else:
            facts = {"neden": verdict.why, "istem": verdict.number, "tarayici": browser_words(visitor.agent)}
            work.audit("hasta_girisi_reddi", "hasta_sayfasi", "", None, facts, verdict.patients)
    if secret is None:
        raise NumuneError(errors.PATIENT_NOT_MATCHED)
    return secret


async def _open_page(db: Database) -> PatientPageRules:
    async with db.reading() as session:
        rules = await page_rules(session)
    if not rules.acik:
        raise NumuneError(errors.PATIENT_PAGE_CLOSED)
    return rules


def _counters(claim: Claim, address: str, rules: PatientPageRules, box: SecretBox) -> list[Counter]:
    """Always in the same order, so that two attempts wait for one another and never in a circle.

    The numbers are kept as digests: what somebody typed wrong is somebody's identity number all the same.
    """
    place = network_of(address)

    def locked(wrong: int) -> timedelta:
        return rules.lock_length if wrong >= rules.deneme else timedelta(0)

    def slowed(wrong: int) -> timedelta:
        return throttle.waiting_time(wrong, FREE_FROM_ADDRESS)

    def name(kind: str, typed: str) -> str:
        return f"{kind}:{box.digest(typed, 'hasta denemesi').hex()[:32]}"

    return [
        Counter(PATIENT, place, slowed, shared=True),
        Counter(name("istem", plain_number(claim.number)), place, locked),
        Counter(name("kimlik", plain_identity(claim.identity)), place, locked),
    ]


@dataclass(frozen=True, slots=True)
class _Found:
    order: Order
    patient: Patient
    slip: AccessSlip | None
    refused: bool


@dataclass(frozen=True, slots=True)
class _Verdict:
    """slip: the one that fits; None: refused, and `why` says it, for the audit only."""

    slip: AccessSlip | None
    why: str = ""
    number: str | None = None
    patients: tuple[int, ...] = ()


def refuses_internet() -> ColumnElement[bool]:
    """Over `Patient`: he, or a record that was merged into his, does not want to be shown on the internet."""
    same = aliased(Patient)
    return exists(
        select(OnlineRefusal.id)
        .join(same, same.id == OnlineRefusal.patient_id)
        .where(OnlineRefusal.ended_at.is_(None), (same.id == Patient.id) | (same.merged_into_id == Patient.id))
    )


async def _found(session: AsyncSession, number: str) -> _Found | None:
    question = (
        select(Order, Patient, AccessSlip, refuses_internet())
        .join(Patient, Patient.id == Order.patient_id)
        .outerjoin(AccessSlip, (AccessSlip.order_id == Order.id) & AccessSlip.ended_at.is_(None))
        .where(Order.number == number)
    )
    row = (await session.execute(question)).tuples().one_or_none()
    return None if row is None else _Found(*row)


def _judge(found: _Found | None, claim: Claim, box: SecretBox, now: datetime) -> _Verdict:
    """Every comparison is made, whatever came of the one before it."""
    order = found.order if found else None
    patient = found.patient if found else None
    slip = found.slip if found else None
    accepted = identity_of(patient).accepted if patient else ()
    known = code_digest(box, order.id if order else 0, claim.code)
    code_fits = hmac.compare_digest(known, slip.code_digest if slip else secrets.token_bytes(32))
    identity_fits = _one_of(plain_identity(claim.identity), accepted)
    faults = [
        word
        for word, wrong in (
            ("istem yok", found is None),
            ("belge yok", slip is None),
            ("belgenin süresi geçmiş", slip is not None and slip.expires_at <= now),
            ("hasta istemiyor", found is not None and found.refused),
            ("numara ile izlenen hasta", patient is not None and patient.hidden_number is not None),
            ("kimliği silinmiş", patient is not None and patient.anonymised_at is not None),
            ("kimlik numarası", not identity_fits),
            ("kod", not code_fits),
        )
        if wrong
    ]
    patients = (patient.id,) if patient else ()
    number = order.number if order else None
    return _Verdict(None if faults else slip, ", ".join(faults), number, patients)


def identity_of(patient: Patient) -> Identity:
    """The numbers that may prove who this patient is."""
    return Identity(patient.tc, patient.foreign_id, patient.hospital_id, patient.birth_date)


def _one_of(given: str, accepted: tuple[str, ...]) -> bool:
    """Two comparisons always: a number that is not there is compared with chance."""
    fits = False
    for place in range(2):
        wanted = accepted[place] if place < len(accepted) else secrets.token_hex(16)
        fits |= hmac.compare_digest(_sha(given), _sha(wanted)) and bool(given)
    return fits


def _sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def _open_visit(work: Work, verdict: _Verdict, visitor: Visitor, rules: PatientPageRules) -> str | None:
    """A new visit; None where the slip was renewed at this very moment."""
    assert verdict.slip is not None
    slip_id = verdict.slip.id
    session, now = work.session, work.now
    still = await session.scalar(
        update(AccessSlip)
        .where(AccessSlip.id == slip_id, AccessSlip.ended_at.is_(None))
        .values(opened=AccessSlip.opened + 1, opened_at=now)
        .returning(AccessSlip.id)
    )
    if still is None:
        return None
    await session.execute(delete(PatientVisit).where(PatientVisit.expires_at < now))
    secret = secrets.token_urlsafe(32)
    session.add(
        PatientVisit(
            secret_hash=digest(secret),
            slip_id=slip_id,
            form_token=secrets.token_urlsafe(24),
            agent_hash=agent_digest(visitor.agent),
            address=visitor.address,
            used_at=now,
            expires_at=now + rules.session_length,
        )
    )
    facts = {"istem": verdict.number, "tarayici": browser_words(visitor.agent)}
    work.audit("hasta_girisi", "hasta_erisim_belgesi", slip_id, None, facts, verdict.patients)
    return secret


# --- attempts that were not even looked at -------------------------------------------------------------------------

NOTED_EVERY = timedelta(minutes=1)
_MOST_PLACES = 10_000


class Blocked:
    """Attempts of an address that must wait: the first is written at once, then one row a minute with their number.

    So each is told of in the audit, and a flood of them does not fill the disk.
    """

    def __init__(self) -> None:
        self._places: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def note(self, place: str, now: datetime) -> int | None:
        """How many to write now, this one included; None: later."""
        since, count = self._places.pop(place, (None, 0))
        due = since is None or now - since >= NOTED_EVERY
        self._places[place] = (now, 0) if due else (since or now, count + 1)
        while len(self._places) > _MOST_PLACES:
            self._places.popitem(last=False)
        return count + 1 if due else None


_blocked: WeakKeyDictionary[Database, Blocked] = WeakKeyDictionary()


async def _note_blocked(db: Database, actor: Actor) -> None:
    place = network_of(actor.address)
    async with db.work(actor) as work:
        count = _blocked.setdefault(db, Blocked()).note(place, work.now)
        if count is not None:
            work.audit("hasta_girisi_bekletildi", "hasta_sayfasi", "", None, {"yer": place, "deneme": count})


# --- an open visit -------------------------------------------------------------------------------------------------


async def visit_behind(db: Database, secret: str, visitor: Visitor) -> Visit | None:
    """The visit of this cookie, where it still opens something; each use keeps it from falling idle.

    It ends with the slip, with the page, with the patient's wish, and for a browser that is not its own.
    """
    actor = patient_actor(visitor.address)
    async with db.work(actor) as work:
        rules = await page_rules(work.session)
        row = (
            await work.session.execute(
                select(PatientVisit, AccessSlip, Order)
                .join(AccessSlip, AccessSlip.id == PatientVisit.slip_id)
                .join(Order, Order.id == AccessSlip.order_id)
                .join(Patient, Patient.id == Order.patient_id)
                .where(
                    PatientVisit.secret_hash == digest(secret),
                    PatientVisit.expires_at > work.now,
                    PatientVisit.used_at > work.now - rules.idle_length,
                    AccessSlip.ended_at.is_(None),
                    AccessSlip.expires_at > work.now,
                    Patient.hidden_number.is_(None),
                    Patient.anonymised_at.is_(None),
                    ~refuses_internet(),
                )
            )
        ).one_or_none()
        if row is None or not rules.acik:
            return None
        visit, slip, order = row
        if not hmac.compare_digest(visit.agent_hash, agent_digest(visitor.agent)):
            await work.session.delete(visit)
            facts = {"neden": "baska tarayici", "istem": order.number, "tarayici": browser_words(visitor.agent)}
            work.audit("hasta_oturumu_reddi", "hasta_erisim_belgesi", slip.id, None, facts, [order.patient_id])
            return None
        visit.used_at = work.now
        return Visit(
            order_number=order.number,
            patient_id=order.patient_id,
            slip_id=slip.id,
            form_token=visit.form_token,
            ends_at=min(visit.expires_at, work.now + rules.idle_length),
            opened=slip.opened,
        )


async def leave(db: Database, secret: str, visitor: Visitor, visit: Visit) -> None:
    """End this visit."""
    actor = patient_actor(visitor.address)
    async with db.work(actor) as work:
        await work.session.execute(delete(PatientVisit).where(PatientVisit.secret_hash == digest(secret)))
        facts = {"istem": visit.order_number}
        work.audit("hasta_cikisi", "hasta_erisim_belgesi", visit.slip_id, None, facts, [visit.patient_id])
