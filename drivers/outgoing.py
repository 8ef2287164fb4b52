"""Where this program may call: one check for every address that somebody typed or that another system told us.

An address is resolved once, everything that its name stands for is checked, and the connection goes to the address
that was checked: a name that answers otherwise the next moment (DNS rebinding) changes nothing. What the operator
allows stands in `[giden]` of the settings:

[giden]
izinli = ["10.20.0.0/16", "fd12::/48"]   # networks that may be called although they are none of the usual ones
klasorler = ["/srv/cihaz"]               # result folders may stand only below these; without it: not in system folders
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import PurePosixPath
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")
)
"""Where clouds tell a machine its own secrets. Never called, whatever the operator allows."""
_PRIVATE = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
_SHARED = ip_network("100.64.0.0/10")
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("2002::/16"), ip_network("2001::/32"))
"""IPv6 that carries an IPv4 address which another machine unpacks."""

SYSTEM_FOLDERS = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr",
    "/var/lib", "/var/log", "/var/run", "/var/spool",
)  # fmt: skip
"""Where files are taken from nobody: they are the machine's own."""
RESOLVE_SECONDS = 5.0


class Refused(ValueError):
    """An address that is not called; the message is Turkish and says why."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the operator allows. `loopback`: this machine itself (a demonstration, a workstation's own software)."""

    allowed: tuple[Network, ...] = ()
    loopback: bool = False
    folders: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    """Folders of this program itself: its database, its spool, its keys."""

    @classmethod
    def of(cls, config: Mapping[str, Any], *, loopback: bool = False, own: Iterable[str] = ()) -> Outgoing:
        """The table `[giden]`. Raises ValueError with a Turkish sentence."""
        table = config.get("giden", {})
        if unknown := sorted(set(table) - {"izinli", "klasorler"}):
            raise ValueError(f"[giden] tablosunda bilinmeyen ayar: {', '.join(unknown)}")
        try:
            allowed = tuple(ip_network(str(text), strict=False) for text in table.get("izinli", ()))
        except ValueError as error:
            raise ValueError(f"[giden] izinli: ağ okunamadı ({error})") from error
        folders = tuple(str(folder) for folder in table.get("klasorler", ()))
        if wrong := [folder for folder in folders if not _is_plain(folder)]:
            raise ValueError(f"[giden] klasorler: tam yol olmalı: {', '.join(wrong)}")
        return cls(allowed, loopback, folders, tuple(own))

    # ---- addresses

    def problem(self, address: Address, *, private: bool) -> str | None:
        """Why this address is not called; None where it may be. private: a hospital's own network is expected there."""
        plain = _unpacked(address)
        if plain in METADATA:
            return "bulut altyapısının iç adresidir"
        if plain.is_unspecified or plain.is_multicast or plain == IPv4Address("255.255.255.255"):
            return "tek bir makinenin adresi değildir"
        if any(plain in network for network in self.allowed if network.version == plain.version):
            return None
        if plain.is_loopback:
            return None if self.loopback else "bu makinenin kendisidir"
        if plain.is_link_local:
            return "yalnız aynı kablodaki makinelerin adresidir"
        if any(plain in network for network in _PRIVATE if network.version == plain.version):
            return None if private else "kurumun iç ağındadır"
        if plain.version == 4 and plain in _SHARED:
            return None if private else "kurumun iç ağındadır"
        return None if plain.is_global else "ayrılmış bir adrestir"

    def check(self, host: str, address: Address, *, private: bool) -> None:
        """Raises Refused."""
        if (why := self.problem(address, private=private)) is not None:
            shown = host if host == str(address) else f"{host} ({address})"
            raise Refused(f"{shown} aranmaz: {why}. Gerekliyse işletmeci ayar dosyasında [giden] izinli ile açar.")

    def check_written(self, host: str, *, private: bool) -> None:
        """The same for what somebody types: numbers are checked at once, names when they are called. Raises Refused."""
        number = written_address(host)
        if number is not None:
            self.check(host, number, private=private)

    async def resolved(self, host: str, port: int, *, private: bool) -> list[str]:
        """Addresses to connect to, each of them checked: one bad one refuses the name. Raises Refused, OSError."""
        number = written_address(host)
        if number is not None:
            found: list[Address] = [number]
        else:
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(RESOLVE_SECONDS):
                    rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except TimeoutError as error:
                raise OSError(f"{host} adı çözülemedi") from error
            found = [ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
        for address in found:
            self.check(host, address, private=private)
        return list(dict.fromkeys(map(str, found)))

    # ---- places on this machine

    def check_folder(self, path: str) -> None:
        """A folder whose files are taken. Raises Refused: not below what the operator allows, or the machine's own."""
        if not _is_plain(path):
            raise Refused(f"klasör yolu tam ve sade olmalı: {path!r}")
        if any(_below(path, folder) or _below(folder, path) for folder in self.own):
            raise Refused(f"{path} izlenmez: programın kendi dosyaları oradadır")
        if self.folders:
            if not any(_below(path, folder) for folder in self.folders):
                raise Refused(f"{path} izlenmez: sonuç klasörleri yalnız {', '.join(self.folders)} altında olabilir")
        elif path == "/" or any(_below(path, folder) for folder in SYSTEM_FOLDERS):
            raise Refused(f"{path} izlenmez: işletim sisteminin klasörüdür")


def check_serial(path: str, *, anywhere: bool = False) -> None:
    """A serial port is a device, never one of the library's addresses (`spy://...?file=` would write any file).

    anywhere: also a link outside of /dev, as the operator himself may lay one. Raises Refused.
    """
    if "://" in path or any(letter.isspace() or ord(letter) < 32 for letter in path):
        raise Refused(f"seri port bir aygıtın yoludur: {path!r}")
    if not anywhere and path.startswith("/") and not (_is_plain(path) and _below(path, "/dev")):
        raise Refused(f"seri port /dev altında olmalı: {path!r}")


def written_address(host: str) -> Address | None:
    """The address that this text is, in any spelling that a resolver takes (127.1, 0x7f000001); None for a name."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:  # inet_aton takes what a connect call takes: 2130706433, 0177.0.0.1, 127.1
        return ip_address(socket.inet_aton(host)) if host and host[0].isdigit() else None
    except OSError:
        return None


def _unpacked(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, however it is packed."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if inner is None and address in _TRANSLATED[0]:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is None and int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, no longer in use
        inner = IPv4Address(int(address))
    return inner or address


def _is_plain(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return path.startswith("/") and ".." not in parts and "\x00" not in path and not path.startswith("//")


def _below(path: str, folder: str) -> bool:
    here, there = PurePosixPath(path), PurePosixPath(folder)
    return here == there or there in here.parents


class _InForce:
    """What the operator of this process chose; until the program says so, only what is never right is refused."""

    rules = Outgoing(loopback=True)


def put_in_force(rules: Outgoing) -> None:
    """The operator's choice, once, when the program starts."""
    _InForce.rules = rules


def in_force() -> Outgoing:
    """What lines and other services of this process ask."""
    return _InForce.rules
