"""The demonstration's simulated analysers: a process of its own that is told which tubes were received.

It talks to Numune as any analyser does, over sockets; the only thing it is given is the barcode on the tube, the way a
technician would carry it there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys

from sqlalchemy import text

from lis_core.settings import Settings
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0

_RECEIVED = text(
    "select tetkik_numune_kodu, barkod from tetkik_numune "
    "where numune_durumu in ('kabul', 'sartli_kabul') and numune_kabul_zamani > :since "
    "order by numune_kabul_zamani, tetkik_numune_kodu"
)


class DemoFleet:
    """Starts `numune simulate filo` and passes it every tube that acceptance receives."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._port_base = settings.demo_port_base
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulators",
            "filo",
            "--port-base",
            str(self._port_base),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        self._task = asyncio.create_task(self._carry())

    async def _carry(self) -> None:
        """Carry received tubes to the analysers. Only tubes received from now on: the rest has been carried."""
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._database.reading() as session:
            since = await session.scalar(text("select now()"))
        carried: set[int] = set()
        while self._process.returncode is None:
            await asyncio.sleep(LOOK_SECONDS)
            async with self._database.reading() as session:
                rows = (await session.execute(_RECEIVED, {"since": since})).all()
            for tube_id, barcode in rows:
                if tube_id not in carried:
                    carried.add(tube_id)
                    self._process.stdin.write(f"{barcode}\n".encode())
            with contextlib.suppress(ConnectionError):
                await self._process.stdin.drain()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
