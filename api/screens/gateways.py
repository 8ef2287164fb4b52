"""Remote gateways: how each one is in words, the lines that stand there, adding, stopping, and its papers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import PlainTextResponse, Response
from markupsafe import Markup
from sqlalchemy import select

from api.access import needs
from api.context import Db, context_of
from api.edge.papers import BROKER_RIGHTS, broker_address, certificate_steps, program_version, settings_file
from api.screens.shell import Screen, said, screen
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.gateways import save_gateway
from lis_core.storage.database import Database
from lis_core.storage.tables import EdgeGateway
from lis_core.views.gateways import GatewayCard, gateway_cards

router = APIRouter(prefix="/cihazlar")
Here = Annotated[Screen, Depends(screen("instruments"))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Name = Annotated[str, Form(max_length=40)]
Caption = Annotated[str, Form(max_length=200)]
manages = Depends(needs(P.INSTRUMENT_MANAGE))


async def _cards(db: Database) -> list[GatewayCard]:
    async with db.reading() as session:
        return await gateway_cards(session, datetime.now(UTC))


async def _found(db: Database, gateway_id: int) -> EdgeGateway:
    async with db.reading() as session:
        found = await session.get(EdgeGateway, gateway_id)
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what="Uzak geçit")
    return found


def _broker_url(here: Screen) -> str | None:
    return context_of(here.request).settings.mqtt_url


@router.get("/gecitler")
async def page(
    here: Here, db: Db, opened: Annotated[int, Query(alias="ac", ge=0, le=2**63 - 1)] = 0
) -> Response:  # fmt: skip
    """Every gateway with its state now."""
    return await here.page(
        "gateways/page.html", cards=await _cards(db), opened=opened, remark=broker_address(_broker_url(here))[1]
    )


@router.get("/gecitler/tahta")
async def board(here: Here, db: Db) -> Response:
    """The list, as a part that renews itself."""
    return here.part("gateways/board.html", cards=await _cards(db), opened=0)


@router.get("/gecit/{gateway_id}")
async def detail(here: Here, db: Db, gateway_id: Id) -> Response:
    """One gateway: what it reported, its lines, what its machine needs."""
    return await _detail(here, db, gateway_id, None)


@router.get("/gecit/{gateway_id}/durum")
async def state(here: Here, db: Db, gateway_id: Id) -> Response:
    """State and lines again, as a part that renews itself."""
    return here.part("gateways/state.html", **await _facts(here, db, gateway_id, None))


@router.post("/gecitler", dependencies=[manages])
async def add(here: Here, db: Db, ad: Name = "", aciklama: Caption = "") -> Response:
    """Register a gateway."""
    name = ad.strip()
    async with db.reading() as session:
        taken = await session.scalar(select(EdgeGateway.id).where(EdgeGateway.name == name))
    if taken is not None:
        raise NumuneError(errors.INVALID_INPUT, problem=f"{name} adlı bir geçit var; başka bir ad verin")
    number = await save_gateway(db, here.actor, name, aciklama.strip())
    return Response(headers={"HX-Redirect": f"/cihazlar/gecitler?ac={number}"})


@router.post("/gecit/{gateway_id}", dependencies=[manages])
async def change(here: Here, db: Db, gateway_id: Id, aciklama: Caption = "") -> Response:
    """Change what is said of a gateway; its name stays: certificate and topics bear it."""
    gateway = await _found(db, gateway_id)
    await save_gateway(db, here.actor, gateway.name, aciklama.strip(), active=gateway.active)
    return await _detail(here, db, gateway_id, said("Geçit kaydedildi."))


@router.post("/gecit/{gateway_id}/durum", dependencies=[manages])
async def switch(here: Here, db: Db, gateway_id: Id, calissin: Annotated[str, Form(max_length=1)] = "") -> Response:
    """Stop a gateway (its lines close) or start it again."""
    gateway = await _found(db, gateway_id)
    await save_gateway(db, here.actor, gateway.name, gateway.caption, active=bool(calissin))
    if calissin:
        message = said("Geçit başlatıldı: hatları bağlandığında, birkaç saniye içinde açılır.")
    else:
        message = said(
            "Geçit durduruldu: hatları bağlıyken birkaç saniye içinde kapanır. Cihazlar gönderemediğini saklar, "
            "geçidin diskinde bekleyenler gelmeye devam eder.",
            "warn",
        )
    return await _detail(here, db, gateway_id, message)


@router.get("/gecit/{gateway_id}/gecit.toml", dependencies=[manages])
async def file(here: Here, db: Db, gateway_id: Id) -> Response:
    """The gateway's settings file, to be put on its machine."""
    gateway = await _found(db, gateway_id)
    return _download(settings_file(gateway.name, _broker_url(here)), "gecit.toml")


@router.get("/gecit/{gateway_id}/sertifika.txt", dependencies=[manages])
async def steps(here: Here, db: Db, gateway_id: Id) -> Response:
    """How the gateway's certificate is made, as text."""
    gateway = await _found(db, gateway_id)
    return _download(certificate_steps(gateway.name), f"{gateway.name}-sertifika.txt")


def _download(content: str, name: str) -> Response:
    return PlainTextResponse(content, headers={"Content-Disposition": f'attachment; filename="{name}"'})


async def _facts(here: Screen, db: Database, gateway_id: int, message: Markup | None) -> dict[str, Any]:
    card = next((card for card in await _cards(db) if card.gateway.id == gateway_id), None)
    if card is None:
        raise NumuneError(errors.NOT_FOUND, what="Uzak geçit")
    url = _broker_url(here)
    return {
        "card": card,
        "said": message,
        "file": settings_file(card.gateway.name, url),
        "steps": certificate_steps(card.gateway.name),
        "rights": BROKER_RIGHTS,
        "version": program_version(),
        "manages": here.actor.may(P.INSTRUMENT_MANAGE),
    }


async def _detail(here: Screen, db: Database, gateway_id: int, message: Markup | None) -> Response:
    return here.part("gateways/detail.html", **await _facts(here, db, gateway_id, message))
