"""Live traffic of a line: bytes both ways as they come, in words beside them; and the line's history.

A line's bytes are written anywhere only while a screen watches it. They hold values that nobody has approved: whoever
may not see all of them gets their shape, control characters and sizes, without content.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response, StreamingResponse

from api.access import needs
from api.context import AppContext, Db, context_of
from api.screens.line_words import READ_KINDS
from api.screens.shell import Screen, environment, screen
from drivers.capture import read_capture
from drivers.decode import lines_of
from drivers.definition import Definition
from drivers.wire_words import masked, words_of
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.line_watch import watch
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import Connection, EdgeGateway, LineState, LineTraffic
from lis_core.views.boards import line_health
from lis_core.views.gateways import away
from lis_core.views.lines import last_traffic, line_events, line_of, sees_traffic, traffic_after

router = APIRouter(prefix="/cihazlar/hat", dependencies=[Depends(needs(P.MESSAGE_VIEW))])
Here = Annotated[Screen, Depends(screen("instruments"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]

LOOK_SECONDS = 0.4
WATCH_AGAIN = 8.0
"""Seconds after which an open screen renews its watch."""
LONGEST = 600.0
"""Seconds after which a stream ends and the browser comes back, with its rights asked anew."""
FIRST_CHUNKS = 60
"""Chunks of the last minutes that a screen begins with, where the line was watched before."""
MOST_HELD = 1_000_000
"""Bytes of an unfinished message that are held to be decoded."""
_ENDS = (b"\x04", b"\x1c")


@dataclass
class _Decoder:
    """Incoming bytes until a message is whole, then what the line's definition reads in them."""

    definition: Definition | None
    held: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> list[dict[str, Any]]:
        """What was said by messages that end in these bytes."""
        self.held += data
        if not any(end in data for end in _ENDS):
            if len(self.held) > MOST_HELD:
                self.held.clear()
            return []
        capture = read_capture(bytes(self.held), self.definition.protocol if self.definition else None)
        self.held.clear()
        if self.definition is None:
            return []
        mine = [one for one in capture.messages if one.protocol == self.definition.protocol]
        return [line for one in mine for line in lines_of(self.definition.read(one.text))]


@router.get("/{line_id}")
async def page(here: Here, db: Db, line_id: Id) -> Response:
    """The line, its live bytes and its history."""
    return await here.page("instruments/traffic.html", **await _facts(here, db, line_id))


@router.get("/{line_id}/olaylar")
async def events(here: Here, db: Db, line_id: Id) -> Response:
    """State and history again, as a part that renews itself."""
    return here.part("instruments/events.html", **await _facts(here, db, line_id))


@router.get("/{line_id}/akis")
async def stream(here: Here, db: Db, line_id: Id) -> StreamingResponse:
    """Bytes as server-sent events: each a row of the screen's table, as JSON text of its HTML."""
    await _line(db, line_id)
    bytes_ = _stream(context_of(here.request), here.actor, here, line_id)
    return StreamingResponse(bytes_, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _line(db: Database, line_id: int) -> Connection:
    async with db.reading() as session:
        line = await line_of(session, line_id)
    if line is None:
        raise NumuneError(errors.NOT_FOUND, what="Hat")
    return line


async def _facts(here: Screen, db: Database, line_id: int) -> dict[str, Any]:
    line = await _line(db, line_id)
    async with db.reading() as session:
        state = await session.get(LineState, line_id)
        history = await line_events(session, line_id)
        shown = await sees_traffic(session, here.sight, line.instrument_id)
        gateway = await session.get(EdgeGateway, line.gateway_id) if line.gateway_id is not None else None
    now, at = datetime.now(UTC), gateway.name if gateway is not None else ""
    health, words = line_health(state, line.active and (gateway is None or gateway.active), now, at)
    return {
        "line": line,
        "state": state,
        "health": health,
        "words": words,
        "events": history,
        "shown": shown,
        "remote": at,
        "away": away(gateway, now),
    }


async def _stream(context: AppContext, actor: Actor, here: Screen, line_id: int) -> AsyncIterator[bytes]:
    db, clock = context.database, asyncio.get_running_loop().time
    ends, watched_until = clock() + LONGEST, 0.0
    line = await _line(db, line_id)
    catalog = await context.definitions.catalog()
    key = line.instrument.definition
    decoder = _Decoder(catalog.get(key) if key in catalog else None)
    async with db.reading() as session:
        shown = await sees_traffic(session, here.sight, line.instrument_id)
        after = await last_traffic(session, line_id, limit=FIRST_CHUNKS)
    ear = context.hub.open(here.sight)  # ends with the server, as every stream does
    try:
        yield b"retry: 1000\nevent: hazir\ndata: {}\n\n"
        while clock() < ends:
            if clock() > watched_until:
                watched_until = clock() + WATCH_AGAIN
                async with db.work(actor) as work:
                    await watch(work, line_id)
            async with db.reading() as session:
                chunks = await traffic_after(session, line_id, after)
            after = chunks[-1].id if chunks else after
            yield _rows(chunks, decoder, shown) or b": hayatta\n\n"
            if await _ended(ear.notes):
                return
    finally:
        context.hub.close(ear)


async def _ended(notes: asyncio.Queue[Any]) -> bool:
    """Wait a moment; True where the server ends its streams."""
    until = asyncio.get_running_loop().time() + LOOK_SECONDS
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            async with asyncio.timeout(left):
                if await notes.get() is None:
                    return True
        except TimeoutError:
            return False
    return False


def _rows(chunks: Sequence[LineTraffic], decoder: _Decoder, shown: bool) -> bytes:
    """Events of these chunks."""
    template = environment().get_template("instruments/traffic_row.html")
    parts: list[bytes] = []
    for chunk in chunks:
        content = bytes(chunk.content)
        read = decoder.take(content) if chunk.direction == "gelen" and shown else []
        html = template.render(
            chunk=chunk,
            content=content if shown else masked(content),
            words=words_of(content),
            read=read,
            read_kinds=READ_KINDS,
        )
        parts.append(b"event: bayt\ndata: " + orjson.dumps(html) + b"\n\n")
    return b"".join(parts)
