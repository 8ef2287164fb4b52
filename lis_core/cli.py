"""`numune db`, `numune doctor`, `numune replay`."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import psycopg
from sqlalchemy import create_engine, text

from lis_core import backup, backup_cli
from lis_core.doctor import diagnose
from lis_core.domain.permissions import P
from lis_core.services.replay import Reread
from lis_core.services.replay import replay as replay_messages
from lis_core.settings import Settings
from lis_core.storage import roles, roles_cli, server_watch
from lis_core.storage.database import Database, as_psycopg_url, program
from lis_core.storage.dictionary import as_markdown
from lis_core.storage.migrate import upgrade
from lis_core.storage.roles_urls import opened


def db(argv: list[str]) -> int:
    """`numune db upgrade|backup FILE|restore FILE|backup-key FILE|roles|watch|dictionary|deliver FOLDER`."""
    arguments = _db_arguments(argv)
    settings = Settings.from_environment()
    try:
        if arguments.action == "dictionary":
            print(as_markdown())
            return 0
        if arguments.action == "backup-key":
            return _make_key(arguments.file)
        if arguments.action == "backup" and arguments.verify:
            return backup_cli.verify(arguments.file, arguments.key)
        with opened(settings) as urls:
            return _on_database(settings, urls.owner, arguments)
    except (backup.BackupError, PermissionError, FileExistsError) as error:
        print(f"numune db: {error}", file=sys.stderr)
        return 1


def _db_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="numune db", description="Veritabanı işlemleri.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("upgrade", help="şemayı günceller")
    making = actions.add_parser("backup", help="yedek alır; --verify: var olan yedeği sonuna kadar denetler")
    making.add_argument("file", type=Path)
    making.add_argument("--verify", action="store_true", help="dosyayı denetler, yedek almaz")
    making.add_argument("--to", action="append", default=[], metavar="AÇIK_ANAHTAR", help="kime kapatılacağı")
    making.add_argument("--plain", action="store_true", help="anahtar ayarlı olsa da şifresiz")
    loading = actions.add_parser("restore", help="boş veritabanına yedeği yükler")
    loading.add_argument("file", type=Path)
    for one in (making, loading):
        one.add_argument("--key", type=Path, metavar="DOSYA", help="gizli yedek anahtarı")
    actions.add_parser("backup-key", help="yedek anahtarı üretir, açık kısmını yazar").add_argument("file", type=Path)
    rights = actions.add_parser("roles", help="veritabanı rolleri: gösterir; --create üretir")
    rights.add_argument("--create", action="store_true", help="rolleri kurar, yeni parolalarını bir kez yazar")
    actions.add_parser("watch", help="sunucunun günlüğünü SQL ile okunur yapar (sunucu yöneticisi olarak)")
    actions.add_parser("dictionary", help="veri sözlüğünü yazar")
    actions.add_parser("deliver", help="teslim kopyası: veri + sözlük + özet").add_argument("folder", type=Path)
    return parser.parse_args(argv)


def _on_database(settings: Settings, url: str, arguments: argparse.Namespace) -> int:
    """What needs the database, as the owner of the schema."""
    if arguments.action == "upgrade":
        upgrade(url)
        print("Şema güncel.")
        return 0
    if arguments.action == "backup":
        to = [] if arguments.plain else backup_cli.recipients(settings, arguments.to)
        return backup_cli.backup(settings, url, arguments.file, to)
    if arguments.action == "restore":
        return backup_cli.restore(url, arguments.file, arguments.key)
    if arguments.action == "roles":
        return roles_cli.create(url) if arguments.create else roles_cli.show(url)
    if arguments.action == "watch":
        return _watch(url)
    return _deliver(url, arguments.folder)


def _watch(url: str) -> int:
    """The server's own log by SQL (5.3.6); only an administrator may."""
    with psycopg.connect(url, autocommit=True, application_name="numune-sunucu") as connection:
        try:
            new = server_watch.apply(
                connection,
                program_role=roles.APPLICATION,
                owner=roles.OWNER,
                readers=(roles.APPLICATION, roles.AUDIT),
                force=True,
            )
        except psycopg.errors.InsufficientPrivilege as error:
            print(f"Sunucu yöneticisi (superuser) olarak çalıştırın: {error}", file=sys.stderr)
            return 1
        row = connection.execute(
            "select current_setting('log_destination'), current_setting('logging_collector')"
        ).fetchone()
    print("Kuruldu." if new else "Kurulu.")
    if row is None or "jsonlog" not in row[0] or row[1] != "on":
        print(f"postgresql.conf içine yazın ve sunucuyu yeniden başlatın:\n\n{server_watch.LOGGING}")
    return 0


