"""Whatever is sent to whichever call, the answer is an answer: never 500, and every refusal has its code."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.conftest import Clinic, order_body

ROUNDS = 12
"""Requests for each call and person."""

TEXTS = [
    "", " ", "\x00", "1\x002", "1001", "100101", "0", "-1", "1e309", "NaN", "null", "ı", "İ" * 300, "A" * 70,
    "'; drop table tetkik--",
    "%", "_", "../../etc/passwd", "{{7*7}}", "#panic()", "😀", "\u202e", "]C0100101", "true", "9" * 19, "9" * 40,
    "2026-11-22", "2026-13-45", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-22T10:00:00",
    "AAAA", "clinically_approved", "genel", "GLU",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, 2**63, 2**70, -(2**63), 1e308, "", "a", "\x00", "A" * 5000, [], {}, [[]], [None],
    {"a": {"b": {"c": []}}}, ["GLU", "GLU"], ["CBC", "WBC"], "1001", "GLU", "F", "urgent", "1980-01-01", "\ud7ff",
]  # fmt: skip


GOOD: dict[str, list[Any]] = {
    "number": ["1001", "100101", "100102"], "barcode": ["100101", "100102", "1001"], "reason": ["deneme"],
    "instrument": ["genel"], "ids": [[1], [1, 2, 3]], "test": ["GLU"], "order": ["1001"], "specimen": ["100101"],
    "state": ["resulted", "waiting", "processed"], "limit": [1, 5], "position": ["A1"], "q": ["isil", "1001"],
    "result_id": [1, 2], "message_id": [1, 2], "unmatched_id": [1], "acil": [1], "gerekce": ["acele"],
}  # fmt: skip
"""What a well-meaning caller would say there; a request is mostly good, with one thing wrong."""


def choose(name: str, others: list[Any], dice: random.Random) -> Any:
    return dice.choice(GOOD[name]) if name in GOOD and dice.random() < 0.75 else dice.choice(others)


def path_of(path: str, dice: random.Random) -> str:
    while "{" in path:
        head, _, tail = path.partition("{")
        name, _, tail = tail.partition("}")
        text = str(choose(name, TEXTS, dice))
        path = head + (quote(text, safe="") or "x") + tail
    return path


def schema_of(document: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """The properties that a call's body may have."""
    content = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for part in (content, *content.get("anyOf", ())):
        if "$ref" in part:
            found: dict[str, Any] = document["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]]["properties"]
            return found
    return {}


def body_of(properties: dict[str, Any], dice: random.Random) -> Any:
    """Sometimes anything, sometimes the right fields with wrong contents, sometimes a good order with one fault."""
    kind = dice.random()
    if kind < 0.15:
        return dice.choice(VALUES)
    if "patient" in properties and kind < 0.75:
        body = order_body(dice.choice(["GLU", "CBC", "YOK"]))
        place = dice.choice([body, body["patient"]])
        place[dice.choice(list(place))] = dice.choice(VALUES)
        return body
    return {name: choose(name, VALUES, dice) for name in properties if dice.random() < 0.8}


@pytest.mark.parametrize("seed", range(2))
async def test_no_request_breaks_the_interface(clinic: Clinic, seed: int) -> None:
    dice = random.Random(seed)
    placed = await clinic.place("GLU", "CBC", by="ailehekimi", number="1001")
    await clinic.measure("1001", GLU="92")
    await clinic.measure("55555", GLU="93")
    document = (await (await clinic.as_("uzman")).get("/api/openapi.json")).json()
    people = [await clinic.as_(name) for name in ("uzman", "teknisyen", "uzman", "ailehekimi", "yonetici", "kabul")]
    asked = 0
    for path, methods in document["paths"].items():
        if path.endswith("/auth/token"):
            continue  # guessing is slowed on purpose
        for method, call in methods.items():
            names = [part["name"] for part in call.get("parameters", ()) if part["in"] == "query"]
            properties = schema_of(document, call)
            for _ in range(ROUNDS):
                query = {name: choose(name, TEXTS, dice) for name in names if dice.random() < 0.4}
                body = json.dumps(body_of(properties, dice)) if method == "post" else None
                address = path_of(path, dice)
                answer = await dice.choice(people).request(
                    method, address, params=query, content=body, headers={"content-type": "application/json"}
                )
                asked += 1
                what = (method, address, query, body, answer.status_code, answer.text[:300])
                assert answer.status_code < 500, what
                if answer.status_code >= 400:
                    assert set(answer.json()) == {"code", "message", "details"}, what
                    assert answer.json()["code"].startswith("NUM-"), what
                    assert "{" not in answer.json()["message"].replace("{{7*7}}", ""), what
    assert asked > 200
    assert (await clinic.order(placed["number"]))["number"] == "1001"
    proof = (await (await clinic.as_("yonetici")).get("/api/v1/audit/verify")).json()
    assert proof["ok"]
