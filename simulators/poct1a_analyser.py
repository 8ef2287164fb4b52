"""A point-of-care device that measures beside the patient and tells the host by POCT1-A."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import Any
from uuid import uuid4

from drivers.protocols import poct1a
from drivers.protocols.poct1a import Element, Head, group, item
from drivers.protocols.poct1a_stream import Document, DocumentReader
from simulators.analyser import Analyser, Report
from simulators.cable import End, Plug
from simulators.models import PoctModel
from simulators.poct1a_session import Letter, PoctSession
from simulators.worklist import Receipt, Reported, Result, WorkList

__all__ = ["PoctAnalyser"]

_ISTANBUL = timezone(timedelta(hours=3))


class PoctAnalyser(Analyser):
    """It cannot ask for work: whoever stands at it scans the tube and chooses the test."""

    _model: PoctModel

    def __init__(self, model: PoctModel, plug: Plug, **options: Any) -> None:
        super().__init__(model, plug, **options)
        self._run_id = uuid4().int % 900_000 + 100_000  # control ids must be new in every run of the simulator

    @property
    def model(self) -> PoctModel:
        """Its profile."""
        return self._model

    @property
    def session(self) -> PoctSession | None:
        """The conversation at hand."""
        return self._session if isinstance(self._session, PoctSession) else None

    def _open(self, end: End) -> PoctSession:
        return PoctSession(end, self.timing, self._introduction(), self.faults)

    def _introduction(self) -> list[Element]:
        model = self.model
        abilities = [item("DSC.connection_profile_cd", "SA")]
        abilities += [item("DSC.topics_supported_cd", topic) for topic in model.topics]
        abilities += [item("DSC.directives_supported_cd", directive) for directive in model.directives]
        device = [
            item("DEV.device_id", f"{model.vendor}^{model.device}^SIM"),
            item("DEV.vendor_id", model.vendor),
            item("DEV.model_id", model.device),
            item("DEV.serial_id", "SIM"),
            group("DCP", item("DCP.application_timeout", str(max(5, int(self.timing.reply))))),
            group("DSC", *abilities, item("DSC.max_message_sz", "32768")),
        ]
        return [group("DEV", *device)]

    async def asks(self, *barcodes: str) -> WorkList:
        """See Analyser: it has no question, so it has no answer."""
        return WorkList()

    async def _send_results(self, barcode: str, results: Mapping[str, list[Result]], qc: bool, lot: str) -> Report:
        number = self._messages = self._messages + 1
        control_id = f"{self._run_id}{number:04}"
        observations = [self._observation(code, one) for code, runs in results.items() for one in runs]
        service = self._service(barcode, observations, qc, lot)
        head = Head(control_id, self.now().replace(tzinfo=_ISTANBUL))
        document = poct1a.build("OBS.R02" if qc else "OBS.R01", head, service)
        told = tuple(Reported(barcode, code, one, qc) for code, runs in results.items() for one in runs)
        await self._deliver(number, control_id, document, told, "results")
        return Report(number, barcode, told, document)

    async def _deliver(
        self, number: int, control_id: str, document: bytes, told: tuple[Reported, ...], kind: str
    ) -> None:
        self.sent[number] = document

        async def action(session: PoctSession) -> None:
            await session.deliver(Letter(control_id, document))

        await self._over_the_line(action)
        self.acknowledged.append(Receipt(number, 1, document, True, kind, told))

    def _service(self, barcode: str, observations: list[Element], qc: bool, lot: str) -> Element:
        moment = "2026-02-30T25:61:00" if self.faults.take("impossible_date") else poct1a.moment(self._moment())
        said = [item("SVC.role_cd", "LQC" if qc else "OBS"), item("SVC.observation_dttm", moment)]
        if qc:
            control = [item("CTC.name", barcode), item("CTC.lot_number", lot)]
            said.append(group("CTC", *control, *observations))
        else:
            said.append(group("PT", item("PT.patient_id", ""), *observations))
        said.append(group("OPR", item("OPR.operator_id", self.operator)))
        if not qc:
            said.append(group("ORD", item("ORD.universal_service_id", "POCT"), item("ORD.order_id", barcode)))
        if self.faults.take("unknown_record"):
            said.append(group("ZZZ", item("ZZZ.unknown", "BILINMEYEN")))
        return group("SVC", *said)

    def _moment(self) -> Any:
        return self.now().replace(tzinfo=_ISTANBUL)

    def _observation(self, code: str, result: Result) -> Element:
        value = self.model.unavailable if self.faults.take("text_for_number") else result.value
        found = [item("OBS.observation_id", code, SN="SIM"), item("OBS.value", value, U=result.unit)]
        found += [item("OBS.method_cd", "M"), item("OBS.status_cd", result.status or "A")]
        found += [item("OBS.interpretation_cd", flag) for flag in result.flags[:1]]
        if result.range:
            low, _, high = result.range.partition("-")
            found.append(item("OBS.normal_lo-hi_limit", f"[{low};{high}]", U=result.unit))
        return group("OBS", *found)

    async def reports_raw(self, data: bytes) -> None:
        """See Analyser: every document with results or events, as it is; those of the conversation are our own."""
        reader = DocumentReader()
        reader.feed(data)
        while (found := reader.next()) is not None:
            if isinstance(found, Document):
                message = poct1a.parse(found.raw)
                if message.type[:3] in ("OBS", "EVS"):
                    number = self._messages = self._messages + 1
                    await self._deliver(number, message.control_id, found.raw, (), "raw")
