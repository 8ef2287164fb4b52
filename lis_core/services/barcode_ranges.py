"""Pre-printed numbers handed to physicians (9.2.5): each number to one, before the labels leave the laboratory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from barcode.numbers import NumberRange, clash
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.catalog import catalog
from lis_core.storage.database import Work
from lis_core.storage.tables import BarcodeRange, Physician

_HAND_OUT_LOCK = 7_301_950
"""Two people who hand out numbers at once do it one after the other: ranges cannot overlap unseen."""


@dataclass(frozen=True, slots=True)
class GivenRange:
    """One line of the distribution list."""

    first: int
    last: int
    physician: str
    at: datetime


async def given_ranges(session: AsyncSession) -> list[GivenRange]:
    """The distribution list, by number."""
    rows = await session.execute(
        select(BarcodeRange, Physician)
        .join(Physician, Physician.id == BarcodeRange.physician_id, isouter=True)
        .order_by(BarcodeRange.first)
    )
    return [GivenRange(row.first, row.last, who.full_name if who else "", row.created_at) for row, who in rows]


async def hand_out(work: Work, first: int, last: int, physician: str) -> BarcodeRange:
    """Record that the numbers first..last (both included) went to this physician (his code).

    Raises INVALID_INPUT (no range), UNKNOWN_PHYSICIAN, NUMBERS_GIVEN (another range has some of them, or one of them
    reads like a tube label of another range).
    """
    await work.session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _HAND_OUT_LOCK})
    owner = await work.session.scalar(select(Physician).where(Physician.code == physician, Physician.active))
    if owner is None:
        raise NumuneError(errors.UNKNOWN_PHYSICIAN, physician=physician)
    known = await catalog(work.session)
    given = [NumberRange(row.first, row.last, row.physician) for row in await given_ranges(work.session)]
    try:
        wanted = NumberRange(first, last, owner.full_name)
    except ValueError:
        raise NumuneError(errors.INVALID_INPUT, problem=f"{first}-{last} bir numara aralığı değil") from None
    if problem := clash(wanted, given, known.tube_by_code.keys()):
        raise NumuneError(errors.NUMBERS_GIVEN, problem=problem)
    row = BarcodeRange(first=first, last=last, physician_id=owner.id)
    work.session.add(row)
    await work.session.flush()
    work.audit("dagit", "barkod_araligi", row.id, None, {"ilk_numara": first, "son_numara": last, "hekim": owner.code})
    return row
