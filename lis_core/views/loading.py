"""The load list of an analyser as a screen shows it. No values in here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_LOADED = text("""
select y.konum, y.barkod, i.numune_numarasi, y.yukleme_zamani, n.tup_kodu, n.numune_turu,
       coalesce(array_agg(k.tetkik_kisa_kodu order by k.tetkik_kisa_kodu)
                filter (where t.tetkik_durumu = 'calisiyor' and t.calisan_cihaz_kodu = y.cihaz_kodu), '{}'),
       count(*) filter (where s.cihaz_kodu = y.cihaz_kodu and s.sonuc_zamani >= y.yukleme_zamani),
       count(*) filter (where exists (select from cihaz_yukleme_is g where g.cihaz_yukleme_kodu = y.cihaz_yukleme_kodu
           and g.istem_tetkik_kodu = t.istem_tetkik_kodu and g.geri_alma_zamani is null))
from cihaz_yukleme y
join cihaz c using (cihaz_kodu)
join barkod_kayit b using (barkod)
join tetkik_istem i using (tetkik_istem_kodu)
left join tetkik_numune n on n.tetkik_numune_kodu = b.tetkik_numune_kodu
join istem_tetkik t on t.tetkik_istem_kodu = i.tetkik_istem_kodu
join tetkik k on k.tetkik_kodu = t.tetkik_kodu
left join tetkik_sonuc s on s.tetkik_sonuc_kodu = t.tetkik_sonuc_kodu
where c.cihaz_kisa_kodu = :code and y.kaldirma_zamani is null
group by y.cihaz_yukleme_kodu, i.numune_numarasi, n.tup_kodu, n.numune_turu
""")


@dataclass(frozen=True, slots=True)
class LoadedLine:
    """A tube at its place."""

    place: str
    barcode: str
    order: str
    at: datetime
    tube: str
    """Tube code; "" for the order's number alone."""
    material: str
    waits_for: tuple[str, ...]
    """Tests given to this analyser that have no result yet."""
    results: int
    """Results that came from it since the tube was put there."""
    told: int
    """Tests of which the analyser was told, unasked, and has acknowledged it."""


async def loaded_tubes(session: AsyncSession, code: str) -> list[LoadedLine]:
    """What stands on this analyser now, by place: numbers first, as numbers. One query."""
    rows = (await session.execute(_LOADED, {"code": code})).all()
    lines = [
        LoadedLine(row[0], row[1], row[2], row[3], row[4] or "", row[5] or "", tuple(row[6]), row[7], row[8])
        for row in rows
    ]
    return sorted(lines, key=lambda line: (not line.place.isdecimal(), line.place.zfill(20)))
