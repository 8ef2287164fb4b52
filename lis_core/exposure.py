"""For the doctor: what stands open to others, what would be lost. A finding: good, what, Turkish words, warning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.backup import BackupError
from lis_core.backup_cli import last_backup, recipients
from lis_core.settings import Settings

Found = tuple[bool, str, str, bool]

BACKUP_DAYS = 2
CERTIFICATE_DAYS = 21

_OPEN_LINES = text(
    "select baglanti_adi, adres from baglanti where aktiflik_bilgisi and baglanti_turu = 'tcp-sunucu' "
    "and gecit_kodu is null and jsonb_array_length(coalesce(nullif(ayarlar->'izinli', 'null'), '[]')) = 0 order by 1"
)


async def exposed(session: AsyncSession, settings: Settings, now: datetime | None = None) -> list[Found]:
    """Backups, certificates, instrument ports."""
    at = now or datetime.now(UTC)
    return [_backup(settings, at), *_certificates(settings, at), await _lines(session, settings)]


def _backup(settings: Settings, now: datetime) -> Found:
    last = last_backup(settings)
    try:
        sealing = bool(recipients(settings))
    except BackupError as error:
        return False, "yedek", f"yedek anahtarı ayarı okunamıyor, yedek alınamaz: {error}", False
    if last is None:
        return True, "yedek", "bu makinede hiç yedek alınmadı ('numune db backup')", True
    told = f"son yedek {last.at.astimezone():%d.%m.%Y %H:%M}, {last.file}"
    if now - last.at > timedelta(days=BACKUP_DAYS):
        return True, "yedek", f"{told}: {BACKUP_DAYS} günden eski", True
    if not (sealing and last.sealed):
        return True, "yedek", f"{told}: şifresiz ('numune db backup-key')", True
    return True, "yedek", f"{told}, şifreli", False


def _certificates(settings: Settings, now: datetime) -> list[Found]:
    files = {"web": settings.http_certificate}
    for label, table in settings.config.get("tls", {}).items():
        files[f"tls.{label}"] = Path(str(table["sertifika"])) if table.get("sertifika") else None
    hospital = settings.config.get("hbys", {}).get("tls", {}).get("sertifika")
    files["hbys.tls"] = Path(str(hospital)) if hospital else None
    return [_certificate(label, file, now) for label, file in files.items() if file is not None]


def _certificate(label: str, file: Path, now: datetime) -> Found:
    try:
        ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        return False, f"sertifika ({label})", f"{file} okunamıyor: {error}", False
    words = f"{file}, {ends:%d.%m.%Y} gününe kadar geçerli"
    if ends <= now:
        return False, f"sertifika ({label})", f"{file}: süresi {ends:%d.%m.%Y} günü doldu", False
    return True, f"sertifika ({label})", words, ends - now < timedelta(days=CERTIFICATE_DAYS)


async def _lines(session: AsyncSession, settings: Settings) -> Found:
    """Ports of instruments that take everybody who reaches them."""
    if settings.config.get("ag", {}).get("cihazlar"):
        return True, "cihaz ağları", "yalnız izinli ağlar bağlanabilir", False
    rows = (await session.execute(_OPEN_LINES)).tuples().all()
    wide = [name for name, address in rows if not address.startswith(("127.", "localhost:", "[::1]:"))]
    if not wide:
        return True, "cihaz ağları", "hatlar yalnız bu makineye ya da izinli ağlara açık", False
    names = ", ".join(wide[:20])
    return (
        True,
        "cihaz ağları",
        f"her adresten bağlanılabilen hatlar: {names} (hatta izinli ağlar, [ag] cihazlar)",
        True,
    )
