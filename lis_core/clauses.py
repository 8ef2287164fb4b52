"""`numune clauses`: which clause of the tender is proven by which test.

The register is `docs/requirements/*.tsv`; a test names its clauses with `@pytest.mark.clause("9.6.11a")`. The tests
are read, not run: whether they pass is what `make test` says. A clause that no test proves may have a line of reason in
`docs/requirements/gerekceler.tsv`: what is there, what is missing, what only the site can show.
"""

from __future__ import annotations

import argparse
import ast
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROVABLE = ("software", "ops")
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Clause:
    """A row of the register."""

    id: str
    must: str
    kind: str
    module: str
    requirement: str


def register(folder: Path = ROOT / "docs" / "requirements") -> list[Clause]:
    """Every clause that software or operation can prove, in the register's order."""
    clauses: list[Clause] = []
    for file in sorted(folder.glob("requirements-*.tsv")):
        with file.open(encoding="utf-8", newline="") as lines:
            clauses += [
                Clause(row["id"], row["must"], row["kind"], row["module"], row["requirement"])
                for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
                if row["kind"] in PROVABLE
            ]
    return clauses


def reasons(folder: Path = ROOT / "docs" / "requirements") -> dict[tuple[str, str], str]:
    """(Clause id, module) -> why no test proves it."""
    with (folder / "gerekceler.tsv").open(encoding="utf-8", newline="") as lines:
        return {
            (row["id"], row["module"]): row["reason"]
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        }


def proofs(folder: Path = ROOT / "tests") -> dict[str, list[str]]:
    """Clause id -> the tests that name it."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for clause in _named(node):
                    found[clause].append(f"{file.relative_to(folder.parent)}::{node.name}")
    return dict(found)


def _named(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Clause ids in the decorators, also inside `pytest.param(..., marks=...)`."""
    for decorator in node.decorator_list:
        for call in ast.walk(decorator):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "clause":
                for argument in call.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def command(argv: list[str]) -> int:
    """`numune clauses [--missing] [MODULE...]`; 1 where a test names a clause that is in no register."""
    parser = argparse.ArgumentParser(prog="numune clauses", description="Şartname maddeleri ve kanıtlayan testler.")
    parser.add_argument("--missing", action="store_true", help="kanıtlanmamış maddeleri listele")
    parser.add_argument("modules", nargs="*", help="yalnız bu modüller")
    arguments = parser.parse_args(argv)
    clauses = register()
    proven = proofs()
    why = reasons()
    known = {clause.id for clause in clauses}
    wanted = [clause for clause in clauses if not arguments.modules or clause.module in arguments.modules]
    for clause in wanted:
        tests = proven.get(clause.id, [])
        if arguments.missing and not tests:
            print(f"{clause.id:<12} {clause.must:<13} {clause.module:<22} {clause.requirement[:110]}")
            if reason := why.get((clause.id, clause.module)):
                print(f"{'':<12} {reason}")
        elif tests and not arguments.missing:
            print(f"{clause.id:<12} {', '.join(tests)}")
    _totals(wanted, proven)
    unknown = sorted(set(proven) - known)
    if unknown:
        print(f"kayıtta olmayan madde: {', '.join(unknown)}", file=sys.stderr)
        return 1
    return 0


def _totals(clauses: list[Clause], proven: dict[str, list[str]]) -> None:
    by_module: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for clause in clauses:
        by_module[clause.module][0] += 1
        by_module[clause.module][1] += clause.id in proven
    print()
    for module in sorted(by_module):
        total, done = by_module[module]
        print(f"{module:<24} {done:>4} / {total}")
    print(f"{'toplam':<24} {sum(d for _, d in by_module.values()):>4} / {len(clauses)}")
