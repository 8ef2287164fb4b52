"""Orders of physicians: today's first, a new one by keyboard, the order as a whole, its labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import needs
from api.context import Db
from api.screens import approving, drawing
from api.screens.shell import Screen, said, screen
from api.screens.words import days_before
from api.screens.work_steps import WORDS as STEP_WORDS
from barcode.label import LabelError, label_svg, tube_label
from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.identity import parse_date_tr, tc_problem
from lis_core.domain.permissions import About, P
from lis_core.domain.states import PENDING, Priority, TestState
from lis_core.services.audit import viewed
from lis_core.services.orders import OrderRequest, cancel_tests, place_order
from lis_core.services.patients import PatientData
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.storage.tables import BarcodeRange, Patient, Physician, TubeType
from lis_core.views.catalogue_view import TubeGroup, order_catalogue
from lis_core.views.order_lists import OrderSearch, find_orders
from lis_core.views.picture import newest_values, order_picture
from lis_core.views.picture_shapes import Picture
from lis_core.views.work_steps import steps_of_test

router = APIRouter(prefix="/istem")
Here = Annotated[Screen, Depends(screen("orders"))]
Viewer = Annotated[Screen, Depends(screen("search"))]
Text = Annotated[str, Form(max_length=500)]


def _today() -> datetime:
    return datetime.now(ISTANBUL).replace(hour=0, minute=0, second=0, microsecond=0)


async def _today_facts(here: Screen, db: Database) -> dict[str, Any]:
    today = _today()
    async with db.reading() as session:
        found = await find_orders(session, here.sight, OrderSearch(first_day=today, released_since=today), limit=200)
    fresh = [order for order in found if order.released_at is not None and order.released_at >= today]
    return {"fresh": fresh, "waiting": [order for order in found if order not in fresh], "today": today}


@router.get("")
async def today(here: Here, db: Db) -> Response:
    """Today's orders, those with new results first."""
    return await here.page("orders/today.html", **await _today_facts(here, db))


@router.get("/bugun")
async def today_part(here: Here, db: Db) -> Response:
    """The same, as a part that renews itself."""
    return here.part("orders/today_rows.html", **await _today_facts(here, db))


# -- a new order


@router.get("/yeni")
async def new(here: Here, db: Db) -> Response:
    """The form: tests under the tube they go into (9.2.8)."""
    async with db.reading() as session:
        columns = await order_catalogue(session)
        physicians = await _physicians(session, here) if not here.actor.physician_id else []
    facts: dict[str, Any] = {"patient": None, "past": {}, "problem": None}
    return await here.page(
        "orders/new.html", columns=columns, physicians=physicians, folded_in=_folded_in(columns), **facts
    )


def _folded_in(columns: list[TubeGroup]) -> set[str]:
    """Members of panels that are a whole bench (a hemogram, a strip): seldom ordered one by one, so shown folded."""
    tests = [test for column in columns for test in column.tests]
    found: set[str] = set()
    for panel in tests:
        members = {test.code for test in tests if test.code in panel.members}
        bench = {test.code for test in tests if test.group == panel.group and not test.panel}
        if panel.panel and members == bench:
            found |= members
    return found


async def _physicians(session: AsyncSession, here: Screen) -> list[Physician]:
    """Those in whose name this person may order: of his own units, where he is limited to them (2.8.16a)."""
    return list(
        await session.scalars(
            select(Physician)
            .where(Physician.active, here.sight.physician_condition())
            .order_by(Physician.family_name, Physician.given_name)
        )
    )


@router.get("/hasta", dependencies=[Depends(needs(P.PATIENT_VIEW))])
async def known_patient(here: Here, db: Db, tc: Annotated[str, Query(max_length=20)]) -> Response:
    """Whom a TC number belongs to, with the newest visible value of each test; empty fields for a new person."""
    problem = tc_problem(tc)
    if problem:
        sentence = NumuneError(errors.BAD_TC, problem=problem).message
        return here.part("orders/patient.html", patient=None, past={}, problem=sentence)
    async with db.reading() as session:
        patient = await session.scalar(select(Patient).where(Patient.tc == tc.strip()))
        shown = patient is not None and patient.hidden_number is None
        past = await newest_values(session, here.sight, patient.id) if patient and shown else []
    if patient is not None:
        viewed(here.actor, patients=[patient.id])
    now = datetime.now(UTC)
    words = {one.code: f"{one.value} {one.unit} ({days_before(one.at, now)})" for one in past}
    return here.part("orders/patient.html", patient=patient, past=words, problem=None)


