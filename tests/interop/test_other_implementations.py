"""Peers that other people wrote: `astm-2025` (python-astm) and `hl7`, over sockets, against our gateway and our link.

What the packages get wrong is worked around here, at the spot, and told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import hl7
import pytest
from astm import codec as astm_codec
from hl7.client import MLLPClient

from drivers.definition import load_catalog
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.messages import Delivery, Query, WorkOrder, WorkTest
from lis_core.settings import ISTANBUL

PATIENCE = 10.0
CATALOG = load_catalog()


class House:
    """A gateway with one ASTM and one HL7 line; what it delivered."""

    def __init__(self, folder: Path) -> None:
        self.delivered: list[Delivery] = []
        self.gateway = Gateway(folder, CATALOG, answer=self._answer, deliver=self._take, zone=ISTANBUL)

    async def _take(self, delivery: Delivery) -> None:
        self.delivered.append(delivery)

    async def _answer(self, line: str, query: Query) -> list[WorkOrder]:
        return [WorkOrder(specimen=one, known=True, tests=(WorkTest("GLU"),)) for one in query.specimens]

    async def start(self) -> None:
        await self.gateway.start_lines(
            [
                LineSpec("astm", "tcp-sunucu", "astm", "127.0.0.1:0", "generic-astm"),
                LineSpec("hl7", "tcp-sunucu", "hl7", "127.0.0.1:0", "generic-hl7"),
            ]
        )

    def port(self, name: str) -> int:
        return int(self.gateway._endpoints[name].port)  # type: ignore[union-attr]

    async def deliveries(self, count: int) -> list[Delivery]:
        async with asyncio.timeout(PATIENCE):
            while len(self.delivered) < count:
                await asyncio.sleep(0.01)
        return self.delivered


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    yield made
    await made.gateway.stop()


# ---- astm-2025


# Its asynchronous client cannot send under Python 3 (`buffer`, a name of Python 2, in asynclib); its encoder recurses without
# end on `str`, so it gets bytes. Its codec makes and reads the frames, and the socket is asyncio's.
RECORDS: list[list[Any]] = [
    ["H", "\\^&", None, None, "PYTHON-ASTM", None, None, None, None, None, None, "P", "1"],
    ["P", "1"],
    ["O", "1", "26000145", None, [None, None, None, "ALL"], "R"],
    ["R", "1", [None, None, None, "GLU"], "98", "mg/dL", None, "N", None, "F"],
    ["R", "2", [None, None, None, "K"], "4.1", "mmol/L", None, "N", None, "F"],
    ["L", "1", "N"],
]


def _bytes(part: Any) -> Any:
    if isinstance(part, list):
        return [_bytes(one) for one in part]
    return (part or "").encode("latin-1")


@pytest.mark.parametrize("chunk_size", [None, 60], ids=["one frame", "cut by ETB"])
async def test_frames_of_python_astm_are_taken_by_our_gateway(house: House, chunk_size: int | None) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("astm"))
    for data in [b"\x05", *astm_codec.encode([_bytes(one) for one in RECORDS], "latin-1", chunk_size)]:
        writer.write(data)
        assert await asyncio.wait_for(reader.read(1), PATIENCE) == b"\x06", data
    writer.write(b"\x04")
    [delivery] = await house.deliveries(1)
    writer.close()
    assert delivery.whole and delivery.problem is None
    assert [(one.specimen, one.test, one.value, one.unit) for one in delivery.observations] == [
        ("26000145", "GLU", "98", "mg/dL"),
        ("26000145", "K", "4.1", "mmol/L"),
    ]


def test_our_orders_are_read_by_python_astm() -> None:
    """Number, checksum and records of every frame that we send for a tube."""
    definition = CATALOG.get("generic-astm")
    work = WorkOrder(specimen="26000145", known=True, tests=(WorkTest("GLU"), WorkTest("K")))
    [message] = definition.answer(
        Query(specimens=["26000145"]), [work], now=datetime.now(ISTANBUL), sender="NUMUNE", control_id="n-1"
    )
    read = [astm_codec.decode_message(frame, "latin-1") for frame in definition.frames(message)]
    assert [number for number, _, _ in read] == [place % 8 for place in range(1, len(read) + 1)]
    records = [record for _, records, _ in read for record in records]
    assert records[0][0] == "H" and records[-1][0] == "L"
    assert "26000145" in str(records) and "GLU" in str(records)


# ---- hl7


def _oru(control_id: str) -> str:
    return (
        f"MSH|^~\\&|ANALYSER|LAB|NUMUNE|LAB|20260105101500||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r"
        "PID|1||4711||ÖRNEK^AYŞE\r"
        "OBR|1||26000145|ALL\r"
        "OBX|1|NM|GLU^Glucose||98|mg/dL|70-100|N|||F\r"
        "OBX|2|NM|K^Potassium||4.1|mmol/L|3.5-5.1|N|||F\r"
    )


def _sent(port: int, *messages: str) -> list[Any]:
    """Send with its client; its `recv` may return a part of an answer, so the rest is read here."""
    answers = []
    with MLLPClient("127.0.0.1", port) as client:
        client.socket.settimeout(PATIENCE)
        for message in messages:
            answer = client.send_message(message)
            while not answer.endswith(b"\x1c\r"):
                answer += client.socket.recv(4096)
            answers.append(hl7.parse(answer.strip(b"\x0b\x1c\r").decode("utf-8")))
    return answers


async def test_its_mllp_client_sends_to_our_gateway(house: House) -> None:
    """Each message is answered AA with its own control id, in a form that their parser reads; the content is kept."""
    answers = await asyncio.to_thread(_sent, house.port("hl7"), _oru("P-1"), _oru("P-2"))
    assert [(str(one.segment("MSA")[1]), str(one.segment("MSA")[2])) for one in answers] == [
        ("AA", "P-1"),
        ("AA", "P-2"),
    ]
    first, second = await house.deliveries(2)
    assert first.fingerprint == second.fingerprint and first.key != second.key
    assert [(one.specimen, one.test, one.value) for one in first.observations] == [
        ("26000145", "GLU", "98"),
        ("26000145", "K", "4.1"),
    ]
    assert "ÖRNEK^AYŞE".encode() in first.raw


async def test_its_parser_builds_what_our_reader_reads(house: House) -> None:
    """A message put together by their classes (`str` of a parsed message), not typed by us."""
    built = hl7.parse(_oru("P-3"))
    built.assign_field("<2.0", "OBX", 1, 5)
    [answer] = await asyncio.to_thread(_sent, house.port("hl7"), str(built))
    assert str(answer.segment("MSA")[1]) == "AA"
    [delivery] = await house.deliveries(1)
    value = delivery.observations[0]
    assert (value.value, value.number, "<" in value.flags) == ("<2.0", None, True)


async def test_our_answers_carry_what_their_acknowledgement_would(house: House) -> None:
    """Their own `create_ack` and our answer agree on who answers whom."""
    [answer] = await asyncio.to_thread(_sent, house.port("hl7"), _oru("P-4"))
    theirs = hl7.parse(_oru("P-4")).create_ack("AA")
    for segment, field in (("MSH", 3), ("MSH", 5), ("MSA", 1), ("MSA", 2)):
        ours, expected = str(answer.segment(segment)[field]), str(theirs.segment(segment)[field])
        if (segment, field) == ("MSH", 3):
            assert re.match(r"NUMUNE", ours) and ours == expected
        else:
            assert ours == expected
