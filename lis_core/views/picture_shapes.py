"""Shapes of the picture of an order: what `lis_core.views.picture` reads and the screens show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lis_core.domain.states import Priority, TestState, TubeState
from lis_core.storage.tables.results import ApprovalKind
from lis_core.views.signs import Sign

TREND_POINTS = 8
"""Earlier values that a sparkline shows at most."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One automatic decision as the "neden?" of the screen shows it."""

    outcome: str
    """P passed, W warned, H held, N not applicable."""
    rule: str
    sentence: str
    saw: Mapping[str, Any]

    @property
    def matters(self) -> bool:
        return self.outcome in ("H", "W")


@dataclass(frozen=True, slots=True)
class PastValue:
    """An earlier result of the same patient and test, in another order."""

    number: str
    value: str
    figure: Decimal | None
    unit: str
    flag: str
    reference: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one ordered test; the valid one is `current`."""

    result_id: int
    run: int
    value: str
    unit: str
    flag: str
    instrument: str
    place: str
    """Rack and position, "5/3"."""
    at: datetime
    current: bool
    entered_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a result (9.7.9)."""

    kind: ApprovalKind
    who: str
    at: datetime
    reason: str


@dataclass(slots=True)
class Row:
    """One ordered test with its valid result, as far as the reader may see it (`value` None where he may not)."""

    ordered_test_id: int
    code: str
    name: str
    group: str
    group_name: str
    panel: str
    tube: str
    """Caption of the tube it was meant for."""
    test_id: int
    state: TestState
    state_at: datetime
    version: int
    readable: bool
    in_laboratory: bool
    """The reader works on results of this group: he also sees runs, flags and reasons."""
    result_id: int | None = None
    value: str | None = None
    figure: Decimal | None = None
    unit: str = ""
    flag: str = ""
    reference: str = ""
    signs: tuple[Sign, ...] = ()
    reasons: tuple[Reason, ...] = ()
    instrument: str = ""
    instrument_code: str = ""
    rack: str = ""
    position: str = ""
    lot: str = ""
    operator: str = ""
    instrument_flags: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    measured_at: datetime | None = None
    wanted_instrument: str = ""
    running_on: str = ""
    entered_by: str = ""
    entry_reason: str = ""
    raw_message_id: int | None = None
    range_id: int | None = None
    controls_today: int | None = None
    """Control measurements of this test on this instrument today; None where no instrument ran it."""
    runs: tuple[Run, ...] = ()
    past: tuple[PastValue, ...] = ()
    """Newest first."""
    decisions: tuple[Decision, ...] = ()
    """Oldest first."""
    confidential: bool = False
    """A test like HIV (9.8.5)."""

    @property
    def previous(self) -> PastValue | None:
        """The last result before this one."""
        limit = self.measured_at
        return next((past for past in self.past if limit is None or past.at < limit), None)

    @property
    def change(self) -> Decimal | None:
        """Difference from the previous value in percent, where both are numbers of one unit."""
        before = self.previous
        if before is None or self.figure is None or not before.figure or before.unit != self.unit:
            return None
        return (self.figure - before.figure) / abs(before.figure) * 100

    @property
    def trend(self) -> list[Decimal]:
        """Figures for the sparkline, oldest first, this one last."""
        before = [past.figure for past in self.past if past.figure is not None and past.unit == self.unit]
        return [*reversed(before[: TREND_POINTS - 1]), *([self.figure] if self.figure is not None else [])]

    @property
    def earlier_runs(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if not run.current)

    @property
    def shown_to_clinic(self) -> bool:
        """At clinical approval: what has at least technical approval is shown, nothing before it (9.6.11b)."""
        return self.value is not None and self.state in (TestState.TECHNICALLY_APPROVED, TestState.CLINICALLY_APPROVED)

    @property
    def on_its_way(self) -> bool:
        """At clinical approval: not ready so far, named only with its stage and time (9.7.2a)."""
        return not self.shown_to_clinic and self.state not in (TestState.CLINICALLY_APPROVED, TestState.CANCELLED)

    @property
    def why(self) -> str:
        """The sentences that matter, in one line; "" where nothing held or warned."""
        return "; ".join(reason.sentence for reason in self.reasons if reason.matters)

    @property
    def technical(self) -> Decision | None:
        """The technical approval in force, if any."""
        return self._last(ApprovalKind.TECHNICAL)

    @property
    def clinical(self) -> Decision | None:
        return self._last(ApprovalKind.CLINICAL)

    def _last(self, kind: ApprovalKind) -> Decision | None:
        return next((decision for decision in reversed(self.decisions) if decision.kind is kind), None)


@dataclass(frozen=True, slots=True)
class Related:
    """The newest result of another test of the patient."""

    code: str
    value: str
    unit: str
    flag: str
    at: datetime
    same_order: bool


@dataclass(frozen=True, slots=True)
class TubeLine:
    """A tube of the order and where it stands."""

    id: int
    barcode: str
    type_code: str
    caption: str
    colour: str
    material: str
    state: TubeState
    collected_at: datetime | None
    received_at: datetime | None
    reason: str
    parent_id: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """One step of the order's timeline, without any value."""

    at: datetime
    what: str
    """Word of the database: istem, alindi, yolda, kabul, sartli_kabul, ret, cihazda, sonuc, and kinds of decisions."""
    about: str
    """Tube caption or test codes."""
    who: str
    reason: str


@dataclass(slots=True)
class Picture:
    """One order as a whole."""

    order_id: int
    number: str
    priority: Priority
    ordered_at: datetime
    ordered_by: str
    source: str
    clinical: Mapping[str, Any]
    patient_id: int
    given_name: str
    family_name: str
    tc: str | None
    sex: str | None
    birth_date: date | None
    unit: str
    physician: str
    physician_id: int | None
    unit_id: int | None
    ordered_by_id: int | None
    hidden_number: str | None = None
    """Of a patient who is followed by number (8.3.2.33)."""
    emergency: int | None = None
    """The emergency access that opened it, where one did."""
    on_label: tuple[str, str] = ("", "")
    """Given and family name as the tube's label bears them, also where the screen shows a number."""
    rows: list[Row] = field(default_factory=list)
    tubes: list[TubeLine] = field(default_factory=list)
    related: list[Related] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def patient(self) -> str:
        return f"{self.given_name} {self.family_name}"

    @property
    def collected_at(self) -> datetime | None:
        return min((tube.collected_at for tube in self.tubes if tube.collected_at), default=None)

    @property
    def received_at(self) -> datetime | None:
        return min((tube.received_at for tube in self.tubes if tube.received_at), default=None)

    @property
    def released(self) -> bool:
        """True where at least one result may be printed under the name."""
        return any(row.state is TestState.CLINICALLY_APPROVED and not row.confidential for row in self.rows)

    @property
    def released_coded(self) -> bool:
        """True where this reader may print a report without a name, of confidential tests."""
        return any(
            row.confidential and row.value is not None and row.state is TestState.CLINICALLY_APPROVED
            for row in self.rows
        )
