"""What analysers sent, as lists for programs: raw messages, unmatched results, control measurements.

A raw message's own bytes are read through `boards.message_picture`, which hides them from whoever may not see every
value in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.audit import viewed
from lis_core.services.catalog import Catalog, catalog
from lis_core.storage.tables import Connection, ControlMeasurement, RawMessage, UnmatchedResult, User
from lis_core.views.order_view import here, local
from lis_core.views.pages import Page, cut, read_cursor, write_cursor
from lis_core.views.seeing import Sight

MESSAGE_STATES = {
    "processed": "islendi",
    "partly": "kismen",
    "repeat": "tekrar",
    "incomplete": "yarim",
    "failed": "hata",
    "query": "sorgu",
    "empty": "bos",
}
"""Words of the JSON interface for the states of a raw message."""
_MESSAGE_STATE_WORDS = {stored: word for word, stored in MESSAGE_STATES.items()}

UNMATCHED_STATES = {"waiting": "bekliyor", "bound": "baglandi", "dismissed": "kapatildi"}
_UNMATCHED_STATE_WORDS = {stored: word for word, stored in UNMATCHED_STATES.items()}

_CONTROL_NAMES = [
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI"),
    *("DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"),
]
_VISIBLE = {code: f"<{name}>" for code, name in enumerate(_CONTROL_NAMES)} | {0x7F: "<DEL>"}


def visible_text(content: bytes) -> str:
    """Bytes as a person reads them: control characters by name (`<STX>`), a new line after each CR.

    UTF-8 where it is that; else each byte as its Latin-5 (ISO 8859-9) letter, as Turkish analysers mostly send.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("iso8859-9")
    shown = text.translate(_VISIBLE)
    return shown.replace("<CR><LF>", "<CR><LF>\n").replace("<CR>", "<CR>\n").replace("<CR>\n<LF>\n", "<CR><LF>\n")


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A raw message without its content. `size`: bytes. `results`: bound from it; `unmatched`: waiting for a person."""

    id: int
    instrument: str | None
    line: str | None
    received_at: datetime
    protocol: str
    definition: str
    revision: int
    state: str
    problem: str | None
    results: int
    unmatched: int
    size: int
    repeats: int | None


def message_state(stored: str) -> str:
    """The interface's word for a state of the database."""
    return _MESSAGE_STATE_WORDS.get(stored, stored)


async def list_messages(
    session: AsyncSession, *, instrument: str | None, state: str | None, limit: int, cursor: str | None
) -> Page[MessageRow]:
    """Newest first. `state`: a stored word. Raises UNKNOWN_INSTRUMENT, INVALID_INPUT (cursor)."""
    book = await catalog(session)
    question = (
        select(
            RawMessage.id, RawMessage.instrument_id, Connection.name, RawMessage.received_at, RawMessage.protocol,
            RawMessage.definition, RawMessage.revision, RawMessage.state, RawMessage.problem, RawMessage.results,
            RawMessage.unmatched, func.octet_length(RawMessage.content), RawMessage.repeats_id,
        )
        .outerjoin(Connection, Connection.id == RawMessage.connection_id)
        .order_by(RawMessage.id.desc())
        .limit(limit + 1)
    )  # fmt: skip
    if instrument is not None:
        question = question.where(RawMessage.instrument_id == _instrument_id(book, instrument))
    if state is not None:
        question = question.where(RawMessage.state == state)
    if cursor is not None:
        question = question.where(RawMessage.id < read_cursor(cursor)[1])
    rows, more = cut((await session.execute(question)).tuples().all(), limit)
    lines = [
        MessageRow(
            id=number,
            instrument=_instrument_code(book, instrument_id),
            line=line,
            received_at=here(at),
            protocol=protocol,
            definition=definition,
            revision=revision,
            state=message_state(stored),
            problem=problem,
            results=results,
            unmatched=unmatched,
            size=size,
            repeats=repeats,
        )
        for (
            number, instrument_id, line, at, protocol, definition, revision, stored, problem, results, unmatched, size,
            repeats,
        ) in rows
    ]  # fmt: skip
    return Page(lines, write_cursor(lines[-1].received_at, lines[-1].id) if more else None)


@dataclass(frozen=True, slots=True)
class UnmatchedRow:
    """A result that waits for a person (or was resolved by one). `observation`: as it was read."""

    id: int
    instrument: str | None
    raw_message: int
    cause: str
    explanation: str
    observation: dict[str, Any]
    state: str
    received_at: datetime
    resolved_by: str | None
    resolved_at: datetime | None
    resolution: str | None
    result: int | None


