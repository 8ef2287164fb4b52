"""Lists are narrowed in the query: what the condition lets through is what the function says, for any rights."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import Session

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import About, Grant, P, Person, Places, Rights, Scope, ScopeKind
from lis_core.domain.states import TestState
from lis_core.services.orders import OrderRequest, place_order
from lis_core.services.permissions import Period, Subject, give, put_in_unit
from lis_core.services.rights import today
from lis_core.storage.database import Actor, Database, as_psycopg_url
from lis_core.storage.tables import Order, OrderedTest, Physician, Unit, User
from lis_core.views.order_lists import OrderSearch, find_orders
from lis_core.views.seeing import Sight
from tests.permissions.conftest import House
from tests.services import steps

BENCHES = ("BIYOKIMYA", "HEMATOLOJI", "HORMON")


@pytest.fixture(scope="module")
def orders(pg_server: str, lab_template: str) -> Any:
    """Two orders of different physicians in the template's catalogue; read only by the tests of this module."""
    import asyncio
    import threading
    import uuid

    import psycopg

    name = f"listeler_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {lab_template}")
    head, _, tail = pg_server.partition("?")
    url = f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{tail}" if tail else "")

    async def tell() -> None:
        database = Database(url)
        try:
            for by in ("hekim", "ailehekimi", "kabul"):
                await steps.order(database, ["GLU", "TSH", "CBC"], by=by)
        finally:
            await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(tell()))
    thread.start()
    thread.join()
    with Session(create_engine(as_psycopg_url(url))) as session:
        yield session


@st.composite
def order_rights(draw: st.DrawFn) -> list[Grant]:
    scope = st.sampled_from(
        [
            Scope(),
            Scope(ScopeKind.OWN),
            Scope(ScopeKind.UNIT),
            Scope(ScopeKind.UNIT, "DAHILIYE"),
            Scope(ScopeKind.UNIT, "AHB-01"),
            Scope(ScopeKind.INSTITUTION, "DEMO-01"),
        ]
    )
    return [
        Grant(P.ORDER_VIEW, one, forbids)
        for one, forbids in draw(st.lists(st.tuples(scope, st.booleans()), max_size=5))
    ]


