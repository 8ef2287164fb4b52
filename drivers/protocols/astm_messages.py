"""Join frame texts into messages: a message is known whole at its L record, not only when the transfer ends.

Frames cut records anywhere, so texts are joined before anything is read from them. A frame that closes with ETX closes
its last record too, with or without CR (Sysmex CS leaves it out); one that closes with ETB does so only with its CR
(cobas c 111 closes whole records with ETB).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["MessageAssembler", "Partial", "WholeMessage", "split_messages"]

# One letter (a frame digit before it where a host put several records under one frame number), then a delimiter.
_HEADER = re.compile(rb"[0-9]?[Hh][^0-9A-Za-z\r\n]")
_RECORD = re.compile(rb"[0-9]?[A-Za-z](?:[^0-9A-Za-z]|\Z)")
_TERMINATOR = re.compile(rb"[0-9]?[Ll](?:[^0-9A-Za-z]|\Z)")
_MAY_BEGIN_OR_END = frozenset(b"HhLl0123456789")


@dataclass(frozen=True, slots=True)
class WholeMessage:
    """One message, its records as sent (each with a line end).

    protocol: "other" is text that is no ASTM record (HL7 or bioMerieux text in E1381 frames); it is whole when its
    transfer ended as it should.
    """

    text: bytes
    protocol: Literal["astm", "other"] = "astm"


@dataclass(frozen=True, slots=True)
class Partial:
    """Records that were acknowledged but never became a whole message."""

    text: bytes
    why: Literal["no terminator", "no header", "transfer broken"]


class MessageAssembler:
    """Feed it the texts of one transfer; `finish` it when the transfer ends or breaks, then use it for the next."""

    __slots__ = ("_foreign", "_lines", "_tail")

    def __init__(self) -> None:
        self._lines: list[bytes] = []  # complete records of the message at hand
        self._tail = b""  # the record that frames have not completed yet
        self._foreign = False  # the text at hand is not ASTM

    @property
    def pending(self) -> bool:
        """True while some of a message has come and its end has not."""
        return bool(self._lines or self._tail)

    def feed(self, text: bytes, last: bool) -> list[WholeMessage | Partial]:
        """Take one frame's text; `last` is FrameReceived.last. Returns what became whole (or was cut by a new H)."""
        if self._tail:
            text = self._tail + text
            self._tail = b""
        if last and text[-1:] not in (b"\r", b"\n"):
            text += b"\r"
        found: list[WholeMessage | Partial] = []
        lines = self._lines
        for line in text.splitlines(keepends=True):
            if line[0] not in _MAY_BEGIN_OR_END or self._foreign:
                if line[-1] not in b"\r\n":
                    self._tail = line
                elif lines:
                    lines.append(line)
                elif line.strip():
                    self._foreign = _RECORD.match(line) is None
                    lines.append(line)
            elif line[-1] not in b"\r\n":
                self._tail = line
            else:
                self._begin_or_end(line, found)
                lines = self._lines
        return found

    def finish(self, *, broken: bool = False) -> WholeMessage | Partial | None:
        """The transfer is over; None when no text is left. broken: it stopped without its end."""
        tail, self._tail = self._tail, b""
        found: list[WholeMessage | Partial] = []
        if tail.strip():
            ends = not broken and not self._foreign and _TERMINATOR.match(tail) is not None
            if ends:
                self._begin_or_end(tail + b"\r", found)
            else:
                self._foreign = self._foreign or (not self._lines and _RECORD.match(tail) is None)
                self._lines.append(tail)
        if found:
            return found[0]
        text = b"".join(self._lines)
        foreign, self._foreign = self._foreign, False
        self._lines = []
        if not text:
            return None
        if broken:
            return Partial(text, "transfer broken")
        return WholeMessage(text, "other") if foreign else Partial(text, "no terminator")

    def _begin_or_end(self, line: bytes, found: list[WholeMessage | Partial]) -> None:
        """A complete line that may be a header or a terminator."""
        if _HEADER.match(line) is not None:
            if self._lines:
                found.append(Partial(b"".join(self._lines), "no terminator"))
            self._lines = [line]
            return
        if not self._lines:
            self._foreign = _RECORD.match(line) is None
        self._lines.append(line)
        if not self._foreign and _TERMINATOR.match(line) is not None:
            text = b"".join(self._lines)
            found.append(WholeMessage(text) if _HEADER.match(text) is not None else Partial(text, "no header"))
            self._lines = []


def split_messages(text: bytes) -> list[WholeMessage | Partial]:
    """Cut a run of bare records (a file, a raw line's message) into its messages H to L."""
    assembler = MessageAssembler()
    found = assembler.feed(text, True)
    rest = assembler.finish()
    return [*found, rest] if rest is not None else found
