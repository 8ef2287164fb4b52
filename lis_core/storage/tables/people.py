"""Patients, institutions, units, physicians, users, sessions."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, ForeignKey, Identity, Index, LargeBinary, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from lis_core.storage.tables.base import Base, active, created, key, moment


class Institution(Base):
    """A site: laboratory, hospital, family health centre."""

    __tablename__ = "kurum"
    __table_args__ = {"comment": "Kurumlar"}

    id: Mapped[int] = key("kurum")
    code: Mapped[str] = mapped_column("skrs_kurum_kodu", String(20), unique=True, comment="SKRS kurum kodu")
    name: Mapped[str] = mapped_column("kurum_adi", comment="Kurumun adi")
    active: Mapped[bool] = active()


class Unit(Base):
    """A clinic, ward or family medicine unit that orders, or a laboratory bench."""

    __tablename__ = "birim"
    __table_args__ = {"comment": "Birimler: klinikler, aile hekimligi birimleri, laboratuvarlar"}

    id: Mapped[int] = key("birim")
    institution_id: Mapped[int | None] = mapped_column("kurum_kodu", ForeignKey("kurum.kurum_kodu"), comment="Kurum")
    code: Mapped[str] = mapped_column("birim_kisa_kodu", String(30), unique=True, comment="Birimin kisa kodu")
    name: Mapped[str] = mapped_column("birim_adi", comment="Birimin adi")
    kind: Mapped[str] = mapped_column(
        "birim_turu", String(20), server_default="klinik", comment="klinik, aile_hekimligi, laboratuvar"
    )
    active: Mapped[bool] = active()


class Physician(Base):
    """Somebody who orders tests (VEM: PERSONEL); may have a user of his own."""

    __tablename__ = "personel"
    __table_args__ = {"comment": "Personel: hekimler ve laboratuvar calisanlari"}

    id: Mapped[int] = key("personel")
    code: Mapped[str] = mapped_column("personel_sicil_numarasi", String(30), unique=True, comment="Sicil numarasi")
    given_name: Mapped[str] = mapped_column("ad", comment="Adi")
    family_name: Mapped[str] = mapped_column("soyadi", comment="Soyadi")
    title: Mapped[str] = mapped_column("unvan", server_default="", comment="Unvani")
    unit_id: Mapped[int | None] = mapped_column(
        "calistigi_birim_kodu", ForeignKey("birim.birim_kodu"), comment="Calistigi birim"
    )
    active: Mapped[bool] = active()
    unit: Mapped[Unit | None] = relationship(lazy="joined")

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.title, self.given_name, self.family_name) if part)


class Patient(Base):
    """A person. Identity is never guessed: a TC number belongs to one row, merged rows point to their survivor."""

    __tablename__ = "hasta"
    __table_args__ = (
        Index("ix_hasta_ara", text("tr_ara(ad || ' ' || soyadi) text_pattern_ops")),
        {"comment": "Hastalar"},
    )

    id: Mapped[int] = key("hasta")
    tc: Mapped[str | None] = mapped_column(
        "tc_kimlik_numarasi", String(11), unique=True, comment="T.C. kimlik numarasi"
    )
    foreign_id: Mapped[str | None] = mapped_column("pasaport_numarasi", String(30), comment="Pasaport numarasi")
    hospital_id: Mapped[str | None] = mapped_column(
        "hbys_hasta_numarasi", String(50), unique=True, comment="Hastane sistemindeki hasta numarasi"
    )
    given_name: Mapped[str] = mapped_column("ad", comment="Adi")
    family_name: Mapped[str] = mapped_column("soyadi", comment="Soyadi")
    birth_date: Mapped[date | None] = mapped_column("dogum_tarihi", Date, comment="Dogum tarihi")
    sex: Mapped[str | None] = mapped_column("cinsiyet", String(1), comment="Cinsiyet: F kadin, M erkek")
    phone: Mapped[str | None] = mapped_column("cep_telefonu", String(30), comment="Cep telefonu")
    merged_into_id: Mapped[int | None] = mapped_column(
        "birlestigi_hasta_kodu", ForeignKey("hasta.hasta_kodu"), comment="Bu kaydin birlestirildigi hasta (ADT A40)"
    )
    hidden_number: Mapped[str | None] = mapped_column(
        "gizlilik_numarasi", String(12), unique=True, comment="Numara ile izlenen hastanin numarasi; bos = adi ile"
    )
    anonymised_at: Mapped[datetime | None] = moment("anonimlesme_zamani", "Kimligin silindigi zaman (6698)")
    created_at: Mapped[datetime] = created()
    updated_at: Mapped[datetime | None] = moment("guncelleme_zamani", "Son degisiklik zamani")

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}"


class User(Base):
    """Somebody who signs in."""

    __tablename__ = "kullanici"
    __table_args__ = {"comment": "Kullanicilar"}

    id: Mapped[int] = key("kullanici")
    username: Mapped[str] = mapped_column("kullanici_adi", String(60), unique=True, comment="Kullanici adi")
    given_name: Mapped[str] = mapped_column("ad", comment="Adi")
    family_name: Mapped[str] = mapped_column("soyadi", comment="Soyadi")
    password_hash: Mapped[str] = mapped_column(
        "parola", comment="Parolanin Argon2id ozeti; ! ile baslarsa giris kapali"
    )
    physician_id: Mapped[int | None] = mapped_column(
        "personel_kodu", ForeignKey("personel.personel_kodu"), comment="Personel kaydi"
    )
    active: Mapped[bool] = active()
    created_at: Mapped[datetime] = created()

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}"


class WebSession(Base):
    """A signed-in browser. The cookie holds the secret, the table its SHA-256."""

    __tablename__ = "oturum"
    __table_args__ = {"comment": "Acik web oturumlari"}

    secret_hash: Mapped[bytes] = mapped_column(
        "anahtar_ozeti", LargeBinary, primary_key=True, comment="Cerez anahtarinin SHA-256 ozeti"
    )
    user_id: Mapped[int] = mapped_column(
        "kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), index=True, comment="Kullanici"
    )
    form_token: Mapped[str] = mapped_column("form_anahtari", comment="CSRF korumasi icin form anahtari")
    created_at: Mapped[datetime] = created()
    expires_at: Mapped[datetime] = moment("bitis_zamani", "Gecerlilik sonu")
    address: Mapped[str] = mapped_column("ip_adresi", server_default="", comment="Acildigi adres")
    id: Mapped[int] = mapped_column(
        "oturum_kodu", BigInteger, Identity(), unique=True, comment="Listede ve denetimde gorunen numarasi"
    )
    stage: Mapped[str] = mapped_column(
        "asama", String(10), server_default="tam", comment="tam; ikinci, kurulum, parola: giris bitmedi"
    )
    method: Mapped[str] = mapped_column("yontem", String(40), server_default="parola", comment="Nasil girildigi")
    agent_hash: Mapped[bytes] = mapped_column(
        "tarayici_ozeti", LargeBinary, server_default="", comment="Tarayicinin ozeti; baska tarayicidan kullanilamaz"
    )
    browser: Mapped[str] = mapped_column("tarayici", server_default="", comment="Tarayici ve isletim sistemi")
    used_at: Mapped[datetime] = moment("son_kullanim", "Son istegin zamani", server_default=func.now())
    proved_at: Mapped[datetime] = moment(
        "dogrulama_zamani", "Kisinin kendini son kanitladigi zaman", server_default=func.now()
    )
    wrong_codes: Mapped[int] = mapped_column(
        "hatali_kod", BigInteger, server_default="0", comment="Ikinci asamada hatali deneme sayisi"
    )
    device_id: Mapped[int | None] = mapped_column(
        "taninan_cihaz_kodu",
        ForeignKey("taninan_cihaz.taninan_cihaz_kodu", ondelete="SET NULL"),
        comment="Tarayici kaydi",
    )
    grant_id: Mapped[int | None] = mapped_column(
        "destek_erisimi_kodu", ForeignKey("destek_erisimi.destek_erisimi_kodu"), comment="Destek erisimi ise izni"
    )


class ApiToken(Base):
    """A bearer token of the JSON interface, stored as its SHA-256."""

    __tablename__ = "erisim_belirteci"
    __table_args__ = {"comment": "Web servis erisim belirtecleri"}

    secret_hash: Mapped[bytes] = mapped_column(
        "anahtar_ozeti", LargeBinary, primary_key=True, comment="Belirtecin SHA-256 ozeti"
    )
    user_id: Mapped[int] = mapped_column(
        "kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), index=True, comment="Kullanici"
    )
    created_at: Mapped[datetime] = created()
    expires_at: Mapped[datetime] = moment("bitis_zamani", "Gecerlilik sonu")


class LoginFailure(Base):
    """Failed sign-ins of the last minutes, per name and address, so that guessing gets slow for the guesser only."""

    __tablename__ = "basarisiz_giris"
    __table_args__ = (UniqueConstraint("kullanici_adi", "ip_adresi"), {"comment": "Basarisiz giris denemeleri"})

    id: Mapped[int] = key("basarisiz_giris")
    username: Mapped[str] = mapped_column("kullanici_adi", String(60), comment="Denenen kullanici adi")
    address: Mapped[str] = mapped_column("ip_adresi", comment="Deneyen adres")
    count: Mapped[int] = mapped_column("sayi", BigInteger, server_default="0", comment="Ard arda basarisiz deneme")
    last_at: Mapped[datetime] = moment("son_deneme", "Son denemenin zamani", server_default=func.now())
