"""What is written into the field for translations and interpretations of a code."""

from __future__ import annotations

import pytest

from api.screens.instrument_codes import _translations
from lis_core.domain.errors import NumuneError


def test_words_and_cut_offs_stand_in_one_field() -> None:
    written = "negative = Negatif\r\n\n>= 1.0 = POZİTİF\n<1,0=NEGATİF\n ≥ 1/80 = Pozitif (titre)\nA = B = C"

    assert _translations(written) == {
        "negative": "Negatif", ">= 1.0": "POZİTİF", "<1,0": "NEGATİF", "≥ 1/80": "Pozitif (titre)", "A": "B = C",
    }  # fmt: skip


@pytest.mark.parametrize("written", ["negative", "= Negatif", "negative =", "> 1.0", ">= 1.0", "<= = x"])
def test_a_line_that_says_nothing_is_refused(written: str) -> None:
    with pytest.raises(NumuneError, match="cihazdaki = bizdeki"):
        _translations(written)
