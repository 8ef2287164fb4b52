"""Between the screens and the gateway, which may be another process: a line's history, its live bytes, trials.

The screens write what they want (watch this line, try that one); the gateway looks for it once a second, with one
statement, and writes what it saw. Nobody watches: nothing of a line's bytes is written anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select, text

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.instruments import LINE_KINDS, PROTOCOLS, check_place
from lis_core.services.lines import GATEWAY
from lis_core.storage.database import Database, Work
from lis_core.storage.tables import Connection, EdgeGateway, LineTrial

WATCH_FOR = timedelta(seconds=20)
"""How long one request keeps a line watched; an open screen asks again in time."""
KEEP_EVENTS = timedelta(days=14)
KEEP_TRAFFIC = timedelta(minutes=15)
KEEP_TRIALS = timedelta(days=1)
TRIAL_SECONDS = (5, 60)
"""Shortest and longest trial."""
HEARD_WITHIN = timedelta(seconds=30)
"""A remote gateway says every two seconds how it is."""
OVERDUE = timedelta(seconds=120)
"""A trial that began so long ago was left by a process that died."""


@dataclass(frozen=True, slots=True)
class Event:
    """One sentence of a line's history, with how often it came one after another. Times are seconds since the epoch."""

    line: str
    kind: str
    sentence: str
    count: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a watched line. at: seconds since the epoch."""

    line: str
    at: float
    direction: str
    content: bytes


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """A trial that a screen asked for."""

    id: int
    name: str
    kind: str
    protocol: str
    address: str
    settings: dict[str, Any]
    seconds: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the screens want of the gateway now."""

    watched: frozenset[str]
    """Names of the lines whose bytes somebody looks at."""
    trials: tuple[TrialRequest, ...]


# ---- the screens' side


async def watch(work: Work, connection_id: int) -> None:
    """Keep this line's traffic for the next moments. Raises NOT_FOUND."""
    if await work.session.get(Connection, connection_id) is None:
        raise NumuneError(errors.NOT_FOUND, what="Hat")
    await work.session.execute(
        text(
            "insert into baglanti_izleme (baglanti_kodu, bitis_zamani) values (:line, :until) "
            "on conflict (baglanti_kodu) do update set bitis_zamani = excluded.bitis_zamani"
        ),
        {"line": connection_id, "until": datetime.now(UTC) + WATCH_FOR},
    )


async def ask_trial(
    work: Work,
    *,
    name: str,
    kind: str,
    protocol: str,
    address: str,
    settings: dict[str, Any],
    seconds: int,
    gateway: str = "",
) -> int:
    """Ask the gateway to try a line; its number. Nothing is saved of the line itself. gateway: the remote one that is
    to try it, "" = the centre's own. Raises INVALID_INPUT (also: nothing is heard of that gateway)."""
    if kind not in LINE_KINDS or protocol not in PROTOCOLS:
        raise NumuneError(errors.INVALID_INPUT, problem=f"hat türü {LINE_KINDS}, protokol {PROTOCOLS} içinden olmalı")
    if not address.strip():
        raise NumuneError(errors.INVALID_INPUT, problem="adres boş olamaz")
    check_place(kind, address.strip())
    trial = LineTrial(
        gateway_id=await _connected(work, gateway) if gateway else None,
        name=name.strip(),
        kind=kind,
        protocol=protocol,
        address=address.strip(),
        settings=settings,
        seconds=min(max(seconds, TRIAL_SECONDS[0]), TRIAL_SECONDS[1]),
        asked_by_id=work.actor.user_id,
        asked_at=work.now,
    )
    work.session.add(trial)
    await work.session.flush()
    work.audit("dene", "baglanti", trial.name or trial.address, None, {"tur": kind, "adres": trial.address})
    return trial.id


async def _connected(work: Work, name: str) -> int:
    """The gateway of this name, if it has been heard of lately. Raises INVALID_INPUT."""
    found = await work.session.scalar(select(EdgeGateway).where(EdgeGateway.name == name, EdgeGateway.active))
    if found is None or found.seen_at is None or work.now - found.seen_at > HEARD_WITHIN:
        problem = f"{name} geçidi şu anda merkeze bağlı değil; deneme o bağlıyken yapılır"
        raise NumuneError(errors.INVALID_INPUT, problem=problem)
    return found.id


# ---- the gateway's side


async def wanted(database: Database, gateway: str = "") -> Wanted:
    """What the screens want now of the lines of one gateway ("" = the centre's own); one statement, and nothing to
    write where nobody wants anything."""
    async with database.reading() as session:
        rows = (await session.execute(_WANTED, {"overdue": OVERDUE, "gateway": gateway})).all()
    watched = frozenset(row.ad for row in rows if row.deneme is None)
    trials = tuple(
        TrialRequest(row.deneme, row.ad, row.tur, row.protokol, row.adres, row.ayarlar, row.sure)
        for row in rows
        if row.deneme is not None
    )
    return Wanted(watched, trials)


_WANTED = text(
    """
    select b.baglanti_adi as ad, null::bigint as deneme, '' as tur, '' as protokol, '' as adres, null::jsonb as ayarlar,
        0 as sure
    from baglanti_izleme i join baglanti b using (baglanti_kodu) left join gecit g on g.gecit_kodu = b.gecit_kodu
    where i.bitis_zamani > now() and coalesce(g.gecit_adi, '') = :gateway
    union all
    select baglanti_adi, baglanti_denemesi_kodu, baglanti_turu, protokol, adres, ayarlar, sure_saniye
    from baglanti_denemesi d left join gecit g on g.gecit_kodu = d.gecit_kodu
    where bitis_zamani is null and baslama_zamani is null and coalesce(g.gecit_adi, '') = :gateway
        and istek_zamani > now() - cast(:overdue as interval)
    """
)


