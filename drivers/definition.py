"""Instrument definitions and their catalogue.

    catalog = load_catalog()
    xn = catalog.get("sysmex-xn")
    reading = xn.read(message)                       # one whole message, without framing
    for query in reading.queries:
        for answer in xn.answer(query, orders, now=now, sender="NUMUNE", control_id="n-1"):
            link.send(xn.frames(answer), token)

What a definition may say is in `drivers.language`; adding a model is adding a file to `drivers/catalog`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import msgspec

from drivers.answering import PushWriter, TemplateAnswer
from drivers.answering_dsr import DsrAnswer
from drivers.answering_hl7 import LawAnswer, OrmAnswer, hl7_answer
from drivers.answering_text import TextAnswer
from drivers.checking import check, link_options
from drivers.language import DefinitionError, DefinitionFile
from drivers.messages import Query, WorkOrder
from drivers.places import compiled
from drivers.protocols.astm_frames import build_block, frames_of, record_frames
from drivers.reading import Reading
from drivers.reading_astm import AstmReader
from drivers.reading_hl7 import Hl7Reader
from drivers.reading_table import TableReader
from drivers.reading_text import TextReader

__all__ = ["Catalog", "Definition", "DefinitionError", "Reading", "UnknownModel", "load_catalog"]

Protocol = Literal["astm", "hl7", "metin", "tablo", "poct1a"]


_TOML: Any = import_module("tomli" if find_spec("tomli") is not None else "tomllib")
"""The standard library's reader, or the same one compiled where it is installed: a third of the time."""


class UnknownModel(KeyError):
    """No definition with this key."""

    def __str__(self) -> str:
        return str(self.args[0])


class Definition:
    """One model: reads its messages, answers its questions. Made once, used by every line of that model."""

    def __init__(self, file: DefinitionFile, parameters: Mapping[str, int | str] | None = None) -> None:
        """Raises DefinitionError: a path, an expression or a template that means nothing."""
        self.file = file
        self.parameters: Mapping[str, int | str] = dict(parameters or {})
        """Settings of one site's machine (widths of columns) that differ from the definition's own."""
        self.key = file.key
        self.revision = file.revision
        self.maker = file.maker
        self.model = file.model
        self.protocol: Protocol = file.protocol
        self.standing = file.standing
        self.flags: Mapping[str, str] = file.flags.meaning
        """What this model's flags mean, in Turkish; a flag that is not among them must hold a result."""
        self.statuses: Mapping[str, str] = file.status.meaning
        """What its status letters mean: final, preliminary, corrected, repeated, failed, deleted."""
        self.codes: Mapping[str, str] = file.codes
        """Test codes seen on this model, for whoever maps them."""
        self._answer: TemplateAnswer | LawAnswer | OrmAnswer | DsrAnswer | TextAnswer | None = None
        if file.answer is not None and file.protocol in ("astm", "hl7"):
            self._answer = TemplateAnswer(file.answer) if file.protocol == "astm" else hl7_answer(file.answer)
        self._push = PushWriter(file.push, file.answer) if file.push is not None and file.answer is not None else None
        self._senders = [compiled(pattern) for pattern in file.recognise.sender]
        check(file)
        if file.protocol == "metin":
            reader = self._reader
            if file.answer is not None and isinstance(reader, TextReader):
                self._answer = TextAnswer(file.answer, reader.query_groups, reader.parameters)
        elif file.protocol in ("tablo", "poct1a"):
            self.prepare()

    def __repr__(self) -> str:
        return f"<Definition {self.key}/{self.revision}>"

    # ---- reading

    def read(self, text: bytes) -> Reading:
        """Read one whole message without framing (ASTM: the records H to L; HL7: one MSH message).

        Never raises on what a peer sends: `Reading.problem` says in Turkish what is wrong.
        """
        return self._reader.read(text)

    def prepare(self) -> None:
        """Compile the reader now, not with the first message."""
        self._reader  # noqa: B018

    @cached_property
    def _reader(self) -> AstmReader | Hl7Reader | TextReader | TableReader:
        if self.protocol in ("metin", "poct1a"):
            return TextReader(self.file, self.parameters)
        if self.protocol == "tablo":
            return TableReader(self.file)
        if self.protocol == "hl7":
            return Hl7Reader(self.file)
        return AstmReader(self.file, self._answer.paths if isinstance(self._answer, TemplateAnswer) else ())

    def at_site(self, parameters: Mapping[str, Any]) -> Definition:
        """This definition with the settings of one site's machine. Raises DefinitionError: none of this model's."""
        if dict(parameters) == dict(self.parameters):
            return self
        if self.protocol not in ("metin", "poct1a"):
            raise DefinitionError(f"{self.key}: bu modelin parametresi yok")
        return Definition(self.file, parameters)

    def recognises(self, sender: str) -> bool:
        """Whether a sender (H-5, or MSH-3|MSH-4) calls itself as this model does. A hint, never a proof."""
        return any(pattern.search(sender) for pattern in self._senders)

    # ---- answering

    @property
    def answers(self) -> bool:
        """Whether this model can be told what to run."""
        return self._answer is not None

    def answer(
        self, query: Query, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: str
    ) -> list[bytes]:
        """The messages that answer a query, in the order to send them; [] where the model wants silence.

        orders: one for each specimen asked (`WorkOrder.specimen` as in `Query.specimens`); a specimen without one is
        answered as unknown. now: aware, in the zone of the instrument's clock. control_id: unique for ever; further
        messages of one answer get it with a suffix.
        Raises DefinitionError where the model has no answer (see `answers`), LocalError for a work step of ours that
        the protocol cannot carry (two steps with one reference, a reference of more than 50 characters).
        """
        if self._answer is None:
            raise DefinitionError(f"{self.key}: bu model iş listesi almaz")
        return self._answer.answer(query, orders, now=now, sender=sender, control_id=control_id)

    def work(
        self, orders: Sequence[WorkOrder], *, now: datetime, sender: str, control_id: Callable[[], str]
    ) -> list[bytes]:
        """Messages that give work, or take it back, without being asked (HL7 LAW). Raises DefinitionError: this model
        is not told its work so."""
        if not isinstance(self._answer, LawAnswer):
            raise DefinitionError(f"{self.key}: bu modele sorulmadan iş gönderilmez")
        return self._answer.work(orders, now=now, sender=sender, control_id=control_id)

    @property
    def pushes(self) -> bool:
        """Whether this model takes orders for the tubes of a load list without asking (ASTM)."""
        return self._push is not None

    @property
    def takes_back(self) -> bool:
        """Whether an order that was pushed can be taken back."""
        return self._push is not None and self._push.cancels

    def push(self, order: WorkOrder, *, now: datetime, sender: str, control_id: str) -> bytes:
        """The message of an order that nobody asked for. Raises DefinitionError (see `pushes`), LocalError."""
        if self._push is None:
            raise DefinitionError(f"{self.key}: bu modele sorulmadan iş gönderilmez")
        return self._push.write(order, now=now, sender=sender, control_id=control_id)

    # ---- the line

    def frames(self, message: bytes) -> list[bytes]:
        """A message cut for the link: the argument of `AstmLink.send`; else the message itself (its link wraps it)."""
        link = self.file.link
        if self.protocol != "astm" or link.framing == "raw":
            return [message]
        if link.framing == "stx-etx":
            return [build_block(message)]
        if link.cut == "message":
            return frames_of(message, limit=link.frame_text)
        return record_frames([record for record in message.split(b"\r") if record], limit=link.frame_text)

    def link_options(self) -> dict[str, Any]:
        """Keyword arguments of `LinkOptions` (ASTM), `MllpOptions` (HL7) or `Poct1aOptions` for a line of this model;
        for texts those of `text_links.make_link`."""
        return dict(link_options(self.file))


