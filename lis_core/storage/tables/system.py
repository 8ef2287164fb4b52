"""Audit, outbox, notices, parameters, number ranges, messages of the hospital."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.storage.tables.base import Base, created, key, moment


class AuditEntry(Base):
    """Who did what, when, from where, before and after. Each row holds the hash of the one before it in its chain."""

    __tablename__ = "denetim"
    __table_args__ = (
        Index("ix_denetim_nesne", "nesne_turu", "nesne_kodu"),
        Index("ix_denetim_zaman", "zaman"),
        Index("ix_denetim_yapan", "yapan", "zaman"),
        Index(
            "ix_denetim_hastalar",
            "hastalar",
            postgresql_using="gin",
            postgresql_where=text("hastalar is not null"),
        ),
        {
            "comment": "Denetim izi; silinmez, degistirilmez, zincirlidir; aylik bolumleri bolum semasindadir",
            "postgresql_partition_by": "RANGE (zaman)",
        },
    )

    chain: Mapped[str] = mapped_column("zincir", String(20), primary_key=True, comment="Zincirin adi")
    number: Mapped[int] = mapped_column("sira", BigInteger, primary_key=True, comment="Zincirdeki sira; bosluk yoktur")
    at: Mapped[datetime] = mapped_column("zaman", DateTime(timezone=True), primary_key=True, comment="Islem zamani")
    user_id: Mapped[int | None] = mapped_column("kullanici_kodu", BigInteger, comment="Kullanici; bos = program")
    actor: Mapped[str] = mapped_column("yapan", comment="Kullanici adi ya da programin parcasi")
    address: Mapped[str] = mapped_column("adres", comment="Nereden: ip adresi, hat adi")
    action: Mapped[str] = mapped_column("islem", String(40), comment="Islem")
    entity: Mapped[str] = mapped_column("nesne_turu", String(40), comment="Nesnenin turu (tablo)")
    entity_id: Mapped[str] = mapped_column("nesne_kodu", comment="Nesnenin kodu")
    before: Mapped[dict[str, Any] | None] = mapped_column("onceki", JSONB, comment="Once")
    after: Mapped[dict[str, Any] | None] = mapped_column("sonraki", JSONB, comment="Sonra")
    patients: Mapped[list[int] | None] = mapped_column(
        "hastalar", ARRAY(BigInteger), comment="Islemin ilgilendirdigi hastalar (gorulen, degistirilen)"
    )
    previous_hash: Mapped[bytes] = mapped_column("onceki_ozet", LargeBinary, comment="Bir onceki satirin ozeti")
    hash: Mapped[bytes] = mapped_column("ozet", LargeBinary, comment="Bu satirin SHA-256 ozeti")


class AuditHead(Base):
    """End of each audit chain; locked while a transaction appends."""

    __tablename__ = "denetim_zinciri"
    __table_args__ = {"comment": "Denetim zincirlerinin sonu", "postgresql_with": {"fillfactor": "50"}}

    chain: Mapped[str] = mapped_column("zincir", String(20), primary_key=True, comment="Zincirin adi")
    number: Mapped[int] = mapped_column("son_sira", BigInteger, comment="Son satirin sirasi")
    hash: Mapped[bytes] = mapped_column("son_ozet", LargeBinary, comment="Son satirin ozeti")


class OutboxEntry(Base):
    """Something to do after the commit, exactly as sure as the fact itself."""

    __tablename__ = "giden_kutusu"
    __table_args__ = (
        Index(
            "ix_giden_kutusu_bekleyen",
            "konu",
            "sonraki_deneme",
            "giden_kutusu_kodu",
            postgresql_where=text("bitti_zamani is null"),
        ),
        {"comment": "Giden kutusu: islem ile birlikte yazilan yapilacaklar", "postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[int] = key("giden_kutusu")
    topic: Mapped[str] = mapped_column("konu", String(40), comment="hbys.sonuc, panik.bildirim ...")
    order_key: Mapped[str] = mapped_column(
        "sira_anahtari", String(60), server_default="", comment="Ayni anahtarli isler sirayla yapilir"
    )
    payload: Mapped[dict[str, Any]] = mapped_column("icerik", JSONB, comment="Icerik")
    created_at: Mapped[datetime] = created()
    attempts: Mapped[int] = mapped_column("deneme_sayisi", Integer, server_default="0", comment="Kac kez denendi")
    next_attempt_at: Mapped[datetime] = moment("sonraki_deneme", "Sonraki deneme zamani", server_default=text("now()"))
    done_at: Mapped[datetime | None] = moment("bitti_zamani", "Tamamlandigi zaman")
    last_error: Mapped[str | None] = mapped_column("son_hata", comment="Son hata")


class Notice(Base):
    """Something that people in the laboratory must see (panic result, line trouble)."""

    __tablename__ = "bildirim"
    __table_args__ = (
        Index("ix_bildirim_acik", "bildirim_kodu", postgresql_where=text("goruldu_zamani is null")),
        {"comment": "Bildirimler"},
    )

    id: Mapped[int] = key("bildirim")
    kind: Mapped[str] = mapped_column("tur", String(20), comment="panik, hat, hbys")
    text: Mapped[str] = mapped_column("metin", comment="Bildirim metni")
    entity: Mapped[str] = mapped_column("nesne_turu", String(40), server_default="", comment="Ilgili nesne")
    entity_id: Mapped[str] = mapped_column("nesne_kodu", server_default="", comment="Ilgili nesnenin kodu")
    created_at: Mapped[datetime] = created()
    seen_at: Mapped[datetime | None] = moment("goruldu_zamani", "Goruldugu zaman")
    seen_by_id: Mapped[int | None] = mapped_column(
        "goren_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Goren kullanici"
    )


class Parameter(Base):
    """A setting of this installation."""

    __tablename__ = "parametre"
    __table_args__ = {"comment": "Kurulum parametreleri"}

    name: Mapped[str] = mapped_column("ad", String(60), primary_key=True, comment="Parametrenin adi")
    value: Mapped[dict[str, Any]] = mapped_column("deger", JSONB, comment="Degeri")


class BarcodeRange(Base):
    """Pre-printed numbers handed to a physician or unit (9.2.5)."""

    __tablename__ = "barkod_araligi"
    __table_args__ = {"comment": "Dagitilan barkod araliklari"}

    id: Mapped[int] = key("barkod_araligi")
    first: Mapped[int] = mapped_column("ilk_numara", BigInteger, comment="Ilk numara")
    last: Mapped[int] = mapped_column("son_numara", BigInteger, comment="Son numara")
    physician_id: Mapped[int | None] = mapped_column(
        "personel_kodu", ForeignKey("personel.personel_kodu"), comment="Verildigi hekim"
    )
    created_at: Mapped[datetime] = created()


class HospitalMessage(Base):
    """A message of the hospital's system, in or out, verbatim, with what became of it."""

    __tablename__ = "hbys_mesaj"
    __table_args__ = (
        Index(
            "uq_hbys_mesaj_gelen", "gonderen", "kontrol_numarasi", unique=True, postgresql_where=text("yon = 'gelen'")
        ),
        Index("ix_hbys_mesaj_zaman", "zaman"),
        Index("ix_hbys_mesaj_istem", "tetkik_istem_kodu", "hbys_mesaj_kodu"),
        {"comment": "Hastane sistemi ile mesajlasma"},
    )

    id: Mapped[int] = key("hbys_mesaj")
    direction: Mapped[str] = mapped_column("yon", String(6), comment="gelen, giden")
    sender: Mapped[str] = mapped_column("gonderen", comment="MSH-3 | MSH-4")
    control_id: Mapped[str] = mapped_column("kontrol_numarasi", String(60), comment="MSH-10")
    message_type: Mapped[str] = mapped_column("mesaj_turu", String(20), comment="MSH-9")
    content: Mapped[bytes] = mapped_column("icerik", LargeBinary, comment="Mesaj, aynen")
    answer: Mapped[bytes | None] = mapped_column("cevap", LargeBinary, comment="Verilen ya da alinan cevap")
    outcome: Mapped[str] = mapped_column("sonuc", String(10), comment="AA, AE, AR")
    explanation: Mapped[str | None] = mapped_column("aciklama", comment="Hata aciklamasi")
    order_id: Mapped[int | None] = mapped_column(
        "tetkik_istem_kodu", ForeignKey("tetkik_istem.tetkik_istem_kodu"), comment="Ilgili istem"
    )
    at: Mapped[datetime] = moment("zaman", "Zaman", server_default=text("now()"))
