"""What the laboratory's chief decides about the patients' page: what is withheld, which tests are confidential, how it
is opened (9.8.5, 9.8.8b, 9.11.12b). Each change is a row or an audit entry with what it was before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.online import Look, When, WithholdingRule, rule_problem
from lis_core.domain.online_access import PatientPageRules, likely_sensitive, limit_problem
from lis_core.domain.permissions import P
from lis_core.storage.database import Work
from lis_core.storage.tables import OnlineRule, Parameter, Test, User, WorkGroup

SETTINGS = "hasta_sayfasi"
"""Row of `parametre`."""


async def page_rules(session: AsyncSession) -> PatientPageRules:
    """The institution's standards as they are now."""
    stored = await session.scalar(select(Parameter.value).where(Parameter.name == SETTINGS))
    return PatientPageRules.of(stored)


async def save_page_rules(work: Work, wanted: Mapping[str, int | bool]) -> PatientPageRules:
    """Raises NOT_ALLOWED, BAD_ONLINE_RULE with the setting that does not fit."""
    work.actor.must(P.ONLINE_MANAGE)
    for name, value in wanted.items():
        if not isinstance(value, bool) and (problem := limit_problem(name, value)):
            raise NumuneError(errors.BAD_ONLINE_RULE, problem=problem)
    row = await work.session.get(Parameter, SETTINGS, with_for_update=True, populate_existing=True)
    before = PatientPageRules.of(row.value if row else None)
    after = PatientPageRules.of({**before.as_stored, **wanted})
    if row is None:
        work.session.add(Parameter(name=SETTINGS, value=after.as_stored))
    else:
        row.value = after.as_stored
    if after != before:
        work.audit("degistir", "parametre", SETTINGS, before.as_stored, after.as_stored)
    return after


# --- what is withheld ----------------------------------------------------------------------------------------------


async def rules_in_force(session: AsyncSession) -> list[WithholdingRule]:
    """Every rule that holds now."""
    rows = await session.scalars(select(OnlineRule).where(OnlineRule.ended_at.is_(None)).order_by(OnlineRule.id))
    return [
        WithholdingRule(row.id, row.when, row.test_id, row.group, row.limit, row.look, row.sentence) for row in rows
    ]


@dataclass(frozen=True, slots=True)
class RuleData:
    """A rule as the form says it: of a test (its code) or of a work group. accepted: the difference tells."""

    when: When
    test: str = ""
    group: str = ""
    limit: Decimal | None = None
    look: Look = Look.SENTENCE
    sentence: str = ""
    accepted: bool = False
    reason: str = ""


async def add_rule(work: Work, data: RuleData) -> int:
    """Raises NOT_ALLOWED, BAD_ONLINE_RULE, REASON_NEEDED."""
    work.actor.must(P.ONLINE_MANAGE)
    sentence, reason = " ".join(data.sentence.split()), " ".join(data.reason.split())
    if problem := rule_problem(data.when, data.look, data.limit, sentence, data.accepted):
        raise NumuneError(errors.BAD_ONLINE_RULE, problem=problem)
    if not reason:
        raise NumuneError(errors.REASON_NEEDED)
    test_id, group = await _target(work.session, data)
    row = OnlineRule(
        test_id=test_id,
        group=group,
        when=data.when,
        limit=data.limit,
        look=data.look,
        sentence=sentence,
        accepted=data.accepted and data.when.by_value,
        reason=reason,
        user_id=work.actor.user_id,
    )
    work.session.add(row)
    await work.session.flush()
    work.audit("kaydet", "cevrimici_kural", row.id, None, _facts(row, data.test or data.group))
    return row.id


async def _target(session: AsyncSession, data: RuleData) -> tuple[int | None, str | None]:
    if bool(data.test.strip()) is bool(data.group.strip()):
        raise NumuneError(errors.BAD_ONLINE_RULE, problem="bir tetkik ya da bir çalışma grubu seçin")
    if data.group.strip():
        found = await session.get(WorkGroup, data.group.strip())
        if found is None:
            raise NumuneError(errors.BAD_ONLINE_RULE, problem="çalışma grubu tanımlı değil")
        return None, found.code
    test = await session.scalar(select(Test).where(Test.code == data.test.strip(), ~Test.panel))
    if test is None:
        raise NumuneError(errors.UNKNOWN_TEST, codes=data.test.strip())
    return test.id, None


