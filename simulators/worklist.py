"""What instruments and Numune say to each other, in the words of tests: offers, results, receipts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Offer", "OfferedTest", "Patient", "Receipt", "Reported", "Result", "Results", "WorkList", "as_results"]


@dataclass(frozen=True, slots=True)
class OfferedTest:
    """One test that the host wants. `code` is the instrument's; `reference` the host's step identifier (LAW: AWOS)."""

    code: str
    name: str = ""
    priority: str = "R"
    dilution: str = ""
    reference: str = ""
    coding: str = ""
    """The whole coded element as the host sent it (LAW: OBR-4, to be repeated in OBX-3)."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What the host tells of a person."""

    identifiers: tuple[str, ...] = ()
    family_name: str = ""
    given_name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """The answer about one tube. No tests = the proper negative answer of the protocol."""

    specimen: str
    tests: tuple[OfferedTest, ...] = ()
    patient: Patient | None = None
    material: str = ""
    refused: str = ""
    """Why this analyser cannot use the answer (position does not match, wrong purpose); then it runs nothing."""

    @property
    def codes(self) -> list[str]:
        """The codes, in the order in which the host gave them."""
        return [test.code for test in self.tests]

    @property
    def negative(self) -> bool:
        """The host said: nothing to do for this tube."""
        return not self.tests


@dataclass(frozen=True, slots=True)
class WorkList:
    """What the host answered to one question. answered False: silence; raw: its messages as they came."""

    offers: tuple[Offer, ...] = ()
    answered: bool = False
    raw: tuple[bytes, ...] = ()

    def __getitem__(self, specimen: str) -> Offer:
        """The offer for one tube; a negative one where the host did not name it. Raises LookupError: no answer."""
        if not self.answered:
            raise LookupError(f"the host did not answer about {specimen}")
        return next((offer for offer in self.offers if offer.specimen == specimen), Offer(specimen))

    @property
    def codes(self) -> list[str]:
        """All codes offered, over all tubes."""
        return [code for offer in self.offers for code in offer.codes]

    @property
    def negative(self) -> bool:
        """There was an answer, and nothing is to be done."""
        return self.answered and not self.codes


@dataclass(frozen=True, slots=True)
class Result:
    """One measured value as it will be printed. alarm: the analyser's own number (0 = none); dilution as a factor."""

    value: str
    unit: str = ""
    flags: tuple[str, ...] = ()
    range: str = ""
    status: str = ""
    alarm: str = "0"
    run: int = 1
    measured_at: datetime | None = None
    lot: str = ""
    module: str = ""
    coded: tuple[str, str] | None = None
    """(code, text) of a qualitative finding, for protocols that send codes."""


Results = Mapping[str, "Result | str | Sequence[object]"]
"""Code or analyte: `Result`, "6.8 mmol/L", ("6.52", "10*3/uL"), ("6.52", "10*3/uL", "H" or ["H", "A"]), or a list of
these (replicates)."""


def as_results(given: object) -> list[Result]:
    """One entry of `Results` as a list: several = replicates. Raises TypeError."""
    if isinstance(given, Result):
        return [given]
    if isinstance(given, str):
        value, _, unit = given.partition(" ")
        return [Result(value, unit)]
    if isinstance(given, list):
        return [result for one in given for result in as_results(one)]
    if isinstance(given, tuple) and given and all(isinstance(part, str) for part in given[:2]):
        flags = given[2] if len(given) > 2 else ()
        flags = (flags,) if isinstance(flags, str) and flags else tuple(flags)
        return [Result(str(given[0]), str(given[1]) if len(given) > 1 else "", flags)]
    raise TypeError(f"not a result: {given!r}")


@dataclass(frozen=True, slots=True)
class Reported:
    """One result that went out."""

    specimen: str
    code: str
    result: Result
    qc: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """One acknowledgement that the instrument got. message counts its messages from 1, frame the frames of one message.

    text: the frame's text (HL7: the whole message); whole: with it, all of the message was acknowledged.
    """

    message: int
    frame: int
    text: bytes
    whole: bool
    kind: str = "results"
    """`results`, `query` or `raw`."""
    results: tuple[Reported, ...] = field(default=())
    """Results whose record ended in this frame (HL7: all of the message)."""
