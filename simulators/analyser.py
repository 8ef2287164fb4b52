"""An analyser that talks to Numune from outside: it asks about tubes, runs what it is offered, reports, and misbehaves.

async with build_analyser("sysmex-xn", tcp_client("127.0.0.1", 4001)) as analyser:
    offer = (await analyser.asks("1001"))["1001"]
    await analyser.reports("1001", {"WBC": ("6.52", "10*3/uL", "N")})
    analyser.wrong_checksum(frame=2)          # the next message suffers it once
    await analyser.runs("1002")               # ask, measure exactly what was offered, report
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self, TypeVar
from zoneinfo import ZoneInfo

from simulators.astm_session import AstmSession, NotAccepted, Timing
from simulators.cable import End, LineDown, Plug
from simulators.faults import BY_PROTOCOL, Faults
from simulators.measuring import measure
from simulators.mllp_session import MllpSession
from simulators.models import AnyModel, AstmModel, PoctModel, model_named
from simulators.poct1a_session import PoctSession
from simulators.worklist import Offer, Receipt, Reported, Result, Results, WorkList, as_results

__all__ = ["Analyser", "NotAccepted", "Report", "Timing", "build_analyser", "istanbul_time"]

_ISTANBUL = ZoneInfo("Europe/Istanbul")
_Answer = TypeVar("_Answer")
Session = AstmSession | MllpSession | PoctSession


def istanbul_time() -> datetime:
    """The clock on the analyser's wall, without an offset, as analysers keep it."""
    return datetime.now(_ISTANBUL).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Report:
    """A result message that the host has acknowledged. message: see Receipt."""

    message: int
    specimen: str
    results: tuple[Reported, ...]
    raw: bytes


