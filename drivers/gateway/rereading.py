"""Kept raw bytes read again, by the definition that the instrument has now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drivers.capture_text import captured_by
from drivers.definition import Catalog, Protocol, load_catalog
from drivers.law_reading import law_of, read_law
from drivers.messages import ReadAgain

_PROTOCOLS: dict[str, Protocol] = {"hl7": "hl7", "metin": "metin", "tablo": "tablo", "poct1a": "poct1a"}


def make(catalog: Catalog | None = None, *, site: Path | None = None) -> Callable[[str, str, bytes], ReadAgain]:
    """A reader over this catalogue; by default the shipped one and the site's own definitions in `site`."""
    known = catalog if catalog is not None else load_catalog(*([site] if site is not None and site.is_dir() else []))

    def reread(definition: str, protocol: str, raw: bytes) -> ReadAgain:
        """Raises ValueError with a Turkish sentence where nothing can be read."""
        try:
            reader = known.get(definition)
        except KeyError:
            reader = known.generic(_PROTOCOLS.get(protocol, "astm"))
        again = ReadAgain(observations=[], definition=reader.key, revision=reader.revision)
        problems: list[str] = []
        for captured in captured_by(reader, raw):
            reading = reader.read(captured.text)
            law = law_of(reader.file) if reading.kind == "results" else None
            if law is not None:
                read = read_law(captured.text, reading.observations, reader.file, law)
                if read.verdict.code != "AA":  # refused then, refused now: nothing of it becomes a result
                    problems.append(read.verdict.sentence)
                    continue
                again.steps += read.steps
            again.observations += reading.observations
            if reading.problem:
                problems.append(reading.problem)
        if problems and not again.observations:
            raise ValueError(problems[0])
        return again

    return reread
