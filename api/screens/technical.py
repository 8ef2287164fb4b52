"""Technical approval (9.6.11-9.6.17): why held, at a glance; a hundred normal ones in under a minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import PlainTextResponse, Response
from markupsafe import Markup

from api.access import needs
from api.context import Db
from api.screens import approving
from api.screens.approving import Chosen, Filters, Text, asked_ids, now_utc, of_order, tube_of_order
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import TestState, TubeState
from lis_core.services.approvals import approve_technically, choose_run, request_repeat, withdraw
from lis_core.services.manual import enter_result
from lis_core.services.specimens import move_tube
from lis_core.storage.database import Database
from lis_core.views.picture import order_picture, repeat_instruments
from lis_core.views.picture_shapes import Picture
from lis_core.views.worklists import plain_results, repeat_list, technical_worklist, what_became

router = APIRouter(prefix="/teknik-onay")
Here = Annotated[Screen, Depends(screen("technical"))]
Asked = Annotated[Filters, Depends(approving.filters)]
WAITS = TestState.RESULTED


Repeating = Annotated[bool, Query(alias="tekrar")]


async def _list_facts(here: Screen, db: Database, asked: Filters, repeating: bool, known: list[str]) -> dict[str, Any]:
    async with db.reading() as session:
        found = await technical_worklist(session, here.actor, group=asked.group, sign=asked.sign, search=asked.search)
        repeats = await repeat_list(session, here.actor)
        gone = set() if repeating else set(known) - {order.number for order in found.orders}
        became = await what_became(session, here.actor, gone, now_utc() - approving.LOOK_BACK)
    return {"list": found, "asked": asked, "became": became, "repeats": repeats, "repeating": repeating}


@router.get("")
async def page(here: Here, db: Db, asked: Asked, repeating: Repeating = False) -> Response:
    """The list of what waits for this technician's benches; or what waits for its repeat."""
    return await here.page("technical/page.html", **await _list_facts(here, db, asked, repeating, []))


@router.get("/liste")
async def listed(
    here: Here,
    db: Db,
    asked: Asked,
    known: Annotated[list[str], Depends(approving.known_numbers)],
    repeating: Repeating = False,
) -> Response:
    """The list again: what the page shows and waits no more comes back greyed, with who took it."""
    return here.part("technical/list.html", **await _list_facts(here, db, asked, repeating, known))


@router.get("/okut")
async def scanned(here: Here, db: Db, metin: Annotated[str, Query(max_length=60)]) -> Response:
    """The order's number of a scanned tube, as text."""
    async with db.reading() as session:
        return PlainTextResponse(await approving.order_of_scan(session, metin))


@router.get("/toplu")
async def bulk_question(request: Request, here: Here, db: Db) -> Response:
    """How many plain results the list of this page holds, before they are approved together."""
    asked = _filters_of(approving.same_filters(request))
    async with db.reading() as session:
        found = await technical_worklist(session, here.actor, group=asked.group, sign=asked.sign, search=asked.search)
    return here.part("approval/bulk.html", list=found, base="/teknik-onay", done=None)


@router.post("/toplu")
async def bulk(here: Here, db: Db, sonuc: Annotated[Chosen, Form()] = []) -> Response:  # noqa: B006
    """Approve exactly the plain results that were counted; whatever got a sign meanwhile stays."""
    ids = asked_ids(sonuc, "")
    async with db.work(here.actor) as work:
        outcomes = await approve_technically(work, await plain_results(work.session, ids))
    left = len(ids) - sum(1 for one in outcomes if one.ok)
    return here.part("approval/bulk.html", done=approving.tell(outcomes, "onaylandı", left), list=None, base="")


@router.get("/{number}")
async def picture(here: Here, db: Db, number: str) -> Response:
    """The whole picture of one order."""
    return await _shown(here, db, number)


@router.post("/{number}/onayla")
async def approve(
    here: Here,
    db: Db,
    number: str,
    sonuc: Annotated[Chosen, Form()] = [],  # noqa: B006
    simdiki: Text = "",
    gerekce: Text = "",
    aranan: Text = "",
    saat: Text = "",
    geri_okundu: Text = "",
    arama_notu: Text = "",
) -> Response:
    """Approve the chosen results, with a note or a call record where one was written."""
    ids = asked_ids(sonuc, simdiki)
    reason = "; ".join(
        part
        for part in (approving.call_record(aranan, saat, geri_okundu, arama_notu, now_utc()), gerekce.strip())
        if part
    )
    async with db.work(here.actor) as work:
        outcomes = await approve_technically(work, await of_order(work.session, number, ids), reason)
    panic = approving.was_refused_for_panic(outcomes)
    chosen = {one.result_id for one in outcomes if not one.ok}
    found = await _found(here, db, number)
    left = _waiting(found)
    return await _shown(
        here,
        db,
        number,
        found=found,
        message=approving.tell(outcomes, "onaylandı", left),
        acted=left,
        opens="#ask-call" if panic else "",
        chosen=chosen,
    )


@router.post("/{number}/hepsi")
async def approve_plain(
    here: Here,
    db: Db,
    number: str,
    gosterilen: Annotated[Chosen, Form()] = [],  # noqa: B006
) -> Response:
    """Approve the results of this order that carry no sign; say how many were taken and how many are left.

    Only what was on the screen when the key was pressed: a result that came in between is looked at first.
    """
    seen = asked_ids(gosterilen, "") if gosterilen else []
    async with db.work(here.actor) as work:
        plain = await plain_results(work.session, await of_order(work.session, number, seen)) if seen else []
        outcomes = await approve_technically(work, plain) if plain else []
    found = await _found(here, db, number)
    left = _waiting(found)
    held = said(f"İmsiz sonuç yok; {left} imli sonuç bir kişinin bakmasını bekliyor.", "warn")
    message = approving.tell(outcomes, "onaylandı", left) if plain else held
    return await _shown(here, db, number, found=found, message=message, acted=left)


