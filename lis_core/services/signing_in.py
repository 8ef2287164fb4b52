"""Signing in, step by step: password (or another provider), second factor, what is still missing, the session.

A wrong name and a wrong password look and last the same. What only the person himself may know (that he is on leave,
that a code is missing) is said after the right password.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.account_rules import DEFAULT_RULES, AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.services import employment, second_factor, security_keys, sessions, throttle
from lis_core.services.devices import device_of, remember_device
from lis_core.services.identities import user_of_identity
from lis_core.services.passwords import check_password
from lis_core.services.secret_box import SecretBox
from lis_core.services.security_keys import Site
from lis_core.services.sessions import Held, Opened, Stage, Visitor, digest
from lis_core.services.sign_on import Identity
from lis_core.services.support import use_grant
from lis_core.services.users import actor_of_user, forget
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import AccountSecurity, ApiToken, KnownDevice, SupportGrant, User, WebSession
from lis_core.storage.tables.accounts import AccountKind

NEVER_FRESH = timedelta(0)
LINK_LENGTH = timedelta(minutes=10)
"""So long an identity of another provider waits for its owner's confirmation."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A step that succeeded. device: new secret of the known browser's cookie, where the sign-in is finished."""

    actor: Actor
    opened: Opened
    device: str | None = None


@dataclass(frozen=True, slots=True)
class _Proof:
    """Somebody whose password (or single-use password) was right."""

    user: User
    device: KnownDevice | None
    grant: SupportGrant | None = None


async def enter(
    db: Database, username: str, password: str, visitor: Visitor, rules: AccountRules = DEFAULT_RULES
) -> Entered:
    """The first step. Raises BAD_CREDENTIALS, TOO_MANY_ATTEMPTS, ABSENT."""
    proof = await _prove(db, username, password, visitor)
    trusted = _trusted(proof.device, rules)
    method = "destek" if proof.grant else "parola+güvenilen tarayıcı" if trusted else "parola"
    actor = Actor(name=proof.user.username, user_id=proof.user.id, address=visitor.address)
    async with db.work(actor) as work:
        stage = Stage.FULL if proof.grant else await _stage(work, proof.user, rules, twice=trusted)
        opened = await sessions.open_session(
            work,
            proof.user.id,
            visitor,
            stage,
            method,
            rules=rules,
            device_id=proof.device.id if proof.device else None,
            grant=proof.grant,
        )
        return await _entered(work, proof.user, visitor, opened, method, proof.grant)


async def sign_in(
    db: Database, username: str, password: str, address: str, rules: AccountRules = DEFAULT_RULES
) -> tuple[Actor, str, str]:
    """`enter` for a user without further steps: the actor, the secret for the cookie, the token for the forms."""
    entered = await enter(db, username, password, Visitor(address), rules)
    return entered.actor, entered.opened.secret, entered.opened.form_token


async def enter_as(db: Database, identity: Identity, visitor: Visitor, rules: AccountRules = DEFAULT_RULES) -> Entered:
    """The first step for somebody whom another provider knows. Raises IDENTITY_NOT_LINKED, ABSENT."""
    async with db.work(Actor(name="tek giris", address=visitor.address)) as work:
        user = await user_of_identity(work, identity.issuer, identity.subject)
        security = await work.session.get(AccountSecurity, user.id) if user else None
        if security is not None and security.kind is not AccountKind.PERSON:
            user = None
        if user is None:
            work.audit(
                "giris_basarisiz",
                "dis_kimlik",
                identity.subject,
                None,
                {"tur": "tek giris", "saglayici": identity.issuer},
            )
    if user is None:
        raise NumuneError(errors.IDENTITY_NOT_LINKED)
    await _refuse_absent(db, user, visitor)
    actor = Actor(name=user.username, user_id=user.id, address=visitor.address)
    async with db.work(actor) as work:
        stage = await _stage(work, user, rules, twice=identity.proved_twice, password=False)
        opened = await sessions.open_session(work, user.id, visitor, stage, "tek giriş", rules=rules)
        return await _entered(work, user, visitor, opened, "tek giriş", None)


# -- the second step and those after it


async def with_code(
    db: Database, held: Held, code: str, visitor: Visitor, rules: AccountRules, box: SecretBox, *, trust: bool = False
) -> Entered:
    """The second step by a code: of the application, or a recovery code.

    Raises BAD_CODE, TOO_MANY_ATTEMPTS; NOT_SIGNED_IN after too many wrong ones: then the password is asked again.
    """
    user_id = _user_id(held)
    await throttle.count_code(db, held.actor.name, visitor.address)
    async with db.work(held.actor) as work:
        await _waiting_session(work, held)
        if await second_factor.check_totp(work, user_id, code, box):
            way = "uygulama"
        elif len(second_factor.plain_code(code)) == 16 and await second_factor.use_recovery_code(work, user_id, code):
            way = "kurtarma kodu"
        else:
            way = ""
            await _count_wrong(work, held)
    if not way:
        sessions.forget(db, user_id)
        raise NumuneError(errors.BAD_CODE)
    return await _second_done(db, held, way, visitor, rules, trust=trust)


async def with_key(
    db: Database, held: Held, answer: str, visitor: Visitor, rules: AccountRules, site: Site, *, trust: bool = False
) -> Entered:
    """The second step by a security key. Raises SECURITY_KEY_REFUSED, NOT_SIGNED_IN."""
    user_id = _user_id(held)
    problem: NumuneError | None = None
    async with db.work(held.actor) as work:
        await _waiting_session(work, held)
        try:
            await security_keys.check_key(work, user_id, answer, site)
        except NumuneError as refusal:  # the question is used up and the attempt counted, also where it failed
            problem = refusal
            await _count_wrong(work, held)
    if problem is not None:
        sessions.forget(db, user_id)
        raise problem
    return await _second_done(db, held, "anahtar", visitor, rules, trust=trust)


async def go_on(db: Database, held: Held, visitor: Visitor, rules: AccountRules) -> Entered:
    """After what was missing has been done (a factor enrolled, a password chosen): the next step, a new session."""
    return await _advance(db, held, held.method, visitor, rules, trusted_until=None)


async def _second_done(
    db: Database, held: Held, way: str, visitor: Visitor, rules: AccountRules, *, trust: bool
) -> Entered:
    days = rules.cihaz_hatirlama_gun
    until = datetime.now(UTC) + timedelta(days=days) if trust and days and way != "kurtarma kodu" else None
    return await _advance(db, held, f"{held.method}+{way}", visitor, rules, trusted_until=until)


async def _advance(
    db: Database, held: Held, method: str, visitor: Visitor, rules: AccountRules, *, trusted_until: datetime | None
) -> Entered:
    user_id = _user_id(held)
    async with db.work(held.actor) as work:
        user = await work.session.get(User, user_id)
        if user is None:
            raise NumuneError(errors.NOT_SIGNED_IN)
        stage = await _stage(work, user, rules, twice=True, password=held.method.startswith("parola"))
        opened = await sessions.next_session(work, held.session_id, visitor, stage, method, rules=rules)
        await throttle.forgive_code(work, user.username)
        entered = await _entered(work, user, visitor, opened, method, None, trusted_until)
    sessions.forget(db, user_id)
    return entered


async def _waiting_session(work: Work, held: Held) -> None:
    """The session still waits for its second factor; locked. Raises NOT_SIGNED_IN."""
    row = await work.session.scalar(select(WebSession).where(WebSession.id == held.session_id).with_for_update())
    if row is None or row.stage != Stage.SECOND.value or row.expires_at <= work.now:
        raise NumuneError(errors.NOT_SIGNED_IN)


async def _count_wrong(work: Work, held: Held) -> None:
    wrong = await work.session.scalar(
        update(WebSession)
        .where(WebSession.id == held.session_id)
        .values(wrong_codes=WebSession.wrong_codes + 1)
        .returning(WebSession.wrong_codes)
    )
    work.audit("giris_basarisiz", "kullanici", held.actor.user_id, None, {"tur": "ikinci asama", "deneme": wrong})
    if wrong is not None and wrong >= sessions.WRONG_CODES:
        await work.session.execute(delete(WebSession).where(WebSession.id == held.session_id))


async def _entered(
    work: Work,
    user: User,
    visitor: Visitor,
    opened: Opened,
    method: str,
    grant: SupportGrant | None,
    trusted_until: datetime | None = None,
) -> Entered:
    facts: dict[str, object] = {"tur": "oturum", "yontem": method, "oturum": opened.session_id}
    if grant is not None:
        facts |= {"destek_erisimi": grant.id, "bitis": grant.ends_at.isoformat()}
    device = None
    if opened.stage is Stage.FULL:
        work.audit("giris", "kullanici", user.id, None, facts)
        if grant is None:
            device = await remember_device(work, user.id, visitor, trusted_until)
    else:
        work.audit("giris_asamasi", "kullanici", user.id, None, {**facts, "bekleyen": opened.stage.value})
    return Entered(await actor_of_user(work.session, user, visitor.address), opened, device)


# -- what is still missing


async def _stage(work: Work, user: User, rules: AccountRules, *, twice: bool, password: bool = True) -> Stage:
    """What this user has to do next. twice: proved by a second factor (or a trusted browser); password: he used one."""
    factors = await second_factor.factors_of(work.session, user.id)
    if factors.any and not twice:
        return Stage.SECOND
    if not factors.any and rules.needs_second_factor(await duties_of(work.session, user.id)):
        return Stage.ENROL
    security = await work.session.get(AccountSecurity, user.id, populate_existing=True)
    if password and password_is_due(user, security, rules, work.now):
        return Stage.PASSWORD
    return Stage.FULL


def password_is_due(user: User, security: AccountSecurity | None, rules: AccountRules, now: datetime) -> bool:
    """True where the password was given by somebody else, or is too old by the institution's rule."""
    if security is not None and security.must_change:
        return True
    given = security.password_at if security and security.password_at else user.created_at
    return rules.parola_omru_gun > 0 and now - given > timedelta(days=rules.parola_omru_gun)


