"""How often patients came to their page, were refused, had to wait: counted from the audit, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

DAYS = 30


@dataclass(frozen=True, slots=True)
class DayOfVisits:
    """One day. waited: attempts that were not looked at. places: addresses that were refused or made to wait."""

    day: date
    entered: int
    refused: int
    waited: int
    places: int


_QUESTION = text(
    "select (zaman at time zone 'Europe/Istanbul')::date as gun, "
    "count(*) filter (where islem = 'hasta_girisi') as giren, "
    "count(*) filter (where islem = 'hasta_girisi_reddi') as reddedilen, "
    "coalesce(sum((sonraki->>'deneme')::int) filter (where islem = 'hasta_girisi_bekletildi'), 0) as bekletilen, "
    "count(distinct adres) filter (where islem <> 'hasta_girisi') as yer "
    "from denetim where yapan = 'hasta' and zaman > now() - make_interval(days => :days) "
    "and islem in ('hasta_girisi', 'hasta_girisi_reddi', 'hasta_girisi_bekletildi') group by 1 order by 1 desc"
)


async def days_of_visits(session: AsyncSession) -> list[DayOfVisits]:
    """The last thirty days, newest first; a day without an attempt is left out."""
    rows = await session.execute(_QUESTION, {"days": DAYS})
    return [DayOfVisits(day, entered, refused, int(waited), places) for day, entered, refused, waited, places in rows]
