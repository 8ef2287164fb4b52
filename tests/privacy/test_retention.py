"""A person asks what is kept of him; a person asks to be forgotten; old bytes go when a rule says so."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.app import create_app
from lis_core.services import personal_data, retention
from lis_core.services.redaction import blackened, needles
from lis_core.settings import Settings
from lis_core.storage.database import Database
from lis_core.storage.tables import Patient
from tests.api.conftest import Clinic, person
from tests.ingest.conftest import message, result
from tests.services import steps

TODAY = date.today()


@pytest.fixture
async def clinic(lab: Database) -> AsyncIterator[Clinic]:
    made = Clinic(create_app(lab, Settings()), lab)
    yield made
    await made.close()


async def measured(clinic: Clinic, **who: str) -> tuple[str, int]:
    """An approved glucose whose message bears the patient's name; order number and patient."""
    from lis_core.services.ingest_batch import apply_batch

    body = person(**who)
    placed = await clinic.place("GLU", by="hekim", patient=body)
    await clinic.receive(placed)
    barcode = placed["specimens"][0]["barcode"]
    name = f"{body['family_name']}^{body['given_name']}".encode("cp1254", "replace")
    raw = b"H|\\^&\rP|1||" + body["tc"].encode() + b"||" + name + b"||19800517|F\rO|1|" + barcode.encode()
    raw += b"\rR|1|^^^GLU|93\rL|1|N\r"
    await apply_batch(clinic.database, [message(result(barcode, "GLU", "93"), raw=raw)])
    await clinic.release(placed["number"], "GLU")
    [(patient,)] = await clinic.sql(
        "select hasta_kodu from tetkik_istem where numune_numarasi = :n", n=placed["number"]
    )
    return placed["number"], patient


async def test_a_person_takes_away_everything_that_is_kept_of_him(clinic: Clinic) -> None:
    number, patient = await measured(clinic, given_name="Işıl", family_name="Döküm")
    await clinic.order(number, by="uzman")
    async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
        archive = await personal_data.take_away(work, patient, "dilekçe 2026/11")
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        data = json.loads(found.read("veri.json"))["bolumler"]
        page = found.read("veri.html").decode()
    assert data["kimlik"][0]["soyadi"] == "Döküm"
    assert [row["tetkik_sonucu"] for row in data["tetkikler"]] == ["93"]
    assert data["numuneler"] and data["hareketler"] and data["erisimler"]
    assert "Döküm" in page and "<td>93</td>" in page and "<script" not in page
    assert "uzman" not in json.dumps(data["erisimler"])
    assert await clinic.sql(
        "select 1 from denetim where islem = 'veri_dokumu' and hastalar = array[cast(:p as bigint)]", p=patient
    )