_DUTIES = text("""
    with recursive uyelik as (
        select * from grup_uyeligi where kaldirma_zamani is null
            and (baslangic_tarihi is null or baslangic_tarihi <= :day)
            and (bitis_tarihi is null or bitis_tarihi >= :day)
    ), icinde(grup) as (
        select yetki_grubu_kodu from uyelik where uye_kullanici_kodu = :user
        union
        select u.yetki_grubu_kodu from uyelik u join icinde on u.uye_grup_kodu = icinde.grup
    )
    select yetki_grubu_kisa_kodu from yetki_grubu join icinde on grup = yetki_grubu_kodu where aktiflik_bilgisi
""")


async def duties_of(session: AsyncSession, user_id: int) -> set[str]:
    """Codes of the groups that the user is in, also through other groups: what `ikinci_asama` may name."""
    day = employment.today(datetime.now(UTC))
    return set((await session.scalars(_DUTIES, {"user": user_id, "day": day})).all())


def _trusted(device: KnownDevice | None, rules: AccountRules) -> bool:
    until = device.trusted_until if device and rules.cihaz_hatirlama_gun else None
    return until is not None and until > datetime.now(UTC)


def _user_id(held: Held) -> int:
    if held.actor.user_id is None:
        raise NumuneError(errors.NOT_SIGNED_IN)
    return held.actor.user_id


