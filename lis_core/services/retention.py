"""How long what is kept, and the end of it (law 6698, articles 7 and 11).

Rules are rows with effective dates and their legal basis; nothing is erased without one. `due` shows what a rule would
erase, `apply_rule` does it, with an audit row of its own. Results stay: where they must, the person is taken away
from them (`erase_identity`). The audit itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.services.redaction import blackened, needles
from lis_core.storage.database import Work
from lis_core.storage.tables import Patient, RetentionRule

ERASE, EMPTY, ANONYMISE = "sil", "icerik_sil", "anonimlestir"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of data that a rule may speak of. `which`: rows older than `:before`; `then`: what may be done."""

    caption: str
    table: str
    then: str
    which: str
    change: str


KINDS: dict[str, Kind] = {
    "ham_mesaj": Kind(
        "Cihaz mesajlarının baytları",
        "ham_mesaj",
        EMPTY,
        "alinma_zamani < :before and octet_length(icerik) > 0",
        "update ham_mesaj set icerik = '', yarim_govde = null where ",
    ),
    "hbys_mesaj": Kind(
        "Hastane mesajlarının içeriği",
        "hbys_mesaj",
        EMPTY,
        "zaman < :before and octet_length(icerik) > 0",
        "update hbys_mesaj set icerik = '', cevap = null, aciklama = null where ",
    ),
    "is_iletisi": Kind(
        "Cihazlara gönderilen iş iletilerinin içeriği",
        "is_iletisi",
        EMPTY,
        "kayit_zamani < :before and durum not in ('bekliyor', 'gonderildi') and octet_length(icerik) > 0",
        "update is_iletisi set icerik = '', yanit_icerik = null, yanit_aciklama = '' where ",
    ),
    "eslesmeyen_sonuc": Kind(
        "Çözülmüş eşleşmeyen sonuçlar",
        "eslesmeyen_sonuc",
        ERASE,
        "alinma_zamani < :before and durum <> 'bekliyor'",
        "delete from eslesmeyen_sonuc where ",
    ),
    "bildirim": Kind(
        "Görülmüş bildirimler",
        "bildirim",
        ERASE,
        "goruldu_zamani < :before",
        "delete from bildirim where ",
    ),
    "giden_kutusu": Kind(
        "Tamamlanmış giden işler",
        "giden_kutusu",
        ERASE,
        "bitti_zamani < :before",
        "delete from giden_kutusu where ",
    ),
    "oturum": Kind("Süresi dolmuş oturumlar", "oturum", ERASE, "bitis_zamani < :before", "delete from oturum where "),
    "hasta": Kind(
        "Son isteminin üzerinden süre geçmiş hastaların kimliği",
        "hasta",
        ANONYMISE,
        "anonimlesme_zamani is null and birlestigi_hasta_kodu is null and kayit_zamani < :before and not exists "
        "(select from tetkik_istem i where i.hasta_kodu = hasta.hasta_kodu and i.istem_zamani >= :before)",
        "",
    ),
}
"""What can be erased. Results, approvals, movements and the audit are in none of them."""


async def save_rule(
    work: Work, kind: str, days: int, basis: str, valid_from: date, valid_to: date | None = None
) -> RetentionRule:
    """A rule from a day on; the one before it ends the day before. Raises NOT_ALLOWED, BAD_RETENTION_RULE."""
    work.actor.must(P.PRIVACY_DATA)
    if kind not in KINDS:
        raise NumuneError(errors.BAD_RETENTION_RULE, problem="verinin türü tanımlı değil")
    if days < 1 or not basis.strip():
        raise NumuneError(errors.BAD_RETENTION_RULE, problem="süre en az 1 gün olmalı ve dayanağı yazılmalı")
    if valid_to is not None and valid_to < valid_from:
        raise NumuneError(errors.BAD_RETENTION_RULE, problem="bitiş başlangıçtan önce")
    known = list(await work.session.scalars(select(RetentionRule).where(RetentionRule.kind == kind)))
    if any(rule.valid_from >= valid_from for rule in known):
        raise NumuneError(errors.BAD_RETENTION_RULE, problem="aynı gün ya da sonra başlayan bir kural var")
    for rule in known:
        if rule.valid_to is None or rule.valid_to >= valid_from:
            rule.valid_to = valid_from - timedelta(days=1)
    made = RetentionRule(
        kind=kind, days=days, then=KINDS[kind].then, basis=basis.strip(), valid_from=valid_from, valid_to=valid_to
    )
    work.session.add(made)
    await work.session.flush()
    after = {"tur": kind, "saklama_gunu": days, "dayanak": made.basis, "baslangic": valid_from, "bitis": valid_to}
    work.audit("kaydet", "saklama_kurali", made.id, None, after)
    return made


