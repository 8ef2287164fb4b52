"""The lists of docs/guvenlik name tests and files as proof: each of them is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "guvenlik"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FILE = re.compile(r"`((?:docs|lis_core|api|drivers|requirements|pyproject)[\w/.-]*\.(?:md|py|json|toml|lock|html))`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
COUNTS = {
    "1": 27, "2": 11, "3": 19, "4": 10, "5": 9, "6": 35, "7": 18, "8": 7, "9": 7, "10": 29,
    "11": 14, "12": 9, "13": 13, "14": 9, "15": 13, "16": 16, "17": 7,
}  # fmt: skip
"""Requirements of level 1 and 2 in each chapter of ASVS 5.0.0."""


@cache
def names_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def rows() -> list[list[str]]:
    """Number, level, topic, state, proof."""
    lines = (FOLDER / "asvs.md").read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d+\.\d+\.\d+ ", line)
    ]
    assert all(len(row) == 5 for row in cells), [row for row in cells if len(row) != 5]
    return cells


@pytest.mark.parametrize("page", sorted(path.name for path in FOLDER.glob("*.md")))
def test_every_test_file_and_page_that_is_named_is_there(page: str) -> None:
    text = (FOLDER / page).read_text(encoding="utf-8")
    assert [f"{file}::{test}" for file, test in TEST.findall(text) if test not in names_in(file)] == []
    assert [file for file in FILE.findall(text) if not (ROOT / file).exists()] == []
    assert [link for link in LINK.findall(text) if not (FOLDER / link).exists()] == []


def test_every_requirement_of_level_two_has_one_answer() -> None:
    numbers = [row[0] for row in rows()]
    assert len(numbers) == len(set(numbers))
    assert Counter(number.split(".")[0] for number in numbers) == Counter(COUNTS)
    assert {row[1] for row in rows()} == {"1", "2"}


def test_an_answer_has_what_its_state_promises() -> None:
    for number, _, topic, state, proof in rows():
        assert topic, number
        if state == "var":
            assert TEST.search(proof), number
        elif state == "belge":
            assert FILE.search(proof) or "`" in proof or "api/web/src" in proof, number
        else:
            assert state in ("kısmen", "açık", "uygulanmaz") and len(proof) > 10, number


def test_the_counts_on_the_page_are_those_of_the_page() -> None:
    text = (FOLDER / "asvs.md").read_text(encoding="utf-8")
    said = {state: int(count) for state, count in re.findall(r"^\| (\w+) \| [^|]+ \| (\d+) \|$", text, re.M)}
    assert said == dict(Counter(row[3] for row in rows()))
