"""Clauses whose check is a document: it is there, says what it must, and names proof that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_asvs import TEST, names_in

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.clause("4.8.1a")
def test_the_list_of_security_policies_is_filled_with_test_evidence() -> None:
    text = (ROOT / "docs" / "guvenlik" / "bilgi-guvenligi-politikalari.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    items = [row for row in rows if row[0] not in ("konu", "---")]
    assert len(items) > 20 and {row[1] for row in items} == {"var", "belge", "kurum"}
    for topic, state, proof in items:
        named = TEST.findall(proof)
        assert bool(named) is (state == "var"), topic
        assert all(test in names_in(file) for file, test in named), topic
    for word in ("parola", "oturum", "günlük", "şifreleme"):
        assert word in text.lower()


@pytest.mark.clause("2.1.9b")
def test_the_manual_describes_remote_support_from_request_to_log() -> None:
    manual = (ROOT / "docs" / "isletme-kilavuzu.md").read_text(encoding="utf-8")
    section = re.search(r"^### Uzaktan destek\n(.*?)(?=^##)", manual, re.M | re.S)
    assert section
    for word in ("İstek", "tek kullanımlık", "Süre", "geri al", "denetim izinde"):
        assert word in section[1], word
