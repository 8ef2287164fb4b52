"""`numune user`: a new installation gets its first administrator without the demonstration."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from api.app import create_app
from lis_core.people_cli import user
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.accounts.conftest import GOOD, House

Run = Callable[..., str]


@pytest.fixture
def numune(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command on this database; what it said. It must end with `status`."""
    monkeypatch.setenv("NUMUNE_DATABASE_URL", database.url)

    def run(*words: str, status: int = 0) -> str:
        assert user(list(words)) == status
        said = capsys.readouterr()
        return said.out + said.err

    return run


async def test_the_first_administrator_of_an_empty_installation(
    database: Database, numune: Run, tmp_path: Path
) -> None:
    def call(*words: str, status: int = 0) -> asyncio.Future[str]:
        return asyncio.ensure_future(asyncio.to_thread(numune, *words, status=status))

    said = await call("add", "ayse.kaya", "--given", "Ayşe", "--family", "Kaya", "--group", "sistem_yoneticisi")
    first = said.rsplit(" ", 1)[1].strip()
    house = House(create_app(database, Settings(data_dir=tmp_path)), database)
    browser = house.browser()
    await browser.sign_in("ayse.kaya", first)
    assert browser.at == "/giris/adim"
    await browser.post("/giris/adim/parola", yeni=GOOD, yineleme=GOOD)
    await browser.get("/kisiler")
    assert "Ayşe Kaya" in browser.page and "Yeni hesap" in browser.page
    await browser.client.aclose()
    assert "NUM-0031" in await call("add", "ayse.kaya", "--given", "A", "--family", "B", status=1)
    assert "NUM-0005" in await call("add", "yeni.biri", "--given", "A", "--family", "B", "--group", "yok", status=1)
    assert "yeni.biri" not in await call("list")  # refused whole
    assert "NUM-0001" in await call("add", "Ayşe Kaya", "--given", "A", "--family", "B", status=1)
    assert "kapatıldı" in await call("passive", "ayse.kaya")
    assert re.search(r"ayse\.kaya\s+Ayşe Kaya\s+kapalı", await call("list"))
    await call("active", "ayse.kaya")
    again = (await call("reset", "ayse.kaya", "--second-factor")).rsplit(" ", 1)[1].strip()
    assert again != first
    assert "NUM-0005" in await call("passive", "kimse", status=1)
    stored = str(await house.sql("select d::text from denetim d"))
    assert first not in stored and again not in stored and "numune user" in stored
