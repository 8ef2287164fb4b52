"""Real captured messages take the same way as everything else: byte for byte over a socket, to the right place.

Nobody on this project wrote these messages. They are read where they are and never copied; a missing folder is a named
skip. What is held here was read off the captures by eye.
"""

from __future__ import annotations

import asyncio
import csv
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from drivers.gateway.line import LineSpec
from lis_core.services.lines import active_lines
from lis_core.storage.tables import Connection, Instrument, InstrumentTest, Test
from tests.gateway.conftest import ACK, ENQ, EOT, NAK, Wire, free_port
from tests.stories.conftest import Laboratory

STEPS = re.compile(rb"\x05|\x04|\x02[^\x02\x04\x05]*")
"""What an analyser sends before it waits or goes on: ENQ, EOT, a frame with whatever follows its checksum."""
KEPT = re.compile(rb"\x02[^\x02\x03\x17]*[\x03\x17](?:[0-9A-Fa-f]{2})?")
"""The part of a frame that the raw message keeps: STX to checksum (of an MLLP block: VT to FS)."""
CBC = ["WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "PLT", "RDW-SD", "RDW-CV", "PDW", "MPV", "P-LCR", "PCT"]


# -- the analyser's side of a capture


@dataclass
class Played:
    """How a capture was answered. refused: frames that got NAK, as they were; kept: what was acknowledged."""

    kept: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)


def repaired(frame: bytes) -> bytes:
    """The frame with the checksum that it should have had, as the analyser's next attempt would carry it."""
    end = max(frame.rfind(b"\x03"), frame.rfind(b"\x17")) + 1
    return frame[:end] + f"{sum(frame[1:end]) & 0xFF:02X}".encode() + frame[end + 2 :]


async def plays(port: int, capture: bytes) -> Played:
    """Send the captured bytes as the analyser did: wait after ENQ and after each frame, try a refused frame again.

    A capture that begins or ends in the middle of a session (a logger started late) is given its ENQ or EOT.
    """
    steps = STEPS.findall(capture)
    if steps[0] != ENQ:
        steps.insert(0, ENQ)
    if steps[-1] != EOT:
        steps.append(EOT)
    played = Played()
    wire = await Wire.to(port)
    try:
        for step in steps:
            if step == EOT:
                await wire.send(EOT)
                continue
            await wire.send(step)
            answer = await wire.answer()
            if answer == NAK and step != ENQ:
                played.refused.append(step)
                step = repaired(step)
                await wire.send(step)
                answer = await wire.answer()
            assert answer == ACK, f"{answer!r} after {step[:60]!r}"
            if step != ENQ:
                played.kept.append(KEPT.findall(step)[0])
    finally:
        wire.close()
    return played


async def plays_mllp(port: int, capture: bytes) -> list[bytes]:
    """Send each captured block as it is and wait for its answer, as the analyser does. What is kept of the blocks."""
    blocks = re.findall(rb"\x0b[^\x1c]*\x1c\r?", capture)
    assert b"".join(blocks).strip() == capture.strip(), "the capture holds something beside its blocks"
    wire = await Wire.to(port)
    try:
        for block in blocks:
            await wire.send(block)
            answer = await asyncio.wait_for(wire.reader.readuntil(b"\x1c\r"), 5)
            said = [segment for segment in answer.split(b"\r") if segment.startswith(b"MSA|")]
            assert said and said[0].startswith(b"MSA|AA|"), answer
    finally:
        wire.close()
    return [block.rstrip(b"\r") for block in blocks]


# -- the laboratory's side


