"""Which user a subject of an OpenID provider is: said by somebody who proved to be that user, or an administrator."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.storage.database import Work
from lis_core.storage.tables import ForeignIdentity, User


async def link_identity(work: Work, user_id: int, issuer: str, subject: str, name: str = "") -> None:
    """From now on this subject signs in as this user. Raises IDENTITY_TAKEN."""
    taken = await work.session.scalar(
        select(ForeignIdentity).where(ForeignIdentity.issuer == issuer, ForeignIdentity.subject == subject)
    )
    if taken is not None:
        if taken.user_id == user_id:
            return
        raise NumuneError(errors.IDENTITY_TAKEN)
    row = ForeignIdentity(
        user_id=user_id, issuer=issuer, subject=subject, name=name[:120], linked_by_id=work.actor.user_id
    )
    work.session.add(row)
    await work.session.flush()
    work.audit("kimlik_baglama", "kullanici", user_id, None, {"saglayici": issuer, "kimlik": subject})


async def unlink_identity(work: Work, user_id: int, identity_id: int) -> None:
    """This subject signs in as nobody any more. Raises NOT_FOUND."""
    row = await work.session.get(ForeignIdentity, identity_id, with_for_update=True)
    if row is None or row.user_id != user_id:
        raise NumuneError(errors.NOT_FOUND, what="Bağlı kimlik")
    await work.session.delete(row)
    work.audit("kimlik_ayirma", "kullanici", user_id, {"saglayici": row.issuer, "kimlik": row.subject}, None)


async def identities_of(session: AsyncSession, user_id: int) -> Sequence[ForeignIdentity]:
    """Identities tied to a user."""
    return (
        await session.scalars(
            select(ForeignIdentity).where(ForeignIdentity.user_id == user_id).order_by(ForeignIdentity.id)
        )
    ).all()


async def user_of_identity(work: Work, issuer: str, subject: str) -> User | None:
    """The active user that this subject is; its last use is kept."""
    found = (
        await work.session.execute(
            select(ForeignIdentity, User)
            .join(User, User.id == ForeignIdentity.user_id)
            .where(ForeignIdentity.issuer == issuer, ForeignIdentity.subject == subject, User.active)
            .with_for_update(of=ForeignIdentity)
        )
    ).one_or_none()
    if found is None:
        return None
    identity, user = found
    identity.used_at = work.now
    return user