@given(held=order_rights(), who=st.sampled_from(["hekim", "ailehekimi", "kabul", "uzman"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_orders_in_a_list_are_those_that_he_may_open(orders: Session, held: list[Grant], who: str) -> None:
    units = dict(orders.execute(select(Unit.code, Unit.id)).tuples().all())
    user = orders.scalar(select(User).where(User.username == who))
    assert user is not None
    unit = orders.scalar(select(Physician.unit_id).where(Physician.id == user.physician_id))
    person = Person(user.id, user.physician_id, frozenset({unit} if unit else ()))
    rights = Rights(held, person, Places(units, {"DEMO-01": frozenset(units.values())}))
    sight = Sight(Actor(name=who, user_id=user.id, rights=rights))
    listed = set(orders.scalars(select(Order.id).where(sight.order_condition())))
    opened = {
        order.id
        for order in orders.scalars(select(Order))
        if rights.may(
            P.ORDER_VIEW,
            About(unit_id=order.unit_id, physician_id=order.physician_id, ordered_by_id=order.ordered_by_id),
        )
    }
    assert listed == opened


@given(
    st.lists(
        st.tuples(
            st.sampled_from([P.RESULT_VIEW, P.RESULT_VIEW_UNAPPROVED, P.RESULT_TECHNICAL]),
            st.sampled_from([Scope(), *(Scope(ScopeKind.BENCH, bench) for bench in BENCHES)]),
            st.booleans(),
        ),
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_in_a_list_are_those_that_he_may_read(orders: Session, held: list[tuple[P, Scope, bool]]) -> None:
    """The condition over every bench and every state, beside the one function that decides."""
    rights = Rights([Grant(permission, scope, forbids) for permission, scope, forbids in held])
    sight = Sight(Actor(name="deneme", rights=rights))
    columns = select(OrderedTest.group).distinct()
    for state in TestState:
        condition = sight.value_condition()
        text = str(condition.compile(orders.get_bind(), compile_kwargs={"literal_binds": True}))
        text = text.replace("istem_tetkik.tetkik_durumu", f"'{state.value}'")
        from sqlalchemy import text as sql

        shown = set(orders.scalars(columns.where(sql(text))))
        assert shown == {group for group in orders.scalars(columns) if sight.sees(group, state)}, state
    work = set(orders.scalars(columns.where(sight.test_condition(P.RESULT_TECHNICAL))))
    assert work == {group for group in orders.scalars(columns) if rights.may(P.RESULT_TECHNICAL, About(group))}


async def test_a_longer_list_asks_no_more_questions(lab: Database) -> None:
    """However many rows: the orders he may see in one question, their counts in another."""
    for by in ("hekim", "ailehekimi"):
        await steps.order(lab, ["GLU"], by=by)
    actor = await steps.user(lab, "hekim")
    asked: list[str] = []
    listener = lambda *given_: asked.append(given_[2])  # noqa: E731
    event.listen(lab.engine.sync_engine, "before_cursor_execute", listener)
    async with lab.reading() as session:
        found = await find_orders(session, Sight(actor), OrderSearch(), 5000)
    event.remove(lab.engine.sync_engine, "before_cursor_execute", listener)
    assert len(found) == 1
    assert len(asked) == 2
    assert "where" in asked[0].lower()


# --- each unit its own physicians (2.8.16) -------------------------------------------------------------------------


async def unit_clerk(house: House, username: str, unit: str) -> Actor:
    """Somebody who enters orders for one unit, and is no physician."""
    user_id = await house.person(username)
    async with house.database.work(await house.actor("yonetici")) as work:
        for permission in (P.ORDER_ENTER, P.ORDER_VIEW):
            await give(work, Subject(user_id=user_id), permission, Scope(ScopeKind.UNIT, unit))
        await give(work, Subject(user_id=user_id), P.PATIENT_ENTER, Scope())
    return await house.actor(username)


async def physicians(lab: Database, actor: Actor) -> list[str]:
    async with lab.reading() as session:
        return sorted(await session.scalars(select(Physician.code).where(Sight(actor).physician_condition())))


async def order_for(lab: Database, actor: Actor, physician: str, **more: Any) -> int:
    async with lab.work(actor) as work:
        request = OrderRequest(patient=steps.person(), tests=["GLU"], physician=physician, **more)
        return (await place_order(work, request)).order_id


@pytest.mark.clause("2.8.16a")
async def test_a_unit_sees_and_takes_only_its_own_physicians(lab: Database) -> None:
    house = House(lab)
    clerk = await unit_clerk(house, "dahiliyeci", "DAHILIYE")
    assert await physicians(lab, clerk) == ["H-100"]
    await order_for(lab, clerk, "H-100")
    with pytest.raises(NumuneError) as refused:
        await order_for(lab, clerk, "H-101")
    assert refused.value.kind is errors.NOT_ALLOWED
    with pytest.raises(NumuneError) as refused:
        await order_for(lab, clerk, "H-100", unit="ACIL")
    assert refused.value.kind is errors.NOT_ALLOWED


@pytest.mark.clause("2.8.16b")
async def test_a_physician_works_in_a_second_unit_for_a_time(lab: Database) -> None:
    house = House(lab)
    clerk = await unit_clerk(house, "acilci", "ACIL")
    other = await unit_clerk(house, "dahiliyeci", "DAHILIYE")
    assert await physicians(lab, clerk) == ["H-101"]
    hekim = await house.actor("hekim")
    async with lab.reading() as session:
        acil = await session.scalar(select(Unit.id).where(Unit.code == "ACIL"))
        dahiliye = await session.scalar(select(Unit.id).where(Unit.code == "DAHILIYE"))
    assert hekim.physician_id is not None
    assert acil is not None
    day = today()
    async with lab.work(await house.actor("yonetici")) as work:
        await put_in_unit(work, hekim.physician_id, acil, Period(day, day + timedelta(days=30)))
    assert await physicians(lab, clerk) == ["H-100", "H-101"]
    assert await physicians(lab, other) == ["H-100"]
    made = [await order_for(lab, clerk, "H-100", unit="ACIL"), await order_for(lab, other, "H-100")]
    async with lab.reading() as session:
        units = [await session.scalar(select(Order.unit_id).where(Order.id == one)) for one in made]
    assert units == [acil, dahiliye]  # each keeps the unit in which it was made
    assert (await house.actor("hekim")).rights.person.unit_ids == {acil, dahiliye}


async def test_a_unit_that_is_over_is_his_no_more(lab: Database) -> None:
    house = House(lab)
    hekim = await house.actor("hekim")
    async with lab.reading() as session:
        acil = await session.scalar(select(Unit.id).where(Unit.code == "ACIL"))
    assert hekim.physician_id is not None
    assert acil is not None
    async with lab.work(await house.actor("yonetici")) as work:
        await put_in_unit(work, hekim.physician_id, acil, Period(None, today() - timedelta(days=1)))
    assert acil not in (await house.actor("hekim")).rights.person.unit_ids
