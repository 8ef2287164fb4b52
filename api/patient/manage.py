"""The laboratory's chief over the patients' page: open or closed, what is withheld, confidential tests, attempts."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select

from api.access import needs
from api.context import Db
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.online import NEUTRAL, Look, When
from lis_core.domain.online_access import CAPTIONS, PatientPageRules
from lis_core.domain.permissions import P
from lis_core.services import patient_access_rules as rules
from lis_core.services.patient_access_log import days_of_visits
from lis_core.storage.database import Database
from lis_core.storage.tables import Test, WorkGroup

PATH = "/gizlilik/internet"
router = APIRouter(prefix=PATH, dependencies=[Depends(needs(P.ONLINE_MANAGE))])
Here = Annotated[Screen, Depends(screen("privacy"))]
Text = Annotated[str, Form(max_length=300)]
NUMBERS = [field.name for field in fields(PatientPageRules) if field.name != "acik"]


@router.get("")
async def page(here: Here, db: Db) -> Response:
    """Everything that decides what patients see of themselves, on one page."""
    return await _page(here, db)


async def _page(here: Screen, db: Database, problem: NumuneError | None = None, **typed: Any) -> Response:
    async with db.reading() as session:
        tests = (
            await session.execute(select(Test.code, Test.name).where(Test.active, ~Test.panel).order_by(Test.code))
        ).tuples()
        groups = (await session.execute(select(WorkGroup.code, WorkGroup.name).order_by(WorkGroup.position))).tuples()
        facts = {
            "tests": tests.all(),
            "groups": groups.all(),
            "page_rules": await rules.page_rules(session),
            "lines": await rules.rule_lines(session),
            "coverage": await rules.coverage(session),
            "days": await days_of_visits(session),
        }
    return await here.page(
        "patient/manage.html",
        status=problem.status if problem else 200,
        captions=CAPTIONS,
        numbers=NUMBERS,
        whens=list(When),
        looks=list(Look),
        neutral=NEUTRAL,
        typed=dict.fromkeys(("tetkik", "sinir", "cumle", "neden"), "") | typed,
        said=said(problem.message, "bad") if problem else None,
        **facts,
    )


def _back() -> Response:
    return RedirectResponse(PATH, status_code=303)


@router.post("/ayar")
async def settings(
    here: Here,
    db: Db,
    acik: Text = "",
    belge_gun: Text = "",
    oturum_dakika: Text = "",
    bosta_dakika: Text = "",
    deneme: Text = "",
    kilit_dakika: Text = "",
) -> Response:
    """The institution's standards (9.8.8b)."""
    numbers = {
        "belge_gun": belge_gun,
        "oturum_dakika": oturum_dakika,
        "bosta_dakika": bosta_dakika,
        "deneme": deneme,
        "kilit_dakika": kilit_dakika,
    }
    try:
        wanted: dict[str, int | bool] = {name: _whole(name, text) for name, text in numbers.items() if text.strip()}
        async with db.work(here.actor) as work:
            await rules.save_page_rules(work, {**wanted, "acik": bool(acik)})
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    return _back()


def _whole(name: str, text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or len(text.strip()) > 6:
        raise NumuneError(errors.BAD_ONLINE_RULE, problem=f"{CAPTIONS[name]}: tam sayı olmalı")
    return int(text)


@router.post("/kural")
async def add(
    here: Here,
    db: Db,
    kosul: Text = "",
    tetkik: Text = "",
    grup: Text = "",
    sinir: Text = "",
    gorunum: Text = Look.SENTENCE.value,
    cumle: Text = "",
    kabul: Text = "",
    neden: Text = "",
) -> Response:
    """A new rule."""
    try:
        data = rules.RuleData(
            when=_word(When, kosul, "koşul"),
            test=tetkik,
            group=grup,
            limit=_limit(sinir),
            look=_word(Look, gorunum, "görünüm"),
            sentence=cumle,
            accepted=bool(kabul),
            reason=neden,
        )
        async with db.work(here.actor) as work:
            await rules.add_rule(work, data)
    except NumuneError as refusal:
        typed = {"tetkik": tetkik, "sinir": sinir, "cumle": cumle, "neden": neden}
        return await _page(here, db, refusal, **typed)
    return _back()


def _word(kind: type[Any], text: str, name: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise NumuneError(errors.BAD_ONLINE_RULE, problem=f"{name} seçilmedi") from error


def _limit(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        limit = Decimal(text.strip().replace(",", "."))
    except InvalidOperation as error:
        raise NumuneError(errors.BAD_ONLINE_RULE, problem="sınır sayı olmalı") from error
    if not limit.is_finite() or abs(limit) > 10**12:
        raise NumuneError(errors.BAD_ONLINE_RULE, problem="sınır sayı olmalı")
    return limit


@router.post("/kural/{rule_id}/kaldir")
async def end(here: Here, db: Db, rule_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """A rule ends."""
    try:
        async with db.work(here.actor) as work:
            await rules.end_rule(work, rule_id)
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    return _back()


@router.post("/gizli")
async def confidential(here: Here, db: Db, tetkik: Text = "", gizli: Text = "", neden: Text = "") -> Response:
    """A test becomes confidential, or stops being so (9.8.5)."""
    try:
        async with db.work(here.actor) as work:
            await rules.set_confidential(work, tetkik, bool(gizli), neden)
    except NumuneError as refusal:
        return await _page(here, db, refusal)
    return _back()