async def rules_in_force(session: AsyncSession, on: date) -> list[RetentionRule]:
    rows = await session.scalars(
        select(RetentionRule).where(RetentionRule.valid_from <= on).order_by(RetentionRule.kind)
    )
    return [rule for rule in rows if rule.valid_to is None or rule.valid_to >= on]


@dataclass(frozen=True, slots=True)
class Due:
    """What a rule would end today."""

    rule: RetentionRule
    before: datetime
    rows: int

    @property
    def caption(self) -> str:
        return KINDS[self.rule.kind].caption


async def due(session: AsyncSession, now: datetime) -> list[Due]:
    """Every rule in force with the number of rows whose time is over. Changes nothing."""
    found = []
    for rule in await rules_in_force(session, now.date()):
        kind, before = KINDS[rule.kind], now - timedelta(days=rule.days)
        rows = await session.scalar(text(f"select count(*) from {kind.table} where {kind.which}"), {"before": before})
        found.append(Due(rule, before, rows or 0))
    return found


async def apply_rule(work: Work, one: Due, limit: int = 100_000) -> int:
    """Do what the rule says; how many rows. Raises NOT_ALLOWED."""
    work.actor.must(P.PRIVACY_DATA)
    kind = KINDS[one.rule.kind]
    if kind.then == ANONYMISE:
        ids = await work.session.scalars(
            text(f"select hasta_kodu from {kind.table} where {kind.which} limit :limit"),
            {"before": one.before, "limit": min(limit, 1000)},
        )
        done = 0
        for patient_id in list(ids):
            if await _open_tests(work.session, patient_id) == 0:
                await _erase(work, patient_id, f"saklama kuralı {one.rule.id}")
                done += 1
    else:
        key = f"{kind.table}.ctid"
        result: Any = await work.session.execute(
            text(f"{kind.change} {key} = any(array(select ctid from {kind.table} where {kind.which} limit :limit))"),
            {"before": one.before, "limit": limit},
        )
        done = result.rowcount
    after = {"tur": one.rule.kind, "onceki": one.before.isoformat(), "satir": done, "islem": kind.then}
    work.audit("saklama_uygulandi", "saklama_kurali", one.rule.id, None, after)
    return done


# --- the identity of one person -------------------------------------------------------------------------------------


async def erase_identity(work: Work, patient_id: int, reason: str) -> None:
    """Take the person away from his results, in place: nothing that names him is left, the results stay.

    Raises NOT_ALLOWED, NOT_FOUND, REASON_NEEDED, ANONYMISED, STILL_KEPT (tests that are not finished).
    """
    work.actor.must(P.PRIVACY_DATA)
    if not reason.strip():
        raise NumuneError(errors.REASON_NEEDED)
    if waiting := await _open_tests(work.session, patient_id):
        raise NumuneError(errors.STILL_KEPT, problem=f"bitmemiş {waiting} tetkiki var")
    await _erase(work, patient_id, reason.strip())


async def _open_tests(session: AsyncSession, patient_id: int) -> int:
    return int(
        await session.scalar(
            text(
                "select count(*) from istem_tetkik join tetkik_istem using (tetkik_istem_kodu) where hasta_kodu = :id "
                "and tetkik_durumu not in ('klinik_onayli', 'ret', 'iptal')"
            ),
            {"id": patient_id},
        )
        or 0
    )


