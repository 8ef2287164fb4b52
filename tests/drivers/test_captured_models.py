"""Each captured message through the definition of its own model: the whole decoding, checked by eye, its oddity named.

The expected decodings are in `tests/drivers/captured` (see its README); a capture that is not here is skipped by name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers.capture import messages_in
from drivers.definition import Catalog, load_catalog
from tests.drivers.conftest import capture

CAPTURED = Path(__file__).with_name("captured")
FILES = sorted(CAPTURED.glob("*/*.jsonl"))


def said(thing: object) -> dict[str, Any]:
    """An observation or a query without what says nothing."""
    told: dict[str, Any] = msgspec.to_builtins(thing)
    return {
        key: value
        for key, value in told.items()
        if value not in (None, [], {}, False) and key not in ("echo", "record")
    }


def lines_of(catalog: Catalog, key: str, data: bytes) -> list[dict[str, Any]]:
    """What a model's definition reads, message by message; HL7 in ASTM frames by the definition for that."""
    definition = catalog.get(key)
    lines: list[dict[str, Any]] = []
    for message in messages_in(data):
        reader = definition if definition.protocol == message.protocol else catalog.inside(definition)
        reading = reader.read(message.text)
        lines += [{"asks": said(query)} for query in reading.queries]
        lines += [said(observation) for observation in reading.observations]
    return lines


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}:{path.stem}" for path in FILES])
def test_a_captured_message_reads_as_a_person_reads_it(path: Path, catalog: Catalog) -> None:
    about, *expected = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())

    assert about["oddity"].endswith(".")
    assert lines_of(catalog, path.parent.name, capture(about["file"])) == expected


def test_every_capture_of_these_models_has_its_decoding(catalog: Catalog) -> None:
    """A definition that says it was replayed on a capture has the decoding of that very capture."""
    for key in {path.parent.name for path in FILES}:
        heads = [
            path.read_text(encoding="utf-8").partition("\n")[0] for path in sorted((CAPTURED / key).glob("*.jsonl"))
        ]
        assert sorted(json.loads(head)["file"] for head in heads) == sorted(catalog.get(key).file.tested_with), key


if __name__ == "__main__":
    key_, file_ = sys.argv[1:3]
    for line_ in lines_of(load_catalog(), key_, capture(file_)):
        sys.stdout.write(json.dumps(line_, ensure_ascii=False) + "\n")
