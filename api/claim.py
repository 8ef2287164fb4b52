"""One data folder, one gateway and one core: a second start says so and touches nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ALONE = ("core", "gateway")
"""Roles that a data folder has once. Web processes may be many."""


@contextmanager
def claimed(folder: Path, roles: Iterable[str], address: str) -> Iterator[None]:
    """Hold the folder for these roles; the system lets go with the process, however that ends.

    address: where the claimant can be reached, told to whoever comes second. Raises OSError with a Turkish sentence
    where another process has one of the roles.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for role in sorted(set(roles) & set(ALONE)):
            lock = os.open(folder / f"calisan-{role}", os.O_CREAT | os.O_RDWR, 0o600)
            held.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                who = os.read(lock, 200).decode("utf-8", "replace").strip()
                raise OSError(
                    f"Numune bu veri klasöründe zaten çalışıyor ({folder}{': ' if who else ''}{who}). "
                    "Önce onu kapatın ya da NUMUNE_DATA_DIR ile başka bir klasör verin."
                ) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"süreç {os.getpid()}, {address}\n".encode(), 0)
        yield
