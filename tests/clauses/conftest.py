"""The laboratory for the clauses' own checks: its web interface, its desks, its browsers."""

from __future__ import annotations

from tests.accounts.conftest import house, make
from tests.api.conftest import clinic

__all__ = ["clinic", "house", "make"]