async def gets_instrument(
    laboratory: Laboratory, definition: str, protocol: str, codes: dict[str, str], units: dict[str, str] | None = None
) -> str:
    """The laboratory buys an analyser of this model; its line opens without a restart. The line's name.

    codes: the analyser's code -> ours. units: its spelling of a unit that means the same number, by its code.
    """
    async with laboratory.database.work(await laboratory.actor("yonetici")) as work:
        ids = dict((await work.session.execute(select(Test.code, Test.id))).tuples().all())
        instrument = Instrument(code=definition[:20], name=definition, definition=definition, maker="", model="")
        work.session.add(instrument)
        await work.session.flush()
        work.session.add(
            Connection(
                name=instrument.code,
                instrument_id=instrument.id,
                kind="tcp-sunucu",
                protocol=protocol,
                address=f"127.0.0.1:{free_port()}",
                settings={},
            )
        )
        if codes:
            rows = [
                {
                    "instrument_id": instrument.id,
                    "test_id": ids[ours],
                    "incoming": theirs,
                    "outgoing": theirs,
                    "translations": {},
                    "unit": (units or {}).get(theirs),
                }
                for theirs, ours in codes.items()
            ]
            await work.session.execute(insert(InstrumentTest), rows)
    lines = [
        LineSpec(row.name, row.kind, row.protocol, row.address, row.definition, row.settings)  # type: ignore[arg-type]
        for row in await active_lines(laboratory.database)
    ]
    await laboratory.house.gateway.apply(lines)
    laboratory.ports = {line.name: int(line.address.rsplit(":", 1)[1]) for line in lines}
    return definition[:20]


async def until(seen: Callable[[], Awaitable[bool]], what: str, seconds: float = 10) -> None:
    """The laboratory hears of a message a moment after its sender got the last answer."""
    deadline = time.monotonic() + seconds
    while not await seen():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def amount(laboratory: Laboratory) -> int:
    """Everything that was read from messages: results, those that wait for a person, control measurements."""
    return int(
        await laboratory.value(
            "select (select count(*) from tetkik_sonuc) + (select count(*) from eslesmeyen_sonuc) "
            "+ (select count(*) from kk_olcum)"
        )
    )


async def comes(laboratory: Laboratory, results: int, unmatched: int) -> None:
    """Wait until so much has come, and no more."""

    async def seen() -> bool:
        return await amount(laboratory) >= results + unmatched

    await until(seen, f"not {results} results and {unmatched} unmatched")
    await laboratory.settled()
    assert len(await laboratory.unmatched()) == unmatched
    assert await amount(laboratory) == results + unmatched


async def values(laboratory: Laboratory, number: str) -> dict[str, str]:
    """The analyser's own text of each result of an order, by our code."""
    rows = await laboratory.rows(
        "select tetkik_kisa_kodu, cihaz_tetkik_sonucu from istem_tetkik t "
        "join tetkik_istem using (tetkik_istem_kodu) join tetkik k on k.tetkik_kodu = t.tetkik_kodu "
        "join tetkik_sonuc s using (tetkik_sonuc_kodu) where numune_numarasi = :number",
        number=number,
    )
    return {row[0]: row[1] for row in rows}


async def runs_of(laboratory: Laboratory, number: str) -> dict[str, int]:
    """How many runs each test of an order has that has any."""
    rows = await laboratory.rows(
        "select tetkik_kisa_kodu, count(*) from istem_tetkik t "
        "join tetkik_istem using (tetkik_istem_kodu) join tetkik k on k.tetkik_kodu = t.tetkik_kodu "
        "join tetkik_sonuc s using (istem_tetkik_kodu) where numune_numarasi = :number group by 1",
        number=number,
    )
    return {row[0]: row[1] for row in rows}


async def raw(laboratory: Laboratory) -> bytes:
    """All raw messages, one behind the other, as they came."""
    rows = await laboratory.rows("select icerik from ham_mesaj order by ham_mesaj_kodu")
    return b"".join(bytes(row[0]) for row in rows)


async def has_heard(laboratory: Laboratory, size: int) -> None:
    """Wait until so many bytes of raw messages are in the database."""

    async def seen() -> bool:
        return len(await raw(laboratory)) >= size

    await until(seen, f"{len(await raw(laboratory))} of {size} bytes are in the database")
    await laboratory.settled()


async def loosens(laboratory: Laboratory, line: str, options: dict[str, Any]) -> None:
    """The site sets options of the line's link; the line reopens where they changed."""
    gateway = laboratory.house.gateway
    specs = [book.spec for book in gateway.lines.values()]
    await gateway.apply(
        [replace(spec, settings={**spec.settings, "hat": options}) if spec.name == line else spec for spec in specs]
    )


