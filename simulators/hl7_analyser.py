"""Analysers that speak HL7 over MLLP: IHE LAW (QBP, OML, OUL) and ORU^R01 of the Mindray kind (HL7 2.3.1)."""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from simulators.analyser import Analyser, NotAccepted, Report
from simulators.astm_dialect import IMPOSSIBLE_TIME
from simulators.cable import End, Plug
from simulators.law_reading import read_work, test_code
from simulators.mllp_session import MllpSession
from simulators.models import Hl7Model
from simulators.segments import Message, Segment, escape, segment, stamp
from simulators.worklist import Offer, OfferedTest, Receipt, Reported, Result, WorkList

__all__ = ["Hl7Analyser", "LawAnalyser", "MindrayAnalyser"]

UNKNOWN_SEGMENT = "ZZZ|1|BILINMEYEN"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
ACCEPTED = frozenset({"AA", "CA"})
COMPARED = re.compile(r"([<>]=?)\s*(-?\d+(?:\.\d+)?)")


class Hl7Analyser(Analyser):
    """What both kinds share: control ids, answers, receipts. refusals: answers to our results that were not AA."""

    _model: Hl7Model

    def __init__(self, model: Hl7Model, plug: Plug, **options: Any) -> None:
        super().__init__(model, plug, **options)
        self.refusals: list[Message] = []
        self._work: asyncio.Queue[Message] = asyncio.Queue()
        self._run_id = uuid4().hex[:8]  # control ids must be new in every run of the simulator
        self._controls = 0
        self._untyped = ""  # the code whose text goes out as a number (fault text_for_number)

    @property
    def model(self) -> Hl7Model:
        """Its profile."""
        return self._model

    def _open(self, end: End) -> MllpSession:
        session = MllpSession(end, self.timing, lambda message: self._on_request(session, message))
        return session

    @abstractmethod
    async def _on_request(self, session: MllpSession, message: Message) -> None:
        """A message that the host began."""

    @abstractmethod
    def _result_segments(self, barcode: str, results: Mapping[str, list[Result]], qc: bool, lot: str) -> list[str]:
        """All segments after MSH, one by one."""

    def _control_id(self) -> str:
        self._controls += 1
        return f"{self._run_id}-{self._controls:06}"

    def _bytes(self, segments: Sequence[str], end: str = "\r") -> bytes:
        return "".join(line + end for line in segments).encode(self.model.encoding)

    async def _exchange(
        self, segments: Sequence[str], control_id: str, kind: str, results: tuple[Reported, ...] = ()
    ) -> Message:
        end = "\n" if self.faults.take("lf_for_cr") else "\r"
        return await self._deliver(self._bytes(segments, end), control_id, kind, results)

    async def _deliver(self, message: bytes, control_id: str, kind: str, results: tuple[Reported, ...] = ()) -> Message:
        """Send until answered. Raises NotAccepted (no answer), LineDown."""
        self._messages += 1
        number = self._messages
        self.sent[number] = message

        async def exchange(session: MllpSession) -> Message:
            return await session.exchange(message, control_id, self.faults)

        answer: Message = await self._over_the_line(exchange)
        if answer.code in ACCEPTED:
            self.acknowledged.append(Receipt(number, 1, message, True, kind, results))
        else:
            self.refusals.append(answer)
            self.tell(f"mesaj kabul edilmedi: {answer.code} {answer.first('ERR').get(8) or answer.first('MSA').get(3)}")
        return answer

    async def _send_results(self, barcode: str, results: Mapping[str, list[Result]], qc: bool, lot: str) -> Report:
        control_id = self._control_id()
        if self.faults.take("text_for_number") and results:
            first = next(iter(results))
            spoilt = Result(self.model.unavailable, results[first][0].unit, run=results[first][0].run)
            results = {**results, first: [spoilt, *results[first][1:]]}
            self._untyped = first  # it still calls itself a number
        segments = [self._result_header(control_id), *self._result_segments(barcode, results, qc, lot)]
        self._untyped = ""
        number = self._messages + 1
        if self.faults.take("unknown_record"):
            segments.append(UNKNOWN_SEGMENT)
        reported = tuple(Reported(barcode, code, one, qc) for code, runs in results.items() for one in runs)
        answer = await self._exchange(segments, control_id, "results", reported)
        if answer.code not in ACCEPTED:
            raise NotAccepted(f"{answer.code}: {answer.first('ERR').line or answer.first('MSA').line}")
        return Report(number, barcode, reported, self.sent[number])

    @abstractmethod
    def _result_header(self, control_id: str) -> str:
        """MSH of a result message."""

    async def reports_raw(self, data: bytes) -> None:
        """See Analyser. Every MSH message of the capture is one exchange; segments end with CR on the line."""
        for text in re.split(rb"(?:^|(?<=[\r\n\x0b\x1c]))(?=MSH\|)", data):
            lines = [line for line in re.split(rb"[\r\n]+", text.strip(b"\x0b\x1c\r\n ")) if line]
            if lines and lines[0].startswith(b"MSH"):
                message = b"".join(line + b"\r" for line in lines)
                await self._deliver(message, Message(message).control_id, "raw")

    def _moment(self, result: Result, first: bool) -> str:
        if first and self.faults.take("impossible_date"):
            return IMPOSSIBLE_TIME
        return stamp(result.measured_at or self.now(), self.model.offset)


