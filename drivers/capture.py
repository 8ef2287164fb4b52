"""Captured bytes, of any framing, taken apart into messages: a file that a logger wrote, a port dump, a transcript.

A capture is evidence, not a line: nothing is answered here, so a frame with a wrong checksum is read and noted, a
retransmitted frame counts once, and what a careless logger left in (frame digits, checksums behind the text) is taken
out. `drivers.protocols.astm_link` is the strict reader of a real line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from drivers.protocols.astm_frames import checksum
from drivers.protocols.astm_messages import MessageAssembler, Partial, WholeMessage, split_messages
from drivers.protocols.hl7 import split_messages as split_hl7
from drivers.protocols.poct1a_capture import LOOKS_SO, data_messages

__all__ = ["Capture", "CaptureRefused", "CapturedMessage", "messages_in", "read_capture"]

_HL7_START = re.compile(rb"(?:\xef\xbb\xbf)?[\s\x00\x0b]*(?:MSH|FHS|BHS)[^A-Za-z0-9\s]|\xff\xfe|\xfe\xff|\x0b")
_HL7_LATER = re.compile(rb"(?:^|[\r\n\x0b])MSH[^A-Za-z0-9\s]")
_RAW_HEADER = re.compile(rb"(?:^|[\r\n])[ \t]*[0-9]?[Hh]([^0-9A-Za-z\s])[^0-9A-Za-z\s]{1,6}(?:\1|[\r\n]|$)")
_FRAME = re.compile(rb"\x02([^\x02\x03\x17]*)(?:([\x03\x17])([0-9A-Fa-f]{2})?|(?=\x02)|\Z)[\r\n]*")
_SESSION_TOKEN = re.compile(rb"\x02[^\x02\x03\x17]*|[\x04\x05]")
_NUMBERED_RECORD = re.compile(rb"[0-9][A-Za-z](?=[^0-9A-Za-z\r\n]|$)")
_TRAILING_CHECKSUM = re.compile(rb"(?<! ) +([0-9A-F]{2})$")
_TRANSCRIPT = re.compile(rb"(?:^|[\r\n])[^\t\r\n]*\t[^\t\r\n]*\t((?:[0-9A-Fa-f]{2})+)(?=[\r\n]|$)")
_ETX = b"\x03"
_FRAME_TEXT = 240

NOTHING = "Dosya boş."
NO_MESSAGE = "Dosyada ASTM ya da HL7 mesajı bulunamadı{guess}."


class CaptureRefused(ValueError):
    """No ASTM and no HL7 in these bytes. The message is Turkish and says what they look like."""


@dataclass(slots=True)
class CapturedMessage:
    """One message of a capture, without framing."""

    text: bytes
    protocol: Literal["astm", "hl7", "metin", "tablo", "poct1a"]
    framing: str
    """e1381, e1381 without checksum, stx-etx, raw, raw with frame digits, mllp, bare, hl7 in e1381."""
    whole: bool = True
    """Its end is there: an ASTM message that reached its L record; any HL7 message."""
    notes: list[str] = field(default_factory=list)
    """Turkish sentences: what had to be forgiven to read it."""


@dataclass(slots=True)
class Capture:
    """What a file holds."""

    messages: list[CapturedMessage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """About the whole file."""
    refused: str | None = None
    """Turkish sentence: what could not be read at all."""


def messages_in(data: bytes, hint: str | None = None) -> list[CapturedMessage]:
    """The messages of captured bytes, in order. A session without a message (ENQ EOT) gives none.

    hint: "astm" or "hl7" where the caller knows what it must be; only used for the sentence of a refusal.
    Raises CaptureRefused: there is no message of these protocols in it.
    """
    capture = read_capture(data, hint)
    if capture.refused is not None and not capture.messages:
        raise CaptureRefused(capture.refused)
    return capture.messages


def read_capture(data: bytes, hint: str | None = None) -> Capture:
    """As `messages_in`, with notes about the file; never raises."""
    capture = Capture()
    transcript = _from_transcript(data)
    if transcript is not None:
        capture.notes.append("Tutanak biçimi: baytlar onaltılık sütundan okundu.")
        data = transcript
    if not data.strip(b"\x00 \t\r\n"):
        capture.refused = NOTHING
    elif LOOKS_SO.search(data) is not None:
        take_poct1a(data, capture)
    elif _HL7_START.match(data):
        _take_hl7(data, "mllp" if b"\x0b" in data else "bare", capture, [])
    elif b"\x02" in data:
        _take_framed(data, capture)
    elif _RAW_HEADER.search(data):
        _take_raw(data, capture)
    elif _HL7_LATER.search(data):
        _take_hl7(data, "mllp" if b"\x0b" in data else "bare", capture, [])
    elif not data.strip(b"\x04\x05\x06\x15\r\n \x00"):
        capture.notes.append("Oturum boş: içinde mesaj yok.")
    else:
        capture.refused = _refusal(data, hint)
    return capture


def _from_transcript(data: bytes) -> bytes | None:
    """The bytes of a transcript (time, side, hexadecimal), both sides in order of time; None if it is none."""
    head = data[:200]
    if b"\t" not in head or b"\x02" in data:
        return None
    rows = _TRANSCRIPT.findall(data)
    lines = sum(1 for line in data.splitlines() if line.strip())
    if len(rows) < 2 or len(rows) < lines - 1:
        return None
    return b"".join(bytes.fromhex(row.decode("ascii")) for row in rows)


# ---- POCT1-A


def take_poct1a(data: bytes, capture: Capture) -> None:
    """Documents with results or events; the conversation around them says nothing that could be decoded."""
    split = data_messages(data)
    capture.messages += [CapturedMessage(text, "poct1a", "xml") for text in split.data]
    if split.manners:
        capture.notes.append(f"{split.manners} konuşma belgesi (HEL, DST, ACK ...) sonuç taşımaz; atlandı.")
    if split.refused:
        capture.refused = f"{split.refused} belge yarım ya da bozuk; okunmadı."


# ---- HL7


def _take_hl7(data: bytes, framing: str, capture: Capture, notes: list[str]) -> None:
    found = split_hl7(data)
    if not found:
        capture.refused = _refusal(data, "hl7")
    if data.lstrip(b"\xef\xbb\xbf\x0b\r\n \t")[:3] in (b"FHS", b"BHS"):
        capture.notes.append("Toplu dosya (FHS/BHS): zarf atlandı, içindeki mesajlar okundu.")
    capture.messages += [CapturedMessage(text, "hl7", framing, notes=list(notes)) for text in found]


# ---- STX ... ETX


@dataclass(slots=True)
class _Frame:
    number: bytes
    text: bytes
    last: bool
    good: bool | None
    """Whether its checksum is right; None where it has none."""


def _take_framed(data: bytes, capture: Capture) -> None:
    """Sessions of frames: ENQ frames EOT, in any order and with any of them missing."""
    refused: list[str] = []
    for session in _sessions(data):
        frames = _frames_of(session)
        if frames:
            _take_session(frames, capture, refused)
    if not capture.messages:
        if refused:
            capture.refused = refused[0]
        elif not capture.notes:
            capture.notes.append("Oturum boş: içinde mesaj yok.")
    elif refused:
        capture.refused = refused[0]


def _sessions(data: bytes) -> Iterator[bytes]:
    """Parts between ENQ and EOT that hold a frame. Either mark may be missing; inside a frame both are damaged text."""
    start, frames = 0, 0
    for found in _SESSION_TOKEN.finditer(data):
        if found[0][:1] == b"\x02":
            frames += 1
            continue
        if frames:
            yield data[start : found.start()]
        start, frames = found.end(), 0
    if frames:
        yield data[start:]


def _frames_of(session: bytes) -> list[_Frame]:
    """The frames of a session, retransmissions taken out."""
    frames: list[_Frame] = []
    numbered: bool | None = None
    for found in _FRAME.finditer(session):
        body, end, check = found[1], found[2], found[3]
        if numbered is None:
            numbered = body[:1].isdigit()
        number, text = (body[:1], body[1:]) if numbered else (b"", body)
        good = checksum(body + end) == check.upper() if numbered and end and check else None
        frame = _Frame(number, text, end != b"\x17", good)
        if frames and numbered and frames[-1].number == number:
            if frames[-1].text == text:
                continue  # sent again because our ACK was lost
            if frames[-1].good is False and good:
                frames.pop()  # sent again because it was damaged
        frames.append(frame)
    return frames


def _take_session(frames: list[_Frame], capture: Capture, refused: list[str]) -> None:
    counts = Counter(frame.good for frame in frames)
    numbered = bool(frames[0].number)
    framing = "stx-etx" if not numbered else "e1381" if counts[True] or counts[False] else "e1381 without checksum"
    notes = [f"{counts[False]} çerçevenin sağlama toplamı yanlış; içerik yine de okundu."] if counts[False] else []
    assembler = MessageAssembler()
    parts: list[WholeMessage | Partial] = []
    for frame in frames:
        parts += assembler.feed(frame.text, frame.last)
    rest = assembler.finish()
    for part in [*parts, *([rest] if rest is not None else [])]:
        _take_part(part, framing, notes, capture, refused)


def _take_part(
    part: WholeMessage | Partial, framing: str, notes: list[str], capture: Capture, refused: list[str]
) -> None:
    """One thing that a session or a file held: an ASTM message, an HL7 message in frames, or something else."""
    text = part.text
    if _HL7_LATER.search(text[:200].lstrip()):
        inside = framing if framing in ("mllp", "bare") else "hl7 in e1381"
        _take_hl7(text, inside, capture, notes)
    elif not _is_astm(part):
        refused.append(_refusal(text, None))
    else:
        text, forgiven = _without_digits(text)
        more = list(notes) + forgiven
        whole = isinstance(part, WholeMessage)
        if not whole:
            more.append("Mesajın bitiş kaydı (L) yok; yarım kalmış olabilir.")
        capture.messages.append(CapturedMessage(text, "astm", framing, whole, more))


def _is_astm(part: WholeMessage | Partial) -> bool:
    """Whether it begins with a header, or is a run of records that lost theirs."""
    if isinstance(part, WholeMessage) and part.protocol == "other":
        return False
    if _RAW_HEADER.match(part.text) is not None:
        return True
    lines = [line for line in re.split(rb"[\r\n]+", part.text) if line]
    return isinstance(part, Partial) and bool(lines) and all(re.match(rb"[0-9]?[PORCQLMS]\|", line) for line in lines)


# ---- bare records


def _take_raw(data: bytes, capture: Capture) -> None:
    """Records without frames: CR, LF or CR LF; perhaps with the frame digits that a logger left in."""
    clean, forgiven = _without_digits(data.translate(None, b"\x04\x05\x06\x15"))
    framing = "raw with frame digits" if forgiven else "raw"
    refused: list[str] = []
    for part in split_messages(clean):
        if isinstance(part, Partial) and not part.text.strip():
            continue
        _take_part(part, framing, forgiven, capture, refused)
    if refused:
        capture.refused = refused[0]


def _without_digits(text: bytes) -> tuple[bytes, list[str]]:
    """Records without the frame digit in front, the checksum behind and the digit of a second frame inside them."""
    lines = [line for line in re.split(rb"[\r\n]+", text) if line.strip()]
    if not any(_NUMBERED_RECORD.match(line) for line in lines):
        return text, []
    notes = ["Kayıtların başındaki çerçeve numaraları ayıklandı."]
    lines = _without_checksums(lines, notes)
    records: list[bytes] = []
    digits: list[int] = []
    for line in lines:
        if _NUMBERED_RECORD.match(line):
            digits.append(line[0] - 0x30)
            records.append(line[1:])
        elif digits and line[:1].isdigit() and line[0] - 0x30 == _next(digits[-1]):
            digits[-1] = line[0] - 0x30
            records[-1] += line[1:]  # a frame that went on with a record
        else:
            records.append(line)
            digits.append(-1)
    _heal_inside(records, digits, notes)
    return b"".join(record + b"\r" for record in records), notes


def _next(digit: int) -> int:
    return (digit + 1) % 8


def _without_checksums(lines: list[bytes], notes: list[str]) -> list[bytes]:
    """Checksums behind a blank at the line's end: taken for such when one of them is right."""
    found = [_TRAILING_CHECKSUM.search(line) for line in lines]
    right = any(
        match is not None and checksum(line[: match.start()] + b"\r" + _ETX) == match[1]
        for line, match in zip(lines, found, strict=True)
    )
    if not right:
        return lines
    notes.append("Satır sonlarındaki sağlama toplamları ayıklandı.")
    return [line[: match.start()] if match is not None else line for line, match in zip(lines, found, strict=True)]


