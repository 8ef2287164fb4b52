"""The test catalogue for order entry."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import CurrentActor
from api.context import Db
from lis_core.views.catalogue_view import TubeGroup, order_catalogue

router = APIRouter(tags=["Katalog"])


@router.get("/tests", summary="Tetkikler, tüplerine göre gruplu")
async def read(actor: CurrentActor, db: Db) -> list[TubeGroup]:
    """İstem girişi için: her tetkik ve panel, gireceği tüpün altında."""
    async with db.reading() as session:
        return await order_catalogue(session)
