"""The demonstration laboratory loads, once, and follows the passwords and ports of each start."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text

from drivers.definition import load_catalog
from lis_core.demo import load_demo
from lis_core.demo_data.instruments import INSTRUMENTS
from lis_core.demo_orders import load_demo_orders
from lis_core.domain.identity import is_synthetic_tc
from lis_core.storage.database import Database
from lis_core.storage.tables import (
    Connection,
    Instrument,
    InstrumentTest,
    Order,
    OrderedTest,
    Patient,
    Range,
    Result,
    Test,
    UnmatchedResult,
    User,
)


async def test_everything_the_contract_names_is_there(lab: Database) -> None:
    async with lab.reading() as session:
        codes = set(await session.scalars(select(Test.code)))
        users = set(await session.scalars(select(User.username)))
        lines = dict((await session.execute(select(Connection.name, Connection.address))).tuples().all())
    assert codes >= {"GLU", "UREA", "CREA", "K", "NA", "ALT", "AST", "TSH", "FT4", "HBSAG", "ESR", "CBC"}
    assert users == {"teknisyen", "uzman", "hekim", "ailehekimi", "kabul", "yonetici"}
    assert {address.rsplit(":", 1)[1] for address in lines.values()} == {"4000", "4001", "4002", "4003", "4004", "4075"}


async def test_every_line_has_a_definition_of_its_protocol() -> None:
    known = load_catalog()
    for place in INSTRUMENTS:
        assert known.get(place.definition).protocol == place.protocol


async def test_no_serum_test_runs_from_an_edta_tube(lab: Database) -> None:
    """An EDTA tube is never offered potassium (invariant 8)."""
    async with lab.reading() as session:
        materials = dict((await session.execute(select(Test.code, Test.materials))).tuples().all())
    assert materials["K"] == ["SER"]
    assert materials["TSH"] == ["SER"]
    assert set(materials["ESR"]) == {"EDTA", "SITRAT"}


async def test_loading_again_changes_nothing_but_ports(lab: Database) -> None:
    async def counts() -> list[int]:
        async with lab.reading() as session:
            return [
                (await session.execute(select(func.count()).select_from(table))).scalar_one()
                for table in (Test, Range, Instrument, InstrumentTest, User)
            ]

    before = await counts()
    await load_demo(lab, password="Deneme-Parola-1", port_base=5000)
    assert await counts() == before
    async with lab.reading() as session:
        address = await session.scalar(select(Connection.address).where(Connection.name == "law"))
        broken = (await session.execute(text("select * from denetim_dogrula()"))).all()
    assert address == "127.0.0.1:5075"
    assert broken == []


@pytest.mark.clause("2.3.2")
async def test_the_demonstration_opens_with_work_in_every_stage(lab: Database) -> None:
    async def stages() -> dict[str, int]:
        async with lab.reading() as session:
            rows = await session.execute(select(OrderedTest.state, func.count()).group_by(OrderedTest.state))
            return {state.api: count for state, count in rows.tuples()}

    await load_demo_orders(lab)
    found = await stages()
    assert set(found) == {
        "ordered",
        "collected",
        "accepted",
        "resulted",
        "technically_approved",
        "clinically_approved",
        "rejected",
    }
    async with lab.reading() as session:
        patients = list(await session.scalars(select(Patient.tc)))
        waiting = (await session.scalars(select(UnmatchedResult))).all()
        numbers = list(await session.scalars(select(Order.number)))
        panic = await session.scalar(select(func.count()).select_from(Result).where(Result.flag == "P!"))
        broken = (await session.execute(text("select * from denetim_dogrula()"))).all()
    assert len(patients) == 20
    assert all(tc is not None and is_synthetic_tc(tc) for tc in patients)
    assert [row.cause for row in waiting] == ["numune_yok"]
    assert "1001" not in numbers  # pre-printed numbers stay free for whoever tries them
    assert panic
    assert broken == []

    await load_demo_orders(lab)
    assert await stages() == found
