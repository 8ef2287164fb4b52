"""Starts after bad ends: `kill -9`, a power cut, a second start beside the first. And a quiet end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import psycopg
import pytest

from benchmarks.house import free_ports
from lis_core.storage.database import Database
from lis_core.storage.embedded import EmbeddedServer
from tests.conftest import DEMO_PASSWORD
from tests.edge.apart import comes_true
from tests.edge.parts import Analyser, Part

LATE = 120.0
"""Seconds for what takes three on a machine that has nothing else to do."""


class OwnHouse:
    """`numune run --demo` with its embedded PostgreSQL, without instruments of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.base = free_ports()
        self.part = Part(
            folder / "numune.log", "run", "--demo", "--no-instruments",
            NUMUNE_DATA_DIR=str(self.folder), NUMUNE_HTTP=f"127.0.0.1:{self.base + 88}",
            NUMUNE_DEMO_PORT_BASE=str(self.base), NUMUNE_DEMO_PASSWORD=DEMO_PASSWORD, NUMUNE_DATABASE_URL="",
            NUMUNE_LOG="WARNING",
        )  # fmt: skip

    async def start(self) -> None:
        """Until it says that it is ready."""
        before = self.part.said.count("Kapatmak için") if self.part.log.exists() else 0
        await self.part.start()
        await comes_true(lambda: self.part.said.count("Kapatmak için") > before or self.part.ended is not None, LATE)
        assert self.part.ended is None, self.part.said

    def postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.folder / "pg" / "postmaster.pid").read_text().split()[0]))

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/numune?host={self.folder / 'pg'}"

    def value(self, sql: str) -> object:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(sql).fetchone()  # type: ignore[call-overload]
        return row[0] if row else None


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnHouse]:
    made = OwnHouse(tmp_path_factory.mktemp("own"))
    await made.start()
    yield made
    if made.part.ended is None:
        await made.part.end(signal.SIGTERM)
    for process in psutil.process_iter():
        try:
            if str(made.folder) in " ".join(process.cmdline()):
                process.kill()
        except psutil.Error:
            continue


async def test_after_kill_9_the_next_start_takes_over_the_server_and_stops_it_at_its_end(house: OwnHouse) -> None:
    first = house.postmaster().pid
    await house.part.end(signal.SIGKILL)
    assert house.postmaster().is_running(), "the server goes on without the program"
    await house.start()
    assert house.postmaster().pid == first
    users = json.loads((house.folder / "pg" / ".handle_pids.json").read_text())
    assert users == [house.part.pid], "the dead one counts no more, so the server will be stopped"


async def test_a_second_start_says_where_the_first_is_and_disturbs_nothing(house: OwnHouse) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "api.cli", "run", "--demo", "--no-instruments"],
        env={
            **os.environ,
            "NUMUNE_DATA_DIR": str(house.folder),
            "NUMUNE_HTTP": "127.0.0.1:1",
            "NUMUNE_DATABASE_URL": "",
        },
        capture_output=True,
        text=True,
        timeout=LATE,
    )
    assert done.returncode == 1
    assert "zaten çalışıyor" in done.stderr and f"süreç {house.part.pid}" in done.stderr
    assert f"127.0.0.1:{house.base + 88}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert house.value("select count(*) from baglanti") and house.part.ended is None


async def test_a_server_that_is_killed_is_started_again_and_results_go_on(house: OwnHouse) -> None:
    analyser = Analyser(house.base, [str(70_000_000 + n) for n in range(2000)], 1)
    stop = asyncio.Event()
    work = asyncio.create_task(analyser.work(stop))
    dead = house.postmaster()
    dead.kill()
    await comes_true(lambda: _another(house, dead.pid), LATE)
    sent = len(analyser.done)
    await comes_true(lambda: len(analyser.done) > sent + 5, LATE)
    stop.set()
    await work
    kept = "select count(*) from ham_mesaj where durum <> 'yarim'"
    await comes_true(lambda: int(str(house.value(kept))) >= len(analyser.done), LATE, 0.3)
    assert "embedded database had died" in house.part.said


