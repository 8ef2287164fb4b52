"""What the hospital has been told of each test, read from the result messages that were sent to it. Pure.

Our own messages, kept verbatim, are the one record of it: a correction is a correction only of what was really sent,
and what was never sent needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

FINAL, CORRECTION, DELETED = "F", "C", "D"
"""OBX-11 (table 0085): final, replaces an earlier one, delete what was sent."""

# How far a result message came (`hbys_mesaj.sonuc`)
ON_ITS_WAY, UNCERTAIN, NOT_SENT, TAKEN = "yolda", "belirsiz", "gitmedi", "AA"
REFUSED = ("AE", "AR")


@dataclass(frozen=True, slots=True)
class Telling:
    """One OBX that went out. confirmed: the hospital said that it took it; else it may know it."""

    code: str
    status: str
    fingerprint: str
    confirmed: bool


def fingerprint(segments: Sequence[str]) -> str:
    """What an OBX and the NTE behind it say, apart from set number and status: the same text, the same fact."""
    obx = segments[0].split("|")
    obx[1] = obx[11] = ""
    return "\r".join(["|".join(obx), *segments[1:]])


def tellings(messages: Iterable[tuple[bytes, str]]) -> dict[str, list[Telling]]:
    """By test code, in order. messages: (content, outcome) of the result messages of one order, oldest first."""
    told: dict[str, list[Telling]] = {}
    for content, outcome in messages:
        if outcome not in (*REFUSED, NOT_SENT):
            for segments in _observations(content.decode("utf-8")):
                fields = segments[0].split("|")
                code = fields[3].partition("^")[0]
                told.setdefault(code, []).append(
                    Telling(code, fields[11], fingerprint(segments), confirmed=outcome == TAKEN)
                )
    return told


def _observations(text: str) -> Iterator[list[str]]:
    """Each OBX with its notes. Only ever of our own messages, so the delimiters are known."""
    found: list[str] = []
    for segment in text.split("\r"):
        if segment.startswith("NTE|") and found:
            found.append(segment)
            continue
        if found:
            yield found
        found = [segment] if segment.startswith("OBX|") else []
    if found:
        yield found


def status_of_released(mark: str, told: Sequence[Telling]) -> str | None:
    """OBX-11 of a released result with this fingerprint; None where the hospital has said that it has just this."""
    if told and told[-1].confirmed and told[-1].status != DELETED and told[-1].fingerprint == mark:
        return None
    other = any(one.status == DELETED or one.fingerprint != mark for one in told)
    return CORRECTION if other else FINAL


def status_of_unreleased(told: Sequence[Telling]) -> str | None:
    """OBX-11 for a test that has no released result (any more); None where the hospital knows of none."""
    if not told or (told[-1].confirmed and told[-1].status == DELETED):
        return None
    return DELETED
