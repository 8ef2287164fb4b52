"""Signing in: sessions of browsers, tokens of programs, and who is behind either.

A wrong name and a wrong password look and last the same. Guessing gets slow for the guesser only: attempts are
counted per name and address, before the password is looked at, so that parallel guesses count as well.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.passwords import hash_password, password_fits
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import ApiToken, LoginFailure, Physician, User, WebSession

SESSION_LENGTH = timedelta(hours=12)
"""A working day; after it a browser signs in again."""
TOKEN_LENGTH = timedelta(hours=24)

FREE_ATTEMPTS = 5
"""Wrong passwords in a row that cost nothing; each further one doubles the wait, from one second on."""
LONGEST_WAIT = timedelta(minutes=5)
FORGOTTEN_AFTER = timedelta(minutes=15)
"""Without a further attempt the count starts anew."""

CACHE_SECONDS = 5.0
"""How long a closed session or a changed role may still hold in another process."""
CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """An actor in the cache, until `until` (monotonic seconds)."""

    actor: Actor
    form_token: str
    until: float


_caches: WeakKeyDictionary[AsyncEngine, dict[str, dict[bytes, _Known]]] = WeakKeyDictionary()
"""For each database: table of the secret -> its digest -> who. A token is never taken for a session."""


async def sign_in(db: Database, username: str, password: str, address: str) -> tuple[Actor, str, str]:
    """Open a session: the actor, the secret for the cookie, the token for the forms of its pages.

    Raises BAD_CREDENTIALS, TOO_MANY_ATTEMPTS.
    """
    actor = await _prove(db, username, password, address)
    secret, form_token = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    async with db.work(actor) as work:
        await work.session.execute(
            delete(WebSession).where(WebSession.user_id == actor.user_id, WebSession.expires_at < work.now)
        )
        work.session.add(
            WebSession(
                secret_hash=_digest(secret),
                user_id=actor.user_id,
                form_token=form_token,
                expires_at=work.now + SESSION_LENGTH,
                address=address,
            )
        )
        work.audit("giris", "kullanici", actor.user_id, None, {"tur": "oturum"})
    return actor, secret, form_token


async def issue_token(db: Database, username: str, password: str, address: str) -> str:
    """A bearer token for the JSON interface. Raises BAD_CREDENTIALS, TOO_MANY_ATTEMPTS."""
    actor = await _prove(db, username, password, address)
    token = secrets.token_urlsafe(32)
    async with db.work(actor) as work:
        await work.session.execute(
            delete(ApiToken).where(ApiToken.user_id == actor.user_id, ApiToken.expires_at < work.now)
        )
        work.session.add(
            ApiToken(secret_hash=_digest(token), user_id=actor.user_id, expires_at=work.now + TOKEN_LENGTH)
        )
        work.audit("giris", "kullanici", actor.user_id, None, {"tur": "belirtec"})
    return token


async def actor_of_session(db: Database, secret: str) -> tuple[Actor, str] | None:
    """Who is behind a session's secret, and its form token; None where it is unknown, ended or its user passive."""
    known = await _known(db, secret, WebSession)
    return (known.actor, known.form_token) if known else None


async def actor_of_token(db: Database, token: str) -> Actor | None:
    """Who is behind a bearer token; None where it is unknown, ended or its user passive."""
    known = await _known(db, token, ApiToken)
    return known.actor if known else None


async def sign_out(db: Database, secret: str) -> None:
    """End a session. An unknown one is ended already."""
    digest = _digest(secret)
    found = await actor_of_session(db, secret)
    if found is not None:
        async with db.work(found[0]) as work:
            await work.session.execute(delete(WebSession).where(WebSession.secret_hash == digest))
            work.audit("cikis", "kullanici", found[0].user_id)
    _cache(db).get(WebSession.__tablename__, {}).pop(digest, None)


async def set_password(work: Work, user_id: int, password: str) -> None:
    """Give a user a new password and end all of his sessions and tokens. Raises NOT_FOUND."""
    user = await work.session.get(User, user_id)
    if user is None:
        raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
    user.password_hash = await hash_password(password)
    await work.session.execute(delete(WebSession).where(WebSession.user_id == user_id))
    await work.session.execute(delete(ApiToken).where(ApiToken.user_id == user_id))
    work.audit("parola", "kullanici", user_id, None, {"kullanici_adi": user.username})


