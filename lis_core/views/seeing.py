"""What this person has business with: his rights as conditions of questions, and as answers about one row.

Two questions, both asked here by every screen, list, report and stream:
- may he do this with this order (whose it is: unit, institution, own patients)?
- may he read this value, or work on this test (which bench's it is)? A value is read where both hold, so that another
  laboratory sees an unapproved result no more than a clinic does (9.7.1b, 9.7.8c).

Lists are narrowed in the query, never after it. A confidential test (HIV, 9.8.5) is read only by those who work on it
and by whoever may for this order; a page with a name on it never bears one. The patient himself has eyes of his own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from sqlalchemy import ColumnElement, Select, and_, false, literal_column, not_, or_, select

from lis_core.domain.online import ResultFacts, Ruling, WithholdingRule, rule_on
from lis_core.domain.permissions import About, Extent, P, Reach
from lis_core.domain.states import TestState
from lis_core.domain.visibility import RELEASED, UNAPPROVED, patient_states, visible_states
from lis_core.services.rights import today, valid_on
from lis_core.storage.database import Actor
from lis_core.storage.tables import Order, OrderedTest, Physician, PhysicianUnit, Result, Test

_EVERY: ColumnElement[bool] = literal_column("true")


class Surface(Enum):
    """What the values are for."""

    SCREEN = "screen"
    NAMED = "named"
    """Paper with the patient's name: no confidential test."""
    CODED = "coded"
    """Paper with a code instead of the name: released confidential tests, nothing else (9.8.5)."""


CONFIDENTIAL_ON_SCREEN = "gizli tetkik; sonucunu yalnız yetkili görür"
CONFIDENTIAL_ON_PAPER = "gizli tetkik; kodlu raporda verilir"


class Eyes(Protocol):
    """Whoever an order is read for."""

    def ruling(self, order: Order, test: OrderedTest, result: Result | None) -> Ruling:
        """Whether the value of this test may be shown, and what stands instead. result: its valid run."""
        ...


def about_order(order: Order) -> About:
    """Whose an order is."""
    return About(unit_id=order.unit_id, physician_id=order.physician_id, ordered_by_id=order.ordered_by_id)


