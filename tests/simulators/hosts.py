"""Hosts for the simulators to talk to, on the project's own codecs: what Numune does, without a database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from drivers.protocols.astm_link import (
    AstmLink,
    Event,
    FrameReceived,
    LinkOptions,
    TransferBroken,
    TransferEnded,
    TransferStarted,
    record_frames,
)
from drivers.protocols.mllp import BlockReceived, MllpLink
from simulators.cable import Cable, End, LineDown

HURRIED = LinkOptions(
    reply_limit=1.0, listen_limit=1.0, busy_wait=0.05, contention_wait=0.3, interrupt_wait=0.1, restart_wait=0.05
)

AnswerRecords = Callable[[bytes], Sequence[bytes] | None]


class AstmHost:
    """Takes every frame, keeps what it read, answers queries.

    wire: every byte that came in. messages: whole messages (joined frame texts). events: what the link reported.
    """

    def __init__(self, answer: AnswerRecords | None = None, options: LinkOptions = HURRIED) -> None:
        self.link = AstmLink(options)
        self.wire = bytearray()
        self.messages: list[bytes] = []
        self.events: list[Event] = []
        self._answer = answer
        self._text: list[bytes] = []
        self._end: End | None = None

    def orders(self, *records: bytes) -> None:
        """Send an order unasked, from the next tick on."""
        self.link.send(record_frames(records), "order", asyncio.get_running_loop().time())

    async def serve(self, end: End) -> None:
        """Talk until the line is down."""
        loop = asyncio.get_running_loop()
        self._end = end
        self.link.connection_made(loop.time())
        reading = asyncio.ensure_future(end.read())
        try:
            while True:
                await asyncio.wait({reading}, timeout=0.01)
                if reading.done():
                    data = reading.result()
                    if not data:
                        break
                    self.wire += data
                    await self._heard(self.link.receive_data(data, loop.time()))
                    reading = asyncio.ensure_future(end.read())
                due = self.link.deadline()
                if due is not None and due <= loop.time():
                    await self._heard(self.link.tick(loop.time()))
                await self._heard([])
        except LineDown:
            pass
        finally:
            reading.cancel()
            await self._heard(self.link.connection_lost(loop.time()), silent=True)

    async def _heard(self, events: list[Event], *, silent: bool = False) -> None:
        queue = list(events)
        while queue:
            event = queue.pop(0)
            self.events.append(event)
            if isinstance(event, FrameReceived):
                self._text.append(event.text)
                queue += self.link.stored()
            elif isinstance(event, TransferStarted | TransferBroken):
                self._text = []
            elif isinstance(event, TransferEnded) and self._text:
                self._whole(b"".join(self._text))
                self._text = []
        data = self.link.data_to_send()
        if data and not silent and self._end is not None:
            await self._end.write(data)

    def _whole(self, message: bytes) -> None:
        self.messages.append(message)
        records = self._answer(message) if self._answer else None
        if records:
            self.link.send(record_frames(records), f"answer {len(self.messages)}", asyncio.get_running_loop().time())

    def seen(self, kind: type[Event]) -> list[Event]:
        """Events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@contextlib.asynccontextmanager
async def on_a_cable(host: AstmHost) -> AsyncIterator[Cable]:
    """The host at the far end of an in-memory cable; it picks up again after every cut."""
    cable = Cable()

    async def serve() -> None:
        while True:
            await host.serve(cable.host)
            await cable.reconnected()

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)  # the host listens before anybody speaks
    try:
        yield cable
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class MllpHost:
    """Answers every message by `answer(message) -> messages to send back, in order`."""

    def __init__(self, answer: Callable[[bytes], Sequence[bytes]]) -> None:
        self.wire = bytearray()
        self.messages: list[bytes] = []
        self._answer = answer

    async def serve(self, end: End) -> None:
        """Talk until the line is down."""
        link = MllpLink()
        try:
            while data := await end.read():
                self.wire += data
                for event in link.receive_data(data):
                    if isinstance(event, BlockReceived):
                        self.messages.append(event.payload)
                        for out in self._answer(event.payload):
                            await end.write(b"\x0b" + out + b"\x1c\r")
        except LineDown:
            pass

    @contextlib.asynccontextmanager
    async def on_a_cable(self) -> AsyncIterator[Cable]:
        """At the far end of an in-memory cable."""
        cable = Cable()

        async def serve() -> None:
            while True:
                await self.serve(cable.host)
                await cable.reconnected()

        task = asyncio.create_task(serve())
        try:
            yield cable
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
