"""The table of assertions says what the tests say."""

from __future__ import annotations

from tests.law.table import NOT_OURS, TARGET, assertions, document, proofs


def test_every_assertion_has_a_test_or_a_reason() -> None:
    ids = [id_ for id_, _, _ in assertions()]
    assert len(ids) == len(set(ids)) == 125
    shown = proofs()
    assert set(shown) <= set(ids), "a test names an assertion that does not exist"
    assert [id_ for id_ in ids if id_ not in shown and id_ not in NOT_OURS] == []
    assert not set(NOT_OURS) & set(shown)


def test_the_document_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == document(), "run: python -m tests.law.table"
