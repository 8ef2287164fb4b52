"""A watched folder: result files of a workstation, half written, twice the same, unreadable."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from drivers.definition import Catalog, load_catalog
from drivers.gateway.folder_line import file_key
from drivers.gateway.line import LineSpec
from lis_core.storage.database import Database
from tests.gateway.conftest import House

HEADINGS = "Barkod;Test;Sonuç;Birim;Sonuç Tarihi\n"


def spec(folder: Path, definition: str = "generic-tablo", protocol: str = "tablo", **settings: Any) -> LineSpec:
    quick = {"bekleme": 0.2, "aralik": 0.05, **settings}
    return LineSpec("genel", "klasor", protocol, str(folder), definition, quick)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "sonuclar"
    made.mkdir()
    return made


async def moved(folder: Path, name: str, to: str = "islenen") -> Path:
    target = folder / to / name
    for _ in range(200):
        if target.exists():
            return target
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is not in {to}: {sorted(str(p.relative_to(folder)) for p in folder.rglob('*'))}")


async def raw_messages(house: House) -> list[Any]:
    await house.settled()
    return await house.rows("select anahtar, protokol, icerik, durum from ham_mesaj order by ham_mesaj_kodu")


async def test_a_file_is_spooled_read_and_moved(lab: Database, tmp_path: Path, folder: Path, catalog: Catalog) -> None:
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(spec(folder))
    watched: list[tuple[str, bytes]] = []
    house.book.taps = (lambda way, data: watched.append((way, data)),)
    content = (HEADINGS + "26000145;GLU;5,2;mmol/L;01.01.2026 09:05:40\n").encode("cp1254")
    (folder / "liste.csv").write_bytes(content)
    await moved(folder, "liste.csv")
    ((key, protocol, kept, _),) = await raw_messages(house)

    assert (key, protocol, bytes(kept)) == (file_key("genel", content), "tablo", content)
    assert watched == [("gelen", content)], "who watches the line sees the file"
    await house.stop()


async def test_the_same_file_twice_is_one_message(
    lab: Database, tmp_path: Path, folder: Path, catalog: Catalog
) -> None:
    """Also after a restart: the key is the content's digest, and the database knows it."""
    content = (HEADINGS + "26000145;GLU;5,2;mmol/L;01.01.2026 09:05:40\n").encode()
    for _ in range(2):
        house = House(lab, tmp_path / "spool", catalog)
        await house.start(spec(folder))
        for name in ("bir.csv", "iki.csv"):
            (folder / name).write_bytes(content)
            await asyncio.sleep(0.6)
        assert len(await raw_messages(house)) == 1
        await house.stop()
    assert sorted(path.name for path in (folder / "islenen").iterdir()) == [
        "bir-2.csv", "bir.csv", "iki-2.csv", "iki.csv",
    ]  # fmt: skip


async def test_a_file_that_is_still_being_written_waits(
    lab: Database, tmp_path: Path, folder: Path, catalog: Catalog
) -> None:
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(spec(folder, bekleme=0.5))
    with (folder / "uzun.csv").open("w", encoding="utf-8") as file:
        for part in [HEADINGS, *[f"2600014{n};GLU;5.{n};mmol/L;\n" for n in range(4)]]:
            file.write(part)
            file.flush()
            os.fsync(file.fileno())
            await asyncio.sleep(0.25)
            assert (folder / "uzun.csv").exists()
    await moved(folder, "uzun.csv")
    ((_, _, kept, _),) = await raw_messages(house)
    assert bytes(kept).count(b"GLU") == 4
    await house.stop()


async def test_names_of_unfinished_files_are_left_alone(
    lab: Database, tmp_path: Path, folder: Path, catalog: Catalog
) -> None:
    """A writer that renames when it is done."""
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(spec(folder))
    (folder / "liste.csv.tmp").write_text(HEADINGS + "26000145;GLU;5.2;;\n")
    await asyncio.sleep(0.6)
    assert await raw_messages(house) == []
    (folder / "liste.csv.tmp").rename(folder / "liste.csv")
    await moved(folder, "liste.csv")
    assert len(await raw_messages(house)) == 1
    await house.stop()


async def test_a_file_that_nobody_can_read_is_kept_and_set_aside_with_the_reason(
    lab: Database, tmp_path: Path, folder: Path, catalog: Catalog
) -> None:
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(spec(folder))
    (folder / "yanlis.csv").write_text("a;b;c\n1;2;3\n")
    (folder / "bos.csv").write_bytes(b"")
    target = await moved(folder, "yanlis.csv", "reddedilen")
    await moved(folder, "bos.csv", "reddedilen")

    reason = target.with_name("yanlis.csv.neden.txt")
    async with asyncio.timeout(5):
        while not (reason.exists() and reason.read_text(encoding="utf-8")):  # written beside it a moment later
            await asyncio.sleep(0.02)
    assert "sütun başlıkları yok" in reason.read_text(encoding="utf-8")
    ((_, _, kept, _),) = await raw_messages(house)
    assert bytes(kept) == b"a;b;c\n1;2;3\n"  # what was taken is kept, whatever it is
    await house.stop()


