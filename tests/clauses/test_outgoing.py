"""Nothing leaves the site by itself: no telemetry, no error report, no page that loads from elsewhere (EK1.5.2)."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import Clinic
from tests.audit.test_changes import a_day

ROOT = Path(__file__).resolve().parents[2]
_watching: list[list[object]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        _watching[-1].append((event, arguments[1] if event == "socket.connect" else arguments[0]))


@pytest.fixture
def called() -> Iterator[list[object]]:
    """Every address that anything in this process connects to, sends to or asks the name service about."""
    if not getattr(sys, "_numune_hook", False):
        sys.addaudithook(_hook)  # cannot be taken back; it looks only while a list is here
        sys._numune_hook = True  # type: ignore[attr-defined]
    seen: list[object] = []
    _watching.append(seen)
    yield seen
    _watching.pop()


@pytest.mark.clause("EK1.5.2")
async def test_a_day_of_work_and_an_error_call_nobody_outside(
    clinic: Clinic, called: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders, tubes, results, approvals, hiding, emergencies, a report, an unexpected error: only the database is spoken to."""
    number = await a_day(clinic)
    assert (await (await clinic.as_("uzman")).get(f"/api/v1/orders/{number}/report.pdf")).status_code == 200

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("deneme")

    monkeypatch.setattr("api.screens.search.find_orders", broken)
    assert (await (await clinic.as_("uzman")).get("/istemler")).status_code == 500
    assert called == []
    with socket.socket() as probe:
        probe.connect_ex(("127.0.0.1", 9))
    assert called == [("socket.connect", ("127.0.0.1", 9))], "the watch itself sees a call"


@pytest.mark.clause("EK1.5.2")
def test_no_page_style_or_script_of_ours_names_another_host() -> None:
    files = [*(ROOT / "api" / "templates").rglob("*.html"), *(ROOT / "api" / "web" / "src").rglob("*.ts")]
    files += list((ROOT / "api" / "web" / "styles").rglob("*.css"))
    assert len(files) > 60
    loading = re.compile(
        r"""(?:src|href|action|url|import|fetch|sendBeacon|EventSource)\s*[=(]?\s*["'(]+(?:https?:)?//"""
    )
    assert [file.name for file in files if loading.search(file.read_text(encoding="utf-8"))] == []
