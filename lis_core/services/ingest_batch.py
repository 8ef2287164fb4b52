"""One batch of messages into the database, in one transaction: raw messages, results with their decisions, what waits
for a person, control measurements, states, custody, audit, outbox. A handful of statements, however large the batch.

Exactly once: a message key or a measurement key can be stored only once, by constraint. A message whose content is
already known from this instrument is kept and marked as a repetition; its results are not applied again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import text

from drivers.messages import Delivery
from lis_core.domain.permissions import P
from lis_core.domain.states import TestState, TubeState
from lis_core.services.catalog import CATALOG_VERSION, Catalog, catalog_of
from lis_core.services.ingest_match import OrderedTestRow, ScannedSpecimen
from lis_core.services.ingest_places import places_of
from lis_core.services.ingest_rows import APPLIED, BatchRows, Message, decide, measurement_key
from lis_core.services.ingest_write import next_ids, write_results
from lis_core.services.result_rows import conditions_of
from lis_core.services.sql import PLAN_ONCE, copy_rows
from lis_core.services.work_results import record_steps, steps_of
from lis_core.storage.database import Database, Work, program
from rules.reference import PatientFacts

INGEST = program("alım", chain="alim", may=(P.MESSAGE_TAKE, P.RESULT_ENTER))
REPEAT_WINDOW = timedelta(minutes=15)
"""An equal message without measuring times counts as a repetition only this soon after the first."""
PARTIAL_WINDOW = timedelta(hours=24)


@dataclass(slots=True)
class BatchOutcome:
    """What a batch did, for counters and for the spool."""

    keys: list[str] = field(default_factory=list)
    messages: int = 0
    repeats: int = 0
    results: int = 0
    unmatched: int = 0
    controls: int = 0


async def apply_batch(database: Database, deliveries: Sequence[Delivery], *, careful: bool = False) -> BatchOutcome:
    """Store a batch. Raises what the database raises; nothing is half written then.

    careful: look every measurement up first. Without it a measurement that is known already makes the whole batch
    fail with `UniqueViolation`, which is rare and cheaper than asking each time; the caller then tries carefully.
    """
    async with database.work(INGEST) as work:
        raw = await work.driver()
        async with raw.pipeline():
            await raw.execute(PLAN_ONCE)
            version = await raw.execute(CATALOG_VERSION)
        row = await version.fetchone()
        known = await catalog_of(work.session, row[0] if row else 0)
        messages = [_message(delivery, known) for delivery in deliveries]
        messages = await _drop_known_keys(raw, messages)
        await _mark_repeats(raw, messages)
        steps = await steps_of(raw, messages)
        places = await places_of(raw, messages)
        specimens = await scan(raw, sorted({*asked_texts(messages), *steps.containers(), *places.barcodes()}))
        await _number_messages(raw, messages)
        rows = BatchRows(
            ids=await next_ids(raw, "tetkik_sonuc", sum(len(message.delivery.observations) for message in messages)),
            known_keys=await _known_measurements(raw, messages) if careful else set(),
            steps=steps,
            places=places,
        )
        await decide(rows, messages, specimens, known, work.now)
        await _write(work, raw, messages, rows)
        await record_steps(work, raw, messages, steps, rows)
        _tell(work, messages, rows)
    return _outcome(deliveries, messages)


def _message(delivery: Delivery, known: Catalog) -> Message:
    line = known.line_by_name.get(delivery.line)
    instrument = known.instrument_by_line(delivery.line)
    message = Message(delivery, instrument, line.id if line else None, problem=delivery.problem)
    if not delivery.whole:
        message.state = "yarim"
    elif delivery.problem and not delivery.observations:
        message.state = "hata"
    elif delivery.problem:
        message.state = "kismen"  # what could be read is applied; the problem stays on the message for a person
    elif delivery.queries and not delivery.observations:
        message.state = "sorgu"
    elif not delivery.observations:
        message.state = "bos"
    return message


async def _drop_known_keys(raw: psycopg.AsyncConnection[Any], messages: list[Message]) -> list[Message]:
    """Leave out what is stored already: the spool delivered it twice, because it was cut off before it knew."""
    keys = [message.delivery.key for message in messages]
    found = await (await raw.execute("select anahtar from ham_mesaj where anahtar = any(%s)", [keys])).fetchall()
    stored = {key for (key,) in found}
    kept: list[Message] = []
    for message in messages:
        if message.delivery.key not in stored:
            stored.add(message.delivery.key)
            kept.append(message)
    return kept


async def _mark_repeats(raw: psycopg.AsyncConnection[Any], messages: list[Message]) -> None:
    """Recognise messages that this instrument has sent before (it missed our acknowledgement)."""
    asked = [m for m in messages if m.delivery.fingerprint and m.delivery.observations and m.applies]
    if not asked:
        return
    rows = await (
        await raw.execute(
            "select cihaz_kodu, parmak_izi, max(ham_mesaj_kodu), max(alinma_zamani) from ham_mesaj "
            "where parmak_izi = any(%s) and durum not in ('yarim', 'hata', 'tekrar') group by 1, 2",
            [[m.delivery.fingerprint for m in asked]],
        )
    ).fetchall()
    seen: dict[tuple[int | None, bytes], tuple[int, datetime]] = {(r[0], bytes(r[1])): (r[2], r[3]) for r in rows}
    for message in asked:
        delivery = message.delivery
        name = (message.instrument.id if message.instrument else None, delivery.fingerprint)
        first = seen.get(name)
        if first is not None and (delivery.timed or abs(delivery.received_at - first[1]) <= REPEAT_WINDOW):
            message.state = "tekrar"
            message.repeats_id = first[0] or None
            message.problem = "Bu mesaj daha önce alınmıştı; sonuçları ikinci kez uygulanmadı."
        else:
            seen[name] = (0, delivery.received_at)


def asked_texts(messages: Iterable[Message]) -> list[str]:
    return sorted({o.specimen for m in messages if m.applies for o in m.delivery.observations if o.specimen})


SCAN = """
select b.barkod, i.tetkik_istem_kodu, i.numune_numarasi, b.tetkik_numune_kodu, n.numune_turu, n.numune_durumu,
       h.cinsiyet, h.dogum_tarihi, i.klinik_bilgi
