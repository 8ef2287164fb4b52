"""Lines that an instrument can be plugged into, and what can go wrong on them.

One small interface, `End`, for an in-memory cable, TCP in either role, and a serial port. Damage has names
(`cut`, `splits`, `merges`, `delays`, `drops`, `garbles`) and happens in one direction of one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import serial_asyncio_fast

__all__ = [
    "Cable",
    "Damage",
    "End",
    "LineDown",
    "MemoryEnd",
    "Plug",
    "StreamEnd",
    "TcpServer",
    "in_memory",
    "serial_port",
    "tcp_client",
]

READ_SIZE = 65_536
DRAIN_ABOVE = 262_144  # bytes waiting in our own buffer before a writer is made to wait


class LineDown(ConnectionError):
    """The line is cut, or the other side has closed it."""


class End(Protocol):
    """One end of a line."""

    async def read(self) -> bytes:
        """What has arrived, at least one byte; `b""` once the other side is gone."""

    async def write(self, data: bytes) -> None:
        """Put bytes on the line. Raises LineDown."""

    async def close(self) -> None:
        """Hang up; closing twice is allowed."""


Plug = Callable[[], Awaitable[End]]
"""Connects: every call gives a fresh end. Raises OSError while nobody is there."""


class Damage:
    """What happens to the bytes of one direction. Positions count from 0 over everything that was written."""

    def __init__(self) -> None:
        self.written = 0  # bytes the sender put in, delivered or not
        self._cut_after: int | None = None
        self._piece = 0
        self._hold = 0.0
        self._delay = 0.0
        self._dropped: set[int] = set()
        self._junk = b""
        self._held: list[bytes] = []
        self._flush: asyncio.Task[None] | None = None

    def cut_after(self, count: int) -> None:
        """The line dies once `count` more bytes have passed."""
        self._cut_after = self.written + count

    def splits(self, size: int = 1) -> None:
        """Every write arrives in pieces of `size` bytes."""
        self._piece = size

    def merges(self, hold: float = 0.02) -> None:
        """What is written within `hold` seconds arrives as one piece."""
        self._hold = hold

    def delays(self, seconds: float) -> None:
        """Every write arrives so much later."""
        self._delay = seconds

    def drops(self, *positions: int) -> None:
        """These bytes of the stream are lost, counted from now."""
        self._dropped |= {self.written + position for position in positions}

    def garbles(self, junk: bytes = b"\x00\xff~") -> None:
        """Rubbish in front of every frame (STX) and every block (VT)."""
        self._junk = junk

    def heals(self) -> None:
        """Everything is as it should be again."""
        self._cut_after, self._piece, self._hold, self._delay, self._junk = None, 0, 0.0, 0.0, b""
        self._dropped.clear()

    def spoil(self, data: bytes) -> tuple[list[bytes], bool]:
        """The pieces in which `data` arrives, and whether the line is dead after them."""
        start, self.written = self.written, self.written + len(data)
        dead = self._cut_after is not None and self.written >= self._cut_after
        if dead and self._cut_after is not None:
            data = data[: max(self._cut_after - start, 0)]
        if self._dropped:
            data = bytes(byte for at, byte in enumerate(data, start) if at not in self._dropped)
        if self._junk:
            for opening in (b"\x02", b"\x0b"):
                data = data.replace(opening, self._junk + opening)
        size = self._piece or max(len(data), 1)
        return [data[at : at + size] for at in range(0, len(data), size)], dead

    async def carry(self, data: bytes, deliver: Callable[[bytes], Awaitable[None]]) -> bool:
        """Bring `data` to the other side in whatever state. False once the line is dead."""
        pieces, dead = self.spoil(data)
        if self._delay:
            await asyncio.sleep(self._delay)
        if self._hold and not dead:
            self._held += pieces
            if self._flush is None or self._flush.done():
                self._flush = asyncio.create_task(self._deliver_held(deliver))
            return True
        for number, piece in enumerate([b"".join(self._held), *pieces] if self._held else pieces):
            if number:
                await asyncio.sleep(0)  # let the other side read this piece for itself
            await deliver(piece)
        self._held.clear()
        return not dead

    async def _deliver_held(self, deliver: Callable[[bytes], Awaitable[None]]) -> None:
        await asyncio.sleep(self._hold)
        held, self._held = b"".join(self._held), []
        with contextlib.suppress(LineDown):  # nobody is there to take it: lost like anything on a dead line
            await deliver(held)


class MemoryEnd:
    """One end of an in-memory cable."""

    def __init__(self, damage: Damage) -> None:
        self.damage = damage
        self.peer: MemoryEnd | None = None
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._open = True

    async def read(self) -> bytes:
        """See End."""
        if not self._open and self._inbox.empty():
            return b""
        return await self._inbox.get()

    async def write(self, data: bytes) -> None:
        """See End."""
        if not self._open or self.peer is None:
            raise LineDown("the cable is cut")
        if not await self.damage.carry(data, self.peer.arrives):
            await self.close()
            raise LineDown("the cable was cut")
        await asyncio.sleep(0)

    async def arrives(self, data: bytes) -> None:
        """The other side's bytes."""
        if not self._open:
            raise LineDown("nobody listens")
        if data:
            self._inbox.put_nowait(data)

    async def close(self) -> None:
        """See End: both ends fall silent, what has arrived can still be read."""
        for end in (self, self.peer):
            if end is not None and end._open:
                end._open = False
                end._inbox.put_nowait(b"")


