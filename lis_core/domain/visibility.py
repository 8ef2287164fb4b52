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
_NO_ORDER = About()


def visible_states(
    rights: Rights, group: str | None = None, *, confidential: bool = False, order: About | None = None
) -> frozenset[TestState]:
    """States in which somebody with these rights may read the value of a result of this work group.

    Approved values need `sonuc.gor`, unapproved ones `sonuc.gor_onaysiz`, each for the group; for everyone else, the
    administrator and every outgoing interface included, a result is "çalışılıyor". None: a test of no group, which
    only rights without a limit reach.

    confidential: a test like HIV (9.8.5). Its released values are for those who work on it, and for whoever holds
    `sonuc.gor_gizli` for this order (whose it is: `order`; None = only who holds it without a limit).
    """
    about = About(group)
    works_on_it = rights.may(P.RESULT_VIEW_UNAPPROVED, about)
    released = RELEASED if rights.may(P.RESULT_VIEW, about) else _NOTHING
    if confidential and not (works_on_it or rights.may(P.RESULT_VIEW_CONFIDENTIAL, order or _NO_ORDER)):
        released = _NOTHING
    return released | UNAPPROVED if works_on_it else released


def may_see_value(rights: Rights, state: TestState, group: str | None = None, *, confidential: bool = False) -> bool:
    """`visible_states` for one state."""
    return state in visible_states(rights, group, confidential=confidential)


def patient_states(*, withheld: bool) -> frozenset[TestState]:
    """What a patient reads of himself over the internet (9.8.8): released results, nothing that a rule withholds."""
    return _NOTHING if withheld else RELEASED
