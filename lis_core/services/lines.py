"""The lines of the laboratory for the gateway, and what the gateway says of them for the screens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text

from lis_core.domain.permissions import P
from lis_core.storage.database import Database, program
from lis_core.storage.tables import Connection, EdgeGateway, Instrument

GATEWAY = program("geçit", may=(P.MESSAGE_TAKE,))


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line as set up in the database."""

    id: int
    name: str
    kind: str
    protocol: str
    address: str
    definition: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LineReport:
    """What a line is doing now. Times are seconds since the epoch."""

    name: str
    listening: bool
    peers: int
    peer: str
    last_byte: float | None
    last_message: float | None
    messages: int
    queries: int
    errors: int
    last_error: str | None
    last_error_at: float | None


async def active_lines(database: Database, gateway: str | None = None) -> list[LineRow]:
    """Every active line of an active instrument at this gateway; None: the centre's own."""
    async with database.reading() as session:
        rows = await session.execute(
            select(Connection, Instrument)
            .join(Instrument, Instrument.id == Connection.instrument_id)
            .outerjoin(EdgeGateway, EdgeGateway.id == Connection.gateway_id)
            .where(Connection.active, Instrument.active, EdgeGateway.name.is_not_distinct_from(gateway))
            .order_by(Connection.id)
        )
        return [
            LineRow(
                id=line.id,
                name=line.name,
                kind=line.kind,
                protocol=line.protocol,
                address=line.address,
                definition=instrument.definition,
                settings={**instrument.settings, **line.settings},
            )
            for line, instrument in rows.unique().all()
        ]


_REPORT = text(
    """
    insert into baglanti_durumu (baglanti_kodu, dinliyor, bagli_uc, karsi_adres, son_bayt_zamani, son_mesaj_zamani,
        mesaj_sayisi, sorgu_sayisi, hata_sayisi, son_hata, son_hata_zamani, guncelleme_zamani)
    select b.baglanti_kodu, r.dinliyor, r.bagli, r.karsi, r.bayt, r.mesaj, r.mesajlar, r.sorgular, r.hatalar, r.hata,
        r.hata_zamani, now()
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(ad text, dinliyor bool, bagli int, karsi text, bayt timestamptz,
        mesaj timestamptz, mesajlar bigint, sorgular bigint, hatalar bigint, hata text, hata_zamani timestamptz)
    join baglanti b on b.baglanti_adi = r.ad
    on conflict (baglanti_kodu) do update set dinliyor = excluded.dinliyor, bagli_uc = excluded.bagli_uc,
        karsi_adres = excluded.karsi_adres, son_bayt_zamani = excluded.son_bayt_zamani,
        son_mesaj_zamani = excluded.son_mesaj_zamani, mesaj_sayisi = excluded.mesaj_sayisi,
        sorgu_sayisi = excluded.sorgu_sayisi, hata_sayisi = excluded.hata_sayisi, son_hata = excluded.son_hata,
        son_hata_zamani = excluded.son_hata_zamani, guncelleme_zamani = now()
    """
)


async def report_lines(database: Database, reports: Iterable[LineReport]) -> None:
    """Write what changed, in one statement, and tell the screens which lines moved."""
    import orjson

    rows = [
        {
            "ad": report.name,
            "dinliyor": report.listening,
            "bagli": report.peers,
            "karsi": report.peer,
            "bayt": _moment(report.last_byte),
            "mesaj": _moment(report.last_message),
            "mesajlar": report.messages,
            "sorgular": report.queries,
            "hatalar": report.errors,
            "hata": report.last_error,
            "hata_zamani": _moment(report.last_error_at),
        }
        for report in reports
    ]
    if not rows:
        return
    async with database.work(GATEWAY) as work:
        await work.session.execute(_REPORT, {"rows": orjson.dumps(rows).decode()})
        work.tell_screens("line", hatlar=[row["ad"] for row in rows])


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
