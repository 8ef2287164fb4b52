"""How fast a message is read, beside the packages that others use, in the same process and run."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.messages import RESULTS, astm, hl7
from drivers.protocols import astm_records
from drivers.protocols import hl7 as hl7_codec
from drivers.protocols.astm_frames import checksum


def rate(work: Callable[[], Any], *, seconds: float = 0.6, rounds: int = 5) -> float:
    """Calls a second: the median of several rounds, so that one disturbed round does not count."""
    work()
    calls = 1
    while True:  # find how many calls fill a round
        start = time.perf_counter()
        for _ in range(calls):
            work()
        spent = time.perf_counter() - start
        if spent > seconds / 5:
            break
        calls *= 2
    calls = max(1, int(calls * seconds / spent))
    figures = []
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        for _ in range(calls):
            work()
        figures.append(calls / (time.perf_counter() - start))
    return statistics.median(figures)


def in_turn(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 3) -> tuple[float, float]:
    """Both rates, measured in turn, so that a machine that slows down slows both."""
    pairs = [(rate(ours, rounds=2), rate(theirs, rounds=2)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _check(read: Sequence[tuple[str, ...]]) -> None:
    expected = [(code, value) for code, value, *_ in RESULTS]
    if read != expected:
        raise AssertionError(f"a decoder read something else: {read[:3]} ...")


ASTM_RESULT = astm_records.Columns("R", (3, 5), 4)
PLACES = (3, 4, 5, 7, 9, 11, 12, 13)
"""What the haematology definition reads of each result: test, value, unit, flags, status, operator, both times."""

HL7_RESULT = hl7_codec.Columns((3, 2), 5)


def our_astm(frame: bytes) -> list[tuple[str, ...]]:
    """Codes and values of a message in one frame, its checksum proven: the work that the peer does too."""
    if checksum(frame[1:-4]) != frame[-4:-2]:
        raise AssertionError("the frame is broken")
    return astm_records.parse(frame[2:-5]).rows(ASTM_RESULT)


def codec_alone(message: bytes) -> list[list[str]]:
    """What a definition stands on, without it: the same places of each result, by the codec's own calls."""
    return [
        [record.component(3, 5), *(record.field(n) for n in PLACES[1:])]
        for record in astm_records.parse(message)
        if record.type == "R"
    ]


def opening(copies: int) -> float:
    """Seconds to open a catalogue of so many definitions."""
    import tempfile
    from pathlib import Path

    from drivers import definition

    source = (Path(definition.__file__).parent / "catalog" / "sysmex-xn.toml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for n in range(copies):
            text = source.replace('key = "sysmex-xn"', f'key = "kopya-{n}"')
            (Path(folder) / f"kopya-{n}.toml").write_text(text, encoding="utf-8")
        started = time.perf_counter()
        definition.load_catalog(Path(folder))
        return time.perf_counter() - started


def judging() -> float:
    """Results a second that are held against the reference range of their patient: ten bands, the sixth fits."""
    from datetime import date
    from decimal import Decimal

    from rules.reference import PatientFacts, RangeBook, ReferenceRange, judge
    from rules.values import read_value

    bands = ((0, 28), (28, 365), (365, 2190), (2190, 6570), (6570, None))
    rows = [
        ReferenceRange(
            id=n, test_id=1, sex=sex, age_from_days=band[0], age_to_days=band[1], valid_from=date(2026, 1, 1),
            low=Decimal("3.5"), high=Decimal("5.1"), critical_low=Decimal("2.5"), critical_high=Decimal("6.5"),
            version="2026-01",
        )
        for n, (sex, band) in enumerate((sex, band) for sex in ("F", "M") for band in bands)
    ]  # fmt: skip
    book, reading, woman = RangeBook(rows), read_value("6.9"), PatientFacts("F", date(1980, 3, 4))
    on = date(2026, 11, 22)
    return rate(lambda: judge(book, 1, reading, woman, on, test="K"), rounds=3)


def our_hl7(message: bytes) -> list[tuple[str, ...]]:
    return hl7_codec.parse(message).rows("OBX", HL7_RESULT)


def measure() -> dict[str, Any]:
    """Rates and ratios; every decoder proves first that it read the 24 results."""
    import hl7 as peer_hl7
    from hl7apy.parser import parse_message

    from benchmarks.peers import astm_2025, codec_frame
    from drivers.definition import load_catalog

    text, astm_bytes, hl7_bytes = hl7().decode(), astm(), hl7()
    frame = codec_frame(astm_bytes)
    catalog = load_catalog()
    haematology = catalog.get("sysmex-xn")

    def theirs_hl7() -> list[tuple[str, str]]:
        message = peer_hl7.parse(text)
        return [(str(segment[3][0][1]), str(segment[5])) for segment in message.segments("OBX")]

    def theirs_hl7apy() -> Any:
        return parse_message(text, find_groups=False)

    _check(our_astm(frame))
    _check(our_hl7(hl7_bytes))
    _check(theirs_hl7())
    _check(astm_2025(frame))
    read = haematology.read(astm_bytes)
    _check([(o.test or "", o.value or "") for o in read.observations])

    astm_ours, astm_theirs = in_turn(lambda: our_astm(frame), lambda: astm_2025(frame))
    hl7_ours, hl7_theirs = in_turn(lambda: our_hl7(hl7_bytes), theirs_hl7)
    bare, through = in_turn(lambda: codec_alone(astm_bytes), lambda: haematology.read(astm_bytes))
    return {
        "astm": {"numune": astm_ours, "astm-2025": astm_theirs, "ratio": astm_ours / astm_theirs},
        "hl7": {"numune": hl7_ours, "hl7": hl7_theirs, "ratio": hl7_ours / hl7_theirs},
        "hl7apy": {"numune": hl7_ours, "hl7apy": (peer := rate(theirs_hl7apy, rounds=2)), "ratio": hl7_ours / peer},
        "definition": {"messages_per_second": through, "cost_ratio": bare / through},
        "catalogue_seconds": opening(500),
        "judgements_per_second": judging(),
        "hl7_bytes": len(hl7_bytes),
    }
