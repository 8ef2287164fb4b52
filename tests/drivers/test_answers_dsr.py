"""A chemistry analyser asks with QRY^Q02: the form of the maker's manual, line by line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from drivers.definition import Catalog, Definition, DefinitionError, load_catalog
from drivers.messages import Query, WorkOrder, WorkTest

NOW = datetime(2026, 1, 1, 12, 0, 5, tzinfo=ZoneInfo("Europe/Istanbul"))
QUERY = (
    "MSH|^~\\&|Mindray|BS-200E|||20260101115959||QRY^Q02|4|P|2.3.1||||||ASCII|||\r"
    "QRD|20260101115959|R|D|1|||RD|26004179|OTH|||T|\r"
    "QRF|BS-200E|20260101000000|20260102000000|||RCT|COR|ALL||\r"
)


def asked(definition: Definition, text: str = QUERY) -> Query:
    (query,) = definition.read(text.encode()).queries
    return query


def answered(definition: Definition, query: Query, *orders: WorkOrder) -> list[list[str]]:
    messages = definition.answer(query, orders, now=NOW, sender="NUMUNE", control_id="n-1")
    return [message.decode().rstrip("\r").split("\r") for message in messages]


def test_work_is_a_list_of_numbered_lines(catalog: Catalog) -> None:
    """QCK^Q02 first, then DSR^Q03: all 28 fixed lines, the number in 21, one line for each test from 29 on."""
    definition = catalog.get("mindray-bs-200")
    work = WorkOrder(
        specimen="26004179", known=True, tests=(WorkTest("2", priority="S"), WorkTest("5")), material="SER"
    )
    found, order = answered(definition, asked(definition), work)

    assert found[0].startswith("MSH|^~\\&|||Mindray|BS-200E|20260101120005")
    assert "|QCK^Q02|n-1|P|2.3.1" in found[0]
    assert found[1:] == ["MSA|AA|4|Message accepted|||0|", "ERR|0|", "QAK|SR|OK|"]
    assert "|DSR^Q03|n-1-1|P|2.3.1" in order[0]
    assert order[1:6] == [*found[1:], *QUERY.split("\r")[1:3]]
    lines = order[6:-1]
    assert [int(line.split("|")[1]) for line in lines] == list(range(1, 31))
    assert lines[20] == "DSP|21||26004179|||"
    assert (lines[23], lines[25]) == ("DSP|24||Y|||", "DSP|26||serum|||")
    assert lines[28:] == ["DSP|29||2^^^|||", "DSP|30||5^^^|||"]
    assert {line.split("|", 2)[2] for place, line in enumerate(lines[:28], 1) if place not in (21, 24, 26)} == {"||||"}
    assert order[-1] == "DSC||"


@pytest.mark.parametrize("known", [True, False])
def test_a_tube_without_work_is_not_found(catalog: Catalog, known: bool) -> None:
    definition = catalog.get("mindray-bs-200")
    (answer,) = answered(definition, asked(definition), WorkOrder(specimen="26004179", known=known))

    assert answer[-1] == "QAK|SR|NF|" and "DSR^Q03" not in answer[0]


def test_what_would_break_a_line_is_escaped(catalog: Catalog) -> None:
    definition = catalog.get("mindray-bs-200")
    work = WorkOrder(specimen="26004179", known=True, tests=(WorkTest("A|B^C"),))
    (_, order) = answered(definition, asked(definition), work)

    assert order[-2] == "DSP|29||A\\F\\B\\S\\C^^^|||"


def test_a_broken_query_gets_no_answer(catalog: Catalog) -> None:
    definition = catalog.get("mindray-bs-200")

    assert definition.answer(Query(echo={"request": "x"}), [], now=NOW, sender="N", control_id="n-1") == []


def test_a_line_beyond_the_fixed_ones_is_refused(tmp_path: Path) -> None:
    text = (
        'key = "x"\nrevision = 1\nmaker = "X"\nmodel = "X"\nfamily = "x"\nprotocol = "hl7"\nsource = "x"\n'
        'standing = "simulated"\ndirections = ["results"]\nlinks = ["tcp"]\n[specimen]\nfrom = ["OBR-2"]\n'
        '[test]\nfrom = ["OBX-3.1"]\n[value]\nfrom = ["OBX-5"]\n[answer.dsr]\nlines = 20\n[answer.dsr.say]\n'
        '21 = "{specimen}"\n'
    )
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")

    with pytest.raises(DefinitionError, match="en çok 20 satır"):
        load_catalog(tmp_path)
