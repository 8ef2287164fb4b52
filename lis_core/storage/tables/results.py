"""Result runs (never overwritten), approvals, what waits for a person, control measurements."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lis_core.storage.tables.base import Base, Word, created, key, moment
from lis_core.storage.tables.instruments import Instrument


class Result(Base):
    """One run of one ordered test. Append-only: a new run, a changed value is a new row (invariant 6).

    No foreign keys: checked row by row they cost more than the result itself. Ordered test and raw message are checked
    by one statement for all new rows, and whatever a result names can never be deleted (guards.sql).
    """

    __tablename__ = "tetkik_sonuc"
    __table_args__ = (
        Index("ix_tetkik_sonuc_istem_tetkik", "istem_tetkik_kodu"),
        # Results lie in the order of their messages: a block range index is enough and costs next to nothing.
        Index("ix_tetkik_sonuc_ham_mesaj", "ham_mesaj_kodu", postgresql_using="brin"),
        {"comment": "Tetkik sonuclari: her kosu bir satir; silinmez, degistirilmez"},
    )

    id: Mapped[int] = key("tetkik_sonuc")
    ordered_test_id: Mapped[int] = mapped_column("istem_tetkik_kodu", BigInteger, comment="Istenen tetkik")
    run: Mapped[int] = mapped_column("kosu_no", Integer, comment="Kacinci kosu (1, 2, ...)")
    tube_id: Mapped[int | None] = mapped_column(
        "tetkik_numune_kodu", BigInteger, comment="Okunan tup; bos = yalniz istem numarasi okundu"
    )
    instrument_id: Mapped[int | None] = mapped_column("cihaz_kodu", BigInteger, comment="Cihaz; bos = elle girildi")
    raw_message_id: Mapped[int | None] = mapped_column("ham_mesaj_kodu", BigInteger, comment="Ham mesaj")
    record: Mapped[int | None] = mapped_column("kayit_sirasi", Integer, comment="Mesajdaki kayit sirasi")
    measurement_key: Mapped[bytes] = mapped_column(
        "olcum_anahtari", LargeBinary, unique=True, comment="Ayni olcumun iki kez yazilmasini onler"
    )
    instrument_test: Mapped[str] = mapped_column(
        "cihaz_test_kodu", String(60), server_default="", comment="Cihazin test kodu"
    )
    instrument_value: Mapped[str] = mapped_column("cihaz_tetkik_sonucu", comment="Cihazin yazdigi metin, aynen")
    instrument_unit: Mapped[str] = mapped_column("cihaz_birimi", server_default="", comment="Cihazin birimi, aynen")
    value: Mapped[str] = mapped_column("tetkik_sonucu", comment="Raporlanan metin")
    number: Mapped[Decimal | None] = mapped_column("sayisal_sonuc", Numeric, comment="Metin duz sayi ise degeri")
    unit: Mapped[str] = mapped_column("tetkik_sonucu_birimi", server_default="", comment="Raporlanan birim")
    flag: Mapped[str] = mapped_column(
        "tetkik_sonucu_durumu",
        String(4),
        server_default="",
        comment="D dusuk, Y yuksek, P! panik, A anormal metin, bos normal",
    )
    reference: Mapped[str] = mapped_column(
        "tetkik_sonucu_referans_degeri", server_default="", comment="O gun gecerli referans araligi, basildigi gibi"
    )
    range_id: Mapped[int | None] = mapped_column(
        "tetkik_referans_aralik_kodu", BigInteger, comment="Kullanilan referans araligi"
    )
    instrument_flags: Mapped[list[str]] = mapped_column(
        "cihaz_bayraklari", ARRAY(String), server_default="{}", comment="Cihazin bayraklari"
    )
    comments: Mapped[list[str]] = mapped_column(
        "tetkik_sonuc_aciklama", ARRAY(String), server_default="{}", comment="Cihazin aciklamalari"
    )
    decisions: Mapped[list[dict[str, Any]]] = mapped_column(
        "kararlar", JSONB, server_default="[]", comment="Otomatik kararlar: kural, surum, gordugu degerler, gerekce"
    )
    measured_at: Mapped[datetime | None] = moment("calisma_bitis_zamani", "Cihazin olcum zamani")
    received_at: Mapped[datetime] = moment("sonuc_zamani", "Sonucun alindigi zaman")
    rack: Mapped[str | None] = mapped_column("raf", String(20), comment="Raf")
    position: Mapped[str | None] = mapped_column("pozisyon", String(20), comment="Raftaki yer")
    replicate: Mapped[int | None] = mapped_column("tekrar_no", Integer, comment="Cihazin tekrar (replikat) numarasi")
    operator: Mapped[str | None] = mapped_column("operator", comment="Cihazin bildirdigi operator")
    lot: Mapped[str | None] = mapped_column("reaktif_lot", comment="Reaktif lotu")
    entered_by_id: Mapped[int | None] = mapped_column(
        "ekleyen_kullanici_kodu",
        BigInteger,
        comment="Elle giren ya da elle baglayan kullanici",
    )
    reason: Mapped[str | None] = mapped_column("gerekce", comment="Elle giris, elle baglama ya da duzeltme gerekcesi")
    instrument: Mapped[Instrument | None] = relationship(
        primaryjoin="foreign(Result.instrument_id) == Instrument.id", viewonly=True, lazy="raise"
    )


class ApprovalKind(StrEnum):
    """What a person decided about a result."""

    TECHNICAL = "teknik_onay"
    CLINICAL = "klinik_onay"
    REPEAT = "tekrar"
    WITHDRAW_TECHNICAL = "teknik_geri"
    WITHDRAW_CLINICAL = "klinik_geri"
    CHOOSE_RUN = "kosu_secimi"


class Approval(Base):
    """A decision of a person. Append-only; `surum` orders them and lets two people decide only one after another."""

    __tablename__ = "onay"
    __table_args__ = (
        UniqueConstraint("istem_tetkik_kodu", "surum"),
        Index("ix_onay_sonuc", "tetkik_sonuc_kodu"),
        {"comment": "Teknik ve klinik onaylar, tekrarlar, geri almalar; silinmez, degistirilmez"},
    )

    id: Mapped[int] = key("onay")
    ordered_test_id: Mapped[int] = mapped_column(
        "istem_tetkik_kodu", ForeignKey("istem_tetkik.istem_tetkik_kodu"), comment="Istenen tetkik"
    )
    result_id: Mapped[int] = mapped_column(
        "tetkik_sonuc_kodu", ForeignKey("tetkik_sonuc.tetkik_sonuc_kodu"), comment="Sonuc kosusu"
    )
    kind: Mapped[ApprovalKind] = mapped_column("onay_turu", Word(ApprovalKind), comment="Kararin turu")
    version: Mapped[int] = mapped_column("surum", Integer, comment="Tetkikin bu kararla aldigi surum")
    user_id: Mapped[int] = mapped_column(
        "kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Karari veren"
    )
    at: Mapped[datetime] = moment("onay_zamani", "Karar zamani")
    reason: Mapped[str] = mapped_column("gerekce", server_default="", comment="Gerekce")


class UnmatchedResult(Base):
    """A result that could not be bound without guessing: it waits for a person (invariant 2)."""

    __tablename__ = "eslesmeyen_sonuc"
    __table_args__ = (
        UniqueConstraint("olcum_anahtari"),
        Index("ix_eslesmeyen_sonuc_bekleyen", "eslesmeyen_sonuc_kodu", postgresql_where=text("durum = 'bekliyor'")),
        Index("ix_eslesmeyen_sonuc_ham_mesaj", "ham_mesaj_kodu"),
        {"comment": "Eslesmeyen sonuclar kuyrugu"},
    )

    id: Mapped[int] = key("eslesmeyen_sonuc")
    raw_message_id: Mapped[int] = mapped_column(
        "ham_mesaj_kodu", ForeignKey("ham_mesaj.ham_mesaj_kodu"), comment="Ham mesaj"
    )
    instrument_id: Mapped[int | None] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    measurement_key: Mapped[bytes] = mapped_column("olcum_anahtari", LargeBinary, comment="Olcumun tekil anahtari")
    cause: Mapped[str] = mapped_column(
        "neden",
        String(30),
        comment="numune_yok, test_tanimsiz, istemde_yok, materyal, kapali, onayli, numunesiz, birim, deger",
    )
    explanation: Mapped[str] = mapped_column("aciklama", comment="Neden, insan sozuyle")
    observation: Mapped[dict[str, Any]] = mapped_column("icerik", JSONB, comment="Okunan sonuc, oldugu gibi")
    state: Mapped[str] = mapped_column(
        "durum", String(12), server_default="bekliyor", comment="bekliyor, baglandi, kapatildi"
    )
    received_at: Mapped[datetime] = moment("alinma_zamani", "Alinma zamani")
    resolved_by_id: Mapped[int | None] = mapped_column(
        "cozen_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Cozen kullanici"
    )
    resolved_at: Mapped[datetime | None] = moment("cozum_zamani", "Cozum zamani")
    resolution: Mapped[str | None] = mapped_column("cozum_gerekcesi", comment="Cozum gerekcesi")
    result_id: Mapped[int | None] = mapped_column("tetkik_sonuc_kodu", BigInteger, comment="Baglandigi sonuc")


class ControlMeasurement(Base):
    """A control sample's result: never a patient's. Judged by the quality-control package."""

    __tablename__ = "kk_olcum"
    __table_args__ = (
        UniqueConstraint("olcum_anahtari"),
        Index("ix_kk_olcum_cihaz", "cihaz_kodu", "alinma_zamani"),
        {"comment": "Kalite kontrol olcumleri"},
    )

    id: Mapped[int] = key("kk_olcum")
    raw_message_id: Mapped[int] = mapped_column(
        "ham_mesaj_kodu", ForeignKey("ham_mesaj.ham_mesaj_kodu"), comment="Ham mesaj"
    )
    instrument_id: Mapped[int | None] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    measurement_key: Mapped[bytes] = mapped_column("olcum_anahtari", LargeBinary, comment="Olcumun tekil anahtari")
    control: Mapped[str] = mapped_column(
        "kontrol_numarasi", server_default="", comment="Cihazin bildirdigi kontrol kimligi"
    )
    test_id: Mapped[int | None] = mapped_column(
        "tetkik_kodu", ForeignKey("tetkik.tetkik_kodu"), comment="Tetkik (eslesmisse)"
    )
    instrument_test: Mapped[str] = mapped_column("cihaz_test_kodu", String(60), comment="Cihazin test kodu")
    value: Mapped[str] = mapped_column("deger", comment="Cihazin metni")
    number: Mapped[Decimal | None] = mapped_column("sayisal_deger", Numeric, comment="Sayi ise degeri")
    unit: Mapped[str] = mapped_column("birim", server_default="", comment="Birim")
    lot: Mapped[str | None] = mapped_column("lot", comment="Lot")
    measured_at: Mapped[datetime | None] = moment("olcum_zamani", "Olcum zamani")
    received_at: Mapped[datetime] = moment("alinma_zamani", "Alinma zamani")
    created_at: Mapped[datetime] = created()
