"""The core's side fails in a way that nobody foresaw: the lines go on, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.definition import load_catalog
from drivers.gateway import gateway as module
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.messages import Delivery, Query, WorkOrder
from lis_core.settings import ISTANBUL
from tests.gateway.conftest import ENQ, EOT, Wire, frames_of, free_port, message_records

RESULTS = [("WBC", "6.52", "10*3/uL")]


async def test_a_message_that_the_core_stumbled_over_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    taken: list[Delivery] = []
    stumbles = 2

    async def deliver(delivery: Delivery) -> None:
        nonlocal stumbles
        if stumbles:
            stumbles -= 1
            raise RuntimeError("nobody foresaw this")
        taken.append(delivery)

    async def answer(line: str, query: Query) -> Sequence[WorkOrder]:
        return []

    port = free_port()
    gateway = Gateway(tmp_path, load_catalog(), answer=answer, deliver=deliver, zone=ISTANBUL)
    await gateway.start_lines([LineSpec("genel", "tcp-sunucu", "astm", f"127.0.0.1:{port}", "generic-astm")])
    try:
        wire = await Wire.to(port)
        for number in ("1001", "1002"):
            await wire.ask(ENQ)
            for frame in frames_of(message_records(number, RESULTS)):
                await wire.ask(frame)
            await wire.send(EOT)
        async with asyncio.timeout(10):
            while len(taken) < 2:
                await asyncio.sleep(0.01)
        assert [delivery.observations[0].specimen for delivery in taken] == ["1001", "1002"]
        assert "yeniden deneniyor" in (gateway.lines["genel"].status.last_error or "")
    finally:
        await gateway.stop()
