"""Orders, ordered tests, tubes, every text that a scanner may read, custody events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lis_core.domain.states import Priority, TestState, TubeState
from lis_core.storage.tables.base import Base, Word, created, key, moment
from lis_core.storage.tables.catalog import Test, TubeType
from lis_core.storage.tables.people import Patient, Physician, Unit


class Order(Base):
    """A physician's order under one number."""

    __tablename__ = "tetkik_istem"
    __table_args__ = (
        Index("ix_tetkik_istem_hasta", "hasta_kodu", "istem_zamani"),
        Index("ix_tetkik_istem_zaman", "istem_zamani"),
        Index("ix_tetkik_istem_personel", "isteyen_hekim_kodu", "istem_zamani"),
        {"comment": "Tetkik istemleri: bir istem, bir barkod numarasi"},
    )

    id: Mapped[int] = key("tetkik_istem")
    number: Mapped[str] = mapped_column("numune_numarasi", String(18), unique=True, comment="Istemin barkod numarasi")
    patient_id: Mapped[int] = mapped_column("hasta_kodu", ForeignKey("hasta.hasta_kodu"), comment="Hasta")
    physician_id: Mapped[int | None] = mapped_column(
        "isteyen_hekim_kodu", ForeignKey("personel.personel_kodu"), comment="Isteyen hekim"
    )
    unit_id: Mapped[int | None] = mapped_column("birim_kodu", ForeignKey("birim.birim_kodu"), comment="Isteyen birim")
    priority: Mapped[Priority] = mapped_column("aciliyet", Word(Priority), comment="acil, oncelikli, rutin")
    clinical: Mapped[dict[str, Any]] = mapped_column(
        "klinik_bilgi",
        JSONB,
        server_default="{}",
        comment="Klinik bilgi: gebelik, sigara, son adet tarihi, on tani, not",
    )
    hospital_number: Mapped[str | None] = mapped_column(
        "entegrasyon_numarasi", String(50), comment="Hastane sisteminin istem numarasi (ORC-2)"
    )
    source: Mapped[str] = mapped_column("kaynak", String(20), server_default="ekran", comment="ekran, api, hbys")
    ordered_at: Mapped[datetime] = moment("istem_zamani", "Istem zamani")
    ordered_by_id: Mapped[int | None] = mapped_column(
        "ekleyen_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Istemi kaydeden kullanici"
    )
    created_at: Mapped[datetime] = created()

    patient: Mapped[Patient] = relationship(lazy="raise")
    physician: Mapped[Physician | None] = relationship(lazy="raise")
    unit: Mapped[Unit | None] = relationship(lazy="raise")
    tests: Mapped[list[OrderedTest]] = relationship(back_populates="order", lazy="raise")
    tubes: Mapped[list[Tube]] = relationship(back_populates="order", lazy="raise", order_by="Tube.tube_type_code")


Index(
    "uq_tetkik_istem_entegrasyon",
    Order.hospital_number,
    unique=True,
    postgresql_where=text("entegrasyon_numarasi is not null"),
)


