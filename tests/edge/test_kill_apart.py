"""Gateway, broker and core as processes of their own, each killed at random, the line cut, PostgreSQL stopped: nothing
acknowledged is missing, nothing is double, order holds."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks.house import free_ports
from benchmarks.laboratory import place_orders
from lis_core.storage.database import Database
from tests.edge.conftest import GATEWAY, Mosquitto, move_line, until
from tests.gateway.conftest import free_port
from tests.gateway.test_kill import Analyser, _check, _rows, _settled

ROUNDS = 9
LINES = 6


class Part:
    """A process of the system, started again after each kill."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._arguments = [sys.executable, "-m", "api.cli", *arguments]
        self._environment = {**os.environ, **environment}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments, env=self._environment, stdout=asyncio.subprocess.DEVNULL
        )

    async def end(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        await self._process.wait()


@pytest.mark.clause("2.8.10b")
@pytest.mark.clause("2.8.10d")
@pytest.mark.slow
async def test_gateway_broker_and_core_are_killed_in_turn(
    lab: Database, broker: Mosquitto, line_port: int, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    await move_line(lab)
    config = tmp_path / "gecit.toml"
    config.write_text(f'ad = "{GATEWAY}"\naraci = "{broker.url}"\nveri = "gecit"\nsayfa = "127.0.0.1:{free_port()}"\n')
    core = Part(
        "run", "--roles", "core",
        NUMUNE_DATABASE_URL=lab.url, NUMUNE_DATA_DIR=str(tmp_path / "merkez"), NUMUNE_MQTT_URL=broker.url,
        NUMUNE_DEMO_PORT_BASE=str(free_ports()),
    )  # fmt: skip
    gateway = Part("gateway", "--config", str(config))
    numbers = place_orders(lab.url, 6000)
    share = len(numbers) // LINES
    analysers = [Analyser(line_port, numbers[n * share : (n + 1) * share], seed + n) for n in range(LINES)]
    stop = asyncio.Event()
    await core.start()
    await gateway.start()
    tasks = [asyncio.create_task(analyser.work(stop)) for analyser in analysers]
    victims = ["gateway", "broker", "core"] * (ROUNDS // 3)
    chance.shuffle(victims)
    try:
        for victim in victims:
            await _busy(analysers)
            await asyncio.sleep(chance.uniform(0, 0.8))
            if victim == "broker":  # the line is cut; the analysers notice nothing
                broker.stop(signal.SIGKILL)
                await _busy(analysers)
                await broker.start()
            else:
                part = core if victim == "core" else gateway
                await part.end()
                await part.start()
        async with lab.engine.connect() as connection:  # the database throws everybody out
            await connection.execute(
                text("select pg_terminate_backend(pid) from pg_stat_activity "
                     "where datname = current_database() and pid <> pg_backend_pid()")
            )  # fmt: skip
        await lab.engine.dispose()
        await _busy(analysers)
        stop.set()
        await asyncio.gather(*tasks)
        await _settled(lab, {number for analyser in analysers for number in analyser.done})
        await until(lambda: _all_kept(lab, analysers), 60)
    finally:
        stop.set()
        await gateway.end(signal.SIGTERM)
        await core.end(signal.SIGTERM)
    await _check(lab, analysers)
    await _in_order(lab, analysers)


async def _busy(analysers: Sequence[Analyser]) -> None:
    before = sum(len(analyser.frames) for analyser in analysers)
    await until(lambda: sum(len(analyser.frames) for analyser in analysers) > before + 40, 60)


async def _all_kept(lab: Database, analysers: Sequence[Analyser]) -> bool:
    """Also the frames of messages that broke off have come."""
    kept = b"\n".join(bytes(row.icerik) for row in await _rows(lab, "select icerik from ham_mesaj"))
    return all(frame in kept for analyser in analysers for frame in analyser.frames)


async def _in_order(lab: Database, analysers: Sequence[Analyser]) -> None:
    """Each analyser's messages were stored in the order in which it sent them."""
    rows = await _rows(
        lab,
        "select numune_numarasi as number, min(s.ham_mesaj_kodu) as message from tetkik_sonuc s "
        "join istem_tetkik using (istem_tetkik_kodu) join tetkik_istem using (tetkik_istem_kodu) group by 1",
    )
    place = {row.number: row.message for row in rows}
    for analyser in analysers:
        places = [place[number] for number in analyser.done]
        assert places == sorted(places), "an instrument's order was not kept"
