"""Builds the web application: JSON interface, screens, live notes, static files, health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute

from api import errors, live, patient, rest, screens
from api.access import public
from api.account_context import check_settings
from api.context import AppContext, database_of
from api.live import LiveHub
from api.metrics import LABORATORY
from api.middleware import BodyLimit, Counting, LastResort, SecurityHeaders
from api.viewing import ViewRecorder
from drivers.gateway.gateway import Gateway
from lis_core.settings import Settings
from lis_core.storage.database import Database

STATIC = Path(__file__).parent / "static"

READY_WITHIN = 2.0
"""Seconds in which the database must answer for `/readyz`."""

_DESCRIPTION = """Numune laboratuvar bilgi sistemi web servisi.

Giriş: `POST /api/v1/auth/token`, sonra her istekte `Authorization: Bearer <access_token>`.
Hatalar `{"code", "message", "details"}` biçimindedir; kodlar `docs/hata-kodlari.md` belgesindedir.
Uzun listeler sayfalıdır: sonraki sayfanın adresi `Link: <...>; rel="next"` başlığındadır.
Zamanlar ISO 8601 biçiminde ve saat dilimlidir; dilimi yazılmayan zaman Türkiye saati sayılır."""


def create_app(
    database: Database, settings: Settings, hub: LiveHub | None = None, gateway: object | None = None
) -> FastAPI:
    """The application over these parts. `hub`: None makes one; either way the application starts and stops it."""
    app = FastAPI(
        title="Numune",
        description=_DESCRIPTION,
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,  # the usual pages load their script from elsewhere; hospital networks are closed
        redoc_url=None,
        lifespan=_lifespan,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Counting),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5),
            Middleware(LastResort),
            Middleware(BodyLimit),
            Middleware(ViewRecorder),
        ],
    )
    app.state.numune = AppContext(database, settings, hub or LiveHub(database), gateway)
    check_settings(app)
    LABORATORY.gateway = gateway if isinstance(gateway, Gateway) else None
    errors.install(app, getattr(screens, "error_page", errors.plain_page))
    app.router.routes.extend(_routes())
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Every address, prepared once a process: reading hundreds of signatures takes longer than hundreds of requests."""
    every = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    every.include_router(rest.router)
    every.include_router(live.router)
    every.include_router(_health)
    every.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    every.include_router(patient.router)
    every.include_router(screens.router)
    return tuple(every.router.routes)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    hub: LiveHub = app.state.numune.hub
    for _ in iter_route_contexts(app.routes):
        pass  # prepared now: the first person who asks must not wait for it, nor the lines beside him
    await hub.start()
    try:
        yield
    finally:
        await hub.stop()


_health = APIRouter(include_in_schema=False, dependencies=[Depends(public("işletim denetimi; kayıt içermez"))])


@_health.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@_health.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """The database answers too; 503 where it does not."""
    try:
        async with asyncio.timeout(READY_WITHIN), database_of(request).reading() as session:
            await session.execute(text("select 1"))
    except (SQLAlchemyError, OSError, TimeoutError):
        return JSONResponse({"status": "database unreachable"}, 503)
    return JSONResponse({"status": "ready"})


@_health.get("/metrics")
async def metrics() -> Response:
    """Prometheus text of the process's registry."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
