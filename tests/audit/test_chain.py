"""Somebody with the keys of the server bends the audit: each way of doing it is found, and named by chain and number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from lis_core.services import audit_chain
from lis_core.services.audit_chain import Anchors, Problem
from lis_core.storage.database import Database, program

pytestmark = pytest.mark.administrator("the guards are switched off by whoever rules the database")

ROWS = 40
JANUARY, FEBRUARY = "2031-01-15 10:00+00", "2031-02-15 10:00+00"


@pytest.fixture
async def long_audit(database: Database) -> Database:
    """Forty rows in two months, in partitions of their own, verified once."""
    async with database.engine.begin() as connection:
        for month in (JANUARY, FEBRUARY):
            await connection.execute(text(f"select denetim_bolum_ac('{month[:10]}')"))
    for at in (JANUARY, FEBRUARY):
        await append(database, ROWS // 2, at)
    assert await audit_chain.verify_new(database, step=7) == []
    return database


async def append(database: Database, count: int, at: str) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(
            text(
                "select denetim_ekle('ekran', (select jsonb_agg(jsonb_build_object('zaman', cast(:at as timestamptz) + n "
                "* interval '1 second', 'yapan', 'uzman', 'adres', '', 'islem', 'deneme', 'nesne_turu', 'deneme', "
                "'nesne_kodu', n::text, 'sonraki', jsonb_build_object('n', n))) from generate_series(1, :count) n))"
            ),
            {"at": at, "count": count},
        )


async def by_the_owner(database: Database, *statements: str) -> None:
    """The guards off, the deed, the guards on."""
    async with database.engine.begin() as connection:
        await connection.execute(text("alter table denetim disable trigger all"))
        for statement in statements:
            await connection.execute(text(statement))
        await connection.execute(text("alter table denetim enable trigger all"))


async def both(database: Database) -> tuple[Sequence[Problem], Sequence[Problem]]:
    """What the whole verification finds, and what a night finds that starts where the last one ended."""
    async with database.reading() as session:
        whole = await audit_chain.verify_whole(session)
    return whole, [*await audit_chain.verify_new(database), *await audit_chain.verify_old(database)]


REWRITE = (
    "do $$ declare r record; v bytea := '\\x00'; begin "
    "for r in select * from denetim where zincir = 'ekran' order by sira loop "
    "update denetim set onceki_ozet = v, ozet = denetim_ozeti(zincir, sira, zaman, kullanici_kodu, yapan, adres, islem, "
    "nesne_turu, nesne_kodu, onceki, sonraki, v, hastalar) where zincir = 'ekran' and sira = r.sira returning ozet into v; "
    "end loop; update denetim_zinciri set son_ozet = v where zincir = 'ekran'; end $$"
)
"""The owner makes every hash fit again."""


async def test_an_untouched_chain_has_no_problems(long_audit: Database) -> None:
    whole, night = await both(long_audit)
    assert (whole, night) == ([], [])


@pytest.mark.parametrize(
    ("deed", "place", "words"),
    [
        ("update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 11", 11, "satir degistirilmis"),
        ("update denetim set hastalar = '{7}' where zincir = 'ekran' and sira = 12", 12, "satir degistirilmis"),
        ("delete from denetim where zincir = 'ekran' and sira = 13", 13, "satir eksik"),
        ("delete from denetim where zincir = 'ekran' and sira between 13 and 15", 13, "satirlar eksik (13 - 15)"),
        ("delete from denetim where zincir = 'ekran' and sira > 38", 40, "zincirin sonu eksik"),
        (
            "update denetim d set yapan = 'b', sonraki = o.sonraki from denetim o where d.zincir = 'ekran' and "
            "o.zincir = 'ekran' and d.sira in (5, 6) and o.sira = 11 - d.sira",
            5,
            "satir degistirilmis",
        ),
        (
            "update denetim set sira = case sira when 7 then 8 else 7 end where zincir = 'ekran' and sira in (7, 8)",
            7,
            "satir degistirilmis",
        ),
        ("update denetim set adres = '10.9.9.9' where tableoid = 'bolum.denetim_2031_02'::regclass", 21, "satir degistirilmis"),
        ("delete from denetim where tableoid = 'bolum.denetim_2031_01'::regclass", 1, "satirlar eksik (1 - 20)"),
        ("drop table bolum.denetim_2031_02", 40, "zincirin sonu eksik"),
        ("insert into denetim select zincir, sira, zaman + interval '1 day', kullanici_kodu, yapan, adres, islem, nesne_turu, "
         "nesne_kodu, onceki, sonraki, hastalar, onceki_ozet, ozet from denetim where zincir = 'ekran' and sira = 9", 9, "satir fazla"),
        ("delete from denetim_zinciri where zincir = 'ekran'", 0, "zincirin basi silinmis"),
    ],
)  # fmt: skip
async def test_what_was_done_to_the_chain_is_named(long_audit: Database, deed: str, place: int, words: str) -> None:
    await by_the_owner(long_audit, deed)
    whole, night = await both(long_audit)
    assert Problem("ekran", place, words) in whole
    assert any(problem.chain == "ekran" and problem.number == place for problem in night), night


async def test_a_swap_names_both_rows(long_audit: Database) -> None:
    await by_the_owner(
        long_audit,
        "update denetim set sira = case sira when 7 then 8 else 7 end where zincir = 'ekran' and sira in (7, 8)",
    )
    whole, _ = await both(long_audit)
    assert {problem.number for problem in whole if problem.problem == "satir degistirilmis"} >= {7, 8}


async def test_a_cut_end_with_a_corrected_head_is_found_where_it_had_been_verified(long_audit: Database) -> None:
    """The last rows are gone and the head says so too: the chain itself holds, the verified place does not."""
    await by_the_owner(
        long_audit,
        "delete from denetim where zincir = 'ekran' and sira > 30",
        "update denetim_zinciri set son_sira = 30, son_ozet = (select ozet from denetim where zincir = 'ekran' "
        "and sira = 30) where zincir = 'ekran'",
    )
    whole, night = await both(long_audit)
    assert whole == []
    assert any(p.number == 40 and p.problem == "dogrulanmis satir artik baska" for p in night)


async def test_a_chain_rewritten_whole_is_found_by_the_anchor_outside(long_audit: Database, tmp_path: Path) -> None:
    """The owner changes a row and makes every hash fit: only what lies outside of the database can tell."""
    anchors = Anchors(tmp_path / "capa.jsonl", b"gizli")
    assert await audit_chain.write_anchor(long_audit, anchors) == 1
    await append(long_audit, 3, "2031-02-20 10:00+00")
    assert await audit_chain.write_anchor(long_audit, anchors) == 1
    assert await audit_chain.compare_anchor(long_audit, anchors) == []
    await by_the_owner(long_audit, "update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 20", REWRITE)
    async with long_audit.reading() as session:
        assert await audit_chain.verify_whole(session) == []
    found = await audit_chain.compare_anchor(long_audit, anchors)
    assert [(p.chain, p.number) for p in found] == [("ekran", 40), ("ekran", 43)]
    assert "yeniden yazılmış" in found[0].problem


@pytest.mark.parametrize("key", [b"anahtar", None])
async def test_a_changed_anchor_file_is_found_too(long_audit: Database, tmp_path: Path, key: bytes | None) -> None:
    anchors = Anchors(tmp_path / "capa.jsonl", key)
    for _ in range(3):
        await append(long_audit, 2, "2031-02-21 10:00+00")
        await audit_chain.write_anchor(long_audit, anchors)
    lines = anchors.file.read_text().splitlines()
    entry = json.loads(lines[1]) | {"ozet": "00" * 32}
    anchors.file.write_text("\n".join([lines[0], json.dumps(entry), lines[2]]) + "\n")
    found = await audit_chain.compare_anchor(long_audit, anchors)
    assert {problem.number for problem in found if problem.chain == "çapa"} >= {3 if key is None else 2}
    anchors.file.write_text("çöp\n")
    assert [p.problem for p in await audit_chain.compare_anchor(long_audit, anchors)] == ["çapa satırı okunamıyor"]


async def test_a_head_that_did_not_move_is_not_anchored_twice(long_audit: Database, tmp_path: Path) -> None:
    anchors = Anchors(tmp_path / "alt" / "capa.jsonl")
    assert await audit_chain.write_anchor(long_audit, anchors) == 1
    assert await audit_chain.write_anchor(long_audit, anchors) == 0


async def test_verification_goes_on_where_it_ended(long_audit: Database) -> None:
    """An old row is changed: the night that looks only at new rows passes, the turn over old rows finds it."""
    await by_the_owner(long_audit, "update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 3")
    await append(long_audit, 5, "2031-02-22 10:00+00")
    assert await audit_chain.verify_new(long_audit) == []
    assert await audit_chain.verify_old(long_audit, rows=2) == []
    assert [(p.number, p.problem) for p in await audit_chain.verify_old(long_audit, rows=2)] == [
        (3, "satir degistirilmis")
    ]


async def test_a_problem_stops_the_place_so_that_the_next_night_names_it_again(long_audit: Database) -> None:
    await append(long_audit, 5, "2031-02-23 10:00+00")
    await by_the_owner(long_audit, "update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 43")
    first = await audit_chain.verify_new(long_audit)
    assert [(p.number, p.problem) for p in first] == [(43, "satir degistirilmis")]
    assert await audit_chain.verify_new(long_audit) == first


async def test_a_row_of_a_month_without_a_partition_is_kept_and_counted(database: Database) -> None:
    await append(database, 2, "2044-05-05 05:05+00")
    async with database.reading() as session:
        assert await audit_chain.stray_rows(session) == 2
        assert await audit_chain.verify_whole(session) == []


async def test_partitions_are_made_ahead_once(database: Database) -> None:
    assert await audit_chain.open_partitions(database) == 0
    assert await audit_chain.open_partitions(database, ahead=5) == 2
    async with database.work(program("deneme")) as work:
        work.audit("deneme", "deneme", 1)
    async with database.reading() as session:
        where = await session.scalar(text("select tableoid::regclass::text from denetim where islem = 'deneme'"))
    assert str(where).startswith("bolum.denetim_2")


@pytest.mark.parametrize("statement", ["truncate bolum.denetim_2031_01", "delete from bolum.denetim_2031_01",
                                       "update bolum.denetim_2031_01 set yapan = 'x'"])  # fmt: skip
async def test_a_partition_is_guarded_as_the_whole(long_audit: Database, statement: str) -> None:
    with pytest.raises(Exception, match="silinemez ve degistirilemez"):
        async with long_audit.engine.begin() as connection:
            await connection.execute(text(statement))


async def test_a_night_anchors_only_what_holds(long_audit: Database, tmp_path: Path) -> None:
    anchors = Anchors(tmp_path / "capa.jsonl")
    assert await audit_chain.nightly(long_audit, anchors) == []
    before = anchors.file.read_bytes()
    await append(long_audit, 2, "2031-02-24 10:00+00")
    await by_the_owner(long_audit, "update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 41")
    assert [problem.number for problem in await audit_chain.nightly(long_audit, anchors)] == [41]
    assert anchors.file.read_bytes() == before


async def test_the_running_program_verifies_by_itself_and_says_what_is_broken(
    long_audit: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    anchors = Anchors(tmp_path / "capa.jsonl")
    watching = asyncio.create_task(audit_chain.watch(long_audit, anchors, every=0.05))
    try:
        async with asyncio.timeout(30):
            while not anchors.file.exists():
                await asyncio.sleep(0.05)
            await by_the_owner(long_audit, "update denetim set yapan = 'kimse' where zincir = 'ekran' and sira = 3")
            while "ekran 3 satir degistirilmis" not in caplog.text:
                await asyncio.sleep(0.05)
    finally:
        watching.cancel()
