"""Kept raw messages read again: framing taken off, then the instrument's definition as it is today."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from drivers.definition import Catalog, Definition, UnknownModel, load_catalog
from drivers.messages import Observation
from drivers.protocols.astm_frames import build_block  # noqa: F401


@lru_cache(maxsize=1)
def _definitions() -> Catalog:
    return load_catalog()


def reread(definition: str, protocol: str, raw: bytes) -> Sequence[Observation]:
    raise ValueError("x")
