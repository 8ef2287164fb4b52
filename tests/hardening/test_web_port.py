"""The web port: TLS before anything leaves the machine, and patience that ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from api import middleware, web_port
from api.app import create_app
from api.run import command
from api.serve import WebServer
from api.web_port import check_exposure, most_connections
from lis_core.settings import Settings
from lis_core.storage.database import Database
from tests.conftest import DEMO_PASSWORD, _sibling
from tests.gateway.conftest import free_port
from tests.hardening.conftest import Authority

LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def filled(pg_server: str, lab_template: str) -> Iterator[str]:
    name = f"web_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {lab_template}")
    yield _sibling(pg_server, name)
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@contextlib.asynccontextmanager
async def _serving(url: str, folder: Path, **tls: Path) -> AsyncIterator[WebServer]:
    database, port = Database(url, pool_size=2), free_port()
    server = WebServer(create_app(database, Settings(data_dir=folder)), LOOPBACK, port, **tls)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await task
        await database.close()


@pytest.fixture(scope="module")
async def server(filled: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WebServer]:
    async with _serving(filled, tmp_path_factory.mktemp("web")) as serving:
        yield serving


@pytest.fixture
def port(server: WebServer) -> int:
    return int(server.config.port)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ends, sooner."""
    monkeypatch.setattr(web_port, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(web_port, "READ_SECONDS", 0.4)
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.4)


