"""The test catalogue: materials, tubes, work groups, tests, panels, reference ranges."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Integer, Numeric, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lis_core.storage.tables.base import Base, active, created, key, moment


class Material(Base):
    """What is in a tube. The safety limit of routing: a test runs only on its own materials."""

    __tablename__ = "numune_turu"
    __table_args__ = {"comment": "Numune turleri (materyal)"}

    code: Mapped[str] = mapped_column(
        "numune_turu", String(20), primary_key=True, comment="Kisa kod: SER, EDTA, SITRAT, IDRAR"
    )
    name: Mapped[str] = mapped_column("numune_turu_adi", comment="Ekranda gorunen ad")
    hl7: Mapped[str] = mapped_column("hl7_kodu", String(20), comment="HL7 tablo 0487 kodu")


class TubeType(Base):
    """A kind of tube: its two-digit code stands on the label beside the order number."""

    __tablename__ = "tup_turu"
    __table_args__ = {"comment": "Tup turleri ve etiket alti yazilari"}

    code: Mapped[str] = mapped_column("tup_kodu", String(2), primary_key=True, comment="Etiketteki iki haneli tup kodu")
    caption: Mapped[str] = mapped_column(
        "tup_adi", comment="Etiket alti yazisi: Biyokimya, Hemogram, Hormon-ELISA, TIT"
    )
    material: Mapped[str] = mapped_column(
        "numune_turu", ForeignKey("numune_turu.numune_turu"), comment="Tupteki materyal"
    )
    colour: Mapped[str] = mapped_column("kapak_rengi", comment="Kapak rengi (ad)")
    position: Mapped[int] = mapped_column("sira", Integer, server_default="0", comment="Etiket sirasi")


class WorkGroup(Base):
    """A bench or laboratory section: technicians and specialists are authorised by it (9.7.1)."""

    __tablename__ = "calisma_grubu"
    __table_args__ = {"comment": "Calisma gruplari (laboratuvar bolumleri)"}

    code: Mapped[str] = mapped_column("calisma_grubu", String(20), primary_key=True, comment="Kisa kod")
    name: Mapped[str] = mapped_column("calisma_grubu_adi", comment="Ekranda gorunen ad")
    laboratory_id: Mapped[int | None] = mapped_column(
        "laboratuvar_birim_kodu", ForeignKey("birim.birim_kodu"), comment="Bagli oldugu laboratuvar (birim)"
    )
    position: Mapped[int] = mapped_column("sira", Integer, server_default="0", comment="Ekran sirasi")


class Test(Base):
    """A test that gives one result, or a panel of such tests (`panel`)."""

    __test__ = False
    __tablename__ = "tetkik"
    __table_args__ = {"comment": "Tetkikler ve paneller"}

    id: Mapped[int] = key("tetkik")
    code: Mapped[str] = mapped_column("tetkik_kisa_kodu", String(20), unique=True, comment="Katalog kodu")
    name: Mapped[str] = mapped_column("tetkik_adi", comment="Tetkikin adi")
    panel: Mapped[bool] = mapped_column("panel_mi", server_default=text("false"), comment="Panel mi")
    group: Mapped[str] = mapped_column(
        "calisma_grubu", ForeignKey("calisma_grubu.calisma_grubu"), comment="Calisma grubu"
    )
    tube: Mapped[str] = mapped_column("tup_kodu", ForeignKey("tup_turu.tup_kodu"), comment="Olagan tupu")
    materials: Mapped[list[str]] = mapped_column("numune_turleri", ARRAY(String), comment="Calisilabildigi materyaller")
    unit: Mapped[str] = mapped_column("tetkik_parametre_birimi", server_default="", comment="Birimi (UCUM)")
    loinc: Mapped[str | None] = mapped_column("loinc_kodu", String(12), comment="LOINC kodu")
    sut: Mapped[str | None] = mapped_column("sut_kodu", String(12), comment="SUT islem kodu")
    decimals: Mapped[int | None] = mapped_column(
        "ondalik", Integer, comment="Raporda ondalik hane sayisi; bos = cihazin yazdigi gibi"
    )
    method: Mapped[str] = mapped_column("yontem", server_default="", comment="Calisma yontemi")
    report_position: Mapped[int] = mapped_column(
        "rapor_sonuc_sirasi", Integer, server_default="0", comment="Rapordaki sirasi"
    )
    confidential: Mapped[bool] = mapped_column(
        "gizli_mi",
        server_default=text("false"),
        comment="HIV gibi gizli tetkik mi: yalniz yetkili gorur, adsiz basilir, internetten gosterilmez (9.8.5)",
    )
    passive_reason: Mapped[str | None] = mapped_column("pasif_nedeni", comment="Gecici olarak calisilamiyorsa nedeni")
    active: Mapped[bool] = active()
    created_at: Mapped[datetime] = created()


class PanelMember(Base):
    """A test of a panel."""

    __tablename__ = "panel_uyesi"
    __table_args__ = {"comment": "Panellerin tetkikleri"}

    panel_id: Mapped[int] = mapped_column(
        "panel_kodu", ForeignKey("tetkik.tetkik_kodu"), primary_key=True, comment="Panel"
    )
    test_id: Mapped[int] = mapped_column(
        "tetkik_kodu", ForeignKey("tetkik.tetkik_kodu"), primary_key=True, comment="Tetkik"
    )
    position: Mapped[int] = mapped_column("sira", Integer, server_default="0", comment="Panel icindeki sira")
    test: Mapped[Test] = relationship(foreign_keys=[test_id], lazy="joined")


class Range(Base):
    """A reference range with its effective dates. A changed range is a new row; the old one gets an end date."""

    __tablename__ = "tetkik_referans_aralik"
    __table_args__ = (
        CheckConstraint("gecerlilik_bitis is null or gecerlilik_bitis > gecerlilik_baslangic", name="gecerlilik"),
        CheckConstraint("tetkik_cinsiyet in ('F','M')", name="cinsiyet"),
        Index("ix_tetkik_referans_aralik_tetkik", "tetkik_kodu"),
        {"comment": "Referans araliklari: cinsiyet, yas ve ozel duruma gore, gecerlilik tarihli"},
    )

    id: Mapped[int] = key("tetkik_referans_aralik")
    test_id: Mapped[int] = mapped_column("tetkik_kodu", ForeignKey("tetkik.tetkik_kodu"), comment="Tetkik")
    sex: Mapped[str | None] = mapped_column("tetkik_cinsiyet", String(1), comment="F, M ya da bos (ikisi)")
    age_from_days: Mapped[int | None] = mapped_column(
        "yas_araligi_baslangic_gun", Integer, comment="Yas alt siniri (gun, dahil)"
    )
    age_to_days: Mapped[int | None] = mapped_column(
        "yas_araligi_bitis_gun", Integer, comment="Yas ust siniri (gun, haric)"
    )
    condition: Mapped[str | None] = mapped_column("ozel_durum", String(30), comment="Ozel durum: gebe, sigara ...")
    low: Mapped[Decimal | None] = mapped_column("referans_baslangic_degeri", Numeric, comment="Alt sinir")
    high: Mapped[Decimal | None] = mapped_column("referans_bitis_degeri", Numeric, comment="Ust sinir")
    critical_low: Mapped[Decimal | None] = mapped_column(
        "alt_kritik_deger", Numeric, comment="Alt panik siniri (dahil)"
    )
    critical_high: Mapped[Decimal | None] = mapped_column(
        "ust_kritik_deger", Numeric, comment="Ust panik siniri (dahil)"
    )
    normal_text: Mapped[str | None] = mapped_column("normal_metin", comment="Metin sonuclarda normal olan deger")
    valid_from: Mapped[date] = mapped_column("gecerlilik_baslangic", Date, comment="Gecerlilik baslangici")
    valid_to: Mapped[date | None] = mapped_column("gecerlilik_bitis", Date, comment="Gecerlilik sonu (haric)")
    version: Mapped[str] = mapped_column("surum", String(20), server_default="1", comment="Surum; kararlarda saklanir")
    approved_by: Mapped[str] = mapped_column("onaylayan", server_default="", comment="Araligi onaylayan uzman")
    created_at: Mapped[datetime] = created()
    changed_at: Mapped[datetime | None] = moment("guncelleme_zamani", "Son degisiklik zamani")
