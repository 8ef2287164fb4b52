"""Every captured ASTM and HL7 file, read as `numune decode` reads it, against counts that our decoder did not make."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from drivers.decode import decode_bytes
from drivers.definition import Catalog
from tests.drivers.conftest import SAMPLES, capture
from tests.drivers.independent_count import count

TABLE = Path(__file__).with_name("expected_counts.tsv")
KINDS = {"result": "results", "qc": "qc", "query": "queries", "order": "orders", "event": "events"}

with TABLE.open(encoding="utf-8", newline="") as opened:
    EXPECTED = list(csv.DictReader(opened, delimiter="\t"))


def _named(rows: list[dict[str, str]]) -> list[object]:
    return [pytest.param(row, id=row["file"]) for row in rows]


@pytest.mark.parametrize("row", _named(EXPECTED))
def test_a_captured_file_gives_what_it_holds(row: dict[str, str], catalog: Catalog) -> None:
    """No model named: the generic definitions find every result, query and specimen, and nothing is invented."""
    decoded = decode_bytes(capture(row["file"]), catalog)

    counts = Counter(KINDS[line["kind"]] for line in decoded.lines)
    assert {kind: counts[kind] for kind in KINDS.values()} == {kind: int(row[kind]) for kind in KINDS.values()}
    found = sorted({line["specimen"] for line in decoded.lines if line["specimen"] is not None})
    assert found == sorted(name for name in row["specimens"].split(";") if name)
    assert decoded.failures == []


@pytest.mark.parametrize("row", _named(EXPECTED))
def test_the_table_is_what_an_independent_count_finds(row: dict[str, str]) -> None:
    counted = count(row["file"], capture(row["file"]))

    assert {column: str(counted[column]) for column in row} == row


@pytest.mark.parametrize("row", _named(EXPECTED))
def test_the_table_agrees_with_the_record_counts_of_the_collection(row: dict[str, str]) -> None:
    """The collection's own index counts records and segments: every R and every OBX of a result message is a line."""
    capture("INDEX.tsv")
    with (SAMPLES / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        contents = {entry["file"]: entry["contents"] for entry in csv.DictReader(index, delimiter="\t")}
    records = dict(re.findall(r"([A-Z][A-Z0-9]{0,2})x(\d+)", contents[row["file"]]))
    if not records:
        pytest.skip("the index counts no records for this file")
    reported = int(row["results"]) + int(row["qc"])
    if row["file"].startswith("astm/"):
        assert reported == int(records.get("R", 0))
        assert int(row["messages"]) == int(records["H"])
    elif row["file"] == "hl7/lab-order-oml-o21/glucose-tolerance-dialogue.hl7":
        assert reported == int(records["OBX"]) - 2  # two of them are doses in OML^O21: remarks on an order
    elif int(row["queries"]) == 0:
        assert reported + int(row["events"]) == int(records.get("OBX", 0))


def test_every_capture_of_the_two_protocols_is_in_the_table() -> None:
    capture("INDEX.tsv")
    files = {
        path.relative_to(SAMPLES).as_posix()
        for kind in ("astm", "hl7")
        for path in (SAMPLES / kind).rglob("*")
        if path.is_file()
    }
    assert files == {row["file"] for row in EXPECTED}


OTHER = sorted(path.relative_to(SAMPLES).as_posix() for path in (SAMPLES / "other").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", OTHER or ["other/"])
def test_a_proprietary_format_is_refused_with_a_sentence(name: str, catalog: Catalog) -> None:
    decoded = decode_bytes(capture(name), catalog)

    assert decoded.lines == []
    assert decoded.failures and "ASTM ya da HL7 mesajı bulunamadı" in decoded.failures[0]
