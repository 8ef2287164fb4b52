"""What people do at their screens, in the words of the laboratory."""

from __future__ import annotations

import io
import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pypdf
import zxingcpp
from PIL import Image
from playwright.async_api import APIResponse, Locator, Page, expect

from lis_core.domain.identity import synthetic_tc
from tests.conftest import DEMO_PASSWORD
from tests.screens.conftest import Desk, scan

_people = itertools.count(911_000)
PICTURES = Path(__file__).parents[1] / "screenshots"
WAIT = 60_000  # ms; four analysers work for tens of seconds
HAND = 55  # ms between two keys of a person; a barcode reader is faster
PRINTER = 300 / 96  # a label printer's dots for each pixel of CSS


@dataclass(frozen=True, slots=True)
class Invented:
    """A person who does not exist, as typed into the form. sex: the word on the screen."""

    tc: str
    given: str
    family: str
    born: str
    sex: str = "Kadın"


@dataclass
class Desks(Desk):
    """Desks of one story. `cookies`: of those who have signed in at the form today; another window needs no form."""

    cookies: dict[str, Any] = field(default_factory=dict)

    async def sign_in(self, username: str, path: str = "") -> Page:
        """A browser window of this person, on the first screen or on `path`."""
        if username not in self.cookies:
            page = await super().sign_in(username, path)
            self.cookies[username] = await page.context.storage_state()
            return page
        page = await self.window(self.cookies[username])
        await page.goto(self.address + (path or "/"))
        await page.wait_for_selector("html[data-ready] body.framed")
        await page.wait_for_selector("[data-live][data-state=on]")
        return page

    async def window(self, cookies: Any = None) -> Page:
        """A browser window; without cookies, of somebody who has not signed in."""
        context = await self.browser.new_context(
            viewport={"width": 1366, "height": 768}, locale="tr-TR", storage_state=cookies
        )
        self.contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        return page

    async def places(self, *tests: str, by: str = "hekim", priority: str = "routine") -> dict[str, Any]:
        """An order through the JSON interface, for stories that begin after it; another invented person each time."""
        async with httpx.AsyncClient(base_url=f"{self.address}/api/v1", timeout=20) as client:
            answer = await client.post("/auth/token", json={"username": by, "password": DEMO_PASSWORD})
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            patient = {
                "tc": synthetic_tc(next(_people)),
                "given_name": "Ömer",
                "family_name": "Güngör",
                "sex": "M",
                "birth_date": "1988-06-30",
            }
            placed = await client.post("/orders", json={"patient": patient, "tests": list(tests), "priority": priority})
            assert placed.status_code == 201, placed.text
            return dict(placed.json())

    async def as_printed(self, page: Page, selector: str) -> list[bytes]:
        """Pictures of these parts of the page with as many dots as a 300 dpi label printer has."""
        context = await self.browser.new_context(
            viewport={"width": 1366, "height": 768},
            device_scale_factor=PRINTER,
            storage_state=await page.context.storage_state(),
        )
        self.contexts.append(context)
        paper = await context.new_page()
        await paper.goto(page.url)
        await expect(paper.locator(selector).first).to_be_visible()
        return [await part.screenshot() for part in await paper.locator(selector).all()]


async def picture(page: Page, name: str) -> None:
    """The screen as it stands, for people who want to see what this story saw."""
    PICTURES.mkdir(exist_ok=True)
    await page.screenshot(path=PICTURES / f"story-{name}.png", animations="disabled")


def bars(png: bytes) -> list[str]:
    """What a barcode reader sees on a picture."""
    return [found.text for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(png)))]


# -- ordering


async def types_person(page: Page, person: Invented, *, urgent: bool = False) -> None:
    """Fill the patient's part of the order form without a mouse; ends in the field that finds tests."""
    await expect(page.locator("#tc")).to_be_focused()
    await page.keyboard.type(person.tc, delay=HAND)
    await expect(page.locator("#patient [name=ad]")).to_be_focused()
    for text in (person.given, person.family, person.born):
        await page.keyboard.type(text, delay=HAND)
        await page.keyboard.press("Tab")
    await expect(page.locator("#patient [name=cinsiyet]")).to_be_focused()
    await page.keyboard.type(person.sex[0])
    await expect(page.locator("#patient [name=cinsiyet] option:checked")).to_have_text(person.sex)
    if urgent:
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("[name=aciliyet]:checked")).to_have_value("acil")
    await page.locator("#find-test").focus() if not urgent else await page.keyboard.press("/")
    await expect(page.locator("#find-test")).to_be_focused()


