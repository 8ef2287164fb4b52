"""Raw messages: found by barcode, text, line, time and state; and what a person can do about the ones in trouble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, LargeBinary, and_, false, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.services.catalog import catalog
from lis_core.storage.tables import (
    Connection,
    Instrument,
    OrderedTest,
    RawMessage,
    Result,
    Scannable,
    UnmatchedResult,
)
from lis_core.views.boards import TROUBLE, MessageLine
from lis_core.views.seeing import Sight

TEXT_DAYS = 30
"""How far back the bytes of messages are looked through where no day is given."""
SHORTEST_TEXT = 2


@dataclass(frozen=True, slots=True)
class MessageSearch:
    """Which messages; empty fields do not limit. `state`: one of `ham_mesaj.durum`, or `sorunlu`."""

    words: str = ""
    instrument: str = ""
    line: int | None = None
    state: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    """Id that the page starts below."""
    limit: int = 60


async def find_messages(session: AsyncSession, sight: Sight, asked: MessageSearch, now: datetime) -> list[MessageLine]:
    """Newest first. Words are looked for in the bytes and, where they are a barcode, by what was bound to its order.

    Only those who see unapproved values may ask by words, and by other words than a barcode only those who see them of
    every bench: an answer would tell others what a message holds.
    Raises NOT_ALLOWED, INVALID_INPUT (one letter).
    """
    question = (
        select(
            RawMessage.id,
            RawMessage.received_at,
            func.coalesce(Instrument.name, ""),
            func.coalesce(Connection.name, ""),
            RawMessage.protocol,
            RawMessage.state,
            func.coalesce(RawMessage.problem, ""),
            RawMessage.results,
            RawMessage.unmatched,
            func.octet_length(RawMessage.content),
        )
        .outerjoin(Instrument, Instrument.id == RawMessage.instrument_id)
        .outerjoin(Connection, Connection.id == RawMessage.connection_id)
        .order_by(RawMessage.id.desc())
        .limit(asked.limit)
    )
    for condition in _plain(asked):
        question = question.where(condition)
    if words := asked.words.strip():
        if not sight.in_laboratory:
            raise NumuneError(errors.NOT_ALLOWED, permission="mesaj içeriğinde arama")
        if len(words) < SHORTEST_TEXT:
            raise NumuneError(errors.INVALID_INPUT, problem="aramak için en az iki karakter yazın")
        known = await catalog(session)
        everything = all(sight.sees_every_run(group) for group in known.groups)
        question = question.where(await _says(session, words, asked, now, in_bytes=everything))
    return [MessageLine(*row) for row in (await session.execute(question)).tuples()]


def _plain(asked: MessageSearch) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.instrument:
        found.append(Instrument.code == asked.instrument)
    if asked.line is not None:
        found.append(RawMessage.connection_id == asked.line)
    if asked.state == "sorunlu":
        found.append(RawMessage.state.in_(TROUBLE))
    elif asked.state:
        found.append(RawMessage.state == asked.state)
    if asked.since is not None:
        found.append(RawMessage.received_at >= asked.since)
    if asked.until is not None:
        found.append(RawMessage.received_at < asked.until)
    if asked.before is not None:
        found.append(RawMessage.id < asked.before)
    return found


async def _says(
    session: AsyncSession, words: str, asked: MessageSearch, now: datetime, *, in_bytes: bool
) -> ColumnElement[bool]:
    """The message holds these words; or results of the order whose number or tube this is were read from it."""
    since = asked.since or now - timedelta(days=TEXT_DAYS)
    found: list[ColumnElement[bool]] = []
    if in_bytes:
        found.append(and_(RawMessage.received_at >= since, or_(*(_holds(needle) for needle in _needles(words)))))
    scanned = await session.get(Scannable, clean_scan(words))
    if scanned is not None:
        names = (await session.scalars(select(Scannable.text).where(Scannable.order_id == scanned.order_id))).all()
        bound = (
            select(Result.raw_message_id)
            .join(OrderedTest, OrderedTest.id == Result.ordered_test_id)
            .where(OrderedTest.order_id == scanned.order_id, Result.raw_message_id.is_not(None))
        )
        waiting = select(UnmatchedResult.raw_message_id).where(
            UnmatchedResult.observation["specimen"].astext.in_(names), UnmatchedResult.received_at >= since
        )
        found += [RawMessage.id.in_(bound), RawMessage.id.in_(waiting)]
    return or_(*found) if found else false()


def _needles(words: str) -> Sequence[bytes]:
    """The words as an instrument may have written them."""
    found: dict[bytes, None] = {}
    for spelling in (words, words.upper(), words.lower()):
        for encoding in ("utf-8", "cp1254"):
            found[spelling.encode(encoding, errors="replace")] = None
    return list(found)


def _holds(needle: bytes) -> ColumnElement[bool]:
    return func.position(literal(needle, LargeBinary).op("in")(RawMessage.content)) > 0


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a message in trouble. `links`: caption and address of where it is done."""

    sentence: str
    links: tuple[tuple[str, str], ...] = ()


