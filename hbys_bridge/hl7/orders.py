"""Orders as the hospital writes them: OML^O21 (HL7 2.5.1, 4.4.6) and ORM^O01 (4.4.1) read into neutral requests.

Pure: no catalogue, no database. Which field means what is in docs/decisions/0030. One message speaks of one
patient and one order; each ORC/OBR is one line of it. What cannot be read is refused with its place, all of it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from drivers.protocols.hl7 import ErrorLocation, Message, Segment, parse_timestamp
from hbys_bridge.hl7.people import PersonSaid, read_patient, said
from hbys_bridge.hl7.refusals import DATA_TYPE, DUPLICATE_KEY, MISSING, NOT_IN_TABLE, Place, Refused
from lis_core.domain.states import Priority

NEW, CANCEL, CHANGE = "NW", "CA", "XO"
CONTROLS = {"NW": NEW, "CA": CANCEL, "DC": CANCEL, "XO": CHANGE}
"""ORC-1 (table 0119): DC (discontinue) asks for the same as CA, and is refused where results exist just so."""

PRIORITIES = {
    "S": Priority.URGENT,
    "A": Priority.PRIORITY,
    "T": Priority.PRIORITY,
    "P": Priority.PRIORITY,
    "R": Priority.ROUTINE,
    "C": Priority.ROUTINE,
    "PRN": Priority.ROUTINE,
}
"""TQ1-9, ORC-7.6, OBR-27.6 (table 0485): stat, asap, timing critical, preoperative, routine, callback, as needed."""

LONGEST_NUMBER = 50
LONGEST_TEXT = 4000
LOINC = "LN"


@dataclass(frozen=True, slots=True)
class CodeSaid:
    """A code and the system that it is of (OBR-4: LN = LOINC, anything else = the laboratory's catalogue)."""

    code: str
    system: str
    component: int


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One ORC with one OBR (or none: the whole order is meant).

    step: the hospital's number of this single request (OBR-2, else ORC-2: an ORC may head several OBR). filler: our
    number, where it says it (ORC-3, OBR-3). priority: None = not said. orc, obr: the segments, to be echoed.
    """

    control: str
    step: str
    filler: str
    codes: tuple[CodeSaid, ...]
    priority: Priority | None
    reason: str
    orc: Segment
    obr: Segment | None
    orc_place: Place
    obr_place: Place

    @property
    def place(self) -> Place:
        """Where the test of this line stands."""
        return self.obr_place if self.obr is not None else self.orc_place


@dataclass(frozen=True, slots=True)
class PersonCode:
    """A physician or a unit: the hospital's code, and its words for people."""

    code: str
    words: str
    place: Place


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """What one message asks for.

    number: the hospital's number of the order (ORC-4, else the first ORC-2), with the hospital's prefix.
    preprinted: the number on labels printed beforehand; None = the laboratory gives one.
    clinical: `on_tani` and `not`, as the order keeps them.
    """

    patient: PersonSaid
    number: str
    number_place: Place
    lines: tuple[OrderLine, ...]
    preprinted: str | None = None
    preprinted_place: Place = field(default_factory=lambda: Place("SPM", 1, 2))
    physician: PersonCode | None = None
    unit: PersonCode | None = None
    clinical: dict[str, str] = field(default_factory=dict)
    ordered_at: datetime | None = None
    prefix: str = ""

    @property
    def priority(self) -> Priority | None:
        """The most urgent that its lines say; an order has one priority."""
        return min((line.priority for line in self.lines if line.priority), key=lambda one: one.rank, default=None)


@dataclass(slots=True)
class _Group:
    """The segments of one line while they are collected."""

    orc: Segment
    orc_place: Place
    shared: list[Segment]
    """What stands between ORC and the first OBR: it holds for every OBR of the ORC."""
    obr: Segment | None = None
    obr_place: Place = field(default_factory=lambda: Place("OBR"))
    own: list[Segment] = field(default_factory=list)

    def all(self, name: str) -> list[Segment]:
        return [segment for segment in [*self.own, *self.shared] if segment.name == name]


def read_order(message: Message, zone: tzinfo, *, prefix: str = "", preprinted: bool = True) -> OrderMessage:
    """Read OML^O21 or ORM^O01.

    zone: of times without an offset. prefix: the hospital's own, before its order and patient numbers. preprinted:
    whether ORC-3, OBR-3 and SPM-2 of new lines hold a number that was printed beforehand.
    Raises Refused with every place that cannot be read.
    """
    patient = read_patient(message, zone, prefix=prefix)
    groups = _groups(message)
    if not groups:
        raise Refused(Place("ORC").error(MISSING, "Mesajda istem (ORC) yok."))
    problems: list[ErrorLocation] = []
    lines = tuple(_line(group, problems) for group in groups)
    number, number_place = _order_number(groups, lines, problems)
    new = [group for group, line in zip(groups, lines, strict=True) if line.control == NEW]
    given, given_place = _preprinted(message, new, problems) if preprinted else (None, Place("SPM", 1, 2))
    physician = _physician(groups)
    if len(prefix + number) > LONGEST_NUMBER:
        problems.append(number_place.error(DATA_TYPE, f"İstem numarası çok uzun (en çok {LONGEST_NUMBER} karakter)."))
    if problems:
        raise Refused(*problems)
    return OrderMessage(
        patient=patient,
        number=prefix + number if number else "",
        number_place=number_place,
        lines=lines,
        preprinted=given,
        preprinted_place=given_place,
        physician=physician,
        unit=_unit(message),
        clinical=_clinical(message, groups),
        ordered_at=_ordered_at(message, groups, zone),
        prefix=prefix,
    )


# -- segments into groups


def _groups(message: Message) -> list[_Group]:
    """One for each OBR, and for each ORC without one. An ORC may head several OBR."""
    groups: list[_Group] = []
    orcs = obrs = 0
    for segment in message.segments:
        if segment.name == "ORC":
            orcs += 1
            groups.append(_Group(segment, Place("ORC", orcs), []))
        elif segment.name == "OBR":
            obrs += 1
            if not groups:
                raise Refused(Place("OBR", obrs).error("100", "OBR'den önce ORC gelmeli."))
            if groups[-1].obr is not None:
                groups.append(_Group(groups[-1].orc, groups[-1].orc_place, groups[-1].shared))
            groups[-1].obr, groups[-1].obr_place = segment, Place("OBR", obrs)
        elif groups:
            last = groups[-1]
            (last.shared if last.obr is None else last.own).append(segment)
    return groups


def _line(group: _Group, problems: list[ErrorLocation]) -> OrderLine:
    orc, obr = group.orc, group.obr
    word = said(orc, 1).upper()
    control = CONTROLS.get(word, "")
    if not control:
        text = f"ORC-1 {word or 'boş'}: yalnız NW (yeni), CA (iptal) ve XO (değişiklik) alınır."
        problems.append(Place("ORC", group.orc_place.sequence, 1).error(NOT_IN_TABLE if word else MISSING, text))
    codes = _codes(obr) if obr is not None else ()
    if not codes and (obr is not None or control != CANCEL):
        place = Place("OBR", group.obr_place.sequence, 4) if obr is not None else group.orc_place
        problems.append(place.error(MISSING, "Tetkik kodu (OBR-4) yok."))
    return OrderLine(
        control=control,
        step=(said(obr, 2) if obr is not None else "") or said(orc, 2),
        filler=said(orc, 3) or (said(obr, 3) if obr is not None else ""),
        codes=codes,
        priority=_priority(group, problems),
        reason=said(orc, 16, 1, 2) or said(orc, 16),
        orc=orc,
        obr=obr,
        orc_place=group.orc_place,
        obr_place=Place("OBR", group.obr_place.sequence, 4, 1),
    )


def _codes(obr: Segment) -> tuple[CodeSaid, ...]:
    """OBR-4 names a test once or twice: components 1-3, and 4-6 as the alternate."""
    both = ((said(obr, 4, 1, at), said(obr, 4, 1, at + 2), at) for at in (1, 4))
    return tuple(CodeSaid(code, system, at) for code, system, at in both if code)


# -- numbers


def _order_number(
    groups: Sequence[_Group], lines: Sequence[OrderLine], problems: list[ErrorLocation]
) -> tuple[str, Place]:
    """ORC-4 names the order; without it the first ORC-2 does. Empty where only our own number is said."""
    named: dict[str, Place] = {}
    for group in groups:
        if number := said(group.orc, 4):
            named.setdefault(number, Place("ORC", group.orc_place.sequence, 4))
    if len(named) > 1:
        text = f"Bir mesajda yalnız bir istem olabilir; ORC-4 numaraları: {', '.join(named)}."
        problems.append(list(named.values())[-1].error(DUPLICATE_KEY, text))
    if named:
        return next(iter(named.items()))
    for group, line in zip(groups, lines, strict=True):
        if number := said(group.orc, 2) or line.step:
            return number, Place("ORC", group.orc_place.sequence, 2)
    if any(line.control == NEW or not line.filler for line in lines):
        problems.append(Place("ORC", 1, 2).error(MISSING, "İstem numarası (ORC-2 ya da ORC-4) yok."))
    return "", Place("ORC", 1, 2)


def _preprinted(message: Message, new: Sequence[_Group], problems: list[ErrorLocation]) -> tuple[str | None, Place]:
    """The one number that the new lines bring; two numbers cannot both name one order."""
    spm_places = {id(segment): n for n, segment in enumerate(message.all("SPM"), 1)}
    found: dict[str, Place] = {}
    for group in new:
        for spm in group.all("SPM"):
            if number := said(spm, 2):
                found.setdefault(number, Place("SPM", spm_places[id(spm)], 2))
        if group.obr is not None and (number := said(group.obr, 3)):
            found.setdefault(number, Place("OBR", group.obr_place.sequence, 3))
        if number := said(group.orc, 3):
            found.setdefault(number, Place("ORC", group.orc_place.sequence, 3))
    if len(found) > 1:
        numbers = ", ".join(found)
        last = list(found.values())[-1]
        problems.append(last.error(DUPLICATE_KEY, f"Bir istemin tek barkod numarası olur; gelenler: {numbers}."))
    return next(iter(found.items()), (None, Place("SPM", 1, 2)))


# -- the rest of an order


def _priority(group: _Group, problems: list[ErrorLocation]) -> Priority | None:
    candidates = [(segment, 9, 1) for segment in group.all("TQ1")] + [(group.orc, 7, 6)]
    if group.obr is not None:
        candidates += [(group.obr, 27, 6), (group.obr, 5, 1)]
    for segment, number, component in candidates:
        if word := said(segment, number, 1, component).upper():
            if word not in PRIORITIES:
                sequence = (group.orc_place if segment is group.orc else group.obr_place).sequence
                text = f"Öncelik {word} bilinmiyor: S (acil), A (öncelikli) ya da R (rutin) olmalı."
                problems.append(Place(segment.name, sequence, number, component).error(NOT_IN_TABLE, text))
            return PRIORITIES.get(word)
    return None


def _physician(groups: Sequence[_Group]) -> PersonCode | None:
    for group in groups:
        for segment, number, place in ((group.orc, 12, group.orc_place), (group.obr, 16, group.obr_place)):
            if segment is not None and segment.field(number):
                words = " ".join(part for part in (said(segment, number, 1, at) for at in (6, 3, 2)) if part)
                code = said(segment, number)
                if code or words:
                    return PersonCode(code, words, Place(segment.name, place.sequence, number))
    return None


def _unit(message: Message) -> PersonCode | None:
    """PV1-3: point of care, else facility."""
    visit = message.first("PV1")
    if visit is None:
        return None
    code = said(visit, 3) or said(visit, 3, 1, 4)
    return PersonCode(code, said(visit, 3, 1, 9), Place("PV1", 1, 3)) if code else None


def _clinical(message: Message, groups: Sequence[_Group]) -> dict[str, str]:
    """Diagnoses (DG1) as `on_tani`; OBR-13 and every NTE as `not`. Words only: nothing is concluded from them."""
    diagnoses = [
        " ".join(part for part in (said(dg1, 3), said(dg1, 3, 1, 2) or said(dg1, 4)) if part)
        for dg1 in message.all("DG1")
    ]
    notes = [segment.whole(13).strip() for group in groups if (segment := group.obr) is not None]
    for note in message.all("NTE"):
        notes += [note.get(3, repetition).strip() for repetition in range(1, len(note.repeats(3)) + 1)]
    found = {"on_tani": _joined(diagnoses), "not": _joined(notes)}
    return {name: text for name, text in found.items() if text}


def _joined(texts: Sequence[str]) -> str:
    """Each text once. A text beyond any use is cut; the message itself is kept whole."""
    text = "; ".join(dict.fromkeys(text for text in texts if text and text != '""'))
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _ordered_at(message: Message, groups: Sequence[_Group], zone: tzinfo) -> datetime | None:
    """ORC-9, else OBR-6, else MSH-7. A time that cannot be read is none: when it came is known anyway."""
    texts = [said(group.orc, 9) for group in groups]
    texts += [said(group.obr, 6) for group in groups if group.obr is not None]
    texts.append(said(message.msh, 7))
    for text in texts:
        moment = parse_timestamp(text, zone) if text else None
        if isinstance(moment, datetime):
            return moment
    return None
