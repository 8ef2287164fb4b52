"""From frames to messages on one transfer: which frames hold a message, and the key that names it for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.gateway.spool import Place
from drivers.protocols.astm_messages import MessageAssembler, Partial, WholeMessage


@dataclass(frozen=True, slots=True)
class Collected:
    """A message with the frames that hold it. `places` are its own to release; a frame shared with the next message
    belongs to that one."""

    line: str
    key: str
    received_ns: int
    text: bytes
    raw: bytes
    places: tuple[Place, ...]
    whole: bool = True
    problem: str | None = None
    alone: bool = True
    """Its frames hold nothing else, so it can be read back from the spool."""
    foreign: bool = False
    """Not ASTM records (HL7 or other text in E1381 frames)."""


class Collector:
    """Feed it the stored frames of one transfer, in order. The same frames always give the same messages and keys."""

    def __init__(self, spool: str, line: str, *, announced: bool = True) -> None:
        """announced: transfers begin with ENQ. Where they do not, a new H may be a sender that began anew, so a message
        without L before it is not whole."""
        self._spool = spool
        self._line = line
        self._announced = announced
        self._assembler = MessageAssembler()
        self._frames: list[tuple[Place, int, bytes]] = []
        self._before = 0
        """Messages that end in the first frame of the one at hand."""

    def take(self, place: Place, received_ns: int, raw: bytes, text: bytes, last: bool) -> list[Collected]:
        """One more frame; the messages that it makes whole."""
        frame = (place, received_ns, raw)
        self._frames.append(frame)
        found = []
        wholes = self._assembler.feed(text, last)
        for number, message in enumerate(wholes, 1):
            shared = number < len(wholes) or self._assembler.pending
            found.append(self._collect(message, shared=shared, normal_end=self._announced))
            self._before = self._before + 1 if self._frames[0] is frame else 1
            self._frames = [frame] if shared else []
        if not self._frames:
            self._before = 0
        return found

    def finish(self, *, broken: bool) -> list[Collected]:
        """The transfer is over. broken: it stopped without its end; what is left was acknowledged and must be kept."""
        rest = self._assembler.finish(broken=broken)
        found = [] if rest is None or not self._frames else [self._collect(rest, shared=False, normal_end=not broken)]
        self._frames, self._before = [], 0
        return found

    def _collect(self, message: WholeMessage | Partial, *, shared: bool, normal_end: bool) -> Collected:
        own = self._frames[:-1] if shared and len(self._frames) > 1 else [] if shared else self._frames
        first = self._frames[0]
        whole = isinstance(message, WholeMessage) or (message.why == "no terminator" and normal_end)
        problem = None
        if isinstance(message, Partial) and not whole:
            problem = _PROBLEM[message.why]
        return Collected(
            line=self._line,
            key=message_key(self._spool, first[0], self._before),
            received_ns=self._frames[-1][1],
            text=message.text,
            raw=b"".join(raw for _, _, raw in self._frames),
            places=tuple(place for place, _, _ in own),
            whole=whole,
            problem=problem,
            alone=not shared and not self._before,
            foreign=isinstance(message, WholeMessage) and message.protocol == "other",
        )


_PROBLEM = {
    "transfer broken": "Aktarım yarıda kesildi; gelen kısım saklandı, sonuçları uygulanmadı.",
    "no terminator": "Mesajın sonu (L kaydı) gelmedi; gelen kısım saklandı, sonuçları uygulanmadı.",
    "no header": "Mesajın başı (H kaydı) yok; gelen kısım saklandı.",
}


def message_key(spool: str, first: Place, before: int = 0) -> str:
    """Names a message for ever: the spool, the number of its first frame, and how many messages end in that frame."""
    return f"{spool}-{first.number}" + (f".{before}" if before else "")


def body_of(text: bytes) -> bytes:
    """A message without its first record (the header, whose time differs when a message is sent again)."""
    ends: Sequence[int] = [at for at in (text.find(b"\r"), text.find(b"\n")) if at >= 0]
    return text[min(ends) + 1 :] if ends else b""
