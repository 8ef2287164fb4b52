"""Technical, then clinical approval: who, when, in which order; what the database itself refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from lis_core.domain import errors
from lis_core.domain.errors import ErrorKind, NumuneError
from lis_core.domain.permission_templates import Job
from lis_core.domain.states import TestState
from lis_core.services.approvals import (
    ApprovalOutcome,
    approve_clinically,
    approve_technically,
    choose_run,
    request_repeat,
    withdraw,
)
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import Approval, OrderedTest, OutboxEntry, Result
from lis_core.storage.tables.results import ApprovalKind
from lis_core.views.worklists import Worklist, clinical_worklist, technical_worklist
from tests.services import steps


async def measured(lab: Database, *, tests: dict[str, str], **wanted: Any) -> tuple[str, dict[str, int]]:
    """An order whose tubes arrived and whose tests have these values: number, and result ids by code."""
    placed = await steps.order(lab, list(tests), **wanted)
    await steps.accepted(lab, placed)
    return placed.number, {code: await steps.result(lab, placed.number, code, v) for code, v in tests.items()}


async def technically(
    lab: Database, *ids: int, by: Actor | str = "teknisyen", reason: str = ""
) -> list[ApprovalOutcome]:
    actor = by if isinstance(by, Actor) else await steps.user(lab, by)
    async with lab.work(actor) as work:
        return await approve_technically(work, ids, reason)


async def clinically(lab: Database, *ids: int, by: Actor | str = "uzman", reason: str = "") -> list[ApprovalOutcome]:
    actor = by if isinstance(by, Actor) else await steps.user(lab, by)
    async with lab.work(actor) as work:
        return await approve_clinically(work, ids, reason)


def codes(outcomes: list[ApprovalOutcome]) -> list[str | None]:
    return [None if outcome.error is None else outcome.error["code"] for outcome in outcomes]


async def listed(worklist: Worklist) -> set[tuple[str, str]]:
    return {(row.number, row.code) for order in worklist.orders for row in order.rows}


async def expect(kind: ErrorKind, action: Any) -> None:
    with pytest.raises(NumuneError) as refusal:
        await action
    assert refusal.value.kind is kind


async def repeat(
    lab: Database, result_id: int, reason: str = "", instrument: str | None = None, by: str = "uzman"
) -> None:
    async with lab.work(await steps.user(lab, by)) as work:
        await request_repeat(work, result_id, reason, instrument)


async def take_back(lab: Database, result_id: int, reason: str = "yanlış tüp", by: str = "uzman") -> None:
    async with lab.work(await steps.user(lab, by)) as work:
        await withdraw(work, result_id, reason)


async def decisions(lab: Database, ordered_test_id: int) -> list[tuple[ApprovalKind, int, str]]:
    async with lab.reading() as session:
        rows = await session.execute(
            select(Approval.kind, Approval.version, Approval.reason)
            .where(Approval.ordered_test_id == ordered_test_id)
            .order_by(Approval.version)
        )
        return list(rows.tuples())


@pytest.mark.clause("9.6.11a")
async def test_technical_approval_makes_a_result_ready_for_the_specialist(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    technician, specialist = await steps.user(lab, "teknisyen"), await steps.user(lab, "uzman")
    assert codes(await technically(lab, ids["GLU"])) == [None]
    async with lab.reading() as session:
        assert await listed(await technical_worklist(session, technician)) == set()
        assert await listed(await clinical_worklist(session, specialist)) == {(number, "GLU")}
        approval = (await session.scalars(select(Approval))).one()
    assert (approval.kind, approval.user_id) == (ApprovalKind.TECHNICAL, technician.user_id)
    assert approval.at is not None


@pytest.mark.clause("9.6.11b")
async def test_without_technical_approval_there_is_no_clinical_one(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92", "TSH": "2.1"})
    await technically(lab, ids["GLU"])
    async with lab.reading() as session:
        assert await listed(await clinical_worklist(session, await steps.user(lab, "uzman"))) == {(number, "GLU")}
    outcomes = await clinically(lab, ids["GLU"], ids["TSH"])
    assert codes(outcomes) == [None, errors.NOT_TECHNICALLY_APPROVED.code]  # one refusal does not stop the other
    assert await steps.states(lab, number) == {"GLU": TestState.CLINICALLY_APPROVED, "TSH": TestState.RESULTED}


@pytest.mark.clause("9.6.11b")
@pytest.mark.parametrize(
    "statement",
    [
        "update istem_tetkik set tetkik_durumu = 'klinik_onayli' where istem_tetkik_kodu = :id",
        "update istem_tetkik set tetkik_durumu = 'teknik_onayli' where istem_tetkik_kodu = :id",
        "update istem_tetkik set tetkik_durumu = 'klinik_onayli', surum = surum + 1 where istem_tetkik_kodu = :id",
    ],
)
async def test_raw_sql_cannot_approve_either(lab: Database, statement: str) -> None:
    number, _ = await measured(lab, tests={"GLU": "92"})
    row = await steps.ordered_test(lab, number, "GLU")
    with pytest.raises(IntegrityError):
        async with lab.reading() as session:
            await session.execute(text(statement), {"id": row.id})


async def test_raw_sql_cannot_jump_over_the_technical_step_with_a_forged_row(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    row = await steps.ordered_test(lab, number, "GLU")
    specialist = await steps.user(lab, "uzman")
    with pytest.raises(IntegrityError, match="teknik onaydan sonra"):
        async with lab.reading() as session:
            await session.execute(
                text(
                    "insert into onay "
                    "(istem_tetkik_kodu, tetkik_sonuc_kodu, onay_turu, surum, kullanici_kodu, onay_zamani)"
                    " values (:test, :result, 'klinik_onay', :version, :user, now())"
                ),
                {"test": row.id, "result": ids["GLU"], "version": row.version + 1, "user": specialist.user_id},
            )
            await session.execute(
                text(
                    "update istem_tetkik set tetkik_durumu = 'klinik_onayli', surum = surum + 1 "
                    "where istem_tetkik_kodu = :test"
                ),
                {"test": row.id},
            )


async def test_two_technicians_approve_at_once_and_one_approval_is_stored(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    people = [await steps.user(lab, "teknisyen"), await steps.new_user(lab, "teknisyen2", Job.TECHNICIAN)]
    outcomes = await asyncio.gather(*(technically(lab, ids["GLU"], by=people[n % 2]) for n in range(6)))
    assert sum(outcome.ok for (outcome,) in outcomes) == 1
    refused = {outcome.error["code"] for (outcome,) in outcomes if outcome.error}
    assert refused == {errors.CHANGED_MEANWHILE.code}
    row = await steps.ordered_test(lab, number, "GLU")
    assert [kind for kind, _, _ in await decisions(lab, row.id)] == [ApprovalKind.TECHNICAL]
    assert len(await steps.audit_of(lab, "istem_tetkik", row.id)) == 1


async def test_two_people_approve_overlapping_lists_and_nobody_waits_for_ever(lab: Database) -> None:
    """Lists in opposite order would deadlock if rows were locked as asked."""
    pairs = [await measured(lab, tests={"GLU": "92", "UREA": "30", "K": "4.1", "NA": "140"}) for _ in range(3)]
    ids = [result for _, results in pairs for result in results.values()]
    other = await steps.new_user(lab, "teknisyen2", Job.TECHNICIAN)
    first, second = await asyncio.gather(technically(lab, *ids), technically(lab, *reversed(ids), by=other))
    assert sum(outcome.ok for outcome in [*first, *second]) == len(ids)


async def test_the_same_approval_is_impossible_twice_in_the_database(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    await technically(lab, ids["GLU"])
    row = await steps.ordered_test(lab, number, "GLU")
    with pytest.raises(IntegrityError, match="uq_onay"):
        async with lab.reading() as session:
            await session.execute(
                text(
                    "insert into onay "
                    "(istem_tetkik_kodu, tetkik_sonuc_kodu, onay_turu, surum, kullanici_kodu, onay_zamani)"
                    " select istem_tetkik_kodu, tetkik_sonuc_kodu, onay_turu, surum, kullanici_kodu, now() from onay"
                    " where istem_tetkik_kodu = :test"
                ),
                {"test": row.id},
            )


@pytest.mark.clause("9.7.1a")
async def test_a_specialist_approves_only_in_his_laboratories(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92", "HGB": "13.1"})
    await technically(lab, *ids.values())
    chemist = await steps.new_user(lab, "biyokimyaci", Job.SPECIALIST, "BIYOKIMYA")
    outcomes = await clinically(lab, ids["GLU"], ids["HGB"], by=chemist)
    assert codes(outcomes) == [None, errors.NOT_YOUR_LABORATORY.code]
    assert (await steps.states(lab, number))["HGB"] is TestState.TECHNICALLY_APPROVED
    [attempt] = await steps.audit_of(lab, "yetki", errors.NOT_YOUR_LABORATORY.code)
    assert (attempt.action, attempt.actor) == ("yetki_ret", "biyokimyaci")
    bench = await steps.new_user(lab, "tekniker", Job.TECHNICIAN, "HORMON")
    _, more = await measured(lab, tests={"GLU": "92"})
    assert codes(await technically(lab, more["GLU"], by=bench)) == [errors.NOT_YOUR_LABORATORY.code]


async def test_only_the_laboratory_approves(lab: Database) -> None:
    _, ids = await measured(lab, tests={"GLU": "92"})
    for username in ("hekim", "ailehekimi", "kabul", "yonetici"):
        await expect(errors.NOT_ALLOWED, technically(lab, ids["GLU"], by=username))
    await technically(lab, ids["GLU"], by="uzman")  # a specialist may do the technical step as well
    await expect(errors.NOT_ALLOWED, clinically(lab, ids["GLU"], by="teknisyen"))


async def test_a_panic_value_is_not_approved_without_a_reason(lab: Database) -> None:
    number, ids = await measured(lab, tests={"K": "6.9", "NA": "140"})
    outcomes = await technically(lab, ids["K"], ids["NA"])
    assert codes(outcomes) == [errors.PANIC_NEEDS_REASON.code, None]
    assert codes(await technically(lab, ids["K"], reason="Dr. Özışık arandı 10:05, geri okudu")) == [None]
    row = await steps.ordered_test(lab, number, "K")
    assert await decisions(lab, row.id) == [
        (ApprovalKind.TECHNICAL, row.version, "Dr. Özışık arandı 10:05, geri okudu")
    ]


async def test_a_bulk_call_asks_few_questions_however_many_results(lab: Database) -> None:
    from sqlalchemy import event

    async def statements(*ids: int) -> int:
        count = 0

        def counted(*_: Any) -> None:
            nonlocal count
            count += 1

        event.listen(lab.engine.sync_engine, "before_cursor_execute", counted)
        try:
            assert all(outcome.ok for outcome in await technically(lab, *ids, by=technician))
        finally:
            event.remove(lab.engine.sync_engine, "before_cursor_execute", counted)
        return count

    technician = await steps.user(lab, "teknisyen")
    _, one = await measured(lab, tests={"GLU": "92"})
    _, many = await measured(
        lab, tests={"GLU": "92", "UREA": "30", "NA": "140", "CL": "101", "ALT": "20", "AST": "20", "CA": "9.1"}
    )
    assert await statements(*one.values()) == await statements(*many.values())


@pytest.mark.clause("9.7.6c")
async def test_the_reason_of_a_clinical_approval_stays(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "520"})
    await technically(lab, ids["GLU"], reason="arandı")
    await clinically(lab, ids["GLU"], reason="ikinci numunede doğrulandı")
    row = await steps.ordered_test(lab, number, "GLU")
    assert [reason for _, _, reason in await decisions(lab, row.id)] == ["arandı", "ikinci numunede doğrulandı"]


@pytest.mark.clause("9.6.6a")
async def test_the_technician_sends_a_result_to_repeat_and_the_first_run_stays(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "450"})
    await repeat(lab, ids["GLU"], "beklenmedik", by="teknisyen")
    row = await steps.ordered_test(lab, number, "GLU")
    assert (row.state, row.result_id, row.runs) == (TestState.ACCEPTED, None, 1)
    second = await steps.result(lab, number, "GLU", "98")
    async with lab.reading() as session:
        runs = [(r.run, r.value) for r in await session.scalars(select(Result).order_by(Result.run))]
    assert runs == [(1, "450"), (2, "98")]
    assert codes(await technically(lab, ids["GLU"])) == [errors.NOT_CURRENT_RUN.code]
    assert codes(await technically(lab, second)) == [None]
    entries = await steps.audit_of(lab, "istem_tetkik", row.id)
    assert (entries[0].action, entries[0].after and entries[0].after["gerekce"]) == ("tekrar", "beklenmedik")


@pytest.mark.clause("9.7.6a")
async def test_the_specialist_names_the_instrument_of_the_repeat(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    await technically(lab, ids["GLU"])
    await expect(errors.NOT_ALLOWED, repeat(lab, ids["GLU"], by="teknisyen"))  # it is with the specialist now
    await expect(errors.UNKNOWN_INSTRUMENT, repeat(lab, ids["GLU"], instrument="yok"))
    await expect(errors.INSTRUMENT_NOT_FOR_TEST, repeat(lab, ids["GLU"], instrument="hemogram"))
    await repeat(lab, ids["GLU"], instrument="biyokimya")  # the reason may be left empty
    row = await steps.ordered_test(lab, number, "GLU")
    assert row.state is TestState.ACCEPTED
    assert await offered(lab, "genel", number) == []
    assert await offered(lab, "biyokimya", number) == ["717"]
    assert [(kind, reason) for kind, _, reason in await decisions(lab, row.id)] == [
        (ApprovalKind.TECHNICAL, ""),
        (ApprovalKind.REPEAT, ""),
    ]


async def offered(lab: Database, line: str, number: str) -> list[str]:
    """What an analyser on this line is offered when it asks for the number."""
    from drivers.messages import Query
    from lis_core.services.routing import answer_query

    (order,) = await answer_query(lab, line, Query(specimens=[number]))
    return [test.code for test in order.tests]


async def test_a_released_result_is_withdrawn_before_it_is_repeated(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    await technically(lab, ids["GLU"])
    await clinically(lab, ids["GLU"])
    await expect(errors.BAD_RESULT_MOVE, repeat(lab, ids["GLU"]))
    await expect(errors.REASON_NEEDED, take_back(lab, ids["GLU"], "  "))
    await expect(errors.NOT_ALLOWED, take_back(lab, ids["GLU"], by="teknisyen"))
    await take_back(lab, ids["GLU"])
    assert (await steps.states(lab, number))["GLU"] is TestState.TECHNICALLY_APPROVED
    await take_back(lab, ids["GLU"], by="teknisyen")
    assert (await steps.states(lab, number))["GLU"] is TestState.RESULTED
    await expect(errors.BAD_RESULT_MOVE, take_back(lab, ids["GLU"]))
    row = await steps.ordered_test(lab, number, "GLU")
    assert [kind for kind, _, _ in await decisions(lab, row.id)] == [
        ApprovalKind.TECHNICAL,
        ApprovalKind.CLINICAL,
        ApprovalKind.WITHDRAW_CLINICAL,
        ApprovalKind.WITHDRAW_TECHNICAL,
    ]
    assert row.result_id == ids["GLU"]


async def test_another_run_is_chosen_before_approval_only(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    second = await steps.result(lab, number, "GLU", "190")
    row = await steps.ordered_test(lab, number, "GLU")
    technician = await steps.user(lab, "teknisyen")

    async def choose(result_id: int, reason: str = "ikinci koşuda pıhtı") -> None:
        async with lab.work(technician) as work:
            await choose_run(work, row.id, result_id, reason)

    assert row.result_id == second
    await expect(errors.REASON_NEEDED, choose(ids["GLU"], ""))
    await choose(ids["GLU"])
    assert (await steps.ordered_test(lab, number, "GLU")).result_id == ids["GLU"]
    _, stranger = await measured(lab, tests={"GLU": "70"})
    await expect(errors.NOT_FOUND, choose(stranger["GLU"]))
    await technically(lab, ids["GLU"])
    await expect(errors.BAD_RESULT_MOVE, choose(second))
    with pytest.raises(IntegrityError):  # nor does the pointer move under an approval by other means
        async with lab.reading() as session:
            await session.execute(
                text("update istem_tetkik set tetkik_sonuc_kodu = :other where istem_tetkik_kodu = :id"),
                {"other": second, "id": row.id},
            )


async def test_a_repeat_that_nobody_can_run_ends_by_choosing_the_first_run(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    await repeat(lab, ids["GLU"])
    row = await steps.ordered_test(lab, number, "GLU")
    async with lab.work(await steps.user(lab, "teknisyen")) as work:
        await choose_run(work, row.id, ids["GLU"], "numune bitti")
    assert codes(await technically(lab, ids["GLU"])) == [None]


@pytest.mark.clause("9.7.9")
async def test_who_approved_and_when_can_be_seen(lab: Database) -> None:
    from lis_core.views.picture import order_picture
    from lis_core.views.seeing import Sight

    number, ids = await measured(lab, tests={"GLU": "92"})
    await technically(lab, ids["GLU"])
    await clinically(lab, ids["GLU"])
    async with lab.reading() as session:
        picture = await order_picture(session, Sight(await steps.user(lab, "uzman")), number)
    assert picture is not None
    (row,) = picture.rows
    assert [(one.kind, one.who) for one in row.decisions] == [
        (ApprovalKind.TECHNICAL, "Tuğba Işıklı"),
        (ApprovalKind.CLINICAL, "Ufuk Çınar"),
    ]
    assert row.decisions[0].at <= row.decisions[1].at


async def test_the_hospital_hears_of_release_and_correction_in_order(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92", "UREA": "30"}, hospital_number="H-5", source="hbys")
    _, own = await measured(lab, tests={"GLU": "92"})
    await technically(lab, *ids.values(), own["GLU"])
    await clinically(lab, *ids.values(), own["GLU"])
    await take_back(lab, ids["GLU"])
    rows = [await steps.ordered_test(lab, number, code) for code in ("GLU", "UREA")]
    async with lab.reading() as session:
        jobs = [
            (job.order_key, job.payload)
            for job in await session.scalars(
                select(OutboxEntry).where(OutboxEntry.topic == "hbys.sonuc").order_by(OutboxEntry.id)
            )
        ]
    order_id = rows[0].order_id
    assert jobs == [
        (number, {"order_id": order_id, "ordered_test_ids": sorted(row.id for row in rows)}),
        (number, {"order_id": order_id, "ordered_test_ids": [rows[0].id]}),
    ]


async def test_results_and_approvals_cannot_be_changed_or_deleted(lab: Database) -> None:
    _, ids = await measured(lab, tests={"GLU": "92"})
    await technically(lab, ids["GLU"])
    for statement in (
        "update tetkik_sonuc set tetkik_sonucu = '93'",
        "delete from tetkik_sonuc",
        "truncate tetkik_sonuc cascade",
        "update onay set gerekce = 'başka'",
        "delete from onay",
        "truncate onay",
    ):
        with pytest.raises(DBAPIError):
            async with lab.reading() as session:
                await session.execute(text(statement))


async def test_a_test_cannot_be_born_approved(lab: Database) -> None:
    number, _ = await measured(lab, tests={"GLU": "92"})
    row = await steps.ordered_test(lab, number, "GLU")
    with pytest.raises(IntegrityError):
        async with lab.reading() as session:
            session.add(
                OrderedTest(
                    order_id=row.order_id,
                    test_id=row.test_id,
                    time_point="60",
                    group=row.group,
                    state=TestState.CLINICALLY_APPROVED,
                    state_at=row.state_at,
                )
            )
            await session.flush()


async def test_an_unknown_result_is_one_refused_row(lab: Database) -> None:
    _, ids = await measured(lab, tests={"GLU": "92"})
    assert codes(await technically(lab, 999_999, ids["GLU"], ids["GLU"])) == [errors.NOT_FOUND.code, None]
    assert await technically(lab) == []


async def test_every_decision_is_in_the_audit_with_before_and_after(lab: Database) -> None:
    number, ids = await measured(lab, tests={"GLU": "92"})
    await technically(lab, ids["GLU"])
    await clinically(lab, ids["GLU"])
    await take_back(lab, ids["GLU"])
    row = await steps.ordered_test(lab, number, "GLU")
    entries = await steps.audit_of(lab, "istem_tetkik", row.id)
    assert [
        (e.action, e.actor, (e.before or {})["tetkik_durumu"], (e.after or {})["tetkik_durumu"]) for e in entries
    ] == [
        ("teknik_onay", "teknisyen", "sonuclandi", "teknik_onayli"),
        ("klinik_onay", "uzman", "teknik_onayli", "klinik_onayli"),
        ("klinik_geri", "uzman", "klinik_onayli", "teknik_onayli"),
    ]
    assert await steps.chain_problems(lab) == []