async def begin_trial(database: Database, trial_id: int) -> bool:
    """Take a trial; False where another gateway has it."""
    async with database.work(GATEWAY) as work:
        taken = await work.session.scalar(
            text(
                "update baglanti_denemesi set baslama_zamani = now() where baglanti_denemesi_kodu = :id "
                "and baslama_zamani is null returning baglanti_denemesi_kodu"
            ),
            {"id": trial_id},
        )
    return taken is not None


async def trial_step(database: Database, trial_id: int, steps: Sequence[tuple[float, str]], verdict: str = "") -> None:
    """Write what a trial has seen so far; with a verdict it has ended."""
    async with database.work(GATEWAY) as work:
        await work.session.execute(
            text(
                "update baglanti_denemesi set adimlar = cast(:steps as jsonb), sonuc = cast(:verdict as text), "
                "bitis_zamani = case when cast(:verdict as text) <> '' then now() end "
                "where baglanti_denemesi_kodu = :id"
            ),
            {
                "id": trial_id,
                "verdict": verdict,
                "steps": orjson.dumps([{"zaman": at, "cumle": sentence} for at, sentence in steps]).decode(),
            },
        )


async def write_events(database: Database, events: Iterable[Event]) -> None:
    """Add to the history of lines; what goes on saying the same is counted, not repeated."""
    rows = [
        {
            "sira": number, "ad": event.line, "tur": event.kind, "cumle": event.sentence[:1000], "adet": event.count,
            "ilk": event.first_at, "son": event.last_at,
        }
        for number, event in enumerate(events)
    ]  # fmt: skip
    if not rows:
        return
    async with database.work(GATEWAY) as work:
        await work.session.execute(_EVENTS, {"rows": orjson.dumps(rows).decode()})


_EVENTS = text(
    """
    with yeni as (
        select b.baglanti_kodu, r.* from jsonb_to_recordset(cast(:rows as jsonb))
            as r(sira int, ad text, tur text, cumle text, adet int, ilk float8, son float8)
        join baglanti b on b.baglanti_adi = r.ad
    ), son_olay as (
        select y.sira, e.baglanti_olayi_kodu from yeni y
        cross join lateral (select * from baglanti_olayi o where o.baglanti_kodu = y.baglanti_kodu
            order by o.baglanti_olayi_kodu desc limit 1) e
        where e.cumle = y.cumle and e.tur = y.tur and e.son_zaman > to_timestamp(y.ilk) - interval '10 minutes'
            and y.sira = (select min(z.sira) from yeni z where z.baglanti_kodu = y.baglanti_kodu)
    ), sayilan as (
        update baglanti_olayi o set adet = o.adet + y.adet, son_zaman = to_timestamp(y.son)
        from son_olay s join yeni y using (sira) where o.baglanti_olayi_kodu = s.baglanti_olayi_kodu
    )
    insert into baglanti_olayi (baglanti_kodu, tur, cumle, adet, ilk_zaman, son_zaman)
    select baglanti_kodu, tur, cumle, adet, to_timestamp(ilk), to_timestamp(son) from yeni
    where sira not in (select sira from son_olay) order by sira
    """
)


async def write_refusals(database: Database, line: str, refusals: Sequence[tuple[float, str, int]]) -> None:
    """Who was hung up at this line's door, into the audit: (time, address, how often); "" = further addresses."""
    async with database.work(GATEWAY) as work:
        for at, host, count in refusals:
            facts = {"adres": host or "çeşitli", "adet": count, "zaman": datetime.fromtimestamp(at, UTC).isoformat()}
            work.audit("hat.reddedildi", "baglanti", line, None, facts)


async def write_traffic(database: Database, chunks: Sequence[Chunk]) -> None:
    """Bytes of watched lines, in the order in which they came and went."""
    if not chunks:
        return
    async with database.work(GATEWAY) as work:
        raw = await work.driver()
        await raw.execute(
            "insert into baglanti_trafigi (baglanti_kodu, zaman, yon, icerik) "
            "select b.baglanti_kodu, to_timestamp(v.zaman), v.yon, v.icerik "
            "from unnest(%s::text[], %s::float8[], %s::text[], %s::bytea[]) "
            "with ordinality as v(ad, zaman, yon, icerik, n) "
            "join baglanti b on b.baglanti_adi = v.ad order by v.n",
            [
                [chunk.line for chunk in chunks],
                [chunk.at for chunk in chunks],
                [chunk.direction for chunk in chunks],
                [chunk.content for chunk in chunks],
            ],
        )


async def clean_up(database: Database) -> None:
    """Take away what was kept for a while only."""
    now = datetime.now(UTC)
    async with database.work(GATEWAY) as work:
        for table, column, keep in (
            ("baglanti_olayi", "son_zaman", KEEP_EVENTS),
            ("baglanti_trafigi", "zaman", KEEP_TRAFFIC),
            ("baglanti_denemesi", "istek_zamani", KEEP_TRIALS),
            ("baglanti_izleme", "bitis_zamani", timedelta(0)),
        ):
            await work.session.execute(text(f"delete from {table} where {column} < :limit"), {"limit": now - keep})