@router.get("/numara")
async def number_owner(here: Here, db: Db, metin: Annotated[str, Query(max_length=40)]) -> Response:
    """The order number that a scanned pre-printed label means, and whose range it is from (9.2.5b)."""
    text = clean_scan(metin)
    async with db.reading() as session:
        tubes = set(await session.scalars(select(TubeType.code)))
        ranges = (
            await session.execute(
                select(BarcodeRange, Physician).outerjoin(Physician, Physician.id == BarcodeRange.physician_id)
            )
        ).tuples()
        holding = [(numbers, owner) for numbers, owner in ranges]
    for candidate in (text, text[:-2] if text[-2:] in tubes else ""):
        for numbers, owner in holding:
            if candidate.isdigit() and numbers.first <= int(candidate) <= numbers.last:
                own = owner is not None and owner.id == here.actor.physician_id
                return here.part("orders/number.html", number=candidate, owner=owner, own=own, numbers=numbers)
    return here.part("orders/number.html", number=text, owner=None, own=False, numbers=None)


@dataclass(frozen=True, slots=True)
class _Person:
    """The patient's fields of the form."""

    tc: str
    ad: str
    soyad: str
    dogum: str
    cinsiyet: str
    pasaport: str

    def data(self) -> PatientData:
        """Raises INVALID_INPUT, NO_PATIENT_FIELD, BAD_TC with the sentence for the person who types."""
        if not self.tc.strip() and not self.pasaport.strip():
            raise NumuneError(errors.NO_PATIENT_FIELD, field="T.C. kimlik ya da pasaport numarası")
        if not self.ad.strip() or not self.soyad.strip():
            raise NumuneError(errors.NO_PATIENT_FIELD, field="adı ve soyadı")
        try:
            born = parse_date_tr(self.dogum) if self.dogum.strip() else None
        except ValueError as error:
            raise NumuneError(errors.INVALID_INPUT, problem=str(error)) from error
        return PatientData(
            given_name=self.ad.strip(),
            family_name=self.soyad.strip(),
            tc=self.tc.strip() or None,
            sex=self.cinsiyet or None,
            birth_date=born,
            passport=self.pasaport.strip() or None,
        )


def _person(
    tc: Text = "", ad: Text = "", soyad: Text = "", dogum: Text = "", cinsiyet: Text = "", pasaport: Text = ""
) -> _Person:
    if cinsiyet not in ("", "F", "M"):
        raise NumuneError(errors.INVALID_INPUT, problem="cinsiyet F ya da M olmalı")
    return _Person(tc, ad, soyad, dogum, cinsiyet, pasaport)


@router.post("")
async def place(
    here: Here,
    db: Db,
    person: Annotated[_Person, Depends(_person)],
    tetkik: Annotated[list[str], Form()] = [],  # noqa: B006
    aciliyet: Text = "rutin",
    gebe: Text = "",
    sigara: Text = "",
    note: Annotated[str, Form(alias="not", max_length=300)] = "",
    numara: Text = "",
    hekim: Text = "",
) -> Response:
    """Place the order; the answer says its number, its tubes and what has to be known."""
    if not here.actor.physician_id and not hekim:
        raise NumuneError(errors.INVALID_INPUT, problem="isteyen hekim seçilmedi")
    if aciliyet not in set(Priority):
        raise NumuneError(errors.INVALID_INPUT, problem="aciliyet tanınmıyor")
    clinical: dict[str, Any] = {word: True for word, given in (("gebe", gebe), ("sigara", sigara)) if given}
    if note.strip():
        clinical["not"] = note.strip()
    request = OrderRequest(
        patient=person.data(),
        tests=tetkik,
        priority=Priority(aciliyet),
        physician=hekim or None,
        clinical=clinical,
        number=numara.strip() or None,
        source="ekran",
    )
    async with db.work(here.actor) as work:
        placed = await place_order(work, request)
    return here.part("orders/placed.html", placed=placed)


# -- one order


