"""A laboratory with LAW analysers on real sockets: gateway, ingest and desk are the real ones, the analyser is simulated.

`proves(...)` ties a test to assertions of the LAW registry and of the project's own list; `docs/law-assertions.md` is
made of these ties (`python -m tests.law.table`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hl7 as independent
import orjson
import pytest
from sqlalchemy import text

from drivers.definition import Catalog, load_catalog
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.messages import Query
from lis_core.services.ingest import Ingest
from lis_core.services.routing import answer_query
from lis_core.services.work_desk import WorkDesk
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from simulators.law_station import LawStation
from simulators.segments import Message
from tests.ingest.conftest import Story

F = TypeVar("F", bound=Callable[..., Any])
QUICK = {"yanit_saniye": 2.0, "tekrar_saniyeler": [0.1, 0.2, 0.3], "yoklama_saniye": 0.05, "ikinci": "birlikte"}


def proves(*ids: str) -> Callable[[F], F]:
    """This test shows what these assertions say."""

    def mark(test: F) -> F:
        test.law = ids  # type: ignore[attr-defined]
        return test

    return mark


def parsed(raw: bytes) -> independent.Message:
    """A message through the independent package."""
    return independent.parse(raw.decode("utf-8").replace("\n", "\r"))


def names(raw: bytes | Message) -> list[str]:
    """Its segment names, in order, through the independent package."""
    data = raw.raw if isinstance(raw, Message) else raw
    return [str(segment[0]) for segment in parsed(data)]


def fields(raw: bytes | Message, name: str, field: int, component: int = 1) -> list[str]:
    """One component of a field in every segment of a name, through the independent package (unescaped)."""
    data = raw.raw if isinstance(raw, Message) else raw
    message = parsed(data)
    found: list[str] = []
    for segment in message:
        if str(segment[0]) != name:
            continue
        value = str(segment(field)) if len(segment) > field else ""
        parts = value.split("~")[0].split("^")
        found.append(message.unescape(parts[component - 1]) if len(parts) >= component else "")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


GRAMMAR = re.compile(
    r"MSH (PID (PV1 )?)?(SPM (OBX )*SAC (ORC (TQ1 )?(OBR (TCD )?(NTE )*(OBX (NTE )*)*(ORC:PR OBR (OBX )+)*)?)+)+"
)


def keeps_the_grammar(raw: bytes) -> bool:
    """Whether an OML^O33 keeps the order of LAW facts, section 4."""
    words = []
    for segment in parsed(raw):
        name = str(segment[0])
        words.append("ORC:PR" if name == "ORC" and str(segment(1)) == "PR" else name)
    return GRAMMAR.fullmatch(" ".join(words) + " ") is not None


class LawLab(Story):
    """The laboratory of a story: instrument `law` (and others) with their lines, and what the database holds."""

    def __init__(self, database: Database, folder: Path, catalog: Catalog) -> None:
        super().__init__(database)
        self.folder = folder
        self.catalog = catalog
        self.port = free_port()
        self.desk = WorkDesk(database)
        self.stations: list[LawStation] = []
        self._specs: list[LineSpec] = []
        self._build()

    def _build(self) -> None:
        self.ingest = Ingest(self.database, lambda keys: self.gateway.confirmed(keys))
        self.gateway = Gateway(
            self.folder, self.catalog, answer=self._answer, deliver=self.ingest.put, zone=ISTANBUL, desk=self.desk
        )
        self._task: asyncio.Task[None] | None = None

    async def _answer(self, line: str, query: Query) -> Sequence[Any]:
        return await answer_query(self.database, line, query)

    # ---- lines

    async def analyser(
        self, code: str = "law", *, definition: str = "generic-law", two: bool = True, name: str = "CHEM1", **settings: Any
    ) -> LawStation:  # fmt: skip
        """An analyser of the laboratory with its line or lines, called and calling."""
        port = self.port if code == "law" else free_port()
        station = LawStation(port, name=name, two_connections=two)
        await self._registered(code, definition)
        given = {**QUICK, **settings}
        if two:
            listening = await station.listen()
            work = f"{code}-is"
            await self._connection(work, code, "tcp-istemci", listening)
            given["is_hatti"] = work
            self._specs.append(LineSpec(work, "tcp-istemci", "hl7", f"127.0.0.1:{listening}", definition, given))
        self._specs.append(LineSpec(code, "tcp-sunucu", "hl7", f"127.0.0.1:{port}", definition, given))
        self.stations.append(station)
        return station

    async def _registered(self, code: str, definition: str) -> None:
        await self._do(
            "insert into cihaz (cihaz_kisa_kodu, cihaz_adi, tanim) values (:code, :code, :definition) "
            "on conflict (cihaz_kisa_kodu) do update set tanim = :definition",
            code=code, definition=definition,
        )  # fmt: skip
        if code == "law":
            return
        await self._do(
            "insert into tetkik_cihaz_eslesme (cihaz_kodu, tetkik_kodu, cihazdan_gelen_test_kodu, cihaza_giden_test_kodu, "
            "numune_turleri) select (select cihaz_kodu from cihaz where cihaz_kisa_kodu = :code), e.tetkik_kodu, "
            "e.cihazdan_gelen_test_kodu, e.cihaza_giden_test_kodu, e.numune_turleri from tetkik_cihaz_eslesme e "
            "join cihaz c using (cihaz_kodu) where c.cihaz_kisa_kodu = 'law' on conflict do nothing",
            code=code,
        )  # fmt: skip
        await self._connection(code, code, "tcp-sunucu", 0)

    async def _connection(self, name: str, code: str, kind: str, port: int) -> None:
        await self._do(
            "insert into baglanti (baglanti_adi, cihaz_kodu, baglanti_turu, protokol, adres) select :name, cihaz_kodu, "
            ":kind, 'hl7', :address from cihaz where cihaz_kisa_kodu = :code on conflict (baglanti_adi) do nothing",
            name=name, kind=kind, address=f"127.0.0.1:{port}", code=code,
        )  # fmt: skip

    async def setting(self, code: str, **settings: Any) -> None:
        """Settings of an instrument (`tekrar_sayisi`)."""
        await self._do(
            "update cihaz set ayarlar = ayarlar || cast(:more as jsonb) where cihaz_kisa_kodu = :code",
            more=orjson.dumps(settings).decode(), code=code,
        )  # fmt: skip

    async def _do(self, sql: str, **values: Any) -> None:
        async with self.database.engine.begin() as connection:
            await connection.execute(text(sql), values)

    async def open(self) -> None:
        """The lines open, the analysers call."""
        self._task = asyncio.create_task(self.ingest.run())
        await self.gateway.start_lines(self._specs)
        for station in self.stations:
            await station.start()

    async def close(self) -> None:
        for station in self.stations:
            await station.stop()
        await self._down()

    async def _down(self) -> None:
        await self.gateway.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def restart(self) -> None:
        """The process ends and starts again; the analysers call again."""
        await self._down()
        self._build()
        self._task = asyncio.create_task(self.ingest.run())
        await self.gateway.start_lines(self._specs)
        for station in self.stations:
            await station.start()

    async def settled(self) -> None:
        for _ in range(600):
            await self.ingest.drained()
            if not self.gateway.backlog:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self.gateway.backlog} messages are not committed")

    # ---- what it holds

    async def tube(self, *tests: str) -> str:
        """An order for these tests of one tube; the barcode of the tube."""
        return (await self.order(tests)).specimens[0].barcode

    async def received(self, barcode: str) -> None:
        """The laboratory has the tube."""
        await self._do(
            "update tetkik_numune set numune_durumu = 'kabul', numune_kabul_zamani = now() where barkod = :barcode",
            barcode=barcode,
        )
        await self._do(
            "update istem_tetkik set tetkik_durumu = 'kabul' where tetkik_numune_kodu = (select tetkik_numune_kodu from "
            "tetkik_numune where barkod = :barcode) and tetkik_durumu = 'istendi'",
            barcode=barcode,
        )

    async def steps(self, code: str = "law") -> dict[str, str]:
        """Test code: state of its newest step on this analyser."""
        rows = await self.rows(
            "select a.cihaz_test_kodu, a.durum from is_adimi a join cihaz using (cihaz_kodu) "
            "where cihaz_kisa_kodu = :code order by a.is_adimi_kodu",
            code=code,
        )
        return {row[0]: row[1] for row in rows}

    async def until_step(self, test: str, state: str, code: str = "law", seconds: float = 20.0) -> None:
        """Wait until the newest step of a test is in a state."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.steps(code)).get(test) != state:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{test} is {(await self.steps(code)).get(test)!r}, not {state!r}") from None

    async def awos(self, test: str, code: str = "law") -> str:
        return await self.value(
            "select adim_numarasi from is_adimi join cihaz using (cihaz_kodu) where cihaz_kisa_kodu = :code "
            "and cihaz_test_kodu = :test order by is_adimi_kodu desc limit 1",
            code=code,
            test=test,
        )

    async def results(self, barcode: str) -> list[Any]:
        """Result rows of a tube's order, in order."""
        return await self.rows(
            "select k.tetkik_kisa_kodu as test, s.* from tetkik_sonuc s join istem_tetkik t using (istem_tetkik_kodu) "
            "join tetkik k on k.tetkik_kodu = t.tetkik_kodu join barkod_kayit b using (tetkik_istem_kodu) "
            "where b.barkod = :barcode order by k.tetkik_kisa_kodu, kosu_no",
            barcode=barcode,
        )

    async def waiting(self) -> list[Any]:
        """What waits for a person."""
        return await self.rows("select neden, aciklama, icerik from eslesmeyen_sonuc order by eslesmeyen_sonuc_kodu")

    async def taken(self, station: LawStation, barcode: str) -> Message:
        """The analyser asks for a tube and accepts the work; the OML."""
        before = len(station.orders())
        await station.ask(barcode)
        await station.until(lambda: len(station.orders()) > before)
        return station.orders()[-1]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
async def lawlab(lab: Database, tmp_path: Path, catalog: Catalog) -> AsyncIterator[LawLab]:
    made = LawLab(lab, tmp_path / "spool", catalog)
    yield made
    await made.close()


@pytest.fixture
async def pair(lawlab: LawLab) -> AsyncIterator[tuple[LawLab, LawStation]]:
    """The laboratory with one analyser on two connections, open."""
    station = await lawlab.analyser()
    await lawlab.open()
    yield lawlab, station
