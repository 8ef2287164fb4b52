"""A hospital system: places orders, keeps patient data up to date, takes results, and sometimes misbehaves.

    async with Hospital(tcp_client("127.0.0.1", 4076), listen=TcpServer(port=4176)) as hospital:
        order = await hospital.places(AYSE, "GLU", "K", priority="S")
        assert order.answer.code == "AA"
        await hospital.results_for(order, count=2)

Results may come on a connection that Numune opens to `listen`, or on the one that the hospital has opened: both work.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Self
from uuid import uuid4

from simulators.analyser import istanbul_time
from simulators.astm_session import NotAccepted, Timing
from simulators.cable import End, LineDown, Plug, TcpServer
from simulators.faults import HL7_FAULTS, Faults
from simulators.hospital_messages import (
    HospitalResult,
    Person,
    PlacedOrder,
    order_segments,
    patient_segments,
    read_results,
)
from simulators.mllp_session import MllpSession
from simulators.segments import Message, segment, stamp

__all__ = ["Hospital", "HospitalResult", "NotAccepted", "Person", "PlacedOrder"]

OML, ORM = "OML^O21^OML_O21", "ORM^O01^ORM_O01"
_Mood = tuple[Literal["AE", "AR", "silence", "hang up", "late"], bool, float]


class Hospital:
    """One hospital system.

    results: OBX of every ORU^R01 that was answered AA, a repeated message (same MSH-10) counted once.
    received: every message that came, repeats and refused ones too. faults: armed for the next message it sends.
    """

    def __init__(
        self,
        plug: Plug,
        *,
        listen: TcpServer | None = None,
        timing: Timing | None = None,
        name: str = "HBYS",
        now: Callable[[], datetime] = istanbul_time,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.timing, self.name, self.now = timing or Timing(), name, now
        self.faults = Faults(HL7_FAULTS - {"impossible_date", "text_for_number"})
        self.results: list[HospitalResult] = []
        self.received: list[Message] = []
        self.surprises: list[str] = []
        self._plug, self._listen = plug, listen
        self._tell = tell or (lambda _: None)
        self._moods: deque[_Mood] = deque()
        self._kept: set[str] = set()
        self._news = asyncio.Event()
        self._session: MllpSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[End] = []
        self._run_id = uuid4().hex[:8]
        self._controls = self._orders = 0
        self._busy = asyncio.Lock()

    # ---- lines ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, patience: float | None = 30.0) -> None:
        """Listen for results and call Numune; tries again while nobody is there. Raises OSError after `patience`."""
        if self._listen is not None and not any(task.get_name() == "listening" for task in self._tasks):
            await self._listen.start()
            self._keep(asyncio.create_task(self._take_callers(self._listen), name="listening"))
        loop = asyncio.get_running_loop()
        pause, begin = self.timing.reconnect, loop.time()
        while self._session is None or self._session.down:
            try:
                self._session = self._open(await self._plug())
            except OSError as error:
                if patience is not None and loop.time() - begin + pause > patience:
                    raise
                self._tell(f"Numune'ye bağlanamadı ({error.strerror or error}), {pause:g} sn sonra yeniden denenecek")
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.timing.reconnect_most)

    async def _take_callers(self, server: TcpServer) -> None:
        while True:
            self._open(await server.plug())

    def _open(self, end: End) -> MllpSession:
        session = MllpSession(end, self.timing, lambda message: self._take(session, end, message))
        self._ends.append(end)
        self._keep(asyncio.create_task(session.run()))
        return session

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Hang up everywhere."""
        if self._listen is not None:
            await self._listen.close()
        for end in self._ends:
            await end.close()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._session, self._ends = None, []

    # ---- sending ----------------------------------------------------------------------------------------------------

    async def places(
        self,
        person: Person,
        *tests: str,
        priority: str = "R",
        form: str = OML,
        barcode: str = "",
        number: str = "",
        unit: str = "",
        physician: str = "",
    ) -> PlacedOrder:
        """A new order (ORC-1 NW): `form` OML^O21 or ORM^O01; priority S, A, R. Its `answer` tells how it went."""
        self._orders += 1
        order = PlacedOrder(
            number=number or f"H{self._run_id}{self._orders:04}",
            person=person,
            form=ORM if form.startswith("ORM") else OML,
            priority=priority,
            unit=unit,
            physician=physician,
            barcode=barcode,
        )
        await self.adds(order, *tests)
        return order

    async def adds(self, order: PlacedOrder, *tests: str) -> Message:
        """More tests for an order (NW with the same ORC-4)."""
        new = {code: f"{order.number}-{len(order.steps) + at}" for at, code in enumerate(tests, 1)}
        order.steps |= new
        return await self._about(order, new, "NW")

    async def changes(self, order: PlacedOrder, *tests: str, priority: str = "", physician: str = "") -> Message:
        """Tell again what an order says (ORC-1 XO), with a new priority or physician."""
        order.priority, order.physician = priority or order.priority, physician or order.physician
        return await self._about(order, {code: order.steps[code] for code in tests or order.steps}, "XO")

    async def cancels(self, order: PlacedOrder, *tests: str) -> Message:
        """Take tests (or all) back (ORC-1 CA)."""
        return await self._about(order, {code: order.steps[code] for code in tests or order.steps}, "CA")

    async def updates(self, person: Person) -> Message:
        """ADT^A08: patient data have changed."""
        return await self.sends("ADT^A08^ADT_A01", patient_segments(person, "A08", self.now()))

    async def merges(self, kept: Person, gone: Person) -> Message:
        """ADT^A40: the record `gone` was the same person as `kept`."""
        return await self.sends("ADT^A40^ADT_A39", patient_segments(kept, "A40", self.now(), gone))

    async def _about(self, order: PlacedOrder, tests: dict[str, str], control: str) -> Message:
        answer = await self.sends(order.form, order_segments(order, tests, control, self.now()))
        order.answers.append(answer)
        return answer

    async def sends(self, kind: str, segments: list[str], control_id: str = "") -> Message:
        """Any message; segments without MSH. The answer, whatever it says. Raises NotAccepted (silence), LineDown."""
        self._controls += 1
        control_id = control_id or f"{self._run_id}-{self._controls:06}"
        extra = ["ZZZ|1|BILINMEYEN"] if self.faults.take("unknown_record") else []
        end = "\n" if self.faults.take("lf_for_cr") else "\r"
        lines = [self._header(kind, control_id), *segments, *extra]
        return await self.sends_raw("".join(line + end for line in lines).encode(), control_id)

    async def sends_raw(self, message: bytes, control_id: str) -> Message:
        """These bytes in a block, until they are answered."""
        async with self._busy:
            for attempt in range(self.timing.attempts):
                await self.connect()
                session = self._session
                if session is None:
                    continue
                cut = self.faults.take("cut_at")
                bytewise = self.faults.take("one_byte_at_a_time") is not None
                session.pen.reset(bytewise=bytewise, cut_at=cut.number if cut else None)
                try:
                    return await session.exchange(message, control_id, self.faults)
                except LineDown:
                    session.down = True
                    self._tell("hat koptu, yeniden bağlanılıyor")
                    await asyncio.sleep(self.timing.restart * attempt)
                finally:
                    self.surprises += session.surprises
                    session.surprises = []
        raise LineDown(f"the line broke {self.timing.attempts} times")

    def _header(self, kind: str, control_id: str) -> str:
        return segment(
            "MSH",
            f3=self.name,
            f4="HASTANE",
            f5="NUMUNE",
            f6="LAB",
            f7=stamp(self.now(), "+0300"),
            f9=kind,
            f10=control_id,
            f11="P",
            f12="2.5.1",
            f18="UNICODE UTF-8",
        )

    # ---- taking results ---------------------------------------------------------------------------------------------

    async def _take(self, session: MllpSession, end: End, message: Message) -> None:
        self.received.append(message)
        code, keep, wait = self._mood()
        if code == "late":
            await asyncio.sleep(wait)
        if keep and message.control_id not in self._kept:
            self._kept.add(message.control_id)
            self.results += read_results(message) if message.kind == "ORU^R01" else []
            self._tell(f"{message.kind} alındı, {len(self.results)} sonuç var")
        self._news.set()
        if code == "hang up":
            await end.close()
        elif code != "silence":
            await session.answer(self._answer(message, "AA" if code == "late" else code))

    def _mood(self) -> tuple[str, bool, float]:
        return self._moods.popleft() if self._moods else ("AA", True, 0.0)

    def _answer(self, message: Message, code: str) -> bytes:
        self._controls += 1
        event = message.kind.partition("^")[2]
        lines = [
            self._header(f"ACK^{event}^ACK", f"{self._run_id}-{self._controls:06}"),
            segment("MSA", f1=code, f2=message.control_id),
        ]
        if code != "AA":
            condition = "207^Application internal error^HL70357"
            lines.append(segment("ERR", f3=condition, f4="E", f8="hastane sistemi mesajı kaydedemedi"))
        return "".join(line + "\r" for line in lines).encode()

    async def results_for(self, order: PlacedOrder, count: int = 1, within: float = 10.0) -> list[HospitalResult]:
        """Wait until at least `count` results of an order are here. Raises TimeoutError."""
        steps = set(order.steps.values()) | {order.number}
        async with asyncio.timeout(within):
            while True:
                found = [result for result in self.results if result.step in steps or result.filler in steps]
                if len(found) >= count:
                    return found
                self._news.clear()
                await self._news.wait()

    # ---- faults by name ---------------------------------------------------------------------------------------------

    def answers_ae(self, times: int = 1) -> None:
        """The next messages are refused with AE (wrong content) and not kept."""
        self._moods.extend([("AE", False, 0.0)] * times)

    def answers_ar(self, times: int = 1) -> None:
        """The next messages are refused with AR (cannot now) and not kept."""
        self._moods.extend([("AR", False, 0.0)] * times)

    def stays_silent(self, times: int = 1, *, kept: bool = False) -> None:
        """The next messages get no answer. kept: it has taken them all the same, only the answer is lost."""
        self._moods.extend([("silence", kept, 0.0)] * times)

    def hangs_up(self, times: int = 1, *, kept: bool = False) -> None:
        """The socket is closed instead of an answer."""
        self._moods.extend([("hang up", kept, 0.0)] * times)

    def answers_late(self, seconds: float, times: int = 1) -> None:
        """The answer AA comes after so many seconds."""
        self._moods.extend([("late", True, seconds)] * times)
