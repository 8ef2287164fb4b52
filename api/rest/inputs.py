"""Types of what comes in. Text that no database, label or analyser can hold is refused at the door."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from lis_core.domain.states import TestState
from lis_core.settings import ISTANBUL

LARGEST_ID = 2**63 - 1
LARGEST_CLINICAL = 4000
"""Bytes of the free clinical information of an order, as JSON."""


def _readable(text: str) -> str:
    """Composed letters (NFC) without control characters. Raises ValueError."""
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") and letter not in "\n\t":
            raise ValueError("denetim karakteri ya da tanımsız karakter içeriyor")
    return unicodedata.normalize("NFC", text)


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("tek satır olmalı")
    return text


def _as_text(value: Any) -> Any:
    """Numbers given as JSON numbers are meant as their digits: 1001 is "1001"."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_readable), AfterValidator(_one_line)
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_readable),
    AfterValidator(_one_line),
]
Code = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=60),
    AfterValidator(_readable),
    AfterValidator(_one_line),
]
Digits = Annotated[Code, BeforeValidator(_as_text)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(_readable)]

PathText = Annotated[str, Path(min_length=1, max_length=60)]
PathId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=500, description="Bir sayfadaki en çok satır")]
Cursor = Annotated[str | None, Query(max_length=200, description="Sonraki sayfanın imleci (Link başlığından)")]


def _with_zone(at: datetime) -> datetime:
    """A time without a zone is Turkey's clock. Years that no clock can convert are refused."""
    if not 1900 <= at.year <= 2999:
        raise ValueError("tarih 1900 ile 2999 yılları arasında olmalı")
    return (at if at.tzinfo is not None else at.replace(tzinfo=ISTANBUL)).astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_with_zone)]


def _born(day: date) -> date:
    if not date(1880, 1, 1) <= day <= datetime.now(ISTANBUL).date():
        raise ValueError("doğum tarihi geçmişte, 1880 yılından sonra olmalı")
    return day


BirthDate = Annotated[date, AfterValidator(_born)]


def _clinical(facts: dict[str, Any]) -> dict[str, Any]:
    """Free facts, small, and only what JSON and the database can hold. Raises ValueError."""
    try:
        text = json.dumps(facts, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (ValueError, RecursionError) as error:  # NaN, a lone surrogate, endless depth
        raise ValueError("klinik bilgi JSON olarak saklanamıyor") from error
    if size > LARGEST_CLINICAL:
        raise ValueError(f"klinik bilgi en çok {LARGEST_CLINICAL} bayt olabilir")
    if "\\u0000" in text:
        raise ValueError("denetim karakteri içeriyor")
    return facts


Clinical = Annotated[dict[str, Any], AfterValidator(_clinical)]


def _state(word: str) -> TestState:
    try:
        return TestState.from_api(word)
    except KeyError as error:
        raise ValueError("şunlardan biri olmalı: " + ", ".join(state.api for state in TestState)) from error


StateWord = Annotated[TestState, BeforeValidator(lambda word: _state(word) if isinstance(word, str) else word)]


class Input(BaseModel):
    """A request body: a field that is not known is refused, so that a slip of the pen is not silently ignored."""

    model_config = ConfigDict(extra="forbid")