def _make_key(file: Path) -> int:
    public = backup.make_key(file)
    print(f"Gizli anahtar: {file}\nBunu bu makinede bırakmayın; kaybolursa yedekler açılamaz: iki yerde saklayın.")
    print(f"Açık anahtar (yedek alan makinede {backup_cli.TO} ya da [yedek] alici):\n{public}")
    return 0


def _deliver(url: str, folder: Path) -> int:
    """The hand-over of 2.5.1-2.5.6: data only in native format, the dictionary, and the count of each table's rows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "veri-sozlugu.md").write_text(as_markdown(), encoding="utf-8")
    with create_engine(as_psycopg_url(url)).connect() as connection:
        names = [
            row[0] for row in connection.execute(text("select tablename from pg_tables where schemaname='public'"))
        ]
        lines = [f"{name}\t{connection.scalar(text(f'select count(*) from {name}'))}" for name in sorted(names)]
    (folder / "ozet.tsv").write_text("tablo\tkayit\n" + "\n".join(lines) + "\n", encoding="utf-8")
    address, environment = backup_cli.without_password(url)
    command = [
        backup_cli.tool("pg_dump"),
        "--format=custom",
        "--data-only",
        "--exclude-schema=izleme",
        f"--file={folder / 'veri.dump'}",
        address,
    ]
    return subprocess.run(command, check=False, env=environment).returncode


def doctor(argv: list[str]) -> int:
    """`numune doctor`: 0 where all is well; else says in plain words what is wrong."""
    argparse.ArgumentParser(prog="numune doctor", description="Kurulumu denetler.").parse_args(argv)
    findings = asyncio.run(diagnose(Settings.from_environment()))
    for finding in findings:
        print(f"{finding.mark}  {finding.what}: {finding.words}")
    return 0 if all(finding.good for finding in findings) else 1


def replay(argv: list[str]) -> int:
    """`numune replay RAW_MESSAGE_ID...`: 1 where any of them could not be applied."""
    parser = argparse.ArgumentParser(prog="numune replay", description="Saklanan ham mesajları yeniden işler.")
    parser.add_argument("ids", nargs="+", type=int, metavar="HAM_MESAJ_KODU")
    arguments = parser.parse_args(argv)
    with opened(Settings.from_environment()) as urls:
        outcomes = asyncio.run(_replay(urls.application, arguments.ids))
    for outcome in outcomes:
        words = outcome.problem or f"{outcome.results} sonuç bağlandı, {outcome.unmatched} sonuç bekliyor"
        print(f"{outcome.message_id}: {words}")
    return 1 if any(outcome.problem for outcome in outcomes) else 0


async def _replay(url: str, ids: list[int]) -> list:  # type: ignore[type-arg]
    database = Database(url)
    try:
        return await replay_messages(
            database,
            ids,
            program("numune replay", may=(P.MESSAGE_REPLAY, P.RESULT_ENTER)),
            reread(Settings.from_environment()),
        )
    finally:
        await database.close()


def reread(settings: Settings) -> Reread:
    """How raw bytes are read: a part of the drivers, which this package does not import (see pyproject)."""
    [point] = entry_points(group="numune.parts", name="reread")
    make: Callable[..., Reread] = point.load()
    return make(site=settings.data_dir / "tanimlar")
