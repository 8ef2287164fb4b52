"""How far the audit is verified; hidden patients; records opened in an emergency; how long what is kept."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.storage.tables.base import Base, created, key, moment


class AuditMark(Base):
    """The place up to which a chain was verified: the next verification goes on there."""

    __tablename__ = "denetim_dogrulama"
    __table_args__ = {"comment": "Denetim zincirlerinin dogrulandigi yer"}

    chain: Mapped[str] = mapped_column("zincir", String(20), primary_key=True, comment="Zincirin adi")
    number: Mapped[int] = mapped_column("sira", BigInteger, comment="Buraya kadar dogrulandi")
    hash: Mapped[bytes] = mapped_column("ozet", LargeBinary, comment="Dogrulanan son satirin ozeti")
    at: Mapped[datetime] = moment("dogrulama_zamani", "Son dogrulamanin zamani")
    again: Mapped[int] = mapped_column(
        "yeniden_sira", BigInteger, server_default="0", comment="Eski satirlarin yeniden dogrulanmasi buraya geldi"
    )


class HiddenPatient(Base):
    """Why somebody is followed by number instead of name, since when, until when (8.3.2.33). Never deleted."""

    __tablename__ = "gizli_hasta"
    __table_args__ = (
        Index("uq_gizli_hasta_acik", "hasta_kodu", unique=True, postgresql_where=text("kaldirma_zamani is null")),
        CheckConstraint("btrim(neden) <> ''", name="nedensiz"),
        {"comment": "Numara ile izlenen (gizli) hastalar"},
    )

    id: Mapped[int] = key("gizli_hasta")
    patient_id: Mapped[int] = mapped_column("hasta_kodu", ForeignKey("hasta.hasta_kodu"), comment="Hasta")
    kind: Mapped[str] = mapped_column("tur", String(20), comment="calisan, taninmis, izole, adli, diger")
    reason: Mapped[str] = mapped_column("neden", comment="Neden gizli")
    user_id: Mapped[int] = mapped_column(
        "ekleyen_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Gizleyen kullanici"
    )
    created_at: Mapped[datetime] = created()
    ended_at: Mapped[datetime | None] = moment("kaldirma_zamani", "Gizliligin kaldirildigi zaman")
    ended_by_id: Mapped[int | None] = mapped_column(
        "kaldiran_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Gizliligi kaldiran"
    )
    end_reason: Mapped[str | None] = mapped_column("kaldirma_nedeni", comment="Neden kaldirildi")


class EmergencyAccess(Base):
    """Somebody opened the records of a patient without the permission: with a reason, for a time, to be reviewed."""

    __tablename__ = "acil_erisim"
    __table_args__ = (
        Index("ix_acil_erisim_kullanici", "kullanici_kodu", "hasta_kodu", "bitis_zamani"),
        Index("ix_acil_erisim_bekleyen", "acil_erisim_kodu", postgresql_where=text("degerlendirme_zamani is null")),
        CheckConstraint("btrim(gerekce) <> ''", name="gerekcesiz"),
        CheckConstraint("bitis_zamani > baslama_zamani", name="sure"),
        CheckConstraint("degerlendiren_kullanici_kodu <> kullanici_kodu", name="kendisi"),
        {"comment": "Acil erisimler: yetkisi olmadan, gerekce ile, sureli acilan hasta kayitlari"},
    )

    id: Mapped[int] = key("acil_erisim")
    patient_id: Mapped[int] = mapped_column("hasta_kodu", ForeignKey("hasta.hasta_kodu"), comment="Hasta")
    user_id: Mapped[int] = mapped_column("kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Acan")
    reason: Mapped[str] = mapped_column("gerekce", comment="Acanin yazdigi gerekce")
    address: Mapped[str] = mapped_column("ip_adresi", server_default="", comment="Nereden")
    begins_at: Mapped[datetime] = moment("baslama_zamani", "Baslama zamani")
    ends_at: Mapped[datetime] = moment("bitis_zamani", "Bitis zamani")
    reviewed_by_id: Mapped[int | None] = mapped_column(
        "degerlendiren_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Degerlendiren sorumlu"
    )
    reviewed_at: Mapped[datetime | None] = moment("degerlendirme_zamani", "Degerlendirme zamani")
    verdict: Mapped[str | None] = mapped_column("degerlendirme", String(12), comment="uygun, uygun_degil")
    note: Mapped[str | None] = mapped_column("degerlendirme_notu", comment="Degerlendirenin notu")


class RetentionRule(Base):
    """How long a kind of data is kept and what then; rows with effective dates, each with its legal basis."""

    __tablename__ = "saklama_kurali"
    __table_args__ = (
        Index("uq_saklama_kurali_tur", "tur", "gecerlilik_baslangici", unique=True),
        CheckConstraint("saklama_gunu > 0", name="gun"),
        CheckConstraint("islem in ('sil', 'icerik_sil', 'anonimlestir')", name="islem"),
        {"comment": "Saklama sureleri: hangi veri ne kadar saklanir, sonra ne yapilir"},
    )

    id: Mapped[int] = key("saklama_kurali")
    kind: Mapped[str] = mapped_column("tur", String(40), comment="Verinin turu")
    days: Mapped[int] = mapped_column("saklama_gunu", Integer, comment="Saklama suresi, gun")
    then: Mapped[str] = mapped_column("islem", String(20), comment="sil, icerik_sil, anonimlestir")
    basis: Mapped[str] = mapped_column("dayanak", comment="Hukuki dayanak ya da karar")
    valid_from: Mapped[date] = mapped_column("gecerlilik_baslangici", Date, comment="Gecerlilik baslangici")
    valid_to: Mapped[date | None] = mapped_column("gecerlilik_sonu", Date, comment="Gecerlilik sonu; bos = suresiz")
    details: Mapped[dict[str, Any]] = mapped_column("ayrinti", JSONB, server_default="{}", comment="Ek kosullar")
    created_at: Mapped[datetime] = created()
