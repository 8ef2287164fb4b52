"""Sessions of browsers: kept on the server, bound to one browser, listed and ended.

The cookie holds a random secret, the table its SHA-256. Every step of signing in and every change of the password gets
a new secret: what somebody may have planted or seen before is worth nothing after. A session that has not proved
everything yet (`Stage`) opens nothing but the page of its next step.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lis_core.domain import errors
from lis_core.domain.account_rules import DEFAULT_RULES, AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.services.employment import today, works_on
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import ApiToken, SupportGrant, User, WebSession

PENDING_LENGTH = timedelta(minutes=10)
"""So long a half-done sign-in waits for its next step."""
WRONG_CODES = 5
"""After so many wrong codes a half-done sign-in starts again at the password."""
TOUCH_SECONDS = 60
"""The time of the last request is written at most this often."""
CACHE_SIZE = 10_000


class Stage(StrEnum):
    """What a session still has to prove; the words stand in the database."""

    FULL = "tam"
    SECOND = "ikinci"
    """The second factor."""
    ENROL = "kurulum"
    """A second factor is required and there is none yet."""
    PASSWORD = "parola"
    """A new password."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks, before he is known: address, the browser's own words, the cookie of a known browser."""

    address: str = ""
    agent: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just made: the secret goes into the cookie, the token into the forms of its pages."""

    secret: str
    form_token: str
    stage: Stage
    session_id: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a secret stands for."""

    actor: Actor
    form_token: str
    stage: Stage
    session_id: int
    method: str
    proved_at: datetime
    grant_id: int | None
    agent_hash: bytes
    until: float = 0.0
    """Monotonic time until which this may be believed without asking the database."""


def digest(secret: str) -> bytes:
    """Secrets are random and long, so a plain SHA-256 keeps a stolen table useless."""
    return hashlib.sha256(secret.encode()).digest()


def agent_digest(agent: str) -> bytes:
    """The browser without its version numbers: an update in the night ends nobody's session."""
    return hashlib.sha256(re.sub(r"[\d._]+", "", agent).encode()).digest()


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def browser_words(agent: str) -> str:
    """`Chrome, Windows`: enough to know one's own browser in a list."""
    browser = next((name for sign, name in _BROWSERS if sign in agent), "Bilinmeyen tarayıcı")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "")
    return f"{browser}, {system}" if system else browser


# -- opening and going on


async def open_session(
    work: Work,
    user_id: int,
    visitor: Visitor,
    stage: Stage,
    method: str,
    *,
    rules: AccountRules = DEFAULT_RULES,
    device_id: int | None = None,
    grant: SupportGrant | None = None,
) -> Opened:
    """A new session of this user, and the ended ones of his forgotten."""
    await work.session.execute(
        delete(WebSession).where(WebSession.user_id == user_id, WebSession.expires_at < work.now)
    )
    length = rules.session_length if stage is Stage.FULL else PENDING_LENGTH
    expires_at = work.now + length
    if grant is not None:
        expires_at = min(expires_at, grant.ends_at)
    secret, form_token = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    row = WebSession(
        secret_hash=digest(secret),
        user_id=user_id,
        form_token=form_token,
        expires_at=expires_at,
        address=visitor.address,
        stage=stage.value,
        method=method,
        agent_hash=agent_digest(visitor.agent),
        browser=browser_words(visitor.agent),
        used_at=work.now,
        proved_at=work.now,
        device_id=device_id,
        grant_id=grant.id if grant else None,
    )
    work.session.add(row)
    await work.session.flush()
    return Opened(secret, form_token, stage, row.id)


async def next_session(
    work: Work, session_id: int, visitor: Visitor, stage: Stage, method: str, *, rules: AccountRules = DEFAULT_RULES
) -> Opened:
    """Go on from a session with a new one; the old secret opens nothing any more. Raises NOT_SIGNED_IN."""
    old = await work.session.scalar(select(WebSession).where(WebSession.id == session_id).with_for_update())
    if old is None or old.expires_at <= work.now:
        raise NumuneError(errors.NOT_SIGNED_IN)
    grant = await work.session.get(SupportGrant, old.grant_id) if old.grant_id else None
    opened = await open_session(
        work, old.user_id, visitor, stage, method, rules=rules, device_id=old.device_id, grant=grant
    )
    await work.session.delete(old)
    await work.session.flush()
    return opened


# -- who is behind a secret


_caches: WeakKeyDictionary[AsyncEngine, dict[bytes, Held]] = WeakKeyDictionary()


def cache_of(db: Database) -> dict[bytes, Held]:
    """What this process knows of sessions, by digest."""
    return _caches.setdefault(db.engine, {})


def forget(db: Database, user_id: int | None = None, *, keep: str | None = None) -> None:
    """Ask the database anew about the sessions of this user (None: of everybody) in this process."""
    cache = cache_of(db)
    spared = digest(keep) if keep else None
    for key in [key for key, held in cache.items() if user_id is None or held.actor.user_id == user_id]:
        if key != spared:
            cache.pop(key, None)


