"""ASTM records beside results that say more than a remark (curves in M records): the [[extra]] rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drivers.language import Extra
from drivers.messages import Observation
from drivers.places import At, Syntax, condition, getter, places_getter
from drivers.rows import Above
from drivers.values import picture


@dataclass(frozen=True, slots=True)
class ExtraRule:
    """One rule, compiled for one set of delimiters."""

    holds: Callable[[At], bool] | None
    test: Callable[[At], str]
    value: Callable[[At], str] | None
    attachment: Callable[[At], str] | None
    text: str | None

    def event(self, model: str, at: At, above: Above, index: int) -> Observation | None:
        """The event that the record makes; None where this rule does not speak of it. It never is a result."""
        if self.holds is not None and not self.holds(at):
            return None
        attachment = self.attachment(at).strip() if self.attachment is not None else ""
        return Observation(
            kind="event",
            instrument=model,
            specimen=above.specimen,
            patient=above.patient or None,
            test=self.test(at) or None,
            value=(self.value(at).strip() or None) if self.value is not None else None,
            attachment=(picture(attachment) or attachment) or None,
            rack=above.rack or None,
            position=above.position or None,
            comments=[self.text] if self.text else [],
            raw={"record": index},
        )


def extra_rules(extras: list[Extra], syntax: Syntax) -> dict[str, list[ExtraRule]]:
    """The rules by the letter of their record, in their order; the first that fits decides."""
    rules: dict[str, list[ExtraRule]] = {}
    for extra in extras:
        rule = ExtraRule(
            holds=condition(extra.when, syntax) if extra.when else None,
            test=places_getter(extra.test, syntax),
            value=getter(extra.value, syntax) if extra.value else None,
            attachment=getter(extra.attachment, syntax) if extra.attachment else None,
            text=extra.text,
        )
        rules.setdefault(extra.record, []).append(rule)
    return rules
