"""Writes the generated part of docs/sozluk.md from the code: `python docs/sozluk_uret.py`; `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from api.screens import words
from api.screens.work_steps import STATES as STEP_STATES
from lis_core.domain.permissions import REGISTRY
from lis_core.domain.states import Priority, TestState, TubeState
from lis_core.services.ingest_match import Cause
from lis_core.storage.tables import Base
from lis_core.storage.tables.results import ApprovalKind
from lis_core.views.signs import Sign
from lis_core.views.traffic import MESSAGE_STATES

FILE = Path(__file__).parent / "sozluk.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table. head: column names parted by `|`."""
    columns = [name.strip() for name in head.split("|")]
    lines = [columns, ["---"] * len(columns), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def states() -> Iterator[str]:
    """What a thing can be, in code, on screen, in the database."""
    yield "### States of an ordered test\n\n"
    yield table(
        "code | JSON | screen | database (`tetkik_durumu`)",
        ((f"`{s.name}`", f"`{s.api}`", " ".join(words.TEST_STATES[s]), f"`{s.value}`") for s in TestState),
    )
    yield "### States of a tube\n\n"
    yield table(
        "code | JSON | screen | database (`numune_durumu`)",
        ((f"`{s.name}`", f"`{s.api}`", " ".join(words.TUBE_STATES[s]), f"`{s.value}`") for s in TubeState),
    )
    yield "### Priorities\n\n"
    yield table(
        "code | JSON | screen | database (`aciliyet`) | ASTM O-6",
        ((f"`{p.name}`", f"`{p.api}`", words.priority_words(p), f"`{p.value}`", p.astm) for p in Priority),
    )
    yield "### Approvals and other decisions of a person\n\n"
    yield table(
        "code | screen | database (`onay_turu`)",
        ((f"`{k.name}`", words.EVENTS[k.value], f"`{k.value}`") for k in ApprovalKind),
    )
    yield "### States of a raw message\n\n"
    yield table(
        "JSON | screen | database (`ham_mesaj.durum`)",
        ((f"`{name}`", words.MESSAGE_STATES[stored][1], f"`{stored}`") for name, stored in MESSAGE_STATES.items()),
    )
    yield "### Why a result waits for a person\n\n"
    yield table(
        "code | screen | database (`neden`)",
        ((f"`{c.name}`", words.CAUSES.get(c.value, c.value), f"`{c.value}`") for c in Cause),
    )
    yield "### States of a work step (IHE LAW)\n\n"
    yield table(
        "sign | screen | database (`is_adimi.durum`)",
        ((shown[1], shown[2], f"`{state}`") for state, shown in STEP_STATES.items()),
    )
    yield "### Signs beside a result\n\n"
    yield table("code | sign | meaning on screen", ((f"`{s.name}`", s.value, s.words) for s in Sign))
    yield "### Kinds of lines\n\n"
    yield table("screen | database (`baglanti_turu`)", ((text, f"`{kind}`") for kind, text in words.LINE_KINDS.items()))
    yield "### Permissions\n\n"
    yield table(
        "code | database (`yetki`) | screen",
        ((f"`P.{p.name}`", f"`{p.value}`", about.caption) for p, about in REGISTRY.items()),
    )


def tables() -> str:
    """Every table with its class. The columns: `numune db dictionary`."""
    rows = sorted(
        (mapper.local_table.name, mapper.class_.__name__, mapper.local_table.comment or "")  # type: ignore[attr-defined]
        for mapper in Base.registry.mappers
    )
    head = "### Tables\n\nEvery column with its meaning: `numune db dictionary`.\n\n"
    return head + table("database | code | meaning", ((f"`{name}`", f"`{code}`", text) for name, code, text in rows))


def main() -> int:
    """0: written or equal; 1 (`--check`): the file is not what the code says."""
    text = FILE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    wanted = f"{before}{BEGIN}\n{''.join(states())}{tables()}{END}{after}"
    if "--check" in sys.argv[1:]:
        return int(wanted != text)
    FILE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
