"""Definitions compiled for reading: what ASTM and HL7 have in common.

`Extractor` holds, for one set of separators, the functions that a definition was compiled to. `reading_astm` and
`reading_hl7` walk their messages with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, cast

import msgspec

from drivers.language import PATH, DefinitionError, DefinitionFile, Item, Places, Test, Unit, Value
from drivers.messages import Kind, Observation, Query
from drivers.places import (
    At,
    Fields,
    Source,
    Syntax,
    any_condition,
    compiled,
    parse_path,
    places_getter,
    widths,
)
from drivers.rows import Above, RowRules
from drivers.values import (
    LONG,
    NUMBERS,
    coded_unit,
    comparator,
    flag_reader,
    picture,
    scaled,
    time_reader,
    titre,
    typed_value,
)

PATH_TEXT = re.compile(PATH)
_REMEMBERED = 4096

MessageKind = Literal["results", "query", "order", "ack", "other"]


class Reading(msgspec.Struct, kw_only=True):
    """What one message says."""

    observations: list[Observation] = []
    queries: list[Query] = []
    fingerprint: bytes = b""
    """SHA-256 of the content without its header: a message that is sent again is recognised by it."""
    timed: bool = False
    """Every result carries its own measuring time, so an equal message can only be a repetition."""
    problem: str | None = None
    """Turkish sentence: why a person should look at it."""
    kind: MessageKind = "other"
    whole: bool = True
    """False: what must close such a message is missing; it is kept, and its results are not applied."""
    notes: list[str] = []
    """What had to be forgiven to read it; for the line's history."""


_ITEMS = (
    "test",
    "name",
    "value",
    "unit",
    "flags",
    "range",
    "status",
    "measured",
    "rack",
    "position",
    "replicate",
    "operator",
    "lot",
    "reference",
)

ResultReader = Callable[[Fields, int, Above, At], Observation | None]


def items_of(file: DefinitionFile) -> dict[str, Item]:
    """The items of a result, by the names used here."""
    named: dict[str, Item] = {name: getattr(file, name) for name in _ITEMS if name not in ("name", "measured")}
    named["name"] = Item(places=file.test.name)
    named["measured"] = file.measured_at
    return {name: named[name] for name in _ITEMS}


def paths_in(value: object) -> Iterator[str]:
    """Every path that a definition names, wherever it stands."""
    if isinstance(value, str):
        if PATH_TEXT.fullmatch(value) is not None:
            yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from paths_in(key)
            yield from paths_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from paths_in(entry)


