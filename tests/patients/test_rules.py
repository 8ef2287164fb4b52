"""What a rule hides, and that nothing of what it hides can be guessed from how it is hidden."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis_core.domain.online import (
    NEUTRAL,
    Look,
    ResultFacts,
    When,
    WithholdingRule,
    rule_on,
    rule_problem,
    sentence_problem,
    surely_negative,
)
from lis_core.domain.online_access import (
    ALPHABET,
    CODE_LENGTH,
    Identity,
    PatientPageRules,
    coded_identity,
    likely_sensitive,
    network_of,
    new_code,
    plain_code,
    plain_identity,
    shown_code,
)
from lis_core.domain.states import TestState
from lis_core.domain.visibility import patient_states

HIV, GLU = 7, 8
ALWAYS = WithholdingRule(1, When.ALWAYS, test_id=HIV)


def facts(value: str = "", number: str | None = None, flag: str = "", reference: str = "", **more: bool) -> ResultFacts:
    return ResultFacts(
        HIV,
        "SEROLOJI",
        more.get("confidential", False),
        more.get("released", bool(value)),
        value,
        Decimal(number) if number else None,
        flag,
        reference,
    )


anything = st.builds(
    ResultFacts,
    test_id=st.just(HIV),
    group=st.just("SEROLOJI"),
    confidential=st.booleans(),
    released=st.booleans(),
    value=st.text(max_size=20),
    number=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    flag=st.sampled_from(["", "D", "Y", "P!", "A"]),
    reference=st.text(max_size=10),
)
rules = st.lists(
    st.builds(
        WithholdingRule,
        id=st.integers(1, 50),
        when=st.sampled_from([When.ALWAYS, When.POSITIVE, When.FLAGGED]),
        test_id=st.sampled_from([HIV, GLU]),
        sentence=st.sampled_from(["", "Hekiminize danışın."]),
    ),
    max_size=4,
)


@given(one=anything, other=anything, more=rules)
def test_a_test_that_is_always_withheld_looks_the_same_whatever_its_value_and_state(
    one: ResultFacts, other: ResultFacts, more: list[WithholdingRule]
) -> None:
    ruling = rule_on(one, [ALWAYS, *more])
    assert not ruling.shown
    assert rule_on(other, [ALWAYS, *more]) == ruling


@given(one=anything, held=rules, order=st.randoms())
def test_the_order_of_the_rules_says_nothing_and_more_rules_never_show_more(
    one: ResultFacts, held: list[WithholdingRule], order: object
) -> None:
    ruling = rule_on(one, held)
    shuffled = list(held)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rule_on(one, shuffled) == ruling or len({rule.id for rule in held}) < len(held)
    if not ruling.shown:
        assert not rule_on(one, [*held, ALWAYS]).shown
    assert not ruling.shown or one.released


def test_a_confidential_test_is_withheld_without_any_rule() -> None:
    negative, positive = facts("Negatif", confidential=True), facts("Pozitif", confidential=True)
    pending = facts(confidential=True)
    assert rule_on(negative, []) == rule_on(positive, []) == rule_on(pending, [])
    assert rule_on(pending, []).sentence == NEUTRAL


def test_a_confirmation_that_is_only_ordered_after_a_reactive_result_is_not_even_named() -> None:
    absent = WithholdingRule(2, When.ALWAYS, test_id=HIV, look=Look.ABSENT)
    assert rule_on(facts("Reaktif"), [absent]).listed is False
    assert rule_on(facts(), [absent]) == rule_on(facts("Negatif"), [absent])


def test_a_rule_of_a_work_group_reaches_tests_that_are_added_later() -> None:
    assert not rule_on(facts("12"), [WithholdingRule(3, When.ALWAYS, group="SEROLOJI")]).shown
    assert rule_on(facts("12"), [WithholdingRule(3, When.ALWAYS, group="HORMON")]).shown


@pytest.mark.parametrize(
    ("result", "hidden"),
    [
        (facts("Negatif"), False), (facts("NEGATİF"), False), (facts("Non-Reaktif"), False),
        (facts("Pozitif"), True), (facts("Reaktif"), True), (facts("gri bölge"), True), (facts("Negatif?"), True),
        (facts("0.21", "0.21", "", "< 1"), False), (facts("5.2", "5.2", "Y", "< 1"), True),
        (facts("0.21", "0.21", "", ""), True),  # no range: nobody can say that it is negative
        (facts(""), False),  # nothing released yet: nothing to hide
    ],
)  # fmt: skip
def test_what_is_not_surely_negative_is_hidden(result: ResultFacts, hidden: bool) -> None:
    rule = WithholdingRule(4, When.POSITIVE, test_id=HIV)
    assert bool(rule_on(result, [rule]).sentence) is hidden
    if result.released and not hidden:
        assert surely_negative(result)


@pytest.mark.parametrize(
    ("when", "value", "number", "hidden"),
    [
        (When.ABOVE, "9.9", "9.9", False), (When.ABOVE, "10", "10", True), (When.ABOVE, "11", "11", True),
        (When.ABOVE, "<5", None, False), (When.ABOVE, "<10", None, False), (When.ABOVE, "<=10", None, True),
        (When.ABOVE, ">3", None, True), (When.ABOVE, "hemolizli", None, True), (When.BELOW, "10", "10", True),
        (When.BELOW, "10.1", "10.1", False), (When.BELOW, ">10", None, False), (When.BELOW, "<50", None, True),
    ],
)  # fmt: skip
def test_limits_hide_what_is_not_surely_harmless(when: When, value: str, number: str | None, hidden: bool) -> None:
    rule = WithholdingRule(5, when, test_id=HIV, limit=Decimal(10))
    assert rule_on(facts(value, number), [rule]).shown is not hidden


def test_a_rule_by_value_needs_the_word_that_its_difference_tells() -> None:
    assert rule_problem(When.POSITIVE, Look.SENTENCE, None, "", accepted=False)
    assert rule_problem(When.POSITIVE, Look.SENTENCE, None, "", accepted=True) is None
    assert rule_problem(When.POSITIVE, Look.ABSENT, None, "", accepted=True)
    assert rule_problem(When.ALWAYS, Look.ABSENT, None, "", accepted=False) is None
    assert rule_problem(When.ABOVE, Look.SENTENCE, None, "", accepted=True)
    assert rule_problem(When.ALWAYS, Look.SENTENCE, Decimal(1), "", accepted=False)


@pytest.mark.parametrize(
    "sentence",
    ["Sonuç pozitif olduğundan gösterilmez", "YÜKSEK çıktı", "Doğrulama bekleniyor", "Acil servise gidin", "HIV sonucu",
     "Sonuç 5 çıktı", "Kritik değer", "x" * 300],
)  # fmt: skip
def test_a_sentence_that_hints_at_the_value_is_refused(sentence: str) -> None:
    assert sentence_problem(sentence)


def test_neutral_sentences_are_taken() -> None:
    assert sentence_problem(NEUTRAL) is None
    assert sentence_problem("Sonucunuzu hekiminiz açıklayacaktır.") is None


@pytest.mark.parametrize("state", list(TestState))
def test_nothing_before_clinical_approval_and_nothing_withheld(state: TestState) -> None:
    assert (state in patient_states(withheld=False)) is (state is TestState.CLINICALLY_APPROVED)
    assert state not in patient_states(withheld=True)


# --- who he is, where he comes from ----------------------------------------------------------------------------------


def test_codes_are_long_random_and_read_as_they_are_typed() -> None:
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == CODE_LENGTH and set(code) <= set(ALPHABET) for code in codes)
    code = codes.pop()
    assert plain_code(shown_code(code).lower()) == plain_code(f"  {code[:3]} {code[3:]} ") == code
    assert not set("0O1IİLQUWX") & set(ALPHABET)
    assert len(ALPHABET) ** CODE_LENGTH > 2 * 10**14


def test_each_patient_has_a_number_that_proves_him() -> None:
    born = date(2026, 11, 1)
    assert Identity("90000000012", "U1", "H1", born).accepted == ("90000000012",)
    assert Identity(None, "u-123 45", "H1", born).accepted == ("U12345",)  # a foreigner
    assert Identity(None, None, "H-1", born).accepted == ("H1", "01112026")  # a newborn
    assert Identity(None, None, None, None).accepted == ()
    assert plain_identity(" 900 000 000-12 ") == "90000000012"
    for identity in (Identity("9", None, None, None), Identity(None, "U", None, None), Identity(None, None, "H", born)):
        assert identity.words


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_household_of_many_addresses_is_one(address: str, counted: str) -> None:
    assert network_of(address) == counted


def test_settings_that_make_no_sense_are_not_taken() -> None:
    assert PatientPageRules.of(None) == PatientPageRules()
    assert PatientPageRules().acik is False  # closed until somebody has looked at the rules
    odd = {"acik": "evet", "deneme": 1000, "belge_gun": 30, "oturum_dakika": "15"}
    assert PatientPageRules.of(odd) == PatientPageRules(belge_gun=30)


def test_coded_identity_and_likely_tests() -> None:
    assert coded_identity("Işıl", "Çığır", date(1980, 5, 17)) == "IŞÇI80"
    assert coded_identity("A", "İz", None) == "A-İZ--"
    assert likely_sensitive("ANTIHIV", "Anti-HIV 1/2") and likely_sensitive("HBSAG", "HBsAg")
    assert not likely_sensitive("GLU", "Glukoz")
