"""What was done to the database without the program (5.3.5, 5.3.6)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.storage.tables.base import Base, key, moment


class DirectChange(Base):
    """A statement that changed rows or tables without the program; written by triggers, never deleted."""

    __tablename__ = "veritabani_gunlugu"
    __table_args__ = (
        Index("ix_veritabani_gunlugu_zaman", "zaman"),
        Index(
            "ix_veritabani_gunlugu_bekleyen",
            "veritabani_gunlugu_kodu",
            postgresql_where=text("zincire_alinma_zamani is null"),
        ),
        {"comment": "Programin disindan yapilan degisiklikler: kim, nereden, hangi deyim ile"},
    )

    id: Mapped[int] = key("veritabani_gunlugu")
    at: Mapped[datetime] = moment("zaman", "Deyimin zamani")
    database_user: Mapped[str] = mapped_column("veritabani_kullanicisi", comment="Veritabani kullanicisi")
    application: Mapped[str] = mapped_column("uygulama", comment="Baglanan programin kendine verdigi ad")
    address: Mapped[str] = mapped_column("adres", comment="Nereden: ip adresi; yerel = ayni makine")
    process: Mapped[int] = mapped_column("surec", Integer, comment="Sunucudaki surec numarasi")
    deed: Mapped[str] = mapped_column("islem", String(60), comment="insert, update, delete, truncate, alter table ...")
    thing: Mapped[str] = mapped_column("nesne", comment="Tablo ya da baska nesne, semasi ile")
    statement: Mapped[str] = mapped_column("deyim", comment="Gonderilen SQL deyimi (ilk 4000 harfi)")
    sealed_at: Mapped[datetime | None] = moment("zincire_alinma_zamani", "Denetim zincirine alindigi zaman")
