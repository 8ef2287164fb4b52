"""Remote gateways as screens show them: how each one is, in a colour and a sentence, and the lines that stand there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.storage.tables import Connection, EdgeGateway, Instrument, LineState
from lis_core.views.boards import Health, line_health

AWAY_AFTER = timedelta(seconds=30)
"""A gateway says every two seconds how it is; silent for so long, its line is cut or it does not run."""
CLOCK_LIMIT = timedelta(seconds=30)
"""Results carry the gateway's time of arrival: a clock that is further off than this is told."""
MANY_WAITING = 100
"""Messages on their way that are worth a sentence; a few are always under way."""


@dataclass(frozen=True, slots=True)
class GatewayLine:
    """A line at a gateway."""

    id: int
    name: str
    kind: str
    address: str
    instrument: str
    instrument_name: str
    health: Health
    words: str


@dataclass(frozen=True, slots=True)
class GatewayCard:
    """A gateway with its lines. `health` and `words`: its state now."""

    gateway: EdgeGateway
    lines: tuple[GatewayLine, ...]
    health: Health
    words: str

    @property
    def clock_words(self) -> str:
        """How far its clock is from the centre's."""
        return clock_words(self.gateway.clock_ms)


def clock_words(milliseconds: int | None) -> str:
    """A difference of clocks: "4 sn ileri", "2 dk geri"."""
    if milliseconds is None:
        return "bilinmiyor"
    seconds = abs(milliseconds) / 1000
    if seconds < 1:
        return "fark yok"
    long = (
        f"{seconds:.0f} sn"
        if seconds < 120
        else f"{seconds / 60:.0f} dk"
        if seconds < 7200
        else f"{seconds / 3600:.0f} sa"
    )
    return f"{long} {'ileri' if milliseconds > 0 else 'geri'}"


def gateway_health(gateway: EdgeGateway, now: datetime) -> tuple[Health, str]:
    """Colour and sentence of a gateway. Pure: the same row and time give the same words."""
    if not gateway.active:
        return Health.OFF, "Durdurulmuş: hatları kapalı; diskinde kalanlar yine merkeze gelir."
    if gateway.seen_at is None:
        return Health.WARNING, "Henüz hiç bağlanmadı: ayar dosyasını ve sertifikasını o makineye koyup başlatın."
    if now - gateway.seen_at > AWAY_AFTER:
        return Health.BAD, "Merkeze bağlı değil. Cihazlar orada çalışmaya devam eder; bağlanınca her şey gelir."
    if gateway.problem:
        return Health.BAD, f"Bağlı, ama diskine yazamıyor: {gateway.problem}"
    if gateway.clock_ms is not None and timedelta(milliseconds=abs(gateway.clock_ms)) > CLOCK_LIMIT:
        return Health.WARNING, f"Bağlı; saati merkezden {clock_words(gateway.clock_ms)}: makinenin saatini düzeltin."
    if gateway.backlog >= MANY_WAITING:
        return Health.WARNING, f"Bağlı; bekleyen {gateway.backlog} mesaj geliyor."
    return Health.GOOD, "Bağlı, çalışıyor."


def away(gateway: EdgeGateway | None, now: datetime) -> bool:
    """True where what is known of a line there is old, because nothing is heard of its gateway."""
    return gateway is not None and gateway.active and (gateway.seen_at is None or now - gateway.seen_at > AWAY_AFTER)


async def gateway_cards(session: AsyncSession, now: datetime) -> list[GatewayCard]:
    """Every gateway by name, with its lines. Two queries."""
    gateways = (await session.scalars(select(EdgeGateway).order_by(EdgeGateway.name))).all()
    lines: dict[int, list[GatewayLine]] = {}
    rows = await session.execute(
        select(Connection, Instrument, LineState)
        .join(Instrument, Instrument.id == Connection.instrument_id)
        .outerjoin(LineState, LineState.connection_id == Connection.id)
        .where(Connection.gateway_id.is_not(None))
        .order_by(Connection.name)
    )
    by_id = {gateway.id: gateway for gateway in gateways}
    for line, instrument, state in rows.unique().tuples():
        gateway = by_id[line.gateway_id or 0]
        health, words = line_health(state, line.active and gateway.active, now, at=gateway.name)
        lines.setdefault(gateway.id, []).append(
            GatewayLine(
                line.id, line.name, line.kind, line.address, instrument.code, instrument.name, health, words
            )
        )  # fmt: skip
    return [
        GatewayCard(gateway, tuple(lines.get(gateway.id, ())), *gateway_health(gateway, now)) for gateway in gateways
    ]


async def gateway_names(session: AsyncSession) -> list[tuple[str, str]]:
    """Name and caption of every gateway in use."""
    rows = await session.execute(
        select(EdgeGateway.name, EdgeGateway.caption).where(EdgeGateway.active).order_by(EdgeGateway.name)
    )
    return list(rows.tuples())
