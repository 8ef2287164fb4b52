"""A day behind a cut line: how long until everything is in the centre once the line is back.

    python -m benchmarks.backlog --messages 4000

A gateway of its own (`numune gateway`), Mosquitto and a core, each a process. The broker is stopped, the day's messages
are sent and acknowledged, the broker comes back, and the clock runs until the last result is committed and the gateway
has nothing left. The target: under five minutes.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.connections import arrived, keep_only, send, stored
from benchmarks.end_to_end import tests_of_panel
from benchmarks.house import free_ports, wait_for
from benchmarks.laboratory import add_lines, place_orders
from lis_core.storage.embedded import EmbeddedServer

GATEWAY = "ilce-devlet"
ANALYSERS = 6
MESSAGES = 4000
"""A district hospital's tubes of a busy day."""
RESULTS = 12
TARGET_SECONDS = 300.0


class Broker:
    """Mosquitto on a port of this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        folder.mkdir()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\npersistence true\n"
            f"persistence_location {folder}/\nlog_dest none\nuser root\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)  # also where a measurement fails

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["mosquitto", "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self.port, self._process)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


@contextmanager
def program(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`numune ...` until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", *arguments], env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def demo_laboratory(url: str, folder: Path, base: int) -> None:
    """The demonstration laboratory, as `numune run --demo` loads it."""
    with program(
        "run", "--demo", "--no-instruments", "--roles", "core,web",
        NUMUNE_DATABASE_URL=url, NUMUNE_DATA_DIR=str(folder), NUMUNE_DEMO_PORT_BASE=str(base),
        NUMUNE_HTTP=f"127.0.0.1:{base + 88}", NUMUNE_DEMO_PASSWORD="Olcum-Parola-1",
    ):  # fmt: skip
        wait_for(base + 88, seconds=120)


def move_lines(url: str, ports: list[int]) -> None:
    """The lines of these ports stand at the gateway."""
    add_lines(url, ports)
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "insert into gecit (gecit_adi, aciklama) values (%s, 'Ölçüm') returning gecit_kodu", (GATEWAY,)
        ).fetchone()
        assert row is not None
        connection.execute(
            "update baglanti set gecit_kodu = %s where adres = any(%s)",
            (row[0], [f"127.0.0.1:{port}" for port in ports]),
        )


def backlog_of(page: str) -> int:
    """Messages that the gateway still holds, as its own page says."""
    import re
    import urllib.request

    with urllib.request.urlopen(f"http://{page}/", timeout=30) as answer:
        found = re.search(r"Merkeze gidecek mesaj</th><td>(\d+)", answer.read().decode())
    return int(found.group(1)) if found else -1


def measure(messages: int = MESSAGES, results: int = RESULTS) -> dict[str, Any]:
    """Everything in a folder of its own. Raises RuntimeError where something is missing or double."""
    if shutil.which("mosquitto") is None:
        raise RuntimeError("mosquitto is not installed")
    with tempfile.TemporaryDirectory(prefix="numune-bench-") as name, EmbeddedServer(Path(name) / "pg") as url:
        folder = Path(name)
        base = free_ports(120)
        ports = [base + 92 + place for place in range(ANALYSERS)]
        demo_laboratory(url, folder / "merkez", base)
        tests = tests_of_panel(url)[:results]
        keep_only(url, tests)
        move_lines(url, ports)
        place_orders(url, messages, first=42_000_000)
        broker = Broker(folder / "araci", base + 90)
        broker.start()
        config, page = folder / "gecit.toml", f"127.0.0.1:{base + 91}"
        config.write_text(
            f'ad = "{GATEWAY}"\naraci = "mqtt://127.0.0.1:{base + 90}"\nveri = "gecit"\nsayfa = "{page}"\n'
        )
        core = {
            "NUMUNE_DATABASE_URL": url, "NUMUNE_DATA_DIR": str(folder / "merkez"), "NUMUNE_DEMO_PORT_BASE": str(base),
            "NUMUNE_MQTT_URL": f"mqtt://127.0.0.1:{base + 90}",
        }  # fmt: skip
        with program("run", "--roles", "core", **core), program("gateway", "--config", str(config)):
            for port in ports:
                wait_for(port, seconds=120)
            broker.stop()
            day = send(
                ports[0], rate=100.0, seconds=messages / 100.0, first=42_000_000, tests=tests, connections=ANALYSERS
            )
            held = backlog_of(page)
            begun = time.perf_counter()
            broker.start()
            arrived(url, messages, seconds=2 * TARGET_SECONDS)
            committed = time.perf_counter() - begun
            while backlog_of(page) > 0 and time.perf_counter() - begun < 2 * TARGET_SECONDS:
                time.sleep(0.1)
            done = time.perf_counter() - begun
        if stored(url) != (messages, messages * results):
            raise RuntimeError(f"{stored(url)} stored, {messages} messages of {results} results were acknowledged")
        broker.stop()
    return {
        "messages": messages,
        "results": messages * results,
        "held_behind_the_cut_line": held,
        "acknowledged_with_the_line_down_per_second": day["per_second"],
        "committed_seconds": round(committed, 1),
        "told_seconds": round(done, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--results", type=int, default=RESULTS)
    chosen = parser.parse_args()
    figures = measure(chosen.messages, chosen.results)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
