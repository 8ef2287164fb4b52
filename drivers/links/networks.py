"""Whom a listening port takes: networks, and what is said of those who are turned away."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TOLD_AT_ONCE = 5
"""Addresses told one by one in a window; a scanner's others are one number."""
WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks that may connect; none named = everybody."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[object]) -> Networks:
        """`10.1.0.0/16`, `10.1.2.3`, `fd12::/48`. Raises ValueError with a Turkish sentence."""
        if isinstance(texts, str):
            raise ValueError("izinli bir liste olmalı: ['10.1.0.0/16', '10.2.3.4']")
        found = []
        for text in texts:
            try:
                found.append(ipaddress.ip_network(str(text).strip(), strict=False))
            except ValueError as error:
                raise ValueError(f"ağ okunamadı: {text!r} (örnek: 10.1.0.0/16 ya da 10.1.2.3)") from error
        return cls(tuple(found))

    def admits(self, host: str) -> bool:
        """Whether a peer from this address is taken. What is no address (a socket of this machine) is only taken where
        everybody is."""
        if not self.networks:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks if network.version == address.version)


class Refusals:
    """Counts everybody who was turned away and tells of a few: a scanner must not fill the disk."""

    def __init__(self, tell: Callable[[str, int], None], clock: Callable[[], float] = time.monotonic) -> None:
        """tell: (address, how often); the address is "" for those of a window that were not told one by one."""
        self.total = 0
        self._tell = tell
        self._clock = clock
        self._since = clock()
        self._told: set[str] = set()
        self._untold = 0

    def add(self, host: str) -> None:
        """Somebody from there was turned away."""
        self.settle()
        self.total += 1
        if host in self._told or len(self._told) >= TOLD_AT_ONCE:
            self._untold += 1
            return
        self._told.add(host)
        self._tell(host, 1)

    def settle(self) -> None:
        """A window that is over: say how many were not told, and begin anew."""
        now = self._clock()
        if now - self._since < WINDOW_SECONDS:
            return
        self._since = now
        self._told.clear()
        untold, self._untold = self._untold, 0
        if untold:
            self._tell("", untold)
