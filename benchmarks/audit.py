"""What auditing costs at ingest, and how the audit answers when it is long: `python -m benchmarks.audit`.

Two parts. `ingest`: the same messages with and without their audit rows, in turns, on one server; time of this process
and of the database's together, per result. `length`: millions of generated rows over many months, then the questions
that people ask and one night's verification, with their plans.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.laboratory import place_orders
from benchmarks.messages import RESULTS
from drivers.messages import Delivery, Observation
from lis_core.demo import load_demo
from lis_core.services import audit_chain
from lis_core.services.ingest_batch import apply_batch
from lis_core.storage.database import Database, Work
from lis_core.storage.embedded import EmbeddedServer
from lis_core.storage.migrate import upgrade

BATCH = 16
"""Messages in one transaction: what gathers in a few milliseconds of a busy morning."""

_serial = itertools.count(1)


def delivery(number: str) -> Delivery:
    """A blood count of 24 results for this order, as the gateway hands it over."""
    n = next(_serial)
    seen = [
        Observation(kind="result", specimen=number, test=code, value=value, unit=unit, raw={"record": 3 + place})
        for place, (code, value, unit, *_) in enumerate(RESULTS, 1)
    ]
    raw = f"{n}|{number}".encode() * 60
    return Delivery(
        key=f"olcum-{n}",
        line="genel",
        received_at=datetime.now(UTC),
        protocol="astm",
        raw=raw,
        fingerprint=hashlib.sha256(raw).digest(),
        timed=False,
        definition="generic-astm",
        revision=1,
        observations=seen,
    )


@contextmanager
def without_audit() -> Iterator[None]:
    """Work units that keep no audit rows: only to see what the rows cost."""
    kept = Work.audit

    def nothing(self: Work, *facts: object, **more: object) -> None:
        return None

    Work.audit = nothing  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Work.audit = kept  # type: ignore[method-assign]


def _server_seconds(folder: Path) -> float:
    """Processor seconds of the PostgreSQL that works in this folder, all its processes together."""
    postmaster = psutil.Process(int((folder / "pg" / "postmaster.pid").read_text().split()[0]))
    total = 0.0
    for process in (postmaster, *postmaster.children(recursive=True)):
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return total


async def ingest_cost(url: str, folder: Path, rounds: int, messages: int) -> dict[str, Any]:
    """Microseconds a result with and without audit rows: wall clock, processor time of this process and of the server.

    The machine may be busy with other work: read the processor times.
    """
    database = Database(url)
    await load_demo(database, password="Olcum-Parola-1", port_base=4000)
    numbers = iter(await asyncio.to_thread(place_orders, url, (2 * rounds + 2) * messages))
    spent: dict[str, list[tuple[float, float, float]]] = {"with": [], "without": []}
    try:
        for turn in range(2 * rounds + 2):
            batch = [delivery(next(numbers)) for _ in range(messages)]
            kind = ("with", "without")[(turn + turn // 2) % 2]  # each goes first as often as the other
            started, processor, server = time.perf_counter(), time.process_time(), _server_seconds(folder)
            if kind == "with":
                await _apply(database, batch)
            else:
                with without_audit():
                    await _apply(database, batch)
            if turn >= 2:  # the first two warm the catalogue and the server's caches
                wall, own = time.perf_counter() - started, time.process_time() - processor
                spent[kind].append((wall, own, _server_seconds(folder) - server))
    finally:
        await database.close()
    results = messages * len(RESULTS)
    figures: dict[str, Any] = {}
    for kind, rows in spent.items():
        wall, own, server = (sorted(column)[len(rows) // 2] / results * 1e6 for column in zip(*rows, strict=True))
        figures[kind] = {"wall_us": wall, "python_us": own, "server_us": server, "processor_us": own + server}
    extra = figures["with"]["processor_us"] / figures["without"]["processor_us"] - 1
    return {**figures, "audit_share": extra, "results": 2 * rounds * results}


async def _apply(database: Database, deliveries: list[Delivery]) -> None:
    for first in range(0, len(deliveries), BATCH):
        await apply_batch(database, deliveries[first : first + BATCH])


_FILL = """
select denetim_ekle('uzun', (
    select jsonb_agg(jsonb_build_object(
        'zaman', timestamptz '2028-01-01' + (%(first)s + n) * %(step)s * interval '1 second',
        'kullanici_kodu', n %% 300,
        'yapan', 'kisi' || n %% 300, 'adres', '10.0.0.' || n %% 250, 'islem', 'goruntuledi', 'nesne_turu', 'ekran',
        'nesne_kodu', '/istem/{number}', 'sonraki', jsonb_build_object('istemler', jsonb_build_array(n)),
        'hastalar', jsonb_build_array(hashint8(%(first)s + n) & 131071, hashint8(%(first)s + n + 9000000) & 131071)
    ) order by n) from generate_series(1, %(count)s) n))
