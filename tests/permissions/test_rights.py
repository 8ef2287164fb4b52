"""Rights as mathematics: what must hold whatever was given, forbidden and put into groups."""

from __future__ import annotations

import random
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.permissions import busy_rights
from lis_core.domain.permissions import (
    REGISTRY,
    About,
    Grant,
    Group,
    Membership,
    P,
    Person,
    Places,
    Rights,
    Scope,
    ScopeKind,
    difference,
    inherited,
)
from tests.counting import python_calls

PLACES = Places(
    {"B1": 1, "B2": 2, "B3": 3},
    {"K1": frozenset({1, 2}), "K2": frozenset({3})},
    {"LAB": frozenset({"BIYOKIMYA", "HORMON"}), "LAB2": frozenset({"HEMATOLOJI"})},
)
PERSON = Person(11, 7, frozenset({1}))
BENCHES = ("BIYOKIMYA", "HORMON", "HEMATOLOJI")

scopes = {
    ScopeKind.ALL: st.just(""),
    ScopeKind.LABORATORY: st.sampled_from(["LAB", "LAB2", "YOK"]),
    ScopeKind.BENCH: st.sampled_from([*BENCHES, "YOK"]),
    ScopeKind.UNIT: st.sampled_from(["", "B1", "B2", "YOK"]),
    ScopeKind.INSTITUTION: st.sampled_from(["K1", "K2", "YOK"]),
    ScopeKind.OWN: st.just(""),
}
limits = st.none() | st.frozensets(st.sampled_from(BENCHES), max_size=2)
permissions = st.sampled_from([P.ORDER_VIEW, P.RESULT_VIEW, P.RESULT_TECHNICAL, P.AUDIT_VIEW])


@st.composite
def grants(draw: st.DrawFn, prohibits: bool | None = None) -> Grant:
    permission = draw(permissions)
    kind = draw(st.sampled_from(sorted(REGISTRY[permission].scopes)))
    forbidden = draw(st.booleans()) if prohibits is None else prohibits
    return Grant(permission, Scope(kind, draw(scopes[kind])), forbidden, benches=draw(limits))


abouts = st.builds(
    About,
    group=st.sampled_from([None, *BENCHES]),
    unit_id=st.sampled_from([None, 1, 2, 3, 9]),
    physician_id=st.sampled_from([None, 7, 8]),
    ordered_by_id=st.sampled_from([None, 11, 12]),
)


def rights(given_: list[Grant]) -> Rights:
    return Rights(given_, PERSON, PLACES)


@given(st.lists(grants(), max_size=12), permissions, abouts)
def test_a_prohibition_wins_over_every_grant_whose_scope_it_covers(held: list[Grant], asked: P, about: About) -> None:
    """Forbidden is what the prohibitions, read as grants, would give; nothing of it is allowed."""
    forbidding = [Grant(one.permission, one.scope) for one in held if one.prohibits]
    if rights(forbidding).may(asked, about):
        assert not rights(held).may(asked, about)


@given(st.lists(grants(), max_size=10), grants(prohibits=False), permissions, abouts)
def test_more_grants_never_take_away(held: list[Grant], more: Grant, asked: P, about: About) -> None:
    assert rights([*held, more]).may(asked, about) or not rights(held).may(asked, about)
    assert rights([*held, more]).may(asked) or not rights(held).may(asked)


@given(st.lists(grants(), max_size=10), grants(prohibits=True), permissions, abouts)
def test_more_prohibitions_never_give(held: list[Grant], more: Grant, asked: P, about: About) -> None:
    assert rights(held).may(asked, about) or not rights([*held, more]).may(asked, about)


@given(st.lists(grants(), max_size=12), st.randoms(use_true_random=False), permissions, abouts)
def test_the_order_of_grants_is_irrelevant(held: list[Grant], shuffling: random.Random, asked: P, about: About) -> None:
    mixed = list(held)
    shuffling.shuffle(mixed)
    assert rights(mixed).may(asked, about) is rights(held).may(asked, about)
    assert rights(mixed).may(asked) is rights(held).may(asked)
    assert difference(rights(held), rights(mixed)) == ()


@given(st.lists(grants(), max_size=12), permissions, abouts)
def test_what_holds_for_this_holds_somewhere(held: list[Grant], asked: P, about: About) -> None:
    if rights(held).may(asked, about):
        assert rights(held).may(asked)
        assert rights(held).why(asked).allowed
        assert rights(held).why(asked).grants


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), limits), max_size=15),
    st.lists(st.tuples(st.integers(0, 5), grants()), max_size=12),
    st.lists(st.tuples(st.integers(0, 6), limits), max_size=4),
)
def test_circles_of_groups_are_harmless(
    inside: list[tuple[int, int, frozenset[str] | None]],
    entries: list[tuple[int, Grant]],
    memberships: list[tuple[int, frozenset[str] | None]],
) -> None:
    """Whatever is in whatever, also itself: it ends, and gives what the groups that can be reached give."""
    groups = {
        key: Group(
            key,
            f"G{key}",
            tuple(grant for group, grant in entries if group == key),
            tuple(Membership(outer, benches) for member, outer, benches in inside if member == key),
        )
        for key in range(6)
    }
    found = inherited((), [Membership(key, benches) for key, benches in memberships], groups)
    reached = {key for key, _ in memberships if key in groups}
    while more := {outer for member, outer, _ in inside if member in reached} - reached:
        reached |= more
    assert {grant.permission for grant in found} == {grant.permission for key, grant in entries if key in reached}
    assert all(grant.path for grant in found)


