"""What waits for whom: lists that the screens open on. Each question is one or two queries, whatever the number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from lis_core.domain.permissions import P
from lis_core.domain.states import Priority, TestState
from lis_core.domain.turkish import search_key
from lis_core.services.audit import viewed
from lis_core.storage.database import Actor
from lis_core.storage.tables import (
    Approval,
    Instrument,
    Order,
    OrderedTest,
    Patient,
    Result,
    Test,
    User,
    WorkGroup,
)
from lis_core.storage.tables.results import ApprovalKind
from lis_core.views.privacy import FAMILY, GIVEN, NAME, in_list
from lis_core.views.seeing import Sight
from lis_core.views.signs import Sign, signs_of

MOST_ROWS = 8000
"""Rows that one list reads at most; more waiting results than this are counted in `truncated`."""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One result that waits for approval."""

    ordered_test_id: int
    result_id: int
    order_id: int
    number: str
    code: str
    name: str
    group: str
    value: str
    signs: tuple[Sign, ...]
    since: datetime


@dataclass(slots=True)
class WaitingOrder:
    """An order with results that wait for approval, as one line of the list."""

    order_id: int
    number: str
    family_name: str
    given_name: str
    sex: str | None
    birth_date: date | None
    priority: Priority
    rows: list[WaitingRow] = field(default_factory=list)
    missing: int = 0
    """Tests of the order in the same scope that have not come so far (clinical list)."""

    @property
    def since(self) -> datetime:
        return min(row.since for row in self.rows)

    @property
    def signs(self) -> tuple[Sign, ...]:
        return tuple(sorted({sign for row in self.rows for sign in row.signs}, key=lambda sign: sign.rank))

    @property
    def signed(self) -> int:
        """Rows with at least one sign."""
        return sum(1 for row in self.rows if row.signs)

    @property
    def worst(self) -> WaitingRow:
        """The row that the list names: worst sign, then oldest."""
        return min(self.rows, key=lambda row: (row.signs[0].rank if row.signs else 99, row.since))

    @property
    def urgency(self) -> tuple[int, int, datetime]:
        """Panic first, then the order's grade, then the one that waits longest."""
        return (0 if Sign.PANIC in self.signs else 1, self.priority.rank, self.since)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter with its count: a work group or a sign."""

    key: str
    caption: str
    count: int
    sign: Sign | None = None


@dataclass(frozen=True, slots=True)
class Worklist:
    """A list of waiting orders with the chips above it. `total` counts results, before any filter."""

    groups: tuple[Chip, ...]
    signs: tuple[Chip, ...]
    orders: tuple[WaitingOrder, ...]
    total: int
    truncated: bool

    @property
    def plain_ids(self) -> list[int]:
        """Results of the shown orders that carry no sign."""
        return [row.result_id for order in self.orders for row in order.rows if not row.signs]

    @property
    def shown(self) -> int:
        return sum(len(order.rows) for order in self.orders)


_HELD_RULES: Any = literal_column(
    """jsonb_path_query_array(tetkik_sonuc.kararlar, '$[*] ? (@.o == "H" || @.o == "W")')"""
).label("held")


async def technical_worklist(
    session: AsyncSession, actor: Actor, *, group: str = "", sign: str = "", search: str = ""
) -> Worklist:
    """Results that wait for technical approval in this person's work groups. Two queries.

    group, sign: chips that are on ("" = all). search: number, name or test code, folded.
    """
    return await _waiting(session, Sight(actor), TestState.RESULTED, P.RESULT_TECHNICAL, group, sign, search)


async def clinical_worklist(
    session: AsyncSession, actor: Actor, *, group: str = "", sign: str = "", search: str = ""
) -> Worklist:
    """Technically approved results that wait for this specialist, panic first. Three queries.

    Nothing without technical approval is in it (9.6.11b); `missing` says how many tests of the order are still coming.
    """
    sight = Sight(actor)
    found = await _waiting(session, sight, TestState.TECHNICALLY_APPROVED, P.RESULT_CLINICAL, group, sign, search)
    ids = [order.order_id for order in found.orders]
    counts = select(OrderedTest.order_id, func.count()).where(
        OrderedTest.order_id.in_(ids),
        OrderedTest.state.in_(_UNFINISHED),
        sight.test_condition(P.RESULT_CLINICAL),
    )
    missing = dict((await session.execute(counts.group_by(OrderedTest.order_id))).tuples().all())
    for order in found.orders:
        order.missing = missing.get(order.order_id, 0)
    return found


_UNFINISHED = (
    TestState.ORDERED,
    TestState.COLLECTED,
    TestState.ACCEPTED,
    TestState.RUNNING,
    TestState.RESULTED,
)


async def plain_results(session: AsyncSession, result_ids: Collection[int]) -> list[int]:
    """Those of the results that carry no sign, in order of their ids. One query."""
    question = select(Result.id, Result.flag, Result.instrument_flags, _HELD_RULES).where(Result.id.in_(result_ids))
    rows = await session.execute(question.order_by(Result.id))
    return [row.id for row in rows if not signs_of(row.flag, row.instrument_flags, row.held or ())]


def _is(state: TestState) -> ColumnElement[bool]:
    """The state as a constant, so that the planner sees that a partial index fits."""
    return OrderedTest.state == literal_column(f"'{state.value}'")


async def _waiting(
    session: AsyncSession,
    sight: Sight,
    state: TestState,
    work: P,
    group: str,
    sign: str,
    search: str,
) -> Worklist:
    """`work`: the permission whose work this is; whether a value may be seen is another question to `sight`."""
    question = (
        select(
            OrderedTest.id,
            OrderedTest.order_id,
            OrderedTest.group,
            OrderedTest.state_at,
            Order.number,
            Order.priority,
            Order.patient_id,
            GIVEN.label("given_name"),
            FAMILY.label("family_name"),
            Patient.sex,
            Patient.birth_date,
            Test.code,
            Test.name,
            Result.id.label("result_id"),
            Result.value,
            Result.flag,
            Result.instrument_flags,
            _HELD_RULES,
        )
        .join(Order, Order.id == OrderedTest.order_id)
        .join(Patient, Patient.id == Order.patient_id)
        .join(Test, Test.id == OrderedTest.test_id)
        .join(Result, Result.id == OrderedTest.result_id)
        .where(_is(state), sight.test_condition(work), sight.value_condition())
        .order_by(OrderedTest.id)
        .limit(MOST_ROWS)
    )
    rows = (await session.execute(question)).all()
    orders: dict[int, WaitingOrder] = {}
    for row in rows:
        order = orders.get(row.order_id)
        if order is None:
            order = orders[row.order_id] = WaitingOrder(
                row.order_id, row.number, row.family_name, row.given_name, row.sex, row.birth_date, row.priority
            )
        order.rows.append(_waiting_row(row))
    viewed(
        sight.actor,
        patients={row.patient_id for row in rows},
        orders={row.number for row in rows},
        results=[row.result_id for row in rows],
    )
    groups = select(WorkGroup.code, WorkGroup.name).order_by(WorkGroup.position)
    names = dict((await session.execute(groups)).tuples().all())
    everything = [row for order in orders.values() for row in order.rows]
    return Worklist(
        groups=_group_chips(everything, names),
        signs=_sign_chips(everything),
        orders=_filtered(orders.values(), group, sign, search),
        total=len(everything),
        truncated=len(rows) == MOST_ROWS,
    )


def _waiting_row(row: Any) -> WaitingRow:
    return WaitingRow(
        ordered_test_id=row.id,
        result_id=row.result_id,
        order_id=row.order_id,
        number=row.number,
        code=row.code,
        name=row.name,
        group=row.group,
        value=row.value,
        signs=signs_of(row.flag, row.instrument_flags, row.held or ()),
        since=row.state_at,
    )


def _group_chips(rows: Sequence[WaitingRow], names: dict[str, str]) -> tuple[Chip, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.group] = counts.get(row.group, 0) + 1
    known = [code for code in names if code in counts]
    return tuple(Chip(code, names.get(code, code), counts[code]) for code in [*known, *sorted(counts.keys() - names)])


def _sign_chips(rows: Sequence[WaitingRow]) -> tuple[Chip, ...]:
    counts: dict[Sign, int] = {}
    for row in rows:
        for sign in row.signs:
            counts[sign] = counts.get(sign, 0) + 1
    return tuple(Chip(sign, sign.words, counts[sign], sign) for sign in Sign if sign in counts)


def _filtered(orders: Iterable[WaitingOrder], group: str, sign: str, search: str) -> tuple[WaitingOrder, ...]:
    """Orders with only the rows that the chips let through, most urgent first."""
    kept = []
    words = search_key(search).split()
    for order in orders:
        rows = [row for row in order.rows if (not group or row.group == group) and (not sign or sign in row.signs)]
        if words and not _names(order, words):
            rows = [row for row in rows if all(word in search_key(f"{row.code} {row.name}") for word in words)]
        if rows:
            order.rows = rows
            kept.append(order)
    return tuple(sorted(kept, key=lambda order: order.urgency))


def _names(order: WaitingOrder, words: Sequence[str]) -> bool:
    text = search_key(f"{order.number} {order.given_name} {order.family_name}")
    return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Became:
    """What became of an order that was on a screen and is in the list no more."""

    number: str
    given_name: str
    family_name: str
    who: str
    """"" where nobody decided: the tests were cancelled, or run again."""
    kind: ApprovalKind | None
    at: datetime | None
    mine: bool


async def what_became(session: AsyncSession, actor: Actor, numbers: Collection[str], since: datetime) -> list[Became]:
    """The latest decision about each of these orders since then: who greyed the row, and how. One query."""
    if not numbers:
        return []
    latest = (
        select(OrderedTest.order_id, Approval.kind, Approval.at, Approval.user_id)
        .distinct(OrderedTest.order_id)
        .join(Approval, Approval.ordered_test_id == OrderedTest.id)
        .join(Order, Order.id == OrderedTest.order_id)
        .where(Order.number.in_(numbers), Approval.at >= since)
        .order_by(OrderedTest.order_id, Approval.id.desc())
        .subquery()
    )
    question = (
        select(Order.number, Patient, User, latest.c[1], latest.c[2])
        .join(Patient, Patient.id == Order.patient_id)
        .outerjoin(latest, latest.c[0] == Order.id)
        .outerjoin(User, User.id == latest.c[3])
        .where(Order.number.in_(numbers))
    )
    return [
        Became(
            number,
            in_list(patient).given_name,
            in_list(patient).family_name,
            user.full_name if user else "",
            kind,
            at,
            user is not None and user.id == actor.user_id,
        )
        for number, patient, user, kind, at in (await session.execute(question)).tuples()
    ]


@dataclass(frozen=True, slots=True)
class RepeatTest:
    """A test that is to be run again, and where its tube was last (9.6.6b, 9.7.6b)."""

    code: str
    instrument: str
    """Of the last run; "" where the value was typed."""
    rack: str
    position: str
    wanted: str
    """The instrument that must run it; "" = any."""


@dataclass(slots=True)
class RepeatOrder:
    """An order with tests that wait for their repeat."""

    number: str
    given_name: str
    family_name: str
    priority: Priority
    since: datetime
    tests: list[RepeatTest] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.tests)


async def repeat_list(session: AsyncSession, actor: Actor, limit: int = 500) -> list[RepeatOrder]:
    """Orders whose tests a person sent to a repeat that has not come so far, oldest first. One query."""
    last, wanted = aliased(Instrument), aliased(Instrument)
    newest = (
        select(Result)
        .where(Result.ordered_test_id == OrderedTest.id)
        .order_by(Result.run.desc())
        .limit(1)
        .lateral("son_kosu")
    )
    run = aliased(Result, newest)
    question = (
        select(Order, Patient, Test.code, OrderedTest.state_at, last.name, run.rack, run.position, wanted.name)
        .select_from(OrderedTest)
        .join(run, true())
        .join(Order, Order.id == OrderedTest.order_id)
        .join(Patient, Patient.id == Order.patient_id)
        .join(Test, Test.id == OrderedTest.test_id)
        .outerjoin(last, last.id == run.instrument_id)
        .outerjoin(wanted, wanted.id == OrderedTest.wanted_instrument_id)
        .where(
            OrderedTest.runs > literal_column("0"),  # as in the partial index
            OrderedTest.result_id.is_(None),
            OrderedTest.state.in_([TestState.ACCEPTED, TestState.RUNNING]),
            Sight(actor).test_condition(P.RESULT_TECHNICAL),
        )
        .order_by(OrderedTest.state_at)
        .limit(limit)
    )
    orders: dict[int, RepeatOrder] = {}
    for order, patient, code, since, name, rack, position, wanted_name in (await session.execute(question)).tuples():
        line = orders.setdefault(
            order.id,
            RepeatOrder(order.number, in_list(patient).given_name, in_list(patient).family_name, order.priority, since),
        )
        line.tests.append(RepeatTest(code, name or "", rack or "", position or "", wanted_name or ""))
    return sorted(orders.values(), key=lambda line: (line.priority.rank, line.since))


@dataclass(frozen=True, slots=True)
class Approved:
    """An order whose results a specialist released lately (to look again, or to withdraw)."""

    order_id: int
    number: str
    patient: str
    count: int
    at: datetime
    who: str


async def released_lately(session: AsyncSession, actor: Actor, since: datetime, limit: int = 200) -> list[Approved]:
    """Orders with clinical approvals since then in this specialist's groups, newest first. One query."""
    question = (
        select(
            Order.id,
            Order.number,
            NAME.label("patient"),
            func.count().label("count"),
            func.max(Approval.at).label("at"),
            func.max(func.concat(User.given_name, " ", User.family_name)).label("who"),
        )
        .select_from(Approval)
        .join(OrderedTest, OrderedTest.id == Approval.ordered_test_id)
        .join(Order, Order.id == OrderedTest.order_id)
        .join(Patient, Patient.id == Order.patient_id)
        .join(User, User.id == Approval.user_id)
        .where(
            _is(TestState.CLINICALLY_APPROVED),
            OrderedTest.state_at >= since,
            Approval.version == OrderedTest.version,
            Approval.kind == ApprovalKind.CLINICAL,
            Sight(actor).test_condition(P.RESULT_CLINICAL),
        )
        .group_by(Order.id, Order.number, Patient.id)
        .order_by(func.max(Approval.at).desc())
        .limit(limit)
    )
    return [
        Approved(row.id, row.number, row.patient, row.count, row.at, row.who)  # type: ignore[arg-type]
        for row in await session.execute(question)
    ]
