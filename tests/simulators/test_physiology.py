"""Values look like those of people: stable, plausible, mostly normal, and consistent with each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.measuring import measure
from simulators.models import MODELS
from simulators.physiology import ANALYTES, Body, rounded

TUBES = st.integers(0, 10**6).map(str)


@given(TUBES, st.sampled_from(sorted(ANALYTES)))
def test_the_same_tube_has_the_same_value(tube: str, code: str):
    one, two = Body(1, tube), Body(1, tube)

    if ANALYTES[code].words:
        assert one.word(code) == two.word(code)
    else:
        assert one.value(code) == two.value(code) >= 0


@given(TUBES)
def test_red_cell_indices_follow_from_each_other(tube: str):
    body = Body(1, tube)

    assert body.value("HCT") == pytest.approx(body.value("RBC") * body.value("MCV") / 10)
    assert body.value("MCHC") == pytest.approx(body.value("HGB") * 100 / body.value("HCT"))
    assert body.value("MCH") == pytest.approx(body.value("HGB") * 10 / body.value("RBC"))


@given(TUBES)
def test_the_differential_adds_up(tube: str):
    body = Body(1, tube)
    shares = [body.value(f"{cell}%") for cell in ("NEUT", "LYMPH", "MONO", "EO", "BASO")]

    assert sum(shares) == pytest.approx(100)
    assert body.value("NEUT#") == pytest.approx(body.value("WBC") * shares[0] / 100)


def test_one_in_fifteen_is_abnormal_and_critical_ones_are_rare():
    numeric = [code for code, analyte in ANALYTES.items() if not analyte.words]
    abnormal = critical = total = 0
    for tube in range(200):
        body = Body(7, str(tube))
        for code in numeric:
            analyte, value = ANALYTES[code], body.value(code)
            total += 1
            abnormal += not analyte.low <= value <= analyte.high
            low, high = analyte.critical_low, analyte.critical_high
            critical += (low is not None and value < low) or (high is not None and value > high)

    assert 1 / 20 < abnormal / total < 1 / 11
    assert 0 < critical / total < 1 / 100


@pytest.mark.parametrize(
    ("number", "decimals", "text"), [(2.345, 2, "2.35"), (5.4, 2, "5.40"), (0.5, 0, "1"), (99.95, 1, "100.0")]
)
def test_rounding_as_printed(number: float, decimals: int, text: str):
    assert str(rounded(number, decimals)) == text


def test_every_model_can_measure_all_its_channels():
    for model in MODELS.values():
        for code, channel in model.channels.items():
            result = measure(model, code, 1, "1001")
            assert result is not None
            assert result.value
            assert result.unit == channel.unit or ANALYTES[channel.analyte].words


def test_a_qualitative_finding_has_sign_and_index():
    values = {measure(MODELS["roche-cobas-e411"], "400", 1, str(tube)).value for tube in range(300)}  # type: ignore[union-attr]

    assert {value.split("^")[0] for value in values} == {"-1", "0", "1"}


def test_an_analyser_without_the_test_says_so():
    assert measure(MODELS["roche-cobas-c311"], "999", 1, "1001") is None
    assert measure(MODELS["generic-astm"], "XYZ", 1, "1001") is not None
