"""Tables as files: CSV and XLSX that a spreadsheet shows as text and never runs as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import xlsxwriter  # type: ignore[import-untyped]

BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the begin of a formula (also after blanks); some read the wide forms alike."""


def safe_cell(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would run; line ends and control characters as blanks."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    if text.startswith(BEGINS_FORMULA) or plain.lstrip().startswith(BEGINS_FORMULA):
        return f"'{plain}"
    return plain


def as_csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """UTF-8 with its mark, semicolons: what Turkish spreadsheets open by a double click."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
    return out.getvalue().encode("utf-8-sig")


def as_xlsx(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """One sheet; every cell is written as text, so that nothing in it is a formula, a link or a number."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "constant_memory": False})
    sheet = book.add_worksheet(title[:31])
    bold = book.add_format({"bold": True})
    for column, name in enumerate(head):
        sheet.write_string(0, column, name, bold)
    for number, row in enumerate(rows, 1):
        for column, cell in enumerate(row):
            sheet.write_string(number, column, safe_cell(cell)[:32_000])
    sheet.freeze_panes(1, 0)
    book.close()
    return out.getvalue()
