"""Requests as an attacker sends them: to every address with every parameter, to every form with every field."""

from __future__ import annotations

import logging
import random
import re
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.access import Who, doors_of
from api.auth import safe_target
from tests.attacks.house import HTML, LONG, MARK, FormOnPage, Stage, faults

REFLECTED = ["\"'><x-s onx=1>{{7*7}}${7*7}\r\nSet-Cookie: x-s=1\r\n\r\n<x-s>", "javascript:x-s()", "</script><x-s>"]
SQL = [
    "x' or '1'='1",
    "x'; drop table bildirim; --",
    "x\\'; select pg_sleep(30); --",
    "x') union select null--",
    "1) or (1=1",
]


def wrong_with(answer: httpx.Response) -> list[str]:
    """What no answer may be, whatever was asked."""
    found = []
    if answer.status_code >= 500:
        found.append(f"{answer.status_code} {answer.text[-200:]}")
    if "x-s" in answer.cookies or any("\n" in value or "\r" in value for value in answer.headers.values()):
        found.append(f"headers {dict(answer.headers)}")
    place = answer.headers.get("location", answer.headers.get("hx-redirect", ""))
    if place and urlsplit(urljoin("http://numune.test/", place.replace("\\", "/"))).netloc != "numune.test":
        found.append(f"leads to {place}")
    if answer.headers.get("content-type", "").startswith("text/html") and MARK in answer.text:
        found += faults(answer.text)
        if "{{7*7}}" in str(answer.request.url) and ">49" in answer.text:
            found.append("a template ran what was asked")
    return found


async def test_what_is_asked_is_text_in_the_answer(stage: Stage) -> None:
    """Reflected markup, headers and templates: each name of each query, and all of them together."""
    visitor, wrong, asked = await stage.as_("hepsi"), [], 0
    for address, names in stage.questions():
        for payload in REFLECTED if LONG else REFLECTED[:1]:
            for chosen in ([[name] for name in names] if len(names) > 1 else []) + [names]:
                answer = await visitor.client.get(address, params=dict.fromkeys(chosen, payload), headers=HTML)
                asked += 1
                wrong += [(address, chosen, payload, fault) for fault in wrong_with(answer)]
    assert wrong == []
    assert asked > 100


async def test_what_stands_in_the_address_is_text_in_the_answer(stage: Stage) -> None:
    visitor, wrong = await stage.as_("hepsi"), []
    for pattern in stage.patterns("GET"):
        for name in re.findall(r"{(\w+)}", pattern):
            for payload in (REFLECTED[0], "..%2f..%2fetc%2fpasswd"):
                answer = await visitor.client.get(stage.fill(pattern, **{name: payload}), headers=HTML)
                wrong += [(pattern, payload, fault) for fault in wrong_with(answer)]
                if "root:" in answer.text:
                    wrong.append((pattern, payload, "a file of the machine"))
    assert wrong == []


async def test_no_question_is_part_of_a_statement(stage: Stage) -> None:
    """SQL injection: never an error, never more found than for nonsense, nothing gone."""
    visitor, wrong = await stage.as_("hepsi"), []
    for address, names in stage.questions():
        for name in names:
            nonsense = await visitor.client.get(address, params={name: "qqxq"}, headers=HTML)
            for payload in SQL if LONG else SQL[:1]:
                answer = await visitor.client.get(address, params={name: payload}, headers=HTML)
                wrong += [(address, name, payload, fault) for fault in wrong_with(answer)]
                more = answer.text.count(stage.fills["number"]) - nonsense.text.count(stage.fills["number"])
                if answer.status_code == 200 and nonsense.status_code == 200 and more > 0:
                    wrong.append((address, name, payload, "finds what nonsense does not"))
    assert wrong == []
    assert await stage.clinic.sql("select 1 from bildirim")


@pytest.mark.parametrize("sign", ["%", "_", "%%", "\\", "%' escape '"])
async def test_signs_of_like_find_nothing_more(stage: Stage, sign: str) -> None:
    visitor = await stage.as_("hepsi")
    for address, name in (
        ("/istemler", "ara"),
        ("/api/v1/patients", "q"),
        ("/eslesmeyen/ara", "metin"),
        ("/kisiler", "ara"),
    ):
        answer = await visitor.client.get(address, params={name: sign * 3}, headers=HTML)
        assert answer.status_code < 500, (address, answer.text[:300])
        assert "Çığır" not in answer.text and stage.fills["number"] not in answer.text, (address, sign)


# --- forms ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def form_list(stage: Stage) -> list[FormOnPage]:
    return await stage.forms("hepsi")


