"""Simulators against the instrument definitions: two independent readings of the same dialects must agree."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from drivers.definition import Catalog, Definition, load_catalog
from drivers.messages import WorkOrder, WorkPatient, WorkTest
from drivers.protocols.hl7 import acknowledge, parse
from simulators.analyser import Analyser, Timing, build_analyser
from simulators.models import MODELS, AstmModel
from tests.simulators.conftest import MORNING, Bench
from tests.simulators.hosts import MllpHost

NOW = datetime(2026, 12, 3, 8, 15, tzinfo=ZoneInfo("Europe/Istanbul"))
ASTM = sorted(key for key, model in MODELS.items() if isinstance(model, AstmModel))
ASKING = [key for key in ASTM if MODELS[key].asks]
AYSE = WorkPatient("H100", "ÖRNEK", "AYŞE", "19800214", "F")


@cache
def catalog() -> Catalog:
    return load_catalog()


def offered(key: str) -> list[str]:
    """A few of the model's codes."""
    return list(MODELS[key].channels)[:3]


def answers(definition: Definition, codes: Sequence[str], known: str):
    """What the definition says: `codes` for the tube `known`, nothing for others; one host for both protocols."""

    def answer(message: bytes) -> list[bytes]:
        reading = definition.read(message)
        out: list[bytes] = []
        for query in reading.queries:
            tests = tuple(WorkTest(code, reference=f"AW-{code}-{query.specimens[0]}") for code in codes)
            orders = [
                WorkOrder(specimen=tube, known=tube == known, tests=tests if tube == known else (), patient=AYSE)
                for tube in query.specimens
            ]
            if not query.cancels:
                out += definition.answer(query, orders, now=NOW, sender="NUMUNE", control_id=f"n{query.specimens[0]}")
        return out

    return answer


def astm_host(definition: Definition, codes: Sequence[str], known: str):
    say = answers(definition, codes, known)
    return lambda message: [record for text in say(message) for record in text.split(b"\r") if record] or None


@pytest.mark.parametrize("key", ASKING)
async def test_an_offer_comes_through_and_exactly_it_is_run_and_read(key: str, bench: Bench):
    definition = catalog().get(key)
    async with bench(key, astm_host(definition, offered(key), "1001")) as (analyser, _):
        report = await analyser.runs("1001")

        assert analyser.surprises == []
        assert report is not None
        assert analyser.offers["1001"].codes == offered(key)
        read_back(definition, analyser, report.raw)


@pytest.mark.parametrize("key", ASKING)
async def test_nothing_to_do_comes_through(key: str, bench: Bench):
    definition = catalog().get(key)
    settings = {"timing": Timing.hurried(answer=0.2)}
    async with bench(key, astm_host(definition, offered(key), "1001"), **settings) as (analyser, _):
        work = await analyser.asks("9999")

        assert work.codes == []
        assert work.answered or analyser.model.silence_means_nothing
        assert analyser.surprises == []


@pytest.mark.parametrize("key", ASTM)
async def test_everything_that_a_model_can_measure_is_read(key: str, bench: Bench):
    definition = catalog().get(key)
    async with bench(key) as (analyser, _):
        report = await analyser.runs_codes("1001", analyser.model.channels)

        assert report is not None
        read_back(definition, analyser, report.raw)


def read_back(definition: Definition, analyser: Analyser, raw: bytes) -> None:
    """What the definition reads is what the analyser means."""
    reading = definition.read(raw)
    read = [(one.kind, one.specimen, one.test, one.unit) for one in reading.observations if one.kind == "result"]
    sent = [
        ("result", one.specimen, one.code.split("^")[0], one.result.unit or None)
        for one in analyser.acknowledged_results
    ]
    assert reading.problem is None
    assert read == sent
    for observation, one in zip(
        [one for one in reading.observations if one.kind == "result"], analyser.acknowledged_results, strict=True
    ):
        assert observation.value in {one.result.value, one.result.value.partition("^")[2]}
        assert observation.measured_at is None or observation.measured_at.startswith("2026-12-03T08:15:00")


@pytest.mark.parametrize("key", [key for key in ASTM if key != "alcor-ised"])  # how it marks controls is not public
async def test_a_control_is_never_taken_for_a_patient(key: str, bench: Bench):
    definition = catalog().get(key)
    code = offered(key)[0]
    async with bench(key) as (analyser, _):
        report = await analyser.reports_qc("QC-01", {code: ("7.0", "x")})

    assert {one.kind for one in definition.read(report.raw).observations} == {"qc"}


# ---- HL7


def mllp_host(definition: Definition, codes: Sequence[str], known: str) -> MllpHost:
    say = answers(definition, codes, known)

    def answer(payload: bytes) -> list[bytes]:
        message = parse(payload)
        if message.get("MSA", 1):
            return []
        return say(payload) or [acknowledge(message, "AA", control_id="n-1", now=NOW)]

    return MllpHost(answer)


@pytest.mark.parametrize(
    ("key", "codes", "run"),
    [("generic-law", ["TSH", "FERR"], ["TSH", "FERR"]), ("mindray-bc-6800", ["CBC+DIFF"], None)],
)
async def test_hl7_work_comes_through_and_results_are_read(key: str, codes: list[str], run: list[str] | None):
    definition = catalog().get(key)
    host = mllp_host(definition, codes, "1001")
    settings = {"timing": Timing.hurried(answer=0.5), "now": lambda: MORNING}
    async with host.on_a_cable() as cable, build_analyser(key, cable.plug, **settings) as analyser:
        nothing = await analyser.asks("9999")
        work = await analyser.asks("1001")
        report = await analyser.runs_codes("1001", work["1001"].codes)
        await asyncio.sleep(0.02)

        assert nothing.negative
        assert work.codes == (run or list(analyser.model.channels))
        assert report is not None
        assert analyser.surprises == []
        read_back(definition, analyser, report.raw)


async def test_hl7_controls_are_never_taken_for_patients():
    for key in ("generic-law", "mindray-bc-6800"):
        definition = catalog().get(key)
        host = mllp_host(definition, [], "")
        async with host.on_a_cable() as cable, build_analyser(key, cable.plug, timing=Timing.hurried()) as analyser:
            report = await analyser.reports_qc("QC-01", {"GLU" if key == "generic-law" else "WBC": ("7.0", "x")})

        assert {one.kind for one in definition.read(report.raw).observations} - {"event"} == {"qc"}
