"""The load generator counts what was acknowledged, and nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from simulators.load import Load, frame, main, percentile, run_load, steps_of
from simulators.load import _Results as Stock
from tests.simulators.hosts import AstmHost
from tests.simulators.test_command import listening


def a_load(port: int, **other: object) -> Load:
    settings: dict[str, object] = {
        "connections": 1,
        "ports": [port],
        "messages": 3,
        "results": 5,
        "framing": "record",
        "barcodes": ["1001", "1002"],
        "tests": ["GLU", "K", "NA"],
    }
    return Load(**(settings | other))  # type: ignore[arg-type]


def test_a_frame_by_hand():
    assert frame(1, b"H|\\^&\r") == b"\x021H|\\^&\r\x03E5\r\n"
    assert frame(8, b"L|1|N\r")[1:2] == b"0"


@pytest.mark.parametrize(("framing", "frames"), [("record", 9), ("message", 1)])
async def test_every_message_arrives_and_is_counted(framing: str, frames: int):
    host = AstmHost()
    async with listening(host) as port:
        figures = await run_load(a_load(port, framing=framing))
        await asyncio.sleep(0.05)

    assert figures["messages_acknowledged"] == figures["messages_asked"] == 3
    assert figures["frames_acknowledged"] == 3 * frames
    assert figures["results_acknowledged"] == 15
    assert [message.split(b"O|1|")[1][:4] for message in host.messages] == [b"1001", b"1002", b"1001"]
    assert [message.count(b"\rR|") for message in host.messages] == [5, 5, 5]
    assert len(set(host.messages)) == 3  # each has its own time of measuring


async def test_a_connection_that_breaks_counts_only_what_was_acknowledged():
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):  # ENQ and two frames
            await reader.readuntil(b"\x05") if _ == 0 else await reader.readuntil(b"\n")
            writer.write(b"\x06")
        await reader.readuntil(b"\n")
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    figures = await run_load(a_load(port))
    server.close()

    assert (figures["messages_acknowledged"], figures["frames_acknowledged"]) == (0, 2)


async def test_the_prober_measures_questions_meanwhile():
    def answer(message: bytes) -> list[bytes] | None:
        return [b"H|\\^&", b"O|1|1001||^^^GLU|R||||||A", b"L|1|N"] if b"\rQ|" in message else None

    host, asked = AstmHost(), AstmHost(answer)
    async with listening(host) as port, listening(asked) as query_port:
        settings = {"messages": 40, "queries": ["1001", "1002"], "query_port": query_port, "query_pause": 0.01}
        figures = await run_load(a_load(port, **settings))

    query = figures["query"]
    assert isinstance(query, dict)
    assert query["complete_ms"]["count"] >= 1
    assert query["begun_ms"]["p50"] <= query["complete_ms"]["p50"]
    assert query["unanswered"] == 0
    assert asked.messages[0].endswith(b"\rQ|1|^1001||ALL||||||||O\rL|1|N\r")


async def test_as_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    host = AstmHost()
    tubes = tmp_path / "tubes"
    tubes.write_text("7\n8\n")
    async with listening(host) as port:
        arguments = ["--connections", "1", "--ports", str(port), "--messages", "4", "--results", "2"]
        code = await asyncio.to_thread(main, [*arguments, "--barcodes-file", str(tubes), "--patience", "3"])

    figures = json.loads(capsys.readouterr().out)
    assert code == 0
    assert figures["messages_acknowledged"] == 4
    assert figures["ack_ms"]["count"] == 8  # ENQ and one frame each


def test_percentiles():
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0], 0.99) == 1.0
    assert percentile([], 0.5) is None


def test_sessions_follow_each_other_without_a_pause():
    steps = steps_of(a_load(1), 0, Stock(["GLU"], 5))

    assert steps[0] == b"\x05"
    assert steps.count(b"\x04\x05") == 2
    assert steps[-1] == b"\x04"
