"""The test catalogue for order entry."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.access import needs
from api.context import Db
from lis_core.domain.permissions import P
from lis_core.views.catalogue_view import TubeGroup, order_catalogue

router = APIRouter(tags=["Katalog"])


@router.get("/tests", dependencies=[Depends(needs(P.CATALOGUE_VIEW))], summary="Tetkikler, tüplerine göre gruplu")
async def read(db: Db) -> list[TubeGroup]:
    """İstem girişi için: her tetkik ve panel, gireceği tüpün altında."""
    async with db.reading() as session:
        return await order_catalogue(session)
