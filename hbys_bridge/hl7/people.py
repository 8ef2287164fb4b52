"""Who a message is about: PID and MRG read into the laboratory's words. Pure; the mapping is in docs/decisions.

Nothing is guessed: a number counts as a T.C. number by its type or authority, or where it stands untyped with 11
digits; two of them in one segment are an error. The explicit null of HL7 never clears what the laboratory knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo

from drivers.protocols.hl7 import ErrorLocation, Message, Segment, is_null, parse_timestamp
from hbys_bridge.hl7.refusals import DATA_TYPE, DUPLICATE_KEY, MISSING, NOT_IN_TABLE, Place, Refused
from lis_core.domain import errors
from lis_core.domain.errors import ErrorKind
from lis_core.services.patients import PatientData

TC_TYPES = frozenset({"NNTUR", "NI", "NN", "TC", "TCK", "TCKN"})
"""HL7 table 0203 (CX-5) and what Turkish systems write there instead."""
TC_AUTHORITIES = frozenset({"TC", "T.C.", "TCKN", "NVI", "NVİ", "MERNIS", "MERNİS"})
PASSPORT_TYPES = frozenset({"PPN", "PASAPORT"})
NOT_A_PERSON = frozenset({"VN", "AN", "ANON", "BA"})
"""Visit and account numbers: they change with every visit, so they never identify a patient."""
BEST_FIRST = ("MR", "PI", "PT", "PN")
"""Which of several hospital numbers is the patient's own record."""

SEXES = {"F": "F", "K": "F", "M": "M", "E": "M"}
UNSAID_SEXES = frozenset({"", "U", "O", "A", "N", "C"})

LONGEST_HOSPITAL_ID, LONGEST_PASSPORT, LONGEST_PHONE = 50, 30, 30


@dataclass(frozen=True, slots=True)
class PersonSaid:
    """A person as the message says, and where each number stands."""

    data: PatientData
    segment: str
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def has_number(self) -> bool:
        return bool(self.data.tc or self.data.hospital_id or self.data.passport)

    @property
    def has_name(self) -> bool:
        return bool(self.data.given_name and self.data.family_name)

    def place_of(self, kind: ErrorKind) -> list[Place]:
        """Where the cause of a refusal by `lis_core.services.patients` stands."""
        number = next((self.places[name] for name in ("tc", "hospital_id", "passport") if name in self.places), None)
        if kind is errors.NO_PATIENT_FIELD:
            return [Place(self.segment, field=5)] if number else [Place(self.segment, field=3)]
        if kind is errors.INVALID_INPUT:
            return [Place(self.segment, field=7)]
        return [self.places["tc"] if kind is errors.BAD_TC and "tc" in self.places else number or Place(self.segment)]


def said(segment: Segment, field_number: int, repetition: int = 1, component: int = 1) -> str:
    """One text of a segment, cleaned; empty for what is absent and for the explicit null."""
    text = segment.get(field_number, repetition, component).strip()
    return "" if is_null(text) else text


def read_patient(message: Message, zone: tzinfo, *, prefix: str = "") -> PersonSaid:
    """The patient of a message (PID). prefix: the hospital's own, before its patient numbers.

    Raises Refused: no PID or two, two T.C. numbers, a sex or a birth date that cannot be read.
    """
    found = message.all("PID")
    if not found:
        raise Refused(Place("PID").error(MISSING, "Mesajda hasta (PID) yok."))
    if len(found) > 1:
        raise Refused(Place("PID", 2).error(DUPLICATE_KEY, "Bir mesajda yalnız bir hasta olabilir."))
    return _person(found[0], zone, prefix)


def read_merge(message: Message, zone: tzinfo, *, prefix: str = "") -> list[tuple[PersonSaid, PersonSaid]]:
    """(who stays, who is merged) of each PID, MRG pair of an ADT^A40. Raises Refused."""
    pairs: list[tuple[PersonSaid, PersonSaid]] = []
    for number, group in enumerate(message.groups("PID"), 1):
        merged = [segment for segment in group if segment.name == "MRG"]
        if len(merged) != 1:
            raise Refused(Place("MRG", number).error(MISSING, "Birleştirilen kayıt (MRG) eksik ya da birden çok."))
        numbers = _Numbers("MRG", number)
        numbers.read(merged[0], 1, prefix)
        numbers.check()
        old = PatientData("", "", tc=numbers.tc, hospital_id=numbers.hospital_id, passport=numbers.passport)
        gone = PersonSaid(old, "MRG", numbers.places)
        if not gone.has_number:
            raise Refused(Place("MRG", number, 1).error(MISSING, "MRG-1 içinde hasta numarası yok."))
        pairs.append((_person(group[0], zone, prefix, number), gone))
    if not pairs:
        raise Refused(Place("PID").error(MISSING, "Mesajda hasta (PID) yok."))
    return pairs


