"""The process is killed, again and again, in a busy minute. Nothing acknowledged is missing, nothing is double."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.house import free_ports
from benchmarks.laboratory import place_orders
from lis_core.storage.database import Database
from tests.gateway.conftest import ACK, ENQ, EOT, frames_of, message_records

KILLS = 20
LINES = 8
RESULTS = [("WBC", "6.52", "10*3/uL"), ("RBC", "4.81", "10*6/uL"), ("HGB", "13.9", "g/dL"), ("PLT", "251", "10*3/uL")]


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

    async def work(self, stop: asyncio.Event) -> None:
        left = list(self._numbers)
        while left and not stop.is_set():
            if await self._send(left[0]):
                self.done.append(left.pop(0))
            else:
                await asyncio.sleep(0.1)

    async def _send(self, number: str) -> bool:
        """True where every frame was acknowledged."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            frames = frames_of(message_records(number, RESULTS), together=self._random.random() < 0.3)
            for step in [ENQ, *frames]:
                writer.write(step)
                if await asyncio.wait_for(reader.read(1), 10) != ACK:
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
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)


class KilledHouse:
    """Gateway and core as a process of their own, started again after each kill."""

    def __init__(self, url: str, folder: Path, port_base: int) -> None:
        self._environment = {
            **os.environ,
            "NUMUNE_DATABASE_URL": url,
            "NUMUNE_DATA_DIR": str(folder),
            "NUMUNE_DEMO_PORT_BASE": str(port_base),
            "NUMUNE_HTTP": f"127.0.0.1:{port_base + 88}",
        }
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def start(self) -> None:
        self.starts += 1
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api.cli", "run", "--roles", "gateway,core",
            env=self._environment, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        await self._process.wait()


@pytest.mark.slow
async def test_killed_at_twenty_instants_of_a_busy_minute(lab: Database, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    base = free_ports()
    async with lab.engine.begin() as connection:
        await connection.execute(
            text("update baglanti set adres = '127.0.0.1:' || (:base + split_part(adres, ':', 2)::int - 4000)"),
            {"base": base},
        )
    numbers = place_orders(lab.url, 15_000)  # more than a fast machine gets through
    share = len(numbers) // LINES
    analysers = [Analyser(base, numbers[n * share : (n + 1) * share], seed + n) for n in range(LINES)]
    house = KilledHouse(lab.url, tmp_path / "data", base)
    stop = asyncio.Event()
    await house.start()
    tasks = [asyncio.create_task(analyser.work(stop)) for analyser in analysers]
    for _ in range(KILLS):
        await _until_busy(analysers, base)
        await asyncio.sleep(chance.uniform(0, 1.0))
        await house.kill()
        await house.start()
    await _until_busy(analysers, base)
    stop.set()
    await asyncio.gather(*tasks)
    await _settled(lab, {number for analyser in analysers for number in analyser.done})
    await house.kill(signal.SIGTERM)

    await _check(lab, analysers)


async def _until_busy(analysers: Sequence[Analyser], port: int) -> None:
    """The process is up again and takes frames."""
    before = sum(len(analyser.frames) for analyser in analysers)
    for _ in range(400):
        if sum(len(analyser.frames) for analyser in analysers) > before + 5:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing is taken on port {port} any more")


async def _settled(lab: Database, done: set[str]) -> None:
    """Every acknowledged message has reached the database."""
    for _ in range(400):
        rows = await _rows(
            lab,
            "select numune_numarasi from istem_tetkik join tetkik_istem using (tetkik_istem_kodu) "
            "where tetkik_durumu = 'sonuclandi' and numune_numarasi = any(:done) "
            "group by 1 having count(*) = :wanted",
            done=sorted(done),
            wanted=len(RESULTS),
        )
        if len(rows) == len(done):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{len(done) - len(rows)} acknowledged messages never arrived")


async def _check(lab: Database, analysers: Sequence[Analyser]) -> None:
    rows = await _rows(
        lab,
        "select numune_numarasi as number, count(*) as results, count(distinct s.istem_tetkik_kodu) as tests "
        "from tetkik_sonuc s join istem_tetkik using (istem_tetkik_kodu) join tetkik_istem using (tetkik_istem_kodu) "
        "group by 1",
    )
    found = {row.number: (row.results, row.tests) for row in rows}
    done = [number for analyser in analysers for number in analyser.done]
    assert len(done) > 100, "the minute was not busy"
    missing = [number for number in done if number not in found]
    assert missing == [], "acknowledged, but nowhere"
    wrong = {number: counts for number, counts in found.items() if counts != (len(RESULTS), len(RESULTS))}
    assert wrong == {}, "double or incomplete"

    kept = b"\n".join(bytes(row.icerik) for row in await _rows(lab, "select icerik from ham_mesaj"))
    lost = [frame for analyser in analysers for frame in analyser.frames if frame not in kept]
    assert lost == [], "an acknowledged frame is in no raw message"
    assert await _rows(lab, "select * from denetim_dogrula()") == []
    assert await _rows(lab, "select * from eslesmeyen_sonuc") == []


async def _rows(lab: Database, sql: str, **values: Any) -> list[Any]:
    async with lab.reading() as session:
        return list((await session.execute(text(sql), values)).all())
