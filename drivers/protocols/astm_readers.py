"""Cut the bytes of an ASTM line into what stands on it: frames, control characters, junk.

A reader knows no states and sends nothing; `astm_link.AstmLink` asks it for one thing after the other. What it returns
depends only on the bytes, never on how the network cut them.
"""

from __future__ import annotations

import re

from drivers.protocols.astm_events import RefusedWhy
from drivers.protocols.astm_frames import HEX_BYTES, RESTRICTED, byte_sum
from drivers.protocols.astm_options import Checksum
from drivers.protocols.astm_states import On

__all__ = ["FrameReader"]

JUNK_PIECE = 4096  # bytes outside frames are reported in pieces of this size
REFUSED_KEPT = 1024  # bytes kept of a frame that is too long to be kept

_STX, _ETX, _EOT, _ENQ, _ETB = 0x02, 0x03, 0x04, 0x05, 0x17
_LINE_END = (0x0D, 0x0A)
_SINGLE = {0x05: On.ENQ, 0x04: On.EOT, 0x06: On.ACK, 0x15: On.NAK}
_HEX_DIGITS = frozenset(b"0123456789ABCDEFabcdef")
_NO_CHECK_CHARACTER = frozenset((0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0D, 0x15, 0x17))

_ENDS_TEXT = re.compile(rb"[\x02-\x05\x17]")  # what ends a frame, well or badly
_ENDS_JUNK = re.compile(rb"[\x02\x04-\x06\x15]")


