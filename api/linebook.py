"""A line's book as the report that the database and the centre take."""

from __future__ import annotations

from drivers.gateway.line import LineBook
from lis_core.services.lines import LineReport


def line_report(book: LineBook) -> LineReport:
    fields = LineReport.__dataclass_fields__
    status = {field: getattr(book.status, field) for field in fields if field != "name"}
    return LineReport(name=book.spec.name, **status)
