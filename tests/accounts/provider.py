"""An OpenID provider on a real socket, with real keys, that is honest until a test tells it to lie.

Honest: the code is good once, for the redirect address and the client it was given to, against the PKCE verifier.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT, SECRET = "numune", "istemci-gizlisi"


class Provider:
    """`lies`: what it changes in the claims; `forges`: signs with a key that it does not publish."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "bir", "use": "sig"})
        self.published = [self.key]
        self.codes: dict[str, dict[str, str]] = {}
        self.subject = "kisi-42"
        self.amr: list[str] = ["pwd"]
        self.issuer = ""
        self.lies: dict[str, Any] = {}
        self.token: Callable[[dict[str, Any]], str] = self.honest_token
        self.extra: dict[str, str] = {}
        self.metadata: dict[str, Any] = {}
        self.refused: list[str] = []

    # -- what it says

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/yetki",
            "token_endpoint": f"{self.issuer}/belirtec",
            "jwks_uri": f"{self.issuer}/anahtarlar",
            **self.metadata,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """The person agrees: where his browser is sent."""
        assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def exchange(self, form: dict[str, str], basic: str) -> dict[str, Any] | str:
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if basic != f"Basic {expected}":
            return "invalid_client"
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return "invalid_grant"
        if asked["code_challenge"] != challenge.decode().rstrip("="):
            return "invalid_grant"
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "name": "Kimlik Sahibi",
            "email": "teknisyen@numune.test",
            "amr": self.amr,
            **self.lies,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return {"access_token": "erisim", "token_type": "Bearer", "id_token": self.token(claims), **self.extra}

    def honest_token(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": "bir"}, claims, self.key)

    # -- how it lies

    def foreign_key(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": "bir"}, claims, RSAKey.generate_key(2048, {"kid": "bir"}))

    def no_signature(self, claims: dict[str, Any]) -> str:
        def part(value: dict[str, Any]) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

        return f"{part({'alg': 'none'})}.{part(claims)}."

    def public_key_as_secret(self, claims: dict[str, Any]) -> str:
        """Signs with what everybody can read: the public key, taken for a shared secret."""
        shared = OctKey.import_key(self.key.as_pem(private=False))
        return jwt.encode({"alg": "HS256", "kid": "bir"}, claims, shared, algorithms=["HS256"])

    def changed_after_signing(self, claims: dict[str, Any]) -> str:
        head, _, signature = self.honest_token(claims).split(".")
        body = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "baskasi"}).encode()).decode().rstrip("=")
        return f"{head}.{body}.{signature}"


@contextmanager
def running() -> Iterator[Provider]:
    """The provider, listening on 127.0.0.1."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path)
            if path.path == "/.well-known/openid-configuration":
                self._json(provider.discovery())
            elif path.path == "/anahtarlar":
                self._json(KeySet(provider.published).as_dict(private=False))
            elif path.path == "/yetki":
                query = {name: values[0] for name, values in parse_qs(path.query).items()}
                self.send_response(302)
                self.send_header("location", provider.authorize(query))
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            done = provider.exchange(form, self.headers.get("authorization", ""))
            if isinstance(done, str):
                provider.refused.append(done)
                self._json({"error": done}, 400)
            else:
                self._json(done)

        def _json(self, value: Any, status: int = 200) -> None:
            raw = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
