"""Outbox topic `hbys.sonuc`: released results to the hospital that ordered them; in order, until taken, taken once.

What happens to one entry: the order is read under lock and the message written and kept (committed); the tests are
looked at once more under lock and the bytes put on the line; the answer is waited for without any lock. So a value that
is withdrawn does not leave after its withdrawal, and what may have left is always on record.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import select, text, update

from drivers.protocols import hl7
from hbys_bridge.hl7.conversation import LineDown
from hbys_bridge.hl7.history import OUTGOING, OrderHistory, order_history
from hbys_bridge.hl7.notices import raise_notice
from hbys_bridge.hl7.outbound import Routes
from hbys_bridge.hl7.released import hospital_order, order_facts, report_of
from hbys_bridge.hl7.reports import body, control_id, message
from hbys_bridge.hl7.rights import BRIDGE
from hbys_bridge.hl7.told import NOT_SENT, ON_ITS_WAY, TAKEN, UNCERTAIN, tellings
from hbys_bridge.settings import BridgeSettings, HospitalSettings
from lis_core.services.approvals import HOSPITAL_TOPIC
from lis_core.services.catalog import catalog
from lis_core.storage.database import Database, Work
from lis_core.storage.tables import HospitalMessage, Order, OrderedTest

log = logging.getLogger(__name__)

REWRITES = 5
"""How often a message is written anew because its tests changed while it was being sent."""
TYPE = "ORU^R01^ORU_R01"

_ENTRY = text(
    "select giden_kutusu_kodu, deneme_sayisi from giden_kutusu where konu = :topic and bitti_zamani is null "
    "and (icerik->>'order_id')::bigint = :order order by giden_kutusu_kodu limit 1"
)
_NUDGE = text(
    "update giden_kutusu set sonraki_deneme = now() where giden_kutusu_kodu in ("
    "select giden_kutusu_kodu from giden_kutusu where konu = :topic and bitti_zamani is null "
    "and sonraki_deneme > now() for update skip locked)"
)


class DeliveryFailed(Exception):
    """The hospital has not taken the message. The entry stays in the outbox; the text says why, in Turkish."""


class _Changed(Exception):
    """The tests of a message are not as they were when it was written."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """The outbox entry in hand."""

    id: int
    attempts: int
    order_id: int
    number: str
    test_ids: Sequence[int]
    hospital: HospitalSettings
    history: OrderHistory


@dataclass(frozen=True, slots=True)
class _Letter:
    """A written and kept message. unsure: an earlier sending of it was never answered."""

    row_id: int
    control_id: str
    content: bytes
    versions: dict[int, int]
    unsure: bool


class ResultSender:
    """The handler of `hbys.sonuc` for `lis_core.jobs.OutboxWorker`."""

    def __init__(self, database: Database, settings: BridgeSettings, routes: Routes, *, zone: tzinfo) -> None:
        self._database = database
        self._settings = settings
        self._routes = routes
        self._zone = zone

    async def handle(self, work: Work, payload: dict[str, Any]) -> None:
        """Send what this entry is about. Returns once the hospital has it (or need not); raises DeliveryFailed."""
        entry = await self._entry(work, payload)
        if entry is None:
            return
        try:
            for _ in range(REWRITES):
                try:
                    await self._send(entry)
                except _Changed:
                    continue
                return
            raise DeliveryFailed("sonuçlar gönderilirken değişti")
        except (DeliveryFailed, LineDown, LookupError) as failure:
            if entry.attempts + 1 >= self._settings.notice_after:
                await self._notify(entry, failure)
            raise

    async def _entry(self, work: Work, payload: dict[str, Any]) -> _Entry | None:
        """The entry, or None where the order is not the hospital's. The worker hands out an order's oldest one only."""
        order = await hospital_order(work.session, payload["order_id"])
        if order is None:
            return None
        row = (await work.session.execute(_ENTRY, {"topic": HOSPITAL_TOPIC, "order": order.id})).one()
        known = await catalog(work.session)
        history = await order_history(work.session, known, order.id)
        return _Entry(
            id=row.giden_kutusu_kodu,
            attempts=row.deneme_sayisi,
            order_id=order.id,
            number=order.number,
            test_ids=tuple(payload["ordered_test_ids"]),
            hospital=self._settings.of(history.sender),
            history=history,
        )

    async def _send(self, entry: _Entry) -> None:
        """Raises DeliveryFailed, LineDown, _Changed."""
        try:
            line = await self._routes.line(entry.hospital)
        except LineDown:
            if await self._has_news(entry):
                raise
            return
        letter = await self._write(entry)
        if letter is None:
            return
        try:
            async with self._database.work(BRIDGE) as work:
                await _must_be_unchanged(work, letter.versions)
                waiting = line.send(letter.content, letter.control_id)
        except (LineDown, _Changed):
            await self._note(letter, UNCERTAIN if letter.unsure else NOT_SENT, None, None)
            raise
        try:
            answer = await line.answer_to(waiting, letter.control_id, self._settings.answer_seconds)
        except LineDown as silence:
            await self._note(letter, UNCERTAIN, None, str(silence))
            raise
        await self._read_answer(entry, letter, answer)

    async def _read_answer(self, entry: _Entry, letter: _Letter, answer: hl7.Message) -> None:
        said = hl7.read_acknowledgement(answer)
        if said is not None and said.accepted:
            await self._note(letter, TAKEN, answer.raw, None)
            self._routes.accepted(entry.hospital)
            return
        words = "; ".join(filter(None, [said.text, *(error.text for error in said.errors)])) if said else ""
        code = "AR" if said is not None and said.code in ("AR", "CR") else "AE"
        # It refuses this sending; whether it had taken an unanswered one before stays open.
        await self._note(letter, UNCERTAIN if letter.unsure else code, answer.raw, words.replace("\x00", ""))
        raise DeliveryFailed(f"hastane sistemi kabul etmedi ({code}): {words or 'neden yazılmamış'}")

    # -- the message

    async def _has_news(self, entry: _Entry) -> bool:
        """An entry with nothing to tell is done though the hospital is away."""
        async with self._database.work(BRIDGE) as work:
            return await self._compose(work, entry) is not None

    async def _write(self, entry: _Entry) -> _Letter | None:
        """Write the message and keep it before it leaves; the very bytes of last time where it says the same."""
        async with self._database.work(BRIDGE) as work:
            composed = await self._compose(work, entry)
            if composed is None:
                return None
            segments, versions = composed
            control = control_id(entry.id, segments)
            earlier = await work.session.scalar(
                select(HospitalMessage)
                .where(
                    HospitalMessage.order_id == entry.order_id,
                    HospitalMessage.direction == OUTGOING,
                    HospitalMessage.control_id == control,
                )
                .order_by(HospitalMessage.id.desc())
                .limit(1)
            )
            if earlier is not None:
                unsure = earlier.outcome in (ON_ITS_WAY, UNCERTAIN)
                earlier.outcome = UNCERTAIN if unsure else ON_ITS_WAY
                return _Letter(earlier.id, control, earlier.content, versions, unsure)
            row = HospitalMessage(
                direction=OUTGOING,
                sender=f"{self._settings.application}|{self._settings.facility}",
                control_id=control,
                message_type=TYPE,
                content=self._message(entry, segments, control),
                outcome=ON_ITS_WAY,
                order_id=entry.order_id,
            )
            work.session.add(row)
            await work.session.flush()
            return _Letter(row.id, control, row.content, versions, unsure=False)

    async def _compose(self, work: Work, entry: _Entry) -> tuple[list[str], dict[int, int]] | None:
        """(segments, versions of the tests that they speak of); None where there is nothing to tell."""
        session = work.session
        order = await session.get_one(Order, entry.order_id)
        facts = await order_facts(session, order, entry.history)
        sent = await session.execute(
            select(HospitalMessage.content, HospitalMessage.outcome)
            .where(HospitalMessage.order_id == order.id, HospitalMessage.direction == OUTGOING)
            .order_by(HospitalMessage.id)
        )
        told = tellings((content, outcome) for content, outcome in sent)
        known = await catalog(session)
        report = report_of(facts, entry.test_ids, entry.history, told, known, self._zone)
        if report is None:
            return None
        return body(report, self._settings.application), facts.versions(entry.test_ids)

    def _message(self, entry: _Entry, segments: Sequence[str], control: str) -> bytes:
        application, _, facility = entry.history.sender.partition("|")
        return message(
            segments,
            control,
            datetime.now(self._zone),
            (self._settings.application, self._settings.facility),
            (application, facility),
        )

    async def _note(self, letter: _Letter, outcome: str, answer: bytes | None, words: str | None) -> None:
        async with self._database.work(BRIDGE) as work:
            await work.session.execute(
                update(HospitalMessage)
                .where(HospitalMessage.id == letter.row_id)
                .values(outcome=outcome, answer=answer, explanation=words)
            )

    async def _notify(self, entry: _Entry, failure: Exception) -> None:
        """One notice for a hospital that is away, one for each order that it refuses."""
        async with self._database.work(BRIDGE) as work:
            if isinstance(failure, LineDown):
                words = f"Hastaneye sonuç gönderilemiyor: {failure}. Sonuçlar bekletiliyor ve yeniden denenecek."
                await raise_notice(work, words, entity="hbys_hat", entity_id=entry.hospital.sender or "?")
            else:
                words = f"{entry.number} numaralı istemin sonucu hastaneye iletilemedi: {failure}"
                await raise_notice(work, words, entity="tetkik_istem", entity_id=str(entry.order_id))


async def _must_be_unchanged(work: Work, versions: dict[int, int]) -> None:
    """Share-lock the tests, in the order of their ids. Raises _Changed."""
    rows = await work.session.execute(
        select(OrderedTest.id, OrderedTest.version)
        .where(OrderedTest.id.in_(list(versions)))
        .order_by(OrderedTest.id)
        .with_for_update(read=True, of=OrderedTest)
    )
    if dict(rows.tuples().all()) != versions:
        raise _Changed


async def nudge(database: Database) -> None:
    """The hospital is back: what waits for it is due now, not when its pause is over."""
    async with database.work(BRIDGE) as work:
        await work.session.execute(_NUDGE, {"topic": HOSPITAL_TOPIC})
