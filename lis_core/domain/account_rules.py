"""The rules of signing in that an institution chooses: `[giris]` of the configuration file. Pure values, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

LEAST_LENGTH = 8
"""Shorter passwords than this cannot be allowed, whatever is configured."""
LONGEST_PASSWORD = 200


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What `[giris]` may say, with the defaults of this release. The names are the ones of the file."""

    parola_en_az: int = 12
    """Characters of a password at least."""
    parola_gecmis: int = 5
    """So many last passwords cannot come back."""
    parola_omru_gun: int = 0
    """Days after which a password must be changed; 0 = never (what the common advice is today)."""
    yasak_parolalar: str = ""
    """File with passwords that everybody knows (`services.known_passwords`); empty = none."""
    oturum_saat: int = 12
    """A session ends after so many hours, used or not: a working day."""
    bosta_dakika: int = 60
    """A session that asked for nothing for so many minutes has ended."""
    belirtec_saat: int = 24
    """Life of a bearer token that a person asked for with his password."""
    ikinci_asama: tuple[str, ...] = ()
    """Codes of permission groups (`SISTEM_YONETICISI`, `UZMAN` ...) whose members need a second factor; `*` = all."""
    cihaz_hatirlama_gun: int = 0
    """Days a browser may be trusted with the second factor; 0 = it is asked at every sign-in."""
    destek_en_cok_saat: int = 8
    """Longest access that can be granted to support staff."""
    istemci_belirteci_gun: int = 365
    """Longest life of a client's token."""
    adres: str = ""
    """Address at which people open the program (`https://numune.ornek.gov.tr`): security keys and single sign-on are
    tied to it. Empty = the address of each request."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> AccountRules:
        """From the whole configuration. Raises ValueError with a clear Turkish sentence."""
        table = config.get("giris", {})
        if not isinstance(table, Mapping):
            raise ValueError("[giris] bir tablo olmalıdır")
        known = {field.name: field for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in table.items():
            if name not in known:
                raise ValueError(f"[giris] {name}: bilinmeyen ayar (olabilir: {', '.join(sorted(known))})")
            values[name] = _checked(name, value, getattr(cls(), name))
        rules = cls(**values)
        if rules.parola_en_az < LEAST_LENGTH:
            raise ValueError(f"[giris] parola_en_az en az {LEAST_LENGTH} olmalıdır")
        for name in ("oturum_saat", "bosta_dakika", "belirtec_saat", "destek_en_cok_saat", "istemci_belirteci_gun"):
            if getattr(rules, name) < 1:
                raise ValueError(f"[giris] {name} en az 1 olmalıdır")
        return rules

    @property
    def session_length(self) -> timedelta:
        return timedelta(hours=self.oturum_saat)

    @property
    def idle_length(self) -> timedelta:
        return timedelta(minutes=self.bosta_dakika)

    @property
    def token_length(self) -> timedelta:
        return timedelta(hours=self.belirtec_saat)

    def needs_second_factor(self, names: Collection[str]) -> bool:
        """True for a member of groups with these codes."""
        wanted = {word.upper() for word in self.ikinci_asama}
        return "*" in wanted or not wanted.isdisjoint(name.upper() for name in names)


def _checked(name: str, value: object, default: object) -> object:
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise ValueError(f"[giris] {name} metin listesi olmalıdır")
        return tuple(value)
    if isinstance(default, int):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100_000:
            raise ValueError(f"[giris] {name} sayı olmalıdır")
        return value
    if not isinstance(value, str):
        raise ValueError(f"[giris] {name} metin olmalıdır")
    return value.rstrip("/")


DEFAULT_RULES = AccountRules()