@router.post("/{number}/tekrar")
async def repeat(
    here: Here,
    db: Db,
    number: str,
    sonuc: Annotated[Chosen, Form()] = [],  # noqa: B006
    simdiki: Text = "",
    tekrar_nedeni: Text = "",
    cihaz: Text = "",
) -> Response:
    """Send the chosen results to a repeat, on a named instrument if one was chosen (9.6.6, 9.7.6a)."""
    ids = sorted(asked_ids(sonuc, simdiki))
    async with db.work(here.actor) as work:
        for result_id in await of_order(work.session, number, ids):
            await request_repeat(work, result_id, tekrar_nedeni.strip(), cihaz or None)
    return await _after(here, db, number, said(f"{len(ids)} tetkik tekrara gönderildi."))


@router.post("/{number}/ret", dependencies=[Depends(needs(P.SPECIMEN_ACCEPT))])
async def reject(here: Here, db: Db, number: str, tup: Text = "", ret_nedeni: Text = "") -> Response:
    """Reject a tube of the order; its tests without a result are rejected with it (9.6.16)."""
    if not tup:
        raise NumuneError(errors.INVALID_INPUT, problem="reddedilecek tüp seçilmedi")
    async with db.work(here.actor) as work:
        tube = await move_tube(work, await tube_of_order(work.session, number, tup), TubeState.REJECTED, ret_nedeni)
    return await _after(here, db, number, said(f"{tube.barcode} {tube.tube_type.caption} tüpü reddedildi."))


@router.post("/{number}/deger", dependencies=[Depends(needs(P.RESULT_ENTER))])
async def value(
    here: Here, db: Db, number: str, tetkik: Text = "", deger: Text = "", deger_nedeni: Text = ""
) -> Response:
    """A result typed by hand, or a corrected one: a new run, the old one stays."""
    found = await _found(here, db, number)
    row = approving.row_of(found, tetkik)
    if not deger.strip():
        raise NumuneError(errors.INVALID_INPUT, problem=f"{row.code} için sonuç yazılmadı")
    async with db.work(here.actor) as work:
        await enter_result(work, row.ordered_test_id, deger.strip(), deger_nedeni.strip())
    return await _after(here, db, number, said(f"{row.code} sonucu yazıldı: {deger.strip()}."))


@router.post("/{number}/kosu", dependencies=[Depends(needs(P.RESULT_CHANGE))])
async def run(here: Here, db: Db, number: str, kosu: Text = "", kosu_nedeni: Text = "") -> Response:
    """Another run becomes the valid one, with a reason. kosu: ordered test and result, as the page offered them."""
    ordered_test, _, result = kosu.partition(" ")
    row = approving.row_of(await _found(here, db, number), ordered_test)
    ids = asked_ids([result], "")
    async with db.work(here.actor) as work:
        await choose_run(work, row.ordered_test_id, ids[0], kosu_nedeni.strip())
    return await _after(here, db, number, said(f"{row.code} için geçerli koşu değişti."))


@router.post("/{number}/geri")
async def take_back(here: Here, db: Db, number: str, simdiki: Text = "", geri_nedeni: Text = "") -> Response:
    """Take the technical approval of the row under the hand back, with a reason."""
    ids = asked_ids([], simdiki)
    async with db.work(here.actor) as work:
        await withdraw(work, (await of_order(work.session, number, ids))[0], geri_nedeni.strip())
    return await _after(here, db, number, said("Teknik onay geri alındı.", "warn"))


@router.get("/{number}/grafik")
async def chart(here: Here, db: Db, number: str, tetkik: Annotated[str, Query(max_length=19)] = "") -> Response:
    """The day's results of the test under the hand, and the patient's trend (9.6.14b)."""
    found = await _found(here, db, number)
    row = approving.row_of(found, tetkik)
    async with db.reading() as session:
        drawn = await approving.charts_of(session, here.sight, row)
    return here.part("approval/chart.html", row=row, points=drawn.points, chart=drawn.chart, trend=drawn.trend)


# -- the picture


def _filters_of(query: str) -> Filters:
    read = {name: values[0] for name, values in parse_qs(query).items()}
    return Filters(read.get("grup", ""), read.get("im", ""), read.get("ara", ""))


def _waiting(found: Picture) -> int:
    return sum(1 for row in found.rows if row.in_laboratory and row.state is WAITS)


async def _found(here: Screen, db: Database, number: str) -> Picture:
    async with db.reading() as session:
        found = await order_picture(session, here.sight, number)
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{number} numaralı istem")
    return found


async def _after(here: Screen, db: Database, number: str, message: Markup) -> Response:
    found = await _found(here, db, number)
    return await _shown(here, db, number, found=found, message=message, acted=_waiting(found))


async def _shown(
    here: Screen,
    db: Database,
    number: str,
    *,
    found: Picture | None = None,
    message: Markup | None = None,
    acted: int | None = None,
    opens: str = "",
    chosen: Sequence[int] | set[int] = (),
) -> Response:
    found = found or await _found(here, db, number)
    async with db.reading() as session:
        instruments = await repeat_instruments(session, [row.test_id for row in found.rows if row.in_laboratory])
    facts: dict[str, Any] = {
        "picture": found,
        "instruments": instruments,
        "said": message,
        "acted": acted,
        "opens": opens,
        "chosen": set(chosen),
        "now": now_utc(),
        "first": approving.first_row([row for row in found.rows if row.in_laboratory and row.state is WAITS]),
    }
    return here.part("technical/picture.html", **facts)
