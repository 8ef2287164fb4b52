"""The audit for people: who saw this patient's results, what did this person do; looking is itself kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import needs
from api.context import Db
from api.exports import as_csv, as_xlsx
from api.screens.shell import Screen, screen
from barcode.numbers import clean_scan
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.identity import parse_date_tr
from lis_core.domain.permissions import P
from lis_core.services.audit import record_looked
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Database
from lis_core.storage.tables import Order, Patient, Scannable, User
from lis_core.views.audit_trail import AuditQuestion, AuditRow, list_audit
from lis_core.views.privacy import in_list

router = APIRouter(prefix="/denetim")
Here = Annotated[Screen, Depends(screen("audit"))]
Text = Annotated[str, Query(max_length=80)]
Day = Annotated[str, Query(max_length=10)]
PAGE = 100
MOST_EXPORTED = 50_000

ACTIONS = {
    "goruntuledi": "görüntüledi",
    "reddedildi": "reddedildi",
    "yetki_ret": "yetkisi olmadan denedi",
    "kaydet": "kaydetti",
    "guncelle": "değiştirdi",
    "giris": "giriş yaptı",
    "cikis": "çıkış yaptı",
    "giris_basarisiz": "giriş başarısız",
    "teknik_onay": "teknik onay",
    "klinik_onay": "klinik onay",
    "teknik_geri": "teknik onayı geri aldı",
    "klinik_geri": "klinik onayı geri aldı",
    "tekrar": "tekrar istedi",
    "kosu_secimi": "koşu seçti",
    "acil_baski": "onaysız acil baskı",
    "hasta_girisi": "hasta sayfasına girdi",
    "hasta_girisi_reddi": "hasta sayfasında bilgi eşleşmedi",
    "hasta_girisi_bekletildi": "hasta sayfasında bekletildi",
    "hasta_oturumu_reddi": "hasta oturumu başka tarayıcıdan",
    "hasta_cikisi": "hasta sayfasından çıktı",
    "hasta_belgesi": "hasta belgesi verdi",
    "internet_istemiyor": "internetten gösterilmesin",
    "internet_istiyor": "internetten gösterilsin",
    "gizli_tetkik": "gizli tetkik değişti",
    "acil_erisim": "acil erişim açtı",
    "acil_erisim_degerlendirme": "acil erişimi değerlendirdi",
    "gizlendi": "numara ile izletti",
    "gizlilik_kaldirildi": "numara ile izlemeyi kaldırdı",
    "denetim_goruntuledi": "denetime baktı",
    "denetim_disa_aktardi": "denetimi dışa aktardı",
    "veritabani_gunlugu_goruntuledi": "veritabanı günlüğüne baktı",
    "disaridan_degisiklik": "programın dışından veri değiştirdi",
    "sema_degisikligi": "veritabanı şemasını değiştirdi",
    "mesaj.alindi": "cihaz mesajı alındı",
    "kimlik_silindi": "kimliği sildi",
    "veri_dokumu": "kişisel veri dökümü aldı",
    "yetki_degisikligi": "yetkileri değiştirdi",
    "yetki_ver": "yetki verdi",
    "yetki_al": "yetkiyi kaldırdı",
    "yetki_yasakla": "yetkiyi yasakladı",
    "yasak_kaldir": "yasağı kaldırdı",
    "uye_yap": "gruba aldı",
    "uyelik_kaldir": "gruptan çıkardı",
    "grup_kopyala": "yetki grubunu kopyaladı",
    "yetki_dene": "başkasının ekranlarını denedi",
    "yonetici_sonuc_okur": "yöneticiye sonuç okutan yetki verdi",
    "saklama_uygulandi": "saklama süresini uyguladı",
}
"""Deeds in words; one that is not here is shown as it stands."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form says, as typed."""

    hasta: str = ""
    kim: str = ""
    islem: str = ""
    nesne: str = ""
    nesne_kodu: str = ""
    ilk: str = ""
    son: str = ""

    def facts(self) -> dict[str, str]:
        """For the audit of the audit; the number of a patient is not repeated there, his id is."""
        return {name: value for name, value in self._all().items() if value and name != "hasta"}

    def query(self, **more: str) -> str:
        return urlencode({name: value for name, value in {**self._all(), **more}.items() if value})

    def _all(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.__slots__}


def asked_for(
    hasta: Text = "",
    kim: Text = "",
    islem: Text = "",
    nesne: Text = "",
    nesne_kodu: Text = "",
    ilk: Day = "",
    son: Day = "",
) -> Asked:
    return Asked(*(word.strip() for word in (hasta, kim, islem, nesne, nesne_kodu, ilk, son)))


Question = Annotated[Asked, Depends(asked_for)]


@dataclass(frozen=True, slots=True)
class Side:
    """One fact before and after."""

    name: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Line:
    """One deed as the page shows it."""

    row: AuditRow
    who: str
    action: str
    summary: str
    sides: Sequence[Side]


