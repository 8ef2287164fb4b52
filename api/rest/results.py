"""Results: the feed that a caller may see, the two approvals, repeat, withdrawal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from api.access import needs, needs_any
from api.auth import CurrentSight
from api.context import Db
from api.rest.inputs import LARGEST_ID, Code, Cursor, Input, Limit, Moment, PathId, Reason, StateWord
from api.rest.lists import answer_page
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError, all_kinds
from lis_core.domain.permissions import P
from lis_core.services import approvals
from lis_core.services.approvals import ApprovalOutcome
from lis_core.storage.database import Actor, Database, Work
from lis_core.views.results import ResultPlace, ResultQuestion, ResultRow, list_results, result_place

router = APIRouter(tags=["Sonuç"])

Reader = Depends(needs_any(P.RESULT_VIEW, P.RESULT_VIEW_UNAPPROVED))
Technical = Annotated[Actor, Depends(needs(P.RESULT_TECHNICAL))]
Clinical = Annotated[Actor, Depends(needs(P.RESULT_CLINICAL))]
Approver = Annotated[Actor, Depends(needs_any(P.RESULT_TECHNICAL, P.RESULT_CLINICAL))]
"""Which of the two it takes depends on where the result stands; the service asks."""


@router.get("/results", dependencies=[Depends(needs(P.ORDER_VIEW)), Reader], summary="Görülebilen sonuçlar")
async def read(
    request: Request,
    response: Response,
    sight: CurrentSight,
    db: Db,
    specimen: Annotated[str | None, Query(max_length=60, description="Tüp barkodu")] = None,
    order: Annotated[str | None, Query(max_length=60, description="İstem numarası")] = None,
    state: Annotated[list[StateWord] | None, Query(description="Tetkik durumu; yinelenebilir")] = None,
    instrument: Annotated[Code | None, Query(description="Cihaz kodu")] = None,
    since: Annotated[Moment | None, Query(description="Bu zamandan beri durumu değişenler")] = None,
    every_run: Annotated[bool, Query(description="Geçerli olmayan koşular da (laboratuvar)")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Sequence[ResultRow]:
    """Çağıranın görebildiği sonuçlar, en eski değişiklik önce; aynı imleçle soran hiçbirini kaçırmaz."""
    question = ResultQuestion(
        specimen, order, frozenset(state) if state else None, instrument, since, every_run, limit, cursor
    )
    async with db.reading() as session:
        return answer_page(request, response, await list_results(session, sight, question))


class Why(Input):
    """Why this is done; needed for a panic value and for a withdrawal."""

    reason: Reason = ""


class RepeatIn(Input):
    """`instrument`: code of the analyser that must run the repeat; left out, any may."""

    reason: Reason = ""
    instrument: Code | None = None


class Decided(BaseModel):
    """The test after the decision. `state`: where it stands now; `result`: the run that is valid now."""

    id: int
    order: str
    test: str
    state: str
    result: int | None


class Many(Why):
    """Several results in one decision."""

    ids: Annotated[list[Annotated[int, Field(ge=1, le=LARGEST_ID)]], Field(min_length=1, max_length=1000)]


class OneOfMany(BaseModel):
    """What became of one of several. `error`: code, message and details where it was refused."""

    id: int
    test: str
    ok: bool
    error: dict[str, Any] | None


Approve = Callable[[Work, Sequence[int], str], Awaitable[list[ApprovalOutcome]]]
_KINDS = {kind.code: kind for kind in all_kinds()}


def _refusal(error: dict[str, Any]) -> NumuneError:
    """The refusal that a bulk outcome carries, as one."""
    return NumuneError(_KINDS[error["code"]], **error["details"])


async def _approve_one(db: Database, actor: Actor, result_id: int, why: Why | None, approve: Approve) -> Decided:
    async with db.work(actor) as work:
        outcomes = await approve(work, [result_id], (why or Why()).reason)
        if not outcomes:
            raise NumuneError(errors.NOT_FOUND, what=f"Sonuç {result_id}")
        if outcomes[0].error is not None:
            raise _refusal(outcomes[0].error)
    return await _decided(db, result_id)


async def _approve_many(db: Database, actor: Actor, many: Many, approve: Approve) -> list[OneOfMany]:
    async with db.work(actor) as work:
        outcomes = await approve(work, list(dict.fromkeys(many.ids)), many.reason)
    return [OneOfMany(id=one.result_id, test=one.test, ok=one.ok, error=one.error) for one in outcomes]


async def _decided(db: Database, result_id: int) -> Decided:
    async with db.reading() as session:
        place: ResultPlace = await result_place(session, result_id)
    return Decided(id=result_id, order=place.order, test=place.test, state=place.state, result=place.current_result)


@router.post("/results/technical-approval", summary="Teknik onay (toplu)")
async def technical_many(many: Many, actor: Technical, db: Db) -> list[OneOfMany]:
    """Birden çok sonucu teknik onaylar; onaylanamayan satır ötekileri durdurmaz."""
    return await _approve_many(db, actor, many, approvals.approve_technically)


@router.post("/results/clinical-approval", summary="Klinik onay (toplu)")
async def clinical_many(many: Many, actor: Clinical, db: Db) -> list[OneOfMany]:
    """Birden çok sonucu klinik onaylar; onaylanamayan satır ötekileri durdurmaz."""
    return await _approve_many(db, actor, many, approvals.approve_clinically)


@router.post("/results/{result_id}/technical-approval", summary="Teknik onay")
async def technical(result_id: PathId, actor: Technical, db: Db, why: Why | None = None) -> Decided:
    """Sonucu teknik onaylar. Panik değerde gerekçe ister."""
    return await _approve_one(db, actor, result_id, why, approvals.approve_technically)


@router.post("/results/{result_id}/clinical-approval", summary="Klinik onay")
async def clinical(result_id: PathId, actor: Clinical, db: Db, why: Why | None = None) -> Decided:
    """Teknik onaylı sonucu klinik onaylar; sonuç bundan sonra laboratuvar dışında görülür."""
    return await _approve_one(db, actor, result_id, why, approvals.approve_clinically)


@router.post("/results/{result_id}/repeat", summary="Tekrar iste")
async def repeat(result_id: PathId, actor: Approver, db: Db, wanted: RepeatIn | None = None) -> Decided:
    """Tetkiki yeniden çalışılmak üzere geri gönderir; eski koşu kayıtta kalır."""
    given = wanted or RepeatIn()
    async with db.work(actor) as work:
        await approvals.request_repeat(work, result_id, given.reason, given.instrument)
    return await _decided(db, result_id)


@router.post("/results/{result_id}/withdraw", summary="Onayı geri al")
async def withdraw(result_id: PathId, actor: Approver, db: Db, why: Why | None = None) -> Decided:
    """Son onayı gerekçesi ile geri alır; sonuç laboratuvar dışında artık görülmez."""
    async with db.work(actor) as work:
        await approvals.withdraw(work, result_id, (why or Why()).reason)
    return await _decided(db, result_id)
