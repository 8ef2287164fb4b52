"""Every address of the application x every job x own and foreign unit, bench and patient, from the application itself.

A new address is in here the day it is added; one that declares no permission fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Access, Door, Who, doors_of
from lis_core.domain import errors
from lis_core.domain.permission_templates import Job
from lis_core.domain.permissions import P
from lis_core.services.passwords import hash_password
from lis_core.services.permissions import Subject, add_member
from lis_core.storage.database import Actor
from lis_core.storage.tables import Physician, User
from tests.api.conftest import BASE, Clinic
from tests.permissions.conftest import House

PASSWORD = "Matris-Parolasi-73"
JSON = {"accept": "application/json"}

LIMITED_TO_OWN = (Job.CLINICIAN, Job.FAMILY_PHYSICIAN)
LIMITED_BY_BENCH = (Job.TECHNICIAN, Job.SPECIALIST, Job.CHIEF)
NO_PERMISSION = {errors.NOT_ALLOWED.code, errors.NOT_YOUR_LABORATORY.code}
OF_ORDER = ("{number}", "{barcode}")
OF_RESULT = ("{result_id}",)

BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/results/technical-approval": {"json": {"ids": [1]}},
    "/api/v1/results/clinical-approval": {"json": {"ids": [1]}},
    "/istem/{number}/iptal": {"data": {"neden": "deneme"}},
}
"""What a call needs to get as far as the record; the others are asked without."""


def test_no_address_is_without_a_declaration(clinic: Clinic) -> None:
    silent = [f"{door.method} {door.path}" for door in doors_of(clinic.app) if not door.access]
    assert silent == []


def test_what_is_open_says_why(clinic: Clinic) -> None:
    """Addresses without a permission are few, and each gives its reason."""
    for door in doors_of(clinic.app):
        for one in door.access:
            assert one.permissions if one.who is Who.HOLDERS else one.reason, door


def test_a_permission_and_a_public_door_do_not_stand_on_one_address(clinic: Clinic) -> None:
    for door in doors_of(clinic.app):
        kinds = {one.who for one in door.access}
        assert not ({Who.EVERYBODY, Who.HOLDERS} <= kinds), door


@pytest.mark.parametrize(
    ("access", "held", "admitted"),
    [
        (Access(Who.HOLDERS, (P.ORDER_VIEW, P.RESULT_VIEW)), {P.ORDER_VIEW}, False),
        (Access(Who.HOLDERS, (P.ORDER_VIEW, P.RESULT_VIEW), any_of=True), {P.ORDER_VIEW}, True),
        (Access(Who.SIGNED_IN, reason="x"), set(), True),
    ],
)
def test_what_a_declaration_asks(access: Access, held: set[P], admitted: bool) -> None:
    from lis_core.storage.database import program

    assert access.admits(program("deneme", may=held)) is admitted
    assert access.admits(None) is False


def impatient(app: FastAPI) -> ASGIApp:
    """The application for somebody who leaves once a stream of events has begun: it let him in."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start" and any(
                b"event-stream" in value for _, value in message["headers"]
            ):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                serving.cancel()

        serving = asyncio.create_task(app(scope, receive, sending))
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    return served


@dataclass
class World:
    """One order with a measured chemistry and hormone test, and everybody who might come to it."""

    clinic: Clinic
    house: House
    fills: dict[str, str] = field(default_factory=dict)
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=dict)

    async def tell(self) -> None:
        placed = await self.clinic.place("GLU", "TSH", by="hekim")
        await self.clinic.receive(placed)
        await self.clinic.measure(placed["number"], GLU="92", TSH="2.1")
        result_id = await self.clinic.result_id(placed["number"], "GLU")
        barcode = next(tube["barcode"] for tube in placed["specimens"] if "GLU" in tube["tests"])
        self.fills = {"number": placed["number"], "barcode": barcode, "result_id": str(result_id)}

    async def enter(self, username: str, job: Job, *benches: str, physician: str | None = None) -> None:
        """A person of this job signs in."""
        async with self.house.database.work(await self.house.actor("yonetici")) as work:
            physician_id = None
            if physician is not None:
                physician_id = await work.session.scalar(select(Physician.id).where(Physician.code == physician))
                assert physician_id is not None
            row = User(
                username=username,
                given_name="Ek",
                family_name=username.title(),
                password_hash=await hash_password(PASSWORD),
                physician_id=physician_id,
            )
            work.session.add(row)
            await work.session.flush()
            await add_member(work, await self.house.group(job), Subject(user_id=row.id), benches)
        token = (await self.clinic.as_(username, PASSWORD)).headers["authorization"]
        self.clients[username] = self.caller(authorization=token)
        self.actors[username] = await self.house.actor(username)

    def caller(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=impatient(self.clinic.app), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)

    def address(self, door: Door) -> str:
        """The door's address with this order's numbers; whatever else a path asks for is 1."""
        path = door.path
        for name, value in self.fills.items():
            path = path.replace(f"{{{name}}}", value)
        while "{" in path:
            before, _, rest = path.partition("{")
            path = before + "1" + rest.partition("}")[2]
        return path

    async def knock(self, door: Door, username: str | None) -> httpx.Response:
        if username is None:
            async with self.caller() as nobody:
                return await nobody.request(door.method, self.address(door), headers=JSON, **BODIES.get(door.path, {}))
        client = self.clients[username]
        return await client.request(door.method, self.address(door), headers=JSON, **BODIES.get(door.path, {}))


