"""Boards: instruments and their lines, raw messages with what was read from them, the unmatched queue, notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from lis_core.domain.permissions import P
from lis_core.services.audit import viewed
from lis_core.storage.tables import (
    Connection,
    ControlMeasurement,
    EdgeGateway,
    Instrument,
    LineState,
    Notice,
    Order,
    OrderedTest,
    RawMessage,
    Result,
    Test,
    UnmatchedResult,
    User,
)
from lis_core.views.seeing import Sight, about_order

SILENT_AFTER = timedelta(seconds=90)
"""A line state that the gateway has not written for so long is a guess, and shown as one."""

TROUBLE = ("yarim", "hata", "kismen")
"""States of a raw message that a person should look at."""


class Health(StrEnum):
    """How a line does: a colour and always a word."""

    GOOD = "iyi"
    WARNING = "uyari"
    BAD = "kotu"
    OFF = "kapali"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an instrument, with its live state (None where the gateway never wrote one)."""

    id: int
    name: str
    kind: str
    protocol: str
    address: str
    active: bool
    state: LineState | None
    health: Health
    words: str
    gateway: str = ""
    """Name of the remote gateway where it stands; "" = the centre's own."""


@dataclass(slots=True)
class InstrumentCard:
    """An instrument with its lines and today's counts."""

    id: int
    code: str
    name: str
    definition: str
    maker: str
    model: str
    in_service: bool
    service_note: str
    lines: list[Line] = field(default_factory=list)
    messages_today: int = 0
    trouble_today: int = 0
    results_today: int = 0
    unmatched: int = 0

    @property
    def health(self) -> Health:
        """The worst of its lines."""
        order = (Health.BAD, Health.WARNING, Health.GOOD, Health.OFF)
        return min((line.health for line in self.lines), key=order.index, default=Health.OFF)


def line_health(state: LineState | None, active: bool, now: datetime, at: str = "") -> tuple[Health, str]:
    """Colour and sentence of a line. Pure: the same state and time give the same words. at: its remote gateway."""
    if not active:
        return Health.OFF, "Hat kapatılmış."
    if state is None or now - state.updated_at > SILENT_AFTER:
        if at:
            return Health.BAD, f"{at} geçidi merkeze bağlı değil; hattın orada nasıl olduğu bilinmiyor."
        return Health.BAD, "Durumu bilinmiyor: bağlantı programı (geçit) bu hattı bildirmiyor."
    if not state.listening:
        return Health.BAD, "Hat açılamadı." + (f" {state.last_error}" if state.last_error else "")
    if state.peers == 0:
        return Health.WARNING, "Hat açık; cihaz bağlı değil."
    if _last_was_error(state):
        return Health.WARNING, f"Bağlı; son iletişimde sorun: {state.last_error or 'ayrıntı yok'}"
    return Health.GOOD, "Bağlı, çalışıyor."


def _last_was_error(state: LineState) -> bool:
    return state.last_error_at is not None and (
        state.last_message_at is None or state.last_error_at > state.last_message_at
    )


async def instruments_board(session: AsyncSession, now: datetime, today: datetime) -> list[InstrumentCard]:
    """Every active instrument with its lines. Three queries. today: start of the laboratory's day."""
    question = (
        select(Instrument, Connection, LineState, EdgeGateway)
        .outerjoin(Connection, Connection.instrument_id == Instrument.id)
        .outerjoin(LineState, LineState.connection_id == Connection.id)
        .outerjoin(EdgeGateway, EdgeGateway.id == Connection.gateway_id)
        .where(Instrument.active)
        .order_by(Instrument.name, Connection.name)
    )
    cards: dict[int, InstrumentCard] = {}
    for instrument, connection, state, gateway in (await session.execute(question)).tuples():
        card = cards.get(instrument.id)
        if card is None:
            card = cards[instrument.id] = InstrumentCard(
                instrument.id,
                instrument.code,
                instrument.name,
                instrument.definition,
                instrument.maker,
                instrument.model,
                instrument.in_service,
                instrument.service_note or "",
            )
        if connection is not None:
            at = gateway.name if gateway is not None else ""
            health, words = line_health(state, connection.active and (not at or gateway.active), now, at)
            card.lines.append(
                Line(
                    connection.id,
                    connection.name,
                    connection.kind,
                    connection.protocol,
                    connection.address,
                    connection.active,
                    state,
                    health,
                    words,
                    at,
                )
            )
    await _add_counts(session, cards, today)
    return list(cards.values())