from barkod_kayit b
join tetkik_istem i using (tetkik_istem_kodu)
join hasta h using (hasta_kodu)
left join tetkik_numune n on n.tetkik_numune_kodu = b.tetkik_numune_kodu
where b.barkod = any(%s)
"""

TESTS = """
select tetkik_istem_kodu, istem_tetkik_kodu, tetkik_kodu, tetkik_durumu, surum, kosu_sayisi, tetkik_numune_kodu,
       zaman_noktasi, tetkik_sonuc_kodu
from istem_tetkik where tetkik_istem_kodu = any(%s) order by istem_tetkik_kodu
"""

_STATE = {state.value: state for state in TestState}
_TUBE = {state.value: state for state in TubeState}


async def scan(raw: psycopg.AsyncConnection[Any], texts: list[str]) -> dict[str, ScannedSpecimen]:
    """What these texts stand for, with every ordered test of their orders: two statements, whatever the number."""
    if not texts:
        return {}
    specimens: dict[str, ScannedSpecimen] = {}
    tests_of: dict[int, dict[int, list[OrderedTestRow]]] = {}
    for row in await (await raw.execute(SCAN, [texts])).fetchall():
        specimens[row[0]] = ScannedSpecimen(
            text=row[0],
            order_id=row[1],
            order_number=row[2],
            tube_id=row[3],
            tube_material=row[4],
            tube_state=_TUBE[row[5]] if row[5] else None,
            facts=PatientFacts(row[6], row[7], conditions_of(row[8])),
            tests=tests_of.setdefault(row[1], {}),
        )
    for row in await (await raw.execute(TESTS, [list(tests_of)])).fetchall():
        ordered = OrderedTestRow(row[1], row[2], _STATE[row[3]], row[4], row[5], row[6], row[7], row[8])
        tests_of[row[0]].setdefault(row[2], []).append(ordered)
    return specimens


async def _number_messages(raw: psycopg.AsyncConnection[Any], messages: list[Message]) -> None:
    for message, number in zip(messages, await next_ids(raw, "ham_mesaj", len(messages)), strict=True):
        message.id = number


async def _known_measurements(raw: psycopg.AsyncConnection[Any], messages: list[Message]) -> set[bytes]:
    """Keys of this batch that some table holds already."""
    keys: list[bytes] = []
    for message in messages:
        seen: dict[tuple[Any, ...], int] = {}
        if message.applies:
            keys += [measurement_key(message, o, seen) for o in message.delivery.observations if o.kind in APPLIED]
    found = await raw.execute(
        "select olcum_anahtari from tetkik_sonuc where olcum_anahtari = any(%(keys)s) "
        "union all select olcum_anahtari from eslesmeyen_sonuc where olcum_anahtari = any(%(keys)s) "
        "union all select olcum_anahtari from kk_olcum where olcum_anahtari = any(%(keys)s)",
        {"keys": keys},
    )
    return {bytes(key) for (key,) in await found.fetchall()}


# -- writing

_MESSAGE_COLUMNS = (
    "ham_mesaj_kodu, anahtar, cihaz_kodu, baglanti_kodu, alinma_zamani, protokol, icerik, parmak_izi, tanim, "
    "tanim_surumu, durum, sorun, sonuc_sayisi, eslesmeyen_sayisi, tekrarladigi_mesaj_kodu, yarim_govde"
)


async def _write(work: Work, raw: psycopg.AsyncConnection[Any], messages: list[Message], rows: BatchRows) -> None:
    await copy_rows(raw, "ham_mesaj", _MESSAGE_COLUMNS, [_message_row(message) for message in messages])
    await write_results(work, raw, rows)
    for message in messages:
        work.audit("mesaj.alindi", "ham_mesaj", message.id, None, _audit_facts(message))
    await _close_partials(work, messages)


def _message_row(message: Message) -> tuple[Any, ...]:
    delivery = message.delivery
    return (
        message.id,
        delivery.key,
        message.instrument.id if message.instrument else None,
        message.connection_id,
        delivery.received_at,
        delivery.protocol,
        delivery.raw,
        delivery.fingerprint,
        delivery.definition,
        delivery.revision,
        message.state,
        message.problem,
        message.results,
        message.unmatched,
        message.repeats_id,
        delivery.body if not delivery.whole else None,
    )


def _audit_facts(message: Message) -> dict[str, Any]:
    return {
        "hat": message.delivery.line,
        "durum": message.state,
        "sonuc": message.results,
        "eslesmeyen": message.unmatched,
        "kontrol": message.controls,
        "ozet": hashlib.sha256(message.delivery.raw).hexdigest(),
    }


async def _close_partials(work: Work, messages: list[Message]) -> None:
    """A message that broke off and then came whole: the broken one needs nobody any more."""
    whole = [m for m in messages if m.applies and m.delivery.body and m.connection_id is not None]
    if not whole:
        return
    partials = (
        await work.session.execute(
            text(
                "select ham_mesaj_kodu, baglanti_kodu, yarim_govde from ham_mesaj "
                "where durum = 'yarim' and baglanti_kodu = any(:lines) and alinma_zamani > :since"
            ),
            {"lines": list({m.connection_id for m in whole}), "since": work.now - PARTIAL_WINDOW},
        )
    ).all()
    for partial_id, connection_id, body in partials:
        successor = next(
            (m for m in whole if m.connection_id == connection_id and m.delivery.body.startswith(bytes(body or b""))),
            None,
        )
        if successor is None:
            continue
        await work.session.execute(
            text(
                "update ham_mesaj set durum = 'tekrar', tekrarladigi_mesaj_kodu = :whole, "
                "sorun = 'Yarım kalmıştı; cihaz mesajı baştan gönderdi.' where ham_mesaj_kodu = :partial"
            ),
            {"whole": successor.id, "partial": partial_id},
        )
        work.audit("mesaj.tamamlandi", "ham_mesaj", partial_id, {"durum": "yarim"}, {"tamami": successor.id})


def _tell(work: Work, messages: list[Message], rows: BatchRows) -> None:
    """Notes to the screens: groups and at most a few order numbers (a note is small)."""
    if rows.moved:
        work.tell_screens(
            "result", gruplar=sorted(rows.groups), istemler=sorted(rows.numbers)[:50], adet=len(rows.moved)
        )
    if rows.unmatched:
        work.tell_screens("unmatched", adet=len(rows.unmatched))
    if any(message.state in ("yarim", "hata") for message in messages):
        work.tell_screens("line")


def _outcome(deliveries: Sequence[Delivery], messages: list[Message]) -> BatchOutcome:
    return BatchOutcome(
        keys=[delivery.key for delivery in deliveries],
        messages=len(messages),
        repeats=sum(message.state == "tekrar" for message in messages),
        results=sum(message.results for message in messages),
        unmatched=sum(message.unmatched for message in messages),
        controls=sum(message.controls for message in messages),
    )
