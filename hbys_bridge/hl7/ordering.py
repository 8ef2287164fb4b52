"""An order message applied: placed, added to, changed, cancelled. All of it or nothing (the caller's transaction).

The rules are the laboratory's own services; what is here is the way from the hospital's words to them, and back from
a refusal to the place in the message that caused it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import exists, or_, select, text

from drivers.protocols.hl7 import ErrorLocation
from hbys_bridge.hl7.coding import UnclearCode, named_test
from hbys_bridge.hl7.history import INCOMING, OrderHistory, order_history
from hbys_bridge.hl7.orders import CANCEL, CHANGE, NEW, OrderLine, OrderMessage, PersonCode
from hbys_bridge.hl7.refusals import DUPLICATE_KEY, MISSING, NOT_IN_TABLE, UNKNOWN_KEY, Place, Refused, refused
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.states import Priority, TestState, TubeState
from lis_core.services.catalog import Catalog, CatalogTest, catalog
from lis_core.services.orders import OrderRequest, add_tests, cancel_tests, locked_order, place_order
from lis_core.services.patients import find_or_register, masked
from lis_core.storage.database import Work
from lis_core.storage.tables import HospitalMessage, Material, Order, OrderedTest, Patient, Physician, Tube, Unit

SOURCE = "hbys"
_ORDER_LOCK = 7_301_950
"""First key of the advisory locks under which a hospital's order number is looked up: two lines, one order."""
_SEARCHED_ORDERS = 50
"""Of a patient's orders, the newest so many are searched for a request's number."""
_AHEAD = timedelta(minutes=5)
"""How far a hospital's clock may be ahead; a later order time is not believed."""

_COLUMN = {
    "priority": "aciliyet",
    "physician_id": "isteyen_hekim_kodu",
    "unit_id": "birim_kodu",
    "clinical": "klinik_bilgi",
}

ACCEPTED, CANCELLED, CHANGED = "OK", "CR", "XR"
"""ORC-1 of the answer (table 0119): accepted, cancelled as asked, changed as asked."""


@dataclass(frozen=True, slots=True)
class LineDone:
    """What became of one line. `outcome`: ORC-1 of the answer. `test`: None where the line names none."""

    line: OrderLine
    outcome: str
    test: CatalogTest | None


@dataclass(frozen=True, slots=True)
class LabelledTube:
    """A tube to be labelled: what the hospital needs to print it, and which tests run from it."""

    barcode: str
    kind: str
    caption: str
    colour: str
    material: str
    material_name: str
    material_hl7: str
    test_ids: frozenset[int]

    def serves(self, test: CatalogTest) -> bool:
        """Whether this test, or a member of this panel, runs from it."""
        return bool(self.test_ids & {test.id, *test.members})


@dataclass(frozen=True, slots=True)
class Applied:
    """The order after the message."""

    order_id: int
    number: str
    lines: Sequence[LineDone]
    tubes: Sequence[LabelledTube]
    warnings: Sequence[str]


@dataclass(slots=True)
class _Case:
    """One message on its way: the transaction, what is said, by whom, and what the codes mean."""

    work: Work
    said: OrderMessage
    sender: str
    known: Catalog
    tests: list[CatalogTest | None]
    warnings: list[str] = field(default_factory=list)

    def of(self, control: str) -> list[tuple[OrderLine, CatalogTest | None]]:
        """Lines of this control code with their tests."""
        pairs = zip(self.said.lines, self.tests, strict=True)
        return [(line, test) for line, test in pairs if line.control == control]


async def apply_order(work: Work, said: OrderMessage, sender: str) -> Applied:
    """Apply one order message. Raises Refused with the places of everything that is wrong with it."""
    known = await catalog(work.session)
    case = _Case(work, said, sender, known, _named_tests(known, said.lines))
    await work.session.execute(
        text("select pg_advisory_xact_lock(:space, hashtext(:number))"),
        {"space": _ORDER_LOCK, "number": said.number or said.lines[0].filler},
    )
    order = await _find_order(case)
    if order is None:
        order_id, number = await _place(case)
    else:
        await _must_be_the_patient(case, order)
        await _change(case, order)
        order_id, number = order.id, order.number
    outcomes = {NEW: ACCEPTED, CANCEL: CANCELLED, CHANGE: CHANGED}
    done = [LineDone(line, outcomes[line.control], test) for line, test in zip(said.lines, case.tests, strict=True)]
    return Applied(order_id, number, done, await _tubes(work, order_id), case.warnings)


