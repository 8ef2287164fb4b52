"""IHE LAW: work steps (AWOS), the messages that carry them, and what an analyser says of a result beside its value."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.storage.tables.base import Base, created, key, moment

STEP_STATES = (
    "planlandi", "gonderildi", "kabul", "reddedildi", "belirsiz", "calisiyor", "tamam", "basarisiz",
    "iptal_bekliyor", "iptal", "vazgecildi",
)  # fmt: skip
OPEN_STATES = ("planlandi", "gonderildi", "kabul", "belirsiz", "calisiyor", "iptal_bekliyor")
"""The analyser has it, may have it, or is to get it."""


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


class WorkStep(Base):
    """One AWOS: one test, on one container, for one analyser. Its number is never used again."""

    __tablename__ = "is_adimi"
    __table_args__ = (
        CheckConstraint(f"durum in ({_listed(STEP_STATES)})", name="durum"),
        Index(
            "uq_is_adimi_acik",
            "istem_tetkik_kodu",
            "cihaz_kodu",
            "tekrar_sirasi",
            unique=True,
            postgresql_where=text(f"durum in ({_listed(OPEN_STATES)})"),
        ),
        Index("ix_is_adimi_cihaz", "cihaz_kodu", "durum"),
        Index("ix_is_adimi_istem_tetkik", "istem_tetkik_kodu"),
        {"comment": "Cihaza verilen is adimlari (IHE LAW AWOS)"},
    )

    id: Mapped[int] = key("is_adimi")
    number: Mapped[str] = mapped_column(
        "adim_numarasi", String(50), unique=True, comment="AWOS numarasi (OBR-2); bir daha kullanilmaz"
    )
    ordered_test_id: Mapped[int | None] = mapped_column(
        "istem_tetkik_kodu",
        ForeignKey("istem_tetkik.istem_tetkik_kodu"),
        comment="Istenen tetkik; cihazin kendi refleksinde bos olabilir",
    )
    instrument_id: Mapped[int] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    parent_id: Mapped[int | None] = mapped_column(
        "ana_adim_kodu", ForeignKey("is_adimi.is_adimi_kodu"), comment="Refleksin cikti adim"
    )
    container: Mapped[str] = mapped_column("kap", server_default="", comment="Kabin numarasi, cihaza soylendigi gibi")
    test_code: Mapped[str] = mapped_column("cihaz_test_kodu", String(60), comment="Cihazin tetkik kodu")
    replicate: Mapped[int] = mapped_column(
        "tekrar_sirasi", Integer, server_default="1", comment="Istenen kacinci tekrar (replikat)"
    )
    priority: Mapped[str] = mapped_column("oncelik", String(1), server_default="R", comment="S, A, R")
    dilution: Mapped[str] = mapped_column("seyreltme", String(20), server_default="", comment="Istenen seyreltme")
    state: Mapped[str] = mapped_column("durum", String(20), comment="Adimin durumu")
    state_at: Mapped[datetime] = moment("durum_zamani", "Durumun degistigi zaman", server_default=text("now()"))
    cancel_reply: Mapped[str] = mapped_column(
        "iptal_yaniti", String(2), server_default="", comment="CR iptal edildi, UC iptal edilemedi"
    )
    successor: Mapped[dict[str, Any] | None] = mapped_column(
        "yerine", JSONB, comment="Iptalden sonra yerine planlanacak adim (degisiklik)"
    )
    note: Mapped[str] = mapped_column("aciklama", server_default="", comment="Cihazin ya da programin sozu")
    created_at: Mapped[datetime] = created()


class WorkMessage(Base):
    """An OML^O33 as it was written, kept until it is answered; sent again, it has the same number."""

    __tablename__ = "is_iletisi"
    __table_args__ = (
        CheckConstraint("durum in ('bekliyor', 'gonderildi', 'yanitlandi', 'reddedildi', 'vazgecildi')", name="durum"),
        Index(
            "ix_is_iletisi_acik",
            "hat",
            "is_iletisi_kodu",
            postgresql_where=text("durum in ('bekliyor', 'gonderildi')"),
        ),
        {"comment": "Cihaza gonderilen is iletileri (IHE LAW LAB-28)"},
    )

    id: Mapped[int] = key("is_iletisi")
    control_id: Mapped[str] = mapped_column("kontrol_numarasi", String(50), unique=True, comment="MSH-10")
    instrument_id: Mapped[int] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    line: Mapped[str] = mapped_column("hat", String(60), comment="Gidecegi hat")
    kind: Mapped[str] = mapped_column("tur", String(2), comment="NW yeni, CA iptal, DC is yok")
    content: Mapped[bytes] = mapped_column("icerik", LargeBinary, comment="Gonderilen baytlar")
    steps: Mapped[list[int]] = mapped_column(
        "adimlar", ARRAY(BigInteger), server_default="{}", comment="Icindeki is adimlari, sirayla"
    )
    state: Mapped[str] = mapped_column("durum", String(12), comment="bekliyor, gonderildi, yanitlandi ...")
    attempts: Mapped[int] = mapped_column("deneme", Integer, server_default="0", comment="Kac kez gonderildi")
    sent_at: Mapped[datetime | None] = moment("son_gonderim_zamani", "Son gonderim")
    expires_at: Mapped[datetime | None] = moment("gecerlilik_zamani", "Bundan sonra gonderilmez; bos = suresiz")
    reply: Mapped[str] = mapped_column("yanit_kodu", String(2), server_default="", comment="MSA-1")
    reply_content: Mapped[bytes | None] = mapped_column("yanit_icerik", LargeBinary, comment="Yanitin baytlari")
    reply_text: Mapped[str] = mapped_column("yanit_aciklama", server_default="", comment="Cihazin aciklamasi")
    wanted_again: Mapped[bool] = mapped_column(
        "tekrar_istendi", server_default=text("false"), comment="Bir kisi yeniden gonderilmesini istedi"
    )
    created_at: Mapped[datetime] = created()


class ResultNote(Base):
    """What the analyser said of a result beside its value; found by raw message and place."""

    __tablename__ = "sonuc_ayrintisi"
    __table_args__ = (
        Index("ix_sonuc_ayrintisi_mesaj", "ham_mesaj_kodu", "kayit_sirasi"),
        {"comment": "Sonucun cihaz ayrintilari (kosu turu, seyreltme, seri numarasi)"},
    )

    id: Mapped[int] = key("sonuc_ayrintisi")
    message_id: Mapped[int] = mapped_column("ham_mesaj_kodu", BigInteger, comment="Ham mesaj")
    record: Mapped[int] = mapped_column("kayit_sirasi", Integer, comment="Mesajdaki yeri")
    step_id: Mapped[int | None] = mapped_column(
        "is_adimi_kodu", ForeignKey("is_adimi.is_adimi_kodu"), comment="Is adimi"
    )
    status: Mapped[str] = mapped_column("cihaz_durumu", String(2), server_default="", comment="OBX-11")
    model: Mapped[str] = mapped_column("cihaz_modeli", server_default="", comment="Olcen cihazin modeli")
    serial: Mapped[str] = mapped_column("seri_numarasi", server_default="", comment="Olcen cihazin seri numarasi")
    module: Mapped[str] = mapped_column("modul", server_default="", comment="Olcen modul")
    run: Mapped[str] = mapped_column("kosu", server_default="", comment="OBX-4 gonderildigi gibi")
    run_kind: Mapped[str] = mapped_column("kosu_turu", String(2), server_default="", comment="O, R, D, F (HL70389)")
    dilution: Mapped[str] = mapped_column("seyreltme", server_default="", comment="Deger icinde olan seyreltme")


class ResultLot(Base):
    """A reagent, calibrator or calibration of a result: which results does a bad lot touch?"""

    __tablename__ = "sonuc_reaktifi"
    __table_args__ = (
        Index("ix_sonuc_reaktifi_lot", "lot"),
        Index("ix_sonuc_reaktifi_mesaj", "ham_mesaj_kodu", "kayit_sirasi"),
        {"comment": "Sonuca katilan reaktif, kalibrator ve kalibrasyonlar"},
    )

    id: Mapped[int] = key("sonuc_reaktifi")
    message_id: Mapped[int] = mapped_column("ham_mesaj_kodu", BigInteger, comment="Ham mesaj")
    record: Mapped[int] = mapped_column("kayit_sirasi", Integer, comment="Mesajdaki yeri")
    substance: Mapped[str] = mapped_column("madde", server_default="", comment="INV-1")
    kind: Mapped[str] = mapped_column("tur", server_default="", comment="INV-3: SR, MR, RC, CO, DI ...")
    container: Mapped[str] = mapped_column("kap", server_default="", comment="Sise numarasi")
    expires: Mapped[str] = mapped_column("son_kullanma", server_default="", comment="INV-12, gonderildigi gibi")
    first_used: Mapped[str] = mapped_column("ilk_kullanma", server_default="", comment="INV-13, gonderildigi gibi")
    lot: Mapped[str] = mapped_column("lot", server_default="", comment="INV-16")
