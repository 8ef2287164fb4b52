"""A connection to the broker whose user is told to stop must stop, whatever comes in the same moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.edge.broker import Broker, BrokerClient
from tests.edge.conftest import Mosquitto


class _StopsAtTheAnswer(BrokerClient):
    """Cancels a task as many turns of the loop after the broker's acknowledgement as it is told."""

    turns = 0
    victim: asyncio.Task[None] | None = None

    def _on_publish(self, *args: Any, **options: Any) -> None:
        super()._on_publish(*args, **options)
        self._count_down(self.turns)

    def _count_down(self, left: int) -> None:
        if left:
            self._loop.call_soon(self._count_down, left - 1)
        elif self.victim is not None:
            self.victim.cancel()


@pytest.mark.parametrize("turns", range(6))
async def test_a_task_that_is_cancelled_while_the_broker_answers_ends(broker: Mosquitto, turns: int) -> None:
    host, port, _ = Broker(broker.url).address()
    told = 0

    async with _StopsAtTheAnswer(host, port) as client:
        client.turns = turns

        async def goes_on_for_ever() -> None:
            nonlocal told
            while True:
                await client.publish("deneme", b"1", qos=1)
                told += 1
                await asyncio.sleep(0.01)
                if told == 3:
                    client.victim = asyncio.current_task()

        task = asyncio.create_task(goes_on_for_ever())
        async with asyncio.timeout(5):
            while not task.done():
                await asyncio.sleep(0.01)
                if told > 3 and client.victim is not None:
                    client.victim = None  # cancelled once, as a group does
        assert task.cancelled()
        assert told <= 4
