"""One ASTM message (E1394-97, LIS02-A2) read through a definition."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from drivers.checking import TRAILING
from drivers.extras import extra_rules
from drivers.language import DefinitionFile, Place, Places
from drivers.messages import Observation, Query
from drivers.places import At, Fields, Syntax, any_condition, compiled, condition, getter, group_finder, places_getter
from drivers.protocols.astm_records import AstmMessage, Delimiters, Record, parse
from drivers.reading import Extractor, MessageKind, Reading
from drivers.rows import Above, share_lots, spread

_TRAILING = TRAILING["astm"]
_STANDARD = frozenset("HPORCQLMS")
_NO_TERMINATOR = "Mesaj bitiş kaydı (L) ile kapanmıyor; yarım kalmış olabilir."
_NO_HEADER = "Mesaj başlık kaydı (H) ile başlamıyor."
_NOTHING = "Mesajda ASTM kaydı bulunamadı."
_TOO_MANY = "Mesajda olağan dışı sayıda kayıt ya da yineleme var; okunmadı."
MAX_PARTS = 100_000  # records of a message, repeats of a field: far above any real one
_REQUESTED = ("H-2", "H-3", "H-5", "H-10", "H-11")


class AstmReader:
    """Reads the messages of one model; compiled once for each set of delimiters that its instruments use."""

    def __init__(self, file: DefinitionFile, echoed: tuple[str, ...] = ()) -> None:
        self._file = file
        self._echoed = echoed
        self._parsers: dict[Delimiters, _Parser] = {}
        self._parser(Delimiters())

    def read(self, text: bytes) -> Reading:
        """Never raises on what a peer sends."""
        message = parse(text, encoding=self._file.encoding or None)
        if not message.lines:
            return Reading(problem=_NOTHING, fingerprint=fingerprint(text))
        if len(message.lines) > MAX_PARTS or text.count(message.delimiters.repeat.encode()) > MAX_PARTS:
            return Reading(problem=_TOO_MANY, fingerprint=fingerprint(text))
        reading = self._parser(message.delimiters).read(message)
        reading.fingerprint = fingerprint(text)
        return reading

    def _parser(self, delimiters: Delimiters) -> _Parser:
        found = self._parsers.get(delimiters)
        if found is None:
            if len(self._parsers) > 64:  # a peer may declare delimiters without end
                self._parsers.clear()
            found = self._parsers[delimiters] = _Parser(self._file, delimiters, self._echoed)
        return found


def fingerprint(text: bytes) -> bytes:
    """SHA-256 of all records after the header, line ends made equal."""
    if b"\n" in text:
        text = text.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    return hashlib.sha256(text.strip(b"\r").partition(b"\r")[2]).digest()


def _unescaper(delimiters: Delimiters, encoding: str | None) -> Callable[[str], str]:
    """The codec's own way to resolve escapes, for one text."""
    message = AstmMessage([], delimiters, encoding)

    def unescape(text: str) -> str:
        return Record(message, f"X{delimiters.field}{text}", 1).field(2)

    return unescape


class _Parser:
    """A definition for one set of delimiters."""

    def __init__(self, file: DefinitionFile, delimiters: Delimiters, echoed: tuple[str, ...]) -> None:
        self._file = file
        self._delimiters = delimiters
        syntax = Syntax(
            delimiters.field,
            delimiters.repeat,
            delimiters.component,
            "",
            delimiters.escape if file.escapes else "",
            1,
            _unescaper(delimiters, file.encoding or None),
        )
        self._extract = extract = Extractor(file, syntax, "R", _TRAILING, coded_flags=False)
        self._comment = places_getter(file.comments.places or ["C-4"], syntax)
        self._failed = any_condition(file.failed, syntax)
        self._report = getter("O-26", syntax)
        ordered = file.test.ordered or [_on_order(place) for place in file.test.places]
        self._ordered = places_getter(ordered, syntax)
        extract.width["O"] = max(extract.width.get("O", 0), 26)
        extract.width["C"] = max(extract.width.get("C", 0), 5)
        extract.width["Q"] = max(extract.width.get("Q", 0), 14)
        extract.width["H"] = max(extract.width.get("H", 0), 15)
        extract.blank = [""] * max(extract.width.values())
        self._extras = extra_rules(file.extra, syntax)
        self._lot_group = group_finder(file.lot.shared) if file.lot.shared is not None else None
        self._known = _STANDARD | frozenset(file.ignore_records)
        self._queries = _QueryReader(file, syntax, extract, echoed) if file.query is not None else None

    def read(self, message: AstmMessage) -> Reading:
        return _Walk(self).over(message)


def _on_order(place: str | Place) -> str | Place:
    """Where an order names its test: R-3 read on O-5."""
    if isinstance(place, str):
        return place.replace("R-3", "O-5")
    when = {path.replace("R-3", "O-5"): pattern for path, pattern in place.when.items()}
    return Place(at=place.at.replace("R-3", "O-5"), match=place.match, unless=place.unless, when=when, says=place.says)


