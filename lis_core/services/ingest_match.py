"""Which ordered test does an observation belong to? Pure decisions, nothing guessed (invariant 2).

What cannot be bound for certain is `Unmatched`, with the cause in a word and in a Turkish sentence; a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from drivers.messages import Observation
from lis_core.domain.states import TestState, TubeState
from lis_core.services.catalog import CatalogTest, CodeMapping
from rules.reference import PatientFacts
from rules.units import power_of_ten, same_unit


class Cause(StrEnum):
    """Why a result waits for a person (column `neden`)."""

    NO_SPECIMEN = "numunesiz"
    UNKNOWN_SPECIMEN = "numune_yok"
    UNKNOWN_TEST = "test_tanimsiz"
    NOT_ORDERED = "istemde_yok"
    WRONG_MATERIAL = "materyal"
    CLOSED = "kapali"
    APPROVED = "onayli"
    WRONG_UNIT = "birim"
    NO_VALUE = "deger"
    AMBIGUOUS = "belirsiz"
    UNKNOWN_INSTRUMENT = "cihaz_yok"
    UNKNOWN_STEP = "adim_yok"
    CANCELLED_STEP = "adim_iptal"
    WITHDRAWN = "geri_cekildi"
    NOT_FINAL = "kesin_degil"


@dataclass(slots=True)
class OrderedTestRow:
    """An ordered test as ingest needs it; `state`, `runs` and `version` move on while a batch is applied."""

    id: int
    test_id: int
    state: TestState
    version: int
    runs: int
    tube_id: int | None
    time_point: str
    result_id: int | None = None


@dataclass(slots=True)
class ScannedSpecimen:
    """What a scanned text stands for: an order, and the tube when the text is a tube's barcode."""

    text: str
    order_id: int
    order_number: str
    tube_id: int | None
    tube_material: str | None
    tube_state: TubeState | None
    facts: PatientFacts
    tests: dict[int, list[OrderedTestRow]] = field(default_factory=dict)
    """Ordered tests by test id; more than one only for time points (fasting, post-prandial)."""


