"""The instrument's side of ASTM E1381-02: asks for the line, sends frames, waits for every answer, repeats, gives up.

Written apart from `drivers.protocols.astm_link` on purpose, in another style (coroutines, not a state machine), so that
the two check each other. Clauses are those of E1381-02.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from simulators.cable import End, LineDown
from simulators.faults import Faults
from simulators.pen import Pen

__all__ = ["AstmSession", "Frame", "NotAccepted", "Timing", "frames_of_message"]

ENQ, ACK, NAK, EOT = b"\x05", b"\x06", b"\x15", b"\x04"
JUNK = b"\x00\xff~#"
ENDLESS_PIECE = b"A" * 65_536


class NotAccepted(Exception):
    """The host did not take a message after every attempt that the standard allows."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, and how often. The standard's; `hurried` is for tests."""

    reply: float = 15.0  # wait for the answer to ENQ or a frame (6.5.2)
    listen: float = 30.0  # a receiver waits this long for a frame or EOT (6.5.2)
    busy: float = 10.0  # after NAK to ENQ (6.2)
    contention: float = 1.0  # the instrument asks again after a collision (6.2.1)
    silence: float = 31.0  # how long the fault silent_after_enq lasts
    restart: float = 1.0  # before a failed transfer starts over
    answer: float | None = None  # wait for the answer to a query; None = as the model does
    reconnect: float = 1.0  # first pause before calling again, doubled up to `reconnect_most`
    reconnect_most: float = 30.0
    attempts: int = 6  # transfers begun, ENQs, tries of one frame

    @classmethod
    def hurried(cls, **other: float) -> Timing:
        """Everything in fractions of a second."""
        short: dict[str, float] = {
            "reply": 1.0,
            "listen": 1.0,
            "busy": 0.05,
            "contention": 0.05,
            "silence": 0.2,
            "restart": 0.02,
            "answer": 2.0,
            "reconnect": 0.02,
            "reconnect_most": 0.2,
        }
        return cls(**(short | other))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame to send. `verbatim`: bytes of a capture, sent as they are."""

    number: int
    text: bytes
    last: bool
    verbatim: bytes | None = None

    def on_the_line(self, *, number: int | None = None, wrong_checksum: bool = False) -> bytes:
        """STX number text ETX|ETB checksum CR LF (6.3.1)."""
        if self.verbatim is not None:
            return self.verbatim
        body = b"%d" % (self.number if number is None else number) + self.text + (b"\x03" if self.last else b"\x17")
        total = sum(body) + (1 if wrong_checksum else 0)
        return b"\x02" + body + b"%02X\r\n" % (total % 256)


def frames_of_message(records: Sequence[bytes], framing: str, limit: int, end: bytes = b"\r") -> list[Frame]:
    """Records (without their ends) as frames. framing: see `models.AstmModel`; `end` closes every record."""
    if framing == "records":
        texts = [record + end for record in records]
    else:
        texts = [b"".join(record + end for record in records)]
    pieces: list[tuple[bytes, bool]] = []
    for text in texts:
        step = len(text) if framing == "message" else limit
        for at in range(0, len(text), step):
            pieces.append((text[at : at + step], at + step >= len(text)))
    return [Frame(count % 8, text, last) for count, (text, last) in enumerate(pieces, 1)]


class _Heard(Enum):
    """What else can come out of the line."""

    LOST = "connection lost"


Token = bytes | _Heard
OnAck = Callable[[int], None]
_TOKEN = re.compile(rb"([\x04\x05\x06\x15])|\x02(\d)([^\x02\x03\x04\x05\x17]*)([\x03\x17])([0-9A-F]{2})", re.DOTALL)


def _nobody(_: int) -> None:
    """Acknowledgements that nobody counts."""


class AstmSession:
    """One connection of an instrument. `run()` must be running while anything else is used.

    inbox: whole messages (joined frame texts) that the host sent; None once the connection is lost.
    surprises: what the host did against the standard, in English sentences.
    """

    def __init__(self, end: End, timing: Timing) -> None:
        self.pen = Pen(end)
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.surprises: list[str] = []
        self.down = False
        self._end, self._timing = end, timing
        self._on_ack: OnAck = _nobody
        self._replies: asyncio.Queue[Token] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._neutral = asyncio.Event()
        self._neutral.set()
        self._sending = False
        self._collide: asyncio.Event | None = None
        self._buffer = b""
        self._text: list[bytes] = []
        self._expected = 1
        self._limit: asyncio.TimerHandle | None = None

    # ---- what comes in ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read until the other side is gone."""
        try:
            while data := await self._end.read():
                self._buffer += data
                for token in self._tokens():
                    await self._hear(token)
        except LineDown:
            pass  # told below, like every other way to lose the line
        finally:
            self.down = True
            self._stop_listening()
            self._replies.put_nowait(_Heard.LOST)
            self.inbox.put_nowait(None)
            if self._collide is not None:
                self._collide.set()

    def _tokens(self) -> list[re.Match[bytes]]:
        tokens, done = [], 0
        for token in _TOKEN.finditer(self._buffer):
            tokens.append(token)
            done = token.end()
        opening = self._buffer.find(b"\x02", done)
        self._buffer = self._buffer[opening:] if opening >= 0 else b""
        return tokens

    async def _hear(self, token: re.Match[bytes]) -> None:
        control = token[1]
        if control is None:
            await self._hear_frame(token)
        elif self._sending:
            self._replies.put_nowait(control)
        elif control == ENQ:
            await self._hear_request()
        elif control == EOT and not self._neutral.is_set():
            if self._text:
                self.inbox.put_nowait(b"".join(self._text))
            self._stop_listening()

    async def _hear_request(self) -> None:
        if self._collide is not None:
            self._collide.set()  # the fault: we ask at the same moment and answer nothing
            return
        self._neutral.clear()
        self._text, self._expected = [], 1
        self._restart_limit()
        await self._end.write(ACK)

    async def _hear_frame(self, token: re.Match[bytes]) -> None:
        if self._neutral.is_set():
            self.surprises.append("the host sent a frame outside a transfer")
            return
        self._restart_limit()
        number, text = int(token[2]), token[3]
        good = sum(token[2] + token[3] + token[4]) % 256 == int(token[5], 16)
        if good and number == (self._expected - 1) % 8 and self._text:
            await self._end.write(ACK)  # a repetition of what we have
        elif good and number == self._expected % 8:
            self._text.append(text)
            self._expected += 1
            await self._end.write(ACK)
        else:
            self.surprises.append(f"the host sent a bad frame {number}")
            await self._end.write(NAK)

    def _restart_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = asyncio.get_running_loop().call_later(self._timing.listen, self._stop_listening)

    def _stop_listening(self) -> None:
        """Neutral again; an unfinished message is discarded, its sender will repeat it (6.5.2)."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        self._text = []
        self._neutral.set()

    # ---- what goes out ----------------------------------------------------------------------------------------------

    async def send(self, frames: Sequence[Frame], faults: Faults, on_ack: OnAck = _nobody) -> None:
        """Send one message until the host has acknowledged all of it. Raises NotAccepted, LineDown.

        on_ack: called with the place (from 1) of every frame whose ACK was heard, once more when all is sent again.
        """
        async with self._turn:
            self._on_ack = on_ack
            for attempt in range(self._timing.attempts):
                if attempt:
                    await asyncio.sleep(self._timing.restart)
                try:
                    if await self._transfer(frames, faults):
                        return
                finally:
                    self._sending = False
        raise NotAccepted(f"{self._timing.attempts} attempts")

    async def collide(self) -> None:
        """The fault `contention` with nothing to say: ask together with the host, ask again, and end at once."""
        async with self._turn:
            try:
                await self._request_line(collide=True)
                await self._end_transfer()
            finally:
                self._sending = False

    def will_collide(self) -> None:
        """The host's next ENQ meets the fault `contention` (then call `collide`)."""
        self._collide = asyncio.Event()

    async def _end_transfer(self) -> None:
        """EOT. The host's own ENQ may come at once, so we are neutral before it is out."""
        self._sending = False
        await self.pen.write(EOT)

    async def _request_line(self, *, collide: bool) -> None:
        for _ in range(self._timing.attempts):
            if collide:
                await self._wait_for_request()
            await self._wait_until_neutral()
            await self.pen.write(ENQ)
            reply = None if collide else await self._reply()
            if reply == ACK:
                return
            if collide or reply == ENQ:
                self._sending = False
                await asyncio.sleep(self._timing.contention)
            elif reply in (NAK, EOT):
                self._sending = False
                await asyncio.sleep(self._timing.busy)
            else:
                await self._end_transfer()
            collide = False
        raise NotAccepted("the host never let us send")

    async def _wait_until_neutral(self) -> None:
        """Wait until nobody sends; the line is ours from here (nothing may run between this and our ENQ)."""
        while not self._neutral.is_set():
            await self._neutral.wait()
        self._sending = True
        while not self._replies.empty():
            if self._replies.get_nowait() is _Heard.LOST:
                raise LineDown("the host hung up")
        if self.down:
            raise LineDown("the host hung up")

    async def _wait_for_request(self) -> None:
        """Until the host's next ENQ, which stays unanswered; at most as long as a query waits."""
        self._collide = self._collide or asyncio.Event()
        try:
            async with asyncio.timeout(self._timing.answer or 30.0):
                await self._collide.wait()
        except TimeoutError:
            self.surprises.append("no ENQ came to collide with")
        finally:
            self._collide = None

    async def _transfer(self, frames: Sequence[Frame], faults: Faults) -> bool:
        """One attempt; False: start over. Raises LineDown, NotAccepted (no line)."""
        await self._request_line(collide=faults.take("contention") is not None)
        if faults.take("silent_after_enq"):
            await asyncio.sleep(self._timing.silence)
            return False
        if endless := faults.take("endless"):
            await self._endless(endless.number)
            return False
        if faults.take("merged"):
            return await self._all_at_once(frames)
        junk = JUNK if faults.take("garbage") else b""
        for index in range(1, len(frames) + 1):
            if not await self._one_frame(index, frames, faults, junk):
                await self._end_transfer()
                return False
        if not faults.take("no_eot"):
            await self._end_transfer()
        return True

    async def _one_frame(self, index: int, frames: Sequence[Frame], faults: Faults, junk: bytes) -> bool:
        frame = frames[index - 1]
        first = good = junk + frame.on_the_line()
        if faults.take("wrong_checksum", index):
            first = junk + frame.on_the_line(wrong_checksum=True)
        elif faults.take("skips_number", index):
            first = junk + frame.on_the_line(number=(frame.number + 1) % 8)
        for attempt in range(self._timing.attempts):
            await self.pen.write(good if attempt else first)
            reply = await self._reply()
            if reply in (ACK, EOT):  # EOT: accepted, and the host would like to speak (6.3.5); we finish first
                if first != good and not attempt:
                    self.surprises.append(f"the host acknowledged the spoilt frame {index}")
                return await self._accepted(index, frames, faults)
            if reply != NAK:
                return False
        return False

    async def _accepted(self, index: int, frames: Sequence[Frame], faults: Faults) -> bool:
        if faults.take("lost_ack", index) or (index == len(frames) and faults.take("lost_ack", 0)):
            await asyncio.sleep(self._timing.reply)  # as if nothing had come
            return False
        frame = frames[index - 1]
        self._on_ack(index)
        if faults.take("repeats_frame", index):
            await self.pen.write(frame.on_the_line())
            if (reply := await self._reply()) != ACK:
                self.surprises.append(f"the repeated frame {index} was answered {reply!r}, not ACK")
        return True

    async def _all_at_once(self, frames: Sequence[Frame]) -> bool:
        """Frames and EOT in one piece; then as many answers as frames."""
        await self.pen.write(b"".join(frame.on_the_line() for frame in frames) + EOT)
        for index in range(1, len(frames) + 1):
            if await self._reply() != ACK:
                return False
            self._on_ack(index)
        return True

    async def _endless(self, size: int) -> None:
        """STX and text without an end, until the host objects or `size` bytes are out; then a clean EOT."""
        await self.pen.write(b"\x021")
        for at in range(0, size, len(ENDLESS_PIECE)):
            if not self._replies.empty():
                break
            await self.pen.write(ENDLESS_PIECE[: size - at])
            await asyncio.sleep(0)
        await self._end_transfer()

    async def _reply(self) -> Token | None:
        """The host's next control character; None when it stays silent. Raises LineDown."""
        try:
            async with asyncio.timeout(self._timing.reply):
                reply = await self._replies.get()
        except TimeoutError:
            return None
        if reply is _Heard.LOST:
            raise LineDown("the host hung up")
        return reply
