"""Gateway, broker and core as processes of their own, each killed at random, the line cut, the disk full, PostgreSQL
stopped and killed: nothing acknowledged is missing, nothing is double, order holds.

The short form meets each trouble once. `NUMUNE_KILL_SECONDS=600` makes it a long day on which they overlap and the line
is once cut for minutes; `NUMUNE_KILL_DISK=ext4` takes a file system that writes late, `limit` needs no rights;
`NUMUNE_KILL_SEED` repeats a day.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.edge.apart import Apart, comes_true

LONG = float(os.environ.get("NUMUNE_KILL_SECONDS", "0"))
MINUTES = 150.0
"""Seconds of the long cut of a long day: ten times what the broker waits for a sign of life."""
OF_POSTGRES = ("database", "postgres", "backend")
TROUBLES = ("gateway", "core", "broker", "cable", "disk", *OF_POSTGRES)


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Apart]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    made = Apart(tmp_path_factory.mktemp("apart"), os.environ.get("NUMUNE_KILL_DISK", ""))
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def trouble(house: Apart, kind: str, seconds: float, chance: random.Random) -> None:
    """One thing breaks, stays broken for a while, and is mended."""
    if kind == "core":
        await house.core.end()
        await house.core.start()
    elif kind == "gateway":
        await house.restart_gateway()
    elif kind == "broker":
        house.broker.stop(signal.SIGKILL)
        await asyncio.sleep(seconds)
        await house.broker.start()
    elif kind == "cable":
        house.cable.cut()
        await asyncio.sleep(seconds)
        house.cable.mend(forgotten=chance.random() < 0.5)
    elif kind == "disk":
        await full_disk(house, seconds, killed=chance.random() < 0.5)
    elif kind == "backend":
        await asyncio.to_thread(house.postgres.kill_one_backend)
    elif kind == "postgres":
        await asyncio.to_thread(house.postgres.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(house.postgres.start)
    else:
        await asyncio.to_thread(house.postgres.stop, chance.choice(["fast", "immediate"]))
        await asyncio.sleep(seconds)
        await asyncio.to_thread(house.postgres.start)


async def full_disk(house: Apart, seconds: float, *, killed: bool) -> None:
    """While the disk is full, frames are refused. killed: and the gateway dies and has to begin on a full disk."""
    before = house.refused
    await house.fill_disk()
    try:
        await comes_true(lambda: house.refused > before)
        if killed:
            await house.restart_gateway()
            before = house.refused
            await comes_true(lambda: house.refused > before)
        await asyncio.sleep(seconds)
    finally:
        await house.free_disk()


def of_one_round(chance: random.Random) -> list[str]:
    """Troubles at the same time; PostgreSQL can be away for one reason only."""
    kinds = chance.sample(TROUBLES, chance.choice([1, 1, 2, 3]))
    others = [kind for kind in kinds if kind not in OF_POSTGRES]
    return others + [kind for kind in kinds if kind in OF_POSTGRES][:1]


@pytest.mark.clause("2.8.10b")
@pytest.mark.clause("2.8.10d")
@pytest.mark.slow
async def test_everything_breaks_in_turn(house: Apart) -> None:
    seed = int(os.environ.get("NUMUNE_KILL_SEED", "0")) or random.randrange(2**32)
    print(f"seed {seed}, disk {house.disk.kind}")
    chance = random.Random(seed)
    house.begin(int(max(3000, LONG * 25)), seed, pause=0.2 if LONG else 0.03)
    await house.busy()
    met: Counter[str] = Counter()
    began = time.monotonic()
    for kind in chance.sample(TROUBLES, len(TROUBLES)):
        await trouble(house, kind, chance.uniform(0.5, 1.5), chance)
        await house.busy()
        met[kind] += 1
    if LONG:
        await trouble(house, "cable", MINUTES, chance)
    while time.monotonic() - began < LONG:
        kinds = of_one_round(chance)
        await asyncio.gather(*(trouble(house, kind, chance.uniform(0.5, 20), chance) for kind in kinds))
        await house.busy()
        met.update(kinds)
    await house.finish()
    stopped = time.monotonic()
    await house.arrived()
    counted = house.check()
    took = f"{stopped - began:.0f} s, the rest arrived in {time.monotonic() - stopped:.1f} s"
    print(f"troubles {dict(met)}: acknowledged and found {counted}; {took}")
    assert house.gateway.ended is None and house.core.ended is None, "a process ended by itself"


@pytest.mark.slow
async def test_each_trouble_is_said_where_people_look(house: Apart) -> None:
    """Full disk: the analyser hears NAK, the gateway's page and the centre's screen say why, then it goes on. Database
    away: the gateway goes on taking, the centre says that it waits. Line cut: the local page says so."""
    house.begin(3000, 1, pause=0.05)
    await house.busy()

    before = house.refused
    await house.fill_disk()
    await comes_true(lambda: house.refused > before + 3)
    await comes_true(lambda: house.page_says("YAZILAMIYOR"))
    await comes_true(lambda: house.page_says("cihazdan yeniden istendi"))
    await comes_true(lambda: house.rows("select sorun from gecit")[0][0] != "")
    await house.free_disk()
    await house.busy()
    await comes_true(lambda: house.page_says("yazılabiliyor"))

    await asyncio.to_thread(house.postgres.stop)
    await house.busy(100)  # the analysers notice nothing
    await comes_true(lambda: house.centre_says_in("/metrics", "numune_ingest_stopped 1.0"))
    assert "503" in await house.centre_says("/readyz")
    await asyncio.to_thread(house.postgres.start)
    await comes_true(lambda: house.centre_says_in("/metrics", "numune_ingest_stopped 0.0"))

    house.broker.stop(signal.SIGKILL)
    await house.busy(100)
    await comes_true(lambda: house.page_says("Merkeze ulaşılamıyor"))
    await house.broker.start()
    await comes_true(lambda: house.page_says("Merkeze bağlı"))

    await house.finish()
    await house.arrived()
    house.check()
    assert house.gateway.ended is None and house.core.ended is None, "a process ended by itself"
