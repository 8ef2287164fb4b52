"""A gateway with real sockets, a real spool and a real database behind it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from drivers.definition import Catalog, load_catalog
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.messages import Query
from lis_core.services.ingest import Ingest
from lis_core.services.load_orders import LoadOrders
from lis_core.services.routing import answer_query
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database

ENQ, ACK, NAK, EOT = b"\x05", b"\x06", b"\x15", b"\x04"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class House:
    """Gateway and core in this process."""

    def __init__(self, database: Database, folder: Path, catalog: Catalog) -> None:
        self.database = database
        self.folder = folder
        self.port = free_port()
        self.ingest = Ingest(database, lambda keys: self.gateway.confirmed(keys))
        self.gateway = Gateway(
            folder,
            catalog,
            answer=self._answer,
            deliver=self.ingest.put,
            zone=ISTANBUL,
            loads=LoadOrders(database),
        )
        self._task: asyncio.Task[None] | None = None

    async def _answer(self, line: str, query: Query) -> Sequence[Any]:
        return await answer_query(self.database, line, query)

    def line(self, **settings: Any) -> LineSpec:
        return LineSpec(
            "genel", "tcp-sunucu", "astm", f"127.0.0.1:{self.port}", "generic-astm", {"ikinci": "birlikte", **settings}
        )

    async def start(self, *lines: LineSpec) -> None:
        self._task = asyncio.create_task(self.ingest.run())
        await self.gateway.start_lines(lines or [self.line()])

    async def settled(self) -> None:
        """Everything received is committed."""
        for _ in range(600):
            await self.ingest.drained()
            if not self.gateway.backlog:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self.gateway.backlog} messages are not committed")

    async def stop(self) -> None:
        await self.gateway.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.reading() as session:
            return list((await session.execute(text(sql), values)).all())

    async def value(self, sql: str, **values: Any) -> Any:
        async with self.database.reading() as session:
            return await session.scalar(text(sql), values)

    @property
    def book(self) -> Any:
        return self.gateway.lines["genel"]


@pytest.fixture
async def house(lab: Database, tmp_path: Path, catalog: Catalog) -> AsyncIterator[House]:
    made = House(lab, tmp_path / "spool", catalog)
    await made.start()
    yield made
    await made.stop()


def frame(number: int, text: bytes, *, last: bool = True) -> bytes:
    """A frame made by hand: STX number text ETX/ETB checksum CR LF."""
    body = str(number % 8).encode() + text + (b"\x03" if last else b"\x17")
    return b"\x02" + body + f"{sum(body) & 0xFF:02X}".encode() + b"\r\n"


def message_records(specimen: str, results: Sequence[tuple[str, str, str]], at: str = "20261122101500") -> list[bytes]:
    """H P O R... L as a plain analyser writes them."""
    lines = [
        f"H|\\^&|||DENEME|||||||P|LIS2-A2|{at}",
        "P|1",
        f"O|1|{specimen}||^^^ALL|R||||||N||||||||||||||F",
        *(f"R|{n}|^^^{code}|{value}|{unit}||N||F||||{at}" for n, (code, value, unit) in enumerate(results, 1)),
        "L|1|N",
    ]
    return [line.encode() + b"\r" for line in lines]


class Wire:
    """A peer that speaks bytes; it waits for answers as an analyser does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.acknowledged: list[bytes] = []

    @classmethod
    async def to(cls, port: int) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, seconds: float = 5) -> bytes:
        """One byte of answer; b"" where the line was closed."""
        return await asyncio.wait_for(self.reader.read(1), seconds)

    async def ask(self, data: bytes, expected: bytes = ACK) -> None:
        await self.send(data)
        got = await self.answer()
        assert got == expected, f"{got!r} after {data!r}"
        if data[:1] == b"\x02":
            self.acknowledged.append(data)

    async def session(self, *frames: bytes) -> None:
        """ENQ, the frames, EOT; every one acknowledged."""
        await self.ask(ENQ)
        for one in frames:
            await self.ask(one)
        await self.send(EOT)

    def close(self) -> None:
        self.writer.close()

    def cut(self) -> None:
        """As when somebody pulls the cable: no goodbye."""
        self.writer.transport.abort()


def frames_of(records: Sequence[bytes], *, together: bool = False) -> list[bytes]:
    if together:
        return [frame(1, b"".join(records))]
    return [frame(number, record) for number, record in enumerate(records, 1)]


async def reachable(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
