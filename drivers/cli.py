"""`numune decode` and `numune instruments`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from drivers.decode import decode_bytes, json_line
from drivers.definition import Catalog, Definition, DefinitionError, UnknownModel, load_catalog

_STANDING = {
    "simulated": "benzetimde denendi",
    "replayed": "yakalanmış mesajlarla denendi",
    "documented": "yalnız belgeden yazıldı",
    "on-a-line": "gerçek hatta denendi",
}
_DIRECTIONS = {"results": "sonuç", "query": "sorgu", "orders": "istem"}


def decode(argv: Sequence[str]) -> int:
    """Print captured messages as JSON lines; 0 when everything was read."""
    parser = argparse.ArgumentParser(
        prog="numune decode",
        description="Yakalanmış cihaz mesajlarını okur; her sonuç, sorgu, KK ve olay için bir JSON satırı yazar.",
    )
    parser.add_argument("files", nargs="+", metavar="DOSYA", help="yakalanmış baytlar; - standart girdi")
    parser.add_argument("--instrument", metavar="MODEL", help="model anahtarı (numune instruments); yoksa genel tanım")
    _catalog_argument(parser)
    options = parser.parse_args(argv)
    try:
        catalog = load_catalog(*options.catalog)
        if options.instrument is not None:
            catalog.get(options.instrument)
    except (DefinitionError, UnknownModel, OSError) as error:
        _say(str(error))
        return 1
    failed = False
    for name in options.files:
        failed |= not _decode_one(name, catalog, options.instrument)
    return 1 if failed else 0


def _decode_one(name: str, catalog: Catalog, model: str | None) -> bool:
    """Whether all of one file was read."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        _say(f"{name}: dosya okunamadı: {error.strerror or error}")
        return False
    decoded = decode_bytes(data, catalog, model)
    for line in decoded.lines:
        sys.stdout.buffer.write(json_line(line))
    sys.stdout.buffer.flush()
    for note in dict.fromkeys(decoded.notes):
        _say(f"{name}: not: {note}")
    for failure in dict.fromkeys(decoded.failures):
        _say(f"{name}: okunamadı: {failure}")
    return not decoded.failures


def instruments(argv: Sequence[str]) -> int:
    """Print the catalogue."""
    parser = argparse.ArgumentParser(prog="numune instruments", description="Tanımlı cihaz modellerini listeler.")
    parser.add_argument("--json", action="store_true", help="her model için bir JSON nesnesi")
    _catalog_argument(parser)
    options = parser.parse_args(argv)
    try:
        catalog = load_catalog(*options.catalog)
    except (DefinitionError, OSError) as error:
        _say(str(error))
        return 1
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode([described(one) for one in catalog]) + b"\n")
        sys.stdout.buffer.flush()
        return 0
    rows: list[tuple[str, ...]] = [
        ("ANAHTAR", "MODEL", "ÜRETİCİ", "PROTOKOL", "YÖNLER", "BAĞLANTI", "DURUM", "DENENEN")
    ]
    rows += [_row(one) for one in catalog]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[-1]]).rstrip() + "\n")
    return 0


def described(one: Definition) -> dict[str, Any]:
    """A definition as the catalogue shows it."""
    file = one.file
    return {
        "key": one.key,
        "revision": one.revision,
        "model": file.model,
        "maker": file.maker,
        "family": file.family,
        "protocol": one.protocol,
        "directions": list(file.directions),
        "links": list(file.links),
        "standing": file.standing,
        "tested_with": list(file.tested_with),
        "source": file.source,
        "quirks": list(file.quirks),
        "parameters": dict(file.parameters),
    }


def _row(one: Definition) -> tuple[str, ...]:
    file = one.file
    directions = ", ".join(_DIRECTIONS[word] for word in file.directions)
    return (
        one.key,
        file.model,
        file.maker,
        one.protocol.upper(),
        directions,
        ", ".join(file.links),
        _STANDING[file.standing],
        ", ".join(file.tested_with),
    )


def _catalog_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--catalog", metavar="KLASÖR", action="append", default=[], help="laboratuvarın kendi tanımları (TOML)"
    )


def _say(text: str) -> None:
    """A sentence for people, on stderr."""
    sys.stderr.write(text + "\n")
