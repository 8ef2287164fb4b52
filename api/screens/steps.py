"""The steps between the password and the first screen: second factor, setting one up, a new password."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import segno
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from api.access import public
from api.account_context import box_of, rules_of, site_of, visitor_of
from api.auth import half_signed_in, let_in, safe_target
from api.context import Db
from api.screens.shell import home_of, plain_page
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services import accounts, second_factor, security_keys, signing_in
from lis_core.services.second_factor import Enrolment, Factors
from lis_core.services.sessions import Held, Stage
from lis_core.services.signing_in import Entered
from lis_core.storage.database import Database

router = APIRouter(prefix="/giris/adim", dependencies=[Depends(public("girişin sonraki adımı; yarım oturum ister"))])
Half = Annotated[Held, Depends(half_signed_in)]
Wanted = Annotated[str, Form(alias="sonraki", max_length=500)]
Code = Annotated[str, Form(alias="kod", max_length=40)]
Answer = Annotated[str, Form(alias="cevap", max_length=20_000)]
Trust = Annotated[str, Form(alias="hatirla", max_length=5)]


def qr(uri: str) -> Markup:
    """The code for the telephone, drawn here: no picture of it ever leaves the building."""
    return Markup(segno.make(uri, error="m").svg_inline(scale=4, border=3, dark="#000", light="#fff"))


def step_address(wanted: str) -> str:
    """Where the next step is shown; `wanted` is kept for its end."""
    target = safe_target(wanted)
    return "/giris/adim" + (f"?{urlencode({'sonraki': target})}" if target != "/" else "")


def onward(request: Request, entered: Entered, wanted: str) -> Response:
    """After a step that succeeded: the next one, or the screen that was wanted."""
    target = safe_target(wanted)
    if entered.opened.stage is not Stage.FULL:
        place = step_address(wanted)
    else:
        place = home_of(entered.actor) if target == "/" else target
    response = RedirectResponse(place, status_code=303)
    let_in(request, response, entered)
    return response


async def _page(
    request: Request,
    db: Database,
    held: Held,
    wanted: str,
    refusal: NumuneError | None = None,
    proof: str = "",
) -> Response:
    """The page of the stage that this session is in."""
    user_id = held.actor.user_id or 0
    enrolment: Enrolment | None = None
    async with db.reading() as session:
        factors: Factors = await second_factor.factors_of(session, user_id)
    if held.stage is Stage.ENROL:
        enrolment = await _enrolment(request, db, held, proof)
    facts: dict[str, Any] = {
        "stage": held.stage.value,
        "form_token": held.form_token,
        "wanted": safe_target(wanted),
        "factors": factors,
        "enrolment": enrolment,
        "qr": qr(enrolment.uri) if enrolment else "",
        "refusal": refusal,
        "rules": rules_of(request),
        "username": held.actor.name,
    }
    return plain_page(request, "session/step.html", refusal.status if refusal else 200, **facts)


async def _enrolment(request: Request, db: Database, held: Held, proof: str) -> Enrolment:
    user_id, box = held.actor.user_id or 0, box_of(request)
    if proof:
        try:
            async with db.reading() as session:
                return await second_factor.resume_totp(session, user_id, held.actor.name, proof, box)
        except NumuneError as refusal:
            if refusal.kind is not errors.BAD_CODE:
                raise
    async with db.work(held.actor) as work:
        return await second_factor.begin_totp(work, user_id, held.actor.name, box)


def _must_be(held: Held, stage: Stage) -> None:
    if held.stage is not stage:
        raise NumuneError(errors.NOT_SIGNED_IN)


@router.get("")
async def step(request: Request, db: Db, held: Half, sonraki: str = "") -> Response:
    """What has to be done next."""
    if held.stage is Stage.FULL:
        target = safe_target(sonraki)
        return RedirectResponse(home_of(held.actor) if target == "/" else target, status_code=303)
    return await _page(request, db, held, sonraki)


@router.post("/kod")
async def code(
    request: Request, db: Db, held: Half, given: Code = "", wanted: Wanted = "", trust: Trust = ""
) -> Response:
    """A code of the application, or a recovery code."""
    _must_be(held, Stage.SECOND)
    try:
        entered = await signing_in.with_code(
            db, held, given, visitor_of(request), rules_of(request), box_of(request), trust=bool(trust)
        )
    except NumuneError as refusal:
        if refusal.kind is errors.NOT_SIGNED_IN:
            raise
        return await _page(request, db, held, wanted, refusal)
    return onward(request, entered, wanted)


@router.post("/anahtar/soru")
async def key_question(request: Request, db: Db, held: Half) -> Response:
    """The question that the security key signs."""
    _must_be(held, Stage.SECOND)
    async with db.work(held.actor) as work:
        options = await security_keys.ask_known_key(work, held.actor.user_id or 0, site_of(request))
    return Response(options, media_type="application/json")


@router.post("/anahtar")
async def key(
    request: Request, db: Db, held: Half, answer: Answer = "", wanted: Wanted = "", trust: Trust = ""
) -> Response:
    """The key's signature."""
    _must_be(held, Stage.SECOND)
    try:
        entered = await signing_in.with_key(
            db, held, answer, visitor_of(request), rules_of(request), site_of(request), trust=bool(trust)
        )
    except NumuneError as refusal:
        if refusal.kind is errors.NOT_SIGNED_IN:
            raise
        return await _page(request, db, held, wanted, refusal)
    return onward(request, entered, wanted)


