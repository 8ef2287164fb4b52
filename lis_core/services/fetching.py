"""One small answer of another system over HTTP: checked address, pinned connection, no redirects, a limit of size.

Whoever asks says whether the address is the operator's own choice (his configuration file) or was told by another
system: only the former may lead into the hospital's own network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import httpx

from drivers.outgoing import Outgoing, in_force

TIMEOUT = 10.0
"""Seconds for connecting, and for each wait after it."""
MOST_BYTES = 256 * 1024
ANYWHERE = Outgoing(allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")), loopback=True)
"""For an address out of the operator's own file; the secrets of a cloud stay out of reach even then."""


class TooMuch(ValueError):
    """The answer is longer than anything that was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body`: as it was sent, never unpacked."""

    status: int
    body: bytes


async def fetch(
    method: str,
    url: str,
    *,
    chosen_by_operator: bool,
    headers: Mapping[str, str] | None = None,
    most: int = MOST_BYTES,
    **more: Any,
) -> Answer:
    """Ask once. The name is resolved and checked here, and the connection goes to the very address that was checked;
    the certificate is still that of the name.

    Raises Refused (an address that is not called), TooMuch, OSError or httpx.HTTPError (not reached), ValueError
    (no http or https address).
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        raise ValueError(f"http ya da https adresi değil: {parts.scheme}://{parts.hostname}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    rules = ANYWHERE if chosen_by_operator else in_force()
    address = (await rules.resolved(parts.hostname, port, private=False))[0]
    there = f"[{address}]" if ":" in address else address
    pinned = parts._replace(netloc=f"{there}:{port}").geturl()
    asked = {**(headers or {}), "Host": parts.netloc, "Accept-Encoding": "identity"}
    body = bytearray()
    async with (
        httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client,
        client.stream(method, pinned, headers=asked, extensions={"sni_hostname": parts.hostname}, **more) as answer,
    ):
        async for part in answer.aiter_raw():
            body += part
            if len(body) > most:
                raise TooMuch(f"{most} bayttan uzun cevap")
    return Answer(answer.status_code, bytes(body))
