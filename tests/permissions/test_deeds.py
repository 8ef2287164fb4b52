"""Below the doors: every deed of the services x every job, every part of the program, every type of message.

A door that was forgotten, a screen that calls another service, a message that brings more than its type: the service
refuses by itself. The doors are held by test_matrix.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import pytest
from sqlalchemy.exc import IntegrityError

from hbys_bridge.hl7.rights import RIGHTS_OF_MESSAGE, actor_of
from lis_core.domain import errors
from lis_core.domain.account_rules import AccountRules
from lis_core.domain.errors import NumuneError
from lis_core.domain.permission_templates import Job
from lis_core.domain.permissions import About, P, Scope
from lis_core.domain.states import TubeState
from lis_core.services import (
    accounts,
    approvals,
    employment,
    instruments,
    manual,
    orders,
    patients,
    permissions,
    personal_data,
    privacy,
    retention,
    second_factor,
    specimens,
    support,
    tokens,
    unmatched,
)
from lis_core.services.approvals import ApprovalOutcome
from lis_core.services.permissions import Subject
from lis_core.storage.database import Actor, Database, Work
from lis_core.storage.tables import Order
from lis_core.storage.tables.accounts import Absence
from lis_core.views.seeing import about_order
from tests.conftest import _copy
from tests.permissions.conftest import House
from tests.permissions.test_programs import PARTS
from tests.services import steps

NO_PERMISSION = (errors.NOT_ALLOWED, errors.NOT_YOUR_LABORATORY)
BENCH = About("BIYOKIMYA")


class Deed(NamedTuple):
    """What it needs, where ("order": this order's people, "test": its bench), whether only a person may."""

    needs: P
    does: Callable[[Work, Case], Awaitable[Any]]
    where: str = ""
    persons_only: bool = False


@dataclass(frozen=True)
class Case:
    """One order with a measured test, whose row numbers the deeds are about."""

    database: Database
    number: str
    barcode: str
    order: About
    patient_id: int
    ordered_id: int
    result_id: int
    user_id: int
    who: patients.PatientData


RULES = AccountRules()
DEEDS: dict[str, Deed] = {
    "place an order": Deed(
        P.ORDER_ENTER, lambda work, case: orders.place_order(work, orders.OrderRequest(steps.person(), ["GLU"]))
    ),
    "add tests": Deed(P.ORDER_CHANGE, lambda work, case: orders.add_tests(work, case.number, ["K"]), "order"),
    "cancel tests": Deed(
        P.ORDER_CHANGE, lambda work, case: orders.cancel_tests(work, case.number, ["UREA"], "x"), "order"
    ),
    "correct a patient": Deed(P.PATIENT_CHANGE, lambda work, case: patients.update_patient(work, case.who)),
    "merge patients": Deed(
        P.PATIENT_CHANGE, lambda work, case: patients.merge_patients(work, case.who, steps.person())
    ),
    "receive a tube": Deed(
        P.SPECIMEN_ACCEPT, lambda work, case: specimens.move_tube(work, case.barcode, TubeState.RECEIVED), "order"
    ),
    "reject a tube": Deed(
        P.SPECIMEN_ACCEPT, lambda work, case: specimens.move_tube(work, case.barcode, TubeState.REJECTED, "x"), "order"
    ),
    "type a result": Deed(
        P.RESULT_ENTER, lambda work, case: manual.enter_result(work, case.ordered_id, "9", "x"), "test", True
    ),
    "approve technically": Deed(
        P.RESULT_TECHNICAL, lambda work, case: approvals.approve_technically(work, [case.result_id]), "test", True
    ),
    "approve clinically": Deed(
        P.RESULT_CLINICAL, lambda work, case: approvals.approve_clinically(work, [case.result_id]), "test", True
    ),
    "dismiss a stray result": Deed(P.UNMATCHED_RESOLVE, lambda work, case: unmatched.dismiss_unmatched(work, 1, "x")),
    "take an analyser out of service": Deed(
        P.INSTRUMENT_SERVICE, lambda work, case: instruments.set_service(work, "genel", False, "x")
    ),
    "give a permission": Deed(
        P.RIGHTS_MANAGE,
        lambda work, case: permissions.give(work, Subject(user_id=case.user_id), P.RESULT_CLINICAL, Scope()),
    ),
    "make a group": Deed(P.RIGHTS_MANAGE, lambda work, case: permissions.save_group(work, "X", "X")),
    "open an account": Deed(P.USER_MANAGE, lambda work, case: accounts.add_user(work, "yeni.kisi", "A", "B")),
    "give a new password": Deed(P.USER_MANAGE, lambda work, case: accounts.reset_password(work, case.user_id)),
    "close an account": Deed(P.USER_MANAGE, lambda work, case: accounts.set_active(work, case.user_id, False)),
    "take factors away": Deed(P.USER_MANAGE, lambda work, case: second_factor.reset_factors(work, case.user_id)),
    "send on leave": Deed(
        P.USER_MANAGE,
        lambda work, case: employment.put_absence(
            work, employment.NewAbsence(case.user_id, Absence.LEAVE, date.today(), None, "")
        ),
    ),
    "let support in": Deed(P.USER_MANAGE, lambda work, case: support.grant_access(work, case.user_id, "x", 1, RULES)),
    "make a client of the interface": Deed(
        P.USER_MANAGE, lambda work, case: tokens.create_client(work, "Deneme", "x", ["istem.gor"])
    ),
    "issue a token": Deed(P.USER_MANAGE, lambda work, case: tokens.issue_token(work, 1, 10, RULES)),
    "hide a patient": Deed(
        P.PRIVACY_MARK, lambda work, case: privacy.hide_patient(work, case.patient_id, "calisan", "x")
    ),
    "break the glass": Deed(
        P.PRIVACY_EMERGENCY, lambda work, case: privacy.open_in_emergency(work, case.patient_id, "bilinci kapalı", 30)
    ),
    "take personal data away": Deed(
        P.PRIVACY_DATA, lambda work, case: personal_data.take_away(work, case.patient_id, "dilekçe")
    ),
    "erase a person": Deed(
        P.PRIVACY_DATA, lambda work, case: retention.erase_identity(work, case.patient_id, "dilekçe")
    ),
}


class Undone(Exception):
    """Ends every try."""


@pytest.fixture(scope="module")
async def case(pg_server: str, lab_template: str) -> AsyncIterator[Case]:
    async for lab in _copy(pg_server, lab_template):
        who = steps.person()
        placed = await steps.order(lab, ["GLU", "UREA"], patient=who)
        await steps.accepted(lab, placed)
        result_id = await steps.result(lab, placed.number, "GLU", "92")
        ordered = await steps.ordered_test(lab, placed.number, "GLU")
        async with lab.reading() as session:
            order = await session.get_one(Order, placed.order_id)
            about, patient_id = about_order(order), order.patient_id
        user = await steps.user(lab, "kabul")
        assert user.user_id is not None
        barcode = placed.specimens[0].barcode
        yield Case(lab, placed.number, barcode, about, patient_id, ordered.id, result_id, user.user_id, who)


async def is_refused(case: Case, actor: Actor, deed: Deed) -> bool:
    """Whether the service refuses for want of a permission. Whatever else becomes of it, nothing stays."""
    try:
        async with case.database.work(actor) as work:
            done = await deed.does(work, case)
            raise Undone(done)
    except NumuneError as refusal:
        return refusal.kind in NO_PERMISSION
    except IntegrityError:
        return False  # the database wants a person's name beside it: the service would have let him
    except Undone as undone:
        [done] = undone.args
        outcomes = [one.error for one in done if isinstance(one, ApprovalOutcome)] if isinstance(done, list) else []
        return any(error["code"] in {kind.code for kind in NO_PERMISSION} for error in outcomes if error)


def may(case: Case, actor: Actor, deed: Deed) -> bool:
    if deed.persons_only and actor.user_id is None:
        return False
    about = {"order": case.order, "test": BENCH}.get(deed.where)
    return actor.may(deed.needs, about)


async def wrong_of(case: Case, actor: Actor) -> list[str]:
    found = []
    for name, deed in DEEDS.items():
        limited = actor.may(deed.needs) and not actor.rights.unlimited(deed.needs)
        if limited and not deed.where:
            continue  # within his own units: test_lists and test_matrix tell those stories
        if await is_refused(case, actor, deed) is may(case, actor, deed):
            found.append(name)
    return found


@pytest.mark.parametrize("job", list(Job))
async def test_a_person_of_each_job(case: Case, job: Job) -> None:
    house = House(case.database)
    await house.person(f"deneme.{job.value.lower().replace('_', '-')}", job)
    actor = await house.actor(f"deneme.{job.value.lower().replace('_', '-')}")
    assert await wrong_of(case, actor) == []


async def test_every_part_of_the_program(case: Case) -> None:
    wrong = {part.name: found for part in PARTS if (found := await wrong_of(case, part))}
    assert wrong == {}


@pytest.mark.parametrize("kind", [*RIGHTS_OF_MESSAGE, ("ORU", "R01"), ("", "")], ids="^".join)
async def test_every_type_of_message_of_a_hospital(case: Case, kind: tuple[str, str]) -> None:
    """A type that declares nothing does nothing."""
    actor = actor_of(*kind, "HBYS|HASTANE 10.0.0.1")
    assert await wrong_of(case, actor) == []
    done = {name for name, deed in DEEDS.items() if not await is_refused(case, actor, deed)}
    assert bool(done) is (kind in RIGHTS_OF_MESSAGE)
    assert done <= {"place an order", "add tests", "cancel tests", "correct a patient", "merge patients"}


def test_every_permission_that_changes_something_has_a_deed_here_or_a_reason() -> None:
    elsewhere = {
        P.SPECIMEN_COLLECT, P.SPECIMEN_DISPATCH,  # the same function as receiving: PERMISSION_OF_MOVE
        P.PATIENT_ENTER, P.RESULT_CHANGE,  # asked within placing an order and typing a second value
        P.REPORT_TAKE, P.REPORT_EMERGENCY, P.ONLINE_SLIP, P.ONLINE_MANAGE, P.PRIVACY_REVIEW,  # tests of their own
        P.INSTRUMENT_MANAGE, P.MESSAGE_TAKE, P.MESSAGE_REPLAY, P.CATALOGUE_MANAGE, P.SYSTEM_MANAGE,
        P.WATER_ENTER, P.WATER_REPORT, P.INVOICE_REPORT, P.AUDIT_REPORT,  # nothing is done with them yet, or only read
    }  # fmt: skip
    reading = {permission for permission in P if permission.value.split(".")[1].startswith("gor")}
    assert set(P) - reading - elsewhere == {deed.needs for deed in DEEDS.values()}
