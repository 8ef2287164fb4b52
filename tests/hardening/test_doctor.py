"""The doctor tells what stands open and what would be lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from lis_core import backup_cli
from lis_core.doctor import scheduler
from lis_core.exposure import exposed
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.hardening.conftest import Authority

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def _told(database: Database, settings: Settings, now: datetime = NOW) -> dict[str, tuple[bool, str, bool]]:
    async with database.reading() as session:
        return {what: (good, words, warning) for good, what, words, warning in await exposed(session, settings, now)}


async def test_ports_backups_and_certificates_are_looked_at(
    lab: Database, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(backup_cli.TO, raising=False)
    settings = Settings(data_dir=tmp_path)
    found = await _told(lab, settings)
    assert found["yedek"][1:] == ("bu makinede hiç yedek alınmadı ('numune db backup')", True)
    assert found["cihaz ağları"][2] is False, "the demonstration listens on this machine only"

    async with lab.engine.begin() as connection:
        await connection.execute(text("update baglanti set adres = '0.0.0.0:4001' where baglanti_adi = 'hemogram'"))
    found = await _told(lab, settings)
    assert found["cihaz ağları"][2] is True
    assert "hemogram" in found["cihaz ağları"][1]
    named = Settings(data_dir=tmp_path, config={"ag": {"cihazlar": ["10.1.0.0/16"]}})
    assert (await _told(lab, named))["cihaz ağları"][2] is False

    (tmp_path / backup_cli.LAST).write_text(
        f'{{"zaman": "{(NOW - timedelta(days=3)).isoformat()}", "dosya": "/y/a", "sifreli": true}}', encoding="utf-8"
    )
    assert "2 günden eski" in (await _told(lab, settings))["yedek"][1]
    assert "şifresiz" in (await _told(lab, settings, NOW - timedelta(days=2)))["yedek"][1]

    papers = authority.papers("web.lab")
    over_tls = Settings(data_dir=tmp_path, http_certificate=papers.certificate, http_key=papers.key)
    assert (await _told(lab, over_tls, datetime.now(UTC)))["sertifika (web)"][0]
    late = await _told(lab, over_tls, datetime(3001, 1, 1, tzinfo=UTC))
    assert late["sertifika (web)"][0] is False
    assert "doldu" in late["sertifika (web)"][1]


def test_a_desktops_scheduler_is_said(tmp_path: Path) -> None:
    switch = tmp_path / "sched_autogroup_enabled"
    assert scheduler(switch) == [], "another system: nothing to say"
    switch.write_text("1\n")
    [found] = scheduler(switch)
    assert found.warning
    assert "kernel.sched_autogroup_enabled = 0" in found.words
    switch.write_text("0\n")
    [found] = scheduler(switch)
    assert found.mark == "tamam"
