"""A backup as bytes that only the holder of a key reads: sealed while it is written, proven while it is read.

    NUMUNE-YEDEK/1\\n | length of the header, 4 bytes | header, JSON | chunk | chunk | ... | last chunk

The header seals a random file key to each recipient (X25519, HKDF-SHA256, AES-256-GCM): the machine that makes backups
holds public keys and cannot read an old one. Each chunk is AES-256-GCM under a key derived from the file key and the
whole header; its nonce is its place and whether it is the last. So a changed header, and a chunk that was altered, left
out, doubled or moved, or a file that was cut, does not open. Whoever has a public key can make a file that opens:
where a backup comes from is proven by the audit's anchor after the restore (`numune doctor`), not by this format.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"NUMUNE-YEDEK/1\n"
CHUNK = 1024 * 1024
"""Bytes of content in a chunk; only the last one has fewer."""
TAG = 16
MOST_HEADER = 64 * 1024
PUBLIC, PRIVATE = "numune-yedek-acik-", "NUMUNE-YEDEK-GIZLI-"
_NO_NONCE = bytes(12)
"""For keys that seal one thing only."""


class BackupError(ValueError):
    """The file is no backup, is damaged, or is for another key; the message is Turkish."""


# ---- keys


def make_key(file: Path) -> str:
    """Write a new secret key (readable by its owner only); its public part. Raises FileExistsError."""
    key = X25519PrivateKey.generate()
    public = public_text(key.public_key())
    lines = f"# Numune yedek anahtarı (gizli). Açık kısmı: {public}\n{PRIVATE}{_text(key.private_bytes_raw())}\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())
    return public


def public_text(key: X25519PublicKey) -> str:
    return PUBLIC + _text(key.public_bytes_raw())


def read_public(text: str) -> X25519PublicKey:
    """Raises BackupError."""
    return X25519PublicKey.from_public_bytes(_key_bytes(text.strip(), PUBLIC))


def read_private(file: Path) -> X25519PrivateKey:
    """The key in a file that `make_key` wrote. Raises BackupError, OSError."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith(PRIVATE):
            return X25519PrivateKey.from_private_bytes(_key_bytes(line.strip(), PRIVATE))
    raise BackupError(f"{file}: içinde yedek anahtarı yok")


def _key_bytes(text: str, kind: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(text.removeprefix(kind) + "=")
    except (binascii.Error, ValueError) as error:
        raise BackupError("yedek anahtarı okunamadı") from error
    if not text.startswith(kind) or len(raw) != 32:
        raise BackupError(f"yedek anahtarı okunamadı: {kind}... biçiminde olmalı")
    return raw


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _derived(secret: bytes, salt: bytes, words: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, words).derive(secret))


