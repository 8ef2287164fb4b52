"""Clauses whose check is a document: it is there, says what it must, and names proof that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lis_core.storage.dictionary import as_markdown
from lis_core.storage.personal_columns import OF_COLUMN, OF_TABLE, Data, data_of
from lis_core.storage.tables import Base
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


@pytest.mark.clause("EK1.2b")
def test_the_dictionary_says_of_every_column_whether_it_is_personal() -> None:
    tables = Base.metadata.tables
    assert set(tables) == set(OF_TABLE) - {"alembic_version"}, "a table that nobody has judged"
    columns = {f"{table.name}.{column.name}": data_of(column) for table in tables.values() for column in table.columns}
    assert set(OF_COLUMN) <= set(columns)
    marked = [line for line in as_markdown().splitlines() if line.startswith("| ") and not line.startswith("| kolon")]
    assert [line.split(" | ")[4] for line in marked] == [
        str(data_of(column)) for table in sorted(tables) for column in tables[table].columns
    ]
    examples = {
        "registration": ["hasta.ad", "hasta.dogum_tarihi", "tetkik_istem.istem_zamani", "tetkik_numune.barkod"],
        "a number or alias": ["hasta.gizlilik_numarasi", "tetkik_istem.numune_numarasi", "barkod_kayit.barkod"],
        "health": ["tetkik_sonuc.tetkik_sonucu", "tetkik_istem.klinik_bilgi", "istem_tetkik.tetkik_kodu", "ham_mesaj.icerik"],
        "who gives the service": ["personel.ad", "personel.personel_sicil_numarasi", "kullanici.soyadi", "onay.kullanici_kodu"],
    }  # fmt: skip
    for what, names in examples.items():
        assert {columns[name] for name in names} == {Data.HEALTH}, what
    for name in ("oturum.ip_adresi", "calisma_durumu.tur", "tetkik_referans_aralik.onaylayan"):
        assert columns[name] is Data.PERSONAL, name
    for name in ("tetkik.tetkik_adi", "cihaz.cihaz_adi", "tup_turu.tup_adi"):
        assert columns[name] is Data.OTHER, name
