"""Who may see the value of a result: the one function that decides (9.7.8; architecture, invariant 3).

Every screen, interface, message, report and export asks `visible_states`. Nothing else may decide.
"""

from __future__ import annotations

from lis_core.domain.permissions import About, P, Rights
from lis_core.domain.states import TestState

RELEASED: frozenset[TestState] = frozenset({TestState.CLINICALLY_APPROVED})
"""What anyone outside the laboratory may ever see."""

UNAPPROVED: frozenset[TestState] = frozenset({TestState.RESULTED, TestState.TECHNICALLY_APPROVED})
"""What only those see who work on the result in technical or clinical approval (9.7.8c)."""

_NOTHING: frozenset[TestState] = frozenset()


def visible_states(rights: Rights, group: str | None = None) -> frozenset[TestState]:
    """States in which somebody with these rights may read the value of a result of this work group.

    Approved values need `sonuc.gor`, unapproved ones `sonuc.gor_onaysiz`, each for the group; for everyone else, the
    administrator and every outgoing interface included, a result is "çalışılıyor". None: a test of no group, which
    only rights without a limit reach.
    """
    about = About(group)
    released = RELEASED if rights.may(P.RESULT_VIEW, about) else _NOTHING
    return released | UNAPPROVED if rights.may(P.RESULT_VIEW_UNAPPROVED, about) else released


def may_see_value(rights: Rights, state: TestState, group: str | None = None) -> bool:
    """`visible_states` for one state."""
    return state in visible_states(rights, group)
