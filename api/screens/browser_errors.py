"""A script of ours failed in somebody's browser: it says so, and the log knows when, who, where and what (4.7.4)."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections import defaultdict, deque
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import JSONResponse

from api.access import signed_in_only
from api.auth import CurrentActor

log = logging.getLogger("numune.browser")
router = APIRouter(prefix="/tarayici-hatasi")
A_MINUTE = 20
"""Errors of one person that are written in a minute; a loop in his browser must not fill the log."""

_lately: dict[int | None, deque[float]] = defaultdict(lambda: deque(maxlen=A_MINUTE))


@router.post("", dependencies=[Depends(signed_in_only("kendi ekranındaki hatayı bildirir; kayıt okumaz"))])
async def told(
    actor: CurrentActor,
    mesaj: Annotated[str, Form(max_length=1000)],
    ekran: Annotated[str, Form(max_length=300)] = "",
    kaynak: Annotated[str, Form(max_length=300)] = "",
    satir: Annotated[int, Form(ge=0, le=10_000_000)] = 0,
) -> JSONResponse:
    """The reference under which it stands in the log; null where too many came."""
    times, now = _lately[actor.user_id], time.monotonic()
    if len(times) == A_MINUTE and now - times[0] < 60:
        return JSONResponse({"reference": None}, 429)
    times.append(now)
    reference = secrets.token_hex(5).upper()
    log.error(
        "browser error %s by %s on %s at %s:%s: %s",
        reference,
        actor.name,
        _nameless(ekran),
        _plain(kaynak)[-80:],
        satir,
        _nameless(mesaj)[:300],
        extra={"action": "browser_error", "reference": reference},
    )
    return JSONResponse({"reference": reference})


def _plain(text: str) -> str:
    """One line: whoever tells an error writes no second line of the log."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)


def _nameless(text: str) -> str:
    """Without what stands in quotes and without long numbers: no name or number of a patient comes into the log."""
    quoted = re.sub(r"(['\"“‘`]).{0,1000}?(['\"”’`]|$)", "'...'", _plain(text))
    return re.sub(r"\d{4,}", "...", quoted)