class Catalog:
    """Definitions by key, the newest revision of each first; older ones stay for messages that they read."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self._all = {(one.key, one.revision): one for one in definitions}
        self._newest: dict[str, Definition] = {}
        for one in sorted(definitions, key=lambda one: one.revision):
            self._newest[one.key] = one

    def get(self, key: str, revision: int | None = None) -> Definition:
        """Raises UnknownModel."""
        found = self._newest.get(key) if revision is None else self._all.get((key, revision))
        if found is None:
            wanted = key if revision is None else f"{key}/{revision}"
            raise UnknownModel(f"Katalogda {wanted!r} adlı bir cihaz tanımı yok (numune instruments listeler).")
        return found

    def generic(self, protocol: Protocol) -> Definition:
        """The definition for a model that nobody has described."""
        return self.get(f"generic-{protocol}")

    def inside(self, definition: Definition) -> Definition:
        """What reads HL7 text that came in the ASTM frames of a model: its `hl7`, else the generic definition."""
        named = definition.file.hl7
        return self.get(named) if named is not None and named in self else self.generic("hl7")

    def recognise(self, protocol: Protocol, sender: str) -> list[Definition]:
        """The models that call themselves so, in order of their keys: a hint for people."""
        return [one for one in self if one.protocol == protocol and one.recognises(sender)]

    def __iter__(self) -> Iterator[Definition]:
        return iter(sorted(self._newest.values(), key=lambda one: one.key))

    def revisions(self) -> list[Definition]:
        """Every revision of every definition."""
        return list(self._all.values())

    def __len__(self) -> int:
        return len(self._newest)

    def __contains__(self, key: object) -> bool:
        return key in self._newest


def load_catalog(*folders: str | Path) -> Catalog:
    """The definitions of this package and of further folders (`*.toml`; a laboratory's own).

    Raises DefinitionError: a file that cannot be used, or two files with one key and revision. All faults of all
    files are in its message.
    """
    catalog, faults = read_catalog(*folders)
    if faults:
        raise DefinitionError("\n".join(faults))
    return catalog


def read_catalog(*folders: str | Path) -> tuple[Catalog, list[str]]:
    """As `load_catalog`, for a system that runs: what cannot be used is left out, its fault told in Turkish."""
    sources: list[Traversable | Path] = [resources.files("drivers") / "catalog", *(Path(folder) for folder in folders)]
    raw: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {}
    faults: list[str] = []
    for folder in sources:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".toml"):
                _take(entry, raw, faults)
    definitions: list[Definition] = []
    for name, table in raw.values():
        try:
            definitions.append(Definition(definition_file(_completed(table, raw))))
        except DefinitionError as error:
            faults.append(f"{name}: {error}")
    catalog = Catalog(definitions)
    for one in definitions:
        if one.file.hl7 is not None and one.file.hl7 not in catalog:
            faults.append(f"{one.key}: hl7 = {one.file.hl7!r} adlı bir tanım yok")
    return catalog, faults


def _take(entry: Traversable | Path, raw: dict[tuple[str, int], tuple[str, dict[str, Any]]], faults: list[str]) -> None:
    try:
        table = _TOML.loads(entry.read_text(encoding="utf-8"))
    except (_TOML.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(f"{entry.name}: TOML okunamadı: {error}")
        return
    identity = (str(table.get("key")), table.get("revision", 0))
    if identity in raw:
        faults.append(f"{entry.name}: {identity[0]}/{identity[1]} iki dosyada tanımlı ({raw[identity][0]})")
        return
    raw[identity] = (entry.name, table)


def _completed(table: dict[str, Any], raw: Mapping[tuple[str, int], tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The table with what its base says where it says nothing: tables entry by entry, everything else whole."""
    base = table.get("based_on")
    if not isinstance(base, str):
        return table
    key, _, revision = base.partition("/")
    found = raw.get((key, int(revision) if revision.isdecimal() else -1))
    if found is None or found[1] is table:
        raise DefinitionError(f"based_on: {base!r} bulunamadı")
    if found[1].get("based_on"):
        raise DefinitionError(f"based_on: {base!r} kendisi de bir temele dayanıyor; tek basamak olabilir")
    return with_base(table, found[1])


_OWN = frozenset(("recognise", "tested_with", "quirks", "push"))
"""What is said of one model only; orders that nobody asked for too: a copy of another model's would be a guess."""


def with_base(table: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """A definition's table with what `base` says where it says nothing itself."""
    merged = {name: value for name, value in base.items() if name not in _OWN}
    for name, value in table.items():
        ours = merged.get(name)
        merged[name] = {**ours, **value} if isinstance(ours, dict) and isinstance(value, dict) else value
    return merged


def definition_file(table: Mapping[str, Any]) -> DefinitionFile:
    """A checked definition of a parsed file. Raises DefinitionError with every fault, in Turkish."""
    try:
        return msgspec.convert(table, DefinitionFile)
    except msgspec.ValidationError as error:
        raise DefinitionError("; ".join(_faults(table)) or str(error)) from error


@lru_cache(maxsize=1)
def _validator() -> Any:
    jsonschema: Any = import_module("jsonschema")  # only needed to explain faults
    schema = json.loads((resources.files("drivers") / "schema" / "instrument.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _faults(table: Mapping[str, Any]) -> list[str]:
    """What the JSON Schema finds wrong, in Turkish."""
    return [
        _explained(error) for error in sorted(_validator().iter_errors(table), key=lambda e: list(map(str, e.path)))
    ]


def _explained(error: Any) -> str:
    if error.validator in ("anyOf", "oneOf") and error.context:  # a path or a table: explain the one that was meant
        meant = [
            inner for inner in error.context if inner.validator != "type" or len(inner.absolute_path) > len(error.path)
        ]
        return _explained((meant or error.context)[0])
    where = ".".join(str(part) for part in error.absolute_path) or "dosya"
    if error.validator == "required":
        missing = sorted(set(error.validator_value) - set(error.instance))
        return f"{where}: zorunlu alan eksik: {', '.join(missing)}"
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema.get("properties", {})))
        return f"{where}: bilinmeyen alan: {', '.join(unknown)}"
    if error.validator == "enum":
        return f"{where}: {error.instance!r} olamaz; seçenekler: {', '.join(map(str, error.validator_value))}"
    if error.validator == "type":
        return f"{where}: {error.instance!r} türü yanlış; beklenen: {error.validator_value}"
    if error.validator == "pattern":
        return f"{where}: {error.instance!r} beklenen biçimde değil"
    return f"{where}: {error.message}"