def _facts(row: OnlineRule, target: str) -> dict[str, object]:
    return {
        "hedef": target,
        "kosul": row.when.value,
        "sinir": None if row.limit is None else str(row.limit),
        "gorunum": row.look.value,
        "cumle": row.sentence,
        "neden": row.reason,
    }


async def end_rule(work: Work, rule_id: int) -> None:
    """From now on it hides nothing; the row stays. Raises NOT_ALLOWED, NOT_FOUND."""
    work.actor.must(P.ONLINE_MANAGE)
    row = await work.session.scalar(select(OnlineRule).where(OnlineRule.id == rule_id).with_for_update())
    if row is None or row.ended_at is not None:
        raise NumuneError(errors.NOT_FOUND, what="Geçerli kural")
    row.ended_at, row.ended_by_id = work.now, work.actor.user_id
    work.audit("kaldir", "cevrimici_kural", rule_id, _facts(row, str(row.test_id or row.group)), None)


async def set_confidential(work: Work, code: str, confidential: bool, reason: str) -> None:
    """Make a test a confidential one (HIV), or one like the others. Raises NOT_ALLOWED, UNKNOWN_TEST, REASON_NEEDED."""
    work.actor.must(P.ONLINE_MANAGE)
    why = " ".join(reason.split())
    if not why:
        raise NumuneError(errors.REASON_NEEDED)
    test = await work.session.scalar(select(Test).where(Test.code == code.strip(), ~Test.panel).with_for_update())
    if test is None:
        raise NumuneError(errors.UNKNOWN_TEST, codes=code.strip())
    if test.confidential is confidential:
        return
    test.confidential = confidential
    work.audit(
        "gizli_tetkik", "tetkik", test.id, {"gizli_mi": not confidential}, {"gizli_mi": confidential, "neden": why}
    )


# --- the chief's screen --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule as the screen lists it."""

    id: int
    target: str
    when: When
    limit: Decimal | None
    unit: str
    look: Look
    sentence: str
    reason: str
    by: str
    since: datetime


async def rule_lines(session: AsyncSession) -> list[RuleLine]:
    """Rules in force, by what they are about."""
    rows = await session.execute(
        select(OnlineRule, Test, WorkGroup.name, func.concat_ws(" ", User.given_name, User.family_name))
        .outerjoin(Test, Test.id == OnlineRule.test_id)
        .outerjoin(WorkGroup, WorkGroup.code == OnlineRule.group)
        .outerjoin(User, User.id == OnlineRule.user_id)
        .where(OnlineRule.ended_at.is_(None))
        .order_by(OnlineRule.group.is_(None), Test.code, OnlineRule.id)
    )
    return [
        RuleLine(
            id=rule.id,
            target=f"{test.code} {test.name}" if test else f"{group} (bütün tetkikleri)",
            when=rule.when,
            limit=rule.limit,
            unit=test.unit if test else "",
            look=rule.look,
            sentence=rule.sentence,
            reason=rule.reason,
            by=by or "program",
            since=rule.created_at,
        )
        for rule, test, group, by in rows.tuples()
    ]


@dataclass(frozen=True, slots=True)
class Coverage:
    """confidential: tests like HIV. uncovered: tests that sound as if they should be withheld, and no rule does."""

    confidential: Sequence[tuple[str, str]]
    uncovered: Sequence[tuple[str, str]]


async def coverage(session: AsyncSession) -> Coverage:
    """What to look at before the page is opened."""
    rows = await session.execute(
        select(Test.id, Test.code, Test.name, Test.group, Test.confidential)
        .where(Test.active, ~Test.panel)
        .order_by(Test.code)
    )
    rules = await rules_in_force(session)
    tests = {rule.test_id for rule in rules}
    groups = {rule.group for rule in rules if rule.group}
    confidential, uncovered = [], []
    for key, code, name, group, secret in rows.tuples():
        if secret:
            confidential.append((code, name))
        elif key not in tests and group not in groups and likely_sensitive(code, name):
            uncovered.append((code, name))
    return Coverage(confidential, uncovered)
