"""Proof of the audit: verification that goes on where the last one ended, and anchors outside of the database.

The chains prove that no row was changed, removed or put in between; the database's owner could still build a whole new
chain. So the heads are written, now and then, into a file outside (`[denetim] capa` in NUMUNE_CONFIG; else beside the
data), and a chain that no longer holds a hash that was once its head was rewritten.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.services import database_watch
from lis_core.settings import Settings
from lis_core.storage.database import Database

log = logging.getLogger(__name__)

STEP = 100_000
"""Rows verified in one transaction."""

WHOLE_UP_TO = 300_000
"""Rows up to which everything is verified each time; with more, the new ones and a part of the old ones."""

AGAIN = 500_000
"""Old rows of each chain that a night verifies again, in turns."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken or missing row: its chain, its number, what is wrong."""

    chain: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.chain} zinciri {self.number}. satır: {self.problem}"


@dataclass(frozen=True, slots=True)
class Anchors:
    """Where the heads are kept outside of the database, and the key that signs them (None = unsigned)."""

    file: Path
    key: bytes | None = None

    @classmethod
    def of(cls, settings: Settings) -> Anchors:
        """As configured: `[denetim] capa = FILE, capa_anahtari = FILE`. Raises OSError for an unreadable key."""
        wanted: dict[str, Any] = settings.config.get("denetim", {})
        key = wanted.get("capa_anahtari")
        file = Path(wanted.get("capa") or settings.data_dir / "denetim-capasi.jsonl")
        return cls(file, Path(key).read_bytes().strip() if key else None)


# --- verification -----------------------------------------------------------------------------------------------------


async def open_partitions(database: Database, ahead: int = 3) -> int:
    """Make the partitions of this and the next months; how many are new."""
    async with database.engine.begin() as connection:
        return int(await connection.scalar(text("select denetim_bolumleri_ac(:ahead)"), {"ahead": ahead}) or 0)


async def chains(session: AsyncSession) -> list[str]:
    return sorted(await session.scalars(text("select denetim_zincirleri()")))


async def verify_whole(session: AsyncSession, limit: int = 1000) -> list[Problem]:
    """Every hash of everything: about a second for 100,000 rows."""
    rows = await session.execute(
        text("select zincir, sira, sorun from denetim_dogrula() limit :limit"), {"limit": limit}
    )
    return [Problem(*row) for row in rows]


async def verify_new(database: Database, step: int = STEP) -> list[Problem]:
    """What came since the last verification, then the ends of the chains. The place moves on where all is well."""
    async with database.reading() as session:
        names = await chains(session)
        heads = {row[0]: row[1] for row in await session.execute(text("select zincir, son_sira from denetim_zinciri"))}
    found = [Problem(name, 0, "zincirin basi silinmis") for name in names if name not in heads]
    for name in names:
        while True:
            problems, moved = await _one_step(database, name, step)
            found += problems
            if problems or not moved:
                break
    async with database.reading() as session:
        ends = await session.execute(text("select zincir, sira, sorun from denetim_sonu_dogrula()"))
        found += [Problem(*row) for row in ends]
    return sorted(set(found), key=lambda problem: (problem.chain, problem.number))


async def _one_step(database: Database, chain: str, step: int) -> tuple[list[Problem], bool]:
    place = text("select sira from denetim_dogrulama where zincir = :chain")
    async with database.engine.begin() as connection:
        before = await connection.scalar(place, {"chain": chain})
        rows = await connection.execute(
            text("select zincir, sira, sorun from denetim_dogrula_ilerle(:chain, :step)"),
            {"chain": chain, "step": step},
        )
        problems = [Problem(*row) for row in rows]
        after = await connection.scalar(place, {"chain": chain})
    return problems, bool(after) and after != (before or 0)


async def verify_old(database: Database, rows: int = AGAIN) -> list[Problem]:
    """The next part of what was verified before, once more, in turns: a change made since then is found in time."""
    found: list[Problem] = []
    async with database.reading() as session:
        marks = (await session.execute(text("select zincir, sira, yeniden_sira from denetim_dogrulama"))).all()
    for chain, place, again in marks:
        first = 0 if again >= place else again
        last = min(place, first + rows)
        async with database.engine.begin() as connection:
            start = (
                b"\x00"
                if first == 0
                else await connection.scalar(
                    text("select ozet from denetim where zincir = :chain and sira = :number"),
                    {"chain": chain, "number": first},
                )
            )
            if start is None:
                found.append(Problem(chain, first, "satir eksik"))
                start = b""
            broken = await connection.execute(
                text("select zincir, sira, sorun from denetim_dogrula_aralik(:chain, :first, :last, :start)"),
                {"chain": chain, "first": first, "last": last, "start": start},
            )
            found += [Problem(*row) for row in broken]
            await connection.execute(
                text("update denetim_dogrulama set yeniden_sira = :last where zincir = :chain"),
                {"last": last, "chain": chain},
            )
    return found


async def verify(database: Database, *, whole: bool = False) -> list[Problem]:
    """Everything where that is quick (or wanted), else the new rows and a part of the old ones."""
    async with database.reading() as session:
        rows = await session.scalar(text("select coalesce(sum(son_sira), 0) from denetim_zinciri")) or 0
        if whole or rows <= WHOLE_UP_TO:
            return await verify_whole(session)
    return list(dict.fromkeys([*await verify_new(database), *await verify_old(database)]))


