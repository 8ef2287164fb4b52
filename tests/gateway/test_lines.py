"""Every kind of line: we listen, we call, a serial port; what happens when they vanish and return."""

from __future__ import annotations

import asyncio
import os
import tty
from pathlib import Path

from benchmarks.laboratory import place_orders
from drivers.definition import Catalog
from drivers.gateway.line import LineSpec
from lis_core.storage.database import Database
from tests.gateway.conftest import ACK, ENQ, EOT, House, frames_of, free_port, message_records, reachable

RESULTS = [("WBC", "6.52", "10*3/uL"), ("HGB", "13.9", "g/dL")]


class Terminal:
    """The instrument's end of a serial cable: the master of a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        os.set_blocking(self.master, False)

    async def ask(self, data: bytes) -> bytes:
        os.write(self.master, data)
        for _ in range(500):
            try:
                return os.read(self.master, 1)
            except BlockingIOError:
                await asyncio.sleep(0.01)
        raise TimeoutError

    async def session(self, frames: list[bytes]) -> None:
        for step in [ENQ, *frames]:
            assert await self.ask(step) == ACK
        os.write(self.master, EOT)

    def vanish(self) -> None:
        os.close(self.master)
        os.close(self._slave)


async def count(house: House) -> int:
    await house.settled()
    return int(await house.value("select count(*) from tetkik_sonuc"))


async def until(condition: object, seconds: float = 8) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never happened")


async def test_a_serial_analyser_sends_over_a_pseudo_terminal(lab: Database, tmp_path: Path, catalog: Catalog) -> None:
    numbers = place_orders(lab.url, 1)
    terminal = Terminal()
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(LineSpec("genel", "seri", "astm", terminal.path, "generic-astm", {"hiz": 9600, "parite": "N"}))
    await until(lambda: house.book.status.listening)
    await terminal.session(frames_of(message_records(numbers[0], RESULTS)))
    await asyncio.sleep(0.1)
    assert await count(house) == 2
    await house.stop()
    terminal.vanish()


async def test_a_serial_port_that_vanishes_is_opened_again_when_it_returns(
    lab: Database, tmp_path: Path, catalog: Catalog
) -> None:
    """As a USB adapter that is pulled out and put back: the same name, another device."""
    numbers = place_orders(lab.url, 1)
    name = tmp_path / "ttyUSB0"
    first = Terminal()
    name.symlink_to(first.path)
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(LineSpec("genel", "seri", "astm", str(name), "generic-astm", {}))
    await until(lambda: house.book.status.listening)
    name.unlink()
    first.vanish()
    await until(lambda: not house.book.status.listening)
    assert house.book.status.last_error

    second = Terminal()
    name.symlink_to(second.path)
    await until(lambda: house.book.status.listening)
    await second.session(frames_of(message_records(numbers[0], RESULTS)))
    await asyncio.sleep(0.1)
    assert await count(house) == 2
    await house.stop()
    second.vanish()


async def test_we_call_the_instrument_and_call_again_when_it_hangs_up(
    lab: Database, tmp_path: Path, catalog: Catalog
) -> None:
    numbers = place_orders(lab.url, 2)
    port = free_port()
    served: list[str] = []

    async def instrument(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Sends one message a call, then hangs up."""
        if len(served) < len(numbers):
            number = numbers[len(served)]
            for step in [ENQ, *frames_of(message_records(number, RESULTS))]:
                writer.write(step)
                assert await reader.read(1) == ACK
            writer.write(EOT)
            await writer.drain()
            served.append(number)
        writer.close()

    house = House(lab, tmp_path / "spool", catalog)
    await house.start(LineSpec("genel", "tcp-istemci", "astm", f"127.0.0.1:{port}", "generic-astm", {}))
    await until(lambda: "bağlanılamadı" in (house.book.status.last_error or ""))
    server = await asyncio.start_server(instrument, "127.0.0.1", port)
    await until(lambda: len(served) == 2)
    await asyncio.sleep(0.1)
    assert await count(house) == 4
    server.close()
    await house.stop()


async def test_a_line_opens_changes_and_closes_without_a_restart(
    lab: Database, tmp_path: Path, catalog: Catalog
) -> None:
    house = House(lab, tmp_path / "spool", catalog)
    await house.start()
    old, new = house.port, free_port()
    assert await reachable(old)
    await house.gateway.apply([LineSpec("genel", "tcp-sunucu", "astm", f"127.0.0.1:{new}", "generic-astm")])
    assert (await reachable(old), await reachable(new)) == (False, True)
    await house.gateway.apply([])
    assert not await reachable(new)
    await house.stop()


async def test_a_port_in_use_is_said_in_words_and_tried_again(lab: Database, tmp_path: Path, catalog: Catalog) -> None:
    port = free_port()
    squatter = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    house = House(lab, tmp_path / "spool", catalog)
    house.port = port
    await house.start()
    assert "portu açılamadı" in house.book.status.last_error
    squatter.close()
    await squatter.wait_closed()
    await until(lambda: house.book.status.listening)
    await house.stop()
