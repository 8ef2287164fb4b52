"""Every transaction that changes a row of clinical, financial or access data holds an audit row (invariant 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.app import create_app
from lis_core.domain.permissions import P
from lis_core.settings import Settings
from lis_core.storage.database import Database, program
from tests.api.conftest import Clinic, person
from tests.audit.test_views import at_the_desk
from tests.services import steps

NOT_AUDITED = {
    "denetim": "is the audit",
    "denetim_zinciri": "is the audit",
    "denetim_dogrulama": "is the audit's own place",
    "veritabani_gunlugu": "is a log itself, and goes into the audit",
    "giden_kutusu": "a promise that goes with a change, and its being done",
    "parametre": "version counters of catalogue and rights",
    "baglanti_durumu": "the live state of a line",
    "baglanti_olayi": "the log of a line is a log itself",
    "baglanti_trafigi": "recorded bytes of a line, watched on request",
    "is_listesi_degisen": "what remote gateways have to fetch",
    "basarisiz_giris": "counts for the throttle; the attempt itself is audited",
    "oturum": "times of a session's last use",
    "api_belirteci": "times of a token's last use",
    "bekleyen_dogrulama": "a challenge of some seconds",
    "degisiklik": "this test's own",
}
"""Tables whose changes are no deeds of anybody, each with the reason."""


@pytest.fixture
async def clinic(lab: Database) -> AsyncIterator[Clinic]:
    made = Clinic(create_app(lab, Settings()), lab)
    yield made
    await made.close()


async def watch(clinic: Clinic) -> None:
    """From now on each statement that changes a table notes its transaction."""
    await clinic.sql("create table degisiklik (islem xid, tablo text, ne text)")
    await clinic.sql(
        "create function degisti() returns trigger language plpgsql security definer as $$ begin if exists (select from yeni_ya_da_eski) then "
        "insert into degisiklik values (pg_current_xact_id()::xid, tg_table_name, tg_op); end if; return null; end $$"
    )
    tables = await clinic.sql(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'degisiklik'"
    )
    for (table,) in tables:
        for event, which in (("insert", "new"), ("update", "new"), ("delete", "old")):
            await clinic.sql(
                f"create trigger zz_izle_{event} after {event} on {table} referencing {which} table as yeni_ya_da_eski "
                f"for each statement execute function degisti()"
            )


async def unaudited(clinic: Clinic) -> list[tuple[str, str]]:
    """Changes of transactions that hold no audit row."""
    rows = await clinic.sql(
        "select distinct tablo, ne from degisiklik d where not exists (select from denetim a where a.xmin = d.islem) order by 1"
    )
    return [(table, what) for table, what in rows if table not in NOT_AUDITED]


async def test_no_change_of_a_day_passes_without_its_audit_row(clinic: Clinic) -> None:
    """A day through the web interface: orders, tubes, results, approvals, hiding, emergencies, instruments, sign-in."""
    await watch(clinic)
    order = await a_day(clinic)
    assert order
    assert await unaudited(clinic) == []
    assert await clinic.sql("select 1 from degisiklik where tablo = 'onay'")
    assert await clinic.sql("select 1 from degisiklik where tablo = 'acil_erisim'")


async def a_day(clinic: Clinic) -> str:
    placed = await clinic.place("GLU", "K", "ESR", by="ailehekimi", patient=person(family_name="Günlük"))
    number, tube = str(placed["number"]), placed["specimens"][0]["barcode"]
    desk = await clinic.as_("kabul")
    for deed in ("collect", "dispatch", "receive"):
        await desk.post(f"/api/v1/specimens/{tube}/{deed}")
    await clinic.receive(placed)
    await clinic.measure(tube, GLU="93", K="4.4")
    await clinic.measure("515151", GLU="11")
    await clinic.release(number, "GLU")
    potassium = await clinic.result_id(number, "K")
    await clinic.decide("technical-approval", potassium, "teknisyen")
    await clinic.decide("withdraw", potassium, "teknisyen", reason="yanlış")
    await clinic.decide("repeat", potassium, "teknisyen", reason="pıhtı")
    [(waiting,)] = await clinic.sql("select max(eslesmeyen_sonuc_kodu) from eslesmeyen_sonuc")
    technician = await clinic.as_("teknisyen")
    answer = await technician.post(f"/api/v1/unmatched/{waiting}/dismiss", json={"reason": "deneme tüpü"})
    assert answer.status_code < 300, answer.text
    await at_the_screens(clinic, number)
    return number


async def at_the_screens(clinic: Clinic, number: str) -> None:
    """The forms of the screens, each sent once."""
    deeds: list[tuple[str, str, dict[str, Any]]] = [
        ("hekim", f"/gizlilik/acil/{number}", {"gerekce": "bilinci kapalı geldi, acil", "dakika": "30"}),
        ("yonetici", "/gizlilik/degerlendir/1", {"karar": "uygun"}),
        ("yonetici", "/gizlilik/gizle", {"hasta": number, "tur": "calisan", "neden": "laboratuvar çalışanı"}),
        ("yonetici", "/gizlilik/goster/{patient}", {"neden": "ayrıldı"}),
        ("teknisyen", "/cihazlar/genel/hizmet", {"not": "bakım"}),
    ]
    [(patient,)] = await clinic.sql("select hasta_kodu from tetkik_istem where numune_numarasi = :n", n=number)
    for who, path, form in deeds:
        client = await at_the_desk(clinic, who)
        page = await client.get("/yardim")
        token = page.text.partition('name="form-token" content="')[2].partition('"')[0]
        answer = await client.post(path.format(patient=patient), data=form, headers={"X-Form-Token": token})
        assert answer.status_code in (200, 303), (path, answer.text[-400:])
        await client.aclose()


@pytest.mark.clause("4.4.3b")
async def test_a_changed_and_a_cancelled_field_can_be_put_back_from_the_audit(clinic: Clinic) -> None:
    """Old and new value, who, when: and the old value goes back from what the audit holds."""
    from dataclasses import replace

    from lis_core.services import orders, patients

    who = replace(steps.person(hospital_id="A-77"), phone="05550000000")
    async with clinic.database.work(await steps.user(clinic.database, "hekim")) as work:
        patient = await patients.find_or_register(work, who)
        known = patient.id
        await orders.place_order(work, orders.OrderRequest(patient=who, tests=["GLU", "K"], number="55500011"))
    async with clinic.database.work(program("hasta kayıt", may=[P.PATIENT_CHANGE, P.PATIENT_ENTER])) as work:
        await patients.update_patient(work, replace(who, phone="05551112233"))
    async with clinic.database.work(await steps.user(clinic.database, "hekim")) as work:
        await orders.cancel_tests(work, "55500011", ["K"], "yanlış istendi")
    change = (await steps.audit_of(clinic.database, "hasta", known))[-1]
    assert change.actor == "hasta kayıt"
    assert change.after == {"cep_telefonu": "05551112233"}
    assert change.before == {"cep_telefonu": "05550000000"}
    column, old = next(iter((change.before or {}).items()))
    await clinic.sql(f"update hasta set {column} = :old where hasta_kodu = :id", old=old, id=known)
    assert await clinic.sql("select cep_telefonu from hasta where hasta_kodu = :id", id=known) == [(old,)]
    cancelled = await clinic.sql("select onceki, sonraki, yapan, zaman from denetim where islem like '%iptal%'")
    assert cancelled and cancelled[0][0] and cancelled[0][1]