class _Walk:
    """One message on its way through a parser."""

    def __init__(self, parser: _Parser) -> None:
        self._p = parser
        self._file = parser._file
        self._extract = parser._extract
        self._at: At = parser._extract.new_at()
        self._above = Above()
        self._found: list[Observation] = []
        self._queries: list[Query] = []
        self._last: Observation | None = None
        self._stale = True
        self._order = 0
        """Record number of an O that has no result so far; 0: there is none."""
        self._specimen_seen: str | None = None
        self._patient_remarks: list[str] = []
        self._order_remarks: list[str] = []
        self._early: list[str] = []
        """Remarks that stand before their result."""
        self._has_results = False
        self._unknown: dict[str, None] = {}

    def over(self, message: AstmMessage) -> Reading:
        """Walk the records in order."""
        separator = self._p._delimiters.field
        result = self._extract.result
        found, above, at = self._found, self._above, self._at
        before = self._file.comments_before
        self._has_results = any(line[0] in "Rr" for line in message.lines)
        for index, line in enumerate(message.lines, 1):
            fields = line.split(separator)
            if line[0] in "Rr":
                if self._stale:
                    self._refresh()
                self._order = 0
                observation = result(fields, index, above, at)
                if observation is not None:  # what follows a row that is left out belongs to the result before it
                    self._last = observation
                    found.append(observation)
                    if before and self._early:
                        self._add_early(observation)
            else:
                self._other(fields[0][:1].upper(), fields, index)
        self._settle_order()
        if above.sets:
            spread(found, above)
        if self._p._lot_group is not None:
            share_lots(found, self._p._lot_group)
        return self._reading(message)

    def _refresh(self) -> None:
        """A result follows a new patient or order: read again what stands above."""
        above = self._above
        self._extract.above(self._at, above)
        if above.specimen is None or above.specimen != self._specimen_seen:
            above.seen = {}
            self._specimen_seen = above.specimen
        above.comments = [*self._patient_remarks, *self._order_remarks] if self._file.comments.of_order else []
        self._stale = False

    def _other(self, kind: str, fields: Fields, index: int) -> None:
        if kind not in self._p._known:
            self._unknown[kind] = None
            return
        self._at[kind] = self._extract.padded(kind, fields)
        if kind in self._p._extras and self._extra(kind, index):
            return
        if kind in _TRAILING:
            self._remark(kind)
        elif kind == "Q":
            self._settle_order()
            self._last = None
            if self._p._queries is not None:
                self._queries.append(self._p._queries.read(self._at, index))
        else:
            self._level(kind, index)

    def _level(self, kind: str, index: int) -> None:
        """H, P, O or L: what follows belongs to something new."""
        self._settle_order()
        self._stale, self._last = True, None
        self._early.clear()
        self._order_remarks = []
        if kind == "O":
            self._order = index
        else:
            self._patient_remarks = []
            for below in {"H": "PO", "P": "O", "L": ""}[kind]:
                self._at[below] = self._extract.blank

    def _extra(self, kind: str, index: int) -> bool:
        """Whether a rule of the definition made an event of this record."""
        if self._stale:
            self._refresh()
        for rule in self._p._extras[kind]:
            event = rule.event(self._file.key, self._at, self._above, index)
            if event is not None:
                self._found.append(event)
                return True
        return False

    def _remark(self, kind: str) -> None:
        """C, M or S: it belongs to the record before it."""
        if kind == "C" and self._file.comments.each and self._p._delimiters.repeat in self._at["C"][3]:
            whole = self._at["C"]
            for part in whole[3].split(self._p._delimiters.repeat):
                self._at["C"] = [*whole[:3], part, *whole[4:]]
                self._remark(kind)
            self._at["C"] = whole
            return
        extract = self._extract
        text = self._p._comment(self._at) if kind == "C" else ""
        if kind == "C" and self._file.comments_before and (self._last is not None or self._order):
            self._early.append(text)
        elif self._last is not None:
            if kind == "C":
                extract.remark(self._last, text)
            if extract.trailing:
                extract.add_trailing(self._last, kind, self._at)
        elif extract.worth_keeping(text) and not self._file.comments.ignore_order:
            remarks = self._order_remarks if self._at["O"] is not extract.blank else self._patient_remarks
            remarks.append(text)
            self._stale = True

    def _add_early(self, observation: Observation) -> None:
        for text in self._early:
            self._extract.remark(observation, text)
        self._early.clear()

    def _settle_order(self) -> None:
        """An order that no result followed: ordered (by a host), or asked for and not done."""
        index, self._order = self._order, 0
        if not index or self._queries:
            return
        if self._stale:
            self._refresh()
        at, above = self._at, self._above
        failed = self._p._failed is not None and self._p._failed(at)
        for test in self._ordered_tests():
            self._found.append(
                Observation(
                    kind="event" if failed or self._has_results else "order",
                    instrument=self._file.key,
                    specimen=above.specimen,
                    patient=above.patient or None,
                    test=test or None,
                    status=self._p._report(at) or None,
                    rack=above.rack or None,
                    position=above.position or None,
                    comments=[*self._patient_remarks, *self._order_remarks],
                    raw={"record": index},
                )
            )
        self._stale = True

    def _ordered_tests(self) -> list[str]:
        order = self._at["O"]
        repeat, cut = self._p._delimiters.repeat, self._file.test.cut
        tests: list[str] = []
        for part in order[4].split(repeat):
            self._at["O"] = [*order[:4], part, *order[5:]]
            test = self._p._ordered(self._at)
            tests.append(test.partition(cut)[0].strip() if cut else test)
        self._at["O"] = order
        return [test for test in tests if test] or [""]

    def _reading(self, message: AstmMessage) -> Reading:
        kind: MessageKind = "other"
        if any(found.kind != "order" for found in self._found):
            kind = "results"
        elif self._found:
            kind = "order"
        elif self._queries:
            kind = "query"
        return Reading(
            observations=self._found,
            queries=self._queries,
            timed=self._has_results and self._above.timed,
            problem=self._problem(message),
            kind=kind,
            notes=list(message.loosened),
        )

    def _problem(self, message: AstmMessage) -> str | None:
        first, last = message.lines[0][:1], message.lines[-1][:1]
        if first not in "Hh":
            return _NO_HEADER
        if last not in "Ll":
            return _NO_TERMINATOR
        if self._unknown:
            kinds = ", ".join(sorted(self._unknown))
            return f"Mesajda tanınmayan kayıt türü var ({kinds}); içeriği okunmadı."
        return None


