"""`numune audit` and `numune privacy`, as whoever has the keys of the server types them."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from lis_core import privacy_cli
from lis_core.cli import doctor
from lis_core.storage.database import Database
from tests.services import steps

pytestmark = pytest.mark.administrator("`numune audit` and `numune privacy` are given the owner's address")


@pytest.fixture
def at_home(lab: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "numune.toml"
    key = tmp_path / "anahtar"
    key.write_text("cok-gizli")
    config.write_text(f'[denetim]\ncapa = "{tmp_path / "disarida" / "capa.jsonl"}"\ncapa_anahtari = "{key}"\n')
    monkeypatch.setenv("NUMUNE_CONFIG", str(config))
    monkeypatch.setenv("NUMUNE_DATABASE_URL", lab.url)
    monkeypatch.setenv("NUMUNE_DATA_DIR", str(tmp_path))
    return tmp_path


REWRITE = (
    "do $$ declare r record; v bytea := '\\x00'; begin for r in select * from denetim where zincir = 'ekran' order by sira "
    "loop update denetim set onceki_ozet = v, ozet = denetim_ozeti(zincir, sira, zaman, kullanici_kodu, yapan, adres, islem, "
    "nesne_turu, nesne_kodu, onceki, sonraki, v, hastalar) where zincir = 'ekran' and sira = r.sira returning ozet into v; "
    "end loop; update denetim_zinciri set son_ozet = v where zincir = 'ekran'; end $$"
)


async def test_the_doctor_finds_a_chain_that_was_rewritten_since_the_last_night(
    lab: Database, at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await steps.order(lab, ["GLU"])
    assert await asyncio.to_thread(privacy_cli.audit, ["nightly"]) == 0
    assert (at_home / "disarida" / "capa.jsonl").read_text().count('"imza"') >= 1
    await asyncio.to_thread(doctor, [])
    assert "denetim çapası: " in (said := capsys.readouterr().out) and "uyuşuyor" in said
    async with lab.engine.begin() as connection:
        await connection.execute(text("alter table denetim disable trigger all"))
        await connection.execute(text("update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 1"))
        await connection.execute(text(REWRITE))
        await connection.execute(text("alter table denetim enable trigger all"))
    assert await asyncio.to_thread(doctor, []) == 1
    said = capsys.readouterr().out
    assert "zincirler sağlam" in said, "inside, everything fits"
    assert "SORUN  denetim çapası: ekran zinciri" in said
    assert await asyncio.to_thread(privacy_cli.audit, ["nightly"]) == 1


async def test_one_changed_row_is_named_by_the_command(
    lab: Database, at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await steps.order(lab, ["GLU"])
    assert await asyncio.to_thread(privacy_cli.audit, ["verify", "--whole"]) == 0
    async with lab.engine.begin() as connection:
        await connection.execute(text("alter table denetim disable trigger all"))
        await connection.execute(text("update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 2"))
        await connection.execute(text("alter table denetim enable trigger all"))
    capsys.readouterr()
    assert await asyncio.to_thread(privacy_cli.audit, ["verify"]) == 1
    assert "ekran zinciri 2. satır: satir degistirilmis" in capsys.readouterr().err
    assert await asyncio.to_thread(privacy_cli.audit, ["partitions"]) == 0


async def test_rules_export_and_erasure_by_command(
    lab: Database, at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lab.work(await steps.user(lab, "hekim")) as work:
        from lis_core.services import patients

        known = (await patients.find_or_register(work, steps.person())).id
    commands = privacy_cli.privacy
    assert await asyncio.to_thread(commands, ["rule", "bildirim", "90", "kurul kararı"]) == 0
    assert await asyncio.to_thread(commands, ["due"]) == 0
    assert "90 gün (kurul kararı), süresi dolan 0 satır" in capsys.readouterr().out
    assert await asyncio.to_thread(commands, ["apply"]) == 0
    file = at_home / "veri.zip"
    assert await asyncio.to_thread(commands, ["export", str(known), "dilekçe", str(file)]) == 0
    assert set(zipfile.ZipFile(file).namelist()) == {"veri.json", "veri.html"}
    assert await asyncio.to_thread(commands, ["erase", str(known), "dilekçe"]) == 0
    async with lab.reading() as session:
        assert await session.scalar(text("select ad from hasta where hasta_kodu = :id"), {"id": known}) == "Anonim"
        done = await session.scalars(text("select islem from denetim where yapan = 'numune privacy' order by sira"))
        assert list(done) == ["kaydet", "saklama_uygulandi", "veri_dokumu", "kimlik_silindi"]
