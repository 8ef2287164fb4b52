"""The limit: the least that a program on this machine can do with the same bytes, kept as a yardstick.

Takes frames, writes them to a file with one `fdatasync` for all that wait, acknowledges, splits the R records and puts
them into a bare table by COPY. No checksum, no order, no patient, no flag, no reason, no audit. Run as
`python -m benchmarks.bare PORT DATABASE_URL FILE`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import cast

import psycopg
import uvloop


class Shared:
    """One file, one thread, one fsync for everything that waits."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.loop = loop
        self.waiting: list[tuple[bytes, Line]] = []
        self.wake = threading.Condition()
        self.rows: list[list[bytes]] = []
        threading.Thread(target=self.write, daemon=True).start()

    def write(self) -> None:
        while True:
            with self.wake:
                while not self.waiting:
                    self.wake.wait()
                batch, self.waiting = self.waiting, []
            os.write(self.file, b"".join(frame for frame, _ in batch))
            os.fdatasync(self.file)
            self.loop.call_soon_threadsafe(self.confirm, batch)

    def confirm(self, batch: list[tuple[bytes, Line]]) -> None:
        for frame, line in batch:
            line.transport.write(b"\x06")
            line.text += frame[2:-5]
            if b"\rL|" in frame or frame[2:4] == b"L|":
                specimen = b""
                for record in line.text.split(b"\r"):
                    if record.startswith(b"R|"):
                        fields = record.split(b"|")
                        self.rows.append([specimen, fields[2], fields[3], fields[4], fields[12]])
                    elif record.startswith(b"O|"):
                        specimen = record.split(b"|", 3)[2]
                line.text = b""


class Line(asyncio.Protocol):
    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.buffer = b""
        self.text = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer:
            if self.buffer[0] != 2:
                if self.buffer[0] == 5:
                    self.transport.write(b"\x06")
                self.buffer = self.buffer[1:]
                continue
            end = self.buffer.find(b"\n")
            if end < 0:
                return
            frame, self.buffer = self.buffer[: end + 1], self.buffer[end + 1 :]
            with self.shared.wake:
                self.shared.waiting.append((frame, self))
                self.shared.wake.notify()


async def copy_forever(shared: Shared, url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "create table if not exists yalin (numune text, test text, deger text, birim text, zaman text)"
        )
        while True:
            rows, shared.rows = shared.rows, []
            if not rows:
                await asyncio.sleep(0.005)
                continue
            async with connection.cursor() as cursor, cursor.copy("copy yalin from stdin") as copy:
                await copy.write(b"".join(b"\t".join(row) + b"\n" for row in rows))


async def main(port: int, url: str, path: str) -> None:
    loop = asyncio.get_running_loop()
    shared = Shared(path, loop)
    server = await loop.create_server(lambda: Line(shared), "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await copy_forever(shared, url)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
