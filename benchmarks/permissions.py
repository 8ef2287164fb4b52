"""One permission decision from memory, beside the bare set lookup that any such decision has to be.

`python -m benchmarks.permissions` prints both; limit: 5 microseconds a decision.
"""

from __future__ import annotations

import timeit

from lis_core.domain.permissions import About, Grant, P, Person, Places, Rights, Scope, ScopeKind

ROUNDS = 200_000
LIMIT_MICROSECONDS = 5.0


def busy_rights(units: int = 200, benches: int = 30) -> Rights:
    """A person with far more entries than anybody has: every permission over many scopes, and prohibitions."""
    places = Places({f"B{n}": n for n in range(units)})
    grants = [
        Grant(permission, Scope(ScopeKind.UNIT, f"B{n}"), path=("Grup", "Üst grup"))
        for permission in (P.ORDER_VIEW, P.ORDER_ENTER, P.SPECIMEN_VIEW)
        for n in range(0, units, 2)
    ]
    grants += [
        Grant(permission, Scope(ScopeKind.BENCH, f"G{n}"))
        for permission in (P.RESULT_VIEW_UNAPPROVED, P.RESULT_TECHNICAL, P.RESULT_CLINICAL)
        for n in range(benches)
    ]
    grants += [Grant(P.ORDER_VIEW, Scope(ScopeKind.OWN)), Grant(P.ORDER_VIEW, Scope(ScopeKind.UNIT, "B4"), True)]
    return Rights(grants, Person(7, 3, frozenset({5, 6})), places)


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Microseconds of one decision: `may` about an order, about a test, anywhere; and of the bare lookup."""
    rights = busy_rights()
    order, test = About(unit_id=101, physician_id=3, ordered_by_id=9), About("G7")
    plain, key = {(P.ORDER_VIEW, n) for n in range(200)}, (P.ORDER_VIEW, 100)
    jobs = {
        "may, own order": lambda: rights.may(P.ORDER_VIEW, order),
        "may, test": lambda: rights.may(P.RESULT_CLINICAL, test),
        "may, order made on the spot": lambda: rights.may(P.ORDER_VIEW, About(unit_id=2)),
        "may, anywhere": lambda: rights.may(P.ORDER_VIEW),
        "not held": lambda: rights.may(P.AUDIT_VIEW),
        "bare set lookup": lambda: key in plain,
    }
    return {name: min(timeit.repeat(job, number=rounds, repeat=3)) / rounds * 1e6 for name, job in jobs.items()}


if __name__ == "__main__":
    for name, microseconds in measure().items():
        print(f"{name:30} {microseconds:7.3f} µs")
