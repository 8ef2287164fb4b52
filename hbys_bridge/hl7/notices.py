"""Trouble with the hospital's line that a person in the laboratory must see; each once until it is seen."""

from __future__ import annotations

import re

from sqlalchemy import text

from lis_core.storage.database import Work

KIND = "hbys"
_IDENTITY = re.compile(r"[0-9]{11}")

_RAISE = text(
    """
    with yeni as (select cast(:kind as text) tur, cast(:words as text) metin, cast(:entity as text) nesne,
                         cast(:entity_id as text) kod)
    insert into bildirim (tur, metin, nesne_turu, nesne_kodu)
    select y.tur, y.metin, y.nesne, y.kod from yeni y where not exists (
        select 1 from bildirim b where b.goruldu_zamani is null and b.tur = y.tur
          and (b.metin = y.metin or (y.kod <> '' and b.nesne_turu = y.nesne and b.nesne_kodu = y.kod)))
    returning bildirim_kodu
    """
)


async def raise_notice(work: Work, words: str, *, entity: str = "", entity_id: str = "") -> None:
    """Show a notice, unless one with the same words, or about the same thing, is open. No identity numbers in it."""
    values = {"kind": KIND, "words": _IDENTITY.sub("…", words)[:500], "entity": entity, "entity_id": entity_id}
    if (await work.session.execute(_RAISE, values)).first() is not None:
        work.tell_screens("notice", tur=KIND)