async def _until_hung_up(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            while part := await reader.read(65536):
                heard += part
    return heard


async def _is_served(port: int) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{LOOPBACK}:{port}/healthz")).status_code == 200


async def test_a_head_that_comes_byte_by_byte_is_given_up_and_others_are_served(port: int) -> None:
    """Attack: Slowloris."""
    slow = [await asyncio.open_connection(LOOPBACK, port) for _ in range(20)]
    for _, writer in slow:
        writer.write(b"GET /giris HTTP/1.1\r\nHost: numune\r\nX-A: ")

    async def dribble() -> None:
        while True:
            for _, writer in slow:
                writer.write(b"a")
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    await _is_served(port)
    began = time.monotonic()
    answers = await asyncio.gather(*[_until_hung_up(reader) for reader, _ in slow])
    dribbling.cancel()
    assert time.monotonic() - began < 3
    assert all(answer == b"" or answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    for _, writer in slow:
        writer.close()


async def test_a_connection_that_says_nothing_or_nothing_more_is_closed(port: int) -> None:
    silent, _keep = await asyncio.open_connection(LOOPBACK, port)
    assert await _until_hung_up(silent) == b""

    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: numune\r\n\r\n")
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
    writer.write(b"\r\n")  # empty lines between requests do not keep a connection for ever either
    assert b"408" in await _until_hung_up(reader)


@pytest.mark.parametrize("head", [b"X-A: " + b"a" * 400_000, b"Cookie: a=b\r\n" * 20_000])
async def test_a_head_without_end_is_refused_before_it_fills_the_memory(head: bytes, port: int) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    with contextlib.suppress(ConnectionError):
        writer.write(b"GET /giris HTTP/1.1\r\nHost: numune\r\n" + head + b"\r\n\r\n")
        await writer.drain()
    answer = await _until_hung_up(reader)
    assert answer[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b""), answer[:80]
    await _is_served(port)


@pytest.mark.parametrize("announced", [True, False], ids=["by its length", "in chunks"])
async def test_a_body_beyond_the_limit_is_refused_by_its_length_and_by_counting(announced: bool, port: int) -> None:
    size = middleware.MAX_BODY + 70_000
    headers = f"Content-Length: {size}" if announced else "Transfer-Encoding: chunked"
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(f"POST /api/v1/auth/token HTTP/1.1\r\nHost: numune\r\n{headers}\r\n\r\n".encode())
    sent = 0
    with contextlib.suppress(ConnectionError):
        while not announced and sent < size:
            writer.write(b"ffff\r\n" + b" " * 65_535 + b"\r\n")
            await writer.drain()
            sent += 65_535
    answer = await _until_hung_up(reader)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"NUM-0006" in answer


async def test_a_body_that_never_ends_is_given_up_with_words(port: int) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"POST /api/v1/auth/token HTTP/1.1\r\nHost: numune\r\nContent-Length: 60\r\n\r\n{")
    answer = await _until_hung_up(reader)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"NUM-0012" in answer
    writer.close()


async def test_a_client_that_does_not_read_its_answer_is_hung_up(server: WebServer, port: int) -> None:
    """Attack: ask for much, read nothing; the answers wait in our memory."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (LOOPBACK, port))
    mine = sock.getsockname()
    await loop.sock_sendall(sock, b"GET /api/openapi.json HTTP/1.1\r\nHost: numune\r\n\r\n" * 400)

    def held() -> bool:
        return any(getattr(one, "client", None) == mine for one in server.server_state.connections)

    async with asyncio.timeout(5):
        while not held():
            await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        while held():
            await asyncio.sleep(0.05)
    sock.close()


async def test_over_tls_the_session_stays_on_tls(filled: str, authority: Authority, tmp_path: Path) -> None:
    papers = authority.papers(LOOPBACK)
    async with _serving(filled, tmp_path, certificate=papers.certificate, key=papers.key) as server:
        address = f"https://{LOOPBACK}:{server.config.port}"
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(authority.file))) as client:
            page = await client.get(f"{address}/giris")
            assert page.headers["strict-transport-security"].startswith("max-age=31536000")
            given = {"username": "teknisyen", "password": DEMO_PASSWORD}
            token = (await client.post(f"{address}/api/v1/auth/token", json=given)).json()
            assert token["token_type"].lower() == "bearer"
        old = ssl.create_default_context(cafile=str(authority.file))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("AES128-SHA:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(LOOPBACK, server.config.port, ssl=old)
        with pytest.raises(httpx.RemoteProtocolError):
            async with httpx.AsyncClient() as client:
                await client.get(f"http://{LOOPBACK}:{server.config.port}/giris")


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"NUMUNE_HTTP": "127.0.0.1:8000"}, True),
        ({"NUMUNE_HTTP": "[::1]:8000"}, True),
        ({"NUMUNE_HTTP": "localhost:8000"}, True),
        ({"NUMUNE_HTTP": "0.0.0.0:8000"}, False),
        ({"NUMUNE_HTTP": "[::]:8000"}, False),
        ({"NUMUNE_HTTP": "lab.hastane:8000"}, False),
        ({"NUMUNE_HTTP": "0.0.0.0:8000", "NUMUNE_HTTP_PROXY": "10.0.0.5"}, True),
        ({"NUMUNE_HTTP": "0.0.0.0:8443", "NUMUNE_HTTP_CERTIFICATE": "a.crt", "NUMUNE_HTTP_KEY": "a.key"}, True),
        ({"NUMUNE_HTTP": "127.0.0.1:8443", "NUMUNE_HTTP_CERTIFICATE": "a.crt"}, False),
    ],
)
def test_the_port_is_open_to_others_only_with_tls_or_behind_a_named_proxy(
    settings: dict[str, str], allowed: bool
) -> None:
    chosen = Settings.from_environment(settings)
    if allowed:
        check_exposure(chosen)
        return
    with pytest.raises(ValueError, match="NUMUNE_HTTP_CERTIFICATE"):
        check_exposure(chosen)


def test_the_program_says_so_instead_of_starting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMUNE_HTTP", "0.0.0.0:8000")
    monkeypatch.setenv("NUMUNE_DATA_DIR", str(tmp_path / "veri"))
    assert command([]) == 1
    assert "NUMUNE_HTTP_PROXY" in capsys.readouterr().err
    assert not (tmp_path / "veri").exists()


def test_the_web_never_takes_the_last_files_from_the_lines() -> None:
    import resource

    assert most_connections() <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
