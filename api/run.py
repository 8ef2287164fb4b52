"""`numune run`: builds everything, passes it in, starts it, ends it cleanly. The one place that knows all parts."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy.exc import OperationalError

from api.apart import BEHIND, GatewayProcess, step_behind
from api.claim import claimed
from api.definitions import Definitions
from api.edge.broker import Broker, broker_files
from api.edge.centre import Centre
from api.fleet import DemoFleet
from api.line_desk import LineDesk, follow_definitions
from api.linebook import line_report
from api.loops import ended
from api.metrics import watch_ingest
from api.web_port import check_exposure
from drivers.gateway.gateway import Gateway
from drivers.gateway.handover import FromGateways, ToCore
from drivers.gateway.line import LineSpec
from drivers.links.gate import LineSecurity
from drivers.messages import Query, WorkOrder
from drivers.outgoing import Outgoing, put_in_force
from drivers.site import FOLDER, SiteCatalog
from hbys_bridge.app import start_bridge
from lis_core import logs
from lis_core.demo import load_demo
from lis_core.demo_orders import load_demo_orders
from lis_core.jobs import OutboxWorker, notify_panic
from lis_core.services import audit_chain
from lis_core.services.audit_chain import Anchors
from lis_core.services.catalog import catalog as catalogue
from lis_core.services.ingest import Ingest
from lis_core.services.lines import active_lines, report_lines
from lis_core.services.load_orders import LoadOrders
from lis_core.services.rederive import TOPIC as REDERIVE
from lis_core.services.rederive import rederiving
from lis_core.services.routing import answer_query
from lis_core.services.work_desk import WorkDesk
from lis_core.settings import ISTANBUL, Settings
from lis_core.storage.database import Database
from lis_core.storage.embedded import EmbeddedServer
from lis_core.storage.migrate import upgrade
from lis_core.storage.roles_urls import urls_of

if TYPE_CHECKING:
    from api.serve import WebServer

log = logging.getLogger("numune")

ROLES = ("gateway", "core", "web")
DEMO_USERS = ("teknisyen", "uzman", "hekim", "ailehekimi", "kabul", "yonetici")
STATUS_SECONDS = 1.0
LINES_SECONDS = 3.0
DATABASE_SECONDS = 60.0
"""How long a start waits for a database that does not answer yet."""
SERVER_SECONDS = 1.0
ALL_LINES_TURNS = 30


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    roles: frozenset[str]
    demo: bool = False
    fleet: bool = True
    apart: bool = False
    """The gateway in a process of its own, started and watched from here."""
    with_parent: bool = False
    """End when the standard input ends."""


def command(argv: list[str]) -> int:
    """`numune run [--demo] [--roles gateway,core,web] [--no-instruments]`."""
    parser = argparse.ArgumentParser(prog="numune run", description="Sistemi çalıştırır.")
    parser.add_argument(
        "--demo", action="store_true", help="tanıtım laboratuvarını yükler ve taklit cihazları başlatır"
    )
    parser.add_argument("--roles", default=",".join(ROLES), help="gateway, core, web (virgülle)")
    parser.add_argument("--apart", action="store_true", help="geçidi ayrı bir süreçte çalıştırır (yoğun laboratuvar)")
    parser.add_argument("--no-instruments", action="store_true", help="tanıtımda taklit cihaz başlatma")
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    roles = frozenset(word.strip() for word in arguments.roles.split(",") if word.strip())
    if unknown := roles - set(ROLES):
        parser.error(f"bilinmeyen rol: {', '.join(sorted(unknown))} (olabilir: {', '.join(ROLES)})")
    if arguments.apart:
        if not {"gateway", "core"} <= roles:
            parser.error("--apart, gateway ve core rolleri birlikte istendiğinde anlamlıdır")
        roles -= {"gateway"}
    logs.begin()
    try:
        settings = Settings.from_environment()
        if "web" in roles:
            check_exposure(settings)
        options = Options(roles, arguments.demo, not arguments.no_instruments, arguments.apart, arguments.with_parent)
        _loop_runner(run(settings, options))
    except (ValueError, OSError, OperationalError, psycopg.OperationalError) as error:
        print(f"numune: başlatılamadı: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


def _loop_runner(main: object) -> None:
    try:
        import uvloop
    except ImportError:  # not available on every platform; the standard loop does the same, slower
        asyncio.run(main)  # type: ignore[arg-type]
    else:
        uvloop.run(main)  # type: ignore[arg-type]


async def run(settings: Settings, options: Options) -> None:
    """Run the chosen roles until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if options.with_parent:
        _stop_with_parent(stop)
    until = asyncio.get_running_loop().time() + DATABASE_SECONDS
    ready = False
    while not stop.is_set():
        try:
            async with assembled(settings, options) as house:
                ready = True
                await _work_until(stop, house)
            return
        except (OperationalError, psycopg.OperationalError) as error:
            if ready or asyncio.get_running_loop().time() > until or not _may_pass(error):
                raise
            why = str(error).splitlines()[0]
            print(f"Başlarken veritabanı bağlantısı koptu ({why}); yeniden deneniyor ...", flush=True)
        await asyncio.sleep(0.5)


