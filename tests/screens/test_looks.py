"""What eyes need eight hours a day: contrast, letters that can be read, nothing beside the screen; light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.screens.conftest import Desk
from tests.screens.scenario import Lab, busy_morning

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[1] / "screenshots"

CHECK = (Path(__file__).parent / "legible.js").read_text(encoding="utf-8")


async def _look(page: Page, name: str) -> list[str]:
    """Faults of the screen as it stands, in light and dark; its pictures go to tests/screenshots."""
    PICTURES.mkdir(exist_ok=True)
    await page.wait_for_timeout(300)
    faults = []
    for theme in ("dark", "light"):
        await page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        await page.screenshot(path=PICTURES / f"{theme}-{name}.png")
        faults += [f"{name} ({theme}): {fault}" for fault in await page.evaluate(CHECK)]
    return faults


async def test_every_screen_can_be_read_and_fits_in_light_and_dark(desk: Desk, story: Lab) -> None:
    await busy_morning(story.database)
    faults: list[str] = []
    pages = {
        "teknisyen": ["/teknik-onay", "/eslesmeyen", "/cihazlar", "/istemler"],
        "uzman": ["/klinik-onay", "/klinik-onay?onayli=1"],
        "hekim": ["/istem", "/istem/yeni", "/istem/26000003", "/istem/26000004", "/istem/26000004/etiket"],
        "kabul": ["/kabul", "/yardim"],
        "yonetici": ["/cihazlar"],
    }
    for username, paths in pages.items():
        page = await desk.sign_in(username)
        for path in paths:
            await page.goto(desk.address + path)
            await page.wait_for_selector("html[data-ready]")
            name = f"{username}{path.replace('/', '-').replace('?', '-').replace('=', '-')}"
            if path == "/teknik-onay":
                faults += await _technical(page, name)
            if path == "/cihazlar":
                await page.keyboard.press("ArrowDown")
                await page.wait_for_timeout(300)
            if path == "/istem/yeni":
                await page.fill("#tc", "90082000098")
                await page.wait_for_timeout(300)
                await page.fill("#find-test", "tro")
            faults += await _look(page, name)
    assert faults == []


async def _technical(page: Page, name: str) -> list[str]:
    """The measure for the others, with its panels open one after the other."""
    faults = []
    await page.wait_for_selector("#picture [data-number]")
    await page.keyboard.press("ArrowRight")
    for key, panel in (("g", "#chart"), ("a", "#ask-call"), ("t", "#ask-repeat"), ("r", "#ask-reject")):
        await page.keyboard.press(key)
        await page.wait_for_selector(f"{panel}:not([hidden])")
        faults += await _look(page, f"{name}-{panel.strip('#')}")
        await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await page.wait_for_selector("dialog#keys[open]")
    faults += await _look(page, f"{name}-keys")
    await page.keyboard.press("Escape")
    return faults


async def test_sign_in_and_refusals_can_be_read_too(desk: Desk, story: Lab) -> None:
    faults = []
    page = await desk.sign_in("hekim")
    for path in ("/teknik-onay", "/istem/999999"):
        await page.goto(desk.address + path)
        faults += await _look(page, f"refusal{path.replace('/', '-')}")
    await page.context.clear_cookies()
    await page.goto(f"{desk.address}/giris")
    faults += await _look(page, "sign-in")
    desk.trouble[:] = [said for said in desk.trouble if "status of 4" not in said]
    assert faults == []
