"""The audit as the administrator reads it, and its proof (invariant 5).

An entry may hold the value of a result before and after. The administrator judges deeds, not results: a value that he
may not see elsewhere is not shown to him here either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from lis_core.domain.states import TestState
from lis_core.storage.tables import AuditEntry, AuditHead, OrderedTest, Patient, Test
from lis_core.views.order_view import here
from lis_core.views.pages import Page, cut, read_cursor, write_cursor
from lis_core.views.privacy import mask_tc
from lis_core.views.seeing import Sight

HIDDEN = "(klinik onaydan önce gösterilmez)"

VALUE_FREE = frozenset(
    {
        *("tetkik_durumu", "tetkik_sonuc_kodu", "istem_tetkik_kodu", "istenen_cihaz_kodu", "surum", "kosu_no"),
        *("durum", "neden", "onay_turu", "tetkik", "cihaz", "numune_numarasi", "barkod", "ham_mesaj_kodu"),
        *("sql", "uygulama", "surec", "deyim", "deyim_sha256"),  # statements are kept without their values (watch.sql)
    }
)
"""Facts that never hold a value. Any other fact about a result may (a reason, too, often repeats the value)."""

ABOUT_RESULTS = frozenset({"tetkik_sonuc", "istem_tetkik", "onay", "eslesmeyen_sonuc"})
"""Entities whose entries may hold a value."""

Facts = Mapping[str, Any]


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
    patients: list[int]


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Which entries; empty fields do not limit. `patient`: shown or changed by it; `until`: before this moment."""

    entity: str | None = None
    entity_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    limit: int = 100
    cursor: str | None = None
    until: datetime | None = None
    action: str | None = None
    patient: int | None = None


async def list_audit(session: AsyncSession, sight: Sight, question: AuditQuestion) -> Page[AuditRow]:
    """Newest first. Raises INVALID_INPUT (cursor)."""
    chosen = select(AuditEntry).where(*_conditions(question))
    entry: Any = AuditEntry
    if question.patient is not None:
        # The patient's index first, then the order: "newest first" must not lure the planner through everything.
        found = chosen.cte("bulunan").prefix_with("materialized", dialect="postgresql")
        entry = aliased(AuditEntry, found)
        chosen = select(entry)
    chosen = chosen.order_by(entry.at.desc(), entry.number.desc(), entry.chain).limit(question.limit + 1)
    rows, more = cut((await session.scalars(chosen)).all(), question.limit)
    tests = await _tests_of(session, rows)
    nameless = await _nameless(session, rows)
    lines = [_row(row, sight, tests, nameless) for row in rows]
    return Page(lines, write_cursor(rows[-1].at, rows[-1].number) if more else None)


def _conditions(question: AuditQuestion) -> list[ColumnElement[bool]]:
    which: list[ColumnElement[bool]] = []
    if question.entity is not None:
        which.append(AuditEntry.entity == question.entity)
    if question.entity_id is not None:
        which.append(AuditEntry.entity_id == question.entity_id)
    if question.actor is not None:
        which.append(AuditEntry.actor == question.actor)
    if question.action is not None:
        which.append(AuditEntry.action == question.action)
    if question.since is not None:
        which.append(AuditEntry.at >= question.since)
    if question.until is not None:
        which.append(AuditEntry.at < question.until)
    if question.patient is not None:
        which.append(AuditEntry.patients.contains([question.patient]))
    if question.cursor is not None:
        which.append(tuple_(AuditEntry.at, AuditEntry.number) < read_cursor(question.cursor))
    return which


async def _nameless(session: AsyncSession, rows: Sequence[AuditEntry]) -> frozenset[str]:
    """Patients of this page whose name is not shown: hidden ones, and those whose identity was erased."""
    ids = {int(row.entity_id) for row in rows if row.entity == "hasta" and row.entity_id.isdigit()}
    if not ids:
        return frozenset()
    found = await session.scalars(
        select(Patient.id).where(
            Patient.id.in_(ids), or_(Patient.hidden_number.is_not(None), Patient.anonymised_at.is_not(None))
        )
    )
    return frozenset(str(key) for key in found)


Standing = tuple[str, TestState, int | None, bool]
"""How an ordered test stands now: its work group, its state, its valid run, whether the test is a confidential one."""


async def _tests_of(session: AsyncSession, rows: Sequence[AuditEntry]) -> dict[str, Standing]:
    """The ordered tests that entries of this page are about, by id as the audit writes it."""
    ids = [int(row.entity_id) for row in rows if row.entity == "istem_tetkik" and row.entity_id.isdigit()]
    if not ids:
        return {}
    found = await session.execute(
        select(OrderedTest.id, OrderedTest.group, OrderedTest.state, OrderedTest.result_id, Test.confidential)
        .join(Test, Test.id == OrderedTest.test_id)
        .where(OrderedTest.id.in_(ids))
    )
    return {str(key): (group, state, result_id, confidential) for key, group, state, result_id, confidential in found}


def _row(row: AuditEntry, sight: Sight, tests: Mapping[str, Standing], nameless: frozenset[str]) -> AuditRow:
    standing = tests.get(row.entity_id) if row.entity == "istem_tetkik" else None
    before, after = row.before, row.after
    if row.entity in ABOUT_RESULTS:
        before = before if _may_read(sight, standing, before) else _without_values(before)
        after = after if _may_read(sight, standing, after) else _without_values(after)
    if row.entity == "hasta":
        hide = row.entity_id in nameless
        before, after = _without_identity(before, hide), _without_identity(after, hide)
    return AuditRow(
        chain=row.chain,
        number=row.number,
        at=here(row.at),
        actor=row.actor,
        address=row.address,
        action=row.action,
        entity=row.entity,
        entity_id=row.entity_id,
        before=before,
        after=after,
        patients=row.patients or [],
    )


OF_IDENTITY = frozenset({"ad", "soyadi", "pasaport_numarasi", "hbys_hasta_numarasi", "cep_telefonu", "dogum_tarihi"})


def _without_identity(facts: Facts | None, hide: bool) -> dict[str, Any] | None:
    """What an entry says of a patient: his TC number in part, and for somebody nameless nothing that names him."""
    if facts is None:
        return None
    shown = dict(facts)
    for name, value in facts.items():
        if name in ("tc_kimlik_numarasi", "tc") and isinstance(value, str):
            shown[name] = "(gizli)" if hide else mask_tc(value)
        elif hide and value is not None and name in OF_IDENTITY:
            shown[name] = "(gizli)"
    return shown


def _may_read(sight: Sight, standing: Standing | None, facts: Facts | None) -> bool:
    """True where the run that these facts speak of is one whose value this person may see today."""
    if standing is None or facts is None:
        return False
    group, state, valid, confidential = standing
    about = facts.get("tetkik_sonuc_kodu")
    return sight.sees_every_run(group) or (
        about is not None and about == valid and sight.sees(group, state, confidential=confidential)
    )


def _without_values(facts: Facts | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {name: value if name in VALUE_FREE or value is None else HIDDEN for name, value in facts.items()}


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
    """Recompute every hash. Reads the whole audit: about a second for 150,000 rows."""
    heads = await session.execute(select(AuditHead.chain, AuditHead.number).order_by(AuditHead.chain))
    chains = [ChainState(chain, number) for chain, number in heads]
    problems = await session.execute(
        select(text("zincir"), text("sira"), text("sorun")).select_from(func.denetim_dogrula()).limit(1000)
    )
    broken = [ChainProblem(*row) for row in problems.tuples()]
    return AuditProof(not broken, chains, broken)
