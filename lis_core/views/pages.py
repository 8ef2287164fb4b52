"""Cutting long lists into pages that stay right while rows are added (keyset, never offset)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of the next page; None where this was the last."""

    rows: Sequence[Row]
    next: str | None


def write_cursor(at: datetime, number: int) -> str:
    """An opaque text for "after this moment and number"."""
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{number}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, int]:
    """Raises INVALID_INPUT for a text that `write_cursor` did not make."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, number = text.split("|")
        moment, key = datetime.fromisoformat(at), int(number)
    except (ValueError, binascii.Error) as error:
        raise NumuneError(errors.INVALID_INPUT, problem="cursor bu listeye ait değil") from error
    if moment.tzinfo is None or not 0 <= key < 2**63:
        raise NumuneError(errors.INVALID_INPUT, problem="cursor bu listeye ait değil")
    return moment, key


def cut(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], bool]:
    """The page out of limit + 1 rows that were asked for, and whether more follow."""
    return rows[:limit], len(rows) > limit
