"""Single sign-on by OpenID Connect: authorization code flow with PKCE, state, nonce and a verified ID token.

What comes back is a subject of an issuer. Which user that is was said before, by a person who had proved to be that
user (or by an administrator): never by an e-mail address, which a provider may hand to anybody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete

from drivers.outgoing import Refused
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.fetching import TooMuch, fetch
from lis_core.services.sessions import digest
from lis_core.storage.database import Database, program
from lis_core.storage.tables import PendingProof

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures with a public key only: with `none` or a shared secret anybody could write a token."""
REQUEST_LENGTH = timedelta(minutes=10)
MOST_BYTES = 256 * 1024
METADATA_SECONDS = 3600.0
LEEWAY = 60
"""Seconds that the clocks of provider and hospital may differ."""
KIND = "tek_giris"
TWICE = frozenset({"mfa", "otp", "hwk"})
"""Words of `amr` (RFC 8176) that mean more than a password."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One `[[tek_giris]]` of the configuration."""

    key: str
    caption: str
    issuer: str
    client_id: str
    client_secret: str = ""
    scopes: str = "openid profile"
    second_factor: bool = False
    """The provider asks for a second factor itself (`amr` says so); ours is not asked again then."""


@dataclass(frozen=True, slots=True)
class Started:
    """Where the browser goes, and the secret that its cookie keeps until it is back."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is, proven. purpose: `giris`, or `bagla:<user id>`."""

    issuer: str
    subject: str
    name: str
    proved_twice: bool
    purpose: str
    wanted: str


