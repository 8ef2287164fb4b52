"""An analyser that speaks ASTM E1394 over E1381."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulators.analyser import Analyser, Report
from simulators.astm_dialect import (
    Download,
    Outgoing,
    Place,
    Tube,
    cancel_records,
    query_records,
    read_answer,
    read_download,
    report_records,
)
from simulators.astm_session import AstmSession, Frame, frames_of_message
from simulators.cable import End, Plug
from simulators.models import AstmModel
from simulators.worklist import Receipt, Reported, Result, WorkList

__all__ = ["AstmAnalyser", "captured_frames"]

POSITIONS = 5  # tubes in one rack


@dataclass(frozen=True, slots=True)
class _Message:
    """One message on its way."""

    number: int
    kind: str
    frames: Sequence[Frame]
    results: Mapping[int, tuple[Reported, ...]]
    receipts: list[Receipt]

    def note_ack(self, index: int) -> None:
        """The host has acknowledged this frame (from 1)."""
        last = index == len(self.frames)
        text = self.frames[index - 1].text
        self.receipts.append(Receipt(self.number, index, text, last, self.kind, self.results.get(index, ())))


class AstmAnalyser(Analyser):
    """See Analyser."""

    _model: AstmModel

    @property
    def model(self) -> AstmModel:
        """Its profile."""
        return self._model

    def __init__(self, model: AstmModel, plug: Plug, **options: Any) -> None:
        super().__init__(model, plug, **options)
        self._places: dict[str, Place] = {}
        self.loaded: dict[tuple[str, str], tuple[str, list[str]]] = {}
        """By rack and position: the tube and the tests that the host named, unasked (see `takes_orders`)."""

    def _open(self, end: End) -> AstmSession:
        return AstmSession(end, self.timing)

    # ---- asking -----------------------------------------------------------------------------------------------------

    async def asks(self, *barcodes: str) -> WorkList:
        """See Analyser. Several tubes go into one message where the model does so, else one after another."""
        tubes = {barcode: self._place(barcode) for barcode in barcodes}
        groups = [tubes] if self.model.many_per_query else [{barcode: place} for barcode, place in tubes.items()]
        answers = [await self._ask(group) for group in groups]
        work = WorkList(
            tuple(offer for answer in answers for offer in answer.offers),
            all(answer.answered for answer in answers),
            tuple(raw for answer in answers for raw in answer.raw),
        )
        self.offers |= {offer.specimen: offer for offer in work.offers}
        return work

    async def _ask(self, tubes: Mapping[str, Place]) -> WorkList:
        collides = self.faults.take("contention") is not None

        async def ask(session: AstmSession) -> bytes | None:
            self._set_aside(session)
            if collides:
                session.will_collide()
            message = self._message(Outgoing(query_records(self.model, tubes, self.now()), {}), "query")
            await session.send(message.frames, self.faults, message.note_ack)
            if collides:
                await session.collide()
            try:
                async with asyncio.timeout(self.timing.answer or self.model.answer_wait):
                    return await session.inbox.get()
            except TimeoutError:
                return None

        text = await self._over_the_line(ask)
        if text is None:
            await self._take_back(tubes)
            return WorkList()
        return read_answer(self.model, text, tubes, self.surprises)

    async def _take_back(self, tubes: Mapping[str, Place]) -> None:
        """Nobody answered: the question is cancelled, as this model does it; not on a line that is gone."""
        records = cancel_records(self.model, tubes, self.now())
        if records and self.connected:
            message = self._message(Outgoing(records, {}), "query")
            await self._over_the_line(lambda session: session.send(message.frames, self.faults, message.note_ack))

    def _set_aside(self, session: AstmSession) -> None:
        """What the host sent before we asked is no answer to what we are about to ask."""
        while not session.inbox.empty():
            if text := session.inbox.get_nowait():
                self.unasked += read_answer(self.model, text, self._places, []).offers

    # ---- orders that the host sends unasked -------------------------------------------------------------------------

    async def takes_orders(self, messages: int = 1, patience: float = 10.0) -> list[Download]:
        """Wait for so many order messages and do what they say. Raises TimeoutError: they did not come."""
        taken: list[Download] = []
        async with asyncio.timeout(patience):
            while messages:
                await self.connect()
                session = self._session
                text = await session.inbox.get() if isinstance(session, AstmSession) else None
                if text:
                    messages -= 1
                    taken += read_download(self.model, text, self.surprises)
        for one in taken:
            self._load(one)
        return taken

    def _load(self, order: Download) -> None:
        place = (order.rack, order.position)
        specimen, codes = self.loaded.get(place, ("", []))
        if order.action == "C":
            left = [code for code in codes if code not in order.codes]
            self.loaded[place] = (specimen, left)
            return
        if order.action == "A" and specimen == order.specimen:
            codes = [*codes, *(code for code in order.codes if code not in codes)]
        else:
            codes = list(order.codes)
        self.loaded[place] = (order.specimen, codes)

    async def runs_place(self, position: str, rack: str = "") -> Report | None:
        """Run what stands at a place, as the host's order names it: nobody typed a number here. None: nothing to do."""
        specimen, codes = self.loaded.get((rack, position), ("", []))
        if not codes:
            return None
        self._places[specimen] = Place(len(self._places) + 1, rack, position)
        return await self.runs_codes(specimen, codes)

    # ---- reporting --------------------------------------------------------------------------------------------------

    async def _send_results(self, barcode: str, results: Mapping[str, list[Result]], qc: bool, lot: str) -> Report:
        tube = Tube(barcode, self._place(barcode), qc)
        outgoing = report_records(self.model, tube, results, self.now(), self.faults, self.operator)
        message = self._message(outgoing, "results")
        await self._over_the_line(lambda session: session.send(message.frames, self.faults, message.note_ack))
        return Report(message.number, barcode, tuple(outgoing.results.values()), self.sent[message.number])

    async def reports_raw(self, data: bytes) -> None:
        """See Analyser. Wrong checksums and odd digits of the capture go out as they are; ENQ and EOT are ours."""
        frames = captured_frames(data)
        if not frames:
            records = [line for line in re.split(rb"[\r\n]+", data.strip(b"\x02\x03\x04\x05\r\n")) if line]
            frames = frames_of_message(records, self.model.framing, self.model.frame_limit)
        message = self._begin(frames, "raw", {})
        await self._over_the_line(lambda session: session.send(frames, self.faults, message.note_ack))

    # ---- frames and receipts ----------------------------------------------------------------------------------------

    def _message(self, outgoing: Outgoing, kind: str) -> _Message:
        end = b"\n" if self.faults.take("lf_for_cr") else b"\r"
        frames = frames_of_message(outgoing.records, self.model.framing, self.model.frame_limit, end)
        return self._begin(frames, kind, _results_by_frame(outgoing, frames))

    def _begin(self, frames: Sequence[Frame], kind: str, results: Mapping[int, tuple[Reported, ...]]) -> _Message:
        self._messages += 1
        self.sent[self._messages] = b"".join(frame.text for frame in frames)
        return _Message(self._messages, kind, frames, results, self.acknowledged)

    # ---- tubes ------------------------------------------------------------------------------------------------------

    def _place(self, barcode: str) -> Place:
        """Where the tube stands; a new one gets the next free position."""
        places = self._places
        if barcode not in places:
            count = len(places)
            rack = str(count // POSITIONS + 1).zfill(self.model.rack_width)
            places[barcode] = Place(count + 1, rack, str(count % POSITIONS + 1).zfill(self.model.position_width))
        return places[barcode]


def _results_by_frame(outgoing: Outgoing, frames: Sequence[Frame]) -> dict[int, tuple[Reported, ...]]:
    """Frame (from 1): results whose record ends in it."""
    ends: list[int] = []
    total = 0
    for frame in frames:
        total += len(frame.text)
        ends.append(total)
    by_frame: dict[int, tuple[Reported, ...]] = {}
    position, frame_at = 0, 0
    for at, record in enumerate(outgoing.records):
        position += len(record) + 1
        while ends[frame_at] < position:
            frame_at += 1
        if at in outgoing.results:
            by_frame[frame_at + 1] = (*by_frame.get(frame_at + 1, ()), outgoing.results[at])
    return by_frame


def captured_frames(data: bytes) -> list[Frame]:
    """Frames of a capture, each from its STX to the byte before the next control character; [] for bare records."""
    frames = []
    for piece in re.findall(rb"\x02[^\x02\x04\x05]*", data):
        text = re.split(rb"[\x03\x17]", piece[1:])[0]
        number = int(text[:1]) if text[:1].isdigit() else 0
        frames.append(Frame(number % 8, text[1:] if text[:1].isdigit() else text, b"\x17" not in piece, piece))
    return frames
