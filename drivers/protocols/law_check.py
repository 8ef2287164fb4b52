"""Whether a LAW request can be taken, and with which answer (LAW-F.12 to 16; HL7 table 0357).

AR: this message never, or not now: unsupported type (200), event (201), processing id (202), version (203). AE: its
content is broken and will not become better by sending it again: segment order (100), required field (101), data type
(102), code not in its table (103). What is only unknown to us (a segment, a field beyond, a container, a test) is no
fault: it is read as far as it goes and held for a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from drivers.protocols.hl7 import ErrorLocation, Message, Segment, is_null

TYPES: dict[str, tuple[str, ...]] = {
    "QBP": ("Q11",),
    "OUL": ("R22", "R23"),
    "ORL": ("O34",),
    "RSP": ("K11",),
    "ACK": (),
    "NMD": ("N02",),
    "TCU": ("U10",),
    "EAC": ("U07",),
    "ESU": ("U01",),
    "INU": ("U05",),
    "SSU": ("U03",),
}
"""Message types that a manager takes, with their events; () = any. Link checks, status and test lists of some makers
are outside LAW and only acknowledged."""
VERSION = re.compile(r"2\.[1-9](\.[0-9])?")
PROCESSING = ("P", "T", "D")
STATUSES = frozenset("FPCDWRIOXNSU")
"""HL7 table 0085."""
NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
"""NM with the exponent that some analysers write although NM has none (LAW-F.84)."""
_MOST_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Taken (AA), or why not."""

    code: Literal["AA", "AE", "AR"] = "AA"
    errors: tuple[ErrorLocation, ...] = ()

    @property
    def sentence(self) -> str:
        """For the line's history and the dead letters, in Turkish."""
        if self.code == "AA":
            return ""
        places = ", ".join(f"{_place(error)} ({error.code}: {error.text})" for error in self.errors[:5])
        what = "alınmadı; cihaz yeniden gönderebilir" if self.code == "AR" else "bozuk; içindeki hiçbir sonuç alınmadı"
        return f"LAW mesajı {what}: {places}."


def _place(error: ErrorLocation) -> str:
    field = f"-{error.field}" if error.field else ""
    return f"{error.segment}{field}" if error.segment else "mesaj"


def check_request(message: Message) -> Verdict:
    """The envelope: type, event, processing id, version (LAW-F.13)."""
    kind, event, _ = message.type
    msh = message.msh
    processing, version = msh.get(11).strip(), msh.get(12).strip()
    error: ErrorLocation | None = None
    if kind not in TYPES:
        error = ErrorLocation("MSH", 1, 9, 1, code="200", text=f"{kind or '?'} mesajı desteklenmiyor")
    elif TYPES[kind] and event not in TYPES[kind]:
        error = ErrorLocation("MSH", 1, 9, 2, code="201", text=f"{kind}^{event} olayı desteklenmiyor")
    elif processing and processing not in PROCESSING:
        error = ErrorLocation("MSH", 1, 11, code="202", text=f"işleme kimliği {processing}")
    elif version and VERSION.fullmatch(version) is None:
        error = ErrorLocation("MSH", 1, 12, code="203", text=f"sürüm {version}")
    return Verdict() if error is None else Verdict("AR", (error,))


def check_report(message: Message) -> Verdict:
    """The content of an OUL^R22 (LAW-F.14)."""
    errors: list[ErrorLocation] = []
    count: dict[str, int] = {}
    specimen = order = False
    for segment in message.segments:
        name = segment.name
        nth = count[name] = count.get(name, 0) + 1
        if name == "SPM":
            specimen, order = True, False
        elif name == "OBR":
            if not specimen:
                errors.append(ErrorLocation("OBR", nth, code="100", text="SPM olmadan OBR"))
            elif not _given(segment, 4) and not segment.get(4, comp=4):
                errors.append(ErrorLocation("OBR", nth, 4, code="101", text="tetkik (OBR-4) yok"))
            order = True
        elif name == "OBX" and order:
            errors += _check_result(segment, nth)
        elif name == "SAC" and not specimen:
            errors.append(ErrorLocation("SAC", nth, code="100", text="SPM olmadan SAC"))
    if not specimen and not errors:
        errors.append(ErrorLocation("SPM", 1, code="100", text="SPM yok"))
    return Verdict("AE", tuple(errors[:_MOST_ERRORS])) if errors else Verdict()


def _check_result(obx: Segment, nth: int) -> list[ErrorLocation]:
    if not _given(obx, 3) and not obx.get(3, comp=4).strip():
        return [ErrorLocation("OBX", nth, 3, code="101", text="tetkik kodu (OBX-3) yok")]
    status = obx.get(11).strip()
    if not status:
        return [ErrorLocation("OBX", nth, 11, code="101", text="durum (OBX-11) yok")]
    if status not in STATUSES:
        return [ErrorLocation("OBX", nth, 11, code="103", text=f"durum {status!r}")]
    kind, value = obx.get(2).strip(), obx.field(5).strip()
    if value and not is_null(value) and not kind and status != "X":
        return [ErrorLocation("OBX", nth, 2, code="101", text="değer türü (OBX-2) yok")]
    if kind == "NM" and value and not is_null(value) and NUMBER.fullmatch(obx.get(5).strip()) is None:
        return [ErrorLocation("OBX", nth, 5, code="102", text="NM değeri sayı değil")]
    return []


def _given(segment: Segment, n: int) -> bool:
    value = segment.get(n).strip()
    return bool(value) and not is_null(value)
