"""API clients: programs with a name, a purpose, scopes and tokens of their own (never a person's password).

A token is `nmn_<prefix>_<secret>`: the prefix finds it, its SHA-256 proves it. It ends by itself; a new one can be made
while the old one still works for a while, so that nobody has to stop anything.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.account_rules import AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P, Rights
from lis_core.domain.turkish import search_key
from lis_core.services.passwords import CLOSED
from lis_core.services.rights import rights_book, rights_of
from lis_core.services.sessions import digest
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import AccountSecurity, ApiClient, ClientToken, User
from lis_core.storage.tables.accounts import AccountKind

MARK = "nmn"
_TOKEN = re.compile(r"nmn_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
LONGEST_OVERLAP = timedelta(days=30)
USED_EVERY = timedelta(seconds=60)
"""The time of the last use is written at most this often."""


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token as the screen lists it; never the token itself."""

    id: int
    shown: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    used_from: str
    state: str


@dataclass(frozen=True, slots=True)
class ClientLine:
    """A client with its tokens, newest first."""

    id: int
    name: str
    purpose: str
    username: str
    scopes: list[str]
    active: bool
    tokens: list[TokenLine]


async def create_client(work: Work, name: str, purpose: str, scopes: Collection[str]) -> ApiClient:
    """A client and the user that it acts as, which nobody can sign in as.

    Raises NOT_ALLOWED, BAD_CLIENT, USERNAME_TAKEN. The user has no rights yet: they are given like anybody's; `scopes`
    limits them further.
    """
    work.actor.must(P.USER_MANAGE)
    name = name.strip()
    if not 3 <= len(name) <= 50:
        raise NumuneError(errors.BAD_CLIENT, problem="ad 3-50 karakter olmalıdır")
    if not scopes:
        raise NumuneError(errors.BAD_CLIENT, problem="en az bir kapsam seçilmelidir")
    username = "istemci." + re.sub(r"[^a-z0-9]+", "-", search_key(name)).strip("-")
    if await work.session.scalar(
        select(User.id).where(User.username == username).union(select(ApiClient.id).where(ApiClient.name == name))
    ):
        raise NumuneError(errors.USERNAME_TAKEN, username=username)
    user = User(username=username, given_name=name, family_name="(istemci)", password_hash=CLOSED)
    work.session.add(user)
    await work.session.flush()
    work.session.add(AccountSecurity(user_id=user.id, kind=AccountKind.CLIENT))
    client = ApiClient(
        name=name,
        purpose=purpose.strip()[:300],
        user_id=user.id,
        scopes=sorted(set(scopes)),
        created_by_id=work.actor.user_id,
    )
    work.session.add(client)
    await work.session.flush()
    facts = {"ad": name, "kullanici": username, "kapsamlar": client.scopes}
    work.audit("istemci_ekleme", "api_istemcisi", client.id, None, facts)
    return client


async def issue_token(work: Work, client_id: int, days: int, rules: AccountRules) -> str:
    """A token, shown once. Raises NOT_ALLOWED, NOT_FOUND, BAD_CLIENT."""
    work.actor.must(P.USER_MANAGE)
    client = await _client(work, client_id)
    if not 1 <= days <= rules.istemci_belirteci_gun:
        raise NumuneError(errors.BAD_CLIENT, problem=f"süre 1-{rules.istemci_belirteci_gun} gün olmalıdır")
    prefix = secrets.token_hex(6)
    token = f"{MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    row = ClientToken(
        client_id=client.id,
        prefix=prefix,
        secret_hash=digest(token),
        created_by_id=work.actor.user_id,
        expires_at=work.now + timedelta(days=days),
    )
    work.session.add(row)
    await work.session.flush()
    work.audit(
        "belirtec_verme",
        "api_istemcisi",
        client.id,
        None,
        {"belirtec": prefix, "bitis": row.expires_at.isoformat()},
    )
    return token


async def rotate_token(work: Work, client_id: int, days: int, overlap: timedelta, rules: AccountRules) -> str:
    """A new token; those before it end after `overlap` at the latest. Raises NOT_ALLOWED, NOT_FOUND, BAD_CLIENT."""
    work.actor.must(P.USER_MANAGE)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise NumuneError(errors.BAD_CLIENT, problem=f"geçiş süresi en çok {LONGEST_OVERLAP.days} gün olabilir")
    await _client(work, client_id)
    last = work.now + overlap
    shortened = await work.session.scalars(
        update(ClientToken)
        .where(ClientToken.client_id == client_id, ClientToken.revoked_at.is_(None), ClientToken.expires_at > last)
        .values(expires_at=last)
        .returning(ClientToken.prefix)
    )
    work.audit(
        "belirtec_yenileme",
        "api_istemcisi",
        client_id,
        {"belirtecler": sorted(shortened.all())},
        {"eskilerin_bitisi": last.isoformat()},
    )
    return await issue_token(work, client_id, days, rules)


