"""Orders that go to an ASTM analyser unasked, for the tubes of its load list: one after the other, each until it is
acknowledged.

What is to be sent stands at the desk (the core's database); here is only the looking and the sending. A message whose
last acknowledgement was lost is sent once more: the same tube, the same tests.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from drivers.definition import DefinitionError
from drivers.gateway.astm_session import AstmSession
from drivers.gateway.line import LineBook, LineSpec
from drivers.messages import PushedOrder
from drivers.protocols.astm_events import SendWhy
from drivers.protocols.hl7 import LocalError

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""After a transfer that the analyser did not take: it may be switched off, or not want orders at all."""


class LoadDesk(Protocol):
    """Where it stands what an analyser is to be told (`lis_core.services.load_orders.LoadOrders`)."""

    async def to_push(self, line: str, cancels: bool) -> list[PushedOrder]: ...

    async def pushed(self, line: str, given: PushedOrder) -> None: ...


def wanted(gateway: Gateway, spec: LineSpec) -> bool:
    """Whether orders go out on this line unasked: the model takes them, and neither it nor the line says no."""
    push = gateway.definition_of(spec).file.push
    return push is not None and bool(spec.settings.get("yukleme_gonder", push.by_itself))


class PushLine:
    """One line. `run` must be running."""

    def __init__(self, gateway: Gateway, book: LineBook, desk: LoadDesk) -> None:
        self._gateway = gateway
        self._book = book
        self._desk = desk

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause = LOOK_SECONDS
            try:
                if not await self._round():
                    pause = AGAIN_SECONDS
            except Exception:
                # The database is away, or an order cannot be written: it stands there and is found again.
                log.exception("orders not pushed", extra={"action": "push_failed", "line": self._book.spec.name})
            await asyncio.sleep(pause)

    async def _round(self) -> bool:
        """Send what is to be sent. False: the analyser did not take it."""
        session = self._session()
        if session is None:
            return True
        definition = self._gateway.definition_of(self._book.spec)
        for given in await self._desk.to_push(self._book.spec.name, definition.takes_back):
            try:
                message = self._gateway.write_push(definition, given.order)
            except (DefinitionError, LocalError) as error:
                self._book.trouble(f"{given.order.specimen} tüpünün işi yazılamadı: {error}")
                return False
            why = await session.push(definition.frames(message))
            if why is not None:
                return why is SendWhy.CONNECTION_LOST  # the session has said why; a new connection gets it at once
            await self._remembered(given)
            self._book.note(_said(given))
        return True

    async def _remembered(self, given: PushedOrder) -> None:
        """The desk must learn of it: what the analyser has is not to be sent again."""
        while True:
            try:
                return await self._desk.pushed(self._book.spec.name, given)
            except Exception:
                log.exception("pushed order not noted", extra={"action": "push_waits", "line": self._book.spec.name})
                await asyncio.sleep(LOOK_SECONDS)

    def _session(self) -> AstmSession | None:
        open_ones = [one for one in self._book.sessions if isinstance(one, AstmSession) and one.is_open]
        return open_ones[-1] if open_ones else None


def _said(given: PushedOrder) -> str:
    order = given.order
    place = f"{order.rack}-{order.position}" if order.rack else order.position
    done = {"new": "gönderildi", "add": "ek iş olarak gönderildi", "cancel": "geri alındı"}[order.action]
    return f"{place}. konum, {order.specimen}: {', '.join(test.code for test in order.tests)} {done}."
