"""`numune simulate` as people run it: another process, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulators.analyser import Timing
from simulators.cable import TcpServer, tcp_client
from simulators.cli import command
from simulators.fleet import FLEET, Fleet
from simulators.models import MODELS
from tests.simulators.hosts import AnswerRecords, AstmHost, MllpHost
from tests.simulators.test_astm_analysers import roche_answer, xn_answer
from tests.simulators.test_hospital import RESULT, says


@contextlib.asynccontextmanager
async def listening(host: AstmHost | MllpHost, port: int = 0) -> AsyncIterator[int]:
    """Serves every caller, one after the other."""
    server = TcpServer(port=port)
    await server.start()

    async def serve() -> None:
        while True:
            await host.serve(await server.plug())

    task = asyncio.create_task(serve())
    try:
        yield server.port
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await server.close()


async def simulate(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode() if stdin is not None else None), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_results_of_two_tubes():
    host = AstmHost()
    async with listening(host) as port:
        code, out, err = await simulate("generic-astm", "--connect", f"127.0.0.1:{port}", "--barcodes", "1001,1002")

    assert (code, err) == (0, "")
    assert [message.split(b"\rO|1|")[1][:4] for message in host.messages] == [b"1001", b"1002"]
    assert "1001: 7 sonuç onaylandı" in out
    assert "2 mesaj, 14 sonuç onaylandı" in out


async def test_a_question_first(tmp_path: Path):
    host = AstmHost(xn_answer)
    tubes, record = tmp_path / "barkod.txt", tmp_path / "kayit.jsonl"
    tubes.write_text("1001\n\n1002\n")
    async with listening(host) as port:
        arguments = ["--connect", f"127.0.0.1:{port}", "--barcodes", str(tubes), "--query", "--record", str(record)]
        code, out, _ = await simulate("sysmex-xn", *arguments)

    assert code == 0
    assert "1001: 3 test verildi: WBC, HGB, PLT" in out
    kept = [json.loads(line) for line in record.read_text().splitlines()]
    results = [result[:2] for line in kept for result in line["results"]]
    assert results == [[tube, code] for tube in ("1001", "1002") for code in ("WBC", "HGB", "PLT")]


async def test_faults_strike_every_message():
    host = AstmHost()
    async with listening(host) as port:
        arguments = ["--connect", f"127.0.0.1:{port}", "--barcodes", "1", "--count", "2", "--quiet"]
        code, out, _ = await simulate("generic-astm", *arguments, "--faults", "wrong_checksum:2,repeats_frame:3")

    assert (code, out) == (0, "")
    assert bytes(host.wire).count(b"\x022P|1\r\x0340\r\n") == 2
    assert len(host.messages) == 2


async def test_a_law_analyser_over_mllp():
    host = MllpHost(says("AA"))
    async with listening(host) as port:
        code, _, __ = await simulate(
            "generic-law", "--mllp", f"127.0.0.1:{port}", "--barcodes", "1001", "--tests", "TSH"
        )

    assert code == 0
    assert b"|TSH^TSH^99SIM|" in host.messages[0]


async def test_the_host_calls_the_analyser():
    host = AstmHost()
    async with listening(host) as free:
        port = free  # free again once this block is left
    running = asyncio.create_task(simulate("generic-astm", "--listen", str(port), "--barcodes", "1001"))
    while True:
        try:
            end = await tcp_client("127.0.0.1", port)()
            break
        except OSError:
            await asyncio.sleep(0.05)
    serving = asyncio.create_task(host.serve(end))
    code, out, _ = await running
    await serving

    assert (code, "1001: 7 sonuç onaylandı" in out) == (0, True)
    assert len(host.messages) == 1


async def test_a_captured_file(samples: Path):
    host = AstmHost()
    capture = samples / "astm/roche-elecsys-2010/probnp.astm"
    async with listening(host) as port:
        code, _, __ = await simulate("roche-cobas-e411", "--connect", f"127.0.0.1:{port}", "--raw", str(capture))

    assert code == 0
    assert b"\rR|1|^^^271^^0|6422|pg/ml|" in host.messages[0]


def test_a_one_way_analyser_does_not_ask(capsys: pytest.CaptureFixture[str]):
    assert command(["alcor-ised", "--connect", "127.0.0.1:1", "--query"]) == 2
    assert "sorgu yapmaz" in capsys.readouterr().err


async def test_a_hospital_places_orders_and_shows_results():
    def answer(payload: bytes) -> list[bytes]:
        acknowledged = says("AA")(payload)
        step = payload.split(b"\rORC|NW|")[1].split(b"|")[0].decode() if acknowledged else ""
        return [*acknowledged, RESULT.format(step=step).encode()] if acknowledged else []

    host = MllpHost(answer)
    async with listening(host) as port:
        arguments = ["--mllp", f"127.0.0.1:{port}", "--tests", "GLU,K", "--stay", "0.3"]
        code, out, _ = await simulate("hastane", *arguments)

    assert code == 0
    assert ": AA" in out
    assert "GLU = 92 mg/dL N" in out


async def test_the_fleet_takes_tubes_from_its_input():
    """Four analysers, each with its own connection per session; what it is not offered it does not run."""

    def esr(message: bytes) -> list[bytes] | None:
        return [b"H|\\^&", b"O|1|1001||^^^ESR|R||||||A", b"L|1|N"] if b"^1001|" in message else [b"H|\\^&", b"L|1|I"]

    answers: list[AnswerRecords] = [xn_answer, roche_answer(b"^^^717^"), roche_answer(rb"^^^10^\^^^400^"), esr]
    hosts = [AstmHost(answer) for answer in answers]
    async with contextlib.AsyncExitStack() as stack:
        base = await stack.enter_async_context(four_ports(hosts))
        code, out, err = await simulate("filo", "--port-base", str(base), "--speed", "0", stdin="1001\n\n")

    assert (code, err) == (0, "")
    results = [
        [record.split(b"|")[2] for record in host.messages[-1].split(b"\r") if record[:1] == b"R"] for host in hosts
    ]
    assert results == [
        [b"^^^^WBC^1", b"^^^^HGB^1", b"^^^^PLT^1"],
        [b"^^^717/"],
        [b"^^^10/1/not", b"^^^400/1/not"],
        [b"^^^ESR"],
    ]
    assert out.count("sonuç gönderildi") == 4
    assert all(MODELS[model].name in out for model, _ in FLEET)


async def test_tubes_of_one_order_never_run_side_by_side():
    """Three tubes carry one number: those that come while a round is waiting share it, a later one gets its own."""
    host = AstmHost(lambda _: [b"H|\\^&", b"L|1|I"])

    async def tubes() -> AsyncIterator[str]:
        yield "1001"
        yield "1001"
        await asyncio.sleep(0.02)  # the first round has begun
        yield "1001"

    async with four_ports([host] * 4) as base:
        fleet = Fleet("127.0.0.1", base, speed=0, say=lambda _: None, timing=Timing.hurried())
        fleet.analysers, fleet._locks = fleet.analysers[3:], fleet._locks[3:]  # one is enough
        await fleet.run(tubes())

    assert [message.count(b"^1001|") for message in host.messages] == [1, 1]


@contextlib.asynccontextmanager
async def four_ports(hosts: list[AstmHost]) -> AsyncIterator[int]:
    """Four neighbouring free ports; the base that gives them as base + 1 to base + 4."""
    for base in range(21_000, 60_000, 10):
        async with contextlib.AsyncExitStack() as stack:
            try:
                for offset, host in enumerate(hosts, 1):
                    await stack.enter_async_context(listening(host, base + offset))
            except OSError:
                continue
            yield base
            return


async def test_the_fleet_waits_for_numune_and_ends_on_sigterm():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators",
        *["filo", "--port-base", "9", "--speed", "0"],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"1001\n")
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    process.send_signal(signal.SIGTERM)
    _, err = await asyncio.wait_for(process.communicate(), 20)

    assert "bağlanamadı" in line.decode()
    assert (process.returncode, err) == (0, b"")


# ---- what is said to people who typed something wrong


def test_an_unknown_model(capsys: pytest.CaptureFixture[str]):
    assert command(["xn-9000", "--connect", "127.0.0.1:1"]) == 2
    assert "diye bir cihaz profili yok. Olanlar: generic-astm" in capsys.readouterr().err


def test_an_unknown_fault(capsys: pytest.CaptureFixture[str]):
    assert command(["generic-astm", "--connect", "127.0.0.1:1", "--faults", "olmaz"]) == 2
    assert "diye bir arıza yok" in capsys.readouterr().err


def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str]):
    assert command(["generic-astm", "--connect", "burada"]) == 2
    assert "HOST:PORT" in capsys.readouterr().err


def test_mllp_for_an_astm_analyser(capsys: pytest.CaptureFixture[str]):
    assert command(["generic-astm", "--mllp", "127.0.0.1:1"]) == 2
    assert "HL7 konuşmaz" in capsys.readouterr().err


def test_nobody_listens(capsys: pytest.CaptureFixture[str]):
    assert command(["generic-astm", "--connect", "127.0.0.1:9", "--patience", "0", "--quiet"]) == 1
    assert "Bağlanılamadı" in capsys.readouterr().err
