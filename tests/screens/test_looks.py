"""What eyes need eight hours a day: contrast, letters that can be read, nothing beside the screen; light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.screens.conftest import Desk
from tests.screens.scenario import Lab, busy_morning

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[1] / "screenshots"

CHECK = """
() => {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth) faults.push(`page is ${root.scrollWidth} px wide`);
  for (const pane of document.querySelectorAll('.scroll, main'))
    if (pane.clientWidth && pane.scrollWidth > pane.clientWidth + 1)
      faults.push(`${pane.className || pane.tagName} ${pane.closest('section')?.ariaLabel ?? ''} is ${pane.scrollWidth} in ${pane.clientWidth} px`);
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return { r: parts[0], g: parts[1], b: parts[2], a: parts.length > 3 ? parts[3] : 1 };
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.a > 0.99) return colour;
    }
    return { r: 255, g: 255, b: 255, a: 1 };
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element || seen.has(element)) continue;
    seen.add(element);
    if (!element.getClientRects().length || element.closest('.hidden-label, dialog:not([open]), .label-face, option')) continue;
    const style = getComputedStyle(element);
    if (style.visibility === 'hidden') continue;
    const size = parseFloat(style.fontSize);
    const svg = element.closest('svg.chart');
    const shown = svg ? size * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : size;
    const what = `"${walker.currentNode.textContent.trim().slice(0, 30)}" <${element.tagName} ${element.className.baseVal ?? element.className}>`;
    if (shown < 11.99) faults.push(`${what} is ${shown.toFixed(1)} px`);
    const disabled = element.closest(':disabled');
    const front = parse(svg ? style.fill : style.color), back = ground(element);
    const [a, b] = [light(front), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 600);
    if (!disabled && ratio < (large ? 3 : 4.5)) faults.push(`${what} has contrast ${ratio.toFixed(2)}`);
  }
  return [...new Set(faults)];
}
"""


async def _look(page: Page, name: str) -> list[str]:
    """Faults of the screen as it stands; its picture goes to tests/screenshots."""
    PICTURES.mkdir(exist_ok=True)
    await page.wait_for_timeout(350)
    await page.screenshot(path=PICTURES / f"{name}.png")
    return [f"{name}: {fault}" for fault in await page.evaluate(CHECK)]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_screen_can_be_read_and_fits(desk: Desk, story: Lab, theme: str) -> None:
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
        await page.context.add_cookies([{"name": "numune_tema", "value": theme, "url": desk.address}])
        for path in paths:
            await page.goto(desk.address + path)
            await page.wait_for_selector("html[data-ready]")
            await page.wait_for_timeout(300)
            name = f"{theme}-{username}{path.replace('/', '-').replace('?', '-').replace('=', '-')}"
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
        faults += await _look(page, f"light-refusal{path.replace('/', '-')}")
    await page.context.clear_cookies()
    await page.goto(f"{desk.address}/giris")
    faults += await _look(page, "light-sign-in")
    desk.trouble[:] = [said for said in desk.trouble if "status of 4" not in said]
    assert faults == []
