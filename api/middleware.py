"""What surrounds every request: size limit, last resort for errors, security headers, counting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer, unexpected
from api.metrics import REQUESTS, SECONDS
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError

MAX_BODY = 2 * 1024 * 1024
"""Bytes of a request body; an order is below 10 KB."""
BODY_SECONDS = 60.0
"""From a request's head to the end of its body."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
"""No inline script or style: a name of a patient can never become code of a page."""

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=()",
}


class SecurityHeaders:
    """Adds the headers; pages and answers are never kept by a cache, static files are asked for anew by their tag."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        static = scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache" if static else "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
            await send(message)

        await self.app(scope, receive, with_headers)


METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Counting:
    """Requests and their time by the route's pattern, never by the address as typed (numbers and names stay out)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = pattern_of(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"
            REQUESTS.labels(method, route, str(status)).inc()
            if route != "/olay":  # a stream lasts as long as its screen is open
                SECONDS.labels(route).observe(time.perf_counter() - started)


def pattern_of(scope: MutableMapping[str, Any]) -> str:
    """The address with its parameters by name: `/api/v1/orders/{number}`. One word for all that no route knows."""
    path: str = scope["path"]
    if path.startswith("/static/"):
        return "/static"
    if scope.get("route") is None:
        return "other"
    names = {str(value): name for name, value in scope.get("path_params", {}).items()}
    return "/".join(f"{{{names[part]}}}" if part in names else part for part in path.split("/"))


class LastResort:
    """Answers for an error that nothing else handled, so that no traceback leaves the program."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            response = unexpected(Request(scope), error)
            if started:  # half an answer is out: the connection must break, so that it is not taken for a whole one
                raise
            await response(scope, receive, send)


class BodyLimit:
    """Reads the body before the handler, at most `MAX_BODY` bytes of it; more is refused with NUM-0006."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = None if self._announced_too_large(scope) else await self._read(receive)
        except ClientDisconnect:
            return  # half a form must never be taken for a whole one
        except TimeoutError:
            late = answer(
                Request(scope), NumuneError(errors.TOO_SLOW, seconds=int(BODY_SECONDS)), {"Connection": "close"}
            )
            await late(scope, receive, send)
            return
        if body is None:
            refusal = NumuneError(errors.TOO_LARGE, limit=f"{self.limit // 1024} KB")
            response = answer(Request(scope), refusal, {"Connection": "close"})
            await response(scope, receive, send)
            return
        first: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def replay() -> Message:
            nonlocal first
            if first is not None:
                message, first = first, None
                return message
            return await receive()

        await self.app(scope, replay, send)

    def _announced_too_large(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"content-length":
                return not value.isdigit() or len(value) > 12 or int(value) > self.limit
        return False

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None where it is longer than the limit. Raises ClientDisconnect where the rest never came."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.limit:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)
