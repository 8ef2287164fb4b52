"""Tubes: moved by their barcode, and where one is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from api.access import needs
from api.auth import CurrentSight
from api.context import Db
from api.rest.inputs import Input, Line, PathText, Reason
from lis_core.domain.permissions import P
from lis_core.domain.states import TubeState
from lis_core.services.specimens import PERMISSION_OF_MOVE, move_tube
from lis_core.storage.database import Actor, Database
from lis_core.views.order_view import find_order
from lis_core.views.seeing import Sight
from lis_core.views.specimen_view import SpecimenView, specimen_view

router = APIRouter(tags=["Numune"])

Collector = Annotated[Actor, Depends(needs(P.SPECIMEN_COLLECT))]
Carrier = Annotated[Actor, Depends(needs(P.SPECIMEN_DISPATCH))]
Acceptor = Annotated[Actor, Depends(needs(P.SPECIMEN_ACCEPT))]
"""Takes in and refuses at the laboratory's door."""


class Move(Input):
    """Why, and where the tube was put. A rejection and a conditional acceptance need the reason."""

    reason: Reason | None = None
    position: Annotated[Line, Field(max_length=20)] | None = None


async def _move(db: Database, actor: Actor, barcode: str, to: TubeState, move: Move | None) -> SpecimenView:
    sight = Sight(actor)
    given = move or Move()
    async with db.work(actor) as work:
        await find_order(work.session, sight, barcode, PERMISSION_OF_MOVE[to])  # a clinician: his own orders only
        tube = await move_tube(work, barcode, to, reason=given.reason, position=given.position)
        scanned = tube.barcode
    async with db.reading() as session:
        return await specimen_view(session, sight, scanned)


@router.post("/specimens/{barcode}/collect", summary="Numune alındı")
async def collect(barcode: PathText, actor: Collector, db: Db, move: Move | None = None) -> SpecimenView:
    """Tüpün hastadan alındığını kaydeder."""
    return await _move(db, actor, barcode, TubeState.COLLECTED, move)


@router.post("/specimens/{barcode}/dispatch", summary="Numune yola çıktı")
async def dispatch(barcode: PathText, actor: Carrier, db: Db, move: Move | None = None) -> SpecimenView:
    """Tüpün taşıyıcıya verildiğini kaydeder."""
    return await _move(db, actor, barcode, TubeState.DISPATCHED, move)


@router.post("/specimens/{barcode}/receive", summary="Numune kabul edildi")
async def receive(barcode: PathText, actor: Acceptor, db: Db, move: Move | None = None) -> SpecimenView:
    """Tüpün laboratuvara kabulünü kaydeder."""
    return await _move(db, actor, barcode, TubeState.RECEIVED, move)


@router.post("/specimens/{barcode}/reject", summary="Numune reddedildi")
async def reject(barcode: PathText, actor: Acceptor, db: Db, move: Move | None = None) -> SpecimenView:
    """Tüpü gerekçesi ile reddeder; yerine yenisi alınır."""
    return await _move(db, actor, barcode, TubeState.REJECTED, move)


@router.post("/specimens/{barcode}/accept-conditionally", summary="Numune şartlı kabul edildi")
async def accept_conditionally(barcode: PathText, actor: Acceptor, db: Db, move: Move | None = None) -> SpecimenView:
    """Tüpü gerekçesi ile şartlı kabul eder."""
    return await _move(db, actor, barcode, TubeState.CONDITIONAL, move)


@router.get("/specimens/{barcode}", dependencies=[Depends(needs(P.SPECIMEN_VIEW))], summary="Numune nerede, neler oldu")
async def read(barcode: PathText, sight: CurrentSight, db: Db) -> SpecimenView:
    """Tüpün durumu, yeri ve bütün hareketleri."""
    async with db.reading() as session:
        return await specimen_view(session, sight, barcode)