async def _add_counts(session: AsyncSession, cards: Mapping[int, InstrumentCard], today: datetime) -> None:
    messages = (
        select(
            RawMessage.instrument_id,
            func.count(),
            func.count().filter(RawMessage.state.in_(TROUBLE)),
            func.coalesce(func.sum(RawMessage.results), 0),
        )
        .where(RawMessage.instrument_id.in_(list(cards)), RawMessage.received_at >= today)
        .group_by(RawMessage.instrument_id)
    )
    for instrument_id, count, trouble, results in (await session.execute(messages)).tuples():
        if instrument_id is not None:
            card = cards[instrument_id]
            card.messages_today, card.trouble_today, card.results_today = count, trouble, results
    waiting = (
        select(UnmatchedResult.instrument_id, func.count())
        .where(UnmatchedResult.state == "bekliyor")
        .group_by(UnmatchedResult.instrument_id)
    )
    for instrument_id, count in (await session.execute(waiting)).tuples():
        if instrument_id is not None and instrument_id in cards:
            cards[instrument_id].unmatched = count


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A raw message as one line of the traffic list; its content stays in the database."""

    id: int
    at: datetime
    instrument: str
    line: str
    protocol: str
    state: str
    problem: str
    results: int
    unmatched: int
    size: int


async def raw_messages(
    session: AsyncSession,
    *,
    instrument: str = "",
    trouble_only: bool = False,
    before: int | None = None,
    limit: int = 60,
) -> list[MessageLine]:
    """Messages, newest first. One query. before: id that the page starts below."""
    question = (
        select(
            RawMessage.id,
            RawMessage.received_at,
            func.coalesce(Instrument.name, ""),
            func.coalesce(Connection.name, ""),
            RawMessage.protocol,
            RawMessage.state,
            func.coalesce(RawMessage.problem, ""),
            RawMessage.results,
            RawMessage.unmatched,
            func.octet_length(RawMessage.content),
        )
        .outerjoin(Instrument, Instrument.id == RawMessage.instrument_id)
        .outerjoin(Connection, Connection.id == RawMessage.connection_id)
        .order_by(RawMessage.id.desc())
        .limit(limit)
    )
    if instrument:
        question = question.where(Instrument.code == instrument)
    if trouble_only:
        question = question.where(RawMessage.state.in_(TROUBLE))
    if before is not None:
        question = question.where(RawMessage.id < before)
    return [MessageLine(*row) for row in (await session.execute(question)).tuples()]


@dataclass(frozen=True, slots=True)
class ReadFromMessage:
    """One thing that was read from a raw message. `value` None: this reader may not see it."""

    kind: str
    """sonuc, eslesmeyen, kontrol."""
    record: int | None
    specimen: str
    code: str
    test: str
    value: str | None
    unit: str
    flag: str
    note: str


@dataclass(frozen=True, slots=True)
class MessagePicture:
    """A raw message beside what was read from it. `content` None: this reader may see no value of the laboratory."""

    line: MessageLine
    key: str
    definition: str
    revision: int
    repeats_id: int | None
    content: bytes | None
    read: tuple[ReadFromMessage, ...]


async def message_picture(session: AsyncSession, sight: Sight, message_id: int) -> MessagePicture | None:
    """A raw message with its results, unmatched results and controls. Four queries.

    Traffic carries values that nobody has approved: only those who work on results see the bytes and the values
    (9.7.8c); an engineer sees state, codes, counts and the problem.
    """
    question = (
        select(RawMessage, Instrument.name, Connection.name)
        .outerjoin(Instrument, Instrument.id == RawMessage.instrument_id)
        .outerjoin(Connection, Connection.id == RawMessage.connection_id)
        .where(RawMessage.id == message_id)
        .options(undefer("*"))
    )
    found = (await session.execute(question)).tuples().one_or_none()
    if found is None:
        return None
    message, instrument, connection = found
    read = [
        *await _results_of(session, sight, message_id),
        *await _unmatched_of(session, sight, message_id),
        *await _controls_of(session, message_id),
    ]
    line = MessageLine(
        message.id,
        message.received_at,
        instrument or "",
        connection or "",
        message.protocol,
        message.state,
        message.problem or "",
        message.results,
        message.unmatched,
        len(message.content),
    )
    hidden = not sight.in_laboratory or any(part.value is None for part in read)
    if any(part.value is not None for part in read):
        about = select(Order.patient_id, Result.id).join(OrderedTest, OrderedTest.order_id == Order.id)
        about = about.join(Result, Result.ordered_test_id == OrderedTest.id).where(Result.raw_message_id == message_id)
        shown = (await session.execute(about)).tuples().all()
        viewed(
            sight.actor,
            patients={patient for patient, _ in shown},
            results=[result for _, result in shown],
            ham_mesaj=[message_id],
        )
    return MessagePicture(
        line,
        message.key,
        message.definition,
        message.revision,
        message.repeats_id,
        None if hidden else bytes(message.content),
        tuple(sorted(read, key=lambda part: part.record or 0)),
    )


async def _results_of(session: AsyncSession, sight: Sight, message_id: int) -> list[ReadFromMessage]:
    question = (
        select(Result, OrderedTest.group, OrderedTest.state, OrderedTest.result_id, Order, Test)
        .join(OrderedTest, OrderedTest.id == Result.ordered_test_id)
        .join(Order, Order.id == OrderedTest.order_id)
        .join(Test, Test.id == OrderedTest.test_id)
        .where(Result.raw_message_id == message_id)
    )
    found = []
    for result, group, state, current, order, test in (await session.execute(question)).tuples():
        seen = sight.in_laboratory and (
            sight.sees(group, state, confidential=test.confidential, order=about_order(order))
            if result.id == current
            else sight.sees_every_run(group)
        )
        note = "" if result.id == current else "geçerli koşu değil"
        found.append(
            ReadFromMessage(
                "sonuc",
                result.record,
                order.number,
                result.instrument_test,
                test.code,
                result.value if seen else None,
                result.unit,
                result.flag if seen else "",
                note,
            )
        )
    return found


async def _unmatched_of(session: AsyncSession, sight: Sight, message_id: int) -> list[ReadFromMessage]:
    """What still waits or was set aside; what a person has bound since is among the results."""
    rows = await session.scalars(
        select(UnmatchedResult).where(UnmatchedResult.raw_message_id == message_id, UnmatchedResult.state != "baglandi")
    )
    return [
        ReadFromMessage(
            "eslesmeyen",
            _record(row.observation),
            str(row.observation.get("specimen") or ""),
            str(row.observation.get("test") or ""),
            "",
            str(row.observation.get("value") or "") if sight.in_laboratory else None,
            str(row.observation.get("unit") or ""),
            "",
            row.explanation,
        )
        for row in rows
    ]


def _record(observation: Mapping[str, Any]) -> int | None:
    raw = observation.get("raw")
    record = raw.get("record") if isinstance(raw, dict) else observation.get("record")
    return record if isinstance(record, int) else None


async def _controls_of(session: AsyncSession, message_id: int) -> list[ReadFromMessage]:
    question = (
        select(ControlMeasurement, Test.code)
        .outerjoin(Test, Test.id == ControlMeasurement.test_id)
        .where(ControlMeasurement.raw_message_id == message_id)
    )
    return [
        ReadFromMessage(
            "kontrol",
            None,
            control.control,
            control.instrument_test,
            code or "",
            control.value,
            control.unit,
            "",
            f"lot {control.lot}" if control.lot else "",
        )
        for control, code in (await session.execute(question)).tuples()
    ]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A result that waits for a person to say where it belongs."""

    id: int
    cause: str
    explanation: str
    specimen: str
    test: str
    value: str
    unit: str
    measured_at: str
    instrument: str
    raw_message_id: int
    state: str
    received_at: datetime
    resolved_by: str
    resolved_at: datetime | None
    resolution: str


