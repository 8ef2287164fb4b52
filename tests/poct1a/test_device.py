"""The simulated device on a line of the gateway: two readings of POCT1-A that must agree, whatever goes wrong between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.definition import Catalog, load_catalog
from simulators.analyser import Timing, build_analyser
from simulators.cable import tcp_client
from simulators.cli import command
from simulators.faults import POCT_FAULTS
from simulators.poct1a_analyser import PoctAnalyser
from tests.poct1a.test_lines import FILE, Ward


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def device(ward: Ward) -> PoctAnalyser:
    made = build_analyser("generic-poct1a", tcp_client("127.0.0.1", ward.port), timing=Timing.hurried(reply=0.3))
    assert isinstance(made, PoctAnalyser)
    return made


async def test_a_day_at_the_bedside(tmp_path: Path, catalog: Catalog) -> None:
    """The clock is set, the operators come, continuous mode begins; a patient's result, a control, a rerun."""
    async with Ward(tmp_path, catalog, kullanicilar=[{"kimlik": "5047"}, {"kimlik": "5048"}]) as ward:
        async with device(ward) as meter:
            await meter.reports("26000145", GLU="104 mg/dL")
            await meter.reports_qc("HB-QC", {"GLU": "98 mg/dL"}, lot="Q26A")
            await meter.reports("26000145", {"GLU": ("106", "mg/dL", "H")}, rerun=True)
            session = meter.session
            assert session is not None and session.continuous and session.operators == ["5047", "5048"]
            told = session.told
        patient, control, again = await ward.arrived(3)

    assert told[-4:] == ["DTV SET_TIME", "OPL", "EOT OPL", "DTV START_CONTINUOUS"] and meter.surprises == []
    assert [(one.specimen, one.test, one.number, one.unit) for one in patient.observations] == [
        ("26000145", "GLU", 104.0, "mg/dL")
    ]
    assert [(one.kind, one.specimen, one.lot) for one in control.observations] == [("qc", "HB-QC", "Q26A")]
    assert [(one.value, one.flags) for one in again.observations] == [("106", ["H"])]
    assert len(meter.acknowledged_results) == 3


@pytest.mark.parametrize("fault", sorted(POCT_FAULTS))
async def test_a_fault_loses_nothing_and_applies_nothing_twice(fault: str, tmp_path: Path, catalog: Catalog) -> None:
    async with Ward(tmp_path, catalog) as ward, device(ward) as meter:
        await meter.reports("26000144", GLU="90 mg/dL")
        meter.faults.arm(fault)
        await meter.reports("26000145", GLU="104 mg/dL")
        await meter.reports("26000146", GLU="111 mg/dL")
        await meter.disconnect()
        await ward.arrived(3)

    specimens = [one.observations[0].specimen for one in ward.delivered]
    contents = {one.fingerprint for one in ward.delivered}
    assert list(dict.fromkeys(specimens)) == ["26000144", "26000145", "26000146"] and len(contents) == 3
    kept = b"".join(one.raw for one in ward.delivered)
    assert all(message in kept for message in meter.acknowledged_messages) and meter.surprises == []


async def test_a_device_that_only_gives_what_it_is_asked_for(tmp_path: Path, catalog: Catalog) -> None:
    """Basic profile: the host ends each conversation, the device calls again for the next result."""
    async with Ward(tmp_path, catalog) as ward, device(ward) as meter:
        meter._model = replace(meter.model, directives=())
        await meter.disconnect()
        await meter.reports("26000145", GLU="104 mg/dL")
        await meter.reports("26000146", GLU="111 mg/dL")
        await ward.arrived(2)

    assert [one.observations[0].specimen for one in ward.delivered] == ["26000145", "26000146"]


async def test_captured_documents_are_sent_as_they_are(tmp_path: Path, catalog: Catalog) -> None:
    async with Ward(tmp_path, catalog) as ward, device(ward) as meter:
        await meter.reports_raw(FILE.read_bytes())
        delivered = await ward.arrived(5)

    assert all(one.raw in FILE.read_bytes() for one in delivered)
    assert sum(len(one.observations) for one in delivered) == 8


def test_it_is_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["generic-poct1a", "--connect", "127.0.0.1:1", "--query"]) == 2
    assert command(["generic-poct1a", "--connect", "127.0.0.1:1", "--faults", "contention"]) == 2
    assert "bu protokolde olamaz" in capsys.readouterr().err
