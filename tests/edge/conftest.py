"""A real broker, a gateway that stands apart, and the centre: each may be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.edge.broker import Broker
from api.edge.centre import Centre
from api.edge.gateway import EdgeGateway, EdgeSettings
from api.loops import ended
from lis_core.domain.permissions import P
from lis_core.services import gateways
from lis_core.services.ingest import Ingest
from lis_core.storage.database import Database, program
from tests.gateway.conftest import free_port

GATEWAY = "ilce-devlet"


class Mosquitto:
    """A broker that keeps what it promised over a kill."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.port = free_port()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\nlog_dest none\nuser root\n{extra}"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)])
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise AssertionError("mosquitto does not listen")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(10)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    made = Mosquitto(tmp_path / "broker")
    await made.start()
    yield made
    made.stop(signal.SIGKILL)


class CentreHouse:
    """The core of the centre in this process."""

    def __init__(self, database: Database, broker: Broker, folder: Path) -> None:
        self.database = database
        self.centre: Centre | None = None
        self.ingest = Ingest(database, lambda keys: self.centre.confirmed(keys) if self.centre else None)
        self.centre = Centre(database, self.ingest, broker, folder / "tanimlar")
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        assert self.centre is not None
        self._tasks = [asyncio.create_task(self.ingest.run()), asyncio.create_task(self.centre.run())]

    async def stop(self) -> None:
        await ended(self._tasks)

    async def value(self, sql: str, **values: Any) -> Any:
        async with self.database.reading() as session:
            return await session.scalar(text(sql), values)

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.reading() as session:
            return list((await session.execute(text(sql), values)).all())


async def until(what: Any, seconds: float = 20) -> None:
    """Wait until `what()` (plain or awaitable) is true."""
    for _ in range(int(seconds / 0.05)):
        found = what()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that in time")


@pytest.fixture
async def centre(lab: Database, broker: Mosquitto, tmp_path: Path) -> AsyncIterator[CentreHouse]:
    house = CentreHouse(lab, Broker(broker.url), tmp_path / "merkez")
    await house.start()
    yield house
    await house.stop()


def settings_of(broker_url: str, folder: Path) -> EdgeSettings:
    return EdgeSettings(GATEWAY, Broker(broker_url), folder, f"127.0.0.1:{free_port()}")


@pytest.fixture
def line_port(lab: Database) -> Iterator[int]:
    """The laboratory's general line stands at the gateway."""
    import psycopg

    port = free_port()

    with psycopg.connect(lab.url, autocommit=True) as connection:
        connection.execute("update baglanti set adres = %s where baglanti_adi = 'genel'", (f"127.0.0.1:{port}",))
    yield port


async def move_line(database: Database) -> None:
    """Register the gateway and give it the line `genel`."""
    number = await gateways.save_gateway(
        database, program("deneme", may=(P.INSTRUMENT_MANAGE,)), GATEWAY, "İlçe devlet hastanesi"
    )
    async with database.work(program("deneme")) as work:
        await work.session.execute(
            text("update baglanti set gecit_kodu = :g where baglanti_adi = 'genel'"), {"g": number}
        )


@pytest.fixture
async def edge(
    lab: Database, broker: Mosquitto, centre: CentreHouse, line_port: int, tmp_path: Path
) -> AsyncIterator[EdgeGateway]:
    await move_line(lab)
    made = EdgeGateway(settings_of(broker.url, tmp_path / "gecit"))
    await made.start()
    yield made
    await made.stop()
