"""Small things that become large: packed worksheets, nested XML and JSON, expressions that never end, many fields."""

from __future__ import annotations

import io
import json
import re
import time
import tracemalloc
import zipfile
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.definition import Definition, definition_file, load_catalog
from drivers.language import DefinitionError
from drivers.safe_patterns import problem_of
from tests.attacks.house import HTML, Stage

PATIENCE = 2.0
"""Seconds within which anything hostile must be read or refused; good messages take milliseconds."""


def table_reader() -> Definition:
    return next(one for one in load_catalog() if one.protocol == "tablo")


def xml_reader() -> Definition:
    return next(one for one in load_catalog() if one.file.text is not None and one.file.text.xml)


def worksheet(rows: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def repacked(data: bytes, name: str, content: bytes) -> bytes:
    """The same file with another part."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            if part != name:
                new.writestr(part, old.read(part))
        new.writestr(name, content)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
HEAD = b'<?xml version="1.0"?>'
NS = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def laughs(name: str) -> bytes:
    """A billion laughs."""
    inner = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    return f"<?xml version='1.0'?><!DOCTYPE {name} [{inner}]><{name}>&a9;</{name}>".encode()


def test_a_packed_worksheet_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked() -> None:
    good = worksheet([["Numune"], ["1"]])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, old.read(part))
        with new.open("xl/bomba.bin", "w", force_zip64=True) as bomb:
            for _ in range(300):
                bomb.write(b"\0" * 1024 * 1024)
    started = time.perf_counter()
    reading = table_reader().read(out.getvalue())
    assert reading.problem and "büyük" in reading.problem and reading.observations == []
    assert time.perf_counter() - started < PATIENCE
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for n in range(600):
            archive.writestr(f"{n}", b"")
    assert table_reader().read(many.getvalue()).problem


def test_cells_at_the_far_end_of_every_row_do_not_make_a_wide_table() -> None:
    """One cell in column XFD makes a row of 16,384."""
    rows = b"".join(
        b'<row r="%d"><c r="XFD%d" t="inlineStr"><is><t>x</t></is></c></row>' % (n, n) for n in range(1, 20_000)
    )
    data = repacked(worksheet([["Numune"]]), SHEET, HEAD + NS + rows + b"</sheetData></worksheet>")
    reading = table_reader().read(data)
    assert reading.problem and reading.observations == []


@pytest.mark.parametrize("part", [SHEET, "xl/sharedStrings.xml", "xl/workbook.xml"])
def test_entities_in_a_worksheet_are_refused(part: str) -> None:
    for content in (
        laughs("worksheet"),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        laughs("sst").decode().encode("utf-16"),
    ):
        reading = table_reader().read(repacked(worksheet([["Numune"]]), part, content))
        assert reading.problem and "root:" not in str(reading)


@settings(max_examples=6, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 5000), st.integers(1, 40))
def test_a_broken_worksheet_is_a_sentence_and_never_an_error(junk: bytes, place: int, length: int) -> None:
    good = worksheet([["Numune", "Test", "Sonuç"], ["1", "GLU", 5]])
    at = place % len(good)
    for data in (good[:at], good[:at] + junk + good[at + length :], b"PK\x03\x04" + junk):
        reading = table_reader().read(data)
        assert reading.problem is None or reading.problem.strip()


@pytest.mark.parametrize(
    "content",
    [
        laughs("x"),
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x/>',
        b"<a>" * 90_000 + b"</a>" * 90_000,
        b"<a " + b"".join(b'b%d="1" ' % n for n in range(50_000)) + b"/>",
        b"<a>" + b"<b/>" * 110_000 + b"</a>",
        b"<a>" * 200_000,
        b"<" * 500_000,
        (b"<?xml version='1.0' encoding='utf-7'?><x>+ADw-</x>"),
    ],
)
def test_hostile_xml_is_refused_in_time_and_without_memory(content: bytes) -> None:
    reader, measured = xml_reader(), content.startswith(b"<a><a>")  # measuring memory costs time; depth is what eats it
    reader.read(b"<x/>")  # compiled
    if measured:
        tracemalloc.start()
    started = time.process_time()
    reading = reader.read(content)
    took, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1] if measured else 0
    tracemalloc.stop()
    assert reading.observations == [] and "root:" not in str(reading)
    assert took < PATIENCE * (5 if measured else 2) and peak < 400_000_000, (took, peak)


# --- over HTTP -----------------------------------------------------------------------------------------------------


async def test_deep_json_and_many_fields_are_refused_with_a_sentence(stage: Stage) -> None:
    visitor = await stage.as_("hepsi")
    deep, wide = "[" * 100_000, json.dumps({f"a{n}": 1 for n in range(20_000)})
    headers = {"content-type": "application/json", "x-form-token": visitor.token}
    for address in ("/api/v1/orders", "/api/v1/auth/token", "/api/v1/results/technical-approval"):
        for body in (
            deep,
            deep + "]" * 100_000,
            '{"a":' * 50_000 + "1" + "}" * 50_000,
            wide,
            "9" * 100_000,
            '"\\ud800"',
        ):
            answer = await visitor.client.post(address, content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (address, body[:20], answer.status_code, answer.text[:200])
    for table in (deep, '{"a":' * 50_000 + "1" + "}" * 50_000, "[]", '{"key": ' + "9" * 5000 + "}"):
        answer = await visitor.post("/cihazlar/tanim", {"tablo": table})
        assert answer.status_code < 500, (table[:20], answer.text[:300])
    many = await visitor.client.post(
        "/kabul/okut", content="&".join(f"a{n}=1" for n in range(5000)),
        headers={"content-type": "application/x-www-form-urlencoded", **HTML},
    )  # fmt: skip
    assert 400 <= many.status_code < 500
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="a{n}"; filename="f{n}"\r\n\r\n1\r\n' for n in range(3000)
    )
    multipart = await visitor.client.post(
        "/cihazlar/tanim", content=parts + "--x--\r\n",
        headers={"content-type": "multipart/form-data; boundary=x", "x-form-token": visitor.token, **HTML},
    )  # fmt: skip
    assert 400 <= multipart.status_code < 500


# --- expressions ---------------------------------------------------------------------------------------------------

EVIL = [
    r"(a+)*b", r"(\d+)+$", r"(.*,)*x", r"(\w+\s?)*!", r"(?:(?:\d+)?,?)*x", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(x+x+)+y",
    r"((a|b)*c*)*d", r"([\s\S]*\|)*L", r"(?:[^|]*\|?)*#",
]  # fmt: skip
HARMLESS = [
    r"(?:[A-Za-z0-9+/]{4}\s*)*", r"(\d+,)*", r"[a-z0-9]+(-[a-z0-9]+)*", r'(?:"[^"]*"|[^,"])*', r"(?:[^\r\n]*\r\n?)*",
    r"([0-9]{1,3}\.)*", r"\s*(\S+)\s+(\S+)", r"(?:(?:a+)b)*", r"(?>a+)*b", r"(?:a++)*b",
]  # fmt: skip


@pytest.mark.parametrize("pattern", EVIL)
def test_a_definition_cannot_bring_an_expression_that_never_ends(pattern: str) -> None:
    assert problem_of(pattern)
    base = load_catalog().get("generic-astm").file
    import msgspec

    table = msgspec.to_builtins(base)
    table["value"] = {"from": [{"at": "R-4", "match": pattern}]}
    with pytest.raises(DefinitionError, match="iç içe"):
        Definition(definition_file({**table, "key": "kotu", "revision": 1})).read(b"H|\\^&\rO|1|1\rR|1|^^^A|1\rL|1\r")


@pytest.mark.parametrize("pattern", HARMLESS)
def test_what_always_ends_is_let_be(pattern: str) -> None:
    assert problem_of(pattern) is None


PACKAGES = ("drivers", "rules", "qc", "barcode", "lis_core", "hbys_bridge", "api")


def own_patterns() -> dict[str, tuple[re.Pattern[Any], bool]]:
    """Every compiled expression of the program's modules and classes, by where it stands; and whether it is looked for
    anywhere in a text (which begins anew at each place) or only read from its beginning."""
    found: dict[str, tuple[re.Pattern[Any], bool]] = {}
    for name in PACKAGES:
        package = import_module(name)
        for info in walk_packages(package.__path__, f"{name}."):
            if ".versions" in info.name or info.name.endswith((".env", "__main__")):
                continue
            module = import_module(info.name)
            source = Path(module.__file__ or "").read_text(encoding="utf-8")
            for place, value in _values(module):
                if isinstance(value, re.Pattern):
                    word = re.escape(re.split(r"[.\[]", place)[-1 if "." in place else 0])
                    searched = re.search(rf"\b{word}(\[\w+\])?\.(search|finditer|findall|sub|split)\b", source)
                    found[f"{info.name}.{place}"] = value, searched is not None
                elif isinstance(pattern := getattr(value, "__self__", None), re.Pattern):
                    found[f"{info.name}.{place}"] = pattern, value.__name__ != "fullmatch"
    return found


def _values(module: ModuleType) -> list[tuple[str, Any]]:
    named = list(vars(module).items())
    for name, value in list(named):
        if isinstance(value, type) and value.__module__ == module.__name__:
            named += [(f"{name}.{inner}", one) for inner, one in vars(value).items()]
        if isinstance(value, dict):
            named += [(f"{name}[{key!r}]", one) for key, one in value.items()]
    return named


PUMPS = [
    "a",
    "0",
    " ",
    "\r",
    "\n",
    "|",
    "^",
    "<",
    "-",
    ".",
    ",",
    "A0",
    "0.",
    "a,",
    "{a",
    "10^",
    "\x02",
    "\x03",
    "&",
    "\\",
    "1|",
    "H|\r",
]


def test_our_own_expressions_end_soon_on_long_hostile_text() -> None:
    """A field of 16,000 letters, as an instrument that went mad (or somebody in its place) may send one. Good ones take
    less than a millisecond."""
    patterns = own_patterns()
    assert len(patterns) > 80
    slow = []
    for place, (pattern, searched) in patterns.items():
        written = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
        assert problem_of(written) is None, place
        for pump in PUMPS:
            text = pump * (16_000 // len(pump)) + "\x00!"
            hostile = text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text
            started = time.process_time()
            pattern.fullmatch(hostile)
            if searched:
                pattern.search(hostile)
            if time.process_time() - started > 0.6:  # twice the text taking four times as long: 1.5 s and more here
                slow.append((place, pump))
    assert slow == []
