"""Patient search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.access import needs
from api.context import Db
from lis_core.domain.permissions import P
from lis_core.storage.database import Actor
from lis_core.views.order_view import PatientLine
from lis_core.views.patients import find_patients
from lis_core.views.seeing import Sight

router = APIRouter(tags=["Hasta"])

Finder = Annotated[
    Actor,
    Depends(needs(P.PATIENT_VIEW)),
]


@router.get("/patients", summary="Hasta ara")
async def search(
    actor: Finder,
    db: Db,
    q: Annotated[str, Query(max_length=100, description="Ad, soyad, T.C. kimlik ya da hasta numarası")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[PatientLine]:
    """Türkçe harf gözetmeden arar (isik, Işık'ı bulur). Hekim ada göre yalnız kendi hastalarını bulur."""
    async with db.reading() as session:
        return await find_patients(session, Sight(actor), q, limit)
