"""Every refusal has a code, a Turkish sentence and the right status; nothing inside the program gets out."""

from __future__ import annotations

import logging

import httpx
import pytest

from api.app import create_app
from api.errors import ERROR_DOCUMENT, error_document
from api.middleware import MAX_BODY
from lis_core.domain.errors import all_kinds
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.api.conftest import BASE, Clinic, order_body, person


@pytest.mark.clause("4.7.2c")
def test_the_document_of_codes_is_up_to_date() -> None:
    """`python -m api.errors` writes it."""
    assert ERROR_DOCUMENT.read_text(encoding="utf-8") == error_document()


def test_every_code_is_there_once() -> None:
    document = error_document()
    for kind in all_kinds():
        assert document.count(f"| {kind.code} |") == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/yok", 404, "NUM-0005"),
        ("GET", "/api/yok", 404, "NUM-0005"),
        ("GET", "/api/v1/orders", 405, "NUM-0011"),
        ("DELETE", "/api/v1/orders/1001", 405, "NUM-0011"),
        ("GET", "/api/v1/results?limit=0", 422, "NUM-0001"),
        ("GET", "/api/v1/results?limit=bir", 422, "NUM-0001"),
        ("GET", "/api/v1/results?since=dün", 422, "NUM-0001"),
        ("GET", "/api/v1/results?since=0001-01-01T00:00:00%2B14:00", 422, "NUM-0001"),
        ("GET", "/api/v1/raw-messages/0", 422, "NUM-0001"),
        ("GET", "/api/v1/raw-messages/99999999999999999999999", 422, "NUM-0001"),
        ("GET", "/api/v1/results?order=1%002", 422, "NUM-0001"),
        ("POST", "/api/v1/results/123456789/technical-approval", 404, "NUM-0005"),
        ("POST", "/api/v1/results/123456789/repeat", 404, "NUM-0005"),
    ],
)
async def test_wrong_questions(clinic: Clinic, method: str, path: str, status: int, code: str) -> None:
    answer = await (await clinic.as_("teknisyen")).request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert set(answer.json()) == {"code", "message", "details"}
    assert not {"Traceback", "Error", "psycopg", "sqlalchemy"} & set(answer.text.split())


async def test_a_wrong_address_is_a_page_for_a_person(clinic: Clinic) -> None:
    async with clinic.anonymous(accept="text/html") as nobody:
        answer = await nobody.get("/boyle-bir-sayfa-yok")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "NUM-0005" in answer.text
    assert 'lang="tr"' in answer.text


BAD_ORDERS = [
    ({"tests": ["GLU"]}, "NUM-0001", "patient"),
    ({"patient": person(), "tests": []}, "NUM-0103", ""),
    ({"patient": person(), "tests": ["YOK", "GLU"]}, "NUM-0102", "YOK"),
    ({"patient": person(tc="12345678901"), "tests": ["GLU"]}, "NUM-0100", ""),
    ({"patient": person(birth_date="1980-02-30"), "tests": ["GLU"]}, "NUM-0001", "birth_date"),
    ({"patient": person(birth_date="2190-01-01"), "tests": ["GLU"]}, "NUM-0001", "birth_date"),
    ({"patient": person(sex="K"), "tests": ["GLU"]}, "NUM-0001", "sex"),
    ({"patient": person(given_name=""), "tests": ["GLU"]}, "NUM-0001", "given_name"),
    ({"patient": person(given_name="Ali\u0000"), "tests": ["GLU"]}, "NUM-0001", "given_name"),
    ({"patient": person(given_name="A" * 200), "tests": ["GLU"]}, "NUM-0001", "given_name"),
    ({"patient": person() | {"soyad": "x"}, "tests": ["GLU"]}, "NUM-0001", "soyad"),
    (order_body("GLU", priority="acil"), "NUM-0001", "priority"),
    (order_body("GLU", physician="H-999"), "NUM-0106", "H-999"),
    (order_body("GLU", unit="YOK"), "NUM-0107", "YOK"),
    (order_body("GLU", number="12a4"), "NUM-0105", ""),
    (order_body("GLU", number="1" * 30), "NUM-0105", ""),
    (order_body("GLU", clinical={"not": "x" * 5000}), "NUM-0001", "clinical"),
    (order_body("GLU", clinical={"not": "\u0000"}), "NUM-0001", "clinical"),
    (order_body("GLU", clinical="gebe"), "NUM-0001", "clinical"),
    ([1, 2], "NUM-0001", ""),
    ("GLU", "NUM-0001", ""),
    (None, "NUM-0001", ""),
]


@pytest.mark.parametrize(("body", "code", "named"), BAD_ORDERS)
async def test_an_order_that_cannot_be_is_refused_with_the_reason(
    clinic: Clinic, body: object, code: str, named: str
) -> None:
    answer = await (await clinic.as_("hekim")).post("/api/v1/orders", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert named in answer.json()["message"]
    assert await clinic.sql("select 1 from tetkik_istem") == []


async def test_text_that_is_no_json(clinic: Clinic) -> None:
    doctor = await clinic.as_("hekim")
    for content in (b"{", b"\xff\xfe", b'{"tests": ["\\ud800"]}', b"", b"[" * 50_000):
        answer = await doctor.post("/api/v1/orders", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "NUM-0001"), content[:20]


async def test_a_body_without_end_is_cut(clinic: Clinic) -> None:
    doctor = await clinic.as_("hekim")
    announced = await doctor.post("/api/v1/orders", content=b" " * (MAX_BODY + 1))
    assert (announced.status_code, announced.json()["code"]) == (413, "NUM-0006")

    async def endless() -> object:
        for _ in range(MAX_BODY // 65536 + 2):
            yield b" " * 65536

    told_nothing = await doctor.post("/api/v1/orders", content=endless())
    assert (told_nothing.status_code, told_nothing.json()["code"]) == (413, "NUM-0006")


async def test_an_unexpected_error_tells_a_reference_and_nothing_else(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise RuntimeError("hastanın adı Gizli Kişi")

    clinic.app.add_api_route("/api/v1/patlayan", fails)
    clinic.app.add_api_route("/patlayan", fails)
    async with clinic.anonymous() as nobody:
        with caplog.at_level(logging.ERROR, "numune.api"):
            answer = await nobody.get("/api/v1/patlayan")
            page = await nobody.get("/patlayan", headers={"accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (500, "NUM-0007")
    assert "Gizli" not in answer.text
    assert answer.json()["details"]["reference"] in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.status_code == 500
    assert "Gizli" not in page.text
    assert "NUM-0007" in page.text


async def test_without_its_database_the_program_says_so() -> None:
    app = create_app(Database("postgresql://127.0.0.1:1/yok"), Settings())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as nobody:
        asked = await nobody.post("/api/v1/auth/token", json={"username": "hekim", "password": "x"})
        assert (asked.status_code, asked.json()["code"]) == (503, "NUM-0008")
        assert asked.headers["retry-after"] == "5"
        assert (await nobody.get("/readyz")).status_code == 503
        assert (await nobody.get("/healthz")).status_code == 200


async def test_pages_carry_their_protection(clinic: Clinic) -> None:
    async with clinic.anonymous() as nobody:
        answer = await nobody.get("/healthz")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
