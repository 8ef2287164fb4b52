"""Serial ports: every setting reaches the operating system, wrong ones are told, lost ports come back.

A pseudo-terminal has no parity of its own, so the settings are read off the call that carries them to the system.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
import tty
from collections.abc import Callable
from typing import Any

import pytest

from drivers.links.endpoints import SerialPort, serial_options

CMSPAR = 0o10000000000


class Terminal:
    """The instrument's end of a serial cable."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)

    def vanish(self) -> None:
        os.close(self.master)
        os.close(self.slave)


class Ear(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data


async def until(condition: Callable[[], object]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


async def opened(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Any], list[tuple[bool, str | None]]]:
    """What the system was asked for, and what was reported, when a port opens with these settings."""
    asked: list[Any] = []
    real = termios.tcsetattr

    def spy(descriptor: int, when: int, attributes: list[Any]) -> None:
        asked.append(list(attributes))
        with contextlib.suppress(termios.error):  # EINVAL: the pseudo-terminal's answer to parity; a real port takes it
            real(descriptor, when, attributes)

    terminal, reports = Terminal(), []
    monkeypatch.setattr(termios, "tcsetattr", spy)
    port = SerialPort(terminal.path, Ear, lambda is_open, problem: reports.append((is_open, problem)), settings)
    await port.start()
    await until(lambda: reports)
    await port.stop()
    monkeypatch.setattr(termios, "tcsetattr", real)
    terminal.vanish()
    return asked[-1], reports


@pytest.mark.parametrize(
    ("settings", "wanted", "unwanted"),
    [
        ({}, termios.CS8, termios.PARENB | termios.CSTOPB),
        ({"parite": "E", "veri": 7}, termios.CS7 | termios.PARENB, termios.PARODD | CMSPAR),
        ({"parite": "O", "veri": 7, "dur": 2}, termios.CS7 | termios.PARENB | termios.PARODD | termios.CSTOPB, CMSPAR),
        ({"parite": "M", "veri": 7}, termios.PARENB | termios.PARODD | CMSPAR, 0),
        ({"parite": "s"}, termios.PARENB | CMSPAR, termios.PARODD),
        ({"akis": "rtscts"}, termios.CRTSCTS, 0),
        ({"veri": 5, "dur": 1.5}, termios.CS5 | termios.CSTOPB, 0),
    ],
)
async def test_parity_data_and_stop_bits_reach_the_system(
    settings: dict[str, Any], wanted: int, unwanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes, reports = await opened(settings, monkeypatch)

    assert attributes[2] & wanted == wanted
    assert attributes[2] & unwanted == 0
    assert reports[0] == (True, None)


async def test_speed_and_software_flow_control_reach_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    attributes, _ = await opened({"hiz": 1200, "akis": "xonxoff"}, monkeypatch)

    assert attributes[0] & (termios.IXON | termios.IXOFF) == termios.IXON | termios.IXOFF
    assert attributes[4:6] == [termios.B1200, termios.B1200]


async def test_control_lines_that_a_port_does_not_have_are_told_and_the_line_stays_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pseudo-terminal has no DTR."""
    _, reports = await opened({"dtr": True, "rts": False}, monkeypatch)

    assert reports[0][0] is True
    assert reports[0][1] is None or "DTR/RTS ayarlanamadı" in reports[0][1]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"parite": "X"}, "parite N, E, O, M ya da S"),
        ({"veri": 9}, "veri 5, 6, 7 ya da 8"),
        ({"dur": 3}, "dur 1, 1.5 ya da 2"),
        ({"hiz": "hızlı"}, "hiz bir baud sayısı"),
        ({"akis": "elle"}, "akis xonxoff, rtscts ya da dsrdtr"),
    ],
)
def test_a_wrong_setting_is_told_before_the_port_opens(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        serial_options(settings)


async def test_a_port_that_does_not_exist_yet_opens_when_it_appears(tmp_path: Any) -> None:
    name = tmp_path / "ttyUSB7"
    reports: list[tuple[bool, str | None]] = []
    ears: list[Ear] = []

    def factory() -> Ear:
        ears.append(Ear())
        return ears[-1]

    port = SerialPort(str(name), factory, lambda is_open, problem: reports.append((is_open, problem)), {})
    await port.start()
    await until(lambda: reports)
    assert reports[0][0] is False and "açılamadı" in str(reports[0][1])

    terminal = Terminal()
    name.symlink_to(terminal.path)
    await until(lambda: reports[-1][0])
    os.write(terminal.master, b"\x02merhaba\x03")
    await until(lambda: ears[-1].heard == b"\x02merhaba\x03")

    terminal.vanish()
    await until(lambda: not reports[-1][0])
    name.unlink()
    again = Terminal()
    name.symlink_to(again.path)
    await until(lambda: reports[-1][0])
    ears[-1].transport.write(b"\x06")
    await until(lambda: select.select([again.master], [], [], 0)[0])
    assert os.read(again.master, 10) == b"\x06"
    await port.stop()
    again.vanish()
