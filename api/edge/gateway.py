"""`numune gateway`: a gateway in a house of its own, behind a line that may be cut (invariant 10).

Needs no database. What it is (lines, instruments, site definitions) and what is to be run come from the centre over the
broker and are kept on its disk; host queries are answered from there, results wait in the spool.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import tomllib
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from api.edge.broker import Broker
from api.edge.line_post import EdgePost
from api.edge.link import CentreLink
from api.edge.page import LocalPage
from api.edge.papers import program_version
from api.edge.remote_desk import RemoteDesk
from api.edge.store import EdgeStore
from api.line_desk import LineDesk
from api.linebook import line_report
from api.loops import ended
from drivers.definition import Catalog, load_catalog
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.links.gate import LineSecurity
from drivers.messages import Delivery, Query, WorkOrder
from drivers.outgoing import Outgoing, put_in_force
from lis_core import logs
from lis_core.domain.edge import (
    GATEWAY_NAME,
    EdgeConfiguration,
    EdgeLine,
    EdgeStatus,
    after_given,
    edge_answer,
    without,
)
from lis_core.domain.offering import Sheet
from lis_core.settings import ISTANBUL

log = logging.getLogger(__name__)

COPY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """The gateway's own file: who it is, where the broker is. Everything else comes from the centre."""

    name: str
    broker: Broker
    folder: Path
    page: str = "127.0.0.1:8090"
    outgoing: Outgoing = field(default_factory=Outgoing)
    """Where its lines may call, and which folders they may watch: table `[giden]`."""
    security: LineSecurity = field(default_factory=LineSecurity)
    """`[ag]` and `[tls.*]`: who may connect to its lines, and with which certificates."""

    @classmethod
    def read(cls, path: Path) -> EdgeSettings:
        """Raises ValueError with a Turkish sentence."""
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        name, url = str(values.get("ad", "")), str(values.get("araci", ""))
        if not GATEWAY_NAME.fullmatch(name):
            raise ValueError("`ad` küçük harf, rakam ve tireden oluşan geçit adıdır (merkezdeki ad)")
        base = path.parent

        def place(key: str) -> Path | None:
            return base / str(values[key]) if values.get(key) else None

        broker = Broker(url, place("yetkili"), place("sertifika"), place("anahtar"))
        broker.address()  # a wrong one shows now
        folder = base / str(values.get("veri", "gecit"))
        outgoing = Outgoing.of(values, own=[str(folder.resolve())])
        page, security = str(values.get("sayfa", "127.0.0.1:8090")), LineSecurity.of(values)
        return cls(name, broker, folder, page, outgoing, security)


