"""The link codecs of proprietary instruments by name, made from the words of a definition's [wire] table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.protocols.astm_link import LinkOptions
from drivers.protocols.block_link import BlockLink, BlockOptions
from drivers.protocols.counter_links import AdviaLink, AstmFramesLink, CoulterLink
from drivers.protocols.polled_links import BciLink, DimensionLink, IntegraLink, Lis3Link, VesMaticLink
from drivers.protocols.text_link import TextLink, control

LIMITS = ("max_block", "max_message", "listen_limit", "reply_limit", "answer_limit")
_CONTROL = ("start", "closes", "drop", "join", "acknowledge", "refuse")
_LISTS = ("ends", "hello")
_BLOCK = ("check", "check_form", "check_covers", "answer", "bare_end", "pause")
_OWN: dict[str, tuple[type[TextLink], tuple[str, ...]]] = {
    "dimension": (DimensionLink, ()),
    "lis3": (Lis3Link, ()),
    "coulter": (CoulterLink, ()),
    "bci": (BciLink, ()),
    "ves-matic": (VesMaticLink, ("delay",)),
    "integra": (IntegraLink, ("poll", "unit_name")),
    "advia": (AdviaLink, ("delay",)),
}


def make_link(kind: str, options: Mapping[str, Any], *, lenient: bool = False) -> TextLink:
    """A link of this kind.

    options: words of a [wire] table without `kind`. lenient: for captured bytes; a wrong check is noted, not refused.
    Raises ValueError: a word that this kind does not have, or a text that is no control character.
    """
    given = {name: value for name, value in options.items() if value is not None}
    limits = {name: given.pop(name) for name in LIMITS if name in given}
    if kind == "block":
        return BlockLink(_block_options(given, lenient), **limits)
    if kind == "astm":
        required = given.pop("checksum", "required")
        echo = [text.encode("latin-1") for text in given.pop("echo", [])]
        _nothing_left(kind, given)
        chosen: Any = "optional" if lenient and required == "required" else required
        return AstmFramesLink(LinkOptions(checksum=chosen, require_enq=not lenient), echo=echo)
    made = _OWN.get(kind)
    if made is None:
        raise ValueError(f"böyle bir hat türü yok: {kind!r}")
    own = {name: given.pop(name) for name in made[1] if name in given}
    _nothing_left(kind, given)
    if kind == "coulter":
        own["lenient"] = lenient
    if kind == "bci":
        own["check_required"] = not lenient
    return made[0](**own, **limits)


def _block_options(given: dict[str, Any], lenient: bool) -> BlockOptions:
    chosen: dict[str, Any] = {name: given.pop(name) for name in _BLOCK if name in given}
    chosen |= {name: control(given.pop(name)) for name in _CONTROL if name in given}
    chosen |= {name: tuple(control(word) for word in given.pop(name)) for name in _LISTS if name in given}
    if "keep_alive" in given:
        chosen["keep_alive"] = tuple(word.encode("latin-1") for word in given.pop("keep_alive"))
    chosen["check_required"] = given.pop("checksum", "required") == "required" and not lenient
    _nothing_left("block", given)
    options = BlockOptions(**chosen)
    if not options.start and not (options.bare_end or options.pause):
        raise ValueError("başlangıç karakteri olmayan hatta bare_end ya da pause gereklidir")
    if options.start and not options.ends:
        raise ValueError("ends boş olamaz")
    return options


def _nothing_left(kind: str, given: Mapping[str, Any]) -> None:
    if given:
        raise ValueError(f"{kind} hattında bilinmeyen ayar: {', '.join(sorted(given))}")
