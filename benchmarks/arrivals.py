"""Analysers that send when a message is due, whether or not the one before was answered in time (an open loop).

    python -m benchmarks.arrivals --ports-from 22000 --connections 200 --rate 300 --seconds 60 --first 31000000 ...

A process of its own. Message k is due at k / rate and belongs to connection k mod connections. A connection that is
still busy sends late, and the time is counted from when the message was due: so a stall is seen by every message that
it held up, not by one (coordinated omission). Prints one JSON object; 1 where something was not acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from array import array
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import uvloop

ENQ, ACK, EOT = b"\x05", b"\x06", b"\x04"
PATIENCE = 60.0
"""Seconds that the last messages may take."""
STARTED = datetime(2026, 1, 1, 8)


def frame(text: bytes) -> bytes:
    """A message in one frame: STX 1 text ETX checksum CR LF."""
    body = b"1" + text + b"\x03"
    return b"\x02" + body + b"%02X\r\n" % (sum(body) & 0xFF)


def message(number: int, tube: int, tests: Sequence[str]) -> bytes:
    """One tube's results, in one frame."""
    at = (STARTED + timedelta(seconds=number)).strftime("%Y%m%d%H%M%S")
    records = [
        f"H|\\^&|||YUK|||||||P|LIS2-A2|{at}",
        "P|1",
        f"O|1|{tube}||^^^ALL|R||||||N||||||||||||||F",
        *(f"R|{n}|^^^{code}|{5 + number % 31 / 10:.1f}|||N||F||||{at}" for n, code in enumerate(tests, 1)),
        "L|1|N",
    ]
    return frame("".join(record + "\r" for record in records).encode())


class Line(asyncio.Protocol):
    """One analyser: ENQ, the frame, EOT, for each message that is due."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._due: deque[tuple[float, bytes]] = deque()
        self._transport: asyncio.Transport | None = None
        self._asked = False
        self._written = 0.0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it

    def due(self, at: float, data: bytes) -> None:
        """A message is due at this moment."""
        self._due.append((at, data))
        if len(self._due) == 1:
            self._write(ENQ)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.lost:
            self._written = time.perf_counter()
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if data != ACK:
            self._run.refused += 1
            asyncio.get_running_loop().call_later(0.2, self._write, self._due[0][1] if self._asked else ENQ)
            return
        self._run.answers.append(now - self._written)
        if not self._asked:
            self._asked = True
            self._write(self._due[0][1])
            return
        self._asked = False
        due, _ = self._due.popleft()
        self._run.acknowledged(due, now)
        self._write(EOT + ENQ if self._due else EOT)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._run.lost += 1


class Run:
    """All lines and what was counted."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._tests = arguments.tests.split(",")
        self.times = array("d")
        """Seconds from when a message was due to the ACK of its frame."""
        self.answers = array("d")
        """Seconds from each write to its ACK."""
        self.refused = self.lost = self.behind = 0
        self._begun = 0.0

    def acknowledged(self, due: float, now: float) -> None:
        self.times.append(now - due)

    async def all(self) -> dict[str, Any]:
        """Connect, send for so long, wait for the last ACK."""
        chosen = self._arguments
        loop = asyncio.get_running_loop()
        lines = []
        for place in range(chosen.connections):
            _, line = await loop.create_connection(lambda: Line(self), "127.0.0.1", chosen.ports_from + place)
            lines.append(line)
        total = int(chosen.rate * chosen.seconds)
        worked = time.process_time()
        self._begun = begun = time.perf_counter()
        for number in range(total):
            at = begun + number / chosen.rate
            pause = at - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            else:
                self.behind += pause < -0.05  # the generator itself was held up
            lines[number % len(lines)].due(
                at, message(chosen.messages_before + number, chosen.first + number, self._tests)
            )
        until = time.perf_counter() + PATIENCE
        while len(self.times) < total and time.perf_counter() < until:  # noqa: ASYNC110 - once a run
            await asyncio.sleep(0.01)
        ended = time.perf_counter()
        return {
            "connections": chosen.connections,
            "messages_due": total,
            "messages_acknowledged": len(self.times),
            "seconds": round(ended - begun, 3),
            "per_second": round(len(self.times) / (ended - begun), 1),
            "from_due_ms": milliseconds(self.times),
            "answer_ms": milliseconds(self.answers),
            "refused": self.refused,
            "connections_lost": self.lost,
            "generator_late": self.behind,
            "generator_cpu_seconds": round(time.process_time() - worked, 2),
        }


def milliseconds(values: Sequence[float]) -> dict[str, float]:
    """Percentiles, nearest rank."""
    ordered = sorted(values)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {
        name: round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000, 2)
        for name, share in shares.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arrivals", description=__doc__)
    parser.add_argument("--ports-from", type=int, required=True, help="a port for each connection, from here on")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--rate", type=float, default=300.0, help="messages a second, all connections together")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, required=True, help="number of the first tube; the others follow")
    parser.add_argument("--messages-before", type=int, default=0, help="so that no two runs measure at the same time")
    parser.add_argument("--tests", required=True, help="codes with commas")
    run = Run(parser.parse_args())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(run.all())
    json.dump(figures, sys.stdout)
    print()
    return 0 if figures["messages_acknowledged"] == figures["messages_due"] else 1


if __name__ == "__main__":
    sys.exit(main())