@router.post("/uygulama")
async def application(
    request: Request,
    db: Db,
    held: Half,
    given: Code = "",
    proof: Annotated[str, Form(alias="kanit", max_length=100)] = "",
    wanted: Wanted = "",
) -> Response:
    """The application was set up: its first code."""
    _must_be(held, Stage.ENROL)
    try:
        async with db.work(held.actor) as work:
            await second_factor.confirm_totp(work, held.actor.user_id or 0, proof, given, box_of(request))
    except NumuneError as refusal:
        return await _page(request, db, held, wanted, refusal, proof)
    return await _enrolled(request, db, held, wanted)


@router.post("/yeni-anahtar/soru")
async def new_key_question(request: Request, db: Db, held: Half) -> Response:
    """What a new security key is asked."""
    _must_be(held, Stage.ENROL)
    async with db.work(held.actor) as work:
        options = await security_keys.ask_new_key(
            work, held.actor.user_id or 0, held.actor.name, held.actor.full_name, site_of(request)
        )
    return Response(options, media_type="application/json")


@router.post("/yeni-anahtar")
async def new_key(request: Request, db: Db, held: Half, answer: Answer = "", wanted: Wanted = "") -> Response:
    """The new key's answer."""
    _must_be(held, Stage.ENROL)
    try:
        async with db.work(held.actor) as work:
            await security_keys.add_key(work, held.actor.user_id or 0, answer, "", site_of(request))
    except NumuneError as refusal:
        return await _page(request, db, held, wanted, refusal)
    return await _enrolled(request, db, held, wanted)


async def _enrolled(request: Request, db: Database, held: Held, wanted: str) -> Response:
    """Recovery codes, shown once, and on."""
    async with db.work(held.actor) as work:
        codes = await second_factor.new_recovery_codes(work, held.actor.user_id or 0)
    entered = await signing_in.go_on(db, held, visitor_of(request), rules_of(request))
    response = plain_page(request, "session/codes.html", codes=codes, onward=step_address(wanted))
    let_in(request, response, entered)
    return response


@router.post("/parola")
async def password(
    request: Request,
    db: Db,
    held: Half,
    chosen: Annotated[str, Form(alias="yeni", max_length=200)] = "",
    again: Annotated[str, Form(alias="yineleme", max_length=200)] = "",
    wanted: Wanted = "",
) -> Response:
    """A new password, before anything else."""
    _must_be(held, Stage.PASSWORD)
    try:
        if chosen != again:
            raise NumuneError(errors.PASSWORD_REFUSED, problem="iki yazılış aynı değil")
        entered = await accounts.change_password(db, held, chosen, visitor_of(request), rules_of(request))
    except NumuneError as refusal:
        return await _page(request, db, held, wanted, refusal)
    return onward(request, entered, wanted)
