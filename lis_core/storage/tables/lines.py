"""What happened on a line, what goes over it while somebody looks, and trials of a line before it is used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lis_core.storage.tables.base import Base, key, moment


class LineEvent(Base):
    """A sentence of a line's history: refused frames, loosened rules, why nothing was offered. Kept for some days."""

    __tablename__ = "baglanti_olayi"
    __table_args__ = (
        Index("ix_baglanti_olayi_hat", "baglanti_kodu", "baglanti_olayi_kodu"),
        {"comment": "Hatlarin olaylari"},
    )

    id: Mapped[int] = key("baglanti_olayi")
    connection_id: Mapped[int] = mapped_column(
        "baglanti_kodu", ForeignKey("baglanti.baglanti_kodu", ondelete="CASCADE"), comment="Hat"
    )
    kind: Mapped[str] = mapped_column("tur", String(10), comment="bilgi, sorun")
    sentence: Mapped[str] = mapped_column("cumle", comment="Ne oldugu, insan sozuyle")
    count: Mapped[int] = mapped_column("adet", Integer, server_default="1", comment="Ard arda kac kez")
    first_at: Mapped[datetime] = moment("ilk_zaman", "Ilk kez oldugu zaman")
    last_at: Mapped[datetime] = moment("son_zaman", "Son kez oldugu zaman")


class LineWatch(Base):
    """Somebody looks at this line's traffic until then; without a row nothing of it is kept."""

    __tablename__ = "baglanti_izleme"
    __table_args__ = {"comment": "Canli trafigi izlenen hatlar"}

    connection_id: Mapped[int] = mapped_column(
        "baglanti_kodu", ForeignKey("baglanti.baglanti_kodu", ondelete="CASCADE"), primary_key=True, comment="Hat"
    )
    until: Mapped[datetime] = moment("bitis_zamani", "Izlemenin bitecegi zaman")


class LineTraffic(Base):
    """Bytes of a watched line as they came and went. For minutes only; what matters is in `ham_mesaj`."""

    __tablename__ = "baglanti_trafigi"
    __table_args__ = (
        Index("ix_baglanti_trafigi_hat", "baglanti_kodu", "baglanti_trafigi_kodu"),
        {"comment": "Izlenen hatlarin baytlari (gecici)", "prefixes": ["UNLOGGED"]},
    )

    id: Mapped[int] = key("baglanti_trafigi")
    connection_id: Mapped[int] = mapped_column(
        "baglanti_kodu", ForeignKey("baglanti.baglanti_kodu", ondelete="CASCADE"), comment="Hat"
    )
    at: Mapped[datetime] = moment("zaman", "Baytlarin zamani")
    direction: Mapped[str] = mapped_column("yon", String(6), comment="gelen, giden")
    content: Mapped[bytes] = mapped_column("icerik", LargeBinary, comment="Baytlar, oldugu gibi")


class LineTrial(Base):
    """A trial of a line, asked for on screen and done by the gateway: open, connect, listen, say what was seen."""

    __tablename__ = "baglanti_denemesi"
    __table_args__ = (
        Index("ix_baglanti_denemesi_bekleyen", "baglanti_denemesi_kodu", postgresql_where=text("bitis_zamani is null")),
        {"comment": "Hat denemeleri"},
    )

    id: Mapped[int] = key("baglanti_denemesi")
    name: Mapped[str] = mapped_column("baglanti_adi", String(60), server_default="", comment="Hattin adi; bos = yeni")
    kind: Mapped[str] = mapped_column("baglanti_turu", String(20), comment="tcp-sunucu, tcp-istemci, seri, klasor")
    protocol: Mapped[str] = mapped_column("protokol", String(10), comment="astm, hl7, metin, tablo, poct1a")
    address: Mapped[str] = mapped_column("adres", comment="sunucu:port, seri port ya da klasor yolu")
    settings: Mapped[dict[str, Any]] = mapped_column("ayarlar", JSONB, server_default="{}", comment="Hat ayarlari")
    seconds: Mapped[int] = mapped_column("sure_saniye", Integer, comment="En cok kac saniye denenecegi")
    asked_by_id: Mapped[int | None] = mapped_column("kullanici_kodu", BigInteger, comment="Isteyen kullanici")
    asked_at: Mapped[datetime] = moment("istek_zamani", "Istendigi zaman")
    started_at: Mapped[datetime | None] = moment("baslama_zamani", "Basladigi zaman")
    ended_at: Mapped[datetime | None] = moment("bitis_zamani", "Bittigi zaman")
    steps: Mapped[list[dict[str, Any]]] = mapped_column(
        "adimlar", JSONB, server_default="[]", comment="Gorulenler: zaman ve cumle"
    )
    verdict: Mapped[str] = mapped_column("sonuc", String(10), server_default="", comment="iyi, uyari, kotu")
    gateway_id: Mapped[int | None] = mapped_column(
        "gecit_kodu", ForeignKey("gecit.gecit_kodu"), comment="Denemeyi yapacak uzak gecit; bos = merkezdeki gecit"
    )
