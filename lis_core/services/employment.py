"""Who does not work now: on leave, sick, on duty elsewhere, in training, departed (4.8.11, 4.8.13).

One table with dates is the whole interface: the screen writes it today, the personnel package fills it later with
`put_absence` (as a part of the program that declares `kullanici.yonet`). Nothing has to be switched: whoever is absent
on a day can neither sign in nor go on, and the day after his last day of absence he can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Work
from lis_core.storage.tables import ApiToken, EmploymentStatus, User, WebSession
from lis_core.storage.tables.accounts import Absence

WORDS: dict[Absence, str] = {
    Absence.LEAVE: "İzin",
    Absence.SICK: "Rapor",
    Absence.TEMPORARY_DUTY: "Geçici görev",
    Absence.TRAINING: "Kurs, eğitim",
    Absence.OTHER: "Görevde değil",
    Absence.DEPARTED: "Ayrılış",
}

SCREEN = "ekran"


@dataclass(frozen=True, slots=True)
class NewAbsence:
    """A period without work. last_day: included; None only, and always, for a departure.

    source: where the record is kept, for instance `personel:812`; a repeated one replaces what it said before.
    """

    user_id: int
    kind: Absence
    first_day: date
    last_day: date | None = None
    note: str = ""
    source: str = SCREEN


def today(now: datetime) -> date:
    """The calendar day in Turkey."""
    return now.astimezone(ISTANBUL).date()


def absent_on(day: date) -> ColumnElement[bool]:
    """Condition on `EmploymentStatus`: it holds on this day."""
    return and_(
        EmploymentStatus.cancelled_at.is_(None),
        EmploymentStatus.first_day <= day,
        or_(EmploymentStatus.last_day.is_(None), EmploymentStatus.last_day >= day),
    )


def works_on(user_id: ColumnElement[int] | InstrumentedAttribute[int], day: date) -> ColumnElement[bool]:
    """Condition for a query with users: this one works on this day."""
    return ~select(EmploymentStatus.id).where(EmploymentStatus.user_id == user_id, absent_on(day)).exists()


async def absence_of(session: AsyncSession, user_id: int, day: date) -> EmploymentStatus | None:
    """What keeps this user from working on this day; the longest one where there are several."""
    return await session.scalar(
        select(EmploymentStatus)
        .where(EmploymentStatus.user_id == user_id, absent_on(day))
        .order_by(EmploymentStatus.last_day.desc().nulls_first())
        .limit(1)
    )


def refusal(absence: EmploymentStatus) -> NumuneError:
    """What the absent person is told, after he has proved who he is."""
    until = f"{absence.last_day:%d.%m.%Y} günü sonuna kadar" if absence.last_day else "artık"
    return NumuneError(errors.ABSENT, absence=WORDS[absence.kind], until=until)


async def put_absence(work: Work, new: NewAbsence) -> int:
    """Record an absence; the number of the record. Raises NOT_ALLOWED, NOT_FOUND, BAD_ABSENCE, LAST_MANAGER.

    Where it has begun, the person's sessions and tokens end with it.
    """
    work.actor.must(P.USER_MANAGE)
    from lis_core.services.permissions import somebody_gives  # which asks this module who works

    _check(new)
    if await work.session.get(User, new.user_id) is None:
        raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
    before = await _replaced(work, new)
    row = EmploymentStatus(
        user_id=new.user_id,
        kind=new.kind,
        first_day=new.first_day,
        last_day=new.last_day,
        note=new.note.strip()[:300],
        source=new.source[:30],
        created_by_id=work.actor.user_id,
    )
    work.session.add(row)
    await work.session.flush()
    work.audit("gorev_disi", "kullanici", new.user_id, before, _facts(row))
    await somebody_gives(work, max(new.first_day, today(work.now)))
    if new.first_day <= today(work.now) and (new.last_day is None or new.last_day >= today(work.now)):
        await work.session.execute(delete(WebSession).where(WebSession.user_id == new.user_id))
        await work.session.execute(delete(ApiToken).where(ApiToken.user_id == new.user_id))
    return row.id


def _check(new: NewAbsence) -> None:
    if (new.kind is Absence.DEPARTED) != (new.last_day is None):
        problem = "ayrılışın son günü olmaz" if new.last_day else "son gün yazılmalıdır"
        raise NumuneError(errors.BAD_ABSENCE, problem=problem)
    if new.last_day is not None and new.last_day < new.first_day:
        raise NumuneError(errors.BAD_ABSENCE, problem="son gün ilk günden önce")


async def _replaced(work: Work, new: NewAbsence) -> dict[str, object] | None:
    """Take back what the same source said about the same record before."""
    if new.source == SCREEN:
        return None
    old = await work.session.scalar(
        select(EmploymentStatus)
        .where(
            EmploymentStatus.source == new.source,
            EmploymentStatus.user_id == new.user_id,
            EmploymentStatus.cancelled_at.is_(None),
        )
        .with_for_update()
    )
    if old is None:
        return None
    old.cancelled_at = work.now
    return _facts(old)


async def withdraw_absence(work: Work, absence_id: int) -> int:
    """Take a record back (it was wrong, or the person came back early); the user's number.

    Raises NOT_ALLOWED, NOT_FOUND.
    """
    work.actor.must(P.USER_MANAGE)
    row = await work.session.get(EmploymentStatus, absence_id, with_for_update=True)
    if row is None or row.cancelled_at is not None:
        raise NumuneError(errors.NOT_FOUND, what="Kayıt")
    row.cancelled_at = work.now
    work.audit("gorev_disi_iptal", "kullanici", row.user_id, _facts(row), None)
    return row.user_id


async def absences(session: AsyncSession, user_id: int) -> Sequence[EmploymentStatus]:
    """All records of a user that stand, newest first."""
    return (
        await session.scalars(
            select(EmploymentStatus)
            .where(EmploymentStatus.user_id == user_id, EmploymentStatus.cancelled_at.is_(None))
            .order_by(EmploymentStatus.first_day.desc(), EmploymentStatus.id.desc())
        )
    ).all()


def _facts(row: EmploymentStatus) -> dict[str, object]:
    return {
        "calisma_durumu": row.id,
        "tur": row.kind.value,
        "ilk_gun": row.first_day.isoformat(),
        "son_gun": row.last_day.isoformat() if row.last_day else None,
        "kaynak": row.source,
    }
