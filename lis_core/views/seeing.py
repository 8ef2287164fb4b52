"""What this person has business with, on top of the one function that decides (`domain.visibility`).

Two questions, both asked here by every screen, list, report and stream:
- may he open this order at all (a clinician: his own patients' orders and his unit's; the laboratory: all)?
- may he read this value? Roles count only in the work groups that they cover, so that another laboratory sees an
  unapproved result no more than a clinic does (9.7.1b, 9.7.8c). Reception works with orders and tubes, not with values.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, or_, true

from lis_core.domain.states import TestState
from lis_core.domain.visibility import Role, visible_states
from lis_core.storage.database import Actor
from lis_core.storage.tables import Order, OrderedTest

LABORATORY = (Role.TECHNICIAN, Role.SPECIALIST)
"""Who works on results in technical and clinical approval."""

CLINICIANS = frozenset({Role.PHYSICIAN, Role.FAMILY_PHYSICIAN})
"""Limited to their own orders and those of their unit."""

READS_NO_VALUES = frozenset({Role.RECEPTION})
"""Sees orders and tubes; never a value, approved or not."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The eyes of one person. Cheap to make; make one for each request."""

    actor: Actor

    @property
    def in_laboratory(self) -> bool:
        return self.actor.has(*LABORATORY)

    @property
    def reads_values(self) -> bool:
        """False for somebody whose roles give no value at all (reception, a user without roles)."""
        return bool(self.actor.roles - READS_NO_VALUES)

    @property
    def only_own_orders(self) -> bool:
        """True for clinicians who hold no other role."""
        return bool(self.actor.roles) and self.actor.roles <= CLINICIANS

    def states(self, group: str) -> frozenset[TestState]:
        """States in which this person may read the value of a test of this work group."""
        if not self.reads_values:
            return frozenset()
        return visible_states([role for role in self.actor.roles if self.actor.may_work_in(role, group)])

    def sees(self, group: str, state: TestState) -> bool:
        """True where the value of such a test may be shown."""
        return state in self.states(group)

    def sees_every_run(self, group: str) -> bool:
        """True where runs that are not the valid one may be shown: to those who judge the unapproved result itself."""
        return self.sees(group, TestState.RESULTED)

    def works_in_all(self, groups: Collection[str]) -> bool:
        """True for laboratory staff whose roles cover every one of these work groups (none given: all there are)."""
        limited_to = [self.actor.groups.get(role) for role in LABORATORY if role in self.actor.roles]
        if not limited_to:
            return False
        if any(not limit for limit in limited_to):
            return True
        covered = frozenset[str]().union(*(limit for limit in limited_to if limit))
        return bool(groups) and covered.issuperset(groups)

    def value_condition(self) -> ColumnElement[bool]:
        """`sees` as a condition over `OrderedTest`."""
        if not self.reads_values:
            return false()
        anywhere = [role for role in self.actor.roles if not self.actor.groups.get(role)]
        everywhere = visible_states(anywhere)
        conditions: list[ColumnElement[bool]] = [OrderedTest.state.in_(everywhere)]
        for group in sorted(frozenset[str]().union(*self.actor.groups.values())):
            more = self.states(group) - everywhere
            if more:
                conditions.append(and_(OrderedTest.group == group, OrderedTest.state.in_(more)))
        return or_(*conditions)

    def every_run_condition(self) -> ColumnElement[bool]:
        """`sees_every_run` as a condition over `OrderedTest`."""
        limited = frozenset[str]().union(*self.actor.groups.values())
        anywhere = [role for role in self.actor.roles if not self.actor.groups.get(role)]
        if TestState.RESULTED in visible_states(anywhere):
            return true()
        covered = [group for group in limited if self.sees_every_run(group)]
        return OrderedTest.group.in_(covered) if covered else false()

    def may_open(self, *, physician_id: int | None, unit_id: int | None, ordered_by_id: int | None) -> bool:
        """True where this person may open an order of this physician and unit, entered by this user."""
        if not self.actor.roles:
            return False
        if not self.only_own_orders:
            return True
        actor = self.actor
        return (
            (physician_id is not None and physician_id == actor.physician_id)
            or (unit_id is not None and unit_id == actor.unit_id)
            or (ordered_by_id is not None and ordered_by_id == actor.user_id)
        )

    def order_condition(self) -> ColumnElement[bool]:
        """`may_open` as a condition over `Order`."""
        if not self.actor.roles:
            return false()
        if not self.only_own_orders:
            return true()
        actor = self.actor
        own: list[ColumnElement[bool]] = [false()]
        if actor.physician_id is not None:
            own.append(Order.physician_id == actor.physician_id)
        if actor.unit_id is not None:
            own.append(Order.unit_id == actor.unit_id)
        if actor.user_id is not None:
            own.append(Order.ordered_by_id == actor.user_id)
        return or_(*own)


PAPER = Sight(Actor(name="rapor", roles=frozenset({Role.SYSTEM})))
"""The eyes of everybody outside: what may be printed, exported or sent (9.7.8a)."""
