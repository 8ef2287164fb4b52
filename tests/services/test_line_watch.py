"""Between screens and gateway: a line's history, bytes only while somebody watches, trials, codes that get a meaning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from api.line_desk import LineDesk
from drivers.definition import load_catalog
from drivers.gateway import rereading
from drivers.gateway.gateway import Gateway
from drivers.gateway.line import LineSpec
from drivers.messages import Delivery, Query, WorkOrder
from drivers.site import SiteCatalog, publish
from lis_core.jobs import OutboxWorker
from lis_core.services.ingest_batch import apply_batch
from lis_core.services.instruments import MappingData, save_mapping, set_line_active
from lis_core.services.line_watch import ask_trial, clean_up, wanted, watch
from lis_core.services.rederive import TOPIC, rederiving
from lis_core.services.replay import preview
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.storage.tables import (
    AuditEntry,
    Connection,
    LineEvent,
    LineTraffic,
    LineTrial,
    Order,
    OrderedTest,
    Result,
    UnmatchedResult,
)
from lis_core.views.lines import undeclared_codes
from tests.services import steps

GENERIC = load_catalog()


@asynccontextmanager
async def gateway(lab: Database, folder: Path) -> AsyncIterator[tuple[Gateway, LineDesk, int]]:
    """A gateway with the demonstration's general line on a free port, and its desk."""

    async def nothing(line: str, query: Query) -> list[WorkOrder]:
        return []

    async def kept(delivery: Delivery) -> None:
        gate.confirmed([delivery.key])

    gate = Gateway(folder, GENERIC, answer=nothing, deliver=kept, zone=ISTANBUL)
    await gate.start_lines([LineSpec("genel", "tcp-sunucu", "astm", "127.0.0.1:0", "generic-astm")])
    desk = LineDesk(lab, gate)
    running = asyncio.create_task(desk.run())
    try:
        yield gate, desk, gate._endpoints["genel"].port  # type: ignore[attr-defined]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await gate.stop()


async def line_id(lab: Database, name: str = "genel") -> int:
    async with lab.reading() as session:
        found = await session.scalar(select(Connection.id).where(Connection.name == name))
        assert found is not None
        return found


async def until(condition: Any, seconds: float = 8.0) -> Any:
    """What the condition gives once it gives something."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := await condition():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen in time")


async def says(port: int, *parts: bytes) -> bytes:
    """Somebody connects, says this, and hangs up; what he was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    for part in parts:
        writer.write(part)
        heard += await asyncio.wait_for(reader.read(10), 3)
    writer.close()
    await writer.wait_closed()
    return heard


async def test_a_lines_history_is_kept_and_what_repeats_is_counted(lab: Database, tmp_path: Path) -> None:
    line = await line_id(lab)

    async def history() -> list[tuple[str, str, int]]:
        async with lab.reading() as session:
            rows = await session.scalars(
                select(LineEvent).where(LineEvent.connection_id == line).order_by(LineEvent.id)
            )
            return [(row.kind, row.sentence, row.count) for row in rows]

    async with gateway(lab, tmp_path) as (gate, _, port):
        bad = b"\x021H|\\^&\r\x0300\r\n"
        assert await says(port, b"\x05", bad, bad, bad) == b"\x06\x15\x15\x15"

        async def three_refusals() -> bool:
            return any(kind == "sorun" and count == 3 for kind, _, count in await history())

        await until(three_refusals)
        book = gate.lines["genel"]
        book.trouble("Çerçevenin sağlama toplamı yanlış; yeniden istendi.")
        book.note("istemde bu cihazın çalıştığı bekleyen tetkik yok")
        await until(lambda: _has(history, "bekleyen tetkik yok"))
        assert not book.fresh


async def _has(history: Any, words: str) -> bool:
    return any(words in sentence for _, sentence, _ in await history())