def value_type(result: Result) -> tuple[str, str]:
    """(OBX-2, OBX-5) for a value."""
    if result.coded:
        return "CWE", f"{escape(result.coded[0])}^{escape(result.coded[1])}^99SIM"
    if NUMBER.fullmatch(result.value):
        return "NM", result.value
    if compared := COMPARED.fullmatch(result.value):
        return "SN", f"{compared[1]}^{compared[2]}"
    return "ST", escape(result.value)


class LawAnalyser(Hl7Analyser):
    """IHE LAW: LAB-27 query, LAB-28 work (on the same connection), LAB-29 results.

    unable: codes of tests that it refuses (ORC-1 UA) and does not run. cancelled: steps that the host took back.
    """

    def __init__(self, model: Hl7Model, plug: Plug, **options: Any) -> None:
        super().__init__(model, plug, **options)
        self.unable: set[str] = set()
        self.cancelled: list[str] = []
        self._steps: dict[str, list[OfferedTest]] = {}  # tube: the steps that it has accepted
        self._known_steps: set[str] = set()
        self._materials: dict[str, str] = {}

    def _header(self, kind: str, control_id: str, profile: str, *, request: bool = True) -> str:
        return segment(
            "MSH",
            f3=self.model.application,
            f4=self.model.facility,
            f5="NUMUNE",
            f7=stamp(self.now(), self.model.offset),
            f9=kind,
            f10=control_id,
            f11="P",
            f12="2.5.1",
            f15="NE" if request else "",
            f16="AL" if request else "",
            f18="UNICODE UTF-8",
            f21=f"{profile}^IHE",
        )

    def _result_header(self, control_id: str) -> str:
        return self._header("OUL^R22^OUL_R22", control_id, "LAB-29")

    # ---- asking -----------------------------------------------------------------------------------------------------

    async def asks(self, *barcodes: str) -> WorkList:
        """See Analyser. One query a tube; the work comes as OML^O33 after the RSP^K11."""
        offers: list[Offer] = []
        raw: list[bytes] = []
        answered = True
        for barcode in barcodes:
            work = await self._ask(barcode)
            offers += work.offers
            raw += work.raw
            answered = answered and work.answered
        self.offers |= {offer.specimen: offer for offer in offers}
        return WorkList(tuple(offers), answered, tuple(raw))

    async def _ask(self, barcode: str) -> WorkList:
        while not self._work.empty():
            self.unasked += read_work(self._work.get_nowait(), [], self.model.channels).offers
        control_id, tag = self._control_id(), uuid4().hex
        name = "WOS^Work Order Step^IHELAW"
        query = [
            self._header("QBP^Q11^QBP_Q11", control_id, "LAB-27"),
            segment("QPD", f1=name, f2=tag, f3=escape(barcode)),
            segment("RCP", f1="I", f3="R^Real Time^HL70394"),
        ]
        try:
            answer = await self._exchange(query, control_id, "query")
        except NotAccepted:
            return WorkList()
        acknowledgement = answer.first("QAK")
        if acknowledgement.get(1) != tag:
            self.surprises.append(f"QAK-1 is {acknowledgement.get(1)!r}, the query was {tag!r}")
        if answer.code != "AA" or acknowledgement.get(2) != "OK":
            return WorkList((), True, (answer.raw,))
        return await self._wait_for_work(barcode, answer)

    async def _wait_for_work(self, barcode: str, response: Message) -> WorkList:
        raw = [response.raw]
        wait = self.timing.answer or self.model.answer_wait
        try:
            async with asyncio.timeout(wait):
                while True:
                    message = await self._work.get()
                    raw.append(message.raw)
                    work = read_work(message, self.surprises, self.model.channels)
                    if any(offer.specimen == barcode for offer in work.offers):
                        usable = tuple(self._without_refused(offer) for offer in work.offers)
                        return WorkList(usable, True, tuple(raw))
                    self.unasked += work.offers
        except TimeoutError:
            return WorkList((), False, tuple(raw))

    def _without_refused(self, offer: Offer) -> Offer:
        accepted = {step.reference for step in self._steps.get(offer.specimen, [])}
        tests = tuple(test for test in offer.tests if test.reference in accepted)
        return Offer(offer.specimen, tests, offer.patient, offer.material)

    async def _on_request(self, session: MllpSession, message: Message) -> None:
        if message.kind != "OML^O33":
            self.surprises.append(f"the host sent {message.kind}")
            header = self._header(f"ACK^{message.kind.partition('^')[2]}^ACK", self._control_id(), "", request=False)
            await session.answer(self._bytes([header, segment("MSA", f1="AA", f2=message.control_id)]))
            return
        await session.answer(self._bytes(self._accept(message)))
        self._work.put_nowait(message)

    def _accept(self, message: Message) -> list[str]:
        """ORL^O34: one ORC for every step, with what becomes of it; MSH and MSA alone for "nothing to do"."""
        header = self._header("ORL^O34^ORL_O42", self._control_id(), "LAB-28", request=False)
        answer = [header, segment("MSA", f1="AA", f2=message.control_id)]
        tube, action, specimen = "", "", Segment("SPM")
        for part in message:
            if part.name == "SPM":
                specimen = part
            elif part.name == "SAC":
                tube = part.get(3)
                self._materials[tube] = specimen.field(4)
                kept = segment(
                    "SPM", f1=specimen.field(1), f2=specimen.field(2), f4=specimen.field(4), f11=specimen.field(11)
                )
                answer += [kept, segment("SAC", f3=escape(tube))]
            elif part.name == "ORC":
                action = part.get(1)
                if action == "DC":
                    return answer[:2]
            elif part.name == "OBR" and action in {"NW", "CA"}:
                answer.append(self._decide(tube, action, part.get(2), part.field(4)))
        return answer

    def _decide(self, tube: str, action: str, step: str, coding: str) -> str:
        if action == "CA":
            self.cancelled.append(step)
            self._steps[tube] = [kept for kept in self._steps.get(tube, []) if kept.reference != step]
            return segment("ORC", f1="CR", f2=step, f5="CA")
        code = test_code(coding, self.model.channels)
        if not step or step in self._known_steps:
            self.surprises.append(f"work step {step!r} is empty or used twice")
        elif code not in self.unable:
            self._known_steps.add(step)
            self._steps.setdefault(tube, []).append(OfferedTest(code, reference=step, coding=coding))
            return segment("ORC", f1="OK", f2=step, f5="SC")
        return segment("ORC", f1="UA", f2=step, f5="CA")

    # ---- reporting --------------------------------------------------------------------------------------------------

    def _result_segments(self, barcode: str, results: Mapping[str, list[Result]], qc: bool, lot: str) -> list[str]:
        material = '""' if qc else self._materials.get(barcode) or '""'
        role = "Q^Control specimen^HL70369" if qc else "P^Patient^HL70369"
        segments = [segment("SPM", f1="1", f4=material, f11=role), segment("SAC", f3=escape(barcode))]
        if qc:
            inventory = {"f1": f"{escape(barcode)}^^99SIM", "f2": "OK^^HL70383", "f3": "CO^Control^HL70384", "f16": lot}
            segments.append(segment("INV", **inventory))
        number = 0
        for code, runs in results.items():
            steps = [] if qc else [step for step in self._steps.get(barcode, []) if step.code == code]
            groups = [[run] for run in runs] if len(steps) == len(runs) > 1 else [runs]
            for at, group in enumerate(groups):
                number += 1
                step = steps[min(at, len(steps) - 1)] if steps else OfferedTest(code, reference='""')
                coding = step.coding or f"{escape(code)}^{escape(code)}^99SIM"
                segments.append(segment("OBR", f1=str(number), f2=step.reference, f4=coding))
                segments.append(segment("ORC", f1="SC", f5="CM"))
                for place, result in enumerate(group, 1):
                    run = f"{result.run}/{place}" if len(group) > 1 else str(result.run)
                    first = number == place == 1
                    segments += self._observation(place, code, coding, result, run, first=first)
        return segments

    def _observation(self, place: int, code: str, coding: str, result: Result, run: str, *, first: bool) -> list[str]:
        kind, value = value_type(result)
        fields = {
            "f1": str(place),
            "f2": "NM" if code == self._untyped else kind,
            "f3": coding,
            "f4": run,
            "f5": value,
            "f6": f"{escape(result.unit)}^^UCUM" if result.unit else "",
            "f7": escape(result.range),
            "f8": "~".join(f"{flag}^^HL70078" for flag in result.flags),
            "f11": result.status or "F",
            "f16": escape(self.operator),
            "f18": self.model.device,
            "f19": self._moment(result, first),
            "f29": "RSLT",
        }
        lines = [segment("OBX", **fields)]
        if result.run > 1:
            lines.append(segment("TCD", f1=coding, f8="R^Repeated without dilution^HL70389"))
        return lines