async def chooses(page: Page, *codes: str) -> None:
    """Type codes, Enter each."""
    for code in codes:
        await page.keyboard.type(code.lower(), delay=HAND)
        await expect(page.locator("#found li").first).to_contain_text(code)
        await page.keyboard.press("Enter")
        await expect(page.locator("#chosen b", has_text=re.compile(f"^{re.escape(code)}$"))).to_be_visible()


async def saves(page: Page) -> str:
    """Ctrl+Enter, twice as hurried hands do; the number of the order, of which there must be one."""
    await page.keyboard.press("Control+Enter")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#said")).to_contain_text("İstem kaydedildi")
    return await page.locator("#said b").first.inner_text()


# -- approving


async def opens_order(page: Page, number: str) -> Locator:
    """The order's picture, by a scan of its number. The rows of its tests."""
    await scan(page, number)
    await expect(page.locator(f'#picture [data-number="{number}"]')).to_be_visible()
    return page.locator("#rows tr[data-code]")


async def values_on(rows: Locator) -> dict[str, str]:
    """Code and value of each row, as on the screen; rows without a value are left out."""
    found: list[tuple[str, str | None]] = await rows.evaluate_all(
        "rows => rows.map(row => [row.dataset.code, row.querySelector('.value')?.textContent ?? null])"
    )
    return {code: value for code, value in found if value is not None}


@dataclass(frozen=True, slots=True)
class Approved:
    """What a technician has approved. values: as they stood on the screen when the key was pressed."""

    values: dict[str, str]
    panics: list[str]


async def approves_technically(page: Page, number: str, told: str = "Dr. Özışık") -> Approved:
    """H for everything plain, then O on each row with a sign; a panic value only with a call record.

    Ends when the order's line in the list says that it is done; the page is then on the next order.
    """
    shown = page.locator(f'#picture [data-number="{number}"]')
    waiting = shown.locator("tr[data-code]:not(.done)")
    finished = page.locator(f'#waiting li.done[data-row="{number}"]')
    values = await values_on(waiting)
    panics: list[str] = []
    await page.keyboard.press("h")
    await expect(page.locator("#said")).to_contain_text(re.compile("onaylandı|İmsiz sonuç yok"))
    for code in [str(await row.get_attribute("data-code")) for row in await waiting.all()]:
        row = shown.locator(f'tr[data-code="{code}"]')
        await row.click()
        await expect(row).to_have_attribute("aria-selected", "true")
        values |= await values_on(row)
        await page.keyboard.press("o")
        call = page.locator("#ask-call")
        done = shown.locator(f'tr.done[data-code="{code}"]')
        await expect(call.or_(done).or_(finished).locator("visible=true").first).to_be_visible()
        if await call.is_visible():
            panics.append(code)
            await expect(page.locator("#said")).to_contain_text("panik")
            await expect(call.locator("[name=aranan]")).to_be_focused()
            await picture(page, "09-panik-arama-kaydi")
            await page.keyboard.type(told, delay=HAND)
            await page.keyboard.press("Enter")
            await expect(done.or_(finished).locator("visible=true").first).to_be_visible()
    await expect(finished).to_be_visible()
    return Approved(values, panics)


async def asks(page: Page, path: str) -> APIResponse:
    """An address of the program, with the cookies of this browser."""
    return await page.context.request.get(urljoin(page.url, path))


async def api(page: Page, path: str) -> tuple[int, Any]:
    """What the JSON interface tells the person of this browser."""
    answer = await asks(page, path)
    return answer.status, json.loads(await answer.text() or "null")


def as_text(pdf: bytes, name: str) -> str:
    """Text of a report; the report itself goes beside the pictures."""
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.pdf").write_bytes(pdf)
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)