# -- proving who somebody is


async def _prove(db: Database, username: str, password: str, visitor: Visitor, *, support: bool = True) -> _Proof:
    """Whose name and password these are. Up to the answer, every wrong pair takes the same steps."""
    name = username.strip().lower()[:60]
    async with db.reading() as session:
        device = await device_of(session, name, visitor, datetime.now(UTC))
    device_id = device.id if device else None
    await throttle.count_attempt(db, name, visitor.address, device_id)
    async with db.reading() as session:
        found = (
            await session.execute(
                select(User.id, User.password_hash, AccountSecurity.kind)
                .outerjoin(AccountSecurity, AccountSecurity.user_id == User.id)
                .where(User.username == name, User.active)
            )
        ).one_or_none()
    fits, better = await check_password(password, found.password_hash if found else None)
    user, grant = None, None
    async with db.work(Actor(name=name, address=visitor.address)) as work:
        if found is not None and support and found.kind is AccountKind.SUPPORT:
            grant = await use_grant(work, found.id, password)
            fits = grant is not None
        if found is not None and fits:
            user = await work.session.get(User, found.id)
        if user is None:
            work.audit("giris_basarisiz", "kullanici", name)
        else:
            await throttle.forgive(work, name, visitor.address, device_id)
            if better is not None:
                user.password_hash = better
    if user is None:
        raise NumuneError(errors.BAD_CREDENTIALS)
    await _refuse_absent(db, user, visitor)
    return _Proof(user, device, grant)


