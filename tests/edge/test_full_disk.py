"""The spool and the gateway's copy on a disk that takes nothing: refused or readable, never something between."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from pathlib import Path

from api.edge.store import EdgeStore
from drivers.gateway.spool import Place, Spool
from lis_core.domain.edge import EdgeConfiguration

SMALL = 4096
"""Bytes that a file may have in the processes of these stories: the system's own limit, no rights needed."""


def story(name: str, folder: Path) -> str:
    """Run a story of this module in a process of its own, where the limit hurts nobody else; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.edge.test_full_disk", name, str(folder)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def allow(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def spooled(folder: Path) -> None:
    """A large frame does not fit; a small one that is queued behind it would."""
    spool = Spool(folder, segment_bytes=1 << 20)
    spool.open()
    told: list[tuple[str, Place, OSError | None]] = []

    def keep(raw: bytes) -> None:
        place = spool.append(
            "genel", 1, 1, True, raw, 0, len(raw), lambda error: told.append((raw[:5].decode(), place, error))
        )

    keep(b"first")
    await asyncio.sleep(0.1)
    allow(SMALL)
    keep(b"large" * SMALL)
    for _ in range(4):
        await asyncio.sleep(0)  # it is on its way to the writer, and the writer's no on its way back
    time.sleep(0.3)
    keep(b"small")
    await asyncio.sleep(0.3)
    allow(resource.RLIM_INFINITY)
    keep(b"after")
    await asyncio.sleep(0.3)
    for name, place, error in told:
        print(name, "refused" if error else spool.read(place).raw[:5].decode())
    print("files", len(list(folder.glob("*.spool"))))
    await spool.close()


def test_what_was_queued_behind_a_frame_that_did_not_fit_is_refused_or_readable(tmp_path: Path) -> None:
    said = story("spooled", tmp_path).splitlines()
    assert said[0] == "first first" and said[1] == "large refused" and said[3] == "after after"
    assert said[2] in ("small refused", "small small")
    assert int(said[4].split()[1]) <= 3, "empty files are not left lying about"


async def copied(folder: Path) -> None:
    """The copy of the work list goes on in memory, and is on disk when there is room."""
    store = EdgeStore(folder / "kopya.db")
    await store.open()
    allow(0)
    for number in range(50):
        await store.keep_news(f"n{number}", b"x" * 500)
    await store.configure(EdgeConfiguration("ilce", "1", []))
    print("behind:", store.problem != "", len(store.news), store.configuration is not None)
    allow(resource.RLIM_INFINITY)
    await store.catch_up()
    print("caught up:", store.problem == "")
    await store.told_news("n0")
    await store.close()
    again = EdgeStore(folder / "kopya.db")
    await again.open()
    print("after a restart:", len(again.news), again.configuration is not None)
    await again.close()


def test_a_copy_that_cannot_be_written_catches_up(tmp_path: Path) -> None:
    assert story("copied", tmp_path).splitlines() == [
        "behind: True 50 True",
        "caught up: True",
        "after a restart: 49 True",
    ]


if __name__ == "__main__":
    asyncio.run({"spooled": spooled, "copied": copied}[sys.argv[1]](Path(sys.argv[2])))
