"""What the operator chose for the hospital's line: table `[hbys]` of NUMUNE_CONFIG, over the `hbys` row of `parametre`.

[hbys]
dinle = "0.0.0.0:4076"              # where hospitals call; default 127.0.0.1 and the port base + 76
sonuc_adresi = "10.1.2.3:6661"      # where results go; empty = back on the hospital's own connection
uygulama = "NUMUNE"                 # MSH-3 and MSH-4 of what we send
kurum = "LAB"
cevap_saniye = 10                   # how long an answer to a result is waited for
bildirim_deneme = 3                 # failed deliveries before people are told
islem_turleri = ["P"]               # MSH-11 that is taken; "T" (training) would make real orders
onceden_basili = true               # ORC-3, OBR-3 and SPM-2 of a new order hold a pre-printed number
izinli = ["10.1.2.0/24"]            # who may call; without it everybody who reaches the port

[hbys.tls]                          # the port speaks TLS; with `yetkili` callers must show a certificate
sertifika = "/etc/numune/hbys.crt"
anahtar = "/etc/numune/hbys.key"
yetkili = "/etc/numune/yetkili.pem"

[hbys.sonuc_tls]                    # results go over TLS; `yetkili` = who signed the hospital's certificate
yetkili = "/etc/numune/yetkili.pem"

[hbys.hastaneler."HBYS|PERTEK"]     # a hospital by its MSH-3|MSH-4
sonuc_adresi = "10.1.2.4:6661"
numara_on_eki = "PERTEK/"           # keeps its order and patient numbers apart from another hospital's
izinli = ["10.1.2.4"]               # from where alone one may speak in its name; without it from wherever one may call
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select

from drivers.links.networks import Networks
from drivers.links.tls import TlsFiles
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.tables import Parameter

HOSPITAL_PORT = 76
"""Added to the port base: 4076 in the demonstration laboratory."""
PARAMETER = "hbys"

_KEYS = {
    "dinle": "listen",
    "sonuc_adresi": "results",
    "uygulama": "application",
    "kurum": "facility",
    "cevap_saniye": "answer_seconds",
    "bildirim_deneme": "notice_after",
    "islem_turleri": "processing",
    "onceden_basili": "preprinted",
    "hastaneler": "hospitals",
    "izinli": "networks",
    "tls": "tls",
    "sonuc_tls": "results_tls",
}
_HOSPITAL_KEYS = frozenset({"sonuc_adresi", "numara_on_eki", "izinli"})


@dataclass(frozen=True, slots=True)
class HospitalSettings:
    """One hospital system.

    sender: its MSH-3|MSH-4. results: host:port of its listener, "" = on the connection that it has opened.
    prefix: stands before its order and patient numbers here, never on the line.
    networks: from where it speaks. A message only claims its sender; whoever is taken for it cancels its orders and
    hears its results.
    """

    sender: str
    results: str = ""
    prefix: str = ""
    networks: Networks = field(default_factory=Networks)


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """See the module's text. `hospitals` by sender; any other sender gets the common settings."""

    listen: str = f"127.0.0.1:{4000 + HOSPITAL_PORT}"
    results: str = ""
    application: str = "NUMUNE"
    facility: str = "LAB"
    answer_seconds: float = 10.0
    notice_after: int = 3
    processing: frozenset[str] = frozenset({"P"})
    preprinted: bool = True
    hospitals: Mapping[str, HospitalSettings] = field(default_factory=dict)
    networks: Networks = field(default_factory=Networks)
    tls: TlsFiles | None = None
    results_tls: TlsFiles | None = None

    def of(self, sender: str) -> HospitalSettings:
        """Settings of the hospital with this MSH-3|MSH-4."""
        return self.hospitals.get(sender) or HospitalSettings(sender, self.results)

    @property
    def addresses(self) -> frozenset[str]:
        """Every address that results go to."""
        return frozenset({self.results, *(one.results for one in self.hospitals.values())} - {""})


def read_settings(base: BridgeSettings, *tables: Mapping[str, Any]) -> BridgeSettings:
    """The settings of these tables, a later one over an earlier. Raises ValueError with a Turkish sentence."""
    merged: dict[str, Any] = {}
    for table in tables:
        merged |= table
    if unknown := set(merged) - set(_KEYS):
        raise ValueError(f"[hbys] tablosunda bilinmeyen ayar: {', '.join(sorted(unknown))}")
    found = {_KEYS[name]: value for name, value in merged.items()}
    try:
        if "processing" in found:
            found["processing"] = frozenset(str(word) for word in found["processing"])
        for name, kind in (("answer_seconds", float), ("notice_after", int)):
            if name in found:
                found[name] = kind(found[name])
    except (TypeError, ValueError) as error:
        raise ValueError(f"[hbys] tablosunda okunamayan değer: {error}") from error
    if "networks" in found:
        found["networks"] = Networks.of(found["networks"])
    for name in ("tls", "results_tls"):
        if name in found:
            found[name] = TlsFiles.of(name, found[name])
    hospitals = found.pop("hospitals", {})
    chosen = replace(base, **found)
    return replace(chosen, hospitals={name: _hospital(chosen, name, table) for name, table in hospitals.items()})


def _hospital(common: BridgeSettings, sender: str, table: Mapping[str, Any]) -> HospitalSettings:
    if unknown := set(table) - _HOSPITAL_KEYS:
        raise ValueError(f"[hbys.hastaneler.{sender!r}] tablosunda bilinmeyen ayar: {', '.join(sorted(unknown))}")
    return HospitalSettings(
        sender,
        str(table.get("sonuc_adresi", common.results)),
        str(table.get("numara_on_eki", "")),
        Networks.of(table.get("izinli", ())),
    )


async def load_settings(database: Database, settings: Settings) -> BridgeSettings:
    """The settings of this installation: the row of `parametre`, then the file over it. Raises ValueError."""
    async with database.reading() as session:
        stored = await session.scalar(select(Parameter.value).where(Parameter.name == PARAMETER))
    base = BridgeSettings(listen=f"127.0.0.1:{settings.demo_port_base + HOSPITAL_PORT}")
    return read_settings(base, stored or {}, settings.config.get("hbys", {}))


def split_address(address: str) -> tuple[str, int]:
    """`host:port`. Raises ValueError with a Turkish sentence."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ValueError(f"adres sunucu:port biçiminde olmalı: {address!r}")
    return host.strip("[]"), int(port)
