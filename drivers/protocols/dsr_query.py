"""Chemistry analysers that ask with QRY^Q02 and are answered by QCK^Q02 and DSR^Q03 (Mindray BS and kin, HL7 2.3.1).

The order is a list of DSP lines addressed by their number: every fixed line is sent, also the empty ones, and then one
line for each test. The maker's manual shows this form and several independent implementations agree on it; one of them
reports that an analyser took no answer from which the empty lines were left out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from drivers.protocols.hl7 import Message, answer_bytes, answer_header, echo, echo_segment

_DSP_SEPARATORS = 6
"""A line is `DSP|n||text|||`, its empty fields written."""


def query_acknowledgement(query: Message, found: bool, *, control_id: str, now: datetime) -> bytes:
    """QCK^Q02: the query was understood; QAK-2 says whether there is work (OK) or not (NF)."""
    return answer_bytes(query, _head(query, "QCK^Q02", control_id, now, "OK" if found else "NF"))


def display_response(
    query: Message, lines: Mapping[int, str], tests: Sequence[str], fixed: int, *, control_id: str, now: datetime
) -> bytes:
    """DSR^Q03: MSH MSA ERR QAK QRD QRF DSP... DSC.

    lines: texts of the fixed lines by their number (1 to `fixed`), escaped; tests: texts of the lines after them.
    """
    field = query.delimiters.field
    texts = _head(query, "DSR^Q03", control_id, now, "OK")
    texts += [echo_segment(one) for name in ("QRD", "QRF") for one in query.all(name)[:1]]
    every = [lines.get(number, "") for number in range(1, fixed + 1)] + list(tests)
    for number, text in enumerate(every, 1):
        line = f"DSP{field}{number}{field}{field}{text}"
        texts.append(line + field * (_DSP_SEPARATORS - line.count(field)))
    texts.append(f"DSC{field}{field}")
    return answer_bytes(query, texts)


def _head(query: Message, kind: str, control_id: str, now: datetime, status: str) -> list[str]:
    field = query.delimiters.field
    return [
        answer_header(query, tuple(kind.split("^")), control_id, now),
        field.join(("MSA", "AA", echo(query.msh, 10), "Message accepted", "", "", "0", "")),
        field.join(("ERR", "0", "")),
        field.join(("QAK", "SR", status, "")),
    ]
