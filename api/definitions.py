"""The instrument definitions of this process, the site's own included, as they are now."""

from __future__ import annotations

import asyncio
from pathlib import Path

from drivers.definition import Catalog
from drivers.gateway import rereading
from drivers.site import FOLDER, SiteCatalog
from lis_core.services.replay import Reread


class Definitions:
    """Loaded at the first call; read again, off the event loop, when a file of the site changed."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / FOLDER
        self._site: SiteCatalog | None = None
        self._loading = asyncio.Lock()

    async def site(self) -> SiteCatalog:
        """The catalogue with what could not be used of the site's files."""
        async with self._loading:
            if self._site is None:
                self._site = await asyncio.to_thread(SiteCatalog, self.folder)
            elif self._site.changed():
                await asyncio.to_thread(self._site.refresh)
        return self._site

    async def catalog(self) -> Catalog:
        return (await self.site()).catalog

    async def reread(self) -> Reread:
        """How kept raw bytes are read now."""
        return rereading.make(await self.catalog())
