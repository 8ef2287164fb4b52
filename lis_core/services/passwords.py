"""Passwords: Argon2id, never computed on the event loop."""

from __future__ import annotations

import asyncio

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

_HASHER = PasswordHash((Argon2Hasher(),))

CLOSED = "!"
"""Stands in the password column of a user who cannot sign in with a password."""

_NOBODY = _HASHER.hash("nobody's password; compared when the user does not exist, so that both take equally long")


async def hash_password(password: str) -> str:
    """Argon2id digest for `kullanici.parola`; takes tens of milliseconds in another thread."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def password_fits(password: str, digest: str | None) -> bool:
    """True where the password is the one of the digest. None or a closed digest costs the same time and is False."""
    usable = digest is not None and not digest.startswith(CLOSED)
    fits = await asyncio.to_thread(_HASHER.verify, password, digest if usable and digest else _NOBODY)
    return fits and usable


__all__ = ["CLOSED", "hash_password", "password_fits"]
