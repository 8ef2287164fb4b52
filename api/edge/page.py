"""The gateway's own page, for whoever stands before the machine when the line is down. Shows states, no patients."""

from __future__ import annotations

import asyncio
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from lis_core.settings import ISTANBUL

if TYPE_CHECKING:
    from api.edge.gateway import EdgeGateway

_PAGE = """<!doctype html><html lang="tr"><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>Geçit {name}</title>
<style>body{{font:16px system-ui,sans-serif;margin:1.5rem;max-width:70rem}}table{{border-collapse:collapse;width:100%}}
td,th{{border:1px solid #999;padding:.4rem .6rem;text-align:left}}.kotu{{font-weight:bold}}</style>
<h1>Geçit {name}</h1>
<p role="status"{mark}>{centre}</p>
<table><tr><th>Merkeze gidecek mesaj</th><td>{backlog}</td></tr>
<tr><th>Bekleyen istem kopyası</th><td>{sheets}</td></tr>
<tr><th>Cihaza verilip merkeze bildirilecek iş</th><td>{untold}</td></tr>
<tr><th>Disk</th><td>{disk}</td></tr></table>
<h2>Hatlar</h2>
<table><tr><th>Hat</th><th>Adres</th><th>Durum</th><th>Son mesaj</th><th>Mesaj</th><th>Son hata</th></tr>{lines}</table>
<p>{now}</p></html>"""


class LocalPage:
    """`http://<address>/`, on this machine only unless set otherwise."""

    def __init__(self, edge: EdgeGateway, address: str) -> None:
        self._edge = edge
        host, _, port = address.rpartition(":")
        app = Starlette(routes=[Route("/", self._show)])
        self._server = uvicorn.Server(
            uvicorn.Config(app, host=host or "127.0.0.1", port=int(port), log_config=None, access_log=False)
        )
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises OSError where the address is taken."""
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:
            if self._task.done():
                raise OSError("durum sayfasının adresi açılamadı (kullanımda olabilir)")
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _show(self, request: Request) -> HTMLResponse:
        edge = self._edge
        up = edge.link.connected
        rows = "".join(
            f"<tr><td>{escape(book.spec.name)}</td><td>{escape(book.spec.address)}</td>"
            f"<td>{'açık' if book.status.listening else 'KAPALI'}, {book.status.peers} bağlı</td>"
            f"<td>{_time(book.status.last_message)}</td><td>{book.status.messages}</td>"
            f"<td>{escape(book.status.last_error or '')}</td></tr>"
            for book in edge.gateway.lines.values()
        )
        return HTMLResponse(
            _PAGE.format(
                name=escape(edge.settings.name),
                mark="" if up else ' class="kotu"',
                centre=escape(f"Merkeze bağlı. {edge.link.doubt}".strip())
                if up
                else escape(f"{edge.link.problem} Cihazlar çalışmaya devam eder."),
                backlog=edge.gateway.backlog,
                sheets=len(edge.store.by_order),
                untold=len(edge.store.untold) + len(edge.store.news),
                disk=escape(_disk(edge)),
                lines=rows or '<tr><td colspan="6">Merkezden henüz hat gelmedi.</td></tr>',
                now=datetime.now(ISTANBUL).strftime("%d.%m.%Y %H:%M:%S"),
            )
        )


def _disk(edge: EdgeGateway) -> str:
    if edge.gateway.spool.problem:
        return f"YAZILAMIYOR: {edge.gateway.spool.problem}. Cihazlara bekle deniyor; yer açılınca kendiliğinden sürer."
    return edge.store.problem or "yazılabiliyor"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, ISTANBUL).strftime("%d.%m.%Y %H:%M:%S")