def _named_tests(known: Catalog, lines: Sequence[OrderLine]) -> list[CatalogTest | None]:
    tests: list[CatalogTest | None] = []
    problems: list[ErrorLocation] = []
    for line in lines:
        try:
            tests.append(named_test(known, line.codes) if line.codes else None)
        except UnclearCode as error:
            kind = errors.UNKNOWN_TEST
            words = " / ".join(said.code for said in line.codes)
            problems.append(line.place.error(NOT_IN_TABLE, f"{kind.code}: {words} {error}."))
    if problems:
        raise Refused(*problems)
    return tests


# -- which order


async def _find_order(case: _Case) -> Order | None:
    """By the hospital's number, else by ours, else by the number of a single request; only this hospital's own."""
    said, session = case.said, case.work.session
    own = exists().where(
        HospitalMessage.order_id == Order.id,
        HospitalMessage.direction == INCOMING,
        HospitalMessage.sender == case.sender,
    )
    hospital_orders = select(Order).where(Order.source == SOURCE, own)
    order = await session.scalar(hospital_orders.where(Order.hospital_number == said.number)) if said.number else None
    fillers = {line.filler for line in said.lines if line.filler}
    if order is None and len(fillers) == 1 and not case.of(NEW):
        order = await session.scalar(hospital_orders.where(Order.number == fillers.pop()))
    if order is not None:
        return order
    steps = {line.step for line in said.lines if line.step}
    candidates = hospital_orders.where(Order.patient_id.in_(await _patient_ids(case)))
    for candidate in await session.scalars(candidates.order_by(Order.id.desc()).limit(_SEARCHED_ORDERS)):
        history = await order_history(session, case.known, candidate.id)
        if steps & {step.number for step in history.steps.values() if step.number}:
            return candidate
    return None


async def _patient_ids(case: _Case) -> list[int]:
    """Records that the message's numbers name, and where they were merged into."""
    data = case.said.patient.data
    numbers = (
        (Patient.tc, data.tc),
        (Patient.hospital_id, data.hospital_id),
        (Patient.foreign_id, data.passport),
    )
    named = [column == value for column, value in numbers if value]
    if not named:
        return []
    rows = await case.work.session.execute(select(Patient.id, Patient.merged_into_id).where(or_(*named)))
    return [into or own for own, into in rows]


async def _must_be_the_patient(case: _Case, order: Order) -> None:
    """The order is of the person whom the message names, or the message is refused (invariant 2)."""
    person = case.said.patient
    if person.has_name:
        with _blaming(case):
            patient = await find_or_register(case.work, person.data)
        found = [patient.id]
    elif person.has_number:
        found = await _patient_ids(case)
    else:
        raise Refused(Place("PID", field=3).error(MISSING, "Hastanın kimliği (PID-3) yok."))
    if set(found) != {order.patient_id}:
        owner = await case.work.session.get_one(Patient, order.patient_id)
        number = person.data.tc or person.data.hospital_id or person.data.passport or "Bu"
        mismatch = NumuneError(errors.PATIENT_MISMATCH, tc=number, known=masked(owner))
        raise refused(mismatch, person.place_of(errors.PATIENT_MISMATCH))


# -- a new order


async def _place(case: _Case) -> tuple[int, str]:
    said = case.said
    strangers = [line for line in said.lines if line.control != NEW]
    if strangers:
        text = f"{errors.NOT_FOUND.code}: {said.number or strangers[0].filler} numaralı istem bulunamadı."
        raise Refused(*(Place("ORC", line.orc_place.sequence, 2).error(UNKNOWN_KEY, text) for line in strangers))
    physician = await _known_code(case, said.physician, Physician, "hekim")
    unit = await _known_code(case, said.unit, Unit, "birim")
    late = said.ordered_at is not None and said.ordered_at > case.work.now + _AHEAD
    request = OrderRequest(
        patient=said.patient.data,
        tests=[test.code for test in case.tests if test is not None],
        priority=said.priority or Priority.ROUTINE,
        physician=physician,
        unit=unit,
        clinical=_clinical(said, physician, unit),
        number=said.preprinted,
        hospital_number=said.number,
        source=SOURCE,
        ordered_at=None if late else said.ordered_at,
    )
    with _blaming(case):
        placed = await place_order(case.work, request)
    case.warnings += placed.warnings
    return placed.order_id, placed.number


