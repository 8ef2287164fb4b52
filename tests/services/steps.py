"""Small steps that the stories of this folder are told with."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select, text

from drivers.messages import Delivery, Observation
from lis_core.domain.identity import synthetic_tc
from lis_core.domain.permission_templates import Job
from lis_core.domain.states import TestState, TubeState
from lis_core.services.catalog import catalog
from lis_core.services.ingest_batch import apply_batch
from lis_core.services.orders import OrderRequest, PlacedOrder, place_order
from lis_core.services.patients import PatientData
from lis_core.services.result_rows import add_run, facts_of, judge_value
from lis_core.services.specimens import move_tube
from lis_core.services.users import actor_of_user
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import AuditEntry, GroupMember, Order, OrderedTest, Patient, PermissionGroup, Test, User

_people = itertools.count(500_000)
_measurements = itertools.count()


def person(**wanted: Any) -> PatientData:
    """An invented person; a new one each time, unless the story says otherwise."""
    n = next(_people)
    said: dict[str, Any] = {
        "given_name": "Işıl",
        "family_name": f"Öz{n}",
        "tc": synthetic_tc(n),
        "sex": "F",
        "birth_date": date(1980, 5, 17),
    }
    return PatientData(**(said | wanted))


async def user(lab: Database, username: str) -> Actor:
    """One of the demonstration users, signed in at a desk."""
    async with lab.reading() as session:
        found = await session.scalar(select(User).where(User.username == username))
        assert found is not None
        return await actor_of_user(session, found, "127.0.0.1")


async def new_user(lab: Database, username: str, job: Job, *benches: str) -> Actor:
    """Another person of the laboratory, authorised for these work groups (none = all)."""
    async with lab.work(Actor(name="kurulum")) as work:
        person = User(username=username, given_name="Ek", family_name=username.title(), password_hash="!")
        work.session.add(person)
        await work.session.flush()
        group_id = await work.session.scalar(select(PermissionGroup.id).where(PermissionGroup.code == job))
        work.session.add(GroupMember(group_id=group_id, user_id=person.id, benches=list(benches)))
    return await user(lab, username)


async def order(lab: Database, tests: list[str], *, by: str = "hekim", **wanted: Any) -> PlacedOrder:
    """An order by one of the demonstration users."""
    request = OrderRequest(patient=wanted.pop("patient", None) or person(), tests=tests, **wanted)
    async with lab.work(await user(lab, by)) as work:
        return await place_order(work, request)


async def tube_moves(lab: Database, barcode: str, to: TubeState, *, by: str = "kabul", **how: Any) -> None:
    async with lab.work(await user(lab, by)) as work:
        await move_tube(work, barcode, to, **how)


async def accepted(lab: Database, placed: PlacedOrder) -> None:
    """Every tube of the order arrives at the laboratory."""
    for specimen in placed.specimens:
        await tube_moves(lab, specimen.barcode, TubeState.RECEIVED)


async def states(lab: Database, number: str) -> dict[str, TestState]:
    """Code -> state of every test of an order."""
    async with lab.reading() as session:
        rows = await session.execute(
            select(Test.code, OrderedTest.state)
            .join(Test, Test.id == OrderedTest.test_id)
            .join(Order, Order.id == OrderedTest.order_id)
            .where(Order.number == number)
        )
        return dict(rows.tuples().all())


async def ordered_test(lab: Database, number: str, code: str) -> OrderedTest:
    async with lab.reading() as session:
        found = await session.scalar(
            select(OrderedTest)
            .join(Test, Test.id == OrderedTest.test_id)
            .join(Order, Order.id == OrderedTest.order_id)
            .where(Order.number == number, Test.code == code)
        )
        assert found is not None
        return found


async def result(lab: Database, number: str, code: str, value: str) -> int:
    """A measurement arrives for a test of an order (as ingest would store it); returns the result id."""
    async with lab.work(await user(lab, "teknisyen")) as work:
        known = await catalog(work.session)
        test = known.test_by_code[code]
        row = (
            await work.session.execute(
                select(OrderedTest, Order, Patient)
                .join(Order, Order.id == OrderedTest.order_id)
                .join(Patient, Patient.id == Order.patient_id)
                .where(Order.number == number, OrderedTest.test_id == test.id)
                .with_for_update(of=OrderedTest)
            )
        ).one()
        ordered, its_order, patient = row
        today = datetime.now(ISTANBUL).date()
        stored = await add_run(
            work,
            ordered,
            number,
            test,
            judge_value(test, value, facts_of(patient, its_order), today, known.range_book),
            measurement_key=hashlib.blake2b(f"deneme {next(_measurements)}".encode(), digest_size=16).digest(),
            instrument_value=value,
            received_at=work.now,
            reason=None,
            decisions=[],
        )
        return stored.id


async def analyser_sends(lab: Database, line: str, specimen: str | None, test: str, value: str, **more: Any) -> None:
    """An analyser reports one result on its line; the bytes are what a generic ASTM analyser would send."""
    observation = Observation(kind="result", specimen=specimen, test=test, value=value, raw={"record": 3}, **more)
    raw = f"H|\\^&\rO|1|{specimen or ''}\rR|1|^^^{test}|{value}\rL|1|N\r".encode()
    key = f"deneme-{next(_measurements)}"
    delivery = Delivery(
        key=key, line=line, received_at=datetime.now(UTC), protocol="astm", raw=raw, observations=[observation]
    )
    await apply_batch(lab, [delivery])


async def audit_of(lab: Database, entity: str, entity_id: object) -> list[AuditEntry]:
    """What the audit says about one thing, oldest first."""
    async with lab.reading() as session:
        rows = await session.scalars(
            select(AuditEntry)
            .where(AuditEntry.entity == entity, AuditEntry.entity_id == str(entity_id))
            .order_by(AuditEntry.chain, AuditEntry.number)
        )
        return list(rows)


async def chain_problems(lab: Database) -> list[tuple[str, int, str]]:
    """What is wrong with the audit chains; empty = nothing."""
    async with lab.reading() as session:
        rows = await session.execute(text("select zincir, sira, sorun from denetim_dogrula()"))
        return [tuple(row) for row in rows]
