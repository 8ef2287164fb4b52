"""What a rule says about one result, and why.

A verdict is a value: the same facts give the same verdict, today and at an audit in five years. It is stored with the
result that it judged (architecture, invariant 7), so everything in it is plain text and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What a rule decides. The values are the letters stored with a result."""

    PASSES = "P"
    WARNS = "W"
    """A person should look (a value outside its reference range)."""
    HOLDS = "H"
    """A person must look: a critical value, or the rule could not decide. When unsure, hold."""
    NOT_APPLICABLE = "N"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one rule for one result.

    rule: code and version of the rule's logic, "REF/1".
    reason: one Turkish sentence for the "neden?" of the screens; it names the row and the version of the limits.
    saw: the facts that decided, so that the decision can be repeated.
    """

    outcome: Outcome
    rule: str
    reason: str
    saw: Mapping[str, str | int | None]

    def as_dict(self) -> dict[str, object]:
        """JSON-ready, keys kept short because one is stored with every result.

        {"o": outcome letter P/W/H/N, "r": rule, "why": sentence, "saw": facts}
        """
        return {"o": self.outcome.value, "r": self.rule, "why": self.reason, "saw": dict(self.saw)}