@dataclass(frozen=True)
class Capture:
    """A captured message of one specimen and what the laboratory must have of it afterwards.

    ordered: what had been ordered under the number that stands in the capture. values: our code -> the text in the
    capture. left: why the other results wait for a person, and how many of each kind.
    """

    file: str
    line: str
    """A line of the demonstration laboratory, or the model of one that is bought for the test."""
    number: str
    ordered: list[str]
    values: dict[str, str]
    left: dict[str, int] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)


LOINC_CBC = {
    "6690-2": "WBC", "789-8": "RBC", "718-7": "HGB", "4544-3": "HCT", "787-2": "MCV", "785-6": "MCH", "786-4": "MCHC",
    "777-3": "PLT", "788-0": "RDW-CV", "21000-5": "RDW-SD", "32623-1": "MPV", "32207-3": "PDW", "770-8": "NEUT%",
    "736-9": "LYMPH%", "5905-5": "MONO%", "713-8": "EO%", "706-2": "BASO%", "751-8": "NEUT#", "731-0": "LYMPH#",
    "742-7": "MONO#", "711-2": "EO#", "704-7": "BASO#",
}  # fmt: skip
CELLS = ("6690-2", "777-3", "751-8", "731-0", "742-7", "711-2", "704-7")

LANDS = [
    Capture(
        "astm/sysmex-xn-550/cbc-images-by-name.astm",
        "hemogram",
        "27",
        ["CBC"],
        {"WBC": "8.13", "RBC": "2.60", "HGB": "8.0", "HCT": "22.7", "MCV": "87.3", "MCH": "30.8", "MCHC": "35.2",
         "PLT": "99", "NEUT%": "57.4", "LYMPH%": "12.8", "MONO%": "7.3", "EO%": "22.1", "BASO%": "0.4",
         "NEUT#": "4.67", "LYMPH#": "1.04", "MONO#": "0.59", "EO#": "1.80", "BASO#": "0.03", "IG%": "0.2",
         "IG#": "0.02", "RDW-SD": "47.5", "RDW-CV": "14.8", "MPV": "8.1"},
        {"test_tanimsiz": 14},
    ),
    Capture(
        "astm/sysmex-xp-100/cbc.astm",
        "sysmex-xp-300",
        "113",
        ["CBC"],
        {"WBC": "5.5", "RBC": "2.87", "HGB": "10.1", "HCT": "24.2", "MCV": "84.3", "MCH": "35.2", "MCHC": "41.7",
         "PLT": "170", "RDW-SD": "38.5", "RDW-CV": "11.8", "PDW": "12.8", "MPV": "10.2", "P-LCR": "26.9",
         "PCT": "0.17"},
        {"test_tanimsiz": 6},  # the three-part differential, which this laboratory has not mapped
        codes={code: code for code in CBC},
    ),
    Capture(
        "astm/roche-elecsys-2010/below-range.astm",
        "roche-elecsys-2010",
        "120949",
        ["TNT"],
        {"TNT": "<0.010"},
        codes={"201": "TNT", "271": "PROBNP"},
    ),
    Capture(
        "astm/roche-elecsys-2010/probnp.astm",
        "roche-elecsys-2010",
        "66230",
        ["PROBNP"],
        {"PROBNP": "6422"},
        codes={"201": "TNT", "271": "PROBNP"},
    ),
    Capture(
        "astm/roche-modular/patient-ise-chem.astm",
        "biyokimya",
        "53535",
        ["NA", "K", "CL", "CREA"],
        {"NA": "132", "K": "3.5", "CL": "79", "CREA": "1.46"},
        {"test_tanimsiz": 3},
    ),
    Capture(
        "astm/mindray-bs-240/two-messages-one-session.astm",
        "mindray-bs-240",
        "25058593",
        ["P", "CA", "UA", "UREA"],
        {"P": "5.083586", "CA": "0.192421", "UA": "9.276360", "UREA": "20.371770"},
        {"test_tanimsiz": 1, "numune_yok": 1},  # the second message is about a number that nobody ordered
        codes={"P": "P", "CA": "CA", "UA": "UA", "UREA": "UREA"},
    ),
    Capture(
        "astm/mindray-bs-240/iron-latin1-unit.astm",
        "mindray-bs-240",
        "25086307",
        ["FE"],
        {"FE": "6.377711"},
        codes={"FE": "FE"},
        units={"FE": "µg/dL"},
    ),
    Capture(
        "hl7/erba-elite-580/oru-r01-cbc-diff.hl7",
        "erba-elite-580",
        "25059143",
        ["CBC"],
        {"WBC": "6.75", "RBC": "4.76", "HGB": "12.9", "HCT": "42.1", "MCV": "88.5", "MCH": "27.1", "MCHC": "30.6",
         "PLT": "204", "RDW-CV": "14.6", "RDW-SD": "46.2", "MPV": "10.2", "PDW": "12.7", "NEUT%": "62.1",
         "LYMPH%": "29.7", "MONO%": "6.7", "EO%": "1.1", "BASO%": "0.4", "NEUT#": "4.20", "LYMPH#": "2.00",
         "MONO#": "0.45", "EO#": "0.07", "BASO#": "0.03"},
        {"test_tanimsiz": 8},
        codes=LOINC_CBC,
    ),
    Capture(
        "hl7/mindray-bc-6800/oru-r01-cbc-diff.hl7",
        "mindray-bc-6800",
        "7221044089",
        ["CBC"],
        {"WBC": "9.81", "RBC": "4.08", "HCT": "37.8", "MCV": "92.6", "MCH": "30.2", "PLT": "293", "RDW-CV": "12.9",
         "RDW-SD": "40.8", "MPV": "9.8", "PDW": "16.3", "NEUT%": "72.6", "LYMPH%": "19.0", "MONO%": "6.2",
         "EO%": "2.0", "BASO%": "0.2", "NEUT#": "7.12", "LYMPH#": "1.87", "MONO#": "0.61", "EO#": "0.19",
         "BASO#": "0.02"},
        {"birim": 2, "test_tanimsiz": 18},  # HGB and MCHC come in g/L: nobody converts them silently
        codes=LOINC_CBC,
        units=dict.fromkeys(CELLS, "10*9/L") | {"789-8": "10*12/L"},
    ),
]  # fmt: skip


