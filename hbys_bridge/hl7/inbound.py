"""The port that hospitals call: any number of connections, each served in order (MLLP; 4076 in the demonstration)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import tzinfo

from drivers.links.gate import Gate, Server, listen
from drivers.links.networks import Refusals
from hbys_bridge.hl7.conversation import Conversation
from hbys_bridge.hl7.inbox import Inbox
from hbys_bridge.hl7.notices import raise_notice
from hbys_bridge.hl7.rights import BRIDGE
from hbys_bridge.settings import BridgeSettings, split_address
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
"""Pause before a port that is taken is tried again: another process may just be ending, or stands in for us."""

OnSender = Callable[[str], None]


class HospitalServer:
    """Takes orders and patient data; gives the lines of connected hospitals to who has results for them."""

    def __init__(
        self,
        database: Database,
        address: str,
        *,
        zone: tzinfo = ISTANBUL,
        settings: BridgeSettings | None = None,
        on_sender: OnSender | None = None,
    ) -> None:
        """address: host:port, port 0 = any. on_sender: called when a connection says who it is. ValueError: address."""
        self._database = database
        self._host, self._port = split_address(address)
        self._inbox = Inbox(database, settings or BridgeSettings(), zone=zone)
        self._on_sender = on_sender
        self._server: Server | None = None
        chosen = settings or BridgeSettings()
        self._refusals = Refusals(self._turned_away)
        tls = chosen.tls.server() if chosen.tls is not None else None
        self._gate = Gate(chosen.networks, self._refused, tls)
        self._why = ""
        self._telling: set[asyncio.Task[None]] = set()
        self._trying: asyncio.Task[None] | None = None
        self._lines: dict[Conversation, asyncio.Task[None]] = {}

    @property
    def port(self) -> int:
        """The port in use, also when 0 was asked for."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen; where the port is taken, go on trying."""
        try:
            await self._listen()
        except OSError as error:
            words = (
                f"Hastane portu ({self._host}:{self._port}) açılamadı: {error.strerror or error}. Yeniden deneniyor."
            )
            log.warning("hospital port taken: %s", error, extra={"action": "hospital_port_taken"})
            await self._show(words, entity="hbys_port", entity_id=str(self._port))
            self._trying = asyncio.create_task(self._keep_trying())

    async def _listen(self) -> None:
        self._server = await listen(self._conversation, self._host, self._port, backlog=64, gate=self._gate)

    def _conversation(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._called)

    def _refused(self, host: str, why: str) -> None:
        self._why = why
        self._refusals.add(host)

    def _turned_away(self, host: str, count: int) -> None:
        """Somebody who may not was hung up: a notice for people, and the audit."""
        log.warning("hospital port refused", extra={"action": "hospital_refused", "peer": host, "count": count})
        task = asyncio.get_running_loop().create_task(self._tell_refused(host, count, self._why))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_refused(self, host: str, count: int, why: str) -> None:
        words = f"Hastane portuna {host or 'başka adreslerden'} gelen {count} bağlantı kapatıldı: {why}."
        try:
            async with self._database.work(BRIDGE) as work:
                await raise_notice(work, words, entity="hbys_port", entity_id=str(self._port))
                facts = {"adres": host or "çeşitli", "adet": count, "neden": why}
                work.audit("hat.reddedildi", "hbys_port", self._port, None, facts)
        except Exception:
            # The door holds without the database; the log above has said it.
            log.exception("refusal not kept", extra={"action": "refusal_lost"})

    async def _keep_trying(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            with contextlib.suppress(OSError):
                await self._listen()
                return

    async def stop(self) -> None:
        """Stop listening and hang up. A message that is being applied is left to its transaction: it is asked again."""
        if self._trying is not None:
            self._trying.cancel()
        if self._server is not None:
            self._server.close()
        tasks = [*self._lines.values(), *self._telling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def line_of(self, sender: str) -> Conversation | None:
        """The newest open connection on which this hospital has spoken, or None."""
        return next((line for line in reversed(self._lines) if line.open and line.sender == sender), None)

    def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Conversation(reader, writer, self.take, self.trouble)
        task = asyncio.get_running_loop().create_task(line.run())
        self._lines[line] = task
        task.add_done_callback(lambda _: self._lines.pop(line, None))

    async def take(self, payload: bytes, line: Conversation) -> bytes | None:
        answer, sender = await self._inbox.take(payload, line.peer)
        if sender and sender != line.sender:
            line.sender = sender
            if self._on_sender is not None:
                self._on_sender(sender)
        return answer

    async def trouble(self, peer: str, words: str) -> None:
        log.warning("hospital block refused", extra={"action": "hospital_block_refused", "peer": peer})
        await self._show(words.replace(peer, peer.partition(":")[0]))

    async def _show(self, words: str, *, entity: str = "", entity_id: str = "") -> None:
        try:
            async with self._database.work(BRIDGE) as work:
                await raise_notice(work, words, entity=entity, entity_id=entity_id)
        except Exception:
            # The notice is a help, the line is what counts: it goes on when the database is away.
            log.exception("notice not kept", extra={"action": "notice_lost"})