class Tube(Base):
    """A specimen container, or an aliquot of one (`ana_numune_kodu`)."""

    __tablename__ = "tetkik_numune"
    __table_args__ = (
        Index("ix_tetkik_numune_istem", "tetkik_istem_kodu"),
        Index("ix_tetkik_numune_durum", "numune_durumu", "tetkik_numune_kodu"),
        {"comment": "Numuneler: tupler ve alikotlar"},
    )

    id: Mapped[int] = key("tetkik_numune")
    order_id: Mapped[int] = mapped_column(
        "tetkik_istem_kodu", ForeignKey("tetkik_istem.tetkik_istem_kodu"), comment="Istem"
    )
    barcode: Mapped[str] = mapped_column(
        "barkod", String(22), unique=True, comment="Etiketteki barkod: istem numarasi + tup kodu"
    )
    tube_type_code: Mapped[str] = mapped_column("tup_kodu", ForeignKey("tup_turu.tup_kodu"), comment="Tup turu")
    material: Mapped[str] = mapped_column("numune_turu", ForeignKey("numune_turu.numune_turu"), comment="Materyal")
    parent_id: Mapped[int | None] = mapped_column(
        "ana_numune_kodu", ForeignKey("tetkik_numune.tetkik_numune_kodu"), comment="Alikotun alindigi numune"
    )
    state: Mapped[TubeState] = mapped_column("numune_durumu", Word(TubeState), comment="Tupun durumu")
    collected_at: Mapped[datetime | None] = moment("numune_alma_zamani", "Numune alma zamani")
    collected_by_id: Mapped[int | None] = mapped_column(
        "numune_alan_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Numuneyi alan"
    )
    received_at: Mapped[datetime | None] = moment("numune_kabul_zamani", "Laboratuvara kabul zamani")
    received_by_id: Mapped[int | None] = mapped_column(
        "kabul_eden_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Kabul eden"
    )
    reject_reason: Mapped[str | None] = mapped_column("numune_ret_nedeni", comment="Ret ya da sartli kabul nedeni")
    created_at: Mapped[datetime] = created()

    order: Mapped[Order] = relationship(back_populates="tubes", lazy="raise")
    tube_type: Mapped[TubeType] = relationship(lazy="joined")

    @property
    def repeats(self) -> CustodyEvent | None:
        """Set by a move that had been made before: the event of the first time. Not stored."""
        event: CustodyEvent | None = self.__dict__.get("_repeats")
        return event

    @repeats.setter
    def repeats(self, event: CustodyEvent | None) -> None:
        self.__dict__["_repeats"] = event


