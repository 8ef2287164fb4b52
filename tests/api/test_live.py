"""Open screens hear of changes at once, each only of what is his business; a slow one hinders nobody."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from api import live
from api.app import create_app
from api.live import LiveHub, Note, Screen, merge, read_note
from api.serve import WebServer
from lis_core.domain.permission_templates import Job
from lis_core.settings import Settings
from lis_core.storage.database import Database, program
from lis_core.views.seeing import Sight
from tests.api.conftest import Clinic
from tests.api.test_seeing import sight


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def serving(database: Database) -> AsyncIterator[tuple[WebServer, str]]:
    """The application on a real port."""
    port = free_port()
    server = WebServer(create_app(database, Settings()), "127.0.0.1", port)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(running, 10)


class Ear:
    """A browser that listens to /olay."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._events: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()
        self.raw = ""

    async def listen(self) -> None:
        kind = ""
        try:
            async for line in self._response.aiter_lines():
                self.raw += line + "\n"
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self._events.put_nowait((kind, json.loads(line.removeprefix("data: "))))
        finally:
            self._events.put_nowait(None)

    async def next(self, within: float = 5.0) -> tuple[str, dict[str, Any]]:
        """The next event: its kind and its facts. Raises TimeoutError; EOFError where the stream has ended."""
        event = await asyncio.wait_for(self._events.get(), within)
        if event is None:
            raise EOFError
        return event

    async def until(self, wanted: str, within: float = 5.0) -> dict[str, Any]:
        async with asyncio.timeout(within):
            while True:
                kind, facts = await self.next(within)
                if kind == wanted:
                    return facts

    async def silence(self, seconds: float = 0.8) -> None:
        """Nothing may come."""
        try:
            heard = await self.next(seconds)
        except TimeoutError:
            return
        raise AssertionError(heard)


@asynccontextmanager
async def listening(clinic: Clinic, base: str, username: str) -> AsyncIterator[Ear]:
    headers = {"Authorization": (await clinic.as_(username)).headers["Authorization"]}
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, timeout=20) as client,
        client.stream("GET", "/olay") as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        ear = Ear(response)
        hearing = asyncio.create_task(ear.listen())
        assert (await ear.next())[0] == "hazir"
        try:
            yield ear
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


async def test_each_hears_what_is_his_business_and_never_a_value(clinic: Clinic) -> None:
    async with (
        serving(clinic.database) as (server, base),
        listening(clinic, base, "teknisyen") as bench,
        listening(clinic, base, "hekim") as doctor,
        listening(clinic, base, "ailehekimi") as stranger,
    ):
        await asyncio.wait_for(server._context.hub.listening(), 5)
        placed = await clinic.place("GLU")
        number = placed["number"]
        assert (await doctor.until("order"))["istemler"] == [number]
        await clinic.receive(placed)
        assert (await doctor.until("specimen"))["istemler"] == [number]

        await clinic.measure(number, GLU="137.31")
        assert (await bench.until("result"))["istemler"] == [number]
        await doctor.silence()  # a result is the laboratory's until it is released

        await clinic.release(number, "GLU")
        assert (await doctor.until("approval"))["istemler"] == [number]
        await stranger.silence()
        assert "137.31" not in bench.raw + doctor.raw + stranger.raw


async def test_the_server_ends_though_screens_are_open(clinic: Clinic) -> None:
    async with serving(clinic.database) as (server, base), listening(clinic, base, "uzman") as ear:
        started = asyncio.get_running_loop().time()
        server.should_exit = True
        with pytest.raises(EOFError):
            await ear.until("sonsuz")
        assert asyncio.get_running_loop().time() - started < 3


async def test_a_lost_connection_to_the_database_is_made_again(clinic: Clinic) -> None:
    """Notes may have been missed meanwhile, so every screen is told to look again."""
    async with serving(clinic.database) as (server, base), listening(clinic, base, "uzman") as ear:
        await asyncio.wait_for(server._context.hub.listening(), 5)
        await clinic.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'numune-canli' and datname = current_database()"
        )
        assert (await ear.until("yenile"))["hepsi"] is True
        placed = await clinic.place("GLU")
        assert placed["number"] in (await ear.until("order"))["istemler"]


