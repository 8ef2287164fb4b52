"""The register of clauses and what is said of it: nothing proven without a clause, nothing of ours without an answer."""

from __future__ import annotations

import re

from lis_core import clauses

ANSWERED_MODULES = frozenset({"platform.security", "platform.audit"})
ANSWERED = re.compile(
    r"^(INTRO\.|2\.8\.(9|1\d)|4\.8\.|5\.3\.|9\.2|9\.5\.|9\.6|9\.7|9\.8\.5|9\.8\.8|9\.11\.4$|9\.11\.12)"
)
"""People, permissions, audit, privacy, orders to approval, instruments: each clause has a test or a reason."""
KINDS = ("kısmen: ", "açık: ", "sonraki iş: ", "yerinde: ")


def test_every_clause_of_what_is_built_has_a_test_or_a_reason() -> None:
    proven, why = clauses.proofs(), clauses.reasons()
    silent = [
        (clause.id, clause.module)
        for clause in clauses.register()
        if (clause.module in ANSWERED_MODULES or ANSWERED.match(clause.id))
        and clause.id not in proven
        and (clause.id, clause.module) not in why
    ]
    assert silent == []


def test_tests_name_only_clauses_that_there_are() -> None:
    assert sorted(set(clauses.proofs()) - {clause.id for clause in clauses.register()}) == []


def test_no_reason_stands_for_a_clause_that_is_not_there() -> None:
    """One that was proven since is passed over where reasons are shown."""
    known = {(clause.id, clause.module) for clause in clauses.register()}
    reasons = clauses.reasons()
    assert sorted(set(reasons) - known) == []
    assert [key for key, words in reasons.items() if not words.startswith(KINDS)] == []


def test_what_a_reason_points_to_is_there() -> None:
    named = {
        path
        for words in clauses.reasons().values()
        for path in re.findall(r"(?:tests|docs)/[\w/.-]+\.(?:py|md)", words)
    }
    assert named
    assert sorted(path for path in named if not (clauses.ROOT / path).exists()) == []
