"""Orders: placed under one number, added to, cancelled.

One number names the order; each tube's barcode is that number and the tube's two digits. Nothing else is ever needed
on a label (INTRO.26). Every text goes through `barkod_kayit`, so a number can never mean two patients.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from barcode.numbers import clean_scan, tube_barcode, valid_number
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import About, P
from lis_core.domain.states import TEST_STATE_OF_TUBE, Priority, TestState, TubeState
from lis_core.services import numbering
from lis_core.services.catalog import Catalog, CatalogTest, catalog
from lis_core.services.patients import PatientData, find_or_register
from lis_core.services.rights import valid_on
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Work
from lis_core.storage.tables import (
    BarcodeRange,
    Order,
    OrderedTest,
    Patient,
    Physician,
    PhysicianUnit,
    Tube,
    Unit,
)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a physician, a screen or the hospital asks for.

    tests: catalogue codes, panels included. number: a pre-printed barcode number; None = the system's next.
    physician, unit: their codes; None = the acting user's own. clinical: true entries ("gebe", "sigara") are special
    conditions that reference ranges may depend on. ordered_at: None = now.
    """

    patient: PatientData
    tests: Sequence[str]
    priority: Priority = Priority.ROUTINE
    physician: str | None = None
    unit: str | None = None
    clinical: Mapping[str, Any] = field(default_factory=dict)
    number: str | None = None
    hospital_number: str | None = None
    source: str = "ekran"
    ordered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlacedSpecimen:
    """A tube to draw and to label. `new`: this call made it. `tests`: codes that are meant to run from it."""

    barcode: str
    tube: str
    caption: str
    material: str
    colour: str
    tests: list[str]
    new: bool = True


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """The order with its tubes in label order. `warnings`: Turkish sentences for the person who ordered."""

    order_id: int
    number: str
    specimens: list[PlacedSpecimen]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A test to order, and the panel it was ordered in."""

    test: CatalogTest
    panel_id: int | None


async def place_order(work: Work, request: OrderRequest) -> PlacedOrder:
    """Register the patient where needed, the order, its tubes and tests, in one transaction.

    Raises NO_TESTS, UNKNOWN_TEST, TEST_PASSIVE, UNKNOWN_PHYSICIAN, UNKNOWN_UNIT, BAD_NUMBER, NUMBER_TAKEN,
    HOSPITAL_NUMBER_TAKEN, NOT_ALLOWED (also: a physician or unit that is not his), and what `find_or_register` raises.
    """
    work.actor.must(P.ORDER_ENTER)
    known = await catalog(work.session)
    warnings: list[str] = []
    wanted = _expand(known, request.tests, warnings)
    physician = await _physician(work, request.physician)
    unit_id = await _unit(work, request.unit, physician)
    await _must_order_for(work, physician, unit_id)
    tube_codes = _tube_codes(known, wanted)
    number = await _number(work, request.number, tube_codes)
    patient = await find_or_register(work, request.patient)
    if request.number is not None:
        warnings += await _range_warnings(work, number, physician, known.tube_by_code)
    warnings += _patient_warnings(patient)
    order_id = await _insert_order(work, request, number, patient.id, physician, unit_id)
    await numbering.register(work, order_id, {number: None})
    tubes = await _insert_tubes(work, known, order_id, number, tube_codes)
    await _insert_tests(work, order_id, wanted, {code: (tube, TestState.ORDERED) for code, tube in tubes.items()})
    work.audit(
        "kaydet",
        "tetkik_istem",
        order_id,
        None,
        {
            "numune_numarasi": number,
            "hasta_kodu": patient.id,
            "isteyen_hekim": physician.code if physician else None,
            "birim_kodu": unit_id,
            "aciliyet": request.priority.value,
            "kaynak": request.source,
            "entegrasyon_numarasi": request.hospital_number,
            "klinik_bilgi": dict(request.clinical),
            "tetkikler": [one.test.code for one in wanted],
            "tupler": [tube_barcode(number, code) for code in tube_codes],
        },
        [patient.id],
    )
    work.tell_screens("order", istem=number, kod=order_id)
    specimens = [
        _placed(known, tube_barcode(number, code), code, [w.test.code for w in wanted if w.test.tube == code])
        for code in tube_codes
    ]
    return PlacedOrder(order_id, number, specimens, warnings)


async def add_tests(work: Work, number: str, codes: Sequence[str]) -> PlacedOrder:
    """Add tests to an order; a new tube only where no usable tube of the needed kind is there.

    A test that the order already has is left as it is (with a warning); a rejected one is wanted again.
    Raises NOT_FOUND, NOT_ALLOWED, ORDER_CLOSED, TEST_CANCELLED, UNKNOWN_TEST, TEST_PASSIVE, NO_TESTS, NUMBER_TAKEN.
    """
    known = await catalog(work.session)
    warnings: list[str] = []
    wanted = _expand(known, codes, warnings)
    order = await locked_order(work, number)
    work.actor.must(P.ORDER_CHANGE, _about(order))
    rows = await _locked_tests(work, order.id)
    if rows and all(row.state is TestState.CANCELLED for row in rows):
        raise NumuneError(errors.ORDER_CLOSED, number=order.number)
    present = {row.test_id: row for row in rows}
    cancelled = [w.test.code for w in wanted if _state_in(present, w) is TestState.CANCELLED]
    if cancelled:
        raise NumuneError(errors.TEST_CANCELLED, codes=", ".join(cancelled))
    again = [w for w in wanted if _state_in(present, w) is TestState.REJECTED]
    fresh = [w for w in wanted if w.test.id not in present]
    already = [w.test.code for w in wanted if w not in fresh and w not in again]
    if already:
        warnings.append(f"Zaten bu istemde: {', '.join(already)}.")
    before = {tube.tube_type_code: tube for tube in await _usable_tubes(work, order.id)}
    missing = [code for code in _tube_codes(known, [*fresh, *again]) if code not in before]
    new = await _insert_tubes(work, known, order.id, order.number, missing)
    places = {code: (tube, TEST_STATE_OF_TUBE[tube.state]) for code, tube in (before | new).items()}
    await _insert_tests(work, order.id, fresh, places)
    for one in again:
        _want_again(work, present[one.test.id], *places[one.test.tube])
    if fresh or again:
        work.audit(
            "tetkik_ekle",
            "tetkik_istem",
            order.id,
            {"tetkikler": sorted(known.test_by_id[row.test_id].code for row in rows)},
            {
                "eklenen": [w.test.code for w in fresh],
                "yeniden": [w.test.code for w in again],
                "yeni_tupler": [tube.barcode for tube in new.values()],
            },
        )
        work.tell_screens("order", istem=order.number, kod=order.id)
    await work.session.flush()
    return PlacedOrder(order.id, order.number, await _specimens(work, known, order.id, set(new)), warnings)


async def cancel_tests(work: Work, number: str, codes: Sequence[str] | None, reason: str) -> list[str]:
    """Cancel tests or panels of an order, None = all of it. Returns the codes that this call cancelled.

    Raises REASON_NEEDED, NOT_FOUND, NOT_ALLOWED, UNKNOWN_TEST (a code that the order has not), ORDER_HAS_RESULTS.
    """
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)
    known = await catalog(work.session)
    order = await locked_order(work, number)
    work.actor.must(P.ORDER_CHANGE, _about(order))
    rows = await _locked_tests(work, order.id)
    chosen = rows if codes is None else _chosen(known, rows, codes)
    with_results = [known.test_by_id[row.test_id].code for row in chosen if row.runs]
    if with_results:
        raise NumuneError(errors.ORDER_HAS_RESULTS, codes=", ".join(with_results))
    open_rows = [row for row in chosen if row.state is not TestState.CANCELLED]
    if not open_rows:
        return []
    before = {known.test_by_id[row.test_id].code: row.state.value for row in open_rows}
    await work.session.execute(
        update(OrderedTest)
        .where(OrderedTest.id.in_([row.id for row in open_rows]))
        .values(
            state=TestState.CANCELLED,
            state_at=work.now,
            version=OrderedTest.version + 1,
            running_on_id=None,
            running_since=None,
        )
        .execution_options(synchronize_session="fetch")
    )
    work.audit(
        "tetkik_iptal", "tetkik_istem", order.id, before, dict.fromkeys(before, "iptal") | {"gerekce": reason.strip()}
    )
    work.tell_screens("order", istem=order.number, kod=order.id)
    return list(before)


async def locked_order(work: Work, number: str) -> Order:
    """The order of this number, locked: the first lock that every change of an order or its tubes takes."""
    order = await work.session.scalar(
        select(Order).where(Order.number == clean_scan(number)).with_for_update(key_share=True)
    )
    if order is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{number} numaralı istem")
    return order


# -- what is wanted


def _expand(known: Catalog, codes: Iterable[str], warnings: list[str]) -> list[_Wanted]:
    """The single tests behind the codes, each once. Of a panel, members that cannot run now are left out, said so."""
    asked = list(dict.fromkeys(code.strip() for code in codes if code.strip()))
    if not asked:
        raise NumuneError(errors.NO_TESTS)
    unknown = [code for code in asked if code not in known.test_by_code]
    if unknown:
        raise NumuneError(errors.UNKNOWN_TEST, codes=", ".join(unknown))
    tests = [known.test_by_code[code] for code in asked]
    passive = [test for test in tests if _passive(test)]
    if passive:
        reason = next((test.passive_reason for test in passive if test.passive_reason), "tetkik kullanımda değil")
        raise NumuneError(errors.TEST_PASSIVE, codes=", ".join(test.code for test in passive), reason=reason)
    wanted: dict[int, _Wanted] = {}
    for test in tests:
        for member in [known.test_by_id[id] for id in test.members] if test.panel else [test]:
            if _passive(member):
                warnings.append(
                    f"{member.code} şu anda çalışılamıyor, {test.code} panelinden çıkarıldı"
                    f" ({member.passive_reason or 'kullanımda değil'})."
                )
            else:
                wanted.setdefault(member.id, _Wanted(member, test.id if test.panel else None))
    if not wanted:
        raise NumuneError(errors.NO_TESTS)
    return list(wanted.values())


def _passive(test: CatalogTest) -> bool:
    return not test.active or bool(test.passive_reason)


def _tube_codes(known: Catalog, wanted: Iterable[_Wanted]) -> list[str]:
    """Kinds of tube that these tests need, in label order."""
    needed = {one.test.tube for one in wanted}
    return [code for code in known.tube_by_code if code in needed]


def _state_in(present: Mapping[int, OrderedTest], one: _Wanted) -> TestState | None:
    row = present.get(one.test.id)
    return None if row is None else row.state


def _chosen(known: Catalog, rows: Sequence[OrderedTest], codes: Sequence[str]) -> list[OrderedTest]:
    chosen: dict[int, OrderedTest] = {}
    unknown = []
    for code in codes:
        test = known.test_by_code.get(code.strip())
        found = [row for row in rows if test is not None and test.id in (row.test_id, row.panel_id)]
        chosen |= {row.id: row for row in found}
        if not found:
            unknown.append(code)
    if unknown:
        raise NumuneError(errors.UNKNOWN_TEST, codes=", ".join(unknown))
    return list(chosen.values())


# -- who and where


async def _physician(work: Work, code: str | None) -> Physician | None:
    if code is not None:
        found = await work.session.scalar(select(Physician).where(Physician.code == code, Physician.active))
        if found is None:
            raise NumuneError(errors.UNKNOWN_PHYSICIAN, physician=code)
        return found
    if work.actor.physician_id is None:
        return None
    return await work.session.get(Physician, work.actor.physician_id)


async def _unit(work: Work, code: str | None, physician: Physician | None) -> int | None:
    if code is not None:
        unit_id = await work.session.scalar(select(Unit.id).where(Unit.code == code, Unit.active))
        if unit_id is None:
            raise NumuneError(errors.UNKNOWN_UNIT, unit=code)
        return unit_id
    return work.actor.unit_id or (physician.unit_id if physician else None)


async def _must_order_for(work: Work, physician: Physician | None, unit_id: int | None) -> None:
    """Raises NOT_ALLOWED where the order would be in the name of a physician, or of a unit, that this person has
    nothing to do with: each unit orders for its own physicians only (2.8.16a)."""
    rights = work.actor.rights
    if rights.unlimited(P.ORDER_ENTER):
        return
    if unit_id is not None and unit_id not in rights.person.unit_ids:
        rights.must(P.ORDER_ENTER, About(unit_id=unit_id))
    if physician is None or physician.id == work.actor.physician_id:
        return
    further = await work.session.scalars(
        select(PhysicianUnit.unit_id).where(
            PhysicianUnit.physician_id == physician.id, valid_on(PhysicianUnit, work.now.astimezone(ISTANBUL).date())
        )
    )
    if not any(rights.may(P.ORDER_ENTER, About(unit_id=unit)) for unit in (physician.unit_id, *further) if unit):
        raise rights.refusal(P.ORDER_ENTER)


def _about(order: Order) -> About:
    """Whose an order is, for the decision about it."""
    return About(unit_id=order.unit_id, physician_id=order.physician_id, ordered_by_id=order.ordered_by_id)


async def _number(work: Work, given: str | None, tube_codes: Sequence[str]) -> str:
    if given is None:
        return await numbering.next_number(work, tube_codes)
    number = clean_scan(given)
    if problem := valid_number(number):
        raise NumuneError(errors.BAD_NUMBER, problem=problem)
    return number


async def _range_warnings(
    work: Work, number: str, physician: Physician | None, tube_codes: Collection[str]
) -> list[str]:
    """A pre-printed number says whose it is (9.2.5b); used by somebody else it is taken, with a warning.

    Raises BAD_NUMBER where not the number but a tube's label of a distributed set was read: 100102 for 1001.
    """
    readings = {number, number[:-2]} if number[-2:] in tube_codes else {number}
    values = [int(text) for text in readings if text and not text.startswith("0")]
    rows = await work.session.execute(
        select(BarcodeRange, Physician)
        .join(Physician, Physician.id == BarcodeRange.physician_id, isouter=True)
        .where(or_(*(and_(BarcodeRange.first <= value, BarcodeRange.last >= value) for value in values)))
    )
    near = rows.all() if values else []
    holding = [(numbers, owner) for numbers, owner in near if numbers.first <= int(number) <= numbers.last]
    if near and not holding:
        raise NumuneError(
            errors.BAD_NUMBER, problem=f"{number} bir tüp etiketidir; istem numarası olarak {number[:-2]} girin"
        )
    if not holding:
        return [f"{number} numarası dağıtılan barkod aralıklarında yok."]
    return [
        f"{number} numarası {owner.full_name if owner else 'başka bir birim'} için ayrılmış "
        f"({numbers.first}-{numbers.last})."
        for numbers, owner in holding
        if owner is None or physician is None or owner.id != physician.id
    ]


def _patient_warnings(patient: Patient) -> list[str]:
    missing = [
        word for word, value in (("doğum tarihi", patient.birth_date), ("cinsiyeti", patient.sex)) if value is None
    ]
    if not missing:
        return []
    return [f"Hastanın {' ve '.join(missing)} bilinmiyor; buna bağlı referans aralıkları kullanılamaz."]


# -- rows


async def _insert_order(
    work: Work, request: OrderRequest, number: str, patient_id: int, physician: Physician | None, unit_id: int | None
) -> int:
    order_id: int | None = await work.session.scalar(
        pg_insert(Order)
        .values(
            number=number,
            patient_id=patient_id,
            physician_id=physician.id if physician else None,
            unit_id=unit_id,
            priority=request.priority,
            clinical=dict(request.clinical),
            hospital_number=request.hospital_number,
            source=request.source,
            ordered_at=request.ordered_at or work.now,
            ordered_by_id=work.actor.user_id,
        )
        .on_conflict_do_nothing()
        .returning(Order.id)
    )
    if order_id is not None:
        return order_id
    same = await work.session.scalar(select(Order.number).where(Order.hospital_number == request.hospital_number))
    if request.hospital_number is not None and same is not None:
        raise NumuneError(errors.HOSPITAL_NUMBER_TAKEN, hospital_number=request.hospital_number, number=same)
    raise NumuneError(errors.NUMBER_TAKEN, number=number)


async def _insert_tubes(
    work: Work, known: Catalog, order_id: int, number: str, tube_codes: Sequence[str]
) -> dict[str, Tube]:
    """One expected tube of each kind. A kind whose barcode is used up (rejected tube) gets two more digits."""
    if not tube_codes:
        return {}
    own = set(await work.session.scalars(select(Tube.barcode).where(Tube.order_id == order_id)))
    tubes = {}
    for code in tube_codes:
        barcode = tube_barcode(number, code)
        if barcode in own:
            barcode = await numbering.free_suffix(work.session, barcode)
        tubes[code] = Tube(
            order_id=order_id,
            barcode=barcode,
            tube_type_code=code,
            material=known.tube_by_code[code].material,
            state=TubeState.EXPECTED,
        )
    clash = await numbering.taken(work.session, [tube.barcode for tube in tubes.values()])
    if clash:
        raise NumuneError(errors.NUMBER_TAKEN, number=clash[0])
    work.session.add_all(tubes.values())
    await work.session.flush()
    await numbering.register(work, order_id, {tube.barcode: tube.id for tube in tubes.values()})
    return tubes


async def _insert_tests(
    work: Work, order_id: int, wanted: Sequence[_Wanted], places: Mapping[str, tuple[Tube, TestState]]
) -> None:
    if not wanted:
        return
    await work.session.execute(
        insert(OrderedTest),
        [
            {
                "order_id": order_id,
                "test_id": one.test.id,
                "panel_id": one.panel_id,
                "tube_id": places[one.test.tube][0].id,
                "group": one.test.group,
                "state": places[one.test.tube][1],
                "state_at": work.now,
            }
            for one in wanted
        ],
    )


def _want_again(work: Work, row: OrderedTest, tube: Tube, state: TestState) -> None:
    row.state = TestState.ORDERED if state is TestState.COLLECTED else state
    row.state_at = work.now
    row.version += 1
    row.tube_id = tube.id
    row.result_id = None


async def _locked_tests(work: Work, order_id: int) -> list[OrderedTest]:
    rows = select(OrderedTest).where(OrderedTest.order_id == order_id).order_by(OrderedTest.id)
    locked = rows.with_for_update(of=OrderedTest, key_share=True).execution_options(populate_existing=True)
    return list(await work.session.scalars(locked))


async def _usable_tubes(work: Work, order_id: int) -> list[Tube]:
    rows = await work.session.scalars(
        select(Tube)
        .where(Tube.order_id == order_id, Tube.state != TubeState.REJECTED, Tube.parent_id.is_(None))
        .order_by(Tube.id.desc())
    )
    return list(rows.unique())


async def _specimens(work: Work, known: Catalog, order_id: int, new: set[str]) -> list[PlacedSpecimen]:
    """The order's usable tubes with the tests that are still meant to run from each."""
    tubes = sorted(
        await _usable_tubes(work, order_id), key=lambda tube: known.tube_by_code[tube.tube_type_code].position
    )
    rows = await work.session.execute(
        select(OrderedTest.tube_id, OrderedTest.test_id)
        .where(OrderedTest.order_id == order_id, OrderedTest.state != TestState.CANCELLED)
        .order_by(OrderedTest.id)
    )
    tests: dict[int | None, list[str]] = {}
    for tube_id, test_id in rows:
        tests.setdefault(tube_id, []).append(known.test_by_id[test_id].code)
    return [
        _placed(known, tube.barcode, tube.tube_type_code, tests.get(tube.id, []), new=tube.tube_type_code in new)
        for tube in tubes
    ]


def _placed(known: Catalog, barcode: str, code: str, tests: list[str], *, new: bool = True) -> PlacedSpecimen:
    kind = known.tube_by_code[code]
    return PlacedSpecimen(barcode, code, kind.caption, kind.material, kind.colour, tests, new)
