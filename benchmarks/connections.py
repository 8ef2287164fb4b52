"""200 connections at once, 300 whole messages a second, each acknowledged after its fsync and then committed.

    python -m benchmarks.connections --seconds 600

The target: p99 of the time to the ACK under 100 ms on 2 cores for ten minutes. See `arrivals` for how time is counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import psutil
import psycopg

from benchmarks.end_to_end import tests_of_panel
from benchmarks.house import RunningHouse, house, wait_for
from benchmarks.laboratory import add_lines, place_orders

CONNECTIONS = 200
RATE = 300.0
RESULTS = 8
"""In a message: between a single hormone and a blood count."""
TARGET_MS = 100.0
WARM_SECONDS = 5.0


def send(
    ports_from: int, *, rate: float, seconds: float, first: int, tests: Sequence[str], connections: int, before: int = 0
) -> dict[str, Any]:
    """Run the generator in a process of its own; its figures. Raises RuntimeError: not all was acknowledged."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.arrivals", "--ports-from", str(ports_from), "--rate", str(rate),
            "--seconds", str(seconds), "--first", str(first), "--tests", ",".join(tests),
            "--connections", str(connections), "--messages-before", str(before),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"not everything was acknowledged: {done.stdout} {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def keep_only(url: str, tests: Sequence[str]) -> None:
    """Orders of the panel, of which only these tests are wanted: a message then answers all of its order."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "delete from panel_uyesi u using tetkik p, tetkik t where p.tetkik_kodu = u.panel_kodu and t.tetkik_kodu = "
            "u.tetkik_kodu and p.tetkik_kisa_kodu = 'CBC' and t.tetkik_kisa_kodu <> all(%s)",
            (list(tests),),
        )


def clear_ports(count: int) -> int:
    """A base from which every one of `count` ports is free: another program on the machine may listen between them."""
    for base in range(33_000 - count - os.getpid() % 4000, 20_000, -97):
        with contextlib.ExitStack() as held:
            try:
                for port in range(base, base + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise RuntimeError("no free ports")


def stored(url: str) -> tuple[int, int]:
    """Messages of the load's lines and their bound results that are committed; the demonstration has others."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "select count(*), coalesce(sum(sonuc_sayisi), 0) from ham_mesaj join baglanti using (baglanti_kodu) "
            "where baglanti_adi like 'yuk-%'"
        ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def arrived(url: str, messages: int, seconds: float = 300) -> float:
    """Seconds until so many messages are committed. Raises TimeoutError."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        if stored(url)[0] >= messages:
            return time.perf_counter() - begun
        time.sleep(0.05)
    raise TimeoutError(f"{stored(url)[0]} of {messages} messages committed")


def processor_seconds(running: RunningHouse) -> dict[str, float]:
    """Processor time used so far: the program's processes together, and the database's."""
    ours = psutil.Process(running.process.pid)
    spent = {
        "program": sum(sum(one.cpu_times()[:2]) for one in [ours, *ours.children(recursive=True)]),
        "database": 0.0,
    }
    for process in psutil.process_iter():
        try:
            if "postgres" in process.name() and any(str(running.folder) in word for word in _family_words(process)):
                spent["database"] += sum(process.cpu_times()[:4])  # its children too, those that ended as well
        except psutil.Error:
            continue
    return spent


def _family_words(process: psutil.Process) -> list[str]:
    words = list(process.cmdline())
    parent = process.parent()
    return words + (list(parent.cmdline()) if parent is not None else [])


def measure(
    seconds: float = 60.0,
    *,
    connections: int = CONNECTIONS,
    rate: float = RATE,
    results: int = RESULTS,
    apart: bool = True,
) -> dict[str, Any]:
    """Start a house, open the lines, warm it up, send for so long; everything must be committed afterwards."""
    with house(apart=apart) as running:
        tests = tests_of_panel(running.url)[:results]
        keep_only(running.url, tests)
        ports = clear_ports(connections)
        add_lines(running.url, [ports + place for place in range(connections)])
        warm, total = int(rate * WARM_SECONDS), int(rate * seconds)
        place_orders(running.url, warm + total, first=41_000_000)
        for place in range(connections):
            wait_for(ports + place)
        send(ports, rate=rate, seconds=WARM_SECONDS, first=41_000_000, tests=tests, connections=connections)
        arrived(running.url, warm)
        before = processor_seconds(running)
        figures = send(
            ports,
            rate=rate,
            seconds=seconds,
            first=41_000_000 + warm,
            tests=tests,
            connections=connections,
            before=warm,
        )
        spent = processor_seconds(running)
        figures["committed_after_seconds"] = round(arrived(running.url, warm + total), 2)
        messages, bound = stored(running.url)
        if (messages, bound) != (warm + total, (warm + total) * results):
            raise RuntimeError(f"{messages} messages with {bound} results are stored, {warm + total} were sent")
        figures["processor_seconds"] = {name: round(spent[name] - before[name], 1) for name in spent}
        figures["memory_mb"] = round(running.memory() / 1e6)
    return figures | {"asked_seconds": seconds, "rate": rate, "results_per_message": results, "apart": apart}


def sentence(figures: dict[str, Any]) -> str:
    """What it came to, in a line."""
    due = figures["from_due_ms"]
    verdict = "holds" if due["p99"] < TARGET_MS else "MISSED"
    rate = f"{figures['rate']:.0f} messages/s of {figures['results_per_message']} results"
    load = f"{figures['connections']} connections, {rate}"
    return (
        f"{load} for {figures['asked_seconds']:.0f} s: {figures['messages_acknowledged']:,} acknowledged, "
        f"{figures['refused']} refused, {figures['connections_lost']} connections lost; time to ACK from when due "
        f"p50 {due['p50']}, p99 {due['p99']}, p99.9 {due['p999']}, max {due['max']} ms "
        f"(target p99 {TARGET_MS:.0f}: {verdict}); the last was committed {figures['committed_after_seconds']} s later"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.connections", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--results", type=int, default=RESULTS)
    parser.add_argument("--together", action="store_true", help="gateway, core and web in one process")
    chosen = parser.parse_args()
    figures = measure(
        chosen.seconds,
        connections=chosen.connections,
        rate=chosen.rate,
        results=chosen.results,
        apart=not chosen.together,
    )
    print(json.dumps(figures, indent=1))
    print(sentence(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