class EdgeGateway:
    """The running parts."""

    def __init__(self, settings: EdgeSettings) -> None:
        self.settings = settings
        self.store = EdgeStore(settings.folder / "kopya.db")
        self.link = CentreLink(
            settings.broker,
            settings.name,
            self.store,
            confirmed=self._confirmed,
            configured=self._configured,
            status=self.status,
        )
        self.desk = RemoteDesk(self.link, self.store, self._answer, self._trouble)
        self.gateway = Gateway(
            settings.folder / "spool",
            self._catalog(),
            answer=self._answer,
            deliver=self._deliver,
            zone=ISTANBUL,
            security=settings.security,
            desk=self.desk,
        )
        self._line_desk = LineDesk(EdgePost(self.link), self.gateway)
        self._lines: dict[str, EdgeLine] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.page = LocalPage(self, settings.page)

    async def start(self) -> None:
        """Open the lines as they were last configured; then look for the centre."""
        await self.store.open()
        self._take_lines(self.store.configuration)
        await self.gateway.start_lines(self._specs())
        await self.page.start()
        parts = (self.link.run(), self.desk.run(), self._line_desk.run(), self._keep_copy())
        self._tasks = [asyncio.create_task(work) for work in parts]

    async def stop(self) -> None:
        """What waits stays in the spool."""
        await ended(self._tasks)
        await self.page.stop()
        await self.gateway.stop()
        await self.store.close()

    async def failed(self) -> None:
        """Returns when a part ended that should not; raises what ended it."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()

    def _catalog(self) -> Catalog:
        site = self.settings.folder / "tanimlar"
        return load_catalog(*([site] if site.is_dir() else []))

    async def _keep_copy(self) -> None:
        """What a full disk could not take is written when there is room again."""
        while True:
            await asyncio.sleep(COPY_SECONDS)
            if self.store.problem:
                await self.store.catch_up()

    # -- what the centre says

    async def _configured(self, configuration: EdgeConfiguration) -> None:
        known = self.store.configuration
        if known is not None and (known == configuration or configuration.stamp < known.stamp):
            return
        if known is None or known.definitions != configuration.definitions:
            await asyncio.to_thread(self._write_definitions, configuration.definitions)
            self.gateway.catalog = await asyncio.to_thread(self._catalog)
        await self.store.configure(configuration)
        self._take_lines(configuration)
        await self.gateway.apply(self._specs())

    def _write_definitions(self, definitions: dict[str, str]) -> None:
        folder = self.settings.folder / "tanimlar"
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.toml"):
            if path.name not in definitions:
                path.unlink()
        for name, content in definitions.items():
            target = folder / Path(name).name  # a name is a name, never a way out of the folder
            target.write_text(content, encoding="utf-8")

    def _take_lines(self, configuration: EdgeConfiguration | None) -> None:
        self._lines = {line.name: line for line in configuration.lines} if configuration is not None else {}

    def _specs(self) -> list[LineSpec]:
        return [
            LineSpec(line.name, line.kind, line.protocol, line.address, line.definition, line.settings)  # type: ignore[arg-type]
            for line in self._lines.values()
        ]

    def _trouble(self, line: str, sentence: str) -> None:
        """What the centre made of an analyser's answer, for the history of its line."""
        if (book := self.gateway.lines.get(line)) is not None:
            book.trouble(sentence)

    def _confirmed(self, keys: Any) -> None:
        self.gateway.confirmed(keys)

    # -- what instruments say

    async def _answer(self, line: str, query: Query) -> list[WorkOrder]:
        known = self._lines.get(line)
        if known is None:
            why = f"{line} hattının cihazı tanımlı değil."
            return [WorkOrder(specimen=text, known=False, reason=why) for text in query.specimens]
        sheets = self.store.by_text
        orders, given = edge_answer(known, sheets, query, datetime.now(UTC), uuid.uuid4().hex)
        if given is not None:
            asked = {sheets[order.specimen].number: sheets[order.specimen] for order in orders if order.known}
            await self.store.gave(given, [after_given(sheet, given) for sheet in asked.values()])
            self.link.given()
        return orders

    async def _deliver(self, delivery: Delivery) -> None:
        await self._note_results(delivery)
        await self.link.deliver(delivery)

    async def _note_results(self, delivery: Delivery) -> None:
        """What has its result is not offered again, though the centre cannot have said so yet."""
        line = self._lines.get(delivery.line)
        if line is None or not delivery.whole:
            return
        tests = {runs.incoming: test for test, runs in line.runs.items()}
        done: dict[str, tuple[Sheet, set[int]]] = {}
        for observation in delivery.observations:
            sheet = self.store.by_text.get(observation.specimen or "")
            test = tests.get(observation.test or "")
            if observation.kind == "result" and sheet is not None and test is not None:
                done.setdefault(sheet.number, (sheet, set()))[1].add(test)
        for sheet, seen in done.values():
            await self.store.change(without(sheet, seen))

    def status(self) -> EdgeStatus:
        reports = [asdict(line_report(book)) for book in self.gateway.lines.values()]
        return EdgeStatus(
            program_version(),
            self.gateway.backlog,
            len(self.store.by_order),
            reports,
            untold=len(self.store.untold) + len(self.store.news),
            at=datetime.now(UTC),
            problem=self.gateway.spool.problem or self.store.problem or self.link.doubt,
        )


def command(argv: list[str]) -> int:
    """`numune gateway --config gecit.toml`."""
    parser = argparse.ArgumentParser(prog="numune gateway", description="Uzak geçidi çalıştırır.")
    parser.add_argument("--config", type=Path, required=True, help="geçidin ayar dosyası (TOML)")
    arguments = parser.parse_args(argv)
    logs.begin()
    try:
        settings = EdgeSettings.read(arguments.config)
        put_in_force(settings.outgoing)
        _loop(settings)
    except (ValueError, OSError, msgspec.MsgspecError) as error:
        print(f"numune gateway: başlatılamadı: {error}", file=sys.stderr)
        return 1
    return 0


def _loop(settings: EdgeSettings) -> None:
    import uvloop

    uvloop.run(_run(settings))


async def _run(settings: EdgeSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    edge = EdgeGateway(settings)
    await edge.start()
    with contextlib.suppress(OSError):  # a console that ends in a file on a full disk must not end the gateway
        print(f"Geçit {settings.name} çalışıyor; durum sayfası http://{settings.page}/", flush=True)
    waiting = asyncio.create_task(stop.wait())
    broken = asyncio.create_task(edge.failed())
    await asyncio.wait([waiting, broken], return_when=asyncio.FIRST_COMPLETED)
    try:
        if broken.done():
            broken.result()
    finally:
        for task in (waiting, broken):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await edge.stop()
