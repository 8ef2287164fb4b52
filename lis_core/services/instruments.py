"""Analysers, their lines and their codes, as the laboratory sets them up. Every change is audited; the catalogue in
memory follows by itself (its version is raised by the database)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from sqlalchemy import select, update

from drivers.outgoing import Refused, check_serial, in_force
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import PENDING, TestState
from lis_core.services.catalog import catalog
from lis_core.services.rederive import rederive_later
from lis_core.storage.database import Work
from lis_core.storage.tables import Connection, EdgeGateway, Instrument, InstrumentTest, Material, OrderedTest, Unit
from rules.interpretation import cut_off_problems, cut_offs_of

LINE_KINDS = ("tcp-sunucu", "tcp-istemci", "seri", "klasor")
PROTOCOLS = ("astm", "hl7", "metin", "tablo", "poct1a")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentData:
    """An analyser as the laboratory describes it. `definition`: key of its model, checked by the caller."""

    code: str
    name: str
    definition: str
    maker: str = ""
    model: str = ""
    serial_number: str | None = None
    unit: str | None = None
    reserve_minutes: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionData:
    """A line: `address` is host:port, or a serial port's path. `instrument`: its code.

    gateway: name of the remote gateway where it stands, "" = the centre's own, None = where it is (a new one: the
    centre's own).
    """

    name: str
    instrument: str
    kind: str
    protocol: str
    address: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    active: bool = True
    gateway: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingData:
    """The instrument's code of a test. `outgoing`: None = as incoming, "" = no orders. `factor`: decimal text."""

    instrument: str
    test: str
    incoming: str
    outgoing: str | None = None
    materials: Sequence[str] = ()
    translations: Mapping[str, str] = field(default_factory=dict)
    factor: str | None = None
    unit: str | None = None
    active: bool = True


async def set_service(work: Work, instrument_code: str, in_service: bool, note: str = "") -> None:
    """Take an analyser out of service (note needed) or back.

    Out of service it gets no work, and what it held or was meant for it may be run by any other (INTRO.24); results
    that it still sends are taken. Raises UNKNOWN_INSTRUMENT, REASON_NEEDED, NOT_ALLOWED.
    """
    work.actor.must(P.INSTRUMENT_SERVICE)
    if not in_service and not note.strip():
        raise NumuneError(errors.REASON_NEEDED)
    instrument = await _instrument(work, instrument_code)
    before = {"hizmette": instrument.in_service, "hizmet_notu": instrument.service_note}
    instrument.in_service = in_service
    instrument.service_note = note.strip() or None
    await work.session.flush()
    freed = 0 if in_service else await _free_tests(work, instrument.id)
    work.audit(
        "hizmet",
        "cihaz",
        instrument.id,
        before,
        {"hizmette": in_service, "hizmet_notu": instrument.service_note, "serbest_tetkik": freed},
    )
    work.tell_screens("line", cihaz=instrument.code)


async def save_instrument(work: Work, data: InstrumentData) -> Instrument:
    """Add an analyser or change the one with this code. Raises INVALID_INPUT, UNKNOWN_UNIT, NOT_ALLOWED."""
    work.actor.must(P.INSTRUMENT_MANAGE)
    _filled(kod=data.code, ad=data.name, tanım=data.definition)
    unit_id = None
    if data.unit is not None:
        unit_id = await work.session.scalar(select(Unit.id).where(Unit.code == data.unit))
        if unit_id is None:
            raise NumuneError(errors.UNKNOWN_UNIT, unit=data.unit)
    wanted = {
        "name": data.name.strip(),
        "definition": data.definition.strip(),
        "maker": data.maker,
        "model": data.model,
        "serial_number": data.serial_number,
        "unit_id": unit_id,
        "reserve_minutes": data.reserve_minutes,
        "settings": dict(data.settings),
        "active": data.active,
    }
    row = await work.session.scalar(select(Instrument).where(Instrument.code == data.code.strip()).with_for_update())
    return await _save(work, row, Instrument, {"code": data.code.strip()}, wanted, "cihaz")


