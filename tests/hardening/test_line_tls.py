"""Lines that leave the house speak TLS, with certificates that both sides check."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from drivers.definition import Catalog
from drivers.gateway.line import LineSpec
from drivers.links.endpoints import TcpClient
from drivers.links.gate import LineSecurity
from drivers.links.tls import TlsFiles
from drivers.outgoing import Outgoing, put_in_force
from tests.gateway.conftest import ACK, ENQ, EOT, Wire, frame, free_port, message_records
from tests.hardening.conftest import Authority, Bench


def _client(authority: Authority, own: tuple[str, str] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if own is not None:
        context.load_cert_chain(*own)
    return context


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_an_analyser_behind_a_stranger_network_sends_over_tls(
    loop: Callable[[], asyncio.AbstractEventLoop], authority: Authority, tmp_path: Path, definitions: Catalog
) -> None:
    """With its certificate it is served; without one, or in plain bytes, it is not."""
    papers = authority.papers("127.0.0.1")
    analyser = authority.papers("cihaz-1.lab")
    security = LineSecurity.of({"tls": {"cihaz": papers.table()}})

    async def story() -> None:
        port = free_port()
        bench = Bench(tmp_path / "spool", definitions, security)
        settings = {"tls": "cihaz", "izinli": ["127.0.0.1"], "ikinci": "birlikte"}
        spec = LineSpec("genel", "tcp-sunucu", "astm", f"127.0.0.1:{port}", "generic-astm", settings)
        await bench.gateway.start_lines([spec])
        book = bench.gateway.lines["genel"]
        try:
            plain = await Wire.to(port)
            await plain.send(ENQ + frame(1, b"H|\\^&\r"))
            assert await plain.reader.read(100) != ACK, "plain bytes are never acknowledged"
            plain.close()

            nameless = await _connected(port, _client(authority))
            assert nameless is None, "an analyser must show its certificate"

            mine = (str(analyser.certificate), str(analyser.key))
            wire = await _connected(port, _client(authority, mine))
            assert wire is not None
            records = message_records("1001", [("GLU", "95", "mg/dL")])
            await wire.session(*[frame(number, record) for number, record in enumerate(records, 1)])
            async with asyncio.timeout(5):
                while not bench.delivered:
                    await asyncio.sleep(0.01)
            assert bench.delivered[0].observations[0].value == "95"
            assert book.status.refused == 2
            assert any("TLS kurulamadı" in sentence for _, sentence in book.events)
            wire.close()
        finally:
            await bench.gateway.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


async def _connected(port: int, context: ssl.SSLContext) -> Wire | None:
    """A wire over TLS on which the other side stays; None where it hangs up. (TLS 1.3 tells a client so afterwards.)"""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(EOT)  # harmless between transfers
        await writer.drain()
        async with asyncio.timeout(0.3):
            if not await reader.read(1):
                return None
    except TimeoutError:
        return Wire(reader, writer)
    except OSError:
        return None
    return None


async def test_we_call_an_analyser_only_if_it_is_the_one_that_its_certificate_names(
    authority: Authority, tmp_path: Path
) -> None:
    """Attack: somebody else answers at the analyser's address."""
    right, wrong = authority.papers("127.0.0.1"), Authority(tmp_path / "baska").papers("127.0.0.1")
    put_in_force(Outgoing(loopback=True))
    outcomes: list[tuple[bool, str | None]] = []
    for papers in (wrong, right):
        server = await asyncio.start_server(
            lambda reader, writer: None, "127.0.0.1", 0,
            ssl=TlsFiles(papers.certificate, papers.key).server(),
        )  # fmt: skip
        port = server.sockets[0].getsockname()[1]
        told: asyncio.Queue[tuple[bool, str | None]] = asyncio.Queue()
        client = TcpClient(
            f"127.0.0.1:{port}",
            asyncio.Protocol,
            lambda is_open, problem: told.put_nowait((is_open, problem)),  # noqa: B023 - used within the turn only
            TlsFiles(authority=authority.file),
        )
        await client.start()
        outcomes.append(await asyncio.wait_for(told.get(), 5))
        await client.stop()
        server.close()
    assert outcomes[0][0] is False
    assert "certificate verify failed" in (outcomes[0][1] or "").lower()
    assert outcomes[1] == (True, None)


async def test_a_line_whose_tls_is_not_set_up_does_not_open_in_plain(tmp_path: Path, definitions: Catalog) -> None:
    bench = Bench(tmp_path / "spool", definitions, LineSecurity())
    spec = LineSpec("genel", "tcp-sunucu", "astm", f"127.0.0.1:{free_port()}", "generic-astm", {"tls": "cihaz"})
    try:
        await bench.gateway.start_lines([spec])
        book = bench.gateway.lines["genel"]
        assert not book.status.listening
        assert "[tls.cihaz]" in (book.status.last_error or "")
    finally:
        await bench.gateway.stop()
