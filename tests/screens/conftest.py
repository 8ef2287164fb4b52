"""The screens as people use them: through HTTP alone, and in a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from api.app import create_app
from api.live import LiveHub
from api.web.build import build
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.conftest import DEMO_PASSWORD
from tests.screens.scenario import Lab

CHROMIUM = os.environ.get("NUMUNE_CHROMIUM", "/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
]
ROLES = ("teknisyen", "uzman", "hekim", "ailehekimi", "kabul", "yonetici")


@pytest.fixture(scope="session")
def assets() -> None:
    """The browser side, built; quick when nothing changed."""
    build()


@dataclass
class Visitor:
    """Somebody signed in through the form, without a browser."""

    client: httpx.AsyncClient
    token: str = ""

    async def get(self, path: str, *, part: bool = False) -> httpx.Response:
        return await self.client.get(path, headers={"HX-Request": "true"} if part else {})

    async def post(self, path: str, **form: str | list[str]) -> httpx.Response:
        """What a form of a page sends; names of fields that are Python words end with an underscore."""
        headers = {"HX-Request": "true", "X-Form-Token": self.token}
        return await self.client.post(
            path, data={name.rstrip("_"): value for name, value in form.items()}, headers=headers
        )


@dataclass
class Site:
    """The application without a socket: a visitor for each demonstration user."""

    client_of: dict[str, Visitor]
    transport: httpx.ASGITransport

    def stranger(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport, base_url="http://numune.test")

    async def as_(self, username: str, password: str = DEMO_PASSWORD) -> Visitor:
        if username not in self.client_of:
            client = self.stranger()
            answer = await client.post("/giris", data={"kullanici": username, "parola": password})
            assert answer.status_code == 303, answer.text
            page = await client.get("/yardim")
            token = re.search(r'name="form-token" content="([^"]+)"', page.text)
            assert token, page.text
            self.client_of[username] = Visitor(client, token[1])
        return self.client_of[username]


@pytest.fixture
async def story(lab: Database) -> Lab:
    """The demonstration laboratory, spoken to through its services."""
    return Lab(lab)


@pytest.fixture
async def site(lab: Database) -> AsyncIterator[Site]:
    site = Site({}, httpx.ASGITransport(app=create_app(lab, Settings()), raise_app_exceptions=False))
    yield site
    for visitor in site.client_of.values():
        await visitor.client.aclose()


# -- a real browser


@pytest.fixture(scope="session")
async def browser(assets: None) -> AsyncIterator[Browser]:
    if not Path(CHROMIUM).exists():
        message = f"Chromium is missing ({CHROMIUM}; NUMUNE_CHROMIUM names another)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        await browser.close()


@dataclass
class Desk:
    """A PC of the laboratory. `trouble`: what the browser complained about; a test ends with none."""

    browser: Browser
    address: str
    contexts: list[BrowserContext]
    trouble: list[str]

    async def sign_in(self, username: str, path: str = "") -> Page:
        """Another browser window with its own cookies, signed in, on the first screen or on `path`."""
        context = await self.browser.new_context(viewport={"width": 1366, "height": 768}, locale="tr-TR")
        context.set_default_timeout(8000)
        self.contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        page.on(
            "console",
            lambda said: (
                self.trouble.append(said.text) if said.type == "error" and "status of 4" not in said.text else None
            ),
        )
        await page.goto(f"{self.address}/giris")
        await page.fill("[name=kullanici]", username)
        await page.fill("[name=parola]", DEMO_PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("html[data-ready] body.framed")
        if path:
            await page.goto(self.address + path)
            await page.wait_for_selector("html[data-ready]")
        await page.wait_for_selector("[data-live][data-state=on]")
        return page


@pytest.fixture
async def desk(browser: Browser, lab: Database) -> AsyncIterator[Desk]:
    """The application on a real socket, with its live notes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hub = LiveHub(lab)
    server = uvicorn.Server(
        uvicorn.Config(create_app(lab, Settings(), hub), host="127.0.0.1", port=port, log_level="error", lifespan="on")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    desk = Desk(browser, f"http://127.0.0.1:{port}", [], [])
    try:
        yield desk
    finally:
        for context in desk.contexts:
            await context.close()
        hub.end_streams()
        server.should_exit = True
        await serving
    assert desk.trouble == []


async def scan(page: Page, text: str) -> None:
    """A barcode reader: a burst of keys, then Enter. Sent at once, so that a busy machine does not slow the reader."""
    wire = await page.context.new_cdp_session(page)
    keys = [{"key": letter, "text": letter} for letter in text] + [{"key": "Enter", "code": "Enter", "text": "\r"}]
    events = []
    for key in keys:
        code = ord(key["text"].upper())
        events += [
            {"type": "keyDown", "windowsVirtualKeyCode": code, **key},
            {"type": "keyUp", "windowsVirtualKeyCode": code, "key": key["key"]},
        ]
    await asyncio.gather(*(wire.send("Input.dispatchKeyEvent", event) for event in events))
    await wire.detach()
