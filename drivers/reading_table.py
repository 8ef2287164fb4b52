"""Result files with headings: CSV, text with tabulators, XLSX. One row a result, or one row a specimen."""

from __future__ import annotations

import csv
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from importlib import import_module
from typing import Any
from zipfile import BadZipFile, ZipFile

from drivers.language import DefinitionError, DefinitionFile
from drivers.language_text import Cell
from drivers.messages import Observation
from drivers.reading import Reading
from drivers.reading_text import decoded
from drivers.text_values import Draft, Finisher

_LOOK = 50
"""Rows among which the headings are looked for: exports begin with titles."""
_MOST_ROWS = 200_000
_MOST_CHARACTERS = 2_000
_MOST_COLUMNS = 512
_MOST_CELLS = 4_000_000
_MOST_PARTS = 500
_MOST_UNPACKED = 256 * 1024 * 1024
"""Bytes of all parts of a worksheet file together."""
_HEAD = 4096
"""Bytes at the beginning of a part where a document type stands, if there is one."""

_WORKSHEET = b"PK\x03\x04"
_CUT_OFF = "Son satırın sonu yok: dosya yarım olabilir, o satır okunmadı."

Row = Sequence[str]


class TableReader:
    """Reads the files of one model."""

    def __init__(self, file: DefinitionFile) -> None:
        table = file.table
        assert table is not None
        self._file, self._table = file, table
        for needed in ("specimen",):
            if needed not in table.columns:
                raise DefinitionError(f"[table.columns] {needed} gereklidir")
        if not table.tests and not table.other_columns_are_tests and not {"test", "value"} <= set(table.columns):
            raise DefinitionError("[table] için columns.test ile columns.value, ya da tests gereklidir")
        self._headings = {_folded(text): name for name, texts in table.columns.items() for text in texts}
        self._tests = {
            _folded(text): cell if isinstance(cell, Cell) else Cell(test=cell) for text, cell in table.tests.items()
        }
        self._finisher = Finisher(file, table)

    def read(self, text: bytes) -> Reading:
        """One whole file. Never raises on what stands in it."""
        fingerprint = hashlib.sha256(text).digest()
        try:
            rows = list(self._rows(text))
            cut_off = self._cut_off(text, rows)
        except _Unreadable as error:
            return Reading(problem=str(error), fingerprint=fingerprint)
        found, problem = self._read(rows[:-1] if cut_off else rows)
        if cut_off:
            problem = " ".join(filter(None, (problem, _CUT_OFF)))
        timed = bool(found) and all(one.measured_at is not None for one in found)
        kind = "results" if found else "other"
        return Reading(observations=found, problem=problem, kind=kind, timed=timed, fingerprint=fingerprint)  # type: ignore[arg-type]

    def _cut_off(self, data: bytes, rows: Sequence[Row]) -> bool:
        """Whether the last line of a CSV has no end: a writer may have stopped in the middle of its last value."""
        if self._table.open_end or data[:4] == _WORKSHEET or not rows:
            return False
        return data.replace(b"\x00", b"").rstrip(b"\x1a ")[-1:] not in (b"\n", b"\r")

    def _rows(self, data: bytes) -> Iterator[Row]:
        if data[:4] == _WORKSHEET:
            yield from _sheet(data, self._table.sheet)
            return
        if b"\x00" in data[:200] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            raise _Unreadable("Dosya ne CSV ne XLSX; okunmadı.")
        text = data.decode("utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        text = text or decoded(data.removeprefix(b"\xef\xbb\xbf"), self._file.encoding)
        try:
            yield from csv.reader(io.StringIO(text), delimiter=self._separator(text), strict=False)
        except csv.Error as error:
            raise _Unreadable(f"CSV okunamadı: {error}") from error

    def _separator(self, text: str) -> str:
        """The one with which most headings are found."""
        lines = text.splitlines()[:_LOOK]

        def known(separator: str) -> int:
            return max((self._known(line.split(separator)) for line in lines), default=0)

        return max(self._table.separators, key=known)

    def _known(self, row: Row) -> int:
        return sum(_folded(cell.strip().strip('"')) in self._headings | self._tests.keys() for cell in row)

    def _read(self, rows: Sequence[Row]) -> tuple[list[Observation], str | None]:
        if len(rows) > _MOST_ROWS:
            return [], "Dosyada olağan dışı sayıda satır var; okunmadı."
        needed = {"specimen", *(set() if self._tests or self._table.other_columns_are_tests else {"test", "value"})}
        for number, row in enumerate(rows[:_LOOK]):
            columns = {name: at for at, cell in enumerate(row) if (name := self._headings.get(_folded(cell)))}
            if needed <= set(columns):
                return self._body(rows, number, columns)
        return [], f"Dosyada beklenen sütun başlıkları yok ({', '.join(sorted(needed))}); okunmadı."

    def _body(self, rows: Sequence[Row], head: int, columns: Mapping[str, int]) -> tuple[list[Observation], str | None]:
        tests = self._test_columns(rows[head], set(columns.values()))
        found: list[Observation] = []
        short = 0
        seen: dict[tuple[str | None, str | None], int] = {}
        for number, row in enumerate(rows[head + 1 :], head + 2):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max([*columns.values(), *tests], default=0) and len(row) < len(rows[head]):
                short += 1
                continue
            said = {name: row[at].strip()[:_MOST_CHARACTERS] for name, at in columns.items()}
            for draft in self._drafts(row, said, tests, number):
                for one in self._finisher.finished(draft):
                    key = (one.specimen, one.test)
                    one.replicate = seen[key] = seen.get(key, 0) + 1
                    found.append(one)
        problem = f"{short} satırın sütunları eksik; o satırlar okunmadı." if short else None
        if not found and problem is None:
            problem = "Dosyada sonuç satırı yok."
        return found, problem

    def _test_columns(self, heads: Row, taken: set[int]) -> dict[int, Cell]:
        tests: dict[int, Cell] = {}
        for at, head in enumerate(heads):
            cell = self._tests.get(_folded(head))
            if cell is not None:
                tests[at] = cell
            elif self._table.other_columns_are_tests and at not in taken and head.strip():
                tests[at] = Cell(test=head.strip())
        return tests

    def _drafts(self, row: Row, said: dict[str, str], tests: Mapping[int, Cell], number: int) -> Iterator[Draft]:
        if not tests:
            yield Draft(said, Cell(test="{test}"), "", [], number, 0)
            return
        for at, cell in tests.items():
            value = row[at].strip()[:_MOST_CHARACTERS]
            if value or not self._table.skip_blank:
                yield Draft({**said, "value": value}, cell, "", [], number, 0)


class _Unreadable(Exception):
    """A sentence for people."""


def _folded(text: str) -> str:
    return " ".join(text.replace("\ufeff", "").split()).casefold()


def _sheet(data: bytes, name: str) -> Iterator[Row]:
    """The rows of a worksheet as texts. Raises _Unreadable: broken, packed to be a bomb, or no worksheet at all."""
    _check_packing(data)
    openpyxl: Any = import_module("openpyxl")  # slow to import, and only few lines have worksheets
    cells = 0
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        if name and name not in book.sheetnames:
            raise _Unreadable(f"Çalışma kitabında {name!r} adlı sayfa yok.")
        sheet = book[name] if name else book.worksheets[0]
        for count, row in enumerate(sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS)):
            cells += len(row)
            if count > _MOST_ROWS or cells > _MOST_CELLS:
                raise _Unreadable("Dosyada olağan dışı sayıda satır ya da sütun var; okunmadı.")
            yield [_cell(value) for value in row]
    except _Unreadable:
        raise
    except Exception as error:  # the library raises whatever its parts raise on a broken file
        raise _Unreadable("XLSX dosyası açılamadı; bozuk ya da yarım olabilir.") from error


def _check_packing(data: bytes) -> None:
    """How much would be unpacked, and whether XML inside declares anything. Raises _Unreadable."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > _MOST_UNPACKED:
                raise _Unreadable("XLSX dosyası açılınca olağan dışı büyük olur; okunmadı.")
            for part in parts:
                with archive.open(part) as inside:  # never more than it announced: the library checks the size
                    head = inside.read(_HEAD)
                if any(word in head.replace(b"\x00", b"") for word in (b"<!DOCTYPE", b"<!ENTITY")):
                    raise _Unreadable("XLSX içinde belge türü bildirimi var; güvenlik için okunmadı.")
    except (BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise _Unreadable("XLSX dosyası açılamadı; bozuk ya da yarım olabilir.") from error


def _cell(value: object) -> str:
    """A cell as it is shown: whole numbers without a point, dates as ISO."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.strftime("%Y%m%d%H%M%S")
    if isinstance(value, date):
        return value.strftime("%Y%m%d")
    return str(value)
