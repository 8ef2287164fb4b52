"""The IHE LAW analyzer manager in the gateway: which answers a message gets, which work goes where.

One for the whole gateway. Lines whose definition is held to the profile pass through it; all others go as they always
did. Settings of a line: `is_hatti` (name of the line that carries LAB-28; none: the same connection), `is_dagitimi`
("sorgu" or "yayin"), `gondericiler` ({MSH-3: line} where several analysers share a connection), and the times of
`WorkTiming`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from drivers.definition import Definition, Reading
from drivers.gateway.collector import Collected
from drivers.gateway.line import LineBook, LineSpec
from drivers.gateway.work_line import Desk, WorkLine, WorkTiming, Writing
from drivers.language import Law
from drivers.law_reading import LawReading, control_id_of, judge, law_of, read_law, refined
from drivers.messages import Query, Shipment, WorkOrder
from drivers.protocols import hl7
from drivers.protocols.law import given

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway

REMEMBERED = 2000
"""Answers kept to be given again to a message that is repeated (LAW-F.74)."""


class LawManager:
    """Use from the gateway's event loop."""

    def __init__(self, gateway: Gateway, desk: Desk | None) -> None:
        self._gateway = gateway
        self._desk = desk
        self._work: dict[str, WorkLine] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._answered: OrderedDict[bytes, list[bytes]] = OrderedDict()
        self._serials: dict[str, set[str]] = {}

    # ---- lines

    def open_line(self, book: LineBook, definition: Definition) -> None:
        """A line was opened: if it carries work, its work starts. Raises ValueError for wrong settings."""
        law = law_of(definition.file)
        spec = book.spec
        if law is None or self._desk is None or work_line_of(spec) != spec.name:
            return
        broadcast = spec.settings.get("is_dagitimi", "yayin" if law.mode == "broadcast" else "sorgu") == "yayin"
        line = WorkLine(book, self._desk, self._writer(definition, law), WorkTiming.of(spec.settings), broadcast)
        self._work[spec.name] = line
        self._tasks[spec.name] = asyncio.create_task(line.run())

    async def close_line(self, name: str) -> None:
        self._work.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def connected(self, book: LineBook) -> None:
        if (line := self._work.get(book.spec.name)) is not None:
            line.connected()

    def disconnected(self, book: LineBook) -> None:
        if (line := self._work.get(book.spec.name)) is not None and not book.sessions:
            line.disconnected()

    # ---- messages in

    def line_for(self, book: LineBook, text: bytes) -> str:
        """The line that a message belongs to: where several analysers share a connection, by MSH-3."""
        senders = book.spec.settings.get("gondericiler")
        if not senders:
            return book.spec.name
        fields = text[:400].split(text[3:4] or b"|")
        sender = fields[2].decode("utf-8", "replace").split("^")[0].strip() if len(fields) > 2 else ""
        return str(senders.get(sender, book.spec.name))

    def read(
        self, definition: Definition, text: bytes, reading: Reading, book: LineBook | None = None
    ) -> LawReading | None:
        """Judge a message and read its work steps; corrects `reading`. None for a line that is not LAW."""
        law = law_of(definition.file)
        if law is None:
            return None
        read = read_law(text, reading.observations, definition.file, law)
        if read.verdict.code != "AA":
            reading.observations = []
            reading.queries = []
            reading.problem = read.problem
            if reading.kind != "ack":
                reading.kind = "other"
        reading.queries = [refined(query) for query in reading.queries]
        if book is not None:
            self._look_at_devices(book, read)
        return read

    def _look_at_devices(self, book: LineBook, read: LawReading) -> None:
        """A serial number that this line never showed is told to people (LAW-F.80): a module was changed, or another
        analyser talks here. `seri_numaralari` of the line names those that are expected."""
        expected = set(book.spec.settings.get("seri_numaralari", ()))
        seen = self._serials.setdefault(book.spec.name, set())
        for serial in {detail.serial for step in read.steps for detail in step.results if detail.serial}:
            if serial in seen:
                continue
            seen.add(serial)
            if serial not in expected:
                tell = book.trouble if expected else book.note
                tell(f"Bu hatta {serial} seri numaralı bir cihazdan sonuç geldi.")

    def take_answer(self, text: bytes) -> None:
        """An answer to a message of ours, on whatever connection it came."""
        try:
            message = hl7.parse(text)
        except hl7.Hl7Error:
            return
        control_id = control_id_of(message)
        for line in self._work.values():
            if line.answered(control_id, message):
                return

    # ---- answers out

    def acknowledgements(
        self, book: LineBook, definition: Definition, message: Collected, reading: Reading | None
    ) -> list[bytes] | None:
        """The answers to a stored message in the mode that it asks for; None where the line is not LAW.

        Original mode and NE|AL, ER|AL: one application answer. Accept AL: a commit acknowledgement before it (and alone
        where MSH-16 is NE). Answers get none, save a commit acknowledgement that they ask for.
        """
        if law_of(definition.file) is None:
            return None
        try:
            request = hl7.parse(message.text)
        except hl7.Hl7Error:
            return []
        key = hashlib.sha256(book.spec.name.encode() + b"\0" + message.text).digest()
        if (known := self._answered.get(key)) is not None:
            return known
        answers = self._acknowledgements(request, message, reading)
        self._answered[key] = answers
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return answers

    def _acknowledgements(self, request: hl7.Message, message: Collected, reading: Reading | None) -> list[bytes]:
        mode = hl7.ack_mode(request)
        answer = reading is not None and reading.kind == "ack"
        verdict = judge(message.text)
        ok = verdict.code == "AA"
        now = datetime.now(self._gateway.zone)
        found: list[bytes] = []
        if mode.enhanced and mode.wants_accept(ok) and mode.accept in ("AL", "SU"):
            found.append(hl7.acknowledge(request, "CA", control_id=self._gateway.next_control_id(), now=now))
        application = mode.application if request.msh.get(16) else "AL"
        if not answer and (application == "AL" or application == ("SU" if ok else "ER")):
            found.append(
                hl7.acknowledge(
                    request,
                    verdict.code,
                    control_id=self._gateway.next_control_id(),
                    now=now,
                    errors=verdict.errors,
                )
            )
        return found

    async def answers(
        self, book: LineBook, definition: Definition, query: Query, text: bytes
    ) -> tuple[list[bytes], list[Shipment]] | None:
        """The answer to a query and the work that follows it; None where no desk gives out work on this line."""
        if law_of(definition.file) is None or self._desk is None:
            return None
        line = self.line_for(book, text)
        if work_line_of(book.spec) not in self._work and line not in self._work:
            return None
        orders = await self._desk.answer(line, query)
        for order in orders:
            if order.reason:
                book.note(order.reason)
        messages = self._gateway.write(definition, query, orders)
        return messages[:1], [shipment_of(payload) for payload in messages[1:]]

    async def ship(self, book: LineBook, shipments: Sequence[Shipment], session: Writing, text: bytes) -> None:
        """Hand the work to the line that carries it."""
        if not shipments:
            return
        line = self.line_for(book, text)
        name = line if line in self._work and line != book.spec.name else work_line_of(book.spec)
        here = name == book.spec.name
        await self._work[name].ship(shipments, session if here else None)

    def _writer(self, definition: Definition, law: Law) -> Writes:
        return Writes(self._gateway, definition)


class Writes:
    """Messages for work that nobody asked for."""

    def __init__(self, gateway: Gateway, definition: Definition) -> None:
        self._gateway = gateway
        self._definition = definition

    def __call__(self, orders: Sequence[WorkOrder]) -> list[Shipment]:
        return [shipment_of(payload) for payload in self._gateway.write_work(self._definition, orders)]


def work_line_of(spec: LineSpec) -> str:
    """The line that carries the work of this one's analyser."""
    return str(spec.settings.get("is_hatti") or spec.name)


def shipment_of(payload: bytes) -> Shipment:
    """What a message of ours holds, read back from its bytes."""
    message = hl7.parse(payload)
    orders = message.all("ORC")
    action = next((one.get(1) for one in orders if one.get(1) in ("NW", "CA", "DC")), "NW")
    container = message.first("SAC")
    return Shipment(
        control_id=message.control_id,
        payload=payload,
        kind=action,  # type: ignore[arg-type]  # one of the three, see above
        container=given(container, 3) if container is not None else "",
        references=[number for one in message.all("OBR") if (number := given(one, 2))],
    )