class FrameReader:
    """Reads STX ... ETX frames, numbered with checksum (E1381) or without both (`numbered=False`).

    Three things cannot be told before the next byte, and settle when the line stays quiet (`unsettled`, `settle`):
    ENQ inside a frame or after junk (noise if more follows; somebody asks if STX follows or nothing does: he waits),
    a frame whose checksum does not come, and junk that may still grow. An ACK to noise would be taken for the answer
    to the frame that the noise damaged, and a result would be lost.

    After `next()` returned On.FRAME the attributes number, text, raw, last and loosened describe the frame; after
    On.BAD, On.CUT or On.TOO_LONG why and raw do; after On.JUNK raw does.
    """

    __slots__ = (
        "_buffer",
        "_checksum",
        "_gone",
        "_junk",
        "_numbered",
        "_overlong",
        "_pos",
        "_refuse_restricted",
        "_scan",
        "_settled",
        "_swallow",
        "_waiting",
        "_window",
        "last",
        "loosened",
        "number",
        "raw",
        "text",
        "why",
    )

    def __init__(self, *, numbered: bool, checksum: Checksum, max_frame: int, refuse_restricted: bool) -> None:
        self._numbered = numbered
        self._checksum: Checksum = checksum
        self._window = max_frame + (2 if numbered else 1)  # frame number, text, ETX or ETB
        self._refuse_restricted = refuse_restricted
        self._buffer = b""
        self._pos = 0  # everything before it is done with
        self._scan = 0  # inside an unfinished frame: everything before it has been looked at
        self._junk = b""
        self._swallow = 0  # checksum characters that nobody asked for, still to be passed over
        self._overlong = False
        self._waiting = False
        self._settled = False
        self._gone: On | None = None
        self.number = 0
        self.text = b""
        self.raw = b""
        self.last = False
        self.why = RefusedWhy.CUT_OFF
        self.loosened: tuple[str, ...] = ()

    def feed(self, data: bytes) -> None:
        """Take bytes however they were cut."""
        self._settled = False
        if self._pos < len(self._buffer):
            self._buffer = self._buffer[self._pos :] + data
            self._scan = max(0, self._scan - self._pos)
        else:
            self._buffer = data
            self._scan = 0
        self._pos = 0

    @property
    def exhausted(self) -> bool:
        """Nothing is held at all: `next` would have nothing to say."""
        return self._pos >= len(self._buffer) and not (self._overlong or self._junk or self._gone)

    @property
    def mid_frame(self) -> bool:
        """An unfinished frame is being held (or an ENQ in doubtful company)."""
        return self._overlong or self._pos < len(self._buffer)

    @property
    def unsettled(self) -> bool:
        """A quiet line would decide something."""
        return self._waiting or bool(self._junk)

    def settle(self) -> None:
        """The line has been quiet: what was open until the next byte is to be decided without it."""
        self._settled = True

    def give_up(self, why: On) -> None:
        """No more bytes come. An unfinished frame is cut off; `why` (SILENCE, LOST) is returned after that."""
        self._settled = True
        self._gone = why

    def abandon(self) -> None:
        """Treat an unfinished frame as junk: the line is about to be used the other way round."""
        self._junk += self._buffer[self._pos :]
        self._buffer, self._pos, self._scan = b"", 0, 0
        self._overlong = self._waiting = False

    def next(self, frames: bool) -> On | None:
        """What comes next on the line; None when the bytes at hand do not say. frames: STX opens a frame."""
        buffer, pos = self._buffer, self._pos
        if self._overlong:
            return self._ended(pos)
        size = len(buffer)
        while pos < size:
            byte = buffer[pos]
            if byte == _STX and frames:
                if self._junk:
                    return self._report_junk(pos)
                return self._frame(pos)
            if byte in _SINGLE:
                if self._junk:
                    if byte == _ENQ and not self._is_asking(pos):
                        if pos + 1 == size:
                            break
                        self._junk += b"\x05"
                        pos += 1
                        continue
                    return self._report_junk(pos)
                self._pos = pos + 1
                self._swallow = 0
                return _SINGLE[byte]
            if byte in _LINE_END and not self._junk:
                self._swallow = 0
                pos += 1
            elif self._swallow and byte in _HEX_DIGITS:
                self._swallow -= 1
                pos += 1
            else:
                self._swallow = 0
                pos = self._gather_junk(pos)
                if len(self._junk) >= JUNK_PIECE:
                    return self._report_junk(pos)
        self._pos = pos
        if self._junk and self._settled:
            return self._report_junk(pos)
        return self._at_end()

    # ---- frames

    def _frame(self, pos: int) -> On | None:
        """The frame that opens at pos: the undisturbed one quickly, every other one with care."""
        buffer = self._buffer
        start = pos + 1
        stop = start + self._window
        end = buffer.find(b"\x03", start, stop)
        block_end = buffer.find(b"\x17", start, stop if end < 0 else end)
        if block_end >= 0:
            end = block_end
        if end < 0 or self._checksum != "required" or not self._numbered or len(buffer) < end + 3:
            return self._ended(pos)
        body = buffer[start : end + 1]
        number = body[0] - 48
        if (
            len(body.translate(None, RESTRICTED)) != len(body) - 1
            or buffer[end + 1 : end + 3] != HEX_BYTES[byte_sum(body)]
            or not 0 <= number <= 9
        ):
            return self._ended(pos)
        self.number = number
        self.text = body[1:-1]
        self.raw = buffer[pos : end + 3]
        self.last = block_end < 0
        self.loosened = ()
        self._scan = 0
        self._waiting = False
        self._pos = end + 3
        return On.FRAME

    def _ended(self, pos: int) -> On | None:
        """Look for what ends the frame that opens at pos (or that is over its limit, its bytes dropped up to pos)."""
        buffer = self._buffer
        size = len(buffer)
        stop = size if self._overlong else min(size, pos + 1 + self._window)
        at = max(self._scan, pos if self._overlong else pos + 1)
        while (found := _ENDS_TEXT.search(buffer, at, stop)) is not None:
            at = found.start()
            byte = buffer[at]
            if byte in (_ETX, _ETB):
                return self._checked(pos, at)
            if byte == _ENQ:
                if at + 1 == size and not self._settled:
                    return self._wait_for_more(pos, at)
                if not self._is_asking(at):
                    at += 1
                    continue
            return self._cut(pos, at)
        if self._overlong:
            self._pos, self._scan, self._waiting = size, 0, False
            return self._at_end()
        if size >= pos + 1 + self._window:
            return self._too_long(pos, stop)
        self._pos, self._scan, self._waiting = pos, size, False
        return self._at_end()

    def _is_asking(self, at: int) -> bool:
        """The ENQ at `at`, in doubtful company, is followed by a frame, or by nothing for a while."""
        if at + 1 == len(self._buffer):
            return self._settled
        return self._buffer[at + 1] == _STX

    def _wait_for_more(self, pos: int, at: int) -> On | None:
        self._pos, self._scan, self._waiting = pos, at, True
        return self._at_end()

    def _at_end(self) -> On | None:
        """The bytes at hand say no more. If none will follow, an unfinished frame is cut off here."""
        if self._gone is None:
            return None
        if self.mid_frame:
            return self._cut(self._pos, len(self._buffer))
        gone, self._gone = self._gone, None
        return gone

    def _cut(self, pos: int, at: int) -> On:
        """The frame breaks off at `at`, where something else begins."""
        self.raw = b"" if self._overlong else self._buffer[pos:at]
        self.why = RefusedWhy.CUT_OFF
        self._pos, self._scan = at, 0
        self._overlong = self._waiting = False
        return On.CUT

    def _too_long(self, pos: int, stop: int) -> On:
        self.raw = self._buffer[pos : min(pos + REFUSED_KEPT, stop)]
        self.why = RefusedWhy.TOO_LONG
        self._pos, self._scan = stop, 0
        self._overlong = True
        return On.TOO_LONG

    def _checked(self, pos: int, end: int) -> On | None:
        """The frame from pos ends at `end`: take its checksum and judge it."""
        buffer = self._buffer
        given = b""
        if self._checksum != "none" and self._numbered:
            wanted = _HEX_DIGITS if self._checksum == "optional" else None
            at = end + 1
            while len(given) < 2:
                if at == len(buffer):
                    if self._settled:
                        break
                    return self._wait_for_more(pos, end)
                byte = buffer[at]
                if byte in _NO_CHECK_CHARACTER or (wanted is not None and byte not in wanted):
                    break
                given += buffer[at : at + 1]
                at += 1
        else:
            self._swallow = 2
        self._pos, self._scan, self._waiting = end + 1 + len(given), 0, False
        if self._overlong:
            self._overlong = False
            self.raw, self.why = b"", RefusedWhy.TOO_LONG
            return On.BAD
        self.raw = buffer[pos : self._pos]
        return self._judged(buffer[pos + 1 : end + 1], given)

    def _judged(self, body: bytes, given: bytes) -> On:
        """body: from the frame number to ETX or ETB. given: the checksum characters that came, up to two."""
        loosened = []
        if self._numbered and self._checksum != "none":
            expected = HEX_BYTES[byte_sum(body)]
            if given == b"" and self._checksum == "optional":
                loosened.append("frame without checksum")
            elif given == b"":
                return self._refused(RefusedWhy.NO_CHECKSUM)
            elif given.upper() != expected:
                return self._refused(RefusedWhy.CHECKSUM)
            elif given != expected:
                loosened.append("checksum in lower case")
        elif self._numbered:
            loosened.append("checksum not looked at")
        text = body[1:-1] if self._numbered else body[:-1]
        if len(text.translate(None, RESTRICTED)) != len(text):
            if self._refuse_restricted:
                return self._refused(RefusedWhy.CONTROL_CHARACTER)
            loosened.append("control character in text")
        if self._numbered:
            if len(body) < 2 or not 48 <= body[0] <= 57:
                return self._refused(RefusedWhy.NUMBER)
            self.number = body[0] - 48
        self.text = text
        self.last = body[-1] == _ETX
        self.loosened = tuple(loosened)
        return On.FRAME

    def _refused(self, why: RefusedWhy) -> On:
        self.why = why
        return On.BAD

    # ---- junk

    def _gather_junk(self, pos: int) -> int:
        """Put the bytes from pos to the next control character aside; returns where that is."""
        room = pos + max(1, JUNK_PIECE - len(self._junk))
        found = _ENDS_JUNK.search(self._buffer, pos + 1, room)
        end = found.start() if found else min(len(self._buffer), room)
        self._junk += self._buffer[pos:end]
        return end

    def _report_junk(self, pos: int) -> On:
        self.raw, self._junk = self._junk, b""
        self._pos = pos
        return On.JUNK