async def _work_until(stop: asyncio.Event, house: House) -> None:
    """Until the end is asked for; raises what ended a part that should not end."""
    _settle_memory()
    house.announce()
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, *house.tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in house.tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error
    print("\nNumune kapanıyor ...", flush=True)


def _stop_with_parent(stop: asyncio.Event) -> None:
    """Stop when the standard input ends: whoever started this process is gone, however it went."""
    loop = asyncio.get_running_loop()
    stdin = sys.stdin.fileno()

    def read() -> None:
        if not os.read(stdin, 1024):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, read)


def _settle_memory() -> None:
    """What is loaded stays: the collector need not look through it again while instruments wait for an answer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(0.001)  # the spool's thread gets its turn soon: an instrument waits for its fsync


@asynccontextmanager
async def assembled(settings: Settings, options: Options) -> AsyncIterator[House]:
    """Everything built and started; leaving the block ends it in the opposite order."""
    async with AsyncExitStack() as stack:
        stack.enter_context(
            claimed(settings.data_dir, options.roles, f"http://{settings.http_host}:{settings.http_port}/")
        )
        server = EmbeddedServer(settings.data_dir / "pg") if settings.database_url is None else None
        if server is not None:
            await asyncio.to_thread(server.start)
            stack.push_async_callback(asyncio.to_thread, server.stop)
        urls = urls_of(settings, server)
        await _when_it_answers(urls.owner)
        await asyncio.to_thread(upgrade, urls.owner)
        aside = partial(server.step_behind, nice=BEHIND) if server is not None and options.apart else None
        database = Database(urls.application, met=aside)
        stack.push_async_callback(database.close)
        house = House(settings, options, database, urls.application)
        await house.start(stack)
        if server is not None:
            house.watch(server)
        if options.apart:
            step_behind()
        yield house


async def _when_it_answers(url: str) -> None:
    """Wait for a database that is just starting or recovering (a power cut ends both, and both begin together).

    Raises psycopg.OperationalError where it does not come within `DATABASE_SECONDS`.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + DATABASE_SECONDS
    said = False
    while True:
        try:
            await asyncio.to_thread(lambda: psycopg.connect(url, connect_timeout=5).close())
            return
        except psycopg.OperationalError as error:
            if loop.time() > until or not _may_pass(error):
                raise
            if not said:
                print(f"Veritabanı henüz yanıt vermiyor ({str(error).splitlines()[0]}); bekleniyor ...", flush=True)
                said = True
        await asyncio.sleep(0.5)


def _may_pass(error: OperationalError | psycopg.OperationalError) -> bool:
    """Not a wrong password or a database that does not exist: those stay."""
    words = str(error)
    return "authentication" not in words and "does not exist" not in words


