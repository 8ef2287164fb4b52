"""Captures of models with protocols of their own, each through its model's definition; expected decodings in
`captured_text` (as in `captured`, see its README), checked by eye against the bytes. The captures stay where they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.capture_text import read_texts
from drivers.decode import decode_bytes
from drivers.definition import Catalog, load_catalog
from tests.drivers.conftest import capture
from tests.drivers.test_catalogue_contract import said

EXPECTED = Path(__file__).with_name("captured_text")
FILES = sorted(EXPECTED.glob("*/*.jsonl"))


def lines_of(catalog: Catalog, key: str, data: bytes) -> list[dict[str, Any]]:
    return [said(line) for line in decode_bytes(data, catalog, key).lines]


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}:{path.stem}" for path in FILES])
def test_a_captured_text_reads_as_a_person_reads_it(path: Path, catalog: Catalog) -> None:
    about, *expected = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())

    assert about["oddity"].endswith(".")
    assert lines_of(catalog, path.parent.name, capture(about["file"])) == expected


def test_every_replayed_text_model_has_the_decodings_of_its_captures(catalog: Catalog) -> None:
    for definition in catalog:
        if definition.protocol != "metin" or definition.standing != "replayed":
            continue
        heads = [
            path.read_text(encoding="utf-8").partition("\n")[0] for path in FILES if path.parent.name == definition.key
        ]
        assert sorted(json.loads(head)["file"] for head in heads) == sorted(definition.file.tested_with), definition.key


# ---- what must not happen


def test_tosoh_an_unread_barcode_is_never_a_specimen(catalog: Catalog) -> None:
    lines = lines_of(catalog, "tosoh-g8", capture("other/tosoh-hlc-723/no-barcode-8-peaks.bin"))

    assert all("specimen" not in line for line in lines)
    assert all("Barkod okunamadı: 0002 - 01" in line["comments"] for line in lines)


def test_tosoh_every_check_byte_of_the_captures_is_right(catalog: Catalog) -> None:
    """Nearly eighty blocks, among them check bytes equal to EOT, STX and CR: not one is refused, and it is one message."""
    for name in catalog.get("tosoh-g8").file.tested_with:
        found = read_texts(capture(name), catalog.get("tosoh-g8"))
        assert [message.whole for message in found.messages] == [True], name
        assert found.notes == [], name


def test_tosoh_blank_percentages_are_no_zeros(catalog: Catalog) -> None:
    lines = lines_of(catalog, "tosoh-g8", capture("other/tosoh-hlc-723/no-percentages.bin"))

    assert [line["test"] for line in lines if "value" in line] == ["AREA"]


def test_vitek_a_session_that_broke_off_is_not_whole(catalog: Catalog) -> None:
    """Its results are shown for whoever asks, and never applied."""
    definition = catalog.get("biomerieux-vitek-2")
    (message,) = read_texts(capture("other/biomerieux-vitek-2/ast-klebsiella-frames-cut-off.bin"), definition).messages

    assert not message.whole
    assert not definition.read(message.text).whole


if __name__ == "__main__":
    key_, file_ = sys.argv[1:3]
    for line_ in lines_of(load_catalog(), key_, capture(file_)):
        sys.stdout.write(json.dumps(line_, ensure_ascii=False) + "\n")
