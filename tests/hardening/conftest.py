"""Certificates of a hospital's own authority, and a gateway that needs no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from drivers.definition import Catalog, load_catalog
from drivers.gateway.gateway import Gateway
from drivers.links.gate import LineSecurity
from drivers.messages import Delivery, Query
from lis_core.settings import ISTANBUL


@dataclass(frozen=True, slots=True)
class Papers:
    """Files of one certificate, and of the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path

    def table(self, **more: str) -> dict[str, str]:
        """As a `[tls.*]` table."""
        return {
            "sertifika": str(self.certificate),
            "anahtar": str(self.key),
            "yetkili": str(self.authority),
        } | more


class Authority:
    """Signs for whoever asks."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "yetkili.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def papers(self, *names: str) -> Papers:
        made = self._ca.issue_cert(*names)
        certificate, key = self._folder / f"{names[0]}.crt", self._folder / f"{names[0]}.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return Papers(certificate, key, self.file)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("yetkili"))


@pytest.fixture(scope="session")
def definitions() -> Catalog:
    return load_catalog()


class Bench:
    """A gateway whose core only remembers what it was given."""

    def __init__(self, folder: Path, catalog: Catalog, security: LineSecurity) -> None:
        self.delivered: list[Delivery] = []
        self.gateway = Gateway(
            folder, catalog, answer=self._nothing, deliver=self._take, zone=ISTANBUL, security=security
        )

    async def _nothing(self, line: str, query: Query) -> Sequence[Any]:
        return []

    async def _take(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)
        self.gateway.confirmed([delivery.key])
