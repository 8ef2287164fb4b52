"""Numbers and texts that a scanner may read, each given out once (`barkod_kayit`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from barcode.numbers import LARGEST_SERIAL, scannable_texts, system_number
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Work
from lis_core.storage.tables import Scannable


async def next_number(work: Work, tube_codes: Sequence[str]) -> str:
    """The system's next order number whose texts are all free.

    Numbers run a year (`sonraki_istem_sirasi`: a sequence, so nobody waits; gaps are allowed, nothing comes twice).
    A pre-printed number may already stand where the sequence arrives: such numbers are passed over.
    Raises NUMBERS_USED_UP.
    """
    year = work.now.astimezone(ISTANBUL).year
    while True:
        serial = await work.session.scalar(text("select sonraki_istem_sirasi(:year)"), {"year": year})
        if serial is None or serial > LARGEST_SERIAL:
            raise NumuneError(errors.NUMBERS_USED_UP, year=year)
        number = system_number(year, serial)
        if not await taken(work.session, scannable_texts(number, tube_codes)):
            return number


async def taken(session: AsyncSession, texts: Iterable[str]) -> list[str]:
    """Those of the texts that some order or tube has."""
    return list(await session.scalars(select(Scannable.text).where(Scannable.text.in_(list(texts)))))


async def register(work: Work, order_id: int, texts: dict[str, int | None]) -> None:
    """Make these texts this order's: text -> tube id, None for the order's own number.

    Raises NUMBER_TAKEN where any of them already stands for something: one text never means two things.
    """
    if not texts:
        return
    stored = set(
        await work.session.scalars(
            insert(Scannable)
            .values([{"text": t, "order_id": order_id, "tube_id": tube} for t, tube in texts.items()])
            .on_conflict_do_nothing()
            .returning(Scannable.text)
        )
    )
    for wanted in texts:
        if wanted not in stored:
            raise NumuneError(errors.NUMBER_TAKEN, number=wanted)


async def free_suffix(session: AsyncSession, barcode: str) -> str:
    """The barcode of the next tube made from or drawn instead of this one: two more digits, 01 to 99.

    Still digits only and of even length, so that it fits the label (Code 128 C) and is read by every analyser.
    """
    known = set(
        await session.scalars(
            select(Scannable.text).where(Scannable.text.in_([f"{barcode}{n:02d}" for n in _SUFFIXES]))
        )
    )
    for n in _SUFFIXES:
        if (candidate := f"{barcode}{n:02d}") not in known:
            return candidate
    raise NumuneError(errors.NUMBER_TAKEN, number=f"{barcode}99")


_SUFFIXES = range(1, 100)
