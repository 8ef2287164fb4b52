"""Paths of a definition, compiled to the code that fetches what stands there.

A message is read through a definition thousands of times a second, so each definition becomes a few functions of
plain index code, written as source text and compiled once (the way `dataclasses` makes its methods). The source holds
nothing from a definition but numbers and names checked here; texts and expressions go in as objects.

Records are lists of field texts: `record[n - 1]` is field n of an ASTM record, `record[n]` field n of an HL7 segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

from drivers.language import DefinitionError, Place, When
from drivers.safe_patterns import problem_of

Fields = list[str]
At = dict[str, Fields]
"""The record that counts at this moment, by its type: the current P, O, R; the current SPM, OBR, OBX."""

_PATH = re.compile(
    r"(?P<record>[A-Z][A-Z0-9]{0,2})-(?P<field>[0-9]{1,3})(?:\[(?P<repeat>[0-9]{1,2})\])?"
    r"(?:\.(?:(?P<lone>lone)|(?P<component>[0-9]{1,2})(?:(?P<onward>\.\.)|\.(?P<sub>[0-9]{1,2})|-(?P<last>[0-9]{1,2}))?))?"
)


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. `component` 0 = the whole field; `sub` 0 = the component with its sub-components."""

    text: str
    record: str
    field: int
    repeat: int = 1
    component: int = 0
    sub: int = 0
    last: int = 0
    onward: bool = False
    lone: bool = False


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Raises DefinitionError."""
    found = _PATH.fullmatch(text)
    if found is None:
        raise DefinitionError(f"geçersiz yer: {text!r}")
    number = {name: int(found[name] or 0) for name in ("field", "component", "sub", "last")}
    return Path(
        text,
        found["record"],
        number["field"],
        int(found["repeat"] or 1),
        number["component"],
        number["sub"],
        number["last"],
        onward=bool(found["onward"]),
        lone=bool(found["lone"]),
    )


@dataclass(frozen=True, slots=True)
class Syntax:
    """The separators of one message, and how its escapes are resolved."""

    field: str
    repeat: str
    component: str
    sub: str
    escape: str
    """Empty: there are none, or they are not to be resolved."""
    shift: int
    """What to subtract from a field number: 1 for ASTM, 0 for HL7."""
    unescape: Callable[[str], str]
    null: str = ""
    """A text that means "nothing": `""` in HL7."""


def lone_component(text: str, separator: str) -> str:
    """The one component that holds something; with several of them the text as it is; with none nothing."""
    holding = [part for part in text.split(separator) if part and not part.isspace()]
    if len(holding) == 1:
        return holding[0]
    return text if holding else ""


def first_from(parts: Sequence[str], start: int) -> str:
    """The first text that holds something, from index `start` on."""
    for part in parts[start:]:
        if part and not part.isspace():
            return part
    return ""


class Source:
    """Source text of one function, growing; and the objects that it uses."""

    def __init__(self, syntax: Syntax) -> None:
        self.syntax = syntax
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "FIELD": syntax.field,
            "REPEAT": syntax.repeat,
            "COMPONENT": syntax.component,
            "SUB": syntax.sub,
            "ESCAPE": syntax.escape,
            "unescape": syntax.unescape,
            "lone_component": lone_component,
            "first_from": first_from,
        }

    def add(self, depth: int, *lines: str) -> None:
        """Lines of code, indented."""
        self.lines += ["    " * depth + line for line in lines]

    def name(self, thing: object) -> str:
        """A name for an object that the code uses."""
        name = f"thing{len(self.names)}"
        self.names[name] = thing
        return name

    def function(self, name: str) -> Callable[..., Any]:
        """Compile what was written; it must define a function of this name."""
        names = dict(self.names)
        exec(_code("\n".join(self.lines), name), names)
        made: Callable[..., Any] = names[name]
        return made

    # ---- places

    def fetch(self, depth: int, path: Path, record: str) -> None:
        """Code that puts the text at a path into `v`; `record` is the expression of the record's field list."""
        syntax = self.syntax
        self.add(depth, f"v = {record}[{path.field - syntax.shift}]")
        if path.component or path.repeat > 1:
            self._repeat(depth, path.repeat)
        if path.component:
            self._component(depth, path)
        elif path.lone:
            self.add(depth, "if COMPONENT in v: v = lone_component(v, COMPONENT)")
        if syntax.escape:
            self.add(depth, "if ESCAPE in v: v = unescape(v)")
        if syntax.null:
            self.add(depth, f"if v == {syntax.null!r}: v = ''")

    def _repeat(self, depth: int, repeat: int) -> None:
        if not self.syntax.repeat:
            if repeat > 1:
                self.add(depth, "v = ''")
        elif repeat == 1:
            self.add(depth, "if REPEAT in v: v = v[:v.index(REPEAT)]")
        else:
            self.add(depth, "q = v.split(REPEAT)", f"v = q[{repeat - 1}] if len(q) >= {repeat} else ''")

    def _component(self, depth: int, path: Path) -> None:
        c = path.component
        if path.last:
            self.add(depth, f"v = COMPONENT.join(v.split(COMPONENT)[{c - 1}:{path.last}])")
            return
        if path.onward:
            self.add(
                depth,
                "q = v.split(COMPONENT)",
                f"v = q[{c - 1}] if len(q) >= {c} else ''",
                f"if not v or v.isspace(): v = first_from(q, {c})",
            )
        elif c == 1:
            self.add(depth, "if COMPONENT in v: v = v[:v.index(COMPONENT)]")
        else:
            self.add(depth, "q = v.split(COMPONENT)", f"v = q[{c - 1}] if len(q) >= {c} else ''")
        if path.sub == 1 and self.syntax.sub:
            self.add(depth, "if SUB in v: v = v[:v.index(SUB)]")
        elif path.sub > 1 and not self.syntax.sub:
            self.add(depth, "v = ''")  # a message that declares no such separator has no second sub-component
        elif path.sub > 1:
            self.add(depth, "q = v.split(SUB)", f"v = q[{path.sub - 1}] if len(q) >= {path.sub} else ''")

    def first_of(
        self, depth: int, places: Iterable[str | Place], trim: str, record: Callable[[str], str], target: str
    ) -> None:
        """Code that puts what the first place with content says into `target`, trimmed; `v` is used on the way.

        record: the expression of a record's field list, by its type. Conditions read `at`.
        """
        strip = {"both": ".strip()", "left": ".lstrip()", "right": ".rstrip()", "none": ""}[trim]
        for at_place, place in enumerate(places):
            inner = depth + at_place  # each further place stands inside the "if nothing yet" of the one before
            if at_place:
                self.add(inner - 1, "if not v:")
            path = parse_path(place if isinstance(place, str) else place.at)
            self.fetch(inner, path, record(path.record))
            if isinstance(place, Place):
                self._conditions(inner, place)
                if place.says is not None:
                    self.add(inner, f"if v: v = {self.name(place.says)}")
            if strip:
                self.add(inner, f"v = v{strip}")
        self.add(depth, f"{target} = v")

    def _conditions(self, depth: int, place: Place) -> None:
        plain = self.syntax.component != "^" and (place.match or place.unless)
        text = "v.replace(COMPONENT, '^')" if plain else "v"  # expressions are written for the usual delimiters
        if place.unless is not None:
            self.add(depth, f"if v and {self.name(compiled(place.unless).search)}({text}): v = ''")
        if place.when:
            self.add(depth, f"if v and not {self.name(condition(place.when, self.syntax))}(at): v = ''")
        if place.match is not None:
            self.add(depth, f"if v: v = {self.name(group_finder(place.match))}({text})")


