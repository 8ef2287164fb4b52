"""What the ASTM tests share: a peer that stores every frame, cuts of a byte string, and the captured samples."""

from __future__ import annotations

import csv
import os
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from drivers.protocols.astm_link import ENQ, EOT, AstmLink, Event, FrameReceived, LinkOptions, record_frames

E = TypeVar("E")

SAMPLES = Path(os.environ.get("NUMUNE_SAMPLES") or Path(__file__).parents[3] / "shared" / "samples")


RECORDS = [
    rb"H|\^&|||analyser",
    b"P|1|||4711",
    b"O|1|2600417-8||^^^K",
    b"R|1|^^^K|4.1|mmol/L||N||F",
    b"L|1|N",
]
FRAMES = record_frames(RECORDS)
TRANSFER = ENQ + b"".join(FRAMES) + EOT


@dataclass
class Host:
    """The caller of a link: stores every frame at once and remembers all it was told and all that it answered."""

    link: AstmLink
    events: list[Event] = field(default_factory=list)
    answers: bytes = b""

    def hears(self, data: bytes, now: float | None = None) -> bytes:
        """Feed bytes; returns what the link answers to them."""
        return self._after(self.link.receive_data(data, now), now)

    def ticks(self, now: float) -> bytes:
        return self._after(self.link.tick(now), now)

    def loses_the_connection(self, now: float | None = None) -> bytes:
        return self._after(self.link.connection_lost(now), now)

    def _after(self, events: list[Event], now: float | None) -> bytes:
        waiting = deque(events)
        while waiting:
            event = waiting.popleft()
            self.events.append(event)
            if isinstance(event, FrameReceived):
                waiting.extend(self.link.stored(now))
        answer = self.link.data_to_send()
        self.answers += answer
        return answer

    def told(self, *kinds: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def frames(self) -> list[FrameReceived]:
        return [event for event in self.events if isinstance(event, FrameReceived)]


def texts(listener: Host) -> list[bytes]:
    return [frame.text for frame in listener.frames]


def host(**options: object) -> Host:
    return Host(AstmLink(LinkOptions(**options)))  # type: ignore[arg-type]


def conversation(chunks: Iterable[bytes], **options: object) -> tuple[list[Event], bytes]:
    """All events and all answers for these chunks, up to the end of the connection."""
    listener = host(**options)
    for chunk in chunks:
        listener.hears(chunk)
    listener.loses_the_connection()
    return listener.events, listener.answers


def split(data: bytes, at: Sequence[int]) -> list[bytes]:
    """data cut at the given places."""
    places = [0, *sorted({place % (len(data) + 1) for place in at}), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def rows() -> list[dict[str, str]]:
    """INDEX.tsv of the samples; empty where they are missing."""
    index = SAMPLES / "INDEX.tsv"
    if not index.is_file():
        return []
    with index.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


# Counting that shares nothing with the codec: a regular expression and sum().
FRAME = re.compile(rb"\x02([0-9][^\x02\x03\x04\x05\x17]*[\x03\x17])([0-9A-F]{2})?")


def counted(data: bytes) -> tuple[int, int]:
    """Frames whose checksum holds, and all frames."""
    found = FRAME.findall(data)
    valid = sum(1 for body, given in found if b"%02X" % (sum(body) % 256) == given)
    return valid, len(found)
