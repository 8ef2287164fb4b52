"""Fixtures that need real parts: an embedded PostgreSQL for the whole run, a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import psycopg
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from lis_core.services import passwords
from lis_core.storage import roles
from lis_core.storage.database import Database
from lis_core.storage.embedded import EmbeddedServer
from lis_core.storage.migrate import upgrade

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())

TOGETHER = {
    "programs": ("tests/browser/", "tests/edge/", "tests/gateway/test_kill.py", "tests/bridge/test_once.py"),
    "screens": (
        "tests/screens/test_keyboard.py",
        "tests/screens/test_looks.py",
        "tests/screens/test_instrument_looks.py",
    ),
}
"""Files that one process runs one after the other, first of all: each starts whole programs or drives a browser by the
clock, and two of a kind side by side would wait for each other's processor."""


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return next((name for name, files in TOGETHER.items() if file.startswith(files)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: the groups, then files of many tests, so that no process ends long after the
    others."""
    tests = Counter(_group(item.nodeid) for item in items)

    def place(item: pytest.Item) -> tuple[bool, int]:
        group = _group(item.nodeid)
        return group not in TOGETHER, -tests[group]

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Pieces of work for the test processes: a group of files, or a file."""
    from xdist.scheduler import LoadFileScheduling

    class InGroups(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return InGroups(config, log)


_AS_THE_PROGRAM = (passwords._HASHER, passwords._NOBODY)
# The suite signs in thousands of times, so it does with Argon2id's least numbers (see `real_passwords`).
passwords._HASHER = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
passwords._NOBODY = passwords._HASHER.hash("nobody")


@pytest.fixture
def real_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost what they cost in the program."""
    monkeypatch.setattr(passwords, "_HASHER", _AS_THE_PROGRAM[0])
    monkeypatch.setattr(passwords, "_NOBODY", _AS_THE_PROGRAM[1])


@pytest.fixture(scope="session")
def samples() -> Path:
    """The captured messages, read where they are; skipped by name where they are missing."""
    folder = Path(os.environ.get("NUMUNE_SAMPLES") or Path(__file__).parents[2] / "shared" / "samples")
    if not folder.is_dir():
        pytest.skip("captured samples are not beside this checkout (NUMUNE_SAMPLES)")
    return folder


def _sibling(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    head, _, tail = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{tail}" if tail else "")


@pytest.fixture(scope="session")
def pg_server() -> Iterator[str]:
    """URL of a real server: the one of NUMUNE_TEST_DATABASE_URL, else an embedded one in a folder of this run."""
    if url := os.environ.get("NUMUNE_TEST_DATABASE_URL"):
        yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="numune-test-", dir=_in_memory()) as folder,
        EmbeddedServer(Path(folder) / "pg") as url,
    ):
        _hurry(url)
        yield url


def _in_memory() -> str | None:
    """A folder in memory, where this machine has one with room: a thousand databases are copied and dropped here, and a
    disk of an ordinary machine takes a quarter of the whole run for it."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        return None
    room = min(shutil.disk_usage(memory).free, psutil.virtual_memory().available - (2 << 30))
    return str(memory) if room > 4 << 30 else None


def _hurry(url: str) -> None:
    """Nothing of this server outlives the run, so it need not survive a power cut. (What does is proven on servers of
    its own: tests/gateway/test_kill.py and its kin.)"""
    quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "'256MB'"}
    with psycopg.connect(url, autocommit=True) as connection:
        for setting, value in quick.items():
            connection.execute(f"alter system set {setting} = {value}")
        connection.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def pg_template(pg_server: str) -> str:
    """A migrated, empty database that the others are copied from."""
    name = f"kalip_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"create database {name} encoding 'UTF8' template template0")
    upgrade(_sibling(pg_server, name))
    return name


@pytest.fixture(scope="session")
def lab_template(pg_server: str, pg_template: str) -> str:
    """A database with the demonstration laboratory, loaded once."""
    import asyncio
    import threading

    from lis_core.demo import load_demo

    name = f"lab_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {pg_template}")

    async def load() -> None:
        database = Database(_sibling(pg_server, name))
        try:
            await load_demo(database, password=DEMO_PASSWORD, port_base=4000)
        finally:
            await database.close()

    # In a thread of its own: a session fixture must not borrow the tests' event loop.
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(load())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return name


DEMO_PASSWORD = "Deneme-Parola-1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "administrator(why): the database is reached by whoever rules it, not by the running program"
    )


class ProgramsDatabase(Database):
    """The database as the running program reaches it (decision 0087): what it has no right to fails in every test.

    `administrator`: the same one for whoever rules it, with which a story looks at rows and bends them.
    """

    def __init__(self, administrator: str) -> None:
        super().__init__(_as_the_program(administrator), pool_size=5)
        self.administrator = administrator


def _as_the_program(url: str) -> str:
    """The URL for the program's role. A server of one's own may ask for its password, so there it is taken over."""
    if not os.environ.get("NUMUNE_TEST_DATABASE_URL"):
        return roles.url_as(url, roles.APPLICATION)
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'options': f'-c role={roles.APPLICATION}'})}"


def _rules(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("administrator") is not None


@pytest.fixture
async def database(request: pytest.FixtureRequest, pg_server: str, pg_template: str) -> AsyncIterator[Database]:
    """A fresh, empty, migrated database."""
    async for database in _copy(pg_server, pg_template, administrator=_rules(request)):
        yield database


@pytest.fixture
async def lab(request: pytest.FixtureRequest, pg_server: str, lab_template: str) -> AsyncIterator[Database]:
    """A fresh copy of the demonstration laboratory."""
    async for database in _copy(pg_server, lab_template, administrator=_rules(request)):
        yield database


async def _copy(server: str, template: str, *, administrator: bool = False) -> AsyncIterator[Database]:
    name = f"deneme_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy")  # files, not their log
    url = _sibling(server, name)
    database = Database(url, pool_size=5) if administrator else ProgramsDatabase(url)
    try:
        yield database
    finally:
        await database.close()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)")
