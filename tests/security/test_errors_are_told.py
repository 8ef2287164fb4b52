"""Whatever fails, on the server or in somebody's browser, is in the log with time, person, screen and number (4.7.4)."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from lis_core.storage.database import Database
from tests.accounts.conftest import House
from tests.screens.conftest import Desk, assets, browser, desk

__all__ = ["assets", "browser", "desk"]


@pytest.mark.clause("4.7.4")
@pytest.mark.browser
async def test_an_error_in_the_browser_and_one_on_the_server_are_in_the_log(
    desk: Desk, lab: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    page = await desk.sign_in("teknisyen", "/teknik-onay")
    async with page.expect_response("**/tarayici-hatasi") as answered:
        await page.evaluate("() => { setTimeout(() => { throw new Error(\"boş: 'Ayşe Yılmaz' 10000000146\") }, 0) }")
    assert (await answered.value).status == 200
    [told] = [record for record in caplog.records if record.name == "numune.browser"]
    assert told.created and re.search(
        r"browser error [0-9A-F]{10} by teknisyen on /teknik-onay at .*:\d+: Uncaught Error: boş", told.getMessage()
    )
    assert "Ayşe" not in told.getMessage() and "10000000146" not in told.getMessage()

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("deneme")

    monkeypatch.setattr("api.screens.search.find_orders", broken)
    await page.goto(f"{desk.address}/istemler")
    shown = await page.locator("body").inner_text()
    [failed] = [record for record in caplog.records if getattr(record, "action", "") == "unexpected_error"]
    number = re.search(r"error (\w{10}) at GET /istemler by teknisyen", failed.getMessage())
    assert number and number[1] in shown and failed.exc_info
    await asyncio.sleep(0)
    desk.trouble.clear()


async def test_nobody_fills_the_log_nor_writes_a_line_of_it(house: House, caplog: pytest.LogCaptureFixture) -> None:
    visitor = await house.signed_in("uzman")
    answers = [
        (
            await visitor.send(
                "/tarayici-hatasi", mesaj="x\n2026-11-22 ERROR uydurma", ekran="/istem/26000001", satir="1"
            )
        ).status_code
        for _ in range(25)
    ]
    assert answers == [200] * 20 + [429] * 5
    lines = [record.getMessage() for record in caplog.records if record.name == "numune.browser"]
    assert len(lines) == 20 and not [line for line in lines if "\n" in line or "26000001" in line]
    async with house.browser().client as stranger:
        assert (await stranger.post("/tarayici-hatasi", data={"mesaj": "x"})).status_code in (303, 401, 403)
