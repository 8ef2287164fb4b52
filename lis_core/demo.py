"""The demonstration laboratory: synthetic people, a real first-level catalogue, six lines.

`load_demo` may run at every start: content is loaded once; passwords and ports follow what this start was given.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.demo_data.catalogue import MATERIALS, PANELS, TESTS, TUBE_TYPES, WORK_GROUPS
from lis_core.demo_data.instruments import INSTRUMENTS, TRANSLATIONS
from lis_core.demo_data.online import CONFIDENTIAL, PAGE, RULES
from lis_core.demo_data.people import BARCODE_RANGES, INSTITUTION, PHYSICIANS, UNITS, USERS
from lis_core.demo_data.ranges import IN_FORCE_FROM, NOT_APPROVED, VERSION, ranges
from lis_core.domain.permissions import P
from lis_core.services.passwords import hash_password, password_fits
from lis_core.services.patient_access_rules import SETTINGS
from lis_core.storage.database import Database, Work, program
from lis_core.storage.tables import (
    BarcodeRange,
    Connection,
    GroupMember,
    Institution,
    Instrument,
    InstrumentTest,
    Material,
    OnlineRule,
    PanelMember,
    Parameter,
    PermissionGroup,
    Physician,
    Range,
    Test,
    TubeType,
    Unit,
    User,
    WorkGroup,
)

DEMO_LOCK = 7_301_947
"""Advisory lock: two programs that start together do not both load."""

_LOADED = "gosterim_laboratuvari"
LOADER = program("gosterim", may=(P.CATALOGUE_MANAGE, P.INSTRUMENT_MANAGE, P.USER_MANAGE, P.RIGHTS_MANAGE))


async def load_demo(db: Database, password: str, port_base: int) -> None:
    """Make `db` the demonstration laboratory, or bring its passwords and ports up to this start's values.

    password: of every demonstration user. port_base: what is added to each line's port (4000 in the contract).
    """
    async with db.work(LOADER) as work:
        session = work.session
        await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": DEMO_LOCK})
        if await session.get(Parameter, _LOADED) is None:
            await _load_catalogue(session)
            await _load_people(session)
            await _load_instruments(session, port_base)
            await _load_patient_page(session)
            session.add(Parameter(name=_LOADED, value={"surum": 1}))
            work.audit("yukle", "parametre", _LOADED, None, {"tetkik": len(TESTS), "cihaz": len(INSTRUMENTS)})
        await _set_passwords(work, password)
        await _set_ports(work, port_base)


async def _load_catalogue(session: AsyncSession) -> None:
    await session.execute(insert(Material), [{"code": c, "name": n, "hl7": h} for c, n, h in MATERIALS])
    await session.execute(
        insert(TubeType),
        [
            {"code": code, "caption": caption, "material": material, "colour": colour, "position": int(code)}
            for code, caption, material, colour in TUBE_TYPES
        ],
    )
    await session.execute(
        insert(WorkGroup),
        [{"code": code, "name": name, "position": place} for place, (code, name) in enumerate(WORK_GROUPS, 1)],
    )
    material_of = {code: material for code, _, material, _ in TUBE_TYPES}
    rows: list[dict[str, Any]] = [
        {
            "code": test.code,
            "name": test.name,
            "panel": False,
            "group": test.group,
            "tube": test.tube,
            "materials": list(test.materials) or [material_of[test.tube]],
            "unit": test.unit,
            "loinc": test.loinc,
            "decimals": test.decimals,
            "report_position": place,
        }
        for place, test in enumerate(TESTS, 1)
    ]
    rows += [
        {
            "code": code,
            "name": name,
            "panel": True,
            "group": group,
            "tube": tube,
            "materials": [material_of[tube]],
            "unit": "",
            "loinc": None,
            "decimals": None,
            "report_position": 0,
        }
        for code, name, group, tube, _ in PANELS
    ]
    await session.execute(insert(Test), rows)
    ids = await _test_ids(session)
    await session.execute(
        insert(PanelMember),
        [
            {"panel_id": ids[code], "test_id": ids[member], "position": place}
            for code, _, _, _, members in PANELS
            for place, member in enumerate(members, 1)
        ],
    )
    await session.execute(
        insert(Range),
        [
            {
                "test_id": ids[row.test],
                "sex": row.sex,
                "age_from_days": row.age_from_days,
                "age_to_days": row.age_to_days,
                "low": row.low,
                "high": row.high,
                "critical_low": row.critical_low,
                "critical_high": row.critical_high,
                "normal_text": row.normal_text,
                "valid_from": IN_FORCE_FROM,
                "version": VERSION,
                "approved_by": NOT_APPROVED,
            }
            for row in ranges()
        ],
    )


async def _test_ids(session: AsyncSession) -> dict[str, int]:
    return dict((await session.execute(select(Test.code, Test.id))).tuples().all())


async def _load_patient_page(session: AsyncSession) -> None:
    ids = await _test_ids(session)
    await session.execute(update(Test).where(Test.code.in_(CONFIDENTIAL)).values(confidential=True))
    session.add(Parameter(name=SETTINGS, value=PAGE.as_stored))
    session.add_all(
        OnlineRule(test_id=ids[test], when=when, look=look, sentence="", accepted=False, reason=reason)
        for test, when, look, reason in RULES
    )


async def _load_people(session: AsyncSession) -> None:
    institution = Institution(code=INSTITUTION[0], name=INSTITUTION[1])
    session.add(institution)
    units = {
        code: Unit(code=code, name=name, kind=kind, active=True, institution_id=None) for code, name, kind in UNITS
    }
    session.add_all(units.values())
    await session.flush()
    for unit in units.values():
        unit.institution_id = institution.id
    physicians = {
        code: Physician(code=code, given_name=given, family_name=family, title=title, unit_id=units[unit].id)
        for code, given, family, title, unit in PHYSICIANS
    }
    session.add_all(physicians.values())
    await session.flush()
    session.add_all(
        User(
            username=username,
            given_name=given,
            family_name=family,
            password_hash="!",
            physician_id=physicians[physician].id if physician else None,
        )
        for username, given, family, _, physician in USERS
    )
    await session.flush()
    await _put_into_groups(session)
    session.add_all(
        BarcodeRange(first=first, last=last, physician_id=physicians[physician].id)
        for first, last, physician in BARCODE_RANGES
    )


async def _put_into_groups(session: AsyncSession) -> None:
    """Each demonstration user is in the group of his job; every bench belongs to the one laboratory."""
    users = dict((await session.execute(select(User.username, User.id))).tuples().all())
    groups = dict((await session.execute(select(PermissionGroup.code, PermissionGroup.id))).tuples().all())
    session.add_all(GroupMember(group_id=groups[job], user_id=users[username]) for username, _, _, job, _ in USERS)
    laboratory = select(Unit.id).where(Unit.kind == "laboratuvar").order_by(Unit.id).limit(1).scalar_subquery()
    await session.execute(update(WorkGroup).values(laboratory_id=laboratory))


async def _load_instruments(session: AsyncSession, port_base: int) -> None:
    ids = await _test_ids(session)
    for place in INSTRUMENTS:
        instrument = Instrument(
            code=place.code, name=place.name, definition=place.definition, maker=place.maker, model=place.model
        )
        session.add(instrument)
        await session.flush()
        session.add(
            Connection(
                name=place.code,
                instrument_id=instrument.id,
                kind="tcp-sunucu",
                protocol=place.protocol,
                address=f"127.0.0.1:{port_base + place.port}",
                settings={"ikinci": "birlikte"},  # simulators and a visitor may both hold the line
            )
        )
        await session.execute(
            insert(InstrumentTest),
            [
                {
                    "instrument_id": instrument.id,
                    "test_id": ids[ours],
                    "incoming": theirs,
                    "outgoing": theirs,
                    "translations": TRANSLATIONS,
                    "unit": place.units.get(theirs),
                }
                for theirs, ours in place.codes.items()
            ],
        )


async def _set_passwords(work: Work, password: str) -> None:
    """The demonstration users' password is the one that this start prints."""
    names = [username for username, *_ in USERS]
    users = (await work.session.scalars(select(User).where(User.username.in_(names)).order_by(User.id))).all()
    for user in users:
        if not await password_fits(password, user.password_hash):
            user.password_hash = await hash_password(password)
            work.audit("parola", "kullanici", user.id, None, {"kullanici_adi": user.username})


async def _set_ports(work: Work, port_base: int) -> None:
    """The demonstration lines listen where this start wants them."""
    wanted = {place.code: f"127.0.0.1:{port_base + place.port}" for place in INSTRUMENTS}
    lines = await work.session.scalars(select(Connection).where(Connection.name.in_(wanted)))
    for line in lines.unique():
        if line.address != wanted[line.name]:
            work.audit("adres", "baglanti", line.id, {"adres": line.address}, {"adres": wanted[line.name]})
            await work.session.execute(
                update(Connection).where(Connection.id == line.id).values(address=wanted[line.name])
            )
