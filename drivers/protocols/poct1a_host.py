"""The data manager's side of a POCT1-A conversation: bytes in, events out, bytes out, time as told.

CLSI POCT01-A2, device messaging layer, basic profile and continuous mode. The device calls and says hello, tells its
status, and is asked for what it has; whatever it sends is acknowledged when the caller has stored it, never before.
One message of ours waits for its answer at a time.

    HEL -> ACK   DST -> ACK, REQ ROBS   OBS -> (stored) ACK ...   EOT -> ACK, REQ RDEV   EVS -> (stored) ACK ... EOT
    -> DTV.R02 SET_TIME   -> OPL ..., EOT   -> DTV.R01 START_CONTINUOUS (then OBS as they come), or END

    link = HostLink(options, clock)
    for event in link.receive_data(data, now):
        if isinstance(event, BlockReceived): ...    # store event.raw, then link.stored(now) or link.not_stored(now)
    transport.write(link.data_to_send())
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from drivers.protocols import poct1a
from drivers.protocols.poct1a import Element, Head, Hello, Message, Operator, Patient, Poct1aError, Status, group, item
from drivers.protocols.poct1a_stream import Document, DocumentReader, Junk, Refused, WhyNot
from drivers.protocols.poct1a_words import (
    DATA,
    EXPECTED,
    MANNERS,
    Asked,
    Ended,
    Event,
    Greeted,
    Poct1aOptions,
    State,
    Told,
)
from drivers.protocols.text_link import BlockReceived, BlockRefused, Ignored, Note, SendFailed, Why

__all__ = ["Asked", "Ended", "Event", "Greeted", "HostLink", "Poct1aOptions", "State", "Told"]

SHORTEST, LONGEST = 5.0, 600.0  # seconds of a device's own time limit that are believed
SMALLEST_MESSAGE = 600  # bytes; below it no list entry would fit, so a smaller limit is not believed
_WHY = {WhyNot.CUT_OFF: Why.CUT_OFF, WhyNot.TOO_LONG: Why.TOO_LONG}
VERDICTS = {
    "unreadable": "document is not well-formed or not allowed",
    "unknown": "message type is not supported",
}


@dataclass(slots=True)
class _Job:
    """One message of ours that wants an answer."""

    what: str
    kind: str
    body: list[Element] = field(default_factory=list)
    until: Literal["ack", "topic"] = "ack"
    control_id: str = ""


class HostLink:
    """One connection of one device. Never raises on what a peer sends."""

    def __init__(
        self, options: Poct1aOptions, clock: Callable[[], datetime], operators: Sequence[Operator] | None = None
    ) -> None:
        """clock: aware time, for message headers and SET_TIME. operators: the list for devices that take one."""
        self._options = options
        self._clock = clock
        self._operators = operators
        self._reader = DocumentReader(options.max_message)
        self._out = bytearray()
        self._events: list[Event] = []
        self._timers: dict[str, float] = {}
        self._pending: BlockReceived | None = None
        self._verdict: tuple[str, str] = ("", "")
        """Of the pending document: its control id, and why it is not accepted ("" where it is)."""
        self._last = b""
        """The data document acknowledged last in this conversation."""
        self._jobs: deque[_Job] = deque()
        self._waiting: _Job | None = None
        self._count = 0
        self._wrapped = False
        self._now = self._free_at = 0.0
        """No message of ours that is not an answer goes out before `_free_at`."""
        self._limit = options.answer_limit
        self.state = State.SILENT
        self.hello = Hello()

    # ---- what the caller does

    def connection_made(self, now: float) -> list[Event]:
        """The line is open. The device speaks first."""
        return self._told()

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes however they were cut; return what they mean."""
        self._reader.feed(data)
        self._timers["listen"] = now + self._options.listen_limit
        if self._options.keep_alive and self.state is State.CONTINUOUS:
            self._timers["quiet"] = now + self._options.keep_alive
        return self._run(now)

    def stored(self, now: float) -> list[Event]:
        """The document of the last BlockReceived is safe: acknowledge it, read on."""
        self._now = now
        block, self._pending = self._pending, None
        if block is not None:
            control_id, refused = self._verdict
            if not refused:
                self._last = block.raw
            if control_id:
                self._acknowledge(control_id, refused)
        return self._run(now)

    def not_stored(self, now: float) -> list[Event]:
        """It could not be stored: no answer, so that the device keeps it and sends it again. An AE would tell it that
        its content is wrong."""
        self._pending = None
        return self._run(now)

    def patients(self, asked: Asked, found: Iterable[Patient], now: float) -> list[Event]:
        """Answer a device's question; nobody found = an empty list."""
        body = [poct1a.patient(one) for one in found]
        self._jobs.appendleft(_Job("patient", "PTL.R01", body))
        return self._run(now)

    def refuse(self, asked: Asked, note: str, now: float) -> list[Event]:
        """A device's question gets no answer; it is told so."""
        self._escape(asked.control_id, note)
        return self._told()

    def tick(self, now: float) -> list[Event]:
        """Time has passed: whatever is due by now happens."""
        for name in [name for name, at in self._timers.items() if at <= now]:
            if self._timers.pop(name, None) is not None:
                self._expired(name, now)
        return self._run(now)

    def deadline(self) -> float | None:
        """When `tick` is wanted."""
        return min(self._timers.values(), default=None)

    def connection_lost(self, now: float) -> list[Event]:
        """The line is gone: what was begun is over."""
        self._give_up_document(Why.CUT_OFF)
        for job in [*([self._waiting] if self._waiting else []), *self._jobs]:
            if job.kind != "END.R01":
                self._events.append(SendFailed(job.what, Why.CONNECTION_LOST))
        self._waiting, self._pending = None, None
        self._jobs.clear()
        self._timers.clear()
        self._out.clear()
        self.state = State.ENDED
        return self._told()

    def data_to_send(self) -> bytes:
        """Whatever is owed; empties the queue."""
        data = bytes(self._out)
        self._out.clear()
        return data

    # ---- what comes

    def _run(self, now: float) -> list[Event]:
        self._now = now
        while self._pending is None and (found := self._reader.next()) is not None:
            if isinstance(found, Document):
                self._document(found, now)
            elif isinstance(found, Junk):
                self._events.append(Ignored(found.raw))
            else:
                self._refused(found)
        if self._pending is None and not self._reader.mid_document:
            self._timers.pop("listen", None)
        if self._pending is None and self._waiting is None and self._jobs:
            if now >= self._free_at:
                self._put(self._jobs.popleft(), now)
            else:
                self._timers["turn"] = self._free_at
        return self._told()

    def _refused(self, found: Refused) -> None:
        if found.why is WhyNot.DECLARES:
            self._events.append(Note("document type declared"))
        else:
            self._events.append(BlockRefused(found.raw, _WHY[found.why]))

    def _document(self, document: Document, now: float) -> None:
        self._wrapped = document.wrapped
        try:
            message = poct1a.parse(document.raw)
        except Poct1aError:
            self._receive(document.raw, poct1a.control_id_in(document.raw), "unreadable")
            return
        kind = message.type.partition(".")[0]
        if kind not in EXPECTED[self.state] and kind in MANNERS | DATA:
            self._events.append(Note(f"out of turn: {message.type}"))
        if kind in MANNERS:
            getattr(self, f"_{kind.lower()}")(message, now)
        elif kind in DATA:
            self._data(message, document.raw, now)
        else:
            self._receive(document.raw, message.control_id, "unknown")

    def _data(self, message: Message, raw: bytes, now: float) -> None:
        self._timers.pop("overdue", None)
        if self._waiting is not None and self._waiting.until == "topic":
            self._timers["answer"] = now + self._limit
        if raw == self._last:
            self._events.append(Note("block repeated"))
            self._acknowledge(message.control_id, "")
            return
        self._receive(raw, message.control_id, "")

    def _receive(self, raw: bytes, control_id: str, refused: str) -> None:
        """Something to be stored before it is answered."""
        self._pending = BlockReceived(raw, raw, 0)
        self._verdict = (control_id, refused)
        self._events.append(self._pending)

    def _hel(self, message: Message, now: float) -> None:
        """A conversation begins; what was open in the one before is over."""
        if self._waiting is not None or self._jobs:
            self._events.append(Note("conversation begun anew"))
        self._waiting = None
        self._jobs.clear()
        for name in ("answer", "overdue", "quiet", "turn"):
            self._timers.pop(name, None)
        self._last = b""
        self.hello = poct1a.hello(message)
        wanted = self.hello.timeout
        self._limit = min(max(wanted, SHORTEST), LONGEST) if wanted else self._options.answer_limit
        self.state = State.GREETED
        self._events.append(Greeted(self.hello))
        self._acknowledge(message.control_id, "")

    def _dst(self, message: Message, now: float) -> None:
        told = poct1a.status(message)
        self._events.append(Told(told))
        self._acknowledge(message.control_id, "")
        if self.state is State.CONTINUOUS:
            if told.observations:
                self._timers["overdue"] = now + self._options.overdue
            return
        if self.state is not State.TALKING:
            self.state = State.TALKING
            self._ask(told)
            self._plan()
        elif self._waiting is None and not self._jobs:  # it stays on the line and has something new
            self._ask(told)

    def _ask(self, told: Status) -> None:
        """Ask for what it has."""
        if told.observations is None or told.observations:
            self._jobs.append(_request("ROBS", "observations"))
        if self._options.events and told.events:
            self._jobs.append(_request("RDEV", "events"))

    def _plan(self) -> None:
        """What else is to be said in this conversation."""
        options, directives = self._options, self.hello.directives
        if options.set_time and "SET_TIME" in directives:
            self._jobs.append(_Job("time", "DTV.R02", [group("DTV", item("DTV.command_cd", "SET_TIME"))]))
        if self._operators is not None and self.hello.takes_operators:
            self._jobs += self._operator_jobs(self._operators)
        if options.continuous and "START_CONTINUOUS" in directives:
            body = [group("DTV", item("DTV.command_cd", "START_CONTINUOUS"))]
            self._jobs.append(_Job("continuous", "DTV.R01", body))
        elif options.end:
            self._jobs.append(_Job("end", "END.R01", [group("TRM", item("TRM.reason_cd", "NRM"))]))

    def _operator_jobs(self, operators: Sequence[Operator]) -> list[_Job]:
        """The complete list in messages that the device can take, closed by an end of topic."""
        room = self.hello.max_message or 0
        room = room if room >= SMALLEST_MESSAGE else 16_000
        empty = len(self._written("OPL.R01", [], "0" * 9))
        jobs: list[_Job] = []
        body: list[Element] = []
        size = empty
        for one in operators:
            made = poct1a.operator(one)
            length = len(self._written("OPL.R01", [made], "0" * 9)) - empty
            if body and size + length > room:
                jobs.append(_Job("operators", "OPL.R01", body))
                body, size = [], empty
            body.append(made)
            size += length
        jobs.append(_Job("operators", "OPL.R01", body))
        topic = [item("EOT.topic_cd", self._options.operator_topic)]
        topic.append(item("EOT.update_dttm", poct1a.moment(self._clock())))
        jobs.append(_Job("operators", "EOT.R01", [group("EOT", *topic)]))
        return jobs

    def _ack(self, message: Message, now: float) -> None:
        answer = poct1a.acknowledgement(message)
        job = self._waiting
        if job is None or (answer.of and not poct1a.same_id(answer.of, job.control_id)):
            self._events.append(Note("acknowledgement of nothing"))
            return
        if not answer.accepted:
            self._failed(job, answer.note)
        elif job.until == "ack":
            self._done(job, now)
        else:
            self._timers["answer"] = now + self._limit

    def _done(self, job: _Job, now: float) -> None:
        self._waiting = None
        self._timers.pop("answer", None)
        if job.what == "continuous":
            self.state = State.CONTINUOUS
            self._events.append(Note("continuous"))
            if self._options.keep_alive:
                self._timers["quiet"] = now + self._options.keep_alive
        elif job.what == "end":
            self._over("all said")

    def _failed(self, job: _Job, note: str) -> None:
        self._waiting = None
        self._timers.pop("answer", None)
        self._events.append(Note(f"refused: {job.what} {note}".rstrip()))
        if job.what == "operators":  # the rest of a list that is refused is not worth sending
            self._jobs = deque(other for other in self._jobs if other.what != "operators")
        elif job.what == "end":
            self._over("end refused")

    def _eot(self, message: Message, now: float) -> None:
        if self._options.ack_end_of_topic:
            self._acknowledge(message.control_id, "")
        job = self._waiting
        if job is not None and job.until == "topic":
            self._done(job, now)

    def _kpa(self, message: Message, now: float) -> None:
        self._acknowledge(message.control_id, "")

    def _end(self, message: Message, now: float) -> None:
        self._acknowledge(message.control_id, "")
        self._over(f"device {message.value('TRM', 'TRM.reason_cd')}".rstrip())

    def _esc(self, message: Message, now: float) -> None:
        """It cannot go on with something; an escape is never answered."""
        said = message.root.first("ESC") or Element("ESC")
        note = f"{said.value('ESC.detail_cd')} {said.value('ESC.note_txt')}".strip()
        job = self._waiting
        if job is not None and poct1a.same_id(said.value("ESC.esc_control_id"), job.control_id):
            self._failed(job, note)
        else:
            self._events.append(Note(f"escaped: {note}"))

    def _req(self, message: Message, now: float) -> None:
        """The device asks. Only a question about one number can be answered."""
        asked = message.root.first("REQ") or Element("REQ")
        code = asked.value("REQ.request_cd")
        identifier = asked.value("PT", "PT.patient_id") or message.value("PT", "PT.patient_id")
        if code == "RPAT" and self._options.patients and identifier:
            self._events.append(Asked(message.control_id, identifier))
            return
        self._events.append(Note(f"asked: {code}"))
        self._escape(message.control_id, "not supported")

    # ---- what goes

    def _put(self, job: _Job, now: float) -> None:
        self._count += 1
        job.control_id = str(self._count)
        body = job.body
        if job.what == "time":
            body = [*body, group("TM", item("TM.dttm", poct1a.moment(self._clock())))]
        if job.what == "end":
            self.state = State.ENDING
        self._write(self._written(job.kind, body, job.control_id))
        self._waiting = job
        self._timers["answer"] = now + self._limit

    def _acknowledge(self, control_id: str, refused: str) -> None:
        self._count += 1
        body = [item("ACK.type_cd", "AE" if refused else "AA"), item(f"ACK.{self._options.ack_id}", control_id)]
        if refused:
            body.append(item("ACK.note_txt", VERDICTS[refused]))
        self._write(self._written("ACK.R01", [group("ACK", *body)], str(self._count)))

    def _escape(self, control_id: str, note: str) -> None:
        self._count += 1
        said = [item("ESC.esc_control_id", control_id), item("ESC.detail_cd", "OTH"), item("ESC.note_txt", note)]
        self._write(self._written("ESC.R01", [group("ESC", *said)], str(self._count)))

    def _written(self, kind: str, body: Sequence[Element], control_id: str) -> bytes:
        return poct1a.build(kind, Head(control_id, self._clock()), *body)

    def _write(self, document: bytes) -> None:
        wrapped = self._wrapped if self._options.framing == "auto" else self._options.framing == "mllp"
        self._out += b"\x0b" + document + b"\x1c\r" if wrapped else document
        self._free_at = self._now + self._options.turnaround

    # ---- time, and the end

    def _expired(self, name: str, now: float) -> None:
        if name == "listen" and self._pending is not None:
            self._timers["listen"] = now + self._options.listen_limit  # it waits for our disk, not we for it
        elif name == "listen":
            self._give_up_document(Why.SILENCE)
        elif name == "overdue":
            if self._waiting is None and not self._jobs:
                self._jobs.append(_request("ROBS", "observations"))
        elif name == "quiet":
            if self._waiting is None and not self._jobs:
                self._jobs.append(_Job("keep alive", "KPA.R01"))
        elif name == "answer" and self._waiting is not None:
            self._unanswered(self._waiting)

    def _unanswered(self, job: _Job) -> None:
        self._waiting = None
        if job.what == "end":
            self._over("end unanswered")
            return
        self._events.append(SendFailed(job.what, Why.NO_REPLY))
        if job.what == "operators":
            self._jobs = deque(other for other in self._jobs if other.what != "operators")
        elif job.what == "keep alive":
            self._over("device gone")

    def _give_up_document(self, why: Why) -> None:
        given_up = self._reader.give_up()
        if isinstance(given_up, Refused):
            self._events.append(BlockRefused(given_up.raw, why))
        elif given_up is not None:
            self._events.append(Ignored(given_up.raw))

    def _over(self, why: str) -> None:
        self.state = State.ENDED
        self._waiting = None
        self._jobs.clear()
        self._timers.clear()
        self._events.append(Ended(why))

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _request(code: str, what: str) -> _Job:
    """Ask for everything of a topic; the device ends it with EOT."""
    return _Job(what, "REQ.R01", [group("REQ", item("REQ.request_cd", code))], until="topic")
