"""Whoever does not work cannot sign in, by the dates alone; support staff only when the hospital lets them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from lis_core.domain.permissions import P
from lis_core.services import employment, users
from lis_core.services.employment import NewAbsence, put_absence
from lis_core.storage.database import program
from lis_core.storage.tables.accounts import Absence
from tests.accounts.conftest import GOOD, Browser, House
from tests.conftest import DEMO_PASSWORD


def today() -> date:
    return employment.today(datetime.now(UTC))


@pytest.mark.clause("4.8.13")
async def test_whoever_is_away_cannot_sign_in_and_the_day_after_he_can(house: House) -> None:
    boss = await house.signed_in("yonetici", address="10.0.0.9")
    number = await house.user_id("teknisyen")
    await boss.get(f"/kisiler/{number}")
    last = today() + timedelta(days=3)
    user = house.browser()
    for kind in ("izin", "rapor", "gecici_gorev", "egitim", "diger"):
        assert (await user.sign_in("teknisyen")).status_code == 200
        await boss.post(f"/kisiler/{number}/gorev", tur=kind, ilk=str(today()), son=str(last), aciklama="kayıt")
        assert "Kayıt eklendi" in boss.page
        assert (await user.client.get("/hesabim")).status_code == 303  # at once, not at the end of the cache
        refused = await user.sign_in("teknisyen")
        assert refused.status_code == 403 and f"{last:%d.%m.%Y}" in refused.text
        await house.sql(
            "update calisma_durumu set baslangic_tarihi = :a, bitis_tarihi = :b",
            a=today() - timedelta(9),
            b=today() - timedelta(1),
        )


async def test_only_the_person_himself_is_told_that_he_is_away(house: House) -> None:
    number = await house.user_id("teknisyen")
    async with house.database.work(program("personel", may=[P.USER_MANAGE])) as work:
        await put_absence(work, NewAbsence(number, Absence.LEAVE, today(), today()))
    user = house.browser()
    assert "NUM-0003" in (await user.sign_in("teknisyen", "falsch")).text
    assert "NUM-0021" in (await user.sign_in("teknisyen")).text
    body = {"username": "teknisyen", "password": DEMO_PASSWORD}
    assert (await user.client.post("/api/v1/auth/token", json=body)).json()["code"] == "NUM-0021"


@pytest.mark.clause("4.8.11")
async def test_a_departure_ends_everything_on_its_day_without_anybody_doing_anything(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "CACHE_SECONDS", 0.0)
    user = await house.signed_in("teknisyen")
    body = {"username": "teknisyen", "password": DEMO_PASSWORD}
    token = (await user.client.post("/api/v1/auth/token", json=body)).json()["access_token"]
    number = await house.user_id("teknisyen")
    tomorrow = today() + timedelta(days=1)
    async with house.database.work(program("personel", may=[P.USER_MANAGE])) as work:
        await put_absence(work, NewAbsence(number, Absence.DEPARTED, tomorrow, source="personel:812"))
    assert (await user.client.get("/hesabim")).status_code == 200
    assert (await house.api(token)).status_code == 200
    await house.sql("update calisma_durumu set baslangic_tarihi = :t", t=today())  # the day has come
    assert (await user.client.get("/hesabim")).status_code == 303
    assert (await house.api(token)).status_code == 401
    assert "artık" in (await user.sign_in("teknisyen")).text


async def test_the_personnel_package_repeats_and_corrects_its_record(house: House) -> None:
    number = await house.user_id("teknisyen")
    for days in (3, 5):
        async with house.database.work(program("personel", may=[P.USER_MANAGE])) as work:
            new = NewAbsence(number, Absence.LEAVE, today(), today() + timedelta(days), source="personel:7")
            await put_absence(work, new)
    rows = await house.sql("select bitis_tarihi - baslangic_tarihi from calisma_durumu where iptal_zamani is null")
    assert rows == [(5,)]


async def test_a_record_that_makes_no_sense_is_refused(house: House) -> None:
    boss = await house.signed_in("yonetici")
    number = await house.user_id("teknisyen")
    await boss.get(f"/kisiler/{number}")
    for form in (
        {"tur": "izin", "ilk": str(today()), "son": ""},
        {"tur": "ayrilis", "ilk": str(today()), "son": str(today())},
        {"tur": "izin", "ilk": str(today()), "son": str(today() - timedelta(1))},
        {"tur": "uzay", "ilk": str(today()), "son": str(today())},
        {"tur": "izin", "ilk": "dün", "son": ""},
    ):
        assert "NUM-0032" in (await boss.send(f"/kisiler/{number}/gorev", **form)).text, form


async def test_a_record_taken_back_lets_the_person_in_again(house: House) -> None:
    boss = await house.signed_in("yonetici")
    number = await house.user_id("teknisyen")
    await boss.get(f"/kisiler/{number}")
    await boss.post(f"/kisiler/{number}/gorev", tur="rapor", ilk=str(today()), son=str(today()))
    assert (await house.browser().sign_in("teknisyen")).status_code == 403
    record = boss.found(r'data-absence="(\d+)"')
    other = await house.user_id("uzman")
    assert (await boss.send(f"/kisiler/{other}/gorev/{record}/geri")).status_code == 404
    await boss.post(f"/kisiler/{number}/gorev/{record}/geri")
    assert (await house.browser().sign_in("teknisyen")).status_code == 200


async def test_only_who_manages_users_may_do_any_of_this(house: House) -> None:
    user = await house.signed_in("teknisyen")
    await user.get("/hesabim")
    number = await house.user_id("uzman")
    for path in (f"/kisiler/{number}", "/kisiler", "/istemciler"):
        assert (await user.client.get(path)).status_code == 403, path
    for path in ("parola", "durum", "oturumlar", "ikinci-asama", "gorev", "destek"):
        assert (await user.send(f"/kisiler/{number}/{path}")).status_code == 403, path
    assert (await user.send("/istemciler", ad="kotu", kapsam="sonuc.gor")).status_code == 403


# -- support staff


async def support_account(house: House) -> tuple[Browser, int]:
    boss = await house.signed_in("yonetici", address="10.0.0.9")
    await boss.get("/kisiler")
    await boss.post("/kisiler", kullanici="firma.destek", ad="Firma", soyad="Destek", destek="1")
    return boss, await house.user_id("firma.destek")


@pytest.mark.clause("2.1.9b")
@pytest.mark.clause("EK1.5.14b")
async def test_support_signs_in_once_and_is_out_when_the_time_is_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "CACHE_SECONDS", 0.0)
    boss, number = await support_account(house)
    await boss.get(f"/kisiler/{number}")
    await boss.post(f"/kisiler/{number}/destek", neden="Sunucu açılmıyor", saat="2")
    password = boss.found(r"data-password>([^<]+)<")
    support = house.browser(address="88.1.1.1")
    await support.sign_in("firma.destek", password.lower())
    assert "/giris" not in support.at, support.trail
    again = house.browser(address="88.1.1.2")
    assert (await again.sign_in("firma.destek", password)).status_code == 401  # single use
    [(length,)] = await house.sql(
        "select extract(epoch from bitis_zamani - kayit_zamani) from oturum where destek_erisimi_kodu is not null"
    )
    assert 7100 < length <= 7201
    entered = [told for who, told in await house.audit("giris") if who == "firma.destek"]
    assert entered[0]["yontem"] == "destek" and entered[0]["destek_erisimi"]
    assert password not in str(await house.sql("select * from denetim"))
    # nothing that outlives the session can be made from it
    await support.get("/hesabim")
    assert "Destek erişimi ile girdiniz" in support.page
    for path, form in (
        ("/hesabim/parola", {"parola": password, "yeni": GOOD, "yineleme": GOOD}),
        ("/hesabim/uygulama", {}),
        ("/hesabim/anahtar/soru", {}),
    ):
        assert "NUM-0035" in (await support.send(path, **form)).text, path
    await house.sql(
        "update destek_erisimi set baslangic_zamani = now() - interval '3 hours', bitis_zamani = now() - interval '1 second'"
    )
    assert (await support.client.get("/hesabim")).status_code == 303


async def test_the_hospital_takes_support_access_back(house: House) -> None:
    boss, number = await support_account(house)
    await boss.get(f"/kisiler/{number}")
    await boss.post(f"/kisiler/{number}/destek", neden="Hat arızası", saat="1")
    password = boss.found(r"data-password>([^<]+)<")
    body = {"username": "firma.destek", "password": password}
    assert (await boss.client.post("/api/v1/auth/token", json=body)).status_code == 401  # and is not used up by it
    support = house.browser(address="88.1.1.1")
    await support.sign_in("firma.destek", password)
    grant = boss.found(r'data-grant="(\d+)"')
    await boss.post(f"/kisiler/{number}/destek/{grant}/geri")
    assert (await support.client.get("/hesabim")).status_code == 303


async def test_support_access_needs_a_reason_and_an_end(make: Callable[..., House]) -> None:
    house = make(destek_en_cok_saat=4)
    boss, number = await support_account(house)
    await boss.get(f"/kisiler/{number}")
    for form in ({"neden": "", "saat": "1"}, {"neden": "x", "saat": "5"}):
        assert "NUM-0033" in (await boss.send(f"/kisiler/{number}/destek", **form)).text
    person = await house.user_id("teknisyen")
    assert "NUM-0033" in (await boss.send(f"/kisiler/{person}/destek", neden="x", saat="1")).text
    assert (await house.browser().sign_in("firma.destek", "")).status_code in (401, 422)
