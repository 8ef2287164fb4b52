"""The levels of an ASTM message (E1394-97, LIS02-A2): which patient, order and remarks a result belongs to.

Order of records is what makes the tree: a C, M or S record belongs to the record before it. Some instruments send the
remark before its result; their definition says so (`comments="before"`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from drivers.protocols.astm_records import AstmMessage, Record

__all__ = ["Message", "Order", "Patient", "Query", "Result", "groups", "walk"]

Comments = Literal["after", "before"]


class _Level:
    """A record and what is said about it."""

    __slots__ = ("comments", "extras", "record")

    def __init__(self, record: Record | None) -> None:
        self.record = record
        self.comments: list[Record] = []  # C records
        self.extras: list[Record] = []  # M, S and records of unknown type


class Result(_Level):
    """One R record under its order."""

    __slots__ = ("order",)
    record: Record

    def __init__(self, record: Record, order: Order) -> None:
        self.record = record
        self.comments = []
        self.extras = []
        self.order = order

    @property
    def patient(self) -> Patient:
        """The patient level above; its record is None where no P was sent."""
        return self.order.patient

    @property
    def header(self) -> Record | None:
        """The H record above."""
        return self.order.patient.message.record


class Order(_Level):
    """One O record (None where results came without one) and its results."""

    __slots__ = ("patient", "results")

    def __init__(self, record: Record | None, patient: Patient) -> None:
        super().__init__(record)
        self.patient = patient
        self.results: list[Result] = []


class Patient(_Level):
    """One P record (None where orders came without one) and its orders."""

    __slots__ = ("message", "orders")

    def __init__(self, record: Record | None, message: Message) -> None:
        super().__init__(record)
        self.message = message
        self.orders: list[Order] = []


class Query(_Level):
    """One Q record."""

    __slots__ = ()
    record: Record


class Message(_Level):
    """The whole: header (None where none was sent), patients, queries, terminator."""

    __slots__ = ("patients", "queries", "terminator")

    def __init__(self, record: Record | None) -> None:
        super().__init__(record)
        self.patients: list[Patient] = []
        self.queries: list[Query] = []
        self.terminator: Record | None = None


def groups(message: AstmMessage, *, comments: Comments = "after") -> Message:
    """Group the records by level. Never raises: a level that was not sent has `record` None."""
    tree = Message(None)
    at: _Level = tree
    patient: Patient | None = None
    order: Order | None = None
    waiting: list[Record] = []  # comments before their result
    for record in message.records:
        kind = record.type
        if kind == "R":
            if order is None:
                if patient is None:
                    patient = Patient(None, tree)
                    tree.patients.append(patient)
                order = Order(None, patient)
                patient.orders.append(order)
            result = Result(record, order)
            order.results.append(result)
            at = result
            if waiting:
                result.comments, waiting = waiting, []
        elif kind == "C":
            if comments == "before" and order is not None:
                waiting.append(record)
            else:
                at.comments.append(record)
        elif kind == "O":
            if patient is None:
                patient = Patient(None, tree)
                tree.patients.append(patient)
            _settle(waiting, at)
            order = at = Order(record, patient)
            patient.orders.append(order)
        elif kind == "P":
            _settle(waiting, at)
            patient = at = Patient(record, tree)
            order = None
            tree.patients.append(patient)
        elif kind == "Q":
            at = Query(record)
            tree.queries.append(at)
        elif kind == "H" and tree.record is None:
            tree.record = record
        elif kind == "L":
            tree.terminator = record
        else:
            at.extras.append(record)
    _settle(waiting, at)
    return tree


def _settle(waiting: list[Record], at: _Level) -> None:
    """Comments that no result followed belong to what came before them after all."""
    at.comments.extend(waiting)
    waiting.clear()


def walk(message: AstmMessage, *, comments: Comments = "after") -> Iterator[Result]:
    """Every result in order, each with its order, patient and header above it and its remarks on it."""
    for patient in groups(message, comments=comments).patients:
        for order in patient.orders:
            yield from order.results
