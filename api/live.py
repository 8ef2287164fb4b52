"""Pages that update by themselves: notes of the database, fanned out to open screens as server-sent events.

A note says that something changed and where to look (`{"tur": "approval", "istemler": ["1001"], ...}`), never a value
or a name: what it is, the page asks under its own person's rights. Notes of a moment are merged, so that a busy
minute of the laboratory is a few events a second on each screen.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import psycopg
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from api.access import signed_in_only
from api.auth import sight_of
from api.context import context_of
from api.metrics import LIVE_DROPPED, LIVE_SCREENS
from lis_core.domain.permissions import P
from lis_core.storage.database import EVENTS_CHANNEL, Database
from lis_core.storage.tables import Order
from lis_core.views.seeing import Sight

log = logging.getLogger("numune.live")

HEARTBEAT = 15.0
"""Seconds between comments on a silent stream; proxies close what is silent for a minute."""
LONGEST_STREAM = 600.0
"""Seconds after which a stream ends and the browser signs in to it again: a closed session sees no more notes."""
MERGE_FOR = 0.2
"""Seconds between two deliveries of notes."""
QUEUE = 64
"""Notes that may wait for one screen; a slower one is dropped and asks again."""
MOST_ORDERS = 50
"""Order numbers in one note; with more, `hepsi` says that anything may have changed."""
RETRY = (0.2, 0.5, 1.0, 2.0, 5.0)

EVERYWHERE = frozenset({"order", "specimen", "approval"})
"""Kinds of notes for everybody who may open the order; the rest is the laboratory's."""
OF_ADMINISTRATOR = frozenset({"line", "notice"})
RIGHTS_CHANGED = "yetki"
"""Sent by the database itself (guards.sql): what a stream was opened under may hold no more."""


@dataclass(frozen=True, slots=True)
class Note:
    """What changed: a kind and small facts. `orders`: the order numbers among the facts."""

    kind: str
    facts: Mapping[str, Any]
    orders: tuple[str, ...]
    everything: bool = False


def read_note(payload: str) -> Note | None:
    """A note as `Work.tell_screens` wrote it; None for anything else on the channel."""
    try:
        facts = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    kind = facts.pop("tur", None) if isinstance(facts, dict) else None
    if not isinstance(kind, str) or not kind.isidentifier():
        return None
    orders = [str(number) for number in (facts.pop("istem", None), *(facts.pop("istemler", None) or ())) if number]
    return Note(kind, facts, tuple(dict.fromkeys(orders)))


def merge(notes: Iterable[Note]) -> list[Note]:
    """One note for each kind: orders and lists joined, counts (`adet`) added, other facts kept where all agree."""
    merged: dict[str, Note] = {}
    for note in notes:
        known = merged.get(note.kind)
        merged[note.kind] = note if known is None else _joined(known, note)
    return list(merged.values())


def _joined(one: Note, other: Note) -> Note:
    facts: dict[str, Any] = {}
    for name in one.facts.keys() | other.facts.keys():
        left, right = one.facts.get(name), other.facts.get(name)
        if isinstance(left, list) or isinstance(right, list):
            both = [*(left if isinstance(left, list) else []), *(right if isinstance(right, list) else [])]
            facts[name] = list(dict.fromkeys(both)) if all(isinstance(item, str | int) for item in both) else both
        elif name == "adet":
            facts[name] = int(left or 0) + int(right or 0)
        elif left == right:
            facts[name] = left
    orders = tuple(dict.fromkeys((*one.orders, *other.orders)))
    return Note(one.kind, facts, orders[:MOST_ORDERS], one.everything or other.everything or len(orders) > MOST_ORDERS)


class Screen:
    """One open stream."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.notes: asyncio.Queue[Note | None] = asyncio.Queue(QUEUE)
        """None ends the stream."""

    def wants(self, note: Note) -> bool:
        """True where this person's screens have use for notes of this kind."""
        if self.sight.in_laboratory or (note.kind in EVERYWHERE and self.sight.actor.may(P.ORDER_VIEW)):
            return True
        return self.sight.actor.may(P.SYSTEM_VIEW) and note.kind in OF_ADMINISTRATOR

    def give(self, note: Note) -> None:
        """Queue a note; a full queue ends the stream instead of making anybody wait."""
        try:
            self.notes.put_nowait(note)
        except asyncio.QueueFull:
            LIVE_DROPPED.inc()
            self.end()

    def end(self) -> None:
        """End the stream at once, whatever waits."""
        while not self.notes.empty():
            self.notes.get_nowait()
        self.notes.put_nowait(None)


Owners = Mapping[str, tuple[int | None, int | None, int | None]]


