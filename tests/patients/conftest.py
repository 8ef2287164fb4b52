"""Patients at their page: the laboratory behind its web application, one for all stories of a module."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pypdf
import pytest

from api.app import create_app
from api.patient import pages
from lis_core.domain.online_access import plain_code
from lis_core.settings import Settings
from tests.api.conftest import BASE, Clinic, person
from tests.conftest import _copy
from tests.permissions.conftest import House

_addresses = itertools.count(1)
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1"


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order with what its patient holds in his hand. code: "" where no slip was given."""

    number: str
    tc: str
    code: str = ""
    slip: bytes = b""
    patient: dict[str, Any] = field(default_factory=dict)


@dataclass
class Ward:
    """The laboratory, and whoever comes to its patients' page."""

    clinic: Clinic
    house: House

    async def order(self, *tests: str, slip: bool = True, release: bool = True, **values: str) -> Ordered:
        """An order of a new patient; `values` are measured and, with `release`, approved twice."""
        who = person()
        placed = await self.clinic.place(*tests, patient=who)
        await self.clinic.receive(placed)
        if values:
            await self.clinic.measure(placed["number"], **values)
            if release:
                await self.clinic.release(placed["number"], *values)
        made = Ordered(placed["number"], who["tc"], patient=who)
        return await self.slip(made) if slip else made

    async def slip(self, of: Ordered, *, by: str = "kabul", **form: str) -> Ordered:
        """The same order with a new slip."""
        answer = await (await self.clinic.as_(by)).post(f"/istem/{of.number}/belge", data=form)
        assert answer.status_code == 200, answer.text
        return Ordered(of.number, of.tc, code_on(answer.content), answer.content, of.patient)

    def visitor(self, address: str | None = None, agent: str = PHONE, **headers: str) -> httpx.AsyncClient:
        """Somebody's telephone; each at an address of its own."""
        n = next(_addresses)
        transport = httpx.ASGITransport(
            app=self.clinic.app,
            client=(address or f"10.{n // 65536}.{n // 256 % 256}.{n % 256}", 5),
            raise_app_exceptions=False,
        )
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers={"user-agent": agent, **headers})

    async def enters(self, of: Ordered, **wrong: str) -> httpx.AsyncClient:
        """The telephone of somebody who came in."""
        phone = self.visitor()
        answer = await knock(phone, of, **wrong)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sonuc/istem"), answer.text
        return phone

    async def sees(self, of: Ordered) -> str:
        """His page, as he reads it."""
        phone = await self.enters(of)
        return (await phone.get("/sonuc/istem")).text


async def knock(phone: httpx.AsyncClient, of: Ordered, **wrong: str) -> httpx.Response:
    """The three fields; `wrong` replaces some."""
    typed = {"numara": of.number, "kimlik": of.tc, "kod": of.code} | wrong
    return await phone.post("/sonuc", data=typed)


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def code_on(slip: bytes) -> str:
    """The code as it is printed."""
    found = re.search(r"\b([2-9A-Z]{5}-[2-9A-Z]{5})\b", text_of(slip))
    assert found, text_of(slip)
    assert len(plain_code(found[1])) == 10
    return found[1]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are not held back, except where a test asks for it."""
    monkeypatch.setattr(pages, "ANSWER_SECONDS", 0.0)


@pytest.fixture(scope="module")
async def ward(pg_server: str, lab_template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    folder: Path = tmp_path_factory.mktemp("veri")
    async for database in _copy(pg_server, lab_template):
        clinic = Clinic(create_app(database, Settings(data_dir=folder)), database)
        yield Ward(clinic, House(database))
        await clinic.close()
