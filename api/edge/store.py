"""What a gateway remembers on its own disk: its configuration, the replicated work, what it gave and has not told yet.

A cache and a queue, never a second system of record (invariant 9): all of it may be deleted and comes again. Kept in
memory for answering, in SQLite for a start with the line down. Writing happens in a thread of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from api.edge.broker import decode_configuration, decode_given, decode_sheet, encode
from lis_core.domain.edge import EdgeConfiguration, Given, after_given
from lis_core.domain.offering import Sheet

_SCHEMA = """
create table if not exists ayar (id integer primary key check (id = 1), icerik blob not null);
create table if not exists sayfa (numune text primary key, icerik blob not null);
create table if not exists verildi (anahtar text primary key, sira integer not null, icerik blob not null);
create table if not exists haber (anahtar text primary key, sira integer not null, icerik blob not null);
"""


class EdgeStore:
    """Use from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gecit-kopya")
        self._database: sqlite3.Connection | None = None
        self.configuration: EdgeConfiguration | None = None
        self.by_order: dict[str, Sheet] = {}
        self.by_text: dict[str, Sheet] = {}
        """By every text that may be read; what an answer is made from."""
        self.untold: dict[str, Given] = {}
        """Given work that the centre has not confirmed, oldest first."""
        self.news: dict[str, bytes] = {}
        """What happened to messages of work steps and was not told yet, oldest first."""

    async def open(self) -> None:
        """Read what the last process left."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        for sheet in self.by_order.values():
            self._index(sheet)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = self._database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        database.executescript(_SCHEMA)
        for (content,) in database.execute("select icerik from ayar"):
            self.configuration = decode_configuration(content)
        self.by_order = {
            number: decode_sheet(content) for number, content in database.execute("select numune, icerik from sayfa")
        }
        self.untold = {
            key: decode_given(content)
            for key, content in database.execute("select anahtar, icerik from verildi order by sira")
        }
        self.news = dict(database.execute("select anahtar, icerik from haber order by sira"))

    async def close(self) -> None:
        """Write what waits."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()

    async def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        kept = list(rows)

        def run() -> None:
            assert self._database is not None
            with self._database:
                self._database.execute("begin")
                self._database.executemany(statement, kept)

        if kept:
            await asyncio.get_running_loop().run_in_executor(self._thread, run)

    # -- what the centre says

    async def configure(self, configuration: EdgeConfiguration) -> None:
        self.configuration = configuration
        await self._write("insert or replace into ayar (id, icerik) values (1, ?)", [(encode(configuration),)])

    async def put(self, number: str, sheet: Sheet | None) -> None:
        """An order's pending work as the centre has it now; None: nothing is pending."""
        self._forget(number)
        if sheet is None:
            await self._write("delete from sayfa where numune = ?", [(number,)])
            return
        # What was given here and the centre has not heard of yet stays given.
        for given in self.untold.values():
            sheet = after_given(sheet, given)
        self._keep(number, sheet)
        await self._write("insert or replace into sayfa (numune, icerik) values (?, ?)", [(number, encode(sheet))])

    async def only(self, numbers: set[str]) -> int:
        """The centre told all: what it did not name is no longer pending. Returns how many left."""
        gone = [number for number in self.by_order if number not in numbers]
        for number in gone:
            self._forget(number)
        await self._write("delete from sayfa where numune = ?", [(number,) for number in gone])
        return len(gone)

    # -- what happens here

    async def change(self, sheet: Sheet) -> None:
        """A sheet that changed here, before the centre knows."""
        self._keep(sheet.number, sheet)
        await self._write(
            "insert or replace into sayfa (numune, icerik) values (?, ?)", [(sheet.number, encode(sheet))]
        )

    async def gave(self, given: Given, sheets: Iterable[Sheet]) -> None:
        """Work given to an analyser: told to the centre as soon as it can be reached."""
        self.untold[given.key] = given
        for sheet in sheets:
            self._keep(sheet.number, sheet)
        await self._write(
            "insert or replace into verildi (anahtar, sira, icerik) "
            "values (?, (select coalesce(max(sira), 0) + 1 from verildi), ?)",
            [(given.key, encode(given))],
        )

    async def told(self, keys: Iterable[str]) -> None:
        """The centre has recorded these."""
        known = [key for key in keys if self.untold.pop(key, None) is not None]
        await self._write("delete from verildi where anahtar = ?", [(key,) for key in known])

    async def keep_news(self, key: str, payload: bytes) -> None:
        """Something that the centre's work desk must be told; on disk when this returns."""
        self.news[key] = payload
        await self._write(
            "insert into haber (anahtar, sira, icerik) values (?, (select coalesce(max(sira), 0) + 1 from haber), ?)",
            [(key, payload)],
        )

    async def told_news(self, key: str) -> None:
        """The work desk has it."""
        self.news.pop(key, None)
        await self._write("delete from haber where anahtar = ?", [(key,)])

    # -- in memory

    def _keep(self, number: str, sheet: Sheet) -> None:
        self._forget(number)
        self.by_order[number] = sheet
        self._index(sheet)

    def _index(self, sheet: Sheet) -> None:
        for text in sheet.tubes:
            self.by_text[text] = sheet

    def _forget(self, number: str) -> None:
        old = self.by_order.pop(number, None)
        for text in old.tubes if old is not None else ():
            self.by_text.pop(text, None)