_CODES, _QUEUE = "/cihazlar/kodlar", "/eslesmeyen"
_OF_CAUSE = {
    "test_tanimsiz": ("tanımsız test kodu: bir tetkike eşleştirin, bekleyenler kendiliğinden bağlanır", _CODES),
    "numune_yok": ("numarası kayıtlı olmayan numune: elle bağlayın ya da istemi girip yeniden işleyin", _QUEUE),
    "numunesiz": ("numune numarası gelmemiş, cihazda barkod okunmamış: elle bağlayın", _QUEUE),
    "istemde_yok": ("tetkik istemde yok: isteme ekleyip mesajı yeniden işleyin ya da kapatın", _QUEUE),
    "materyal": ("materyal uygun değil: yanlış tüp çalışılmış olabilir, eşleştirmedeki materyale bakın", _QUEUE),
    "birim": ("birim farklı: eşleştirmeye cihazın birimini ve çarpanı yazın", _QUEUE),
    "deger": ("değer okunamadı: tanımda değerin yerine bakın", _QUEUE),
    "kapali": ("istem kapanmış: gerekirse kapatın", _QUEUE),
    "onayli": ("onaylı sonucun üstüne gelmiş: onay geri alınmadan uygulanmaz", _QUEUE),
    "belirsiz": ("hangi tetkike ait olduğu belirsiz: elle bağlayın", _QUEUE),
    "cihaz_yok": ("hattın cihazı tanımlı değil: cihazı tanımlayıp yeniden işleyin", "/cihazlar"),
    "adim_yok": ("cihazın bildirdiği iş adımı bizde yok: numuneyi doğrulayıp elle bağlayın", _QUEUE),
    "adim_iptal": ("iş adımı iptal edilmişti, sonuç yine de geldi: bağlayın ya da kapatın", _QUEUE),
    "geri_cekildi": ("cihaz sonucu geri çekti: bağlı sonuca bakıp karar verin", _QUEUE),
    "kesin_degil": ("cihaz sonucu kesinleştirmedi: kesin sonucu bekleyin", _QUEUE),
}
_HALF = (
    "Bağlantı mesaj bitmeden koptu; gelen kısmı saklandı, sonuçları uygulanmadı. Cihaz mesajı yeniden gönderirse "
    "kendiliğinden kapanır. Göndermezse cihazdan yeniden isteyin; cihazda da yoksa “Yeniden işle” gelen kısmı okur."
)
_UNREAD = (
    "Mesaj cihazın tanımıyla okunamadı. Cihaza doğru modelin tanımı seçilmiş mi bakın, düzeltip yeniden işleyin. "
    "Uyan tanım yoksa bu mesajdan bir tanım yazın."
)


async def advice(session: AsyncSession, message: MessageLine) -> Advice | None:
    """What a person can do about this message; None where there is nothing to do."""
    if message.state == "yarim":
        return Advice(_HALF)
    if message.state == "hata":
        return Advice(_UNREAD, (("Bu mesajdan tanım yaz", f"/cihazlar/tanim?mesaj={message.id}"),))
    if message.state != "kismen":
        return None
    rows = await session.execute(
        text(
            "select neden, count(*) from eslesmeyen_sonuc where ham_mesaj_kodu = :id and durum = 'bekliyor' "
            "group by neden order by 2 desc"
        ),
        {"id": message.id},
    )
    told, links = [], {}
    for cause, count in rows:
        words, address = _OF_CAUSE.get(cause, (cause, _QUEUE))
        told.append(f"{count} sonuç, {words}")
        links[address] = {_CODES: "Kodları eşleştir", "/cihazlar": "Cihazlar"}.get(address, "Eşleşmeyenler")
    if not told:
        return Advice("Bekleyen sonuç kalmadı; mesaj yeniden işlenince “işlendi” olur.")
    return Advice("; ".join(told) + ".", tuple((caption, address) for address, caption in links.items()))
