"""A site's own definitions: files in its data folder that are read again when they change, without a restart.

A published file is never changed: a change is a file with the next revision, because every kept message names the
revision that read it. What cannot be used is left out and told; the other definitions go on.
"""

from __future__ import annotations

import os
from pathlib import Path

from drivers.definition import Catalog, Definition, read_catalog
from drivers.language import DefinitionError

FOLDER = "tanimlar"
"""In the data folder of the installation."""


class SiteCatalog:
    """The shipped definitions and those of a folder, as they are now. `refresh` is cheap where nothing changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp = self._look()
        self.catalog, self._faults = self._read()

    @property
    def faults(self) -> list[str]:
        """Turkish sentences: files that cannot be used, and why."""
        return list(self._faults)

    def changed(self) -> bool:
        """Whether a file came, went or changed since the last reading."""
        return self._look() != self._stamp

    def refresh(self) -> bool:
        """Read the folder again where it changed; True where it did. It then takes up to a second: use a thread."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        before = {(one.key, one.revision): one for one in self.catalog.revisions()}
        catalog, self._faults = self._read()
        self.catalog = Catalog([_kept(one, before) for one in catalog.revisions()])
        self._stamp = stamp
        return True

    def _read(self) -> tuple[Catalog, list[str]]:
        return read_catalog(*([self.folder] if self.folder.is_dir() else []))

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        try:
            entries = [entry for entry in os.scandir(self.folder) if entry.name.endswith(".toml")]
            found = [(entry.name, entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries]
        except FileNotFoundError:  # no folder; or a file went away while it was looked at: the next look sees it
            return ()
        return tuple(sorted(found))


def _kept(new: Definition, before: dict[tuple[str, int], Definition]) -> Definition:
    """The definition object in use where its file says the same: it is compiled already."""
    old = before.get((new.key, new.revision))
    return old if old is not None and old.file == new.file else new


def publish(folder: Path, definition: Definition, toml: str) -> Path:
    """Write a new revision, whole or not at all. Raises DefinitionError: this revision exists; OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{definition.key}-{definition.revision}.toml"
    draft = folder / f".{target.name}.{os.getpid()}"
    with draft.open("w", encoding="utf-8") as file:
        file.write(toml)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, target)  # unlike a rename, this never replaces a file that is there
    except FileExistsError as error:
        raise DefinitionError(
            f"{definition.key}/{definition.revision} yayımlanmış; yayımlanan sürüm değişmez, yeni sürüm verin"
        ) from error
    finally:
        draft.unlink()
    return target
