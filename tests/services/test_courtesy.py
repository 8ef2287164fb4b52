"""While an analyser waits for its answer, batches pause; they never stop."""

from __future__ import annotations

import asyncio

from lis_core.services.courtesy import Courtesy


async def batch(courtesy: Courtesy, slices: list[str], count: int = 3) -> None:
    for _ in range(count):
        slices.append("dilim")
        await courtesy.give_way()


async def test_a_batch_goes_on_when_the_answer_is_given() -> None:
    courtesy, order = Courtesy(), list[str]()
    with courtesy.asking():
        working = asyncio.create_task(batch(courtesy, order))
        for _ in range(5):
            await asyncio.sleep(0)
        order.append("cevap")
    await working
    assert order == ["dilim", "cevap", "dilim", "dilim"]


async def test_questions_without_end_do_not_stop_the_results() -> None:
    courtesy, order = Courtesy(), list[str]()
    with courtesy.asking(), courtesy.asking():
        await asyncio.wait_for(batch(courtesy, order), 10)
    assert order == ["dilim"] * 3
