"""Bytes of a line in words: what each chunk means in its protocol, and what a line seems to talk.

For people who stand before an analyser and ask whether anything arrives at all. Nothing here decides anything.
"""

from __future__ import annotations

import re
from typing import Literal

from drivers.protocols.astm_frames import checksum

Verdict = Literal["iyi", "uyari", "kotu"]

_SINGLE = {
    0x05: "ENQ: göndermek istiyor",
    0x06: "ACK: alındı",
    0x15: "NAK: alınmadı",
    0x04: "EOT: aktarım bitti",
}
_TOKEN = re.compile(
    rb"\x02(?P<body>[^\x02\x03\x17]*)(?P<end>[\x03\x17])(?P<check>[0-9A-Fa-f]{2})?[\r\n]*"
    rb"|\x0b(?P<block>[^\x1c]*)\x1c\r?|(?P<single>[\x04\x05\x06\x15])|(?P<start>[\x02\x0b])"
)
_DOCUMENT = re.compile(rb"<([A-Z]{3}\.R[0-9]{2})[\s>]")
"""The root of a POCT1-A message."""
_CONTROLS = bytes(range(0x20))
_ALLOWED = b"\t\r\n\x02\x03\x04\x05\x06\x0b\x15\x17\x1c"
GARBAGE = 0.25
"""Share of bytes that are no text above which a wrong speed or parity is likelier than an odd dialect."""


def words_of(data: bytes) -> list[str]:
    """What a chunk says, token by token; a piece of a frame is said to be one. [] for bytes without meaning here."""
    told: list[str] = []
    for token in _TOKEN.finditer(data):
        if token["single"]:
            told.append(_SINGLE[token["single"][0]])
        elif token["end"]:
            told.append(_frame(token["body"], token["end"], token["check"]))
        elif token["block"] is not None:
            told.append(_block(token["block"]))
        else:
            told.append("çerçevenin başı" if token["start"] == b"\x02" else "HL7 bloğunun başı")
    return [*told, *(f"{found[1].decode('latin-1')} belgesi" for found in _DOCUMENT.finditer(data))]


def _frame(body: bytes, end: bytes, check: bytes | None) -> str:
    number = body[:1].decode("latin-1") if body[:1].isdigit() else ""
    records = [line[:1].decode("latin-1") for line in re.split(rb"[\r\n]+", body[1 if number else 0 :]) if line]
    parts = [f"çerçeve {number}".strip(), f"{' '.join(records[:12])} kaydı" if records else "boş"]
    parts.append("son" if end == b"\x03" else "devamı var")
    if check is not None and checksum(body + end) != check.upper():
        parts.append("SAĞLAMA YANLIŞ")
    return ", ".join(parts)


def _block(payload: bytes) -> str:
    segments = [line[:3].decode("latin-1") for line in re.split(rb"[\r\n]+", payload) if line]
    fields = payload.split(b"|", 9)
    kind = fields[8].decode("latin-1") if len(fields) > 8 and payload[:3] == b"MSH" else ""
    return f"HL7 bloğu {kind}, {len(segments)} bölüm".replace("  ", " ")


def masked(data: bytes) -> bytes:
    """The shape of a chunk without its content: control characters stay, every other byte becomes a dot."""
    return bytes(byte if byte < 0x20 or byte == 0x7F else 0x2E for byte in data)


def seen(data: bytes, protocol: str, kind: str) -> tuple[Verdict, str]:
    """What bytes that came in on a trial look like, and what to do where it is not what the line expects."""
    if not data:
        return "uyari", "Hiç bayt gelmedi. Cihazdan bir sonuç gönderin ya da bağlantı testini çalıştırın."
    size = f"{len(data)} bayt geldi"
    if protocol == "metin":  # the maker's own form: what can be told is whether it is readable at all
        verdict, sentence = _unclear(data, size, kind)
        return (verdict, sentence) if verdict == "kotu" else ("iyi", f"{size}; cihaz konuşuyor. Tanımıyla okunacak.")
    looks = _looks_like(data)
    if looks == "":
        return _unclear(data, size, kind)
    if looks != protocol:
        other = looks.upper()
        return (
            "uyari",
            f"{size}; {other} görünüyor, hat ise {protocol.upper()} seçilmiş. Tanımı ya da protokolü değiştirin.",
        )
    if protocol == "hl7":
        return "iyi", f"{size}; HL7 (MLLP) konuşuyor."
    if protocol == "poct1a":
        return "iyi", f"{size}; POCT1-A belgeleri geliyor. Hat açılınca yanıtlanır."
    if b"\x02" in data:
        return "iyi", f"{size}; ASTM çerçeveleri geliyor."
    if b"\x05" in data:
        return "iyi", f"{size}; cihaz ENQ gönderiyor (ASTM el sıkışması). Hat açılınca yanıtlanır."
    return "iyi", f"{size}; ASTM kayıtları çerçevesiz geliyor. Hat seçeneğinde çerçeveleme “raw” gerekebilir."


def _looks_like(data: bytes) -> str:
    if _DOCUMENT.search(data):
        return "poct1a"
    if b"\x0b" in data or re.search(rb"(?:^|[\r\n])MSH[|^~]", data):
        return "hl7"
    if re.search(rb"[\x05\x02]|(?:^|[\r\n])H\|", data):
        return "astm"
    return ""


def _unclear(data: bytes, size: str, kind: str) -> tuple[Verdict, str]:
    strange = sum(1 for byte in data if byte >= 0x80 or (byte in _CONTROLS and byte not in _ALLOWED))
    if kind == "seri" and strange > len(data) * GARBAGE:
        return (
            "kotu",
            f"{size} ama anlamsız: hız, parite ya da veri biti yanlış olabilir. Cihazın ayarıyla karşılaştırın.",
        )
    if strange > len(data) * GARBAGE:
        return "uyari", f"{size} ama metin değil: karşıdaki, bir cihaz olmayabilir ya da bağlantı şifrelidir."
    return "uyari", f"{size}; düz metin, ASTM ya da HL7 değil. Cihazın çıkış biçimini denetleyin."