class OrderedTest(Base):
    """One test of an order: its present state, its tube and its valid result run."""

    __tablename__ = "istem_tetkik"
    __table_args__ = (
        UniqueConstraint("tetkik_istem_kodu", "tetkik_kodu", "zaman_noktasi"),
        Index(
            "ix_istem_tetkik_is_listesi",
            "tetkik_durumu",
            "calisma_grubu",
            postgresql_where=text("tetkik_durumu in ('sonuclandi','teknik_onayli')"),
        ),
        Index("ix_istem_tetkik_numune", "tetkik_numune_kodu"),
        Index("ix_istem_tetkik_onayli", "durum_zamani", postgresql_where=text("tetkik_durumu = 'klinik_onayli'")),
        Index(
            "ix_istem_tetkik_tekrar",
            "tetkik_durumu",
            postgresql_where=text("kosu_sayisi > 0 and tetkik_sonuc_kodu is null"),
        ),
        {"comment": "Istenen tetkikler: bir istemin her tetkiki bir satir", "postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[int] = key("istem_tetkik")
    order_id: Mapped[int] = mapped_column(
        "tetkik_istem_kodu", ForeignKey("tetkik_istem.tetkik_istem_kodu"), comment="Istem"
    )
    test_id: Mapped[int] = mapped_column("tetkik_kodu", ForeignKey("tetkik.tetkik_kodu"), comment="Tetkik")
    panel_id: Mapped[int | None] = mapped_column(
        "panel_kodu", ForeignKey("tetkik.tetkik_kodu"), comment="Icinde istendigi panel"
    )
    tube_id: Mapped[int | None] = mapped_column(
        "tetkik_numune_kodu",
        ForeignKey("tetkik_numune.tetkik_numune_kodu"),
        comment="Dusunulen tup; baska tupten de calisilabilir",
    )
    group: Mapped[str] = mapped_column(
        "calisma_grubu", String(20), comment="Calisma grubu (tetkikten; is listesi icin)"
    )
    time_point: Mapped[str] = mapped_column(
        "zaman_noktasi",
        String(10),
        server_default="",
        comment="Aclik, tokluk, 60. dakika gibi zaman noktasi; bos = yok",
    )
    state: Mapped[TestState] = mapped_column("tetkik_durumu", Word(TestState), comment="Tetkikin durumu")
    state_at: Mapped[datetime] = moment("durum_zamani", "Duruma gecis zamani")
    version: Mapped[int] = mapped_column(
        "surum", Integer, server_default="0", comment="Her durum degisikliginde artar; onaylari siraya koyar"
    )
    result_id: Mapped[int | None] = mapped_column("tetkik_sonuc_kodu", BigInteger, comment="Gecerli sonuc kosusu")
    runs: Mapped[int] = mapped_column("kosu_sayisi", Integer, server_default="0", comment="Kac kosu geldi")
    running_on_id: Mapped[int | None] = mapped_column(
        "calisan_cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Is emrini alan cihaz"
    )
    running_since: Mapped[datetime | None] = moment("calisma_baslama_zamani", "Is emrinin cihaza verildigi zaman")
    wanted_instrument_id: Mapped[int | None] = mapped_column(
        "istenen_cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Tekrar icin istenen cihaz (9.7.6a)"
    )

    order: Mapped[Order] = relationship(back_populates="tests", lazy="raise")
    test: Mapped[Test] = relationship(foreign_keys=[test_id], lazy="joined")
    tube: Mapped[Tube | None] = relationship(lazy="raise")


class Scannable(Base):
    """Every text that a scanner or an analyser may read, once: it is the primary key.

    An order's number (`tetkik_numune_kodu` empty) and each tube's barcode. A number that looks like two patients
    cannot be stored, so it can never have to be chosen (invariant 2).
    """

    __tablename__ = "barkod_kayit"
    __table_args__ = {"comment": "Okunabilen her barkod metni, bir kez"}

    text: Mapped[str] = mapped_column("barkod", String(22), primary_key=True, comment="Okunan metin")
    order_id: Mapped[int] = mapped_column(
        "tetkik_istem_kodu", ForeignKey("tetkik_istem.tetkik_istem_kodu"), comment="Istem"
    )
    tube_id: Mapped[int | None] = mapped_column(
        "tetkik_numune_kodu",
        ForeignKey("tetkik_numune.tetkik_numune_kodu"),
        comment="Tup; bos = istem numarasinin kendisi",
    )


class CustodyEvent(Base):
    """Something happened to a tube: drawn, handed over, received, seen on an analyser, rejected. Append-only."""

    __tablename__ = "numune_hareket"
    __table_args__ = (
        Index("ix_numune_hareket_numune", "tetkik_numune_kodu", "islem_zamani"),
        CheckConstraint("kullanici_kodu is not null or cihaz_kodu is not null or kaynak <> ''", name="kimin"),
        {"comment": "Numune hareketleri; silinmez, degistirilmez"},
    )

    id: Mapped[int] = key("numune_hareket")
    tube_id: Mapped[int] = mapped_column(
        "tetkik_numune_kodu", ForeignKey("tetkik_numune.tetkik_numune_kodu"), comment="Numune"
    )
    action: Mapped[str] = mapped_column("islem", String(20), comment="alindi, yolda, kabul, sartli_kabul, ret, cihazda")
    at: Mapped[datetime] = moment("islem_zamani", "Islem zamani")
    user_id: Mapped[int | None] = mapped_column(
        "kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Islemi yapan"
    )
    instrument_id: Mapped[int | None] = mapped_column(
        "cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Tupun okundugu cihaz"
    )
    rack: Mapped[str | None] = mapped_column("raf", String(20), comment="Raf")
    position: Mapped[str | None] = mapped_column("pozisyon", String(20), comment="Raftaki yer")
    reason: Mapped[str | None] = mapped_column("gerekce", comment="Gerekce")
    source: Mapped[str] = mapped_column("kaynak", String(20), server_default="", comment="Islemin kaynagi")
