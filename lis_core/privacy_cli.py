"""`numune audit` and `numune privacy`: what is done at night, and what only a person with the server's keys does."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from lis_core.domain.identity import parse_date_tr
from lis_core.domain.permissions import P
from lis_core.services import audit_chain, personal_data, retention
from lis_core.services.anonymise import anonymised_copy
from lis_core.services.audit_chain import Anchors
from lis_core.settings import Settings
from lis_core.storage.database import Actor, Database, program
from lis_core.storage.roles_urls import Urls, opened

Done = TypeVar("Done")


def _with_database(deed: Callable[[Database, Settings], Awaitable[Done]], way: Callable[[Urls], str]) -> Done:
    """Run this on the installation's database, by this way in; the embedded server runs as long as it takes."""
    settings = Settings.from_environment()

    async def run(url: str) -> Done:
        database = Database(url, pool_size=2)
        try:
            return await deed(database, settings)
        finally:
            await database.close()

    with opened(settings) as urls:
        return asyncio.run(run(way(urls)))


def audit(argv: list[str]) -> int:
    """`numune audit nightly | verify [--whole] | anchor | partitions`: 1 where the audit was bent."""
    parser = argparse.ArgumentParser(prog="numune audit", description="Denetim izini doğrular ve korur.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("nightly", help="gecelik iş: bölümler, doğrulama, çapa ile karşılaştırma, yeni çapa")
    actions.add_parser("verify", help="zincirleri doğrular").add_argument("--whole", action="store_true")
    actions.add_parser("anchor", help="zincir başlarını veritabanı dışındaki dosyaya yazar")
    actions.add_parser("partitions", help="gelecek ayların bölümlerini açar")
    arguments = parser.parse_args(argv)

    async def work(database: Database, settings: Settings) -> int:
        anchors = Anchors.of(settings)
        if arguments.action == "partitions":
            print(f"{await audit_chain.open_partitions(database)} yeni bölüm açıldı.")
            return 0
        if arguments.action == "anchor":
            print(f"{await audit_chain.write_anchor(database, anchors)} zincir başı yazıldı: {anchors.file}")
            return 0
        if arguments.action == "nightly":
            problems = await audit_chain.nightly(database, anchors)
        else:
            problems = await audit_chain.verify(database, whole=arguments.whole)
        for problem in problems:
            print(problem, file=sys.stderr)
        print("Denetim izi sağlam." if not problems else f"{len(problems)} sorun bulundu.")
        return 1 if problems else 0

    return _with_database(work, lambda urls: urls.audit)


def _operator() -> Actor:
    """Whoever has the server's keys: what he does is kept under this name."""
    return program("numune privacy", may=[P.PRIVACY_DATA])


def privacy(argv: list[str]) -> int:
    """`numune privacy rules | rule | due | apply | export | erase | anonymise`."""
    parser = argparse.ArgumentParser(prog="numune privacy", description="Kişisel veriler: saklama, döküm, silme.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("due", help="saklama süresi dolanları gösterir; hiçbir şeyi değiştirmez")
    actions.add_parser("apply", help="süresi dolanları kurala göre siler")
    rule = actions.add_parser("rule", help="saklama kuralı koyar")
    rule.add_argument("kind", choices=sorted(retention.KINDS))
    rule.add_argument("days", type=int)
    rule.add_argument("basis", help="hukuki dayanak")
    rule.add_argument("--from", dest="since", default="", help="GG.AA.YYYY; boş = bugün")
    export = actions.add_parser("export", help="bir hastanın bütün verisi (ZIP)")
    export.add_argument("patient", type=int)
    export.add_argument("reason")
    export.add_argument("file", type=Path)
    erase = actions.add_parser("erase", help="bir hastanın kimliğini siler, sonuçları kalır")
    erase.add_argument("patient", type=int)
    erase.add_argument("reason")
    copy = actions.add_parser("anonymise", help="anonim kopya: boş, kurulmuş bir veritabanına")
    copy.add_argument("target", help="hedef veritabanının adresi")
    arguments = parser.parse_args(argv)
    if arguments.action == "anonymise":
        return _anonymise(arguments.target)
    return _with_database(lambda database, _: _privacy(database, arguments), lambda urls: urls.owner)


def _anonymise(target: str) -> int:
    settings = Settings.from_environment()
    with opened(settings) as urls:
        try:
            counts = anonymised_copy(urls.owner, target)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
    for table, rows in counts.items():
        print(f"{table}\t{rows}")
    return 0


async def _privacy(database: Database, arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    if arguments.action in ("due", "apply"):
        async with database.reading() as session:
            found = await retention.due(session, now)
        for one in found:
            print(f"{one.caption}: {one.rule.days} gün ({one.rule.basis}), süresi dolan {one.rows} satır")
            if arguments.action == "apply":
                async with database.work(_operator()) as work:
                    print(f"  {await retention.apply_rule(work, one)} satır işlendi")
        return 0
    async with database.work(_operator()) as work:
        if arguments.action == "rule":
            since = parse_date_tr(arguments.since) if arguments.since else date.today()
            made = await retention.save_rule(work, arguments.kind, arguments.days, arguments.basis, since)
            print(f"Kural {made.id}: {made.kind}, {made.days} gün, {made.valid_from:%d.%m.%Y} tarihinden beri")
        elif arguments.action == "export":
            archive = await personal_data.take_away(work, arguments.patient, arguments.reason)
            await asyncio.to_thread(arguments.file.write_bytes, archive)
            print(f"Yazıldı: {arguments.file}")
        else:
            await retention.erase_identity(work, arguments.patient, arguments.reason)
            print(f"Hasta {arguments.patient}: kimliği silindi.")
    return 0
