"""Results for the patient himself: what is withheld, slips that were handed out, open visits, who does not want it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.domain.online import Look, When
from lis_core.storage.tables.base import Base, Word, created, key, moment


class OnlineRule(Base):
    """Which results patients are not shown on the internet (9.8.5). A changed rule is a new row; the old one ends."""

    __tablename__ = "cevrimici_kural"
    __table_args__ = (
        CheckConstraint("(tetkik_kodu is null) <> (calisma_grubu is null)", name="hedef"),
        CheckConstraint("(sinir is not null) = (kosul in ('ustunde', 'altinda'))", name="sinir"),
        CheckConstraint("kosul = 'her' or (farki_kabul and gorunum = 'cumle')", name="fark"),
        CheckConstraint("btrim(neden) <> ''", name="nedensiz"),
        Index("ix_cevrimici_kural_gecerli", "cevrimici_kural_kodu", postgresql_where=text("kaldirma_zamani is null")),
        {"comment": "Hastaya internetten gosterilmeyen sonuclarin kurallari"},
    )

    id: Mapped[int] = key("cevrimici_kural")
    test_id: Mapped[int | None] = mapped_column("tetkik_kodu", ForeignKey("tetkik.tetkik_kodu"), comment="Tetkik")
    group: Mapped[str | None] = mapped_column(
        "calisma_grubu", ForeignKey("calisma_grubu.calisma_grubu"), comment="Ya da calisma grubunun butun tetkikleri"
    )
    when: Mapped[When] = mapped_column("kosul", Word(When), comment="her, pozitif, isaretli, ustunde, altinda")
    limit: Mapped[Decimal | None] = mapped_column(
        "sinir", Numeric, comment="ustunde, altinda: sinir, tetkikin biriminde"
    )
    look: Mapped[Look] = mapped_column("gorunum", Word(Look), comment="cumle; yok = tetkikin adi da gorunmez")
    sentence: Mapped[str] = mapped_column(
        "cumle", server_default="", comment="Sonucun yerinde duran cumle; bos = genel"
    )
    accepted: Mapped[bool] = mapped_column(
        "farki_kabul", server_default=text("false"), comment="Gizlenenin gizlenmesinden anlasilacagi kabul edildi"
    )
    reason: Mapped[str] = mapped_column("neden", comment="Kuralin nedeni, dayanagi")
    user_id: Mapped[int | None] = mapped_column(
        "ekleyen_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Koyan; bos = program"
    )
    created_at: Mapped[datetime] = created()
    ended_at: Mapped[datetime | None] = moment("kaldirma_zamani", "Kuralin kalktigi zaman; bos = gecerli")
    ended_by_id: Mapped[int | None] = mapped_column(
        "kaldiran_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Kaldiran"
    )


class AccessSlip(Base):
    """A slip with a code that was handed to a patient for one order; a new one ends the one before it."""

    __tablename__ = "hasta_erisim_belgesi"
    __table_args__ = (
        Index(
            "uq_hasta_erisim_belgesi_acik",
            "tetkik_istem_kodu",
            unique=True,
            postgresql_where=text("kapanma_zamani is null"),
        ),
        {"comment": "Hastaya verilen internetten sonuc gorme belgeleri"},
    )

    id: Mapped[int] = key("hasta_erisim_belgesi")
    order_id: Mapped[int] = mapped_column(
        "tetkik_istem_kodu", ForeignKey("tetkik_istem.tetkik_istem_kodu"), comment="Istem"
    )
    code_digest: Mapped[bytes] = mapped_column(
        "kod_ozeti", LargeBinary, comment="Belgedeki kodun anahtarli ozeti; kodun kendisi saklanmaz"
    )
    given_by_id: Mapped[int] = mapped_column(
        "veren_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Veren"
    )
    given_at: Mapped[datetime] = moment("verilme_zamani", "Verilme zamani")
    reason: Mapped[str] = mapped_column("neden", server_default="", comment="Yeniden verildiyse nedeni")
    expires_at: Mapped[datetime] = moment("bitis_zamani", "Gecerlilik sonu")
    opened: Mapped[int] = mapped_column("acilis_sayisi", Integer, server_default="0", comment="Kac kez acildi")
    opened_at: Mapped[datetime | None] = moment("son_acilis", "Son acilis zamani")
    ended_at: Mapped[datetime | None] = moment("kapanma_zamani", "Gecersiz oldugu zaman; bos = gecerli")
    end_reason: Mapped[str | None] = mapped_column(
        "kapanma_nedeni", String(20), comment="yenilendi, istemiyor, gizlendi"
    )


class PatientVisit(Base):
    """An open visit of the patients' page: one browser, one order, some minutes."""

    __tablename__ = "hasta_oturumu"
    __table_args__ = {"comment": "Hasta sayfasinin acik oturumlari"}

    secret_hash: Mapped[bytes] = mapped_column(
        "anahtar_ozeti", LargeBinary, primary_key=True, comment="Cerez anahtarinin SHA-256 ozeti"
    )
    slip_id: Mapped[int] = mapped_column(
        "hasta_erisim_belgesi_kodu",
        ForeignKey("hasta_erisim_belgesi.hasta_erisim_belgesi_kodu"),
        index=True,
        comment="Belge; oturum yalniz onun istemini gosterir",
    )
    form_token: Mapped[str] = mapped_column("form_anahtari", comment="Sayfadaki formlarin anahtari")
    agent_hash: Mapped[bytes] = mapped_column(
        "tarayici_ozeti", LargeBinary, comment="Tarayicinin ozeti; baska tarayicidan kullanilamaz"
    )
    address: Mapped[str] = mapped_column("ip_adresi", server_default="", comment="Acildigi adres")
    created_at: Mapped[datetime] = created()
    used_at: Mapped[datetime] = moment("son_kullanim", "Son istegin zamani")
    expires_at: Mapped[datetime] = moment("bitis_zamani", "Gecerlilik sonu")


class OnlineRefusal(Base):
    """A patient who does not want his results on the internet, since when, until when. Never deleted."""

    __tablename__ = "cevrimici_ret"
    __table_args__ = (
        Index("uq_cevrimici_ret_acik", "hasta_kodu", unique=True, postgresql_where=text("kaldirma_zamani is null")),
        {"comment": "Sonucunun internetten gosterilmesini istemeyen hastalar"},
    )

    id: Mapped[int] = key("cevrimici_ret")
    patient_id: Mapped[int] = mapped_column("hasta_kodu", ForeignKey("hasta.hasta_kodu"), comment="Hasta")
    note: Mapped[str] = mapped_column("aciklama", server_default="", comment="Basvurunun nasil alindigi")
    user_id: Mapped[int] = mapped_column(
        "ekleyen_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Kaydeden"
    )
    created_at: Mapped[datetime] = created()
    ended_at: Mapped[datetime | None] = moment("kaldirma_zamani", "Istegin geri alindigi zaman")
    ended_by_id: Mapped[int | None] = mapped_column(
        "kaldiran_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Geri alindigini kaydeden"
    )
