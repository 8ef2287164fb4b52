"""Parameters that the page did not offer: another order's ids in a form, more fields than there are, other people's rows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Clinic, order_body
from tests.attacks.house import HTML, Stage, Visitor

MORE: dict[str, Any] = {
    "id": 1, "hasta_kodu": 1, "state": "clinically_approved", "tetkik_durumu": "klinik_onayli", "is_admin": True,
    "created_at": "2020-01-01T00:00:00+00:00", "actor": "uzman", "ordered_by_id": 1, "anonymised_at": None,
}  # fmt: skip


async def test_mass_assignment_a_field_that_a_call_does_not_know_is_refused(stage: Stage) -> None:
    """An order that would arrive approved, a patient that would arrive merged: 422, named, nothing saved."""
    client = await stage.clinic.as_("hekim")
    before = await stage.clinic.sql("select count(*) from tetkik_istem")
    for name, value in MORE.items():
        for place in ("", "patient"):
            body = order_body("GLU")
            (body[place] if place else body)[name] = value
            answer = await client.post("/api/v1/orders", json=body)
            assert answer.status_code == 422 and name in answer.text, (name, place, answer.text)
    for call in ("/api/v1/results/technical-approval", "/api/v1/results/clinical-approval"):
        answer = await (await stage.clinic.as_("uzman")).post(call, json={"ids": [1], "by": "yonetici"})
        assert answer.status_code == 422, answer.text
    assert await stage.clinic.sql("select count(*) from tetkik_istem") == before


async def two_orders(clinic: Clinic) -> tuple[dict[str, Any], dict[str, Any], list[int]]:
    """Two patients, each with a measured glucose; the orders and the results."""
    found = []
    for value in ("92", "93"):
        placed = await clinic.place("GLU", by="hekim")
        await clinic.receive(placed)
        await clinic.measure(placed["number"], GLU=value)
        found.append(placed)
    return found[0], found[1], [await clinic.result_id(one["number"], "GLU") for one in found]


async def states(clinic: Clinic, *orders: dict[str, Any]) -> list[str]:
    return [(await clinic.line(one["number"], "GLU"))["state"] for one in orders]


@pytest.fixture
async def desk(stage: Stage) -> Visitor:
    return await stage.as_("hepsi")


async def test_ids_swapped_in_a_form_decide_about_no_other_patient(stage: Stage, desk: Visitor) -> None:
    """Results of one patient behind the page of another: nothing is approved, repeated, rejected or taken back."""
    clinic = stage.clinic
    mine, other, (own, foreign) = await two_orders(clinic)
    tube = other["specimens"][0]["barcode"]
    shown = f"/teknik-onay/{mine['number']}"
    for deed, fields in (
        ("onayla", {"sonuc": [str(own), str(foreign)]}),
        ("onayla", {"simdiki": str(foreign)}),
        ("hepsi", {"gosterilen": [str(own), str(foreign)]}),
        ("tekrar", {"sonuc": str(foreign), "tekrar_nedeni": "x"}),
        ("ret", {"tup": tube, "ret_nedeni": "x"}),
        ("geri", {"simdiki": str(foreign), "geri_nedeni": "x"}),
    ):
        answer = await desk.post(f"{shown}/{deed}", fields)
        assert answer.status_code == 404, (deed, answer.status_code, answer.text[:200])
    assert await states(clinic, mine, other) == ["resulted", "resulted"]
    for placed, result in ((mine, own), (other, foreign)):
        answer = await desk.post(f"/teknik-onay/{placed['number']}/onayla", {"sonuc": str(result)})
        assert answer.status_code == 200
    for deed, fields in (
        ("onayla", {"sonuc": [str(own), str(foreign)]}),
        ("tekrar", {"simdiki": str(foreign), "tekrar_nedeni": "x"}),
        ("geri", {"sonuc": str(foreign), "geri_nedeni": "x"}),
    ):
        answer = await desk.post(f"/klinik-onay/{mine['number']}/{deed}", fields)
        assert answer.status_code == 404, (deed, answer.text[:200])
    await desk.post(f"/klinik-onay/{mine['number']}/hepsi", {"gosterilen": [str(own), str(foreign)]})
    assert await states(clinic, mine, other) == ["clinically_approved", "technically_approved"]


async def test_hidden_fields_of_an_account_form_give_nothing(stage: Stage, desk: Visitor) -> None:
    """A new account stays without rights, passwords and kinds of the sender's choice."""
    more = {"parola": "SecilmisParola-1", "aktif": "1", "grup": "SISTEM_YONETICISI", "id": "1", "user_id": "1", "tur": "istemci",
            "hekim": "1", "password_hash": "x", "must_change": ""}  # fmt: skip
    answer = await desk.post("/kisiler", {"kullanici": "kurban.hesap", "ad": "A", "soyad": "B", **more})
    assert answer.status_code == 200
    [(key, digest, physician)] = await stage.clinic.sql(
        "select kullanici_kodu, parola, personel_kodu from kullanici where kullanici_adi = 'kurban.hesap'"
    )
    assert digest.startswith("$argon2") and physician is None
    assert await stage.clinic.sql("select 1 from grup_uyeligi where uye_kullanici_kodu = :k", k=key) == []
    assert await stage.clinic.sql("select 1 from yetki_kaydi where kullanici_kodu = :k", k=key) == []
    async with stage.clinic.anonymous() as browser:
        tried = await browser.post("/giris", data={"kullanici": "kurban.hesap", "parola": more["parola"]})
    assert tried.status_code == 401


