"""HL7 v2 text: delimiters, escape sequences, character sets.

Editions named here: HL7 2.5.1 chapter 2 (2.5.4 delimiters, 2.7 escape sequences, table 0211 character sets). Public
names are re-exported by `drivers.protocols.hl7`; import them from there.
"""

import codecs
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache


class Hl7Error(ValueError):
    """The bytes are not an HL7 v2 message (the peer's mistake). The text says why; nothing else is raised for peers."""


class LocalError(ValueError):
    """We were about to write something that HL7 cannot carry (our mistake, never the peer's)."""


@dataclass(frozen=True)
class Delimiters:
    """The separators of one message. An empty string means that MSH-2 does not define this one.

    escape_width: how many escape characters stand for one, 1 normally; 2 where a logger or a careless string literal
    doubled every backslash (`^~\\\\&` in MSH-2).
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    escape_width: int = 1

    @property
    def encoding_characters(self) -> str:
        """MSH-2 as we write it."""
        return self.component + self.repetition + self.escape + self.subcomponent

    def completed(self) -> "Delimiters":
        """The same with the standard characters where the peer defined none, for writing an answer."""
        chosen = [self.component, self.repetition, self.escape, self.subcomponent]
        for place, standard in enumerate("^~\\&"):
            if not chosen[place]:
                free = (c for c in standard + "^~\\&!#$%@" if c not in chosen and c != self.field)
                chosen[place] = next(free)
        component, repetition, escape, subcomponent = chosen
        return Delimiters(self.field, component, repetition, escape, subcomponent)

    @cached_property
    def escapes_to_text(self) -> dict[str, str]:
        """Escape sequences that every reader knows (2.5.1, 2.7.1), without their escape characters."""
        return {
            "F": self.field,
            "S": self.component,
            "T": self.subcomponent or "&",
            "R": self.repetition,
            "E": self.escape,
            ".br": "\n",
        }

    @cached_property
    def text_to_escapes(self) -> dict[int, str]:
        """For str.translate: what a text may not contain, as an escape sequence.

        Control characters go as hexadecimal data, so no text can end a segment (CR) or an MLLP block (VT, FS).
        A line feed goes as `.br`, which more receivers understand than hexadecimal data.
        """
        mark = self.escape
        if not mark:
            raise LocalError("these delimiters have no escape character: complete them before writing")
        table = {code: f"{mark}X{code:02X}{mark}" for code in range(0x20) if code != 0x09}
        table |= {ord(char): f"{mark}{name}{mark}" for name, char in self.escapes_to_text.items() if char}
        return table


STANDARD = Delimiters()


@lru_cache(maxsize=128)
def read_delimiters(header: str) -> Delimiters:
    """The delimiters that a header segment (MSH, FHS or BHS) declares.

    header: its first 24 characters; MSH-2 is at most 4 delimiters, some doubled, and the truncation character of 2.7.
    Raises Hl7Error when they cannot be told apart: to split a name at the wrong character is worse than to refuse.
    """
    field = header[3:4]
    if not _may_delimit(field):
        raise Hl7Error("no field separator after MSH")
    end_of_line = min((at for end in "\r\n" if (at := header.find(end, 4)) >= 0), default=len(header))
    declared = header[4:end_of_line].partition(field)[0] or STANDARD.encoding_characters
    component, repetition, escape = declared[:1], declared[1:2], declared[2:3]
    rest = declared[2:]
    width = len(rest) - len(rest.lstrip(escape)) if escape else 1
    subcomponent = rest[width : width + 1]
    used = [c for c in (field, component, repetition, escape, subcomponent) if c]
    if not all(map(_may_delimit, used)):
        raise Hl7Error("MSH-2 names delimiters that are none: letters, digits, blanks or worse")
    if len(set(used)) != len(used):
        raise Hl7Error("one character is to be two delimiters")
    return Delimiters(field, component, repetition, escape, subcomponent, max(width, 1))


def _may_delimit(char: str) -> bool:
    return "!" <= char <= "~" and not char.isalnum()


# ---- escape sequences -----------------------------------------------------------------------------------------------


def escape(text: str, delimiters: Delimiters = STANDARD) -> str:
    """Text as it may stand in a field. `unescape` gives the same text back."""
    return text.translate(delimiters.text_to_escapes)


def unescape(
    text: str,
    delimiters: Delimiters = STANDARD,
    *,
    encoding: str = "utf-8",
    table: Mapping[str, str] | None = None,
) -> str:
    """Text as people read it: \\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\Xhh..\\ \\.br\\ decoded.

    table: a maker's own sequences, without escape characters: {"Z03BC": "\u03bc"}. It wins over the standard ones.
    encoding: character set of hexadecimal data.
    Any other sequence, and an escape character that opens none (`C:\\temp`), stays as it is: what we cannot read we
    do not change.
    """
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    if delimiters.escape_width > 1:
        text = undouble(text, delimiters)
    known = delimiters.escapes_to_text
    out: list[str] = []
    done = 0
    opening = text.find(mark)
    while opening >= 0 and (closing := text.find(mark, opening + 1)) >= 0:
        sequence = text[opening + 1 : closing]
        plain = table.get(sequence) if table else None
        if plain is None:
            plain = known.get(sequence)
        if plain is None and sequence[:1] == "X":
            plain = _from_hex(sequence[1:], encoding)
        if plain is not None:
            out += text[done:opening], plain
            done = closing + 1
            opening = text.find(mark, done)
        elif _looks_like_a_sequence(sequence):
            opening = text.find(mark, closing + 1)  # unknown, but whole: its end opens nothing
        else:
            opening = closing  # a stray mark: the next one may open a real sequence
    out.append(text[done:])
    return "".join(out)


def undouble(text: str, delimiters: Delimiters) -> str:
    """One escape character for two (`escape_width`), where the whole text was doubled so; else unchanged: some
    devices double it in MSH-2 only.
    """
    mark, width = delimiters.escape, delimiters.escape_width
    if width > 1 and all(len(run) % width == 0 for run in re.findall(re.escape(mark) + "+", text)):
        return text.replace(mark * width, mark)
    return text


def _from_hex(digits: str, encoding: str) -> str | None:
    if not digits or not digits.isascii() or not digits.isalnum():
        return None  # bytes.fromhex would forgive blanks
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        return None
    return decode(data, "", encoding)[0]


# highlighting on and off, truncation, character set by hexadecimal code, local, formatting command (2.7.2 to 2.7.7)
_SEQUENCE = re.compile(r"[HNP]|C[0-9A-F]{4}|M[0-9A-F]{4}(?:[0-9A-F]{2})?|Z[0-9A-Z]{1,32}|\.[a-z]{2} ?[+-]?[0-9]{0,3}")


def _looks_like_a_sequence(text: str) -> bool:
    return _SEQUENCE.fullmatch(text) is not None


# ---- character sets -------------------------------------------------------------------------------------------------


def _superset(codepage: str) -> str:
    """256 characters of a Windows code page; its unused bytes are C1 controls (as browsers do), so no byte is lost."""
    return "".join(bytes([byte]).decode(codepage, "ignore") or chr(byte) for byte in range(256))


_DECODING = {name: _superset(name) for name in ("cp1252", "cp1254")}
_ENCODING = {name: codecs.charmap_build(chars) for name, chars in _DECODING.items()}
# Who declares ISO 8859-1 or -9 and sends 80..9F means the Windows page: nobody prints C1 controls.
_WINDOWS_OF = {"iso8859-1": "cp1252", "iso8859-9": "cp1254"}
_C1_CONTROLS = re.compile(rb"[\x80-\x9f]")

_CHARSETS = {  # HL7 table 0211, and what analysers write instead; keys without blanks, hyphens, slashes
    "": None,
    "ASCII": "ascii",
    "ISOIR6": "ascii",
    "UNICODE": "utf-8",  # strictly UTF-16 or UTF-8 of 2.3.1; every capture with it is UTF-8
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
}


@lru_cache(maxsize=256)
def encoding_of(charset: str) -> str | None:
    """Python's name of the character set that MSH-18 names, or None where it is empty or we do not know it."""
    key = "".join(c for c in charset.upper() if c.isalnum())
    if key in _CHARSETS:
        return _CHARSETS[key]
    for prefix in ("ISO8859", "8859"):
        if key.startswith(prefix) and key[len(prefix) :] in {*map(str, range(1, 12)), "13", "14", "15", "16"}:
            return f"iso8859-{key[len(prefix) :]}"
    for prefix in ("WINDOWS", "WIN", "CP"):
        if key.startswith(prefix) and key[len(prefix) :] in {str(page) for page in range(1250, 1259)}:
            return f"cp{key[len(prefix) :]}"
    return None


