"""`numune db` and `numune doctor` on a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from lis_core.cli import db, doctor
from lis_core.storage.database import Database
from tests.conftest import _sibling


@pytest.mark.administrator("`numune db` is given the owner's address")
async def test_a_backup_restores_into_an_empty_database_with_its_audit(
    lab: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "yedek.dump"
    monkeypatch.setenv("NUMUNE_DATABASE_URL", lab.url)
    monkeypatch.setenv("NUMUNE_DATA_DIR", str(tmp_path))
    assert db(["backup", str(file)]) == 0
    assert file.stat().st_size > 10_000
    assert db(["restore", str(file)]) == 1, "a filled database is never restored into"

    with psycopg.connect(lab.url, autocommit=True) as connection:
        connection.execute("create database geri_yuklenen encoding 'UTF8' template template0")
    try:
        restored = _sibling(lab.url, "geri_yuklenen")
        monkeypatch.setenv("NUMUNE_DATABASE_URL", restored)
        assert db(["restore", str(file)]) == 0
        with psycopg.connect(restored) as connection:
            assert connection.execute("select * from denetim_dogrula()").fetchall() == []
            assert connection.execute("select count(*) from tetkik").fetchone()[0] > 50  # type: ignore[index]
        capsys.readouterr()
        await asyncio.to_thread(doctor, [])
        words = capsys.readouterr().out
        assert "zincirler sağlam" in words
    finally:
        with psycopg.connect(lab.url, autocommit=True) as connection:
            connection.execute("drop database geri_yuklenen with (force)")


@pytest.mark.administrator("`numune db` is given the owner's address")
async def test_the_hand_over_has_the_data_the_dictionary_and_the_counts(
    lab: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMUNE_DATABASE_URL", lab.url)
    assert db(["deliver", str(tmp_path / "teslim")]) == 0
    assert (tmp_path / "teslim" / "veri.dump").stat().st_size > 10_000
    counts = dict(line.split("\t") for line in (tmp_path / "teslim" / "ozet.tsv").read_text().splitlines())
    assert int(counts["tetkik"]) > 50
    assert "## tetkik_sonuc" in (tmp_path / "teslim" / "veri-sozlugu.md").read_text()