async def unmatched_queue(session: AsyncSession, *, waiting: bool = True, limit: int = 300) -> list[Unmatched]:
    """The queue, oldest first; or (waiting False) what was resolved lately, newest first. For laboratory eyes only."""
    question = (
        select(UnmatchedResult, Instrument.name, User)
        .outerjoin(Instrument, Instrument.id == UnmatchedResult.instrument_id)
        .outerjoin(User, User.id == UnmatchedResult.resolved_by_id)
        .limit(limit)
    )
    if waiting:
        question = question.where(UnmatchedResult.state == "bekliyor").order_by(UnmatchedResult.id)
    else:
        question = question.where(UnmatchedResult.state != "bekliyor").order_by(UnmatchedResult.id.desc())
    return [_unmatched(*row) for row in (await session.execute(question)).tuples()]


async def unmatched_one(session: AsyncSession, unmatched_id: int) -> Unmatched | None:
    """One entry of the queue, whatever its state."""
    question = (
        select(UnmatchedResult, Instrument.name, User)
        .outerjoin(Instrument, Instrument.id == UnmatchedResult.instrument_id)
        .outerjoin(User, User.id == UnmatchedResult.resolved_by_id)
        .where(UnmatchedResult.id == unmatched_id)
    )
    found = (await session.execute(question)).tuples().one_or_none()
    return None if found is None else _unmatched(*found)