def decode(data: bytes, charset: str, default_encoding: str = "utf-8") -> tuple[str, str, bool]:
    """Text of the bytes, the encoding (Python's name) that gave it, and whether that is what was declared.

    A declared set that fits wins. Else strict UTF-8, which wrong bytes practically never pass; else the default
    (the device's setting); else Windows-1254, which takes every byte.
    Raises LookupError: default_encoding is no encoding (a wrong setting, ours).
    """
    declared = encoding_of(charset)
    if data.isascii():  # any ASCII superset gives the same text
        return data.decode("ascii"), declared or _canonical(default_encoding), True
    if declared in _WINDOWS_OF and _C1_CONTROLS.search(data):
        declared = _WINDOWS_OF[declared]
        return _charmap_text(data, declared), declared, False
    tried = [declared] if declared else []
    tried += [name for name in ("utf-8", _canonical(default_encoding)) if name not in tried]
    for name in tried:
        text = _decode_strictly(data, name)
        if text is not None:
            return text, name, name == declared or not charset.strip()
    return _charmap_text(data, "cp1254"), "cp1254", False


@lru_cache(maxsize=64)
def _canonical(encoding: str) -> str:
    """Our spelling of an encoding's name, so that equal ones compare equal."""
    return encoding_of(encoding) or codecs.lookup(encoding).name


