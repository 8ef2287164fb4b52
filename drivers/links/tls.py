"""TLS for lines: which files a line uses stands in the operator's settings, a line only names them.

[tls.cihaz]                          # a line's setting `tls = "cihaz"`
sertifika = "/etc/numune/hat.crt"    # what we show; a server always, a client where the peer asks for it
anahtar = "/etc/numune/hat.key"
yetkili = "/etc/numune/yetkili.pem"  # who must have signed the peer; a server without it takes anybody, a client then
                                     # asks the machine's own list
ad = "cihaz-1.hastane.local"         # the name that a server's certificate must bear; without it: the line's address
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HANDSHAKE_SECONDS = 10.0
_KEYS = frozenset({"sertifika", "anahtar", "yetkili", "ad"})


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of one `[tls.*]` table."""

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    name: str = ""

    @classmethod
    def of(cls, label: str, table: Mapping[str, Any]) -> TlsFiles:
        """Raises ValueError with a Turkish sentence."""
        if unknown := sorted(set(table) - _KEYS):
            raise ValueError(f"[tls.{label}] tablosunda bilinmeyen ayar: {', '.join(unknown)}")

        def place(word: str) -> Path | None:
            return Path(str(table[word])) if table.get(word) else None

        return cls(place("sertifika"), place("anahtar"), place("yetkili"), str(table.get("ad", "")))

    def server(self) -> ssl.SSLContext:
        """For a port that we listen on. Raises ValueError with a Turkish sentence."""
        if self.certificate is None or self.key is None:
            raise ValueError("dinleyen hat için sertifika ve anahtar gerekir")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(context)
        if self.authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self) -> ssl.SSLContext:
        """For a port that we call. Raises ValueError with a Turkish sentence."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority is None:
            context.load_default_certs()
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            if self.authority is not None:
                context.load_verify_locations(self.authority)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"TLS dosyaları okunamadı: {error}") from error
