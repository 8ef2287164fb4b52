"""Sends finished label commands to a network printer (raw TCP, port 9100). The only part of `barcode` that does I/O."""

from __future__ import annotations

import asyncio

RAW_PORT = 9100


class PrinterError(Exception):
    """The labels were not, or not surely, handed over. The message is Turkish and says what to check."""


CLOSING_TIME = 2.0
"""Seconds for the printer to close its side. Some never do; all bytes are theirs by then, so that is no failure."""


async def send(host: str, data: bytes, *, port: int = RAW_PORT, within: float = 10.0) -> None:
    """Hand all bytes to the printer and close the line. within: seconds to connect and hand over.

    A raw port does not answer, so success means "taken by the printer", not "on paper".
    Raises PrinterError: not reachable, the line broke, or the time ran out.
    """
    where = f"{host}:{port}"
    connected = False
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(host, port)
            connected = True
        try:
            async with asyncio.timeout(within):
                writer.write(data)
                await writer.drain()
                writer.write_eof()
            await _closed_by_printer(reader)
        finally:
            writer.close()
    except TimeoutError:
        raise PrinterError(_message(where, connected, f"{within:g} saniyede tamamlanamadı")) from None
    except OSError as error:
        raise PrinterError(_message(where, connected, error.strerror or type(error).__name__)) from error


async def _closed_by_printer(reader: asyncio.StreamReader) -> None:
    """Wait for the printer's own close; a reset instead (it threw the job away) raises ConnectionResetError."""
    try:
        async with asyncio.timeout(CLOSING_TIME):
            while await reader.read(4096):
                pass
    except TimeoutError:
        return


def _message(where: str, connected: bool, problem: str) -> str:
    if connected:
        advice = "Basılan etiketleri sayın, eksikleri yeniden basın"
        return f"Barkod yazıcıya ({where}) gönderim yarıda kaldı: {problem}. {advice}."
    return f"Barkod yazıcıya ({where}) ulaşılamadı: {problem}. Yazıcının açık ve ağa bağlı olduğunu kontrol edin."