def _unmatched(row: UnmatchedResult, instrument: str | None, user: User | None) -> Unmatched:
    seen = row.observation
    return Unmatched(
        row.id,
        row.cause,
        row.explanation,
        str(seen.get("specimen") or ""),
        str(seen.get("test") or ""),
        str(seen.get("value") or ""),
        str(seen.get("unit") or ""),
        str(seen.get("measured_at") or ""),
        instrument or "",
        row.raw_message_id,
        row.state,
        row.received_at,
        user.full_name if user else "",
        row.resolved_at,
        row.resolution or "",
    )


OF_ADMINISTRATOR = ("hat", "hbys")


def _readable_notices(sight: Sight) -> ColumnElement[bool]:
    """A notice about a result may name its value: those are for the laboratory alone; lines and bridges for both."""
    if sight.in_laboratory:
        return true()
    return Notice.kind.in_(OF_ADMINISTRATOR) if sight.actor.may(P.SYSTEM_VIEW) else false()


def notice_readable(sight: Sight, notice: Notice) -> bool:
    """The same for one notice."""
    return sight.in_laboratory or (sight.actor.may(P.SYSTEM_VIEW) and notice.kind in OF_ADMINISTRATOR)


async def open_notices(session: AsyncSession, sight: Sight, limit: int = 50) -> list[Notice]:
    """Notices for this person that nobody has marked as seen, newest first."""
    question = select(Notice).where(Notice.seen_at.is_(None), _readable_notices(sight))
    return list(await session.scalars(question.order_by(Notice.id.desc()).limit(limit)))


@dataclass(frozen=True, slots=True)
class Counts:
    """Small numbers beside the menu."""

    unmatched: int
    notices: int


async def menu_counts(session: AsyncSession, sight: Sight) -> Counts:
    """Unmatched results and open notices. One query over two partial indexes."""
    unmatched = select(func.count()).where(UnmatchedResult.state == "bekliyor").scalar_subquery()
    notices = select(func.count()).where(Notice.seen_at.is_(None), _readable_notices(sight)).scalar_subquery()
    row = (await session.execute(select(unmatched, notices))).one()
    return Counts(row[0], row[1])
