"""HL7 v2 messages out of captures and batch files (HL7 2.5.1, 2.10.3). Re-exported by `drivers.protocols.hl7`."""

import re

_LINE_START = rb"(?:^|(?<=[\r\n\x0b\x1c]))[ \t]*(?:\xef\xbb\xbf)?"
_MARK = re.compile(_LINE_START + rb"(?:(MSH)(?=[^A-Za-z0-9\s])|(?:FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9]|$))|\x1c")


def split_messages(data: bytes) -> list[bytes]:
    """The messages of a capture, each from its MSH to its last character, in order; [] where there is none.

    Takes bare messages one after another, MLLP blocks, batch files (the envelope FHS BHS BTS FTS is left out), blank
    lines anywhere, UTF-16 files, and rubbish before the first MSH or after a block's end.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", "replace").encode()
    messages: list[bytes] = []
    start: int | None = None
    for mark in _MARK.finditer(data):
        if start is not None:
            messages.append(data[start : mark.start()])
        start = mark.start(1) if mark.group(1) else None
    if start is not None:
        messages.append(data[start:])
    return [message.rstrip(b"\r\n\x0b\x1c") for message in messages]
