"""Whoever sets an address on a screen, or answers for a name, would have us call what only we can reach (SSRF)."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from drivers import outgoing
from drivers.links.endpoints import SerialPort, TcpClient
from drivers.outgoing import METADATA, Outgoing, Refused, check_serial, written_address
from lis_core.domain.errors import NumuneError
from lis_core.services.fetching import TooMuch, fetch
from lis_core.services.instruments import ConnectionData, save_connection
from lis_core.services.line_watch import ask_trial
from lis_core.services.sign_on import Provider as Configured
from lis_core.services.sign_on import SignOn
from lis_core.storage.database import Database
from tests.accounts.provider import CLIENT, running
from tests.services.steps import user

STRICT = Outgoing()


@pytest.fixture
def strict() -> Iterator[None]:
    """As the program runs where nothing more was allowed."""
    before = outgoing.in_force()
    outgoing.put_in_force(STRICT)
    yield
    outgoing.put_in_force(before)


LOCAL = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "0.0.0.0", "::", "127.255.255.254",
]  # fmt: skip
LINK = ["169.254.1.1", "fe80::1", "fe80::1%eth0"]
CLOUD = ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "2852039166"]
NOBODY = ["224.0.0.1", "255.255.255.255", "ff02::1", "240.0.0.1"]
PRIVATE = ["10.0.0.7", "172.16.5.5", "192.168.1.1", "fd12:3456::1", "::ffff:10.0.0.1", "100.64.0.1"]


@pytest.mark.parametrize("host", [*LOCAL, *LINK, *CLOUD, *NOBODY])
def test_what_is_never_an_instrument_or_a_provider_is_refused_in_every_spelling(host: str) -> None:
    for private in (False, True):
        with pytest.raises(Refused):
            STRICT.check_written(host, private=private)


@pytest.mark.parametrize("host", PRIVATE)
def test_the_hospitals_own_network_is_for_lines_and_not_for_what_another_system_names(host: str) -> None:
    STRICT.check_written(host, private=True)
    with pytest.raises(Refused):
        STRICT.check_written(host, private=False)


def test_the_operator_opens_networks_but_never_the_secrets_of_a_cloud() -> None:
    rules = Outgoing.of({"giden": {"izinli": ["0.0.0.0/0", "::/0"]}})
    for host in ("127.0.0.1", "10.0.0.7", "169.254.1.1", "::1", "93.184.216.34"):
        rules.check_written(host, private=False)
    for host in CLOUD:
        with pytest.raises(Refused):
            rules.check_written(host, private=True)
    assert all(STRICT.problem(address, private=True) for address in METADATA)


@pytest.mark.parametrize(
    "table", [{"izinli": ["her yer"]}, {"klasorler": ["goreli/yol"]}, {"klasorler": ["/srv/../etc"]}, {"izin": []}]
)
def test_a_setting_that_cannot_be_read_stops_the_start(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\[giden\]"):
        Outgoing.of({"giden": table})


def test_a_name_is_no_number() -> None:
    assert written_address("cihaz-3.hastane.local") is None
    assert written_address("127.1") == ip_address("127.0.0.1")


class Liar:
    """A resolver that answers otherwise each time it is asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(2, 1, 6, "", (one, port)) for one in answer.split(",")]


async def test_a_name_that_leads_inside_is_refused_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Liar("127.0.0.1"), raising=False)
    with pytest.raises(Refused, match="bu makinenin kendisidir"):
        await STRICT.resolved("saglayici.example", 443, private=False)


async def test_one_bad_address_among_good_ones_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Liar("93.184.216.34,169.254.169.254"), raising=False)
    with pytest.raises(Refused):
        await STRICT.resolved("saglayici.example", 443, private=False)


async def test_a_line_to_this_machine_says_why_it_is_not_called(strict: None) -> None:
    with pytest.raises(ValueError, match="aranmaz"):
        TcpClient("127.0.0.1:5432", asyncio.Protocol, lambda *_: None)
    said: list[str | None] = []
    client = TcpClient("localhost:5432", asyncio.Protocol, lambda _, problem: said.append(problem))
    await client.start()
    async with asyncio.timeout(5):
        while not said:
            await asyncio.sleep(0.01)
    await client.stop()
    assert said[0] and "aranmaz" in said[0]


# --- what is set on a screen ---------------------------------------------------------------------------------------

PLACES = [
    ("tcp-istemci", "127.0.0.1:5432"),
    ("tcp-istemci", "[::1]:5432"),
    ("tcp-istemci", "169.254.169.254:80"),
    ("seri", "spy:///dev/ttyS0?file=/srv/numune/hedef"),
    ("seri", "socket://10.0.0.1:22"),
    ("seri", "/etc/passwd"),
    ("seri", "/dev/../etc/passwd"),
    ("klasor", "/etc"),
    ("klasor", "/root/.ssh"),
    ("klasor", "/proc/self"),
    ("klasor", "/srv/../etc"),
    ("klasor", "//etc"),
]


