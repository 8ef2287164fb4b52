"""The gateway in a process of its own: started here, started again when it ends, ended with the system.

An instrument waits for its ACK, a batch of results for nobody: beside a gateway of its own, core and embedded database
step behind it (`BEHIND`). Without that, two hundred lines wait for a processor that the core is using.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lis_core.settings import Settings

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
STOP_SECONDS = 10.0
BEHIND = 3
"""Unix `nice` of the core and the embedded database."""


class GatewayProcess:
    """`numune run --roles gateway` as a child. What it acknowledged is on disk: its end costs time, never a result."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "NUMUNE_DATABASE_OWNER_URL"},
            "NUMUNE_DATABASE_URL": url,
            "NUMUNE_DATA_DIR": str(settings.data_dir),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: asyncio.Future[int] | None = None
        self._stopping = False
        # A child has the priority of the thread that starts it, and no thread can raise its own again: this one begins
        # before the core steps behind.
        self._starter = ThreadPoolExecutor(1, "geçit")
        self._starter.submit(os.getpid).result()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            self._process = await loop.run_in_executor(self._starter, self._start)
            self._ended = loop.run_in_executor(self._starter, self._process.wait)
            code = await asyncio.shield(self._ended)
            if self._stopping:
                return
            log.error("gateway process ended", extra={"action": "gateway_process_ended", "code": code})
            await asyncio.sleep(AGAIN_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "api.cli", "run", "--roles", "gateway", "--with-parent"],
            env=self._environment,
            stdin=subprocess.PIPE,
        )

    async def stop(self) -> None:
        """The lines close; what waits stays in the spool."""
        self._stopping = True
        process, ended = self._process, self._ended
        if process is not None and ended is not None and not ended.done():
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await asyncio.shield(ended)
            if not ended.done():
                process.kill()
                await asyncio.shield(ended)
        self._starter.shutdown(wait=False)


def step_behind() -> None:
    """This thread (the event loop) lets processes of usual priority go first. What exists already keeps its own."""
    os.nice(BEHIND)