def providers_of(config: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> dict[str, Provider]:
    """`[[tek_giris]]` of the configuration, by key. Raises ValueError with a clear sentence.

    The client's secret stands in an environment variable named by `gizli_ortam`, never in the file.
    """
    env = os.environ if environ is None else environ
    found: dict[str, Provider] = {}
    for table in config.get("tek_giris", []):
        missing = [name for name in ("anahtar", "saglayici", "istemci") if not isinstance(table.get(name), str)]
        if missing:
            raise ValueError(f"[[tek_giris]]: {', '.join(missing)} eksik")
        key = table["anahtar"]
        if not key.isascii() or not key.isalnum() or key in found:
            raise ValueError(f"[[tek_giris]] anahtar: {key!r} yalnız harf ve rakam olmalı, yinelenmemelidir")
        _require_tls(table["saglayici"])
        variable = table.get("gizli_ortam", "")
        if variable and variable not in env:
            raise ValueError(f"[[tek_giris]] {key}: {variable} ortam değişkeni yok")
        found[key] = Provider(
            key=key,
            caption=table.get("ad", key),
            issuer=table["saglayici"],
            client_id=table["istemci"],
            client_secret=env[variable] if variable else "",
            scopes=table.get("kapsam", "openid profile"),
            second_factor=bool(table.get("ikinci_asamaya_guven", False)),
        )
    return found


def _require_tls(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        return
    raise ValueError(f"[[tek_giris]] saglayici: {address} https olmalıdır")


class SignOn:
    """The conversation with one provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: KeySet | None = None

    async def begin(self, db: Database, redirect_uri: str, purpose: str, wanted: str = "/") -> Started:
        """A question to the provider, kept for ten minutes. Raises SIGN_ON_REFUSED where it cannot be reached."""
        metadata = await self._discovered()
        state, nonce, verifier, secret = (secrets.token_urlsafe(32) for _ in range(4))
        async with db.work(program("tek giris")) as work:
            await work.session.execute(delete(PendingProof).where(PendingProof.expires_at < work.now))
            work.session.add(
                PendingProof(
                    secret_hash=digest(state),
                    kind=KIND,
                    facts={
                        "saglayici": self.provider.key,
                        "tarayici": digest(secret).hex(),
                        "nonce": nonce,
                        "dogrulayici": verifier,
                        "donus": redirect_uri,
                        "amac": purpose,
                        "sonraki": wanted,
                    },
                    expires_at=work.now + REQUEST_LENGTH,
                )
            )
        question = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.provider.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": _b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        start = metadata["authorization_endpoint"]
        return Started(f"{start}{'&' if '?' in start else '?'}{urlencode(question)}", secret)

    async def finish(self, db: Database, answer: Mapping[str, str], secret: str) -> Identity:
        """Who came back. answer: query of the redirect; secret: of this browser's cookie. Raises SIGN_ON_REFUSED."""
        asked = await self._asked(db, answer.get("state", ""), secret)
        if "error" in answer:
            raise _refused(f"sağlayıcı reddetti ({answer['error'][:60]})")
        if answer.get("iss", self.provider.issuer) != self.provider.issuer:  # RFC 9207
            raise _refused("cevap başka bir sağlayıcıdan")
        code = answer.get("code", "")
        if not code:
            raise _refused("sağlayıcı kod vermedi")
        tokens = await self._exchange(code, asked)
        claims = await self._verified(tokens, asked["nonce"])
        ways = claims.get("amr")
        twice = self.provider.second_factor and isinstance(ways, list) and not TWICE.isdisjoint(map(str, ways))
        name = claims.get("name") or claims.get("preferred_username") or ""
        return Identity(
            self.provider.issuer, claims["sub"], str(name)[:120], twice, str(asked["amac"]), str(asked["sonraki"])
        )

    async def _asked(self, db: Database, state: str, secret: str) -> dict[str, Any]:
        """What was asked under this state by this browser; it can be answered once."""
        async with db.work(program("tek giris")) as work:
            facts = await work.session.scalar(
                delete(PendingProof)
                .where(
                    PendingProof.secret_hash == digest(state),
                    PendingProof.kind == KIND,
                    PendingProof.expires_at > work.now,
                )
                .returning(PendingProof.facts)
            )
        if facts is None or facts["saglayici"] != self.provider.key:
            raise _refused("istek tanınmıyor ya da süresi dolmuş; yeniden başlayın")
        if not hmac.compare_digest(facts["tarayici"], digest(secret).hex()):
            raise _refused("istek bu tarayıcıdan başlamadı")
        return dict(facts)

    async def _exchange(self, code: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        metadata = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked["donus"],
            "code_verifier": asked["dogrulayici"],
        }
        basic = None
        ways = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self.provider.client_secret and "client_secret_basic" in ways:
            basic = httpx.BasicAuth(self.provider.client_id, self.provider.client_secret)
        else:
            form["client_id"] = self.provider.client_id
            if self.provider.client_secret:
                form["client_secret"] = self.provider.client_secret
        return await _asked_for(self.provider, "POST", metadata["token_endpoint"], data=form, auth=basic)

    async def _verified(self, tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """Claims of the ID token: signature, issuer, audience, times, nonce (OpenID Connect Core 3.1.3.7)."""
        text = tokens.get("id_token")
        if not isinstance(text, str):
            raise _refused("kimlik belgesi yok")
        token = await self._signed(text)
        claims = token.claims
        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self.provider.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": self.provider.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            rules.validate(claims)
        except JoseError as error:
            raise _refused("kimlik belgesi bu giriş için verilmemiş") from error
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise _refused("kimlik belgesinde kişi yok")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self.provider.client_id:
            raise _refused("kimlik belgesi başka bir programa verilmiş")
        _check_access_token(token.header, claims, tokens)
        return dict(claims)

    async def _signed(self, text: str) -> jwt.Token:
        """The token with a good signature. An unknown key is looked for once more: providers change keys."""
        for fresh in (False, True):
            keys = await self._published_keys(fresh=fresh)
            try:
                return jwt.decode(text, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError) as error:
                if fresh:
                    raise _refused("kimlik belgesinin imzası geçersiz") from error
        raise AssertionError("unreachable")

    async def _published_keys(self, *, fresh: bool) -> KeySet:
        if self._keys is None or fresh:
            metadata = await self._discovered()
            published = await _asked_for(self.provider, "GET", metadata["jwks_uri"])
            try:
                self._keys = KeySet.import_key_set(published)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise _refused("sağlayıcının anahtarları okunamadı") from error
        return self._keys

    async def _discovered(self) -> dict[str, Any]:
        if self._metadata is not None and time.monotonic() - self._metadata[0] < METADATA_SECONDS:
            return self._metadata[1]
        issuer = self.provider.issuer
        found = await _asked_for(self.provider, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise _refused("sağlayıcı kendini başka bir adla tanıtıyor")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            address = found.get(name)
            try:
                _require_tls(address if isinstance(address, str) else "")
            except ValueError as error:
                raise _refused(f"sağlayıcının {name} adresi güvenli değil") from error
        self._metadata = (time.monotonic(), found)
        return found


def _check_access_token(header: Mapping[str, Any], claims: Mapping[str, Any], tokens: Mapping[str, Any]) -> None:
    """Where the ID token names its access token, it must be the one beside it (3.1.3.8)."""
    given, access = claims.get("at_hash"), tokens.get("access_token")
    if given is None or not isinstance(access, str):
        return
    algorithm = {"256": hashlib.sha256, "384": hashlib.sha384}.get(str(header.get("alg", ""))[-3:], hashlib.sha512)
    whole = algorithm(access.encode()).digest()
    if not hmac.compare_digest(_b64(whole[: len(whole) // 2]), str(given)):
        raise _refused("kimlik belgesi başka bir cevaba ait")


async def _asked_for(provider: Provider, method: str, address: str, **more: Any) -> dict[str, Any]:
    """A JSON object of the provider: no redirects, a limit of time and size.

    What stands on its own host is the operator's choice; an address elsewhere must be one that may be called.
    """
    own = urlsplit(address).netloc == urlsplit(provider.issuer).netloc
    try:
        answer = await fetch(
            method, address, chosen_by_operator=own, headers={"Accept": "application/json"}, most=MOST_BYTES, **more
        )
        if answer.status != 200:
            raise _refused(f"sağlayıcı {answer.status} cevabı verdi")
        found = json.loads(answer.body)
    except TooMuch as error:
        raise _refused("sağlayıcının cevabı çok büyük") from error
    except Refused as error:
        raise _refused("sağlayıcı, aranmayacak bir adres gösteriyor") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError) as error:
        raise _refused("sağlayıcıya ulaşılamadı") from error
    if not isinstance(found, dict):
        raise _refused("sağlayıcının cevabı okunamadı")
    return found


def _refused(problem: str) -> NumuneError:
    return NumuneError(errors.SIGN_ON_REFUSED, problem=problem)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