async def actor_of_user(session: AsyncSession, user: User, address: str = "") -> Actor:
    """The actor that this user is, with his roles, work groups, physician record and unit."""
    unit_id = None
    if user.physician_id is not None:
        unit_id = await session.scalar(select(Physician.unit_id).where(Physician.id == user.physician_id))
    return Actor(
        name=user.username,
        user_id=user.id,
        address=address,
        roles=frozenset(held.role for held in user.roles),
        groups={held.role: frozenset(held.groups) for held in user.roles},
        physician_id=user.physician_id,
        unit_id=unit_id,
        full_name=user.full_name,
    )


# -- proving who somebody is


async def _prove(db: Database, username: str, password: str, address: str) -> Actor:
    """The actor whose name and password these are."""
    name = username.strip().lower()[:60]
    await _count_attempt(db, name, address)
    async with db.reading() as session:
        user = await session.scalar(select(User).where(User.username == name, User.active))
        actor = await actor_of_user(session, user, address) if user else None
    if not await password_fits(password, user.password_hash if user else None) or actor is None:
        async with db.work(Actor(name=name, address=address)) as work:
            work.audit("giris_basarisiz", "kullanici", name)
        raise NumuneError(errors.BAD_CREDENTIALS)
    async with db.work(actor) as work:
        await work.session.execute(
            delete(LoginFailure).where(LoginFailure.username == name, LoginFailure.address == address)
        )
    return actor


async def _count_attempt(db: Database, name: str, address: str) -> None:
    """Count this attempt, or refuse it because too many wrong ones came before it. Raises TOO_MANY_ATTEMPTS."""
    async with db.work(Actor(name=name, address=address)) as work:
        session, now = work.session, work.now
        await session.execute(delete(LoginFailure).where(LoginFailure.last_at < now - timedelta(days=1)))
        await session.execute(
            insert(LoginFailure).values(username=name, address=address, last_at=now).on_conflict_do_nothing()
        )
        row = (
            await session.scalars(
                select(LoginFailure)
                .where(LoginFailure.username == name, LoginFailure.address == address)
                .with_for_update()
            )
        ).one()
        if now - row.last_at > FORGOTTEN_AFTER:
            row.count = 0
        wait = waiting_time(row.count)
        left = row.last_at + wait - now
        if wait and left > timedelta(0):
            raise NumuneError(errors.TOO_MANY_ATTEMPTS, seconds=int(left.total_seconds()) + 1)
        row.count += 1
        row.last_at = now


def waiting_time(wrong: int) -> timedelta:
    """How long after `wrong` wrong attempts in a row the next one must wait."""
    if wrong < FREE_ATTEMPTS:
        return timedelta(0)
    return min(LONGEST_WAIT, timedelta(seconds=2.0 ** min(wrong - FREE_ATTEMPTS, 20)))


# -- who is behind a secret


def _digest(secret: str) -> bytes:
    """Secrets are random and long, so a plain SHA-256 keeps a stolen table useless."""
    return hashlib.sha256(secret.encode()).digest()


def _cache(db: Database) -> dict[str, dict[bytes, _Known]]:
    return _caches.setdefault(db.engine, {})


async def _known(db: Database, secret: str, table: type[WebSession] | type[ApiToken]) -> _Known | None:
    digest, now = _digest(secret), time.monotonic()
    cache = _cache(db).setdefault(table.__tablename__, {})
    known = cache.get(digest)
    if known is not None and known.until > now:
        return known
    async with db.reading() as session:
        row = (
            await session.execute(
                select(table, User)
                .join(User, User.id == table.user_id)
                .where(table.secret_hash == digest, table.expires_at > datetime.now(UTC), User.active)
            )
        ).one_or_none()
        if row is None:
            cache.pop(digest, None)
            return None
        held, user = row
        actor = await actor_of_user(session, user)
    if isinstance(held, WebSession):
        actor = replace(actor, address=held.address)
    if len(cache) >= CACHE_SIZE:
        cache.clear()
    known = cache[digest] = _Known(actor, getattr(held, "form_token", ""), now + CACHE_SECONDS)
    return known
