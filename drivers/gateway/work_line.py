"""LAB-28 on a line: work goes out one message at a time, is answered by its control id, and is never forgotten.

What is to be sent, was sent and was answered stands at the desk (the core's database); this is the part that waits and
repeats. A message that got no answer is sent again with the same bytes and the same MSH-10; one that the analyser has
committed to (MSA-1 CA) is not, its application answer may come later and on another connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from drivers.gateway.line import LineBook, Session
from drivers.messages import Query, Shipment, StepAnswer, WorkOrder
from drivers.protocols import hl7
from drivers.protocols.law import WorkAnswer, read_work_response

log = logging.getLogger(__name__)

DESK_PAUSE = 1.0


class Desk(Protocol):
    """Where work is given out (`lis_core.services.work_desk.WorkDesk`)."""

    async def answer(self, line: str, query: Query) -> list[WorkOrder]: ...

    async def planned(self, line: str, broadcast: bool) -> list[WorkOrder]: ...

    async def store(self, line: str, shipment: Shipment, seconds: float | None = None) -> None: ...

    async def unanswered(self, line: str) -> list[Shipment] | None: ...

    async def reopened(self, line: str) -> list[Shipment]: ...

    async def sending(self, control_id: str) -> bool: ...

    async def answered(
        self, control_id: str, code: str, text: str, raw_answer: bytes, answers: Sequence[StepAnswer]
    ) -> list[str]: ...

    async def given_up(self, control_id: str, why: str) -> None: ...


class Writing(Session, Protocol):
    """A session that can send a message of ours."""

    @property
    def is_open(self) -> bool: ...

    def send_message(self, payload: bytes) -> None: ...


class Writer(Protocol):
    """Makes the messages of planned work (the definition, through the gateway)."""

    def __call__(self, orders: Sequence[WorkOrder]) -> list[Shipment]: ...


@dataclass(frozen=True, slots=True)
class WorkTiming:
    """Seconds; a line's settings say otherwise (`yanit_saniye`, `tekrar_saniyeler`, ...)."""

    answer: float = 10.0
    repeats: tuple[float, ...] = (5.0, 15.0, 60.0)
    application: float = 120.0
    """For the application answer after a commit acknowledgement."""
    query_age: float = 60.0
    poll: float = 1.0

    @classmethod
    def of(cls, settings: dict[str, Any]) -> WorkTiming:
        """Raises ValueError, TypeError for what is no number."""
        usual = cls()
        return cls(
            float(settings.get("yanit_saniye", usual.answer)),
            tuple(float(one) for one in settings.get("tekrar_saniyeler", usual.repeats)),
            float(settings.get("uygulama_yaniti_saniye", usual.application)),
            float(settings.get("sorgu_omru_saniye", usual.query_age)),
            float(settings.get("yoklama_saniye", usual.poll)),
        )


@dataclass(slots=True)
class _Entry:
    shipment: Shipment
    due: float = 0.0
    tries: int = 0
    """Times that it was written without any answer, or answered AR, in this process."""
    session: Writing | None = None
    """The connection that it should go to (several analysers on one line)."""


@dataclass(slots=True)
class _Waiting:
    entry: _Entry
    answer: asyncio.Future[hl7.Message]
    committed: asyncio.Event = field(default_factory=asyncio.Event)


