"""The gateway: every line, the spool behind them, and the way of a message from there to the core.

`answer` asks the core what a tube needs, `deliver` hands a message over and may wait, `confirmed` is called back when
it is safe in the database. When the core cannot keep up or is away, messages wait on disk, not in memory.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.definition import Catalog, Definition, DefinitionError, Reading
from drivers.gateway.astm_session import AstmSession
from drivers.gateway.collector import Collected, Collector, body_of
from drivers.gateway.folder_line import FolderIntake, file_key
from drivers.gateway.law_manager import LawManager
from drivers.gateway.line import LineBook, LineSpec
from drivers.gateway.mllp_session import MllpSession, readable
from drivers.gateway.poct1a_session import Poct1aSession
from drivers.gateway.pushing import LoadDesk, PushLine, wanted
from drivers.gateway.spool import Frame, Place, Spool
from drivers.gateway.text_session import TextCollector, TextSession
from drivers.gateway.work_line import Desk, Writing
from drivers.links.endpoints import Endpoint, SerialPort, TcpClient, TcpServer
from drivers.links.folder import WatchedFolder
from drivers.links.gate import LineSecurity
from drivers.messages import Delivery, Query, Shipment, WorkOrder
from drivers.protocols import hl7
from drivers.protocols.astm_link import LinkOptions
from drivers.protocols.mllp import MllpOptions
from drivers.protocols.poct1a_words import Poct1aOptions
from drivers.protocols.text_link import TextLink
from drivers.protocols.text_links import make_link

log = logging.getLogger(__name__)

AnswerQuery = Callable[[str, Query], Awaitable[Sequence[WorkOrder]]]
Deliver = Callable[[Delivery], Awaitable[None]]

IN_MEMORY = 1000
"""Messages that wait with their content; of the ones behind them only the place in the spool is kept."""
AGAIN_SECONDS = 1.0
SENDER = "NUMUNE"


class Gateway:
    """Owns the lines. One per process; use from one event loop."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        *,
        answer: AnswerQuery,
        deliver: Deliver,
        zone: ZoneInfo,
        desk: Desk | None = None,
        loads: LoadDesk | None = None,
        security: LineSecurity | None = None,
    ) -> None:
        self.spool = Spool(folder)
        self.catalog = catalog
        self.lines: dict[str, LineBook] = {}
        self.zone = zone
        self.security = security or LineSecurity()
        self._answer_query = answer
        self._deliver = deliver
        self._endpoints: dict[str, Endpoint] = {}
        self._pending: deque[tuple[Collected, Delivery | None]] = deque()
        self._arrived = asyncio.Event()
        self._unconfirmed: dict[str, tuple[Place, ...]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._feeder: asyncio.Task[None] | None = None
        self._sites: dict[str, Definition] = {}
        """Definitions with the settings of one line's machine."""
        self._control = 0
        self._run = secrets.token_hex(4)
        self.law = LawManager(self, desk)
        self._loads = loads
        self._pushing: dict[str, asyncio.Task[None]] = {}

    # -- starting and stopping

    async def start_lines(self, specs: Iterable[LineSpec]) -> None:
        """Open the spool, take up what a dead process left in it, open the lines."""
        left = self.spool.open()
        known = {spec.name: spec for spec in specs}
        self._recover(left, known)
        self._feeder = asyncio.create_task(self._feed())
        await self.apply(known.values())

    async def apply(self, specs: Iterable[LineSpec]) -> None:
        """Make the open lines equal to these: new ones open, changed ones reopen, missing ones close. No restart."""
        wanted = {spec.name: spec for spec in specs}
        for name in list(self._endpoints):
            if wanted.get(name) != self.lines[name].spec:
                await self._close_line(name)
        for name, spec in wanted.items():
            if name not in self._endpoints:
                await self._open_line(spec)

    async def use(self, catalog: Catalog) -> None:
        """Definitions changed: messages are read by these from now on. A line whose link they set up otherwise, or
        that has none any more, closes here and reopens with the next `apply`."""
        before, self.catalog = self.catalog, catalog
        for name in list(self._endpoints):
            key = self.lines[name].spec.definition
            if _link_options(before, key) != _link_options(catalog, key):
                await self._close_line(name)

    async def _open_line(self, spec: LineSpec) -> None:
        book = LineBook(spec)
        if (before := self.lines.get(spec.name)) is not None:
            book.follows(before)
        self.lines[spec.name] = book
        try:
            endpoint = self._endpoint(book)
        except (ValueError, KeyError, TypeError) as error:
            book.trouble(f"Hat açılamadı: {error}")
            return
        self._endpoints[spec.name] = endpoint
        await endpoint.start()
        self.law.open_line(book, self.definition_of(spec))
        if self._loads is not None and spec.kind != "klasor" and wanted(self, spec):
            self._pushing[spec.name] = asyncio.create_task(PushLine(self, book, self._loads).run())

    def _endpoint(self, book: LineBook) -> Endpoint:
        spec = book.spec
        definition = self.catalog.get(spec.definition)
        if definition.protocol != spec.protocol:
            raise ValueError(f"{definition.key} tanımı {definition.protocol}, hat ise {spec.protocol} konuşuyor")
        definition = definition.at_site(spec.settings.get("parametre") or {})
        if spec.kind == "klasor":
            return WatchedFolder(spec.address, FolderIntake(self, book).take, book.endpoint, spec.settings)
        chosen = _chosen(definition, spec)

        def session() -> asyncio.Protocol:
            if spec.protocol in ("metin", "tablo"):
                return TextSession(self, book, text_link(definition, chosen), answers=definition.answers)
            if spec.protocol == "hl7":
                return MllpSession(self, book, MllpOptions(**chosen))
            if spec.protocol == "poct1a":
                return Poct1aSession(self, book, Poct1aOptions(**chosen))
            return AstmSession(self, book, LinkOptions(**chosen))

        session()  # wrong options show now, not when the instrument calls
        if spec.kind == "tcp-istemci":
            return TcpClient(spec.address, session, book.endpoint, self.security.files_of(spec.settings))
        if spec.kind == "seri":
            return SerialPort(spec.address, session, book.endpoint, spec.settings)
        return TcpServer(spec.address, session, book.endpoint, self.security.gate(spec.settings, book.refused))

    async def _close_line(self, name: str) -> None:
        await self.law.close_line(name)
        if (pushing := self._pushing.pop(name, None)) is not None:
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
        endpoint = self._endpoints.pop(name)
        await endpoint.stop()
        for session in list(self.lines[name].sessions):
            session.close()

    async def stop(self) -> None:
        """Close the lines, finish the answers under way, write what waits."""
        for name in list(self._endpoints):
            await self._close_line(name)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        if self._feeder is not None:
            self._feeder.cancel()
        await self.spool.close()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the line; a failure is logged, never lost in silence."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("line task failed", exc_info=error, extra={"action": "line_task_failed"})

    # -- messages in

    def received(self, book: LineBook, message: Collected) -> tuple[list[Query], Reading | None]:
        """A stored message whose sender waits for more than its acknowledgement: read it now, send it on its way.

        Returns the queries that want an answer, and all that it says.
        """
        delivery, reading = self._read(message)
        queries = [query for query in reading.queries if not query.cancels] if reading else []
        book.received(query=bool(reading and reading.queries))
        if delivery.problem:
            book.trouble(delivery.problem)
        self._unconfirmed[message.key] = message.places
        if reading is not None and reading.kind == "ack":
            self.law.take_answer(message.text)
            self.confirmed([message.key])  # an answer to our own message: nothing to store
        else:
            self._enqueue(message, delivery)
        return queries, reading

    def kept(self, book: LineBook, message: Collected) -> None:
        """A stored message that asks nothing: it is read when its turn comes, after those who wait for an answer."""
        book.received(query=False)
        self._unconfirmed[message.key] = message.places
        self._enqueue(message, None)

    def _read(self, message: Collected) -> tuple[Delivery, Reading | None]:
        book = self.lines.get(message.line)
        definition = self.definition_of(book.spec) if book else self.catalog.generic("astm")
        reading = None
        if message.foreign and definition.protocol == "astm":
            definition = self.catalog.inside(definition) if readable(message.text) else definition
        if message.whole:
            reading = definition.read(message.text)
        whole = message.whole and (reading is None or reading.whole)
        law = self.law.read(definition, message.text, reading, book) if reading is not None else None
        if law is not None and law.problem and reading is not None:
            reading.problem = reading.problem or law.problem
        return (
            Delivery(
                key=message.key,
                line=self.law.line_for(book, message.text) if book else message.line,
                received_at=datetime.fromtimestamp(message.received_ns / 1e9, UTC),
                protocol=definition.protocol,
                raw=message.raw,
                fingerprint=reading.fingerprint if reading else b"",
                timed=reading.timed if reading else False,
                definition=definition.key,
                revision=definition.revision,
                observations=reading.observations if reading and whole else [],
                queries=len(reading.queries) if reading else 0,
                problem=message.problem or (reading.problem if reading else None),
                whole=whole,
                steps=law.steps if law is not None else [],
                body=body_of(message.text) if definition.protocol == "astm" else b"",
            ),
            reading,
        )

    def definition_of(self, spec: LineSpec) -> Definition:
        """What reads the messages of this line, with the settings of its machine; a generic one where there is none."""
        try:
            definition = self.catalog.get(spec.definition)
        except KeyError:
            return self.catalog.generic(spec.protocol)
        given = spec.settings.get("parametre")
        if not given:
            return definition
        known = self._sites.get(spec.name)
        if known is None or known.file is not definition.file or known.parameters != given:
            try:
                known = self._sites[spec.name] = definition.at_site(given)
            except DefinitionError:
                return self.catalog.generic(spec.protocol)  # reads nothing into columns that are somewhere else
        return known

    def _enqueue(self, message: Collected, delivery: Delivery | None) -> None:
        if len(self._pending) < IN_MEMORY or not message.alone:
            self._pending.append((message, delivery))
        else:
            self._pending.append((replace(message, text=b"", raw=b""), None))
        self._arrived.set()

    async def _feed(self) -> None:
        """Hand messages to the core in the order of their arrival, as fast as it takes them."""
        while True:
            while self._pending:
                message, delivery = self._pending.popleft()
                await self._hand_over(delivery if delivery is not None else self._late(message))
                await asyncio.sleep(0)  # one message is a fraction of a millisecond; the lines go first
            self._arrived.clear()
            await self._arrived.wait()

    async def _hand_over(self, delivery: Delivery) -> None:
        """A fault on the core's side is told and tried again: it must not end the feed of every line."""
        while True:
            try:
                await self._deliver(delivery)
                return
            except Exception:
                log.exception("message not taken over", extra={"action": "delivery_failed", "key": delivery.key})
                if (book := self.lines.get(delivery.line)) is not None:
                    book.trouble("Mesaj çekirdeğe verilemedi; diskte bekliyor, yeniden deneniyor.")
            await asyncio.sleep(AGAIN_SECONDS)

    def _late(self, message: Collected) -> Delivery:
        """Read a message whose turn has come."""
        delivery = self._read(message)[0] if message.raw else self._again(message)
        if delivery.problem and (book := self.lines.get(message.line)) is not None:
            book.trouble(delivery.problem)
        return delivery

    def _again(self, message: Collected) -> Delivery:
        """Read a message back from the spool."""
        try:
            frames = [(place, self.spool.read(place)) for place in message.places]
        except LookupError as error:
            log.error("spool entry lost", exc_info=error, extra={"action": "spool_read_failed", "key": message.key})
            problem = "Mesaj diskten okunamadı; cihazdan yeniden isteyin."
            return self._read(replace(message, whole=False, problem=problem))[0]
        collected = self._collect(frames)
        whole = next((found for found in collected if found.key == message.key), None)
        return self._read(whole or replace(message, whole=False, problem="Mesaj diskten okunamadı."))[0]

    def confirmed(self, keys: Sequence[str]) -> None:
        """These messages are committed in the database: the spool may forget them."""
        places: list[Place] = []
        for key in keys:
            places += self._unconfirmed.pop(key, ())
        self.spool.delivered(places)

    @property
    def backlog(self) -> int:
        """Messages on the way that the database has not confirmed."""
        return len(self._unconfirmed)

    # -- after a crash

    def _recover(self, left: list[tuple[Place, Frame]], specs: dict[str, LineSpec]) -> None:
        """What was acknowledged but not confirmed goes the same way again, under the same keys."""
        for spec in specs.values():
            self.lines.setdefault(spec.name, LineBook(spec))
        transfers: dict[tuple[str, int], list[tuple[Place, Frame]]] = {}
        for place, frame in left:
            transfers.setdefault((frame.line, frame.transfer), []).append((place, frame))
        for frames in transfers.values():
            for message in self._collect(frames):
                self._unconfirmed[message.key] = message.places
                self._enqueue(message, None)
        if left:
            log.info("spool taken up", extra={"action": "spool_recovered", "frames": len(left)})

    def _collect(self, frames: list[tuple[Place, Frame]]) -> list[Collected]:
        line = frames[0][1].line
        book = self.lines.get(line)
        if book is not None and book.spec.protocol in ("hl7", "poct1a"):
            return [
                Collected(line, f"{self.spool.identity}-{p.number}", f.received_ns, f.text, f.raw, (p,))
                for p, f in frames
            ]
        if book is not None and book.spec.kind == "klasor":
            return [Collected(line, file_key(line, f.text), f.received_ns, f.text, f.raw, (p,)) for p, f in frames]
        if book is not None and book.spec.protocol in ("metin", "tablo"):
            return self._collect_texts(book.spec, frames)
        chosen = _chosen(self.definition_of(book.spec), book.spec) if book is not None else {}
        collector = Collector(self.spool.identity, line, announced=bool(chosen.get("require_enq", True)))
        found: list[Collected] = []
        for place, frame in frames:
            found += collector.take(place, frame.received_ns, frame.raw, frame.text, frame.last)
        return found + collector.finish(broken=True)

    def _collect_texts(self, spec: LineSpec, frames: list[tuple[Place, Frame]]) -> list[Collected]:
        collector = TextCollector(self.spool.identity, spec.name, self._join_of(spec))
        found: list[Collected] = []
        for place, frame in frames:
            found += collector.take(place, frame.received_ns, frame.raw, frame.text, frame.last)
        return found + collector.finish()

    def _join_of(self, spec: LineSpec) -> bytes:
        """What stands between the blocks of one message on this line."""
        definition = self.definition_of(spec)
        if definition.file.wire is None:
            return b""
        try:
            return text_link(definition, _chosen(definition, spec)).join
        except (ValueError, KeyError, TypeError):  # the line was given words that no link has; its screen says so
            return text_link(definition, definition.link_options()).join

    # -- answers out

    async def answer(self, book: LineBook, query: Query) -> list[bytes]:
        """The messages that answer a query: work, or the protocol's own way of saying that there is none."""
        definition = self.definition_of(book.spec)
        if not definition.answers:
            book.note(f"Cihaz iş listesi sordu; {definition.key} tanımı yanıt vermez (yalnız dinler).")
            return []
        orders = await self.orders_for(book, query)
        return self.write(definition, query, orders) if orders is not None else []

    async def orders_for(self, book: LineBook, query: Query) -> Sequence[WorkOrder] | None:
        """What the core says to a query; None where it could not be asked, and a person has been told so."""
        try:
            orders = await self._answer_query(book.spec.name, query)
        except Exception:
            # Whatever went wrong, the instrument must not wait for its time-out and the technician must see it.
            log.exception("query not answered", extra={"action": "query_failed", "line": book.spec.name})
            book.trouble("Sorgu yanıtlanamadı (veritabanı); cihaza bekleyen iş yok denmedi, yeniden sorması beklenir.")
            return None
        for order in orders:
            if order.reason:
                book.note(order.reason)
        return orders

    async def answers(self, book: LineBook, query: Query, message: Collected) -> tuple[list[bytes], list[Shipment]]:
        """What answers a query on its own connection, and the work that goes after it (HL7 LAW), perhaps elsewhere."""
        definition = self.definition_of(book.spec)
        try:
            found = await self.law.answers(book, definition, query, message.text)
        except Exception:
            log.exception("query not answered", extra={"action": "query_failed", "line": book.spec.name})
            book.trouble("Sorgu yanıtlanamadı (veritabanı); cihaza bekleyen iş yok denmedi, yeniden sorması beklenir.")
            return [], []
        return found if found is not None else (await self.answer(book, query), [])

    async def ship(self, book: LineBook, work: Sequence[Shipment], session: Writing, message: Collected) -> None:
        """Send the work that a query asked for."""
        await self.law.ship(book, work, session, message.text)

    def write(self, definition: Definition, query: Query, orders: Sequence[WorkOrder]) -> list[bytes]:
        """The messages of a definition that answer a query."""
        return definition.answer(
            query, orders, now=datetime.now(self.zone), sender=SENDER, control_id=self.next_control_id()
        )

    def write_work(self, definition: Definition, orders: Sequence[WorkOrder]) -> list[bytes]:
        """The messages of a definition that give work without being asked."""
        return definition.work(orders, now=datetime.now(self.zone), sender=SENDER, control_id=self.next_control_id)

    def write_push(self, definition: Definition, order: WorkOrder) -> bytes:
        """The message of an order that an ASTM analyser did not ask for."""
        return definition.push(order, now=datetime.now(self.zone), sender=SENDER, control_id=self.next_control_id())

    def connected(self, book: LineBook) -> None:
        """A session of an HL7 line came up."""
        self.law.connected(book)

    def disconnected(self, book: LineBook) -> None:
        self.law.disconnected(book)

    def frames(self, book: LineBook, message: bytes) -> list[bytes]:
        """A message cut for this line."""
        return self.definition_of(book.spec).frames(message)

    def acknowledgements(self, book: LineBook, message: Collected, reading: Reading | None) -> list[bytes]:
        """The HL7 answers to a stored message, in the order to send them."""
        found = self.law.acknowledgements(book, self.definition_of(book.spec), message, reading)
        if found is not None:
            return found
        single = self.acknowledgement(message, reading)
        return [] if single is None else [single]

    def acknowledgement(self, message: Collected, reading: Reading | None) -> bytes | None:
        """The HL7 answer to a stored message; None where none is due. Content that cannot be bound is still AA:
        it is kept and a person decides. AE is for what nobody can read."""
        request = readable(message.text)
        if request is None or (reading is not None and reading.kind == "ack"):
            return None
        problem = reading.problem if reading is not None and not reading.observations else None
        return hl7.acknowledge(
            request,
            "AA" if problem is None else "AE",
            control_id=self.next_control_id(),
            now=datetime.now(self.zone),
            text=problem or "",
        )

    def next_control_id(self) -> str:
        """MSH-10 of our own messages, unique over restarts."""
        self._control += 1
        return f"N{self._run}-{self._control:x}"


def _link_options(catalog: Catalog, key: str) -> dict[str, Any] | None:
    if key not in catalog:
        return None
    definition = catalog.get(key)
    wire = definition.file.wire
    return {
        **definition.link_options(),
        "tur": wire.kind if wire is not None else None,
        "yanit": definition.answers,
        "is": definition.file.push,
    }


def _chosen(definition: Definition, spec: LineSpec) -> dict[str, Any]:
    """The options of a line's link: the model's, and what this line was given besides."""
    return {**definition.link_options(), **spec.settings.get("hat", {})}


def text_link(definition: Definition, options: dict[str, Any]) -> TextLink:
    """A link of this model. Raises ValueError: an option that it does not have, or a model that has no line."""
    if definition.file.wire is None:
        raise ValueError(f"{definition.key} yalnız klasörden dosya okur")
    chosen = dict(options)
    return make_link(chosen.pop("tur", definition.file.wire.kind), chosen)
