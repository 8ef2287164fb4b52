"""What every handler may reach: the database, the settings, the live hub, the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from api.definitions import Definitions
from lis_core.services.replay import Reread
from lis_core.settings import Settings
from lis_core.storage.database import Database

if TYPE_CHECKING:
    from api.live import LiveHub


class AppContext:
    """Parts given to `create_app`; one per application, kept in `app.state.numune`."""

    def __init__(self, database: Database, settings: Settings, hub: LiveHub, gateway: object | None) -> None:
        self.database = database
        self.settings = settings
        self.hub = hub
        self.gateway = gateway
        self.definitions = Definitions(settings.data_dir)

    async def reread(self) -> Reread:
        """How a kept raw message is read again."""
        return await self.definitions.reread()


def context_of(request: Request) -> AppContext:
    """The parts of the application that serves this request."""
    context = request.app.state.numune
    assert isinstance(context, AppContext)
    return context


def database_of(request: Request) -> Database:
    return context_of(request).database


def client_address(request: Request) -> str:
    """Where the request came from, for the audit: the peer's address (uvicorn resolves trusted proxies)."""
    return request.client.host if request.client else ""


Db = Annotated[Database, Depends(database_of)]
