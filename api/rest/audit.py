"""The audit, for the administrator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import needs
from api.context import Db
from api.rest.inputs import Code, Cursor, Limit, Moment
from api.rest.lists import answer_page
from lis_core.domain.permissions import P
from lis_core.storage.database import Actor
from lis_core.views.audit_trail import AuditProof, AuditQuestion, AuditRow, list_audit, verify_audit
from lis_core.views.seeing import Sight

router = APIRouter(tags=["Denetim"])

Auditor = Annotated[Actor, Depends(needs(P.AUDIT_VIEW))]


@router.get("/audit", summary="Denetim izi")
async def read(
    request: Request,
    response: Response,
    actor: Auditor,
    db: Db,
    entity: Annotated[Code | None, Query(description="Nesnenin türü (tablo)")] = None,
    id: Annotated[Code | None, Query(description="Nesnenin kodu")] = None,
    who: Annotated[Code | None, Query(description="Yapan")] = None,
    since: Annotated[Moment | None, Query(description="Bu zamandan beri")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Sequence[AuditRow]:
    """Kim, ne zaman, nereden, ne yaptı; öncesi ve sonrası. En yeni önce."""
    async with db.reading() as session:
        page = await list_audit(session, Sight(actor), AuditQuestion(entity, id, who, since, limit, cursor))
    return answer_page(request, response, page)


@router.get("/audit/verify", summary="Denetim zincirini doğrula")
async def verify(actor: Auditor, db: Db) -> AuditProof:
    """Zincirdeki her satırı yeniden hesaplar; değişen ya da eksik satırı söyler."""
    async with db.reading() as session:
        return await verify_audit(session)
