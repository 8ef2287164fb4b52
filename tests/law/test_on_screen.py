"""Work steps on screen: what a technician reads of them, and what he may do: send again, take back, decide a doubt."""

from __future__ import annotations

import re

import httpx

from api.app import create_app
from lis_core.settings import Settings
from simulators.law_station import LawStation
from tests.law.conftest import LawLab, fields
from tests.screens.conftest import Site

Pair = tuple[LawLab, LawStation]


def _site(lab: LawLab) -> Site:
    app = create_app(lab.database, Settings())
    return Site({}, httpx.ASGITransport(app=app, raise_app_exceptions=False))


async def test_steps_are_read_taken_back_and_sent_again_on_screen(pair: Pair) -> None:
    lab, station = pair
    technician = await _site(lab).as_("teknisyen")
    tube = await lab.tube("GLU", "UREA")
    station.unable.add("UREA")
    await lab.taken(station, tube)
    await lab.until_step("GLU", "kabul")
    await lab.until_step("UREA", "reddedildi")
    glucose, urea = await lab.awos("GLU"), await lab.awos("UREA")

    page = (await technician.get("/cihazlar/law/isler?hepsi=1")).text
    assert "cihaz kabul etti" in page and "cihaz kabul etmedi" in page and tube in page
    assert glucose in (await technician.get("/cihazlar/law/isler")).text
    assert urea not in (await technician.get("/cihazlar/law/isler")).text  # nothing is open there
    detail = (await technician.get(f"/cihazlar/adim/{glucose}", part=True)).text
    assert "yeni iş" in detail and "yanıtlandı: <b>AA</b>" in detail

    assert "gerekçe" in (await technician.post(f"/cihazlar/adim/{glucose}/iptal", neden=" ")).text
    assert "İptal istendi" in (await technician.post(f"/cihazlar/adim/{glucose}/iptal", neden="tüp geri çekildi")).text
    await lab.until_step("GLU", "iptal")
    body = (await technician.get(f"/cihazlar/adim/{glucose}/govde", part=True)).text
    assert "iptal edildi" in body and "tüp geri çekildi" in body

    station.unable.clear()
    again = (await technician.post(f"/cihazlar/adim/{urea}/yeniden", neden="reaktif yenilendi")).text
    [number] = re.findall(r"Yerine (AW-\w+)", again)
    await lab.until_step("UREA", "kabul")
    assert await lab.awos("UREA") == number != urea
    assert "yerine yenisi" in (await technician.post(f"/cihazlar/adim/{urea}/yeniden", neden="bir daha")).text
    assert await lab.value("select count(*) from istem_tetkik where tetkik_durumu = 'calisiyor'") == 1

    [(order, test)] = await lab.rows(
        "select numune_numarasi, istem_tetkik_kodu from is_adimi join istem_tetkik using (istem_tetkik_kodu) "
        "join tetkik_istem using (tetkik_istem_kodu) where adim_numarasi = :number",
        number=number,
    )
    of_order = (await technician.get(f"/istem/{order}/tetkik/{test}", part=True)).text
    assert "Cihaza verilen iş" in of_order and f"ac={number}" in of_order and "reaktif yenilendi" in of_order
    physician = await _site(lab).as_("hekim")
    assert "Cihaza verilen iş" not in (await physician.get(f"/istem/{order}/tetkik/{test}", part=True)).text
    assert (await physician.get("/cihazlar/law/isler")).status_code == 403
    assert (await physician.post(f"/cihazlar/adim/{number}/iptal", neden="x")).status_code == 403


async def test_a_step_in_doubt_goes_out_again_as_the_same_message(pair: Pair) -> None:
    """The analyser had taken it; its answer was lost every time. The same bytes again get the same answer again."""
    lab, station = pair
    technician = await _site(lab).as_("teknisyen")
    tube = await lab.tube("GLU")
    station.arm(*["no_orl"] * 4)
    await lab.taken(station, tube)
    await lab.until_step("GLU", "belirsiz")
    number = await lab.awos("GLU")
    sent = len(station.orders())

    page = (await technician.get(f"/cihazlar/adim/{number}", part=True)).text
    assert "cihazda olabilir" in page and "ask-doubt" in page and "4 kez" in page
    said = (await technician.post(f"/cihazlar/adim/{number}/yeniden", neden="kablo takıldı")).text
    assert "Yeniden gönderiliyor" in said
    await lab.until_step("GLU", "kabul")

    assert len(station.orders()) == sent + 1
    assert len({fields(one.raw, "MSH", 10)[0] for one in station.orders()}) == 1
    assert "deneme" not in (await technician.post(f"/cihazlar/adim/{number}/yeniden", neden="x")).text
    assert await lab.value("select count(*) from is_adimi") == 1


async def test_what_was_done_of_a_bench_is_for_the_people_of_that_bench(pair: Pair) -> None:
    lab, station = pair
    tube = await lab.tube("GLU")
    await lab.taken(station, tube)
    await lab.until_step("GLU", "kabul")
    number = await lab.awos("GLU")
    await lab._do(
        "update grup_uyeligi set calisma_gruplari = '{HEMATOLOJI}' where uye_kullanici_kodu = "
        "(select kullanici_kodu from kullanici where kullanici_adi = 'teknisyen')"
    )
    stranger = await _site(lab).as_("teknisyen")
    assert "ask-cancel-step" not in (await stranger.get(f"/cihazlar/adim/{number}", part=True)).text
    assert (await stranger.post(f"/cihazlar/adim/{number}/iptal", neden="benim değil")).status_code == 403
    assert (await lab.steps())["GLU"] == "kabul"
