"""What an instrument of each entry sends, step by step: its hand-written message in the form that its definition's link asks for.

ASTM frames and MLLP blocks are made here by hand. The messages of the makers' own protocols stand in their files as they
go over the line; where their sender waits for an answer is found by listening to them byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers.definition import Definition
from drivers.gateway.gateway import text_link
from drivers.protocols.text_link import BlockReceived
from tests.drivers.test_catalogue_contract import message_file

ENQ, ACK, NAK, EOT, STX = b"\x05", b"\x06", b"\x15", b"\x04", b"\x02"
VT, FS = b"\x0b", b"\x1c"
MOST_TEXT = 240


@dataclass(frozen=True, slots=True)
class Step:
    """Bytes that a sender puts on the line, and what it waits for before it goes on."""

    data: bytes
    answer: bytes = b""
    """b"": it waits for nothing. For MLLP: the control id that the answer must name."""
    holds: bytes = b""
    """Part of `data` that is in the spool once it was answered; b"" where the step is only a sign."""


Message = list[Step]


def messages_of(definition: Definition) -> list[Message] | None:
    """The messages of an entry's file as steps; None where nobody has written one."""
    path = message_file(definition.key)
    if path is None or (definition.file.wire is None and definition.protocol in ("metin", "tablo")):
        return None
    data = path.read_bytes()
    if definition.protocol == "astm":
        return [astm_message(definition, records) for records in astm_records(data)]
    if definition.protocol == "hl7":
        return [[mllp_step(message)] for message in hl7_messages(data)]
    if definition.protocol == "poct1a":
        return [[poct_step(definition, document) for document in poct_documents(data)]]
    return [text_steps(definition, data)]


# ---- ASTM


def astm_records(data: bytes) -> list[list[bytes]]:
    """The records of each message, without line ends; a message begins with its H."""
    found: list[list[bytes]] = []
    for record in re.split(rb"[\r\n]+", data):
        if record[:1] in b"Hh" and record:
            found.append([])
        if record:
            found[-1].append(record)
    return found


def astm_message(definition: Definition, records: Sequence[bytes]) -> Message:
    options = definition.link_options()
    framing = options.get("framing", "e1381")
    text = b"".join(record + b"\r" for record in records)
    if framing == "raw":
        return [Step(record + b"\r") for record in records]
    if framing == "stx-etx":
        return [Step(ENQ, ACK), Step(block := STX + text + b"\x03", ACK, block), Step(EOT)]
    frames: Message = []
    for record in records:
        parts = [(record + b"\r")[at : at + MOST_TEXT] for at in range(0, len(record) + 1, MOST_TEXT)]
        for place, part in enumerate(parts, 1):
            number = number_of(len(frames), options.get("number_modulus", "0-7"))
            one = frame(number, part, last=place == len(parts))
            frames.append(Step(one, ACK, one[:-4]))
    greeting = [Step(ENQ, ACK)] if options.get("require_enq", True) else []
    return [*greeting, *frames, Step(EOT)]


def number_of(place: int, modulus: str) -> int:
    """The number of the frame at this place (from 0), as this model counts."""
    if modulus == "0-9":
        return (place + 1) % 10
    return place % 7 + 1 if modulus == "1-7" else (place + 1) % 8


def frame(number: int, text: bytes, *, last: bool = True) -> bytes:
    """STX number text ETX/ETB checksum CR LF."""
    body = b"%d" % number + text + (b"\x03" if last else b"\x17")
    return STX + body + b"%02X" % (sum(body) & 0xFF) + b"\r\n"


def wrong_checksum(one: bytes) -> bytes:
    """The same frame as noise leaves it: another letter in its text, its checksum as before."""
    place = next(at for at in range(2, len(one)) if one[at : at + 1].isalnum())
    return one[:place] + (b"x" if one[place : place + 1] != b"x" else b"y") + one[place + 1 :]


def renumbered(one: bytes, by: int) -> bytes:
    """The same frame with a number that is `by` ahead of its own and a checksum that holds."""
    end = max(one.rfind(b"\x03"), one.rfind(b"\x17"))
    return frame((one[1] - 48 + by) % 8, one[2:end], last=one[end : end + 1] == b"\x03")


# ---- HL7


def hl7_messages(data: bytes) -> list[bytes]:
    """Segments with CR at their end, each message for itself."""
    found: list[list[bytes]] = []
    for segment in re.split(rb"[\r\n]+", data):
        if segment[:3] == b"MSH":
            found.append([])
        if segment:
            found[-1].append(segment)
    return [b"".join(segment + b"\r" for segment in message) for message in found]


def mllp_step(message: bytes) -> Step:
    fields = message.split(b"\r")[0].split(b"|")
    accept, application = [*fields[14:16], b"", b""][:2]
    silent = accept in (b"NE",) and application in (b"NE",)
    return Step(VT + message + FS + b"\r", b"" if silent else fields[9], message)


# ---- POCT1-A


def poct_documents(data: bytes) -> list[bytes]:
    """The documents of a conversation, each with its XML declaration."""
    return [document.strip() for document in re.split(rb"(?=<\?xml )", data) if document.strip()]


def poct_step(definition: Definition, document: bytes) -> Step:
    """A document and the control id that its acknowledgement must name; results and events are in the spool by then."""
    if b"<EOT.R01>" in document and not definition.link_options().get("ack_end_of_topic", True):
        return Step(document)
    control_id = re.search(rb'<HDR.control_id V="([0-9]+)"', document)
    assert control_id is not None
    spooled = re.search(rb"<(?:OBS|EVS)\.R0", document) is not None
    return Step(document, control_id[1], document if spooled else b"")


# ---- the makers' own


def in_astm_frames(definition: Definition) -> bool:
    """Whether its link is that of ASTM, with records or other text in the frames."""
    return definition.protocol == "astm" or (definition.file.wire is not None and definition.file.wire.kind == "astm")


def text_steps(definition: Definition, data: bytes) -> Message:
    """Cut where the line's codec owes an answer or has a whole block."""
    link = text_link(definition, definition.link_options())
    link.connection_made(0.0)
    link.data_to_send()
    framed = in_astm_frames(definition)
    steps: Message = []
    begun = bytearray()
    for place in range(len(data)):
        begun += data[place : place + 1]
        blocks = [e for e in link.receive_data(data[place : place + 1], 0.0) if isinstance(e, BlockReceived)]
        for _ in blocks:
            link.stored(0.0)
        owed = link.data_to_send()
        if blocks or owed or (framed and begun[-1:] == EOT):
            steps.append(Step(bytes(begun), owed, blocks[0].raw if blocks else b""))
            begun.clear()
    if begun:
        steps.append(Step(bytes(begun)))
    return steps


# ---- with the same shape, other text


def with_text(message: Message, old: bytes, new: bytes) -> Message:
    """The same frames with other text in them and checksums that hold (ASTM frames and MLLP blocks)."""
    return [_with_text(step, old, new) for step in message]


def _with_text(step: Step, old: bytes, new: bytes) -> Step:
    if old not in step.data:
        return step
    data = step.data.replace(old, new)
    if data[:1] == STX and data[-2:] == b"\r\n":
        data = frame(data[1] - 48, data[2:-5], last=data[-5:-4] == b"\x03")
    return replace(step, data=data, holds=step.holds and (data[:-4] if data[-2:] == b"\r\n" else data))
