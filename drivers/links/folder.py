"""A watched folder: an instrument (or its workstation) puts result files there, we take each of them once.

A file is taken when it has been left alone for a while (`bekleme` seconds with the same size and time) and its name is
not one that writers use while they write. It goes to `islenen`, or to `reddedilen` with the reason beside it; the
caller has its content on disk before it moves. A folder that vanishes (a network share) is waited for.

settings: `bekleme` (3 s), `aralik` (1 s between looks), `desenler` (["*"] of file names).
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.links.endpoints import Report, _cancel
from drivers.outgoing import in_force

DONE = "islenen"
FAILED = "reddedilen"
LARGEST = 64 * 1024 * 1024 - 1024
"""Bytes of one file: what an entry of the spool can hold."""
UNFINISHED = (
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.crdownload",
    "*.lock",
    "*.yaz",
    "~*",
    ".*",
    "*~",
)

Take = Callable[[str, bytes], Awaitable[str | None]]
"""Keeps the content of a file of this name; returns why it cannot be used, None where all is well. Raises OSError
where it could not be kept: the file stays and is tried again."""


@dataclass(slots=True)
class _Seen:
    size: int
    changed: int
    since: float


class WatchedFolder:
    """An endpoint: keeps looking while it is started."""

    def __init__(self, path: str, take: Take, report: Report, settings: dict[str, Any]) -> None:
        self._path = Path(path)
        self._take = take
        self._report = report
        self._quiet = float(settings.get("bekleme", 3.0))
        self._pause = float(settings.get("aralik", 1.0))
        patterns = settings.get("desenler", ["*"])
        self._patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        if not self._path.is_absolute():
            raise ValueError(f"klasör yolu tam olmalı: {path!r}")
        in_force().check_folder(path)
        in_force().check_folder(os.path.realpath(path))  # a link may lead into another folder
        self._seen: dict[str, _Seen] = {}
        self._open: bool | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        await _cancel(self._task)
        self._report(False, None)

    async def _watch(self) -> None:
        while True:
            try:
                ready = await asyncio.to_thread(self._look, time.monotonic())
            except OSError as error:
                self._say(False, f"{self._path} klasörüne erişilemiyor: {error.strerror or error}")
            else:
                self._say(True, None)
                for path in ready:
                    await self._one(path)
            await asyncio.sleep(self._pause)

    def _say(self, is_open: bool, problem: str | None) -> None:
        if is_open != self._open:
            self._open = is_open
            self._report(is_open, problem)

    # -- which files are ready

    def _look(self, now: float) -> list[Path]:
        """Files that were left alone long enough, the oldest first. Raises OSError: the folder cannot be read."""
        found: dict[str, _Seen] = {}
        ready: list[tuple[int, str, Path]] = []
        with os.scandir(self._path) as entries:
            for entry in entries:
                if not self._wanted(entry.name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # renamed between the two looks
                    if not entry.is_file(follow_symlinks=False):  # a link would have us read any file of the machine
                        continue
                    state = entry.stat(follow_symlinks=False)
                    seen = self._seen.get(entry.name)
                    if seen is None or (seen.size, seen.changed) != (state.st_size, state.st_mtime_ns):
                        seen = _Seen(state.st_size, state.st_mtime_ns, now)
                    found[entry.name] = seen
                    if now - seen.since >= self._quiet:
                        ready.append((state.st_mtime_ns, entry.name, Path(entry.path)))
        self._seen = found
        return [path for _, _, path in sorted(ready)]

    def _wanted(self, name: str) -> bool:
        plain = name.lower()
        if any(fnmatch.fnmatch(plain, pattern) for pattern in UNFINISHED):
            return False
        return any(fnmatch.fnmatch(plain, pattern.lower()) for pattern in self._patterns)

    # -- one file

    async def _one(self, path: Path) -> None:
        try:
            before = await asyncio.to_thread(_state, path)
            data = await asyncio.to_thread(_content, path)
            if before != await asyncio.to_thread(_state, path):
                self._seen.pop(path.name, None)  # somebody writes after all
                return
        except OSError as error:
            self._report(True, f"{path.name} okunamadı, yeniden denenecek: {error.strerror or error}")
            self._seen.pop(path.name, None)
            return
        try:
            reason = "Dosya boş." if not data else "Dosya çok büyük." if len(data) > LARGEST else None
            if reason is None:
                reason = await self._take(path.name, data)
        except OSError as error:
            self._report(True, f"{path.name} diske yazılamadı, yeniden denenecek: {error.strerror or error}")
            self._seen.pop(path.name, None)
            return
        if reason is not None:
            self._report(True, f"{path.name}: {reason}")
        try:
            await asyncio.to_thread(_move, path, reason)
        except OSError as error:
            self._report(True, f"{path.name} taşınamadı: {error.strerror or error}")
            self._seen.pop(path.name, None)


def _state(path: Path) -> tuple[int, int]:
    state = path.lstat()
    return state.st_size, state.st_mtime_ns


def _content(path: Path) -> bytes:
    """Raises OSError: it became a link since it was looked at."""
    with open(path, "rb", opener=_no_link) as file:  # Path.open takes no opener
        return file.read(LARGEST + 2)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o640)


def _move(path: Path, reason: str | None) -> None:
    """To its folder, under a name that is free there; the reason beside it."""
    folder = path.parent / (DONE if reason is None else FAILED)
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise OSError(f"{folder.name} bir bağlantı; gerçek bir klasör olmalı")
    target = folder / path.name
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{path.stem}-{number}{path.suffix}"
    path.rename(target)
    if reason is not None:
        why = target.with_name(target.name + ".neden.txt")
        why.unlink(missing_ok=True)
        with open(why, "x", encoding="utf-8", opener=_no_link) as file:
            file.write(reason + "\n")
