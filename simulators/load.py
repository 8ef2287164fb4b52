"""Load for benchmarks: many ASTM lines that send as fast as they are acknowledged, and one that asks meanwhile.

    python -m simulators.load --connections 20 --port-base 4000 --ports 1 --messages 200 --results 24 --framing message

prints one JSON object. Everything is built before the clock starts; an acknowledgement costs a list look-up and a
write, so that what is measured is the other side. E1381-02 is followed (ENQ, frames, EOT), one session a message; the
EOT of one and the ENQ of the next travel together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import select
import socket
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import cast

from simulators.models import GENERIC_ASTM
from simulators.physiology import ANALYTES, Body, rounded

__all__ = ["Load", "Prober", "main", "percentile", "run_load"]

ENQ, ACK, NAK, EOT = 5, 6, 21, 4
BUSY_WAIT = 0.2  # seconds after NAK; shorter than the standard's 10, or a benchmark would measure only that
HAEMOGRAM = [code for code, channel in GENERIC_ASTM.channels.items() if ANALYTES[channel.analyte].unit]
VARIANTS = 31


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent. `ports` are dealt to the connections in turn; barcodes to the messages, over and over."""

    connections: int
    ports: Sequence[int]
    messages: int  # of each connection
    results: int  # in each message
    framing: str  # message | record
    barcodes: Sequence[str]
    tests: Sequence[str]
    host: str = "127.0.0.1"
    started_at: datetime = datetime(2026, 1, 1, 8)
    queries: Sequence[str] = ()
    """Tubes that the prober asks about, over and over; none = no prober."""
    query_port: int = 0
    query_pause: float = 0.05
    patience: float = 600.0


def frame(number: int, text: bytes) -> bytes:
    """STX number text ETX checksum CR LF."""
    body = b"%d%b\x03" % (number % 8, text)
    return b"\x02%b%02X\r\n" % (body, sum(body) & 0xFF)


class _Results:
    """R records from a small stock of values: making them must not take longer than sending them."""

    def __init__(self, tests: Sequence[str], count: int) -> None:
        self._stock = []
        for number, code in enumerate(islice(cycle(tests), count), 1):
            analyte = ANALYTES.get(code)
            unit = analyte.unit if analyte else ""
            texts = []
            for variant in range(VARIANTS):
                value = "5.0"
                if analyte is not None and not analyte.words:
                    value = str(rounded(Body(variant, "load").value(code), analyte.decimals))
                texts.append(f"R|{number}|^^^{code}|{value}|{unit}||N||F||||".encode())
            self._stock.append(texts)

    def records(self, message: int, measured: bytes) -> list[bytes]:
        """One R record a test; `measured` is R-13."""
        return [texts[message % VARIANTS] + measured + b"\r" for texts in self._stock]


def steps_of(load: Load, connection: int, results: _Results) -> list[bytes]:
    """All that one connection writes, each step after the ACK of the one before."""
    tubes = islice(cycle(load.barcodes), connection * load.messages, None)
    tests = "\\".join(f"^^^{code}" for code in islice(cycle(load.tests), load.results)).encode()
    steps = [b"\x05"]
    for message, tube in zip(range(load.messages), tubes, strict=False):
        moment = load.started_at + timedelta(seconds=connection * load.messages + message)
        measured = moment.strftime("%Y%m%d%H%M%S").encode()
        head = b"H|\\^&|||YUK-%d|||||||P|LIS2-A2|%b\r" % (connection, measured)
        order = b"O|1|%b||%b|R||||||N||||||||||||||F\r" % (tube.encode(), tests)
        records = [head, b"P|1\r", order, *results.records(message, measured), b"L|1|N\r"]
        texts = [b"".join(records)] if load.framing == "message" else records
        steps += [frame(number, text) for number, text in enumerate(texts, 1)]
        steps.append(b"\x04\x05")
    steps[-1] = b"\x04"
    return steps


