"""Where one XML document ends and the next begins, on a line that carries them one after the other.

POCT1-A has no frames (CLSI POCT01-A2: documents follow one another on the TCP connection); some makers put each between
the characters of MLLP. The reader looks only at tags, quotes and comments: what a document says, and whether it is
well-formed, is `poct1a.parse`'s to judge. However the network cuts the bytes, the documents are the same; every byte is
looked at once.

A document that breaks off is given up where another visibly begins: at an XML declaration, or at a root such as
`<HEL.R01>`, which never stands inside another message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["Document", "DocumentReader", "Found", "Junk", "Refused", "WhyNot"]

JUNK_PIECE = 4096
_BETWEEN = b"\x00\x0b\x1c\r\n\t \xef\xbb\xbf"
_ROOT = rb"[A-Z]{3}\.R[0-9]{2}(?=[\s/>])"
_ROOT_TAG = re.compile(_ROOT)
_BEGINS = re.compile(rb"<(?:\?xml\s|" + _ROOT + rb")")
_LONGEST_BEGINNING = 12
_NAME_START = re.compile(rb"[A-Za-z_:]")
_IN_TAG = re.compile(rb"[\"'<>]")


class WhyNot(Enum):
    """Why bytes are no document."""

    CUT_OFF = "cut off"
    TOO_LONG = "too long"
    DECLARES = "document type"
    """A document type declaration: it is dropped, what follows it is read without it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document. wrapped: it came between the characters of MLLP."""

    raw: bytes
    wrapped: bool


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes outside of documents that mean nothing."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes of a document that will not be whole."""

    raw: bytes
    why: WhyNot


Found = Document | Junk | Refused


