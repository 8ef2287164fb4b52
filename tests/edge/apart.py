"""A district hospital and its centre as processes of their own: a gateway on a small disk, a cable, a broker, a core,
and a PostgreSQL of their own. What is acknowledged is counted here and looked for there."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.house import free_ports
from benchmarks.laboratory import place_orders
from lis_core.demo import load_demo
from lis_core.storage.database import Database
from lis_core.storage.migrate import upgrade
from tests.edge.conftest import GATEWAY, Mosquitto, move_line
from tests.edge.parts import RESULTS, Analyser, Cable, OwnPostgres, Part, SmallDisk
from tests.gateway.conftest import free_port

ANALYSERS = 6
RECOVERED = 60.0
"""Seconds that PostgreSQL may take for its recovery after a kill."""


class Apart:
    """Everything, started; `analysers` are at work as soon as `begin` was called."""

    def __init__(self, folder: Path, disk: str = "") -> None:
        self.folder = folder
        self.postgres = OwnPostgres(folder / "pg")
        self.broker = Mosquitto(folder / "broker")
        self.cable = Cable(free_port(), self.broker.port)
        self.disk = SmallDisk(folder / "gecit", disk)
        self.line_port = free_port()
        self.page = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.analysers: list[Analyser] = []
        self._placed = 0
        self.gateway: Part
        self.core: Part
        self._stop = asyncio.Event()
        self._work: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await asyncio.to_thread(self.postgres.start)
        self.url = self.postgres.url
        await asyncio.to_thread(upgrade, self.url)
        database = Database(self.url)
        base = free_ports()
        await load_demo(database, password="Deneme-Parola-1", port_base=base)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "update baglanti set adres = %s where baglanti_adi = 'genel'", (f"127.0.0.1:{self.line_port}",)
            )
        await move_line(database)
        await database.close()
        await self.broker.start()
        await self.cable.start()
        config = self.folder / "gecit.toml"
        config.write_text(
            f'ad = "{GATEWAY}"\naraci = "mqtt://127.0.0.1:{self.cable.port}"\nveri = "gecit"\nsayfa = "{self.page}"\n'
        )
        self.core = Part(
            self.folder / "cekirdek.log", "run", "--roles", "core,web",
            NUMUNE_DATABASE_URL=self.url, NUMUNE_DATA_DIR=str(self.folder / "merkez"), NUMUNE_MQTT_URL=self.broker.url,
            NUMUNE_DEMO_PORT_BASE=str(base), NUMUNE_HTTP=self.http,
        )  # fmt: skip
        self.gateway = Part(self.folder / "gecit.log", "gateway", "--config", str(config))
        await self.core.start()
        await self.gateway.start()

    def begin(self, messages: int, seed: int, pause: float) -> None:
        """Orders are placed, and analysers (more of them, where some have ended their day) work through them."""
        self._stop.clear()
        self.rows("select 1")
        numbers = place_orders(self.url, messages, first=40_000_000 + self._placed)
        self._placed += messages
        share = len(numbers) // ANALYSERS
        for place in range(ANALYSERS):
            analyser = Analyser(self.line_port, numbers[place * share : (place + 1) * share], seed + place)
            analyser.pause = pause
            self.analysers.append(analyser)
            self._work.append(asyncio.create_task(analyser.work(self._stop)))

    async def finish(self) -> None:
        """The analysers end their day."""
        self._stop.set()
        await asyncio.gather(*self._work)

    async def close(self) -> None:
        self._stop.set()
        for name in ("gateway", "core"):
            if (part := getattr(self, name, None)) is not None:
                await part.end()
        await self.cable.stop()
        self.broker.stop()
        self.disk.close()
        await asyncio.to_thread(self.postgres.close)

    # -- what can be seen

    @property
    def acknowledged(self) -> int:
        return sum(len(analyser.frames) for analyser in self.analysers)

    @property
    def refused(self) -> int:
        return sum(analyser.refused for analyser in self.analysers)

    async def busy(self, frames: int = 40, seconds: float = 180) -> None:
        """Until this many more frames are acknowledged: the line goes on."""
        wanted = self.acknowledged + frames
        await comes_true(lambda: self.acknowledged >= wanted, seconds)

    async def local_page(self) -> str:
        return await asyncio.to_thread(_read, f"http://{self.page}/")

    async def fill_disk(self) -> None:
        """Full; what the spool holds in reserve is soon used up as well."""
        await self.disk.fill(self.gateway.pid)
        for analyser in self.analysers:
            analyser.padding = 56_000

    async def free_disk(self) -> None:
        for analyser in self.analysers:
            analyser.padding = 0
        await self.disk.free()

    async def restart_gateway(self) -> None:
        """It is killed and begins anew, on the same disk."""
        await self.gateway.end()
        await self.gateway.start()
        self.disk.goes_on(self.gateway.pid)

    async def page_says(self, words: str) -> bool:
        return words in await self.local_page()

    async def centre_says_in(self, path: str, words: str) -> bool:
        return words in await self.centre_says(path)

    async def centre_says(self, path: str) -> str:
        return await asyncio.to_thread(_read, f"http://{self.http}{path}")

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Waits where PostgreSQL still recovers from what was done to it."""
        until = time.monotonic() + RECOVERED
        while True:
            try:
                with psycopg.connect(self.url, autocommit=True) as connection:
                    return connection.execute(sql, values).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)

    async def arrived(self, seconds: float = 300) -> None:
        """Everything acknowledged has reached the centre's database, also what broke off."""
        done = [number for analyser in self.analysers for number in analyser.done]
        wanted = len(RESULTS) * len(done)
        await comes_true(lambda: self._count(done) >= wanted, seconds, 0.5)
        await comes_true(lambda: not self._lost_frames(), seconds, 0.5)

    def _count(self, done: Sequence[str]) -> int:
        return int(self.rows(
            "select count(distinct istem_tetkik_kodu) from tetkik_sonuc join istem_tetkik using (istem_tetkik_kodu) "
            "join tetkik_istem using (tetkik_istem_kodu) where numune_numarasi = any(%s)", list(done),
        )[0][0])  # fmt: skip

    def _lost_frames(self) -> list[bytes]:
        rows = self.rows("select icerik from ham_mesaj")
        kept = {b"\x02" + frame.rstrip(b"\r\n") for row in rows for frame in bytes(row[0]).split(b"\x02")[1:]}
        return [frame for analyser in self.analysers for frame in analyser.frames if frame not in kept]

    def check(self) -> dict[str, int]:
        """Nothing acknowledged is missing, nothing is double, each instrument's order holds. Returns what was counted."""
        rows = self.rows(
            "select numune_numarasi, count(*), count(distinct s.istem_tetkik_kodu), min(s.ham_mesaj_kodu) "
            "from tetkik_sonuc s join istem_tetkik using (istem_tetkik_kodu) "
            "join tetkik_istem using (tetkik_istem_kodu) group by 1"
        )
        found = {number: (results, tests) for number, results, tests, _ in rows}
        place = {number: message for number, _, _, message in rows}
        done = [number for analyser in self.analysers for number in analyser.done]
        assert len(done) > 100, "it was not busy"
        assert [number for number in done if number not in found] == [], "acknowledged, but nowhere"
        whole = (len(RESULTS), len(RESULTS))
        assert {number: counts for number, counts in found.items() if counts != whole} == {}, "double or incomplete"
        assert self._lost_frames() == [], "an acknowledged frame is in no raw message"
        for analyser in self.analysers:
            places = [place[number] for number in analyser.done]
            assert places == sorted(places), "an instrument's order was not kept"
        assert self.rows("select * from denetim_dogrula()") == []
        assert self.rows("select * from eslesmeyen_sonuc") == []
        return {"messages": len(done), "frames": self.acknowledged, "refused": self.refused}


def _read(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"no answer: {error}"


async def comes_true(what: Callable[[], bool | Awaitable[bool]], seconds: float = 60, pause: float = 0.05) -> None:
    """Wait until `what()` (plain or awaitable) is true; long enough for a machine that is busy with other tests."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        found = what()
        if not isinstance(found, bool):
            found = await found
        if found:
            return
        await asyncio.sleep(pause)
    raise AssertionError("it did not come to that in time")
