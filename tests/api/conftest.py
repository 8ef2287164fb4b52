"""The laboratory as its web interface sees it: real application, real database, no browser."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.app import create_app
from lis_core.domain.identity import synthetic_tc
from lis_core.services.ingest_batch import apply_batch
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.conftest import DEMO_PASSWORD, ProgramsDatabase
from tests.ingest.conftest import message, result

BASE = "http://numune.test"
_people = itertools.count(700_000)


class Clinic:
    """Everything a story needs: people who ask, orders, tubes, analysers that report."""

    def __init__(self, app: FastAPI, database: Database) -> None:
        self.app = app
        self.database = database
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._hand: Database | None = None

    def anonymous(self, **headers: str) -> httpx.AsyncClient:
        """Somebody who has not signed in. Close it, or use it as a context."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)

    async def as_(self, username: str, password: str = DEMO_PASSWORD) -> httpx.AsyncClient:
        """A program with this user's bearer token."""
        if username not in self._clients:
            client = self.anonymous()
            answer = await client.post("/api/v1/auth/token", json={"username": username, "password": password})
            assert answer.status_code == 200, answer.text
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            self._clients[username] = client
        return self._clients[username]

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        if self._hand is not None:
            await self._hand.close()

    async def place(self, *tests: str, by: str = "hekim", **order: Any) -> dict[str, Any]:
        """An order; the answer of the interface."""
        answer = await (await self.as_(by)).post("/api/v1/orders", json=order_body(*tests, **order))
        assert answer.status_code == 201, answer.text
        placed: dict[str, Any] = answer.json()
        return placed

    async def receive(self, placed: Mapping[str, Any]) -> None:
        """Every tube of the order arrives."""
        desk = await self.as_("kabul")
        for tube in placed["specimens"]:
            answer = await desk.post(f"/api/v1/specimens/{tube['barcode']}/receive")
            assert answer.status_code == 200, answer.text

    async def measure(self, specimen: str, *, line: str = "genel", **values: str) -> None:
        """An analyser reports these values for a number or a tube."""
        seen = [result(specimen, test, value, record=3 + place) for place, (test, value) in enumerate(values.items())]
        await apply_batch(self.database, [message(*seen, line=line, raw=_raw(specimen, values))])

    async def order(self, number: str, by: str = "teknisyen") -> dict[str, Any]:
        answer = await (await self.as_(by)).get(f"/api/v1/orders/{number}")
        assert answer.status_code == 200, answer.text
        seen: dict[str, Any] = answer.json()
        return seen

    async def result_id(self, number: str, test: str) -> int:
        """Id of the valid run of a test."""
        return int((await self.line(number, test))["result"]["id"])

    async def line(self, number: str, test: str, by: str = "teknisyen") -> dict[str, Any]:
        """The test of an order as this person sees it."""
        return next(line for line in (await self.order(number, by))["tests"] if line["code"] == test)

    async def decide(self, deed: str, result_id: int, by: str, **body: Any) -> httpx.Response:
        """technical-approval, clinical-approval, repeat, withdraw."""
        return await (await self.as_(by)).post(f"/api/v1/results/{result_id}/{deed}", json=body)

    async def release(self, number: str, *tests: str) -> None:
        """Both approvals for these tests."""
        for test in tests:
            result_id = await self.result_id(number, test)
            for deed, by in (("technical-approval", "teknisyen"), ("clinical-approval", "uzman")):
                answer = await self.decide(deed, result_id, by, reason="deneme")
                assert answer.status_code == 200, answer.text

    @property
    def by_hand(self) -> Database:
        """The database for whoever rules it."""
        if self._hand is None and isinstance(self.database, ProgramsDatabase):
            self._hand = Database(self.database.administrator, pool_size=1)
        return self._hand or self.database

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        """Rows straight from the database, by whoever rules it (the statement is committed)."""
        async with self.by_hand.engine.begin() as connection:
            answer = await connection.execute(text(statement), values)
            return list(answer.all()) if answer.returns_rows else []


def _raw(specimen: str, values: Mapping[str, str]) -> bytes:
    """What such a message looks like on the line."""
    lines = ["H|\\^&", "P|1", f"O|1|{specimen}"]
    lines += [f"R|{n}|^^^{test}|{value}" for n, (test, value) in enumerate(values.items(), 1)]
    return ("\x02" + "\r".join([*lines, "L|1|N"]) + "\r\x03").encode()


def person(**wanted: Any) -> dict[str, Any]:
    """An invented patient; a new one each time."""
    n = next(_people)
    return {
        "tc": synthetic_tc(n),
        "given_name": "Işıl",
        "family_name": f"Çığır{'abcdefghij'[n % 10]}{'abcdefghij'[n // 10 % 10]}",
        "sex": "F",
        "birth_date": "1980-05-17",
    } | wanted


def order_body(*tests: str, **order: Any) -> dict[str, Any]:
    """Body of an order."""
    return {"patient": order.pop("patient", None) or person(), "tests": list(tests), "priority": "routine"} | order


@pytest.fixture
async def clinic(lab: Database) -> AsyncIterator[Clinic]:
    """The demonstration laboratory behind its web application."""
    clinic = Clinic(create_app(lab, Settings()), lab)
    yield clinic
    await clinic.close()
