"""The web server: uvicorn, which ends the live streams before it waits for its peers to go."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from api.context import AppContext
from api.web_port import CIPHERS, PatientHttp, most_connections

GRACE = 5
"""Seconds that a running request may still take when the server ends."""


class WebServer(uvicorn.Server):
    """`await server.serve()`; `server.should_exit = True` ends it cleanly, open screens or not."""

    def __init__(
        self,
        app: FastAPI,
        host: str,
        port: int,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        proxies: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        """certificate, key: speak TLS with these. proxies: whose word on the client's address and scheme counts."""
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                http=PatientHttp,
                ws="none",
                limit_concurrency=most_connections(),
                ssl_certfile=certificate,
                ssl_keyfile=key,
                ssl_ciphers=CIPHERS,
                forwarded_allow_ips=list(proxies),
                timeout_graceful_shutdown=GRACE,
                lifespan="on",
            )
        )
        self._context: AppContext = app.state.numune

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._context.hub.end_streams()
        await super().shutdown(sockets)
