"""What a patient is called on a screen, and who may open his records (8.3.2.33; law 6698: no more than is needed).

In every list and on every board a hidden patient stands by his number, for everybody. A record of his own shows the
name to whoever may see it. The laboratory and the desk work on his tubes by number. Everybody else is refused, and may
open the record in an emergency, with a reason that is reviewed (`services.privacy`). Label, and the report for its
addressee, carry the name: they are how the result reaches the right person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import About, P
from lis_core.storage.database import Actor
from lis_core.storage.tables import EmergencyAccess, Patient

HIDDEN_WORD = "Hasta"
"""Stands where the given name would; the number where the family name would."""

OPENED = frozenset({P.ORDER_VIEW, P.SPECIMEN_VIEW, P.PATIENT_VIEW})
"""What an emergency access opens: reading. It changes, approves and prints nothing."""

BY_NUMBER = (P.SPECIMEN_ACCEPT, P.RESULT_VIEW_UNAPPROVED)
"""Whose work needs the tubes and results of a hidden patient, but not his name."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A patient as lists show him."""

    given_name: str
    family_name: str
    tc: str | None
    birth_date: date | None

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}"


def mask_tc(tc: str | None) -> str | None:
    """An identity number where the whole is not needed: 900******12."""
    if not tc:
        return tc
    return f"{tc[:3]}{'*' * max(len(tc) - 5, 1)}{tc[-2:]}" if len(tc) > 5 else "*" * len(tc)


def in_list(patient: Patient) -> Shown:
    """Number instead of name where he is hidden; the TC number in part for everybody."""
    if patient.hidden_number is not None:
        return Shown(HIDDEN_WORD, patient.hidden_number, None, patient.birth_date)
    return Shown(patient.given_name, patient.family_name, mask_tc(patient.tc), patient.birth_date)


_OPEN = Patient.hidden_number.is_(None)
GIVEN: ColumnElement[str] = case((_OPEN, Patient.given_name), else_=HIDDEN_WORD)
FAMILY: ColumnElement[str] = case((_OPEN, Patient.family_name), else_=Patient.hidden_number)
NAME: ColumnElement[str] = func.concat(GIVEN, " ", FAMILY)
"""`in_list` for questions that take columns. The birth date stays: ranges and panic limits are read by it."""

FOUND_BY_NAME: ColumnElement[bool] = _OPEN
"""A search by name never finds a hidden patient: the row it would give says who the number is."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a record was opened. `identity`: the name may be shown; `emergency`: the access that opened it, if any."""

    identity: bool = True
    emergency: int | None = None


async def open_record(
    session: AsyncSession,
    actor: Actor,
    patient_id: int,
    hidden_number: str | None,
    about: About,
    permission: P = P.ORDER_VIEW,
) -> Access:
    """Whether, and how, this person may open this record.

    Raises NOT_ALLOWED, and HIDDEN_PATIENT where only the patient's being hidden stands in the way. No question to the
    database for a patient who is not hidden and a person who may.
    """
    allowed = actor.may(permission, about)
    if allowed and (hidden_number is None or actor.user_id is None or actor.may(P.PRIVACY_VIEW, about)):
        return Access()
    if permission in OPENED:
        emergency = await open_emergency(session, actor, patient_id)
        if emergency is not None:
            return Access(emergency=emergency)
    actor.must(permission, about)
    if actor.rights.may_any(*BY_NUMBER):
        return Access(identity=False)
    raise NumuneError(errors.HIDDEN_PATIENT, number=hidden_number)


async def open_emergency(session: AsyncSession, actor: Actor, patient_id: int) -> int | None:
    """This person's emergency access to this patient that is open now, if there is one."""
    if actor.user_id is None or not actor.may(P.PRIVACY_EMERGENCY):
        return None
    found: int | None = await session.scalar(
        select(EmergencyAccess.id)
        .where(
            EmergencyAccess.user_id == actor.user_id,
            EmergencyAccess.patient_id == patient_id,
            EmergencyAccess.begins_at <= func.now(),
            EmergencyAccess.ends_at > datetime.now(UTC),
        )
        .order_by(EmergencyAccess.id.desc())
        .limit(1)
    )
    return found


def sees_numbers(actor: Actor, about: About, access: Access) -> bool:
    """Whether a record shows the whole identity numbers: to whoever has business with the person (`hasta.gor`), and in
    an emergency, where the right patient must be made sure of. Others know him by name, age and order number."""
    return access.emergency is not None or actor.may(P.PATIENT_VIEW, about)


Line = TypeVar("Line")


def numbers_in_part(line: Line) -> Line:
    """A patient's line with his numbers as lists show them."""
    numbers = {name: mask_tc(getattr(line, name)) for name in ("tc", "foreign_id", "hospital_id")}
    return replace(line, **numbers)  # type: ignore[type-var]


def without_identity(line: Line, number: str | None) -> Line:
    """A patient's line with his number instead of everything that names him; sex and age stay: ranges need them."""
    return replace(  # type: ignore[type-var]
        line,
        given_name=HIDDEN_WORD,
        family_name=number or "",
        tc=None,
        foreign_id=None,
        hospital_id=None,
        birth_date=None,
    )
