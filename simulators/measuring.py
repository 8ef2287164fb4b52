"""From what is in a tube to what an analyser prints."""

from __future__ import annotations

from random import Random

from simulators.models import Channel, Model
from simulators.physiology import ANALYTES, Analyte, Body, rounded
from simulators.worklist import Result

__all__ = ["measure"]

BORDERLINE = 0.9
"""Qualitative channels: from this part of the cut-off on, a value is borderline."""


def measure(model: Model, code: str, seed: int, barcode: str, run: int = 1) -> Result | None:
    """The result of one test, always the same for one seed, tube, code and run; None: this model has no such test."""
    channel = model.channels.get(code)
    if channel is None:
        if not model.open_menu:
            return None
        return Result(str(rounded(Random(f"{seed}/{barcode}/{code}/{run}").uniform(1, 10), 1)), flags=("N",), run=run)
    analyte = ANALYTES[channel.analyte]
    body = Body(seed, barcode)
    if analyte.words:
        return Result(body.word(channel.analyte), run=run, module=channel.module)
    amount = body.value(channel.analyte, run)
    if channel.cutoff is not None:
        return _qualitative(amount / channel.cutoff, channel, run)
    decimals = analyte.decimals if channel.decimals is None else channel.decimals
    low, high = (str(rounded(limit * channel.factor, decimals)) for limit in (analyte.low, analyte.high))
    value = str(rounded(amount * channel.factor, decimals))
    flag = _flag(float(value) / channel.factor, analyte)
    return Result(value, channel.unit, (flag,), f"{low}-{high}", run=run, module=channel.module)


def _qualitative(index: float, channel: Channel, run: int) -> Result:
    """Sign and index, as cobas e analysers print a finding: 1 positive, 0 borderline, -1 negative."""
    sign, word, flag = "-1", "Non-reactive", "N"
    if index >= 1:
        sign, word, flag = "1", "Reactive", "H"
    elif index >= BORDERLINE:
        sign, word = "0", "Borderline"
    value = f"{sign}^{rounded(index, 3)}"
    return Result(value, channel.unit, (flag,), run=run, module=channel.module, coded=(word[:3].upper(), word))


def _flag(amount: float, analyte: Analyte) -> str:
    if analyte.critical_low is not None and amount < analyte.critical_low:
        return "LL"
    if analyte.critical_high is not None and amount > analyte.critical_high:
        return "HH"
    return "L" if amount < analyte.low else "H" if amount > analyte.high else "N"
