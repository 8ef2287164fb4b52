"""What every definition of the catalogue must keep, whoever wrote it: one test run over all of them.

The messages are in `tests/drivers/messages` (see its README).
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from datetime import datetime
from importlib import import_module, resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drivers.capture_text import captured_by
from drivers.cli import instruments
from drivers.decode import decode_bytes
from drivers.definition import Catalog, Definition, load_catalog
from drivers.language import schema_text
from drivers.messages import Query, WorkOrder, WorkTest
from drivers.protocols import hl7

MESSAGES = Path(__file__).with_name("messages")
KEYS = sorted(
    entry.name[:-5] for entry in (resources.files("drivers") / "catalog").iterdir() if entry.name[-5:] == ".toml"
)
NOW = datetime(2026, 1, 1, 12, 0, 5, tzinfo=ZoneInfo("Europe/Istanbul"))
STANDINGS = ("simulated", "replayed", "documented", "on-a-line")


ONLY_KEPT = "Bu modelin mesajları yalnız saklanır: biçimi sahadan örnek alınmadan okunmaz."


def reads_nothing(definition: Definition) -> bool:
    """A model that is only listened to until somebody has captured what it sends."""
    return definition.file.text is not None and definition.file.text.read_nothing


def message_file(key: str) -> Path | None:
    """The hand-written message of a model; None where there is none."""
    found = [path for path in MESSAGES.glob(f"{key}.*") if path.suffix != ".jsonl"]
    assert len(found) < 2, f"{key}: more than one message file"
    return found[0] if found else None


def message_of(key: str) -> bytes:
    path = message_file(key)
    assert path is not None, f"{key}: no hand-written message in tests/drivers/messages"
    return path.read_bytes()


def said(line: dict[str, Any]) -> dict[str, Any]:
    """A line without the keys that say nothing."""
    return {key: value for key, value in line.items() if value not in (None, []) and key != "instrument"}


def decoded(key: str, catalog: Catalog) -> list[dict[str, Any]]:
    found = decode_bytes(message_of(key), catalog, key)
    assert found.failures == ([ONLY_KEPT] if reads_nothing(catalog.get(key)) else [])
    assert {line["instrument"] for line in found.lines} <= {key}
    return [said(line) for line in found.lines]


# ---- the file


@pytest.mark.parametrize("key", KEYS)
def test_it_says_where_it_comes_from_and_on_what_it_stands(key: str, catalog: Catalog) -> None:
    definition = catalog.get(key)
    file = definition.file
    definition.prepare()

    assert file.source and file.quirks and file.standing in STANDINGS
    for sentence in file.quirks:  # a model's own name may begin small: "u 701"
        assert not sentence[0].islower() or sentence[1] == " ", sentence
    assert all(sentence.endswith((".", "?")) for sentence in file.quirks), file.quirks
    assert bool(file.tested_with) or file.standing not in ("replayed", "on-a-line")


@pytest.mark.parametrize("key", KEYS)
def test_the_schema_accepts_it(key: str) -> None:
    table = tomllib.loads((resources.files("drivers") / "catalog" / f"{key}.toml").read_text(encoding="utf-8"))
    assert table["key"] == key
    if "based_on" not in table:
        validator = import_module("jsonschema").Draft202012Validator(json.loads(schema_text()))
        assert list(validator.iter_errors(table)) == []


# ---- its hand-written message


@pytest.mark.parametrize("key", KEYS)
def test_its_message_reads_as_the_expected_file_says(key: str, catalog: Catalog) -> None:
    lines = decoded(key, catalog)
    expected = (MESSAGES / f"{key}.jsonl").read_text(encoding="utf-8").splitlines()

    assert lines == [json.loads(line) for line in expected]
    assert any(line["kind"] == "result" for line in lines) or only_events(catalog.get(key))


def only_events(definition: Definition) -> bool:
    """Whether every row is an event: a thin model whose fields nobody has seen, a sorter that measures nothing; or
    whether it says that nothing is read at all."""
    if reads_nothing(definition):
        return True
    rows = definition.file.row
    return any(row.kind == "event" and not row.when and row.test is None for row in rows) and not any(
        row.kind == "result" for row in rows
    )


@pytest.mark.parametrize("key", KEYS)
def test_a_control_is_never_a_patient(key: str, catalog: Catalog) -> None:
    """Where controls can be told, one is among the messages; where not, the file says that a site must name them."""
    file = catalog.get(key).file
    lines = decoded(key, catalog)

    patients = {line.get("specimen") for line in lines if line["kind"] == "result"} - {None}
    controls = {line.get("specimen") for line in lines if line["kind"] == "qc"} - {None}
    assert patients.isdisjoint(controls)
    if file.qc.when or file.qc.specimens:
        assert any(line["kind"] == "qc" for line in lines), "no control among the messages"
    elif file.standing == "documented":
        assert {"qc.specimens", "qc.when"} & set(file.parameters), "nobody is told to register the controls"


@pytest.mark.parametrize("key", KEYS)
def test_a_number_of_ours_is_never_a_control_nor_unread(key: str, catalog: Catalog) -> None:
    """Tubes carry plain numbers of eight digits and more: no pattern of a model may claim one."""
    file = catalog.get(key).file
    for pattern in (*file.qc.specimens, *file.event.specimens, *file.specimen.not_read):
        for barcode in ("26000145", "260001451", "2600014502"):
            assert re.fullmatch(pattern, barcode) is None, pattern


@pytest.mark.parametrize("key", KEYS)
def test_pictures_have_no_value(key: str, catalog: Catalog) -> None:
    for line in decoded(key, catalog):
        if "attachment" in line:
            assert line["kind"] == "event" and "value" not in line and "number" not in line


# ---- its query


def queries_of(definition: Definition) -> list[Query]:
    return [
        query
        for message in captured_by(definition, message_of(definition.key))
        for query in definition.read(message.text).queries
        if not query.cancels
    ]


@pytest.mark.parametrize("key", KEYS)
def test_a_query_for_an_unknown_tube_hears_that_there_is_nothing(key: str, catalog: Catalog) -> None:
    definition = catalog.get(key)
    if definition.file.query is None:
        pytest.skip(f"{key} has no documented query")
    queries = queries_of(definition)
    assert queries, "a model that asks has a query among its messages"
    answer_form = definition.file.answer
    if answer_form is None:  # it asks, and how to answer is not documented
        assert "query" not in definition.file.directions
        return
    for query in queries:
        answer = definition.answer(query, [], now=NOW, sender="NUMUNE", control_id="n-1")
        assert answer_form is not None
        assert answer or answer_form.when_nothing == "silence" or query.everything
        for message in answer:
            _says_nothing_to_do(definition, message)


def _says_nothing_to_do(definition: Definition, message: bytes) -> None:
    if definition.protocol == "hl7":
        read = hl7.parse(message)
        assert not read.all("OBR") or read.get("MSA", 1) in ("AR", "AE")
        return
    records = [record.split("|") for record in message.decode("latin-1").rstrip("\r").split("\r")]
    assert records[0][0] == "H" and records[-1][0] == "L"
    for record in records:
        if record[0] == "O":
            report = record[25] if len(record) > 25 else ""
            assert report[:1] in ("X", "Y", "Z") or record[4] in ("", "^^^000"), record


@pytest.mark.parametrize("key", KEYS)
def test_a_query_for_a_known_tube_is_answered_with_its_tests(key: str, catalog: Catalog) -> None:
    definition = catalog.get(key)
    if definition.file.query is None or definition.file.answer is None:
        pytest.skip(f"{key} has no documented query")
    for query in queries_of(definition):
        for specimen in query.specimens:
            work = WorkOrder(specimen=specimen, known=True, tests=(WorkTest("ABC"), WorkTest("DEF")))
            answer = b"".join(definition.answer(query, [work], now=NOW, sender="NUMUNE", control_id="n-1"))
            assert specimen.encode() in answer and b"ABC" in answer and b"DEF" in answer


# ---- the list


def test_the_program_lists_every_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert instruments(["--json"]) == 0
    listed = {entry["key"]: entry for entry in json.loads(capsys.readouterr().out)}

    assert set(listed) == set(KEYS)
    assert all(entry["standing"] in STANDINGS and entry["quirks"] for entry in listed.values())
    assert all(isinstance(entry["parameters"], dict) for entry in listed.values())
    assert "qc.specimens" in listed["alcor-ised"]["parameters"]


def test_the_messages_belong_to_models_of_the_catalogue() -> None:
    names = {path.name.partition(".")[0] for path in MESSAGES.iterdir()} - {"README"}
    assert names <= set(KEYS)
    assert {path.stem for path in MESSAGES.glob("*.jsonl")} == set(KEYS)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = message_file(name)
        assert file is not None, name
        for one in decode_bytes(file.read_bytes(), load_catalog(), name).lines:
            sys.stdout.write(json.dumps(said(one), ensure_ascii=False) + "\n")
