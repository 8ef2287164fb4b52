"""The real program as a subprocess: `numune run --demo` with its own embedded PostgreSQL and demonstration fleet."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.house import free_ports
from tests.conftest import DEMO_PASSWORD

START_LIMIT = 180.0  # seconds until the program answers on a machine that is very busy with other tests
END_LIMIT = 30.0  # seconds from SIGTERM to the end
PORTS = 90  # the demonstration's lines are at 0-4, 75 and 76 above the base; the web address comes after them


@dataclass
class Running:
    """A started program and where to find it."""

    process: subprocess.Popen[bytes]
    folder: Path
    base: int
    address: str
    log: Path
    ended_in: float | None = None
    left_over: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        """What it has written on its console."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def family(self) -> list[psutil.Process]:
        """Every process that belongs to it: its children, and what works in its folder or on its ports."""
        found: dict[int, psutil.Process] = {}
        if self.process.poll() is None:
            found = {child.pid: child for child in psutil.Process(self.process.pid).children(recursive=True)}
        for other in psutil.process_iter():
            try:
                words = other.cmdline()
                at_home = other.cwd().startswith(str(self.folder)) or any(str(self.folder) in word for word in words)
                fleet = "simulators" in words and str(self.base) in words
            except psutil.Error:
                continue  # gone meanwhile, or somebody else's
            if (at_home or fleet) and other.pid != self.process.pid:
                found[other.pid] = other
        return list(found.values())

    async def end(self) -> int:
        """SIGTERM, as an operator or systemd ends it. Its exit status; see `ended_in` and `left_over`."""
        family = self.family()
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(self.process.wait, END_LIMIT)
        self.ended_in = time.monotonic() - started
        alive = [one for one in {*family, *self.family()} if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        self.left_over = [f"{one.pid} {one.name()}" for one in alive]
        return status

    async def simulates(self, model: str, line: int, *more: str) -> str:
        """`numune simulate MODEL` at the line with this place above the port base; what it says. It must succeed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api.cli", "simulate", model, "--connect", f"127.0.0.1:{self.base + line}", *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    def sweep(self) -> None:
        """After a failure: nothing of ours stays behind."""
        family = self.family()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue


async def start(folder: Path) -> Running:
    """Start the program in `folder` and wait until it says that it is ready. Raises RuntimeError with its last words."""
    base = free_ports(PORTS)
    http = f"127.0.0.1:{base + PORTS - 2}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMUNE_")} | {
        "NUMUNE_DATA_DIR": str(folder),
        "NUMUNE_HTTP": http,
        "NUMUNE_DEMO_PORT_BASE": str(base),
        "NUMUNE_DEMO_PASSWORD": DEMO_PASSWORD,
        "PYTHONIOENCODING": "utf-8",
    }
    log = folder.parent / f"{folder.name}.log"
    with log.open("wb") as console:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "run", "--demo"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    running = Running(process, folder, base, f"http://{http}", log)
    if not await _ready(running):
        running.sweep()
        raise RuntimeError(f"the program did not become ready ({process.poll()}):\n{running.said[-3000:]}")
    return running


async def _ready(running: Running) -> bool:
    until = time.monotonic() + START_LIMIT
    async with httpx.AsyncClient(base_url=running.address) as client:
        while time.monotonic() < until and running.process.poll() is None:
            try:
                if (await client.get("/readyz")).status_code == 200 and "Ctrl-C" in running.said:
                    return True
            except httpx.TransportError:
                pass  # nobody listens yet
            await asyncio.sleep(0.1)
    return False
