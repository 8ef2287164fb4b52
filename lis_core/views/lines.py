"""What the screens of a line ask: its settings, history, watched bytes, trials; the codes of its instrument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.services.catalog import catalog
from lis_core.storage.tables import Connection, Instrument, InstrumentTest, LineEvent, LineTraffic, LineTrial, Test
from lis_core.views.seeing import Sight

RECENT_MESSAGES = 300
"""Messages of an instrument in which its codes are looked for."""


async def line_of(session: AsyncSession, line_id: int) -> Connection | None:
    """A line with its instrument."""
    return await session.get(Connection, line_id)


async def sees_traffic(session: AsyncSession, sight: Sight, instrument_id: int) -> bool:
    """True where this person may read every value that this instrument can send (9.7.8c): raw bytes hold them all."""
    if not sight.in_laboratory:
        return False
    known = await catalog(session)
    groups = {known.test_by_id[mapping.test_id].group for mapping in known.mapping(instrument_id).values()}
    return all(sight.sees_every_run(group) for group in groups or known.groups)


async def line_events(session: AsyncSession, line_id: int, *, limit: int = 200) -> Sequence[LineEvent]:
    """The line's history, newest first."""
    question = select(LineEvent).where(LineEvent.connection_id == line_id).order_by(LineEvent.id.desc()).limit(limit)
    return (await session.scalars(question)).all()


async def traffic_after(session: AsyncSession, line_id: int, after: int, *, limit: int = 200) -> Sequence[LineTraffic]:
    """Watched bytes behind this one, oldest first."""
    question = (
        select(LineTraffic)
        .where(LineTraffic.connection_id == line_id, LineTraffic.id > after)
        .order_by(LineTraffic.id)
        .limit(limit)
    )
    return (await session.scalars(question)).all()


async def last_traffic(session: AsyncSession, line_id: int, *, limit: int) -> int:
    """The number behind which the newest `limit` chunks stand."""
    rows = await session.scalars(
        select(LineTraffic.id).where(LineTraffic.connection_id == line_id).order_by(LineTraffic.id.desc()).limit(limit)
    )
    return min(rows, default=1) - 1


async def trial(session: AsyncSession, trial_id: int) -> LineTrial | None:
    """A trial as far as it is."""
    return await session.get(LineTrial, trial_id)


@dataclass(frozen=True, slots=True)
class InstrumentSetup:
    """An instrument as it is set up, with its lines."""

    instrument: Instrument
    unit: str
    lines: tuple[Connection, ...]


async def instrument_setup(session: AsyncSession, code: str) -> InstrumentSetup | None:
    """One instrument by its code, also a passive one."""
    row = await session.scalar(select(Instrument).where(Instrument.code == code))
    if row is None:
        return None
    unit = await session.scalar(
        text("select birim_kisa_kodu from birim where birim_kodu = :unit"), {"unit": row.unit_id}
    )
    lines = await session.scalars(
        select(Connection).where(Connection.instrument_id == row.id).order_by(Connection.name)
    )
    return InstrumentSetup(row, unit or "", tuple(lines.unique()))


# ---- codes


@dataclass(frozen=True, slots=True)
class SeenCode:
    """A code that came from the instrument lately, or waits unmapped."""

    code: str
    name: str
    units: tuple[str, ...]
    values: tuple[str, ...]
    """A few samples; empty for whoever may not see them."""
    count: int
    last_at: datetime
    waiting: int
    """Results that wait because nobody said which test this code is."""


