"""The program's own parts and the messages that come in: each runs under what it declares, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import api
import hbys_bridge
import lis_core
from hbys_bridge.hl7.inbox import EVENTS
from hbys_bridge.hl7.rights import BRIDGE, RIGHTS_OF_MESSAGE, actor_of
from lis_core.demo import LOADER
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import TestState
from lis_core.domain.visibility import visible_states
from lis_core.jobs import WORKER
from lis_core.services.approvals import approve_clinically, approve_technically
from lis_core.services.ingest_batch import INGEST
from lis_core.services.lines import GATEWAY
from lis_core.services.manual import enter_result
from lis_core.services.orders import OrderRequest, place_order
from lis_core.services.patients import update_patient
from lis_core.services.routing import ROUTER
from lis_core.storage.database import Actor, Database, program
from tests.services import steps


def parts() -> list[Actor]:
    """Every part of the program that acts by itself, from the program's own modules: a new one is held the day it is
    added."""
    found: dict[str, Actor] = {}
    for package in (lis_core, hbys_bridge, api):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            values = vars(importlib.import_module(module.name)).values()
            found |= {value.name: value for value in values if isinstance(value, Actor)}
    return sorted(found.values(), key=lambda part: part.name)


PARTS = parts()
NEVER = (P.RESULT_TECHNICAL, P.RESULT_CLINICAL, P.RESULT_VIEW_UNAPPROVED, P.RESULT_CHANGE)
"""What no part of the program may: these are a person's."""


def test_the_known_parts_are_among_them() -> None:
    assert {BRIDGE, INGEST, GATEWAY, ROUTER, WORKER, LOADER} <= set(PARTS)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_no_part_of_the_program_may_do_everything(part) -> None:  # type: ignore[no-untyped-def]
    assert len(part.rights.held) < len(P) / 3
    assert not [permission for permission in NEVER if part.may(permission)]
    assert visible_states(part.rights, "BIYOKIMYA") <= {TestState.CLINICALLY_APPROVED}


def test_every_message_type_that_is_taken_declares_its_permissions() -> None:
    taken = {(kind, event) for kind, events in EVENTS.items() for event in events}
    assert taken == set(RIGHTS_OF_MESSAGE)
    assert all(RIGHTS_OF_MESSAGE.values())
    assert actor_of("ORU", "R01", "").rights.held == frozenset()


async def test_a_message_type_does_only_what_it_declares(lab: Database) -> None:
    """A patient message that tried to order is refused by the service itself; an order message may."""
    request = OrderRequest(patient=steps.person(), tests=["GLU"], source="hbys")
    for kind, event in RIGHTS_OF_MESSAGE:
        actor = actor_of(kind, event, "H|K 10.0.0.1")
        orders = kind in ("OML", "ORM")
        if orders:
            async with lab.work(actor) as work:
                await place_order(work, OrderRequest(patient=steps.person(), tests=["GLU"], source="hbys"))
        else:
            with pytest.raises(NumuneError) as refused:
                async with lab.work(actor) as work:
                    await place_order(work, request)
            assert refused.value.details["codes"] == [P.ORDER_ENTER.value]
    with pytest.raises(NumuneError) as refused:
        async with lab.work(BRIDGE) as work:
            await update_patient(work, steps.person())
    assert refused.value.details["codes"] == [P.PATIENT_CHANGE.value]


async def test_a_decision_about_a_result_is_never_the_programs(lab: Database) -> None:
    """Not even where a part is given the permission: approving and typing need a person."""
    placed = await steps.order(lab, ["GLU"])
    await steps.accepted(lab, placed)
    result_id = await steps.result(lab, placed.number, "GLU", "92")
    ordered = await steps.ordered_test(lab, placed.number, "GLU")
    robot = program("robot", may=P)
    for deed in (
        lambda work: approve_technically(work, [result_id]),
        lambda work: approve_clinically(work, [result_id]),
        lambda work: enter_result(work, ordered.id, "93", "deneme"),
    ):
        with pytest.raises(NumuneError) as refused:
            async with lab.work(robot) as work:
                await deed(work)
        assert refused.value.status == 403