async def test_bytes_are_written_only_while_somebody_watches(lab: Database, tmp_path: Path) -> None:
    line = await line_id(lab)

    async def chunks() -> list[tuple[str, bytes]]:
        async with lab.reading() as session:
            rows = await session.scalars(select(LineTraffic).order_by(LineTraffic.id))
            return [(row.direction, bytes(row.content)) for row in rows]

    async with gateway(lab, tmp_path) as (gate, _, port):
        await says(port, b"\x05", b"\x04\x05")
        await asyncio.sleep(1.5)
        assert gate.lines["genel"].taps == () and await chunks() == []

        async with lab.work(await steps.user(lab, "uzman")) as work:
            await watch(work, line)

        async def tapped() -> bool:
            return bool(gate.lines["genel"].taps)

        await until(tapped)
        await says(port, b"\x05")

        async def both_ways() -> bool:
            return len(await chunks()) >= 2

        await until(both_ways)
        assert (await chunks())[:2] == [("gelen", b"\x05"), ("giden", b"\x06")]

        async with lab.work(await steps.user(lab, "uzman")) as work:
            await work.session.execute(text("update baglanti_izleme set bitis_zamani = now() - interval '1 second'"))

        async def left_alone() -> bool:
            return not gate.lines["genel"].taps

        await until(left_alone)
    await clean_up(lab)
    assert (await wanted(lab)).watched == frozenset()


async def test_a_trial_says_what_it_saw_and_answers_nothing(lab: Database, tmp_path: Path) -> None:
    async def ask(kind: str, address: str, seconds: int = 5) -> int:
        async with lab.work(await steps.user(lab, "uzman")) as work:
            return await ask_trial(
                work, name="", kind=kind, protocol="astm", address=address, settings={}, seconds=seconds
            )

    async def ended(number: int) -> LineTrial:
        async def look() -> LineTrial | None:
            async with lab.reading() as session:
                trial = await session.get(LineTrial, number)
                return trial if trial is not None and trial.ended_at is not None else None

        found: LineTrial = await until(look, 12)
        return found

    async def hl7_sender(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x0bMSH|^~\\&|X|Y\r\x1c\r")
        heard.append(await reader.read(100))
        writer.close()

    heard: list[bytes] = []
    server = await asyncio.start_server(hl7_sender, "127.0.0.1", 0)
    hl7_port = server.sockets[0].getsockname()[1]
    async with gateway(lab, tmp_path) as (_, _, port):
        nobody, other = await ask("tcp-istemci", "127.0.0.1:1"), await ask("tcp-istemci", f"127.0.0.1:{hl7_port}")
        refused = await ended(nobody)
        assert refused.verdict == "kotu" and "bağlanılamadı" in refused.steps[-1]["cumle"]
        wrong = await ended(other)
        assert wrong.verdict == "uyari" and "HL7 görünüyor, hat ise ASTM" in wrong.steps[-1]["cumle"]
        assert set(heard) == {b""}
        taken = await ended(await ask("tcp-sunucu", f"127.0.0.1:{port}"))
        assert taken.verdict == "kotu" and "portu açılamadı" in taken.steps[-1]["cumle"]
    server.close()


async def test_a_stopped_line_is_closed_by_the_gateway_without_a_restart(lab: Database) -> None:
    async with lab.work(await steps.user(lab, "uzman")) as work:
        line = await set_line_active(work, "genel", False)
        assert not line.active
    async with lab.reading() as session:
        told = await session.scalar(
            select(func.count())
            .select_from(AuditEntry)
            .where(AuditEntry.entity == "baglanti", AuditEntry.action == "guncelle")
        )
    assert told


# -- codes that get their meaning


async def arrives(lab: Database, number: str, *pairs: tuple[str, str], key: str) -> int:
    """A message of the general analyser as ingest takes it; the raw bytes say the same. Number of the raw message."""
    at = "20261122101500"
    rows = "".join(f"R|{n}|^^^{code}|{value}|mg/dL||||F||||{at}\r" for n, (code, value) in enumerate(pairs, 1))
    raw = f"H|\\^&\rP|1\rO|1|{number}\r{rows}L|1|N\r".encode()
    reading = GENERIC.generic("astm").read(raw)
    delivery = Delivery(
        key=key, line="genel", received_at=datetime.now(UTC), protocol="astm", raw=raw,
        fingerprint=reading.fingerprint, timed=reading.timed, definition="generic-astm", revision=1,
        observations=reading.observations,
    )  # fmt: skip
    await apply_batch(lab, [delivery])
    async with lab.reading() as session:
        found = await session.scalar(text("select ham_mesaj_kodu from ham_mesaj where anahtar = :key"), {"key": key})
    assert isinstance(found, int)
    return found


async def counts(lab: Database, number: str) -> tuple[int, int]:
    """Results of the order, and results that wait."""
    async with lab.reading() as session:
        results = await session.scalar(
            select(func.count())
            .select_from(Result)
            .join(OrderedTest, OrderedTest.id == Result.ordered_test_id)
            .join(Order, Order.id == OrderedTest.order_id)
            .where(Order.number == number)
        )
        waiting = await session.scalar(
            select(func.count())
            .select_from(UnmatchedResult)
            .where(UnmatchedResult.state == "bekliyor", UnmatchedResult.observation["specimen"].astext == number)
        )
    return results or 0, waiting or 0


async def test_a_mapped_code_derives_its_waiting_results_again_once_and_audited(lab: Database) -> None:
    placed = await steps.order(lab, ["GLU", "UREA"])
    await steps.accepted(lab, placed)
    number = placed.number
    first = await arrives(lab, number, ("SEKER", "96"), ("UREA", "31"), key="k-1")
    second = await arrives(lab, number, ("SEKER", "99"), key="k-2")
    assert await counts(lab, number) == (1, 2)
    async with lab.reading() as session:
        code = next(row for row in await undeclared_codes(session) if row.code == "SEKER")
        assert (code.instrument, code.count, code.messages, code.units) == ("genel", 2, 2, ("mg/dL",))
        before = await session.scalar(select(func.count()).select_from(Result))

    reread = rereading.make(GENERIC)
    tried = await preview(lab, [first], await steps.user(lab, "uzman"), reread)
    assert [(line.what, line.code, line.value) for line in tried[0].lines] == [("bekler", "SEKER", "96")]
    assert tried[0].settled == 1

    async with lab.work(await steps.user(lab, "uzman")) as work:
        await save_mapping(work, MappingData(instrument="genel", test="GLU", incoming="SEKER"))
    tried = await preview(lab, [first], await steps.user(lab, "uzman"), reread)
    assert [(line.what, line.value) for line in tried[0].lines] == [("baglanir", "96")]
    async with lab.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Result)) == before  # a look changes nothing

    async def definitions() -> Any:
        return reread

    worker = OutboxWorker(lab, {})
    handler = rederiving(lab, definitions)
    assert await worker.do_one(TOPIC, handler)
    assert not await worker.do_one(TOPIC, handler)
    assert await counts(lab, number) == (3, 0)
    async with lab.reading() as session:
        who = (
            await session.execute(
                select(AuditEntry.actor, AuditEntry.entity_id).where(AuditEntry.action == "mesaj.yeniden_islendi")
            )
        ).all()
    assert {entity for _, entity in who} == {str(first), str(second)} and {name for name, _ in who} == {"uzman"}

    async with lab.work(await steps.user(lab, "uzman")) as work:  # changed again: nothing waits, nothing is promised
        await save_mapping(work, MappingData(instrument="genel", test="GLU", incoming="SEKER", unit="mg/dL"))
    assert not await worker.do_one(TOPIC, handler)
    assert await counts(lab, number) == (3, 0)


