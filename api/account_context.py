"""What the pages of signing in share: the institution's rules, who knocks, our own address, cookies."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response

from api.context import client_address, context_of
from lis_core.domain.account_rules import AccountRules
from lis_core.services.secret_box import SecretBox
from lis_core.services.security_keys import Site
from lis_core.services.sessions import Visitor
from lis_core.services.sign_on import SignOn, providers_of

SESSION_COOKIE = "numune_oturum"
DEVICE_COOKIE = "numune_cihaz"
SIGN_ON_COOKIE = "numune_tek_giris"
DEVICE_SECONDS = 400 * 24 * 3600
LONGEST_AGENT = 400


class _Parts:
    """Made once per application from its settings."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.rules = AccountRules.of(config)
        self.sign_on = {key: SignOn(provider) for key, provider in providers_of(config).items()}
        self.box: SecretBox | None = None


def check_settings(app: FastAPI) -> None:
    """Read `[giris]` and `[[tek_giris]]` now. Raises ValueError with a clear sentence for what cannot be read."""
    app.state.accounts = _Parts(app.state.numune.settings.config)


def _parts(request: Request) -> _Parts:
    if getattr(request.app.state, "accounts", None) is None:
        check_settings(request.app)
    parts = request.app.state.accounts
    assert isinstance(parts, _Parts)
    return parts


def rules_of(request: Request) -> AccountRules:
    """The rules of signing in of this installation."""
    return _parts(request).rules


def sign_on_of(request: Request) -> dict[str, SignOn]:
    """Providers of single sign-on, by key."""
    return _parts(request).sign_on


def box_of(request: Request) -> SecretBox:
    """What seals the keys of authenticator applications; its own key is made at the first use."""
    parts = _parts(request)
    if parts.box is None:
        parts.box = SecretBox.of(context_of(request).settings.data_dir)
    return parts.box


def visitor_of(request: Request) -> Visitor:
    """Who knocks."""
    return Visitor(
        client_address(request),
        request.headers.get("user-agent", "")[:LONGEST_AGENT],
        read_cookie(request, DEVICE_COOKIE, "/giris")[:100],
    )


def address_of(request: Request) -> str:
    """Our own address as people open it, without a slash at its end."""
    return rules_of(request).adres or f"{request.url.scheme}://{request.url.netloc}"


def site_of(request: Request) -> Site:
    """The same, as a security key is tied to it."""
    address = address_of(request)
    return Site(urlsplit(address).hostname or "", address)


def is_secure(request: Request) -> bool:
    """True where the browser speaks TLS with us, or with the proxy before us."""
    return request.url.scheme == "https" or rules_of(request).adres.startswith("https://")


def cookie_name(request: Request, name: str, path: str = "/") -> str:
    """The name that a cookie has here: over TLS with the prefix that lets only a TLS page of this very host set it.

    Without it somebody on a neighbouring host, or on the way where a page came without TLS, could plant one.
    """
    if not is_secure(request):
        return name
    return f"__Host-{name}" if path == "/" else f"__Secure-{name}"


def read_cookie(request: Request, name: str, path: str = "/") -> str:
    """What the browser brought; empty without one."""
    return request.cookies.get(cookie_name(request, name, path), "")


def forget_cookie(request: Request, response: Response, name: str, path: str = "/") -> None:
    """Take a cookie back; a browser obeys only when the prefix's rules are kept here too."""
    named = cookie_name(request, name, path)
    response.delete_cookie(named, path=path, secure=is_secure(request), httponly=True)


def set_session_cookie(request: Request, response: Response, secret: str) -> None:
    """The cookie of a session: gone with the browser, never readable by scripts, never sent by other sites' forms."""
    name = cookie_name(request, SESSION_COOKIE)
    response.set_cookie(name, secret, httponly=True, samesite="lax", secure=is_secure(request), path="/")


def set_device_cookie(request: Request, response: Response, secret: str | None) -> None:
    """The cookie of a known browser, sent only to the pages of signing in."""
    if secret is not None:
        response.set_cookie(
            cookie_name(request, DEVICE_COOKIE, "/giris"),
            secret,
            max_age=DEVICE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=is_secure(request),
            path="/giris",
        )
