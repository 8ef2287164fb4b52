"""Invariant 5: every change leaves a row with before and after, and a changed or missing row is found and named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from lis_core.domain.states import TubeState
from lis_core.services import (
    approvals,
    barcode_ranges,
    instruments,
    manual,
    orders,
    patients,
    specimens,
    unmatched,
)
from lis_core.services.instruments import ConnectionData, InstrumentData, MappingData
from lis_core.storage.database import Database, Work, program
from lis_core.storage.tables import AuditEntry, UnmatchedResult
from tests.services import steps


async def tampered(lab: Database, statement: str) -> None:
    """What somebody with the keys of the server could do: switch the guards off and change a row."""
    async with lab.reading() as session:
        await session.execute(text("alter table denetim disable trigger all"))
        await session.execute(text(statement))
        await session.execute(text("alter table denetim enable trigger all"))
        await session.commit()


async def a_busy_hour(lab: Database) -> None:
    for _ in range(3):
        placed = await steps.order(lab, ["GLU"])
        await steps.tube_moves(lab, placed.specimens[0].barcode, TubeState.RECEIVED)
        await steps.result(lab, placed.number, "GLU", "92")


async def middle(lab: Database) -> int:
    async with lab.reading() as session:
        last = await session.scalar(select(func.max(AuditEntry.number)).where(AuditEntry.chain == "ekran"))
    assert last is not None
    assert last >= 4
    return last // 2


@pytest.mark.parametrize(
    "statement", ["update denetim set yapan = 'başkası'", "delete from denetim", "truncate denetim"]
)
@pytest.mark.administrator("the trigger refuses even whoever has the right")
async def test_nobody_changes_the_audit_by_the_way(lab: Database, statement: str) -> None:
    await a_busy_hour(lab)
    with pytest.raises(DBAPIError, match="silinemez ve degistirilemez"):
        async with lab.reading() as session:
            await session.execute(text(statement))
    assert await steps.chain_problems(lab) == []


@pytest.mark.parametrize(
    "change",
    [
        "yapan = 'uzman'",
        "adres = '10.0.0.9'",
        "zaman = zaman - interval '1 hour'",
        "sonraki = '{}'",
        'onceki = \'{"tetkik_durumu": "istendi"}\'',
        "nesne_kodu = '1'",
        "islem = 'baska'",
        "kullanici_kodu = null",
    ],
)
@pytest.mark.administrator("the guards are switched off by whoever rules the database")
async def test_a_changed_row_is_found_and_named(lab: Database, change: str) -> None:
    await a_busy_hour(lab)
    place = await middle(lab)
    await tampered(lab, f"update denetim set {change} where zincir = 'ekran' and sira = {place}")
    problems = await steps.chain_problems(lab)
    assert ("ekran", place, "satir degistirilmis") in problems


@pytest.mark.administrator("the guards are switched off by whoever rules the database")
async def test_a_row_with_a_recomputed_hash_breaks_the_chain_behind_it(lab: Database) -> None:
    await a_busy_hour(lab)
    place = await middle(lab)
    await tampered(
        lab,
        "update denetim set yapan = 'uzman', ozet = denetim_ozeti(zincir, sira, zaman, kullanici_kodu, 'uzman', adres,"
        f" islem, nesne_turu, nesne_kodu, onceki, sonraki, onceki_ozet, hastalar) where zincir = 'ekran' and sira = {place}",
    )
    assert await steps.chain_problems(lab) == [("ekran", place + 1, "zincir kopuk")]


@pytest.mark.administrator("the guards are switched off by whoever rules the database")
async def test_a_missing_row_is_found_and_named(lab: Database) -> None:
    await a_busy_hour(lab)
    place = await middle(lab)
    await tampered(lab, f"delete from denetim where zincir = 'ekran' and sira = {place}")
    assert ("ekran", place, "satir eksik") in await steps.chain_problems(lab)


@pytest.mark.administrator("the guards are switched off by whoever rules the database")
async def test_missing_first_and_last_rows_are_found_too(lab: Database) -> None:
    await a_busy_hour(lab)
    await tampered(lab, "delete from denetim where zincir = 'ekran' and sira = 1")
    assert ("ekran", 1, "satir eksik") in await steps.chain_problems(lab)
    await tampered(
        lab,
        "delete from denetim where zincir = 'ekran' and sira = (select max(sira) from denetim where zincir = 'ekran')",
    )
    assert "zincirin sonu eksik" in {problem for _, _, problem in await steps.chain_problems(lab)}


@pytest.mark.administrator("the guards are switched off by whoever rules the database")
async def test_an_emptied_chain_is_found(lab: Database) -> None:
    await a_busy_hour(lab)
    await tampered(lab, "delete from denetim where zincir = 'ekran'")
    assert [problem for chain, _, problem in await steps.chain_problems(lab) if chain == "ekran"] == [
        "zincirin sonu eksik"
    ]


async def test_many_hands_write_one_unbroken_chain(lab: Database) -> None:
    async def note(n: int) -> None:
        async with lab.work(program(f"el {n}")) as work:
            work.audit("deneme", "deneme", n, None, {"n": n})
            work.audit("deneme", "deneme", n, {"n": n}, {"n": n + 1})

    await asyncio.gather(*(note(n) for n in range(20)))
    assert await steps.chain_problems(lab) == []
    async with lab.reading() as session:
        numbers = list(
            await session.scalars(
                select(AuditEntry.number).where(AuditEntry.entity == "deneme").order_by(AuditEntry.number)
            )
        )
    assert len(numbers) == 40
    assert numbers == list(range(numbers[0], numbers[0] + 40))


async def test_a_use_case_that_fails_leaves_no_trace_anywhere(lab: Database) -> None:
    async with lab.reading() as session:
        before = await session.scalar(select(func.count()).select_from(AuditEntry))
    with pytest.raises(RuntimeError):
        async with lab.work(program("deneme")) as work:
            work.audit("deneme", "deneme", 1)
            work.later("deneme", {})
            raise RuntimeError("elektrik kesildi")
    async with lab.reading() as session:
        assert await session.scalar(select(func.count()).select_from(AuditEntry)) == before
        assert (
            await session.execute(text("select count(*) from giden_kutusu where konu = 'deneme'"))
        ).scalar_one() == 0


async def test_every_use_case_leaves_its_row(lab: Database) -> None:
    """One call of each service, one transaction each: none passes without saying who did what to what."""
    placed = await steps.order(lab, ["GLU", "K", "ESR", "HBSAG"])
    serum = placed.specimens[0].barcode
    await steps.accepted(lab, placed)
    glucose = await steps.result(lab, placed.number, "GLU", "92")
    second = await steps.result(lab, placed.number, "GLU", "93")
    esr = await steps.ordered_test(lab, placed.number, "ESR")
    test = await steps.ordered_test(lab, placed.number, "GLU")
    for specimen, value in ((None, "0.2"), ("424242", "0.3")):
        await steps.analyser_sends(lab, "genel", specimen, "HBSAG", value)
    async with lab.reading() as session:
        first_waiting, second_waiting = list(
            await session.scalars(select(UnmatchedResult.id).order_by(UnmatchedResult.id))
        )
    person = steps.person(hospital_id="A-1")
    other = steps.person(tc=None, hospital_id="A-2")
    number = placed.number
    instrument = InstrumentData(code="ek", name="Ek", definition="generic-astm")
    line = ConnectionData(name="ek", instrument="ek", kind="seri", protocol="astm", address="/dev/ttyS9")
    deeds: list[tuple[str, str, Callable[[Work], Awaitable[object]]]] = [
        ("hekim", "hasta", lambda w: patients.find_or_register(w, person)),
        ("hekim", "hasta", lambda w: patients.find_or_register(w, other)),
        ("kabul", "hasta", lambda w: patients.update_patient(w, replace(person, phone="0505"))),
        ("kabul", "hasta", lambda w: patients.merge_patients(w, person, other)),
        ("hekim", "tetkik_istem", lambda w: orders.add_tests(w, number, ["UREA"])),
        ("hekim", "tetkik_istem", lambda w: orders.cancel_tests(w, number, ["UREA"], "vazgeçildi")),
        ("teknisyen", "tetkik_numune", lambda w: specimens.add_aliquot(w, serum, "01")),
        ("teknisyen", "tetkik_numune", lambda w: specimens.move_tube(w, serum, TubeState.CONDITIONAL, "lipemik")),
        ("teknisyen", "istem_tetkik", lambda w: manual.enter_result(w, esr.id, "12")),
        ("teknisyen", "istem_tetkik", lambda w: approvals.choose_run(w, test.id, glucose, "ilk koşu doğru")),
        ("teknisyen", "istem_tetkik", lambda w: approvals.approve_technically(w, [glucose])),
        ("uzman", "istem_tetkik", lambda w: approvals.approve_clinically(w, [glucose])),
        ("uzman", "istem_tetkik", lambda w: approvals.withdraw(w, glucose, "yanlış hasta")),
        ("uzman", "istem_tetkik", lambda w: approvals.request_repeat(w, glucose)),
        (
            "teknisyen",
            "eslesmeyen_sonuc",
            lambda w: unmatched.bind_unmatched(
                w, first_waiting, barcode_or_number=number, test_code="HBSAG", reason="rafta"
            ),
        ),
        ("teknisyen", "eslesmeyen_sonuc", lambda w: unmatched.dismiss_unmatched(w, second_waiting, "deneme")),
        ("yonetici", "cihaz", lambda w: instruments.save_instrument(w, instrument)),
        ("yonetici", "baglanti", lambda w: instruments.save_connection(w, line)),
        (
            "yonetici",
            "tetkik_cihaz_eslesme",
            lambda w: instruments.save_mapping(w, MappingData(instrument="ek", test="GLU", incoming="1")),
        ),
        ("yonetici", "cihaz", lambda w: instruments.set_service(w, "ek", False, "bakım")),
        ("yonetici", "barkod_araligi", lambda w: barcode_ranges.hand_out(w, 8001, 8002, "H-100")),
    ]
    assert second != glucose
    for place, (username, entity, deed) in enumerate(deeds):
        before = await newest(lab)
        async with lab.work(await steps.user(lab, username)) as work:
            await deed(work)
        async with lab.reading() as session:
            rows = list(
                await session.scalars(select(AuditEntry).where(AuditEntry.chain == "ekran", AuditEntry.number > before))
            )
        said = [row for row in rows if (row.entity, row.actor, row.address) == (entity, username, "127.0.0.1")]
        assert said, f"{place}. iş ({entity}) denetimde yok"
        assert all(row.after is not None or row.before is not None for row in said)
    assert await steps.chain_problems(lab) == []


async def newest(lab: Database) -> int:
    async with lab.reading() as session:
        return await session.scalar(select(func.max(AuditEntry.number)).where(AuditEntry.chain == "ekran")) or 0
