"""Orders of the demonstration laboratory, in every stage, made by the same use cases as real ones.

Results come as messages of the generic analyser, so that each has its raw message. May run at every start: a story
that has begun is not told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from drivers.messages import Delivery, Observation
from lis_core.demo_data.stories import PATIENTS, STORIES, STRAY_RESULT, USUAL, Story
from lis_core.domain.identity import synthetic_tc
from lis_core.domain.states import TestState, TubeState
from lis_core.services.approvals import approve_clinically, approve_technically, request_repeat
from lis_core.services.catalog import catalog
from lis_core.services.ingest_batch import apply_batch
from lis_core.services.orders import OrderRequest, PlacedOrder, place_order
from lis_core.services.patients import PatientData
from lis_core.services.specimens import move_tube
from lis_core.services.users import actor_of_user
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor, Database, program
from lis_core.storage.tables import Order, OrderedTest, Parameter, User

LINE = "genel"
_TOLD = "gosterim_istemleri"
_MEASURED = frozenset({"sonuclandi", "teknik", "klinik", "tekrar"})
_ARRIVED = _MEASURED | {"kabul"}


async def load_demo_orders(db: Database) -> None:
    """Some twenty invented patients with orders in every stage. Needs the catalogue of `load_demo`.

    Not for two programs at once: the caller holds the demonstration's start (one `numune run --demo` a database).
    """
    people = await _people(db)
    told = await _told(db)
    now = datetime.now(ISTANBUL)
    for place, story in enumerate(STORIES):
        if place not in told:
            await _mark(db, place)
            await _tell(db, story, people, now)
    if -1 not in told:
        await _mark(db, -1)
        number, test, value = STRAY_RESULT
        await _measure(db, number, [(test, value)], now - timedelta(minutes=20))


async def _told(db: Database) -> set[int]:
    async with db.reading() as session:
        row = await session.get(Parameter, _TOLD)
        return set(row.value["anlatilan"]) if row else set()


async def _mark(db: Database, place: int) -> None:
    """Before the story: one that was cut off in the middle is not told twice."""
    async with db.work(program("gosterim")) as work:
        row = await work.session.get(Parameter, _TOLD, with_for_update=True)
        if row is None:
            work.session.add(Parameter(name=_TOLD, value={"anlatilan": [place]}))
        else:
            row.value = {"anlatilan": [*row.value["anlatilan"], place]}


async def _people(db: Database) -> dict[str, Actor]:
    async with db.reading() as session:
        users = (await session.scalars(select(User).where(User.active))).all()
        return {user.username: await actor_of_user(session, user, "127.0.0.1") for user in users}


async def _tell(db: Database, story: Story, people: dict[str, Actor], now: datetime) -> None:
    at = now - timedelta(hours=story.hours_ago)
    placed = await _order(db, story, people[story.by], at)
    nurse, desk = people[story.by], people["kabul"]
    if story.stage != "istendi":
        await _move(db, placed, TubeState.COLLECTED, nurse)
    if story.stage == "yolda":
        await _move(db, placed, TubeState.DISPATCHED, nurse)
    if story.stage in _ARRIVED:
        await _move(db, placed, TubeState.RECEIVED, desk)
    if story.stage == "ret":
        await _move(db, placed, TubeState.RECEIVED, desk, tubes=placed.specimens[1:])
        await _move(db, placed, TubeState.REJECTED, desk, reason=story.reason, tubes=placed.specimens[:1])
    if story.stage in _MEASURED:
        codes = [code for specimen in placed.specimens for code in specimen.tests if code not in story.unanswered]
        values = USUAL | dict(story.values)
        await _measure(db, placed.number, [(code, values[code]) for code in codes], at + timedelta(minutes=50))
        await _decide(db, story, placed, people)


async def _order(db: Database, story: Story, actor: Actor, at: datetime) -> PlacedOrder:
    given, family, sex, born = PATIENTS[story.patient]
    request = OrderRequest(
        patient=PatientData(given, family, tc=synthetic_tc(story.patient + 1), sex=sex, birth_date=born),
        tests=story.tests,
        priority=story.priority,
        clinical=dict(story.clinical),
        source="gosterim",
        ordered_at=at,
    )
    async with db.work(actor) as work:
        return await place_order(work, request)


async def _move(
    db: Database,
    placed: PlacedOrder,
    to: TubeState,
    actor: Actor,
    reason: str | None = None,
    tubes: Sequence[object] | None = None,
) -> None:
    async with db.work(actor) as work:
        for specimen in placed.specimens:
            if tubes is None or specimen in tubes:
                await move_tube(work, specimen.barcode, to, reason=reason)


async def _measure(db: Database, number: str, values: Sequence[tuple[str, str]], at: datetime) -> None:
    """One message of the generic analyser: the bytes, and what they say."""
    async with db.reading() as session:
        known = await catalog(session)
    measured = f"{at:%Y%m%d%H%M%S}"
    records = ["H|\\^&|||GENEL^1.0|||||||P|1394-97|" + measured, "P|1", f"O|1|{number}||^^^ALL|R||||||N||||S"]
    observations = []
    for place, (code, value) in enumerate(values, 1):
        unit = known.test_by_code[code].unit
        records.append(f"R|{place}|^^^{code}|{value}|{unit}||||F||||{measured}")
        observations.append(
            Observation(
                kind="result",
                instrument="generic-astm",
                specimen=number,
                test=code,
                value=value,
                unit=unit or None,
                status="F",
                measured_at=at.replace(tzinfo=None, microsecond=0).isoformat(),
                raw={"record": len(records)},
            )
        )
    raw = "\r".join([*records, "L|1|N", ""]).encode()
    delivery = Delivery(
        key=f"gosterim-{number}",
        line=LINE,
        received_at=at,
        protocol="astm",
        raw=raw,
        timed=True,
        definition="generic-astm",
        revision=1,
        observations=observations,
    )
    await apply_batch(db, [delivery])


async def _decide(db: Database, story: Story, placed: PlacedOrder, people: dict[str, Actor]) -> None:
    async with db.reading() as session:
        results = list(
            await session.scalars(
                select(OrderedTest.result_id)
                .join(Order, Order.id == OrderedTest.order_id)
                .where(Order.number == placed.number, OrderedTest.state == TestState.RESULTED)
                .order_by(OrderedTest.id)
            )
        )
    ids = [result for result in results if result is not None]
    if story.stage == "tekrar":
        async with db.work(people["teknisyen"]) as work:
            await request_repeat(work, ids[-1], story.reason)
    if story.stage in ("teknik", "klinik"):
        async with db.work(people["teknisyen"]) as work:
            await approve_technically(work, ids, "kontrol edildi")
    if story.stage == "klinik":
        async with db.work(people["uzman"]) as work:
            await approve_clinically(work, ids)
