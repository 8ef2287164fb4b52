"""The hospital's port takes the hospital, and over TLS only the hospital that shows its certificate."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from sqlalchemy import text

from hbys_bridge.hl7.inbound import HospitalServer
from hbys_bridge.settings import BridgeSettings, read_settings
from lis_core.storage.database import Database
from tests.hardening.conftest import Authority

HELLO = b"\x0bMSH|^~\\&|HBYS|PERTEK|NUMUNE|LAB|20261122101500||ADT^A08|77|P|2.5\r\x1c\r"


async def test_a_stranger_reaches_no_order_and_a_hospital_speaks_over_tls(
    lab: Database, authority: Authority, tmp_path: Path
) -> None:
    papers, hospital = authority.papers("127.0.0.1"), authority.papers("hbys.pertek")
    chosen = read_settings(BridgeSettings(), {"izinli": ["127.0.0.1/32"], "tls": papers.table()})
    server = HospitalServer(lab, "127.0.0.1:0", settings=chosen)
    await server.start()
    try:
        with pytest.raises(ConnectionError):
            await _ask(server.port, None, "127.0.0.2")
        unknown = ssl.create_default_context(cafile=str(authority.file))
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await _ask(server.port, unknown)
        known = ssl.create_default_context(cafile=str(authority.file))
        known.load_cert_chain(hospital.certificate, hospital.key)
        assert b"MSA|" in await _ask(server.port, known)
        while server._telling:
            await asyncio.gather(*server._telling)
        async with lab.reading() as session:
            rows = (
                await session.execute(
                    text(
                        "select sonraki->>'adres', sonraki->>'neden' from denetim where islem = 'hat.reddedildi' order by 1"
                    )
                )
            ).all()
            messages = await session.scalar(text("select count(*) from hbys_mesaj where yon = 'gelen'"))
        assert [row[0] for row in rows] == ["127.0.0.1", "127.0.0.2"]
        assert "TLS kurulamadı" in rows[0][1]
        assert messages == 1, "only the hospital's own message was taken"
    finally:
        await server.stop()


async def _ask(port: int, context: ssl.SSLContext | None, address: str = "127.0.0.1") -> bytes:
    """What the port answers to a message. Raises ConnectionError where it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(address, 0))
    try:
        writer.write(HELLO)
        await writer.drain()
        async with asyncio.timeout(5):
            heard = await reader.read(2000)
        if not heard:
            raise ConnectionResetError
        return heard
    finally:
        writer.close()
