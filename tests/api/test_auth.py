"""Sessions, tokens, roles, and forms that another site cannot send."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, Request, Response
from fastapi.routing import iter_route_contexts

from api.access import needs
from api.auth import (
    FORM_HEADER,
    SESSION_COOKIE,
    CurrentActor,
    SignedIn,
    safe_target,
    sign_in,
    sign_out,
    signed_in,
)
from lis_core.domain.permissions import P
from lis_core.services import users
from lis_core.storage.database import Actor
from tests.api.conftest import BASE, Clinic, order_body
from tests.conftest import DEMO_PASSWORD


@pytest.fixture
def desk(clinic: Clinic) -> Clinic:
    """The application with a few pages that only this test has."""

    async def enter(request: Request, response: Response) -> dict[str, str]:
        actor = await sign_in(request, response, "teknisyen", DEMO_PASSWORD)
        return {"name": actor.name}

    async def leave(request: Request, response: Response, who: Annotated[SignedIn, Depends(signed_in)]) -> None:
        await sign_out(request, response)

    async def act(actor: CurrentActor) -> dict[str, str]:
        return {"name": actor.name, "address": actor.address}

    async def form(who: Annotated[SignedIn, Depends(signed_in)]) -> dict[str, str | None]:
        return {"token": who.form_token}

    async def chief_only(actor: Annotated[Actor, Depends(needs(P.AUDIT_VIEW))]) -> None:
        return None

    clinic.app.add_api_route("/api/deneme/giris", enter, methods=["POST"], include_in_schema=False)
    clinic.app.add_api_route("/api/deneme/cikis", leave, methods=["POST"], include_in_schema=False)
    clinic.app.add_api_route("/api/deneme/is", act, methods=["GET", "POST"], include_in_schema=False)
    clinic.app.add_api_route("/api/deneme/form", form, methods=["GET"], include_in_schema=False)
    clinic.app.add_api_route("/api/deneme/yonetici", chief_only, methods=["GET"], include_in_schema=False)
    return clinic


@asynccontextmanager
async def browser(desk: Clinic) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A signed-in browser and the form token of its pages."""
    async with desk.anonymous() as client:
        assert (await client.post("/api/deneme/giris")).status_code == 200
        yield client, (await client.get("/api/deneme/form")).json()["token"]


