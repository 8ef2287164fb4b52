"""Groups, who is in them, and what each person or group may (4.8.3-4.8.6). Ended rows stay, so that it can be told
when a permission was taken and by whom (4.8.4)."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.domain.permissions import ScopeKind
from lis_core.storage.tables.base import Base, Word, active, created, key, moment


class PermissionGroup(Base):
    """A group of people, or of groups, that permissions are given to."""

    __tablename__ = "yetki_grubu"
    __table_args__ = {"comment": "Yetki gruplari"}

    id: Mapped[int] = key("yetki_grubu")
    code: Mapped[str] = mapped_column("yetki_grubu_kisa_kodu", String(30), unique=True, comment="Kisa kod")
    name: Mapped[str] = mapped_column("yetki_grubu_adi", comment="Ekranda gorunen ad")
    description: Mapped[str] = mapped_column("aciklama", server_default="", comment="Ne icin")
    active: Mapped[bool] = active()
    created_at: Mapped[datetime] = created()


def _from() -> Mapped[date | None]:
    return mapped_column("baslangic_tarihi", Date, comment="Ilk gecerli gun; bos = hemen")


def _until() -> Mapped[date | None]:
    return mapped_column("bitis_tarihi", Date, comment="Son gecerli gun; bos = suresiz")


class GroupMember(Base):
    """A user, or a group, in a group. A circle of groups is refused by the database."""

    __tablename__ = "grup_uyeligi"
    __table_args__ = (
        CheckConstraint("num_nonnulls(uye_kullanici_kodu, uye_grup_kodu) = 1", name="uye"),
        CheckConstraint("uye_grup_kodu <> yetki_grubu_kodu", name="kendisi_degil"),
        Index(
            "uq_grup_uyeligi_kullanici",
            "yetki_grubu_kodu",
            "uye_kullanici_kodu",
            unique=True,
            postgresql_where=text("kaldirma_zamani is null"),
        ),
        Index(
            "uq_grup_uyeligi_grup",
            "yetki_grubu_kodu",
            "uye_grup_kodu",
            unique=True,
            postgresql_where=text("kaldirma_zamani is null"),
        ),
        Index("ix_grup_uyeligi_kullanici", "uye_kullanici_kodu"),
        {"comment": "Yetki gruplarinin uyeleri: kullanicilar ve gruplar"},
    )

    id: Mapped[int] = key("grup_uyeligi")
    group_id: Mapped[int] = mapped_column(
        "yetki_grubu_kodu", ForeignKey("yetki_grubu.yetki_grubu_kodu"), comment="Uye olunan grup"
    )
    user_id: Mapped[int | None] = mapped_column(
        "uye_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Uye kullanici"
    )
    member_group_id: Mapped[int | None] = mapped_column(
        "uye_grup_kodu", ForeignKey("yetki_grubu.yetki_grubu_kodu"), comment="Uye grup"
    )
    benches: Mapped[list[str]] = mapped_column(
        "calisma_gruplari", ARRAY(String), server_default="{}", comment="Yalniz bu calisma gruplari; bos = hepsi"
    )
    valid_from: Mapped[date | None] = _from()
    valid_until: Mapped[date | None] = _until()
    given_by_id: Mapped[int | None] = mapped_column(
        "veren_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Uye yapan; bos = program"
    )
    created_at: Mapped[datetime] = created()
    ended_at: Mapped[datetime | None] = moment("kaldirma_zamani", "Uyeligin kaldirildigi zaman")
    ended_by_id: Mapped[int | None] = mapped_column(
        "kaldiran_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Uyeligi kaldiran"
    )


class PermissionEntry(Base):
    """A permission given to a user or a group, or forbidden, within a scope and for a time."""

    __tablename__ = "yetki_kaydi"
    __table_args__ = (
        CheckConstraint("num_nonnulls(kullanici_kodu, yetki_grubu_kodu) = 1", name="kime"),
        CheckConstraint("bitis_tarihi >= baslangic_tarihi", name="sure"),
        Index("ix_yetki_kaydi_kullanici", "kullanici_kodu"),
        Index("ix_yetki_kaydi_grup", "yetki_grubu_kodu"),
        {"comment": "Yetki kayitlari: kime, hangi yetki, hangi kapsamda; izin ya da yasak"},
    )

    id: Mapped[int] = key("yetki_kaydi")
    user_id: Mapped[int | None] = mapped_column(
        "kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Kullanici"
    )
    group_id: Mapped[int | None] = mapped_column(
        "yetki_grubu_kodu", ForeignKey("yetki_grubu.yetki_grubu_kodu"), comment="Grup"
    )
    permission: Mapped[str] = mapped_column("yetki", String(40), comment="Yetkinin kodu: alan.eylem")
    scope_kind: Mapped[ScopeKind] = mapped_column(
        "kapsam_turu", Word(ScopeKind), comment="tum, laboratuvar, calisma_grubu, klinik, kurum, kendi"
    )
    scope_value: Mapped[str] = mapped_column(
        "kapsam_degeri", String(30), server_default="", comment="Kapsamin kodu; klinikte bos = kendi birimleri"
    )
    prohibits: Mapped[bool] = mapped_column("yasak", server_default=text("false"), comment="Izin degil yasak")
    valid_from: Mapped[date | None] = _from()
    valid_until: Mapped[date | None] = _until()
    given_by_id: Mapped[int | None] = mapped_column(
        "veren_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Veren; bos = program"
    )
    created_at: Mapped[datetime] = created()
    ended_at: Mapped[datetime | None] = moment("kaldirma_zamani", "Kaldirildigi zaman")
    ended_by_id: Mapped[int | None] = mapped_column(
        "kaldiran_kullanici_kodu", ForeignKey("kullanici.kullanici_kodu"), comment="Kaldiran"
    )


class PhysicianUnit(Base):
    """A unit that somebody works in beside his own, for a time or for good (2.8.16)."""

    __tablename__ = "personel_birim"
    __table_args__ = (
        CheckConstraint("bitis_tarihi >= baslangic_tarihi", name="sure"),
        Index("ix_personel_birim_personel", "personel_kodu"),
        Index("ix_personel_birim_birim", "birim_kodu"),
        {"comment": "Personelin gorevli oldugu ek birimler"},
    )

    id: Mapped[int] = key("personel_birim")
    physician_id: Mapped[int] = mapped_column("personel_kodu", ForeignKey("personel.personel_kodu"), comment="Personel")
    unit_id: Mapped[int] = mapped_column("birim_kodu", ForeignKey("birim.birim_kodu"), comment="Birim")
    valid_from: Mapped[date | None] = _from()
    valid_until: Mapped[date | None] = _until()
    created_at: Mapped[datetime] = created()


__all__ = ["GroupMember", "PermissionEntry", "PermissionGroup", "PhysicianUnit"]
