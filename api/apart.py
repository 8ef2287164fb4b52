"""The gateway in a process of its own: started here, started again when it ends, ended with the system."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys

from lis_core.settings import Settings

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
STOP_SECONDS = 10.0


class GatewayProcess:
    """`numune run --roles gateway` as a child. What it acknowledged is on disk: its end costs time, never a result."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "NUMUNE_DATABASE_OWNER_URL"},
            "NUMUNE_DATABASE_URL": url,
            "NUMUNE_DATA_DIR": str(settings.data_dir),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "api.cli", "run", "--roles", "gateway", "--with-parent",
                env=self._environment, stdin=asyncio.subprocess.PIPE,
            )  # fmt: skip
            code = await self._process.wait()
            if self._stopping:
                return
            log.error("gateway process ended", extra={"action": "gateway_process_ended", "code": code})
            await asyncio.sleep(AGAIN_SECONDS)

    async def stop(self) -> None:
        """The lines close; what waits stays in the spool."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
