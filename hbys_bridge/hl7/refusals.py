"""A message of the hospital that cannot be applied, and where in it the reason stands (ERR segments)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drivers.protocols.hl7 import ErrorLocation
from lis_core.domain import errors
from lis_core.domain.errors import ErrorKind, NumuneError

# HL7 table 0357
SEQUENCE, MISSING, DATA_TYPE, NOT_IN_TABLE = "100", "101", "102", "103"
BAD_TYPE, BAD_EVENT, BAD_PROCESSING, BAD_VERSION = "200", "201", "202", "203"
UNKNOWN_KEY, DUPLICATE_KEY, LOCKED, INTERNAL = "204", "205", "206", "207"


class Refused(Exception):
    """The message's content is wrong (AE), or the message is none that we take (AR): nothing of it was applied."""

    def __init__(self, *errors: ErrorLocation, code: str = "AE") -> None:
        self.errors = errors
        self.code = code
        super().__init__("; ".join(error.text for error in errors))


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a message; numbers count from 1."""

    segment: str
    sequence: int = 1
    field: int | None = None
    component: int | None = None
    repetition: int | None = None

    def error(self, code: str, text: str) -> ErrorLocation:
        """The ERR that names this place. `text` is Turkish, for people."""
        return ErrorLocation(self.segment, self.sequence, self.field, self.component, self.repetition, code, text)


_MEANINGS: dict[ErrorKind, str] = {
    errors.BAD_TC: DATA_TYPE,
    errors.BAD_NUMBER: DATA_TYPE,
    errors.INVALID_INPUT: DATA_TYPE,
    errors.NO_PATIENT_FIELD: MISSING,
    errors.NO_TESTS: MISSING,
    errors.REASON_NEEDED: MISSING,
    errors.UNKNOWN_TEST: NOT_IN_TABLE,
    errors.TEST_PASSIVE: NOT_IN_TABLE,
    errors.NOT_FOUND: UNKNOWN_KEY,
    errors.PATIENT_MISMATCH: DUPLICATE_KEY,
    errors.PATIENT_MERGED: DUPLICATE_KEY,
    errors.NUMBER_TAKEN: DUPLICATE_KEY,
    errors.HOSPITAL_NUMBER_TAKEN: DUPLICATE_KEY,
    errors.ORDER_HAS_RESULTS: LOCKED,
    errors.ORDER_CLOSED: LOCKED,
    errors.TEST_CANCELLED: LOCKED,
}


def refused(error: NumuneError, places: Iterable[Place]) -> Refused:
    """A refusal of the laboratory's rules, said about these places of the message."""
    code = _MEANINGS.get(error.kind, INTERNAL)
    text = f"{error.code}: {error.message}"
    return Refused(*([place.error(code, text) for place in places] or [ErrorLocation(code=code, text=text)]))
