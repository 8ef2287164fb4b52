"""The audit as the administrator reads it, and its proof (invariant 5).

An entry may hold the value of a result before and after. The administrator judges deeds, not results: a value that he
may not see elsewhere is not shown to him here either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.storage.tables import AuditEntry, AuditHead, OrderedTest, Result
from lis_core.views.order_view import here
from lis_core.views.pages import Page, cut, read_cursor, write_cursor
from lis_core.views.seeing import Sight

HIDDEN = "(klinik onaydan önce gösterilmez)"

VALUE_KEYS = frozenset(
    {
        "deger", "sonuc", "tetkik_sonucu", "cihaz_tetkik_sonucu", "sayisal_sonuc", "sayisal_deger", "icerik",
        "tetkik_sonucu_durumu", "bayrak", "value", "number", "flag", "observation",
    }
)  # fmt: skip
"""Names under which an entry about a result may hold its value."""

ABOUT_RESULTS = frozenset({"tetkik_sonuc", "istem_tetkik", "onay", "eslesmeyen_sonuc"})
"""Entities whose entries may hold a value."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One deed. `chain` and `number` are its place in the chain that proves it."""

    chain: str
    number: int
    at: datetime
    actor: str
    address: str
    action: str
    entity: str
    entity_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Which entries; empty fields do not limit."""

    entity: str | None = None
    entity_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    limit: int = 100
    cursor: str | None = None


async def list_audit(session: AsyncSession, sight: Sight, question: AuditQuestion) -> Page[AuditRow]:
    """Newest first. Raises INVALID_INPUT (cursor)."""
    chosen = (
        select(AuditEntry)
        .order_by(AuditEntry.at.desc(), AuditEntry.number.desc(), AuditEntry.chain)
        .limit(question.limit + 1)
    )
    if question.entity is not None:
        chosen = chosen.where(AuditEntry.entity == question.entity)
    if question.entity_id is not None:
        chosen = chosen.where(AuditEntry.entity_id == question.entity_id)
    if question.actor is not None:
        chosen = chosen.where(AuditEntry.actor == question.actor)
    if question.since is not None:
        chosen = chosen.where(AuditEntry.at >= question.since)
    if question.cursor is not None:
        chosen = chosen.where(tuple_(AuditEntry.at, AuditEntry.number) < read_cursor(question.cursor))
    rows, more = cut((await session.scalars(chosen)).all(), question.limit)
    readable = await _readable(session, sight, rows)
    lines = [_row(row, readable) for row in rows]
    return Page(lines, write_cursor(rows[-1].at, rows[-1].number) if more else None)


async def _readable(session: AsyncSession, sight: Sight, rows: Any) -> frozenset[tuple[str, str]]:
    """Entities (type, id) of the page whose present value this person may see anyway."""
    results = [int(row.entity_id) for row in rows if row.entity == "tetkik_sonuc" and row.entity_id.isdigit()]
    tests = [int(row.entity_id) for row in rows if row.entity == "istem_tetkik" and row.entity_id.isdigit()]
    found: set[tuple[str, str]] = set()
    if results:
        of_results = await session.execute(
            select(Result.id, OrderedTest.group, OrderedTest.state)
            .join(OrderedTest, OrderedTest.id == Result.ordered_test_id)
            .where(Result.id.in_(results), Result.id == OrderedTest.result_id)
        )
        found |= {("tetkik_sonuc", str(key)) for key, group, state in of_results if sight.sees(group, state)}
    if tests:
        of_tests = await session.execute(select(OrderedTest.id, OrderedTest.group).where(OrderedTest.id.in_(tests)))
        # The entries of a test speak of all its runs, the ones that nobody approved included.
        found |= {("istem_tetkik", str(key)) for key, group in of_tests if sight.sees_every_run(group)}
    return frozenset(found)


def _row(row: AuditEntry, readable: frozenset[tuple[str, str]]) -> AuditRow:
    hide = row.entity in ABOUT_RESULTS and (row.entity, row.entity_id) not in readable
    return AuditRow(
        chain=row.chain,
        number=row.number,
        at=here(row.at),
        actor=row.actor,
        address=row.address,
        action=row.action,
        entity=row.entity,
        entity_id=row.entity_id,
        before=_hidden(row.before) if hide else row.before,
        after=_hidden(row.after) if hide else row.after,
    )


def _hidden(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {
        name: HIDDEN if name in VALUE_KEYS else _hidden(value) if isinstance(value, Mapping) else value
        for name, value in facts.items()
    }


@dataclass(frozen=True, slots=True)
class ChainState:
    """A chain and its length."""

    chain: str
    rows: int


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """A broken or missing row."""

    chain: str
    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class AuditProof:
    """`ok`: every row is there and unchanged."""

    ok: bool
    chains: list[ChainState]
    problems: list[ChainProblem]


async def verify_audit(session: AsyncSession) -> AuditProof:
    """Recompute every hash. Reads the whole audit: about a second for 100,000 rows."""
    heads = await session.execute(select(AuditHead.chain, AuditHead.number).order_by(AuditHead.chain))
    chains = [ChainState(chain, number) for chain, number in heads]
    problems = await session.execute(
        select(text("zincir"), text("sira"), text("sorun")).select_from(func.denetim_dogrula()).limit(1000)
    )
    broken = [ChainProblem(*row) for row in problems.tuples()]
    return AuditProof(not broken, chains, broken)
