"""One batch of messages into the database, in one transaction: raw messages, results with their decisions, what waits
for a person, control measurements, states, custody, audit, outbox. A handful of statements, however large the batch.

Exactly once: a message key or a measurement key can be stored only once, by constraint. A message whose content is
already known from this instrument is kept and marked as a repetition; its results are not applied again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import orjson
import psycopg
from sqlalchemy import text

from drivers.messages import Delivery, Observation
from lis_core.domain.states import TestState, TubeState
from lis_core.services.catalog import Catalog, CatalogInstrument, catalog
from lis_core.services.ingest_match import Cause, Matched, OrderedTestRow, ScannedSpecimen, Unmatched, match
from lis_core.services.result_rows import conditions_of, judge
from lis_core.services.sql import SLICE, copy_rows, driver_of
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database, Work, program
from rules.reference import PatientFacts
from rules.values import read_value

INGEST = program("alım", chain="alim")
REPEAT_WINDOW = timedelta(minutes=15)
"""An equal message without measuring times counts as a repetition only this soon after the first."""
PARTIAL_WINDOW = timedelta(hours=24)
APPLIED = ("result", "qc")
"""Kinds of observations that become rows; orders and events are read and kept in the raw message."""


class StaleBatch(Exception):
    """Somebody else moved an ordered test while this batch was decided: read again and decide again."""


@dataclass(slots=True)
class Message:
    """A delivery on its way through the batch."""

    delivery: Delivery
    instrument: CatalogInstrument | None
    connection_id: int | None
    id: int = 0
    state: str = "islendi"
    problem: str | None = None
    repeats_id: int | None = None
    results: int = 0
    unmatched: int = 0
    controls: int = 0
    known: int = 0
    """Measurements in it that had come before."""

    @property
    def applies(self) -> bool:
        """Its observations are to be applied."""
        return self.state not in ("tekrar", "yarim", "hata")


@dataclass(slots=True)
class BatchOutcome:
    """What a batch did, for counters and for the spool."""

    keys: list[str] = field(default_factory=list)
    messages: int = 0
    repeats: int = 0
    results: int = 0
    unmatched: int = 0
    controls: int = 0


@dataclass(slots=True)
class _Rows:
    """What is to be written."""

    results: list[tuple[Any, ...]] = field(default_factory=list)
    unmatched: list[tuple[Any, ...]] = field(default_factory=list)
    controls: list[tuple[Any, ...]] = field(default_factory=list)
    custody: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict)
    moved: dict[int, OrderedTestRow] = field(default_factory=dict)
    panic: list[dict[str, Any]] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    known_keys: set[bytes] = field(default_factory=set)
    """Measurements that are stored already, or came earlier in this batch."""


async def apply_batch(database: Database, deliveries: Sequence[Delivery], *, careful: bool = False) -> BatchOutcome:
    """Store a batch. Raises what the database raises; nothing is half written then.

    careful: look every measurement up first. Without it a measurement that is known already makes the whole batch
    fail with `UniqueViolation`, which is rare and cheaper than asking each time; the caller then tries carefully.
    """
    async with database.work(INGEST) as work:
        known = await catalog(work.session)
        raw = await driver_of(work)
        messages = [_message(delivery, known) for delivery in deliveries]
        messages = await _drop_known_keys(raw, messages)
        await _mark_repeats(raw, messages)
        specimens = await scan(raw, _asked_texts(messages))
        await _number_messages(raw, messages)
        rows = _Rows(known_keys=await _known_measurements(raw, messages) if careful else set())
        await _decide(rows, messages, specimens, known, work.now)
        await _write(work, raw, messages, rows)
        _tell(work, messages, rows)
    return _outcome(deliveries, messages)


def _message(delivery: Delivery, known: Catalog) -> Message:
    line = known.line_by_name.get(delivery.line)
    instrument = known.instrument_by_line(delivery.line)
    message = Message(delivery, instrument, line.id if line else None, problem=delivery.problem)
    if not delivery.whole:
        message.state = "yarim"
    elif delivery.problem:
        message.state = "hata"
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


def _asked_texts(messages: Iterable[Message]) -> list[str]:
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
    for message, number in zip(messages, await _numbers(raw, "ham_mesaj", len(messages)), strict=True):
        message.id = number


async def _numbers(raw: psycopg.AsyncConnection[Any], table: str, count: int) -> list[int]:
    """The next `count` ids of a table."""
    if not count:
        return []
    sequence = f"{table}_{table}_kodu_seq"
    cursor = await raw.execute("select nextval(%s) from generate_series(1, %s)", [sequence, count])
    return [number for (number,) in await cursor.fetchall()]


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


async def _decide(
    rows: _Rows, messages: list[Message], specimens: dict[str, ScannedSpecimen], known: Catalog, now: datetime
) -> None:
    day = now.astimezone(ISTANBUL).date()
    since = 0
    for message in messages:
        if not message.applies:
            continue
        seen: dict[tuple[Any, ...], int] = {}
        for observation in message.delivery.observations:
            if observation.kind in APPLIED:
                _take(rows, message, observation, specimens, known, day, seen)
                since += 1
                if since >= SLICE:
                    since = 0
                    await asyncio.sleep(0)
        if message.unmatched:
            message.state = "kismen"
        elif message.known and not message.results and not message.controls:
            message.state = "tekrar"
        if message.known:
            message.problem = f"{message.known} ölçüm daha önce alınmıştı; ikinci kez uygulanmadı."


def _take(
    rows: _Rows,
    message: Message,
    observation: Observation,
    specimens: dict[str, ScannedSpecimen],
    known: Catalog,
    day: date,
    seen: dict[tuple[Any, ...], int],
) -> None:
    key = measurement_key(message, observation, seen)
    if key in rows.known_keys:
        message.known += 1
        return
    rows.known_keys.add(key)
    instrument = message.instrument
    if observation.kind == "qc":
        rows.controls.append(_control_row(message, observation, key, known))
        message.controls += 1
        return
    found: Matched | Unmatched
    if instrument is None:
        found = Unmatched(Cause.UNKNOWN_INSTRUMENT, f"{message.delivery.line} hattına bağlı cihaz tanımlı değil.")
    else:
        found = match(observation, specimens, known.mapping(instrument.id), known.test_by_id)
    if isinstance(found, Unmatched):
        rows.unmatched.append(_unmatched_row(message, observation, key, found))
        message.unmatched += 1
        return
    assert instrument is not None
    _accept(rows, message, instrument, observation, found, known, key, day)
    message.results += 1


def measurement_key(message: Message, observation: Observation, seen: dict[tuple[Any, ...], int]) -> bytes:
    """16 bytes that name one measurement. With a measuring time they are the same however often it is sent; without
    one, they name the place in this message. `seen` counts equal measurements inside one message (replicates)."""
    instrument = message.instrument.id if message.instrument else 0
    if observation.measured_at:
        facts: tuple[Any, ...] = (
            instrument,
            observation.specimen,
            observation.test,
            observation.measured_at,
            observation.value,
            observation.unit,
            observation.replicate,
        )
    else:
        facts = (message.delivery.key, observation.raw.get("record"))
    nth = seen[facts] = seen.get(facts, 0) + 1
    return hashlib.blake2b(repr((facts, nth)).encode(), digest_size=16).digest()


def local_moment(written: str | None) -> datetime | None:
    """An instrument's time in UTC; a clock without a zone is the laboratory's. None where it is no time."""
    if not written:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ISTANBUL)).astimezone(UTC)


def _accept(
    rows: _Rows,
    message: Message,
    instrument: CatalogInstrument,
    observation: Observation,
    found: Matched,
    known: Catalog,
    key: bytes,
    day: date,
) -> None:
    """Add one result run and move its ordered test on."""
    specimen, ordered, test = found.specimen, found.ordered, found.test
    judged = judge(observation, found.mapping, test, specimen.facts, day, known.range_book)
    decisions = [
        {
            "kural": "ESLESME/1",
            "karar": "baglandi",
            "neden": f"{observation.specimen} okundu: istem {specimen.order_number}"
            + (f", {specimen.tube_material} tüpü" if specimen.tube_material else "")
            + f"; cihaz kodu {observation.test} = {test.code}",
        },
        *judged.decisions,
    ]
    ordered.runs += 1
    if ordered.runs > 1:
        decisions.append(
            {
                "kural": "KOSU/1",
                "karar": "tutar",
                "neden": f"{ordered.runs}. koşu; önceki koşular duruyor",
                "onceki_sonuc": ordered.result_id,
            }
        )
    index = len(rows.results)
    rows.results.append(
        (
            ordered.id,
            ordered.runs,
            specimen.tube_id,
            instrument.id,
            message.id,
            observation.raw.get("record"),
            key,
            observation.test or "",
            observation.value,
            observation.unit or "",
            judged.value,
            judged.number,
            judged.unit,
            judged.flag,
            judged.reference,
            judged.range_id,
            observation.flags,
            observation.comments,
            orjson.dumps(decisions).decode(),
            local_moment(observation.measured_at),
            message.delivery.received_at,
            observation.rack,
            observation.position,
            observation.replicate,
            observation.operator,
            observation.lot,
        )
    )
    ordered.result_id = -1 - index  # the row's own id is known when it is written
    ordered.state = TestState.RESULTED
    rows.moved[ordered.id] = ordered
    rows.numbers.add(specimen.order_number)
    rows.groups.add(test.group)
    if judged.flag == "P!":
        rows.panic.append({"index": index, "istem": specimen.order_number, "tetkik": test.code})
    if specimen.tube_id is not None:
        rows.custody.setdefault(
            (specimen.tube_id, message.id),
            (
                specimen.tube_id,
                "cihazda",
                message.delivery.received_at,
                instrument.id,
                observation.rack,
                observation.position,
            ),
        )


def _unmatched_row(message: Message, observation: Observation, key: bytes, found: Unmatched) -> tuple[Any, ...]:
    return (
        message.id,
        message.instrument.id if message.instrument else None,
        key,
        found.cause.value,
        found.explanation,
        msgspec.json.encode(observation).decode(),
        message.delivery.received_at,
    )


def _control_row(message: Message, observation: Observation, key: bytes, known: Catalog) -> tuple[Any, ...]:
    mapping = known.mapping(message.instrument.id).get(observation.test or "") if message.instrument else None
    return (
        message.id,
        message.instrument.id if message.instrument else None,
        key,
        observation.specimen or "",
        mapping.test_id if mapping else None,
        observation.test or "",
        observation.value or "",
        read_value(observation.value or "").number,
        observation.unit or "",
        observation.lot,
        local_moment(observation.measured_at),
        message.delivery.received_at,
    )


# -- writing

_MESSAGE_COLUMNS = (
    "ham_mesaj_kodu, anahtar, cihaz_kodu, baglanti_kodu, alinma_zamani, protokol, icerik, parmak_izi, tanim, "
    "tanim_surumu, durum, sorun, sonuc_sayisi, eslesmeyen_sayisi, tekrarladigi_mesaj_kodu, yarim_govde"
)
_RESULT_COLUMNS = (
    "tetkik_sonuc_kodu, istem_tetkik_kodu, kosu_no, tetkik_numune_kodu, cihaz_kodu, ham_mesaj_kodu, kayit_sirasi, "
    "olcum_anahtari, cihaz_test_kodu, cihaz_tetkik_sonucu, cihaz_birimi, tetkik_sonucu, sayisal_sonuc, "
    "tetkik_sonucu_birimi, tetkik_sonucu_durumu, tetkik_sonucu_referans_degeri, tetkik_referans_aralik_kodu, "
    "cihaz_bayraklari, tetkik_sonuc_aciklama, kararlar, calisma_bitis_zamani, sonuc_zamani, raf, pozisyon, "
    "tekrar_no, operator, reaktif_lot"
)
_UNMATCHED_COLUMNS = "ham_mesaj_kodu, cihaz_kodu, olcum_anahtari, neden, aciklama, icerik, alinma_zamani"
_CONTROL_COLUMNS = (
    "ham_mesaj_kodu, cihaz_kodu, olcum_anahtari, kontrol_numarasi, tetkik_kodu, cihaz_test_kodu, deger, "
    "sayisal_deger, birim, lot, olcum_zamani, alinma_zamani"
)
_CUSTODY_COLUMNS = "tetkik_numune_kodu, islem, islem_zamani, cihaz_kodu, raf, pozisyon"
_MOVE = """
update istem_tetkik as t
set tetkik_durumu = 'sonuclandi', durum_zamani = now(), surum = t.surum + 1, kosu_sayisi = v.kosu,
    tetkik_sonuc_kodu = v.sonuc, istenen_cihaz_kodu = null
