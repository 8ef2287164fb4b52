"""The web port against clients that are slow, silent or too long, and against being open by mistake.

uvicorn waits for ever for a request's head and for a reader of its answer; each such connection holds a file of the
process that also talks with the instruments. Here a head has a time and a size, an answer must be read, and the web
takes at most half of the files that the process may have open.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lis_core.settings import Settings

try:
    import resource
except ImportError:  # Windows has none: its limits are other ones
    resource = None  # type: ignore[assignment]

HEAD_SECONDS = 10.0
"""From the first byte (or the connection) to the end of a request's head."""
MOST_HEAD = 64 * 1024
"""Bytes of a request's head: address and headers. A browser's has below 4 KB."""
READ_SECONDS = 60.0
"""How long a client may take nothing of an answer that waits for it."""
MOST_CONNECTIONS = 8192
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; TLS 1.3 has its own."""


class PatientHttp(HttpToolsProtocol):
    """uvicorn's protocol with an end to its patience."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > MOST_HEAD:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        self._head_arrived()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MOST_HEAD:
            raise ValueError("request head too large")  # becomes an answer 400, and the connection ends
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self.resume_writing()
        super().connection_lost(exc)

    # -- the head

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse, 408)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int) -> None:
        """Say why, where anything was asked at all, and hang up."""
        asked = self._head_bytes
        self._head_arrived()
        if self.transport.is_closing():
            return
        if asked:
            self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self._close()

    # -- the answer

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(READ_SECONDS, self._abort)

    def resume_writing(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def _close(self) -> None:
        """Close, and do not wait for ever for what the client does not fetch."""
        if not self.transport.is_closing():
            self.transport.close()
            self.loop.call_later(READ_SECONDS, self._abort)

    def _abort(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # it may be gone meanwhile
            self.transport.abort()


def most_connections() -> int:
    """How many connections the web may hold: half of the files that this process may open, the rest is the lines'."""
    if resource is None:
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS * 2
    with contextlib.suppress(OSError, ValueError):
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(16, min(MOST_CONNECTIONS, soft // 2))


def check_exposure(settings: Settings) -> None:
    """Raises ValueError where the port would be open to others without TLS."""
    if bool(settings.http_certificate) != bool(settings.http_key):
        raise ValueError("TLS için sertifika ve anahtar birlikte verilir (NUMUNE_HTTP_CERTIFICATE, NUMUNE_HTTP_KEY)")
    if settings.http_certificate is not None or settings.http_proxies or is_local(settings.http_host):
        return
    raise ValueError(
        f"{settings.http_host} başka makinelere açık ve TLS ayarlı değil: parolalar ve sonuçlar açıktan giderdi. "
        "Ya NUMUNE_HTTP_CERTIFICATE ve NUMUNE_HTTP_KEY verin, ya önündeki vekil sunucunun adresini "
        "NUMUNE_HTTP_PROXY ile yazın, ya da 127.0.0.1 dinleyin"
    )


def is_local(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


__all__ = ["CIPHERS", "PatientHttp", "check_exposure", "is_local", "most_connections"]
