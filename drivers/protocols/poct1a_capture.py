"""Captured POCT1-A conversations, both sides of them, as documents."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from drivers.protocols.poct1a_stream import Document, DocumentReader, Junk
from drivers.protocols.poct1a_words import MANNERS

LOOKS_SO = re.compile(
    rb"\A[\s\x00\x0b\x1c\xef\xbb\xbf]*(?:<\?xml[^>]{0,200}\?>\s*)?<(?:HEL|DST|OBS|EVS|ACK|EOT|END|KPA|ESC|REQ|DTV|OPL|PTL)\.R[0-9]{2}[\s/>]"
)
"""A capture whose first document is a message of POCT1-A."""
_ROOT = re.compile(rb"<([A-Za-z_][^\s/>]*)")
_HOSTS_OWN = frozenset(("DTV", "OPL", "PTL"))


@dataclass(slots=True)
class Split:
    """What a capture holds."""

    data: list[bytes] = field(default_factory=list)
    """Documents that say something beyond the conversation, in order."""
    manners: int = 0
    refused: int = 0


def data_messages(data: bytes) -> Split:
    """Take a capture apart; junk between documents is left out. Never raises."""
    reader = DocumentReader(max_message=max(len(data), 1) + 1)
    reader.feed(data)
    split = Split()
    while (found := reader.next()) is not None:
        if isinstance(found, Document):
            _sort(found.raw, split)
        elif not isinstance(found, Junk):
            split.refused += 1
    split.refused += reader.mid_document
    return split


def _sort(document: bytes, split: Split) -> None:
    root = _ROOT.search(document)
    kind = root[1].decode("latin-1").partition(".")[0] if root is not None else ""
    if kind in MANNERS or kind in _HOSTS_OWN:
        split.manners += 1
    else:
        split.data.append(document)
