"""Instruments and the live state of their lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from api.access import needs
from api.context import Db
from lis_core.domain.permissions import P
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor
from lis_core.views.boards import InstrumentCard, Line, instruments_board
from lis_core.views.order_view import here, local

router = APIRouter(tags=["Cihaz"])

Watcher = Annotated[Actor, Depends(needs(P.INSTRUMENT_VIEW))]


class LineOut(BaseModel):
    """A line. `health`: iyi, uyari, kotu, kapali; `words`: the same as a sentence."""

    name: str
    kind: str
    protocol: str
    address: str
    active: bool
    health: str
    words: str
    listening: bool | None = None
    peers: int | None = None
    peer: str | None = None
    last_byte_at: datetime | None = None
    last_message_at: datetime | None = None
    messages: int | None = None
    queries: int | None = None
    errors: int | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    updated_at: datetime | None = None


class InstrumentOut(BaseModel):
    """An instrument with its lines and today's counts."""

    code: str
    name: str
    definition: str
    maker: str
    model: str
    in_service: bool
    service_note: str
    lines: list[LineOut]
    messages_today: int
    trouble_today: int
    results_today: int
    unmatched: int


@router.get("/instruments", summary="Cihazlar ve hatlarının canlı durumu")
async def read(actor: Watcher, db: Db) -> list[InstrumentOut]:
    """Her cihaz, hatları (dinliyor mu, bağlı mı, son bayt, son mesaj, hatalar) ve bugünkü sayıları."""
    now = datetime.now(UTC)
    today = now.astimezone(ISTANBUL).replace(hour=0, minute=0, second=0, microsecond=0)
    async with db.reading() as session:
        return [_card(card) for card in await instruments_board(session, now, today)]


def _card(card: InstrumentCard) -> InstrumentOut:
    return InstrumentOut(
        code=card.code,
        name=card.name,
        definition=card.definition,
        maker=card.maker,
        model=card.model,
        in_service=card.in_service,
        service_note=card.service_note,
        lines=[_line(line) for line in card.lines],
        messages_today=card.messages_today,
        trouble_today=card.trouble_today,
        results_today=card.results_today,
        unmatched=card.unmatched,
    )


def _line(line: Line) -> LineOut:
    out = LineOut(
        name=line.name,
        kind=line.kind,
        protocol=line.protocol,
        address=line.address,
        active=line.active,
        health=line.health.value,
        words=line.words,
    )
    state = line.state
    if state is None:
        return out
    return out.model_copy(
        update={
            "listening": state.listening,
            "peers": state.peers,
            "peer": state.peer,
            "last_byte_at": local(state.last_byte_at),
            "last_message_at": local(state.last_message_at),
            "messages": state.messages,
            "queries": state.queries,
            "errors": state.errors,
            "last_error": state.last_error,
            "last_error_at": local(state.last_error_at),
            "updated_at": here(state.updated_at),
        }
    )