async def arrives(laboratory: Laboratory, line: str, capture: bytes) -> bytes:
    """Play it; what the raw message must hold."""
    port = laboratory.ports[line]
    if laboratory.house.gateway.lines[line].spec.protocol == "hl7":
        return b"".join(await plays_mllp(port, capture))
    played = await plays(port, capture)
    return b"".join(played.kept)


@pytest.mark.parametrize("capture", LANDS, ids=lambda capture: Path(capture.file).stem + " " + capture.number)
async def test_a_captured_message_lands_in_the_order_that_it_names(
    laboratory: Laboratory, samples: Path, capture: Capture
) -> None:
    line = capture.line
    if line not in laboratory.ports:
        protocol = capture.file.split("/")[0]
        line = await gets_instrument(laboratory, line, protocol, capture.codes, capture.units)
    order = await laboratory.order(capture.ordered, number=capture.number)
    assert order.number == capture.number
    await laboratory.receives(order)
    captured = (samples / capture.file).read_bytes()

    sent = await arrives(laboratory, line, captured)

    await comes(laboratory, len(capture.values), sum(capture.left.values()))
    assert await values(laboratory, capture.number) == capture.values
    assert Counter(row.neden for row in await laboratory.unmatched()) == Counter(capture.left)
    assert await raw(laboratory) == sent

    await arrives(laboratory, line, captured)  # the analyser did not hear us and sends it all again
    await laboratory.settled()
    assert await values(laboratory, capture.number) == capture.values
    assert set((await runs_of(laboratory, capture.number)).values()) == {1}
    assert len(await laboratory.unmatched()) == sum(capture.left.values())