"""
MONTHS = 24


def length(url: str, rows: int) -> dict[str, Any]:
    """A long audit: how fast it grows, what the usual questions cost, which partitions and indexes they use."""
    step = MONTHS * 30 * 86_400 / rows
    figures: dict[str, Any] = {"rows": rows}
    with psycopg.connect(url, autocommit=True) as connection:
        for month in range(MONTHS + 1):
            connection.execute(
                "select denetim_bolum_ac((date '2028-01-01' + make_interval(months => %s))::date)", (month,)
            )
        started = time.perf_counter()
        for first in range(0, rows, 10_000):
            connection.execute(_FILL, {"first": first, "step": step, "count": min(10_000, rows - first)})
        figures["append_us_per_row"] = (time.perf_counter() - started) / rows * 1e6
        connection.execute("vacuum analyze denetim")
        figures["bytes_per_row"] = connection.execute(
            "select sum(pg_total_relation_size(inhrelid))::float8 / %s from pg_inherits "
            "where inhparent = 'denetim'::regclass",
            (rows,),
        ).fetchone()[0]  # type: ignore[index]
        for name, question in _QUESTIONS.items():
            figures[name] = _timed(connection, question)
    figures["verify"] = asyncio.run(_verify(url))
    return figures


_QUESTIONS = {
    "who saw this patient, ever": "with bulunan as materialized "
    "(select * from denetim where hastalar @> array[4711::bigint]) "
    "select * from bulunan order by zaman desc limit 100",
    "who saw this patient, one month": "with bulunan as materialized (select * from denetim "
    "where hastalar @> array[4711::bigint] and zaman >= '2029-03-01' "
    "and zaman < '2029-04-01') select * from bulunan order by zaman desc limit 100",
    "what did this person do, one day": "select * from denetim where yapan = 'kisi17' and zaman >= '2029-03-05' "
    "and zaman < '2029-03-06' order by zaman desc limit 100",
    "the newest page": "select * from denetim order by zaman desc, sira desc limit 100",
}


def _timed(connection: psycopg.Connection[Any], question: str) -> dict[str, Any]:
    """Milliseconds of the second run, and what the plan touches."""
    connection.execute(question)
    started = time.perf_counter()
    found = connection.execute(question).fetchall()
    spent = time.perf_counter() - started
    plan = json.dumps(connection.execute("explain (format json) " + question).fetchone())
    nodes = set(re.findall(r'"Node Type": "([^"]+)"', plan))
    return {
        "ms": round(spent * 1e3, 2),
        "rows": len(found),
        "partitions": len(set(re.findall(r'"Relation Name": "([^"]+)"', plan))),
        "indexes": sorted(
            {
                re.sub(r"denetim_\d{4}_\d\d_|denetim_diger_", "", name)
                for name in re.findall(r'"Index Name": "([^"]+)"', plan)
            }
        ),
        "sequential": "Seq Scan" in nodes,
    }


async def _verify(url: str) -> dict[str, Any]:
    database = Database(url)
    try:
        started = time.perf_counter()
        problems = await audit_chain.verify_new(database)
        first = time.perf_counter() - started
        started = time.perf_counter()
        problems += await audit_chain.verify_new(database)
        again = time.perf_counter() - started
    finally:
        await database.close()
    return {"problems": len(problems), "all_seconds": round(first, 1), "nothing_new_seconds": round(again, 3)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--messages", type=int, default=160, help="messages in a round")
    parser.add_argument("--rows", type=int, default=0, help="generated audit rows for the second part")
    arguments = parser.parse_args(argv)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="numune-bench-") as folder, EmbeddedServer(Path(folder) / "pg") as url:
        upgrade(url)
        if arguments.rounds:
            figures["ingest"] = asyncio.run(ingest_cost(url, Path(folder), arguments.rounds, arguments.messages))
        if arguments.rows:
            figures["length"] = length(url, arguments.rows)
        with psycopg.connect(url, autocommit=True) as connection:
            figures["server"] = connection.execute("show server_version").fetchone()[0]  # type: ignore[index]
            figures["bound"] = connection.execute("select count(*) from tetkik_sonuc").fetchone()[0]  # type: ignore[index]
            figures["waiting"] = connection.execute("select count(*) from eslesmeyen_sonuc").fetchone()[0]  # type: ignore[index]
    json.dump(figures, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