class WorkLine:
    """The work of one line. `run` must be running."""

    def __init__(self, book: LineBook, desk: Desk, write: Writer, timing: WorkTiming, broadcast: bool) -> None:
        self.book = book
        self.timing = timing
        self.broadcast = broadcast
        self._desk = desk
        self._write = write
        self._queue: list[_Entry] = []
        self._kick = asyncio.Event()
        self._now: _Waiting | None = None

    # ---- what comes in

    async def ship(self, shipments: Sequence[Shipment], session: Writing | None = None) -> None:
        """Work that a query asked for: stored first, then sent. Too late is too late (LAW-F.38)."""
        for shipment in shipments:
            shipment.expires_at = datetime.now(UTC) + timedelta(seconds=self.timing.query_age)
            await self._desk.store(self.book.spec.name, shipment, self.timing.query_age)
            self._queue.append(_Entry(shipment, session=session))
        self._kick.set()

    def connected(self) -> None:
        """A connection came up: what waits goes now."""
        for entry in self._queue:
            entry.due = 0.0
        self._kick.set()

    def disconnected(self) -> None:
        """The connection is gone: an answer cannot come on it any more, except to what was committed."""
        if self._now is not None and not self._now.answer.done() and not self._now.committed.is_set():
            self._now.answer.cancel()

    def answered(self, control_id: str, message: hl7.Message) -> bool:
        """An answer to one of ours, on whatever connection it came. False: not to what is under way here."""
        waiting = self._now
        if waiting is None or waiting.entry.shipment.control_id != control_id:
            return False
        acknowledgement = hl7.read_acknowledgement(message)
        if acknowledgement is not None and acknowledgement.code == "CA":
            waiting.committed.set()
        elif not waiting.answer.done():
            waiting.answer.set_result(message)
        return True

    # ---- the loop

    async def run(self) -> None:
        """Until cancelled."""
        started = False
        while True:
            try:
                if not started and (left := await self._desk.unanswered(self.book.spec.name)) is not None:
                    self._take_up(left)  # None: the desk cannot say it yet
                    started = True
                await self._expire()
                await self._plan()
                while (entry := self._next()) is not None:
                    await self._send(entry)
            except Exception:
                # The desk is away: nothing is lost, it stands there or will be asked for again.
                log.exception("work not sent", extra={"action": "work_not_sent", "line": self.book.spec.name})
                await asyncio.sleep(DESK_PAUSE)
            await self._rest()

    def _take_up(self, shipments: Sequence[Shipment]) -> None:
        """What another process, or this one before, could not finish."""
        known = {entry.shipment.control_id for entry in self._queue}
        fresh = [_Entry(one) for one in shipments if one.control_id not in known]
        self._queue[:0] = fresh

    async def _rest(self) -> None:
        self._kick.clear()
        try:
            async with asyncio.timeout(self.timing.poll):
                await self._kick.wait()
        except TimeoutError:
            return

    async def _plan(self) -> None:
        """What a person wants sent again; cancellations, what takes a cancelled one's place, in broadcast mode new
        work."""
        self._take_up(await self._desk.reopened(self.book.spec.name))
        for shipment in self._write(await self._desk.planned(self.book.spec.name, self.broadcast)):
            await self._desk.store(self.book.spec.name, shipment)
            self._queue.append(_Entry(shipment))

    def _next(self) -> _Entry | None:
        """The first entry that may go; one of a container never overtakes another of the same container."""
        if self._session(None) is None:
            return None
        now = asyncio.get_running_loop().time()
        held: set[str] = set()
        for entry in self._queue:
            if entry.due <= now and entry.shipment.container not in held:
                return entry
            held.add(entry.shipment.container)
        return None

    async def _expire(self) -> None:
        """Work for a query that could not be delivered in time: the tube is long past, its tests are free again."""
        now = datetime.now(UTC)
        for entry in list(self._queue):
            until = entry.shipment.expires_at
            if until is not None and not entry.shipment.attempts and until < now:
                self.book.trouble("Sorgunun yanıtı süresi içinde cihaza ulaştırılamadı; tetkikler yeniden beklemede.")
                await self._give_up(entry, "Sorgunun süresi geçti.")

    def _session(self, wanted: Writing | None) -> Writing | None:
        if wanted is not None and wanted.is_open:
            return wanted
        open_ones = [one for one in self.book.sessions if getattr(one, "is_open", False)]
        return open_ones[-1] if open_ones else None  # type: ignore[return-value]

    async def _send(self, entry: _Entry) -> None:
        shipment = entry.shipment
        session = self._session(entry.session)
        if session is None:
            entry.due = asyncio.get_running_loop().time() + self.timing.poll
            return
        if not await self._desk.sending(shipment.control_id):
            self._queue.remove(entry)
            await self._desk.given_up(shipment.control_id, "Sorgunun süresi geçti ya da yerine yenisi yazıldı.")
            return
        shipment.attempts += 1
        waiting = self._now = _Waiting(entry, asyncio.get_running_loop().create_future())
        try:
            session.send_message(shipment.payload)
            answer = await self._answer(waiting)
        finally:
            self._now = None
        if answer is None:
            await self._no_answer(entry, waiting.committed.is_set())
        else:
            await self._take(entry, answer)

    async def _answer(self, waiting: _Waiting) -> hl7.Message | None:
        """The application answer; None where none came in time or the line broke."""
        committed = asyncio.ensure_future(waiting.committed.wait())
        either: set[asyncio.Future[Any]] = {waiting.answer, committed}
        try:
            await asyncio.wait(either, timeout=self.timing.answer, return_when=asyncio.FIRST_COMPLETED)
            if waiting.committed.is_set() and not waiting.answer.done():
                await asyncio.wait({waiting.answer}, timeout=self.timing.application)
        finally:
            committed.cancel()
        if waiting.answer.done() and not waiting.answer.cancelled():
            return waiting.answer.result()
        return None

    async def _no_answer(self, entry: _Entry, committed: bool) -> None:
        if committed:
            self.book.trouble("Cihaz iş iletisini aldı ama yanıtlamadı; iş adımları belirsiz.")
            await self._give_up(entry, "Alındı bildirildi (CA), yanıt gelmedi.")
        elif self._session(entry.session) is None:  # sent again as soon as there is a connection
            entry.due = asyncio.get_running_loop().time() + self.timing.poll
        else:
            await self._repeat(entry, "yanıt gelmedi")

    async def _repeat(self, entry: _Entry, why: str) -> bool:
        """Again later, with growing pauses; False and an alarm where all were used up."""
        if entry.tries < len(self.timing.repeats):
            entry.due = asyncio.get_running_loop().time() + self.timing.repeats[entry.tries]
            entry.tries += 1
            return True
        self.book.trouble(f"İş iletisi {entry.tries + 1} kez gönderildi, {why}; iş adımları belirsiz.")
        await self._give_up(entry, why)
        return False

    async def _give_up(self, entry: _Entry, why: str) -> None:
        self._queue.remove(entry)
        await self._desk.given_up(entry.shipment.control_id, why)

    async def _take(self, entry: _Entry, answer: hl7.Message) -> None:
        """AA: step by step. AE: never again as it is. AR: again, except "nothing to do" for a tube it does not know."""
        shipment = entry.shipment
        said = hl7.read_acknowledgement(answer)
        code = said.code if said is not None else "AE"
        code = {"CE": "AE", "CR": "AR"}.get(code, code)
        text = _why(said)
        if code == "AR" and shipment.kind != "DC" and entry.tries < len(self.timing.repeats):
            self.book.note(f"Cihaz iş iletisini şimdi alamıyor (AR {text}); yeniden gönderilecek.")
            await self._repeat(entry, "cihaz almadı (AR)")
            return
        answers = [StepAnswer(one.awos_id, one.outcome) for one in _steps(answer, shipment.references)]
        self._queue.remove(entry)
        for sentence in await self._remembered(shipment.control_id, code, text, answer, answers):
            self.book.trouble(sentence)
        if shipment.kind == "DC" and code != "AA":
            self.book.note(f"Cihaz 'iş yok' yanıtını beklemiyordu ({code} {text}).")

    async def _remembered(
        self, control_id: str, code: str, text: str, answer: hl7.Message, answers: list[StepAnswer]
    ) -> list[str]:
        """The desk must learn of it: an answer that came is not to be asked for again."""
        while True:
            try:
                return await self._desk.answered(control_id, code, text, answer.raw, answers)
            except Exception:
                log.exception("answer not stored", extra={"action": "work_answer_waits", "line": self.book.spec.name})
                await asyncio.sleep(DESK_PAUSE)


def _steps(answer: hl7.Message, references: list[str]) -> list[WorkAnswer]:
    try:
        return read_work_response(answer, references)
    except hl7.Hl7Error:
        return []


def _why(said: hl7.Acknowledgement | None) -> str:
    if said is None:
        return "yanıtta MSA yok"
    parts = [said.text, *(f"{error.code} {error.segment} {error.text}".strip() for error in said.errors)]
    return "; ".join(part for part in parts if part)[:300]
