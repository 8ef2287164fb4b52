"""An analyser on an in-memory cable with a host at its other end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime

import pytest

from simulators.analyser import Analyser, Timing, build_analyser
from tests.simulators.hosts import AnswerRecords, AstmHost, on_a_cable

MORNING = datetime(2026, 12, 3, 8, 15)
Bench = Callable[..., AbstractAsyncContextManager[tuple[Analyser, AstmHost]]]


@pytest.fixture
def bench() -> Bench:
    """`async with bench("sysmex-xn", answer=...) as (analyser, host)`: both connected, the clock stands at 8:15."""

    @contextlib.asynccontextmanager
    async def together(
        model: str, answer: AnswerRecords | None = None, **options: object
    ) -> AsyncIterator[tuple[Analyser, AstmHost]]:
        host = AstmHost(answer)
        settings: dict[str, object] = {"timing": Timing.hurried(), "now": lambda: MORNING} | options
        async with on_a_cable(host) as cable, build_analyser(model, cable.plug, **settings) as analyser:
            yield analyser, host

    return together