def _another(house: OwnHouse, dead: int) -> bool:
    try:
        return house.postmaster().pid != dead and house.value("select 1") == 1
    except (psutil.Error, psycopg.Error, OSError):
        return False


async def test_an_end_under_load_is_quiet_and_leaves_nothing(house: OwnHouse) -> None:
    """SIGTERM in the middle of work: no error, no warning, no process of ours afterwards."""
    before = len(house.part.said)
    analysers = [Analyser(house.base, [str(71_000_000 + k * 10_000 + n) for n in range(5000)], k) for k in range(6)]
    stop = asyncio.Event()
    work = [asyncio.create_task(analyser.work(stop)) for analyser in analysers]
    await comes_true(lambda: sum(len(analyser.done) for analyser in analysers) > 30, LATE)
    server = house.postmaster()
    await asyncio.wait_for(house.part.end(signal.SIGTERM), LATE)
    stop.set()
    await asyncio.gather(*work)
    said = house.part.said[before:]
    assert house.part.ended == 0, said
    assert not re.search(r"ERROR|WARNING|CRITICAL|Traceback|never retrieved|was destroyed", said), said
    await comes_true(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, LATE)


async def test_a_state_file_of_a_process_that_is_somebody_elses_now_is_no_server(house: OwnHouse) -> None:
    """After a power cut the number in the server's state file belongs to another process."""
    state = house.folder / "pg" / "postmaster.pid"
    assert not state.exists()
    state.write_text(
        f"{os.getpid()}\n{house.folder / 'pg'}\n1700000000\n5432\n{house.folder / 'pg'}\n\n  1 1\nready   \n"
    )
    server = EmbeddedServer(house.folder / "pg")
    try:
        with psycopg.connect(await asyncio.to_thread(server.start)) as connection:
            assert connection.execute("select count(*) > 0 from baglanti").fetchone() == (True,)
        assert house.postmaster().pid != os.getpid()
    finally:
        await asyncio.to_thread(server.stop)


class CutOff:
    """Between a program and its PostgreSQL: some connections break after their first words, as when the server is killed
    once more while it recovers."""

    def __init__(self, folder: Path, url: str, breaks: set[int]) -> None:
        folder.mkdir()
        self.url = re.sub(r"host=[^&]+", f"host={folder}", url)
        self.count = 0
        self._here = folder / ".s.PGSQL.5432"
        self._there = Path(re.findall(r"host=([^&]+)", url)[0]) / ".s.PGSQL.5432"
        self._breaks = breaks
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self._here)

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        breaks = self.count in self._breaks
        there, to = await asyncio.open_unix_connection(self._there)
        back = asyncio.create_task(_pass_on(there, writer))
        await _pass_on(reader, to, 3 if breaks else None)
        if breaks:
            writer.transport.abort()
        to.close()
        await back


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: int | None = None) -> None:
    with contextlib.suppress(OSError):
        while times != 0 and (data := await reader.read(65_536)):
            writer.write(data)
            times = None if times is None else times - 1
        writer.close()


async def test_a_database_that_breaks_off_while_the_program_starts_is_waited_for(lab: Database, tmp_path: Path) -> None:
    """It answered, then it was gone again: a recovery that was cut short. The start begins anew by itself."""
    between = CutOff(tmp_path / "ara", lab.url, {2, 4})
    await between.start()
    base = free_ports()
    part = Part(
        tmp_path / "numune.log", "run", "--roles", "core,web", NUMUNE_DATABASE_URL=between.url,
        NUMUNE_DATA_DIR=str(tmp_path / "veri"), NUMUNE_HTTP=f"127.0.0.1:{base + 88}",
    )  # fmt: skip
    await part.start()
    try:
        await comes_true(lambda: "Kapatmak için" in part.said or part.ended is not None, LATE)
        assert part.ended is None, part.said
        assert part.said.count("yeniden deneniyor") == 2
        await part.end(signal.SIGTERM)
        assert part.ended == 0, part.said
    finally:
        if part.ended is None:
            await part.end()
        between.stop()