def _person(pid: Segment, zone: tzinfo, prefix: str, sequence: int = 1) -> PersonSaid:
    numbers = _Numbers("PID", sequence)
    numbers.read(pid, 3, prefix)
    if not numbers.hospital_id and (old := said(pid, 2)):
        numbers.take_hospital_id(old, prefix, Place("PID", sequence, 2))
    if (social := said(pid, 19)) and _looks_like_tc(social):
        numbers.take_tc(social, Place("PID", sequence, 19))
    name = _name_repetition(pid)
    given = " ".join(part for part in (said(pid, 5, name, 2), said(pid, 5, name, 3)) if part)
    birth_date = _birth_date(said(pid, 7), zone, Place("PID", sequence, 7), numbers.problems)
    sex = _sex(said(pid, 8), Place("PID", sequence, 8), numbers.problems)
    numbers.check()
    data = PatientData(
        given_name=given,
        family_name=said(pid, 5, name, 1),
        tc=numbers.tc,
        sex=sex,
        birth_date=birth_date,
        phone=_phone(pid),
        hospital_id=numbers.hospital_id,
        passport=numbers.passport,
    )
    return PersonSaid(data, "PID", numbers.places)


class _Numbers:
    """The identifiers of one segment (CX: number^check^scheme^authority^type)."""

    def __init__(self, segment: str, sequence: int) -> None:
        self.tc: str | None = None
        self.hospital_id: str | None = None
        self.passport: str | None = None
        self.places: dict[str, Place] = {}
        self.problems: list[ErrorLocation] = []
        self._segment, self._sequence = segment, sequence

    def read(self, segment: Segment, field_number: int, prefix: str) -> None:
        others: list[tuple[int, str, Place]] = []
        for repetition in range(1, len(segment.repeats(field_number)) + 1):
            number = said(segment, field_number, repetition)
            authority = said(segment, field_number, repetition, 4).upper()
            kind = said(segment, field_number, repetition, 5).upper()
            place = Place(self._segment, self._sequence, field_number, 1, repetition)
            if not number or kind in NOT_A_PERSON:
                continue
            if kind in TC_TYPES or authority in TC_AUTHORITIES or (not kind and _looks_like_tc(number)):
                self.take_tc(number, place)
            elif kind in PASSPORT_TYPES:
                self.passport, self.places["passport"] = number, place
                self._limit(number, LONGEST_PASSPORT, place)
            else:
                others.append((BEST_FIRST.index(kind) if kind in BEST_FIRST else len(BEST_FIRST), number, place))
        if others:
            _, number, place = min(others, key=lambda other: other[0])
            self.take_hospital_id(number, prefix, place)

    def take_tc(self, number: str, place: Place) -> None:
        if self.tc is not None and self.tc != number:
            self.problems.append(place.error(DUPLICATE_KEY, "Mesajda iki farklı T.C. kimlik numarası var."))
            return
        self.tc = number
        self.places.setdefault("tc", place)

    def take_hospital_id(self, number: str, prefix: str, place: Place) -> None:
        self.hospital_id, self.places["hospital_id"] = prefix + number, place
        self._limit(prefix + number, LONGEST_HOSPITAL_ID, place)

    def _limit(self, text: str, most: int, place: Place) -> None:
        if len(text) > most:
            self.problems.append(place.error(DATA_TYPE, f"Numara çok uzun (en çok {most} karakter)."))

    def check(self) -> None:
        if self.problems:
            raise Refused(*self.problems)


def _looks_like_tc(text: str) -> bool:
    return len(text) == 11 and text.isascii() and text.isdigit()


def _name_repetition(pid: Segment) -> int:
    """The legal name (XPN-7 = L) where several are given, else the first."""
    names = range(1, len(pid.repeats(5)) + 1)
    return next((n for n in names if said(pid, 5, n, 7).upper() == "L" and said(pid, 5, n, 1)), 1)


def _birth_date(text: str, zone: tzinfo, place: Place, problems: list[ErrorLocation]) -> date | None:
    """A whole date; one without month or day (`1950`, `19500000`) says too little and counts as not said."""
    digits = text.ljust(8, "0")
    if not text or (text.isascii() and text.isdigit() and len(text) in (4, 6, 8) and "00" in (digits[4:6], digits[6:])):
        return None
    moment = parse_timestamp(text, zone)
    if moment is None:
        problems.append(place.error(DATA_TYPE, "Doğum tarihi okunamıyor (YYYYAAGG)."))
        return None
    # A birth time is local wherever it was written: its date stands in the text.
    return moment.date() if isinstance(moment, datetime) else moment


def _sex(text: str, place: Place, problems: list[ErrorLocation]) -> str | None:
    word = text.upper()
    if word not in SEXES and word not in UNSAID_SEXES:
        problems.append(place.error(NOT_IN_TABLE, "Cinsiyet F, M ya da U olmalı."))
    return SEXES.get(word)


def _phone(pid: Segment) -> str | None:
    """The first telephone of PID-13: as one text (XTN-1, XTN-12), else area code and number. Half a number is none."""
    first = said(pid, 13) or said(pid, 13, 1, 12) or f"{said(pid, 13, 1, 6)}{said(pid, 13, 1, 7)}"
    return first if 0 < len(first) <= LONGEST_PHONE else None
