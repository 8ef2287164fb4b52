"""The other end of a line: a socket with an instrument's manners, which the tests spoil on purpose."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Literal

from tests.wire.scripts import ACK, ENQ, EOT, NAK, STX, Message, Step, in_astm_frames
from tests.wire.yard import Line, turns, until

Manners = Literal["polite", "naks", "silent"]


class Wire(asyncio.Protocol):
    """Base: sends steps, keeps what comes, remembers what was acknowledged."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.inbox = bytearray()
        self.acknowledged: list[bytes] = []
        self.closed = False
        self.transport: asyncio.Transport

    @classmethod
    async def to(cls, line: Line) -> Wire:
        """Connect in the manner of this line's protocol."""
        kind: type[Wire] = _KINDS.get(line.definition.protocol, TextWire)
        if in_astm_frames(line.definition):
            kind = AstmWire
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: kind(line), "127.0.0.1", line.port)
        await until(lambda: bool(line.book.sessions))
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True

    def data_received(self, data: bytes) -> None:
        self.inbox += data

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.transport.write(data)

    async def byte_by_byte(self, data: bytes) -> None:
        for place in range(len(data)):
            await self.in_parts(data[place : place + 1])

    async def in_parts(self, *parts: bytes) -> None:
        """Each part is read by the gateway before the next one is there."""
        for part in parts:
            if part:
                self.write(part)
                await turns(2)

    async def step(self, step: Step, *parts: bytes) -> None:
        """Send a step (in these parts, if given) and wait for its answer."""
        await self.in_parts(*(parts or (step.data,)))
        await self.answered(step)

    async def answered(self, step: Step) -> None:
        raise NotImplementedError

    async def message(self, message: Message) -> None:
        for step in message:
            await self.step(step)

    async def messages(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self.message(message)

    def kept(self, step: Step) -> None:
        if step.holds:
            self.acknowledged.append(step.holds)

    def forget(self) -> None:
        """What came until now was the answer to something else."""
        self.inbox.clear()

    def cut(self) -> None:
        """As when somebody pulls the cable."""
        self.transport.abort()

    async def close(self) -> None:
        """Hang up once all is said, and heard where silence is what ends a record."""
        await self.line.yard.rest()
        if pause := self.line.definition.link_options().get("pause"):
            await self.line.silence(2 * pause)
        self.transport.close()
        await self.line.hung_up()


class AstmWire(Wire):
    """Takes the host's transfers in between, and insists where both want the line, as the instrument may."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self.manners: Manners = "polite"
        self.asking = False
        self.waiting = False
        """Our step has no answer yet."""
        self.contends = False
        self.asked = 0
        """ENQs that the host sent."""
        self.contentions = 0
        self.heard: list[bytes] = []
        """Frames that the host sent and we took."""
        self._listening = False
        self._part = bytearray()
        framing = line.definition.link_options().get("framing", "e1381")
        self._frame_end = b"\x03" if framing == "stx-etx" else b"\n"
        self._raw = framing == "raw"

    def data_received(self, data: bytes) -> None:
        for place in range(len(data)):
            self._byte(data[place : place + 1])

    def _byte(self, byte: bytes) -> None:
        if self._listening:
            self._listens(byte)
        elif byte == ENQ and not self._raw:
            self._host_asks()
        else:
            self.inbox += byte

    def _host_asks(self) -> None:
        self.asked += 1
        if self.waiting and not self.asking:
            self.contentions += 1  # it speaks without ENQ and is speaking: the host has to see that and yield
        elif self.asking or self.contends:
            self.contentions += 1
            if self.asking or self.line.definition.link_options().get("require_enq", True):
                self.write(ENQ)
            self.contends = False
        elif self.manners == "naks":
            self.write(NAK)
        elif self.manners == "polite":
            self._listening = True
            self.write(ACK)

    def _listens(self, byte: bytes) -> None:
        if byte == EOT and not self._part:
            self._listening = False
            return
        self._part += byte
        if byte == self._frame_end and self._part[:1] == STX:
            self.heard.append(bytes(self._part))
            self._part.clear()
            self.write(ACK)

    @property
    def busy(self) -> bool:
        """The host has the line."""
        return self._listening

    async def step(self, step: Step, *parts: bytes) -> None:
        await until(lambda: not self._listening, "the host never ended its transfer")
        self.asking = step.data[-1:] == ENQ
        self.waiting = bool(step.answer)
        await super().step(step, *parts)
        self.asking = self.waiting = False

    async def answered(self, step: Step, expected: bytes | None = None) -> None:
        expected = step.answer if expected is None else expected
        if not expected:
            return
        await until(lambda: bool(self.inbox) or self.closed, f"no answer to {step.data!r}")
        got = bytes(self.inbox[:1])
        del self.inbox[:1]
        assert got == expected, f"{got!r} after {step.data!r}"
        if got == ACK:
            self.kept(step)


class MllpWire(Wire):
    """Waits for the answer that names its message."""

    def answers_to(self, control_id: bytes) -> list[bytes]:
        blocks = re.findall(rb"\x0b([^\x1c]*)\x1c\r", bytes(self.inbox))
        return [one for one in blocks if re.search(rb"\rMSA\|[A-Z]*\|" + re.escape(control_id) + rb"[|\r]", one)]

    async def answered(self, step: Step) -> None:
        if step.answer:
            before = self._taken(step.answer)
            await until(
                lambda: len(self.answers_to(step.answer)) > before or self.closed, f"no answer to {step.answer!r}"
            )
            answer = self.answers_to(step.answer)[-1]
            self._seen[step.answer] = len(self.answers_to(step.answer))
            assert re.search(rb"\rMSA\|(AA|CA|AE|AR)\|", answer), answer
            self.kept(step)

    def forget(self) -> None:
        super().forget()
        self._seen.clear()

    def _taken(self, control_id: bytes) -> int:
        return self._seen.setdefault(control_id, 0)

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._seen: dict[bytes, int] = {}


class TextWire(Wire):
    """Waits until the gateway has nothing more to say; acknowledges its blocks, where the protocol has that."""

    async def answered(self, step: Step) -> None:
        await self.line.yard.rest()
        got = bytes(self.inbox)
        self.inbox.clear()
        if step.answer and step.answer in got:
            self.kept(step)
        rest = got.replace(step.answer, b"", 1)
        if STX in rest and self.line.definition.answers:
            self.write(ACK)
            await self.line.yard.rest()
            self.inbox.clear()


class PoctWire(Wire):
    """A point-of-care device: waits for its acknowledgements, answers the host between its own documents, and sends what
    it has when it is asked."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._seen: dict[bytes, int] = {}
        self._answered = 0
        self._speaking = False
        self._id = 90_000

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._speaking:
            self._answer_host()

    def _answer_host(self) -> None:
        """Acknowledge what the host said of its own accord."""
        said = re.findall(rb'<(?:DTV|OPL|EOT|KPA|PTL|END)\.R0[12]>.*?<HDR.control_id V="([0-9]+)"', bytes(self.inbox))
        for control_id in said[self._answered :]:
            self._id += 1
            head = f'<HDR><HDR.control_id V="{self._id}"/></HDR>'
            answer = f'<ACK.type_cd V="AA"/><ACK.ack_control_id V="{control_id.decode()}"/>'
            self.write(f"<ACK.R01>{head}<ACK>{answer}</ACK></ACK.R01>".encode())
        self._answered = len(said)

    def forget(self) -> None:
        super().forget()
        self._seen.clear()
        self._answered = 0

    async def step(self, step: Step, *parts: bytes) -> None:
        self._speaking = True
        await super().step(step, *parts)
        self._speaking = False
        self._answer_host()
        if re.search(rb"<(?:DST|EOT)\.R01>", step.data):  # now it is the host's turn, after its pause
            self.line.yard.loop.turn(0.1)
            await turns(6)

    async def answered(self, step: Step) -> None:
        if not step.answer:
            return
        before = self._seen.get(step.answer, 0)
        told = re.compile(rb'<ACK.type_cd V="A[AE]"/><ACK.(?:ack_)?control_id V="%s"/>' % step.answer)
        await until(
            lambda: len(told.findall(bytes(self.inbox))) > before or self.closed, f"no answer to {step.answer!r}"
        )
        self._seen[step.answer] = len(told.findall(bytes(self.inbox)))
        assert self._seen[step.answer] > before and b"AE" not in told.findall(bytes(self.inbox))[-1]
        self.kept(step)


_KINDS: dict[str, type[Wire]] = {"hl7": MllpWire, "poct1a": PoctWire}
