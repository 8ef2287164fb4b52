"""python-astm's own client, server and dispatcher (`astm-2025`) as the other side of our gateway, over sockets: results
up, a host query, the work down, and results again.

What of the package does not run under Python 3 is given to it from outside, and nothing else of it is changed: `buffer`,
a name of Python 2 that its sending calls; and fields as bytes that compare like text, for its encoder recurses without
end on `str` while its own state machine compares with `str`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from astm import asynclib
from astm.client import Client, Emitter
from astm.constants import ENQ, EOT
from astm.server import BaseRecordsDispatcher, RequestHandler, Server

from drivers.gateway.line import LineSpec
from drivers.messages import Query
from tests.gateway.conftest import free_port
from tests.interop.test_other_implementations import RECORDS, House

PATIENCE = 30.0


class Text(bytes):
    """Bytes that are equal to the text that they spell."""

    def __eq__(self, other: object) -> bool:
        return bytes(self) == (other.encode("latin-1") if isinstance(other, str) else other)

    __hash__ = bytes.__hash__


def fields(record: Sequence[Any]) -> list[Any]:
    return [fields(one) if isinstance(one, list) else Text((one or "").encode("latin-1")) for one in record]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    yield made
    await made.gateway.stop()


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], threading.Thread]]:
    """Runs peers in the package's own polling loop, in a thread, until all of their sockets are closed."""
    monkeypatch.setattr(asynclib, "buffer", lambda data, start, size: data[start : start + size], raising=False)
    threads = []

    def run(make: Callable[[], Any]) -> threading.Thread:
        def work() -> None:
            make()
            asynclib.loop(0.02)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        threads.append(thread)
        return thread

    yield run
    asynclib.close_all(ignore_all=True)
    for thread in threads:
        thread.join(PATIENCE)


@pytest.mark.parametrize(
    "manner", [{}, {"chunk_size": 40}, {"bulk_mode": True}], ids=["a frame a record", "cut by ETB", "one message"]
)
async def test_its_client_uploads_results(house: House, peers: Any, manner: dict[str, Any]) -> None:
    """Its state machine decides what follows an ACK; every record is accepted, and it closes by itself."""
    accepted = []

    def emitter() -> Iterator[list[Any]]:
        for record in RECORDS:
            accepted.append((yield fields(record)))

    thread = peers(lambda: Client(emitter, "127.0.0.1", house.port("astm"), flow_map=None, timeout=20, **manner))
    [delivery] = await house.deliveries(1)
    await asyncio.to_thread(thread.join, PATIENCE)
    assert not thread.is_alive(), "the client did not come to its end"
    assert all(accepted) and len(accepted) == len(RECORDS)
    assert delivery.whole and delivery.problem is None
    assert [(one.specimen, one.test, one.value, one.unit) for one in delivery.observations] == [
        ("26000145", "GLU", "98", "mg/dL"),
        ("26000145", "K", "4.1", "mmol/L"),
    ]


class Heard(BaseRecordsDispatcher):
    """Everything that its dispatcher was given."""

    records: list[list[Any]] = []

    def _default_handler(self, record: list[Any]) -> None:
        self.records.append(record)


class Analyser(RequestHandler):
    """Listens, as many analysers do: asks what a tube needs, takes the work, reports. Its receiving side is the package's
    request handler, its sending side the package's emitter."""

    TUBE = "26000145"

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._send([RECORDS[0], ["Q", "1", [None, self.TUBE], None, "ALL"], ["L", "1", "N"]])

    def _send(self, records: Sequence[list[Any]]) -> None:
        def emitter() -> Iterator[list[Any]]:
            for record in records:
                yield fields(record)

        self._emitter = Emitter(emitter, None, "latin-1")
        self.push(ENQ)

    def on_ack(self) -> None:
        message = self._emitter.send(True)
        self.push(message)
        if message == EOT and self._reported:
            self.close_when_done()

    _reported = False

    def on_eot(self) -> None:
        super().on_eot()
        ordered = [record for record in Heard.records if record[0] == "O"]
        result = ["R", "1", [None, None, None, "GLU"], "101", "mg/dL", None, "N", None, "F"]
        self._reported = True
        self._send(
            [
                RECORDS[0],
                ["P", "1"],
                ["O", "1", ordered[0][2], None, [None, None, None, "GLU"]],
                result,
                ["L", "1", "N"],
            ]
        )


async def test_its_server_asks_takes_the_work_and_reports(tmp_path: Path, peers: Any) -> None:
    """Host query, order download and result upload on one connection that we opened."""
    Heard.records = []
    asked: list[Query] = []
    port = free_port()
    house = House(tmp_path)
    answer = house._answer

    async def remembered(line: str, query: Query) -> Any:
        asked.append(query)
        return await answer(line, query)

    house.gateway._answer_query = remembered
    server: list[Server] = []
    peers(lambda: server.append(Server("127.0.0.1", port, request=Analyser, dispatcher=Heard)))
    await asyncio.sleep(0.2)
    await house.gateway.start_lines([LineSpec("astm", "tcp-istemci", "astm", f"127.0.0.1:{port}", "generic-astm")])
    try:
        query, result = await house.deliveries(2)
    finally:
        await house.gateway.stop()
    assert [one.specimens for one in asked] == [[Analyser.TUBE]]
    assert query.whole and query.queries == 1
    kinds = [record[0] for record in Heard.records]
    assert kinds[0] == "H" and kinds[-1] == "L" and "O" in kinds
    order = next(record for record in Heard.records if record[0] == "O")
    assert order[2] == Analyser.TUBE and "GLU" in str(order[4])
    assert [(one.specimen, one.test, one.value) for one in result.observations] == [(Analyser.TUBE, "GLU", "101")]