class LiveHub:
    """Listens on one connection and hands each note to the screens that may have it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._screens: set[Screen] = set()
        self._waiting: list[Note] = []
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = asyncio.Event()
        self._ended = False

    async def start(self) -> None:
        """Begin to listen; the connection may come later. Harmless when already started."""
        if not self._tasks:
            self._ended = False
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._deliver())]

    async def stop(self) -> None:
        """End every stream and the connection."""
        self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def end_streams(self) -> None:
        """Every open stream ends now, and no new one stays open: called before the web server waits for its peers."""
        self._ended = True
        for screen in list(self._screens):
            screen.end()

    async def listening(self) -> None:
        """Returns once the connection listens."""
        await self._listening.wait()

    def open(self, sight: Sight) -> Screen:
        screen = Screen(sight)
        self._screens.add(screen)
        LIVE_SCREENS.set(len(self._screens))
        if self._ended:
            screen.end()
        return screen

    def close(self, screen: Screen) -> None:
        self._screens.discard(screen)
        LIVE_SCREENS.set(len(self._screens))

    # --- from the database -----------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"listen {EVENTS_CHANNEL}")
                    if failures or self._listening.is_set():
                        self._take(Note("yenile", {}, (), everything=True))  # notes may have been missed
                    self._listening.set()
                    failures = 0
                    while True:
                        async for notify in connection.notifies(timeout=HEARTBEAT):
                            if (note := read_note(notify.payload)) is not None:
                                self._take(note)
                        await connection.execute("select 1")  # a connection that died silently is found out here
            except (psycopg.Error, OSError) as error:
                wait = RETRY[min(failures, len(RETRY) - 1)]
                failures += 1
                log.warning("live notes interrupted: %s", type(error).__name__, extra={"action": "live_retry"})
                await asyncio.sleep(wait)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        url = self._database.url.replace("postgresql+psycopg://", "postgresql://", 1)
        return await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="numune-canli", connect_timeout=5
        )

    def _take(self, note: Note) -> None:
        self._waiting.append(note)
        self._arrived.set()

    # --- to the screens --------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(MERGE_FOR / 4)
            self._arrived.clear()
            notes, self._waiting = self._waiting, []
            try:
                await self._hand_out(merge(notes))
            except Exception:  # one bad note must not end live pages for everybody
                log.exception("notes not handed out", extra={"action": "live_notes_failed"})
            await asyncio.sleep(MERGE_FOR * 3 / 4)

    async def _hand_out(self, notes: list[Note]) -> None:
        clinical = [screen for screen in self._screens if not screen.sight.sees_every_order]
        owners = await self._owners(notes) if clinical else {}
        if any(note.kind == RIGHTS_CHANGED for note in notes):
            for screen in list(self._screens):
                screen.end()  # the browser comes again at once, with the rights of now
            return
        for screen in list(self._screens):
            for note in notes:
                if note.kind == "yenile":
                    screen.give(note)
                elif screen.wants(note) and (own := _for(screen.sight, note, owners)) is not None:
                    screen.give(own)

    async def _owners(self, notes: list[Note]) -> Owners:
        """Whose the orders of these notes are."""
        numbers = {number for note in notes if note.kind in EVERYWHERE for number in note.orders}
        if not numbers:
            return {}
        try:
            async with self._database.reading() as session:
                rows = await session.execute(
                    select(Order.number, Order.physician_id, Order.unit_id, Order.ordered_by_id).where(
                        Order.number.in_(numbers)
                    )
                )
                return {number: (physician, unit, user) for number, physician, unit, user in rows}
        except (SQLAlchemyError, psycopg.Error, OSError):
            log.warning("owners of orders not found", extra={"action": "live_owners_failed"})
            return {}


def _for(sight: Sight, note: Note, owners: Owners) -> Note | None:
    """The note as this person may have it; None where nothing of it is his. Reception and laboratory: as it is."""
    if sight.sees_every_order or note.kind in OF_ADMINISTRATOR:
        return note
    mine = tuple(number for number in note.orders if number in owners and _owns(sight, owners[number]))
    if not mine and not note.everything:
        return None
    return Note(note.kind, {}, mine, note.everything)


def _owns(sight: Sight, owner: tuple[int | None, int | None, int | None]) -> bool:
    physician, unit, user = owner
    return sight.may_open(physician_id=physician, unit_id=unit, ordered_by_id=user)


# --- the stream ----------------------------------------------------------------------------------------------------

router = APIRouter(include_in_schema=False)


@router.get("/olay", dependencies=[Depends(signed_in_only("her not, kişinin görebildiği kadardır"))])
async def stream(request: Request, sight: Annotated[Sight, Depends(sight_of)]) -> StreamingResponse:
    """Notes for this person's screens as server-sent events; `event` is the kind, `data` the facts as JSON."""
    hub = context_of(request).hub
    return StreamingResponse(_events(hub, sight), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(hub: LiveHub, sight: Sight) -> AsyncIterator[bytes]:
    screen = hub.open(sight)
    ends = asyncio.get_running_loop().time() + LONGEST_STREAM * random.uniform(0.8, 1.0)  # not all at one moment
    try:
        yield b"retry: 2000\nevent: hazir\ndata: {}\n\n"
        while True:
            left = ends - asyncio.get_running_loop().time()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(min(HEARTBEAT, left)):
                    note = await screen.notes.get()
            except TimeoutError:
                yield b": hayatta\n\n"
                continue
            if note is None:
                return
            yield _as_event(note)
    finally:
        hub.close(screen)


def _as_event(note: Note) -> bytes:
    facts: dict[str, Any] = {"tur": note.kind, **note.facts, "istemler": list(note.orders)}
    if note.everything:
        facts["hepsi"] = True
    return b"event: " + note.kind.encode() + b"\ndata: " + orjson.dumps(facts) + b"\n\n"
