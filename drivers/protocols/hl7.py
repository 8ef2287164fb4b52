"""HL7 v2 messages: read lazily, written, acknowledged. HL7 2.5.1 chapter 2; older and newer 2.x are read alike.

Reading: `parse`, `split_messages`, `Message`, `Segment`, `Columns`. Writing: `message`, `header`, `segment`,
`segment_at` with `Comp`, `Sub`, `Rep`, `Raw`. Answering: `acknowledge`, `ack_mode`, `read_acknowledgement`.
Whose mistake it is: `Hl7Error` the peer's (not an HL7 message), `LocalError` ours (nothing that HL7 can carry).
"""

from drivers.protocols.hl7_answer import (
    ERROR_TEXTS,
    AckCode,
    AckMode,
    Acknowledgement,
    ErrorLocation,
    ack_mode,
    acknowledge,
    answer_bytes,
    answer_header,
    error_segments,
    read_acknowledgement,
    read_errors,
)
from drivers.protocols.hl7_capture import split_messages
from drivers.protocols.hl7_read import NULL, Columns, Message, Segment, is_null, parse
from drivers.protocols.hl7_text import (
    STANDARD,
    Delimiters,
    Hl7Error,
    LocalError,
    decode,
    encode,
    encoding_of,
    escape,
    unescape,
)
from drivers.protocols.hl7_time import parse_timestamp, timestamp
from drivers.protocols.hl7_write import (
    Comp,
    Field,
    Raw,
    Rep,
    Sub,
    echo,
    echo_segment,
    header,
    message,
    segment,
    segment_at,
)

__all__ = [
    "ERROR_TEXTS",
    "NULL",
    "STANDARD",
    "AckCode",
    "AckMode",
    "Acknowledgement",
    "Columns",
    "Comp",
    "Delimiters",
    "ErrorLocation",
    "Field",
    "Hl7Error",
    "LocalError",
    "Message",
    "Raw",
    "Rep",
    "Segment",
    "Sub",
    "ack_mode",
    "acknowledge",
    "answer_bytes",
    "answer_header",
    "decode",
    "echo",
    "echo_segment",
    "encode",
    "encoding_of",
    "error_segments",
    "escape",
    "header",
    "is_null",
    "message",
    "parse",
    "parse_timestamp",
    "read_acknowledgement",
    "read_errors",
    "segment",
    "segment_at",
    "split_messages",
    "timestamp",
    "unescape",
]