class Cable:
    """An in-memory line between an instrument and a host.

    `instrument` and `host` are its ends; `plug()` gives the instrument's, after a cut a fresh pair (`host` is then the
    new one). `to_host` and `to_instrument` take damage and keep it over reconnections.
    """

    def __init__(self) -> None:
        self.to_host, self.to_instrument = Damage(), Damage()
        self.connections = 0
        self._reconnected = asyncio.Event()
        self._make_ends()

    def _make_ends(self) -> None:
        self.instrument, self.host = MemoryEnd(self.to_host), MemoryEnd(self.to_instrument)
        self.instrument.peer, self.host.peer = self.host, self.instrument

    async def plug(self) -> End:
        """The instrument's end; a new line where the old one is dead."""
        if self.connections and not self.instrument._open:
            self._make_ends()
        self.connections += 1
        self._reconnected.set()
        return self.instrument

    async def reconnected(self) -> MemoryEnd:
        """Wait until the instrument has plugged in again after a cut; the host's new end."""
        while not self.host._open:
            self._reconnected.clear()
            await self._reconnected.wait()
        return self.host

    async def cut(self) -> None:
        """Somebody trips over the cable."""
        await self.instrument.close()


class StreamEnd:
    """An end on asyncio streams: TCP in either role, or a serial port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.damage: Damage | None = None
        made_of = writer.get_extra_info("socket")
        if made_of is not None and made_of.family in (socket.AF_INET, socket.AF_INET6):
            made_of.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self) -> bytes:
        """See End."""
        try:
            return await self._reader.read(READ_SIZE)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """See End."""
        if self.damage is None:
            await self._put(data)
        elif not await self.damage.carry(data, self._put):
            await self.close()
            raise LineDown("the line was cut")

    async def _put(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise LineDown("the line is closed")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise LineDown(str(error)) from error

    async def close(self) -> None:
        """See End."""
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):  # a line that is gone already is closed, too
            async with asyncio.timeout(2.0):
                await self._writer.wait_closed()


def in_memory(end: End) -> Plug:
    """A plug that always gives this one end."""

    async def plug() -> End:
        return end

    return plug


def tcp_client(host: str, port: int, damage: Damage | None = None) -> Plug:
    """The instrument calls the host."""

    async def plug() -> End:
        end = StreamEnd(*await asyncio.open_connection(host, port, limit=DRAIN_ABOVE))
        end.damage = damage
        return end

    return plug


def serial_port(path: str, baud: int = 9600, damage: Damage | None = None) -> Plug:
    """A real port or a pseudo-terminal; 8 data bits, no parity, 1 stop bit."""

    async def plug() -> End:
        reader, writer = await serial_asyncio_fast.open_serial_connection(url=path, baudrate=baud)
        end = StreamEnd(reader, writer)
        end.damage = damage
        return end

    return plug


class TcpServer:
    """The instrument waits for the host to call. `plug` gives the next caller's line."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, damage: Damage | None = None) -> None:
        self.host, self.port = host, port
        self._damage = damage
        self._callers: asyncio.Queue[End] = asyncio.Queue()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; `port` then tells the real one. Raises OSError: the port is taken."""
        self._server = await asyncio.start_server(self._called, self.host, self.port, limit=DRAIN_ABOVE)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = StreamEnd(reader, writer)
        end.damage = self._damage
        self._callers.put_nowait(end)

    async def plug(self) -> End:
        """Wait for a caller."""
        if self._server is None:
            await self.start()
        return await self._callers.get()

    async def close(self) -> None:
        """Stop listening, hang up on callers nobody took."""
        if self._server is not None:
            self._server.close()
        while not self._callers.empty():
            await self._callers.get_nowait().close()