async def _known_code(
    case: _Case, said: PersonCode | None, table: type[Physician] | type[Unit], word: str
) -> str | None:
    """The code where the laboratory knows it. An order does not wait for the list of physicians to be complete."""
    if said is None or not said.code:
        return None
    known = await case.work.session.scalar(select(table.id).where(table.code == said.code, table.active))
    if known is None:
        case.warnings.append(f"{said.code} kodlu {word} laboratuvarda tanımlı değil; istem {word} bağlanmadan alındı.")
        return None
    return said.code


def _clinical(said: OrderMessage, physician: str | None, unit: str | None) -> dict[str, Any]:
    """Clinical words, and the hospital's own words for a physician or unit that could not be bound."""
    unbound = {
        name: " ".join(part for part in (person.code, person.words) if part)
        for name, person, bound in (("isteyen_hekim", said.physician, physician), ("isteyen_birim", said.unit, unit))
        if person is not None and bound is None
    }
    return dict(said.clinical) | {name: words for name, words in unbound.items() if words}


# -- an order that is there


async def _change(case: _Case, order: Order) -> None:
    """Cancel first, then add, then the details: so a request that became another test is one change."""
    said, number = case.said, order.number
    if said.preprinted not in (None, number):
        taken = NumuneError(errors.HOSPITAL_NUMBER_TAKEN, hospital_number=said.number, number=number)
        raise refused(taken, [said.preprinted_place])
    history = await order_history(case.work.session, case.known, order.id)
    present = await _present(case.work, order.id)
    add = [test.code for _, test in case.of(NEW) if test is not None]
    drop = _cancelled(case, order, history)
    for line, test in case.of(CHANGE):
        if test is None:
            continue
        before = history.codes_numbered(line.step)
        if len(before) == 1 and test.code not in before and not before & set(add):
            drop = drop if drop is None else [*drop, *before]
        if not set(test.members or (test.id,)) <= present:
            add.append(test.code)
    reason = next((line.reason for line, _ in case.of(CANCEL) if line.reason), "") or "Hastane sistemi bildirdi"
    with _blaming(case):
        if drop is None or drop:
            await cancel_tests(case.work, number, drop, reason)
        if add:
            case.warnings += (await add_tests(case.work, number, add)).warnings
    await _change_details(case, order, present)


def _cancelled(case: _Case, order: Order, history: OrderHistory) -> list[str] | None:
    """Codes that the message takes back; None = the whole order. Raises Refused where number and test disagree."""
    drop: list[str] = []
    whole = False
    for line, test in case.of(CANCEL):
        numbered = history.codes_numbered(line.step)
        place = Place("ORC", line.orc_place.sequence, 2)
        if test is not None:
            if numbered and test.code not in numbered:
                text = f"{line.step} numaralı istek {', '.join(sorted(numbered))} içindi, {test.code} için değil."
                raise Refused(place.error(DUPLICATE_KEY, text))
            drop.append(test.code)
        elif not line.step or (not numbered and order.hospital_number == case.said.prefix + line.step):
            whole = True
        elif not numbered:
            raise Refused(place.error(UNKNOWN_KEY, f"{errors.NOT_FOUND.code}: {line.step} numaralı istek bulunamadı."))
        elif numbered == set(history.steps):
            whole = True
        else:
            drop += sorted(numbered)
    return None if whole else drop


async def _present(work: Work, order_id: int) -> set[int]:
    rows = await work.session.scalars(select(OrderedTest.test_id).where(OrderedTest.order_id == order_id))
    return set(rows)


async def _change_details(case: _Case, order: Order, present: set[int]) -> None:
    """Priority, physician, unit and clinical words of an order that is there already.

    New lines may make it more urgent; only a change of all of its tests makes it less urgent. What a change does not
    say stays.
    """
    said, changing = case.said, case.of(CHANGE)
    order = await locked_order(case.work, order.number)
    wanted: dict[str, Any] = {}
    named = {id for _, test in changing if test is not None for id in (test.members or (test.id,))}
    urgent = said.priority is not None and said.priority.rank < order.priority.rank
    if said.priority not in (None, order.priority) and (urgent or (changing and present <= named)):
        wanted["priority"] = said.priority
    if changing:
        wanted |= await _changed_people(case, order)
    wanted |= _more_clinical(order, said.clinical)
    if not wanted:
        return
    before = {_COLUMN[name]: getattr(order, name) for name in wanted}
    for name, value in wanted.items():
        setattr(order, name, value)
    await case.work.session.flush()
    case.work.audit(
        "guncelle", "tetkik_istem", order.id, before, {_COLUMN[name]: value for name, value in wanted.items()}
    )
    case.work.tell_screens("order", istem=order.number, kod=order.id)


