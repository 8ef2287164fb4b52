"""The patient's own page: three fields, his released results, the report. No script, no number in an address.

Whatever is typed wrong gets one answer: same words, same size, never sooner than another (`ANSWER_SECONDS`).
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import public
from api.account_context import box_of, cookie_name, forget_cookie, is_secure, read_cookie, visitor_of
from api.auth import from_own_page
from api.context import Db, database_of
from api.metrics import REPORTS
from api.report import make_pdf, report_data
from api.screens.shell import plain_page
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import TestState
from lis_core.services.patient_access import Claim, Visit, enter, leave, patient_actor, visit_behind
from lis_core.services.patient_access_rules import page_rules, rules_in_force
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.storage.tables import Institution
from lis_core.views.order_view import OrderView, TestLine, order_view
from lis_core.views.seeing import PatientSight, Sight

PATH = "/sonuc"
COOKIE = "numune_hasta"
LONGEST = 60
"""Letters of a field that are looked at."""

ANSWER_SECONDS = 0.4
"""No attempt is answered sooner: what the database takes for a number that exists is lost in it."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "font-src 'self'",
            "img-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store, private",
}

router = APIRouter(prefix=PATH, dependencies=[Depends(public("hastanın kendi sonuç sayfası; üç bilgi ile açılır"))])
Typed = Annotated[str, Form()]


def _page(request: Request, template: str, status: int = 200, **facts: Any) -> Response:
    response = plain_page(request, template, status, **facts)
    response.headers.update(HEADERS)
    return response


@router.get("")
async def ask(request: Request, db: Db, bitti: str = "") -> Response:
    """The form. bitti: the visit ended by itself."""
    async with db.reading() as session:
        open_now = (await page_rules(session)).acik
        name = await _laboratory(session)
    problem = errors.PATIENT_PAGE_CLOSED.message if not open_now else ""
    return _page(request, "patient/form.html", laboratory=name, problem=problem, closed=not open_now, ended=bool(bitti))


@router.post("")
async def come_in(request: Request, db: Db, numara: Typed = "", kimlik: Typed = "", kod: Typed = "") -> Response:
    """All three right: his order. Anything else: one answer."""
    if not from_own_page(request):
        raise NumuneError(errors.BAD_FORM_TOKEN)
    started = time.monotonic()
    claim = Claim(numara[:LONGEST], kimlik[:LONGEST], kod[:LONGEST])
    try:
        secret = await enter(db, claim, visitor_of(request), box_of(request))
    except NumuneError as refusal:
        return await _refused(request, db, refusal, started)
    await _not_sooner(started)
    response = RedirectResponse(f"{PATH}/istem", status_code=303, headers=dict(HEADERS))
    name = cookie_name(request, COOKIE, PATH)
    response.set_cookie(name, secret, httponly=True, samesite="strict", secure=is_secure(request), path=PATH)
    return response


async def _refused(request: Request, db: Database, refusal: NumuneError, started: float) -> Response:
    if refusal.kind not in (errors.PATIENT_NOT_MATCHED, errors.TOO_MANY_ATTEMPTS, errors.PATIENT_PAGE_CLOSED):
        raise refusal
    async with db.reading() as session:
        name = await _laboratory(session)
    closed = refusal.kind is errors.PATIENT_PAGE_CLOSED
    page = _page(
        request,
        "patient/form.html",
        refusal.status,
        laboratory=name,
        problem=refusal.message,
        closed=closed,
        ended=False,
    )
    if refusal.kind is errors.TOO_MANY_ATTEMPTS:
        page.headers["Retry-After"] = str(refusal.details.get("seconds", 60))
    await _not_sooner(started)
    return page


async def _not_sooner(started: float) -> None:
    await asyncio.sleep(max(0.0, started + ANSWER_SECONDS - time.monotonic()))


async def _laboratory(session: AsyncSession) -> str:
    name = await session.scalar(select(Institution.name).where(Institution.active).order_by(Institution.id).limit(1))
    return name or "Laboratuvar"


# --- inside --------------------------------------------------------------------------------------------------------


async def _visit(request: Request) -> Visit | None:
    secret = read_cookie(request, COOKIE, PATH)
    return await visit_behind(database_of(request), secret[:100], visitor_of(request)) if secret else None