async def test_a_value_that_is_not_approved_is_not_given_away(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", patient=person())
    await clinic.receive(placed)
    await clinic.measure(placed["specimens"][0]["barcode"], GLU="4711")
    [(patient,)] = await clinic.sql(
        "select hasta_kodu from tetkik_istem where numune_numarasi = :n", n=placed["number"]
    )
    async with clinic.database.reading() as session:
        data = await personal_data.personal_data(session, patient)
    assert "4711" not in json.dumps(data, default=str)


async def test_nobody_takes_data_away_without_permission_or_reason(clinic: Clinic) -> None:
    _, patient = await measured(clinic)
    for who, reason, words in (("uzman", "istendi", "yetkiniz yok"), ("yonetici", " ", "gerekçe")):
        with pytest.raises(Exception, match=words):
            async with clinic.database.work(await steps.user(clinic.database, who)) as work:
                await personal_data.take_away(work, patient, reason)


async def test_an_erased_person_is_nowhere_and_his_results_stay(clinic: Clinic) -> None:
    """Every column of every table is searched for his names and numbers; only the audit still knows."""
    who = person(given_name="Şerife", family_name="Unutulan", hospital_id="HBYS-778899")
    number, patient = await measured(
        clinic, **{k: v for k, v in who.items() if k in ("given_name", "family_name", "tc")}
    )
    await clinic.sql(
        "update hasta set cep_telefonu = '05321234567', hbys_hasta_numarasi = 'HBYS-778899' where hasta_kodu = :p",
        p=patient,
    )
    await clinic.sql(
        'update tetkik_istem set klinik_bilgi = \'{"gebelik": true, "not": "Şerife hanım"}\' where hasta_kodu = :p',
        p=patient,
    )
    other, _ = await measured(clinic, given_name="Kalan", family_name="Komşu")
    async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
        await retention.erase_identity(work, patient, "ilgilinin başvurusu")
    for word in ("Şerife", "ŞERİFE", "Unutulan", who["tc"], "HBYS-778899", "05321234567"):
        assert await holding(clinic, word) == [], word
    [(content,)] = await clinic.sql(
        "select icerik from ham_mesaj where ham_mesaj_kodu in (select ham_mesaj_kodu from tetkik_sonuc s join istem_tetkik t "
        "using (istem_tetkik_kodu) join tetkik_istem i using (tetkik_istem_kodu) where i.hasta_kodu = :p)", p=patient,
    )  # fmt: skip
    assert b"P|1||XXXXXXXXXXX||XXXXXXXX^XXXXXX||XXXXXXXX|X\r" in content
    assert b"R|1|^^^GLU|93" in content
    seen = await clinic.order(number, by="uzman")
    assert seen["tests"][0]["result"]["value"] == "93"
    assert seen["patient"]["family_name"] == f"Hasta {patient}"
    assert seen["clinical"] == {"gebelik": True}
    assert (await clinic.order(other, by="uzman"))["patient"]["family_name"] == "Komşu"
    assert await clinic.sql("select * from denetim_dogrula()") == []
    with pytest.raises(Exception, match="silinmiş"):
        async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
            await retention.erase_identity(work, patient, "yine")


async def holding(clinic: Clinic, word: str) -> list[str]:
    """Tables, the audit apart, with a row that holds this word in any column."""
    tables = await clinic.sql("select tablename from pg_tables where schemaname = 'public' and tablename <> 'denetim'")
    found = []
    for (table,) in tables:
        if await clinic.sql(f"select 1 from {table} r where to_jsonb(r)::text ilike :like limit 1", like=f"%{word}%"):
            found.append(table)
    utf, turkish = word.encode(), word.encode("cp1254", "replace")
    for needle in (utf, turkish):
        if await clinic.sql("select 1 from ham_mesaj where position(:needle in icerik) > 0", needle=needle):
            found.append("ham_mesaj")
    return found


async def test_nobody_is_erased_while_the_laboratory_still_works_for_him(clinic: Clinic) -> None:
    placed = await clinic.place("GLU", patient=person())
    [(patient,)] = await clinic.sql(
        "select hasta_kodu from tetkik_istem where numune_numarasi = :n", n=placed["number"]
    )
    with pytest.raises(Exception, match="bitmemiş"):
        async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
            await retention.erase_identity(work, patient, "başvuru")


@pytest.mark.administrator("rules of retention are the owner's, `numune privacy` is given his address")
async def test_old_bytes_go_only_where_a_rule_in_force_says_so(clinic: Clinic) -> None:
    await measured(clinic)
    manager = await steps.user(clinic.database, "yonetici")
    with pytest.raises(DBAPIError, match="degistirilemez"):
        await clinic.sql("update ham_mesaj set icerik = ''")
    async with clinic.database.work(manager) as work:
        await retention.save_rule(work, "ham_mesaj", 30, "kurul kararı 7", TODAY - timedelta(days=1))
    with pytest.raises(DBAPIError, match="degistirilemez"):
        await clinic.sql("update ham_mesaj set icerik = ''")
    later = datetime.now(UTC) + timedelta(days=40)
    async with clinic.database.reading() as session:
        assert [(one.rule.kind, one.rows) for one in await retention.due(session, later)] == [("ham_mesaj", 1)]
        assert [one.rows for one in await retention.due(session, datetime.now(UTC))] == [0]
    async with clinic.database.engine.begin() as connection:
        await connection.execute(text("alter table ham_mesaj disable trigger all"))
        await connection.execute(text("update ham_mesaj set alinma_zamani = alinma_zamani - interval '40 days'"))
        await connection.execute(text("alter table ham_mesaj enable trigger all"))
    async with clinic.database.work(manager) as work:
        [one] = await retention.due(work.session, datetime.now(UTC))
        assert await retention.apply_rule(work, one) == 1
    assert await clinic.sql("select octet_length(icerik) from ham_mesaj") == [(0,)]
    [(facts,)] = await clinic.sql("select sonraki from denetim where islem = 'saklama_uygulandi'")
    assert (facts["tur"], facts["satir"]) == ("ham_mesaj", 1)


@pytest.mark.administrator("rules of retention are the owner's, `numune privacy` is given his address")
async def test_a_rule_ends_the_one_before_it_and_needs_a_basis(clinic: Clinic) -> None:
    manager = await steps.user(clinic.database, "yonetici")
    async with clinic.database.work(manager) as work:
        await retention.save_rule(work, "hasta", 7300, "yönetmelik", TODAY - timedelta(days=10))
        await retention.save_rule(work, "hasta", 3650, "yeni yönetmelik", TODAY)
    async with clinic.database.reading() as session:
        assert [rule.days for rule in await retention.rules_in_force(session, TODAY)] == [3650]
        assert [rule.days for rule in await retention.rules_in_force(session, TODAY - timedelta(days=1))] == [7300]
    for kind, days, basis, day in (("yok", 1, "x", TODAY), ("hasta", 0, "x", TODAY), ("hasta", 1, " ", TODAY), ("hasta", 1, "x", TODAY)):  # fmt: skip
        with pytest.raises(Exception, match="Saklama kuralı geçersiz"):
            async with clinic.database.work(manager) as work:
                await retention.save_rule(work, kind, days, basis, day)


@pytest.mark.administrator("rules of retention are the owner's, `numune privacy` is given his address")
async def test_patients_whose_time_is_over_lose_their_name_by_rule(clinic: Clinic) -> None:
    _, patient = await measured(clinic, family_name="Eskimiş")
    await clinic.sql("update hasta set kayit_zamani = now() - interval '9000 days' where hasta_kodu = :p", p=patient)
    await clinic.sql(
        "update tetkik_istem set istem_zamani = now() - interval '8000 days' where hasta_kodu = :p", p=patient
    )
    async with clinic.database.work(await steps.user(clinic.database, "yonetici")) as work:
        await retention.save_rule(work, "hasta", 7300, "yönetmelik", TODAY)
        [one] = await retention.due(work.session, datetime.now(UTC))
        assert await retention.apply_rule(work, one) == one.rows == 1
    assert await holding(clinic, "Eskimiş") == []


NAMES = st.text("abcçdefgğhıijklmnoöprsştuüvyzABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZ", min_size=3, max_size=12)


@given(given_name=NAMES, family_name=NAMES, junk=st.binary(max_size=40), encoding=st.sampled_from(["utf-8", "cp1254"]))
def test_a_blackened_message_keeps_its_length_and_loses_the_name(
    given_name: str, family_name: str, junk: bytes, encoding: str
) -> None:
    patient = Patient(given_name=given_name, family_name=family_name, tc="90000000000")
    name = f"{family_name}^{given_name}".encode(encoding, "ignore")
    before = b"P|1||90000000000||" + name + b"||\rR|1|^^^GLU|93\r" + junk
    after = blackened(before, needles([patient]), whole_patient_records=False)
    assert len(after) == len(before)
    assert name not in after.partition(b"\rR|1|")[0]
    assert b"90000000000" not in after.partition(b"\rR|1|")[0]
    assert after.count(b"|^^^GLU|93\r") >= 1
