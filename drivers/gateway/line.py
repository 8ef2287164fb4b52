"""One line of the gateway: its settings, its state for people, and the sessions (connections) that it has."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from drivers.links.networks import Refusals
from drivers.protocols.astm_events import BrokenWhy, RefusedWhy, SendWhy

SecondConnection = Literal["birlikte", "yenisi", "reddet"]
"""What happens when a second peer claims the line: both are served; the new one takes over; the new one is refused."""


Direction = Literal["gelen", "giden"]
Tap = Callable[[Direction, bytes], None]
"""Told of every chunk of bytes as it comes and goes."""
EventKind = Literal["bilgi", "sorun"]


@dataclass(frozen=True, slots=True)
class LineSpec:
    """A line as the laboratory set it up."""

    name: str
    kind: Literal["tcp-sunucu", "tcp-istemci", "seri", "klasor"]
    protocol: Literal["astm", "hl7", "metin", "tablo", "poct1a"]
    address: str
    definition: str
    settings: dict[str, Any] = field(default_factory=dict)
    """`ikinci` (SecondConnection), `hat` (options of the link), `parametre` (settings of the machine that the model's
    definition names), serial and folder settings."""

    @property
    def second(self) -> SecondConnection:
        word = self.settings.get("ikinci", "yenisi")
        return word if word in ("birlikte", "yenisi", "reddet") else "yenisi"


@dataclass(slots=True)
class LineStatus:
    """What the line is doing, for the screen. Times are seconds since the epoch."""

    listening: bool = False
    peers: int = 0
    peer: str = ""
    last_byte: float | None = None
    last_message: float | None = None
    messages: int = 0
    queries: int = 0
    errors: int = 0
    refused: int = 0
    """Connections that were turned away at the door: address, TLS."""
    last_error: str | None = None
    last_error_at: float | None = None
    changed: bool = True


class Session(Protocol):
    """One connection on a line."""

    peer: str

    def close(self) -> None: ...


class LineBook:
    """The line's status and recent events; sessions write it, the gateway reads it."""

    def __init__(self, spec: LineSpec) -> None:
        self.spec = spec
        self.status = LineStatus()
        self.sessions: list[Session] = []
        self.events: deque[tuple[float, str]] = deque(maxlen=100)
        """Newest last: (time, Turkish sentence)."""
        self.fresh: deque[tuple[float, EventKind, str]] = deque(maxlen=1000)
        """Events that nobody has taken to the database yet."""
        self._why = ""
        self.refusals = Refusals(self._tell_refused)
        self.turned_away: deque[tuple[float, str, int]] = deque(maxlen=200)
        """(time, address, how often) that nobody has taken to the audit yet; the address is "" for many together."""
        self.taps: tuple[Tap, ...] = ()
        """Whoever listens to the bytes; empty nearly always, and then it costs one look per chunk."""

    def opened(self, session: Session) -> bool:
        """A peer connected. False = this line takes no second one; the caller hangs up."""
        if self.sessions:
            if self.spec.second == "reddet":
                self.trouble(f"İkinci bağlantı reddedildi ({session.peer}); {self.sessions[0].peer} bağlı.")
                return False
            if self.spec.second == "yenisi":
                self.trouble(f"{session.peer} hattı devraldı; {self.sessions[0].peer} bağlantısı kapatıldı.")
                for old in list(self.sessions):
                    old.close()
            else:
                self.trouble(f"Bu hatta aynı anda {len(self.sessions) + 1} bağlantı var ({session.peer}).")
        self.sessions.append(session)
        self.status.peers = len(self.sessions)
        self.status.peer = session.peer
        self.status.changed = True
        self.note(f"{session.peer} bağlandı.")
        return True

    def closed(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
            self.note(f"{session.peer} ayrıldı.")
        self.status.peers = len(self.sessions)
        self.status.changed = True

    def heard(self) -> None:
        self.status.last_byte = time.time()
        self.status.changed = True

    def received(self, *, query: bool) -> None:
        self.status.last_message = time.time()
        if query:
            self.status.queries += 1
        else:
            self.status.messages += 1
        self.status.changed = True

    def trouble(self, sentence: str) -> None:
        """An error that a person should know of."""
        self.status.errors += 1
        self.status.last_error = sentence
        self.status.last_error_at = time.time()
        self.status.changed = True
        self._remember("sorun", sentence)

    def refused(self, host: str, why: str) -> None:
        """A peer was hung up at the door. Counted always, told a few times a minute."""
        self.status.refused += 1
        self.status.changed = True
        self._why = why
        self.refusals.add(host)

    def _tell_refused(self, host: str, count: int) -> None:
        if host:
            self.trouble(f"{host} adresinden bağlantı kapatıldı: {self._why}.")
        else:
            self.trouble(f"İzinsiz {count} bağlantı daha kapatıldı.")
        self.turned_away.append((time.time(), host, count))

    def note(self, sentence: str) -> None:
        """Something worth knowing that is no error."""
        self._remember("bilgi", sentence)

    def _remember(self, kind: EventKind, sentence: str) -> None:
        now = time.time()
        self.events.append((now, sentence))
        self.fresh.append((now, kind, sentence))

    def tapped(self, direction: Direction, data: bytes) -> None:
        """Bytes came or went; only called where `taps` holds somebody."""
        for tap in self.taps:
            tap(direction, data)

    def follows(self, before: LineBook) -> None:
        """The line opens again with other settings: what was not written yet goes with it."""
        self.fresh = before.fresh
        self.turned_away.extend(before.turned_away)
        self.status.refused = before.status.refused

    def endpoint(self, is_open: bool, problem: str | None) -> None:
        """The endpoint opened, closed or failed."""
        self.status.listening = is_open
        self.status.changed = True
        if problem:
            self.trouble(problem)


_DISK = {
    errno.ENOSPC: "diskte yer yok",
    errno.EDQUOT: "disk kotası doldu",
    errno.EFBIG: "dosya boyu sınırına gelindi",
    errno.EROFS: "disk salt okunur",
    errno.EIO: "disk hatası",
}


def disk_words(error: OSError) -> str:
    """Why a disk took nothing, for people."""
    return _DISK.get(error.errno or 0) or error.strerror or str(error)


REFUSED: dict[RefusedWhy, str] = {
    RefusedWhy.CHECKSUM: "Çerçevenin sağlama toplamı yanlış; yeniden istendi.",
    RefusedWhy.NO_CHECKSUM: "Çerçevede sağlama toplamı yok; yeniden istendi.",
    RefusedWhy.NUMBER: "Çerçeve numarası sırada değil; yeniden istendi.",
    RefusedWhy.TOO_LONG: "Çerçeve sınırdan uzun; alınmadı.",
    RefusedWhy.CONTROL_CHARACTER: "Çerçevede izinsiz denetim karakteri var; yeniden istendi.",
    RefusedWhy.CUT_OFF: "Çerçeve yarıda kesildi; yeniden istendi.",
    RefusedWhy.OUTSIDE_TRANSFER: "Aktarım dışında çerçeve geldi; alınmadı.",
    RefusedWhy.TRANSFER_TOO_LONG: "Aktarım sınırdan uzun; alınmadı.",
    RefusedWhy.TRANSFER_REFUSED: "Reddedilen aktarımın devamı; alınmadı.",
}

BROKEN: dict[BrokenWhy, str] = {
    BrokenWhy.SILENCE: "Cihaz aktarımın ortasında sustu.",
    BrokenWhy.CONNECTION_LOST: "Bağlantı aktarımın ortasında koptu.",
    BrokenWhy.TOO_LONG: "Aktarım sınırı aştı.",
}

NOT_SENT: dict[SendWhy, str] = {
    SendWhy.BUSY: "Cihaz meşgul; gönderilemedi.",
    SendWhy.CONTENTION: "Cihaz aynı anda göndermek istedi.",
    SendWhy.NO_REPLY: "Cihaz yanıt vermedi.",
    SendWhy.REFUSED: "Cihaz çerçeveyi kabul etmedi.",
    SendWhy.INTERRUPTED: "Cihaz araya girdi.",
    SendWhy.DISPLACED: "Cihaz kendi aktarımına başladı.",
    SendWhy.CONNECTION_LOST: "Bağlantı koptu.",
}
