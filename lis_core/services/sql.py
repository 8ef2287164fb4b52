"""COPY over the driver's connection of a unit of work (`Work.driver`), in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg

from lis_core.services.courtesy import queries

PLAN_ONCE = "set local plan_cache_mode = force_generic_plan"
"""For statements with keys alone that run thousands of times an hour: planning them anew costs more than running."""

SLICE = 50
"""Rows worked through before other tasks of the process get their turn (a few milliseconds)."""


async def copy_rows(
    raw: psycopg.AsyncConnection[Any], table: str, columns: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """COPY rows into a table; nothing happens for none. Raises TypeError for a value that COPY text has no form for."""
    if not rows:
        return
    async with raw.cursor() as cursor, cursor.copy(f"copy {table} ({columns}) from stdin") as copy:
        for start in range(0, len(rows), SLICE):
            await copy.write(copy_text(rows[start : start + SLICE]))
            await queries.give_way()


def copy_text(rows: Sequence[tuple[Any, ...]]) -> bytes:
    """Rows in PostgreSQL's COPY text format (documentation of COPY, "Text Format")."""
    form = _FORM
    return "".join(
        ["\t".join([form[type(value)](value) for value in row]) + "\n" for row in rows]  # one pass, few objects
    ).encode()


def _text(value: str) -> str:
    return value.translate(_ESCAPES) if _needs_escape(value) else value


def _needs_escape(value: str) -> bool:
    return "\\" in value or "\t" in value or "\n" in value or "\r" in value


def _array(values: list[str]) -> str:
    """A text array: each element quoted, then the whole escaped once more for COPY."""
    if not values:
        return "{}"
    quoted = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    return _text("{" + ",".join(quoted) + "}")


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_FORM: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "\\N",
    str: _text,
    int: str,
    bool: lambda value: "t" if value else "f",
    Decimal: str,
    bytes: lambda value: "\\\\x" + value.hex(),
    datetime: datetime.isoformat,
    date: date.isoformat,
    list: _array,
}
