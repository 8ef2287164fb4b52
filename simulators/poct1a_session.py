"""POCT1-A as a point-of-care device does it: says hello, gives what it is asked for, then sends as it measures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from drivers.protocols import poct1a
from drivers.protocols.poct1a import Element, Head, Message, group, item
from drivers.protocols.poct1a_stream import Document, DocumentReader
from simulators.astm_session import NotAccepted, Timing
from simulators.cable import End, LineDown
from simulators.faults import Faults
from simulators.pen import Pen

__all__ = ["Letter", "PoctSession"]

JUNK = b"\x00\xff~#"
_ISTANBUL = timezone(timedelta(hours=3))


@dataclass(slots=True)
class Letter:
    """One document with results, until it is acknowledged. control_id: new for every letter."""

    control_id: str
    document: bytes
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class PoctSession:
    """One connection. `run()` must be running while anything else is used.

    told: what the host said of its own accord, by message and directive (`DTV SET_TIME`, `OPL`, `PTL`), in order.
    """

    def __init__(self, end: End, timing: Timing, introduction: list[Element], faults: Faults) -> None:
        """introduction: the body of HEL.R01."""
        self.pen = Pen(end)
        self.surprises: list[str] = []
        self.told: list[str] = []
        self.operators: list[str] = []
        self.continuous = False
        self.down = False
        self._end, self._timing, self._introduction, self._faults = end, timing, introduction, faults
        self._reader = DocumentReader()
        self._outbox: list[Letter] = []
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._count = 0

    async def run(self) -> None:
        """Read until the other side is gone."""
        worker = asyncio.create_task(self._converse())
        try:
            while data := await self._end.read():
                self._reader.feed(data)
                while (found := self._reader.next()) is not None:
                    if isinstance(found, Document):
                        self._take(poct1a.parse(found.raw))
                    else:
                        self.surprises.append(f"the host sent {len(found.raw)} bytes that are no document")
        except LineDown:
            pass  # told below, like every other way to lose the line
        finally:
            self.down = True
            self._lose()
            self._inbox.put_nowait(None)
            await asyncio.wait({worker}, timeout=self._timing.reply)
            worker.cancel()

    def _lose(self) -> None:
        open_ones: list[asyncio.Future[Any]] = [*self._waiting.values(), *(letter.done for letter in self._outbox)]
        for waiting in open_ones:
            if not waiting.done():
                waiting.set_exception(LineDown("the other side hung up"))
                waiting.exception()  # looked at: who waits for it is told all the same

    def _take(self, message: Message) -> None:
        if message.type != "ACK.R01":
            self._inbox.put_nowait(message)
            return
        said = message.root.first("ACK") or Element("ACK")
        waiting = self._waiting.get(said.value("ACK.ack_control_id"))
        if waiting is None:
            self.surprises.append(f"an acknowledgement of {said.value('ACK.ack_control_id')}, which waits for none")
        elif not waiting.done():
            waiting.set_result(said.value("ACK.type_cd"))

    # ---- the conversation

    async def _converse(self) -> None:
        try:
            await self._say("HEL.R01", self._introduction)
            waiting = item("DST.new_observations_qty", str(len(self._outbox)))
            await self._say("DST.R01", [group("DST", waiting, item("DST.condition_cd", "R"))])
            while (message := await self._inbox.get()) is not None:
                await self._hear(message)
        except (LineDown, NotAccepted):
            self._lose()

    async def _hear(self, message: Message) -> None:
        """Something that the host says of its own accord."""
        kind = message.type.partition(".")[0]
        command = message.value("DTV", "DTV.command_cd") or message.value("EOT", "EOT.topic_cd")
        self.told.append(f"{kind} {command}".rstrip())
        if kind == "REQ":
            await self._give()
            return
        if kind == "OPL":
            self.operators += [one.value("OPR.operator_id") for one in message.root.all("OPR")]
        if kind == "ESC":
            return
        await self._put("ACK.R01", [group("ACK", item("ACK.type_cd", "AA"), self._of(message))])
        if kind == "END":
            await self._end.close()
        if command == "START_CONTINUOUS":
            self.continuous = True
            await self._send_all()

    async def _give(self) -> None:
        """All that waits, then the end of the topic."""
        await self._send_all()
        await self._say("EOT.R01", [group("EOT", item("EOT.topic_cd", "OBS"))])

    async def _send_all(self) -> None:
        async with self._turn:
            while self._outbox:
                letter = self._outbox[0]
                try:
                    await self._post(letter)
                except NotAccepted as refused:
                    letter.done.set_exception(refused)
                else:
                    letter.done.set_result(None)
                self._outbox.remove(letter)

    async def deliver(self, letter: Letter) -> None:
        """Until it is acknowledged. Raises NotAccepted, LineDown."""
        if self.down:
            raise LineDown("the other side hung up")
        self._outbox.append(letter)
        if self.continuous:
            await self._send_all()
        await letter.done

    # ---- documents

    async def _post(self, letter: Letter) -> None:
        """A letter until it is acknowledged, with the faults that are armed for it."""
        for attempt in range(self._timing.attempts):
            if attempt:
                await asyncio.sleep(self._timing.restart)
            answer = await self._once(letter)
            if answer == "AA":
                return
            if answer is not None:
                raise NotAccepted(f"{letter.control_id}: {answer}")
        raise NotAccepted(f"{self._timing.attempts} attempts, no answer to {letter.control_id}")

    async def _once(self, letter: Letter) -> str | None:
        document = letter.document
        if self._faults.take("no_terminator"):
            await self.pen.write(document[:-8])
            await asyncio.sleep(self._timing.silence)
            return None
        data = (JUNK if self._faults.take("garbage") else b"") + document
        if self._faults.take("merged"):
            data += document  # twice in one piece: the second is a repetition
        answer = await self._answer_to(data, letter.control_id)
        if answer is not None and self._faults.take("lost_ack"):
            return None
        if answer is not None and self._faults.take("repeats_frame"):
            again = await self._answer_to(document, letter.control_id)
            if again != answer:
                self.surprises.append("the repeated document was answered otherwise")
        return answer

    async def _say(self, kind: str, body: list[Element]) -> None:
        """A message of the conversation until it is acknowledged; silence is forgiven, some hosts answer no EOT."""
        control_id = self._next()
        if await self._answer_to(self._built(kind, control_id, body), control_id) is None and kind != "EOT.R01":
            raise NotAccepted(f"no answer to {kind}")

    async def _put(self, kind: str, body: list[Element]) -> None:
        await self.pen.write(self._built(kind, self._next(), body))

    async def _answer_to(self, data: bytes, control_id: str) -> str | None:
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
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

    def _of(self, message: Message) -> Element:
        return item("ACK.ack_control_id", message.control_id)

    def _next(self) -> str:
        self._count += 1
        return str(self._count)

    def _built(self, kind: str, control_id: str, body: list[Element]) -> bytes:
        return poct1a.build(kind, Head(control_id, datetime.now(_ISTANBUL)), *body)
