"""Which columns hold personal and personal health data (annex 1, 2b): the data dictionary says it of every one.

Read widely, as the annex does: whatever tells of a patient's visit, tube or result is personal health data, also its
times and numbers; whoever works here is a person, whatever column names him. Named table by table: a table that
nobody has judged fails the suite.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column


class Data(StrEnum):
    """What a column holds; the words of the dictionary."""

    HEALTH = "kişisel sağlık"
    PERSONAL = "kişisel"
    OTHER = "diğer"


_HEALTH = """
acil_erisim barkod_kayit bekleyen_dogrulama cevrimici_ret cihaz_yukleme cihaz_yukleme_is eslesmeyen_sonuc giden_kutusu
gizli_hasta ham_mesaj hasta hasta_erisim_belgesi hasta_oturumu hbys_mesaj is_adimi is_iletisi is_listesi_degisen
istem_tetkik numune_hareket onay sonuc_ayrintisi sonuc_reaktifi tetkik_istem tetkik_numune tetkik_sonuc baglanti_trafigi
denetim veritabani_gunlugu bildirim kullanici personel
"""
"""About patients, or made of bytes and statements that may name one; and who they are that give the service."""
_PERSONAL = """
api_belirteci basarisiz_giris calisma_durumu destek_erisimi dis_kimlik erisim_belirteci eski_parola giris_guvenligi
grup_uyeligi guvenlik_anahtari kurtarma_kodu oturum personel_birim taninan_cihaz yetki_kaydi
"""
"""About people who work here, and programs that act for them."""
_OTHER = """
alembic_version api_istemcisi baglanti baglanti_denemesi baglanti_durumu baglanti_izleme baglanti_olayi barkod_araligi
birim calisma_grubu cevrimici_kural cihaz denetim_dogrulama denetim_zinciri gecit kk_olcum kurum numune_turu panel_uyesi
parametre saklama_kurali tetkik tetkik_cihaz_eslesme tetkik_referans_aralik tup_turu yetki_grubu
"""
"""Catalogue, equipment, rules: people only where a column names one."""

OF_TABLE: dict[str, Data] = {
    **dict.fromkeys(_HEALTH.split(), Data.HEALTH),
    **dict.fromkeys(_PERSONAL.split(), Data.PERSONAL),
    **dict.fromkeys(_OTHER.split(), Data.OTHER),
}

OF_COLUMN: dict[str, Data] = {
    "baglanti_olayi.cumle": Data.HEALTH,  # a sentence may quote the number of a tube
    "baglanti_denemesi.adimlar": Data.HEALTH,
    "baglanti_denemesi.kullanici_kodu": Data.PERSONAL,
    "baglanti_durumu.son_hata": Data.HEALTH,
    "gecit.sorun": Data.HEALTH,
    "tetkik_referans_aralik.onaylayan": Data.PERSONAL,
}
"""What its table does not say."""

_PEOPLE = {"kullanici", "personel"}


def data_of(column: Column[object]) -> Data:
    """What this column holds. Raises KeyError for a table that nobody has judged."""
    table = OF_TABLE[column.table.name]
    if (named := OF_COLUMN.get(f"{column.table.name}.{column.name}")) is not None:
        return named
    leads_to = {key.column.table.name for key in column.foreign_keys}
    if table is Data.OTHER:
        if leads_to & _PEOPLE:
            return Data.PERSONAL
        if any(OF_TABLE[name] is Data.HEALTH for name in leads_to):
            return Data.HEALTH
    return table
