"""Browsers in which somebody signed in before. One browser is one secret, whoever sits at it: PCs are shared here.

The secret is made anew at every finished sign-in, so that one planted from outside is worth nothing afterwards.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.services.sessions import Visitor, browser_words, digest
from lis_core.storage.database import Work
from lis_core.storage.tables import KnownDevice, User

REMEMBERED = timedelta(days=400)
MOST_DEVICES = 20


async def device_of(session: AsyncSession, username: str, visitor: Visitor, now: datetime) -> KnownDevice | None:
    """The record of this browser for this user."""
    if not visitor.device:
        return None
    return await session.scalar(
        select(KnownDevice)
        .join(User, User.id == KnownDevice.user_id)
        .where(
            KnownDevice.secret_hash == digest(visitor.device),
            User.username == username,
            KnownDevice.used_at > now - REMEMBERED,
        )
    )


async def remember_device(work: Work, user_id: int, visitor: Visitor, trusted_until: datetime | None) -> str:
    """The new secret of this browser for its cookie. trusted_until: no second factor until then; None = as it was."""
    secret = secrets.token_urlsafe(32)
    if visitor.device:
        await work.session.execute(
            update(KnownDevice)
            .where(KnownDevice.secret_hash == digest(visitor.device))
            .values(secret_hash=digest(secret))
        )
    row = await work.session.scalar(
        select(KnownDevice).where(KnownDevice.secret_hash == digest(secret), KnownDevice.user_id == user_id)
    )
    if row is None:
        await _make_room(work, user_id)
        row = KnownDevice(secret_hash=digest(secret), user_id=user_id)
        work.session.add(row)
    row.browser, row.used_at = browser_words(visitor.agent), work.now
    if trusted_until is not None:
        row.trusted_until = trusted_until
    await work.session.flush()
    return secret


async def _make_room(work: Work, user_id: int) -> None:
    kept = (
        select(KnownDevice.id)
        .where(KnownDevice.user_id == user_id)
        .order_by(KnownDevice.used_at.desc())
        .limit(MOST_DEVICES - 1)
    )
    await work.session.execute(delete(KnownDevice).where(KnownDevice.user_id == user_id, KnownDevice.id.not_in(kept)))


async def forget_devices(work: Work, user_id: int) -> None:
    """No browser of this user is known any more."""
    await work.session.execute(delete(KnownDevice).where(KnownDevice.user_id == user_id))