# ---- writing


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was written: bytes of content, bytes of the file, its SHA-256."""

    content: int
    size: int
    sha256: str


def seal(source: IO[bytes], target: IO[bytes], recipients: Sequence[X25519PublicKey], about: dict[str, Any]) -> Sealed:
    """Read `source` to its end and write it sealed; `about` stands readable in the header. Raises BackupError."""
    if not recipients:
        raise BackupError("yedeği okuyacak bir anahtar verilmedi")
    file_key = secrets.token_bytes(32)
    head = _header(file_key, recipients, about)
    digest = hashlib.sha256(head)
    target.write(head)
    body = _derived(file_key, hashlib.sha256(head).digest(), b"numune yedek icerik 1")
    content, size, place = 0, len(head), 0
    chunk = _exactly(source, CHUNK)
    while True:
        following = _exactly(source, CHUNK) if len(chunk) == CHUNK else b""
        out = body.encrypt(_nonce(place, last=not following), chunk, None)
        target.write(out)
        digest.update(out)
        content, size, place = content + len(chunk), size + len(out), place + 1
        if not following:
            return Sealed(content, size, digest.hexdigest())
        chunk = following


def _header(file_key: bytes, recipients: Sequence[X25519PublicKey], about: dict[str, Any]) -> bytes:
    facts = {"zaman": datetime.now(UTC).isoformat(timespec="seconds"), **about}
    header = json.dumps({"bilgi": facts, "alici": [_sealed_to(file_key, to) for to in recipients]}).encode()
    return MAGIC + len(header).to_bytes(4, "big") + header


def _sealed_to(file_key: bytes, recipient: X25519PublicKey) -> dict[str, str]:
    fleeting = X25519PrivateKey.generate()
    ours, theirs = fleeting.public_key().public_bytes_raw(), recipient.public_bytes_raw()
    wrap = _derived(fleeting.exchange(recipient), ours + theirs, b"numune yedek anahtar 1")
    return {
        "kime": _name_of(recipient),
        "gecici": _text(ours),
        "anahtar": _text(wrap.encrypt(_NO_NONCE, file_key, None)),
    }


def _name_of(key: X25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _nonce(place: int, *, last: bool) -> bytes:
    return place.to_bytes(11, "big") + bytes([last])


def _exactly(source: IO[bytes], count: int) -> bytes:
    """`count` bytes, fewer only at the end: a pipe gives what it has."""
    parts, missing = [], count
    while missing and (part := source.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


# ---- reading


def is_sealed(file: Path) -> bool:
    """Whether it says that it is one of ours."""
    with file.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def facts_of(source: IO[bytes]) -> dict[str, Any]:
    """What stands readable in the header; nothing proves it before the content is opened. Raises BackupError."""
    facts = _read_header(source)[1]["bilgi"]
    return dict(facts) if isinstance(facts, dict) else {}


def opened(source: IO[bytes], keys: Sequence[X25519PrivateKey]) -> Iterator[bytes]:
    """The content in pieces, each proven before it is given; the end is proven with the last one. Raises BackupError.

    Whoever must not use half of it reads to the end first.
    """
    head, header = _read_header(source)
    body = _derived(_file_key(header, keys), hashlib.sha256(head).digest(), b"numune yedek icerik 1")
    place = 0
    chunk = _exactly(source, CHUNK + TAG)
    while True:
        following = _exactly(source, CHUNK + TAG) if len(chunk) == CHUNK + TAG else b""
        try:
            yield body.decrypt(_nonce(place, last=not following), chunk, None)
        except (InvalidTag, ValueError) as error:
            raise BackupError(
                f"yedek bozuk: {place + 1}. parça açılmıyor (değiştirilmiş, eksik, yeri değişmiş ya da dosya kesilmiş)"
            ) from error
        if not following:
            return
        chunk, place = following, place + 1


def _read_header(source: IO[bytes]) -> tuple[bytes, dict[str, Any]]:
    if _exactly(source, len(MAGIC)) != MAGIC:
        raise BackupError("bu dosya şifreli bir Numune yedeği değil")
    length = _exactly(source, 4)
    size = int.from_bytes(length, "big")
    raw = _exactly(source, size) if 0 < size <= MOST_HEADER else b""
    try:
        header = json.loads(raw)
        if len(raw) != size or not isinstance(header["alici"], list) or "bilgi" not in header:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError("yedeğin başlığı okunamıyor: dosya bozuk ya da kesilmiş") from error
    return MAGIC + length + raw, header


def _file_key(header: dict[str, Any], keys: Sequence[X25519PrivateKey]) -> bytes:
    for key in keys:
        public = key.public_key()
        for one in header["alici"]:
            try:
                if one["kime"] != _name_of(public):
                    continue
                ours = _raw(one["gecici"])
                shared = key.exchange(X25519PublicKey.from_public_bytes(ours))
                wrap = _derived(shared, ours + public.public_bytes_raw(), b"numune yedek anahtar 1")
                return wrap.decrypt(_NO_NONCE, _raw(one["anahtar"]), None)
            except (InvalidTag, ValueError, KeyError, TypeError) as error:
                raise BackupError("yedeğin başlığı değiştirilmiş: anahtarı açılmıyor") from error
    raise BackupError("bu yedek başka bir anahtara kapatılmış: verilen anahtarlardan hiçbiri açmıyor")
