"""What a patient is shown of his own results over the internet, and what stands instead (9.8.5, 9.8.8, 9.11.12).

A laboratory's rules withhold results; rows, with the days they are in force. A rule that hides only some values tells
those who know it that a hidden value is one of them. So the usual rule hides every result of its test, from the order
on, in the same words: a withheld negative and a withheld positive cannot be told apart, neither by the page nor by the
day on which it changed. A rule for some values needs the laboratory's word that it accepts the difference. A test that
is only ever added after a reactive one (a confirmation) can be left out altogether: its name would tell.

Pure: same facts, same ruling. When unsure, withhold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from lis_core.domain.turkish import search_key


class When(StrEnum):
    """Which values a rule withholds; the words stand in the database."""

    ALWAYS = "her"
    POSITIVE = "pozitif"
    """Everything that is not surely negative."""
    FLAGGED = "isaretli"
    """Outside the reference range, or without one."""
    ABOVE = "ustunde"
    BELOW = "altinda"

    @property
    def caption(self) -> str:
        """As the screen says it."""
        return _WHEN[self]

    @property
    def by_value(self) -> bool:
        """True where a hidden value can be told from a shown one."""
        return self is not When.ALWAYS


_WHEN = {
    When.ALWAYS: "her sonuç",
    When.POSITIVE: "yalnız negatif olmayan sonuç",
    When.FLAGGED: "yalnız referans dışı sonuç",
    When.ABOVE: "yalnız sınırda ve üstünde",
    When.BELOW: "yalnız sınırda ve altında",
}


class Look(StrEnum):
    """What stands in place of a withheld result."""

    SENTENCE = "cumle"
    ABSENT = "yok"
    """Not even the test's name."""

    @property
    def caption(self) -> str:
        return "tetkikin adı ve cümle" if self is Look.SENTENCE else "hiçbir şey (adı da görünmez)"


NEUTRAL = "Bu tetkikin sonucu internetten gösterilmez. Sonucunuzu hekiminizden ya da laboratuvardan öğrenebilirsiniz."
"""The sentence of a rule that has none of its own, and of every confidential test."""

LONGEST_SENTENCE = 200

_TELLING = re.compile(
    r"\b(?:non[ -]?)?(?:pozitif|negatif|reaktif|yuksek|dusuk|panik|kritik|supheli|anormal|normal|dogrulama|acil"
    r"|tehlikeli|bulasici|hiv|aids|kanser|hepatit|\+|artmis|azalmis|uremesi|ureme|saptandi|saptanmadi)",
)
"""Words (folded) that give a value, or the fear of one, away."""


def sentence_problem(sentence: str) -> str | None:
    """What is wrong with a sentence that stands instead of results, as the end of a Turkish sentence; None: nothing.

    It must say nothing of the value, and no number: it is read beside every result of its test.
    """
    text = " ".join(sentence.split())
    if not text:
        return None  # the neutral one stands instead
    if len(text) > LONGEST_SENTENCE:
        return f"cümle en çok {LONGEST_SENTENCE} karakter olabilir"
    if any(sign.isdigit() for sign in text):
        return "cümlede rakam olamaz"
    if found := _TELLING.search(search_key(text)):
        return f"cümle sonucu sezdirir ({found[0]}); her sonuç için doğru olan bir cümle yazın"
    return None


@dataclass(frozen=True, slots=True)
class WithholdingRule:
    """A row that the laboratory owns. Of one test, or of every test of a work group.

    limit: of ABOVE and BELOW, in the test's own unit. look ABSENT stands only beside ALWAYS.
    """

    id: int
    when: When
    test_id: int | None = None
    group: str | None = None
    limit: Decimal | None = None
    look: Look = Look.SENTENCE
    sentence: str = ""

    @property
    def code(self) -> str:
        """Names the rule beside what it decided."""
        return f"GSTR-{self.id}"


