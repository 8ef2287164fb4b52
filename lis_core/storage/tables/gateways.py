"""Gateways that stand apart, in a district hospital behind a line that may be cut."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.storage.tables.base import Base, active, key, moment


class EdgeGateway(Base):
    """A gateway in a house of its own. Lines that name none belong to the centre's own gateway."""

    __tablename__ = "gecit"
    __table_args__ = {"comment": "Uzak gecitler (ilce hastanesi gibi)"}

    id: Mapped[int] = key("gecit")
    name: Mapped[str] = mapped_column(
        "gecit_adi", String(40), unique=True, comment="Kucuk harf, rakam ve tire; aracidaki konularda da bu ad gecer"
    )
    caption: Mapped[str] = mapped_column("aciklama", server_default="", comment="Nerede durdugu")
    active: Mapped[bool] = active()
    seen_at: Mapped[datetime | None] = moment("son_gorulme", "Gecitten gelen son haber")
    backlog: Mapped[int] = mapped_column(
        "bekleyen_mesaj", Integer, server_default="0", comment="Gecidin diskinde bekleyen mesaj"
    )
    sheets: Mapped[int] = mapped_column(
        "kopya_istem", Integer, server_default="0", comment="Gecitte kopyasi duran bekleyen istem"
    )
    version: Mapped[str] = mapped_column("surum", String(40), server_default="", comment="Gecidin program surumu")
    untold: Mapped[int] = mapped_column(
        "bildirilecek_is", Integer, server_default="0", comment="Cihaza verilip merkeze henuz bildirilmemis is"
    )
    clock_ms: Mapped[int | None] = mapped_column(
        "saat_farki_ms", BigInteger, comment="Gecidin saati eksi merkezin saati, milisaniye; bos = bilinmiyor"
    )
    problem: Mapped[str] = mapped_column("sorun", server_default="", comment="Gecidin bildirdigi sorun (disk), sozle")
    told: Mapped[str] = mapped_column(
        "ayar_ozeti", String(64), server_default="", comment="Gecide bildirilen ayarlarin ozeti (SHA-256)"
    )
    stamp: Mapped[int] = mapped_column(
        "ayar_sirasi", BigInteger, server_default="0", comment="Bildirilen ayarlarin sirasi; yenisi hep buyuktur"
    )


class ChangedSheet(Base):
    """An order whose pending work changed and is still to be told to the gateways. Filled by trigger."""

    __tablename__ = "is_listesi_degisen"
    __table_args__ = {"comment": "Gecitlere bildirilecek istemler (tetikleyici doldurur)"}

    id: Mapped[int] = key("is_listesi_degisen")
    order_id: Mapped[int] = mapped_column("tetkik_istem_kodu", BigInteger, comment="Istem")