class Sender:
    """One connection under load; `pump` moves it. `at`: the step that waits for its ACK."""

    def __init__(self, sock: socket.socket, steps: list[bytes]) -> None:
        self.sock, self.steps, self.at = sock, steps, 0
        self.waits = array("d")
        self.naks = self.others = 0
        self.ended_at = 0.0
        """When everything was acknowledged, or the line was lost."""
        self._sent_at = 0.0

    def begin(self) -> None:
        """The first ENQ."""
        self._write(self.steps[0])

    def _write(self, step: bytes) -> None:
        self._sent_at = time.perf_counter()
        self.sock.sendall(step)  # at most a few kilobytes on an empty line: it fits, and nothing waits

    def heard(self, data: bytes) -> bool:
        """Nearly always one ACK: the next step. True: busy (NAK), ask `again` a little later."""
        if data == b"\x06":
            now = time.perf_counter()
            self.waits.append(now - self._sent_at)
            self.at += 1
            self._sent_at = now
            self.sock.sendall(self.steps[self.at])
            if self.at == len(self.steps) - 1:
                self.ended_at = now
            return False
        if len(data) > 1:
            busy = False
            for place in range(len(data)):
                busy = self.heard(data[place : place + 1]) or busy
            return busy
        if data == b"\x15":
            self.naks += 1
            return True
        self.others += 1
        return False

    def again(self) -> None:
        """The same step; after NAK to ENQ without the EOT that went before it."""
        step = self.steps[self.at]
        self._write(b"\x05" if step == b"\x04\x05" else step)

    def lost(self) -> None:
        """The line is gone before the end: `at` tells how far it came."""
        self.ended_at = self.ended_at or time.perf_counter()

    @property
    def acknowledged(self) -> tuple[int, int]:
        """(messages, frames): an ACK to ENQ is no frame."""
        accepted = self.steps[: self.at]
        messages = sum(1 for step in self.steps[1 : self.at + 1] if step[:1] == b"\x04")
        return messages, sum(1 for step in accepted if step[:1] == b"\x02")


def pump(senders: Sequence[Sender], patience: float) -> float:
    """Move every sender to its end, in this thread; processor seconds that it took.

    Bare sockets and epoll: a load must cost the machine as little as possible beside what it measures.
    """
    busy, until = time.thread_time(), time.monotonic() + patience
    poll = select.epoll()
    moving = {sender.sock.fileno(): sender for sender in senders}
    late: list[tuple[float, int]] = []
    for number, sender in moving.items():
        poll.register(number, select.EPOLLIN)
        sender.begin()
    while moving and (now := time.monotonic()) < until:
        while late and late[0][0] <= now:
            if (waiting := moving.get(late.pop(0)[1])) is not None:
                waiting.again()
        for number, _ in poll.poll(max(0.0, late[0][0] - now) if late else min(1.0, until - now)):
            sender = moving[number]
            try:
                data = sender.sock.recv(4096)
                if data and sender.heard(data):
                    late.append((time.monotonic() + BUSY_WAIT, number))
            except OSError:
                data = b""
            if not data:
                sender.lost()
            if sender.ended_at:
                poll.unregister(number)
                del moving[number]
    poll.close()
    return time.thread_time() - busy


class Prober(asyncio.Protocol):
    """Asks about one tube after the other and measures: from its EOT to the host's ENQ, and to the host's EOT."""

    def __init__(self, tubes: Sequence[str], pause: float, limit: float = 5.0) -> None:
        self.begun, self.complete = array("d"), array("d")
        self.unanswered = 0
        self._tubes: Iterator[str] = cycle(tubes)
        self._pause, self._limit = pause, limit
        self._transport: asyncio.Transport | None = None
        self._frames: list[bytes] = []
        self._asked_at = 0.0
        self._heard_enq = False
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it
        self._ask()

    def stop(self) -> None:
        """No more questions."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    def _later(self, seconds: float, what: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        action = self._ask if what == "ask" else self._give_up
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _ask(self) -> None:
        if self._stopped or self._transport is None:
            return
        tube = next(self._tubes).encode()
        records = b"H|\\^&|||SORGU|||||||P|LIS2-A2\r", b"Q|1|^%b||ALL||||||||O\r" % tube, b"L|1|N\r"
        self._frames = [frame(number, text) for number, text in enumerate(records, 1)]
        self._asked_at = 0.0
        self._later(self._limit, "give up")
        self._transport.write(b"\x05")

    def _give_up(self) -> None:
        self.unanswered += 1
        if self._transport is not None:
            self._transport.write(b"\x04")
        self._later(self._pause, "ask")

    def data_received(self, data: bytes) -> None:
        """ACKs to our question, then the host's answer: an ENQ, frames, EOT."""
        if self._transport is None:
            return
        if not self._asked_at:
            self._advance(data)
            return
        if data[0] == ENQ:
            self.begun.append(time.perf_counter() - self._asked_at)
            self._transport.write(b"\x06")
        elif data[-1] == EOT:
            self.complete.append(time.perf_counter() - self._asked_at)
            self._later(self._pause, "ask")
        elif data[-1:] == b"\n":
            self._transport.write(b"\x06")

    def _advance(self, data: bytes) -> None:
        if self._transport is None or data[-1] != ACK:
            self._later(BUSY_WAIT, "ask")  # busy: later
        elif self._frames:
            self._transport.write(self._frames.pop(0))
        else:
            self._asked_at = time.perf_counter()
            self._transport.write(b"\x04")


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _milliseconds(values: Sequence[float]) -> dict[str, float | int | None]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    found = {name: percentile(values, share) for name, share in shares.items()}
    figures: dict[str, float | int | None] = {
        name: None if value is None else round(value * 1000, 3) for name, value in found.items()
    }
    return figures | {"max": round(max(values) * 1000, 3) if values else None, "count": len(values)}