class MindrayAnalyser(Hl7Analyser):
    """ORU^R01 of a Mindray blood counter; asks with ORM^O01 (ORC-1 RF) where a story wants it to."""

    def _header(self, kind: str, control_id: str) -> str:
        moment: datetime = self.now()
        application, facility = self.model.application, self.model.facility
        fields = {"f3": application, "f4": facility, "f7": stamp(moment), "f9": kind, "f10": control_id}
        return segment("MSH", **fields, f11="P", f12="2.3.1", f18="UNICODE")

    def _result_header(self, control_id: str) -> str:
        return self._header("ORU^R01", control_id)

    async def asks(self, *barcodes: str) -> WorkList:
        """See Analyser. ORR^O02 names the mode (CBC, CBC+DIFF) or single codes."""
        offers: list[Offer] = []
        raw: list[bytes] = []
        for barcode in barcodes:
            control_id = self._control_id()
            question = [self._header("ORM^O01", control_id), segment("ORC", f1="RF", f3=escape(barcode), f5="IP")]
            try:
                answer = await self._exchange(question, control_id, "query")
            except NotAccepted:
                return WorkList(tuple(offers), False, tuple(raw))
            raw.append(answer.raw)
            offers.append(Offer(barcode, self._tests_of(answer)))
        self.offers |= {offer.specimen: offer for offer in offers}
        return WorkList(tuple(offers), True, tuple(raw))

    def _tests_of(self, answer: Message) -> tuple[OfferedTest, ...]:
        if answer.code != "AA":
            return ()
        named = [part.field(3 if part.name == "OBX" else 4) for part in answer if part.name in {"OBX", "OBR"}]
        short = {code.split("^")[0]: code for code in self.model.channels}
        single = [short[name.split("^")[0]] for name in named if name.split("^")[0] in short]
        modes = [part.get(5) for part in answer if part.name == "OBX" and part.get(3) == "08003"]
        if not single and modes:
            cells = tuple(code for code in self.model.channels if not re.search(r"[#%]\^", code))
            single = list(self.model.channels) if "DIFF" in modes[0] else list(cells)
        return tuple(OfferedTest(code) for code in dict.fromkeys(single))

    async def _on_request(self, session: MllpSession, message: Message) -> None:
        self.surprises.append(f"the host sent {message.kind}")
        header = self._header("ACK", self._control_id())
        await session.answer(self._bytes([header, segment("MSA", f1="AR", f2=message.control_id)]))

    def _result_segments(self, barcode: str, results: Mapping[str, list[Result]], qc: bool, lot: str) -> list[str]:
        when = IMPOSSIBLE_TIME if self.faults.take("impossible_date") else stamp(self.now())
        service = "00003^LJ QCR^99MRC" if qc else "00001^Automated Count^99MRC"
        order = {"f1": "1", "f3": escape(barcode), "f4": service, "f6": stamp(self.now()), "f7": when, "f24": "HM"}
        segments = [segment("PID", f1="1", f3="^^^^MR"), segment("PV1", f1="1"), segment("OBR", **order)]
        modes = ("08001^Take Mode^99MRC", "A"), ("08002^Blood Mode^99MRC", "W"), ("08003^Test Mode^99MRC", "CBC+DIFF")
        number = 0
        for number, (coding, value) in enumerate(modes, 1):
            segments.append(segment("OBX", f1=str(number), f2="IS", f3=coding, f5=value, f11="F"))
        if lot:
            number += 1
            segments.append(
                segment("OBX", f1=str(number), f2="IS", f3="05001^Qc Lot No.^99MRC", f5=escape(lot), f11="F")
            )
        for code, runs in results.items():
            for result in runs:
                number += 1
                kind, value = value_type(result)
                fields = {
                    "f1": str(number),
                    "f2": "NM" if code == self._untyped else kind,
                    "f3": code if code.count("^") == 2 else f"{escape(code)}^{escape(code)}^99MRC",
                    "f5": value,
                    "f6": escape(result.unit),
                    "f7": escape(result.range),
                    "f8": "~".join(result.flags),
                    "f11": result.status or "F",
                }
                segments.append(segment("OBX", **fields))
        return segments
