"""Loops that run side by side, and end when they are told to.

Python 3.11 loses cancellations: `asyncio.wait_for` in the moment of an answer, `TaskGroup` while it is ending for
another reason. A loop that goes on after it was cancelled is a gateway that never looks for its centre again, or a
program that does not stop; so whoever ends loops here asks until they have ended (decision 0114).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

ASK_AGAIN = 5.0
"""Seconds for a loop to end what it has begun; asked again it is torn from that as well."""


async def together(*loops: Coroutine[Any, Any, None]) -> None:
    """Run until one of them ends or fails, or until cancelled; then all ended. Raises what the first one raised."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        failed = [task for task in tasks if task.done() and not task.cancelled() and task.exception() is not None]
        await ended(tasks)
    if failed:
        failed[0].result()


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel these and wait for them, however often it must be said. What they raise is left to whoever started them;
    a cancellation of the caller is raised once all have ended."""
    pending = {task for task in tasks if not task.done()}
    cancelled = False
    while pending:
        for task in pending:
            task.cancel()
        try:
            _, pending = await asyncio.wait(pending, timeout=ASK_AGAIN)
        except asyncio.CancelledError:
            cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at: one that failed on its way out is no news
    if cancelled:
        raise asyncio.CancelledError