def rule_problem(when: When, look: Look, limit: Decimal | None, sentence: str, accepted: bool) -> str | None:
    """What is wrong with a rule, as the end of a Turkish sentence; None: nothing. accepted: the difference tells."""
    if (limit is not None) is not (when in (When.ABOVE, When.BELOW)):
        return "sınır yalnız ve mutlaka sınırlı kurallarda yazılır"
    if when.by_value and look is Look.ABSENT:
        return "tetkikin adı ancak her sonuç gizlenirken gizlenebilir; yoksa eksikliği sonucu söyler"
    if when.by_value and not accepted:
        return "değere bağlı kuralda gizlenen sonuç, gizlenmesinden anlaşılır; bunu bildiğinizi işaretleyin"
    return sentence_problem(sentence)


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """What a ruling may depend on. value and the rest: of a released result; `released` False: there is none."""

    test_id: int
    group: str
    confidential: bool
    released: bool = False
    value: str = ""
    number: Decimal | None = None
    flag: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of one test. sentence: stands instead of the value; "": how far the test is may be told.

    listed: the test may be named. rule: what decided, for the audit and the chief, never for the page.
    """

    shown: bool
    listed: bool = True
    sentence: str = ""
    rule: str = ""


CONFIDENTIAL_RULE = "gizli tetkik"


def rule_on(facts: ResultFacts, rules: Iterable[WithholdingRule]) -> Ruling:
    """The ruling over one test of an order, by the rules in force. The order of the rules does not matter.

    A test that is withheld always looks the same in every state, so that nothing is told by when it changes.
    """
    ours = sorted(
        (rule for rule in rules if rule.test_id == facts.test_id or (rule.group and rule.group == facts.group)),
        key=lambda rule: (rule.test_id is None, rule.id),  # the test's own sentence before its group's
    )
    always = [rule for rule in ours if rule.when is When.ALWAYS]
    if always or facts.confidential:
        listed = all(rule.look is Look.SENTENCE for rule in always)
        sentence = next((rule.sentence for rule in always if rule.sentence), NEUTRAL)
        return Ruling(False, listed, sentence, always[0].code if always else CONFIDENTIAL_RULE)
    if facts.released:
        for rule in ours:
            if _withholds(rule, facts):
                return Ruling(False, True, rule.sentence or NEUTRAL, rule.code)
    return Ruling(facts.released)


def _withholds(rule: WithholdingRule, facts: ResultFacts) -> bool:
    if rule.when is When.POSITIVE:
        return not surely_negative(facts)
    if rule.when is When.FLAGGED:
        return not _surely_within(facts)
    assert rule.limit is not None  # the table's check says so
    return not _surely_off_limit(facts, rule.limit, above=rule.when is When.ABOVE)


_NEGATIVE = frozenset(
    search_key(word)
    for word in (
        "negatif", "negative", "neg", "non-reaktif", "nonreaktif", "non reaktif", "non-reactive", "nonreactive",
        "reaktif değil", "saptanmadı", "tespit edilmedi", "not detected", "üreme olmadı", "(-)", "-",
    )
)  # fmt: skip


def surely_negative(facts: ResultFacts) -> bool:
    """True for a word that says so, and for a number inside its printed range; anything else may be positive."""
    if search_key(facts.value).strip() in _NEGATIVE:
        return True
    return facts.number is not None and _surely_within(facts)


def _surely_within(facts: ResultFacts) -> bool:
    """Judged against a range, and not flagged."""
    return facts.flag == "" and facts.reference != ""


_BOUND = re.compile(r"(<=?|>=?|≤|≥)\s*([0-9]+(?:\.[0-9]+)?)")


def _surely_off_limit(facts: ResultFacts, limit: Decimal, *, above: bool) -> bool:
    """True where the value certainly lies on the harmless side: below the limit of ABOVE, above that of BELOW."""
    if facts.number is not None:
        return facts.number < limit if above else facts.number > limit
    bound = _BOUND.fullmatch(facts.value.strip())
    if bound is None:
        return False
    figure, strict = Decimal(bound[2]), bound[1] in "<>"
    if (bound[1][0] in "<≤") is not above:
        return False
    if above:
        return figure <= limit if strict else figure < limit
    return figure >= limit if strict else figure > limit