def open_now(now: datetime, rules: AccountRules) -> ColumnElement[bool]:
    """Condition on `WebSession` joined with `User` and (outer) `SupportGrant`: it still opens something."""
    return and_(
        WebSession.expires_at > now,
        WebSession.used_at > now - rules.idle_length,
        User.active,
        works_on(User.id.expression, today(now)),
        or_(WebSession.grant_id.is_(None), and_(SupportGrant.revoked_at.is_(None), SupportGrant.ends_at > now)),
    )


async def find(session: AsyncSession, secret: str, rules: AccountRules) -> tuple[WebSession, User] | None:
    """The row behind a secret and its user, where it is open."""
    row = (
        await session.execute(
            select(WebSession, User)
            .join(User, User.id == WebSession.user_id)
            .outerjoin(SupportGrant, SupportGrant.id == WebSession.grant_id)
            .where(WebSession.secret_hash == digest(secret), open_now(datetime.now(UTC), rules))
        )
    ).one_or_none()
    return (row[0], row[1]) if row else None


def held_of(row: WebSession, actor: Actor, seconds: float) -> Held:
    """What is remembered of an open session for so many seconds."""
    return Held(
        actor=replace(actor, address=row.address),
        form_token=row.form_token,
        stage=Stage(row.stage),
        session_id=row.id,
        method=row.method,
        proved_at=row.proved_at,
        grant_id=row.grant_id,
        agent_hash=row.agent_hash,
        until=time.monotonic() + seconds,
    )


async def touch(db: Database, row: WebSession, actor: Actor) -> None:
    """Somebody used it; written at most once a minute."""
    now = datetime.now(UTC)
    if now - row.used_at < timedelta(seconds=TOUCH_SECONDS):
        return
    async with db.work(actor) as work:
        await work.session.execute(update(WebSession).where(WebSession.id == row.id).values(used_at=now))


async def refuse_stolen(db: Database, held: Held, visitor: Visitor) -> None:
    """A secret came from another browser than its own: end the session, so that the thief has nothing either."""
    user = replace(held.actor, address=visitor.address)
    async with db.work(user) as work:
        await work.session.execute(delete(WebSession).where(WebSession.id == held.session_id))
        work.audit(
            "oturum_reddi",
            "kullanici",
            user.user_id,
            None,
            {"oturum": held.session_id, "neden": "baska tarayici", "tarayici": browser_words(visitor.agent)},
        )
    forget(db, user.user_id)


# -- listing and ending


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One open session as its owner sees it."""

    id: int
    browser: str
    address: str
    method: str
    opened_at: datetime
    used_at: datetime
    expires_at: datetime


async def sessions_of(session: AsyncSession, user_id: int, rules: AccountRules) -> Sequence[SessionLine]:
    """Open sessions of a user, the one used last first."""
    rows = await session.scalars(
        select(WebSession)
        .join(User, User.id == WebSession.user_id)
        .outerjoin(SupportGrant, SupportGrant.id == WebSession.grant_id)
        .where(WebSession.user_id == user_id, WebSession.stage == Stage.FULL.value, open_now(datetime.now(UTC), rules))
        .order_by(WebSession.used_at.desc())
    )
    return [
        SessionLine(r.id, r.browser, r.address, r.method, r.created_at, r.used_at, r.expires_at) for r in rows.all()
    ]


async def end_session(db: Database, actor: Actor, user_id: int, session_id: int) -> None:
    """End one session of this user. Raises NOT_FOUND, also for somebody else's."""
    async with db.work(actor) as work:
        gone = await work.session.scalar(
            delete(WebSession)
            .where(WebSession.id == session_id, WebSession.user_id == user_id)
            .returning(WebSession.id)
        )
        if gone is None:
            raise NumuneError(errors.NOT_FOUND, what="Oturum")
        work.audit("oturum_sonlandirma", "kullanici", user_id, {"oturum": session_id}, None)
    forget(db, user_id)


async def end_others(db: Database, actor: Actor, user_id: int, keep: int | None) -> int:
    """End every session of this user but `keep`; how many."""
    async with db.work(actor) as work:
        count = await end_all(work, user_id, keep=keep)
    forget(db, user_id)
    return count


async def end_all(work: Work, user_id: int, *, keep: int | None = None, tokens: bool = False) -> int:
    """Within a unit of work; the caller calls `forget` after it. tokens: his bearer tokens too."""
    gone = (
        await work.session.scalars(
            delete(WebSession)
            .where(WebSession.user_id == user_id, WebSession.id.is_distinct_from(keep))
            .returning(WebSession.id)
        )
    ).all()
    if tokens:
        await work.session.execute(delete(ApiToken).where(ApiToken.user_id == user_id))
    if gone:
        work.audit("oturum_sonlandirma", "kullanici", user_id, {"oturumlar": sorted(gone)}, None)
    return len(gone)
