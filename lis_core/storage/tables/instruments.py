"""Instruments, their lines, which tests they run under which code, what they sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lis_core.storage.tables.base import Base, active, created, key, moment
from lis_core.storage.tables.catalog import Test


class Instrument(Base):
    """An analyser in this laboratory."""

    __tablename__ = "cihaz"
    __table_args__ = {"comment": "Cihazlar"}

    id: Mapped[int] = key("cihaz")
    code: Mapped[str] = mapped_column("cihaz_kisa_kodu", String(30), unique=True, comment="Kisa kod")
    name: Mapped[str] = mapped_column("cihaz_adi", comment="Adi")
    definition: Mapped[str] = mapped_column("tanim", String(60), comment="Cihaz taniminin anahtari (katalog)")
    maker: Mapped[str] = mapped_column("cihaz_markasi", server_default="", comment="Markasi")
    model: Mapped[str] = mapped_column("cihaz_modeli", server_default="", comment="Modeli")
    serial_number: Mapped[str | None] = mapped_column("seri_numarasi", comment="Seri numarasi")
    unit_id: Mapped[int | None] = mapped_column("birim_kodu", ForeignKey("birim.birim_kodu"), comment="Bulundugu birim")
    in_service: Mapped[bool] = mapped_column(
        "hizmette", server_default=text("true"), default=True, comment="Hizmette mi; degilse is verilmez"
    )
    service_note: Mapped[str | None] = mapped_column("hizmet_notu", comment="Hizmet disi kalma nedeni")
    reserve_minutes: Mapped[int] = mapped_column(
        "ayirma_dakika",
        Integer,
        server_default="0",
        comment="Is emri verilen tetkik baska cihaza kac dakika verilmez; 0 = ayirma yok",
    )
    settings: Mapped[dict[str, Any]] = mapped_column(
        "ayarlar", JSONB, server_default="{}", comment="Tanim parametreleri (karakter kumesi, saat dilimi ...)"
    )
    active: Mapped[bool] = active()


class Connection(Base):
    """A line: where an instrument talks. A line belongs to one instrument."""

    __tablename__ = "baglanti"
    __table_args__ = {"comment": "Cihaz baglantilari (hatlar)"}

    id: Mapped[int] = key("baglanti")
    name: Mapped[str] = mapped_column("baglanti_adi", String(60), unique=True, comment="Hattin adi")
    instrument_id: Mapped[int] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    kind: Mapped[str] = mapped_column("baglanti_turu", String(20), comment="tcp-sunucu, tcp-istemci, seri, klasor")
    protocol: Mapped[str] = mapped_column("protokol", String(10), comment="astm, hl7, metin, tablo, poct1a")
    address: Mapped[str] = mapped_column("adres", comment="sunucu:port, seri port ya da klasor yolu")
    settings: Mapped[dict[str, Any]] = mapped_column(
        "ayarlar",
        JSONB,
        server_default="{}",
        comment="Hat ayarlari: hiz, parite, cerceveleme, ikinci baglanti davranisi ...",
    )
    active: Mapped[bool] = active()
    gateway_id: Mapped[int | None] = mapped_column(
        "gecit_kodu", ForeignKey("gecit.gecit_kodu"), comment="Hattin bulundugu uzak gecit; bos = merkezdeki gecit"
    )
    instrument: Mapped[Instrument] = relationship(lazy="joined")


class LineState(Base):
    """What a line is doing now; written by the gateway, shown on the instruments screen."""

    __tablename__ = "baglanti_durumu"
    __table_args__ = {"comment": "Hatlarin son durumu", "postgresql_with": {"fillfactor": "50"}}

    connection_id: Mapped[int] = mapped_column(
        "baglanti_kodu", ForeignKey("baglanti.baglanti_kodu"), primary_key=True, comment="Hat"
    )
    listening: Mapped[bool] = mapped_column("dinliyor", server_default=text("false"), comment="Hat acik mi")
    peers: Mapped[int] = mapped_column("bagli_uc", Integer, server_default="0", comment="Bagli uc sayisi")
    peer: Mapped[str] = mapped_column("karsi_adres", server_default="", comment="Son baglanan adres")
    last_byte_at: Mapped[datetime | None] = moment("son_bayt_zamani", "Son bayt")
    last_message_at: Mapped[datetime | None] = moment("son_mesaj_zamani", "Son tam mesaj")
    messages: Mapped[int] = mapped_column(
        "mesaj_sayisi", BigInteger, server_default="0", comment="Acilistan beri tam mesaj"
    )
    queries: Mapped[int] = mapped_column("sorgu_sayisi", BigInteger, server_default="0", comment="Acilistan beri sorgu")
    errors: Mapped[int] = mapped_column("hata_sayisi", BigInteger, server_default="0", comment="Acilistan beri hata")
    last_error: Mapped[str | None] = mapped_column("son_hata", comment="Son hata, insan sozuyle")
    last_error_at: Mapped[datetime | None] = moment("son_hata_zamani", "Son hatanin zamani")
    updated_at: Mapped[datetime] = moment("guncelleme_zamani", "Durumun yazildigi zaman")


class InstrumentTest(Base):
    """This instrument runs this test, under these codes, on these materials."""

    __tablename__ = "tetkik_cihaz_eslesme"
    __table_args__ = (
        UniqueConstraint("cihaz_kodu", "cihazdan_gelen_test_kodu"),
        Index("ix_tetkik_cihaz_eslesme_tetkik", "tetkik_kodu"),
        {"comment": "Tetkik - cihaz eslesmeleri"},
    )

    id: Mapped[int] = key("tetkik_cihaz_eslesme")
    instrument_id: Mapped[int] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    test_id: Mapped[int] = mapped_column("tetkik_kodu", ForeignKey("tetkik.tetkik_kodu"), comment="Tetkik")
    incoming: Mapped[str] = mapped_column("cihazdan_gelen_test_kodu", String(60), comment="Sonuctaki kod")
    outgoing: Mapped[str] = mapped_column(
        "cihaza_giden_test_kodu", String(60), comment="Is emrindeki kod; bos = is emri verilmez"
    )
    materials: Mapped[list[str]] = mapped_column(
        "numune_turleri",
        ARRAY(String),
        server_default="{}",
        comment="Bu cihazda calisilabilen materyaller; bos = tetkikinki",
    )
    translations: Mapped[dict[str, str]] = mapped_column(
        "metin_ceviri", JSONB, server_default="{}", comment="Sonuc metni cevirileri: negative -> Negatif (9.6.4)"
    )
    factor: Mapped[str | None] = mapped_column(
        "carpan", String(20), comment="Birim donusum carpani (ondalik metin); bos = yok"
    )
    unit: Mapped[str | None] = mapped_column(
        "birim", comment="Cihazin birimi; farkli gelirse sonuc tutulur; bos = denetlenmez"
    )
    active: Mapped[bool] = active()
    test: Mapped[Test] = relationship(lazy="joined")


class RawMessage(Base):
    """A message as it came, verbatim, for ever linked to what was read from it. Content never changes."""

    __tablename__ = "ham_mesaj"
    __table_args__ = (
        Index("ix_ham_mesaj_cihaz", "cihaz_kodu", "alinma_zamani"),
        Index("ix_ham_mesaj_parmak_izi", "cihaz_kodu", "parmak_izi"),
        Index(
            "ix_ham_mesaj_sorunlu",
            "durum",
            "ham_mesaj_kodu",
            postgresql_where=text("durum in ('yarim','hata','kismen')"),
        ),
        {"comment": "Cihazlardan gelen ham mesajlar"},
    )

    id: Mapped[int] = key("ham_mesaj")
    key: Mapped[str] = mapped_column("anahtar", String(80), unique=True, comment="Gecidin verdigi tekil anahtar")
    instrument_id: Mapped[int | None] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    connection_id: Mapped[int | None] = mapped_column(
        "baglanti_kodu", ForeignKey("baglanti.baglanti_kodu"), comment="Hat"
    )
    received_at: Mapped[datetime] = moment("alinma_zamani", "Alinma zamani")
    protocol: Mapped[str] = mapped_column("protokol", String(10), comment="astm, hl7, metin, tablo, poct1a")
    content: Mapped[bytes] = mapped_column("icerik", LargeBinary, comment="Hattan geldigi gibi baytlar")
    fingerprint: Mapped[bytes] = mapped_column("parmak_izi", LargeBinary, comment="Icerigin ozeti (baslik haric)")
    definition: Mapped[str] = mapped_column("tanim", String(60), server_default="", comment="Okuyan tanim")
    revision: Mapped[int] = mapped_column("tanim_surumu", Integer, server_default="0", comment="Tanimin surumu")
    state: Mapped[str] = mapped_column("durum", String(12), comment="islendi, kismen, tekrar, yarim, hata, sorgu, bos")
    problem: Mapped[str | None] = mapped_column("sorun", comment="Sorun, insan sozuyle")
    results: Mapped[int] = mapped_column("sonuc_sayisi", Integer, server_default="0", comment="Baglanan sonuc sayisi")
    unmatched: Mapped[int] = mapped_column(
        "eslesmeyen_sayisi", Integer, server_default="0", comment="Eslesmeyen sonuc sayisi"
    )
    repeats_id: Mapped[int | None] = mapped_column(
        "tekrarladigi_mesaj_kodu", BigInteger, comment="Bu mesajin tekrarladigi ilk mesaj"
    )
    partial_body: Mapped[bytes | None] = mapped_column(
        "yarim_govde", LargeBinary, comment="Yarim kalan mesajin cercevesiz govdesi; tamami gelince taninsin diye"
    )
    created_at: Mapped[datetime] = created()


class LoadedTube(Base):
    """A tube at its place on an analyser that reads no barcode (9.5.2); the place is free when it was taken away."""

    __tablename__ = "cihaz_yukleme"
    __table_args__ = (
        Index(
            "uq_cihaz_yukleme_konum",
            "cihaz_kodu",
            "konum",
            unique=True,
            postgresql_where=text("kaldirma_zamani is null"),
        ),
        Index(
            "uq_cihaz_yukleme_barkod",
            "cihaz_kodu",
            "barkod",
            unique=True,
            postgresql_where=text("kaldirma_zamani is null"),
        ),
        Index("ix_cihaz_yukleme_kaldirma", "cihaz_kodu", "kaldirma_zamani"),
        {"comment": "Barkod okumayan cihazlarin yukleme listesi: hangi konumda hangi tup durdu"},
    )

    id: Mapped[int] = key("cihaz_yukleme")
    instrument_id: Mapped[int] = mapped_column("cihaz_kodu", ForeignKey("cihaz.cihaz_kodu"), comment="Cihaz")
    place: Mapped[str] = mapped_column("konum", String(20), comment="Cihazdaki konum, cihazin soyledigi gibi")
    barcode: Mapped[str] = mapped_column(
        "barkod", ForeignKey("barkod_kayit.barkod"), comment="Konan tupun okunan metni"
    )
    user_id: Mapped[int | None] = mapped_column(
        "kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Koyan"
    )
    loaded_at: Mapped[datetime] = moment("yukleme_zamani", "Konma zamani", server_default=text("now()"))
    taken_at: Mapped[datetime | None] = moment("kaldirma_zamani", "Alinma zamani; bos = duruyor")


class LoadedOrder(Base):
    """A test that an analyser was told of, unasked, for a tube of its load list, and has acknowledged."""

    __tablename__ = "cihaz_yukleme_is"
    __table_args__ = (
        Index("ix_cihaz_yukleme_is_tetkik", "istem_tetkik_kodu"),
        {"comment": "Yukleme listesindeki tup icin cihaza sorulmadan gonderilen is"},
    )

    load_id: Mapped[int] = mapped_column(
        "cihaz_yukleme_kodu", ForeignKey("cihaz_yukleme.cihaz_yukleme_kodu"), primary_key=True, comment="Listedeki tup"
    )
    ordered_test_id: Mapped[int] = mapped_column(
        "istem_tetkik_kodu", ForeignKey("istem_tetkik.istem_tetkik_kodu"), primary_key=True, comment="Istenen tetkik"
    )
    code: Mapped[str] = mapped_column("cihaza_giden_test_kodu", String(60), comment="Cihaza soylenen kod")
    runs: Mapped[int] = mapped_column("kosu_sayisi", Integer, comment="Gonderilirken tetkigin kac kosusu vardi")
    given_at: Mapped[datetime] = moment("verilme_zamani", "Cihazin aldigi zaman", server_default=text("now()"))
    taken_back_at: Mapped[datetime | None] = moment("geri_alma_zamani", "Geri alindigi zaman; bos = cihazda")