from unnest(%s::bigint[], %s::int[], %s::int[], %s::bigint[]) as v(kodu, surum, kosu, sonuc)
where t.istem_tetkik_kodu = v.kodu and t.surum = v.surum
"""


async def _write(work: Work, raw: psycopg.AsyncConnection[Any], messages: list[Message], rows: _Rows) -> None:
    await copy_rows(raw, "ham_mesaj", _MESSAGE_COLUMNS, [_message_row(message) for message in messages])
    ids = await _numbers(raw, "tetkik_sonuc", len(rows.results))
    await copy_rows(
        raw,
        "tetkik_sonuc",
        _RESULT_COLUMNS,
        [(number, *row) for number, row in zip(ids, rows.results, strict=True)],
    )
    await copy_rows(raw, "eslesmeyen_sonuc", _UNMATCHED_COLUMNS, rows.unmatched)
    await copy_rows(raw, "kk_olcum", _CONTROL_COLUMNS, rows.controls)
    await copy_rows(raw, "numune_hareket", _CUSTODY_COLUMNS, list(rows.custody.values()))
    moved = sorted(rows.moved.values(), key=lambda ordered: ordered.id)  # one order for every writer: no deadlock
    if moved:
        cursor = await raw.execute(
            _MOVE,
            [
                [ordered.id for ordered in moved],
                [ordered.version for ordered in moved],
                [ordered.runs for ordered in moved],
                [ids[-1 - (ordered.result_id or 0)] for ordered in moved],
            ],
        )
        if cursor.rowcount != len(moved):
            raise StaleBatch
    for panic in rows.panic:
        work.later(
            "panik.bildirim",
            {"sonuc": ids[panic["index"]], "istem": panic["istem"], "tetkik": panic["tetkik"]},
            panic["istem"],
        )
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


def _tell(work: Work, messages: list[Message], rows: _Rows) -> None:
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