async def save_connection(work: Work, data: ConnectionData) -> Connection:
    """Add a line or change the one with this name. Raises INVALID_INPUT (also: another line of the same house has this
    address, no such gateway), UNKNOWN_INSTRUMENT, NOT_ALLOWED."""
    work.actor.must(P.INSTRUMENT_MANAGE)
    _filled(ad=data.name, adres=data.address)
    if data.kind not in LINE_KINDS or data.protocol not in PROTOCOLS:
        raise NumuneError(errors.INVALID_INPUT, problem=f"hat türü {LINE_KINDS}, protokol {PROTOCOLS} içinden olmalı")
    check_place(data.kind, data.address.strip())
    instrument = await _instrument(work, data.instrument)
    name = data.name.strip()
    row = await work.session.scalar(select(Connection).where(Connection.name == name).with_for_update(of=Connection))
    gateway_id = await _gateway(work, data.gateway, row)
    if data.active and data.kind != "tcp-istemci":
        other = await work.session.scalar(
            select(Connection.name).where(
                Connection.address == data.address.strip(),
                Connection.kind == data.kind,
                Connection.active,
                Connection.name != name,
                Connection.gateway_id.is_not_distinct_from(gateway_id),
            )
        )
        if other is not None:
            raise NumuneError(errors.INVALID_INPUT, problem=f"{data.address} adresini {other} hattı kullanıyor")
    wanted = {
        "instrument_id": instrument.id,
        "kind": data.kind,
        "protocol": data.protocol,
        "address": data.address.strip(),
        "settings": dict(data.settings),
        "active": data.active,
        "gateway_id": gateway_id,
    }
    return await _save(work, row, Connection, {"name": name}, wanted, "baglanti")


async def _gateway(work: Work, wanted: str | None, line: Connection | None) -> int | None:
    """The remote gateway that a line is to stand at. Raises INVALID_INPUT: there is none of this name."""
    if wanted is None:
        return line.gateway_id if line is not None else None
    if not wanted:
        return None
    found = await work.session.scalar(select(EdgeGateway.id).where(EdgeGateway.name == wanted))
    if found is None:
        raise NumuneError(errors.INVALID_INPUT, problem=f"{wanted} adlı bir uzak geçit yok")
    return found


def check_place(kind: str, address: str) -> None:
    """What a line reaches: no address that is not called, no file that is not an instrument's. Raises INVALID_INPUT."""
    try:
        if kind == "tcp-istemci":
            in_force().check_written(address.rpartition(":")[0], private=True)
        elif kind == "seri":
            check_serial(address)
        elif kind == "klasor":
            in_force().check_folder(address)
    except Refused as refused:
        raise NumuneError(errors.INVALID_INPUT, problem=str(refused)) from refused


async def save_mapping(work: Work, data: MappingData) -> InstrumentTest:
    """Say which test a code of an instrument is, or change it; results that wait under this code are then derived
    again by themselves. Raises INVALID_INPUT, UNKNOWN_TEST, UNKNOWN_INSTRUMENT, NOT_ALLOWED."""
    work.actor.must(P.INSTRUMENT_MANAGE)
    _filled(kod=data.incoming)
    known = await catalog(work.session)
    test = known.test_by_code.get(data.test.strip())
    if test is None or test.panel:
        raise NumuneError(errors.UNKNOWN_TEST, codes=data.test)
    instrument = await _instrument(work, data.instrument)
    await _check_materials(work, data.materials, test.materials)
    if problems := cut_off_problems(cut_offs_of(data.translations.items())):
        raise NumuneError(errors.INVALID_INPUT, problem=problems[0])
    wanted = {
        "test_id": test.id,
        "outgoing": data.incoming.strip() if data.outgoing is None else data.outgoing.strip(),
        "materials": list(data.materials),
        "translations": dict(data.translations),
        "factor": _factor(data.factor),
        "unit": (data.unit or "").strip() or None,
        "active": data.active,
    }
    incoming = data.incoming.strip()
    row = await work.session.scalar(
        select(InstrumentTest)
        .where(InstrumentTest.instrument_id == instrument.id, InstrumentTest.incoming == incoming)
        .with_for_update(of=InstrumentTest)
    )
    keys = {"instrument_id": instrument.id, "incoming": incoming}
    saved = await _save(work, row, InstrumentTest, keys, wanted, "tetkik_cihaz_eslesme")
    if data.active:
        await rederive_later(work, instrument.id, incoming)
    return saved


