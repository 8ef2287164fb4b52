"""Access for support staff: given by the hospital, for a reason, for hours, by a single-use password (annex 1, 5.14).

A support account has no password of its own. A grant makes one; the first sign-in uses it up, and the session that it
opened ends with the grant, or when the hospital takes the grant back. Nothing that outlives a session (passwords, keys,
tokens) can be made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.account_rules import AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.second_factor import plain_code, readable_code
from lis_core.services.sessions import digest
from lis_core.storage.database import Work
from lis_core.storage.tables import AccountSecurity, SupportGrant, User, WebSession
from lis_core.storage.tables.accounts import AccountKind


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A grant as the screen lists it. state: words; open: it can still be used, or what it opened still runs."""

    id: int
    reason: str
    granted_by: str
    starts_at: datetime
    ends_at: datetime
    used_at: datetime | None
    state: str
    open: bool


async def grant_access(work: Work, user_id: int, reason: str, hours: int, rules: AccountRules) -> str:
    """The single-use password, shown once. hours from now. Raises NOT_ALLOWED, BAD_GRANT."""
    work.actor.must(P.USER_MANAGE)
    reason = reason.strip()[:300]
    if not reason:
        raise NumuneError(errors.BAD_GRANT, problem="neden yazılmalıdır")
    if not 1 <= hours <= rules.destek_en_cok_saat:
        raise NumuneError(errors.BAD_GRANT, problem=f"süre 1-{rules.destek_en_cok_saat} saat olmalıdır")
    user = await work.session.get(User, user_id)
    security = await work.session.get(AccountSecurity, user_id)
    if user is None or not user.active or security is None or security.kind is not AccountKind.SUPPORT:
        raise NumuneError(errors.BAD_GRANT, problem="bu kullanıcı destek hesabı değil")
    if user_id == work.actor.user_id:
        raise NumuneError(errors.BAD_GRANT, problem="kimse kendine izin veremez")
    password = readable_code(4, 5)
    row = SupportGrant(
        user_id=user_id,
        reason=reason,
        secret_hash=digest(plain_code(password)),
        granted_by_id=work.actor.user_id,
        starts_at=work.now,
        ends_at=work.now + timedelta(hours=hours),
    )
    work.session.add(row)
    await work.session.flush()
    work.audit(
        "destek_izni",
        "kullanici",
        user_id,
        None,
        {"destek_erisimi": row.id, "neden": reason, "bitis": row.ends_at.isoformat()},
    )
    return password


async def use_grant(work: Work, user_id: int, password: str) -> SupportGrant | None:
    """The grant that this password opens, used up by this call; None where there is none."""
    return await work.session.scalar(
        update(SupportGrant)
        .where(
            SupportGrant.user_id == user_id,
            SupportGrant.secret_hash == digest(plain_code(password)),
            SupportGrant.used_at.is_(None),
            SupportGrant.revoked_at.is_(None),
            SupportGrant.starts_at <= work.now,
            SupportGrant.ends_at > work.now,
        )
        .values(used_at=work.now)
        .returning(SupportGrant)
    )


async def revoke_grant(work: Work, grant_id: int) -> int:
    """End a grant and what it opened, now; the support user's number. Raises NOT_ALLOWED, NOT_FOUND."""
    work.actor.must(P.USER_MANAGE)
    row = await work.session.get(SupportGrant, grant_id, with_for_update=True)
    if row is None or row.revoked_at is not None or row.ends_at <= work.now:
        raise NumuneError(errors.NOT_FOUND, what="Açık destek erişimi")
    row.revoked_at = work.now
    await work.session.execute(update(WebSession).where(WebSession.grant_id == grant_id).values(expires_at=work.now))
    work.audit("destek_izni_iptal", "kullanici", row.user_id, {"destek_erisimi": row.id}, None)
    return row.user_id


async def grants_of(session: AsyncSession, user_id: int, now: datetime) -> Sequence[GrantLine]:
    """Grants of a support account, newest first."""
    rows = await session.execute(
        select(SupportGrant, User)
        .join(User, User.id == SupportGrant.granted_by_id)
        .where(SupportGrant.user_id == user_id)
        .order_by(SupportGrant.id.desc())
        .limit(50)
    )
    return [_line(grant, giver, now) for grant, giver in rows]


def _line(grant: SupportGrant, giver: User, now: datetime) -> GrantLine:
    if grant.revoked_at is not None:
        state = "geri alındı"
    elif grant.ends_at <= now:
        state = "bitti" if grant.used_at else "kullanılmadan bitti"
    else:
        state = "kullanıldı, açık" if grant.used_at else "bekliyor"
    return GrantLine(
        grant.id,
        grant.reason,
        giver.full_name,
        grant.starts_at,
        grant.ends_at,
        grant.used_at,
        state,
        grant.revoked_at is None and grant.ends_at > now,
    )