async def _found(here: Screen, session: AsyncSession, number: str) -> Picture:
    try:
        found = await order_picture(session, here.sight, number, timed=True)
    except NumuneError as refusal:
        if here.actor.may(P.PRIVACY_EMERGENCY):
            refusal.details["emergency"] = number  # the page of the refusal shows the way
        raise
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{number} numaralı istem")
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the order. look: done, now or ""."""

    caption: str
    words: str
    look: str


_REACHED = (
    ("İstendi", frozenset(TestState) - {TestState.CANCELLED}),
    ("Numune alındı", frozenset(TestState) - {TestState.ORDERED, TestState.CANCELLED, TestState.REJECTED}),
    (
        "Laboratuvarda",
        frozenset(TestState) - {TestState.ORDERED, TestState.COLLECTED, TestState.CANCELLED, TestState.REJECTED},
    ),
    (
        "Sonuçlandı",
        frozenset({TestState.RESULTED, TestState.TECHNICALLY_APPROVED, TestState.CLINICALLY_APPROVED}),
    ),
    ("Teknik onay", frozenset({TestState.TECHNICALLY_APPROVED, TestState.CLINICALLY_APPROVED})),
    ("Klinik onay", frozenset({TestState.CLINICALLY_APPROVED})),
)


def steps_of(picture: Picture) -> list[Step]:
    """How far the order is, stage by stage: how many of its tests have reached each."""
    wanted = [row for row in picture.rows if row.state is not TestState.CANCELLED]
    steps, behind = [], False
    for caption, states in _REACHED:
        reached = sum(1 for row in wanted if row.state in states)
        whole = bool(wanted) and reached == len(wanted)
        look = "done" if whole else ("" if behind else "now")
        behind = behind or not whole
        steps.append(Step(caption, f"{reached}/{len(wanted)} tetkik" if wanted else "iptal edildi", look))
    return steps


def _page_facts(here: Screen, found: Picture) -> dict[str, Any]:
    about = About(unit_id=found.unit_id, physician_id=found.physician_id, ordered_by_id=found.ordered_by_id)
    open_tests = any(row.state in PENDING for row in found.rows)
    return {
        "picture": found,
        "steps": steps_of(found),
        "may_cancel": here.actor.may(P.ORDER_CHANGE, about) and open_tests,
        "may_emergency": here.actor.may(P.REPORT_EMERGENCY, about) and found.priority is Priority.URGENT,
        "said": None,
    }


@router.get("/{number}")
async def page(here: Viewer, db: Db, number: str) -> Response:
    """All groups of one order on one screen (9.2.2b); values only where this person may read them."""
    async with db.reading() as session:
        found = await _found(here, session, number)
    return await here.page("orders/page.html", **_page_facts(here, found))


@router.get("/{number}/govde")
async def body(here: Viewer, db: Db, number: str) -> Response:
    """The order's body, as a part that renews itself."""
    async with db.reading() as session:
        found = await _found(here, session, number)
    return here.part("orders/body.html", **_page_facts(here, found))


@router.get("/{number}/tuslar")
async def keys(here: Viewer, db: Db, number: str) -> Response:
    """The commands of the order, as a part that renews itself: the report comes with the first released result."""
    async with db.reading() as session:
        found = await _found(here, session, number)
    return here.part("orders/keys.html", **_page_facts(here, found))


@router.get("/{number}/tetkik/{ordered_test_id}")
async def detail(here: Viewer, db: Db, number: str, ordered_test_id: str) -> Response:
    """One test of the order: trend, earlier results, approvals; and the order's timeline."""
    async with db.reading() as session:
        found = await _found(here, session, number)
        row = approving.row_of(found, ordered_test_id)
        low, high = await approving.limits_of(session, row)
        steps = await steps_of_test(session, row.ordered_test_id) if here.actor.may(P.INSTRUMENT_VIEW) else []
    trend = drawing.trend_chart(approving.trend_points(row), low, high, 306, 120, marked=row.value is not None)
    return here.part("orders/detail.html", row=row, trend=trend, events=found.events, steps=steps, **STEP_WORDS)


@router.post("/{number}/iptal", dependencies=[Depends(needs(P.ORDER_CHANGE))])
async def cancel(here: Here, db: Db, number: str, kod: Text = "", neden: Text = "") -> Response:
    """Cancel one test or the whole order, with a reason."""
    async with db.reading() as session:
        await _found(here, session, number)  # somebody else's order is refused before anything is touched
    async with db.work(here.actor) as work:
        cancelled = await cancel_tests(work, number, [kod] if kod else None, neden)
    async with db.reading() as session:
        found = await _found(here, session, number)
    facts = _page_facts(here, found)
    facts["said"] = said(f"İptal edildi: {', '.join(cancelled)}.", "warn")
    return here.part("orders/body.html", **facts)


# -- labels


@dataclass(frozen=True, slots=True)
class Label:
    """A tube label on screen."""

    barcode: str
    caption: str
    tests: list[str]
    svg: Markup


@router.get("/{number}/etiket")
async def labels(here: Viewer, db: Db, number: str) -> Response:
    """The tube labels of an order (9.2.1d), to be looked at and printed at 40 x 25 mm."""
    async with db.reading() as session:
        found = await _found(here, session, number)
    sender = found.physician or found.unit
    made = []
    for tube in found.tubes:
        tests = [row.code for row in found.rows if row.tube == tube.caption and row.state is not TestState.CANCELLED]
        try:
            layout = tube_label(
                number=found.number,
                barcode=tube.barcode,
                group=tube.caption,
                given_name=found.on_label[0],
                family_name=found.on_label[1],
                sender=sender,
            )
        except LabelError as error:
            raise NumuneError(errors.BAD_NUMBER, problem=str(error)) from error
        made.append(Label(tube.barcode, tube.caption, tests, Markup(label_svg(layout))))
    return await here.page("orders/labels.html", picture=found, labels=made)