OpenVisit = Annotated[Visit | None, Depends(_visit)]


def _outside(request: Request) -> Response:
    """No visit, or one that has ended: the form, whatever was asked for."""
    had = "?bitti=1" if read_cookie(request, COOKIE, PATH) else ""
    response = RedirectResponse(PATH + had, status_code=303, headers=dict(HEADERS))
    forget_cookie(request, response, COOKIE, PATH)
    return response


async def _own_order(session: AsyncSession, request: Request, visit: Visit) -> OrderView:
    """The order of this visit as its patient may read it; the view tells the audit what was shown."""
    actor = patient_actor(visitor_of(request).address)
    eyes = PatientSight(await rules_in_force(session))
    return await order_view(session, Sight(actor), visit.order_number, values=eyes, permission=P.REPORT_TAKE)


@dataclass(frozen=True, slots=True)
class Line:
    """One test for the patient. words: what stands where there is no value."""

    name: str
    value: str = ""
    unit: str = ""
    flag: str = ""
    flag_words: str = ""
    reference: str = ""
    at: datetime | None = None
    words: str = ""
    withheld: bool = False


_FLAGS = {"D": "düşük", "Y": "yüksek", "P!": "hekiminize danışın", "A": "beklenenden farklı"}
PREPARING = "hazırlanıyor"
REJECTED = "numune uygun değildi; laboratuvarla görüşün"


def line_of(test: TestLine) -> Line:
    """A withheld test looks the same in every state and with every value."""
    name = test.name + (f" ({test.time_point})" if test.time_point else "")
    if test.withheld:
        return Line(name, words=test.withheld, withheld=True)
    result = test.result
    if result is None:
        return Line(name, words=REJECTED if test.state == TestState.REJECTED.api else PREPARING)
    return Line(
        name,
        result.value,
        result.unit,
        result.flag,
        _FLAGS.get(result.flag, ""),
        result.reference,
        result.measured_at or result.received_at,
    )


@router.get("/istem")
async def results(request: Request, db: Db, visit: OpenVisit) -> Response:
    """The results of the one order that this visit opens."""
    if visit is None:
        return _outside(request)
    async with db.reading() as session:
        order = await _own_order(session, request, visit)
        laboratory = await _laboratory(session)
    groups = [
        (name, [line_of(test) for test in tests])
        for name, tests in groupby(order.tests, key=lambda test: test.group_name)
    ]
    return _page(
        request,
        "patient/results.html",
        laboratory=laboratory,
        order=order,
        who=f"{order.patient.given_name} {order.patient.family_name[:1]}.",
        groups=groups,
        some=any(test.result for test in order.tests),
        visit=visit,
        seconds=max(5, int((visit.ends_at - datetime.now(UTC)).total_seconds())),
    )


@router.get("/rapor.pdf")
async def report(request: Request, db: Db, visit: OpenVisit) -> Response:
    """The same on paper; back to the page where there is nothing to print."""
    if visit is None:
        return _outside(request)
    async with db.reading() as session:
        order = await _own_order(session, request, visit)
        if not any(test.result for test in order.tests):
            return RedirectResponse(f"{PATH}/istem", status_code=303, headers=dict(HEADERS))
        actor = patient_actor(visitor_of(request).address)
        data = await report_data(session, order, actor, datetime.now(ISTANBUL), emergency=False)
    REPORTS.labels("hasta").inc()
    headers = {**HEADERS, "Content-Disposition": 'inline; filename="sonuc.pdf"'}
    return Response(await make_pdf(data), media_type="application/pdf", headers=headers)


@router.post("/cikis")
async def go(request: Request, db: Db, visit: OpenVisit, form: Annotated[str, Form(alias="_form")] = "") -> Response:
    """End the visit."""
    if visit is not None:
        if not hmac.compare_digest(form.encode(), visit.form_token.encode()):
            raise NumuneError(errors.BAD_FORM_TOKEN)
        await leave(db, read_cookie(request, COOKIE, PATH), visitor_of(request), visit)
    response = RedirectResponse(PATH, status_code=303, headers=dict(HEADERS))
    forget_cookie(request, response, COOKIE, PATH)
    return response
