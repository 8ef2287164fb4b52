"""python-hl7's asyncio client and server (`hl7.mllp`) as the other side, over sockets: analysers that report and ask, a
hospital that orders and is told results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hl7
import pytest
from hl7.mllp import HL7StreamReader, HL7StreamWriter, open_hl7_connection, start_hl7_server

from drivers.gateway.line import LineSpec
from lis_core.storage.database import Database
from tests.bridge import kit
from tests.bridge.conftest import StartBridge, start
from tests.gateway.conftest import free_port
from tests.interop.test_other_implementations import House

__all__ = ["start"]
PATIENCE = 30.0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    yield made
    await made.gateway.stop()


def report(control_id: str, value: str) -> hl7.Message:
    return hl7.parse(
        f"MSH|^~\\&|ANALYSER|LAB|NUMUNE|LAB|20260105101500||ORU^R01^ORU_R01|{control_id}|P|2.5.1||||||UNICODE UTF-8\r"
        "PID|1||4711||ÖRNEK^ŞİRİN\rOBR|1||26000145|ALL\r"
        f"OBX|1|NM|GLU^Glucose||{value}|mg/dL|70-100|N|||F\r"
    )


async def answer(reader: HL7StreamReader) -> Any:
    return await asyncio.wait_for(reader.readmessage(), PATIENCE)


async def test_its_client_reports_without_waiting_between(house: House) -> None:
    """Twenty messages in one breath; twenty answers, in their order, in a form that its parser reads."""
    reader, writer = await open_hl7_connection("127.0.0.1", house.port("hl7"), encoding="utf-8")
    for number in range(20):
        writer.writemessage(report(f"A-{number}", str(80 + number)))
    await writer.drain()
    answers = [await answer(reader) for _ in range(20)]
    writer.close()
    assert [(str(one["MSA.F1"]), str(one["MSA.F2"])) for one in answers] == [("AA", f"A-{n}") for n in range(20)]
    delivered = await house.deliveries(20)
    assert [one.observations[0].value for one in delivered] == [str(80 + number) for number in range(20)]
    assert "ÖRNEK^ŞİRİN".encode() in delivered[0].raw


async def test_its_client_asks_and_reads_the_work(tmp_path: Path) -> None:
    """QRY^Q02 as a chemistry analyser asks: QCK first, then the work as numbered lines."""
    house = House(tmp_path)
    await house.gateway.start_lines([LineSpec("hl7", "tcp-sunucu", "hl7", "127.0.0.1:0", "mindray-bs-200")])
    try:
        reader, writer = await open_hl7_connection("127.0.0.1", house.port("hl7"), encoding="utf-8")
        writer.writemessage(
            hl7.parse(
                "MSH|^~\\&|Mindray|BS-200E|||20260101115959||QRY^Q02|4|P|2.3.1||||||ASCII|||\r"
                "QRD|20260101115959|R|D|1|||RD|26000145|OTH|||T|\r"
                "QRF|BS-200E|20260101000000|20260102000000|||RCT|COR|ALL||\r"
            )
        )
        accepted, work = await answer(reader), await answer(reader)
        writer.close()
    finally:
        await house.gateway.stop()
    assert str(accepted.segment("MSH")[9]) == "QCK^Q02"
    assert (str(accepted["MSA.F1"]), str(accepted["MSA.F2"])) == ("AA", "4")
    assert str(work.segment("MSH")[9]) == "DSR^Q03"
    lines = {str(line[1]): str(line[3]) for line in work.segments("DSP")}
    assert lines["21"] == "26000145" and lines["29"].startswith("GLU")


async def test_its_server_is_an_analyser_that_we_call(tmp_path: Path) -> None:
    """The analyser listens: it reports on the connection that we opened, and hears AA."""
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def analyser(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        for number in (1, 2):
            writer.writemessage(report(f"S-{number}", f"9{number}"))
            await writer.drain()
            await heard.put(await reader.readmessage())

    port = free_port()
    server = await start_hl7_server(analyser, "127.0.0.1", port, encoding="utf-8")
    house = House(tmp_path)
    await house.gateway.start_lines([LineSpec("hl7", "tcp-istemci", "hl7", f"127.0.0.1:{port}", "generic-hl7")])
    try:
        answers = [await asyncio.wait_for(heard.get(), PATIENCE) for _ in range(2)]
        delivered = await house.deliveries(2)
    finally:
        await house.gateway.stop()
        server.close()
    assert [(str(one["MSA.F1"]), str(one["MSA.F2"])) for one in answers] == [("AA", "S-1"), ("AA", "S-2")]
    assert [one.observations[0].value for one in delivered] == ["91", "92"]


async def test_a_hospital_built_on_it_orders_and_is_told(lab: Database, start: StartBridge) -> None:
    """Its client places an order and reads our number; its server takes the released result and acknowledges it."""
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def hospital(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        message = await reader.readmessage()
        await told.put(message)
        writer.writemessage(message.create_ack("AA"))
        await writer.drain()

    port = free_port()
    server = await start_hl7_server(hospital, "127.0.0.1", port, encoding="utf-8")
    bridge = await start(results=f"127.0.0.1:{port}", answer_seconds=PATIENCE)
    try:
        reader, writer = await open_hl7_connection("127.0.0.1", bridge.port, encoding="utf-8")
        writer.writemessage(hl7.parse(kit.order_message(kit.person(), ["GLU", "K"], number="PY-1")))
        placed = await answer(reader)
        writer.close()
        assert str(placed["MSA.F1"]) == "AA"
        order = await kit.order_of(lab, "PY-1")
        assert order is not None and order.number in str(placed)
        await kit.released(lab, order.number, {"GLU": "112"})
        assert await kit.post(lab, bridge) == 1
        result = await asyncio.wait_for(told.get(), PATIENCE)
    finally:
        server.close()
    assert str(result.segment("MSH")[9]).startswith("ORU^R01")
    assert (str(result["OBX.F3.R1.C1"]), str(result["OBX.F5"])) == ("GLU", "112")
    assert str(result["PID.F5.R1.C1"]) == "ÖĞÜTÇÜ"
    [row] = await kit.sent(lab)
    assert row.outcome == "AA"
