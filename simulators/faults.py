"""Faults with names: what an instrument does wrong with the next message that it sends.

A fault is armed (`faults.arm("wrong_checksum:2")` or `analyser.wrong_checksum(frame=2)`), happens once, and is used
up; afterwards the instrument behaves, so that what was sent badly still gets through and nothing may be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ASTM_FAULTS", "BY_PROTOCOL", "FAULTS", "HL7_FAULTS", "POCT_FAULTS", "Fault", "Faults", "UnknownFault"]

FAULTS = {  # name: (what it does, what its number means, its default number)
    "wrong_checksum": ("bir çerçevenin sağlaması ilk denemede yanlış", "çerçeve", 1),
    "repeats_frame": ("onaylanmış çerçeveyi (HL7: mesajı) bir kez daha yollar", "çerçeve", 1),
    "skips_number": ("çerçeve numarası ilk denemede bir fazla", "çerçeve", 1),
    "lost_ack": ("onayı duymaz: oturumu kapatır, mesajı baştan yollar", "çerçeve (0 = son)", 0),
    "silent_after_enq": ("ENQ (HL7: blok başı) yollar ve susar, sonra baştan başlar", "", 0),
    "no_terminator": ("son kaydı (L) yollamaz (HL7: blok sonunu yollamaz)", "", 0),
    "no_eot": ("oturumu EOT ile kapatmaz", "", 0),
    "lf_for_cr": ("kayıtları CR yerine LF ile bitirir", "", 0),
    "garbage": ("çerçevelerin arasına anlamsız baytlar koyar", "", 0),
    "unknown_record": ("kimsenin bilmediği bir kayıt (Z) ekler", "", 0),
    "impossible_date": ("ilk sonucun zamanı olmayan bir gün", "", 0),
    "text_for_number": ("ilk sonuçta sayı yerine yazı", "", 0),
    "endless": ("sonu gelmeyen bir çerçeve yollar", "bayt", 10_000_000),
    "contention": ("karşı tarafla aynı anda ENQ yollar", "", 0),
    "cut_at": ("bu kadar bayttan sonra hat kopar, bağlanıp baştan yollar", "bayt", 100),
    "merged": ("yanıt beklemeden hepsini tek parçada yollar", "", 0),
    "one_byte_at_a_time": ("her baytı ayrı yollar", "", 0),
}
ASTM_FAULTS = frozenset(FAULTS)
HL7_FAULTS = ASTM_FAULTS - {"wrong_checksum", "skips_number", "contention", "no_eot"}
POCT_FAULTS = HL7_FAULTS - {"silent_after_enq", "lf_for_cr", "endless"}
BY_PROTOCOL = {"astm": ASTM_FAULTS, "hl7": HL7_FAULTS, "poct1a": POCT_FAULTS}

_SPELLING = re.compile(r"([a-z_]+)(?:[:(=](\d+)\)?)?")


class UnknownFault(ValueError):
    """No such fault, or not on this protocol. The text is for people (Turkish)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One armed fault; `number` as FAULTS says."""

    name: str
    number: int

    @classmethod
    def read(cls, spelling: str, known: Iterable[str] = FAULTS) -> Fault:
        """`name`, `name:12` or `name(12)`. Raises UnknownFault."""
        parts = _SPELLING.fullmatch(spelling.strip())
        if parts is None or parts[1] not in FAULTS:
            raise UnknownFault(f"{spelling!r} diye bir arıza yok. Bilinenler: {', '.join(sorted(FAULTS))}")
        if parts[1] not in known:
            raise UnknownFault(f"{parts[1]} bu protokolde olamaz. Olabilenler: {', '.join(sorted(known))}")
        return cls(parts[1], int(parts[2]) if parts[2] else FAULTS[parts[1]][2])


class Faults:
    """What is armed for the next message."""

    def __init__(self, known: Iterable[str] = FAULTS) -> None:
        self.known = frozenset(known)
        self._armed: list[Fault] = []

    def arm(self, *spellings: str) -> None:
        """Raises UnknownFault."""
        self._armed += [Fault.read(spelling, self.known) for spelling in spellings]

    def take(self, name: str, number: int | None = None) -> Fault | None:
        """The armed fault of this name (and number), which is then used up."""
        for fault in self._armed:
            if fault.name == name and number in (None, fault.number):
                self._armed.remove(fault)
                return fault
        return None

    def armed(self, name: str) -> bool:
        """Whether it is still to happen."""
        return any(fault.name == name for fault in self._armed)

    def __bool__(self) -> bool:
        return bool(self._armed)
