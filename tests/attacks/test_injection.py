"""Text that would be a formula, a command of the report, a place in a file system, or code of a definition."""

from __future__ import annotations

import ast
import csv
import io
import re
import tomllib
from pathlib import Path

import openpyxl
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.exports import BEGINS_FORMULA, as_csv, as_xlsx
from drivers.definition import load_catalog
from drivers.drafting import begin, made, to_toml
from drivers.language import DefinitionError
from drivers.places import Syntax, getter, parse_path
from tests.api.conftest import Clinic, person
from tests.attacks.house import Stage

ROOT = Path(__file__).parents[2]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "=cmd|' /C calc'!A0", '";=1', "\ufeff=1",
            "＝1+1", "=HYPERLINK(\"http://x\")", "%=1", "\x00=1", "\u200b=1"]  # fmt: skip


@given(st.one_of(st.sampled_from(FORMULAS), st.text(max_size=30)))
def test_csv_no_cell_is_a_formula(text: str) -> None:
    """Read back as a spreadsheet reads it: one row, one cell, and nothing that it would run."""
    rows = list(csv.reader(io.StringIO(as_csv(["a", "b"], [[text, "son"]]).decode("utf-8-sig")), delimiter=";"))
    assert len(rows) == 2 and len(rows[1]) == 2 and rows[1][1] == "son"
    seen = rows[1][0].lstrip(" \u00a0\u200b\ufeff\x00\t\r\n")
    assert not seen.startswith(BEGINS_FORMULA)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from([*FORMULAS, "http://x", "1e5", "0012"]), st.text(max_size=20)), min_size=1, max_size=5
    )
)
def test_xlsx_every_cell_is_text(texts: list[str]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(as_xlsx("Denetim", ["a"] * len(texts), [texts])))
    for row in book.active.iter_rows(min_row=2):
        for cell in row:
            assert cell.value is None or (cell.data_type == "s" and cell.hyperlink is None), cell.value


TYPST = [
    "#panic(1)",
    '#read("/etc/passwd")',
    "$ x $",
    "#{1+1}",
    "@ref <x>",
    "*kalın*",
    "_a_ `b` \\ = x",
    '"; #sys',
    "a\u202eb",
    "}]",
]


async def test_template_injection_the_report_prints_what_stands_there(clinic: Clinic) -> None:
    """Names, units and comments are data of the report, never its program; nor of the pages'."""
    for n, text in enumerate(TYPST):
        patient = person(given_name=text[:30], family_name="{{7*7}}")
        placed = await clinic.place("GLU", by="hekim", patient=patient)
        await clinic.receive(placed)
        await clinic.measure(placed["number"], GLU="92" if n else "<92 #panic()")
        await clinic.release(placed["number"], "GLU")
        answer = await (await clinic.as_("hekim")).get(f"/api/v1/orders/{placed['number']}/report.pdf")
        assert answer.status_code == 200, (text, answer.text[:300])
        printed = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.content)).pages)
        squeezed = re.sub(r"\s", "", printed)
        assert "{{7*7}}" in squeezed and "49" not in squeezed.split("Kimlik")[0], text
        if text.isascii():
            assert re.sub(r"\s", "", text) in squeezed, (text, printed[:300])
        assert "root:" not in printed


def test_no_template_is_made_of_data_and_nothing_is_evaluated() -> None:
    """Templates are files; `eval`, `pickle`, `yaml.load`, `os.system` and shells occur nowhere; `exec` only where code is
    written from checked numbers and names (drivers/places.py, drivers/protocols/hl7_read.py)."""
    found = set()
    for package in ("api", "lis_core", "drivers", "hbys_bridge", "rules", "qc", "barcode"):
        for file in (ROOT / package).rglob("*.py"):
            if "node_modules" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = ast.unparse(node.func)
                    shell = any(word.arg == "shell" for word in node.keywords)
                    if name.rpartition(".")[2] in DANGEROUS or name in DANGEROUS or shell:
                        found.add((file.relative_to(ROOT).as_posix(), name))
    assert found == {("drivers/places.py", "exec"), ("drivers/protocols/hl7_read.py", "exec")}


DANGEROUS = {
    "eval", "exec", "from_string", "system", "popen", "pickle.load", "pickle.loads", "yaml.load", "marshal.loads", "create_subprocess_shell",
    "__import__", "mktemp", "set_debug", "serial_for_url",
}  # fmt: skip


# --- definitions ---------------------------------------------------------------------------------------------------

