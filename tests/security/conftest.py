"""Browsers of people, as the stories of accounts have them."""

from __future__ import annotations

from tests.accounts.conftest import clock, house, make, telephone

__all__ = ["clock", "house", "make", "telephone"]