class Extractor:
    """A definition, compiled for one set of separators.

    leaf: the record that is a result, R or OBX. trailing: records that come after a result and add to it.
    """

    def __init__(
        self, file: DefinitionFile, syntax: Syntax, leaf: str, trailing: frozenset[str], coded_flags: bool
    ) -> None:
        self.file = file
        self.syntax = syntax
        self.leaf = leaf
        self.items = items_of(file)
        self.width = dict(widths(paths_in(msgspec.to_builtins(file)), syntax.shift))
        self.blank = [""] * max(self.width.values(), default=1)
        self._trailing_names = trailing
        self.read_flags = flag_reader(
            syntax.repeat, syntax.component, file.flags.none, coded=coded_flags, parts=file.flags.parts
        )
        self.read_time = time_reader(file.measured_at.formats)
        self.number = NUMBERS[file.value.decimal]
        self.translations = {word.strip().casefold(): text for word, text in file.texts.items()}
        self.is_control = any_condition(file.qc.when, syntax)
        self.is_event = any_condition(file.event.when, syntax)
        self.control_ids = [compiled(pattern).fullmatch for pattern in file.qc.specimens]
        self.event_ids = [compiled(pattern).fullmatch for pattern in file.event.specimens]
        self._removed = dict.fromkeys(map(ord, file.specimen.remove))
        self.not_read = [compiled(pattern).fullmatch for pattern in file.specimen.not_read]
        self.ignored_comments = [compiled(pattern).fullmatch for pattern in file.comments.ignore]
        self.alarm = compiled(file.comments.flags).fullmatch if file.comments.flags else None
        self.flag_list = compiled(file.comments.flag_list).search if file.comments.flag_list else None
        self.rows = RowRules(file, syntax, leaf) if file.row else None
        self._fill_above = self._compile_above()
        self.result: ResultReader = self._compile_result()
        self.trailing = self._compile_trailing()

    def new_at(self) -> At:
        """Current records, none of them seen yet."""
        return dict.fromkeys([*self.width, self.leaf], self.blank)

    def padded(self, record: str, fields: Fields) -> Fields:
        """The field list, long enough for every path. The list given is not changed."""
        missing = self.width.get(record, 0) - len(fields)
        return fields + self.blank[:missing] if missing > 0 else fields

    # ---- what stands above a result

    def above(self, at: At, above: Above) -> None:
        """Read what stands above the results from here on: specimen, patient, kind, and whatever else is said there."""
        self._fill_above(at, above)
        above.unread = above.carried = ""
        specimen = above.specimen
        if specimen and self._removed:
            specimen = above.specimen = specimen.translate(self._removed).strip()
        if specimen and any(matches(specimen) for matches in self.not_read):
            above.unread, above.specimen = specimen, None
        above.specimen = above.specimen or None
        above.kind = self._kind(at, specimen or "")

    def _kind(self, at: At, specimen: str) -> Kind:
        if self.is_control is not None and self.is_control(at):
            return "qc"
        if specimen and any(matches(specimen) for matches in self.control_ids):
            return "qc"
        if self.is_event is not None and self.is_event(at):
            return "event"
        if specimen and any(matches(specimen) for matches in self.event_ids):
            return "event"
        return "result"

    def _compile_above(self) -> Callable[[At, Above], None]:
        source = Source(self.syntax)
        source.add(0, "def fill(at, above):")
        parts: dict[str, Item] = {"specimen": self.file.specimen, "patient": self.file.patient}
        parts |= {name: item for name, item in self.items.items() if self._split(item.places)[1]}
        for name, item in parts.items():
            places = self._split(item.places)[1]
            if places:
                source.first_of(1, places, item.trim, lambda record: f"at[{record!r}]", f"above.{name}")
        source.add(1, "return None")
        return source.function("fill")

    def _split(self, places: Places) -> tuple[Places, Places, Places]:
        """Places in the result itself, above it, and in what comes after it."""
        own: Places = []
        above: Places = []
        after: Places = []
        for place in places:
            record = parse_path(place if isinstance(place, str) else place.at).record
            target = own if record == self.leaf else after if record in self._trailing_names else above
            if target is own and above:
                raise DefinitionError("sonucun kendi yerleri üst kayıtlardaki yerlerden önce gelmelidir")
            target.append(place)
        return own, above, after

    # ---- the result itself

    def _compile_result(self) -> ResultReader:
        """One function that makes an Observation of a result record.

        What a field says about a test, a unit or a flag is the same few texts all day: it is worked out once for each
        text and then looked up.
        """
        source = Source(self.syntax)
        width = self.width.get(self.leaf, 1)
        source.add(0, "def result(r, index, above, at):")
        source.add(1, f"if len(r) < {width}: r = r + {source.name(self.blank)}[:{width} - len(r)]")
        source.add(1, f"at[{self.leaf!r}] = r")
        given = [name for name, item in self.items.items() if self._item(source, name, item)]
        self._finish(source, given)
        return cast(ResultReader, source.function("result"))

    def _item(self, source: Source, name: str, item: Item) -> bool:
        """Code that puts one item into a variable of its name; False where the definition does not have it."""
        own, above, _ = self._split(item.places)
        if not own and not above:
            if name == "measured":
                source.add(1, "above.timed = False")
            return False
        if not own:
            source.add(1, f"{name} = above.{name}" + self._not_timed(name))
            return True
        if name == "value" and cast(Value, item).typed:
            self._typed_value(source, own)
        elif (field := self._only_field(own)) is not None and name not in ("value", "measured"):
            memo = source.name(_Memo(field, self._worked_out(name, item, own)))
            source.add(1, f"{name} = {memo}.get(r[{field}])")
            source.add(1, f"if {name} is None: {name} = {memo}.work_out(at, r)")
        else:
            source.first_of(1, own, item.trim, self._record, name)
            if name == "flags":
                source.names["read_flags"] = self.read_flags
                source.add(1, "flags = read_flags(flags)")
        if above and name != "flags":
            source.add(1, f"if not {name}: {name} = above.{name}" + self._not_timed(name))
        if name == "measured" and self.file.measured_at.carry:
            source.add(1, "if measured: above.carried = measured", "else: measured = above.carried")
        return True

    def _further(self, source: Source) -> None:
        """Code that adds to the test's code what makes it this row's own."""
        for place in self.file.test.further:
            source.first_of(1, [place], "both", self._record, "more")
            source.add(1, f"if more: test = test + {self.file.test.join!r} + more if test else more")

    def _only_field(self, own: Places) -> int | None:
        """The index of the one field that all these places read; None where they need more than that field."""
        paths = [parse_path(place if isinstance(place, str) else place.at) for place in own]
        if len({path.field for path in paths}) != 1 or any(not isinstance(place, str) and place.when for place in own):
            return None
        return paths[0].field - self.syntax.shift

    def _worked_out(self, name: str, item: Item, own: Places) -> Callable[[At], object]:
        """What is looked up for an item: its text; for flags the flags and the words beside them."""
        if name == "unit" and cast(Unit, item).coded:
            return self._coded_unit(own)
        get = places_getter(own, self.syntax, item.trim)
        cut = cast(Test, item).cut if name == "test" else ""
        if cut:
            return lambda at: get(at).partition(cut)[0].strip()
        if name == "flags":
            return lambda at: self.read_flags(get(at))
        return get

    def _not_timed(self, name: str) -> str:
        return "; above.timed = False" if name == "measured" and not self.file.measured_at.of_run else ""

    def _record(self, record: str) -> str:
        return "r" if record == self.leaf else f"at[{record!r}]"

    def _typed_value(self, source: Source, own: Places) -> None:
        """HL7: the whole field goes to `typed_value` where it is more than plain text."""
        if len(own) != 1 or not isinstance(own[0], str) or parse_path(own[0]).component:
            raise DefinitionError("[value] typed = true yalnız tek ve bütün bir alanla kullanılır")
        source.names["typed_value"] = typed_value
        marks = [("COMPONENT", self.syntax.component), ("REPEAT", self.syntax.repeat), ("ESCAPE", self.syntax.escape)]
        checks = " or ".join(f"{name} in v" for name, mark in marks if mark)
        source.add(1, f"v = r[{parse_path(own[0]).field}]", "if v == '\"\"': v = ''")
        source.add(1, f"elif {checks}: v = typed_value(r[2], v, COMPONENT, REPEAT, unescape)")
        source.add(1, "value = v.strip()")

    def _coded_unit(self, own: Places) -> Callable[[At], str]:
        path = parse_path(own[0] if isinstance(own[0], str) else own[0].at)
        index, component, syntax = path.field - self.syntax.shift, self.syntax.component, self.syntax

        def unit(at: At) -> str:
            text = at[self.leaf][index]
            text = coded_unit(text, component) if component in text else text
            text = syntax.unescape(text) if syntax.escape and syntax.escape in text else text
            return "" if text == syntax.null else text.strip()

        return unit

    def _finish(self, source: Source, given: Sequence[str]) -> None:
        """Code that makes the Observation from the items."""
        file = self.file
        source.names |= {
            "Observation": Observation,
            "KEY": file.key,
            "number_of": self.number,
            "read_time": self.read_time,
            "comparator": comparator,
            "picture": picture,
            "UNREAD": "Barkod okunamadı: ",
        }
        if file.test.also:
            also = source.name(places_getter(file.test.also, self.syntax))
            source.add(1, f"more = {also}(at)", f"if more and test: test = test + {file.test.join!r} + more")
        source.add(1, "comments = above.comments[:]")
        source.add(1, "if above.unread: comments.insert(0, UNREAD + above.unread)")
        if "flags" in given:
            source.add(1, "words = flags[1]", "flags = flags[0][:]", "if words: comments += words")
        else:
            source.add(1, "flags = []")
        if file.flags.also:
            source.names["read_flags"] = self.read_flags
            also = source.name(places_getter(file.flags.also, self.syntax))
            source.add(1, f"flags += [flag for flag in read_flags({also}(at))[0] if flag not in flags]")
        self._further(source)
        self._said_besides(source, "unit" in given)
        source.add(1, "amount = number_of(value) if value else None")
        if file.value.no_number:
            names = [source.name(compiled(pattern).fullmatch) for pattern in file.value.no_number]
            source.add(1, f"if amount is not None and ({' or '.join(f'{n}(value)' for n in names)}): amount = None")
        if file.flags.comparator:
            source.add(1, "if amount is None and value and value[0] in '<>=≤≥':")
            source.add(2, "sign = comparator(value)", "if sign and sign not in flags: flags.append(sign)")
        if "measured" in given:
            source.add(1, "measured = read_time(measured) if measured else None")
            source.add(1, "if measured is None: above.timed = False")
        self._observation(source, given)

    def _observation(self, source: Source, given: Sequence[str]) -> None:
        """Code that puts the items into an Observation, and then does what the words and rows of the file say."""
        file = self.file
        count = "above.seen[test] = above.seen.get(test, 0) + 1"
        if "replicate" in given:
            source.add(1, "if 0 < len(replicate) < 7 and replicate.isdecimal(): replicate = int(replicate)")
            source.add(1, f"else: replicate = {count}")
        else:
            source.add(1, f"replicate = {count}")
        source.add(1, "o = Observation(kind=above.kind, instrument=KEY, specimen=above.specimen,")
        source.add(2, "patient=above.patient or None, value=value or None, number=amount, flags=flags,")
        arguments = {"name": "test_name", "measured": "measured_at"}
        for name in given:
            if name not in ("value", "flags", "replicate", "measured"):
                source.add(2, f"{arguments.get(name, name)}={name} or None,")
        if "measured" in given:
            source.add(2, "measured_at=measured,")
        source.add(2, "replicate=replicate, comments=comments, raw={'record': index})")
        if self.translations:
            source.names["translations"] = self.translations
            word = "value"
            if file.value.word:
                word = f"{source.name(places_getter(file.value.word, self.syntax))}(at)"
            source.add(1, f"if value: o.translation = translations.get({word}.casefold())")
        self._titre(source)
        source.add(1, f"if len(value) > {LONG} and (data := picture(value)) is not None:")
        source.add(2, "o.kind = 'event'; o.attachment = data; o.value = None; o.flags = []")
        if self.rows is not None:
            source.names["by_rule"] = self.rows.apply
            source.add(1, "if not by_rule(o, at, above): return None")
        source.add(1, "return o")

    def _titre(self, source: Source) -> None:
        """Code that tells the titres of some tests in one spelling."""
        if not self.file.value.titre:
            return
        source.names["titre"] = titre
        tests = " or ".join(f"{source.name(compiled(pattern).fullmatch)}(test)" for pattern in self.file.value.titre)
        source.add(
            1, f"if amount is None and value and o.translation is None and ({tests}): o.translation = titre(value)"
        )

    def _said_besides(self, source: Source, has_unit: bool) -> None:
        """Code for remarks of the row itself: labelled texts, "no result", a power of ten in the unit."""
        file = self.file
        source.names["translations"] = self.translations
        for remark in file.remark:
            source.first_of(1, remark.places, "both", self._record, "said")
            nothing = [source.name(compiled(pattern).fullmatch) for pattern in remark.none]
            unless = "".join(f" and not {name}(said)" for name in nothing)
            label = source.name(f"{remark.label}: ")
            source.add(1, f"if said{unless}: comments.append({label} + translations.get(said.casefold(), said))")
        if file.value.nothing:
            names = [source.name(compiled(pattern).fullmatch) for pattern in file.value.nothing]
            source.names["NOTHING"] = "Sonuç yok: "
            source.add(1, f"if value and ({' or '.join(f'{name}(value)' for name in names)}):")
            source.add(2, "comments.append(NOTHING + value); value = ''")
        if file.unit.scaled and has_unit:
            source.names["scaled"] = scaled
            source.add(1, "if unit[:3] == '10*' and value:")
            source.add(2, "value, unit, said = scaled(value, unit)", "if said: comments.append(said)")

    # ---- what comes after it

    def _compile_trailing(self) -> dict[str, list[tuple[str, Callable[[At], str]]]]:
        """Items that stand in a record after the result (a reagent lot in C or INV), by that record."""
        found: dict[str, list[tuple[str, Callable[[At], str]]]] = {}
        for name, item in self.items.items():
            for place in self._split(item.places)[2]:
                record = parse_path(place if isinstance(place, str) else place.at).record
                found.setdefault(record, []).append((name, places_getter([place], self.syntax, item.trim)))
        return found

    def add_trailing(self, observation: Observation, record: str, at: At) -> None:
        """Add to a result what a record after it says, where the result itself does not say it."""
        for name, get in self.trailing.get(record, ()):
            attribute = {"measured": "measured_at", "name": "test_name"}.get(name, name)
            if getattr(observation, attribute, None) is None and (text := get(at)):
                setattr(observation, attribute, self.read_time(text) if name == "measured" else text)

    def remark(self, observation: Observation, text: str) -> None:
        """Add a remark to a result: an alarm code becomes a flag, what is known to say nothing is left out."""
        if not text or any(matches(text) for matches in self.ignored_comments):
            return
        if self.flag_list is not None and (listed := self.flag_list(text)) is not None:
            named = [flag.strip() for flag in (listed[1] or "").split(",")]
            new = [flag for flag in named if flag and flag not in self.file.flags.none]
            observation.flags += [flag for flag in dict.fromkeys(new) if flag not in observation.flags]
        elif self.alarm is not None and self.alarm(text):
            if text not in observation.flags:
                observation.flags.append(text)
        else:
            observation.comments.append(text)

    def worth_keeping(self, text: str) -> bool:
        """Whether a remark on an order says anything."""
        return bool(text) and not any(matches(text) for matches in self.ignored_comments)


class _Memo(dict[str, object]):
    """What one field said, by its text."""

    def __init__(self, field: int, worked_out: Callable[[At], object]) -> None:
        super().__init__()
        self._field = field
        self._worked_out = worked_out

    def work_out(self, at: At, record: Fields) -> object:
        """Read the field the long way and remember it."""
        if len(self) >= _REMEMBERED:  # a peer may invent texts without end
            self.clear()
        found = self[record[self._field]] = self._worked_out(at)
        return found