def _heal_inside(records: list[bytes], digits: list[int], notes: list[str]) -> None:
    """A frame number that is missing in the count stands inside the record before, where its frame began."""
    for place in range(len(records) - 1):
        here, after = digits[place], digits[place + 1]
        if here < 0 or after < 0 or after == _next(here) or after != _next(_next(here)):
            continue
        record, lost = records[place], b"%d" % _next(here)
        at = [
            position for position in range(_FRAME_TEXT - 3, _FRAME_TEXT + 3) if record[position : position + 1] == lost
        ]
        if len(at) == 1:
            records[place] = record[: at[0]] + record[at[0] + 1 :]
            notes.append(f"{place + 1}. kaydın içinde kalan çerçeve numarası ({lost.decode()}) ayıklandı.")


# ---- what it is instead


def _refusal(data: bytes, hint: str | None) -> str:
    text = data.strip(b"\x02\x03\x04\x05\x06\x15\x17 \r\n\x00")
    guess = ""
    if text[:1] == b"<" or text[1:2] == b"<":
        guess = "; XML'e benziyor"
    elif re.search(rb"mtrsl|mtmpr|\x1e", text[:200]):
        guess = "; bioMérieux BCI alanlarına benziyor"
    elif text[:2] == b"PK" or text[:4] == b"%PDF":
        guess = "; bir belge dosyası"
    elif hint is not None:
        guess = f"; beklenen protokol {hint.upper()}"
    elif text:
        guess = "; cihaza özgü bir biçim olabilir"
    return NO_MESSAGE.format(guess=guess)
