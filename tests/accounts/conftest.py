"""The application as a browser and its owner see it; clocks, telephones and security keys that tests hold in the hand."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.app import create_app
from lis_core.services import second_factor
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.conftest import DEMO_PASSWORD

BASE = "http://numune.test"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
GOOD = "mor fil yağmurda dans eder"
OTHER = "yedi kedi damda şarkı söyler"


@dataclass
class Browser:
    """One browser of one person: cookies, the token of the page that it looks at."""

    client: httpx.AsyncClient
    token: str = ""
    page: str = ""
    at: str = ""
    trail: list[str] = field(default_factory=list)

    async def get(self, path: str) -> httpx.Response:
        """Look at a page, following redirects within the site."""
        return await self._follow(await self.client.get(path))

    async def post(self, path: str, **form: Any) -> httpx.Response:
        """Send a form of the page."""
        return await self._follow(await self.send(path, **form))

    async def send(self, path: str, **form: Any) -> httpx.Response:
        """The same without following."""
        return await self.client.post(path, data={"_form": self.token, **form})

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(6):
            self.trail.append(f"{answer.status_code} {answer.request.url.path}")
            if answer.status_code != 303 or not answer.headers["location"].startswith("/"):
                break
            answer = await self.client.get(answer.headers["location"])
        self.page, self.at = answer.text, answer.request.url.path
        found = re.search(r'name="(?:form-token" content|_form" value)="([^"]+)"', answer.text)
        self.token = found[1] if found else self.token
        return answer

    async def sign_in(self, username: str, password: str = DEMO_PASSWORD, wanted: str = "") -> httpx.Response:
        return await self.post("/giris", kullanici=username, parola=password, sonraki=wanted)

    @property
    def session(self) -> str:
        """Secret of the session's cookie."""
        return next((cookie.value or "" for cookie in self.client.cookies.jar if cookie.name == "numune_oturum"), "")

    def found(self, pattern: str) -> str:
        """Something on the page; fails where it is not there."""
        match = re.search(pattern, self.page)
        assert match, f"{pattern!r} is not on {self.at}: {self.page[:1500]}"
        return match[1]


@dataclass
class House:
    """A hospital with its application. Each `browser()` is another one."""

    app: FastAPI
    database: Database
    opened: list[httpx.AsyncClient] = field(default_factory=list)

    def browser(self, agent: str = FIREFOX, address: str = "10.0.0.5", base: str = BASE, **headers: str) -> Browser:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=(address, 4711))
        client = httpx.AsyncClient(transport=transport, base_url=base, headers={"user-agent": agent, **headers})
        self.opened.append(client)
        return Browser(client)

    async def signed_in(self, username: str, password: str = DEMO_PASSWORD, **how: Any) -> Browser:
        browser = self.browser(**how)
        answer = await browser.sign_in(username, password)
        assert answer.status_code == 200 and "/giris" not in browser.at, (browser.trail, answer.text[:800])
        return browser

    async def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.database.reading() as session:
            done = await session.execute(text(statement), values)
            rows = [tuple(row) for row in done.fetchall()] if done.returns_rows else []
            await session.commit()
            return rows

    async def audit(self, action: str) -> list[tuple[Any, ...]]:
        """Who did it, and what stands after it."""
        return await self.sql("select yapan, sonraki from denetim where islem = :a order by sira", a=action)

    async def user_id(self, username: str) -> int:
        return int((await self.sql("select kullanici_kodu from kullanici where kullanici_adi = :u", u=username))[0][0])

    async def api(self, token: str, path: str = "/api/v1/auth/me", **how: Any) -> httpx.Response:
        return await self.browser(agent="program", **how).client.get(path, headers={"authorization": f"Bearer {token}"})


Making = Callable[..., Awaitable[House]]


@pytest.fixture
async def make(lab: Database, tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    """A house with these `[giris]` settings."""
    houses: list[House] = []

    def made(tek_giris: list[dict[str, Any]] | None = None, **giris: Any) -> House:
        config: dict[str, Any] = {"giris": giris}
        if tek_giris:
            config["tek_giris"] = tek_giris
        houses.append(House(create_app(lab, Settings(data_dir=tmp_path, config=config)), lab))
        return houses[-1]

    yield made
    for house in houses:
        for client in house.opened:
            await client.aclose()


@pytest.fixture
def house(make: Callable[..., House]) -> House:
    """A house with the settings of the release."""
    return make()


class Telephone:
    """An authenticator application. `code()` is always a fresh one: the clock of the server moves with it."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self.totp = pyotp.TOTP(secret)
        self.clock = clock

    def code(self, steps: int = 1) -> str:
        self.clock.step += steps
        return self.same()

    def same(self) -> str:
        """What it shows without waiting."""
        return self.totp.generate_otp(self.clock.step)


class Clock:
    """The thirty-second steps as the server counts them in this test."""

    def __init__(self) -> None:
        self.step = 58_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(second_factor, "_step_now", lambda work: clock.step)
    return clock


@pytest.fixture
def telephone(clock: Clock) -> Callable[[str], Telephone]:
    return lambda secret: Telephone(secret, clock)


async def enrols(browser: Browser, telephone: Callable[[str], Telephone]) -> tuple[Telephone, list[str]]:
    """Set an authenticator application up on `/hesabim`; it and the recovery codes."""
    await browser.get("/hesabim")
    await browser.post("/hesabim/uygulama")
    phone = telephone(browser.found(r"data-secret>([A-Z2-7]+)<"))
    proof = browser.found(r'name="kanit" value="([^"]+)"')
    await browser.post("/hesabim/uygulama/onay", kanit=proof, kod=phone.code())
    codes = re.findall(r"<li><code>([0-9A-Z-]{19})</code>", browser.page)
    assert len(codes) == 10, browser.page[:2000]
    return phone, codes
