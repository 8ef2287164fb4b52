"""How an instrument puts bytes on its line: whole, byte by byte, or until the line breaks."""

from __future__ import annotations

import asyncio

from simulators.cable import End, LineDown

__all__ = ["Pen"]


class Pen:
    """Writes for one connection. `reset()` before every message: a style lasts for one."""

    def __init__(self, end: End) -> None:
        self._end = end
        self.bytewise = False
        self._left: int | None = None
        """Bytes until the line breaks."""

    def reset(self, *, bytewise: bool = False, cut_at: int | None = None) -> None:
        """Choose the style of the message that comes."""
        self.bytewise, self._left = bytewise, cut_at

    async def write(self, data: bytes) -> None:
        """Raises LineDown, after having written what still went through."""
        if self._left is not None:
            if len(data) >= self._left:
                await self._put(data[: self._left])
                self._left = None
                await self._end.close()
                raise LineDown("cut_at: the line broke here")
            self._left -= len(data)
        await self._put(data)

    async def _put(self, data: bytes) -> None:
        if not self.bytewise:
            await self._end.write(data)
            return
        for at in range(len(data)):
            await self._end.write(data[at : at + 1])
            await asyncio.sleep(0)
