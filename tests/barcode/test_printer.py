"""Labels reach the printer whole, or somebody is told."""

from __future__ import annotations

import asyncio
import socket

import pytest

from barcode import printer
from barcode.label import tube_label
from barcode.zpl import zpl

LABEL = zpl(
    [
        tube_label(
            number="1001", barcode="100101", group="Biyokimya", given_name="Ayşe", family_name="Yılmaz", sender="Dr A"
        )
    ]
)


class Printer:
    """A raw-port printer on this machine. manner: "takes" the job, "breaks" the line, or "keeps" it open."""

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.paper = b""
        self.finished = asyncio.Event()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self.finished.set()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.manner == "breaks":
            await reader.read(10)
            writer.transport.abort()
            return
        self.paper = await reader.read(-1)
        if self.manner == "keeps":
            await self.finished.wait()
        writer.close()


async def test_the_printer_gets_every_byte() -> None:
    office = Printer("takes")
    async with office as port:
        await printer.send("127.0.0.1", LABEL * 100, port=port)

    assert office.paper == LABEL * 100


async def test_a_printer_that_never_hangs_up_has_still_taken_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printer, "CLOSING_TIME", 0.1)
    office = Printer("keeps")
    async with office as port:
        await printer.send("127.0.0.1", LABEL, port=port)
        assert office.paper == LABEL


async def test_a_line_that_breaks_says_to_count_the_labels() -> None:
    async with Printer("breaks") as port:
        with pytest.raises(printer.PrinterError, match=r"yarıda kaldı.*Basılan etiketleri sayın"):
            await printer.send("127.0.0.1", LABEL * 20_000, port=port)


async def test_a_printer_that_is_switched_off_says_what_to_check() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(printer.PrinterError, match=rf"\(127\.0\.0\.1:{port}\) ulaşılamadı.*açık ve ağa bağlı"):
            await printer.send("127.0.0.1", LABEL, port=port)


async def test_a_printer_that_stops_reading_is_not_waited_for_without_end() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(printer.PrinterError, match=r"0\.3 saniyede tamamlanamadı"):
            await printer.send("127.0.0.1", LABEL * 100_000, port=deaf.getsockname()[1], within=0.3)