async def _erase(work: Work, patient_id: int, reason: str) -> None:
    patient = await work.session.scalar(select(Patient).where(Patient.id == patient_id).with_for_update())
    if patient is None:
        raise NumuneError(errors.NOT_FOUND, what=f"Hasta {patient_id}")
    if patient.anonymised_at is not None:
        raise NumuneError(errors.ANONYMISED)
    everybody = [patient, *await work.session.scalars(select(Patient).where(Patient.merged_into_id == patient_id))]
    gone = needles(everybody)
    for one in everybody:
        _nameless(one)
    await work.session.flush()
    ids = [one.id for one in everybody]
    await work.session.execute(
        text("update hasta set anonimlesme_zamani = transaction_timestamp() where hasta_kodu = any(:ids)"), {"ids": ids}
    )
    await work.session.refresh(patient)
    for statement in _FREE_TEXT:
        await work.session.execute(text(statement), {"ids": ids})
    messages = 0
    for one in ids:
        messages += await _blacken_messages(work.session, one, gone)
    # What he was called must not stand in the row that says that it was erased.
    work.audit("kimlik_silindi", "hasta", patient_id, None, {"neden": reason, "mesaj": messages}, ids)


def _nameless(patient: Patient) -> None:
    patient.given_name, patient.family_name = "Anonim", f"Hasta {patient.id}"
    patient.tc = patient.foreign_id = patient.hospital_id = patient.phone = patient.hidden_number = None
    if patient.birth_date is not None:
        patient.birth_date = patient.birth_date.replace(month=1, day=1)


_ORDERS = "(select tetkik_istem_kodu from tetkik_istem where hasta_kodu = any(:ids))"
_FREE_TEXT: Sequence[str] = (
    "update tetkik_istem set entegrasyon_numarasi = null, "
    "klinik_bilgi = (select coalesce(jsonb_object_agg(key, value), '{}') "
    "from jsonb_each(klinik_bilgi) where jsonb_typeof(value) in ('boolean', 'number')) where hasta_kodu = any(:ids)",
    f"update hbys_mesaj set icerik = '', cevap = null, aciklama = null where tetkik_istem_kodu in {_ORDERS}",
    "update eslesmeyen_sonuc set icerik = icerik - 'patient' - 'comments', aciklama = '' "
    "where durum <> 'bekliyor' and tetkik_sonuc_kodu in ("
    "select s.tetkik_sonuc_kodu from tetkik_sonuc s join istem_tetkik t using (istem_tetkik_kodu) "
    f"where t.tetkik_istem_kodu in {_ORDERS})",
    "delete from giden_kutusu where bitti_zamani is not null and sira_anahtari in "
    f"(select numune_numarasi from tetkik_istem where tetkik_istem_kodu in {_ORDERS})",
    "update is_iletisi set icerik = '', yanit_icerik = null, yanit_aciklama = '', "
    "durum = case when durum in ('bekliyor', 'gonderildi') then 'vazgecildi' else durum end "
    "where adimlar && array(select is_adimi_kodu from is_adimi join istem_tetkik using (istem_tetkik_kodu) "
    f"where tetkik_istem_kodu in {_ORDERS})",
    "delete from baglanti_trafigi where cardinality(cast(:ids as bigint[])) > 0",  # whose it is nobody knows
)
"""Free text and copies of messages that hold more than the result."""

_MESSAGES = text(
    "select m.ham_mesaj_kodu, m.icerik, not exists (select from tetkik_sonuc s "
    "join istem_tetkik t using (istem_tetkik_kodu) "
    "join tetkik_istem i using (tetkik_istem_kodu) where s.ham_mesaj_kodu = m.ham_mesaj_kodu and i.hasta_kodu <> :id) "
    "from ham_mesaj m where m.ham_mesaj_kodu in (select s.ham_mesaj_kodu from tetkik_sonuc s "
    "join istem_tetkik t using (istem_tetkik_kodu) join tetkik_istem i using (tetkik_istem_kodu) "
    "where i.hasta_kodu = :id)"
)


async def _blacken_messages(session: AsyncSession, patient_id: int, gone: Sequence[bytes]) -> int:
    """His names and numbers in the bytes of the messages that his results came in; how many changed."""
    rows = (await session.execute(_MESSAGES, {"id": patient_id})).all()
    await session.execute(text("select set_config('numune.kimligi_silinen', :id, true)"), {"id": str(patient_id)})
    changed = 0
    for message_id, content, only_his in rows:
        black = blackened(bytes(content), gone, whole_patient_records=only_his)
        if black != bytes(content):
            await session.execute(
                text("update ham_mesaj set icerik = :black, yarim_govde = null where ham_mesaj_kodu = :id"),
                {"black": black, "id": message_id},
            )
            changed += 1
    await session.execute(text("select set_config('numune.kimligi_silinen', '', true)"))
    return changed
