"""The bridge to the hospital, started and stopped as one: its port, its lines, its outbox handlers."""

from __future__ import annotations

import asyncio
import logging

from hbys_bridge.hl7.inbound import HospitalServer
from hbys_bridge.hl7.outbound import Routes
from hbys_bridge.hl7.results import ResultSender, nudge
from hbys_bridge.settings import BridgeSettings, load_settings
from lis_core.jobs import Handler
from lis_core.services.approvals import HOSPITAL_TOPIC
from lis_core.settings import ISTANBUL, Settings
from lis_core.storage.database import Database

log = logging.getLogger(__name__)


class Bridge:
    """A running bridge. `handlers`: for the `OutboxWorker` of the same process."""

    def __init__(self, database: Database, settings: BridgeSettings) -> None:
        self._database = database
        self._tasks: set[asyncio.Task[None]] = set()
        self.settings = settings
        self.server = HospitalServer(
            database, settings.listen, zone=ISTANBUL, settings=settings, on_sender=lambda _: self._hospital_is_back()
        )
        self._routes = Routes(settings, self.server, self.server.trouble, self._hospital_is_back)
        sender = ResultSender(database, settings, self._routes, zone=ISTANBUL)
        self.handlers: dict[str, Handler] = {HOSPITAL_TOPIC: sender.handle}

    @property
    def port(self) -> int:
        """Where hospitals call."""
        return self.server.port

    async def start(self) -> None:
        """Listen, and call the hospitals whose addresses are known."""
        await self.server.start()
        self._routes.start()

    async def stop(self) -> None:
        """Hang up everywhere."""
        await self._routes.stop()
        await self.server.stop()
        for task in list(self._tasks):
            task.cancel()

    def _hospital_is_back(self) -> None:
        task = asyncio.get_running_loop().create_task(self._nudge())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _nudge(self) -> None:
        try:
            await nudge(self._database)
        except Exception:
            # Results then go when their pause is over: later, not lost.
            log.exception("outbox not nudged", extra={"action": "outbox_not_nudged"})


async def start_bridge(database: Database, settings: Settings | BridgeSettings) -> Bridge:
    """Start the bridge with the installation's settings. Raises ValueError (Turkish) where they make no sense."""
    chosen = settings if isinstance(settings, BridgeSettings) else await load_settings(database, settings)
    bridge = Bridge(database, chosen)
    await bridge.start()
    return bridge


__all__ = ["Bridge", "BridgeSettings", "start_bridge"]
