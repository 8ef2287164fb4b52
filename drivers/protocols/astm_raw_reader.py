"""Cut an ASTM line without frames into messages. The other reader, of frames, is `astm_readers`.

Like it, it knows no states and sends nothing; what it returns depends only on the bytes, never on how they were cut.
"""

from __future__ import annotations

import re
from collections import deque

from drivers.protocols.astm_events import RefusedWhy
from drivers.protocols.astm_readers import REFUSED_KEPT
from drivers.protocols.astm_states import On

__all__ = ["RawReader"]

_RECORD_END = re.compile(rb"[\r\n]")


class RawReader:
    """Reads bare records, one message H to L at a time, lines ending in CR, LF or CR LF.

    Has the same face as FrameReader. A message comes as On.ENQ, On.FRAME, On.EOT; one without its L record (a new H,
    silence, a lost connection) comes with `last` False and without On.EOT. `text` and `raw` are the same: the records
    with their own line ends.
    """

    __slots__ = (
        "_buffer",
        "_delimiter",
        "_dropping",
        "_held",
        "_in_long_line",
        "_max_line",
        "_max_message",
        "_pos",
        "_prepared",
        "_raw",
        "_scan",
        "_settled",
        "last",
        "loosened",
        "number",
        "raw",
        "text",
        "why",
    )

    def __init__(self, *, max_line: int, max_message: int) -> None:
        self._max_line = max_line
        self._max_message = max_message
        self._buffer = b""
        self._pos = 0
        self._scan = 0
        self._raw: list[bytes] = []  # the lines of the message at hand
        self._held = 0  # bytes in _raw
        self._delimiter = b"|"
        self._dropping = False  # inside a message over the limit, until the next header
        self._in_long_line = False  # the line at hand is over the limit; its bytes are not held
        self._settled = False
        self._prepared: deque[tuple[On, bytes, bytes, bool]] = deque()
        self.number = 0
        self.text = b""
        self.raw = b""
        self.last = False
        self.why = RefusedWhy.TOO_LONG
        self.loosened: tuple[str, ...] = ()

    def feed(self, data: bytes) -> None:
        """Take bytes however they were cut."""
        self._settled = False
        self._buffer = self._buffer[self._pos :] + data if self._pos < len(self._buffer) else data
        self._scan = max(0, self._scan - self._pos)
        self._pos = 0

    @property
    def exhausted(self) -> bool:
        """Nothing is held at all: `next` would have nothing to say."""
        return not self._prepared and not self._raw and self._pos >= len(self._buffer)

    @property
    def mid_frame(self) -> bool:
        """A message has begun."""
        return bool(self._raw) or self._pos < len(self._buffer)

    @property
    def unsettled(self) -> bool:
        """A terminator without its line end is the one thing that a quiet line decides."""
        return bool(self._raw) and self._is_terminator(self._buffer[self._pos :])

    def settle(self) -> None:
        """The line has been quiet."""
        self._settled = True

    def give_up(self, why: On) -> None:
        """No more bytes come: hand out what there is of a message, then `why`."""
        rest = self._buffer[self._pos :]
        if self._raw:
            if rest:
                self._take_line(rest, rest)
            if self._raw:
                self._hand_out(last=False)
        elif rest and not self._dropping:
            self._prepared.append((On.JUNK, b"", rest, False))
        self._buffer, self._pos, self._scan = b"", 0, 0
        self._dropping = self._in_long_line = False
        self._prepared.append((why, b"", b"", False))

    def abandon(self) -> None:
        """Nothing to abandon: bare records go both ways without turns."""

    def next(self, frames: bool) -> On | None:
        """What comes next on the line; None when the bytes at hand do not say."""
        while not self._prepared:
            if not self._read_line():
                return None
        what, self.text, self.raw, self.last = self._prepared.popleft()
        return what

    def _read_line(self) -> bool:
        """Take one line off the buffer; False when there is none."""
        buffer, pos = self._buffer, self._pos
        found = _RECORD_END.search(buffer, max(pos, self._scan))
        if found is not None:
            end = found.start()
            self._pos = self._scan = end + 1
            line = buffer[pos:end]
            if self._in_long_line:
                self._in_long_line = False
            elif len(line) > self._max_line:
                self._refuse(line)
            else:
                self._take_line(line, buffer[pos : end + 1])
            return True
        rest = buffer[pos:]
        self._scan = len(buffer)
        if self._in_long_line:
            self._pos = len(buffer)
        elif len(rest) > self._max_line:
            self._pos = len(buffer)
            self._in_long_line = True
            self._refuse(rest)
            return True
        elif self._settled and self.unsettled:
            self._pos = len(buffer)
            self._take_line(rest, rest)
            return True
        return False

    def _take_line(self, line: bytes, raw: bytes) -> None:
        record = line.strip()
        if not record:
            if self._raw:
                self._raw.append(raw)
            return
        if _is_header(record):
            if self._raw:
                self._hand_out(last=False)
            self._dropping = False
            self._delimiter = record[1:2]
        elif not self._raw:
            if not self._dropping:
                self._prepared.append((On.JUNK, b"", raw, False))
            return
        self._raw.append(raw)
        self._held += len(raw)
        if self._held > self._max_message:
            self._refuse(b"")
        elif self._is_terminator(record):
            self._hand_out(last=True)

    def _hand_out(self, *, last: bool) -> None:
        text = b"".join(self._raw)
        self._prepared.append((On.ENQ, b"", b"", False))
        self._prepared.append((On.FRAME, text, text, last))
        if last:
            self._prepared.append((On.EOT, b"", b"", False))
        self._raw, self._held = [], 0

    def _refuse(self, line: bytes) -> None:
        """A record or a message over the limit: drop all of it up to the next header."""
        begin = (b"".join(self._raw) + line[: self._max_line + 1])[:REFUSED_KEPT]
        self._raw, self._held = [], 0
        if not self._dropping:
            self._prepared.append((On.TOO_LONG, b"", begin, False))
        self._dropping = True

    def _is_terminator(self, record: bytes) -> bool:
        return record[:1] in (b"L", b"l") and record[1:2] in (self._delimiter, b"")


def _is_header(record: bytes) -> bool:
    return record[:1] in (b"H", b"h") and len(record) > 1 and not record[1:2].isalnum()
