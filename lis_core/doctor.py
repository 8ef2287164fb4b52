"""What is wrong with this installation, in plain words."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.exposure import exposed
from lis_core.services import audit_chain, database_watch
from lis_core.services.audit_chain import Anchors
from lis_core.services.database_watch import Watching
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.embedded import EmbeddedServer
from lis_core.storage.roles_check import reached_by_everybody, too_many, unprotected
from lis_core.storage.roles_urls import urls_of

LEAST_FREE = 2 * 1024**3
WATCHED = timedelta(days=7)
AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
"""Linux: whether each session (hence each process of PostgreSQL) is scheduled as a group of its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    good: bool
    what: str
    words: str
    warning: bool = False
    """Nothing is broken, but the operator should know and decide."""

    @property
    def mark(self) -> str:
        if not self.good:
            return "SORUN"
        return "uyarı" if self.warning else "tamam"


async def diagnose(settings: Settings) -> list[Finding]:
    """Look at the data folder, the database, the audit chain, the outbox, the lines."""
    findings = [_folder(settings), *scheduler()]
    server = EmbeddedServer(settings.data_dir / "pg") if settings.database_url is None else None
    try:
        if server is not None:
            server.start()
        url = urls_of(settings, server).application
        findings += await _database(url, settings)
        if server is not None and (folder := reached_by_everybody(url)) is not None:
            words = f"{folder} bu makinede herkese açık; gömülü sunucu parola sormaz: veri klasörünü kısa bir yola alın"
            findings.append(Finding(False, "veritabanı kapısı", words))
        if (why := unprotected(url)) is not None:
            findings.append(Finding(True, "veritabanı hattı", why, warning=True))
    except (OSError, RuntimeError) as error:
        findings.append(Finding(False, "veritabanı", f"gömülü PostgreSQL başlatılamadı: {error}"))
    finally:
        if server is not None:
            server.stop()
    return findings


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return Finding(False, "veri klasörü", f"{folder} açılamıyor: {error}")
    if not os.access(folder, os.W_OK):
        return Finding(False, "veri klasörü", f"{folder} yazılabilir değil.")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        return Finding(False, "disk", f"{free / 1024**3:.1f} GiB boş yer kaldı; en az 2 GiB olmalı.")
    return Finding(True, "veri klasörü", f"{folder}, {free / 1024**3:.0f} GiB boş")


def scheduler(switch: Path = AUTOGROUP) -> list[Finding]:
    """A desktop's habit that makes an analyser wait on a busy server (decision 0112); nothing where no switch is."""
    try:
        grouped = switch.read_text(encoding="ascii").strip() != "0"
    except OSError:
        return []
    if not grouped:
        return [Finding(True, "işlemci paylaşımı", "oturumlara göre bölünmüyor")]
    words = (
        "çekirdek işlemciyi oturumlara göre bölüyor (masaüstü ayarı); yoğun sunucuda cihazın sorusu bekler: "
        "kernel.sched_autogroup_enabled = 0"
    )
    return [Finding(True, "işlemci paylaşımı", words, warning=True)]


async def _database(url: str, settings: Settings) -> list[Finding]:
    database = Database(url, pool_size=1)
    try:
        async with database.reading() as session:
            version = await session.scalar(text("show server_version"))
            findings = [Finding(True, "veritabanı", f"PostgreSQL {version}")]
            if not await session.scalar(text("select to_regclass('denetim') is not null")):
                return [*findings, Finding(False, "şema", "kurulmamış; 'numune db upgrade' çalıştırın.")]
            findings.append(_rights(await too_many(session)))
            findings += [Finding(*found) for found in await exposed(session, settings)]
            findings += await _audit(database, session, Anchors.of(settings))
            findings += _watched(await database_watch.state(session, datetime.now(UTC) - WATCHED))
            late = await session.scalar(
                text("select count(*) from giden_kutusu where bitti_zamani is null and deneme_sayisi > 5")
            )
            findings.append(
                Finding(
                    not late, "giden kutusu", f"{late} iş defalarca denendi, gitmiyor" if late else "bekleyen sorun yok"
                )
            )
            closed = (
                await session.scalars(
                    text(
                        "select baglanti_adi from baglanti b left join baglanti_durumu d using (baglanti_kodu) "
                        "where b.aktiflik_bilgisi and not coalesce(d.dinliyor, false) order by 1"
                    )
                )
            ).all()
            findings.append(
                Finding(not closed, "hatlar", f"açık değil: {', '.join(closed)}" if closed else "bütün hatlar açık")
            )
            return findings
    except (SQLAlchemyError, OSError) as error:
        return [Finding(False, "veritabanı", f"ulaşılamıyor: {str(error).splitlines()[0]}")]
    finally:
        await database.close()


def _rights(found: list[str]) -> Finding:
    """Least privilege: decision 0087."""
    if not found:
        return Finding(True, "veritabanı rolü", "program yalnız gereken haklarla çalışıyor")
    words = f"program gereğinden çok hakla bağlanıyor: {'; '.join(found)}. Roller: 'numune db roles'"
    return Finding(True, "veritabanı rolü", words, warning=True)


def _watched(seen: Watching) -> list[Finding]:
    """What was done without the program, and whether somebody switched the watching off: decision 0094."""
    off = [*seen.disabled, *(f"{table} izlenmiyor" for table in seen.unwatched)]
    found = [
        Finding(not off, "tetikleyiciler", f"kapatılmış: {', '.join(off[:20])}" if off else "hepsi yerinde ve açık"),
        Finding(
            not seen.changes,
            "dışarıdan değişiklik",
            f"son {WATCHED.days} günde programın dışından {seen.changes} değişiklik: {'; '.join(seen.by[:10])}. "
            "Deyimler: Denetim ekranı, 'Veritabanına dışarıdan erişim'"
            if seen.changes
            else f"son {WATCHED.days} günde yok",
        ),
    ]
    if seen.log_readable:
        return [*found, Finding(True, "veritabanı günlüğü", "yazılıyor, SQL ile okunuyor")]
    words = "sunucunun günlüğü SQL ile okunamıyor: sunucu yöneticisi 'numune db watch' çalıştırmalı"
    return [*found, Finding(True, "veritabanı günlüğü", words, warning=True)]


async def _audit(database: Database, session: AsyncSession, anchors: Anchors) -> list[Finding]:
    """The chains, their anchors outside of the database, the partitions of the next months."""
    problems = await audit_chain.verify(database)
    moved = await audit_chain.compare_anchor(database, anchors)
    entries = await session.scalar(text("select coalesce(sum(son_sira), 0) from denetim_zinciri")) or 0
    chains = "; ".join(map(str, problems[:20])) if problems else f"{entries} satır, zincirler sağlam"
    findings = [Finding(not problems, "denetim izi", chains)]
    if moved:
        findings.append(Finding(False, "denetim çapası", "; ".join(map(str, moved[:20]))))
    elif anchors.file.exists():
        findings.append(Finding(True, "denetim çapası", f"{anchors.file} veritabanı ile uyuşuyor"))
    else:
        words = f"{anchors.file} yok; 'numune audit nightly' her gece çalıştırılınca oluşur"
        findings.append(Finding(True, "denetim çapası", words))
    if stray := await audit_chain.stray_rows(session):
        findings.append(Finding(False, "denetim bölümleri", f"{stray} satır bölümü açılmamış bir aya ait"))
    return findings