async def test_no_line_and_no_trial_reaches_what_is_not_an_instruments(lab: Database, strict: None) -> None:
    actor = await user(lab, "yonetici")
    for kind, address in PLACES:
        with pytest.raises(NumuneError) as refused:
            async with lab.work(actor) as work:
                await save_connection(
                    work,
                    ConnectionData(name="saldiri", instrument="genel", kind=kind, protocol="astm", address=address),
                )
        assert refused.value.code == "NUM-0001", (kind, address)
        with pytest.raises(NumuneError):
            async with lab.work(actor) as work:
                await ask_trial(work, name="", kind=kind, protocol="astm", address=address, settings={}, seconds=5)


def test_a_serial_port_is_a_device_and_no_address_of_the_library(tmp_path: Any) -> None:
    """pyserial opens `spy://...?file=` by writing that file, `socket://` by calling."""
    target = tmp_path / "uzerine-yazilan"
    for path in (f"spy:///dev/ptmx?file={target}", "loop://", "rfc2217://10.0.0.1:1", "alt:///dev/ttyS0", "hwgrep://x"):
        with pytest.raises(ValueError, match="aygıt"):
            SerialPort(path, asyncio.Protocol, lambda *_: None, {})
    assert not target.exists()
    for path in ("/dev/ttyUSB0", "/dev/serial/by-id/usb-x", "COM3", "/dev/pts/4"):
        check_serial(path)


def test_result_folders_stand_where_the_operator_allows_them() -> None:
    rules = Outgoing.of({"giden": {"klasorler": ["/srv/cihaz"]}}, own=["/srv/cihaz/numune"])
    rules.check_folder("/srv/cihaz/kan")
    for path in ("/srv", "/srv/cihazlar", "/home/biri", "/srv/cihaz/numune/spool", "/srv/cihaz"):
        with pytest.raises(Refused):
            rules.check_folder(path)


# --- what another system tells us ----------------------------------------------------------------------------------


@contextmanager
def server(answer: bytes, status: int = 200, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """Something that answers on 127.0.0.1; its address and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['host']} {self.path}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return None

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}", asked
    finally:
        made.shutdown()
        made.server_close()
        thread.join(5)


async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer for the name is never asked for. The name still stands in Host."""
    with server(b"{}") as (address, asked):
        port = int(address.rpartition(":")[2])
        liar = Liar("127.0.0.1", "203.0.113.9")
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", liar, raising=False)
        answer = await fetch("GET", f"http://saglayici.example:{port}/x", chosen_by_operator=True)
    assert (answer.status, answer.body, liar.asked) == (200, b"{}", 1)
    assert asked == [f"saglayici.example:{port} /x"]


async def test_no_redirect_is_followed(strict: None) -> None:
    with server(b"gizli") as (inside, inner), server(b"", 302, location=f"{inside}/gizli") as (outside, _):
        assert (await fetch("GET", outside, chosen_by_operator=True)).status == 302
    assert inner == []


async def test_a_small_answer_that_unpacks_to_much_stays_small() -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    with server(bomb, content_encoding="gzip") as (address, _):
        answer = await fetch("GET", address, chosen_by_operator=True)
    assert answer.body == bomb
    with server(b"x" * 300_000) as (address, _), pytest.raises(TooMuch):
        await fetch("GET", address, chosen_by_operator=True)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://x/", "http://a:b@host/", "http://", "ftp://x/"])
async def test_only_plain_http_addresses_are_asked(url: str) -> None:
    with pytest.raises((ValueError, httpx.InvalidURL)):
        await fetch("GET", url, chosen_by_operator=True)


async def test_a_provider_cannot_have_us_call_inside(lab: Database, strict: None) -> None:
    """The operator chose the provider; the addresses in its answer are its own words."""
    with running() as provider, server(b'{"keys": []}') as (inside, asked):
        provider.metadata = {"jwks_uri": f"{inside}/anahtarlar", "token_endpoint": f"{inside}/belirtec"}
        talk = SignOn(Configured(key="a", caption="A", issuer=provider.issuer, client_id=CLIENT))
        with pytest.raises(NumuneError, match="aranmayacak bir adres"):
            await talk._published_keys(fresh=True)
        with pytest.raises(NumuneError, match="aranmayacak bir adres"):
            await talk._exchange("kod", {"donus": "x", "dogrulayici": "y"})
    assert asked == []
