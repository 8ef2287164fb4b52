"""Secrets that must be readable again (TOTP keys), sealed with a key that is neither in the repository nor in a dump.

AES-256-GCM; the owner of a secret is bound to it, so that a row copied to another user opens nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENVIRONMENT = "NUMUNE_SECRET_KEY"
"""32 bytes in base64; needed where several machines serve the screens. Else a file of the data folder holds the key."""
FILE = "gizli.anahtar"
_NONCE = 12


class SecretBox:
    """Seals and opens."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._digest_key = hmac.digest(key, b"numune ozet", hashlib.sha256)

    @classmethod
    def of(cls, data_dir: Path, environ: dict[str, str] | None = None) -> SecretBox:
        """The box of this installation; its key is made at the first need. Raises ValueError for an unusable key."""
        text = (os.environ if environ is None else environ).get(ENVIRONMENT)
        if text is not None:
            return cls(_decoded(text, ENVIRONMENT))
        file = data_dir / FILE
        with suppress(FileExistsError):
            data_dir.mkdir(parents=True, exist_ok=True)
            made = base64.b64encode(secrets.token_bytes(32))
            draft = data_dir / f"{FILE}.{secrets.token_hex(4)}"
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(descriptor, made)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                os.link(draft, file)  # appears whole or not at all; a second process takes the first one's
            finally:
                draft.unlink()
        return cls(_decoded(file.read_text(encoding="ascii"), str(file)))

    def seal(self, plain: bytes, about: str) -> bytes:
        """about: whose secret it is; the same words open it."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes | None:
        """None where the key is another one or the secret belongs to somebody else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
        except (InvalidTag, ValueError):
            return None

    def digest(self, plain: str, about: str) -> bytes:
        """What a short secret is known by: without the key nobody can try all of them on a stolen table."""
        return hmac.digest(self._digest_key, f"{about}\0{plain}".encode(), hashlib.sha256)


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{where}: base64 olarak okunamadı") from error
    if len(key) != 32:
        raise ValueError(f"{where}: 32 bayt olmalıdır")
    return key