# -- the site's own definitions


def test_a_published_revision_never_changes_and_a_broken_file_hides_nothing(tmp_path: Path) -> None:
    site = SiteCatalog(tmp_path)
    shipped = len(site.catalog)
    toml = (
        'key = "acme-x1"\nrevision = 1\nbased_on = "generic-astm/1"\nmaker = "Acme"\nmodel = "X1"\nfamily = "yerel"\n'
        'protocol = "astm"\nsource = "capture"\nstanding = "documented"\ndirections = ["results"]\nlinks = ["tcp"]\n'
        '[value]\nfrom = ["R-5"]\n'
    )
    (tmp_path / "taslak.toml").write_text(toml, encoding="utf-8")
    assert site.changed() and site.refresh()
    definition = site.catalog.get("acme-x1")
    (tmp_path / "taslak.toml").unlink()
    publish(tmp_path, definition, toml)
    with pytest.raises(ValueError, match="yayımlanan sürüm değişmez"):
        publish(tmp_path, definition, toml + "\n# another")
    (tmp_path / "bozuk.toml").write_text("key = [", encoding="utf-8")
    kept = site.catalog.generic("astm")
    assert site.refresh()
    assert len(site.catalog) == shipped + 1 and "bozuk.toml" in site.faults[0]
    assert site.catalog.generic("astm") is kept  # compiled readers stay
    assert not site.changed()
    reading = site.catalog.get("acme-x1").read(b"H|\\^&\rP|1\rO|1|77\rR|1|^^^GLU|F|5.4\rL|1|N\r")
    assert [(o.specimen, o.test, o.value) for o in reading.observations] == [("77", "GLU", "5.4")]