@dataclass(frozen=True, slots=True)
class Sight:
    """The eyes of one person. Cheap to make; make one for each request."""

    actor: Actor
    page: Surface = Surface.SCREEN

    @property
    def in_laboratory(self) -> bool:
        """True for those who see unapproved results, of some bench at least."""
        return self.actor.may(P.RESULT_VIEW_UNAPPROVED)

    @property
    def reads_values(self) -> bool:
        """False for somebody whose rights give no value at all (reception, billing, the administrator)."""
        return self.actor.rights.may_any(P.RESULT_VIEW, P.RESULT_VIEW_UNAPPROVED)

    @property
    def only_own_orders(self) -> bool:
        """True for whoever sees some orders and not all: his own, his unit's."""
        rights = self.actor.rights
        return rights.may(P.ORDER_VIEW) and not rights.unlimited(P.ORDER_VIEW)

    @property
    def sees_every_order(self) -> bool:
        """True where the permission to see orders has no limit."""
        return self.actor.rights.unlimited(P.ORDER_VIEW)

    # --- values ----------------------------------------------------------------------------------------------------

    def states(self, group: str, *, confidential: bool = False, order: About | None = None) -> frozenset[TestState]:
        """States in which this person may read the value of a test of this work group.

        confidential: of a test like HIV, in an order of these people.
        """
        if confidential if self.page is Surface.NAMED else (self.page is Surface.CODED and not confidential):
            return frozenset()
        seen = visible_states(self.actor.rights, group, confidential=confidential, order=order)
        return seen & RELEASED if self.page is Surface.CODED else seen

    def sees(self, group: str, state: TestState, *, confidential: bool = False, order: About | None = None) -> bool:
        """True where the value of such a test may be shown."""
        return state in self.states(group, confidential=confidential, order=order)

    def ruling(self, order: Order, test: OrderedTest, result: Result | None) -> Ruling:
        """`sees` for a row, with the words that stand where a confidential value is not shown."""
        confidential = test.test.confidential
        if self.sees(test.group, test.state, confidential=confidential, order=about_order(order)):
            return Ruling(True)
        if not confidential or self.page is Surface.CODED or test.state not in RELEASED:
            return Ruling(False, listed=self.page is not Surface.CODED or confidential)
        return Ruling(False, sentence=CONFIDENTIAL_ON_PAPER if self.page is Surface.NAMED else CONFIDENTIAL_ON_SCREEN)

    def sees_every_run(self, group: str) -> bool:
        """True where runs that are not the valid one may be shown: to those who judge the unapproved result itself."""
        return self.sees(group, TestState.RESULTED)

    def value_condition(self) -> ColumnElement[bool]:
        """`sees` as a condition over `OrderedTest`, beside which the question has `Order` joined."""
        parts = [
            and_(OrderedTest.state.in_(sorted(states)), self.test_condition(permission), open_to_him)
            for permission, states, open_to_him in (
                (P.RESULT_VIEW, RELEASED, self._confidential_condition()),
                (P.RESULT_VIEW_UNAPPROVED, UNAPPROVED, _EVERY),
            )
            if self.actor.may(permission)
        ]
        return or_(*parts) if parts else false()

    def _confidential_condition(self) -> ColumnElement[bool]:
        """No confidential test, or one that he works on or may read in this order."""
        if self.actor.rights.unlimited(P.RESULT_VIEW_UNAPPROVED):
            return _EVERY
        confidential = OrderedTest.test_id.in_(select(Test.id).where(Test.confidential))
        return or_(
            not_(confidential),
            self.test_condition(P.RESULT_VIEW_UNAPPROVED),
            self.order_condition(P.RESULT_VIEW_CONFIDENTIAL),
        )

    def every_run_condition(self) -> ColumnElement[bool]:
        """`sees_every_run` as a condition over `OrderedTest`."""
        return self.test_condition(P.RESULT_VIEW_UNAPPROVED)

    def on_paper(self) -> Sight:
        """The eyes that a printed report has: of what he may read, only what is released (9.7.8a)."""
        return Sight(replace(self.actor, rights=self.actor.rights.only(P.RESULT_VIEW)), Surface.NAMED)

    def on_urgent_paper(self) -> Sight:
        """The eyes of the emergency print: everything that he may read; under a name no confidential test (9.8.5)."""
        return replace(self, page=Surface.NAMED)

    def on_coded_paper(self) -> Sight:
        """The eyes of the report without a name: released confidential tests that he may read, and no others."""
        return replace(self, page=Surface.CODED)

    # --- tests and orders ------------------------------------------------------------------------------------------

    def test_condition(self, permission: P) -> ColumnElement[bool]:
        """Tests that this person may do this with, as a condition over `OrderedTest`."""
        return _condition(self.actor.rights.extent(permission), _of_bench)

    def may_open(
        self,
        *,
        physician_id: int | None,
        unit_id: int | None,
        ordered_by_id: int | None,
        permission: P = P.ORDER_VIEW,
    ) -> bool:
        """True where this person may open, or do this with, an order of this physician, unit and clerk."""
        about = About(unit_id=unit_id, physician_id=physician_id, ordered_by_id=ordered_by_id)
        return self.actor.may(permission, about)

    def order_condition(self, permission: P = P.ORDER_VIEW) -> ColumnElement[bool]:
        """`may_open` as a condition over `Order`."""
        return _condition(self.actor.rights.extent(permission), self._of_order)

    def physician_condition(self, permission: P = P.ORDER_ENTER) -> ColumnElement[bool]:
        """Physicians of the units that this permission reaches, and himself, over `Physician` (2.8.16)."""
        return _condition(self.actor.rights.extent(permission), self._of_physician)

    def _of_order(self, reach: Reach) -> list[ColumnElement[bool]]:
        person = self.actor.rights.person
        parts: list[ColumnElement[bool]] = []
        if reach.units:
            parts.append(and_(Order.unit_id.is_not(None), Order.unit_id.in_(sorted(reach.units))))
        if reach.own and person.physician_id is not None:
            parts.append(and_(Order.physician_id.is_not(None), Order.physician_id == person.physician_id))
        if reach.own and person.user_id is not None:
            parts.append(and_(Order.ordered_by_id.is_not(None), Order.ordered_by_id == person.user_id))
        return parts

    def _of_physician(self, reach: Reach) -> list[ColumnElement[bool]]:
        person = self.actor.rights.person
        parts: list[ColumnElement[bool]] = []
        if reach.units:
            units = sorted(reach.units)
            parts.append(and_(Physician.unit_id.is_not(None), Physician.unit_id.in_(units)))
            parts.append(Physician.id.in_(works_in(units)))
        if reach.own and person.physician_id is not None:
            parts.append(Physician.id == person.physician_id)
        return parts


@dataclass(frozen=True, slots=True)
class PatientSight:
    """The eyes of a patient on the internet page: his released results, less what the rules withhold (9.8.5, 9.8.8)."""

    rules: Sequence[WithholdingRule]
    """Those in force."""

    def ruling(self, order: Order, test: OrderedTest, result: Result | None) -> Ruling:
        """As `Eyes`; a cancelled test is not listed."""
        released = result is not None and test.state in patient_states(withheld=False)
        facts = ResultFacts(test.test_id, test.group, test.test.confidential, released)
        if result is not None and released:
            facts = replace(
                facts, value=result.value, number=result.number, flag=result.flag, reference=result.reference
            )
        ruling = rule_on(facts, self.rules)
        shown = test.state in patient_states(withheld=not ruling.shown)
        return replace(ruling, shown=shown, listed=ruling.listed and test.state is not TestState.CANCELLED)


def works_in(unit_ids: list[int]) -> Select[int]:
    """Physicians whose further unit is one of these today (2.8.16b)."""
    return select(PhysicianUnit.physician_id).where(
        PhysicianUnit.unit_id.in_(unit_ids), valid_on(PhysicianUnit, today())
    )


def _of_bench(reach: Reach) -> list[ColumnElement[bool]]:
    return [OrderedTest.group.in_(sorted(reach.groups))] if reach.groups else []


def _condition(extent: Extent, parts_of: Callable[[Reach], list[ColumnElement[bool]]]) -> ColumnElement[bool]:
    """What is given and not forbidden. The parts are never null, so that "not" means what it says."""
    given, forbidden = extent
    if forbidden.everywhere or given.nothing:
        return false()
    parts = parts_of(given)
    allowed = _EVERY if given.everywhere else (or_(*parts) if parts else false())
    taken = parts_of(forbidden)
    return and_(allowed, not_(or_(*taken))) if taken else allowed