async def _refuse_absent(db: Database, user: User, visitor: Visitor) -> None:
    """Raises ABSENT for somebody who does not work today (4.8.11, 4.8.13)."""
    async with db.work(Actor(name=user.username, user_id=user.id, address=visitor.address)) as work:
        absence = await employment.absence_of(work.session, user.id, employment.today(work.now))
        if absence is not None:
            work.audit("giris_engeli", "kullanici", user.id, None, {"neden": absence.kind.value})
    if absence is not None:
        raise employment.refusal(absence)


async def prove_again(
    db: Database, held: Held, password: str, visitor: Visitor, *, fresh: timedelta = timedelta(minutes=5)
) -> None:
    """Before something that a thief of an open session must not do: just proved, or the password once more.

    Raises CONFIRM_NEEDED, BAD_CREDENTIALS, TOO_MANY_ATTEMPTS; NOT_FOR_SUPPORT for support staff.
    """
    if held.grant_id is not None:
        raise NumuneError(errors.NOT_FOR_SUPPORT)
    if datetime.now(UTC) - held.proved_at < fresh:
        return
    if not password:
        raise NumuneError(errors.CONFIRM_NEEDED)
    await _prove(db, held.actor.name, password, visitor, support=False)


async def issue_token(
    db: Database,
    username: str,
    password: str,
    address: str,
    *,
    code: str = "",
    box: SecretBox | None = None,
    rules: AccountRules = DEFAULT_RULES,
) -> str:
    """A person's bearer token for the JSON interface.

    Raises BAD_CREDENTIALS, TOO_MANY_ATTEMPTS, ABSENT, SECOND_FACTOR_NEEDED, BAD_CODE, PASSWORD_CHANGE_NEEDED.
    """
    proof = await _prove(db, username, password, Visitor(address), support=False)
    actor = Actor(name=proof.user.username, user_id=proof.user.id, address=address)
    if code:
        await throttle.count_code(db, actor.name, address)
    async with db.work(actor) as work:
        right = bool(code) and box is not None and await second_factor.check_totp(work, proof.user.id, code, box)
        if code and not right:
            work.audit("giris_basarisiz", "kullanici", proof.user.id, None, {"tur": "ikinci asama"})
        stage = await _stage(work, proof.user, rules, twice=right)
    if code and not right:
        raise NumuneError(errors.BAD_CODE)
    if stage in (Stage.SECOND, Stage.ENROL):
        raise NumuneError(errors.SECOND_FACTOR_NEEDED)
    if stage is Stage.PASSWORD:
        raise NumuneError(errors.PASSWORD_CHANGE_NEEDED)
    token = secrets.token_urlsafe(32)
    async with db.work(actor) as work:
        await throttle.forgive_code(work, actor.name)
        await work.session.execute(
            delete(ApiToken).where(ApiToken.user_id == actor.user_id, ApiToken.expires_at < work.now)
        )
        expires_at = work.now + rules.token_length
        work.session.add(ApiToken(secret_hash=digest(token), user_id=actor.user_id, expires_at=expires_at))
        work.audit("giris", "kullanici", actor.user_id, None, {"tur": "belirtec"})
    return token


__all__ = ["Entered", "enter", "enter_as", "forget", "go_on", "issue_token", "prove_again", "sign_in"]