@router.get("")
async def page(
    here: Here, db: Db, asked: Question, imlec: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """Deeds, newest first. With nothing asked: the newest of all."""
    problem: str | None = None
    lines: list[Line] = []
    following, patient = None, None
    async with db.reading() as session:
        try:
            question, patient = await _question(session, asked)
            found = await list_audit(session, here.sight, replace(question, limit=PAGE, cursor=imlec))
            lines = await _lines(session, found.rows)
            following = found.next
        except (ValueError, NumuneError) as error:
            problem = error.message if isinstance(error, NumuneError) else str(error)
    if problem is None:
        await _looked(db, here, "denetim_goruntuledi", asked, patient, len(lines))
    return await here.page(
        "audit/page.html",
        asked=asked,
        lines=lines,
        patient=in_list(patient).full_name if patient else None,
        problem=problem,
        following=asked.query(imlec=following) if following else None,
        export=asked.query(),
        may_export=here.actor.may(P.AUDIT_REPORT),
        actions=ACTIONS,
    )


@router.get("/dosya.csv", dependencies=[Depends(needs(P.AUDIT_REPORT))])
async def as_csv_file(here: Here, db: Db, asked: Question) -> Response:
    """The same deeds as CSV."""
    rows = await _exported(here, db, asked)
    return _file(as_csv(HEAD, rows), "text/csv; charset=utf-8", "denetim.csv")


@router.get("/dosya.xlsx", dependencies=[Depends(needs(P.AUDIT_REPORT))])
async def as_xlsx_file(here: Here, db: Db, asked: Question) -> Response:
    """The same deeds as XLSX."""
    rows = await _exported(here, db, asked)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return _file(as_xlsx("Denetim", HEAD, rows), kind, "denetim.xlsx")


HEAD = ("Zincir", "Sıra", "Zaman", "Yapan", "Adres", "İşlem", "Nesne", "Nesne kodu", "Hastalar", "Önce", "Sonra")


async def _exported(here: Screen, db: Database, asked: Asked) -> list[list[str]]:
    """Rows of the file, at most 50,000. Raises INVALID_INPUT, NOT_FOUND."""
    rows: list[AuditRow] = []
    async with db.reading() as session:
        try:
            question, patient = await _question(session, asked)
        except ValueError as error:
            raise NumuneError(errors.INVALID_INPUT, problem=str(error)) from error
        cursor: str | None = None
        while len(rows) < MOST_EXPORTED:
            found = await list_audit(session, here.sight, replace(question, limit=1000, cursor=cursor))
            rows += found.rows
            cursor = found.next
            if cursor is None:
                break
    await _looked(db, here, "denetim_disa_aktardi", asked, patient, len(rows))
    return [
        [
            row.chain,
            str(row.number),
            row.at.isoformat(timespec="seconds"),
            row.actor,
            row.address,
            ACTIONS.get(row.action, row.action),
            row.entity,
            row.entity_id,
            " ".join(map(str, row.patients)),
            _json(row.before),
            _json(row.after),
        ]
        for row in rows
    ]


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _json(facts: Mapping[str, Any] | None) -> str:
    return "" if facts is None else json.dumps(facts, ensure_ascii=False, default=str)


async def _looked(db: Database, here: Screen, what: str, asked: Asked, patient: Patient | None, rows: int) -> None:
    facts = {**asked.facts(), "satir": rows}
    await record_looked(db, here.actor, what, facts, [patient.id] if patient else [])


async def _question(session: AsyncSession, asked: Asked) -> tuple[AuditQuestion, Patient | None]:
    """Raises ValueError in Turkish (a day that is none), NOT_FOUND (a patient who is not known)."""
    patient = await patient_by_number(session, asked.hasta) if asked.hasta else None
    since, until = _day(asked.ilk), _day(asked.son)
    return (
        AuditQuestion(
            entity=asked.nesne or None,
            entity_id=asked.nesne_kodu or None,
            actor=asked.kim or None,
            since=since,
            until=until + timedelta(days=1) if until else None,
            action=asked.islem or None,
            patient=patient.id if patient else None,
        ),
        patient,
    )


def _day(text: str) -> datetime | None:
    if not text:
        return None
    day = parse_date_tr(text)
    return datetime(day.year, day.month, day.day, tzinfo=ISTANBUL)


async def patient_by_number(session: AsyncSession, words: str) -> Patient:
    """By TC number, hospital number, the number he is followed by, an order number or a barcode; never by name.

    Raises NOT_FOUND.
    """
    for column in (Patient.tc, Patient.hospital_id, Patient.hidden_number):
        if found := await session.scalar(select(Patient).where(column == words)):
            return found
    order = select(Order.patient_id).join(Scannable, Scannable.order_id == Order.id)
    of_order = order.where(Scannable.text == clean_scan(words)).scalar_subquery()
    found = await session.scalar(select(Patient).where(Patient.id == of_order))
    if found is None:
        raise NumuneError(errors.NOT_FOUND, what="Bu numara ile kayıtlı hasta")
    return found


async def _lines(session: AsyncSession, rows: Sequence[AuditRow]) -> list[Line]:
    names = await session.execute(
        select(User.username, func.concat(User.given_name, " ", User.family_name)).where(
            User.username.in_({row.actor for row in rows})
        )
    )
    known = dict(names.tuples().all())
    return [
        Line(row, known.get(row.actor, ""), ACTIONS.get(row.action, row.action), _summary(row), _sides(row))
        for row in rows
    ]


def _summary(row: AuditRow) -> str:
    """What was seen, in a few words; empty for everything else."""
    facts = row.after or {}
    if row.action != "goruntuledi":
        return str(facts.get("yetki", ""))
    orders, results = facts.get("istemler") or [], facts.get("sonuclar") or []
    shown = ", ".join(orders[:3]) + (" ..." if len(orders) > 3 else "")
    return f"{len(results)} sonuç" + (f", istem {shown}" if orders else "")


def _sides(row: AuditRow) -> list[Side]:
    """Before and after, fact by fact."""
    before, after = row.before or {}, row.after or {}
    return [Side(name, _words(before, name), _words(after, name)) for name in dict.fromkeys([*before, *after])]


def _words(facts: Mapping[str, Any], name: str) -> str:
    if name not in facts or facts[name] is None:
        return ""
    value = facts[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
