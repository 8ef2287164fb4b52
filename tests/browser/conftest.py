"""A day in the laboratory: the whole program on real sockets, people at their browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.people import Desks
from tests.browser.running import Running, start
from tests.screens.conftest import assets, browser

__all__ = ["assets", "browser"]

PATIENCE = 15_000  # ms; a whole laboratory, its database and a browser share the machine with other work


@pytest.fixture(scope="module")
async def numune(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """`numune run --demo`, started once for all stories of the day. Chromium first: without it there is no story."""
    running = await start(tmp_path_factory.mktemp("gun") / "veri")
    yield running
    running.sweep()


@pytest.fixture(scope="module")
def cookies() -> dict[str, Any]:
    """Of the people who have signed in today, by name."""
    return {}


@pytest.fixture
async def desks(numune: Running, browser: Browser, cookies: dict[str, Any]) -> AsyncIterator[Desks]:
    """The people of one story, each at a browser; a story ends with no complaint of any of the browsers."""
    expect.set_options(timeout=PATIENCE)
    made = Desks(browser, numune.address, [], [], cookies)
    yield made
    expect.set_options(timeout=None)
    for context in made.contexts:
        await context.close()
    assert made.trouble == []
