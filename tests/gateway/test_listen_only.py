"""Lines of models whose queries are known and whose answers nobody has documented: they listen, and nothing stands still.

No database is needed: what was received is handed to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drivers.definition import load_catalog
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from tests.gateway.conftest import ACK, ENQ, EOT, Wire, frame, free_port

VT, FS = b"\x0b", b"\x1c\r"
MSH = "MSH|^~\\&|COBAS6800/8800||LIS||20260105152752||{}|{}|P|2.5||||||ASCII\r"
QUERY = MSH.format("QBP^Q11", "M-5") + "QPD|WOS^Work Order Step^IHE_LABTF||26004179|||\r"
RESULT = (
    MSH.format("OUL^R22", "M-6")
    + "SPM||26004178||PLAS^plasma^HL70487|||||||P\rOBR|1|||70241-5^HIV^LN|||||||A\r"
    + "OBX|1|NM|HIV^HIV^99ROC||367|10*-1.{Copies}/mL^^UCUM|||||F|||||oper1||C6800^Roche|20260105121433\r"
)


class Listening:
    """A gateway whose core asks nothing back, and counts what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.gateway = Gateway(
            folder, load_catalog(), answer=self._answer, deliver=self._deliver, zone=ZoneInfo("Europe/Istanbul")
        )
        self.ports: dict[str, int] = {}

    async def _answer(self, line: str, query: Any) -> list[Any]:
        self.asked.append(line)
        return []

    async def _deliver(self, *deliveries: Any) -> None:
        return None

    async def start(self, **lines: tuple[str, str]) -> None:
        specs = []
        for name, (protocol, model) in lines.items():
            self.ports[name] = free_port()
            specs.append(LineSpec(name, "tcp-sunucu", protocol, f"127.0.0.1:{self.ports[name]}", model, {}))
        await self.gateway.start_lines(specs)


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    made = Listening(tmp_path / "spool")
    await made.start(yuk=("hl7", "roche-cobas-6800"), kan=("astm", "ortho-vision"))
    yield made
    await made.gateway.stop()


async def block(wire: Wire, seconds: float = 5) -> bytes:
    return await asyncio.wait_for(wire.reader.readuntil(FS), seconds)


async def test_a_query_is_refused_in_words_and_the_result_after_it_is_acknowledged(listening: Listening) -> None:
    """How to answer is documented nowhere; silence would let the analyser wait for its time-out, tube by tube."""
    wire = await Wire.to(listening.ports["yuk"])
    await wire.send(VT + QUERY.encode() + FS)
    await wire.send(VT + RESULT.encode() + FS)
    refusal, answer = await block(wire), await block(wire)
    wire.close()

    assert b"MSA|AR|M-5|Bu hatta is listesi verilmez; cihazda testleri elle secin." in refusal
    assert b"|200^Unsupported message type^HL70357|E" in refusal
    assert b"MSA|AA|M-6" in answer
    assert listening.asked == []  # nobody looks for work that could not be told
    events = [sentence for _, sentence in listening.gateway.lines["yuk"].events]
    assert any("roche-cobas-6800 tanımı yanıt vermez" in sentence for sentence in events)


async def test_a_sender_that_wants_no_answer_gets_none(listening: Listening) -> None:
    wire = await Wire.to(listening.ports["yuk"])
    await wire.send(VT + QUERY.replace("2.5||||||ASCII", "2.5|||NE|NE||ASCII").encode() + FS)
    await wire.send(VT + RESULT.encode() + FS)
    assert b"MSA|AA|M-6" in await block(wire)
    wire.close()


async def test_an_astm_query_is_acknowledged_and_the_line_stays_usable(listening: Listening) -> None:
    wire = await Wire.to(listening.ports["kan"])
    header = b"H|\\^&|||OCD^VISION^5.13.1.46935^J900|||||||P|LIS2-A|20260105122333\r"
    for middle in (b"Q|1|^26004179||ALL||||||||O\r", b"P|1|12345\rO|1|26004178||ABO-D\rR|1|ABO|A|||||F\r"):
        for step in (ENQ, frame(1, header + middle + b"L\r")):
            await wire.ask(step, ACK)
        await wire.send(EOT)
    wire.close()

    assert listening.asked == []