@lru_cache(maxsize=4096)
def _code(text: str, name: str) -> CodeType:
    """Most definitions fetch most things from the same places: the same source is compiled once."""
    return compile(text, f"<{name}>", "exec")


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """Raises DefinitionError for a broken expression, and for one that some text would keep busy for ever."""
    try:
        if (problem := problem_of(pattern)) is not None:
            raise DefinitionError(f"düzenli ifade {pattern!r} kullanılmaz: {problem}")
        return re.compile(pattern)
    except re.error as error:
        raise DefinitionError(f"geçersiz düzenli ifade {pattern!r}: {error}") from error


def group_finder(pattern: str) -> Callable[[str], str]:
    """A function that gives the first group that took part (or the text, without groups); nothing without a match."""
    search = compiled(pattern).search

    def find(text: str) -> str:
        found = search(text)
        if found is None:
            return ""
        groups = found.groups()
        if not groups:
            return text
        return next((group for group in groups if group is not None), "")

    return find


def getter(path_text: str, syntax: Syntax) -> Callable[[At], str]:
    """A function that fetches one path; "" where there is nothing. Not trimmed."""
    path = parse_path(path_text)
    source = Source(syntax)
    source.add(0, "def get(at):")
    source.add(1, f"r = at[{path.record!r}]")
    source.add(1, f"if len(r) <= {path.field - syntax.shift}: return ''")
    source.fetch(1, path, "r")
    source.add(1, "return v")
    return source.function("get")


def places_getter(places: Sequence[str | Place], syntax: Syntax, trim: str = "both") -> Callable[[At], str]:
    """A function that gives what the first place with content says."""
    if not places:
        return lambda at: ""
    source = Source(syntax)
    source.add(0, "def get(at):")
    source.first_of(1, places, trim, lambda record: f"at[{record!r}]", "found")
    source.add(1, "return found")
    return source.function("get")


def condition(when: When, syntax: Syntax) -> Callable[[At], bool]:
    """Whether every place matches its expression from end to end. Texts are trimmed first."""
    checks = [(getter(path, syntax), compiled(pattern).fullmatch) for path, pattern in when.items()]
    if len(checks) == 1:
        get, matches = checks[0]
        return lambda at: matches(get(at).strip()) is not None
    return lambda at: all(matches(get(at).strip()) for get, matches in checks)


def any_condition(whens: Sequence[When], syntax: Syntax) -> Callable[[At], bool] | None:
    """Whether one of them holds; None where there is nothing to ask."""
    checks = [condition(when, syntax) for when in whens]
    if not checks:
        return None
    return lambda at: any(check(at) for check in checks)


def widths(paths: Iterable[str], shift: int) -> Mapping[str, int]:
    """How many entries a record's field list needs so that every path has its index."""
    needed: dict[str, int] = {}
    for text in paths:
        path = parse_path(text)
        needed[path.record] = max(needed.get(path.record, 0), path.field - shift + 1)
    return needed
