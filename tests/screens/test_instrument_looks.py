"""The screens of instruments can be read and fit, light and dark, by the measures of every other screen."""

from __future__ import annotations

from playwright.async_api import Page

from lis_core.storage.database import Database
from tests.screens.conftest import Desk
from tests.screens.scenario import busy_morning
from tests.screens.test_looks import _look

SCREENS = (
    "/cihazlar",
    "/cihazlar/mesajlar",
    "/cihazlar/kur",
    "/cihazlar/hemogram/kur",
    "/cihazlar/genel/esleme",
    "/cihazlar/kodlar",
    "/cihazlar/tanimlar",
    "/cihazlar/hat/1",
    "/cihazlar/tanim",
)


async def test_instrument_screens_can_be_read_and_fit(desk: Desk, lab: Database) -> None:
    await busy_morning(lab, 6)
    page: Page = await desk.sign_in("uzman")
    faults: list[str] = []
    for path in (*SCREENS, "/cihazlar/tanim?mesaj=1"):
        await page.goto(desk.address + path)
        await page.wait_for_selector("html[data-ready]")
        if path == "/cihazlar/mesajlar":
            await page.locator("#messages tr").first.click()
            await page.wait_for_selector("#message .message-head")
        for details in await page.locator("details").all():
            await details.evaluate("one => { one.open = true }")
        faults += await _look(page, f"uzman{path.replace('/', '-').replace('?', '-').replace('=', '-')}")
    assert faults == []