@dataclass(frozen=True, slots=True)
class Matched:
    specimen: ScannedSpecimen
    ordered: OrderedTestRow
    mapping: CodeMapping
    test: CatalogTest
    power: int = 0
    """The value is to be taken times ten to this: UCUM writes it into the unit."""
    place: str = ""
    """In words: at which place the tube stood, where the analyser read no number."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    cause: Cause
    explanation: str


_HELD: Mapping[str, tuple[Cause, str]] = {
    "D": (Cause.WITHDRAWN, "Cihaz bu sonucu sildi (OBX-11 D); geçerli sonuç değişmedi, karar verin."),
    "W": (Cause.WITHDRAWN, "Cihaz bu sonucun yanlış numuneye ait olduğunu bildirdi (OBX-11 W); karar verin."),
    "X": (Cause.NO_VALUE, "Cihaz bu tetkiki çalışamadı (OBX-11 X); sonuç yok."),
    "R": (Cause.NOT_FINAL, "Cihaz sonucu doğrulamadan gönderdi (OBX-11 R); rapor edilecek değer değildir."),
    "I": (Cause.NOT_FINAL, "Cihaz sonucun beklendiğini bildirdi (OBX-11 I)."),
    "O": (Cause.NOT_FINAL, "Cihaz yalnız istemi bildirdi, sonuç yok (OBX-11 O)."),
    "N": (Cause.NOT_FINAL, "Cihaz bu tetkikin istenmediğini bildirdi (OBX-11 N)."),
}


def held_by_status(observation: Observation) -> Unmatched | None:
    """A result that its own status makes no result (LAW facts 5.1): a person sees it, with flags and remarks."""
    found = _HELD.get(observation.hold or "")
    if found is None:
        return None
    said = "; ".join([*observation.flags, *observation.comments])
    return Unmatched(found[0], f"{found[1]} {said}".strip())


def match(
    observation: Observation,
    specimens: Mapping[str, ScannedSpecimen],
    mappings: Mapping[str, CodeMapping],
    tests: Mapping[int, CatalogTest],
    wanted: int | None = None,
) -> Matched | Unmatched:
    """Bind one result, or say why it cannot be bound. `mappings`: this instrument's codes. wanted: the ordered test
    that the instrument itself names (HL7 LAW, OBR-2)."""
    if (held := held_by_status(observation)) is not None:
        return held
    text = observation.specimen
    if not text:
        return Unmatched(Cause.NO_SPECIMEN, "Cihaz numune numarası göndermedi; sonuç hiçbir isteme bağlanmadı.")
    specimen = specimens.get(text)
    if specimen is None:
        return Unmatched(Cause.UNKNOWN_SPECIMEN, f"{text} numarası kayıtlı değil; sonuç hiçbir isteme bağlanmadı.")
    mapping = mappings.get(observation.test or "")
    if mapping is None:
        return Unmatched(
            Cause.UNKNOWN_TEST, f"Cihazın {observation.test or '(boş)'} kodu hiçbir tetkik ile eşleştirilmemiş."
        )
    test = tests[mapping.test_id]
    if specimen.tube_state is TubeState.REJECTED:
        return Unmatched(Cause.CLOSED, f"{text} tüpü reddedilmiş; bu tüpten gelen sonuç kabul edilmez.")
    if specimen.tube_material is not None and specimen.tube_material not in mapping.materials:
        return Unmatched(
            Cause.WRONG_MATERIAL,
            f"{test.code} {specimen.tube_material} tüpünden çalışılmaz "
            f"(uygun: {', '.join(sorted(mapping.materials)) or '-'}).",
        )
    rows = specimen.tests.get(mapping.test_id)
    if not rows:
        return Unmatched(Cause.NOT_ORDERED, f"{test.code} tetkiki {specimen.order_number} isteminde yok.")
    if wanted is not None:
        rows = [row for row in rows if row.id == wanted]
        if not rows:
            return Unmatched(
                Cause.AMBIGUOUS, f"Cihaz {text} tüpünü {test.code} için başka bir istemin iş adımıyla bildirdi."
            )
    return _bind(observation, specimen, mapping, test, rows)


def _bind(
    observation: Observation,
    specimen: ScannedSpecimen,
    mapping: CodeMapping,
    test: CatalogTest,
    rows: Sequence[OrderedTestRow],
) -> Matched | Unmatched:
    ordered = _choose(rows, specimen.tube_id)
    if ordered is None:
        return Unmatched(
            Cause.AMBIGUOUS,
            f"{test.code} bu istemde birden çok zaman noktasında istenmiş; hangi tüpten çalışıldığı belli değil.",
        )
    if ordered.state in (TestState.CANCELLED, TestState.REJECTED):
        word = "iptal edilmiş" if ordered.state is TestState.CANCELLED else "reddedilmiş"
        return Unmatched(Cause.CLOSED, f"{specimen.order_number} isteminde {test.code} {word}.")
    if ordered.state in (TestState.TECHNICALLY_APPROVED, TestState.CLINICALLY_APPROVED):
        return Unmatched(
            Cause.APPROVED, f"{test.code} onaylandıktan sonra yeni bir koşu geldi; onaylı sonuç değişmedi."
        )
    if observation.value is None or not observation.value.strip():
        return Unmatched(Cause.NO_VALUE, f"{test.code} için cihaz değer göndermedi.")
    expected = mapping.unit or test.unit
    if observation.unit and expected and not same_unit(observation.unit, expected):
        written = power_of_ten(observation.unit, expected)
        if written is not None:
            return Matched(specimen, ordered, mapping, test, written)
        return Unmatched(
            Cause.WRONG_UNIT,
            f"{test.code} {observation.unit} biriminde geldi; beklenen birim {expected}. Birim çevrilmeden bağlanamaz.",
        )
    return Matched(specimen, ordered, mapping, test)


def _choose(rows: Sequence[OrderedTestRow], tube_id: int | None) -> OrderedTestRow | None:
    """The only row, or the one whose tube was read. With time points and only the number read: nobody can know."""
    if len(rows) == 1:
        return rows[0]
    of_tube = [row for row in rows if tube_id is not None and row.tube_id == tube_id]
    return of_tube[0] if len(of_tube) == 1 else None