def _more_clinical(order: Order, said: Mapping[str, str]) -> dict[str, Any]:
    """Clinical words that the order does not hold yet, put behind those that it has."""
    new = {name: words for name, words in said.items() if words not in str(order.clinical.get(name, ""))}
    joined = {name: "; ".join(filter(None, (order.clinical.get(name), words))) for name, words in new.items()}
    return {"clinical": dict(order.clinical) | joined} if joined else {}


async def _changed_people(case: _Case, order: Order) -> dict[str, Any]:
    session, said = case.work.session, case.said
    wanted: dict[str, Any] = {}
    if physician := await _known_code(case, said.physician, Physician, "hekim"):
        wanted["physician_id"] = await session.scalar(select(Physician.id).where(Physician.code == physician))
    if unit := await _known_code(case, said.unit, Unit, "birim"):
        wanted["unit_id"] = await session.scalar(select(Unit.id).where(Unit.code == unit))
    return {name: value for name, value in wanted.items() if getattr(order, name) != value}


# -- what the hospital prints


async def _tubes(work: Work, order_id: int) -> list[LabelledTube]:
    """The order's usable tubes in label order, with the tests that are still meant to run from each."""
    tests: dict[int | None, set[int]] = {}
    rows = await work.session.execute(
        select(OrderedTest.tube_id, OrderedTest.test_id).where(
            OrderedTest.order_id == order_id, OrderedTest.state != TestState.CANCELLED
        )
    )
    for tube_id, test_id in rows:
        tests.setdefault(tube_id, set()).add(test_id)
    tubes = await work.session.execute(
        select(Tube, Material)
        .join(Material, Material.code == Tube.material)
        .where(Tube.order_id == order_id, Tube.state != TubeState.REJECTED, Tube.parent_id.is_(None))
        .order_by(Tube.id)
    )
    labelled = [
        LabelledTube(
            tube.barcode,
            tube.tube_type_code,
            tube.tube_type.caption,
            tube.tube_type.colour,
            material.code,
            material.name,
            material.hl7,
            frozenset(tests[tube.id]),
        )
        for tube, material in tubes
        if tube.id in tests
    ]
    return sorted(labelled, key=lambda tube: tube.barcode)


# -- whose fault


@contextmanager
def _blaming(case: _Case) -> Iterator[None]:
    """Turns a refusal of a service into one that names the places of the message."""
    try:
        yield
    except NumuneError as error:
        raise refused(error, _places(case, error)) from error


_OF_THE_PATIENT = (
    errors.BAD_TC,
    errors.PATIENT_MISMATCH,
    errors.PATIENT_MERGED,
    errors.NO_PATIENT_FIELD,
    errors.INVALID_INPUT,
)
_OF_THE_NUMBER = (errors.BAD_NUMBER, errors.NUMBER_TAKEN)
_OF_TESTS = (errors.UNKNOWN_TEST, errors.TEST_PASSIVE, errors.TEST_CANCELLED, errors.ORDER_HAS_RESULTS)


def _places(case: _Case, error: NumuneError) -> list[Place]:
    if error.kind in _OF_THE_PATIENT:
        return case.said.patient.place_of(error.kind)
    if error.kind in _OF_THE_NUMBER:
        return [case.said.preprinted_place]
    if error.kind in _OF_TESTS:
        return _lines_with(case, {code.strip() for code in str(error.details.get("codes", "")).split(",")})
    return [case.said.number_place]


def _lines_with(case: _Case, codes: set[str]) -> list[Place]:
    """Where these tests, or the panels that hold them, are asked for; else all lines."""
    ids = {case.known.test_by_code[code].id for code in codes if code in case.known.test_by_code}
    pairs = list(zip(case.said.lines, case.tests, strict=True))
    concerned = [line.place for line, test in pairs if test is None or ids & {test.id, *test.members}]
    return concerned or [line.place for line, _ in pairs]
