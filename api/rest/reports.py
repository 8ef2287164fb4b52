"""The result report as PDF."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import needs_any
from api.auth import from_own_page
from api.context import Db
from api.report import coded_report, emergency_report, released_report
from api.rest.inputs import PathText, Reason
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.storage.database import Actor

router = APIRouter(tags=["İstem"])

Taker = Annotated[Actor, Depends(needs_any(P.REPORT_TAKE, P.REPORT_EMERGENCY))]

_PDF: dict[int | str, dict[str, object]] = {200: {"content": {"application/pdf": {}}, "description": "Rapor"}}


@router.get("/orders/{number}/report.pdf", summary="Sonuç raporu (PDF)", response_class=Response, responses=_PDF)
async def report(
    request: Request,
    number: PathText,
    actor: Taker,
    db: Db,
    acil: Annotated[bool, Query(description="Klinik onaydan önce acil baskı; acil istem ve gerekçe ister")] = False,
    gerekce: Annotated[Reason, Query(description="Acil baskının gerekçesi")] = "",
    kodlu: Annotated[bool, Query(description="Gizli tetkiklerin (HIV) raporu: ad yerine kod")] = False,
) -> Response:
    """Yalnız klinik onaylı sonuçlar. Acil baskı sayfada "klinik onay alınmadan basılmıştır" der ve denetime yazılır."""
    if acil and not from_own_page(request):  # it is recorded under the reader's name: no other site's link may do it
        raise NumuneError(errors.BAD_FORM_TOKEN)
    if acil:
        made = await emergency_report(db, actor, number, gerekce)
    else:
        made = await (coded_report if kodlu else released_report)(db, actor, number)
    return Response(
        made.pdf,
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="rapor-{made.number}.pdf"'},
    )
