"""`numune user`: accounts without a screen. The way to the first administrator of a new installation."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from sqlalchemy import select

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permission_templates import Job
from lis_core.domain.permissions import P
from lis_core.services import accounts, employment
from lis_core.services.permission_admin import mark_administrator_who_reads
from lis_core.services.permissions import Subject, add_member
from lis_core.services.second_factor import reset_factors
from lis_core.settings import Settings
from lis_core.storage.database import Database, Work, program
from lis_core.storage.migrate import upgrade
from lis_core.storage.roles_urls import opened
from lis_core.storage.tables import PermissionGroup, User
from lis_core.views.people import people_list

_ACTOR = program("numune user", may=(P.USER_MANAGE, P.RIGHTS_MANAGE))


def user(argv: list[str]) -> int:
    """`numune user add | passive | active | reset | list`; 1 where it was refused."""
    arguments = _parser().parse_args(argv)
    act: Callable[[Database, argparse.Namespace], Awaitable[str]] = arguments.act
    settings = Settings.from_environment()
    try:
        with ExitStack() as stack:
            urls = stack.enter_context(opened(settings))
            upgrade(urls.owner)
            print(asyncio.run(_run(urls.application, act, arguments)))
    except NumuneError as refusal:
        print(f"numune user: {refusal.message} ({refusal.code})", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="numune user", description="Kullanıcı hesapları.")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="hesap açar; ilk parolayı bir kez yazar")
    add.add_argument("username", metavar="KULLANICI_ADI")
    add.add_argument("--given", required=True, metavar="AD")
    add.add_argument("--family", required=True, metavar="SOYAD")
    add.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="GRUP",
        help=f"yetki grubu ({', '.join(job.value for job in Job)} ya da sizin tanımladığınız); yinelenebilir",
    )
    add.set_defaults(act=_add)
    for name, act, told in (
        ("passive", _passive, "hesabı kapatır; oturumları biter"),
        ("active", _active, "kapalı hesabı açar"),
        ("reset", _reset, "yeni ilk parola verir; --second-factor ikinci aşamayı da sıfırlar"),
    ):
        one = actions.add_parser(name, help=told)
        one.add_argument("username", metavar="KULLANICI_ADI")
        one.set_defaults(act=act)
        if name == "reset":
            one.add_argument("--second-factor", action="store_true", help="ikinci aşamayı da sıfırlar")
    actions.add_parser("list", help="hesapları listeler").set_defaults(act=_list)
    return parser


async def _run(
    url: str, act: Callable[[Database, argparse.Namespace], Awaitable[str]], arguments: argparse.Namespace
) -> str:
    database = Database(url)
    try:
        return await act(database, arguments)
    finally:
        await database.close()


async def _add(database: Database, arguments: argparse.Namespace) -> str:
    async with database.work(_ACTOR) as work:
        made, password = await accounts.add_user(work, arguments.username, arguments.given, arguments.family)
        for code in arguments.group:
            group = await work.session.scalar(select(PermissionGroup.id).where(PermissionGroup.code == code.upper()))
            if group is None:
                raise NumuneError(errors.NOT_FOUND, what=f"{code} grubu")
            await add_member(work, group, Subject(user_id=made.id))
        both = await mark_administrator_who_reads(work, made.id, "numune user add")
    warning = "\nDİKKAT: bu kişi hem yönetici olur hem sonuç okur; denetime yazıldı." if both else ""
    return f"{made.username} eklendi. İlk parolası (ilk girişte değiştirilir): {password}{warning}"


async def _passive(database: Database, arguments: argparse.Namespace) -> str:
    async with database.work(_ACTOR) as work:
        await accounts.set_active(work, await _id(work, arguments.username), False)
    return f"{arguments.username} kapatıldı."


async def _active(database: Database, arguments: argparse.Namespace) -> str:
    async with database.work(_ACTOR) as work:
        await accounts.set_active(work, await _id(work, arguments.username), True)
    return f"{arguments.username} açıldı."


async def _reset(database: Database, arguments: argparse.Namespace) -> str:
    async with database.work(_ACTOR) as work:
        user_id = await _id(work, arguments.username)
        if arguments.second_factor:
            await reset_factors(work, user_id)
        password = await accounts.reset_password(work, user_id)
    return f"{arguments.username} için yeni ilk parola (ilk girişte değiştirilir): {password}"


async def _list(database: Database, arguments: argparse.Namespace) -> str:
    async with database.work(_ACTOR) as work:
        people = await people_list(work.session, "", closed=True, day=employment.today(work.now))
    return "\n".join(
        f"{one.username:<24} {one.full_name:<30} {'açık' if one.active else 'kapalı'} {one.absence}".rstrip()
        for one in people
    )


async def _id(work: Work, username: str) -> int:
    found = await work.session.scalar(select(User.id).where(User.username == username.strip().lower()))
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{username} kullanıcısı")
    return found


if __name__ == "__main__":
    sys.exit(user(sys.argv[1:]))