async def list_unmatched(
    session: AsyncSession, sight: Sight, *, state: str, limit: int, cursor: str | None
) -> Page[UnmatchedRow]:
    """The queue, oldest first. Its values are nobody's approved results: laboratory only (NOT_ALLOWED)."""
    sight.actor.must(P.UNMATCHED_VIEW)
    sight.actor.must(P.RESULT_VIEW_UNAPPROVED)
    book = await catalog(session)
    question = (
        select(UnmatchedResult, User)
        .outerjoin(User, User.id == UnmatchedResult.resolved_by_id)
        .where(UnmatchedResult.state == state)
        .order_by(UnmatchedResult.id)
        .limit(limit + 1)
    )
    if cursor is not None:
        question = question.where(UnmatchedResult.id > read_cursor(cursor)[1])
    rows, more = cut((await session.execute(question)).tuples().all(), limit)
    lines = [
        UnmatchedRow(
            id=row.id,
            instrument=_instrument_code(book, row.instrument_id),
            raw_message=row.raw_message_id,
            cause=row.cause,
            explanation=row.explanation,
            observation=row.observation,
            state=_UNMATCHED_STATE_WORDS.get(row.state, row.state),
            received_at=here(row.received_at),
            resolved_by=user.full_name if user else None,
            resolved_at=local(row.resolved_at),
            resolution=row.resolution,
            result=row.result_id,
        )
        for row, user in rows
    ]
    viewed(sight.actor, eslesmeyen_sonuc=[line.id for line in lines])
    return Page(lines, write_cursor(lines[-1].received_at, lines[-1].id) if more else None)


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One measurement of a control sample; never a patient's."""

    id: int
    instrument: str | None
    control: str
    lot: str | None
    test: str | None
    instrument_test: str
    value: str
    number: float | None
    unit: str
    measured_at: datetime | None
    received_at: datetime
    raw_message: int


@dataclass(frozen=True, slots=True)
class ControlQuestion:
    """Which control measurements; empty fields do not limit."""

    instrument: str | None = None
    test: str | None = None
    lot: str | None = None
    since: datetime | None = None
    limit: int = 100
    cursor: str | None = None


async def list_controls(session: AsyncSession, question: ControlQuestion) -> Page[ControlRow]:
    """Newest first. Raises UNKNOWN_INSTRUMENT, UNKNOWN_TEST, INVALID_INPUT (cursor)."""
    book = await catalog(session)
    chosen = select(ControlMeasurement).order_by(ControlMeasurement.id.desc()).limit(question.limit + 1)
    if question.instrument is not None:
        chosen = chosen.where(ControlMeasurement.instrument_id == _instrument_id(book, question.instrument))
    if question.test is not None:
        test = book.test_by_code.get(question.test)
        if test is None:
            raise NumuneError(errors.UNKNOWN_TEST, codes=question.test)
        chosen = chosen.where(ControlMeasurement.test_id == test.id)
    if question.lot is not None:
        chosen = chosen.where(ControlMeasurement.lot == question.lot)
    if question.since is not None:
        chosen = chosen.where(ControlMeasurement.received_at >= question.since)
    if question.cursor is not None:
        chosen = chosen.where(ControlMeasurement.id < read_cursor(question.cursor)[1])
    rows, more = cut((await session.scalars(chosen)).all(), question.limit)
    lines = [_control_row(book, row) for row in rows]
    return Page(lines, write_cursor(lines[-1].received_at, lines[-1].id) if more else None)


def _control_row(book: Catalog, row: ControlMeasurement) -> ControlRow:
    test = book.test_by_id.get(row.test_id or 0)
    return ControlRow(
        id=row.id,
        instrument=_instrument_code(book, row.instrument_id),
        control=row.control,
        lot=row.lot,
        test=test.code if test else None,
        instrument_test=row.instrument_test,
        value=row.value,
        number=None if row.number is None else float(row.number),
        unit=row.unit,
        measured_at=local(row.measured_at),
        received_at=here(row.received_at),
        raw_message=row.raw_message_id,
    )


def _instrument_id(book: Catalog, code: str) -> int:
    found = book.instrument_by_code.get(code)
    if found is None:
        raise NumuneError(errors.UNKNOWN_INSTRUMENT, instrument=code)
    return found.id


def _instrument_code(book: Catalog, instrument_id: int | None) -> str | None:
    found = book.instrument_by_id.get(instrument_id or 0)
    return found.code if found else None
