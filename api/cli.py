"""The `numune` command: finds the part that has the command asked for and loads only that one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points

GROUP = "numune.commands"
HELP = {
    "run": "sistemi çalıştırır: geçit + çekirdek + web (--demo, --roles)",
    "gateway": "uzak geçit: hattı kesilebilen bir binada (--config)",
    "decode": "yakalanmış cihaz mesajlarını okur, satır satır JSON yazar",
    "instruments": "cihaz kataloğu",
    "simulate": "bir cihazı ya da hastaneyi taklit eder",
    "replay": "saklanan ham mesajları yeniden işler",
    "db": "veritabanı: upgrade, backup, restore, dictionary, deliver",
    "clauses": "şartname maddelerini kanıtlayan testler",
    "doctor": "kurulumu denetler, sorunu sözle söyler",
    "user": "kullanıcı hesapları: add, passive, active, reset, list",
    "audit": "denetim izi: nightly, verify, anchor, partitions",
    "privacy": "kişisel veriler: due, apply, rule, export, erase, anonymise",
}


def main(argv: list[str] | None = None) -> int:
    """Exit status of the command; 2 for a command that does not exist."""
    arguments = sys.argv[1:] if argv is None else argv
    commands = {point.name: point for point in entry_points(group=GROUP)}
    if not arguments or arguments[0] in ("-h", "--help"):
        print("kullanım: numune KOMUT ...\n")
        for name in sorted(commands, key=lambda name: list(HELP).index(name) if name in HELP else 99):
            print(f"  {name:<12} {HELP.get(name, '')}")
        return 0
    point = commands.get(arguments[0])
    if point is None:
        print(f"numune: {arguments[0]!r} diye bir komut yok; 'numune --help' komutları listeler.", file=sys.stderr)
        return 2
    command: Callable[[list[str]], int] = point.load()
    return command(arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
