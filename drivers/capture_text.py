"""Captured bytes of models with a protocol of their own: the model's link codec takes the frames off.

A capture is evidence, not a line: a wrong check is noted and the block read all the same; what has no frame at all is
read as one message.
"""

from __future__ import annotations

from math import inf

from drivers.capture import Capture, CapturedMessage, messages_in, take_poct1a
from drivers.definition import Definition
from drivers.protocols.text_link import BlockReceived, BlockRefused, Note, TextLink, Why
from drivers.protocols.text_links import make_link

_NO_FRAMES = "Çerçeve bulunamadı; baytların tamamı tek mesaj olarak okundu."
_CUT = "Mesajın sonu gelmedi; yarım kalmış olabilir."
_WHY = {
    Why.CHECK: "Bir bloğun denetim karakteri yanlış; blok okunmadı.",
    Why.CUT_OFF: "Bir blok yarıda kesilmiş; okunmadı.",
    Why.TOO_LONG: "Bir blok sınırdan uzun; okunmadı.",
    Why.OUT_OF_TURN: "Bir blok sırada değil; okunmadı.",
}


def captured_by(definition: Definition, data: bytes) -> list[CapturedMessage]:
    """The messages of captured bytes, whatever the definition's protocol. Raises CaptureRefused: there is none."""
    if definition.protocol in ("metin", "tablo", "poct1a"):
        return read_texts(data, definition).messages
    return messages_in(data)


def read_texts(data: bytes, definition: Definition) -> Capture:
    """As `capture.read_capture`, for a definition of texts or tables; never raises."""
    capture = Capture()
    if not data.strip(b"\x00 \t\r\n"):
        capture.refused = "Dosya boş."
        return capture
    if definition.protocol == "poct1a":
        take_poct1a(data, capture)
        return capture
    wire = definition.file.wire
    if definition.protocol == "tablo" or wire is None:
        capture.messages.append(CapturedMessage(data, definition.protocol, "file"))
        return capture
    options = definition.link_options()
    _take(make_link(wire.kind, options, lenient=True), data, capture, wire.kind)
    if not capture.messages and wire.kind != "astm" and data.lstrip(b"\x05")[:1] == b"\x02":
        _take(make_link("astm", {}, lenient=True), data, capture, "astm")
    if not capture.messages:
        text = data.strip(b"\x02\x03\x04\x05\x06")
        capture.notes = [_NO_FRAMES]
        capture.messages.append(CapturedMessage(text, "metin", "raw"))
    return capture


def _take(link: TextLink, data: bytes, capture: Capture, kind: str) -> None:
    events = [*link.connection_made(0.0), *link.receive_data(data, 0.0)]
    parts: list[bytes] = []
    waited = False
    while events or not waited:
        if not events:
            waited = True
            events = list(link.tick(inf))
            continue
        event = events.pop(0)
        if isinstance(event, BlockReceived):
            parts.append(event.text)
            if event.last:
                capture.messages.append(CapturedMessage(link.join.join(parts), "metin", kind))
                parts = []
            events += link.stored(0.0)
        elif isinstance(event, BlockRefused) and event.why in _WHY:
            capture.notes.append(_WHY[event.why])
        elif isinstance(event, Note) and event.what == "wrong check byte":
            capture.notes.append("Bir bloğun denetim karakteri yanlış; blok yine de okundu.")
    if parts:
        capture.messages.append(CapturedMessage(link.join.join(parts), "metin", kind, False, [_CUT]))
    link.data_to_send()
