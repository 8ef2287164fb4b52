"""Orders: place one, read one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from api.access import needs
from api.auth import CurrentSight
from api.context import Db
from api.rest.inputs import BirthDate, Clinical, Code, Digits, Input, Line, Name, PathText
from lis_core.domain.permissions import P
from lis_core.domain.states import Priority
from lis_core.services.orders import OrderRequest, PlacedOrder, place_order
from lis_core.services.patients import PatientData
from lis_core.storage.database import Actor
from lis_core.views.order_view import OrderView, order_view

router = APIRouter(tags=["İstem"])

Orderer = Annotated[
    Actor,
    Depends(needs(P.ORDER_ENTER)),
]


class PatientIn(Input):
    """The patient. At least one of `tc`, `hospital_id`, `passport`."""

    tc: Digits | None = None
    given_name: Name
    family_name: Name
    sex: Literal["F", "M"] | None = None
    birth_date: BirthDate | None = None
    phone: Line | None = None
    hospital_id: Digits | None = None
    passport: Code | None = None


class OrderIn(Input):
    """An order. `number`: a pre-printed barcode number; left out, the system gives the next one."""

    patient: PatientIn
    tests: Annotated[list[Code], Field(max_length=200)]
    priority: Literal["routine", "priority", "urgent"] = "routine"
    physician: Code | None = None
    unit: Code | None = None
    clinical: Clinical = {}
    number: Digits | None = None
    hospital_number: Code | None = None


class SpecimenOut(BaseModel):
    """A tube to draw; `barcode` is what its label says."""

    barcode: str
    tube: str
    caption: str
    material: str
    colour: str
    tests: list[str]


class OrderOut(BaseModel):
    """The order as placed."""

    number: str
    specimens: list[SpecimenOut]
    warnings: list[str]


@router.post("/orders", status_code=201, summary="İstem ver")
async def place(order: OrderIn, actor: Orderer, db: Db, response: Response) -> OrderOut:
    """Hastayı (gerekirse) kaydeder, istemi tek numara altında açar, etiketlenecek tüpleri verir."""
    async with db.work(actor) as work:
        placed = await place_order(
            work,
            OrderRequest(
                patient=PatientData(**order.patient.model_dump()),
                tests=order.tests,
                priority=Priority[order.priority.upper()],
                physician=order.physician,
                unit=order.unit,
                clinical=order.clinical,
                number=order.number,
                hospital_number=order.hospital_number,
                source="api",
            ),
        )
    response.headers["Location"] = f"/api/v1/orders/{placed.number}"
    return _as_placed(placed)


def _as_placed(placed: PlacedOrder) -> OrderOut:
    return OrderOut(
        number=placed.number,
        specimens=[
            SpecimenOut(
                barcode=tube.barcode,
                tube=tube.tube,
                caption=tube.caption,
                material=tube.material,
                colour=tube.colour,
                tests=tube.tests,
            )
            for tube in placed.specimens
        ],
        warnings=placed.warnings,
    )


@router.get(
    "/orders/{number}", dependencies=[Depends(needs(P.ORDER_VIEW))], summary="İstem, tüpleri ve görülebilen sonuçları"
)
async def read(number: PathText, sight: CurrentSight, db: Db) -> OrderView:
    """Numara istemin ya da herhangi bir tüpünün barkodudur. Görülemeyen sonuçta `result` boştur (null)."""
    async with db.reading() as session:
        return await order_view(session, sight, number)
