"""Shared by the tests of the instrument definitions: the catalogue, and where the captures are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drivers.definition import Catalog, load_catalog

SAMPLES = Path(os.environ.get("NUMUNE_SAMPLES") or Path(__file__).parents[3] / "shared" / "samples")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


def capture(name: str) -> bytes:
    """The bytes of a captured file, read where it stands; the test is skipped by name without it."""
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip(f"captured sample {name} is not beside this checkout (NUMUNE_SAMPLES)")
    return path.read_bytes()
