"""HL7 over MLLP as a peer of Numune does it: one message at a time, answers by control id, repeats until answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from simulators.astm_session import NotAccepted, Timing
from simulators.cable import End, LineDown
from simulators.faults import Faults
from simulators.pen import Pen
from simulators.segments import Message

__all__ = ["MllpSession", "block"]

START, END = b"\x0b", b"\x1c\x0d"
JUNK = b"\x00\xff~#"
ENDLESS_PIECE = b"A" * 65_536


def block(message: bytes) -> bytes:
    """VT message FS CR."""
    return START + message + END


class MllpSession:
    """One connection. `run()` must be running while anything else is used.

    on_request: called for every message that is not an answer to ours, one after the other.
    """

    def __init__(self, end: End, timing: Timing, on_request: Callable[[Message], Awaitable[None]]) -> None:
        self.pen = Pen(end)
        self.surprises: list[str] = []
        self.down = False
        self._end, self._timing, self._on_request = end, timing, on_request
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._answered: set[str] = set()
        self._buffer = b""
        self._turn = asyncio.Lock()
        self._requests: asyncio.Queue[Message | None] = asyncio.Queue()

    async def run(self) -> None:
        """Read until the other side is gone."""
        worker = asyncio.create_task(self._serve())
        try:
            while data := await self._end.read():
                self._buffer += data
                self._take_blocks()
        except LineDown:
            pass  # told below, like every other way to lose the line
        finally:
            self.down = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(LineDown("the other side hung up"))
            self._requests.put_nowait(None)
            finished, _ = await asyncio.wait({worker}, timeout=self._timing.reply)
            if finished:
                worker.result()
            else:
                worker.cancel()

    def _take_blocks(self) -> None:
        while (end := self._buffer.find(END)) >= 0:
            start = self._buffer.find(START)
            if 0 <= start < end:
                self._take(Message(self._buffer[start + 1 : end]))
            self._buffer = self._buffer[end + 2 :]

    def _take(self, message: Message) -> None:
        waiting = self._waiting.get(message.answers) if message.answers else None
        if waiting is not None:
            if not waiting.done():
                waiting.set_result(message)
            self._answered.add(message.answers)
        elif message.answers in self._answered:
            pass  # we had sent it twice
        elif message.answers:
            self.surprises.append(f"an answer to {message.answers}, which waits for none")
        else:
            self._requests.put_nowait(message)

    async def _serve(self) -> None:
        while (message := await self._requests.get()) is not None:
            try:
                await self._on_request(message)
            except LineDown:
                return

    async def answer(self, message: bytes) -> None:
        """Send an answer: nothing is waited for. Raises LineDown."""
        await self._end.write(block(message))

    async def exchange(self, message: bytes, control_id: str, faults: Faults) -> Message:
        """Send until answered; the answer. Raises NotAccepted (never answered), LineDown."""
        async with self._turn:
            for attempt in range(self._timing.attempts):
                if attempt:
                    await asyncio.sleep(self._timing.restart)
                answer = await self._once(message, control_id, faults)
                if answer is not None:
                    return answer
        raise NotAccepted(f"{self._timing.attempts} attempts, no answer to {control_id}")

    async def _once(self, message: bytes, control_id: str, faults: Faults) -> Message | None:
        if faults.take("silent_after_enq"):
            await self.pen.write(START)
            await asyncio.sleep(self._timing.silence)
            return None
        if endless := faults.take("endless"):
            await self._endless(endless.number)
            return None
        if faults.take("no_terminator"):
            await self.pen.write(START + message)
            await asyncio.sleep(self._timing.silence)
            return None
        data = (JUNK if faults.take("garbage") else b"") + block(message)
        if faults.take("merged"):
            data += block(message)  # the same message twice in one piece: the second is a repetition
        answer = await self._answer_to(data, control_id)
        if answer is not None and faults.take("lost_ack"):
            await asyncio.sleep(self._timing.reply)
            return None
        if answer is not None and faults.take("repeats_frame"):
            again = await self._answer_to(block(message), control_id)
            if again is None or again.code != answer.code:
                self.surprises.append("the repeated message was answered otherwise")
        return answer

    async def _answer_to(self, data: bytes, control_id: str) -> Message | None:
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[control_id] = waiting
        try:
            if self.down:
                raise LineDown("the other side hung up")
            await self.pen.write(data)
            async with asyncio.timeout(self._timing.reply):
                return await waiting
        except TimeoutError:
            return None
        finally:
            del self._waiting[control_id]
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # looked at: a lost line is told by whoever writes next

    async def _endless(self, size: int) -> None:
        """A block without an end: `size` bytes, then nothing more of it."""
        await self.pen.write(START)
        for at in range(0, size, len(ENDLESS_PIECE)):
            if self.down:
                raise LineDown("the other side hung up")
            await self.pen.write(ENDLESS_PIECE[: size - at])
            await asyncio.sleep(0)