async def stray_rows(session: AsyncSession) -> int:
    """Rows of months for which no partition had been made."""
    return int(await session.scalar(text("select count(*) from bolum.denetim_diger")) or 0)


# --- anchors ----------------------------------------------------------------------------------------------------------


async def write_anchor(database: Database, anchors: Anchors) -> int:
    """Append the present heads to the file, fsynced; how many chains. Nothing where no head has moved.

    Each line holds the SHA-256 of the line before it, and with a key its own HMAC.
    """
    async with database.reading() as session:
        heads = (
            await session.execute(
                text("select zincir, son_sira, son_ozet from denetim_zinciri where son_sira > 0 order by 1")
            )
        ).all()
    return await asyncio.to_thread(_append, anchors, [(row[0], row[1], bytes(row[2]).hex()) for row in heads])


def _append(anchors: Anchors, heads: list[tuple[str, int, str]]) -> int:
    anchors.file.parent.mkdir(parents=True, exist_ok=True)
    lines = anchors.file.read_bytes().splitlines() if anchors.file.exists() else []
    known = {entry["zincir"]: entry["sira"] for entry in map(json.loads, lines) if "zincir" in entry}
    before = lines[-1] if lines else b""
    written = 0
    with anchors.file.open("ab") as file:
        for chain, number, digest in heads:
            if known.get(chain) == number:
                continue
            entry = {
                "zaman": datetime.now(UTC).isoformat(timespec="seconds"),
                "zincir": chain,
                "sira": number,
                "ozet": digest,
                "onceki": hashlib.sha256(before).hexdigest(),
            }
            if anchors.key:
                entry["imza"] = _signature(anchors.key, entry)
            before = json.dumps(entry).encode()
            file.write(before + b"\n")
            written += 1
        file.flush()
        os.fsync(file.fileno())
    return written


def _signature(key: bytes, entry: dict[str, Any]) -> str:
    words = "|".join(str(entry[name]) for name in ("zaman", "zincir", "sira", "ozet", "onceki"))
    return hmac.new(key, words.encode(), hashlib.sha256).hexdigest()


_MISSING = text(
    "select c.zincir, c.sira from unnest(cast(:chains as text[]), cast(:numbers as bigint[]), "
    "cast(:hashes as text[])) as c(zincir, sira, ozet) where not exists (select from denetim d "
    "where d.zincir = c.zincir and d.sira = c.sira and d.ozet = decode(c.ozet, 'hex')) order by 1, 2"
)


_REWRITTEN = "çapadaki özet veritabanında yok: zincir yeniden yazılmış"


async def compare_anchor(database: Database, anchors: Anchors) -> list[Problem]:
    """Does the database still hold every hash that was once a head? Empty where it does, or nothing is anchored."""
    if not anchors.file.exists():
        return []
    lines = (await asyncio.to_thread(anchors.file.read_bytes)).splitlines()
    found: list[Problem] = []
    entries: list[dict[str, Any]] = []
    before = b""
    for place, line in enumerate(lines, 1):
        entry = _entry(line)
        if entry is None:
            found.append(Problem("çapa", place, "çapa satırı okunamıyor"))
        elif entry["onceki"] != hashlib.sha256(before).hexdigest():
            found.append(Problem("çapa", place, "çapa dosyası değiştirilmiş"))
        elif anchors.key and not hmac.compare_digest(entry.get("imza", ""), _signature(anchors.key, entry)):
            found.append(Problem("çapa", place, "çapa imzası tutmuyor"))
        else:
            entries.append(entry)
        before = line
    async with database.reading() as session:
        missing = await session.execute(
            _MISSING,
            {
                "chains": [entry["zincir"] for entry in entries],
                "numbers": [entry["sira"] for entry in entries],
                "hashes": [entry["ozet"] for entry in entries],
            },
        )
        found += [
            Problem(chain, number, "çapadaki özet veritabanında yok: zincir yeniden yazılmış")
            for chain, number in missing
        ]
    return found


def _entry(line: bytes) -> dict[str, Any] | None:
    """The line as it was written; None where it was not written so."""
    try:
        entry = json.loads(line)
        bytes.fromhex(entry["ozet"])
        return entry if isinstance(entry["sira"], int) and {"zaman", "zincir", "onceki"} <= entry.keys() else None
    except (ValueError, KeyError, TypeError):
        return None


async def nightly(database: Database, anchors: Anchors) -> list[Problem]:
    """A night's work: partitions ahead, what was done without the program, verification, the anchors; a new one where
    all holds."""
    await open_partitions(database)
    await database_watch.take_up(database)
    found = [*await verify(database), *await compare_anchor(database, anchors)]
    if not found:
        await write_anchor(database, anchors)
    return found


WATCH_SECONDS = 3600.0


async def watch(database: Database, anchors: Anchors, every: float = WATCH_SECONDS) -> None:
    """Until cancelled: each hour what `nightly` does. A broken chain is said in the log, by chain and number.

    Hour by hour an owner has less time to rewrite what was not anchored. The first turn comes after a pause, so that a
    start is not slower for it.
    """
    while True:
        await asyncio.sleep(every)
        try:
            problems = await nightly(database, anchors)
        except (SQLAlchemyError, OSError) as error:  # the database or the folder is away: the next hour will tell
            log.warning("audit not verified", extra={"action": "audit_not_verified", "why": type(error).__name__})
            continue
        for problem in problems:
            log.critical("audit is broken: %s %s %s", problem.chain, problem.number, problem.problem)
