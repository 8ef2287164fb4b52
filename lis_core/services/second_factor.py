"""The second factor: codes of an authenticator application (TOTP, RFC 6238), and codes for the day it is lost.

A code is taken once: its 30-second step must be later than that of the last code taken. The key is sealed
(`secret_box`), recovery codes are kept as digests. Security keys are in `security_keys`.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

import pyotp
from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.account_rules import AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.secret_box import SecretBox
from lis_core.services.sessions import digest
from lis_core.storage.database import Work
from lis_core.storage.tables import AccountSecurity, KnownDevice, PendingProof, RecoveryCode, SecurityKey

STEP_SECONDS = 30
DRIFT_STEPS = 1
"""Clocks of telephones may be one step off, either way."""
RECOVERY_CODES = 10
ENROLMENT_LENGTH = timedelta(minutes=15)
ISSUER = "Numune"
LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of codes that people copy from paper: nothing that looks like something else."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What a user has beside his password."""

    totp: bool
    keys: int
    recovery_left: int

    @property
    def any(self) -> bool:
        return self.totp or self.keys > 0


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A TOTP key that its owner still has to prove. proof: names it in the form; uri: what the QR code says."""

    proof: str
    secret: str
    uri: str


async def factors_of(session: AsyncSession, user_id: int) -> Factors:
    """What this user can prove himself with."""
    row = await session.get(AccountSecurity, user_id)
    keys = await session.scalar(select(func.count()).where(SecurityKey.user_id == user_id))
    left = await session.scalar(
        select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    )
    return Factors(row is not None and row.totp_confirmed_at is not None, keys or 0, left or 0)


async def security_of(work: Work, user_id: int) -> AccountSecurity:
    """The user's row, made where there is none, locked."""
    await work.session.execute(insert(AccountSecurity).values(user_id=user_id).on_conflict_do_nothing())
    return (
        await work.session.scalars(
            select(AccountSecurity)
            .where(AccountSecurity.user_id == user_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


# -- the authenticator application


async def begin_totp(work: Work, user_id: int, username: str, box: SecretBox) -> Enrolment:
    """A new key. It counts for nothing until `confirm_totp`; a key in use stays in use until then."""
    secret, proof = pyotp.random_base32(32), secrets.token_urlsafe(24)
    await work.session.execute(delete(PendingProof).where(PendingProof.expires_at < work.now))
    sealed = base64.b64encode(box.seal(secret.encode(), _about(user_id))).decode()
    work.session.add(
        PendingProof(
            secret_hash=digest(proof),
            kind="totp",
            facts={"kullanici": user_id, "anahtar": sealed},
            expires_at=work.now + ENROLMENT_LENGTH,
        )
    )
    return _enrolment(proof, secret, username)


async def resume_totp(session: AsyncSession, user_id: int, username: str, proof: str, box: SecretBox) -> Enrolment:
    """The same key again, for a page that is shown once more. Raises BAD_CODE where it is not waiting any more."""
    row = await session.scalar(select(PendingProof).where(_waiting(proof, "totp")))
    secret = _opened(row, user_id, box)
    if secret is None:
        raise NumuneError(errors.BAD_CODE)
    return _enrolment(proof, secret, username)


async def confirm_totp(work: Work, user_id: int, proof: str, code: str, box: SecretBox) -> None:
    """The application shows the right code: from now on it is asked for. Raises BAD_CODE."""
    row = await work.session.scalar(select(PendingProof).where(_waiting(proof, "totp")).with_for_update())
    secret = _opened(row, user_id, box)
    step = _step_of(secret, code, work, after=0) if secret else None
    if row is None or secret is None or step is None:
        raise NumuneError(errors.BAD_CODE)
    security = await security_of(work, user_id)
    security.totp_secret = box.seal(secret.encode(), _about(user_id))
    security.totp_confirmed_at, security.totp_last_step = work.now, step
    await work.session.delete(row)
    work.audit("ikinci_asama", "kullanici", user_id, None, {"yontem": "uygulama", "is": "eklendi"})


async def check_totp(work: Work, user_id: int, code: str, box: SecretBox) -> bool:
    """True where this is a code of the user's application that was not used before, and none older than it was."""
    security = await security_of(work, user_id)
    if security.totp_secret is None or security.totp_confirmed_at is None:
        return False
    opened = box.open(security.totp_secret, _about(user_id))
    step = _step_of(opened.decode(), code, work, after=security.totp_last_step) if opened else None
    if step is None:
        return False
    security.totp_last_step = step
    return True


def _step_of(secret: str, code: str, work: Work, *, after: int) -> int | None:
    """The step whose code this is, later than `after`. Every step is compared, so that time tells nothing."""
    given = "".join(sign for sign in code if sign.isascii() and sign.isdigit())
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    now = _step_now(work)
    found = None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step), given) and step > after:
            found = step
    return found


def _step_now(work: Work) -> int:
    return int(work.now.timestamp()) // STEP_SECONDS


def _waiting(proof: str, kind: str) -> ColumnElement[bool]:
    return and_(
        PendingProof.secret_hash == digest(proof), PendingProof.kind == kind, PendingProof.expires_at > func.now()
    )


def _opened(row: PendingProof | None, user_id: int, box: SecretBox) -> str | None:
    if row is None or row.facts.get("kullanici") != user_id:
        return None
    opened = box.open(base64.b64decode(row.facts["anahtar"]), _about(user_id))
    return opened.decode() if opened else None


def _enrolment(proof: str, secret: str, username: str) -> Enrolment:
    return Enrolment(proof, secret, pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER))


