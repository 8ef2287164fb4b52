"""The web server: uvicorn, which ends the live streams before it waits for its peers to go."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from api.context import AppContext

GRACE = 5
"""Seconds that a running request may still take when the server ends."""


class WebServer(uvicorn.Server):
    """`await server.serve()`; `server.should_exit = True` ends it cleanly, open screens or not."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
                lifespan="on",
            )
        )
        self._context: AppContext = app.state.numune

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._context.hub.end_streams()
        await super().shutdown(sockets)
