"""A day in the laboratory: the whole program on real sockets, people at their browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.browser.people import Desks
from tests.browser.running import Running, start
from tests.screens.conftest import assets, browser

__all__ = ["assets", "browser"]


@pytest.fixture(scope="module")
async def numune(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """`numune run --demo`, started once for all stories of the day. Chromium first: without it there is no story."""
    running = await start(tmp_path_factory.mktemp("gun") / "veri")
    yield running
    running.sweep()


@pytest.fixture
async def desks(numune: Running, browser: Browser) -> AsyncIterator[Desks]:
    """The people of one story, each at a browser; a story ends with no complaint of any of the browsers."""
    made = Desks(browser, numune.address, [], [])
    yield made
    for context in made.contexts:
        await context.close()
    assert made.trouble == []
