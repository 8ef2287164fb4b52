"""Gateway and core in two processes on one machine: what was handed over and not confirmed is handed over again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.gateway.handover import FromGateways, ToCore
from drivers.gateway.spool import Spool
from drivers.messages import Delivery, Observation


def delivery(number: int) -> Delivery:
    return Delivery(
        key=f"spool-{number}",
        line="genel",
        received_at=datetime(2026, 11, 22, 10, 15, tzinfo=UTC),
        protocol="astm",
        raw=b"R|1|^^^GLU|92\r",
        observations=[Observation(kind="result", specimen="26000145", test="GLU", value="92")],
    )


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


async def test_a_core_that_dies_gets_everything_unconfirmed_again_in_order(tmp_path: Path) -> None:
    socket = tmp_path / "cekirdek.sock"
    confirmed: list[str] = []
    link = ToCore(socket, confirmed.extend)
    running = asyncio.create_task(link.run())
    taken: list[Delivery] = []

    async def put(one: Delivery) -> None:
        taken.append(one)

    try:
        await link.deliver(delivery(0))  # no core yet: it waits
        first = FromGateways(socket, put)
        await first.start()
        for number in (1, 2, 3):
            await link.deliver(delivery(number))
        await until(lambda: len(taken) == 4)
        assert taken == [delivery(number) for number in range(4)]
        first.confirmed(["spool-0", "spool-2", "somebody-elses"])
        await until(lambda: confirmed == ["spool-0", "spool-2"])
        await first.stop()
        taken.clear()
        await until(lambda: not link.connected)
        second = FromGateways(socket, put)
        await second.start()
        await until(lambda: len(taken) == 2)
        assert [one.key for one in taken] == ["spool-1", "spool-3"]
        second.confirmed(["spool-1", "spool-3"])
        await until(lambda: confirmed[2:] == ["spool-1", "spool-3"])
        await second.stop()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_second_gateway_on_one_spool_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    first, second = Spool(tmp_path), Spool(tmp_path)
    first.open()
    with pytest.raises(OSError, match="başka bir geçit"):
        second.open()
    await first.close()
    assert second.open() == []
    await second.close()
