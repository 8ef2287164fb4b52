"""Where a line meets the world: TCP server, TCP client, serial port. One small interface; each keeps itself open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import serial
import serial_asyncio_fast

from drivers.links.gate import Gate, Server, listen
from drivers.links.tls import HANDSHAKE_SECONDS, TlsFiles
from drivers.outgoing import Refused, check_serial, in_force

try:
    from termios import error as _termios_error
except ImportError:  # Windows has none
    _termios_error = OSError  # type: ignore[misc, assignment]

_PORT_ERRORS = (OSError, serial.SerialException, _termios_error)
"""What an unplugged or foreign port may raise; termios.error is no OSError."""

ProtocolFactory = Callable[[], asyncio.Protocol]
Report = Callable[[bool, str | None], None]
"""Called with (open, problem) whenever an endpoint opens, closes or fails; problem in Turkish words."""

RECONNECT_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Endpoint(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def split_address(address: str, default_host: str = "127.0.0.1") -> tuple[str, int]:
    """`host:port` or `port`. Raises ValueError with a Turkish sentence."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not 0 <= int(port) < 65536:
        raise ValueError(f"adres sunucu:port biçiminde olmalı: {address!r}")
    return host.strip("[]") or default_host, int(port)


class TcpServer:
    """We listen, the instrument calls. gate: whom the port takes, and TLS; None = everybody, plain."""

    def __init__(self, address: str, factory: ProtocolFactory, report: Report, gate: Gate | None = None) -> None:
        self._host, self._port = split_address(address)
        self._factory = factory
        self._gate = gate
        self._report = report
        self._task: asyncio.Task[None] | None = None
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port in use, also when 0 was asked for."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        try:
            await self._listen()
        except OSError as error:
            self._report(False, f"{self._port} portu açılamadı: {error.strerror or error}")
            self._task = asyncio.create_task(self._keep_trying())

    async def _listen(self) -> None:
        self._server = await listen(self._factory, self._host, self._port, backlog=256, gate=self._gate)
        self._report(True, None)

    async def _keep_trying(self) -> None:
        for pause in _pauses():
            await asyncio.sleep(pause)
            with contextlib.suppress(OSError):
                await self._listen()
                return

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        self._report(False, None)


class TcpClient:
    """The instrument listens, we call, and call again when it hangs up. tls: with these files; None = plain."""

    def __init__(self, address: str, factory: ProtocolFactory, report: Report, tls: TlsFiles | None = None) -> None:
        self._host, self._port = split_address(address)
        self._secure: dict[str, Any] = {}
        if tls is not None:
            self._secure = {
                "ssl": tls.client(),
                "server_hostname": tls.name or self._host,
                "ssl_handshake_timeout": HANDSHAKE_SECONDS,
            }
        in_force().check_written(self._host, private=True)
        self._factory = factory
        self._report = report
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        await _cancel(self._task)
        self._report(False, None)

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        pauses = _pauses()
        while True:
            try:
                checked = await in_force().resolved(self._host, self._port, private=True)
                transport, protocol = await loop.create_connection(
                    lambda: _Watched(self._factory()), checked[0], self._port, **self._secure
                )
            except Refused as error:
                self._report(False, str(error))
            except OSError as error:
                self._report(False, f"{self._host}:{self._port} adresine bağlanılamadı: {error.strerror or error}")
            else:
                self._report(True, None)
                pauses = _pauses()
                try:
                    await protocol.lost.wait()
                finally:
                    transport.close()
                self._report(False, "Karşı uç bağlantıyı kapattı; yeniden bağlanılıyor.")
            await asyncio.sleep(next(pauses))


class SerialPort:
    """A serial port, opened again when it vanishes (an unplugged USB adapter) and returns.

    settings: `hiz` (baud, 9600), `veri` (data bits 5-8, 8), `parite` (N none, E even, O odd, M mark, S space), `dur`
    (stop bits 1, 1.5, 2), `akis` ("", "xonxoff", "rtscts", "dsrdtr"), `dtr` and `rts` (true, false: the state of a
    control line once the port is open; an analyser that looks at it stays silent otherwise).
    """

    def __init__(self, path: str, factory: ProtocolFactory, report: Report, settings: dict[str, Any]) -> None:
        check_serial(path, anywhere=True)
        self._path = path
        self._factory = factory
        self._report = report
        self._options = serial_options(settings)
        self._lines = {name: bool(settings[name]) for name in ("dtr", "rts") if settings.get(name) is not None}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._stay_open())

    async def stop(self) -> None:
        await _cancel(self._task)
        self._report(False, None)

    async def _stay_open(self) -> None:
        loop = asyncio.get_running_loop()
        pauses = _pauses()
        while True:
            try:
                watched = _Watched(self._factory())
                transport, _ = await serial_asyncio_fast.create_serial_connection(
                    loop,
                    partial(_the_same, watched),
                    self._path,
                    **self._options,
                )
            except _PORT_ERRORS as error:
                self._report(False, f"{self._path} açılamadı: {error}")
            else:
                self._report(True, self._set_lines(transport.serial))
                pauses = _pauses()
                try:
                    await watched.lost.wait()
                finally:
                    transport.close()
                self._report(False, f"{self._path} kapandı; yeniden açılıyor.")
            await asyncio.sleep(next(pauses))

    def _set_lines(self, port: Any) -> str | None:
        """DTR and RTS as they were set; a sentence where the port has none (a pseudo-terminal, some adapters)."""
        try:
            for name, wanted in self._lines.items():
                setattr(port, name, wanted)
        except _PORT_ERRORS as error:
            return f"{self._path}: DTR/RTS ayarlanamadı ({error}); hat yine de açık."
        return None


def serial_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a line as pyserial wants them. Raises ValueError with a Turkish sentence."""
    speed, bits = settings.get("hiz", 9600), settings.get("veri", 8)
    parity, stop = str(settings.get("parite", "N")).upper(), settings.get("dur", 1)
    flow = settings.get("akis") or ""
    if not str(speed).isdigit() or not 50 <= int(speed) <= 4_000_000:
        raise ValueError(f"hiz bir baud sayısı olmalı: {speed!r}")
    if str(bits) not in ("5", "6", "7", "8"):
        raise ValueError(f"veri 5, 6, 7 ya da 8 olmalı: {bits!r}")
    if parity not in serial.Serial.PARITIES:
        raise ValueError(f"parite N, E, O, M ya da S olmalı: {parity!r}")
    if str(stop) not in ("1", "1.0", "1.5", "2", "2.0"):
        raise ValueError(f"dur 1, 1.5 ya da 2 olmalı: {stop!r}")
    if flow not in ("", "xonxoff", "rtscts", "dsrdtr"):
        raise ValueError(f"akis xonxoff, rtscts ya da dsrdtr olmalı: {flow!r}")
    return {
        "baudrate": int(speed),
        "bytesize": int(bits),
        "parity": parity,
        "stopbits": float(stop),
        **({flow: True} if flow else {}),
    }


class _Watched(asyncio.Protocol):
    """Passes everything on and knows when the connection is gone."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._inner.connection_lost(error)
        self.lost.set()


def _the_same(made: asyncio.Protocol) -> asyncio.Protocol:
    return made


def _pauses() -> Any:
    yield from RECONNECT_SECONDS
    while True:
        yield RECONNECT_SECONDS[-1]


async def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def be_quick(transport: asyncio.BaseTransport) -> None:
    """No Nagle delay for single-byte answers; notice a dead peer within a few minutes."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
