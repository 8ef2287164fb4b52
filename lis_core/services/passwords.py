"""Passwords: Argon2id, never computed on the event loop.

64 MiB, three passes, four lanes: RFC 9106's second recommendation, above the least values of OWASP. When the numbers
rise, a digest made with the old ones is made anew at the person's next sign-in.
"""

from __future__ import annotations

import asyncio

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

MEMORY_KIB, PASSES, LANES = 65536, 3, 4
_HASHER = PasswordHash((Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES),))

CLOSED = "!"
"""Stands in the password column of a user who cannot sign in with a password."""

_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$ft8X/BQ2Dbt1u82GSB4DSg$F4knDPZ7Ev4d0/VMKMqaDxY8jUcwDJdjhDIft/gDu7g"
"""Of a long random word that nobody kept, made with the numbers above: compared where a user does not exist or cannot
sign in, so that every answer takes equally long. Written down, not made at each start, which would take as long as one
sign-in."""


async def hash_password(password: str) -> str:
    """Argon2id digest for `kullanici.parola`; takes tens of milliseconds in another thread."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def password_fits(password: str, digest: str | None) -> bool:
    """True where the password is the one of the digest. None or a closed digest costs the same time and is False."""
    return (await check_password(password, digest))[0]


async def check_password(password: str, digest: str | None) -> tuple[bool, str | None]:
    """As `password_fits`; and a digest to keep from now on, where the kept one was made with weaker numbers."""
    usable = digest is not None and not digest.startswith(CLOSED)
    known = digest if usable and digest else _NOBODY
    fits, better = await asyncio.to_thread(_HASHER.verify_and_update, password, known)
    return (True, better) if fits and usable else (False, None)


__all__ = ["CLOSED", "check_password", "hash_password", "password_fits"]