class DocumentReader:
    """Feed it bytes, ask for what they hold."""

    def __init__(self, max_message: int = 1_000_000) -> None:
        """max_message: bytes of the longest document that is taken."""
        self._max = max_message
        self._buffer = bytearray()
        self._at = 0
        """Everything before it has been looked at."""
        self._inside = False
        self._depth = 0
        self._quote = b""
        self._tag = -1
        """Where the tag at hand begins."""
        self._wrapped = False
        self._skipping = False
        """What comes belongs to a document that was given up, until another begins."""

    def feed(self, data: bytes) -> None:
        """Take bytes however they were cut."""
        self._buffer += data

    @property
    def mid_document(self) -> bool:
        """A document has begun and not ended, or bytes lie there that may be one."""
        return self._inside or bool(self._buffer.strip(_BETWEEN))

    def give_up(self) -> Refused | Junk | None:
        """No more comes of what has begun (silence, a lost connection)."""
        raw, inside = bytes(self._buffer), self._inside
        self._drop(len(raw))
        self._skipping = False
        if inside:
            return Refused(raw, WhyNot.CUT_OFF)
        return Junk(raw) if raw.strip(_BETWEEN) else None

    def next(self) -> Found | None:
        """What comes next; None where the bytes at hand do not say."""
        while self._buffer:
            if self._skipping and not self._find_beginning():
                return None
            if not self._inside:
                found = self._outside()
                if found is not None or not self._inside:
                    return found
            before = self._at
            ended = self._markup()
            if ended is not None:
                return ended
            if self._at > self._max or (self._tag >= 0 and len(self._buffer) > self._max):
                return self._give_up(len(self._buffer), WhyNot.TOO_LONG)
            if self._at == before:
                return None
        return None

    # ---- between documents

    def _find_beginning(self) -> bool:
        found = _BEGINS.search(self._buffer)
        if found is None:
            self._drop(max(0, len(self._buffer) - _LONGEST_BEGINNING))
            return False
        self._drop(found.start())
        self._skipping = False
        return True

    def _outside(self) -> Junk | None:
        """Go to where a document begins; what lies before it."""
        at = self._buffer.find(b"<")
        while 0 <= at < len(self._buffer) - 1 and not self._may_begin(at + 1):
            at = self._buffer.find(b"<", at + 1)
        end = at if at >= 0 else len(self._buffer)
        before = bytes(self._buffer[:end])
        if before.strip(_BETWEEN):
            if at < 0 and len(before) < JUNK_PIECE:
                return None
            self._drop(end)
            return Junk(before)
        if at < 0:
            self._wrapped = before.rstrip(b"\r\n\t ")[-1:] == b"\x0b" or (self._wrapped and b"\x1c" not in before)
            self._drop(end)
        elif at + 1 < len(self._buffer):
            if before:
                self._wrapped = b"\x0b" in before.rpartition(b"\x1c")[2]
            self._drop(at)
            self._inside = True
        return None

    def _may_begin(self, at: int) -> bool:
        """Whether a document can begin with what follows this `<`."""
        return bytes(self._buffer[at : at + 1]) in (b"?", b"!") or _NAME_START.match(self._buffer, at) is not None

    # ---- inside one

    def _markup(self) -> Found | None:
        """Read on from `_at`: one tag, comment or instruction, and the text before it."""
        if self._tag < 0:
            self._tag = self._buffer.find(b"<", self._at)
            if self._tag < 0:
                self._at = len(self._buffer)
                return None
            self._at = self._tag + 1
        head = bytes(self._buffer[self._tag : self._tag + 9])
        if head.startswith(b"<?"):
            return self._instruction(head)
        if head.startswith(b"<!"):
            return self._declaration(head)
        return self._element()

    def _instruction(self, head: bytes) -> Found | None:
        if len(head) < 6 and b"<?xml ".startswith(head[:6]):
            return None
        if self._tag and re.match(rb"<\?xml\s", head):
            return self._give_up(self._tag, WhyNot.CUT_OFF)
        self._past(b"?>")
        return None

    def _declaration(self, head: bytes) -> Found | None:
        if head.startswith(b"<!--"):
            self._past(b"-->")
        elif head.startswith(b"<![CDATA["):
            self._past(b"]]>")
        elif not (b"<!--".startswith(head) or b"<![CDATA[".startswith(head)):
            return self._give_up(self._tag + 2, WhyNot.DECLARES)
        return None

    def _past(self, end: bytes) -> None:
        """Go behind the next `end`."""
        at = self._buffer.find(end, max(self._tag + 2, self._at - len(end)))
        if at < 0:
            self._at = len(self._buffer)
        else:
            self._at, self._tag = at + len(end), -1

    def _element(self) -> Found | None:
        """A start or end tag: find its end, count the depth."""
        while True:
            if self._quote:
                at = self._buffer.find(self._quote, self._at)
                broken = self._buffer.find(b"<", self._at, at if at >= 0 else len(self._buffer))
            else:
                found = _IN_TAG.search(self._buffer, self._at)
                at = broken = found.start() if found is not None else -1
                if at >= 0 and self._buffer[at : at + 1] != b"<":
                    broken = -1
            if broken >= 0:  # no tag and no attribute holds a "<": this document is damaged
                return self._give_up(broken, WhyNot.CUT_OFF)
            if at < 0:
                self._at = len(self._buffer)
                return None
            mark = bytes(self._buffer[at : at + 1])
            self._at = at + 1
            if self._quote:
                self._quote = b""
            elif mark == b">":
                return self._tag_ended(at)
            else:
                self._quote = mark

    def _tag_ended(self, at: int) -> Found | None:
        tag, self._tag = self._tag, -1
        if self._buffer[tag + 1 : tag + 2] == b"/":
            self._depth -= 1
        else:
            if self._depth and _ROOT_TAG.match(self._buffer, tag + 1) is not None:
                return self._give_up(tag, WhyNot.CUT_OFF)
            if self._buffer[at - 1 : at] != b"/":
                self._depth += 1
        if self._depth > 0:
            return None
        raw = bytes(self._buffer[: at + 1])
        wrapped = self._wrapped
        self._drop(at + 1)
        self._wrapped = wrapped
        return Document(raw, wrapped)

    def _give_up(self, end: int, why: WhyNot) -> Refused:
        """The document at hand will not be whole: what there is of it, up to `end`."""
        raw = bytes(self._buffer[:end])
        self._drop(end)
        self._skipping = True
        return Refused(raw, why)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._at = self._depth = 0
        self._inside = False
        self._quote = b""
        self._tag = -1
