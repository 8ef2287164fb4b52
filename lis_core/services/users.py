"""Who is behind a session or a token, and what signing in knows of a user.

How somebody proves who he is: `signing_in`. What he may do then: `rights`.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lis_core.domain import errors
from lis_core.domain.account_rules import DEFAULT_RULES, AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import NO_RIGHTS
from lis_core.services import sessions, tokens
from lis_core.services.employment import today, works_on
from lis_core.services.passwords import hash_password
from lis_core.services.rights import rights_of, with_rights
from lis_core.services.sessions import CACHE_SIZE, Held, Stage, Visitor, cache_of, digest
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import AccountSecurity, ApiToken, OldPassword, Physician, User, WebSession

CACHE_SECONDS = 5.0
"""How long a closed session may still hold in another process. Rights are of the moment, always."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The owner of a bearer token in the cache, until `until` (monotonic seconds)."""

    actor: Actor
    until: float


_tokens: WeakKeyDictionary[AsyncEngine, dict[bytes, _Known]] = WeakKeyDictionary()
"""For each database: digest of a person's bearer token -> who. A token is never taken for a session."""


async def session_behind(
    db: Database,
    secret: str,
    visitor: Visitor | None = None,
    rules: AccountRules = DEFAULT_RULES,
    *,
    idle: bool = False,
) -> Held | None:
    """What this secret stands for, finished or not; None where it is unknown or ended, its user passive or absent.

    A secret that comes from another browser than its own ends the session. idle: a page renews itself, nobody works.
    """
    visitor = visitor or Visitor()
    key, cache = digest(secret), cache_of(db)
    held = cache.get(key)
    if held is None or held.until < time.monotonic():
        cache.pop(key, None)
        async with db.reading() as session:
            found = await sessions.find(session, secret, rules)
            if found is None:
                return None
            actor = await actor_of_user(session, found[1])
        held = sessions.held_of(found[0], actor, CACHE_SECONDS)
        if not idle:
            await sessions.touch(db, found[0], held.actor)
        if len(cache) >= CACHE_SIZE:
            cache.clear()
        cache[key] = held
    if not hmac.compare_digest(held.agent_hash, sessions.agent_digest(visitor.agent)):
        await sessions.refuse_stolen(db, held, visitor)
        return None
    if held.stage is not Stage.FULL:  # somebody who has not proved everything may nothing
        return replace(held, actor=replace(held.actor, rights=NO_RIGHTS))
    return replace(held, actor=await with_rights(db, held.actor))


async def actor_of_session(
    db: Database, secret: str, visitor: Visitor | None = None, rules: AccountRules = DEFAULT_RULES
) -> tuple[Actor, str] | None:
    """Who is behind a session that has proved everything, and its form token."""
    held = await session_behind(db, secret, visitor, rules)
    return (held.actor, held.form_token) if held and held.stage is Stage.FULL else None


async def actor_of_token(db: Database, token: str, address: str = "") -> Actor | None:
    """Who is behind a bearer token, a person's or a client's; None where it is unknown or ended, its user passive."""
    if tokens.looks_like_client_token(token):
        return await _client(db, token, address)
    key, cache = digest(token), _tokens.setdefault(db.engine, {})
    known = cache.get(key)
    if known is None or known.until < time.monotonic():
        cache.pop(key, None)
        actor = await _owner(db, key)
        if actor is None:
            return None
        if len(cache) >= CACHE_SIZE:
            cache.clear()
        known = cache[key] = _Known(actor, time.monotonic() + CACHE_SECONDS)
    return await with_rights(db, known.actor)


async def _owner(db: Database, key: bytes) -> Actor | None:
    now = datetime.now(UTC)
    async with db.reading() as session:
        user = await session.scalar(
            select(User)
            .join(ApiToken, ApiToken.user_id == User.id)
            .where(
                ApiToken.secret_hash == key,
                ApiToken.expires_at > now,
                User.active,
                works_on(User.id.expression, today(now)),
            )
        )
        return await actor_of_user(session, user) if user else None


async def _client(db: Database, token: str, address: str) -> Actor | None:
    bearer = await tokens.client_of(db, token, address)
    if bearer is None:
        return None
    async with db.reading() as session:
        actor = await actor_of_user(session, bearer.user, address)
        return replace(actor, rights=await tokens.scoped_rights(session, bearer.user.id, bearer.scopes))


def forget(db: Database, user_id: int | None = None) -> None:
    """Ask the database anew about sessions and tokens of this user (None: of everybody) in this process."""
    sessions.forget(db, user_id)
    cache = _tokens.get(db.engine, {})
    for key in [key for key, known in cache.items() if user_id is None or known.actor.user_id == user_id]:
        cache.pop(key, None)


async def sign_out(db: Database, secret: str) -> None:
    """End a session. An unknown one is ended already."""
    key, actor = digest(secret), None
    async with db.reading() as session:
        found = (
            await session.execute(
                select(User, WebSession.address)
                .join(WebSession, WebSession.user_id == User.id)
                .where(WebSession.secret_hash == key)
            )
        ).one_or_none()
        if found is not None:
            actor = await actor_of_user(session, found[0], found[1])
    if actor is not None:
        async with db.work(actor) as work:
            await work.session.execute(delete(WebSession).where(WebSession.secret_hash == key))
            work.audit("cikis", "kullanici", actor.user_id)
    cache_of(db).pop(key, None)


async def set_password(work: Work, user_id: int, password: str, *, must_change: bool = False) -> None:
    """Give a user a new password and end all of his sessions and tokens; the caller calls `forget` after it.

    The rules for passwords are the caller's matter (`accounts`). Raises NOT_FOUND.
    """
    user = await work.session.get(User, user_id)
    if user is None:
        raise NumuneError(errors.NOT_FOUND, what="Kullanıcı")
    work.session.add(OldPassword(user_id=user_id, password_hash=user.password_hash))
    user.password_hash = await hash_password(password)
    security = await work.session.get(AccountSecurity, user_id)
    if security is None:
        security = AccountSecurity(user_id=user_id)
        work.session.add(security)
    security.password_at, security.must_change = work.now, must_change
    await work.session.execute(delete(WebSession).where(WebSession.user_id == user_id))
    await work.session.execute(delete(ApiToken).where(ApiToken.user_id == user_id))
    work.audit("parola", "kullanici", user_id, None, {"kullanici_adi": user.username})


async def old_digests(session: AsyncSession, user: User, count: int) -> Sequence[str]:
    """Digests of this password and of those before it, `count` in all."""
    before = await session.scalars(
        select(OldPassword.password_hash)
        .where(OldPassword.user_id == user.id)
        .order_by(OldPassword.id.desc())
        .limit(max(0, count - 1))
    )
    return [user.password_hash, *before.all()][:count]


async def actor_of_user(session: AsyncSession, user: User, address: str = "") -> Actor:
    """The actor that this user is, with his rights of this moment, physician record and unit."""
    unit_id = None
    if user.physician_id is not None:
        unit_id = await session.scalar(select(Physician.unit_id).where(Physician.id == user.physician_id))
    return Actor(
        name=user.username,
        user_id=user.id,
        address=address,
        rights=await rights_of(session, user.id),
        physician_id=user.physician_id,
        unit_id=unit_id,
        full_name=user.full_name,
    )