@pytest.fixture
async def world(clinic: Clinic) -> AsyncIterator[World]:
    made = World(clinic, House(clinic.database))
    await made.tell()
    yield made
    for client in made.clients.values():
        await client.aclose()


def doors(world: World) -> list[Door]:
    """Reading first: what a call changes must not hide what the next one shows."""
    asked = [door for door in doors_of(world.clinic.app) if door.method != "HEAD" and door.path not in ("/static",)]
    return sorted(asked, key=lambda door: (door.method != "GET", door.path, door.method))


def code_of(answer: httpx.Response) -> str:
    if answer.headers.get("content-type", "").startswith("application/json"):
        said = answer.json()
        return str(said.get("code", "")) if isinstance(said, dict) else ""
    return ""


@pytest.mark.clause("2.8.11a")
@pytest.mark.clause("4.8.4a")
@pytest.mark.parametrize("job", list(Job))
async def test_every_address_opens_to_whom_it_is_declared_and_to_nobody_else(world: World, job: Job) -> None:
    """Own unit, own bench, own patient: refused for want of a permission where, and only where, it is declared."""
    own = "H-100" if job in LIMITED_TO_OWN else None
    await world.enter("kendi", job, *(["BIYOKIMYA"] if job in LIMITED_BY_BENCH else []), physician=own)
    actor, wrong = world.actors["kendi"], []
    for door in doors(world):
        answer = await world.knock(door, "kendi")
        refused = answer.status_code == 403 and code_of(answer) in NO_PERMISSION
        if refused is door.admits(actor) or answer.status_code >= 500:
            wrong.append((door.method, door.path, answer.status_code, answer.text[:200]))
    assert wrong == []


@pytest.mark.clause("4.8.3b")
@pytest.mark.parametrize("job", LIMITED_TO_OWN)
async def test_foreign_unit_and_patient(world: World, job: Job) -> None:
    """The same doors, the order of another unit's physician: 403 or 404, and nothing of it in the answer."""
    await world.enter("yabanci", job, physician="H-101")
    wrong = []
    for door in doors(world):
        if not any(name in door.path for name in OF_ORDER):
            continue
        answer = await world.knock(door, "yabanci")
        if "Çığır" in answer.text:
            wrong.append((door.method, door.path, answer.status_code, answer.text[:200]))
        if any(P.PRIVACY_EMERGENCY in one.permissions for one in door.access):
            continue  # the door for emergencies: it asks for the reason before it opens anything
        if answer.status_code not in (403, 404, 422):
            wrong.append((door.method, door.path, answer.status_code, answer.text[:200]))
        if door.method == "GET" and answer.status_code == 422:
            wrong.append((door.method, door.path, answer.status_code, answer.text[:200]))
    assert wrong == []
    for listing in ("/istemler", "/istem", "/api/v1/results", "/kabul", "/api/v1/patients?q=Isil"):
        answer = await world.clients["yabanci"].get(listing, headers={"accept": "text/html"})
        assert answer.status_code == 200, listing
        assert world.fills["number"] not in answer.text, listing
        assert "Çığır" not in answer.text, listing


@pytest.mark.clause("9.7.1a")
@pytest.mark.clause("2.8.11c")
@pytest.mark.parametrize("job", LIMITED_BY_BENCH)
async def test_foreign_bench(world: World, job: Job) -> None:
    """Haematology's people at a chemistry result: every deed is refused, the value is shown nowhere."""
    await world.enter("yabanci", job, "HEMATOLOJI")
    wrong = []
    for door in doors(world):
        if any(name in door.path for name in OF_RESULT):
            answer = await world.knock(door, "yabanci")
            if answer.status_code not in (403, 404, 422):
                wrong.append((door.method, door.path, answer.status_code, answer.text[:200]))
    assert wrong == []
    client = world.clients["yabanci"]
    seen = (await client.get(f"/api/v1/orders/{world.fills['number']}")).json()
    assert [line["result"] for line in seen["tests"]] == [None, None]
    assert (await client.get("/api/v1/results?every_run=true")).json() == []
    lists = await client.get("/teknik-onay", headers={"accept": "text/html"})
    assert world.fills["number"] not in lists.text
    assert (await world.clinic.line(world.fills["number"], "GLU"))["state"] == "resulted"  # nothing was decided


async def test_nobody_comes_in_without_signing_in(world: World) -> None:
    wrong = []
    for door in doors(world):
        answer = await world.knock(door, None)
        open_door = all(one.who is Who.EVERYBODY for one in door.access)
        if (answer.status_code == 401) is open_door and not door.path.startswith(SIGN_IN_DOORS):
            wrong.append((door.method, door.path, answer.status_code, answer.text[:200]))
    assert wrong == []


SIGN_IN_DOORS = ("/api/v1/auth/token", "/giris")
"""Public, and 401 is their answer to a wrong password or to who has not begun to sign in."""