_SEEN = text(
    """
    with son as (select ham_mesaj_kodu, alinma_zamani from ham_mesaj where cihaz_kodu = :instrument
            order by alinma_zamani desc limit :messages),
    gorulen as (
        select s.cihaz_test_kodu as kod, s.cihaz_birimi as birim, s.cihaz_tetkik_sonucu as deger, '' as ad,
            son.alinma_zamani as zaman, false as bekler
        from tetkik_sonuc s join son using (ham_mesaj_kodu)
        union all
        select icerik->>'test', icerik->>'unit', icerik->>'value', icerik->>'test_name', alinma_zamani,
            neden = 'test_tanimsiz'
        from eslesmeyen_sonuc where cihaz_kodu = :instrument and durum = 'bekliyor'
    )
    select kod, max(coalesce(ad, '')) as ad,
        array_agg(distinct birim) filter (where coalesce(birim, '') <> '') as birimler,
        (array_agg(distinct deger) filter (where coalesce(deger, '') <> ''))[1:4] as degerler,
        count(*) as adet, max(zaman) as son, count(*) filter (where bekler) as bekleyen
    from gorulen where coalesce(kod, '') <> '' group by kod order by kod
    """
)


async def seen_codes(session: AsyncSession, instrument_id: int, *, values: bool) -> list[SeenCode]:
    """Codes in the instrument's latest messages and in what waits. values: whether samples may be shown."""
    rows = await session.execute(_SEEN, {"instrument": instrument_id, "messages": RECENT_MESSAGES})
    return [_seen(row, values) for row in rows]


def _seen(row: Any, values: bool) -> SeenCode:
    return SeenCode(
        row.kod,
        row.ad or "",
        tuple(row.birimler or ()),
        tuple(row.degerler or ()) if values else (),
        row.adet,
        row.son,
        row.bekleyen,
    )


@dataclass(frozen=True, slots=True)
class UndeclaredCode:
    """A code of an instrument that nobody has mapped, with the results that wait for it."""

    instrument_id: int
    instrument: str
    instrument_name: str
    definition: str
    code: str
    name: str
    units: tuple[str, ...]
    values: tuple[str, ...]
    count: int
    messages: int
    first_at: datetime
    last_at: datetime


_UNDECLARED = text(
    """
    select c.cihaz_kodu, c.cihaz_kisa_kodu, c.cihaz_adi, c.tanim, e.icerik->>'test' as kod,
        max(coalesce(e.icerik->>'test_name', '')) as ad,
        array_agg(distinct e.icerik->>'unit') filter (where coalesce(e.icerik->>'unit', '') <> '') as birimler,
        (array_agg(distinct e.icerik->>'value') filter (where coalesce(e.icerik->>'value', '') <> ''))[1:5] as degerler,
        count(*) as adet, count(distinct e.ham_mesaj_kodu) as mesaj, min(e.alinma_zamani) as ilk,
        max(e.alinma_zamani) as son
    from eslesmeyen_sonuc e join cihaz c using (cihaz_kodu)
    where e.durum = 'bekliyor' and e.neden = 'test_tanimsiz' and coalesce(e.icerik->>'test', '') <> ''
    group by 1, 2, 3, 4, 5 order by adet desc, 3, 5
    """
)


async def undeclared_codes(session: AsyncSession) -> list[UndeclaredCode]:
    """Codes for which results wait, most first. For laboratory eyes only."""
    return [
        UndeclaredCode(
            row.cihaz_kodu, row.cihaz_kisa_kodu, row.cihaz_adi, row.tanim, row.kod, row.ad or "",
            tuple(row.birimler or ()), tuple(row.degerler or ()), row.adet, row.mesaj, row.ilk, row.son,
        )
        for row in await session.execute(_UNDECLARED)
    ]  # fmt: skip


async def code_mappings(session: AsyncSession, instrument_id: int) -> list[tuple[InstrumentTest, Test]]:
    """Every mapping of an instrument, also those out of use, by the test's code."""
    rows = await session.execute(
        select(InstrumentTest, Test)
        .join(Test, Test.id == InstrumentTest.test_id)
        .where(InstrumentTest.instrument_id == instrument_id)
        .order_by(Test.code, InstrumentTest.incoming)
    )
    return [(row, test) for row, test in rows.unique().tuples()]
