"""ASTM messages out of captures: logs, files, whole sessions, from one side or both, in whatever framing.

For reading what somebody saved, never for a line: nothing can be asked for again here, so a damaged frame is read all
the same and the damage is remarked. What a person is to trust must have come through `astm_link`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from drivers.protocols.astm_frames import checksum
from drivers.protocols.astm_messages import MessageAssembler, Partial, WholeMessage, split_messages

__all__ = ["Capture", "read_capture"]

# A frame with its checksum if it has one; a frame cut off by another STX, ENQ, EOT or the end; ENQ, EOT.
_TOKEN = re.compile(rb"\x02([^\x02-\x05\x17]*)(?:([\x03\x17])([0-9A-Fa-f]{2})?)?|([\x04\x05])")
_ANSWERS = b"\x06\x15"
_DIGIT_LINE = re.compile(rb"(?:^|(?<=[\r\n]))[0-9](?=[A-Za-z][^0-9A-Za-z\r\n])")
_LINE_CHECKSUM = re.compile(rb"(?:^|(?<=[\r\n]))([^\r\n0-9]*+)([0-9][^\r\n]*?) ([0-9A-F]{2})(?=[\r\n]|$)")


@dataclass(slots=True)
class Capture:
    """What a capture holds, in order, and what was wrong with it."""

    messages: list[WholeMessage | Partial] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    frames: int = 0
    """Frames seen, damaged and repeated ones among them; 0 for bare records."""


def read_capture(data: bytes) -> Capture:
    """Read a capture. Never raises; a capture without anything readable has no messages.

    A frame that comes again unchanged counts once. Frames with a wrong checksum are read and remarked.
    """
    capture = Capture()
    if b"\x02" in data:
        _read_frames(data, capture)
    else:
        _read_records(data.translate(None, _ANSWERS + b"\x03\x04\x05\x17"), capture)
    return capture


def _read_frames(data: bytes, capture: Capture) -> None:
    assembler = MessageAssembler()
    previous: bytes | None = None
    for token in _TOKEN.finditer(data):
        body, end, given, control = token.groups()
        if control is not None:
            _finish(assembler, capture, broken=False)
            previous = None
            continue
        capture.frames += 1
        if end is None:
            capture.remarks.append(f"frame {capture.frames} is cut off; its text is left out")
            _finish(assembler, capture, broken=True)
            continue
        if body == previous and body[:1].isdigit():
            capture.remarks.append(f"frame {capture.frames} repeats the one before it; read once")
            continue
        previous = body
        if given is not None and given.upper() != checksum(body + end):
            capture.remarks.append(f"frame {capture.frames} has a wrong checksum; read all the same")
        text = body[1:] if body[:1].isdigit() else body
        capture.messages += assembler.feed(text, end == b"\x03")
    _finish(assembler, capture, broken=False)


def _finish(assembler: MessageAssembler, capture: Capture, *, broken: bool) -> None:
    rest = assembler.finish(broken=broken)
    if rest is not None:
        capture.messages.append(rest)


def _read_records(data: bytes, capture: Capture) -> None:
    """Bare records, perhaps with frame numbers (and checksums) that a logger left on their lines."""
    numbers = len(_DIGIT_LINE.findall(data))
    if numbers:
        capture.remarks.append(f"frame numbers left in front of {numbers} records; removed")
        proof = [checksum(line[2] + b"\r\x03") == line[3] for line in _LINE_CHECKSUM.finditer(data)]
        if any(proof):
            capture.remarks.append(f"checksums left behind {len(proof)} records; removed")
            if not all(proof):
                capture.remarks.append(f"{proof.count(False)} of them are wrong")
            data = _LINE_CHECKSUM.sub(rb"\1\2", data)
        data = _DIGIT_LINE.sub(b"", data)
    capture.messages += split_messages(data)