ASTM = Syntax("|", "\\", "^", "", "&", 1, lambda text: text)
PLACES = [
    "R-4']; __import__('os').system('x') #", "R-4.1)\n  import os", "R-4[1]+x", "R-٤", "R-4.1-2-3", "r-4", "R-0004", "__class__-1",
    "R-4\n", "R-4.1.1.1", "R-4.{x}", "R-4\x00",
]  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_a_place_in_a_definition_is_never_code(path: str) -> None:
    with pytest.raises(DefinitionError):
        parse_path(path)


@given(st.text(alphabet=st.sampled_from("RO-0123456789.[]lone'\"();\n _x"), max_size=12))
def test_whatever_is_written_as_a_place_is_a_place_or_refused(path: str) -> None:
    try:
        parsed = parse_path(path)
    except DefinitionError:
        return
    assert re.fullmatch(r"[A-Z0-9]{1,3}", parsed.record)
    assert getter(path, ASTM)({parsed.record: [""] * 1000}) == ""


KEYS = ["../../etc/cron.d/x", "..", "a/b", "a\\b", "A", "a\x00", "", "a" * 80, "-a", "a.toml", "a\n", "con|x"]


@pytest.mark.parametrize("key", KEYS)
def test_path_traversal_a_definitions_key_is_never_a_path(key: str) -> None:
    """The key is the name of the published file."""
    catalog = load_catalog()
    table = {**begin("astm", catalog.generic("astm")), "maker": "x", "model": "x", "source": "x", "quirks": ["x"]}
    with pytest.raises(DefinitionError):
        made({**table, "key": key}, catalog)
    for revision in (-1, 0, "1/../../x", 2**70):
        with pytest.raises(DefinitionError):
            made({**table, "key": "iyi", "revision": revision}, catalog)


TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS.filter(bool), TEXTS.filter(bool), max_size=3))
def test_what_is_typed_in_the_workshop_stays_one_text_of_the_file(
    maker: str, source: str, quirks: list[str], meaning: dict[str, str]
) -> None:
    """Quotes, line ends, brackets: the file reads back as exactly what was typed, no further table in it."""
    table = {
        "key": "x",
        "revision": 1,
        "maker": maker,
        "source": source,
        "quirks": quirks,
        "flags": {"meaning": meaning},
    }
    read = tomllib.loads(to_toml(table))
    wanted = {name: value for name, value in table.items() if value not in ("", [])}
    assert read == wanted


# --- files and headers ---------------------------------------------------------------------------------------------

TRAVERSALS = [
    "../../etc/passwd",
    "..%2f..%2fetc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//etc/passwd",
    "/etc/passwd",
    "..\\..\\etc",
]


async def test_path_traversal_nothing_but_our_own_files_is_served(stage: Stage) -> None:
    visitor = await stage.as_("hepsi")
    for path in TRAVERSALS:
        for address in (f"/static/{path}", f"/yardim/{path}", f"/cihazlar/tanim?tanim={path}", f"/static/build/{path}"):
            answer = await visitor.client.get(address)
            assert "root:" not in answer.text and answer.status_code < 500, address
            assert not (address.startswith("/static") and answer.status_code == 200), address


NUMBERS = ["1\r\nSet-Cookie: x-s=1", '1"; filename="x.exe', "../1", "1;2", "１２３", "1" * 60]


@pytest.mark.parametrize("number", NUMBERS)
async def test_header_injection_a_file_name_holds_digits_only(stage: Stage, number: str) -> None:
    """A pre-printed number becomes part of a download's name."""
    client = await stage.clinic.as_("hekim")
    answer = await client.post(
        "/api/v1/orders", json={"patient": person(), "tests": ["GLU"], "priority": "routine", "number": number}
    )
    assert answer.status_code in (409, 422), answer.text


async def test_uploads_and_downloads_are_files_and_never_pages(stage: Stage) -> None:
    """Whatever is handed out as a file says what it is, is not sniffed, and is saved and not shown; PDF is shown."""
    visitor = await stage.as_("hepsi")
    for address, kind in (
        ("/denetim/dosya.csv", "text/csv"),
        ("/denetim/dosya.xlsx", "application/vnd.openxmlformats"),
        (f"/api/v1/orders/{stage.fills['number']}/report.pdf", "application/pdf"),
    ):
        answer = await visitor.client.get(address)
        assert answer.headers["content-type"].startswith(kind), (address, answer.text[:200])
        assert answer.headers["x-content-type-options"] == "nosniff"
        shown = answer.headers["content-disposition"]
        assert re.fullmatch(r'(attachment|inline); filename="[a-z0-9-]+\.(csv|xlsx|pdf)"', shown), shown
        assert shown.startswith("inline") is (kind == "application/pdf")
