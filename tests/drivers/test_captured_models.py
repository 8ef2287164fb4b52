"""Each captured message through the definition of its own model: the whole decoding, checked by eye, its oddity named.

The expected decodings are in `tests/drivers/captured` (see its README); a capture that is not here is skipped by name.
"""

from __future__ import annotations

import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers.capture import messages_in
from drivers.definition import Catalog, load_catalog
from drivers.protocols.astm_link import (
    AstmLink,
    FrameReceived,
    FrameRefused,
    LinkOptions,
    MessageAssembler,
    WholeMessage,
)
from tests.drivers.conftest import capture

CAPTURED = Path(__file__).with_name("captured")
FILES = sorted(CAPTURED.glob("*/*.jsonl"))


def said(thing: object) -> dict[str, Any]:
    """An observation or a query without what says nothing."""
    told: dict[str, Any] = msgspec.to_builtins(thing)
    if len(told.get("attachment") or "") > 100:  # a curve stays in the collection: how it begins, its length, its sum
        curve = told["attachment"]
        told["attachment"] = f"{curve[:40]}... {len(curve)} {sha256(curve.encode()).hexdigest()[:16]}"
    silent = (None, [], {})
    return {
        key: value
        for key, value in told.items()
        if value not in silent and value is not False and key not in ("echo", "record")
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


# ---- the line as the definition sets it up

STEP = re.compile(rb"\x05|\x04|\x02[^\x02\x04\x05]*")
OFF_THE_LINE = {
    "astm/mindray-bs-240/21-results-byte-lost.astm": "the logger lost a byte, the checksum says so",
    "astm/ortho-vitros-3600/host-order.astm": "what a host sent",
    "astm/beckman-dxi-800/query-no-terminator.astm": "stops without its end",
    "astm/mindray-bs-240/empty-session.astm": "holds no message",
    "astm/sysmex-xn-330/cbc-session.astm": "one frame's checksum is wrong as logged (1B for 16)",
}
FRAMED = [path for path in FILES if path.parent.name not in ("roche-cobas-6800", "euroimmun-analyzer-i")]


@pytest.mark.parametrize("path", FRAMED, ids=[f"{path.parent.name}:{path.stem}" for path in FRAMED])
def test_the_link_of_a_definition_takes_what_its_model_sent(path: Path, catalog: Catalog) -> None:
    """Strict where the definition says nothing: the captured frames, one by one, and not one of them refused."""
    name = json.loads(path.read_text(encoding="utf-8").partition("\n")[0])["file"]
    data = capture(name)
    if name in OFF_THE_LINE or b"\x02" not in data:
        pytest.skip(OFF_THE_LINE.get(name, "the collection holds the records, not the frames"))
    options = LinkOptions(**catalog.get(path.parent.name).link_options())
    steps = STEP.findall(data)
    if options.require_enq and steps[0] != b"\x05":
        steps.insert(0, b"\x05")  # a logger that began to write late

    link, assembler = AstmLink(options), MessageAssembler()
    link.connection_made(0.0)
    whole: list[bytes] = []
    for step in steps:
        events = link.receive_data(step, 1.0)
        while events:
            event = events.pop(0)
            assert not isinstance(event, FrameRefused), event
            if isinstance(event, FrameReceived):
                read = assembler.feed(event.text, event.last)
                whole += [one.text for one in read if isinstance(one, WholeMessage)]
                events = [*link.stored(1.0), *events]
        link.data_to_send()
    last = assembler.finish()
    whole += [last.text] if isinstance(last, WholeMessage) else []

    assert len(whole) == len(messages_in(data))


if __name__ == "__main__":
    key_, file_ = sys.argv[1:3]
    for line_ in lines_of(load_catalog(), key_, capture(file_)):
        sys.stdout.write(json.dumps(line_, ensure_ascii=False) + "\n")
