"""A definition in the making: a table that a person fills by pointing at the places of a captured message.

The table is what the file will hold; `based_on` gives what it does not say. Nothing here guesses: what was not
pointed at stays as the base reads it, and the screen shows what that is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from drivers.capture import CapturedMessage
from drivers.checking import LEAF
from drivers.definition import Catalog, Definition, Protocol, UnknownModel, definition_file, with_base
from drivers.language import DefinitionError
from drivers.origins import Traced, trace
from drivers.places import parse_path

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Role:
    """Something that a place of a message can be: a table of the definition, in words, with its key on screen."""

    name: str
    words: str
    key: str


ROLES = (
    Role("specimen", "Numune numarası", "n"),
    Role("test", "Test kodu", "t"),
    Role("value", "Değer", "d"),
    Role("unit", "Birim", "b"),
    Role("flags", "Bayrak", "y"),
    Role("measured_at", "Ölçüm zamanı", "z"),
    Role("status", "Durum harfi", "u"),
    Role("range", "Referans", "r"),
    Role("patient", "Hasta numarası", "h"),
    Role("rack", "Raf", "f"),
    Role("position", "Konum", "k"),
    Role("operator", "Operatör", "o"),
    Role("lot", "Reaktif lotu", "l"),
    Role("comments", "Açıklama", "c"),
)
ROLE_WORDS = {role.name: role.words for role in ROLES} | {"test_name": "Test adı"}
_HEAD = (
    "key", "revision", "based_on", "maker", "model", "family", "protocol", "source", "standing", "tested_with",
    "quirks", "directions", "links", "encoding",
)  # fmt: skip
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def begin(protocol: Protocol, base: Definition, *, key: str = "") -> Table:
    """A table that reads as `base` does. A base that stands on another one itself is taken over whole."""
    table: Table = {
        "key": key,
        "revision": 1,
        "maker": "",
        "model": "",
        "family": "yerel",
        "protocol": protocol,
        "source": "",
        "standing": "documented",
        "quirks": [],
        "directions": list(base.file.directions),
        "links": list(base.file.links),
    }
    if base.file.based_on is None:
        return {**table, "based_on": f"{base.key}/{base.revision}"}
    whole = msgspec.to_builtins(base.file)
    return {**{name: value for name, value in whole.items() if name != "based_on"}, **table}


def next_revision(definition: Definition) -> Table:
    """The table of a definition, to be changed and published as its next revision."""
    table: Table = msgspec.to_builtins(definition.file)
    return {**table, "revision": definition.revision + 1}


def point(table: Table, role: str, path: str, *, more: bool = False) -> Table:
    """Say that this place is that thing. more: as a further place, for when the ones before hold nothing.

    Raises DefinitionError: no such thing, no such path.
    """
    if role not in {one.name for one in ROLES}:
        raise DefinitionError(f"böyle bir alan türü yok: {role!r}")
    pointed = parse_path(path)
    part = dict(table.get(role) or {})
    places = [place for place in part.get("from", []) if place != path] if more else []
    part["from"] = _own_first([*places, path], str(table.get("protocol", "astm")))
    if pointed.component:  # a part of the field was meant: it is no longer read as one typed whole
        for word in {"value": ("typed",), "unit": ("coded",)}.get(role, ()):
            part[word] = False
    return {**table, role: part}


def forget(table: Table, role: str) -> Table:
    """Read this thing as the base does again."""
    return {name: value for name, value in table.items() if name != role}


def _own_first(places: Sequence[Any], protocol: str) -> list[Any]:
    """Places of the result itself before those above it, each in the order given."""
    leaf = LEAF["hl7" if protocol == "hl7" else "astm"]

    def above(place: Any) -> bool:
        return parse_path(place if isinstance(place, str) else place["at"]).record != leaf

    return sorted(places, key=above)


def places(table: Table, catalog: Catalog) -> dict[str, list[str]]:
    """For each thing the paths where it is looked for now, in words; conditions shown behind the path."""
    whole = complete(table, catalog)
    found: dict[str, list[str]] = {}
    for role in ROLES:
        part = whole.get(role.name)
        listed = part.get("from", []) if isinstance(part, Mapping) else []
        found[role.name] = [place if isinstance(place, str) else f"{place['at']} (koşullu)" for place in listed]
    return found


def complete(table: Table, catalog: Catalog) -> Table:
    """The table with what its base says. Raises DefinitionError: there is no such base."""
    base = table.get("based_on")
    if not base:
        return table
    key, _, revision = str(base).partition("/")
    try:
        found = catalog.get(key, int(revision) if revision.isdecimal() else None)
    except UnknownModel as error:
        raise DefinitionError(str(error)) from error
    return with_base(table, msgspec.to_builtins(found.file))


def made(table: Table, catalog: Catalog) -> Definition:
    """The definition that this table is, checked by grammar and contract. Raises DefinitionError with every fault."""
    return Definition(definition_file(complete(table, catalog)))


@dataclass(slots=True)
class Draft:
    """What a table makes of the captured messages. `definition` None: it cannot be used yet, `faults` say why."""

    definition: Definition | None = None
    traced: list[Traced] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Turkish sentences; with one of them it cannot be published."""
    warnings: list[str] = field(default_factory=list)
    """Turkish sentences for whoever publishes it."""


