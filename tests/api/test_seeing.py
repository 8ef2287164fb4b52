"""One function decides who sees a value; here stands that nothing else does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lis_core.domain.permission_templates import TEMPLATES, Job
from lis_core.domain.permissions import Grant, Group, Membership, Person, Rights, inherited
from lis_core.domain.states import TestState
from lis_core.domain.visibility import RELEASED
from lis_core.storage.database import Actor
from lis_core.views.seeing import Sight

ROOT = Path(__file__).parents[2]
OUTGOING = ("api", "hbys_bridge", "lis_core/views")
"""Everything that shows, prints or sends."""

UNAPPROVED = (TestState.RESULTED, TestState.TECHNICALLY_APPROVED)

LABORATORY = {Job.TECHNICIAN, Job.SPECIALIST, Job.CHIEF}
CLINICIANS = {Job.CLINICIAN, Job.FAMILY_PHYSICIAN}

_NOBODY = Person()
_NUMBERS = {job: number for number, job in enumerate(Job)}
_GROUPS = {
    _NUMBERS[one.code]: Group(
        _NUMBERS[one.code],
        one.caption,
        tuple(Grant(permission, scope) for permission, scopes in one.grants for scope in scopes),
        (Membership(_NUMBERS[one.inside]),) if one.inside else (),
    )
    for one in TEMPLATES
}


def sight(*jobs: Job, benches: frozenset[str] | None = None, person: Person = _NOBODY) -> Sight:
    memberships = [Membership(_NUMBERS[job], benches) for job in jobs]
    return Sight(Actor(name="deneme", rights=Rights(inherited((), memberships, _GROUPS), person)))


@pytest.mark.parametrize("job", list(Job))
def test_unapproved_values_are_the_laboratorys(job: Job) -> None:
    for state in UNAPPROVED:
        assert sight(job).sees("BIYOKIMYA", state) is (job in LABORATORY)


@pytest.mark.parametrize("job", list(Job))
def test_released_values_are_those_of_laboratory_and_clinic(job: Job) -> None:
    """Neither reception, transport, billing nor whoever administers the system reads a result."""
    assert sight(job).sees("BIYOKIMYA", TestState.CLINICALLY_APPROVED) is (job in LABORATORY | CLINICIANS)


@pytest.mark.parametrize("state", [state for state in TestState if state not in (*UNAPPROVED, *RELEASED)])
def test_a_test_without_a_standing_result_shows_none(state: TestState) -> None:
    for job in Job:
        assert not sight(job).sees("BIYOKIMYA", state)


@pytest.mark.clause("9.7.1b")
def test_a_membership_counts_only_in_its_laboratories() -> None:
    """Approved results of another laboratory are read; unapproved ones are not."""
    limited = sight(Job.SPECIALIST, benches=frozenset({"BIYOKIMYA"}))
    assert limited.sees("BIYOKIMYA", TestState.RESULTED)
    assert not limited.sees("HEMATOLOJI", TestState.RESULTED)
    assert limited.sees("HEMATOLOJI", TestState.CLINICALLY_APPROVED)
    assert not limited.sees_every_run("HEMATOLOJI")


def test_groups_add_up_and_none_takes_away() -> None:
    both = sight(Job.ACCEPTANCE, Job.TECHNICIAN)
    assert both.sees("BIYOKIMYA", TestState.RESULTED)
    assert not sight().sees("BIYOKIMYA", TestState.CLINICALLY_APPROVED)


def test_clinicians_open_their_own_orders() -> None:
    nothing = {"physician_id": None, "unit_id": None, "ordered_by_id": None}
    for job in CLINICIANS:
        doctor = sight(job, person=Person(11, 7, frozenset({3, 5})))
        assert doctor.may_open(**nothing | {"physician_id": 7})
        assert doctor.may_open(**nothing | {"unit_id": 3})
        assert doctor.may_open(**nothing | {"unit_id": 5})  # a second unit of his
        assert doctor.may_open(**nothing | {"ordered_by_id": 11})
        assert not doctor.may_open(physician_id=8, unit_id=4, ordered_by_id=12)
        assert not sight(job).may_open(**nothing)  # nobody's order is not everybody's
    for job in LABORATORY | {Job.ACCEPTANCE}:
        assert sight(job).may_open(physician_id=8, unit_id=4, ordered_by_id=12)
    assert not sight().may_open(**nothing)


@pytest.mark.clause("9.7.8a")
def test_paper_sees_what_everybody_may_see() -> None:
    paper = sight(Job.TECHNICIAN).on_paper()
    assert paper.states("BIYOKIMYA") == RELEASED
    assert not paper.sees_every_run("BIYOKIMYA")
    assert not sight(Job.ADMINISTRATOR).on_paper().states("BIYOKIMYA")


# --- nothing else decides ------------------------------------------------------------------------------------------

DECIDES = {"visible_states", "may_see_value", "patient_states", "RELEASED"}
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
