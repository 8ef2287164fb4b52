"""Columns of a text as slices."""

from __future__ import annotations

from collections.abc import Sequence


def columns_of(columns: Sequence[str]) -> list[tuple[str, int, int]]:
    """`["l:2", "i:2"]` as (name, start, end), what says nothing left out."""
    found: list[tuple[str, int, int]] = []
    at = 0
    for column in columns:
        name, _, width = column.partition(":")
        end = 10_000 if width == "*" else at + int(width)
        if name != "-":
            found.append((name, at, end))
        at = end
    return found
