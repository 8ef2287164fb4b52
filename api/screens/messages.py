"""Raw messages: searched, read beside what was read from them, replayed with a look at what it would do first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import select

from api.access import needs
from api.context import Db, context_of
from api.screens.line_words import READ_KINDS
from api.screens.shell import Screen, said, screen
from drivers.capture import read_capture
from drivers.definition import Catalog
from drivers.drafting import ROLE_WORDS
from drivers.origins import Traced, trace
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.replay import preview, replay
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.storage.tables import Connection, Instrument, RawMessage
from lis_core.views.boards import MessagePicture, message_picture
from lis_core.views.lines import sees_traffic
from lis_core.views.messages import MessageSearch, advice, find_messages

router = APIRouter(prefix="/cihazlar", dependencies=[Depends(needs(P.MESSAGE_VIEW))])
Here = Annotated[Screen, Depends(screen("instruments"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Choices = Annotated[list[int], Form()]

PAGE = 60
MOST_AT_ONCE = 200
"""Messages that one replay takes."""
LARGEST_TRACED = 60_000
"""Bytes of a message in which the origin of each value is looked for."""


@dataclass(frozen=True, slots=True)
class Search:
    """What the search form says, as it came."""

    aranan: Annotated[str, Query(max_length=100)] = ""
    cihaz: Annotated[str, Query(max_length=30)] = ""
    hat: Annotated[str, Query(max_length=20)] = ""
    durum: Annotated[str, Query(max_length=12)] = ""
    gun: Annotated[str, Query(max_length=10)] = ""
    son: Annotated[str, Query(max_length=10)] = ""
    once: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0

    def asked(self) -> MessageSearch:
        """Raises INVALID_INPUT: a day that is none."""
        return MessageSearch(
            words=self.aranan,
            instrument=self.cihaz,
            line=int(self.hat) if self.hat.isdecimal() else None,
            state=self.durum,
            since=_day(self.gun),
            until=_next_day(_day(self.son)),
            before=self.once or None,
            limit=PAGE,
        )


def _day(written: str) -> datetime | None:
    if not written:
        return None
    try:
        return datetime.combine(date.fromisoformat(written), time(), ISTANBUL)
    except ValueError as error:
        raise NumuneError(errors.INVALID_INPUT, problem=f"{written} bir gün değil") from error


def _next_day(day: datetime | None) -> datetime | None:
    return None if day is None else day + timedelta(days=1)


@router.get("/mesajlar")
async def page(here: Here, db: Db, search: Annotated[Search, Depends()]) -> Response:
    """The browser: search on top, messages left, the chosen one right."""
    return await here.page("instruments/messages.html", **await _found(here, db, search))


@router.get("/mesajlar/liste")
async def listed(here: Here, db: Db, search: Annotated[Search, Depends()]) -> Response:
    """The rows alone."""
    return here.part("instruments/messages_rows.html", **await _found(here, db, search))


@router.post("/mesajlar/onizle", dependencies=[Depends(needs(P.MESSAGE_REPLAY))])
async def look_before(here: Here, db: Db, mesaj: Choices) -> Response:
    """What a replay of these messages would do; nothing is kept."""
    reread = await context_of(here.request).reread()
    chosen = _few(mesaj)
    tried = await preview(db, chosen, here.actor, reread)
    shown = await _shown(here, db, chosen)
    return here.part("instruments/replay.html", tried=tried, shown=shown, ids=chosen, done=None)


@router.post("/mesajlar/yeniden", dependencies=[Depends(needs(P.MESSAGE_REPLAY))])
async def replay_several(here: Here, db: Db, mesaj: Choices) -> Response:
    """Replay these messages, each in a transaction of its own."""
    outcomes = await replay(db, _few(mesaj), here.actor, await context_of(here.request).reread())
    return here.part("instruments/replay.html", tried=(), shown={}, ids=[], done=outcomes)


@router.get("/mesaj/{message_id}")
async def message(here: Here, db: Db, message_id: Id) -> Response:
    """A raw message beside what was read from it, and where in it each value stands."""
    return await _message(here, db, message_id, None)


@router.post("/mesaj/{message_id}/yeniden", dependencies=[Depends(needs(P.MESSAGE_REPLAY))])
async def again(here: Here, db: Db, message_id: Id) -> Response:
    """Read the kept message again with today's definitions."""
    outcome = (await replay(db, [message_id], here.actor, await context_of(here.request).reread()))[0]
    if outcome.problem:
        return await _message(here, db, message_id, said(outcome.problem, "warn"))
    sentence = f"Yeniden işlendi: {outcome.results} sonuç bağlandı, {outcome.unmatched} eşleşmeyen kaldı."
    return await _message(here, db, message_id, said(sentence))


def _few(chosen: Sequence[int]) -> list[int]:
    if not chosen or len(chosen) > MOST_AT_ONCE:
        raise NumuneError(errors.INVALID_INPUT, problem=f"1 ile {MOST_AT_ONCE} arasında mesaj seçin")
    return list(dict.fromkeys(chosen))


async def _shown(here: Screen, db: Database, message_ids: Sequence[int]) -> dict[int, bool]:
    """Of which messages this person may see the values."""
    async with db.reading() as session:
        rows = await session.execute(
            select(RawMessage.id, RawMessage.instrument_id).where(RawMessage.id.in_(message_ids))
        )
        return {
            number: await sees_traffic(session, here.sight, instrument) if instrument else here.sight.in_laboratory
            for number, instrument in rows
        }


async def _found(here: Screen, db: Database, search: Search) -> dict[str, Any]:
    async with db.reading() as session:
        messages = await find_messages(session, here.sight, search.asked(), datetime.now(UTC))
        instruments = (await session.execute(select(Instrument.code, Instrument.name).order_by(Instrument.name))).all()
        lines = (await session.execute(select(Connection.id, Connection.name).order_by(Connection.name))).all()
    return {
        "messages": messages,
        "search": search,
        "instruments": instruments,
        "lines": lines,
        "more": messages[-1].id if len(messages) == PAGE else 0,
    }


async def _message(here: Screen, db: Database, message_id: int, outcome: Markup | None) -> Response:
    async with db.reading() as session:
        found = await message_picture(session, here.sight, message_id)
        told = await advice(session, found.line) if found is not None else None
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Ham mesaj {message_id}")
    catalog = await context_of(here.request).definitions.catalog()
    traced = await asyncio.to_thread(_traced, found, catalog)
    return here.part(
        "instruments/message.html",
        message=found,
        advice=told,
        traced=traced,
        places={_record_key(one): places for one, places in _places(traced)},
        role_words=ROLE_WORDS,
        read_kinds=READ_KINDS,
        said=outcome,
    )


def _traced(found: MessagePicture, catalog: Catalog) -> list[Traced]:
    """Each message in these bytes laid open by the revision that read it, where it is still here."""
    if found.content is None or len(found.content) > LARGEST_TRACED:
        return []
    try:
        reader = catalog.get(found.definition, found.revision)
    except KeyError:
        if found.definition not in catalog:
            return []
        reader = catalog.get(found.definition)
    messages = read_capture(found.content, reader.protocol).messages
    return [trace(reader, one.text) for one in messages if one.protocol == reader.protocol]


def _record_key(observation: Any) -> tuple[int, str]:
    return (observation.raw.get("record") or 0, observation.test or "")


def _places(traced: Sequence[Traced]) -> list[tuple[Any, dict[str, str]]]:
    return [
        (observation, places)
        for one in traced
        for observation, places in zip(one.reading.observations, one.origins, strict=True)
    ]
