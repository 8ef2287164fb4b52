"""Blackening the names and numbers of a person in bytes that an instrument sent: same length, same structure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lis_core.domain.turkish import search_key
from lis_core.storage.tables import Patient

BLACK = b"X"
SHORTEST = 2
"""Letters of a word that is looked for; a shorter one is everywhere."""

ENCODINGS = ("utf-8", "cp1254", "cp857")
"""In which instruments write Turkish; the plain ASCII spelling comes with each."""

_UPPER = str.maketrans({"i": "İ", "ı": "I"})
_LOWER = str.maketrans({"İ": "i", "I": "ı"})


def needles(people: Iterable[Patient]) -> list[bytes]:
    """Every spelling in bytes of everything that names these people, longest first."""
    words: set[str] = set()
    for person in people:
        names = f"{person.given_name} {person.family_name}".split()
        numbers = [number for number in (person.tc, person.foreign_id, person.hospital_id, person.phone) if number]
        words |= {word for word in [*names, *numbers] if len(word) >= SHORTEST}
    found: set[bytes] = set()
    for word in words:
        folded = search_key(word)
        upper, lower = word.translate(_UPPER).upper(), word.translate(_LOWER).lower()
        for spelling in {word, upper, lower, word.upper(), word.lower(), folded, folded.upper(), folded.title()}:
            for encoding in ENCODINGS:
                found.add(spelling.encode(encoding, "ignore"))
    return sorted((needle for needle in found if len(needle) >= SHORTEST), key=len, reverse=True)


_PATIENT_RECORD = re.compile(rb"(?m)(?:^|(?<=[\r\n\x02\x0b0-9]))(PID|P)\|[^\r\n\x03\x17]*")
_TELLING = re.compile(rb"[0-9A-Za-z\x80-\xff]")


def blackened(content: bytes, gone: Sequence[bytes], *, whole_patient_records: bool) -> bytes:
    """The bytes with every needle black.

    whole_patient_records: also everything in ASTM P and HL7 PID records, delimiters apart (the message is of one
    patient only, so nobody else's record is in it).
    """
    for needle in gone:
        content = re.sub(
            rb"(?<![0-9A-Za-z\x80-\xff])" + re.escape(needle) + rb"(?![0-9A-Za-z\x80-\xff])",
            BLACK * len(needle),
            content,
        )
    if whole_patient_records:
        content = _PATIENT_RECORD.sub(_black_record, content)
    return content


def _black_record(found: re.Match[bytes]) -> bytes:
    """A record's name and sequence number stay, the rest goes; delimiters stay where they are."""
    kind, _, rest = found[0].partition(b"|")
    sequence, bar, facts = rest.partition(b"|")
    return kind + b"|" + sequence + bar + _TELLING.sub(BLACK, facts)