class Analyser(ABC):
    """What all simulated analysers can do. Make one with `build_analyser`.

    acknowledged: every acknowledgement, in order. surprises: what the host did that it should not have done.
    offers: the last answer about each tube. unasked: work that came without a question. faults: armed for next message.
    """

    def __init__(
        self,
        model: AnyModel,
        plug: Plug,
        *,
        seed: int = 1,
        timing: Timing | None = None,
        faults: Iterable[str] = (),
        now: Callable[[], datetime] = istanbul_time,
        tell: Callable[[str], None] | None = None,
        operator: str = "SIM",
    ) -> None:
        self.seed, self.timing, self.now, self.operator = seed, timing or Timing(), now, operator
        self.faults = Faults(BY_PROTOCOL[model.protocol])
        self.faults.arm(*faults)
        self.acknowledged: list[Receipt] = []
        self.sent: dict[int, bytes] = {}
        self.surprises: list[str] = []
        self.offers: dict[str, Offer] = {}
        self.unasked: list[Offer] = []
        self._model, self._plug = model, plug
        self.tell = tell or (lambda _: None)
        self._session: Session | None = None
        self._running: asyncio.Task[None] | None = None
        self._end: End | None = None
        self._busy = asyncio.Lock()
        self._messages = 0
        self._runs: dict[str, int] = {}

    @property
    def model(self) -> AnyModel:
        """Its profile."""
        return self._model

    # ---- the line ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    @property
    def connected(self) -> bool:
        """Whether its line stands."""
        return self._session is not None and not self._session.down

    async def connect(self, patience: float | None = 30.0) -> None:
        """Plug in, trying again while nobody is there; patience: seconds, None = for ever; then OSError is raised."""
        if self.connected:
            return
        await self.disconnect()
        loop = asyncio.get_running_loop()
        give_up = None if patience is None else loop.time() + patience
        pause = self.timing.reconnect
        while True:
            try:
                self._end = await self._plug()
                break
            except OSError as error:
                if give_up is not None and loop.time() + pause > give_up:
                    raise
                self.tell(f"bağlanamadı ({error.strerror or error}), {pause:g} sn sonra yeniden denenecek")
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.timing.reconnect_most)
        self._session = self._open(self._end)
        self._running = asyncio.create_task(self._session.run())

    async def disconnect(self) -> None:
        """Hang up; not connected is fine."""
        if self._session is not None:
            self.surprises += self._session.surprises
            self._session.surprises = []
        if self._end is not None:
            await self._end.close()
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        self._session = self._end = self._running = None

    @abstractmethod
    def _open(self, end: End) -> Session:
        """The session that speaks this protocol on a fresh line."""

    async def _over_the_line(self, action: Callable[[Any], Awaitable[_Answer]]) -> _Answer:
        """Do it on a standing line; where the line breaks, plug in again and do it from the beginning.

        Raises NotAccepted: the host refused every attempt. LineDown: the line broke at every attempt.
        """
        async with self._busy:
            return await self._until_done(action)

    async def _until_done(self, action: Callable[[Any], Awaitable[_Answer]]) -> _Answer:
        for attempt in range(self.timing.attempts):
            await self.connect()
            session = self._session
            if session is None:
                continue
            cut = self.faults.take("cut_at")
            bytewise = self.faults.take("one_byte_at_a_time") is not None
            session.pen.reset(bytewise=bytewise, cut_at=cut.number if cut else None)
            try:
                return await action(session)
            except LineDown:
                self.tell("hat koptu, yeniden bağlanılıyor")
                await self.disconnect()
                await asyncio.sleep(self.timing.restart * attempt)
            finally:
                self.surprises += session.surprises
                session.surprises = []
        raise LineDown(f"the line broke {self.timing.attempts} times")

    # ---- what it does -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def asks(self, *barcodes: str) -> WorkList:
        """Ask the host about tubes. Silence is an unanswered WorkList, never an exception. Raises NotAccepted."""

    @abstractmethod
    async def _send_results(self, barcode: str, results: Mapping[str, list[Result]], qc: bool, lot: str) -> Report:
        """One result message, until it is acknowledged."""

    @abstractmethod
    async def reports_raw(self, data: bytes) -> None:
        """Send captured bytes as they are (frames verbatim, one by one; bare records or messages are framed)."""

    async def reports(
        self, barcode: str, results: Results | None = None, /, *, rerun: bool = False, **named: str
    ) -> Report:
        """Send results: codes of the analyser or names of analytes; see `worklist.Results`. A list = replicates.

        rerun: a second run of the same tube, marked as this model marks it. Raises NotAccepted, LineDown, TypeError.
        """
        run = 2 if rerun else 1
        ready: dict[str, list[Result]] = {}
        for test, given in {**(results or {}), **named}.items():
            code = self.model.code_of(test)
            ready[code] = [self._filled(code, replace(one, run=max(run, one.run))) for one in as_results(given)]
        return await self._send_results(barcode, ready, False, "")

    async def reports_qc(self, material: str, results: Results, /, *, lot: str = "") -> Report:
        """Send results of a control. material: the control's name as the analyser knows it."""
        ready = {
            self.model.code_of(test): [self._filled(self.model.code_of(test), one) for one in as_results(given)]
            for test, given in results.items()
        }
        return await self._send_results(material, ready, True, lot)

    async def runs(self, barcode: str, *tests: str) -> Report | None:
        """Ask, measure exactly what is offered, report. None: nothing was offered, or nobody answered.

        tests: run these without asking. A model that cannot ask runs all it has.
        """
        if tests:
            codes = [self.model.code_of(test) for test in tests]
        elif self.model.asks:
            work = await self.asks(barcode)
            if not work.answered or work[barcode].negative or work[barcode].refused:
                return None
            codes = work[barcode].codes
        else:
            codes = list(self.model.channels)
        return await self.runs_codes(barcode, codes)

    async def runs_codes(self, barcode: str, codes: Iterable[str]) -> Report | None:
        """Measure and report these; every further call for one tube is a rerun. None: it has none of these tests."""
        run = self._runs[barcode] = self._runs.get(barcode, 0) + 1
        results: dict[str, list[Result]] = {}
        for code in codes:
            replicate = len(results.get(code, ()))
            result = measure(self.model, code, self.seed, barcode, run + replicate)
            if result is None:
                self.surprises.append(f"offered {code!r} for {barcode}, which this analyser cannot run")
                self.tell(f"{barcode}: {code!r} testi bu cihazda yok, çalışılmadı")
            else:
                results.setdefault(code, []).append(replace(result, run=run))
        return await self._send_results(barcode, results, False, "") if results else None

    def _filled(self, code: str, result: Result) -> Result:
        """What the story left out: the unit and module that this channel prints."""
        channel = self.model.channels.get(code)
        if channel is None:
            return result
        return replace(result, unit=result.unit or channel.unit, module=result.module or channel.module)

    # ---- what was acknowledged --------------------------------------------------------------------------------------

    @property
    def acknowledged_results(self) -> list[Reported]:
        """Every result whose frame (HL7: message) was acknowledged, each once, in the order of the acknowledgements."""
        seen: dict[tuple[int, int], Reported] = {}
        for receipt in self.acknowledged:
            for place, reported in enumerate(receipt.results):
                seen.setdefault((receipt.message, receipt.frame * 100_000 + place), reported)
        return list(seen.values())

    @property
    def acknowledged_messages(self) -> list[bytes]:
        """Text of every message that was acknowledged as a whole (ASTM: joined frame texts), each once, in order."""
        whole = dict.fromkeys(receipt.message for receipt in self.acknowledged if receipt.whole)
        return [self.sent[message] for message in whole]

    # ---- faults by name ---------------------------------------------------------------------------------------------

    def wrong_checksum(self, frame: int = 1) -> None:
        """The first try of this frame carries a wrong checksum."""
        self.faults.arm(f"wrong_checksum:{frame}")

    def repeats_frame(self, frame: int = 1) -> None:
        """The frame comes once more after its ACK (HL7: the message after its answer)."""
        self.faults.arm(f"repeats_frame:{frame}")

    def skips_number(self, frame: int = 1) -> None:
        """The first try of this frame has the number of the next one."""
        self.faults.arm(f"skips_number:{frame}")

    def lost_ack(self, frame: int = 0) -> None:
        """The ACK of this frame (0 = the last) is not heard: it waits, ends with EOT, sends everything again."""
        self.faults.arm(f"lost_ack:{frame}")

    def silent_after_enq(self) -> None:
        """Asks for the line, gets it, says nothing; asks again after `timing.silence`."""
        self.faults.arm("silent_after_enq")

    def no_terminator(self) -> None:
        """The L record is missing (HL7: the end of the block; then silence, then the message again)."""
        self.faults.arm("no_terminator")

    def no_eot(self) -> None:
        """The session is not closed; the next ENQ comes without an EOT before it."""
        self.faults.arm("no_eot")

    def lf_for_cr(self) -> None:
        """Records (segments) end with LF."""
        self.faults.arm("lf_for_cr")

    def garbage(self) -> None:
        """Rubbish in front of every frame (block)."""
        self.faults.arm("garbage")

    def unknown_record(self) -> None:
        """A record (segment) of a type that nobody knows."""
        self.faults.arm("unknown_record")

    def impossible_date(self) -> None:
        """The first result was measured on a day that does not exist."""
        self.faults.arm("impossible_date")

    def text_for_number(self) -> None:
        """The first result has words where a number belongs."""
        self.faults.arm("text_for_number")

    def endless(self, size: int = 10_000_000) -> None:
        """A frame (block) of `size` bytes without an end, then the message as it should be."""
        self.faults.arm(f"endless:{size}")

    def contention(self) -> None:
        """Asks for the line in the moment in which the host does; asks again after `timing.contention`."""
        self.faults.arm("contention")

    def cut_at(self, count: int) -> None:
        """The line breaks after `count` bytes of the next message; it comes again over a new line."""
        self.faults.arm(f"cut_at:{count}")

    def merged(self) -> None:
        """Waits for no answer: all frames and EOT in one piece (HL7: the message twice in one piece)."""
        self.faults.arm("merged")

    def one_byte_at_a_time(self) -> None:
        """Every byte in a segment of its own."""
        self.faults.arm("one_byte_at_a_time")


def build_analyser(model: str, plug: Plug, **options: Any) -> Analyser:
    """An analyser of this model (see `models.MODELS`), options as of `Analyser`. Raises UnknownModel, UnknownFault."""
    from simulators.astm_analyser import AstmAnalyser
    from simulators.hl7_analyser import LawAnalyser, MindrayAnalyser
    from simulators.poct1a_analyser import PoctAnalyser

    profile = model_named(model)
    if isinstance(profile, AstmModel):
        return AstmAnalyser(profile, plug, **options)
    if isinstance(profile, PoctModel):
        return PoctAnalyser(profile, plug, **options)
    kind = LawAnalyser if profile.dialect == "law" else MindrayAnalyser
    return kind(profile, plug, **options)
