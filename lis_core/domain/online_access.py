"""How a patient proves on the internet that an order is his: the institution's settings, codes, numbers, addresses.

Order number, identity number and the code of the slip that was handed to him. A neighbour may know, or buy, number and
identity number and birth date; the code is random, stands on the slip alone, and is worth nothing for another order.
Pure: no clock, no database.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from typing import Any

from lis_core.domain.identity import format_date_tr
from lis_core.domain.turkish import search_key, upper

ALPHABET = "23456789ABCDEFGHJKMNPRSTVYZ"
"""27 signs that cannot be taken for one another, on paper or on a Turkish keyboard: no 0/O, 1/I/İ/L, Q, U, W, X."""
CODE_LENGTH = 10
"""27^10 is about 2 x 10^14: even a million guesses a day would need half a million years for one order."""


def new_code() -> str:
    """A code that nobody can foresee."""
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


def shown_code(code: str) -> str:
    """As it is printed: `K7MPA-4RTC9`."""
    return f"{code[:5]}-{code[5:]}"


def plain_code(text: str) -> str:
    """What a person typed, without blanks and dashes, in capitals; at most a few signs more than a code has."""
    return "".join(sign for sign in text.upper() if sign.isalnum())[: CODE_LENGTH + 2]


# --- who he is -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """The numbers of a patient that may prove who he is."""

    tc: str | None
    passport: str | None
    hospital_number: str | None
    birth_date: date | None

    @property
    def accepted(self) -> tuple[str, ...]:
        """What counts as his identity number, as `plain_identity` writes it: at most two, none where nothing is known.

        The TC number of whoever has one, else the passport; of the others (a newborn) the hospital's number, or the
        day of birth.
        """
        if self.tc:
            return (plain_identity(self.tc),)
        if self.passport:
            return (plain_identity(self.passport),)
        born = format_date_tr(self.birth_date) if self.birth_date else None
        return tuple(plain_identity(text) for text in (self.hospital_number, born) if text)

    @property
    def words(self) -> str:
        """What he has to type, for his slip."""
        if self.tc:
            return "T.C. kimlik numaranız"
        if self.passport:
            return "Pasaport numaranız"
        return "Hastane hasta numaranız ya da doğum tarihi (GG.AA.YYYY)"


def plain_identity(text: str) -> str:
    """A number as it is compared: capitals and digits only, at most 40 of them."""
    return "".join(sign for sign in upper(text) if sign.isalnum())[:40]


def coded_identity(given_name: str, family_name: str, birth_date: date | None) -> str:
    """The code that a confidential result is printed under: two letters of each name, two digits of the year of birth.

    The national reference laboratory's form adds two letters of the father's name, which is not kept here.
    """
    year = f"{birth_date.year % 100:02d}" if birth_date else "--"
    return f"{_two(given_name)}{_two(family_name)}{year}"


def _two(name: str) -> str:
    return upper("".join(sign for sign in name if sign.isalpha())[:2]).ljust(2, "-")


# --- where he comes from -------------------------------------------------------------------------------------------


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one, which one household has as a whole."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:60]
    if parsed.version == 6:
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


# --- what the institution decides ----------------------------------------------------------------------------------

CAPTIONS: Mapping[str, str] = {
    "acik": "Hasta sayfası açık",
    "belge_gun": "Belgenin geçerli olduğu gün",
    "oturum_dakika": "Oturumun en uzun süresi (dakika)",
    "bosta_dakika": "Boşta kalınca kapanma (dakika)",
    "deneme": "Kilitlenmeden önceki hatalı deneme",
    "kilit_dakika": "Kilit süresi (dakika)",
}
_LIMITS: Mapping[str, tuple[int, int]] = {
    "belge_gun": (1, 400),
    "oturum_dakika": (2, 60),
    "bosta_dakika": (1, 30),
    "deneme": (3, 10),
    "kilit_dakika": (1, 15),
}


@dataclass(frozen=True, slots=True)
class PatientPageRules:
    """The institution's standards for its patients' page (9.8.8b, 9.11.12b); the names are those of the database.

    Closed until somebody of the laboratory has opened it: before that nobody has looked at what must be withheld.
    """

    acik: bool = False
    belge_gun: int = 60
    oturum_dakika: int = 15
    bosta_dakika: int = 5
    deneme: int = 5
    kilit_dakika: int = 15

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> PatientPageRules:
        """From the stored parameter; what it does not say, or says wrongly, is the default."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = (stored or {}).get(field.name)
            if field.name == "acik":
                values["acik"] = value is True
            elif isinstance(value, int) and limit_problem(field.name, value) is None:
                values[field.name] = value
        return cls(**values)

    @property
    def as_stored(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def session_length(self) -> timedelta:
        return timedelta(minutes=self.oturum_dakika)

    @property
    def idle_length(self) -> timedelta:
        return timedelta(minutes=self.bosta_dakika)

    @property
    def lock_length(self) -> timedelta:
        return timedelta(minutes=self.kilit_dakika)

    @property
    def slip_length(self) -> timedelta:
        return timedelta(days=self.belge_gun)


def limit_problem(name: str, value: int) -> str | None:
    """What is wrong with a setting, as the end of a Turkish sentence; None: nothing."""
    least, most = _LIMITS[name]
    return None if least <= value <= most else f"{CAPTIONS[name]}: {least} - {most} arasında olmalı"


def likely_sensitive(code: str, name: str) -> bool:
    """True for a test that laboratories usually keep off the internet: asked where no rule speaks of it yet."""
    text = f" {search_key(code)} {search_key(name)} ".replace("-", " ")
    return any(word in text for word in _SENSITIVE)


_SENSITIVE = (
    " hiv", "antihiv", "aids", "hbsag", "hbeag", "hbc", " hbv", " hcv", "antihcv", "vdrl", " rpr", "tpha", "sifiliz",
    "syphilis", "hepatit", "genetik", "karyotip", "babalik", "tuberkul", " pcr", "uyusturucu", "madde", "toksikoloji",
)  # fmt: skip
