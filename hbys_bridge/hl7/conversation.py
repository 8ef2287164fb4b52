"""One MLLP connection with a hospital, whoever opened it: blocks are answered in order, our messages wait for answers.

The loop here is the only place where codec and network meet. Nothing that a peer sends ends it but a closed socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from drivers.protocols import hl7
from drivers.protocols.hl7 import Message
from drivers.protocols.mllp import BLOCK_LIMIT, BlockReceived, BlockRefused, Event, MllpLink

log = logging.getLogger(__name__)

READ_SIZE = 65_536
CLOSING_SECONDS = 2.0

Take = Callable[[bytes, "Conversation"], Awaitable[bytes | None]]
"""Keeps and applies a block, gives the answer (None = none is wanted). Called once the one before it is answered."""
Trouble = Callable[[str, str], Awaitable[None]]
"""(peer, Turkish sentence): what must be shown to a person."""


class LineDown(ConnectionError):
    """There is no line to the hospital, or it broke before the answer came."""


class Conversation:
    """A connection. `sender`: MSH-3|MSH-4 of what came on it; "" until something did. ours: we have opened it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        take: Take,
        trouble: Trouble,
        *,
        ours: bool = False,
    ) -> None:
        self.sender = ""
        self._ours = ours
        self.peer = _peer(writer)
        self._reader, self._writer = reader, writer
        self._take, self._trouble = take, trouble
        self._link = MllpLink()
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._open = True
        be_quick(writer)

    @property
    def open(self) -> bool:
        return self._open

    async def run(self) -> None:
        """Talk until the line is gone; cancelling hangs up."""
        try:
            while chunk := await self._read():
                for event in self._link.receive_data(chunk):
                    await self._handle(event)
        except OSError as error:
            log.info("hospital line lost", extra={"action": "hospital_line_lost", "peer": self.peer, "why": str(error)})
        except Exception:
            # A fault of ours: the hospital calls again and repeats what was not answered.
            log.exception("hospital line ended", extra={"action": "hospital_line_ended", "peer": self.peer})
        finally:
            self._open = False
            self._link.connection_lost()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(LineDown("hastane hattı koptu"))
            self._writer.close()

    async def _read(self) -> bytes:
        """The next bytes. A block whose end does not come for BLOCK_LIMIT seconds is given up."""
        while True:
            try:
                async with asyncio.timeout(BLOCK_LIMIT):
                    return await self._reader.read(READ_SIZE)
            except TimeoutError:
                for event in self._link.silence():
                    await self._handle(event)

    async def _handle(self, event: Event) -> None:
        if isinstance(event, BlockReceived):
            if self._is_our_answer(event.payload):
                self._link.no_answer()
                return
            answer = await self._take(event.payload, self)
            if answer is None:
                self._link.no_answer()
            else:
                self._link.answer(answer)
                await self._flush()
        elif isinstance(event, BlockRefused):
            await self._trouble(self.peer, f"Hastane hattında ({self.peer}) bir mesaj yarım kaldı: {event.why}.")
        elif event.data.strip(b"\x00\x0b\x1c\r\n "):
            # Noise between blocks harms nothing and is no message: it is only logged.
            log.info("noise on hospital line", extra={"action": "hospital_noise", "bytes": len(event.data)})

    def _is_our_answer(self, payload: bytes) -> bool:
        """Whether this is an acknowledgement; one that nobody waits for (any more) is passed over."""
        if b"MSA" not in payload:
            return False
        try:
            acknowledgement = hl7.parse(payload)
        except hl7.Hl7Error:
            return False
        found = hl7.read_acknowledgement(acknowledgement)
        if found is None:
            return False
        waiting = self._waiting.get(found.control_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(acknowledgement)
        return True

    def send(self, payload: bytes, control_id: str) -> asyncio.Future[Message]:
        """Put a message on the line at once; the future is its answer. Raises LineDown."""
        if not self._open or self._writer.is_closing():
            raise LineDown("hastane hattı kapalı")
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        waiting.add_done_callback(_looked_at)
        self._waiting[control_id] = waiting
        self._link.send(payload)
        self._writer.write(self._link.data_to_send())
        return waiting

    async def answer_to(self, waiting: asyncio.Future[Message], control_id: str, within: float) -> Message:
        """Wait for the answer. Raises LineDown.

        A silent line that we opened is opened anew; the hospital's own stays: its orders come on it.
        """
        try:
            async with asyncio.timeout(within):
                return await waiting
        except TimeoutError:
            if self._ours:
                self.close()
            raise LineDown(f"hastane sistemi {within:g} saniyede cevap vermedi") from None
        finally:
            self._waiting.pop(control_id, None)

    async def _flush(self) -> None:
        self._writer.write(self._link.data_to_send())
        await self._writer.drain()

    def close(self) -> None:
        """Hang up."""
        self._open = False
        self._writer.close()

    async def closed(self) -> None:
        """Wait until the socket is gone, for a moment."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._writer.wait_closed()


def _looked_at(waiting: asyncio.Future[Message]) -> None:
    """A line may break when nobody waits any more; that is no forgotten error."""
    if not waiting.cancelled():
        waiting.exception()


def _peer(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "?"


def be_quick(writer: asyncio.StreamWriter) -> None:
    """No Nagle delay; a dead peer is noticed within a few minutes."""
    sock = writer.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
