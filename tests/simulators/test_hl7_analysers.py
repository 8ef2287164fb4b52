"""Simulated HL7 analysers against a manager on the project's own codecs (drivers.protocols.law, hl7, mllp)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from drivers.protocols.hl7 import acknowledge, parse
from drivers.protocols.law import (
    Code,
    Container,
    Envelope,
    OrmSetting,
    OrmWork,
    Patient,
    WorkStep,
    no_work,
    orm_response,
    query_response,
    read_orm_query,
    read_work_query,
    read_work_response,
    work_order,
)
from simulators.analyser import NotAccepted, Timing, build_analyser
from simulators.hl7_analyser import Hl7Analyser, LawAnalyser
from simulators.segments import Message, escape, segment, unescape
from simulators.worklist import Result
from tests.simulators.conftest import MORNING
from tests.simulators.hosts import MllpHost

NOW = datetime(2026, 12, 3, 8, 15, tzinfo=ZoneInfo("Europe/Istanbul"))
SERUM = Code("SER", "Serum", "HL70487")
TSH = Code("3016-3", "TSH", "LN", "TSH", "TSH", "99NUM")
FERR = Code("FERR", "Ferritin", "99NUM")


class Manager:
    """Answers queries from `work`, takes results; `ready` False = results are refused with AR."""

    def __init__(self) -> None:
        self.work: dict[str, list[WorkStep]] = {}
        self.code = "AA"
        self.answers: list[bytes] = []
        self._count = 0

    def _id(self) -> str:
        self._count += 1
        return f"n-{self._count}"

    def __call__(self, payload: bytes) -> Sequence[bytes]:
        message = parse(payload)
        kind = message.type[:2]
        if kind == ("QBP", "Q11"):
            query = read_work_query(message)
            tube = Container(query.container, material=SERUM)
            envelope = Envelope(self._id(), NOW)
            steps = self.work.get(query.container)
            patient = Patient("P1", family="ÖRNEK", given="AYŞE", sex="F")
            order = (
                work_order(tube, steps, patient, envelope) if steps else no_work(Container(query.container), envelope)
            )
            return [query_response(query, True, control_id=self._id(), now=NOW), order]
        if kind[0] == "ORL":
            self.answers.append(payload)
            return []
        return [acknowledge(message, self.code, control_id=self._id(), now=NOW)]  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def law(
    manager: Callable[[bytes], Sequence[bytes]], **options: object
) -> AsyncIterator[tuple[LawAnalyser, MllpHost]]:
    host = MllpHost(manager)
    settings: dict[str, object] = {"timing": Timing.hurried(answer=0.5), "now": lambda: MORNING} | options
    async with host.on_a_cable() as cable, build_analyser("generic-law", cable.plug, **settings) as analyser:
        assert isinstance(analyser, LawAnalyser)
        yield analyser, host


# ---- IHE LAW


async def test_a_tube_is_asked_about_and_its_steps_are_accepted():
    manager = Manager()
    manager.work["26000145"] = [WorkStep("AW-1", TSH, priority="S"), WorkStep("AW-2", FERR)]

    async with law(manager) as (analyser, host):
        work = await analyser.asks("26000145")

        query = parse(host.messages[0])
        assert (query.get("QPD", 1), query.get("QPD", 3), query.get("MSH", 21)) == ("WOS", "26000145", "LAB-27")
        offer = work["26000145"]
        assert [(test.code, test.reference, test.priority) for test in offer.tests] == [
            ("TSH", "AW-1", "S"),
            ("FERR", "AW-2", "R"),
        ]
        assert offer.patient is not None
        assert (offer.patient.family_name, offer.patient.given_name) == ("ÖRNEK", "AYŞE")
        await asyncio.sleep(0.02)
        assert [(one.awos_id, one.outcome) for one in read_work_response(parse(manager.answers[0]))] == [
            ("AW-1", "OK"),
            ("AW-2", "OK"),
        ]
        assert analyser.surprises == []


async def test_results_carry_the_step_the_code_and_the_time_of_analysis():
    manager = Manager()
    manager.work["26000145"] = [WorkStep("AW-1", TSH)]

    async with law(manager) as (analyser, host):
        await analyser.asks("26000145")
        await analyser.reports("26000145", {"TSH": ("2.41", "m[IU]/L", "N")}, FERR="<0.5 ng/mL")

        lines = host.messages[-1].decode().split("\r")
        assert [line.split("|")[0] for line in lines] == ["MSH", "SPM", "SAC", *["OBR", "ORC", "OBX"] * 2, ""]
        assert lines[1:6] == [
            "SPM|1|||SER^Serum^HL70487|||||||P^Patient^HL70369",
            "SAC|||26000145",
            "OBR|1|AW-1||3016-3^TSH^LN^TSH^TSH^99NUM",
            "ORC|SC||||CM",
            "OBX|1|NM|3016-3^TSH^LN^TSH^TSH^99NUM|1|2.41|m[IU]/L^^UCUM||N^^HL70078|||F|||||SIM||"
            "LAW-SIM^Numune~SN0001^Numune|20261203081500+0300||||||||||RSLT",
        ]
        assert lines[6] == 'OBR|2|""||FERR^FERR^99SIM'  # nobody ordered it
        assert lines[8].startswith("OBX|1|SN|FERR^FERR^99SIM|1|<^0.5|ng/mL^^UCUM|")
        assert [one.code for one in analyser.acknowledged_results] == ["TSH", "FERR"]


async def test_nothing_to_do_is_answered_with_msh_and_msa_alone():
    manager = Manager()

    async with law(manager) as (analyser, _):
        work = await analyser.asks("26000999")
        await asyncio.sleep(0.02)

        assert work.negative
        assert [each.name for each in parse(manager.answers[0]).segments] == ["MSH", "MSA"]
        assert await analyser.runs("26000999") is None


async def test_a_refused_test_is_not_run():
    manager = Manager()
    manager.work["26000145"] = [WorkStep("AW-1", TSH), WorkStep("AW-2", FERR)]

    async with law(manager) as (analyser, _):
        analyser.unable.add("FERR")
        report = await analyser.runs("26000145")
        await asyncio.sleep(0.02)

        assert report is not None
        assert [one.code for one in report.results] == ["TSH"]
        answers = [(one.awos_id, one.outcome) for one in read_work_response(parse(manager.answers[0]))]
        assert answers == [("AW-1", "OK"), ("AW-2", "UA")]


async def test_a_step_identifier_that_comes_twice_is_refused():
    manager = Manager()
    manager.work["26000145"] = [WorkStep("AW-1", TSH)]

    async with law(manager) as (analyser, _):
        await analyser.asks("26000145")
        await analyser.asks("26000145")

        assert analyser.surprises == ["work step 'AW-1' is empty or used twice"]


async def test_a_rerun_counts_up_and_says_what_it_is():
    async with law(Manager()) as (analyser, host):
        await analyser.runs("26000145", "TSH")
        await analyser.runs("26000145", "TSH")

        first, second = (Message(payload).first("OBX").field(4) for payload in host.messages)
        assert (first, second) == ("1", "2")
        assert b"TCD|TSH^TSH^99SIM|||||||R^Repeated without dilution^HL70389" in host.messages[1]


async def test_a_control_has_no_patient_and_names_its_lot():
    async with law(Manager()) as (analyser, host):
        await analyser.reports_qc("QC2-L88123", {"GLU": ("121.4", "mg/dL")}, lot="L88123")

        lines = host.messages[0].decode().split("\r")
        assert lines[1] == 'SPM|1|||""|||||||Q^Control specimen^HL70369'
        assert lines[3] == "INV|QC2-L88123^^99SIM|OK^^HL70383|CO^Control^HL70384|||||||||||||L88123"


async def test_a_qualitative_finding_goes_as_a_code():
    async with law(Manager()) as (analyser, host):
        await analyser.reports("26000145", HBSAG=Result("0.21", coded=("NEG", "Non-reactive")))

        assert (
            Message(host.messages[0])
            .first("OBX")
            .line.startswith("OBX|1|CWE|HBSAG^HBSAG^99SIM|1|NEG^Non-reactive^99SIM|")
        )


async def test_a_refused_result_is_not_called_acknowledged():
    manager = Manager()
    manager.code = "AR"

    async with law(manager) as (analyser, _):
        with pytest.raises(NotAccepted, match="AR"):
            await analyser.reports("26000145", TSH="2.41 m[IU]/L")

        assert analyser.acknowledged == []
        assert analyser.refusals[0].code == "AR"


async def test_silence_to_a_query_is_no_answer():
    async with law(lambda _: [], timing=Timing.hurried(answer=0.1, reply=0.1, attempts=2)) as (analyser, _):
        work = await analyser.asks("26000145")

        assert not work.answered


# ---- faults on MLLP


async def wire_with(fault: str, **timing: float) -> tuple[bytes, LawAnalyser, list[bytes]]:
    async with law(Manager(), timing=Timing.hurried(**timing)) as (analyser, host):
        analyser.faults.arm(fault)
        await analyser.reports("26000145", {"TSH": ("2.41", "m[IU]/L")})
        await asyncio.sleep(0.02)
        return bytes(host.wire), analyser, host.messages


async def faultless(fault_free: LawAnalyser) -> bytes:
    return b"\x0b" + fault_free.sent[1] + b"\x1c\r"


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("one_byte_at_a_time", lambda block: block),
        ("garbage", lambda block: b"\x00\xff~#" + block),
        ("merged", lambda block: block + block),
        ("repeats_frame", lambda block: block + block),
        ("lost_ack", lambda block: block + block),
        ("silent_after_enq", lambda block: b"\x0b" + block),
        ("no_terminator", lambda block: block[:-2] + block),
        ("cut_at:50", lambda block: block[:50] + block),
        ("endless:1000", lambda block: b"\x0b" + b"A" * 1000 + block),
    ],
)
async def test_a_fault_on_the_wire(fault: str, seen: Callable[[bytes], bytes]):
    wire, analyser, _ = await wire_with(fault, reply=0.1 if fault == "lost_ack" else 1.0)

    assert wire == seen(await faultless(analyser))
    assert len(analyser.acknowledged_messages) == 1
    assert analyser.surprises == []


async def test_segments_that_end_with_lf():
    wire, _, _ = await wire_with("lf_for_cr")

    assert wire.count(b"\n") == 6
    assert wire.count(b"\r") == 1  # the one after FS


async def test_content_faults():
    _, _, (unknown,) = await wire_with("unknown_record")
    _, _, (impossible,) = await wire_with("impossible_date")
    _, _, (text,) = await wire_with("text_for_number")

    assert unknown.endswith(b"\rZZZ|1|BILINMEYEN\r")
    assert Message(impossible).first("OBX").field(19) == "20261345257061"
    assert Message(text).first("OBX").line.startswith("OBX|1|NM|TSH^TSH^99SIM|1|-----|m[IU]/L^^UCUM|")


# ---- the Mindray kind


@contextlib.asynccontextmanager
async def mindray(answer: Callable[[bytes], Sequence[bytes]]) -> AsyncIterator[tuple[Hl7Analyser, MllpHost]]:
    host = MllpHost(answer)
    options = {"timing": Timing.hurried(), "now": lambda: MORNING}
    async with host.on_a_cable() as cable, build_analyser("mindray-bc-6800", cable.plug, **options) as analyser:
        assert isinstance(analyser, Hl7Analyser)
        yield analyser, host


def taken(payload: bytes) -> list[bytes]:
    return [acknowledge(parse(payload), "AA", control_id="n-1", now=NOW)]


async def test_a_mindray_sends_its_whole_panel_unasked():
    async with mindray(taken) as (analyser, host):
        report = await analyser.runs("1001")

        assert report is not None
        lines = host.messages[0].decode().split("\r")
        assert lines[0].startswith("MSH|^~\\&|BC-6800|Mindray|||20261203081500||ORU^R01|")
        assert lines[0].endswith("|P|2.3.1||||||UNICODE")
        assert lines[3].startswith("OBR|1||1001|00001^Automated Count^99MRC||20261203081500|20261203081500|")
        assert lines[6] == "OBX|3|IS|08003^Test Mode^99MRC||CBC+DIFF||||||F"
        assert lines[7].startswith("OBX|4|NM|6690-2^WBC^LN||")
        haemoglobin = next(line.split("|") for line in lines if "|718-7^HGB^LN|" in line)
        assert haemoglobin[6] == "g/L"
        assert 50 < int(haemoglobin[5]) < 220
        assert len(report.results) == len(analyser.model.channels) == 24


async def test_a_mindray_may_ask_with_an_order_message():
    def answer(payload: bytes) -> list[bytes]:
        query = read_orm_query(parse(payload))
        if query is None:
            return taken(payload)
        mode = OrmSetting("IS", Code("08003", "Test Mode", "99MRC"), "CBC+DIFF")
        work = OrmWork(Patient("P1"), (mode,)) if query.specimen == "1001" else None
        return [orm_response(query, work, control_id="n-1", now=NOW)]

    async with mindray(answer) as (analyser, host):
        known = await analyser.asks("1001")
        unknown = await analyser.asks("1009")

        assert Message(host.messages[0]).first("ORC").line == "ORC|RF||1001||IP"
        assert known.codes == list(analyser.model.channels)
        assert unknown.negative


# ---- captures, and the words of HL7


async def test_a_captured_message_goes_out_as_it_is(samples: Path):
    data = (samples / "hl7/mindray-bc-6800/oru-r01-cbc-diff.hl7").read_bytes()

    async with mindray(taken) as (analyser, host):
        await analyser.reports_raw(data)

        assert host.messages == [data.strip(b"\x0b\x1c\r\n") + b"\r"]
        assert analyser.acknowledged[0].kind == "raw"


def test_escapes_come_back():
    text = "a|b^c&d~e\\f\nÇ"

    assert unescape(escape(text)) == text
    assert unescape("\\X41\\ \\H\\") == "A \\H\\"


def test_msh_counts_its_own_separator():
    header = segment("MSH", f3="A", f9=["ORU", "R01"], f10="7")

    assert header == "MSH|^~\\&|A||||||ORU^R01|7"
    message = Message((header + "\rMSA|AA|7\r").encode())
    assert (message.control_id, message.kind, message.answers, message.code) == ("7", "ORU^R01", "7", "AA")
