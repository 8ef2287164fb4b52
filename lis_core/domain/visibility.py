"""Who may see the value of a result: the one function that decides (9.7.8; architecture, invariant 3).

Every screen, interface, message, report and export asks `visible_states`. Nothing else may decide.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from lis_core.domain.states import TestState


class Role(StrEnum):
    """Simple roles of this release; the words stand in the database."""

    TECHNICIAN = "teknisyen"
    SPECIALIST = "uzman"
    PHYSICIAN = "hekim"
    FAMILY_PHYSICIAN = "ailehekimi"
    RECEPTION = "kabul"
    ADMINISTRATOR = "yonetici"
    SYSTEM = "sistem"
    """The program itself: ingest, jobs, the hospital's interface. Signs in nowhere."""


RELEASED: frozenset[TestState] = frozenset({TestState.CLINICALLY_APPROVED})
"""What anyone outside the laboratory may ever see."""

_TECHNICAL = RELEASED | {TestState.RESULTED, TestState.TECHNICALLY_APPROVED}

_VISIBLE: dict[Role, frozenset[TestState]] = {
    Role.TECHNICIAN: _TECHNICAL,
    Role.SPECIALIST: _TECHNICAL,
}


def visible_states(roles: Collection[Role]) -> frozenset[TestState]:
    """States in which somebody with these roles may read the value of a result.

    Only those who work on the result in technical or clinical approval see it before clinical approval (9.7.8c);
    for everyone else, the administrator and every outgoing interface included, it is "çalışılıyor".
    """
    visible = RELEASED
    for role in roles:
        visible |= _VISIBLE.get(role, RELEASED)
    return visible


def may_see_value(roles: Collection[Role], state: TestState) -> bool:
    """`visible_states` for one state."""
    return state in visible_states(roles)
