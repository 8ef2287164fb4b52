"""`make bench`: everything side by side in one run; writes `results.json` and the table in `README.md`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import backlog, connections, decode, end_to_end
from benchmarks.house import as_a_server

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"


def machine() -> dict[str, Any]:
    """The machine in general words."""
    return {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What was measured, ours, the yardstick, the ratio (with the target where there is one)."""
    astm, hl7, apy = figures["decode"]["astm"], figures["decode"]["hl7"], figures["decode"]["hl7apy"]
    whole, frames = figures["end_to_end"]["message"], figures["end_to_end"]["record"]
    bare_whole, bare_frames = figures["end_to_end"]["bare_message"], figures["end_to_end"]["bare_record"]
    copied = figures["end_to_end"]["copy_rows_per_second"]
    definition = figures["decode"]["definition"]
    many, day = figures["connections"], figures["backlog"]
    return [
        ("ASTM, 24 results, messages/s", f"{astm['numune']:,.0f}", f"`astm-2025` {astm['astm-2025']:,.0f}", f"{astm['ratio']:.1f} x (target 15)"),
        ("HL7, 24 OBX, messages/s", f"{hl7['numune']:,.0f}", f"`hl7` {hl7['hl7']:,.0f}", f"{hl7['ratio']:.1f} x (target 60)"),
        ("HL7, the same, beside `hl7apy`", f"{apy['numune']:,.0f}", f"`hl7apy` {apy['hl7apy']:,.1f}", f"{apy['ratio']:,.0f} x"),
        ("ASTM through a definition, messages/s", f"{definition['messages_per_second']:,.0f}", "the codec alone, same places", f"costs {definition['cost_ratio']:.1f} x (target 2.5)"),
        ("End to end, one frame a message, results/s", f"{whole['committed_per_second']:,.0f}", f"bare loop {bare_whole['results_per_second']:,.0f}", f"{whole['committed_per_second'] / bare_whole['results_per_second']:.2f} (target 12,000/s)"),
        ("End to end, one frame a record, results/s", f"{frames['committed_per_second']:,.0f}", f"bare loop {bare_frames['results_per_second']:,.0f}", f"{frames['committed_per_second'] / bare_frames['results_per_second']:.2f} (target 8,000/s)"),
        ("The same, beside PostgreSQL's COPY, rows/s", f"{whole['committed_per_second']:,.0f}", f"COPY {copied:,.0f}", f"{whole['committed_per_second'] / copied:.2f}"),
        ("Host query under that load, p50 / p99 ms", f"{frames['query']['begun_ms']['p50']} / {frames['query']['begun_ms']['p99']}", f"one frame a message: {whole['query']['begun_ms']['p50']} / {whole['query']['begun_ms']['p99']}", "target p99 30"),
        ("Time to ACK under load, p50 / p99 ms", f"{frames['ack_ms']['p50']} / {frames['ack_ms']['p99']}", f"bare loop {bare_frames['ack_ms']['p50']} / {bare_frames['ack_ms']['p99']}", ""),
        ("Memory of the system after the load, MB", f"{max(whole['memory_mb'], frames['memory_mb']):.0f}", f"{figures['end_to_end']['results_committed']:,} results", "target 300"),
        ("Opening the catalogue with 500 more definitions, s", f"{figures['decode']['catalogue_seconds']:.2f}", "", "target 1"),
        (f"{many['connections']} connections, {many['rate']:.0f} messages/s for {many['asked_seconds']:.0f} s: ACK from when due, p50 / p99 ms", f"{many['from_due_ms']['p50']} / {many['from_due_ms']['p99']}", f"the longest {many['from_due_ms']['max']}", f"target p99 {connections.TARGET_MS:.0f}"),
        ("A day behind a cut line, then all of it committed, s", f"{day['committed_seconds']}", f"{day['messages']:,} messages, {day['results']:,} results", f"target {backlog.TARGET_SECONDS:.0f}"),
        ("Reference range and flag, results/s", f"{figures['decode']['judgements_per_second']:,.0f}", "", "target 20,000"),
    ]  # fmt: skip


def table(figures: dict[str, Any]) -> str:
    lines = ["| what | Numune | beside | ratio |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(figures)]
    where = figures["machine"]
    lines.append(
        f"\nMeasured on {figures['day']}: {where['cores']} cores shared by Numune, its PostgreSQL and the load "
        f"generator, {where['system']}, Python {where['python']}, a virtual machine whose speed drifts: read the ratios. "
        f"Scheduler groups (`kernel.sched_autogroup_enabled`): {'off, as on a server' if where['as_a_server'] else 'on'}."
    )
    return "\n".join(lines)


def write(figures: dict[str, Any]) -> None:
    (FOLDER / "results.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    page = FOLDER / "README.md"
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{table(figures)}\n{END}{tail}", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """0 when everything was measured; the figures themselves fail nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full load (1 = 200,000 results)")
    parser.add_argument("--connection-seconds", type=float, default=60.0, help="how long 200 connections send (600)")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    arguments = parser.parse_args(argv)
    figures: dict[str, Any] = {"day": date.today().isoformat(), "machine": machine(), "scale": arguments.scale}
    with as_a_server() as served:
        figures["machine"]["as_a_server"] = served
        print("end to end ...", file=sys.stderr, flush=True)
        figures["end_to_end"] = end_to_end.measure(arguments.scale)
        print("200 connections by the clock ...", file=sys.stderr, flush=True)
        figures["connections"] = connections.measure(arguments.connection_seconds)
        print("a day behind a cut line ...", file=sys.stderr, flush=True)
        figures["backlog"] = backlog.measure(int(backlog.MESSAGES * min(arguments.scale, 1.0)))
        print("decoding ...", file=sys.stderr, flush=True)
        figures["decode"] = decode.measure()
    if not arguments.dry:
        write(figures)
    print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