def check_encoding(encoding: str) -> None:
    """Raise LookupError if this is no encoding; cheap to call for every message."""
    _canonical(encoding)


def _decode_strictly(data: bytes, encoding: str) -> str | None:
    if encoding in _DECODING:
        return _charmap_text(data, encoding)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _charmap_text(data: bytes, page: str) -> str:
    return codecs.charmap_decode(data, "strict", _DECODING[page])[0]


def encode(text: str, encoding: str = "utf-8", *, fold: bool = False) -> bytes:
    """Bytes of a text.

    fold: write a letter that the set lacks as its plain form (s for \u015f, I for \u0130; `?` where there is none).
    Raises LocalError when a letter has no place and `fold` is off: an identifier must never change silently.
    """
    name = _canonical(encoding)
    try:
        return _encode_strictly(text, name)
    except UnicodeEncodeError as error:
        if not fold:
            raise LocalError(f"{text[error.start : error.start + 1]!r} cannot be written in {encoding}") from error
    return b"".join(_encode_folded(char, name) for char in text)


def _encode_strictly(text: str, encoding: str) -> bytes:
    if encoding in _ENCODING:
        return codecs.charmap_encode(text, "strict", _ENCODING[encoding])[0]
    return text.encode(encoding)


_PLAIN = {"\u0131": "i", "\u03bc": "\u00b5u", "\u00b5": "u"}  # dotless i; Greek mu as micro sign, or u (ISO 2955)


def _encode_folded(char: str, encoding: str) -> bytes:
    """One character, or its base letter. Canonical decomposition of letters only: 10\u2079 must not become 109."""
    base = unicodedata.normalize("NFD", char)[:1]
    for candidate in (char, *_PLAIN.get(char, ""), base if base.isascii() and base.isalpha() else "?"):
        try:
            return _encode_strictly(candidate, encoding)
        except UnicodeEncodeError:
            continue
    return b"?"