async def run_load(load: Load) -> dict[str, object]:
    """Connect, send, wait for the last acknowledgement. Raises OSError: nobody is there."""
    loop = asyncio.get_running_loop()
    stock = _Results(load.tests, load.results)
    senders: list[Sender] = []
    prober: Prober | None = None
    try:
        for connection in range(load.connections):
            port = load.ports[connection % len(load.ports)]
            line = await asyncio.to_thread(socket.create_connection, (load.host, port))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            senders.append(Sender(line, steps_of(load, connection, stock)))
        if load.queries:
            port = load.query_port or load.ports[0]
            _, prober = await loop.create_connection(lambda: Prober(load.queries, load.query_pause), load.host, port)
        begin = time.perf_counter()
        busy = await asyncio.to_thread(pump, senders, load.patience)
    finally:
        if prober is not None:
            prober.stop()
        for sender in senders:
            sender.sock.close()
    return _figures(load, senders, prober, begin, busy)


def _figures(
    load: Load, senders: Sequence[Sender], prober: Prober | None, begin: float, busy: float
) -> dict[str, object]:
    messages = sum(sender.acknowledged[0] for sender in senders)
    ends = [sender.ended_at for sender in senders if sender.ended_at]
    seconds = (max(ends) if ends else time.perf_counter()) - begin
    waits = [wait for sender in senders for wait in sender.waits]
    figures: dict[str, object] = {
        "connections": load.connections,
        "framing": load.framing,
        "results_per_message": load.results,
        "messages_asked": load.connections * load.messages,
        "messages_acknowledged": messages,
        "frames_acknowledged": sum(sender.acknowledged[1] for sender in senders),
        "results_acknowledged": messages * load.results,
        "seconds": round(seconds, 4),
        "results_per_second": round(messages * load.results / seconds, 1) if seconds else 0.0,
        "ack_ms": _milliseconds(waits),
        "naks": sum(sender.naks for sender in senders),
        "other_bytes": sum(sender.others for sender in senders),
        "generator_cpu_seconds": round(busy, 4),
    }
    if prober is not None:
        figures["query"] = {
            "begun_ms": _milliseconds(prober.begun),
            "complete_ms": _milliseconds(prober.complete),
            "unanswered": prober.unanswered,
        }
    return figures


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.load", description="ASTM load for benchmarks.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--port-base", type=int, default=4000)
    parser.add_argument("--ports", default="", help="port numbers with commas, or how many from --port-base on")
    parser.add_argument("--messages", type=int, default=100, help="of each connection")
    parser.add_argument("--results", type=int, default=24, help="in each message")
    parser.add_argument("--framing", choices=("message", "record"), default="message")
    parser.add_argument("--barcodes-file", help="one barcode a line; without it 1001, 1002, ...")
    parser.add_argument("--tests", default="", help="test codes with commas (default: the catalogue's numeric ones)")
    parser.add_argument("--queries-file", help="tubes that a prober asks about on its own connection meanwhile")
    parser.add_argument("--query-port", type=int, default=0)
    parser.add_argument("--query-pause", type=float, default=0.05, help="seconds between two questions")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds after which it gives up")
    return parser.parse_args(argv)


def _ports(text: str, base: int) -> list[int]:
    numbers = [int(part) for part in text.split(",") if part.strip()]
    if len(numbers) == 1 and numbers[0] < 1024:
        return [base + number for number in range(numbers[0])]
    return numbers or [base]


def _lines(path: str | None) -> list[str]:
    return [line.strip() for line in Path(path).read_text().splitlines() if line.strip()] if path else []


def main(argv: list[str] | None = None) -> int:
    """Print the figures; 1 when not everything was acknowledged."""
    arguments = _arguments(argv)
    total = arguments.connections * arguments.messages
    load = Load(
        connections=arguments.connections,
        ports=_ports(arguments.ports, arguments.port_base),
        messages=arguments.messages,
        results=arguments.results,
        framing=arguments.framing,
        barcodes=_lines(arguments.barcodes_file) or [str(1001 + number) for number in range(total)],
        tests=[part for part in arguments.tests.split(",") if part] or HAEMOGRAM,
        host=arguments.host,
        queries=_lines(arguments.queries_file),
        query_port=arguments.query_port,
        query_pause=arguments.query_pause,
        patience=arguments.patience,
    )
    try:
        import uvloop
    except ImportError:
        figures = asyncio.run(run_load(load))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(run_load(load))
    json.dump(figures, sys.stdout)
    print()
    return 0 if figures["messages_acknowledged"] == figures["messages_asked"] else 1


if __name__ == "__main__":
    sys.exit(main())
