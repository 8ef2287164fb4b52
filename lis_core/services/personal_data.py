"""Everything that is kept about one person, for him to take away (law 6698, article 11): JSON and a page to read.

Values as the patient may see them: clinically approved ones (9.7.8a). Who looked is told by time and kind of page, not
by the name of the employee.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from html import escape
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Work

PARTS: dict[str, tuple[str, str]] = {
    "kimlik": (
        "Kimlik bilgileri",
        "select tc_kimlik_numarasi, pasaport_numarasi, hbys_hasta_numarasi, ad, soyadi, dogum_tarihi, cinsiyet, "
        "cep_telefonu, kayit_zamani, guncelleme_zamani from hasta where hasta_kodu = any(:ids) order by hasta_kodu",
    ),
    "istemler": (
        "İstemler",
        "select i.numune_numarasi, i.istem_zamani, i.aciliyet, p.unvan || ' ' || p.ad || ' ' || p.soyadi as hekim, "
        "b.birim_adi as birim, i.klinik_bilgi from tetkik_istem i left join personel p on p.personel_kodu = "
        "i.isteyen_hekim_kodu left join birim b on b.birim_kodu = i.birim_kodu where i.hasta_kodu = any(:ids) "
        "order by i.istem_zamani",
    ),
    "numuneler": (
        "Numuneler",
        "select i.numune_numarasi, n.barkod, n.numune_turu, n.numune_durumu, n.numune_alma_zamani, "
        "n.numune_kabul_zamani, n.numune_ret_nedeni from tetkik_numune n join tetkik_istem i using (tetkik_istem_kodu) "
        "where i.hasta_kodu = any(:ids) order by n.tetkik_numune_kodu",
    ),
    "tetkikler": (
        "Tetkikler ve onaylı sonuçlar",
        "select i.numune_numarasi, k.tetkik_kisa_kodu, k.tetkik_adi, t.tetkik_durumu, "
        "case when k.gizli_mi then '(gizli tetkik: kodlu raporda verilir)' else s.tetkik_sonucu end as tetkik_sonucu, "
        "s.tetkik_sonucu_birimi, case when not k.gizli_mi then s.tetkik_sonucu_referans_degeri end "
        "as tetkik_sonucu_referans_degeri, case when not k.gizli_mi then s.tetkik_sonucu_durumu end "
        "as tetkik_sonucu_durumu, s.calisma_bitis_zamani, "
        "s.sonuc_zamani from istem_tetkik t join tetkik_istem i using (tetkik_istem_kodu) "
        "join tetkik k on k.tetkik_kodu = t.tetkik_kodu left join tetkik_sonuc s on "
        "s.tetkik_sonuc_kodu = t.tetkik_sonuc_kodu and t.tetkik_durumu = 'klinik_onayli' "
        "where i.hasta_kodu = any(:ids) order by i.istem_zamani, t.istem_tetkik_kodu",
    ),
    "hareketler": (
        "Numune hareketleri",
        "select n.barkod, h.islem, h.islem_zamani, h.gerekce from numune_hareket h join tetkik_numune n "
        "using (tetkik_numune_kodu) join tetkik_istem i using (tetkik_istem_kodu) where i.hasta_kodu = any(:ids) "
        "order by h.islem_zamani",
    ),
    "aktarimlar": (
        "Hastane sistemi ile paylaşım",
        "select m.zaman, m.yon, m.mesaj_turu, i.numune_numarasi from hbys_mesaj m join tetkik_istem i "
        "using (tetkik_istem_kodu) where i.hasta_kodu = any(:ids) order by m.zaman",
    ),
    "cihaz_iletileri": (
        "Cihazlara gönderilen iş iletileri",
        "select m.kayit_zamani, c.cihaz_adi, m.tur, m.durum from is_iletisi m join cihaz c using (cihaz_kodu) "
        "where m.adimlar && array(select a.is_adimi_kodu from is_adimi a join istem_tetkik t "
        "using (istem_tetkik_kodu) join tetkik_istem i using (tetkik_istem_kodu) where i.hasta_kodu = any(:ids)) "
        "order by m.kayit_zamani",
    ),
    "erisimler": (
        "Kayıtlarına erişimler",
        "select zaman, islem, nesne_turu, nesne_kodu from denetim where hastalar && cast(:ids as bigint[]) "
        "and islem in ('goruntuledi', 'acil_baski', 'veri_dokumu', 'acil_erisim', "
        "'hasta_girisi', 'hasta_belgesi') order by zaman",
    ),
    "acil_erisimler": (
        "Acil erişimler",
        "select baslama_zamani, bitis_zamani, gerekce, degerlendirme from acil_erisim where hasta_kodu = any(:ids) "
        "order by 1",
    ),
    "degisiklikler": (
        "Kimlik bilgisi değişiklikleri",
        "select zaman, islem, onceki, sonraki from denetim where nesne_turu = 'hasta' "
        "and nesne_kodu = any(select x::text from unnest(cast(:ids as bigint[])) x) order by zaman",
    ),
}
"""Parts of the file: what it is called, and the question."""


async def personal_data(session: AsyncSession, patient_id: int) -> dict[str, list[dict[str, Any]]]:
    """Every part with its rows; records merged into this one included. Raises NOT_FOUND."""
    ids = list(
        await session.scalars(
            text("select hasta_kodu from hasta where hasta_kodu = :id or birlestigi_hasta_kodu = :id order by 1"),
            {"id": patient_id},
        )
    )
    if patient_id not in ids:
        raise NumuneError(errors.NOT_FOUND, what=f"Hasta {patient_id}")
    found = {}
    for name, (_, question) in PARTS.items():
        rows = await session.execute(text(question), {"ids": ids})
        found[name] = [dict(row) for row in rows.mappings()]
    return found


async def take_away(work: Work, patient_id: int, reason: str) -> bytes:
    """A ZIP of `veri.json` and `veri.html`. Raises NOT_ALLOWED, NOT_FOUND, REASON_NEEDED (who asked, and how)."""
    work.actor.must(P.PRIVACY_DATA)
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)
    data = await personal_data(work.session, patient_id)
    counts = {name: len(rows) for name, rows in data.items()}
    work.audit("veri_dokumu", "hasta", patient_id, None, {"neden": reason.strip(), "satir": counts}, [patient_id])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        made = work.now.astimezone(ISTANBUL)
        whole = {"hazirlanma": made, "bolumler": data}
        archive.writestr("veri.json", json.dumps(whole, ensure_ascii=False, indent=1, default=_plain))
        archive.writestr("veri.html", as_page(data, made))
    return out.getvalue()


def as_page(data: Mapping[str, Sequence[Mapping[str, Any]]], made: datetime) -> str:
    """The same to be read: one table a part, nothing loaded from anywhere."""
    parts = []
    for name, (caption, _) in PARTS.items():
        rows = data[name]
        head = "".join(f"<th>{escape(column)}</th>" for column in (rows[0] if rows else ()))
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_words(value))}</td>" for value in row.values()) + "</tr>" for row in rows
        )
        table = (
            f"<table border=1><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else "<p>Yok.</p>"
        )
        parts.append(f"<h2>{escape(caption)}</h2>{table}")
    return (
        '<!doctype html><html lang="tr"><meta charset="utf-8"><title>Kişisel veriler</title>'
        f"<h1>Kişisel veriler</h1><p>{made:%d.%m.%Y %H:%M} tarihinde hazırlandı (6698 sayılı Kanun, madde 11).</p>"
        + "".join(parts)
        + "</html>"
    )


def _words(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(ISTANBUL).strftime("%d.%m.%Y %H:%M")
    if isinstance(value, date):
        return value.strftime("%d.%m.%Y")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(ISTANBUL).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else repr(value)
