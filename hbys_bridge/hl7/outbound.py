"""Lines for results: the hospital's listener, which we call and call again, or the connection that it opened itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from drivers.links.tls import TlsFiles
from hbys_bridge.hl7.conversation import Conversation, LineDown, Take, Trouble
from hbys_bridge.hl7.inbound import HospitalServer
from hbys_bridge.settings import BridgeSettings, HospitalSettings, split_address

log = logging.getLogger(__name__)

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before calling again, unless a line is wanted earlier; the last one for as long as it takes."""
CONNECT_SECONDS = 5.0


class HospitalClient:
    """A connection to a hospital's listener that is always open, or being opened."""

    def __init__(
        self, address: str, take: Take, trouble: Trouble, on_up: Callable[[], None], tls: TlsFiles | None = None
    ) -> None:
        """take: for messages that the hospital sends on this line. on_up: called when it can be reached again, and
        when it takes something again. Raises ValueError: address."""
        self.address = address
        self._host, self._port = split_address(address)
        self._secure: dict[str, Any] = (
            {"ssl": tls.client(), "server_hostname": tls.name or self._host} if tls is not None else {}
        )
        self._take, self._trouble, self._on_up = take, trouble, on_up
        self._line: Conversation | None = None
        self._tried = asyncio.Event()
        """An attempt to connect has ended since a line was last wanted."""
        self._wanted = asyncio.Event()
        self._unreachable = False
        self._fruitless = 0
        """Attempts to connect, and connections, since the hospital last took something."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to call."""
        if self._task is None:
            self._task = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def line(self) -> Conversation:
        """The open line; where there is none it is tried at once. Raises LineDown."""
        self.start()
        if self._line is None or not self._line.open:
            self._tried.clear()
            self._wanted.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._tried.wait()
        if self._line is None or not self._line.open:
            raise LineDown(f"hastane sistemine bağlanılamıyor ({self.address})")
        return self._line

    def accepted(self) -> None:
        """The hospital has taken a message: behind the socket there is somebody."""
        if self._fruitless:
            self._on_up()
        self._fruitless = 0

    async def _stay_connected(self) -> None:
        while True:
            self._wanted.clear()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(self._host, self._port, **self._secure)
            except (OSError, TimeoutError) as error:
                log.info("hospital not reached", extra={"action": "hospital_not_reached", "why": str(error)})
                self._unreachable = True
                self._tried.set()
            else:
                await self._talk(Conversation(reader, writer, self._take, self._trouble, ours=True))
            self._fruitless += 1
            pause = PAUSES[min(self._fruitless, len(PAUSES)) - 1]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()

    async def _talk(self, line: Conversation) -> None:
        self._line = line
        if self._unreachable:
            self._unreachable = False
            self._on_up()
        self._tried.set()
        try:
            await line.run()
        finally:
            self._line = None
            line.close()
            await line.closed()


class Routes:
    """Which line a hospital's results go by."""

    def __init__(
        self, settings: BridgeSettings, server: HospitalServer, trouble: Trouble, on_up: Callable[[], None]
    ) -> None:
        self._server = server
        self._clients = {
            address: HospitalClient(address, server.take, trouble, on_up, settings.results_tls)
            for address in settings.addresses
        }

    def start(self) -> None:
        """Call the hospitals at once: the first result finds its line open."""
        for client in self._clients.values():
            client.start()

    async def stop(self) -> None:
        for client in self._clients.values():
            await client.stop()

    async def line(self, hospital: HospitalSettings) -> Conversation:
        """The line to a hospital. Raises LineDown."""
        if hospital.results:
            return await self._clients[hospital.results].line()
        line = self._server.line_of(hospital.sender)
        if line is None:
            raise LineDown(f"hastane sistemi bağlı değil ({hospital.sender})")
        return line

    def accepted(self, hospital: HospitalSettings) -> None:
        """This hospital has taken a message."""
        if hospital.results:
            self._clients[hospital.results].accepted()
