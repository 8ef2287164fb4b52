"""Real lines: TCP in both roles, a serial line over a pseudo-terminal; and what can go wrong on a cable."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator

import pytest

from simulators.analyser import Timing, build_analyser
from simulators.cable import Cable, Damage, LineDown, StreamEnd, TcpServer, serial_port, tcp_client
from tests.simulators.hosts import AstmHost

HURRIED = Timing.hurried()


def glucose(message: bytes) -> list[bytes] | None:
    return [b"H|\\^&", b"O|1|1001||^^^GLU|R||||||A", b"L|1|N"] if b"\rQ|" in message else None


@contextlib.asynccontextmanager
async def serving(host: AstmHost, end: object) -> AsyncIterator[None]:
    task = asyncio.create_task(host.serve(end))  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_analyser_calls_the_host():
    host = AstmHost(glucose)
    server = TcpServer()
    await server.start()
    async with (
        build_analyser("generic-astm", tcp_client("127.0.0.1", server.port), timing=HURRIED) as analyser,
        serving(host, await server.plug()),
    ):
        report = await analyser.runs("1001")

    assert report is not None
    assert [one.code for one in report.results] == ["GLU"]
    await server.close()


async def test_the_host_calls_the_analyser():
    host = AstmHost(glucose)
    waiting = TcpServer()
    await waiting.start()
    analyser = build_analyser("generic-astm", waiting.plug, timing=HURRIED)
    connecting = asyncio.create_task(analyser.connect())
    reader, writer = await asyncio.open_connection("127.0.0.1", waiting.port)
    async with serving(host, StreamEnd(reader, writer)):
        await connecting
        report = await analyser.runs("1001")

        assert report is not None
        assert len(report.results) == 1
        await analyser.disconnect()
    await waiting.close()


async def test_a_serial_line_over_a_pseudo_terminal():
    """Every byte value of a session passes a pseudo-terminal in raw mode, and pyserial opens it like a real port."""
    near, far = os.openpty()
    tty.setraw(near)
    tty.setraw(far)
    host = AstmHost(glucose)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    receiving, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(near, "rb", 0))
    sending, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(os.dup(near), "wb", 0)
    )
    end = StreamEnd(reader, asyncio.StreamWriter(sending, protocol, None, loop))

    async with (
        build_analyser("generic-astm", serial_port(os.ttyname(far)), timing=HURRIED) as analyser,
        serving(host, end),
    ):
        report = await analyser.runs("1001")
        analyser.one_byte_at_a_time()
        await analyser.reports("1001", K="4.1 mmol/L")
        await asyncio.sleep(0.05)

    assert report is not None
    assert len(host.messages) == 3
    receiving.close()
    sending.close()
    os.close(far)


async def test_the_line_of_a_real_socket_breaks_in_the_middle():
    host = AstmHost()
    server = TcpServer()
    await server.start()

    async def serve() -> None:
        while True:
            await host.serve(await server.plug())

    task = asyncio.create_task(serve())
    async with build_analyser("generic-astm", tcp_client("127.0.0.1", server.port), timing=HURRIED) as analyser:
        analyser.cut_at(100)
        await analyser.reports("1001", GLU="92 mg/dL")
        await asyncio.sleep(0.05)

    assert len(host.messages) == 1
    task.cancel()
    await server.close()


# ---- damage


async def arriving(damage: Damage, *writes: bytes) -> list[bytes]:
    pieces: list[bytes] = []

    async def deliver(data: bytes) -> None:
        pieces.append(data)

    for data in writes:
        if not await damage.carry(data, deliver):
            pieces.append(b"<dead>")
    await asyncio.sleep(0.05)
    return pieces


async def test_splits():
    damage = Damage()
    damage.splits(2)

    assert await arriving(damage, b"abcde") == [b"ab", b"cd", b"e"]


async def test_merges():
    damage = Damage()
    damage.merges(0.01)

    assert await arriving(damage, b"ab", b"cd") == [b"abcd"]


async def test_drops_count_over_the_whole_stream():
    damage = Damage()
    damage.drops(1, 3)

    assert await arriving(damage, b"ab", b"cd") == [b"a", b"c"]


async def test_garbles_before_every_frame_and_block():
    damage = Damage()
    damage.garbles(b"?")

    assert await arriving(damage, b"\x05", b"\x021H\x0b") == [b"\x05", b"?\x021H?\x0b"]


async def test_cut_after_a_count_of_bytes():
    damage = Damage()
    damage.cut_after(3)

    assert await arriving(damage, b"ab", b"cd") == [b"ab", b"c", b"<dead>"]


async def test_delay():
    damage = Damage()
    damage.delays(0.05)
    begin = asyncio.get_running_loop().time()
    await arriving(damage, b"a")

    assert asyncio.get_running_loop().time() - begin >= 0.05


async def test_healed_is_whole_again():
    damage = Damage()
    damage.splits()
    damage.drops(0)
    damage.heals()

    assert await arriving(damage, b"abc") == [b"abc"]


async def test_a_cut_cable_ends_both_sides_and_can_be_plugged_in_again():
    cable = Cable()
    end = await cable.plug()
    await end.write(b"before")
    await cable.cut()

    assert await cable.host.read() == b"before"
    assert await cable.host.read() == b""
    with pytest.raises(LineDown):
        await end.write(b"after")
    again = await cable.plug()
    host = await cable.reconnected()
    await again.write(b"new")
    assert await host.read() == b"new"


async def test_a_lost_byte_on_the_cable_is_repaired_by_the_protocol():
    host = AstmHost()
    cable = Cable()
    async with serving(host, cable.host):
        await asyncio.sleep(0)
        async with build_analyser("generic-astm", cable.plug, timing=HURRIED) as analyser:
            cable.to_host.drops(20)
            await analyser.reports("1001", GLU="92 mg/dL")
            await asyncio.sleep(0.03)

            assert host.messages == analyser.acknowledged_messages