def test_a_limit_of_a_membership_narrows_work_but_not_the_reading_of_approved_results() -> None:
    group = Group(1, "Uzman", (Grant(P.RESULT_CLINICAL), Grant(P.RESULT_VIEW), Grant(P.ORDER_VIEW)))
    held = rights(inherited((), [Membership(1, frozenset({"BIYOKIMYA"}))], {1: group}))
    assert held.may(P.RESULT_CLINICAL, About("BIYOKIMYA"))
    assert not held.may(P.RESULT_CLINICAL, About("HEMATOLOJI"))
    assert held.may(P.RESULT_VIEW, About("HEMATOLOJI"))
    assert held.may(P.ORDER_VIEW, About(unit_id=9))
    assert held.why(P.RESULT_CLINICAL).words == "Veren: Uzman (tümü, yalnız BIYOKIMYA)."


def test_limits_on_the_way_add_up() -> None:
    groups = {
        1: Group(1, "Teknisyen", (Grant(P.RESULT_TECHNICAL),)),
        2: Group(2, "Sabah", (), (Membership(1, frozenset({"BIYOKIMYA", "HORMON"})),)),
    }
    held = rights(inherited((), [Membership(2, frozenset({"HORMON", "HEMATOLOJI"}))], groups))
    assert [bench for bench in BENCHES if held.may(P.RESULT_TECHNICAL, About(bench))] == ["HORMON"]
    assert held.why(P.RESULT_TECHNICAL).grants[0].path == ("Sabah", "Teknisyen")


def test_own_means_the_physicians_patients_and_what_he_entered() -> None:
    held = rights([Grant(P.ORDER_VIEW, Scope(ScopeKind.OWN)), Grant(P.ORDER_VIEW, Scope(ScopeKind.UNIT))])
    assert held.may(P.ORDER_VIEW, About(physician_id=7))
    assert held.may(P.ORDER_VIEW, About(ordered_by_id=11))
    assert held.may(P.ORDER_VIEW, About(unit_id=1))
    assert not held.may(P.ORDER_VIEW, About(unit_id=2, physician_id=8, ordered_by_id=12))
    nobody = Rights([Grant(P.ORDER_VIEW, Scope(ScopeKind.OWN))])
    assert not nobody.may(P.ORDER_VIEW, About())  # nobody's order is not everybody's


def test_an_institution_and_a_laboratory_stand_for_what_belongs_to_them() -> None:
    held = rights(
        [
            Grant(P.ORDER_VIEW, Scope(ScopeKind.INSTITUTION, "K1")),
            Grant(P.RESULT_TECHNICAL, Scope(ScopeKind.LABORATORY, "LAB")),
        ]
    )
    assert [unit for unit in (1, 2, 3) if held.may(P.ORDER_VIEW, About(unit_id=unit))] == [1, 2]
    assert [bench for bench in BENCHES if held.may(P.RESULT_TECHNICAL, About(bench))] == ["BIYOKIMYA", "HORMON"]


def test_a_refusal_names_the_permission_and_the_giver() -> None:
    held = Rights((), PERSON, PLACES, givers="Sistem yöneticisi (Yasemin Öztürk)")
    refusal = held.refusal(P.RESULT_CLINICAL)
    assert refusal.status == 403
    assert refusal.message == (
        "Bu işlem için yetkiniz yok: klinik onay. Yetkiyi verebilen: Sistem yöneticisi (Yasemin Öztürk)."
    )
    assert Rights().refusal(P.ORDER_VIEW).message.endswith("Yetkiyi verebilen: sistem yöneticisi.")


def test_every_permission_is_described_once() -> None:
    assert set(REGISTRY) == set(P)
    captions = [about.caption for about in REGISTRY.values()]
    assert len(captions) == len(set(captions))
    assert all(ScopeKind.ALL in about.scopes for about in REGISTRY.values())


def test_a_decision_costs_the_same_however_much_a_person_holds() -> None:
    """Entries are prepared when a person signs in, never searched through. How fast: `python -m benchmarks.permissions`."""
    about = About(unit_id=101, physician_id=3, ordered_by_id=9)
    few, many = busy_rights(units=120, benches=1), busy_rights(units=2_000, benches=300)
    for permission, what in ((P.ORDER_VIEW, about), (P.RESULT_CLINICAL, About("G0")), (P.AUDIT_VIEW, about)):
        costs = [python_calls(partial(held.may, permission, what)) for held in (few, many)]
        assert costs[0] == costs[1] <= 20, permission
