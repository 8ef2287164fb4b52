"""One HL7 v2 message (2.3 to 2.5.1; ORU, OUL, OML, ORM, QBP, QRY and their kin) read through a definition."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from drivers.checking import TRAILING
from drivers.language import DefinitionFile, Place, When
from drivers.messages import Observation, Query
from drivers.places import At, Fields, Syntax, compiled, condition, places_getter
from drivers.protocols.hl7 import Delimiters, Hl7Error, Message, Segment, parse, unescape
from drivers.reading import Extractor, MessageKind, Reading
from drivers.rows import Above, spread
from drivers.values import coded_unit, encapsulated

_RESULTS = frozenset(("ORU", "OUL", "ORF"))
_ORDERS = frozenset(("OML", "ORM", "OMG", "OMI"))
_ANSWERS = frozenset(("ACK", "RSP", "ORL", "ORR", "ORG", "QCK", "DSR", "MCF"))
_NEVER_RESULTS = frozenset(("ADT", "BAR", "DFT", "MDM", "MFN", "REF", "SIU", "VXU", "QBP", "QRY"))
_TRAILING = TRAILING["hl7"]
_BELOW_PATIENT = ("PV1", "SPM", "SAC", "ORC", "OBR", "TQ1")
_BELOW_SPECIMEN = ("SAC", "ORC", "OBR", "TQ1")
_NOT_HL7 = "Mesaj HL7 olarak okunamadı."
_NO_QUERY = "Cihaz iş listesi soruyor; bu model için sorgu tanımlı değil."


class Hl7Reader:
    """Reads the messages of one model; compiled once for each set of delimiters that its instruments use."""

    def __init__(self, file: DefinitionFile) -> None:
        self._file = file
        self._parsers: dict[Delimiters, _Parser] = {}
        self._parser(Delimiters())

    def read(self, text: bytes) -> Reading:
        """Never raises on what a peer sends."""
        try:
            message = parse(
                text, default_encoding=self._file.encoding or "utf-8", escapes=self._file.local_escapes or None
            )
        except Hl7Error as error:
            return Reading(problem=_NOT_HL7, notes=[str(error)], fingerprint=fingerprint(text))
        reading = self._parser(message.delimiters).read(message)
        reading.fingerprint = fingerprint(text)
        reading.notes += message.oddities
        return reading

    def _parser(self, delimiters: Delimiters) -> _Parser:
        found = self._parsers.get(delimiters)
        if found is None:
            if len(self._parsers) > 64:  # a peer may declare delimiters without end
                self._parsers.clear()
            found = self._parsers[delimiters] = _Parser(self._file, delimiters)
        return found


def fingerprint(text: bytes) -> bytes:
    """SHA-256 of all segments; of MSH without its time (MSH-7) and control id (MSH-10). Line ends made equal."""
    if b"\n" in text:
        text = text.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    header, _, rest = text.strip(b"\r\x0b\x1c").partition(b"\r")
    fields = header.split(header[3:4] or b"|")
    for place in (6, 9):
        if len(fields) > place:
            fields[place] = b""
    return hashlib.sha256(b"|".join(fields) + b"\r" + rest).digest()


class _Parser:
    """A definition for one set of delimiters."""

    def __init__(self, file: DefinitionFile, delimiters: Delimiters) -> None:
        self.file = file
        table = file.local_escapes or None
        self.syntax = syntax = Syntax(
            delimiters.field,
            delimiters.repetition,
            delimiters.component or "\r",
            delimiters.subcomponent,
            delimiters.escape,
            0,
            partial(unescape, delimiters=delimiters, encoding=file.encoding or "utf-8", table=table),
            null='""',
        )
        self.extract = Extractor(file, syntax, "OBX", _TRAILING, coded_flags=True)
        for name, width in (("OBX", 6), ("NTE", 4), ("OBR", 5), ("ORC", 6), ("SPM", 3), ("SAC", 4)):
            self.extract.width[name] = max(self.extract.width.get(name, 0), width)
        self.extract.blank = [""] * max(self.extract.width.values())
        self.remark = places_getter(file.comments.places or ["NTE-3"], syntax)
        ordered = file.test.ordered or [_on_order(place) for place in file.test.places]
        self.ordered = places_getter(ordered, syntax)
        self.ordered_name = places_getter([_on_order(place) for place in file.test.name], syntax)
        self.order_state = places_getter(["ORC-1"], syntax)
        self.observed = places_getter(file.test.name + file.test.places, syntax)
        self.query = _QueryReader(file, syntax, self.extract) if file.query is not None else None

    def read(self, message: Message) -> Reading:
        """Whatever the message is."""
        name = message.msh.get(9).strip()[:3].upper()
        walk = _Walk(self, message)
        if self.query is not None and self.query.asks(message, walk.at):
            return Reading(queries=self.query.read(message, walk.at), kind="query")
        if name in ("QBP", "QRY"):
            return Reading(kind="query", problem=_NO_QUERY)
        if name in _ORDERS:
            return walk.orders()
        if name in _ANSWERS:
            return Reading(kind="ack")
        if name in _RESULTS:
            return walk.results()
        if name not in _NEVER_RESULTS and {"OBR", "OBX"} <= {segment.name for segment in message.segments}:
            return walk.results()
        return Reading()


def _on_order(place: str | Place) -> str | Place:
    """Where an order names its test: OBX-3 read on OBR-4."""
    if isinstance(place, str):
        return place.replace("OBX-3", "OBR-4")
    when = {path.replace("OBX-3", "OBR-4"): pattern for path, pattern in place.when.items()}
    return Place(
        at=place.at.replace("OBX-3", "OBR-4"), match=place.match, unless=place.unless, when=when, says=place.says
    )


class _Group(NamedTuple):
    """The specimens that an OBR names after itself (ORU and OML^O21: SPM follows OBR)."""

    specimens: list[Fields]


class _Walk:
    """One message on its way through a parser."""

    def __init__(self, parser: _Parser, message: Message) -> None:
        self._p = parser
        self._extract = parser.extract
        self._message = message
        self.at: At = parser.extract.new_at()
        self.at["MSH"] = parser.extract.padded("MSH", message.msh.fields)
        self._above = Above()
        self._stale = True
        self._specimen_seen: str | None = None
        self._order_remarks: list[str] = []
        self._fresh_orc = False
        """ORC came, and neither OBR nor OBX since: it belongs to the OBR that follows."""
        self._behind = _specimens_behind(message)
        self._several: list[str] = []

    # ---- results

    def results(self) -> Reading:
        """ORU, OUL and their kin: every OBX."""
        found: list[Observation] = []
        result, at, above = self._extract.result, self.at, self._above
        last: Observation | None = None
        separator = self._p.syntax.field
        for segment in self._message.segments:
            name = segment.name
            if name == "OBX":
                if self._stale:
                    self._refresh()
                self._fresh_orc = False
                fields = segment.text.split(separator)
                if len(fields) > 2 and fields[2] in ("ED", "RP"):
                    made = self._data(fields, segment.index)
                else:
                    made = result(fields, segment.index, above, at)
                if made is not None:  # what follows a row that is left out belongs to the result before it
                    last = made
                    found.append(made)
            elif name in _TRAILING:
                self._after(segment, last)
            elif name != "MSH":
                last = None
                self._context(segment)
        if above.sets:
            spread(found, above)
        kind: MessageKind = "results" if found else "other"
        return Reading(observations=found, timed=bool(found) and above.timed, kind=kind)

    def _refresh(self) -> None:
        """A result follows a new specimen or order: read again what stands above."""
        above, extract = self._above, self._extract
        extract.above(self.at, above)
        above.comments = [*self._order_remarks] if self._p.file.comments.of_order else []
        if self._several:
            above.specimen = None
            above.comments.append("Birden çok numuneyle ilgili: " + ", ".join(self._several))
        if above.specimen is None or above.specimen != self._specimen_seen:
            above.seen = {}
            self._specimen_seen = above.specimen
        self._stale = False

    def _data(self, fields: Fields, index: int) -> Observation | None:
        """An OBX that holds a picture or points to one: never a result."""
        made = self._extract.result(fields, index, self._above, self.at)
        if made is None:
            return None
        parts = (fields[5] if len(fields) > 5 else "").split(self._p.syntax.component)
        made.attachment = (encapsulated(parts) if fields[2] == "ED" else self._p.syntax.unescape(parts[0])) or None
        made.kind = "event"
        made.value = made.number = made.translation = None
        made.flags = []
        return made

    def _after(self, segment: Segment, last: Observation | None) -> None:
        """NTE, INV, TCD, SID: after a result they say more about it; above it they are a remark or the container's."""
        name = segment.name
        self.at[name] = self._extract.padded(name, segment.fields)
        text = self._p.remark(self.at) if name == "NTE" else ""
        if last is not None:
            if text:
                self._extract.remark(last, text)
            self._extract.add_trailing(last, name, self.at)
        elif self._extract.worth_keeping(text) and not self._p.file.comments.ignore_order:
            self._order_remarks.append(text)
            self._stale = True

    def _context(self, segment: Segment) -> None:
        """A segment above results: what it replaces is forgotten with all that hung on it."""
        name, at, blank = segment.name, self.at, self._extract.blank
        below: tuple[str, ...] = ()
        if name == "PID":
            below = _BELOW_PATIENT
            self._order_remarks = []
        elif name == "SPM":
            if self._behind:
                return  # it belongs to the OBR before it, which knows it already
            below = _BELOW_SPECIMEN
            self._order_remarks = []
        elif name == "OBR":
            below = () if self._fresh_orc else ("ORC", "TQ1")
            self._order_remarks = []
            self._fresh_orc = False
            self._take_specimens(segment.index)
        elif name == "ORC":
            self._fresh_orc = True
        for record in below:
            at[record] = blank
        at[name] = self._extract.padded(name, segment.fields)
        self._stale = True

    def _take_specimens(self, index: int) -> None:
        """ORU and OML^O21: the SPM that follow this OBR."""
        self._several = []
        if not self._behind:
            return
        group = self._behind.get(index, _Group([]))
        self.at["SPM"] = self._extract.blank
        if len(group.specimens) == 1:
            self.at["SPM"] = self._extract.padded("SPM", group.specimens[0])
        elif group.specimens:
            self._several = self._identifiers(group.specimens)

    def _identifiers(self, specimens: list[Fields]) -> list[str]:
        before = self.at["SPM"]
        names: list[str] = []
        above = Above()
        for fields in specimens:
            self.at["SPM"] = self._extract.padded("SPM", fields)
            self._extract.above(self.at, above)
            names.append(above.specimen or "")
        self.at["SPM"] = before
        return [name for name in names if name]

    # ---- orders

    def orders(self) -> Reading:
        """OML, ORM, OMG: every ordered test, for each of its specimens."""
        found: list[Observation] = []
        open_index = 0  # the ORC or OBR of an order that is not reported yet
        has_obr = False
        for segment in self._message.segments:
            name = segment.name
            if name in ("ORC", "OBR", "SPM", "PID") and open_index:
                ends = name == "ORC" or has_obr if name != "SPM" else not self._behind
                if ends:
                    found += self._order(open_index)
                    open_index, has_obr = 0, False
            if name in ("ORC", "OBR"):
                open_index = segment.index if name == "OBR" or not open_index else open_index
                has_obr = has_obr or name == "OBR"
            if name == "NTE":
                self._after(segment, None)
            elif name == "OBX":
                self._order_remarks.append(self._observed(segment))
            elif name != "MSH":
                self._context(segment)
        if open_index:
            found += self._order(open_index)
        return Reading(observations=found, kind="order")

    def _order(self, index: int) -> list[Observation]:
        self._refresh()
        above = self._above
        specimens: list[str | None] = [*self._several] or [above.specimen]
        test = self._p.ordered(self.at).strip()
        cut = self._p.file.test.cut
        test = test.partition(cut)[0].strip() if cut else test
        return [
            Observation(
                kind="order",
                instrument=self._p.file.key,
                specimen=specimen,
                patient=above.patient or None,
                test=test or None,
                test_name=self._p.ordered_name(self.at) or None,
                status=self._p.order_state(self.at) or None,
                rack=above.rack or None,
                position=above.position or None,
                comments=[*self._order_remarks],
                raw={"record": index},
            )
            for specimen in specimens
        ]

    def _observed(self, segment: Segment) -> str:
        """An observation that comes with an order (a dose, an age) as a remark."""
        self.at["OBX"] = fields = self._extract.padded("OBX", segment.fields)
        name = self._p.observed(self.at).strip()
        value = self._p.syntax.unescape(fields[5]).strip()
        unit = coded_unit(fields[6], self._p.syntax.component) if len(fields) > 6 else ""
        return f"{name}: {value} {unit}".strip()


