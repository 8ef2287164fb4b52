"""The log of a running process: one line for a trouble that lasts, not one a second."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

QUIET_SECONDS = 60.0
"""The same trouble is written again after this long, with how often it was met meanwhile."""
MOST_KEPT = 1_000
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class OncePerMinute(logging.Filter):
    """Lets a warning or error through, and the same one not again before `QUIET_SECONDS` are over.

    The same: one place in the program, one kind of error, the same `extra` (action, line, reason ...). A database that
    is away for an hour leaves sixty lines of each kind in the log, and the disk its room; an error with a reference of
    its own (NUM-0007) is always written.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._met: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or not hasattr(record, "action"):
            return True
        kind = record.exc_info[0] if record.exc_info else None
        facts = sorted((name, str(value)) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD)
        same = (record.name, record.lineno, kind, *facts)
        now = self._clock()
        since, times = self._met.get(same, (-QUIET_SECONDS, 0))
        if now - since < QUIET_SECONDS:
            self._met[same] = (since, times + 1)
            return False
        if times:
            record.msg = f"{record.getMessage()} (and {times} times more since it was last written)"
            record.args = None
        if len(self._met) >= MOST_KEPT:
            self._met.clear()
        self._met[same] = (now, 0)
        return True


def begin() -> None:
    """Log to the standard error from the level of NUMUNE_LOG on (WARNING)."""
    logging.basicConfig(
        level=os.environ.get("NUMUNE_LOG", "WARNING"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(OncePerMinute())