async def test_a_folder_that_vanishes_is_waited_for(
    lab: Database, tmp_path: Path, folder: Path, catalog: Catalog
) -> None:
    """A network share."""
    house = House(lab, tmp_path / "spool", catalog)
    folder.rmdir()
    await house.start(spec(folder))
    await asyncio.sleep(0.3)
    assert not house.book.status.listening and "erişilemiyor" in (house.book.status.last_error or "")
    folder.mkdir()
    (folder / "liste.csv").write_text(HEADINGS + "26000145;GLU;5.2;;\n")
    await moved(folder, "liste.csv")
    assert house.book.status.listening
    await house.stop()


async def test_astm_records_in_files(lab: Database, tmp_path: Path, folder: Path, catalog: Catalog) -> None:
    """One file, two messages."""
    house = House(lab, tmp_path / "spool", catalog)
    await house.start(spec(folder, "generic-astm", "astm"))
    one = "H|\\^&\rP|1\rO|1|{0}||^^^GLU\rR|1|^^^GLU|5.2|mmol/L||N||F||||20260101090540\rL|1|N\r"
    (folder / "cikti.txt").write_text(one.format("26000145") + one.format("26000152"))
    await moved(folder, "cikti.txt")
    assert len(await raw_messages(house)) == 2
    await house.stop()


PRINTED_XML = """
key = "deneme-xml"
revision = 1
maker = "Deneme"
model = "D"
family = "urine"
protocol = "metin"
source = "hand-written"
standing = "simulated"
directions = ["results"]
links = ["file"]
[text]
xml = true
unknown = "ignore"
[[text.rule]]
path = 'SA'
take = { specimen = "@ID" }
as = "above"
begins = true
[[text.rule]]
path = 'SA/AR'
take = { test = "@Key", value = "text" }
as = "results"
"""


def worksheet(specimen: str) -> bytes:
    book, out = Workbook(), io.BytesIO()
    for row in (["Barkod", "Test", "Sonuç"], [specimen, "GLU", 5.2], [specimen, "CRP", "<0.6"]):
        book.active.append(row)
    book.save(out)
    return out.getvalue()


async def test_worksheets_and_xml_written_slowly_and_twice(lab: Database, tmp_path: Path, folder: Path) -> None:
    """The half of them that lies there for a moment is never read; the copy of tomorrow morning is no second result."""
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "deneme-xml.toml").write_text(PRINTED_XML, encoding="utf-8")
    catalog, other = load_catalog(tmp_path / "t"), tmp_path / "xml"
    other.mkdir()
    house = House(lab, tmp_path / "spool", catalog)
    xml_line = LineSpec("hormon", "klasor", "metin", str(other), "deneme-xml", {"bekleme": 0.4, "aralik": 0.05})
    await house.start(spec(folder, bekleme=0.4), xml_line)
    xml = b'<SA ID="26000152"><AR Key="WBC">7</AR><AR Key="GLU">[none]</AR></SA>'
    assert catalog.get("deneme-xml").read(xml[:40]).observations == [], "half an XML is none"
    files = {folder / "liste.xlsx": worksheet("26000145"), other / "idrar.xml": xml}
    for path, content in files.items():
        path.write_bytes(content[: len(content) // 2])
    await asyncio.sleep(0.2)
    assert await raw_messages(house) == []
    for path, content in files.items():
        path.write_bytes(content)
    for path, content in files.items():
        await moved(path.parent, path.name)
        path.with_stem("kopya").write_bytes(content)
        await moved(path.parent, path.with_stem("kopya").name)
    messages = await raw_messages(house)
    assert sorted(bytes(row.icerik) for row in messages) == sorted(files.values())
    held = await house.rows("select icerik->>'specimen' as tup, icerik->>'test' as test from eslesmeyen_sonuc")
    assert sorted((row.tup, row.test) for row in held) == [
        ("26000145", "CRP"), ("26000145", "GLU"), ("26000152", "GLU"), ("26000152", "WBC"),
    ]  # fmt: skip
    await house.stop()


def test_a_path_that_is_not_absolute_is_refused(tmp_path: Path) -> None:
    from drivers.links.folder import WatchedFolder

    async def take(name: str, data: bytes) -> str | None:
        return None

    with pytest.raises(ValueError, match="tam olmalı"):
        WatchedFolder("sonuclar", take, lambda is_open, problem: None, {})
