"""The independent ASTM package, used as its documentation shows."""

from __future__ import annotations

from astm import codec


def astm_2025(frame: bytes) -> list[tuple[str, str]]:
    """Codes and values that `astm-2025` reads in a message of records in one frame."""
    found = []
    for record in codec.decode_message(frame, "utf-8")[1]:
        if record[0] == "R":
            found.append((record[2][4], record[3]))
    return found


def codec_frame(message: bytes) -> bytes:
    """The whole message in one frame: what `decode_message` takes."""
    from astm.codec import make_checksum
    from astm.constants import CRLF, ETX, STX

    body = b"1" + message + ETX
    return STX + body + make_checksum(body) + CRLF
