"""Refused attempts: kept in a chain of their own, and told to the person in words that help (4.8.4d, 2.8.11b)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.errors import NumuneError
from lis_core.services.rights import rights_book
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor, Database

CHAIN = "ret"
REMEMBERED = timedelta(days=90)
"""How long a refusal says that a permission was taken."""


async def keep_refusal(db: Database, actor: Actor, refusal: NumuneError, where: str) -> None:
    """Write the attempt into the audit: who, what was missing, at which door; never whose record it was about.

    Also completes the refusal: when the permission was taken and by whom, if it was. Raises what the database raises.
    """
    codes = refusal.details.get("codes")
    async with db.work(replace(actor, chain=CHAIN)) as work:
        if actor.user_id is not None and isinstance(codes, list):
            refusal.details["changed"] = await _what_changed(work.session, actor.user_id, codes, work.now)
        work.audit("yetki_ret", "yetki", refusal.code, None, {"kapi": where, "yetki": codes or []})


_CHANGES = text("""
select 'kaldirildi' as ne, y.kaldirma_zamani as zaman, concat_ws(' ', k.ad, k.soyadi) as kim, '' as grup
from yetki_kaydi y left join kullanici k on k.kullanici_kodu = y.kaldiran_kullanici_kodu
where y.yetki = any(:codes) and y.kaldirma_zamani >= :since and not y.yasak
  and (y.kullanici_kodu = :user or y.yetki_grubu_kodu = any(:groups))
union all
select 'yasaklandi', y.kayit_zamani, concat_ws(' ', k.ad, k.soyadi), ''
from yetki_kaydi y left join kullanici k on k.kullanici_kodu = y.veren_kullanici_kodu
where y.yetki = any(:codes) and y.kayit_zamani >= :since and y.kaldirma_zamani is null and y.yasak
  and (y.kullanici_kodu = :user or y.yetki_grubu_kodu = any(:groups))
union all
select 'cikarildi', u.kaldirma_zamani, concat_ws(' ', k.ad, k.soyadi), g.yetki_grubu_adi
from grup_uyeligi u join yetki_grubu g using (yetki_grubu_kodu)
left join kullanici k on k.kullanici_kodu = u.kaldiran_kullanici_kodu
where u.uye_kullanici_kodu = :user and u.kaldirma_zamani >= :since
order by zaman desc limit 1
""")
"""Written out, and one question: somebody who knocks at every door is refused thousands of times."""

_SENTENCES = {
    "kaldirildi": "Bu yetki {at} {who} tarafından kaldırıldı. ",
    "yasaklandi": "Bu yetki {at} {who} tarafından yasaklandı. ",
    "cikarildi": "{group} grubundan {at} {who} tarafından çıkarıldınız. ",
}


async def _what_changed(session: AsyncSession, user_id: int, codes: Collection[str], now: datetime) -> str:
    """A sentence about the last time that something of this was taken from this person; "" where nothing was."""
    asked = {
        "codes": list(codes),
        "since": now - REMEMBERED,
        "user": user_id,
        "groups": sorted(await _groups_of(session, user_id)),
    }
    row = (await session.execute(_CHANGES, asked)).one_or_none()
    if row is None:
        return ""
    return _SENTENCES[row.ne].format(at=_at(row.zaman), who=row.kim or "program", group=row.grup)


async def _groups_of(session: AsyncSession, user_id: int) -> set[int]:
    """Every group that this user is in, through groups in groups."""
    book = await rights_book(session)
    found: set[int] = set()
    waiting = [membership.group_id for membership in book.memberships.get(user_id, ())]
    while waiting:
        key = waiting.pop()
        if key not in found and key in book.groups:
            found.add(key)
            waiting += [membership.group_id for membership in book.groups[key].inside]
    return found


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(ISTANBUL):%d.%m.%Y %H:%M} itibarıyla"