def examine(table: Table, catalog: Catalog, messages: Sequence[CapturedMessage]) -> Draft:
    """Read the messages with a table as it stands: what is missing in its head does not keep it from reading."""
    draft = Draft()
    try:
        draft.definition = made(table, catalog)
    except DefinitionError as error:
        draft.faults = _sentences(str(error))
    try:
        reader = draft.definition or readable(table, catalog)
    except DefinitionError as error:
        draft.faults += [fault for fault in _sentences(str(error)) if fault not in draft.faults]
        return draft
    draft.traced = [trace(reader, one.text) for one in messages if one.protocol == reader.protocol]
    draft.warnings = _warnings(draft, table, messages, reader)
    return draft


def readable(table: Table, catalog: Catalog) -> Definition:
    """What reads messages as the table says, whatever its head still lacks. Raises DefinitionError."""
    return made({**table, **_FILLED_HEAD}, catalog)


_FILLED_HEAD = {"key": "taslak", "maker": "-", "model": "-", "family": "-", "source": "-", "quirks": []}


def _sentences(message: str) -> list[str]:
    words = {"key": "anahtar", "maker": "marka", "model": "model", "source": "kaynak", "family": "aile"}
    told = []
    for fault in message.split("; "):
        where, _, what = fault.partition(": ")
        told.append(f"{words[where]}: boş ya da biçimsiz" if where in words else f"{where}: {what}" if what else fault)
    return told


def _warnings(draft: Draft, table: Table, messages: Sequence[CapturedMessage], reader: Definition) -> list[str]:
    found = [one for traced in draft.traced for one in traced.reading.observations]
    results = [one for one in found if one.kind in ("result", "qc")]
    told = [problem for traced in draft.traced if (problem := traced.reading.problem)]
    if messages and not draft.traced:
        told.append(f"Yakalanan mesaj {reader.protocol.upper()} değil; hiçbiri okunmadı.")
    elif messages and not results:
        told.append("Bu mesajlardan hiç sonuç okunmuyor.")
    if results and not any(one.specimen for one in results):
        told.append("Hiçbir sonuçta numune numarası okunmuyor; sonuçlar bir kişiyi bekler.")
    for item, words in (("test", "test kodu"), ("value", "değer")):
        missing = sum(1 for one in results if not getattr(one, item))
        if missing:
            told.append(f"{missing} sonuçta {words} okunmuyor.")
    if not table.get("quirks"):
        told.append("Bilinen tuhaflık yazılmamış. Belgede ya da yakalamada gördüğünüz sapmaları birer cümleyle yazın.")
    return told


# ---- as a file


def to_toml(table: Table) -> str:
    """The file's text: what it is first, then its tables."""
    lines = [f"{name} = {_value(table[name])}" for name in _HEAD if name in table and table[name] not in ("", [])]
    rest = {name: value for name, value in table.items() if name not in _HEAD}
    lines += [f"{_key(name)} = {_value(value)}" for name, value in rest.items() if not isinstance(value, Mapping)]
    for name, value in rest.items():
        if isinstance(value, Mapping) and value:
            lines += ["", f"[{_key(name)}]", *(f"{_key(inner)} = {_value(one)}" for inner, one in value.items())]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(name))} = {_value(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    raise DefinitionError(f"tanım dosyasına yazılamaz: {type(value).__name__}")
