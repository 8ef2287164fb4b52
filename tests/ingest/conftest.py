"""Story words for ingest tests: an order is placed, a message arrives, the laboratory is asked what it has."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, text

from drivers.messages import Delivery, Observation
from lis_core.services.ingest_batch import BatchOutcome, apply_batch
from lis_core.services.orders import OrderRequest, PlacedOrder, place_order
from lis_core.services.patients import PatientData
from lis_core.services.users import actor_of_user
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import User

_serial = itertools.count(1)


class Story:
    """The laboratory as a test speaks of it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def order(self, tests: Sequence[str], number: str | None = None, **patient: Any) -> PlacedOrder:
        """Somebody orders tests for a synthetic person."""
        from lis_core.domain.identity import synthetic_tc

        n = next(_serial)
        data = PatientData(
            given_name=patient.get("given_name", "Ayşe"),
            family_name=patient.get("family_name", f"Deneme{n}"),
            tc=patient.get("tc", synthetic_tc(5000 + n)),
            sex=patient.get("sex", "F"),
            birth_date=patient.get("birth_date", datetime(1980, 2, 14).date()),
        )
        async with self.database.work(await self.actor("hekim")) as work:
            return await place_order(work, OrderRequest(patient=data, tests=tests, number=number))

    async def actor(self, username: str) -> Actor:
        async with self.database.reading() as session:
            user = await session.scalar(select(User).where(User.username == username))
            assert user is not None
            return await actor_of_user(session, user)

    async def arrive(self, *deliveries: Delivery, careful: bool = False) -> BatchOutcome:
        return await apply_batch(self.database, deliveries, careful=careful)

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.reading() as session:
            return list((await session.execute(text(sql), values)).all())

    async def value(self, sql: str, **values: Any) -> Any:
        async with self.database.reading() as session:
            return await session.scalar(text(sql), values)

    async def state(self, number: str, test: str) -> str:
        return await self.value(
            "select tetkik_durumu from istem_tetkik join tetkik_istem using (tetkik_istem_kodu) "
            "join tetkik using (tetkik_kodu) where numune_numarasi = :number and tetkik_kisa_kodu = :test",
            number=number,
            test=test,
        )

    async def runs(self, number: str, test: str) -> list[Any]:
        return await self.rows(
            "select s.* from tetkik_sonuc s join istem_tetkik t using (istem_tetkik_kodu) "
            "join tetkik_istem using (tetkik_istem_kodu) join tetkik k on k.tetkik_kodu = t.tetkik_kodu "
            "where numune_numarasi = :number and tetkik_kisa_kodu = :test order by kosu_no",
            number=number,
            test=test,
        )


@pytest.fixture
async def story(lab: Database) -> Story:
    return Story(lab)


def message(
    *observations: Observation,
    line: str = "genel",
    key: str | None = None,
    fingerprint: bytes | None = None,
    timed: bool | None = None,
    **more: Any,
) -> Delivery:
    """A delivery as the gateway makes it."""
    import hashlib

    n = next(_serial)
    body = repr(observations).encode()
    return Delivery(
        key=key or f"deneme-{n}",
        line=line,
        received_at=more.pop("received_at", datetime.now(UTC)),
        protocol="astm",
        raw=more.pop("raw", b"H|\\^&\rL|1|N\r"),
        fingerprint=fingerprint if fingerprint is not None else hashlib.sha256(body).digest(),
        timed=all(o.measured_at for o in observations) if timed is None else timed,
        definition="generic-astm",
        revision=1,
        observations=list(observations),
        **more,
    )


def result(specimen: str | None, test: str, value: str, unit: str | None = None, **more: Any) -> Observation:
    record = more.pop("record", 4)
    return Observation(
        kind=more.pop("kind", "result"),
        specimen=specimen,
        test=test,
        value=value,
        unit=unit,
        raw={"record": record},
        measured_at=more.pop("measured_at", "2026-11-22T10:15:00"),
        **more,
    )
