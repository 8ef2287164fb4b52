"""What technical and clinical approval share: filters, the sentence about what came of it, charts, a scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import Form, Query, Request
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.screens import drawing
from api.screens.shell import said
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.approvals import ApprovalOutcome
from lis_core.services.specimens import find_scanned
from lis_core.settings import ISTANBUL
from lis_core.storage.tables import Order, OrderedTest, Range, Result, Tube
from lis_core.views.picture import DayPoint, day_of_test
from lis_core.views.picture_shapes import Picture, Row
from lis_core.views.seeing import Sight

LOOK_BACK = timedelta(hours=12)
"""How far back a list says who took a row away."""
MOST_KNOWN = 400
"""Rows of a page that the server is told about when the list is asked for again."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Chips that are on, and what is searched."""

    group: str = ""
    sign: str = ""
    search: str = ""


def filters(
    grup: Annotated[str, Query(max_length=20)] = "",
    im: Annotated[str, Query(max_length=4)] = "",
    ara: Annotated[str, Query(max_length=60)] = "",
) -> Filters:
    """Dependency: the filters of the address line."""
    return Filters(grup, im, ara)


def known_numbers(bilinen: Annotated[str, Query(max_length=12_000)] = "") -> list[str]:
    """Dependency: numbers of the rows that the page shows already."""
    return [number for number in bilinen.split(",") if number][:MOST_KNOWN]


async def order_of_scan(session: AsyncSession, text: str) -> str:
    """Number of the order that a scan belongs to. Raises UNKNOWN_BARCODE."""
    found = await find_scanned(session, text)
    order = await session.get(Order, found.order_id) if found else None
    if order is None:
        raise NumuneError(errors.UNKNOWN_BARCODE, barcode=text)
    return order.number


def asked_ids(sonuc: Sequence[str], simdiki: str) -> list[int]:
    """The chosen results; with none chosen, the one under the hand. Raises INVALID_INPUT where there is none."""
    ids = [int(text) for text in sonuc if text.isascii() and text.isdigit() and len(text) < 19]
    if not ids and simdiki.isascii() and simdiki.isdigit() and len(simdiki) < 19:
        ids = [int(simdiki)]
    if not ids:
        raise NumuneError(errors.INVALID_INPUT, problem="seçili sonuç yok; bir satır seçin")
    return ids


async def of_order(session: AsyncSession, number: str, ids: Sequence[int]) -> list[int]:
    """The same results, when each of them is of this order: a page decides about what it shows and about nothing else.

    Raises NOT_FOUND.
    """
    own = select(Result.id).join(OrderedTest, OrderedTest.id == Result.ordered_test_id)
    own = own.join(Order, Order.id == OrderedTest.order_id).where(Order.number == number, Result.id.in_(ids))
    if len(set(await session.scalars(own))) != len(set(ids)):
        raise NumuneError(errors.NOT_FOUND, what=f"{number} isteminde seçilen sonuç")
    return list(ids)


async def tube_of_order(session: AsyncSession, number: str, barcode: str) -> str:
    """The same tube, when it is of this order. Raises NOT_FOUND."""
    own = select(Tube.id).join(Order, Order.id == Tube.order_id).where(Order.number == number, Tube.barcode == barcode)
    if await session.scalar(own) is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{number} isteminde {barcode} tüpü")
    return barcode


Chosen = Annotated[list[str], Form()]
Text = Annotated[str, Form(max_length=500)]


def call_record(aranan: str, saat: str, geri_okundu: str, note: str, now: datetime) -> str:
    """The reason that a call about a panic value leaves; "" where nothing was written."""
    who, note = aranan.strip(), note.strip()
    if not who and not note:
        return ""
    parts = []
    if who:
        read_back = "değer geri okundu" if geri_okundu else "değer geri okunmadı"
        parts.append(f"Arama kaydı: {who}, {saat.strip() or now.astimezone(ISTANBUL).strftime('%H:%M')}, {read_back}")
    if note:
        parts.append(note)
    return "; ".join(parts)


def tell(outcomes: Iterable[ApprovalOutcome], done_word: str, left: int) -> Markup:
    """What an approval came to: how many were taken, which were not and why, how many are left."""
    listed = list(outcomes)
    taken = sum(1 for one in listed if one.ok)
    refused = [one for one in listed if not one.ok and one.error]
    boxes = []
    if taken or not refused:
        rest = f"; {left} sonuç kaldı" if left else "; bekleyen kalmadı"
        boxes.append(said(f"{taken} sonuç {done_word}{rest}.", "good" if taken else "warn"))
    for message in dict.fromkeys(str(one.error["message"]) for one in refused if one.error):
        boxes.append(said(message, "bad"))
    return Markup(" ").join(boxes)


def was_refused_for_panic(outcomes: Iterable[ApprovalOutcome]) -> bool:
    """True where a panic value still wants its call record."""
    return any(one.error is not None and one.error["code"] == errors.PANIC_NEEDS_REASON.code for one in outcomes)


def first_row(rows: Sequence[Row]) -> int | None:
    """The row that the hand rests on when a picture opens: the worst sign among those that wait, else the first."""
    ranked = sorted(rows, key=lambda row: row.signs[0].rank if row.signs else 99)
    return ranked[0].ordered_test_id if ranked else None


def row_of(picture: Picture, tetkik: str) -> Row:
    """The row of a picture by the id of its ordered test. Raises NOT_FOUND."""
    row = next((row for row in picture.rows if str(row.ordered_test_id) == tetkik), None)
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what="Tetkik satırı")
    return row


@dataclass(frozen=True, slots=True)
class Charts:
    """The day's results of a test and the patient's trend, drawn."""

    points: list[DayPoint]
    chart: Markup
    trend: Markup


async def charts_of(session: AsyncSession, sight: Sight, row: Row) -> Charts:
    """Charts that open in place. Two queries."""
    now = datetime.now(ISTANBUL)
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    points = await day_of_test(session, sight, row.test_id, start, now + timedelta(minutes=5))
    low, high = await limits_of(session, row)
    return Charts(
        points,
        drawing.day_chart(points, row.result_id, low, high),
        drawing.trend_chart(trend_points(row), low, high, marked=row.figure is not None),
    )


async def limits_of(session: AsyncSession, row: Row) -> tuple[Decimal | None, Decimal | None]:
    """The reference limits that judged this result."""
    known = await session.get(Range, row.range_id) if row.range_id is not None else None
    return (known.low, known.high) if known else (None, None)


def trend_points(row: Row) -> list[tuple[datetime, Decimal]]:
    """Earlier figures of the same unit and this one, oldest first."""
    points = [(past.at, past.figure) for past in row.past if past.figure is not None and past.unit == row.unit]
    if row.figure is not None and row.measured_at is not None:
        points.append((row.measured_at, row.figure))
    return sorted(points)


def same_filters(request: Request) -> str:
    """The filters of the page that an htmx request came from, as a query."""
    _, _, query = request.headers.get("hx-current-url", "").partition("?")
    return query


def now_utc() -> datetime:
    return datetime.now(UTC)
