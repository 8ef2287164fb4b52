"""Kept raw messages through ingest again: a code was mapped, a definition mended, or a message had broken off.

What is stored already stays as it is; only what waits for a person, or was never applied, is taken up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from sqlalchemy import text

from drivers.messages import Delivery, ReadAgain
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.catalog import catalog
from lis_core.services.ingest_batch import asked_texts, scan
from lis_core.services.ingest_places import places_of
from lis_core.services.ingest_rows import APPLIED, BatchRows, Message, decide, measurement_key
from lis_core.services.ingest_write import next_ids, write_results
from lis_core.services.work_results import steps_of
from lis_core.storage.database import Actor, Database, Work

Reread = Callable[[str, str, bytes], ReadAgain]
"""(definition, protocol, raw bytes) -> what is read in them now. Raises ValueError (Turkish) where nothing is."""

_MESSAGE = text(
    "select anahtar, cihaz_kodu, baglanti_kodu, alinma_zamani, protokol, icerik, tanim, durum, sonuc_sayisi "
    "from ham_mesaj where ham_mesaj_kodu = :id for update"
)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What became of one message."""

    message_id: int
    results: int
    unmatched: int
    problem: str | None = None


async def replay(database: Database, message_ids: Sequence[int], actor: Actor, reread: Reread) -> list[ReplayOutcome]:
    """Each message in a transaction of its own; one that fails does not stop the others. Raises NOT_ALLOWED."""
    actor.must(P.MESSAGE_REPLAY)
    outcomes = []
    for message_id in message_ids:
        try:
            async with database.work(actor) as work:
                outcomes.append(await _replay_one(work, message_id, reread))
        except NumuneError as error:
            outcomes.append(ReplayOutcome(message_id, 0, 0, error.message))
    return outcomes


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """One thing that a replay would do. value None: nothing was measured."""

    what: str
    """baglanir, bekler, kontrol."""
    specimen: str
    code: str
    value: str | None
    unit: str
    why: str


@dataclass(frozen=True, slots=True)
class ReplayPreview:
    """What a replay of one message would do now. `settled`: results and controls that are stored and stay."""

    message_id: int
    lines: tuple[ReplayLine, ...] = ()
    settled: int = 0
    problem: str | None = None


class _NotNow(Exception):
    """Ends a unit of work that only tried."""


async def preview(database: Database, message_ids: Sequence[int], actor: Actor, reread: Reread) -> list[ReplayPreview]:
    """What `replay` of these messages would do: it is done, looked at, and undone. Nothing of it is kept."""
    found = []
    for message_id in message_ids:
        told: list[ReplayPreview] = []
        try:
            async with database.work(actor) as work:
                await _replay_one(work, message_id, reread, told)
                raise _NotNow
        except _NotNow:
            found.append(told[0])
        except NumuneError as error:
            found.append(ReplayPreview(message_id, problem=error.message))
    return found


def _preview(message_id: int, rows: BatchRows, settled: int) -> ReplayPreview:
    lines = [
        ReplayLine("baglanir", "", row[8], row[11], row[13], str(orjson.loads(row[19])[0]["why"]))
        for row in rows.results
    ]
    for row in rows.unmatched:
        seen = orjson.loads(row[5])
        lines.append(
            ReplayLine(
                "bekler", seen.get("specimen") or "", seen.get("test") or "", seen.get("value"),
                seen.get("unit") or "", row[4],
            )
        )  # fmt: skip
    lines += [ReplayLine("kontrol", row[3], row[5], row[6], row[8], "kontrol ölçümü") for row in rows.controls]
    return ReplayPreview(message_id, tuple(lines), settled)


async def _replay_one(
    work: Work, message_id: int, reread: Reread, told: list[ReplayPreview] | None = None
) -> ReplayOutcome:
    """told: gets what is done, line by line."""
    row = (await work.session.execute(_MESSAGE, {"id": message_id})).first()
    if row is None:
        raise NumuneError(errors.NOT_FOUND, what=f"{message_id} numaralı ham mesaj")
    known = await catalog(work.session)
    instrument = known.instrument_by_id.get(row.cihaz_kodu or 0)
    definition = instrument.definition if instrument else row.tanim
    try:
        again = reread(definition, row.protokol, bytes(row.icerik))
    except ValueError as error:
        raise NumuneError(errors.NOTHING_TO_REPLAY, message=message_id, problem=str(error)) from error
    message = Message(
        Delivery(
            key=row.anahtar,
            line=next((line.name for line in known.line_by_name.values() if line.id == row.baglanti_kodu), ""),
            received_at=row.alinma_zamani.astimezone(UTC),
            protocol=row.protokol,
            raw=bytes(row.icerik),
            definition=again.definition,
            revision=again.revision,
            observations=again.observations,
            steps=again.steps,
        ),
        instrument,
        row.baglanti_kodu,
        id=message_id,
    )
    raw = await work.driver()
    waiting = await _waiting(raw, message)
    steps, places = await steps_of(raw, [message]), await places_of(raw, [message])
    rows = BatchRows(
        ids=await next_ids(raw, "tetkik_sonuc", len(again.observations)),
        known_keys=await _settled(raw, message),
        steps=steps,
        places=places,
        read_again_by=f"{again.definition}/{again.revision}",
    )
    specimens = await scan(raw, sorted({*asked_texts([message]), *steps.containers(), *places.barcodes()}))
    settled = len(rows.known_keys)
    await decide(rows, [message], specimens, known, work.now)
    if told is not None:
        told.append(_preview(message_id, rows, settled))
    await _release(raw, waiting, rows)
    await write_results(work, raw, rows)
    await _bind(work, raw, waiting, rows)
    await _finish(work, message, row.durum)
    return ReplayOutcome(message_id, message.results, message.unmatched)


