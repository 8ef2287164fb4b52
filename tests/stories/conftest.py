"""The whole laboratory behind real sockets: every demonstration line, simulated analysers, orders, people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.house import free_ports
from drivers.definition import Catalog
from drivers.gateway.line import LineSpec
from lis_core.domain.states import TubeState
from lis_core.services.lines import active_lines
from lis_core.services.orders import PlacedOrder
from lis_core.services.specimens import move_tube
from lis_core.storage.database import Database
from simulators.analyser import Analyser, build_analyser
from simulators.cable import tcp_client
from tests.gateway.conftest import House, catalog
from tests.ingest.conftest import Story

__all__ = ["catalog"]

MODELS = {
    "genel": "generic-astm",
    "hemogram": "sysmex-xn",
    "biyokimya": "roche-cobas-c311",
    "hormon": "roche-cobas-e411",
}


class Laboratory(Story):
    """Words for whole stories."""

    def __init__(self, database: Database, house: House, ports: dict[str, int]) -> None:
        super().__init__(database)
        self.house = house
        self.ports = ports

    def analyser(self, line: str, **options: Any) -> Analyser:
        """The simulated analyser of a line."""
        return build_analyser(
            MODELS.get(line) or self.model_of(line), tcp_client("127.0.0.1", self.ports[line]), **options
        )

    def model_of(self, line: str) -> str:
        return self.house.gateway.lines[line].spec.definition

    async def receives(self, order: PlacedOrder, *materials: str) -> None:
        """Acceptance scans the tubes of these materials (all without any)."""
        async with self.database.work(await self.actor("kabul")) as work:
            for tube in order.specimens:
                if not materials or tube.material in materials:
                    await move_tube(work, tube.barcode, TubeState.RECEIVED)

    def barcode(self, order: PlacedOrder, caption: str) -> str:
        return next(tube.barcode for tube in order.specimens if tube.caption == caption)

    async def states(self, number: str) -> dict[str, str]:
        rows = await self.rows(
            "select tetkik_kisa_kodu, tetkik_durumu from istem_tetkik join tetkik_istem using (tetkik_istem_kodu) "
            "join tetkik using (tetkik_kodu) where numune_numarasi = :number",
            number=number,
        )
        return {row[0]: row[1] for row in rows}

    async def instrument_of(self, number: str, test: str) -> str:
        return str(
            await self.value(
                "select cihaz_kisa_kodu from istem_tetkik t join tetkik_istem using (tetkik_istem_kodu) "
                "join tetkik k using (tetkik_kodu) join tetkik_sonuc s using (tetkik_sonuc_kodu) "
                "join cihaz c on c.cihaz_kodu = s.cihaz_kodu "
                "where numune_numarasi = :number and tetkik_kisa_kodu = :test",
                number=number,
                test=test,
            )
        )

    async def settled(self) -> None:
        await self.house.settled()

    async def unmatched(self) -> list[Any]:
        return await self.rows("select neden, aciklama, icerik from eslesmeyen_sonuc order by eslesmeyen_sonuc_kodu")

    def line_error(self, line: str) -> str:
        return self.house.gateway.lines[line].status.last_error or ""


@pytest.fixture
async def laboratory(lab: Database, tmp_path: Path, catalog: Catalog) -> AsyncIterator[Laboratory]:
    base = free_ports()
    async with lab.engine.begin() as connection:
        await connection.execute(
            text("update baglanti set adres = '127.0.0.1:' || (:base + split_part(adres, ':', 2)::int - 4000)"),
            {"base": base},
        )
    lines: Sequence[LineSpec] = [
        LineSpec(row.name, row.kind, row.protocol, row.address, row.definition, row.settings)  # type: ignore[arg-type]
        for row in await active_lines(lab)
    ]
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(*lines)
    yield Laboratory(lab, house, {line.name: int(line.address.rsplit(":", 1)[1]) for line in lines})
    await house.stop()
