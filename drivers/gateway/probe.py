"""A trial of a line before it is used: open the port or connect, listen, and say in words what was seen.

Nothing is answered during a trial: an acknowledgement would tell the instrument that it may forget. What it sends it
sends again once the line is open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.gateway.line import Direction, LineBook, LineSpec
from drivers.links.endpoints import Endpoint, SerialPort, TcpClient, TcpServer
from drivers.links.gate import LineSecurity
from drivers.wire_words import Verdict, seen

Say = Callable[[str], None]
ENOUGH = 1.5
"""Seconds of silence after which a trial that has seen bytes it understands need not wait any longer."""
MOST_BYTES = 65_536
STEP = 0.1


@dataclass
class _Ears:
    """What a trial has heard so far."""

    say: Say
    data: bytearray = field(default_factory=bytearray)
    peers: int = 0
    opened: bool = False
    problem: str = ""
    last: float = 0.0

    def hear(self, data: bytes) -> None:
        if not self.data:
            self.say(f"İlk baytlar geldi ({len(data)}).")
        if len(self.data) < MOST_BYTES:
            self.data += data
        self.last = time.monotonic()

    def report(self, is_open: bool, problem: str | None) -> None:
        """What the endpoint tells: each new fact once."""
        if is_open and not self.opened:
            self.opened = True
            self.say("Açıldı.")
        if problem and problem != self.problem:
            self.problem = problem
            self.say(problem)


class _Listener(asyncio.Protocol):
    """Hears and says nothing."""

    def __init__(self, ears: _Ears) -> None:
        self._ears = ears
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._ears.peers += 1
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self._ears.say(f"{name[0]}:{name[1]} bağlandı.")

    def data_received(self, data: bytes) -> None:
        self._ears.hear(data)


async def try_line(
    spec: LineSpec, seconds: float, say: Say, running: LineBook | None = None, security: LineSecurity | None = None
) -> tuple[Verdict, str]:
    """Try a line for at most `seconds`; `say` gets each thing as it is seen. Returns a verdict and its sentence.

    running: the line as the gateway has it open; where it stands at the same address, its own traffic is listened to,
    because two cannot hold one port. Never raises for what the world does.
    """
    ears = _Ears(say)
    if running is not None and running.status.listening and _same_place(running.spec, spec):
        return await _listen_in(running, spec, seconds, ears)
    try:
        endpoint = _endpoint(spec, ears, security or LineSecurity())
    except (ValueError, TypeError) as error:
        return "kotu", f"Ayar hatalı: {error}"
    say(_intent(spec, seconds))
    await endpoint.start()
    try:
        await _wait(ears, seconds, spec)
    finally:
        ears.say = _quiet
        await endpoint.stop()
    return _verdict(ears, spec)


def _same_place(one: LineSpec, other: LineSpec) -> bool:
    return (one.kind, one.address) == (other.kind, other.address)


async def _listen_in(running: LineBook, spec: LineSpec, seconds: float, ears: _Ears) -> tuple[Verdict, str]:
    def tap(direction: Direction, data: bytes) -> None:
        if direction == "gelen":
            ears.hear(data)

    ears.opened, ears.peers = True, running.status.peers
    ears.say(f"Hat açık ve kullanımda; trafiği {seconds:.0f} saniye dinleniyor.")
    if running.status.peers:
        ears.say(f"{running.status.peer} bağlı.")
    running.taps = (*running.taps, tap)
    try:
        await _wait(ears, seconds, spec)
    finally:
        running.taps = tuple(other for other in running.taps if other is not tap)
    ears.peers = max(ears.peers, running.status.peers)
    return _verdict(ears, spec)


def _endpoint(spec: LineSpec, ears: _Ears, security: LineSecurity) -> Endpoint:
    def listener() -> asyncio.Protocol:
        return _Listener(ears)

    if spec.kind == "klasor":
        raise ValueError("izlenen klasör denenmez; klasöre bir dosya koyun, hattın geçmişine bakın")
    if spec.kind == "tcp-istemci":
        return TcpClient(spec.address, listener, ears.report, security.files_of(spec.settings))
    if spec.kind == "seri":
        return SerialPort(spec.address, listener, ears.report, spec.settings)

    def refused(host: str, why: str) -> None:
        ears.report(True, f"{host} adresinden bağlantı kapatıldı: {why}.")

    return TcpServer(spec.address, listener, ears.report, security.gate(spec.settings, refused))


def _intent(spec: LineSpec, seconds: float) -> str:
    what = {
        "tcp-istemci": f"{spec.address} adresine bağlanılıyor",
        "seri": f"{spec.address} açılıyor",
        "tcp-sunucu": f"{spec.address} dinlenmeye başlanıyor, cihazın bağlanması beklenecek",
    }[spec.kind]
    return f"{what} (en çok {seconds:.0f} saniye)."


async def _wait(ears: _Ears, seconds: float, spec: LineSpec) -> None:
    ends = time.monotonic() + seconds
    while (now := time.monotonic()) < ends:
        if ears.data and now - ears.last > ENOUGH and seen(bytes(ears.data), spec.protocol, spec.kind)[0] == "iyi":
            return
        await asyncio.sleep(STEP)


def _verdict(ears: _Ears, spec: LineSpec) -> tuple[Verdict, str]:
    if not ears.opened:
        return "kotu", ears.problem or "Süre bitti; bağlantı kurulamadı."
    if spec.kind == "tcp-sunucu" and not ears.peers:
        return (
            "uyari",
            "Port açıldı ama cihaz bağlanmadı. Cihazda bu bilgisayarın adresini ve bu portu, "
            "arada güvenlik duvarını denetleyin.",
        )
    verdict, sentence = seen(bytes(ears.data), spec.protocol, spec.kind)
    if verdict == "uyari" and not ears.data:
        opened = "Seri port açıldı" if spec.kind == "seri" else "Bağlantı kuruldu"
        return verdict, f"{opened}. {sentence}"
    return verdict, sentence


def _quiet(sentence: str) -> None:
    """After the trial: what closing tells is of no interest."""
