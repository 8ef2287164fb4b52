"""What a gateway remembers on its own disk: its configuration, the replicated work, what it gave and has not told yet.

A cache and a queue, never a second system of record (invariant 9): all of it may be deleted and comes again. Kept in
memory for answering, in SQLite for a start with the line down. Writing happens in a thread of its own.

A disk that cannot be written stops nothing here: memory goes on, the copy on disk is behind (`problem`) and catches up
(`catch_up`). Only what is given to an analyser must be on disk first (decision 0108).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from api.edge.broker import decode_configuration, decode_given, decode_sheet, encode
from lis_core.domain.edge import EdgeConfiguration, Given, after_given
from lis_core.domain.offering import Sheet

log = logging.getLogger(__name__)

_SCHEMA = """
create table if not exists ayar (id integer primary key check (id = 1), icerik blob not null);
create table if not exists sayfa (numune text primary key, icerik blob not null);
create table if not exists verildi (anahtar text primary key, sira integer not null, icerik blob not null);
create table if not exists haber (anahtar text primary key, sira integer not null, icerik blob not null);
create table if not exists bilinen (id integer primary key check (id = 1), sira integer not null);
"""
_KEEP_CONFIGURATION = "insert or replace into ayar (id, icerik) values (1, ?)"
_KEEP_STAMP = "insert or replace into bilinen (id, sira) values (1, ?)"
_KEEP_SHEET = "insert or replace into sayfa (numune, icerik) values (?, ?)"
_DROP_SHEET = "delete from sayfa where numune = ?"
_KEEP_GIVEN = (
    "insert or replace into verildi (anahtar, sira, icerik) "
    "values (?, (select coalesce(max(sira), 0) + 1 from verildi), ?)"
)
_DROP_GIVEN = "delete from verildi where anahtar = ?"
_KEEP_NEWS = (
    "insert or replace into haber (anahtar, sira, icerik) values (?, (select coalesce(max(sira), 0) + 1 from haber), ?)"
)
_DROP_NEWS = "delete from haber where anahtar = ?"


class EdgeStore:
    """Use from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gecit-kopya")
        self._database: sqlite3.Connection | None = None
        self.configuration: EdgeConfiguration | None = None
        self.stamp = 0
        """How far the centre had told the work list when it was last heard (`broker.Standing`)."""
        self.by_order: dict[str, Sheet] = {}
        self.by_text: dict[str, Sheet] = {}
        """By every text that may be read; what an answer is made from."""
        self.untold: dict[str, Given] = {}
        """Given work that the centre has not confirmed, oldest first."""
        self.news: dict[str, bytes] = {}
        """What happened to messages of work steps and was not told yet, oldest first."""
        self.problem = ""
        """Why the copy on disk is behind, in words; empty where it is not."""
        self._behind: set[str] = set()
        """Orders whose row on disk is not what is in memory."""
        self._told: set[str] = set()
        """Confirmed keys that still have a row."""
        self._news_behind: dict[str, bytes] = {}
        self._news_told: set[str] = set()
        self._configured = False
        """Whether the configuration on disk is behind."""
        self._stamped = False
        """Whether the stamp on disk is behind."""

    async def open(self) -> None:
        """Read what the last process left. Raises OSError with a Turkish sentence."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._opened)
        for number, sheet in list(self.by_order.items()):
            for given in self.untold.values():
                sheet = after_given(sheet, given)
            self._keep(number, sheet)

    def _opened(self) -> None:
        """Raises OSError with a Turkish sentence."""
        try:
            self._open()
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise OSError(f"{self._path.parent} klasöründe başka bir geçit çalışıyor") from error
            raise OSError(f"{self._path} okunamıyor: {error}") from error

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = self._database = sqlite3.connect(self._path, isolation_level=None, timeout=1)
        # Nobody else opens the file; and so it needs no second one for its index, which a full disk would not give it.
        database.execute("pragma locking_mode = exclusive")
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        database.executescript(_SCHEMA)
        for (content,) in database.execute("select icerik from ayar"):
            self.configuration = decode_configuration(content)
        for (stamp,) in database.execute("select sira from bilinen"):
            self.stamp = stamp
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
        await self.catch_up()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()

    async def _write(self, *statements: tuple[str, Sequence[tuple[object, ...]]]) -> None:
        """All of it or nothing. Raises sqlite3.Error where it cannot be written."""

        def run() -> None:
            assert self._database is not None
            with self._database:
                self._database.execute("begin")
                for statement, rows in statements:
                    self._database.executemany(statement, rows)

        if any(rows for _, rows in statements):
            await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def _save(self) -> None:
        """Write a change; on a disk that takes nothing it waits for the next `catch_up`."""
        if not self.problem:
            await self.catch_up()

    async def catch_up(self) -> None:
        """Write what the disk does not have yet. To be called now and then while there is a `problem`."""
        orders, self._behind = self._behind, set()
        keys, self._told = self._told, set()
        configured, self._configured = self._configured, False
        stamped, self._stamped = self._stamped, False
        news, self._news_behind = self._news_behind, {}
        told, self._news_told = self._news_told, set()
        sheets = [(number, encode(self.by_order[number])) for number in orders if number in self.by_order]
        try:
            await self._write(
                (_KEEP_SHEET, sheets),
                (_DROP_SHEET, [(number,) for number in orders if number not in self.by_order]),
                (_DROP_GIVEN, [(key,) for key in keys]),
                (_KEEP_NEWS, list(news.items())),
                (_DROP_NEWS, [(key,) for key in told]),
                (_KEEP_CONFIGURATION, [(encode(self.configuration),)] if configured else []),
                (_KEEP_STAMP, [(self.stamp,)] if stamped else []),
            )
        except sqlite3.Error as error:
            self._behind |= orders
            self._told |= keys
            self._configured = self._configured or configured
            self._stamped = self._stamped or stamped
            self._news_behind = news | self._news_behind
            self._news_told |= told
            if not self.problem:
                log.warning("copy on disk is behind", extra={"action": "edge_copy_behind", "why": str(error)})
            self.problem = f"İş listesi kopyası diske yazılamıyor ({error})."
        else:
            self.problem = ""

    # -- what the centre says

    async def configure(self, configuration: EdgeConfiguration) -> None:
        self.configuration = configuration
        self._configured = True
        await self._save()

    async def reached(self, stamp: int) -> None:
        """The centre told all work up to here."""
        if stamp != self.stamp:
            self.stamp, self._stamped = stamp, True
            await self._save()

    async def put(self, number: str, sheet: Sheet | None) -> None:
        """An order's pending work as the centre has it now; None: nothing is pending."""
        self._forget(number)
        if sheet is not None:
            # What was given here and the centre has not heard of yet stays given.
            for given in self.untold.values():
                sheet = after_given(sheet, given)
            self._keep(number, sheet)
        self._behind.add(number)
        await self._save()

    async def only(self, numbers: set[str]) -> int:
        """The centre told all: what it did not name is no longer pending. Returns how many left."""
        gone = [number for number in self.by_order if number not in numbers]
        for number in gone:
            self._forget(number)
        self._behind.update(gone)
        await self._save()
        return len(gone)

    # -- what happens here

    async def change(self, sheet: Sheet) -> None:
        """A sheet that changed here, before the centre knows."""
        self._keep(sheet.number, sheet)
        self._behind.add(sheet.number)
        await self._save()

    async def gave(self, given: Given, sheets: Iterable[Sheet]) -> None:
        """Work given to an analyser: told to the centre as soon as it can be reached.

        Raises OSError where it cannot be kept: then nothing may be given, for the centre would never hear of it.
        """
        changed = list(sheets)
        try:
            await self._write((_KEEP_GIVEN, [(given.key, encode(given))]))
        except sqlite3.Error as error:
            self.problem = f"Verilen iş diske yazılamıyor ({error})."
            self._behind.update(sheet.number for sheet in changed)  # so that it shows when there is room again
            raise OSError(self.problem) from error
        self.untold[given.key] = given
        for sheet in changed:
            self._keep(sheet.number, sheet)

    async def told(self, keys: Iterable[str]) -> None:
        """The centre has recorded these."""
        self._told.update(key for key in keys if self.untold.pop(key, None) is not None)
        await self._save()

    async def keep_news(self, key: str, payload: bytes) -> None:
        """Something that the centre's work desk must be told; on disk when this returns, if the disk takes it."""
        self.news[key] = self._news_behind[key] = payload
        await self._save()

    async def told_news(self, key: str) -> None:
        """The work desk has it."""
        self.news.pop(key, None)
        self._news_told.add(key)
        await self._save()

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