async def test_every_form_takes_hostile_text_as_text(stage: Stage, form_list: list[FormOnPage]) -> None:
    """Every field of every form of every page: markup, header ends, far too long, of the wrong kind, missing, doubled."""
    visitor, wrong = await stage.as_("hepsi"), []
    assert len(form_list) > 30
    dice = random.Random(7)
    for form in form_list:
        names = sorted(form.names - {"_form"})
        if form.action in LEAVES:
            continue
        for payload in (REFLECTED[0], "9" * 400, "\x00", "İ" * 3000) if LONG else (REFLECTED[0], dice.choice(STRANGE)):
            answer = await visitor.post(form.action, dict.fromkeys(names, payload))
            wrong += [(form.action, payload[:20], fault) for fault in wrong_with(answer)]
        for changed in names if LONG else dice.sample(names, min(2, len(names))):
            answer = await visitor.post(form.action, {**dict(form.fields), changed: REFLECTED[0]})
            wrong += [(form.action, changed, fault) for fault in wrong_with(answer)]
    assert wrong == []


STRANGE = ["9" * 400, "\x00", "İ" * 3000, "", "-1", "1e309", "NaN", "[]", "2026-99-99"]
LEAVES = {"/cikis"}
"""After these the visitor is gone."""


async def test_csrf_every_unsafe_address_asks_for_the_pages_own_token(stage: Stage) -> None:
    """The browser sends its cookie to whoever asks; without the token of a page of ours nothing happens."""
    visitor, other, wrong = await stage.as_("hepsi"), await stage.as_("kabul"), []
    for door in doors_of(stage.clinic.app):
        if door.method in ("GET", "HEAD", "OPTIONS"):
            continue
        address = stage.fill(door.path)
        if all(one.who is Who.EVERYBODY for one in door.access):
            answer = await visitor.client.post(
                address, data={"kullanici": "kabul", "parola": "x"}, headers={"sec-fetch-site": "cross-site", **HTML}
            )
            if any(cookie.value for cookie in answer.cookies.jar) or answer.status_code not in (*range(400, 500), 303):
                wrong.append((door.path, answer.status_code, "from another site"))
            continue
        for token in (None, "", other.token, visitor.token[:-1]):
            headers = {} if token is None else {"x-form-token": token}
            answer = await visitor.client.request(
                door.method, address, headers={"accept": "application/json", **headers}
            )
            if answer.status_code != 403 or answer.json()["code"] != "NUM-0010":
                wrong.append((door.path, answer.status_code, answer.text[:120]))
    assert wrong == []


async def test_csrf_a_form_in_json_or_plain_text_brings_no_token_either(stage: Stage) -> None:
    """A form of another site can send `text/plain`; the body of such a request is never read as a form."""
    visitor = await stage.as_("hepsi")
    for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded; charset=utf-8"):
        answer = await visitor.client.post("/kabul/okut", content=b"metin=1&x=_form", headers={"content-type": kind})
        assert answer.status_code == 403, kind


# --- where one is sent, and what is written down -------------------------------------------------------------------

AWAY = [
    "https://x.example/", "//x.example", "///x.example", "/\\x.example", "\\\\x.example", "/\t/x.example", "/\r\n/x.example",
    "javascript:alert(1)", "http:x.example", "/%09/x.example", "\x01//x.example", " //x.example", "/" + "a" * 600, "",
]  # fmt: skip


@pytest.mark.parametrize("wanted", AWAY)
async def test_open_redirect_signing_in_leads_to_a_page_of_ours(stage: Stage, wanted: str) -> None:
    async with stage.clinic.anonymous(accept="text/html") as browser:
        page = await browser.get("/giris", params={"sonraki": wanted})
        assert "x.example" not in page.text or "/%09/" in page.text
        answer = await browser.post(
            "/giris", data={"kullanici": "kabul", "parola": "Deneme-Parola-1", "sonraki": wanted}
        )
    assert answer.status_code == 303 and wrong_with(answer) == []


@given(st.text(alphabet=st.sampled_from("/\\:.@?#% \t\r\nax%092f"), max_size=12))
def test_open_redirect_nothing_leads_away(wanted: str) -> None:
    target = safe_target(wanted)
    as_browser = re.sub(r"[\t\r\n]", "", target).strip(" \x00").replace("\\", "/")
    assert urlsplit(urljoin("https://numune.test/giris", as_browser)).netloc == "numune.test"
    assert not as_browser.startswith("//")


async def test_log_injection_no_line_of_the_log_is_written_by_whoever_asks(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A name with a line end in it would be a second, forged line."""
    caplog.set_level(logging.DEBUG)
    forged = "x\r\n2026-11-22 10:00:00 INFO forged"
    async with stage.clinic.anonymous(**{"user-agent": "x forged"}) as browser:
        await browser.post("/giris", data={"kullanici": forged, "parola": forged})
        await browser.post("/api/v1/auth/token", json={"username": forged, "password": forged})
        await browser.get("/istem/%0d%0aforged")
        await browser.get("/api/v1/results", headers={"authorization": "Bearer x%0d%0aforged"})
    visitor = await stage.as_("hepsi")
    for pattern in stage.patterns("GET"):
        for name in re.findall(r"{(\w+)}", pattern):
            await visitor.client.get(stage.fill(pattern, **{name: forged}), headers=HTML)
    ours = [record for record in caplog.records if record.name.startswith(("numune", "lis_core", "api", "drivers"))]
    assert [
        record.getMessage() for record in ours if "forged" in record.getMessage() and "\n" in record.getMessage()
    ] == []
