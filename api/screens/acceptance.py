"""Acceptance by scan (9.2.6, 9.4): one scan a tube, only that tube; collection and hand-over work the same way."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import needs
from api.context import Db
from api.screens.shell import Screen, screen
from api.screens.words import clock, day
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import Priority, TubeState
from lis_core.services.specimens import PERMISSION_OF_MOVE, move_tube
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.storage.tables import User
from lis_core.views.missing import MissingTube, missing_tubes
from lis_core.views.order_view import OrderView, find_order, order_view

router = APIRouter(prefix="/kabul")
Here = Annotated[Screen, Depends(screen("acceptance"))]
Text = Annotated[str, Form(max_length=500)]
MISSING_DAYS = 3


@dataclass(frozen=True, slots=True)
class Mode:
    """What a scan does. done: the word beside a tube; needs: who may."""

    key: str
    caption: str
    to: TubeState
    done: str
    needs: P


MODES = (
    Mode("kabul", "Numune kabul", TubeState.RECEIVED, "kabul edildi", P.SPECIMEN_ACCEPT),
    Mode("alindi", "Numune alma", TubeState.COLLECTED, "alındı", P.SPECIMEN_COLLECT),
    Mode("yolda", "Teslim / sevk", TubeState.DISPATCHED, "yola çıktı", P.SPECIMEN_DISPATCH),
)
_PRIORITIES = {priority.api: priority for priority in Priority}
_TUBE_STATES = {state.api: state for state in TubeState}


def _modes(here: Screen) -> list[Mode]:
    return [mode for mode in MODES if here.actor.may(mode.needs)]


def _mode(here: Screen, key: str) -> Mode:
    """The mode asked for. Raises NOT_ALLOWED where this person has none of that name."""
    allowed = _modes(here)
    found = next((mode for mode in allowed if mode.key == key), None) if key else allowed[0]
    if found is None:
        wanted = next((mode.needs for mode in MODES if mode.key == key), P.SPECIMEN_ACCEPT)
        raise here.actor.rights.refusal(wanted)
    return found


@router.get("")
async def page(here: Here, db: Db, work: Annotated[str, Query(alias="is", max_length=10)] = "") -> Response:
    """The scan field, what was scanned, what is missing."""
    mode = _mode(here, work)
    return await here.page(
        "acceptance/page.html",
        mode=mode,
        modes=_modes(here),
        may_refuse=here.actor.may(P.SPECIMEN_ACCEPT),
        days=MISSING_DAYS,
        now=datetime.now(UTC),
        missing=await _missing(here, db),
    )


async def _missing(here: Screen, db: Database) -> list[MissingTube]:
    async with db.reading() as session:
        return await missing_tubes(session, here.sight, datetime.now(UTC) - timedelta(days=MISSING_DAYS))


@router.get("/eksik")
async def missing(here: Here, db: Db) -> Response:
    """Tubes that have not arrived, those of orders that arrived in part first (9.2.6b)."""
    return here.part("acceptance/missing.html", missing=await _missing(here, db))


@router.get("/tup", dependencies=[Depends(needs(P.ORDER_VIEW))])
async def card(here: Here, db: Db, barkod: Annotated[str, Query(max_length=40)]) -> Response:
    """The order of a tube that was scanned before."""
    async with db.reading() as session:
        order = await order_view(session, here.sight, barkod)
    return here.part(
        "acceptance/card.html", order=order, barcode=barkod, priority_of=_PRIORITIES, tube_states=_TUBE_STATES
    )


@router.post("/okut")
async def scan(here: Here, db: Db, metin: Text, work: Annotated[str, Form(alias="is")] = "") -> Response:
    """Move exactly the tube that was read; a refusal is an answer too, with its sentence."""
    mode = _mode(here, work)
    return await _moved(here, db, metin.strip(), mode.to, mode.done, None)


@router.post("/ret", dependencies=[Depends(needs(P.SPECIMEN_ACCEPT))])
async def reject(here: Here, db: Db, barkod: Text = "", neden: Text = "") -> Response:
    """Reject the chosen tube, with the reason that the physician will read (9.4.3)."""
    _mode(here, "kabul")
    return await _moved(here, db, barkod.strip(), TubeState.REJECTED, "reddedildi", neden)


@router.post("/sartli", dependencies=[Depends(needs(P.SPECIMEN_ACCEPT))])
async def conditional(
    here: Here, db: Db, barkod: Text = "", hekim: Text = "", saat: Text = "", konusma: Text = "", israr: Text = ""
) -> Response:
    """Accept with a reservation after talking with the physician: with whom, when, what (9.4.4)."""
    _mode(here, "kabul")
    reason = ""
    if hekim.strip() and konusma.strip():
        at = saat.strip() or datetime.now(ISTANBUL).strftime("%H:%M")
        insisted = "; hekimin ısrarı ile çalışıldı" if israr else ""
        reason = f"{hekim.strip()} ile {at} görüşüldü: {konusma.strip()}{insisted}"
    return await _moved(here, db, barkod.strip(), TubeState.CONDITIONAL, "şartlı kabul edildi", reason)


async def _moved(here: Screen, db: Database, scanned: str, to: TubeState, done: str, reason: str | None) -> Response:
    """One line for the list of scans, whatever came of it."""
    barcode, outcome, sentence, short = scanned, "good", "", done
    try:
        async with db.work(here.actor) as work:
            await find_order(
                work.session, here.sight, scanned, PERMISSION_OF_MOVE[to]
            )  # somebody else's order is refused here
            tube = await move_tube(work, scanned, to, reason)
            barcode = tube.barcode
            if tube.repeats is not None:
                outcome = "warn"
                when = f"{day(tube.repeats.at)} {clock(tube.repeats.at)}"
                short = f"zaten {done} ({when})"
                sentence = f"{barcode} daha önce okutulmuş: {when}, {await _who(work.session, tube.repeats.user_id)}."
            elif to in (TubeState.REJECTED, TubeState.CONDITIONAL):
                outcome = "warn"
                sentence = f"{barcode} {done}: {reason}"
    except NumuneError as refusal:
        outcome, sentence, short = "bad", refusal.message, refusal.message
    order = await _order(here, db, barcode)
    return here.part(
        "acceptance/scanned.html",
        id=secrets.token_hex(6),
        order=order,
        specimen=next((tube for tube in order.specimens if tube.barcode == barcode), None) if order else None,
        barcode=barcode,
        outcome=outcome,
        sentence=sentence,
        short=short,
        now=datetime.now(UTC),
        priority_of=_PRIORITIES,
        tube_states=_TUBE_STATES,
    )


async def _who(session: AsyncSession, user_id: int | None) -> str:
    user = await session.get(User, user_id) if user_id is not None else None
    return user.full_name if user else "sistem"


async def _order(here: Screen, db: Database, barcode: str) -> OrderView | None:
    try:
        async with db.reading() as session:
            return await order_view(session, here.sight, barcode)
    except NumuneError:
        return None  # unknown or not his: the line says why
