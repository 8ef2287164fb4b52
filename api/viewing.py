"""Every page and answer that shows values of patients leaves its row in the audit before it leaves the program."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware import pattern_of
from lis_core.services import audit
from lis_core.storage.database import Database


class ViewRecorder:
    """Gathers what the views of a request hand out (`audit.viewed`) and writes one row for the whole page.

    The row is committed before the first byte goes out: where it cannot be written, nothing is shown. A page that was
    not made in the end (an error) showed nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen, token = audit.begin()

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                database: Database = scope["app"].state.numune.database
                await audit.record_viewed(database, seen, scope["method"], pattern_of(scope))
            await send(message)

        try:
            await self.app(scope, receive, recorded)
        finally:
            audit.end(token)
