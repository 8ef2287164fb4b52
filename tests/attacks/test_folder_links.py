"""A share that anybody in the laboratory can write to: what is laid there must not become a file of this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from drivers.links.folder import FAILED, WatchedFolder

QUICK = {"bekleme": 0.0, "aralik": 0.02}


class Intake:
    """What was taken; a file named `kotu*` cannot be used."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}
        self.said: list[str] = []

    async def take(self, name: str, data: bytes) -> str | None:
        self.taken[name] = data
        return "okunamadı" if name.startswith("kotu") else None

    def report(self, is_open: bool, problem: str | None) -> None:
        if problem:
            self.said.append(problem)


async def watched(folder: Path, until: str) -> Intake:
    """Watch until this file was taken and moved, and a little longer."""
    intake = Intake()
    watcher = WatchedFolder(str(folder), intake.take, intake.report, QUICK)
    await watcher.start()
    async with asyncio.timeout(20):
        while until not in intake.taken or (folder / until).exists():
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    await watcher.stop()
    return intake


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "gizli").write_text("anahtar")
    folder = tmp_path / "paylasim"
    folder.mkdir()
    return folder


async def test_a_link_in_a_result_folder_is_never_followed(share: Path) -> None:
    secret = share.parent / "gizli"
    (share / "a.csv").symlink_to(secret)
    os.mkfifo(share / "b.csv")
    (share / "z.csv").write_text("sonuç")
    intake = await watched(share, "z.csv")
    assert set(intake.taken) == {"z.csv"}
    assert secret.read_text() == "anahtar" and (share / "a.csv").is_symlink()


async def test_the_reason_beside_a_refused_file_is_not_written_through_a_link(share: Path) -> None:
    secret = share.parent / "gizli"
    (share / FAILED).mkdir()
    (share / FAILED / "kotu.csv.neden.txt").symlink_to(secret)
    (share / "kotu.csv").write_text("x")
    await watched(share, "kotu.csv")
    assert secret.read_text() == "anahtar"
    why = share / FAILED / "kotu.csv.neden.txt"
    assert not why.is_symlink() and why.read_text().strip() == "okunamadı"


def test_a_folder_that_is_a_link_into_the_system_is_not_watched(share: Path) -> None:
    (share / "etc").symlink_to("/etc")
    with pytest.raises(ValueError, match="izlenmez"):
        WatchedFolder(str(share / "etc"), Intake().take, Intake().report, QUICK)