class House:
    """The running parts of one process."""

    def __init__(self, settings: Settings, options: Options, database: Database, url: str) -> None:
        self.settings = settings
        self.options = options
        self.database = database
        self.url = url
        self.tasks: list[asyncio.Task[None]] = []
        self.site: SiteCatalog | None = None
        self.gateway: Gateway | None = None
        self.line_desk: LineDesk | None = None
        self.ingest: Ingest | None = None
        self.gateways: FromGateways | None = None
        self.centre: Centre | None = None
        self.web: WebServer | None = None
        self.password = ""

    async def start(self, stack: AsyncExitStack) -> None:
        """Start the chosen roles, in an order in which each finds what it needs."""
        own = [str(self.settings.data_dir.resolve())]
        put_in_force(Outgoing.of(self.settings.config, loopback=self.options.demo, own=own))
        if self.options.demo:
            self.password = self.settings.demo_password or secrets.token_urlsafe(9)
            await load_demo(self.database, password=self.password, port_base=self.settings.demo_port_base)
            await load_demo_orders(self.database)
        stack.push_async_callback(self._cancel_tasks)
        if "core" in self.options.roles:
            await self._start_core(stack)
        if "gateway" in self.options.roles:
            await self._start_gateway(stack)
        if "web" in self.options.roles:
            await self._start_web(stack)
        if self.options.apart:
            gateway = GatewayProcess(self.settings, self.url)
            self._task(gateway.run())
            stack.push_async_callback(gateway.stop)
        if self.options.demo and self.options.fleet:
            fleet = DemoFleet(self.database, self.settings)
            await fleet.start()
            stack.push_async_callback(fleet.stop)

    async def _start_core(self, stack: AsyncExitStack) -> None:
        self.ingest = Ingest(self.database, self._confirmed)
        watch_ingest(self.ingest.counters)
        self._task(self.ingest.run())
        if "gateway" not in self.options.roles:
            self.gateways = FromGateways(self._socket, self.ingest.put)
            await self.gateways.start()
            stack.push_async_callback(self.gateways.stop)
        if self.settings.mqtt_url is not None:
            broker = Broker(self.settings.mqtt_url, **broker_files(self.settings.config))
            self.centre = Centre(self.database, self.ingest, broker, self.settings.data_dir / "tanimlar")
            self._task(self.centre.run())
        bridge = await start_bridge(self.database, self.settings)
        stack.push_async_callback(bridge.stop)
        reread = Definitions(self.settings.data_dir).reread
        handlers = {
            "panik.bildirim": notify_panic,
            REDERIVE: rederiving(self.database, reread),
            **bridge.handlers,
        }
        self._task(OutboxWorker(self.database, handlers).run())
        self._task(audit_chain.watch(self.database, Anchors.of(self.settings)))

    def _confirmed(self, keys: Sequence[str]) -> None:
        if self.gateway is not None:
            self.gateway.confirmed(keys)
        if self.gateways is not None:
            self.gateways.confirmed(keys)
        if self.centre is not None:
            self.centre.confirmed(keys)

    @property
    def _socket(self) -> Path:
        """Where gateway and core meet when they run apart."""
        return self.settings.data_dir / "cekirdek.sock"

    async def _start_gateway(self, stack: AsyncExitStack) -> None:
        to_core = ToCore(self._socket, self._confirmed) if self.ingest is None else None
        self.site = SiteCatalog(self.settings.data_dir / FOLDER)
        self.gateway = Gateway(
            self.settings.data_dir / "spool",
            self.site.catalog,
            answer=self._answer,
            deliver=to_core.deliver if to_core is not None else self.ingest.put,  # type: ignore[union-attr]
            zone=ISTANBUL,
            desk=WorkDesk(self.database),
            loads=LoadOrders(self.database),
            security=LineSecurity.of(self.settings.config),
        )
        if to_core is not None:
            self._task(to_core.run())
        async with self.database.reading() as session:
            await catalogue(session)  # the first analyser that asks need not wait for it
        await self.gateway.start_lines(await self._lines())
        stack.push_async_callback(self._stop_gateway)
        self._task(self._watch_lines())
        self.line_desk = LineDesk(self.database, self.gateway)
        self._task(self.line_desk.run())
        self._task(self._report_lines())

    async def _answer(self, line: str, query: Query) -> list[WorkOrder]:
        return await answer_query(self.database, line, query)

    async def _lines(self) -> list[LineSpec]:
        return [
            LineSpec(row.name, row.kind, row.protocol, row.address, row.definition, row.settings)  # type: ignore[arg-type]
            for row in await active_lines(self.database)
        ]

    def watch(self, server: EmbeddedServer) -> None:
        """The embedded server is ours to keep alive: nobody else would start it again."""
        self._task(self._keep_server(server))

    async def _keep_server(self, server: EmbeddedServer) -> None:
        while True:
            await asyncio.sleep(SERVER_SECONDS)
            try:
                if await asyncio.to_thread(server.revive):
                    log.error("embedded database had died; it runs again", extra={"action": "database_revived"})
            except OSError:
                log.exception("embedded database does not start", extra={"action": "database_dead"})

    async def _watch_lines(self) -> None:
        """A line changed on screen opens, closes or reopens here, without a restart."""
        assert self.gateway is not None
        while True:
            await asyncio.sleep(LINES_SECONDS)
            try:
                if self.site is not None:
                    await follow_definitions(self.site, self.gateway)
                await self.gateway.apply(await self._lines())
            except Exception:
                # The database is away: the lines stay as they are and go on (invariant 10).
                log.exception("lines not refreshed", extra={"action": "lines_not_refreshed"})

    async def _report_lines(self) -> None:
        for turn in itertools.count():
            await asyncio.sleep(STATUS_SECONDS)
            try:
                await self._report_changed(everything=turn % ALL_LINES_TURNS == 0)
            except Exception:
                log.exception("line state not written", extra={"action": "line_state_not_written"})

    async def _report_changed(self, *, everything: bool = False) -> None:
        """Line states into the database; a line that is idle is said to be alive now and then, too."""
        assert self.gateway is not None
        changed = [book for book in self.gateway.lines.values() if everything or book.status.changed]
        for book in changed:
            book.status.changed = False
        await report_lines(self.database, [line_report(book) for book in changed])

    async def _stop_gateway(self) -> None:
        assert self.gateway is not None
        await self.gateway.stop()
        with contextlib.suppress(Exception):  # the last state on the screens; the database may be gone already
            await self._report_changed()
            if self.line_desk is not None:
                await self.line_desk.write_history()

    async def _start_web(self, stack: AsyncExitStack) -> None:
        # Loaded here: a gateway or a core alone starts in half the time without the screens.
        from api.app import create_app
        from api.live import LiveHub
        from api.serve import WebServer

        app = create_app(self.database, self.settings, LiveHub(self.database), self.gateway)
        chosen = self.settings
        self.web = WebServer(
            app,
            chosen.http_host,
            chosen.http_port,
            certificate=chosen.http_certificate,
            key=chosen.http_key,
            proxies=chosen.http_proxies or ("127.0.0.1",),
        )
        task = self._task(self.web.serve())
        stack.push_async_callback(self._stop_web, task)
        while not self.web.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        if task.done():
            raise OSError(f"{self.settings.http_host}:{self.settings.http_port} adresi açılamadı (kullanımda olabilir)")

    async def _stop_web(self, task: asyncio.Task[None]) -> None:
        assert self.web is not None
        self.web.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _task(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self.tasks.append(task)
        return task

    async def _cancel_tasks(self) -> None:
        """Ingest first finishes what it has: what is confirmed need not be read from the spool again."""
        if self.ingest is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self.ingest.drained()
        await ended(self.tasks)

    def announce(self) -> None:
        """Where to look, and with which names."""
        if "web" in self.options.roles:
            scheme = "https" if self.settings.http_certificate else "http"
            print(f"\nNumune çalışıyor: {scheme}://{self.settings.http_host}:{self.settings.http_port}/", flush=True)
        if self.gateway is not None:
            for name, book in self.gateway.lines.items():
                print(f"  hat {name:<12} {book.spec.address:<22} {book.spec.definition}", flush=True)
        if self.options.demo:
            print(f"  kullanıcılar: {', '.join(DEMO_USERS)}\n  parola: {self.password}", flush=True)
        print("Kapatmak için Ctrl-C.", flush=True)


def demo_settings(settings: Settings, **changes: object) -> Settings:
    """Settings with some values replaced; for tests that start a whole house."""
    return replace(settings, **changes)  # type: ignore[arg-type]


__all__ = ["House", "Options", "Path", "assembled", "command", "run"]