@pytest.mark.parametrize(
    ("file", "line", "waits", "first", "count"),
    [
        (
            "astm/sysmex-xn-330/cbc-session.astm",
            "hemogram",
            ("numune_yok", "BEXX24-00009"),
            {"WBC": "6.15", "MCV": "85.5"},
            39,
        ),
        (
            "astm/roche-cobas-c311/chemistry-7-tests.astm",
            "biyokimya",
            ("numune_yok", "CL-PL-24-0370"),
            {"717": "5.85"},
            7,
        ),
        ("hl7/erba-elite-580/oru-r01-sample-id-invalid.hl7", "erba-elite-580", ("numunesiz", None), {}, 30),
    ],
    ids=["sysmex-xn-330", "cobas c 311", "a barcode that was not read"],
)
async def test_a_captured_message_about_nobody_waits_for_a_person(
    laboratory: Laboratory,
    samples: Path,
    file: str,
    line: str,
    waits: tuple[str, str | None],
    first: dict[str, str],
    count: int,
) -> None:
    if line not in laboratory.ports:
        line = await gets_instrument(laboratory, line, file.split("/")[0], LOINC_CBC)
    sent = await arrives(laboratory, line, (samples / file).read_bytes())
    await comes(laboratory, 0, count)
    waiting = await laboratory.unmatched()
    assert {(row.neden, row.icerik["specimen"]) for row in waiting} == {waits}
    values = {row.icerik["test"]: row.icerik["value"] for row in waiting}
    assert first.items() <= values.items()
    assert await raw(laboratory) == sent


async def test_the_damaged_frame_of_a_capture_is_asked_for_again(laboratory: Laboratory, samples: Path) -> None:
    """Its frame 4 carries 1B where the sum is 16; every other one of the 51 is taken at the first try."""
    capture = (samples / "astm/sysmex-xn-330/cbc-session.astm").read_bytes()
    played = await plays(laboratory.ports["hemogram"], capture)
    assert [frame[1:2] + frame[-2:] for frame in played.refused] == [b"41B"]
    assert len(played.kept) == 51
    assert [frame[-2:] for frame in played.kept if frame[1:4] == b"4O|"] == [b"16"]
    assert "sağlama toplamı" in laboratory.line_error("hemogram")


def counted() -> dict[str, int]:
    """Results and control measurements of each capture, by an independent count."""
    with (Path(__file__).parents[1] / "drivers" / "expected_counts.tsv").open(encoding="utf-8", newline="") as table:
        return {row["file"]: int(row["results"]) + int(row["qc"]) for row in csv.DictReader(table, delimiter="\t")}


def indexed(samples: Path) -> list[dict[str, str]]:
    """The rows of the collection's own index."""
    with (samples / "INDEX.tsv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t"))


# Analysers that need a loosened line: a site that connects one sets this on its line.
LOOSENED = {
    "astm/horiba-yumizen-h500/qc-low-failed-histograms.astm": {"number_modulus": "any"},
    "astm/mindray-bs-240/two-messages-one-session.astm": {"number_modulus": "any"},
    "astm/trinity-premier-hb9210/hba1c-chromatogram.astm": {"number_modulus": "0-9"},
}


async def test_every_framed_capture_is_taken_over_a_socket_and_nothing_of_it_is_lost(
    laboratory: Laboratory, samples: Path
) -> None:
    """Some fifty sessions of some thirty models, one after the other, by the definition that knows no model."""
    expected = counted()
    problems = []
    played = 0
    for row in indexed(samples):
        file = row["file"]
        if row["framing"] != "framed E1381" or row["direction"] != "instrument to host":
            continue
        await loosens(laboratory, "genel", LOOSENED.get(file, {}))
        before = await amount(laboratory), len(await raw(laboratory))
        sent = await arrives(laboratory, "genel", (samples / file).read_bytes())
        await has_heard(laboratory, len(sent) + before[1])
        found = await amount(laboratory) - before[0]
        if found != expected[file] or (await raw(laboratory))[before[1] :] != sent:
            problems.append(f"{file}: {found} results, expected {expected[file]}")
        played += 1
    assert problems == []
    assert played > 40


async def test_every_mllp_capture_is_answered_and_nothing_of_it_is_lost(laboratory: Laboratory, samples: Path) -> None:
    line = await gets_instrument(laboratory, "generic-hl7", "hl7", {})
    expected = counted()
    problems = []
    played = 0
    for row in indexed(samples):
        file = row["file"]
        if row["framing"] != "MLLP" or row["direction"] != "instrument to host":
            continue
        before = await amount(laboratory), len(await raw(laboratory))
        sent = await arrives(laboratory, line, (samples / file).read_bytes())
        await has_heard(laboratory, len(sent) + before[1])
        found = await amount(laboratory) - before[0]
        if found != expected[file] or (await raw(laboratory))[before[1] :] != sent:
            problems.append(f"{file}: {found} results, expected {expected[file]}")
        played += 1
    assert problems == []
    assert played > 5
