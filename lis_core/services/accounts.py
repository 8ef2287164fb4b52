"""Accounts of people: added, made passive, given a password; and a password changed by its owner."""

from __future__ import annotations

import asyncio
import re
import secrets

from sqlalchemy import select

from lis_core.domain import errors
from lis_core.domain.account_rules import AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.domain.password_rules import password_problem
from lis_core.domain.permissions import P
from lis_core.services.devices import forget_devices
from lis_core.services.known_passwords import known_problem
from lis_core.services.passwords import CLOSED, hash_password, password_fits
from lis_core.services.permissions import somebody_gives
from lis_core.services.second_factor import readable_code
from lis_core.services.sessions import Held, Stage, Visitor, end_all, open_session
from lis_core.services.signing_in import Entered, duties_of
from lis_core.services.users import actor_of_user, forget, old_digests, set_password
from lis_core.storage.database import Database, Work
from lis_core.storage.tables import AccountSecurity, User
from lis_core.storage.tables.accounts import AccountKind

USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,58}[a-z0-9]")


async def check_new_password(work: Work, user: User, password: str, rules: AccountRules) -> None:
    """Raises PASSWORD_REFUSED for a weak, personal, commonly known or former password."""
    problem = password_problem(
        password, least=rules.parola_en_az, personal=(user.username, user.given_name, user.family_name)
    )
    problem = problem or await asyncio.to_thread(known_problem, rules.yasak_parolalar, password)
    if problem is None:
        for old in await old_digests(work.session, user, max(1, rules.parola_gecmis)):
            if await password_fits(password, old):
                problem = f"son {max(1, rules.parola_gecmis)} parolanızdan biri"
                break
    if problem is not None:
        raise NumuneError(errors.PASSWORD_REFUSED, problem=problem)


async def change_password(db: Database, held: Held, password: str, visitor: Visitor, rules: AccountRules) -> Entered:
    """The owner chooses a new password; every other session and token of his ends, this one goes on under a new secret.

    The caller has asked for the old password (`signing_in.prove_again`). Raises PASSWORD_REFUSED, NOT_FOR_SUPPORT.
    """
    if held.grant_id is not None:
        raise NumuneError(errors.NOT_FOR_SUPPORT)
    async with db.work(held.actor) as work:
        user = await work.session.get(User, held.actor.user_id)
        if user is None or user.password_hash.startswith(CLOSED):
            raise NumuneError(errors.PASSWORD_REFUSED, problem="bu hesabın parolası yok; tek giriş ile girilir")
        await check_new_password(work, user, password, rules)
        await set_password(work, user.id, password)
        opened = await open_session(work, user.id, visitor, Stage.FULL, held.method, rules=rules)
        actor = await actor_of_user(work.session, user, visitor.address)
    forget(db, user.id)
    return Entered(actor, opened)


async def add_user(
    work: Work, username: str, given_name: str, family_name: str, *, kind: AccountKind = AccountKind.PERSON
) -> tuple[User, str]:
    """A user without rights, and his first password, which he must change; a support account has none ("").

    Raises NOT_ALLOWED, USERNAME_TAKEN, INVALID_INPUT.
    """
    work.actor.must(P.USER_MANAGE)
    username = username.strip().lower()
    if not USERNAME.fullmatch(username):
        raise NumuneError(
            errors.INVALID_INPUT, problem="kullanıcı adı 3-60 küçük harf, rakam, nokta, çizgi olmalı (Türkçe harfsiz)"
        )
    if not given_name.strip() or not family_name.strip():
        raise NumuneError(errors.INVALID_INPUT, problem="ad ve soyad yazılmalı")
    if await work.session.scalar(select(User.id).where(User.username == username)):
        raise NumuneError(errors.USERNAME_TAKEN, username=username)
    password = "" if kind is not AccountKind.PERSON else first_password()
    user = User(
        username=username,
        given_name=given_name.strip()[:60],
        family_name=family_name.strip()[:60],
        password_hash=await hash_password(password) if password else CLOSED,
    )
    work.session.add(user)
    await work.session.flush()
    work.session.add(AccountSecurity(user_id=user.id, kind=kind, password_at=work.now, must_change=bool(password)))
    await work.session.flush()
    work.audit("kullanici_ekleme", "kullanici", user.id, None, {"kullanici_adi": username, "tur": kind.value})
    return user, password


def first_password() -> str:
    """Given by an administrator, changed at the first sign-in: readable, and long enough for any rule."""
    return f"{readable_code(3, 5)}-{secrets.randbelow(90) + 10}".lower()


async def reset_password(work: Work, user_id: int) -> str:
    """A new first password, shown once to the administrator; sessions, tokens and known browsers end.

    Raises NOT_ALLOWED, NOT_FOUND; BAD_CLIENT, BAD_GRANT for accounts that have no password.
    """
    work.actor.must(P.USER_MANAGE)
    security = await work.session.get(AccountSecurity, user_id)
    if security is not None and security.kind is AccountKind.CLIENT:
        raise NumuneError(errors.BAD_CLIENT, problem="istemcinin parolası olmaz, belirteç verilir")
    if security is not None and security.kind is AccountKind.SUPPORT:
        raise NumuneError(errors.BAD_GRANT, problem="destek hesabının parolası olmaz, süreli erişim verilir")
    password = first_password()
    await set_password(work, user_id, password, must_change=True)
    await forget_devices(work, user_id)
    return password


async def set_active(work: Work, user_id: int, active: bool) -> None:
    """A passive user cannot sign in; what is open ends.

    Raises NOT_ALLOWED, NOT_FOUND, INVALID_INPUT for oneself, LAST_MANAGER.
    """
    work.actor.must(P.USER_MANAGE)
    user = await work.session.get(User, user_id, with_for_update=True)
    if user is None:
        raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
    if user_id == work.actor.user_id and not active:
        raise NumuneError(errors.INVALID_INPUT, problem="kendi hesabınızı kapatamazsınız")
    if user.active == active:
        return
    user.active = active
    work.audit("kullanici_durumu", "kullanici", user_id, {"aktif": not active}, {"aktif": active})
    if not active:
        await work.session.flush()
        await somebody_gives(work)
        await end_all(work, user_id, tokens=True)
        await forget_devices(work, user_id)


__all__ = ["add_user", "change_password", "check_new_password", "duties_of", "reset_password", "set_active"]
