"""LAB-29 of IHE LAW: what an OUL^R22 says, group by group, as the analyser sent it.

The base grammar of 2.5.1 hangs an INV that follows a result on the container and knows no ORC before it; here every
INV, TCD, SID and NTE belongs to the OBX before it, INV after SAC to the container (LAW-F.61). TCD before its OBX, INV
at the end of the order, a missing ORC and a missing SAC are tolerated (LAW-F.62). Nothing is inherited from one SPM to
the next (LAW-F.97). Message layer only: no definition, no database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from drivers.protocols.hl7 import Hl7Error, Message, Segment, is_null

NO_FLAG = ("", "NONE", '""')


@dataclass(frozen=True, slots=True)
class Lot:
    """One INV: a substance that took part."""

    substance: str
    kind: str
    """INV-3: SR, MR, RC, CO, DI, LI ... or the maker's."""
    container: str
    expires: str
    first_used: str
    """INV-13; for a calibration its time."""
    lot: str


@dataclass(slots=True)
class Observed:
    """One OBX with what follows it."""

    segment: Segment
    test: str
    run: str
    """OBX-4 as sent: 1, 2, or `1/2`, `1.1` of some makers."""
    status: str
    supplemental: bool
    """OBX-3.6 IHELAW with a class in OBX-3.4, or OBX-29 SCI or QST: stored, not reported (LAW-F.82, 83)."""
    flags: tuple[str, ...]
    model: str
    serial: str
    module: str
    lots: list[Lot] = field(default_factory=list)
    dilution: str = ""
    """Factor of TCD-2, number 2 divided by number 1; empty where none (`^1^:^1`, `^1^:^0`)."""
    run_kind: str = ""
    """TCD-8: O first run, R repeat without dilution, D repeat with dilution, F reflex."""
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class OrderReport:
    """One OBR with its ORC and results."""

    index: int
    """1-based place of the OBR in the message."""
    awos_id: str
    """OBR-2; empty for the null and for an empty field: the manager did not order it (LAW-F.64)."""
    test: str
    parent: str
    """AWOS id of the step that this reflex came from: OBR-29, else ORC-8."""
    reflex: bool
    """OBR-11 G."""
    control: str = ""
    """ORC-1."""
    state: str = ""
    """ORC-5: IP, CM, CA, A, SC."""
    notes: list[str] = field(default_factory=list)
    results: list[Observed] = field(default_factory=list)


@dataclass(slots=True)
class SpecimenReport:
    """One SPM with its container and orders."""

    container: str
    """SAC-3, else SPM-2; empty where neither says (LAW-F.65)."""
    role: str
    """SPM-11.1: P, Q, L, C ..."""
    parent: str
    """SPM-3: primary specimen of an isolate or aliquot, or the members of a pool (repeats)."""
    members: tuple[str, ...]
    pooled: str
    """SPM-13."""
    rack: str = ""
    position: str = ""
    patient: bool = False
    """A PID stands above it."""
    lots: list[Lot] = field(default_factory=list)
    orders: list[OrderReport] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    specimens: tuple[SpecimenReport, ...]

    def orders(self) -> Iterator[tuple[SpecimenReport, OrderReport]]:
        """Every order with its specimen."""
        for specimen in self.specimens:
            for order in specimen.orders:
                yield specimen, order


def read_report(message: Message) -> Report:
    """The groups of an OUL^R22. Raises Hl7Error: another message. What stands in no group is left out."""
    if message.type[0] != "OUL":
        raise Hl7Error(f"not a result message but {'^'.join(message.type)}")
    reader = _Reader()
    for segment in message.segments:
        reader.take(segment)
    return Report(tuple(reader.specimens))