async def set_line_active(work: Work, name: str, active: bool) -> Connection:
    """Stop a line, or start it again; the gateway follows within seconds. Raises NOT_FOUND, INVALID_INPUT (another
    line has its address by now), NOT_ALLOWED."""
    work.actor.must(P.INSTRUMENT_MANAGE)
    line = await work.session.scalar(select(Connection).where(Connection.name == name))
    if line is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{name} hattı")
    data = ConnectionData(
        name=line.name,
        instrument=line.instrument.code,
        kind=line.kind,
        protocol=line.protocol,
        address=line.address,
        settings=line.settings,
        active=active,
    )
    return await save_connection(work, data)


Row = TypeVar("Row", Instrument, Connection, InstrumentTest)


async def _save(
    work: Work, row: Row | None, table: type[Row], keys: dict[str, Any], wanted: dict[str, Any], entity: str
) -> Row:
    """Insert or change, with the audit of what changed."""
    if row is None:
        row = table(**keys, **wanted)
        work.session.add(row)
        await work.session.flush()
        work.audit("kaydet", entity, row.id, None, keys | wanted)
        return row
    before = {name: getattr(row, name) for name, value in wanted.items() if getattr(row, name) != value}
    for name in before:
        setattr(row, name, wanted[name])
    if before:
        await work.session.flush()
        work.audit("guncelle", entity, row.id, before, {name: wanted[name] for name in before})
    return row


async def _instrument(work: Work, code: str) -> Instrument:
    row = await work.session.scalar(select(Instrument).where(Instrument.code == code.strip()).with_for_update())
    if row is None:
        raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
    return row


async def _free_tests(work: Work, instrument_id: int) -> int:
    """Pending tests that ran on this analyser, or were meant for it alone, may go to any."""
    tests = list(
        await work.session.scalars(
            select(OrderedTest.id)
            .where(
                OrderedTest.state.in_(PENDING),
                (OrderedTest.running_on_id == instrument_id) | (OrderedTest.wanted_instrument_id == instrument_id),
            )
            .order_by(OrderedTest.id)
            .with_for_update(of=OrderedTest, key_share=True)
        )
    )
    running = OrderedTest.id.in_(tests), OrderedTest.state == TestState.RUNNING
    held = OrderedTest.running_on_id == instrument_id
    await work.session.execute(
        update(OrderedTest)
        .where(*running, held)
        .values(
            state=TestState.ACCEPTED,
            state_at=work.now,
            version=OrderedTest.version + 1,
            running_on_id=None,
            running_since=None,
        )
        .execution_options(synchronize_session=False)
    )
    await work.session.execute(
        update(OrderedTest)
        .where(OrderedTest.id.in_(tests), OrderedTest.wanted_instrument_id == instrument_id)
        .values(wanted_instrument_id=None)
        .execution_options(synchronize_session=False)
    )
    return len(tests)


async def _check_materials(work: Work, wanted: Sequence[str], of_test: frozenset[str]) -> None:
    """An instrument may narrow the test's materials, never widen them (invariant 8: the limit is material safety)."""
    known = set(await work.session.scalars(select(Material.code)))
    strange = [code for code in wanted if code not in known or code not in of_test]
    if strange:
        raise NumuneError(errors.INVALID_INPUT, problem=f"{', '.join(strange)} bu tetkikin çalışıldığı materyal değil")


def _factor(written: str | None) -> str | None:
    """A conversion factor as decimal text. Raises INVALID_INPUT."""
    if written is None or not written.strip():
        return None
    try:
        factor = Decimal(written.strip().replace(",", "."))
    except InvalidOperation:
        factor = Decimal(0)
    if not factor.is_finite() or factor <= 0:
        raise NumuneError(errors.INVALID_INPUT, problem=f"{written} bir birim çarpanı değil")
    return f"{factor:f}"


def _filled(**values: str) -> None:
    for word, value in values.items():
        if not value.strip():
            raise NumuneError(errors.INVALID_INPUT, problem=f"{word} boş olamaz")
