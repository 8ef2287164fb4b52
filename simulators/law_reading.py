"""What an OML^O33 of the host offers (LAB-28 of IHE LAW)."""

from __future__ import annotations

from collections.abc import Container

from simulators.segments import Message, Segment, unescape
from simulators.worklist import Offer, OfferedTest, Patient, WorkList

__all__ = ["read_work", "test_code"]


def test_code(coding: str, known: Container[str]) -> str:
    """The analyser's code in a coded element: the first or the second coding, whichever it knows, else the first."""
    parts = coding.split("^")
    second = parts[3] if len(parts) > 3 else ""
    return unescape(second if parts[0] not in known and second in known else parts[0])


def read_work(message: Message, surprises: list[str], known: Container[str]) -> WorkList:
    """Every container of the message with its new steps; a DC order = nothing to do. Breaches become surprises.

    known: the analyser's own codes.
    """
    _check_envelope(message, surprises)
    patient: Patient | None = None
    specimen = Segment("SPM")
    offers: list[Offer] = []
    tests: list[OfferedTest] = []
    action, priority = "", "R"
    for part in message:
        if part.name == "PID":
            patient = _patient(part)
        elif part.name == "SPM":
            specimen = part
        elif part.name == "SAC":
            tests = []
            offers.append(Offer(part.get(3), (), patient, specimen.get(4)))
        elif part.name == "ORC":
            action, priority = part.get(1), "R"
            if action == "DC" and [one.name for one in message] != ["MSH", "SPM", "SAC", "ORC"]:
                surprises.append("the negative answer is not exactly MSH SPM SAC ORC")
        elif part.name == "TQ1":
            priority = part.get(9) or "R"
        elif part.name == "OBR" and action == "NW" and offers:
            tests.append(_step(part, priority, surprises, known))
            offers[-1] = Offer(offers[-1].specimen, tuple(tests), patient, specimen.get(4))
        elif part.name == "TCD" and tests and action == "NW":
            last = tests[-1]
            tests[-1] = OfferedTest(last.code, last.name, last.priority, part.field(2), last.reference, last.coding)
            offers[-1] = Offer(offers[-1].specimen, tuple(tests), patient, specimen.get(4))
    return WorkList(tuple(offers), True, (message.raw,))


def _check_envelope(message: Message, surprises: list[str]) -> None:
    header = message.first("MSH")
    if not header.field(21).startswith("LAB-28"):
        surprises.append(f"MSH-21 of the work is {header.field(21)!r}, not LAB-28")
    if not message.control_id:
        surprises.append("the work has no control id")


def _step(part: Segment, priority: str, surprises: list[str], known: Container[str]) -> OfferedTest:
    step = part.get(2)
    if not step or len(step) > 50:
        surprises.append(f"the step identifier {step!r} is empty or longer than 50")
    return OfferedTest(test_code(part.field(4), known), part.get(4, 2), priority, "", step, part.field(4))


def _patient(part: Segment) -> Patient:
    identifiers = tuple(one.split("^")[0] for one in part.field(3).split("~") if one)
    return Patient(identifiers, part.get(5, 1), part.get(5, 2), part.field(7), part.field(8))