async def test_the_cookie_cannot_be_read_by_scripts_nor_sent_by_other_sites(desk: Clinic) -> None:
    async with desk.anonymous() as client:
        cookie = (await client.post("/api/deneme/giris")).headers["set-cookie"].lower()
        assert cookie.startswith(SESSION_COOKIE)
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie
    transport = httpx.ASGITransport(app=desk.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://numune.test") as client:
        assert "secure" in (await client.post("/api/deneme/giris")).headers["set-cookie"].lower()
        assert "max-age" in (await client.get("/healthz")).headers["strict-transport-security"]


async def test_a_change_needs_the_form_token(desk: Clinic) -> None:
    async with browser(desk) as (client, token):
        assert (await client.get("/api/deneme/is")).json()["name"] == "teknisyen"
        for headers in ({}, {FORM_HEADER: "yanlış-anahtar".encode().hex()}, {FORM_HEADER: ""}):
            bare = await client.post("/api/deneme/is", headers=headers)
            assert (bare.status_code, bare.json()["code"]) == (403, "NUM-0010")
        assert (await client.post("/api/deneme/is", headers={FORM_HEADER: token})).status_code == 200
        assert (await client.post("/api/deneme/is", data={"_form": token})).status_code == 200
        assert (await client.post("/api/deneme/is", data={"_form": token + "x"})).status_code == 403
        assert (await client.post("/api/deneme/is", files={"_form": (None, token)})).status_code == 200
        # the JSON interface is no way around it
        ordered = await client.post("/api/v1/orders", json=order_body("GLU"))
        assert (ordered.status_code, ordered.json()["code"]) == (403, "NUM-0010")
        ordered = await client.post("/api/v1/orders", json=order_body("GLU"), headers={FORM_HEADER: token})
        assert ordered.status_code == 201


async def test_a_form_of_another_site_cannot_sign_anybody_in(desk: Clinic) -> None:
    async with desk.anonymous() as client:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://kotu.test"}, {"origin": "null"}):
            refused = await client.post("/api/deneme/giris", headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "NUM-0010")
        assert (await client.post("/api/deneme/giris", headers={"origin": BASE})).status_code == 200


async def test_signing_out_ends_the_session_everywhere(desk: Clinic) -> None:
    async with browser(desk) as (client, token):
        secret = client.cookies[SESSION_COOKIE]
        assert (await client.post("/api/deneme/cikis", headers={FORM_HEADER: token})).status_code == 200
        assert SESSION_COOKIE not in client.cookies
        client.cookies.set(SESSION_COOKIE, secret, domain="numune.test")
        assert (await client.get("/api/deneme/is")).status_code == 401


async def test_a_session_and_a_token_end_with_their_time(desk: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "CACHE_SECONDS", 0.0)
    program = await desk.as_("hekim")
    async with browser(desk) as (client, _):
        assert (await client.get("/api/deneme/is")).status_code == 200
        assert (await program.get("/api/v1/tests")).status_code == 200
        await desk.sql("update oturum set bitis_zamani = now() - interval '1 second'")
        await desk.sql("update erisim_belirteci set bitis_zamani = now() - interval '1 second'")
        ended = await client.get("/api/deneme/is")
        assert (ended.status_code, ended.json()["code"]) == (401, "NUM-0002")
        assert (await program.get("/api/v1/tests")).status_code == 401


async def test_a_person_without_a_session_is_led_to_the_sign_in_page(desk: Clinic) -> None:
    async with desk.anonymous(accept="text/html") as client:
        page = await client.get("/")
        assert (page.status_code, page.headers["location"]) == (303, "/giris")


async def test_a_wrong_token_never_falls_back_to_the_cookie(desk: Clinic) -> None:
    async with browser(desk) as (client, _):
        for header in ("Bearer yok", "Basic dGVrbmlzeWVuOng=", "Bearer "):
            assert (await client.get("/api/deneme/is", headers={"authorization": header})).status_code == 401


async def test_the_address_of_the_request_is_the_one_in_the_audit(desk: Clinic) -> None:
    placed = await desk.place("GLU")
    rows = await desk.sql(
        "select yapan, adres from denetim where nesne_turu = 'tetkik_istem' and sonraki->>'numune_numarasi' = :n",
        n=placed["number"],
    )
    assert rows == [("hekim", "127.0.0.1")]


async def test_a_role_is_needed_and_named(desk: Clinic) -> None:
    answer = await (await desk.as_("teknisyen")).get("/api/deneme/yonetici")
    assert (answer.status_code, answer.json()["code"]) == (403, "NUM-0004")
    assert "denetim izini görme" in answer.json()["message"]
    assert "Sistem yöneticisi (Yasemin Öztürk)" in answer.json()["message"]
    assert (await (await desk.as_("yonetici")).get("/api/deneme/yonetici")).status_code == 200


async def test_guessing_gets_slow(desk: Clinic) -> None:
    async with desk.anonymous() as client:
        for _ in range(5):
            wrong = await client.post("/api/v1/auth/token", json={"username": "uzman", "password": "tahmin"})
            assert wrong.status_code == 401
        slowed = await client.post("/api/v1/auth/token", json={"username": "uzman", "password": DEMO_PASSWORD})
    assert (slowed.status_code, slowed.json()["code"]) == (429, "NUM-0009")
    assert int(slowed.headers["retry-after"]) >= 1


OPEN = {"/healthz", "/readyz", "/metrics", "/api/v1/auth/token", "/api/openapi.json"}


async def test_every_call_of_the_interface_asks_who_it_is(clinic: Clinic) -> None:
    async with clinic.anonymous() as nobody:
        paths = (await nobody.get("/api/openapi.json")).json()["paths"]
        for path, methods in paths.items():
            for method in methods:
                answer = await nobody.request(method, path.replace("{", "").replace("}", ""), json={})
                expected = 422 if path in OPEN else 401
                if any(name in path for name in ("_id}",)):
                    expected = 401
                assert answer.status_code == expected, (method, path, answer.text)
        assert (await nobody.get("/olay")).status_code == 401


PATIENTS = "/sonuc"
"""The patients' own page: nobody signs in there as a user; what it shows and refuses stands in tests/patients."""


def routes(clinic: Clinic, method: str) -> list[str]:
    """Every address of the application that takes this method, parameters filled with 1; without the patients' page."""
    found = []
    for route in iter_route_contexts(clinic.app.routes):
        if not isinstance(route.path, str) or route.path.startswith(PATIENTS):
            continue
        if method in (getattr(route, "methods", None) or ()):
            found.append(re.sub(r"{[^}]+}", "1", route.path))
    return found


async def test_no_page_and_no_form_works_without_signing_in(desk: Clinic) -> None:
    """The sign-in page, health and the interface's own document are all that a stranger reads."""
    async with desk.anonymous(accept="text/html") as nobody:
        for address in routes(desk, "GET"):
            answer = await nobody.get(address)
            if address in OPEN | {"/giris"}:
                assert answer.status_code == 200, address
            elif address.startswith(("/api/", "/olay")):
                assert answer.status_code == 401, address
            else:
                assert (answer.status_code, answer.headers["location"][:6]) == (303, "/giris"), address
        for address in routes(desk, "POST"):
            if address in OPEN | {"/giris", "/api/deneme/giris"}:
                continue
            answer = await nobody.post(address, json={})
            assert answer.status_code == 401 if address.startswith("/api/") else answer.status_code == 303, address


async def test_every_form_needs_its_token(desk: Clinic) -> None:
    """No handler can forget it: the check belongs to being signed in."""
    async with browser(desk) as (client, _):
        for address in routes(desk, "POST"):
            if address in OPEN | {"/giris", "/api/deneme/giris"}:
                continue
            answer = await client.post(address, data={"baska": "1"}, headers={"accept": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (403, "NUM-0010"), address


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/onay?x=1", "/onay?x=1"),
        ("", "/"),
        (None, "/"),
        ("https://kotu.test", "/"),
        ("//kotu.test", "/"),
        ("/\\kotu.test", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
    ],
)
def test_after_signing_in_one_stays_here(wanted: str | None, goes: str) -> None:
    assert safe_target(wanted) == goes