async def _waiting(raw: psycopg.AsyncConnection[Any], message: Message) -> dict[bytes, int]:
    """Measurements of this message that wait for a person: key -> row."""
    rows = await raw.execute(
        "select olcum_anahtari, eslesmeyen_sonuc_kodu from eslesmeyen_sonuc "
        "where ham_mesaj_kodu = %s and durum = 'bekliyor' for update",
        [message.id],
    )
    return {bytes(key): number for key, number in await rows.fetchall()}


async def _settled(raw: psycopg.AsyncConnection[Any], message: Message) -> set[bytes]:
    """Measurements of this message that are results, controls, or were settled by a person."""
    seen: dict[tuple[Any, ...], int] = {}
    keys = [measurement_key(message, o, seen) for o in message.delivery.observations if o.kind in APPLIED]
    rows = await raw.execute(
        "select olcum_anahtari from tetkik_sonuc where olcum_anahtari = any(%(keys)s) "
        "union all select olcum_anahtari from kk_olcum where olcum_anahtari = any(%(keys)s) "
        "union all select olcum_anahtari from eslesmeyen_sonuc "
        "where olcum_anahtari = any(%(keys)s) and durum <> 'bekliyor'",
        {"keys": keys},
    )
    return {bytes(key) for (key,) in await rows.fetchall()}


async def _release(raw: psycopg.AsyncConnection[Any], waiting: dict[bytes, int], rows: BatchRows) -> None:
    """Still unmatched: the waiting row stays, with today's reason; no second row. What the definition of today does not
    read at all stays too, and says so: whoever looks at it must not take the value of a wrong definition for one."""
    still = {row[2]: row for row in rows.unmatched if row[2] in waiting}
    for key, row in still.items():
        await raw.execute(
            "update eslesmeyen_sonuc set neden = %s, aciklama = %s, icerik = %s where eslesmeyen_sonuc_kodu = %s",
            [row[3], row[4], row[5], waiting[key]],
        )
    rows.unmatched = [row for row in rows.unmatched if row[2] not in still]
    gone = [number for key, number in waiting.items() if key not in rows.known_keys]
    if gone:
        why = f"Dikkat: mesaj yeniden işlendi ve {rows.read_again_by} tanımı bu satırı okumuyor. "
        await raw.execute(
            "update eslesmeyen_sonuc set aciklama = %s || regexp_replace(aciklama, '^Dikkat: .* okumuyor\\. ', '') "
            "where eslesmeyen_sonuc_kodu = any(%s)",
            [why, gone],
        )


async def _bind(work: Work, raw: psycopg.AsyncConnection[Any], waiting: dict[bytes, int], rows: BatchRows) -> None:
    """What waited and now has its order: close the waiting row with the result that it became."""
    bound = [(waiting[row[7]], row[0]) for row in rows.results if row[7] in waiting]
    if not bound:
        return
    await raw.execute(
        "update eslesmeyen_sonuc e set durum = 'baglandi', cozum_zamani = now(), cozen_kullanici_kodu = %s, "
        "cozum_gerekcesi = 'Mesaj yeniden işlendi.', tetkik_sonuc_kodu = v.sonuc "
        "from unnest(%s::bigint[], %s::bigint[]) as v(kodu, sonuc) where e.eslesmeyen_sonuc_kodu = v.kodu",
        [work.actor.user_id, [row for row, _ in bound], [number for _, number in bound]],
    )
    work.tell_screens("unmatched", adet=len(bound))


async def _finish(work: Work, message: Message, before: str) -> None:
    after = "kismen" if message.unmatched else "islendi"
    await work.session.execute(
        text(
            "update ham_mesaj set durum = case when :results + :unmatched > 0 then :state else durum end, "
            "sonuc_sayisi = sonuc_sayisi + :results, eslesmeyen_sayisi = :unmatched, "
            "sorun = case when :results + :unmatched > 0 then null else sorun end where ham_mesaj_kodu = :id"
        ),
        {"state": after, "results": message.results, "unmatched": message.unmatched, "id": message.id},
    )
    work.audit(
        "mesaj.yeniden_islendi",
        "ham_mesaj",
        message.id,
        {"durum": before},
        {
            "sonuc": message.results,
            "eslesmeyen": message.unmatched,
            "tanim": f"{message.delivery.definition}/{message.delivery.revision}",
            "zaman": datetime.now(UTC).isoformat(),
        },
    )
