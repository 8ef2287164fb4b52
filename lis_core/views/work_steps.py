"""Work steps of IHE LAW for screens: what an analyser was given, what it said to it, and when. No values in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain.permissions import About, P
from lis_core.services.work_steps import ENDED, MAY_BE_CANCELLED
from lis_core.storage.database import Actor
from lis_core.storage.tables import Instrument, Order, OrderedTest, Test, WorkMessage, WorkStep
from lis_core.storage.tables.law import OPEN_STATES

MOST = 200


@dataclass(frozen=True, slots=True)
class StepMessage:
    """A message that carried a step to the analyser, and the answer to it. kind: NW new work, CA cancellation."""

    kind: str
    state: str
    attempts: int
    written_at: datetime
    sent_at: datetime | None
    reply: str
    """MSA-1; "" = none."""
    reply_text: str
    line: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step as one line of a list."""

    number: str
    instrument: str
    instrument_name: str
    order: str
    """"" for the analyser's own reflex without an order."""
    test: str
    code: str
    """The analyser's code."""
    group: str
    container: str
    replicate: int
    priority: str
    dilution: str
    state: str
    state_at: datetime
    made_at: datetime
    note: str
    messages: tuple[StepMessage, ...]

    @property
    def sent_at(self) -> datetime | None:
        """When it last went to the analyser."""
        return max((one.sent_at for one in self.messages if one.sent_at is not None), default=None)

    @property
    def answer(self) -> str:
        """What the analyser said last, as it said it."""
        said = [f"{one.reply} {one.reply_text}".strip() for one in self.messages if one.reply or one.reply_text]
        return said[-1] if said else ""

    def may(self, actor: Actor, deed: str) -> bool:
        """Whether this person may do this to it now: `iptal`, `yeniden`, `karar`."""
        about = About(self.group) if self.group else None
        if not actor.may(P.RESULT_TECHNICAL, about):
            return False
        states = {"iptal": MAY_BE_CANCELLED, "yeniden": (*ENDED, "belirsiz"), "karar": ("belirsiz",)}
        if deed == "yeniden" and not self.order:
            return False
        return self.state in states[deed]


async def steps_of_instrument(
    session: AsyncSession, code: str, *, open_only: bool, limit: int = MOST
) -> list[StepLine]:  # fmt: skip
    """Steps of one analyser, newest first. Two queries."""
    wanted: list[ColumnElement[bool]] = [Instrument.code == code]
    if open_only:
        wanted.append(WorkStep.state.in_(OPEN_STATES))
    return await _steps(session, wanted, limit)


async def steps_of_test(session: AsyncSession, ordered_test_id: int) -> list[StepLine]:
    """Steps of one ordered test, on any analyser, newest first."""
    return await _steps(session, [WorkStep.ordered_test_id == ordered_test_id], MOST)


async def step_of(session: AsyncSession, number: str) -> StepLine | None:
    """One step."""
    found = await _steps(session, [WorkStep.number == number], 1)
    return found[0] if found else None


async def step_counts(session: AsyncSession, code: str) -> dict[str, int]:
    """How many steps of an analyser are in each state in which something may still happen."""
    rows = await session.execute(
        select(WorkStep.state, func.count())
        .join(Instrument, Instrument.id == WorkStep.instrument_id)
        .where(Instrument.code == code, WorkStep.state.in_(OPEN_STATES))
        .group_by(WorkStep.state)
    )
    return dict(rows.tuples().all())


async def _steps(session: AsyncSession, wanted: Sequence[ColumnElement[bool]], limit: int) -> list[StepLine]:
    question = (
        select(WorkStep, Instrument.code, Instrument.name, Order.number, Test.code, OrderedTest.group)
        .join(Instrument, Instrument.id == WorkStep.instrument_id)
        .outerjoin(OrderedTest, OrderedTest.id == WorkStep.ordered_test_id)
        .outerjoin(Order, Order.id == OrderedTest.order_id)
        .outerjoin(Test, Test.id == OrderedTest.test_id)
        .where(*wanted)
        .order_by(WorkStep.id.desc())
        .limit(limit)
    )
    rows = (await session.execute(question)).tuples().all()
    messages = await _messages(session, [row[0].id for row in rows])
    return [
        StepLine(
            number=step.number,
            instrument=code,
            instrument_name=name,
            order=order or "",
            test=test or "",
            code=step.test_code,
            group=group or "",
            container=step.container,
            replicate=step.replicate,
            priority=step.priority,
            dilution=step.dilution,
            state=step.state,
            state_at=step.state_at,
            made_at=step.created_at,
            note=step.note,
            messages=tuple(messages.get(step.id, ())),
        )
        for step, code, name, order, test, group in rows
    ]


async def _messages(session: AsyncSession, steps: Sequence[int]) -> dict[int, list[StepMessage]]:
    """The messages that carried these steps, oldest first."""
    found: dict[int, list[StepMessage]] = {}
    if not steps:
        return found
    question = (
        select(
            WorkMessage.steps, WorkMessage.kind, WorkMessage.state, WorkMessage.attempts, WorkMessage.created_at,
            WorkMessage.sent_at, WorkMessage.reply, WorkMessage.reply_text, WorkMessage.line,
        )
        .where(WorkMessage.steps.overlap(list(steps)))
        .order_by(WorkMessage.id)
    )  # fmt: skip
    wanted = set(steps)
    for row in (await session.execute(question)).tuples():
        message = StepMessage(row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8])
        for step in wanted.intersection(row[0]):
            found.setdefault(step, []).append(message)
    return found
