"""Small pictures drawn on the server as SVG: sparkline, trend, the day's results of a test. No styles inside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from markupsafe import Markup

from api.screens.words import day as day_words
from lis_core.settings import ISTANBUL
from lis_core.views.picture import DayPoint

WIDE, HIGH = 66, 20
_CLASSES = {"Y": "high", "D": "low", "P!": "panic"}


def sparkline(values: Sequence[Decimal]) -> Markup:
    """Trend of a few values in the height of a line, the last one marked; "" for fewer than two."""
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    span = high - low
    step = (WIDE - 6) / (len(values) - 1)
    points = [
        (3 + place * step, HIGH - 4 - (float((value - low) / span) if span else 0.5) * (HIGH - 8))
        for place, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    told = " → ".join(f"{value:f}" for value in values)
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" role="img" aria-label="Eğilim: {told}"><title>{told}</title>'
        '<polyline points="{line}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.6"/></svg>'
    ).format(w=WIDE, h=HIGH, told=told, line=line, x=x, y=y)


class _Scale:
    """Values to heights of a chart, with some air above and below."""

    def __init__(self, values: Sequence[Decimal], top: float, bottom: float) -> None:
        low, high = float(min(values)), float(max(values))
        air = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        self.low, self.high = low - air, high + air
        self.top, self.bottom = top, bottom

    def y(self, value: Decimal) -> float:
        share = (float(value) - self.low) / (self.high - self.low)
        return min(max(self.bottom - share * (self.bottom - self.top), self.top), self.bottom)


def _band(scale: _Scale, low: Decimal | None, high: Decimal | None, left: float, right: float) -> Markup:
    if low is None and high is None:
        return Markup("")
    top = scale.y(high) if high is not None else scale.top
    bottom = scale.y(low) if low is not None else scale.bottom
    return Markup('<rect class="band" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
        left, top, right - left, max(bottom - top, 0)
    )


def _frame(width: int, height: int, label: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, label, Markup("").join(parts)
    )


def day_chart(
    points: Sequence[DayPoint],
    current: int | None,
    low: Decimal | None,
    high: Decimal | None,
    width: int = 500,
    height: int = 150,
) -> Markup:
    """The day's results of one test in time order with the reference band; the row in question is marked (9.6.14b)."""
    if not points:
        return Markup("")
    limits = [limit for limit in (low, high) if limit is not None]
    scale = _Scale([*(point.figure for point in points), *limits], 8, height - 20)
    left, right = 46, width - 8
    first, last = points[0].at, points[-1].at
    span = (last - first).total_seconds() or 1.0
    parts = [_band(scale, low, high, left, right), *_axis(scale, left, right, height)]
    for point in sorted(points, key=lambda point: point.result_id == current):
        x = left + 6 + (point.at - first).total_seconds() / span * (right - left - 12)
        mine = point.result_id == current
        parts.append(
            Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{} · {}</title></circle>').format(
                "this" if mine else _CLASSES.get(point.flag, ""),
                x,
                scale.y(point.figure),
                "5" if mine else "3",
                f"{point.figure:f}",
                _hour(point.at),
            )
        )
    parts.append(Markup('<text x="{}" y="{}">{}</text>').format(left, height - 4, _hour(first)))
    parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(right, height - 4, _hour(last)))
    return _frame(width, height, f"Bugünün {len(points)} sonucu", parts)


def trend_chart(
    points: Sequence[tuple[datetime, Decimal]],
    low: Decimal | None,
    high: Decimal | None,
    width: int = 500,
    height: int = 150,
    *,
    marked: bool = True,
) -> Markup:
    """A patient's values of one test over time, oldest first, with the reference band; "" for fewer than two.

    marked: the last one is the result in question; False where that one may not be seen.
    """
    if len(points) < 2:
        return Markup("")
    limits = [limit for limit in (low, high) if limit is not None]
    scale = _Scale([*(value for _, value in points), *limits], 8, height - 20)
    left, right = 46, width - 8
    first, last = points[0][0], points[-1][0]
    span = (last - first).total_seconds() or 1.0
    places = [
        (left + 10 + (at - first).total_seconds() / span * (right - left - 20), scale.y(value), value)
        for at, value in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    parts = [_band(scale, low, high, left, right), *_axis(scale, left, right, height)]
    parts.append(Markup('<polyline class="trend" points="{}"/>').format(line))
    for place, (x, y, value) in enumerate(places):
        mine = marked and place == len(places) - 1
        parts.append(
            Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
                "this" if mine else "", x, y, 5 if mine else 3, f"{value:f}"
            )
        )
    parts.append(Markup('<text x="{}" y="{}">{}</text>').format(left, height - 4, day_words(first)))
    parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(right, height - 4, day_words(last)))
    return _frame(width, height, f"{len(points)} sonucun eğilimi", parts)


def _axis(scale: _Scale, left: int, right: int, height: int) -> list[Markup]:
    line = Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    label = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>')
    middle, span = (scale.low + scale.high) / 2, scale.high - scale.low
    return [
        line.format(left, right, height - 18, height - 18),
        line.format(left, left, scale.top, height - 18),
        label.format(left - 5, scale.top + 9, _figure(scale.high, span)),
        label.format(left - 5, (scale.top + scale.bottom) / 2 + 4, _figure(middle, span)),
        label.format(left - 5, scale.bottom, _figure(scale.low, span)),
    ]


def _figure(value: float, span: float) -> str:
    """As many decimals as tell the marks of the axis apart."""
    return f"{value:.{0 if span >= 8 else 1 if span >= 0.8 else 2}f}"


def _hour(at: datetime) -> str:
    return at.astimezone(ISTANBUL).strftime("%H:%M")
