"""The psycopg connection under a unit of work: for COPY and for plain tuples, in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg

from lis_core.storage.database import Work

SLICE = 100
"""Rows worked through before other tasks of the process get their turn (a few milliseconds)."""


async def driver_of(work: Work) -> psycopg.AsyncConnection[Any]:
    """The driver's connection of this transaction."""
    connection = await (await work.session.connection()).get_raw_connection()
    driver = connection.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    return driver


async def copy_rows(
    raw: psycopg.AsyncConnection[Any], table: str, columns: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """COPY rows into a table; nothing happens for none."""
    if not rows:
        return
    async with raw.cursor() as cursor, cursor.copy(f"copy {table} ({columns}) from stdin") as copy:
        for number, row in enumerate(rows, 1):
            await copy.write_row(row)
            if not number % SLICE:
                await asyncio.sleep(0)