def _about(user_id: int) -> str:
    return f"totp:{user_id}"


# -- recovery codes


def readable_code(groups: int, size: int) -> str:
    """A random code for paper: `7K3M-...`; about 4.9 bits a letter."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(size)) for _ in range(groups))


def plain_code(code: str) -> str:
    """As it was written down: small letters, blanks and dashes do not matter."""
    return "".join(sign for sign in code.upper() if sign in LETTERS)


async def new_recovery_codes(work: Work, user_id: int) -> list[str]:
    """Ten codes, shown once; the old ones are void."""
    await work.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [readable_code(4, 4) for _ in range(RECOVERY_CODES)]
    work.session.add_all(RecoveryCode(user_id=user_id, code_hash=digest(plain_code(code))) for code in codes)
    work.audit("ikinci_asama", "kullanici", user_id, None, {"yontem": "kurtarma kodu", "is": "uretildi"})
    return codes


async def use_recovery_code(work: Work, user_id: int, code: str) -> bool:
    """True where the code is one of his and unused; it is used now."""
    plain = plain_code(code)
    used = await work.session.scalar(
        update(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == digest(plain), RecoveryCode.used_at.is_(None))
        .values(used_at=work.now)
        .returning(RecoveryCode.id)
    )
    if used is not None:
        work.audit("ikinci_asama", "kullanici", user_id, None, {"yontem": "kurtarma kodu", "is": "kullanildi"})
    return used is not None


# -- taking away


async def remove_totp(work: Work, user_id: int, rules: AccountRules, names: Collection[str]) -> None:
    """Forget the application. Raises LAST_FACTOR where his role needs one and this is the last, NOT_FOUND."""
    factors = await factors_of(work.session, user_id)
    if not factors.totp:
        raise NumuneError(errors.NOT_FOUND, what="Doğrulama uygulaması")
    check_last(factors.keys, rules, names)
    security = await security_of(work, user_id)
    security.totp_secret = security.totp_confirmed_at = None
    await _distrust(work, user_id)
    work.audit("ikinci_asama", "kullanici", user_id, {"yontem": "uygulama"}, {"is": "silindi"})


def check_last(others: int, rules: AccountRules, names: Collection[str]) -> None:
    """Raises LAST_FACTOR where a second factor is required and no other is left."""
    if others == 0 and rules.needs_second_factor(names):
        raise NumuneError(errors.LAST_FACTOR)


async def reset_factors(work: Work, user_id: int) -> None:
    """An administrator takes everything away, for somebody who lost it; where required he enrols anew.

    Raises NOT_ALLOWED.
    """
    work.actor.must(P.USER_MANAGE)
    security = await security_of(work, user_id)
    security.totp_secret = security.totp_confirmed_at = None
    await work.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    await work.session.execute(delete(SecurityKey).where(SecurityKey.user_id == user_id))
    await _distrust(work, user_id)
    work.audit("ikinci_asama", "kullanici", user_id, None, {"is": "sifirlandi"})


async def _distrust(work: Work, user_id: int) -> None:
    await work.session.execute(update(KnownDevice).where(KnownDevice.user_id == user_id).values(trusted_until=None))
