"""Finding a patient by name, TC number or hospital number."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.permissions import P
from lis_core.domain.turkish import search_key
from lis_core.services.audit import viewed
from lis_core.settings import ISTANBUL
from lis_core.storage.tables import Order, Patient
from lis_core.views.order_view import PatientLine, patient_line
from lis_core.views.privacy import FOUND_BY_NAME, without_identity
from lis_core.views.seeing import Sight

SHORTEST = 2
"""Letters that a search by name needs; less would list everybody."""


async def find_patients(session: AsyncSession, sight: Sight, text: str, limit: int = 20) -> list[PatientLine]:
    """Patients whose number is `text`, or whose name holds its words (folded: `isik` finds Işık).

    A full number finds anybody, for a first order. By name a clinician finds only patients with an order of his own
    or of his unit: he has no business with the others. Merged records are left out. Ages are of today.

    Whoever is found by his number stands in the audit: trying numbers to learn who they are leaves a row each time.
    """
    words = search_key(text).split()
    if not words or not sight.actor.may(P.PATIENT_VIEW):
        return []
    if "".join(words).isdigit():
        number = "".join(words)
        return await _by_number(session, sight, or_(Patient.tc == number, Patient.hospital_id == number), limit)
    if len("".join(words)) < SHORTEST:
        return []
    business = [FOUND_BY_NAME, *([] if sight.actor.rights.unlimited(P.PATIENT_VIEW) else [_own_patient(sight)])]
    whole = text.strip()
    numbered = await _by_number(session, sight, or_(Patient.foreign_id == whole, Patient.hospital_id == whole), limit)
    first, rest = words[0], [_name_holds(word) for word in words[1:6]]
    named = await _find(session, [_name_begins(first), *rest, *business], limit)
    if not named:  # a second given name: no index helps, so only where nothing else was found
        named = await _find(session, [_name_holds(first), *rest, *business], limit)
    return [*numbered, *(line for line in named if line not in numbered)][:limit]


async def _by_number(session: AsyncSession, sight: Sight, which: ColumnElement[bool], limit: int) -> list[PatientLine]:
    found = await _find(session, [which], limit)
    viewed(sight.actor, patients=[line.id for line in found])
    return found


async def _find(session: AsyncSession, which: list[ColumnElement[bool]], limit: int) -> list[PatientLine]:
    rows = await session.scalars(
        select(Patient)
        .where(Patient.merged_into_id.is_(None), *which)
        .order_by(
            func.tr_sira(Patient.family_name).collate("C"), func.tr_sira(Patient.given_name).collate("C"), Patient.id
        )
        .limit(limit)
    )
    now = datetime.now(ISTANBUL)
    lines = [(patient_line(row, now), row.hidden_number) for row in rows]
    return [line if hidden is None else without_identity(line, hidden) for line, hidden in lines]


_GIVEN_FIRST = func.tr_ara(Patient.given_name + " " + Patient.family_name)
_FAMILY_FIRST = func.tr_ara(Patient.family_name + " " + Patient.given_name)


def _name_begins(key: str) -> ColumnElement[bool]:
    """The given or the family name begins so; both expressions may have an index."""
    return or_(_GIVEN_FIRST.startswith(key, autoescape=True), _FAMILY_FIRST.startswith(key, autoescape=True))


def _name_holds(key: str) -> ColumnElement[bool]:
    """Any of the names begins with this word."""
    return func.strpos(literal(" ") + _GIVEN_FIRST, f" {key}") > 0


def _own_patient(sight: Sight) -> ColumnElement[bool]:
    return exists().where(and_(Order.patient_id == Patient.id, sight.order_condition(P.PATIENT_VIEW)))
