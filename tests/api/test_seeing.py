"""One function decides who sees a value; here stands that nothing else does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lis_core.domain.states import TestState
from lis_core.domain.visibility import RELEASED, Role
from lis_core.storage.database import Actor
from lis_core.views.seeing import CLINICIANS, LABORATORY, PAPER, Sight

ROOT = Path(__file__).parents[2]
OUTGOING = ("api", "hbys_bridge", "lis_core/views")
"""Everything that shows, prints or sends."""

UNAPPROVED = (TestState.RESULTED, TestState.TECHNICALLY_APPROVED)


def sight(*roles: Role, groups: dict[Role, frozenset[str]] | None = None, **of: int) -> Sight:
    return Sight(Actor(name="deneme", roles=frozenset(roles), groups=groups or {}, **of))


@pytest.mark.parametrize("role", list(Role))
def test_unapproved_values_are_the_laboratorys(role: Role) -> None:
    for state in UNAPPROVED:
        assert sight(role).sees("BIYOKIMYA", state) is (role in LABORATORY)


@pytest.mark.parametrize("role", list(Role))
def test_released_values_are_everybodys_but_receptions(role: Role) -> None:
    assert sight(role).sees("BIYOKIMYA", TestState.CLINICALLY_APPROVED) is (role is not Role.RECEPTION)


@pytest.mark.parametrize("state", [state for state in TestState if state not in (*UNAPPROVED, *RELEASED)])
def test_a_test_without_a_standing_result_shows_none(state: TestState) -> None:
    for role in Role:
        assert not sight(role).sees("BIYOKIMYA", state)


@pytest.mark.clause("9.7.1b")
def test_a_role_counts_only_in_its_laboratories() -> None:
    """Approved results of another laboratory are read; unapproved ones are not."""
    limited = sight(Role.SPECIALIST, groups={Role.SPECIALIST: frozenset({"BIYOKIMYA"})})
    assert limited.sees("BIYOKIMYA", TestState.RESULTED)
    assert not limited.sees("HEMATOLOJI", TestState.RESULTED)
    assert limited.sees("HEMATOLOJI", TestState.CLINICALLY_APPROVED)
    assert not limited.sees_every_run("HEMATOLOJI")
    assert limited.works_in_all({"BIYOKIMYA"})
    assert not limited.works_in_all({"BIYOKIMYA", "HEMATOLOJI"})


def test_roles_add_up_and_none_takes_away() -> None:
    both = sight(Role.RECEPTION, Role.TECHNICIAN)
    assert both.sees("BIYOKIMYA", TestState.RESULTED)
    assert not sight().sees("BIYOKIMYA", TestState.CLINICALLY_APPROVED)


def test_clinicians_open_their_own_orders() -> None:
    nothing = {"physician_id": None, "unit_id": None, "ordered_by_id": None}
    for role in CLINICIANS:
        doctor = sight(role, physician_id=7, unit_id=3, user_id=11)
        assert doctor.may_open(**nothing | {"physician_id": 7})
        assert doctor.may_open(**nothing | {"unit_id": 3})
        assert doctor.may_open(**nothing | {"ordered_by_id": 11})
        assert not doctor.may_open(physician_id=8, unit_id=4, ordered_by_id=12)
        assert not sight(role).may_open(**nothing)  # nobody's order is not everybody's
    for role in set(Role) - CLINICIANS:
        assert sight(role).may_open(physician_id=8, unit_id=4, ordered_by_id=12)
    assert not sight().may_open(**nothing)


@pytest.mark.clause("9.7.8a")
def test_paper_sees_what_everybody_may_see() -> None:
    assert PAPER.states("BIYOKIMYA") == RELEASED
    assert not PAPER.sees_every_run("BIYOKIMYA")


# --- nothing else decides ------------------------------------------------------------------------------------------

DECIDES = {"visible_states", "may_see_value", "RELEASED"}
VALUES = {
    ("Result", "value"), ("Result", "number"), ("Result", "instrument_value"), ("result", "value"),
    ("result", "number"), ("result", "instrument_value"), ("run", "value"), ("row", "observation"),
    ("message", "content"), ("RawMessage", "content"), ("UnmatchedResult", "observation"),
}  # fmt: skip
"""How a value is taken from a stored row."""


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def names(tree: ast.AST) -> set[str]:
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return found | {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_only_the_eyes_ask_the_deciding_function() -> None:
    """`Sight` (and the hospital's interface, which asks as the program) call it; every other module asks `Sight`."""
    askers = {name for name, tree in modules(*OUTGOING) if names(tree) & DECIDES}
    assert askers <= {"lis_core/views/seeing.py", *(name for name in askers if name.startswith("hbys_bridge/"))}
    definers = {
        name
        for name, tree in modules("lis_core", "api", "hbys_bridge")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in DECIDES
    }
    assert definers == {"lis_core/domain/visibility.py"}


def test_whoever_takes_a_value_from_the_database_asks_who_sees_it() -> None:
    for name, tree in modules(*OUTGOING):
        taken = {
            (node.value.id, node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        } & VALUES
        if taken and _reads_tables(tree):
            known = names(tree)
            assert known & {"Sight", "sight", "visible_states", "may_see_value"}, (name, taken)


def _reads_tables(tree: ast.Module) -> bool:
    """Whether the module imports stored results, messages or the queue."""
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("lis_core.storage.tables")
        and {alias.name for alias in node.names} & {"Result", "RawMessage", "UnmatchedResult"}
        for node in ast.walk(tree)
    )
