"""Clauses on analysers, checked over real sockets the way their own `check` says."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import catalog
from tests.stories.conftest import Laboratory, laboratory

__all__ = ["catalog", "laboratory"]


@pytest.mark.clause("2.8.9a")
async def test_a_one_way_and_a_two_way_analyser_run_tubes_of_one_number(laboratory: Laboratory) -> None:
    """One only sends; the other asks for its orders first, runs exactly these, and sends."""
    order = await laboratory.order(["GLU", "ESR"], number="1051")
    await laboratory.receives(order)
    async with laboratory.analyser("sedim") as one_way:
        await one_way.reports(laboratory.barcode(order, "Sedim"), {"ESR": "12"})
    async with laboratory.analyser("biyokimya") as two_way:
        offered = (await two_way.asks(order.number))[order.number]
        assert len(offered.codes) == 1
        await two_way.runs(order.number)
    await laboratory.settled()
    assert await laboratory.states("1051") == {"GLU": "sonuclandi", "ESR": "sonuclandi"}
    assert await laboratory.instrument_of("1051", "GLU") == "biyokimya"
    assert await laboratory.instrument_of("1051", "ESR") == "sedim"
    assert await laboratory.unmatched() == []