class _Reader:
    def __init__(self) -> None:
        self.specimens: list[SpecimenReport] = []
        self._order: OrderReport | None = None
        self._result: Observed | None = None
        self._patient = False
        self._waiting: Segment | None = None
        """TCD before its OBX (x800)."""

    def take(self, segment: Segment) -> None:
        handler = getattr(self, f"_{segment.name.lower()}", None)
        if segment.name in _KNOWN and handler is not None:
            handler(segment)

    def _pid(self, segment: Segment) -> None:
        self._patient = True

    def _spm(self, segment: Segment) -> None:
        self._order = self._result = None
        members = tuple(m for n in range(1, len(segment.repeats(3)) + 1) if (m := _text(segment, 3, n)))
        self.specimens.append(
            SpecimenReport(
                container=_text(segment, 2),
                role=_text(segment, 11),
                parent=members[0] if members else "",
                members=members,
                pooled=_text(segment, 13),
                patient=self._patient,
            )
        )

    def _sac(self, segment: Segment) -> None:
        if not self.specimens or self._order is not None:
            return
        specimen = self.specimens[-1]
        specimen.container = _text(segment, 3) or specimen.container
        specimen.rack = _text(segment, 10) or _text(segment, 13)
        specimen.position = _text(segment, 11) or _text(segment, 14)

    def _obr(self, segment: Segment) -> None:
        if not self.specimens:
            return
        self._result = self._waiting = None
        self._order = OrderReport(
            index=segment.index,
            awos_id=_text(segment, 2),
            test=_text(segment, 4) or _text(segment, 4, comp=4),
            parent=_text(segment, 29),
            reflex=_text(segment, 11) == "G",
        )
        self.specimens[-1].orders.append(self._order)

    def _orc(self, segment: Segment) -> None:
        if self._order is None:
            return
        self._order.control = _text(segment, 1)
        self._order.state = _text(segment, 5)
        self._order.parent = self._order.parent or _text(segment, 8)

    def _obx(self, segment: Segment) -> None:
        if self._order is None:
            return
        supplemental = bool(_text(segment, 3, comp=4)) and segment.get(3, comp=6) == "IHELAW"
        flags = tuple(
            dict.fromkeys(
                flag
                for n in range(1, len(segment.repeats(8)) + 1)
                if (flag := segment.get(8, n).strip()) not in NO_FLAG
            )
        )
        self._result = Observed(
            segment=segment,
            test=_text(segment, 3) or _text(segment, 3, comp=4),
            run=_text(segment, 4),
            status=_text(segment, 11),
            supplemental=supplemental or _text(segment, 29) in ("SCI", "QST"),
            flags=flags,
            model=_text(segment, 18),
            serial=_text(segment, 18, 2),
            module=_text(segment, 18, 3),
        )
        self._order.results.append(self._result)
        if self._waiting is not None:
            self._tcd(self._waiting)

    def _tcd(self, segment: Segment) -> None:
        if self._result is None:
            self._waiting = segment
            return
        self._waiting = None
        self._result.dilution = dilution(segment)
        self._result.run_kind = _text(segment, 8)

    def _inv(self, segment: Segment) -> None:
        lot = Lot(
            substance=_text(segment, 1),
            kind=_text(segment, 3),
            container=_text(segment, 4),
            expires=_text(segment, 12),
            first_used=_text(segment, 13),
            lot=_text(segment, 16),
        )
        if self._result is not None:
            self._result.lots.append(lot)
        elif self._order is None and self.specimens:
            self.specimens[-1].lots.append(lot)

    def _sid(self, segment: Segment) -> None:
        if self._result is not None:
            self._result.lots.append(
                Lot(_text(segment, 1), "", _text(segment, 3), "", "", _text(segment, 2))  # the older place of lots
            )

    def _nte(self, segment: Segment) -> None:
        text = segment.whole(3).strip()
        if not text or is_null(text):
            return
        if self._result is not None:
            self._result.notes.append(text)
        elif self._order is not None:
            self._order.notes.append(text)


_KNOWN = frozenset(("PID", "SPM", "SAC", "OBR", "ORC", "OBX", "TCD", "INV", "SID", "NTE"))


def dilution(tcd: Segment) -> str:
    """The factor of TCD-2 as text: 5 for `^1^:^5`; empty for none, for a division by nothing and for words."""
    parts = (tcd.get(2, comp=2), tcd.get(2, comp=4))
    try:
        first, second = (float(part) for part in parts)
    except ValueError:
        return ""
    if first <= 0 or second <= 0 or first == second:
        return ""
    return f"{second / first:g}"


def _text(segment: Segment, n: int, rep: int = 1, comp: int = 1) -> str:
    value = segment.get(n, rep, comp).strip()
    return "" if is_null(value) else value
