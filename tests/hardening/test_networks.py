"""Instrument ports take only the networks that they are told to take."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from api.line_desk import LineDesk
from drivers.definition import Catalog
from drivers.gateway.line import LineSpec
from drivers.links.gate import LineSecurity
from drivers.links.networks import TOLD_AT_ONCE, WINDOW_SECONDS, Networks, Refusals
from lis_core.storage.database import Database
from tests.gateway.conftest import ACK, ENQ, EOT, frame, free_port, message_records
from tests.hardening.conftest import Bench

HL7 = (
    b"\x0bMSH|^~\\&|CIHAZ|LAB|NUMUNE|LAB|20261122101500||ORU^R01|1|P|2.3.1\rPID|1||1\r"
    b"OBR|1||1001\rOBX|1|NM|GLU||95|mg/dL|||||F\r\x1c\r"
)
STRANGER = "127.0.0.2"


def _line(port: int, protocol: str, **settings: Any) -> LineSpec:
    return LineSpec("genel", "tcp-sunucu", protocol, f"127.0.0.1:{port}", f"generic-{protocol}", settings)  # type: ignore[arg-type]


async def _says(port: int, data: bytes, address: str = "127.0.0.1") -> bytes:
    """Connect from this address, send everything at once, return what comes back until the line is closed or silent."""
    heard, writer = b"", None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(2):
            while part := await reader.read(100):
                heard += part
                if heard.endswith((b"\x1c\r", ACK * 6)):
                    return heard
    except (ConnectionResetError, BrokenPipeError, TimeoutError):
        pass  # hung up on, which is what a stranger gets
    finally:
        if writer is not None:
            writer.close()
    return heard


@pytest.mark.parametrize("protocol", ["astm", "hl7"])
async def test_a_message_from_an_unknown_address_is_hung_up_before_a_byte_is_read(
    protocol: str, tmp_path: Path, definitions: Catalog
) -> None:
    """Attack: a machine on the hospital's network sends a result of its own to the analyser's port."""
    port = free_port()
    bench = Bench(tmp_path / "spool", definitions, LineSecurity())
    await bench.gateway.start_lines([_line(port, protocol, izinli=["127.0.0.1", "10.9.0.0/16"])])
    frames = [frame(n, record) for n, record in enumerate(message_records("1001", [("GLU", "95", "mg/dL")]), 1)]
    sent = HL7 if protocol == "hl7" else ENQ + b"".join(frames) + EOT
    try:
        book = bench.gateway.lines["genel"]
        assert await _says(port, sent, STRANGER) == b"", "no ACK, no AA: the stranger learns nothing"
        assert (book.status.messages, book.status.last_byte, bench.delivered) == (0, None, [])
        assert book.status.refused == 1
        assert any(STRANGER in sentence and "izinli ağlardan değil" in sentence for _, sentence in book.events)

        assert await _says(port, sent), "the analyser itself is answered"
        async with asyncio.timeout(5):
            while not bench.delivered:
                await asyncio.sleep(0.01)
        assert [one.test for one in bench.delivered[0].observations] == ["GLU"]
    finally:
        await bench.gateway.stop()


async def test_what_stands_for_all_lines_holds_where_a_line_says_nothing(tmp_path: Path, definitions: Catalog) -> None:
    security = LineSecurity.of({"ag": {"cihazlar": ["10.9.0.0/16"]}})
    closed, own = free_port(), free_port()
    bench = Bench(tmp_path / "spool", definitions, security)
    try:
        lines = [_line(closed, "astm"), _line(own, "astm", izinli=["127.0.0.0/8"])]
        await bench.gateway.start_lines([lines[0], LineSpec(*_fields(lines[1], "kendi"))])
        assert await _says(closed, ENQ) == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", own)
        writer.write(ENQ)
        assert await asyncio.wait_for(reader.read(1), 2) == ACK
        writer.close()
    finally:
        await bench.gateway.stop()


def _fields(spec: LineSpec, name: str) -> tuple[Any, ...]:
    return (name, spec.kind, spec.protocol, spec.address, spec.definition, spec.settings)


async def test_a_scanner_fills_neither_the_history_nor_the_audit(
    lab: Database, tmp_path: Path, definitions: Catalog
) -> None:
    """Attack: a port scanner calls three hundred times. A few lines say so, and how often."""
    port = free_port()
    bench = Bench(tmp_path / "spool", definitions, LineSecurity())
    await bench.gateway.start_lines([_line(port, "astm", izinli=["10.0.0.0/8"])])
    book = bench.gateway.lines["genel"]
    clock = [0.0]
    book.refusals = Refusals(book._tell_refused, lambda: clock[0])
    desk = LineDesk(lab, bench.gateway)
    try:
        for number in range(300):
            assert await _says(port, b"", f"127.0.{number % 20}.9") == b""
        clock[0] = WINDOW_SECONDS + 1
        await desk.write_history()
        assert book.status.refused == 300
        async with lab.reading() as session:
            rows = (
                await session.execute(
                    text(
                        "select sonraki from denetim where islem = 'hat.reddedildi' and nesne_kodu = 'genel' order by sira"
                    )
                )
            ).all()
            events = await session.scalar(text("select count(*) from baglanti_olayi where cumle like '%kapatıldı%'"))
        assert len(rows) == TOLD_AT_ONCE + 1
        assert rows[0][0]["adres"] == "127.0.0.9"
        assert rows[-1][0] | {"zaman": ""} == {"adres": "çeşitli", "adet": 300 - TOLD_AT_ONCE, "zaman": ""}
        assert events == TOLD_AT_ONCE + 1
    finally:
        await bench.gateway.stop()


async def test_a_network_that_cannot_be_read_closes_the_line_and_says_why(tmp_path: Path, definitions: Catalog) -> None:
    """A typing mistake must not open the port to everybody."""
    bench = Bench(tmp_path / "spool", definitions, LineSecurity())
    try:
        await bench.gateway.start_lines([_line(free_port(), "astm", izinli=["10.0.0.0/99"])])
        book = bench.gateway.lines["genel"]
        assert not book.status.listening
        assert "ağ okunamadı" in (book.status.last_error or "")
    finally:
        await bench.gateway.stop()


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(st.lists(st.tuples(addresses, st.integers(0, 32)), max_size=4), addresses)
def test_who_is_admitted_is_who_stands_in_a_network(named: list[Any], peer: Any) -> None:
    texts = [f"{address}/{width}" for address, width in named]
    plain = getattr(peer, "ipv4_mapped", None) or peer
    inside = any(
        plain in net
        for net in (ipaddress.ip_network(text, strict=False) for text in texts)
        if net.version == plain.version
    )
    assert Networks.of(texts).admits(str(peer)) == (inside or not texts)


def test_a_v4_peer_on_a_v6_socket_is_the_same_peer() -> None:
    networks = Networks.of(["10.1.0.0/16"])
    assert networks.admits("::ffff:10.1.2.3")
    assert not networks.admits("::ffff:10.2.2.3")
    assert not networks.admits("")