class _QueryReader:
    """Q records: who is asked for, and what the answer must repeat."""

    def __init__(self, file: DefinitionFile, syntax: Syntax, extract: Extractor, echoed: tuple[str, ...]) -> None:
        query = file.query
        assert query is not None
        self._key = file.key
        self._syntax = syntax
        self._extract = extract
        self._separator = query.separator
        self._specimen = places_getter(query.specimen, syntax)
        self._rack = places_getter(query.rack, syntax)
        self._position = places_getter(query.position, syntax)
        repeats = any(path.startswith("Q-3") for path in echoed)  # an answer about others cannot repeat the first one
        self._until = places_getter([] if repeats else query.until, syntax)
        self._tests = places_getter(query.tests or _on_query(file.test.places), syntax)
        self._cut = file.test.cut
        self._all_tests = compiled(query.all_tests).fullmatch
        self._everything = condition(query.everything, syntax) if query.everything else None
        self._cancel = condition(query.cancel, syntax) if query.cancel else None
        raw = replace(syntax, escape="")  # what is repeated is repeated as sent
        self._echoed = {path: getter(path, raw) for path in dict.fromkeys((*_REQUESTED, *echoed))}

    def read(self, at: At, index: int) -> Query:
        q = at["Q"]
        query = Query(instrument=self._key, record=index, echo={"delimiters": at["H"][1]})
        query.tests = self._asked_tests(at, q)
        query.everything = self._everything is not None and self._everything(at)
        query.cancels = self._cancel is not None and self._cancel(at)
        echo: dict[str, list[str]] = {path: [] for path in self._echoed}
        for part in q[2].split(self._syntax.repeat):
            at["Q"] = [*q[:2], part, *q[3:]]
            asked = "" if query.everything else self._specimen(at)
            names = [name.strip() for name in asked.split(self._separator)] if self._separator else [asked]
            for name in names if any(names) else [""]:
                if name:
                    query.specimens.append(name)
                elif asked:
                    continue
                for path, get in self._echoed.items():
                    echo[path].append(get(at))
            query.rack = query.rack or self._rack(at) or None
            query.position = query.position or self._position(at) or None
        at["Q"] = q
        if len(query.specimens) == 1 and (last := self._until(at).strip()) != query.specimens[0]:
            query.until = last or None
        query.echo |= echo
        return query

    def _asked_tests(self, at: At, q: Fields) -> list[str]:
        if self._all_tests(q[4].strip()):
            return []
        tests: list[str] = []
        for part in q[4].split(self._syntax.repeat):
            at["Q"] = [*q[:4], part, *q[5:]]
            test = self._tests(at)
            test = test.partition(self._cut)[0].strip() if self._cut else test
            if test and not self._all_tests(test):
                tests.append(test)
        at["Q"] = q
        return tests


def _on_query(places: Places) -> Places:
    """Where a query names tests: R-3 read on Q-5."""
    moved: Places = []
    for place in places:
        if isinstance(place, str):
            moved.append(place.replace("R-3", "Q-5"))
        else:
            when = {path.replace("R-3", "Q-5"): pattern for path, pattern in place.when.items()}
            moved.append(
                Place(
                    at=place.at.replace("R-3", "Q-5"),
                    match=place.match,
                    unless=place.unless,
                    when=when,
                    says=place.says,
                )
            )
    return moved