async def revoke_token(work: Work, client_id: int, token_id: int) -> None:
    """A token ends now. Raises NOT_ALLOWED, NOT_FOUND."""
    work.actor.must(P.USER_MANAGE)
    row = await work.session.get(ClientToken, token_id, with_for_update=True)
    if row is None or row.client_id != client_id or row.revoked_at is not None:
        raise NumuneError(errors.NOT_FOUND, what="Belirteç")
    row.revoked_at = work.now
    work.audit("belirtec_iptal", "api_istemcisi", row.client_id, {"belirtec": row.prefix}, None)


async def close_client(work: Work, client_id: int) -> None:
    """The client and all its tokens end now. Raises NOT_ALLOWED, NOT_FOUND."""
    work.actor.must(P.USER_MANAGE)
    client = await _client(work, client_id)
    client.active = False
    await work.session.execute(
        update(ClientToken)
        .where(ClientToken.client_id == client_id, ClientToken.revoked_at.is_(None))
        .values(revoked_at=work.now)
    )
    work.audit("istemci_kapatma", "api_istemcisi", client_id, {"aktif": True}, {"aktif": False})


async def _client(work: Work, client_id: int) -> ApiClient:
    client = await work.session.get(ApiClient, client_id, with_for_update=True)
    if client is None or not client.active:
        raise NumuneError(errors.NOT_FOUND, what="İstemci")
    return client


def looks_like_client_token(token: str) -> bool:
    """True for a token of a client, false for a person's: they are looked up in different tables."""
    return token.startswith(MARK + "_")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token it is, before his rights are read."""

    user: User
    scopes: frozenset[str]


async def client_of(db: Database, token: str, address: str) -> Bearer | None:
    """The client behind a token; None where it is unknown, ended, revoked or its client closed."""
    shape = _TOKEN.fullmatch(token)
    if shape is None:
        return None
    async with db.reading() as session:
        found = (
            await session.execute(
                select(ClientToken, ApiClient, User)
                .join(ApiClient, ApiClient.id == ClientToken.client_id)
                .join(User, User.id == ApiClient.user_id)
                .where(ClientToken.prefix == shape[1])
            )
        ).one_or_none()
    if found is None:
        return None
    row, client, user = found
    now = datetime.now(UTC)
    good = hmac.compare_digest(row.secret_hash, digest(token)) and row.expires_at > now and row.revoked_at is None
    if not (good and client.active and user.active):
        return None
    if row.used_at is None or now - row.used_at > USED_EVERY or row.used_from != address:
        async with db.work(Actor(name=user.username, user_id=user.id, address=address)) as work:
            await work.session.execute(
                update(ClientToken).where(ClientToken.id == row.id).values(used_at=now, used_from=address)
            )
    return Bearer(user, frozenset(client.scopes))


async def scoped_rights(session: AsyncSession, user_id: int, scopes: frozenset[str]) -> Rights:
    """What the client's user may, cut down to the client's scopes. A prohibition stays one, in a scope or not."""
    book = await rights_book(session)
    person = (await rights_of(session, user_id)).person
    grants = [grant for grant in book.grants_of(user_id) if grant.prohibits or grant.permission.value in scopes]
    return Rights(grants, person, book.places, givers=book.givers)


async def clients(session: AsyncSession, now: datetime) -> Sequence[ClientLine]:
    """Every client with its tokens, open ones first."""
    rows = (
        await session.execute(
            select(ApiClient, User.username)
            .join(User, User.id == ApiClient.user_id)
            .order_by(ApiClient.active.desc(), ApiClient.name)
        )
    ).all()
    found = (await session.scalars(select(ClientToken).order_by(ClientToken.id.desc()))).all()
    return [
        ClientLine(
            client.id,
            client.name,
            client.purpose,
            username,
            list(client.scopes),
            client.active,
            [_line(token, now) for token in found if token.client_id == client.id],
        )
        for client, username in rows
    ]


def _line(token: ClientToken, now: datetime) -> TokenLine:
    state = "iptal" if token.revoked_at else "bitti" if token.expires_at <= now else "geçerli"
    return TokenLine(
        token.id,
        f"{MARK}_{token.prefix}_…",
        token.created_at,
        token.expires_at,
        token.used_at,
        token.used_from,
        state,
    )