def _specimens_behind(message: Message) -> dict[int, _Group]:
    """The SPM segments after each OBR, by the OBR's place; empty where SPM leads (OUL^R22, OML^O33) or is missing."""
    names = [segment.name for segment in message.segments] if "SPM" in message.text else []
    if "SPM" not in names or "OBR" not in names or names.index("SPM") < names.index("OBR"):
        return {}
    groups: dict[int, _Group] = {}
    current: _Group | None = None
    for segment in message.segments:
        if segment.name == "OBR":
            current = groups[segment.index] = _Group([])
        elif segment.name == "SPM" and current is not None:
            current.specimens.append(segment.fields)
    return groups


class _QueryReader:
    """Messages that ask for work: QBP^Q11, QRY^Q02, or ORM^O01 with ORC-1 RF, as the definition says."""

    def __init__(self, file: DefinitionFile, syntax: Syntax, extract: Extractor) -> None:
        query = file.query
        assert query is not None
        self._key = file.key
        self._extract = extract
        self._separator = query.separator
        self._on = {name.upper(): _holds(when, syntax) for name, when in query.on.items()}
        self._specimen = places_getter(query.specimen, syntax)
        self._rack = places_getter(query.rack, syntax)
        self._position = places_getter(query.position, syntax)
        self._tests = places_getter(query.tests, syntax)
        self._all_tests = compiled(query.all_tests).fullmatch
        self._everything = condition(query.everything, syntax) if query.everything else None
        self._cancel = condition(query.cancel, syntax) if query.cancel else None

    def asks(self, message: Message, at: At) -> bool:
        """Whether this message is a query. Fills `at` with its segments."""
        name = "^".join(part.strip().upper() for part in message.type[:2])
        check = self._on.get(name, self._on.get(name.partition("^")[0]))
        if check is None:
            return False
        for segment in reversed(message.segments):  # of several with one name the first counts
            if segment.name != "MSH":
                at[segment.name] = self._extract.padded(segment.name, segment.fields)
        return check(at)

    def read(self, message: Message, at: At) -> list[Query]:
        everything = self._everything is not None and self._everything(at)
        asked = "" if everything else self._specimen(at)
        names = asked.split(self._separator) if self._separator else [asked]
        place = next((s.index for s in message.segments if s.name in ("QPD", "QRD", "ORC")), 1)
        test = self._tests(at)
        query = Query(
            instrument=self._key,
            specimens=[name.strip() for name in names if name.strip()],
            everything=everything,
            cancels=self._cancel is not None and self._cancel(at),
            tests=[test] if test and not self._all_tests(test) else [],
            rack=self._rack(at) or None,
            position=self._position(at) or None,
            record=place,
            echo={"request": message.raw.decode("latin-1")},
        )
        return [query]


def _holds(when: When, syntax: Syntax) -> Callable[[At], bool]:
    return condition(when, syntax) if when else _always


def _always(at: At) -> bool:
    return True
