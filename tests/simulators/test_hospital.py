"""The simulated hospital: what it writes, and how it takes (or spoils) results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from stdnum.tr import tckimlik

from drivers.protocols.hl7 import acknowledge, parse
from simulators.analyser import Timing
from simulators.cable import TcpServer, tcp_client
from simulators.hospital import Hospital, Person
from simulators.people import invented_person
from simulators.segments import Message
from tests.simulators.conftest import MORNING
from tests.simulators.hosts import MllpHost

NOW = datetime(2026, 12, 3, 8, 15, tzinfo=ZoneInfo("Europe/Istanbul"))
AYSE = Person("P100", "90000000146", "ÖRNEK", "AYŞE", "19800214", "F")
RESULT = (
    "MSH|^~\\&|NUMUNE|LAB|HBYS|HASTANE|20261203101500+0300||ORU^R01^ORU_R01|n-77|P|2.5.1||||||UNICODE UTF-8\r"
    "PID|1||P100^^^HASTANE^MR\r"
    "ORC|RE|{step}\rOBR|1|{step}|1001|GLU^Glukoz^L\r"
    "OBX|1|NM|GLU^Glukoz^L||92|mg/dL|70 - 100|N|||F\rNTE|1||a\\T\\b\r"
    "OBX|2|SN|TNT^Troponin T^L||<^0.003|ng/mL||<|||F\r"
)


def says(code: str) -> Callable[[bytes], Sequence[bytes]]:
    def answer(payload: bytes) -> list[bytes]:
        message = parse(payload)
        return [] if message.get("MSA", 1) else [acknowledge(message, code, control_id="n-1", now=NOW)]  # type: ignore[arg-type]

    return answer


@contextlib.asynccontextmanager
async def numune(
    answer: Callable[[bytes], Sequence[bytes]] | None = None, *, listens: bool = True
) -> AsyncIterator[tuple[Hospital, MllpHost]]:
    """A hospital over real sockets, and the host that it calls (which says AA to everything)."""
    host = MllpHost(answer or says("AA"))
    server = TcpServer()
    await server.start()

    async def serve() -> None:
        while True:
            end = await server.plug()
            tasks.add(asyncio.create_task(host.serve(end)))

    tasks: set[asyncio.Task[None]] = set()
    tasks.add(asyncio.create_task(serve()))
    listen = TcpServer() if listens else None
    options = {"timing": Timing.hurried(), "now": lambda: MORNING}
    async with Hospital(tcp_client("127.0.0.1", server.port), listen=listen, **options) as hospital:
        yield hospital, host
    await server.close()
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def delivered(hospital: Hospital, message: str, *, wait: float = 0.3) -> bytes:
    """Numune opens a connection to the hospital, sends one message and reads what comes."""
    assert hospital._listen is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", hospital._listen.port)
    writer.write(b"\x0b" + message.encode() + b"\x1c\r")
    try:
        return await asyncio.wait_for(reader.read(4096), wait)
    except TimeoutError:
        return b"<silence>"
    finally:
        writer.close()


# ---- what it writes


async def test_an_order_as_oml_o21():
    async with numune() as (hospital, host):
        order = await hospital.places(AYSE, "GLU", "K", priority="S", unit="DAHILIYE", physician="H-100", number="H1")

        assert order.answer.code == "AA"
        lines = host.messages[0].decode().split("\r")
        assert lines[0].startswith("MSH|^~\\&|HBYS|HASTANE|NUMUNE|LAB|20261203081500+0300||OML^O21^OML_O21|")
        assert lines[1:] == [
            "PID|1||P100^^^HASTANE^MR~90000000146^^^TC^NI||ÖRNEK^AYŞE^^^^^L||19800214|F",
            "PV1|1|O|DAHILIYE",
            "ORC|NW|H1-1||H1|||||20261203081500|||H-100",
            "TQ1|1||||||||S^^HL70485",
            "OBR|1|H1-1||GLU^GLU^L",
            "ORC|NW|H1-2||H1|||||20261203081500|||H-100",
            "TQ1|1||||||||S^^HL70485",
            "OBR|2|H1-2||K^K^L",
            "",
        ]


async def test_an_order_as_orm_o01_with_a_printed_number():
    async with numune() as (hospital, host):
        await hospital.places(AYSE, "GLU", form="ORM^O01", barcode="1001", number="H1", priority="A")

        lines = host.messages[0].decode().split("\r")
        assert lines[3:] == [
            "ORC|NW|H1-1||H1|||^^^^^A||20261203081500",
            "OBR|1|H1-1|1001|GLU^GLU^L|||||||||||||||||||||||^^^^^A",
            "",
        ]


async def test_more_tests_a_change_and_a_cancellation():
    async with numune() as (hospital, host):
        order = await hospital.places(AYSE, "GLU", number="H1")
        await hospital.adds(order, "K")
        await hospital.changes(order, priority="S")
        await hospital.cancels(order, "GLU")

        told = [
            [(part.get(1), part.get(2)) for part in Message(one) if part.name == "ORC"] for one in host.messages[1:]
        ]
        assert told == [[("NW", "H1-2")], [("XO", "H1-1"), ("XO", "H1-2")], [("CA", "H1-1")]]
        assert [answer.code for answer in order.answers] == ["AA"] * 4


async def test_patient_data_and_a_merge():
    other = Person("P200", "", "ORNEK", "AYSE", "19800214", "F")

    async with numune() as (hospital, host):
        await hospital.updates(AYSE)
        await hospital.merges(AYSE, other)

        update, merge = Message(host.messages[0]), Message(host.messages[1])
        assert (update.kind, update.first("EVN").get(1)) == ("ADT^A08", "A08")
        assert (merge.kind, merge.first("MRG").get(1)) == ("ADT^A40", "P200")


async def test_a_refusal_is_an_answer_not_an_exception():
    async with numune(says("AE")) as (hospital, _):
        order = await hospital.places(AYSE, "YOK")

        assert order.answer.code == "AE"


async def test_an_order_is_sent_again_after_the_line_broke():
    async with numune() as (hospital, host):
        hospital.faults.arm("cut_at:80")
        order = await hospital.places(AYSE, "GLU")

        assert order.answer.code == "AA"
        assert len(host.messages) == 1
        assert len(host.wire) > 80 + len(host.messages[0])


# ---- how it takes results


async def test_a_result_is_taken_and_acknowledged():
    async with numune() as (hospital, _):
        order = await hospital.places(AYSE, "GLU", "TNT", number="H1")
        answer = await delivered(hospital, RESULT.format(step="H1-1"))

        assert b"\rMSA|AA|n-77\r" in answer
        glucose, troponin = await hospital.results_for(order, 2)
        assert (glucose.test, glucose.value, glucose.unit, glucose.flags) == ("GLU", "92", "mg/dL", ("N",))
        assert (glucose.comments, glucose.patient, glucose.filler) == (("a&b",), ("P100",), "1001")
        assert troponin.value == "<^0.003"


async def test_the_same_message_again_is_acknowledged_and_counted_once():
    async with numune() as (hospital, _):
        first = await delivered(hospital, RESULT.format(step="H1-1"))
        second = await delivered(hospital, RESULT.format(step="H1-1"))

        assert b"MSA|AA|n-77" in first
        assert b"MSA|AA|n-77" in second
        assert (len(hospital.results), len(hospital.received)) == (2, 2)


async def test_results_may_come_on_the_hospitals_own_connection():
    """Numune answers the order, and later sends the result back the same way."""

    def answer(payload: bytes) -> list[bytes]:
        message = parse(payload)
        if message.get("MSA", 1):
            return []
        return [acknowledge(message, "AA", control_id="n-1", now=NOW), RESULT.format(step="H1-1").encode()]

    async with numune(answer, listens=False) as (hospital, host):
        order = await hospital.places(AYSE, "GLU", number="H1")

        assert [one.value for one in await hospital.results_for(order)] == ["92", "<^0.003"]
        await asyncio.sleep(0.05)
        assert b"\rMSA|AA|n-77\r" in host.messages[-1]


async def test_refused_and_silent_and_gone():
    async with numune() as (hospital, _):
        hospital.answers_ae()
        hospital.answers_ar()
        hospital.stays_silent()
        hospital.hangs_up(kept=True)
        told = [await delivered(hospital, RESULT.format(step="H1-1")) for _ in range(5)]

        assert b"\rMSA|AE|n-77\rERR||" in told[0]
        assert b"\rMSA|AR|n-77\r" in told[1]
        assert told[2] == b"<silence>"
        assert told[3] == b""  # it had kept the message, only the answer was lost
        assert b"MSA|AA|n-77" in told[4]
        assert (len(hospital.received), len(hospital.results)) == (5, 2)


async def test_an_answer_may_be_late():
    async with numune() as (hospital, _):
        hospital.answers_late(0.15)
        begin = asyncio.get_running_loop().time()
        answer = await delivered(hospital, RESULT.format(step="H1-1"), wait=1.0)

        assert b"MSA|AA|" in answer
        assert asyncio.get_running_loop().time() - begin >= 0.15


async def test_waiting_for_a_result_that_never_comes_ends():
    async with numune() as (hospital, _):
        order = await hospital.places(AYSE, "GLU")
        with pytest.raises(TimeoutError):
            await hospital.results_for(order, within=0.05)


def test_invented_people_are_stable_valid_and_marked():
    people = [invented_person(number) for number in range(50)]

    assert invented_person(7) == people[7]
    assert len({person.tc for person in people}) == 50
    assert all(tckimlik.is_valid(person.tc) and person.tc.startswith("900") for person in people)
