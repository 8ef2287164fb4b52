"""One gateway for a whole module of stories; for each entry of the catalogue its line and what it says undisturbed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.definition import load_catalog
from tests.wire.judging import Undisturbed, undisturbed
from tests.wire.scripts import Message, messages_of
from tests.wire.yard import Line, TurnableLoop, Yard

IN_MEMORY = Path("/dev/shm")
"""A file system on which a flush takes no time, where there is one: what a disk does is tested elsewhere."""


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    loop = TurnableLoop()
    folder = tempfile.mkdtemp(prefix="numune-wire-", dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None)
    # The plugin for asynchronous tests has its own loop; these stories need one whose clock they can turn.
    made = Yard(loop, Path(folder), load_catalog())
    made.run(made.start())
    yield made
    made.run(made.stop())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    shutil.rmtree(folder)


class Case:
    """An entry: its line, its messages as steps, and what comes of them when nothing goes wrong."""

    def __init__(self, yard: Yard, line: Line, messages: list[Message], calm: Undisturbed) -> None:
        self.yard, self.line, self.messages, self.calm = yard, line, messages, calm


_cases: dict[tuple[int, str], Case] = {}


@pytest.fixture
def case(yard: Yard, key: str) -> Iterator[Case]:
    """The entry `key`, its line open, its book empty."""
    place = (id(yard), key)
    if place not in _cases:
        definition = yard.catalog.get(key)
        messages = messages_of(definition)
        if messages is None:
            pytest.skip(f"{key}: no hand-written message, or no line of its own (files only)")
        line = yard.run(yard.line(definition))
        _cases[place] = Case(yard, line, messages, yard.run(undisturbed(line, messages)))
    _cases[place].line.fresh()
    yield _cases[place]
    yard.run(_cases[place].line.emptied())
