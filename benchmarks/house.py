"""A whole Numune for a benchmark: its own processes, its own embedded PostgreSQL, in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from lis_core.storage.embedded import EmbeddedServer


@dataclass(frozen=True, slots=True)
class RunningHouse:
    """A started system."""

    process: subprocess.Popen[bytes]
    url: str
    port_base: int
    http: str
    folder: Path

    def memory(self) -> int:
        """Bytes of memory of the system's processes, the database apart; what they share is counted once (PSS)."""
        total = 0
        for process in [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]:
            try:
                if "postgres" not in process.name():
                    total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        return total


def free_ports(count: int = 90) -> int:
    """A base from which `count` ports are likely free.

    Each process begins to look elsewhere: two runs on one machine must not meet on a port that one has just let go.
    Below 32768, where systems take the ports of outgoing connections from.
    """
    places = range(21000, 32600, 97)
    first = os.getpid() % len(places)
    for base in (*places[first:], *places[:first]):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", base))
                other.bind(("127.0.0.1", base + count - 1))
            except OSError:
                continue
            return base
    raise RuntimeError("no free ports")


AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


@contextmanager
def as_a_server() -> Iterator[bool]:
    """The machine's scheduler as the operator's guide has it on a server (decision 0112): with the rights to do so,
    switched for this run and switched back at its end. False where it stays as on a desktop."""
    try:
        before = AUTOGROUP.read_text(encoding="ascii")
    except OSError:
        before = "0"  # no such switch: nothing is grouped
    if before.strip() == "0":
        yield True
        return
    try:
        AUTOGROUP.write_text("0", encoding="ascii")
    except OSError:
        print("kernel.sched_autogroup_enabled stays 1: host queries wait longer", file=sys.stderr)
        yield False
        return
    print("kernel.sched_autogroup_enabled is 0 for this run", file=sys.stderr)
    try:
        yield True
    finally:
        AUTOGROUP.write_text(before, encoding="ascii")


@contextmanager
def house(*, instruments: bool = False, apart: bool = False) -> Iterator[RunningHouse]:
    """Start `numune run --demo`, wait until it answers, stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="numune-bench-") as folder:
        data = Path(folder)
        base = free_ports()
        http = f"127.0.0.1:{base + 88}"
        environment = {
            **os.environ,
            "NUMUNE_DATA_DIR": str(data),
            "NUMUNE_HTTP": http,
            "NUMUNE_DEMO_PORT_BASE": str(base),
            "NUMUNE_DEMO_PASSWORD": "Olcum-Parola-1",
        }
        arguments = [sys.executable, "-m", "api.cli", "run", "--demo"]
        if apart:
            arguments.append("--apart")
        if not instruments:
            arguments.append("--no-instruments")
        process = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_for(base, process, 240)
            with EmbeddedServer(data / "pg") as url:  # joins the system's own, as its administrator
                yield RunningHouse(process, url, base, http, data)
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(port: int, process: subprocess.Popen[bytes] | None = None, seconds: float = 60) -> None:
    """Return when something listens. Raises TimeoutError, or RuntimeError where the process ended first."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the system ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on {port}")
