"""Loops side by side: whoever is told to end ends, and nobody forgets that he was told."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from api.loops import ended, together


async def deaf(times: int) -> None:
    """Goes on after it was cancelled, as a wait that loses a cancellation does."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


async def fails() -> None:
    await asyncio.sleep(0.05)
    raise ConnectionError("the broker is gone")


async def test_when_one_fails_the_others_end_even_one_that_must_be_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.loops.ASK_AGAIN", 0.05)
    before = asyncio.all_tasks()
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(5):
            await together(deaf(2), asyncio.sleep(60), fails())
    assert asyncio.all_tasks() == before


async def test_who_is_cancelled_while_his_loops_are_ending_is_still_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of the standard library answers with the failure instead, and whoever waits for its end waits for ever."""
    monkeypatch.setattr("api.loops.ASK_AGAIN", 0.2)
    task = asyncio.create_task(together(deaf(2), fails()))
    await asyncio.sleep(0.15)  # one has failed, the other does not listen
    task.cancel()
    async with asyncio.timeout(5):
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert task.cancelled()


async def test_all_are_over_when_one_ends_quietly() -> None:
    waiting = asyncio.create_task(asyncio.sleep(60))
    async with asyncio.timeout(5):
        await together(asyncio.sleep(0.01), asyncio.sleep(60))
        await ended([waiting])
    assert waiting.cancelled()