async def test_a_silent_stream_shows_signs_of_life(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    async with serving(clinic.database) as (_, base), listening(clinic, base, "uzman") as ear:
        with pytest.raises(TimeoutError):
            await ear.next(0.5)
        assert ear.raw.count(": hayatta") >= 2


async def test_a_stream_ends_after_a_while_so_that_a_closed_session_hears_no_more(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LONGEST_STREAM", 0.2)
    async with serving(clinic.database) as (_, base), listening(clinic, base, "uzman") as ear:
        with pytest.raises(EOFError):
            await ear.next(2)


def laboratory() -> Sight:
    return sight(Job.TECHNICIAN)


async def test_a_slow_screen_is_dropped_and_the_others_hear_on(lab: Database) -> None:
    hub = LiveHub(lab)
    slow, quick = hub.open(laboratory()), hub.open(laboratory())
    heard = 0
    for number in range(live.QUEUE * 2):
        await hub._hand_out([Note("order", {}, (str(number),))])
        while not quick.notes.empty():
            heard += quick.notes.get_nowait() is not None
    assert heard == live.QUEUE * 2
    ends = [slow.notes.get_nowait() for _ in range(slow.notes.qsize())]
    assert None in ends


async def test_a_minute_of_notes_becomes_one_for_each_kind(lab: Database) -> None:
    hub = LiveHub(lab)
    await hub.start()
    screen = hub.open(laboratory())
    try:
        await asyncio.wait_for(hub.listening(), 5)
        async with lab.work(program("deneme")) as work:
            for number in range(200):
                work.tell_screens("result", istem=str(1000 + number), gruplar=["BIYOKIMYA"], adet=1)
            work.tell_screens("line")
        first = await asyncio.wait_for(screen.notes.get(), 5)
        second = await asyncio.wait_for(screen.notes.get(), 5)
        assert first is not None
        assert second is not None
        assert (first.kind, first.facts, first.everything) == ("result", {"gruplar": ["BIYOKIMYA"], "adet": 200}, True)
        assert second.kind == "line"
    finally:
        await hub.stop()
    assert hub._screens == {screen}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '{"tur": 1}', '{"tur": "a b"}', '{"tur": "x\\ny"}', "\x00"]
)
def test_what_is_no_note_is_passed_over(text: str) -> None:
    assert read_note(text) is None


def test_facts_that_differ_are_not_guessed() -> None:
    notes = [Note("specimen", {"barkod": "100101", "durum": "kabul"}, ("1001",))]
    notes += [Note("specimen", {"barkod": "100102", "durum": "kabul"}, ("1001",))]
    assert merge(notes) == [Note("specimen", {"durum": "kabul"}, ("1001",))]


@pytest.mark.parametrize(
    ("job", "kinds"),
    [
        (Job.TECHNICIAN, {"order", "specimen", "approval", "result", "unmatched", "line", "notice"}),
        (Job.SPECIALIST, {"order", "specimen", "approval", "result", "unmatched", "line", "notice"}),
        (Job.CLINICIAN, {"order", "specimen", "approval"}),
        (Job.FAMILY_PHYSICIAN, {"order", "specimen", "approval"}),
        (Job.ACCEPTANCE, {"order", "specimen", "approval"}),
        (Job.ADMINISTRATOR, {"order", "specimen", "approval", "line", "notice"}),
        (Job.TRANSPORT, set()),
        (Job.WATER_ANALYST, set()),
    ],
)
def test_kinds_by_job(job: Job, kinds: set[str]) -> None:
    screen = Screen(sight(job))
    every = {"order", "specimen", "approval", "result", "unmatched", "line", "notice"}
    assert {kind for kind in every if screen.wants(Note(kind, {}, ()))} == kinds
