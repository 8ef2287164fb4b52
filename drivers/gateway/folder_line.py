"""Files of a watched folder on their way through the gateway: spooled first, then read like any message.

The key of a message from a file is its content's digest, so the same file twice is the same message: the database
takes it once, whatever happened between its spooling and its moving.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING

from drivers.capture import CaptureRefused
from drivers.capture_text import captured_by
from drivers.gateway.collector import Collected
from drivers.gateway.line import LineBook
from drivers.gateway.spool import Place

if TYPE_CHECKING:
    from drivers.gateway.gateway import Gateway

_REMEMBERED = 10_000


class FolderIntake:
    """Takes the files of one line."""

    def __init__(self, gateway: Gateway, book: LineBook) -> None:
        self._gateway = gateway
        self._book = book
        self._taken: dict[str, None] = {}

    async def take(self, name: str, data: bytes) -> str | None:
        """Spool and hand on every message of a file; why it cannot be used, or None. Raises OSError: not kept."""
        self._book.heard()
        if self._book.taps:
            self._book.tapped("gelen", data)
        definition = self._gateway.definition_of(self._book.spec)
        try:
            texts = [message.text for message in captured_by(definition, data)]
        except CaptureRefused:
            texts = []
        if not texts:
            texts = [data]  # kept all the same, for a person
        reasons: list[str] = []
        repeated = 0
        for text in texts:
            key = file_key(self._book.spec.name, text)
            if key in self._taken:
                repeated += 1
                continue
            received = time.time_ns()
            place = await self._kept(text, received)
            message = Collected(self._book.spec.name, key, received, text, text, (place,))
            _, reading = self._gateway.received(self._book, message)
            self._remember(key)
            if reading is not None and not reading.observations:
                reasons.append(reading.problem or "Dosyada sonuç yok.")
        if repeated:
            self._book.note(f"{name}: aynı içerik daha önce alınmıştı; yeniden uygulanmadı.")
        return reasons[0] if reasons else None

    def _remember(self, key: str) -> None:
        self._taken[key] = None
        if len(self._taken) > _REMEMBERED:
            self._taken.pop(next(iter(self._taken)))

    async def _kept(self, text: bytes, received: int) -> Place:
        """The text on disk. Raises OSError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def kept(error: OSError | None) -> None:
            if not done.done():
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

        spool = self._gateway.spool
        place = spool.append(self._book.spec.name, spool.new_transfer(), received, True, text, 0, len(text), kept)
        await done
        return place


def file_key(line: str, text: bytes) -> str:
    """Names a message from a file for ever, by its line and content."""
    return "dosya-" + hashlib.sha256(line.encode() + b"\x00" + text).hexdigest()
