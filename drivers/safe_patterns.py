"""Expressions of a definition that would stand still on the right text (ReDoS): found before they are used.

Python's matcher tries every way to divide a text among nested repetitions; with `(a+)*b` there are 2^n ways for n
letters, and one line of an analyser would stop every line of the gateway. What is found is the exponential kind:
a repetition without end whose body can divide the same text in two ways. What only grows with a power of the length is
let be: texts of instruments are short.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

_PARSER: Any = import_module("re._parser")
_ENDLESS = 64
"""Repetitions from which on a limit is none."""
_OTHER = 256
"""Stands for every character beyond the first 256."""
_ALL = frozenset(range(_OTHER + 1))
_MOST_DEPTH = 40

_SAID = "iç içe yineleme bazı metinlerde hiç bitmez; yinelenenleri ayıran bir harf yazın"

Letters = frozenset[int]
Item = tuple[Any, Any]


def problem_of(pattern: str) -> str | None:
    """Why this expression is not used, in Turkish; None where it may be. Raises re.error for one that is none."""
    try:
        found = next(_ambiguous(_PARSER.parse(pattern), 0), None)
    except RecursionError:
        return "düzenli ifade çok derin"
    return None if found is None else _SAID


def _ambiguous(items: Sequence[Item], depth: int) -> Iterator[Item]:
    """Repetitions without end, at any depth, whose body divides a text in several ways."""
    if depth > _MOST_DEPTH:
        raise RecursionError
    for op, value in items:
        if _repeats(op) and value[1] > _ENDLESS and _divides(list(value[2])):
            yield op, value
        for inner in _inside(op, value):
            yield from _ambiguous(inner, depth + 1)


def _repeats(op: Any) -> bool:
    return str(op) in ("MAX_REPEAT", "MIN_REPEAT")  # a possessive one never tries again


def _inside(op: Any, value: Any) -> list[Sequence[Item]]:
    """The sequences inside an item."""
    match str(op):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [value[2]]
        case "SUBPATTERN":
            return [value[3]]
        case "BRANCH":
            return list(value[1])
        case "ASSERT" | "ASSERT_NOT":
            return [value[1]]
        case "ATOMIC_GROUP":
            return [value]
        case "GROUPREF_EXISTS":
            return [part for part in value[1:] if part is not None]
    return []


def _divides(body: list[Item]) -> bool:
    """Whether a repeated body can take the same text in several ways: an endless part without anything that ends it
    for certain, or alternatives that begin alike."""
    if len(body) == 1 and str(body[0][0]) == "SUBPATTERN":
        return _divides(list(body[0][1][3]))
    if len(body) == 1 and str(body[0][0]) == "BRANCH":
        ways = [list(way) for way in body[0][1][1]]
        firsts = [_first(way) for way in ways]
        alike = any(one & other for n, one in enumerate(firsts) for other in firsts[n + 1 :])
        return alike or any(_divides(way) for way in ways)
    for place, item in enumerate(body):
        certain = [_letters([other]) for n, other in enumerate(body) if n != place and _least(other) > 0]
        if any(not any(not letters & stop for stop in certain) for letters in _endless(item)):
            return True
    return False


def _endless(item: Item) -> Iterator[Letters]:
    """What each repetition without end in here takes, unless something inside ends it for certain."""
    op, value = item
    if _repeats(op) and value[1] > _ENDLESS:
        yield _letters([item])
        return
    if str(op).startswith("ASSERT") or str(op) in ("ATOMIC_GROUP", "POSSESSIVE_REPEAT"):
        return  # what they took they never take otherwise
    for inner in _inside(op, value):
        parts = list(inner)
        for place, part in enumerate(parts):
            stops = [_letters([other]) for n, other in enumerate(parts) if n != place and _least(other) > 0]
            yield from (letters for letters in _endless(part) if all(letters & stop for stop in stops))


def _least(item: Item) -> int:
    """Characters that it takes at least."""
    op, value = item
    match str(op):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return int(value[0]) * sum(map(_least, value[2]))
        case "BRANCH":
            return min(sum(map(_least, way)) for way in value[1])
        case "SUBPATTERN" | "ATOMIC_GROUP":
            return sum(map(_least, value[3] if str(op) == "SUBPATTERN" else value))
        case "AT" | "ASSERT" | "ASSERT_NOT" | "GROUPREF" | "GROUPREF_EXISTS":
            return 0
    return 1


def _letters(items: Sequence[Item]) -> Letters:
    """Every character that these may take, anywhere."""
    found: Letters = frozenset()
    for op, value in items:
        match str(op):
            case "LITERAL" | "NOT_LITERAL" | "IN" | "ANY":
                found |= _one(str(op), value)
            case "GROUPREF":
                return _ALL
            case "ASSERT" | "ASSERT_NOT" | "AT":
                continue
            case _:
                for inner in _inside(op, value):
                    found |= _letters(inner)
    return found


def _first(items: Sequence[Item]) -> Letters:
    """What it may begin with."""
    found: Letters = frozenset()
    for item in items:
        op, value = item
        inner = _inside(op, value)
        if str(op) in ("AT", "ASSERT", "ASSERT_NOT"):
            continue
        found |= frozenset().union(*map(_first, inner)) if inner else _letters([item])
        if _least(item) > 0:
            return found
    return found


def _one(op: str, value: Any) -> Letters:
    if op == "ANY":
        return _ALL - {10}
    if op == "LITERAL":
        return frozenset({min(int(value), _OTHER)})
    if op == "NOT_LITERAL":
        return _ALL - {int(value)}
    found: Letters = frozenset()
    inverted = False
    for kind, what in value:
        match str(kind):
            case "NEGATE":
                inverted = True
            case "LITERAL":
                found |= {min(int(what), _OTHER)}
            case "RANGE":
                found |= frozenset(range(min(what[0], _OTHER), min(what[1], _OTHER) + 1))
            case "CATEGORY":
                found |= _category(str(what))
    return (_ALL - found) | {_OTHER} if inverted else found


def _category(name: str) -> Letters:
    word = re.compile({"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[name.rpartition("_")[2]])
    found = frozenset(n for n in range(_OTHER) if word.fullmatch(chr(n))) | {_OTHER}
    return (_ALL - found) | {_OTHER} if "_NOT_" in name else found
