"""Schemathesis over the whole OpenAPI: whatever the schema allows, and what it does not, gets an answer that the schema
declares, never 500.

Cases are drawn beforehand from a seed, then asked in the tests' own loop. `NUMUNE_FUZZ=600` goes on for ten minutes
with new seeds; what is found there becomes a case of its own here.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.attacks.house import LONG, Stage
from tests.conftest import DEMO_PASSWORD

CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
PEOPLE = ("uzman", "teknisyen", "ailehekimi", "yonetici", "kabul", "hekim")
EACH = 12 if LONG else 3
"""Cases for each call, kind and seed."""
SIGNING_IN = "/api/v1/auth/token"
"""Guessing there is slowed on purpose; a few cases are enough."""


def drawn(document: dict[str, Any], number: int, each: int) -> Iterator[Case]:
    """Cases of every call: such as the schema allows, and such as it does not."""
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            yield from _drawn_of(operation, mode, number, each)


def _drawn_of(operation: Any, mode: GenerationMode, number: int, each: int) -> list[Case]:
    cases: list[Case] = []

    @seed(number)
    @settings(
        max_examples=2 if operation.path == SIGNING_IN else each,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def draw(case: Case) -> None:
        cases.append(case)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            draw()
        except Exception as error:  # a call without parameters has nothing that could be wrong
            if "Unsatisfiable" not in type(error).__name__ and "Skip" not in type(error).__name__:
                raise
    return cases


async def asked(client: httpx.AsyncClient, case: Case) -> httpx.Response:
    """The answer to one case, asked as it stands there."""
    facts = case.as_transport_kwargs(base_url="http://numune.test")
    headers = {name: value for name, value in dict(facts.get("headers") or {}).items() if _sendable(name, value)}
    content = facts.get("data") if facts.get("data") is not None else None
    body: dict[str, Any] = {"json": facts["json"]} if facts.get("json") is not None else {}
    if content is not None:
        body = {"content": content if isinstance(content, str | bytes) else str(content)}
    request = client.build_request(
        facts["method"], facts["url"], params=facts.get("params") or None, headers={**headers, **client.headers}, **body
    )
    return await client.send(request)


def _sendable(name: str, value: Any) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return (
        name.lower() not in ("authorization", "host", "content-length", "cookie", "transfer-encoding")
        and text.isprintable()
    )


def fault_of(case: Case, answer: httpx.Response) -> str | None:
    """What is wrong with an answer, in a few words."""
    if answer.status_code >= 500:
        return f"{answer.status_code}: {answer.text[-200:]}"
    try:
        case.validate_response(answer, checks=CHECKS)
    except BaseExceptionGroup as group:
        return "; ".join(f"{type(one).__name__}: {str(one)[:300]}" for one in group.exceptions)
    except AssertionError as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return None


@pytest.mark.slow
async def test_every_call_answers_as_its_schema_says(stage: Stage) -> None:
    clients = [await stage.clinic.as_(name, DEMO_PASSWORD) for name in PEOPLE]
    document = (await clients[0].get("/api/openapi.json")).json()
    wrong: dict[str, str] = {}
    asked_, number, ends = 0, 20261122, time.monotonic() + LONG
    while not asked_ or time.monotonic() < ends:
        for n, case in enumerate(drawn(document, number, EACH)):
            answer = await asked(clients[n % len(clients)], case)
            asked_ += 1
            if (fault := fault_of(case, answer)) is not None:
                wrong.setdefault(f"{case.method} {case.path} {fault[:80]}", f"{case.as_curl_command()[:400]}\n{fault}")
        number += 1
    assert asked_ > 120
    assert wrong == {}, "\n\n".join(wrong.values())
