"""Security keys (WebAuthn): a signature over a question of ours, tied to our address, so that no other site can use it.

Each question is random, kept on the server, answered once, by the user it was put to, within five minutes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from lis_core.domain import errors
from lis_core.domain.account_rules import AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.services.second_factor import check_last, factors_of, security_of
from lis_core.services.sessions import digest
from lis_core.storage.database import Work
from lis_core.storage.tables import PendingProof, SecurityKey

QUESTION_LENGTH = timedelta(minutes=5)
MOST_KEYS = 10
ADD, USE = "anahtar_ekle", "anahtar_kullan"


@dataclass(frozen=True, slots=True)
class Site:
    """Our address as a browser sees it. host: without port; origin: scheme, host, port."""

    host: str
    origin: str


async def keys_of(session: AsyncSession, user_id: int) -> Sequence[SecurityKey]:
    """The user's keys, oldest first."""
    return (
        await session.scalars(select(SecurityKey).where(SecurityKey.user_id == user_id).order_by(SecurityKey.id))
    ).all()


async def ask_new_key(work: Work, user_id: int, username: str, full_name: str, site: Site) -> str:
    """Options for `navigator.credentials.create`, as JSON. Raises SECURITY_KEY_REFUSED for too many keys."""
    known = await keys_of(work.session, user_id)
    if len(known) >= MOST_KEYS:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem=f"en çok {MOST_KEYS} anahtar eklenebilir")
    security = await security_of(work, user_id)
    if security.handle is None:
        security.handle = secrets.token_bytes(32)
    options = generate_registration_options(
        rp_id=site.host,
        rp_name="Numune",
        user_id=security.handle,
        user_name=username,
        user_display_name=full_name or username,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.DISCOURAGED,
        ),
        exclude_credentials=_descriptors(known),
    )
    await _keep_question(work, ADD, user_id, options.challenge)
    return options_to_json(options)


async def add_key(work: Work, user_id: int, answer: str, name: str, site: Site) -> None:
    """Take a new key. answer: JSON of the browser. Raises SECURITY_KEY_REFUSED."""
    credential, challenge = await _question(work, ADD, user_id, answer)
    try:
        verified = verify_registration_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=site.host, expected_origin=site.origin
        )
    except WebAuthnException as error:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem="cevabı bu adrese ve bu soruya ait değil") from error
    taken = await work.session.scalar(select(SecurityKey.id).where(SecurityKey.credential_id == verified.credential_id))
    if taken is not None:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem="bu anahtar daha önce eklenmiş")
    row = SecurityKey(
        user_id=user_id,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        counter=verified.sign_count,
        name=name.strip()[:60] or "Güvenlik anahtarı",
        transports=_transports(credential),
    )
    work.session.add(row)
    await work.session.flush()
    work.audit("ikinci_asama", "kullanici", user_id, None, {"yontem": "anahtar", "is": "eklendi", "ad": row.name})


async def ask_known_key(work: Work, user_id: int, site: Site) -> str:
    """Options for `navigator.credentials.get`, as JSON. Raises NOT_FOUND where he has no key."""
    known = await keys_of(work.session, user_id)
    if not known:
        raise NumuneError(errors.NOT_FOUND, what="Güvenlik anahtarı")
    options = generate_authentication_options(
        rp_id=site.host,
        allow_credentials=_descriptors(known),
        user_verification=UserVerificationRequirement.DISCOURAGED,
    )
    await _keep_question(work, USE, user_id, options.challenge)
    return options_to_json(options)


async def check_key(work: Work, user_id: int, answer: str, site: Site) -> None:
    """The user holds one of his keys. Raises SECURITY_KEY_REFUSED; a counter that does not rise is a copied key."""
    credential, challenge = await _question(work, USE, user_id, answer)
    row = await work.session.scalar(
        select(SecurityKey)
        .where(SecurityKey.user_id == user_id, SecurityKey.credential_id == _id_of(credential))
        .with_for_update()
    )
    if row is None:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem="anahtar bu kullanıcıya ait değil")
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.counter,
        )
    except WebAuthnException as error:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem="imza bu adrese ve bu soruya ait değil") from error
    row.counter, row.used_at = verified.new_sign_count, work.now


async def remove_key(work: Work, user_id: int, key_id: int, rules: AccountRules, names: Collection[str]) -> None:
    """Forget one key. Raises NOT_FOUND, LAST_FACTOR."""
    row = await work.session.get(SecurityKey, key_id, with_for_update=True)
    if row is None or row.user_id != user_id:
        raise NumuneError(errors.NOT_FOUND, what="Güvenlik anahtarı")
    factors = await factors_of(work.session, user_id)
    check_last(factors.keys - 1 + int(factors.totp), rules, names)
    await work.session.delete(row)
    work.audit("ikinci_asama", "kullanici", user_id, {"yontem": "anahtar", "ad": row.name}, {"is": "silindi"})


# -- questions


async def _keep_question(work: Work, kind: str, user_id: int, challenge: bytes) -> None:
    await work.session.execute(delete(PendingProof).where(PendingProof.expires_at < work.now))
    work.session.add(
        PendingProof(
            secret_hash=digest(challenge.hex()),
            kind=kind,
            facts={"kullanici": user_id},
            expires_at=work.now + QUESTION_LENGTH,
        )
    )


async def _question(work: Work, kind: str, user_id: int, answer: str) -> tuple[dict[str, Any], bytes]:
    """The answer and the question that it names, which is gone from now on, right or wrong."""
    try:
        credential = json.loads(answer)
        client = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        challenge = base64url_to_bytes(client["challenge"])
    except (ValueError, KeyError, TypeError) as error:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem="cevap okunamadı") from error
    facts = await work.session.scalar(
        delete(PendingProof)
        .where(
            PendingProof.secret_hash == digest(challenge.hex()),
            PendingProof.kind == kind,
            PendingProof.expires_at > work.now,
        )
        .returning(PendingProof.facts)
    )
    if facts is None or facts.get("kullanici") != user_id:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem="soru kullanılmış ya da süresi dolmuş; yeniden deneyin")
    return credential, challenge


def _id_of(credential: dict[str, Any]) -> bytes:
    try:
        return base64url_to_bytes(credential["rawId"])
    except (ValueError, KeyError, TypeError) as error:
        raise NumuneError(errors.SECURITY_KEY_REFUSED, problem="cevap okunamadı") from error


def _descriptors(keys: Sequence[SecurityKey]) -> list[PublicKeyCredentialDescriptor]:
    known = {transport.value: transport for transport in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=key.credential_id, transports=[known[word] for word in key.transports if word in known] or None
        )
        for key in keys
    ]


def _transports(credential: dict[str, Any]) -> list[str]:
    given = credential.get("response", {}).get("transports")
    known = {transport.value for transport in AuthenticatorTransport}
    return [word for word in given if isinstance(word, str) and word in known] if isinstance(given, list) else []
