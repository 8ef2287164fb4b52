"""Files that people bring: what they are is read from their bytes, never from their name or from what a browser says.

Nothing here opens a file. A name from outside is shown to people and is never part of a path: what is kept gets a name
by chance.
"""

from __future__ import annotations

import re
import secrets
import struct
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError


class FileKind(Enum):
    """Kinds that somewhere are taken: media type and ending of each."""

    PDF = ("application/pdf", "pdf")
    PNG = ("image/png", "png")
    JPEG = ("image/jpeg", "jpg")
    TEXT = ("text/plain; charset=utf-8", "txt")
    WIRE = ("application/octet-stream", "bin")
    """Bytes of a line as an instrument sent them: text with control characters."""

    @property
    def media_type(self) -> str:
        return self.value[0]

    @property
    def ending(self) -> str:
        return self.value[1]


MOST_PIXELS = 40_000_000
"""Of a picture when it is unpacked; a photograph of a telephone has 12 million."""
LONGEST_SIDE = 20_000
_PNG = b"\x89PNG\r\n\x1a\n"
_FOREIGN = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\x7fELF", b"\xd0\xcf\x11\xe0", b"%PDF-", _PNG,
    b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BZh", b"\xfd7zXZ", b"%!PS", b"{\\rtf",
)  # fmt: skip
"""How files begin that are neither text nor the bytes of a line."""
_WIRE_CONTROLS = frozenset(range(1, 32)) | {0x7F}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was looked at. stored_name: random, under which it may be kept; shown_name: for people only."""

    kind: FileKind
    content: bytes
    shown_name: str
    stored_name: str


def looked_at(content: bytes, name: str, allowed: Collection[FileKind], most: int) -> Upload:
    """The file, if it is of one of these kinds and not larger than `most` bytes.

    Raises TOO_LARGE, INVALID_INPUT (empty, another kind, broken, a picture that unpacks to too much).
    """
    if len(content) > most:
        raise NumuneError(errors.TOO_LARGE, limit=f"{most // 1024} KB")
    if not content:
        raise NumuneError(errors.INVALID_INPUT, problem="dosya boş")
    kind = kind_of(content)
    if kind is FileKind.TEXT and kind not in allowed and FileKind.WIRE in allowed:
        kind = FileKind.WIRE
    if kind is None or kind not in allowed:
        wanted = ", ".join(sorted({one.ending.upper() for one in allowed}))
        raise NumuneError(errors.INVALID_INPUT, problem=f"dosyanın içeriği beklenen türde değil ({wanted})")
    return Upload(kind, content, shown(name), f"{secrets.token_hex(16)}.{kind.ending}")


def kind_of(content: bytes) -> FileKind | None:
    """What the bytes are; None for anything else and for what is broken. A picture is measured, not unpacked."""
    if content.startswith(b"%PDF-"):
        return FileKind.PDF if b"%%EOF" in content[-1024:] else None
    if content.startswith(_PNG):
        return FileKind.PNG if _png_fits(content) else None
    if content.startswith(b"\xff\xd8\xff"):
        return FileKind.JPEG if content.rstrip(b"\0").endswith(b"\xff\xd9") and _fits(*_jpeg_size(content)) else None
    if content.startswith(_FOREIGN):
        return None
    return _text_kind(content)


def _text_kind(content: bytes) -> FileKind | None:
    controls = {byte for byte in content if byte < 32 or byte == 0x7F}
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return FileKind.WIRE if controls <= _WIRE_CONTROLS else None
    if controls <= {9, 10, 13}:
        return FileKind.TEXT
    return FileKind.WIRE if controls <= _WIRE_CONTROLS else None


def _png_fits(content: bytes) -> bool:
    if len(content) < 45 or content[12:16] != b"IHDR" or content[-8:-4] != b"IEND":
        return False
    return _fits(*struct.unpack(">II", content[16:24]))


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height out of the frame header; 0, 0 where there is none."""
    place = 2
    while place + 9 < len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width, height
        place += 2 + int(struct.unpack(">H", content[place + 2 : place + 4])[0])
    return 0, 0


def _fits(width: int, height: int) -> bool:
    return 0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE and width * height <= MOST_PIXELS


def shown(name: str) -> str:
    """A name as people see it: its last part, without signs that nobody sees, at most 100 letters."""
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(sign for sign in last if unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    return " ".join(visible.split()).strip(". ")[:100] or "dosya"


def download_headers(kind: FileKind, name: str) -> dict[str, str]:
    """Headers with which a kept file goes out: saved and never shown as a page of ours, whatever is in it."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", shown(name)) or "dosya"
    return {
        "Content-Type": kind.media_type,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown(name), safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
