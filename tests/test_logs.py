"""A trouble that lasts is one line a minute; what is different is always written."""

from __future__ import annotations

import logging

from lis_core.logs import QUIET_SECONDS, OncePerMinute


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def record(message: str = "broker lost", level: int = logging.WARNING, **facts: object) -> logging.LogRecord:
    facts.setdefault("action", "broker_lost")
    return logging.makeLogRecord({"name": "api.edge", "lineno": 92, "levelno": level, "msg": message, **facts})


def test_a_broker_that_is_away_for_an_hour_is_sixty_lines_that_count() -> None:
    clock = Clock()
    once = OncePerMinute(clock)
    written = []
    for _ in range(3_600):
        one = record()
        if once.filter(one):
            written.append(one.getMessage())
        clock.now += 1.0

    assert len(written) == 3_600 / QUIET_SECONDS
    assert written[0] == "broker lost"
    assert written[1] == "broker lost (and 59 times more since it was last written)"


def test_another_line_another_reason_another_reference_is_written_at_once() -> None:
    once = OncePerMinute(Clock())
    assert once.filter(record(why="MqttError"))
    assert not once.filter(record(why="MqttError"))
    assert once.filter(record(why="TimeoutError"))
    assert once.filter(record(line="hemogram"))
    assert once.filter(record(line="biyokimya"))
    assert once.filter(record("unexpected error A1", reference="A1"))
    assert once.filter(record("unexpected error B2", reference="B2"))


def test_what_has_no_action_or_is_no_warning_passes() -> None:
    once = OncePerMinute(Clock())
    plain = logging.makeLogRecord({"name": "psycopg", "levelno": logging.WARNING, "msg": "retry"})
    assert once.filter(plain) and once.filter(plain)
    assert once.filter(record(level=logging.INFO)) and once.filter(record(level=logging.INFO))
