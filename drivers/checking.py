"""What the grammar of a definition cannot see: expressions that do not compile, places that make no sense together.

Checked when a definition is loaded; its reader is compiled when the first message comes (or by `prepare`).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from drivers.language import DefinitionError, DefinitionFile, Item, Place, Value, When
from drivers.places import compiled, parse_path
from drivers.protocols.astm_options import LinkOptions
from drivers.protocols.poct1a_words import Poct1aOptions
from drivers.protocols.text_links import make_link

LEAF = {"astm": "R", "hl7": "OBX"}
TRAILING = {"astm": frozenset(("C", "M", "S")), "hl7": frozenset(("INV", "TCD", "SID", "NTE"))}
_RECORDS = frozenset("HPOCRQLMS")


def check(file: DefinitionFile) -> None:
    """Raises DefinitionError."""
    _check_parts(file)
    if file.protocol in ("metin", "tablo", "poct1a"):
        _check_text(file)
        return
    if file.wire is not None or file.text is not None or file.table is not None:
        raise DefinitionError("[wire], [text] ve [table] yalnız metin ve tablo tanımlarında olabilir")
    for pattern in [*_expressions(file), *_row_and_comment_expressions(file)]:
        compiled(pattern)
    for name in ("specimen", "test", "value"):
        if not getattr(file, name).places:
            raise DefinitionError(f"[{name}] için from gereklidir")
    for name in file.__struct_fields__:
        part = getattr(file, name)
        if isinstance(part, Item):
            _check_item(name, part, file.protocol)
    _check_value(file.value, file.protocol)
    _check_besides(file)


def _check_parts(file: DefinitionFile) -> None:
    if file.protocol == "poct1a":
        _check_poct(file)
        return
    if file.protocol == "metin":
        if "query" in file.directions and (file.answer is None or file.text is None):
            raise DefinitionError("directions içinde query varsa [text] sorgu kuralı ve [answer] gereklidir")
        _check_encodings(file)
        return
    if "query" in file.directions and (file.query is None or file.answer is None):
        raise DefinitionError("directions içinde query varsa [query] ve [answer] gereklidir")
    law = file.answer.law if file.answer is not None else None
    if law is not None and "results" not in file.directions:
        raise DefinitionError("LAW cihazı sonuç bildirir (LAB-29): directions içinde results olmalıdır")
    if law is not None and law.options and "bi-directional" not in law.options:
        raise DefinitionError("[answer.law] options: seçenekler ancak bi-directional ile birlikte olabilir")
    if file.query is not None and not file.query.specimen:
        raise DefinitionError("[query] specimen gereklidir")
    if file.query is not None and file.protocol == "hl7" and not file.query.on:
        raise DefinitionError("[query.on] soran mesaj türlerini söylemelidir")
    for name in file.parameters:
        if name not in _names():
            raise DefinitionError(f"[parameters] {name}: tanımda böyle bir alan yok (örnek: qc.specimens)")
    if file.push is not None and (file.protocol != "astm" or file.answer is None or "orders" not in file.directions):
        raise DefinitionError("[push] yalnız ASTM'de, [answer] ile ve directions içinde orders varken kullanılır")
    if file.extra and file.protocol != "astm":
        raise DefinitionError("[[extra]] yalnız ASTM'de kullanılır")
    if file.lot.shared is not None and file.protocol != "astm":
        raise DefinitionError("[lot] shared yalnız ASTM'de kullanılır")
    _check_encodings(file)
    if file.protocol == "astm":
        try:
            LinkOptions(**link_options(file))
        except (TypeError, ValueError) as error:
            raise DefinitionError(f"[link]: {error}") from error


def _check_poct(file: DefinitionFile) -> None:
    """A POCT1-A definition reads XML, and asks only to whom a number belongs."""
    if file.text is None or not file.text.xml or file.wire is not None:
        raise DefinitionError("poct1a tanımında [text] xml = true olmalıdır; [wire] olamaz")
    if file.answer is not None or "query" in file.directions or "orders" in file.directions:
        raise DefinitionError("poct1a cihazı iş sormaz; directions yalnız results olabilir")
    _check_encodings(file)
    try:
        Poct1aOptions(**link_options(file))
    except (TypeError, ValueError) as error:
        raise DefinitionError(f"[poct]: {error}") from error


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    """Every word of the grammar with the table it stands in: `standing`, `specimen.from`, `answer.law.profile`."""
    return frozenset(_words(msgspec.inspect.type_info(DefinitionFile), ""))


def _words(kind: msgspec.inspect.Type, before: str) -> Iterator[str]:
    if isinstance(kind, msgspec.inspect.UnionType):
        for one in kind.types:
            yield from _words(one, before)
    elif isinstance(kind, msgspec.inspect.ListType):
        yield from _words(kind.item_type, before)
    elif isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            name = f"{before}{field.encode_name}"
            yield name
            yield from _words(field.type, f"{name}.")


def _check_encodings(file: DefinitionFile) -> None:
    for encoding in (file.encoding, file.answer.encoding if file.answer is not None else ""):
        try:
            codecs.lookup(encoding or "ascii")
        except LookupError as error:
            raise DefinitionError(f"böyle bir karakter kümesi yok: {encoding!r}") from error


def _check_text(file: DefinitionFile) -> None:
    """Definitions without records: their items have no paths, and each kind has its own table."""
    has_text = file.protocol in ("metin", "poct1a")
    if (file.text is None) == has_text or (file.table is None) == (file.protocol == "tablo"):
        raise DefinitionError("protocol metin ya da poct1a ise [text], tablo ise [table] gereklidir (ötekisi olamaz)")
    for name in file.__struct_fields__:
        part = getattr(file, name)
        if isinstance(part, Item) and part.places:
            raise DefinitionError(f"[{name}] from yalnız ASTM ve HL7 tanımlarında olur; metinde grupların adıdır")
    if file.qc.when or file.event.when:
        raise DefinitionError(
            "[qc] ve [event] when yalnız ASTM ve HL7 tanımlarında olur; [text] control, event kullanın"
        )
    for pattern in _expressions(file.specimen):
        compiled(pattern)
    if file.protocol == "tablo":
        if file.wire is not None or file.links != ["file"]:
            raise DefinitionError("tablo tanımının hattı yoktur; links = ['file'] olmalıdır")
        return
    if file.protocol == "poct1a":
        return
    if file.wire is None and file.links != ["file"]:
        raise DefinitionError("protocol metin ise [wire] gereklidir (yalnız dosya ile çalışan modeller dışında)")
    if file.wire is not None:
        try:
            make_link(file.wire.kind, link_options(file))
        except (TypeError, ValueError) as error:
            raise DefinitionError(f"[wire]: {error}") from error


def link_options(file: DefinitionFile) -> dict[str, Any]:
    """What [link] says about the link itself: keyword arguments of `LinkOptions` or `MllpOptions`; of `make_link` what
    [wire] says, of `Poct1aOptions` what [poct] says."""
    if file.protocol == "poct1a":
        return {name: value for name, value in msgspec.structs.asdict(file.poct).items() if value is not None}
    if file.protocol in ("metin", "tablo"):
        said = msgspec.structs.asdict(file.wire) if file.wire is not None else {}
        return {name: value for name, value in said.items() if value is not None and name != "kind"}
    mllp = ("missing_vt", "max_block")
    return {
        name: value
        for name, value in msgspec.structs.asdict(file.link).items()
        if value is not None
        and name not in ("cut", "frame_text", "connects")
        and (name in mllp) == (file.protocol == "hl7")
    }


def _check_item(name: str, item: Item, protocol: str) -> None:
    """Places of the result itself come before those above it; every record is one of this protocol."""
    above = False
    for place in item.places:
        path = parse_path(place if isinstance(place, str) else place.at)
        if (path.record in _RECORDS) != (protocol == "astm"):
            raise DefinitionError(f"[{name}] {path.text}: bu protokolde böyle bir kayıt yok")
        own = path.record == LEAF[protocol]
        if own and above:
            raise DefinitionError(f"[{name}]: sonucun kendi yerleri üst kayıtlardaki yerlerden önce gelmelidir")
        above = above or not (own or path.record in TRAILING[protocol])
        if own and name in ("specimen", "patient"):
            raise DefinitionError(f"[{name}] {path.text}: sonuç kaydında olamaz")


def _check_besides(file: DefinitionFile) -> None:
    """What is read beside the items: remarks, further parts of a code; and `hl7`."""
    for name, places in [("test", file.test.further), *(("remark", remark.places) for remark in file.remark)]:
        for place in places:
            path = parse_path(place if isinstance(place, str) else place.at)
            if (path.record in _RECORDS) != (file.protocol == "astm") or path.record in TRAILING[file.protocol]:
                raise DefinitionError(f"[{name}] {path.text}: sonucun kendisinde ya da üstünde olmalıdır")
    if file.comments.flag_list is not None and compiled(file.comments.flag_list).groups != 1:
        raise DefinitionError("[comments] flag_list tek bir küme içermelidir: 'Flag (.*)'")
    if file.hl7 is not None and file.protocol != "astm":
        raise DefinitionError("hl7 yalnız ASTM konuşan bir modelde kullanılır")


def _check_value(value: Value, protocol: str) -> None:
    if not value.typed:
        return
    first = value.places[0]
    if protocol != "hl7" or len(value.places) != 1 or not isinstance(first, str) or parse_path(first).component:
        raise DefinitionError("[value] typed = true yalnız HL7'de, tek ve bütün bir alanla kullanılır")


def _expressions(part: object) -> Iterator[str]:
    """Every regular expression of a definition."""
    if isinstance(part, Place):
        yield from (text for text in (part.match, part.unless) if text is not None)
        yield from part.when.values()
        return
    if isinstance(part, (list, tuple)):
        for entry in part:
            yield from entry.values() if isinstance(entry, dict) else _expressions(entry)
        return
    if not isinstance(part, msgspec.Struct):
        return
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if name in _EXPRESSION_LISTS:
            yield from value
        elif name in _EXPRESSIONS and isinstance(value, str):
            yield value
        elif name in _CONDITIONS:
            yield from _conditions(value)
        else:
            yield from _expressions(value)


_EXPRESSION_LISTS = frozenset(("not_read", "ignore", "specimens", "sender", "no_number", "titre"))
_EXPRESSIONS = frozenset(("all_tests", "shared"))
_CONDITIONS = frozenset(("when", "failed", "everything", "cancel", "on"))


def _conditions(value: When | Sequence[When] | dict[str, When]) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from entry.values()
    elif isinstance(value, dict):
        for entry in value.values():
            yield from entry.values() if isinstance(entry, dict) else [entry]


def _row_and_comment_expressions(file: DefinitionFile) -> list[str]:
    """Expressions in fields whose name means something else in another table."""
    found = [row.test for row in file.row if row.test is not None]
    found += [text for text in (file.comments.flags, file.comments.flag_list) if text is not None]
    found += [*file.value.nothing, *(pattern for remark in file.remark for pattern in remark.none)]
    return found
