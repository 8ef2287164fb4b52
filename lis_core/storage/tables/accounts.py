"""What signing in needs beside name and password: second factors, devices, identities, clients, absences, support."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from lis_core.storage.tables.base import Base, Word, active, created, key, moment


class AccountKind(StrEnum):
    """Who is behind a user."""

    PERSON = "kisi"
    SUPPORT = "destek"
    """Staff of the supplier: signs in only while the hospital has granted it (annex 1, 5.14)."""
    CLIENT = "istemci"
    """A program: never signs in, acts through the tokens of its client record."""


class Absence(StrEnum):
    """Why somebody does not work: the words stand in the database (4.8.11, 4.8.13)."""

    LEAVE = "izin"
    SICK = "rapor"
    TEMPORARY_DUTY = "gecici_gorev"
    TRAINING = "egitim"
    OTHER = "diger"
    DEPARTED = "ayrilis"
    """For good: there is no last day."""


def _user(name: str = "kullanici_kodu", comment: str = "Kullanici", **kw: Any) -> MappedColumn[Any]:
    return mapped_column(name, ForeignKey("kullanici.kullanici_kodu"), comment=comment, **kw)


class AccountSecurity(Base):
    """How a user proves himself, one row each; made at the first need."""

    __tablename__ = "giris_guvenligi"
    __table_args__ = {"comment": "Kullanicilarin giris guvenligi: parola suresi, ikinci asama"}

    user_id: Mapped[int] = _user(primary_key=True)
    kind: Mapped[AccountKind] = mapped_column(
        "hesap_turu", Word(AccountKind), server_default="kisi", comment="kisi, destek, istemci"
    )
    password_at: Mapped[datetime | None] = moment("parola_zamani", "Parolanin verildigi zaman")
    must_change: Mapped[bool] = mapped_column(
        "parola_degismeli", server_default=text("false"), comment="Ilk giriste parola degistirilmeli"
    )
    totp_secret: Mapped[bytes | None] = mapped_column(
        "totp_anahtari", LargeBinary, comment="Dogrulama uygulamasinin anahtari, sifreli"
    )
    totp_confirmed_at: Mapped[datetime | None] = moment("totp_onay_zamani", "Uygulamanin ilk dogru kodu verdigi zaman")
    totp_last_step: Mapped[int] = mapped_column(
        "totp_son_adim", BigInteger, server_default="0", comment="Kabul edilen son kodun 30 saniyelik adimi"
    )
    handle: Mapped[bytes | None] = mapped_column(
        "anahtar_kullanicisi", LargeBinary, unique=True, comment="Guvenlik anahtarlarina verilen rastgele kullanici adi"
    )


class OldPassword(Base):
    """Digests of former passwords, so that none comes back."""

    __tablename__ = "eski_parola"
    __table_args__ = {"comment": "Daha once kullanilmis parolalarin ozetleri"}

    id: Mapped[int] = key("eski_parola")
    user_id: Mapped[int] = _user(index=True)
    password_hash: Mapped[str] = mapped_column("parola", comment="Argon2id ozeti")
    created_at: Mapped[datetime] = created()


class RecoveryCode(Base):
    """A way in when the second factor is lost. Each works once."""

    __tablename__ = "kurtarma_kodu"
    __table_args__ = {"comment": "Tek kullanimlik kurtarma kodlari"}

    id: Mapped[int] = key("kurtarma_kodu")
    user_id: Mapped[int] = _user(index=True)
    code_hash: Mapped[bytes] = mapped_column("kod_ozeti", LargeBinary, unique=True, comment="Kodun SHA-256 ozeti")
    created_at: Mapped[datetime] = created()
    used_at: Mapped[datetime | None] = moment("kullanim_zamani", "Kullanildigi zaman")


class SecurityKey(Base):
    """A WebAuthn credential: a key on the chain or in the PC."""

    __tablename__ = "guvenlik_anahtari"
    __table_args__ = {"comment": "Guvenlik anahtarlari (WebAuthn)"}

    id: Mapped[int] = key("guvenlik_anahtari")
    user_id: Mapped[int] = _user(index=True)
    credential_id: Mapped[bytes] = mapped_column("kimlik", LargeBinary, unique=True, comment="Anahtarin kimligi")
    public_key: Mapped[bytes] = mapped_column("acik_anahtar", LargeBinary, comment="Acik anahtar (COSE)")
    counter: Mapped[int] = mapped_column("sayac", BigInteger, server_default="0", comment="Imza sayaci")
    name: Mapped[str] = mapped_column("ad", String(60), comment="Kisinin verdigi ad")
    transports: Mapped[list[str]] = mapped_column(
        "tasima", ARRAY(String), server_default="{}", comment="usb, nfc, ble, internal, hybrid"
    )
    created_at: Mapped[datetime] = created()
    used_at: Mapped[datetime | None] = moment("son_kullanim", "Son kullanim zamani")


class KnownDevice(Base):
    """A browser in which this person signed in before: guessing by others does not slow him there."""

    __tablename__ = "taninan_cihaz"
    __table_args__ = (
        UniqueConstraint("anahtar_ozeti", "kullanici_kodu"),
        {"comment": "Kisinin daha once giris yaptigi tarayicilar"},
    )

    id: Mapped[int] = key("taninan_cihaz")
    secret_hash: Mapped[bytes] = mapped_column("anahtar_ozeti", LargeBinary, comment="Cerez anahtarinin SHA-256 ozeti")
    user_id: Mapped[int] = _user(index=True)
    browser: Mapped[str] = mapped_column("tarayici", server_default="", comment="Tarayici ve isletim sistemi")
    created_at: Mapped[datetime] = created()
    used_at: Mapped[datetime] = moment("son_kullanim", "Son giris zamani", server_default=text("now()"))
    trusted_until: Mapped[datetime | None] = moment("guven_bitisi", "Bu zamana kadar ikinci asama sorulmaz")


class PendingProof(Base):
    """A question put to a browser and not answered yet: a WebAuthn challenge, a sign-in at another provider."""

    __tablename__ = "bekleyen_dogrulama"
    __table_args__ = {"comment": "Cevabi beklenen dogrulama sorulari; her biri bir kez kullanilir"}

    secret_hash: Mapped[bytes] = mapped_column(
        "anahtar_ozeti", LargeBinary, primary_key=True, comment="Sorunun anahtarinin SHA-256 ozeti"
    )
    kind: Mapped[str] = mapped_column("tur", String(20), comment="anahtar_ekle, anahtar_kullan, tek_giris, baglama")
    facts: Mapped[dict[str, Any]] = mapped_column("icerik", JSONB, comment="Sorunun icerigi")
    expires_at: Mapped[datetime] = moment("bitis_zamani", "Gecerlilik sonu", index=True)


class ForeignIdentity(Base):
    """A subject of an OpenID provider that is this user. Tied by a person, never by an e-mail address."""

    __tablename__ = "dis_kimlik"
    __table_args__ = (UniqueConstraint("saglayici", "kimlik"), {"comment": "Tek giris kimlikleri (OpenID Connect)"})

    id: Mapped[int] = key("dis_kimlik")
    user_id: Mapped[int] = _user(index=True)
    issuer: Mapped[str] = mapped_column("saglayici", comment="Saglayicinin adresi (iss)")
    subject: Mapped[str] = mapped_column("kimlik", comment="Saglayicidaki kimlik (sub)")
    name: Mapped[str] = mapped_column("ad", server_default="", comment="Baglandigi gun saglayicinin bildirdigi ad")
    linked_by_id: Mapped[int] = _user("baglayan_kullanici_kodu", "Baglayan kullanici")
    created_at: Mapped[datetime] = created()
    used_at: Mapped[datetime | None] = moment("son_kullanim", "Son giris zamani")


class ApiClient(Base):
    """A program that uses the JSON interface in its own name, within its scopes."""

    __tablename__ = "api_istemcisi"
    __table_args__ = {"comment": "Web servis istemcileri"}

    id: Mapped[int] = key("api_istemcisi")
    name: Mapped[str] = mapped_column("ad", String(60), unique=True, comment="Istemcinin adi")
    purpose: Mapped[str] = mapped_column("amac", server_default="", comment="Ne icin kullanildigi")
    user_id: Mapped[int] = _user(comment="Adina is gordugu kullanici")
    scopes: Mapped[list[str]] = mapped_column(
        "kapsamlar", ARRAY(String), server_default="{}", comment="Yetki kodlari; istemci baska bir sey yapamaz"
    )
    active: Mapped[bool] = active()
    created_by_id: Mapped[int] = _user("ekleyen_kullanici_kodu", "Ekleyen kullanici")
    created_at: Mapped[datetime] = created()


class ClientToken(Base):
    """A token of a client: its first letters to find it, its digest to know it."""

    __tablename__ = "api_belirteci"
    __table_args__ = {"comment": "Web servis istemcilerinin belirtecleri"}

    id: Mapped[int] = key("api_belirteci")
    client_id: Mapped[int] = mapped_column(
        "api_istemcisi_kodu", ForeignKey("api_istemcisi.api_istemcisi_kodu"), index=True, comment="Istemci"
    )
    prefix: Mapped[str] = mapped_column("on_ek", String(20), unique=True, comment="Belirtecin gorunen basi")
    secret_hash: Mapped[bytes] = mapped_column("anahtar_ozeti", LargeBinary, comment="Belirtecin SHA-256 ozeti")
    created_by_id: Mapped[int] = _user("ekleyen_kullanici_kodu", "Veren kullanici")
    created_at: Mapped[datetime] = created()
    expires_at: Mapped[datetime] = moment("bitis_zamani", "Gecerlilik sonu")
    used_at: Mapped[datetime | None] = moment("son_kullanim", "Son kullanim zamani")
    used_from: Mapped[str] = mapped_column("son_adres", server_default="", comment="Son kullanildigi adres")
    revoked_at: Mapped[datetime | None] = moment("iptal_zamani", "Iptal zamani")


class EmploymentStatus(Base):
    """Somebody does not work here, until a day or for good. The personnel package writes the same rows."""

    __tablename__ = "calisma_durumu"
    __table_args__ = (
        CheckConstraint("bitis_tarihi is null or bitis_tarihi >= baslangic_tarihi", name="sira"),
        CheckConstraint("(tur = 'ayrilis') = (bitis_tarihi is null)", name="bitis"),
        Index(
            "ix_calisma_durumu_acik",
            "kullanici_kodu",
            "baslangic_tarihi",
            postgresql_where=text("iptal_zamani is null"),
        ),
        {"comment": "Izin, rapor, gorevlendirme, ayrilis: bu surede giris yapilamaz"},
    )

    id: Mapped[int] = key("calisma_durumu")
    user_id: Mapped[int] = _user()
    kind: Mapped[Absence] = mapped_column(
        "tur", Word(Absence), comment="izin, rapor, gecici_gorev, egitim, diger, ayrilis"
    )
    first_day: Mapped[date] = mapped_column("baslangic_tarihi", Date, comment="Ilk gun")
    last_day: Mapped[date | None] = mapped_column("bitis_tarihi", Date, comment="Son gun, dahil; bos = surekli")
    note: Mapped[str] = mapped_column("aciklama", server_default="", comment="Aciklama")
    source: Mapped[str] = mapped_column(
        "kaynak", String(30), server_default="ekran", comment="ekran ya da personel modulundeki kaydin numarasi"
    )
    created_by_id: Mapped[int | None] = _user("ekleyen_kullanici_kodu", "Kaydeden kullanici; bos = program")
    created_at: Mapped[datetime] = created()
    cancelled_at: Mapped[datetime | None] = moment("iptal_zamani", "Kaydin geri alindigi zaman")


class SupportGrant(Base):
    """Access that the hospital gave to support staff: one password, one use, one end (annex 1, 5.14)."""

    __tablename__ = "destek_erisimi"
    __table_args__ = (
        CheckConstraint("bitis_zamani > baslangic_zamani", name="sira"),
        CheckConstraint("neden <> ''", name="neden"),
        {"comment": "Hastanenin sureli verdigi destek erisimleri"},
    )

    id: Mapped[int] = key("destek_erisimi")
    user_id: Mapped[int] = _user(comment="Destek calisaninin kullanicisi", index=True)
    reason: Mapped[str] = mapped_column("neden", comment="Erisimin nedeni")
    secret_hash: Mapped[bytes] = mapped_column(
        "anahtar_ozeti", LargeBinary, unique=True, comment="Tek kullanimlik sifrenin SHA-256 ozeti"
    )
    granted_by_id: Mapped[int] = _user("veren_kullanici_kodu", "Izni veren yonetici")
    starts_at: Mapped[datetime] = moment("baslangic_zamani", "Baslangic")
    ends_at: Mapped[datetime] = moment("bitis_zamani", "Bitis; acik oturum da o an biter")
    used_at: Mapped[datetime | None] = moment("kullanim_zamani", "Sifrenin kullanildigi zaman")
    revoked_at: Mapped[datetime | None] = moment("iptal_zamani", "Yonetimin geri aldigi zaman")