async def test_rows_of_other_people_are_not_reached_through_ones_own_page(stage: Stage, desk: Visitor) -> None:
    """Absences, support accesses, tokens and identities are asked for under the person whose they are."""
    clinic = stage.clinic
    ids = dict(tuple(row) for row in await clinic.sql("select kullanici_adi, kullanici_kodu from kullanici"))
    done = await desk.post(
        f"/kisiler/{ids['teknisyen']}/gorev", {"tur": "izin", "ilk": "2099-01-01", "son": "2099-01-02", "aciklama": "x"}
    )
    assert done.status_code in (200, 303), done.text[:300]
    [(absence,)] = await clinic.sql("select max(calisma_durumu_kodu) from calisma_durumu")
    wrong = await desk.post(f"/kisiler/{ids['uzman']}/gorev/{absence}/geri", {})
    assert wrong.status_code == 404
    for address in (
        f"/kisiler/{ids['uzman']}/kimlik/{ids['teknisyen']}/ayir",
        f"/kisiler/{ids['uzman']}/destek/1/geri",
        "/hesabim/anahtar/1/sil",
        "/hesabim/oturum/999999/kapat",
        "/hesabim/tek-giris/1/ayir",
        "/istemciler/1/belirtec/1/iptal",
    ):
        answer = await desk.post(address, {})
        assert answer.status_code in (303, 403, 404, 422), (address, answer.status_code)
    kept = await clinic.sql("select count(*) from oturum where kullanici_kodu <> :k", k=ids["hepsi"])
    assert kept[0][0] >= 0


OWN = ("message_id", "unmatched_id", "result_id", "ordered_test_id")


async def test_guessed_ids_show_an_outsider_nothing_of_anybody(stage: Stage) -> None:
    """A family physician goes through the numbers: no name, no value, and the same answer whether there is one or not."""
    outsider = await stage.as_("ailehekimi")
    for pattern in stage.patterns("GET"):
        name = next((name for name in (*OWN, "number", "barcode") if f"{{{name}}}" in pattern), None)
        if name is None:
            continue
        there = await outsider.client.get(stage.fill(pattern), headers=HTML)
        absent = await outsider.client.get(stage.fill(pattern, **{name: 888_888}), headers=HTML)
        assert "Çığır" not in there.text and "Işıl" not in there.text, pattern
        if name in OWN[:3]:
            assert there.status_code == absent.status_code, (pattern, there.status_code, absent.status_code)
