"""Passwords that everybody knows: a list that the institution lays beside the program (`[giris] yasak_parolalar`).

A hospital's network reaches no service on the internet, so nobody is asked. The file is either plain passwords, one a
line (a list of common ones), or the ordered form of the known services: SHA-1 in hexadecimal, sorted, with or without
`:count` behind it (tens of gigabytes, of which a few lines are read). Nothing of it comes with the program.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import BinaryIO

from lis_core.domain.turkish import search_key

log = logging.getLogger(__name__)

LISTED = "herkesin bildiği parolalardan biri"
NOT_READ = "yasak parola listesi okunamıyor; sistem yöneticisine bildirin"
_DIGEST = re.compile(rb"[0-9A-Fa-f]{40}(:\d+)?\r?\n?")
_LONGEST_LINE = 300


def known_problem(file: str, password: str) -> str | None:
    """What is wrong with a new password, in Turkish; None where it does not stand in the file, or no file is named.

    A file that cannot be read refuses every password: a rule that fails silently is none. Reads the disk.
    """
    if not file:
        return None
    try:
        with Path(file).open("rb") as lines:
            found = _among_digests(lines, password) if _holds_digests(lines) else _among_words(lines, password)
    except OSError:
        log.exception("list of known passwords not read", extra={"action": "known_passwords_not_read"})
        return NOT_READ
    return LISTED if found else None


def _holds_digests(lines: BinaryIO) -> bool:
    first = lines.readline(_LONGEST_LINE)
    lines.seek(0)
    return _DIGEST.fullmatch(first) is not None


def _among_words(lines: BinaryIO, password: str) -> bool:
    """Compared as people type them: capital letters and Turkish dots make no new password."""
    wanted = search_key(password)
    return any(search_key(line.decode("utf-8", "replace").rstrip("\r\n")) == wanted for line in lines)


def _among_digests(lines: BinaryIO, password: str) -> bool:
    """Halving: the digests are sorted, the lines may differ in length."""
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    low, high = 0, lines.seek(0, 2)
    while low < high:  # the line that is looked for begins in [low, high)
        middle = (low + high) // 2
        lines.seek(max(middle - 1, 0))
        if middle:
            lines.readline(_LONGEST_LINE)  # to the next line's beginning; to `middle` itself where it is one
        at = lines.tell()
        digest = lines.readline(_LONGEST_LINE)[:40].upper()
        if at >= high or digest > wanted:
            high = middle
        elif digest < wanted:
            low = lines.tell()
        else:
            return digest == wanted
    return False
