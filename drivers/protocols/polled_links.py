"""Links on which the two sides take turns: Dimension (it polls), Integra (we poll), LIS3, bioMerieux BCI, Ves-Matic.

Sources: Dimension Interface Manual PN D00396; drivers and captures named in the catalogue. Every block is answered only
after it is stored; what an instrument asks all the time (Dimension's poll) is answered here without asking anybody.
"""

from __future__ import annotations

import re
from typing import Any

from drivers.protocols.block_link import BlockLink, BlockOptions, check_value
from drivers.protocols.text_link import (
    ACK,
    ENQ,
    EOT,
    ETX,
    FS,
    GS,
    NAK,
    RS,
    SOH,
    STX,
    BlockReceived,
    Event,
    Note,
    SendFailed,
    TextLink,
    Why,
)

_QUIET = object()
"""Token of what the link says by itself."""


def _heard(events: list[Event]) -> list[Event]:
    """Without what the link said by itself."""
    return [event for event in events if getattr(event, "token", None) is not _QUIET]


class DimensionLink(BlockLink):
    """Dimension RxL, Xpand, EXL: STX type FS fields FS sum ETX. P polls, I asks, R and C are results."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(BlockOptions(), **limits)
        self._ordered: object = None

    def _good(self, raw: bytes, place: int, end_length: int) -> bool:
        return place >= 4 and raw[place - 2 : place].upper() == b"%02X" % (sum(raw[1 : place - 2]) & 0xFF)

    def _wrapped(self, text: bytes) -> bytes:
        body = text + FS
        return STX + body + b"%02X" % (sum(body) & 0xFF) + ETX

    def _received(self, raw: bytes, start: int, length: int, *, last: bool, now: float) -> None:
        text = raw[start : start + length - 2]
        kind = text[:1]
        if kind == b"P":
            self._out += ACK
            # An instrument that is busy (third field 0) takes no orders; it is told so all the same.
            if not self._queue or text.split(FS)[3:4] == [b"0"]:
                self._say(b"N")
        elif kind == b"M":
            self._out += ACK
            fields = text.split(FS)
            if fields[1:2] == [b"R"] and self._ordered is not None:
                self._events.append(Note("order refused: " + (fields[2:3] or [b""])[0].decode("latin-1")))
                self._events.append(SendFailed(self._ordered, Why.REFUSED))
            self._ordered = None
        else:
            super()._received(raw, start, length - 2, last=True, now=now)

    def _confirm(self, block: BlockReceived, now: float) -> None:
        super()._confirm(block, now)
        if block.text[:1] == b"I":
            self._wait_for_answer(now)
        elif block.text[:1] in b"RC":
            self._say(b"M" + FS + b"A" + FS)

    def _say(self, text: bytes) -> None:
        if not any(token is _QUIET and out == [self._wrapped(text)] for token, out in self._queue):
            self._queue.appendleft((_QUIET, [self._wrapped(text)]))

    def no_answer(self, now: float) -> list[Event]:
        if self._timers.pop("answer", None) is not None:
            self._say(b"N")
        return self._run(now)

    def _expired(self, name: str, now: float) -> None:
        if name == "answer":
            self._events.append(Note("no answer in time"))
            self._say(b"N")
        else:
            super()._expired(name, now)

    def _taken(self, now: float) -> None:
        if self._sending is not None and self._sending[0] is not _QUIET:
            self._ordered = self._sending[0]
        super()._taken(now)

    def _told(self) -> list[Event]:
        return _heard(super()._told())


class BciLink(BlockLink):
    """bioMerieux BCI: ENQ, STX, RS before every field, GS, sum from RS to GS in two hexadecimal digits, ETX, EOT.

    mini VIDAS ends with LF instead of ETX, and says neither ENQ nor EOT.
    """

    _END = re.compile(rb"\x1d([0-9A-Fa-f]{2})(\r?\n?\x03|\r?\n)")

    def __init__(self, check_required: bool = True, **limits: Any) -> None:
        super().__init__(BlockOptions(hello=(ENQ,), check_required=check_required), **limits)

    def _block(self, now: float) -> bool:
        buffer = self._in
        found = self._END.search(buffer)
        again = buffer.find(STX, 1)
        if again > 0 and (found is None or again < found.start()):
            self._bad(again, Why.CUT_OFF)
        elif found is not None:
            if check_value("sum", bytes(buffer[1 : found.start() + 1])) == int(found[1], 16):
                place = found.start()
                self._received(self._take(found.end()), 1, place - 1, last=True, now=now)
            elif not self._o.check_required:
                self._forgiven()
                self._received(self._take(found.end()), 1, found.start() - 1, last=True, now=now)
            else:
                self._bad(found.end(), Why.CHECK)
        elif len(buffer) > self._max_block:
            self._bad(len(buffer), Why.TOO_LONG)
        else:
            return False
        return True

    def _wrapped(self, text: bytes) -> bytes:
        body = text + GS
        return STX + body + b"%02x" % check_value("sum", body) + ETX

    def _put(self, now: float) -> None:
        """ENQ first; the message after its ACK; EOT when it was taken."""
        assert self._sending is not None
        if not self._asked:
            self._out += ENQ
            self._tries += 1
            self._timers["reply"] = now + self._reply_limit
        else:
            super()._put(now)

    def _taken(self, now: float) -> None:
        if self._sending is not None and not self._asked:
            self._asked = True
            self._tries = 0
            self._put(now)
            return
        super()._taken(now)
        if self._sending is None:
            self._asked = False
            self._out += EOT

    def _again(self, why: Why, now: float) -> None:
        super()._again(why, now)
        if self._sending is None:
            self._asked = False

    _asked = False


class Lis3Link(BlockLink):
    """RAPIDLab, RAPIDPoint: STX text ETX sum EOT; every message is answered by a message that holds ACK or NAK.

    A result is only announced (SMP_NEW_AV); it comes when we ask for it (SMP_REQ) with the fields that name it.
    """

    _ASKS = {b"SMP_NEW_AV": b"SMP_REQ", b"QC_NEW_AV": b"QC_REQ"}

    def __init__(self, **limits: Any) -> None:
        super().__init__(BlockOptions(check="sum", check_form="hex", check_covers="all"), **limits)

    def _received(self, raw: bytes, start: int, length: int, *, last: bool, now: float) -> None:
        text = raw[start : start + length]
        if text in (ACK, NAK):
            if text == ACK:
                self._taken(now)
            else:
                self._again(Why.REFUSED, now)
            return
        name = text.split(FS)[0].strip()
        if name in self._ASKS:
            self._out += self._wrapped(ACK)
            fields = [field for field in text.split(FS)[1:] if field.strip(RS)[:4] in (b"aMOD", b"iIID", b"rSEQ")]
            self._queue.append((_QUIET, [self._wrapped(FS.join([self._ASKS[name], *_opened(fields)]) + FS + RS)]))
            return
        super()._received(raw, start, length, last=True, now=now)

    def _wrapped(self, text: bytes) -> bytes:
        return super()._wrapped(text) + EOT

    def _confirm(self, block: BlockReceived, now: float) -> None:
        self._out += self._wrapped(ACK)

    def _decline(self, block: BlockReceived, now: float) -> None:
        self._out += self._wrapped(NAK)

    def _complain(self) -> None:
        self._out += self._wrapped(NAK)

    def _told(self) -> list[Event]:
        return _heard(super()._told())


def _opened(fields: list[bytes]) -> list[bytes]:
    """The first field stands behind RS, as in the announcement."""
    plain = [field.strip(RS) for field in fields]
    return [RS + plain[0], *plain[1:]] if plain else [RS]


class VesMaticLink(TextLink):
    """Diesse Ves-Matic Cube, Mini-Cube: `>` 00 length 01 command data CR xor; answered by ACK 01 CR.

    The manual does not say which bytes the check covers: the ways that fit are tried, and the one that fitted once is
    the one of this connection.
    """

    _BEGINS = re.compile(rb">00[0-9A-Fa-f]{2}01")
    _BLOCK = re.compile(rb">00[0-9A-Fa-f]{2}01[^\r]{0,4000}\r([0-9A-Fa-f]{2})")
    _COVERS = ("all", "without >", "without > and CR", "without CR")

    def __init__(self, delay: float = 0.0, **limits: Any) -> None:
        super().__init__(**limits)
        self._delay = delay
        self._covers: str | None = None
        self._owed: list[bytes] = []

    def _parse(self, now: float) -> bool:
        buffer = self._in
        if buffer[:1] in (ACK, NAK):
            if len(buffer) < 4 and b"\r" not in buffer:
                return False
            end = buffer.find(b"\r")
            if end < 0:
                self._skip(1)
                return True
            good = self._take(end + 1)[:1] == ACK
            if good:
                self._taken(now)
            else:
                self._again(Why.REFUSED, now)
            return True
        if buffer[:1] != b">":
            places = [place for mark in (b">", ACK, NAK) if (place := buffer.find(mark)) > 0]
            self._skip(min(places, default=len(buffer)))
            return True
        found = self._BLOCK.match(buffer)
        if found is None:
            return self._unfinished()
        raw = bytes(buffer[: found.end()])
        if not self._fits(raw[:-2], int(found[1], 16)):
            self._bad(found.end(), Why.CHECK)
            return True
        self._received(self._take(found.end()), 1, len(raw) - 4, last=True, now=now)
        return True

    def _unfinished(self) -> bool:
        buffer = self._in
        begins = self._BEGINS.search(buffer, 1)
        again = begins.start() if begins is not None else -1
        end = buffer.find(b"\r")
        if again > 0 and (end < 0 or again < end):
            self._bad(again, Why.CUT_OFF)
            return True
        if 0 <= end <= len(buffer) - 3:  # an end, and no check behind it
            self._bad(end + 1, Why.CHECK)
            return True
        if len(buffer) > 4010:
            self._bad(len(buffer), Why.TOO_LONG)
            return True
        return False

    def _fits(self, body: bytes, sent: int) -> bool:
        parts = {"all": body, "without >": body[1:], "without > and CR": body[1:-1], "without CR": body[:-1]}
        for covers in [self._covers] if self._covers else self._COVERS:
            if check_value("xor", parts[covers]) == sent:
                if self._covers is None:
                    self._covers = covers
                    self._events.append(Note(f"check covers {covers}"))
                return True
        return False

    def _confirm(self, block: BlockReceived, now: float) -> None:
        self._reply(ACK + b"01\r", now)

    def _decline(self, block: BlockReceived, now: float) -> None:
        self._reply(NAK + b"0101\r", now)

    def _complain(self) -> None:
        self._out += NAK + b"0101\r"

    def _reply(self, data: bytes, now: float) -> None:
        """The Mini-Cube wants its answer a second later."""
        if not self._delay:
            self._out += data
            return
        self._owed.append(data)
        self._timers["owed"] = now + self._delay

    def _expired(self, name: str, now: float) -> None:
        if name == "owed":
            self._out += b"".join(self._owed)
            self._owed.clear()
        else:
            super()._expired(name, now)

    def _wrapped(self, text: bytes) -> bytes:
        body = b">00%02X" % (len(text) & 0xFF) + text + b"\r"
        parts = {"without >": body[1:], "without > and CR": body[1:-1], "without CR": body[:-1]}
        return body + b"%02X" % check_value("xor", parts.get(self._covers or "", body))


class IntegraLink(TextLink):
    """cobas Integra: nothing comes unasked. SOH LF header LF STX LF lines ETX LF toggle LF sum LF EOT LF; LF is the
    only line end; the sum is decimal, modulo 1000, of all bytes before it.

    Asking with the other toggle is the acknowledgement: a result that was not stored is asked for again with the same.
    """

    _BLOCK = re.compile(rb"\x01\n([^\n]{0,80})\n\x02\n([^\x01\x03]*)\x03\n(?:([01])\n([0-9 ]{3})\n)?\x04\n")

    def __init__(self, poll: float = 30.0, unit_name: str = "COBAS INTEGRA400", **limits: Any) -> None:
        super().__init__(**limits)
        self._poll = poll
        self._name = unit_name.encode("latin-1")[:16].ljust(16)
        self._toggle = 0

    def connection_made(self, now: float) -> list[Event]:
        self._out += self._block_of(b"00", b"")
        self._timers["poll"] = now + min(self._poll, 1.0)
        return super().connection_made(now)

    def _block_of(self, code: bytes, lines: bytes) -> bytes:
        raw = SOH + b"\n14 " + self._name + b" " + code + b"\n" + STX + b"\n" + lines + ETX + b"\n"
        if code != b"00":
            raw += b"%d\n" % self._toggle
            raw += b"%03d\n" % (sum(raw) % 1000)
        return raw + EOT + b"\n"

    def _expired(self, name: str, now: float) -> None:
        if name == "poll":
            if self._sending is None and not self._queue:
                self._out += self._block_of(b"09", b"10 04\n")
            self._timers["poll"] = now + self._poll
        else:
            super()._expired(name, now)

    def _parse(self, now: float) -> bool:
        buffer = self._in
        if buffer[:1] != SOH:
            place = buffer.find(SOH)
            self._skip(place if place > 0 else len(buffer))
            return True
        found = self._BLOCK.match(buffer)
        if found is None:
            again = buffer.find(SOH, 1)
            end = buffer.find(EOT + b"\n")
            if again > 0:
                self._bad(again, Why.CUT_OFF)
            elif end >= 0:
                self._bad(end + 2, Why.CHECK)
            elif len(buffer) > self._max_block:
                self._bad(len(buffer), Why.TOO_LONG)
            else:
                return False
            return True
        if found[4] is not None and int(found[4]) != sum(buffer[: found.start(4)]) % 1000:
            self._bad(found.end(), Why.CHECK)
            return True
        self._answered(found.end(), found.start(2), bytes(found[2]), now)
        return True

    def _answered(self, length: int, start: int, lines: bytes, now: float) -> None:
        """A block of the analyser: a result or query to store, the end of our order, or nothing."""
        raw = self._take(length)
        said = [line for line in lines.split(b"\n") if line.strip()]
        errors = [line for line in said if line[:2] in (b"96", b"99")]
        if errors:
            self._events.append(Note("instrument says " + errors[0].decode("latin-1")))
            self._toggle ^= 1
            self._timers.pop("reply", None)
            if self._sending is not None:
                self._events.append(SendFailed(self._sending[0], Why.REFUSED))
                self._sending = None
        elif any(line[:2] in (b"42", b"53", b"00") for line in said):
            self._received(raw, start, len(lines), last=True, now=now)
        else:
            self._toggle ^= 1
            if self._sending is not None:
                self._taken(now)

    def _confirm(self, block: BlockReceived, now: float) -> None:
        self._toggle ^= 1
        self._timers["poll"] = now + 1.0  # there may be more

    def _decline(self, block: BlockReceived, now: float) -> None:
        self._timers["poll"] = now + self._poll

    def _wrapped(self, text: bytes) -> bytes:
        return text

    def _put(self, now: float) -> None:
        assert self._sending is not None
        self._out += self._block_of(b"10", self._sending[1][self._at])
        self._tries += 1
        self._timers["reply"] = now + self._reply_limit
