"""From the socket to committed, flagged, explained results, beside the bare loop and PostgreSQL's own COPY."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.house import RunningHouse, free_ports, house, wait_for
from benchmarks.laboratory import PANEL, add_lines, place_orders

CONNECTIONS = 20
RESULTS = 24


def load(
    ports: list[int], *, messages: int, framing: str, barcodes: list[str], tests: list[str], queries: list[str]
) -> dict[str, Any]:
    """Run the generator in a process of its own; its figures."""
    with tempfile.TemporaryDirectory() as folder:
        tubes = Path(folder) / "barcodes"
        tubes.write_text("\n".join(barcodes))
        arguments = [
            sys.executable, "-m", "simulators.load", "--connections", str(CONNECTIONS),
            "--ports", ",".join(map(str, ports)),
            "--messages", str(messages), "--results", str(RESULTS), "--framing", framing,
            "--barcodes-file", str(tubes), "--tests", ",".join(tests),
        ]  # fmt: skip
        if queries:
            asked = Path(folder) / "queries"
            asked.write_text("\n".join(queries))
            arguments += ["--queries-file", str(asked), "--query-port", str(ports[0]), "--query-pause", "0.08"]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the load was not acknowledged whole: {done.stdout} {done.stderr}")
    return dict(json.loads(done.stdout))


def committed(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from tetkik_sonuc").fetchone()
    return int(row[0]) if row else 0


def wait_committed(url: str, wanted: int, seconds: float = 180) -> float:
    """The moment (perf_counter) at which the last result was seen committed.

    Asks the raw messages, which commit with their results: counting hundreds of thousands of results twenty times a
    second would be a load of its own. The results themselves are counted at the end.
    """
    until = time.perf_counter() + seconds
    with psycopg.connect(url, autocommit=True) as connection:
        while time.perf_counter() < until:
            row = connection.execute("select sum(sonuc_sayisi) from ham_mesaj").fetchone()
            moment = time.perf_counter()
            if row and (row[0] or 0) >= wanted:
                if committed(url) != wanted:
                    raise RuntimeError(f"{committed(url)} results stored, {wanted} expected")
                return moment
            time.sleep(0.05)
    raise TimeoutError(f"{committed(url)} of {wanted} results committed")


def tests_of_panel(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select t.tetkik_kisa_kodu from panel_uyesi u join tetkik t on t.tetkik_kodu = u.tetkik_kodu "
            "join tetkik p on p.tetkik_kodu = u.panel_kodu where p.tetkik_kisa_kodu = %s order by u.sira",
            (PANEL,),
        ).fetchall()
    return [row[0] for row in rows][:RESULTS]


def ports_of(running: RunningHouse) -> list[int]:
    """A line for each connection, as each analyser has its own."""
    return [running.port_base + 30 + n for n in range(CONNECTIONS)]


def run_numune(running: RunningHouse, framing: str, messages: int, first: int) -> dict[str, Any]:
    """One load through the whole system; results a second from the first byte to the last commit."""
    total = messages * CONNECTIONS
    numbers = place_orders(running.url, total + 200, first=first)
    before = committed(running.url)
    figures = load(
        ports_of(running),
        messages=messages,
        framing=framing,
        barcodes=numbers[:total],
        tests=tests_of_panel(running.url),
        queries=numbers[total:],
    )
    returned = time.perf_counter()
    end = wait_committed(running.url, before + total * RESULTS)
    # The generator tells how long it was acknowledged for; what was still on its way then counts as well.
    figures["drain_seconds"] = end - returned
    figures["committed_per_second"] = total * RESULTS / (float(figures["seconds"]) + end - returned)
    figures["memory_mb"] = running.memory() / 1e6
    return figures


def run_bare(framing: str, messages: int, url: str) -> dict[str, Any]:
    """The same load against the bare loop."""
    port = free_ports()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare", str(port), url, f"{folder}/spool"], stdout=subprocess.DEVNULL
        )
        try:
            wait_for(port, process)
            numbers = [str(50_000_000 + n) for n in range(messages * CONNECTIONS)]
            tests = ["WBC"] * RESULTS
            return load([port], messages=messages, framing=framing, barcodes=numbers, tests=tests, queries=[])
        finally:
            process.terminate()
            process.wait()


def copy_rate(url: str) -> float:
    """Rows a second that this machine's PostgreSQL takes by COPY into a table like the results, without guards."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table kopya (like tetkik_sonuc including defaults)")
        rows = connection.execute("select count(*) from tetkik_sonuc").fetchone()
        with connection.cursor().copy("copy (select * from tetkik_sonuc limit 50000) to stdout") as copy:
            data = b"".join(bytes(block) for block in copy)
        count = min(50_000, int(rows[0]) if rows else 0)
        start = time.perf_counter()
        with connection.cursor().copy("copy kopya from stdin") as copy:
            copy.write(data)
        seconds = time.perf_counter() - start
        connection.execute("drop table kopya")
    return count / seconds


def measure(scale: float = 1.0) -> dict[str, Any]:
    """Both framings; 200,000 results in the first one. The bare loop runs before and after each: the machine drifts."""
    whole = int(417 * scale)
    frames = int(250 * scale)
    figures: dict[str, Any] = {}
    with house(apart=True) as running:
        add_lines(running.url, ports_of(running))
        for port in ports_of(running):
            wait_for(port)  # the gateway opens new lines by itself
        run_numune(running, "message", 10, 30_000_000)  # connections, caches and plans are warm
        for framing, messages, first in (("message", whole, 31_000_000), ("record", frames, 32_000_000)):
            before = run_bare(framing, messages, running.url)
            figures[framing] = run_numune(running, framing, messages, first)
            after = run_bare(framing, messages, running.url)
            rates = [before["results_per_second"], after["results_per_second"]]
            figures[f"bare_{framing}"] = after | {"results_per_second": sum(rates) / 2, "runs": rates}
        figures["copy_rows_per_second"] = copy_rate(running.url)
        figures["results_committed"] = committed(running.url)
        with psycopg.connect(running.url) as connection:
            broken = connection.execute("select count(*) from denetim_dogrula()").fetchone()
    return figures | {"audit_chain_broken": broken[0] if broken else None}
